use uuk_pki::DigestAlgorithm;

use super::*;
use crate::sample::{certificate, member, private, server, shared, subsystem};
use crate::{Maintenance, Version};

fn at(text: &str) -> Timestamp {
    text.parse().unwrap()
}

fn now() -> Timestamp {
    at("2026-11-22T12:00:00Z")
}

fn dated<T>(content: T, expires: &str) -> Dated<T> {
    Dated { content, expires: Some(at(expires)) }
}

/// `DEV` until noon, by both files.
fn main_parameters() -> InstanceParameters {
    InstanceParameters {
        shared: dated(shared("DEV", Version::V6), "2026-11-22T12:00:00Z"),
        private: Some(dated(private("DEV"), "2026-11-22T12:00:00Z")),
    }
}

/// `EE` until eleven.
fn federated_parameters() -> InstanceParameters {
    InstanceParameters { shared: dated(shared("EE", Version::V6), "2026-11-22T11:00:00Z"), private: None }
}

fn build(parameters: Vec<InstanceParameters>) -> Result<GlobalConfiguration, GlobalConfigurationError> {
    GlobalConfiguration::new("DEV", parameters, Extensions::default(), &CertificateProfiles::default())
}

#[track_caller]
fn refuses(parameters: Vec<InstanceParameters>, code: &str) {
    assert_eq!(build(parameters).unwrap_err().code(), code);
}

#[test]
fn needs_the_main_instance() {
    refuses(vec![federated_parameters()], "global_configuration.missing_main_instance");
}

#[test]
fn refuses_an_instance_twice() {
    refuses(vec![main_parameters(), main_parameters()], "global_configuration.instance_twice");
}

#[test]
fn refuses_private_parameters_of_another_instance() {
    let mut parameters = main_parameters();
    parameters.private = Some(dated(private("EE"), "2026-11-22T12:00:00Z"));
    refuses(vec![parameters], "global_configuration.wrong_instance");
}

#[test]
fn counts_while_both_files_of_the_main_instance_do() {
    let later = "2026-11-22T13:00:00Z";
    let (mut old_shared, mut old_private) = (main_parameters(), main_parameters());
    old_shared.private = Some(dated(private("DEV"), later));
    old_private.shared.expires = Some(at(later));
    for parameters in [main_parameters(), old_shared, old_private] {
        let configuration = build(vec![parameters]).unwrap();
        assert_eq!(configuration.check(now()), Ok(()));
        let error = configuration.check(at("2026-11-22T12:00:01Z")).unwrap_err();
        assert_eq!(error, GlobalConfigurationError::Outdated { expires: now() });
        assert_eq!(error.xroad_code(), "global_conf_outdated");
    }
}

#[test]
fn without_date_it_counts_for_ever() {
    let mut parameters = main_parameters();
    parameters.shared.expires = None;
    parameters.private.as_mut().unwrap().expires = None;
    assert_eq!(build(vec![parameters]).unwrap().check(Timestamp::MAX), Ok(()));
}

#[test]
fn a_federated_instance_does_not_exist_once_it_expired() {
    let configuration = build(vec![main_parameters(), federated_parameters()]).unwrap();
    let client = ClientId::Subsystem(subsystem("EE"));
    let group = GlobalGroupId { instance: "EE".into(), code: "all".into() };
    for (now, exists) in [(at("2026-11-22T11:00:00Z"), true), (now(), false)] {
        assert_eq!(configuration.instance("EE", now).is_some(), exists);
        assert_eq!(configuration.is_registered(&client, now), exists);
        assert_eq!(configuration.is_in_global_group(&client, &group, now), exists);
        assert_eq!(configuration.servers_of(&client, now).count(), usize::from(exists));
        assert_eq!(configuration.check(now), Ok(()), "which does not matter to the main instance");
    }
    assert!(configuration.is_registered(&ClientId::Member(member("DEV")), at("2027-01-01T00:00:00Z")));
}

/// A configuration whose one server registered `certificate`, by the digest that `version` wants.
fn registering(certificate: &Certificate, version: Version) -> GlobalConfiguration {
    let mut parameters = main_parameters();
    parameters.shared.content.version = version;
    let hash = match version {
        Version::V2 => {
            aws_lc_rs::digest::digest(&aws_lc_rs::digest::SHA1_FOR_LEGACY_USE_ONLY, certificate.der())
                .as_ref()
                .to_vec()
        }
        _ => certificate.digest(DigestAlgorithm::Sha256).as_bytes().to_vec(),
    };
    parameters.shared.content.security_servers[0].certificate_hashes = vec![hash];
    build(vec![parameters]).unwrap()
}

#[test]
fn finds_a_server_by_its_certificate_in_every_version() {
    let (known, other) = (certificate(), certificate());
    for version in Version::NEWEST_FIRST {
        let configuration = registering(&known, version);
        let found = configuration.server_of_certificate(&known, now()).map(|server| &server.id);
        assert_eq!(found, Some(&server("DEV")));
        assert!(configuration.server_of_certificate(&other, now()).is_none());
        for client in [ClientId::Subsystem(subsystem("DEV")), ClientId::Member(member("DEV"))] {
            assert!(configuration.certificate_serves(&known, &client, now()), "{client}");
            assert!(!configuration.certificate_serves(&other, &client, now()), "{client}");
        }
        let stranger = ClientId::Subsystem(subsystem("EE"));
        assert!(!configuration.certificate_serves(&known, &stranger, now()));
    }
}

#[test]
fn sha1_does_not_count_since_v3() {
    let known = certificate();
    let mut parameters = registering(&known, Version::V2).instances.remove("DEV").unwrap().shared;
    parameters.content.version = Version::V3;
    let configuration = build(vec![InstanceParameters { shared: parameters, private: None }]).unwrap();
    assert!(configuration.server_of_certificate(&known, now()).is_none());
}

#[test]
fn tells_servers_under_maintenance() {
    let configuration = build(vec![main_parameters()]).unwrap();
    let server = configuration.instance("DEV", now()).unwrap().server(&server("DEV")).unwrap();
    assert_eq!(server.maintenance, Some(Maintenance { message: Some("until noon".into()) }));
}

#[test]
fn an_authority_that_cannot_be_read_is_left_out_and_named() {
    let mut parameters = main_parameters();
    let content = &mut parameters.shared.content;
    let mut broken = content.approved_cas[0].clone();
    broken.name = "Broken".into();
    broken.top.certificate = b"no certificate".to_vec();
    broken.intermediates[0].ocsp = vec![broken.top.ocsp[0].clone()];
    broken.intermediates[0].ocsp[0].certificate = Some(vec![]);
    let mut unknown = content.approved_cas[0].clone();
    unknown.certificate_profile = "org.example.Unknown".into();
    unknown.intermediates.clear();
    content.approved_cas.extend([broken, unknown]);
    content.approved_tsas[0].certificate = vec![];
    let configuration = build(vec![parameters]).unwrap();
    let codes: Vec<_> = configuration.left_out().iter().map(LeftOut::code).collect();
    let (certificate, profile) =
        ("global_configuration.unusable_certificate", "global_configuration.unusable_profile");
    assert_eq!(codes, [certificate, certificate, profile, certificate]);
    let authorities = configuration.instance("DEV", now()).unwrap().authorities();
    // The two of the first service, and the intermediate one of the broken service without its responder.
    let responders: Vec<_> = authorities.certification.iter().map(|ca| ca.ocsp_responders.len()).collect();
    assert_eq!(responders, [1, 0, 0]);
    assert_eq!(authorities.time_stamping.len(), 0);
}

#[test]
fn the_main_instance_decides_about_ocsp() {
    let mut parameters = main_parameters();
    parameters.shared.content.ocsp_freshness = std::time::Duration::from_secs(7);
    let extensions = Extensions { verify_next_update: false, ..Extensions::default() };
    let profiles = CertificateProfiles::default();
    let both = vec![parameters, federated_parameters()];
    let configuration = GlobalConfiguration::new("DEV", both, extensions, &profiles).unwrap();
    for instance in configuration.instances(at("2026-11-22T10:00:00Z")) {
        let authorities = instance.authorities();
        assert_eq!((authorities.ocsp_freshness.as_secs(), authorities.verify_next_update), (7, false));
    }
}
