//! The configurations of the X-Road project and of the recorded exchanges, with the facts that X-Road's own tests state.

#![expect(clippy::unwrap_used, clippy::panic, reason = "what a test's helpers cannot do, the test reports")]

use std::collections::BTreeSet;
use std::fs;
use std::path::{Path, PathBuf};
use std::time::Duration;

use jiff::Timestamp;
use uuk_globalconf::{
    Anchor, Cost, Dated, DirectoryError, Extensions, FileMetadata, GlobalConfiguration, Instance,
    InstanceParameters, ParametersError, PrivateParameters, SharedParameters, SignedDirectory,
    VerificationCertificate, Version, download_sources,
};
use uuk_identifiers::{ClientId, GlobalGroupId};
use uuk_pki::{Certificate, CertificateProfiles};
use uuk_testkit::fixtures;

/// The profile of X-Road's own tests. Which member it names does not matter here.
const TEST_PROFILE: &str = r#"
[[profile]]
name = "ee.ria.xroad.common.certificateprofile.impl.TestCertificateProfileInfoProvider"
member = [{ subject = { O = '(?<class>.+)', CN = '(?<code>.+)' } }]
authentication = []
signing = []
"#;

fn folder(name: &str) -> Option<PathBuf> {
    Some(fixtures::folder()?.join(name))
}

fn read(path: &Path) -> Vec<u8> {
    fs::read(path).unwrap_or_else(|error| panic!("{}: {error}", path.display()))
}

fn now() -> Timestamp {
    "2026-11-22T12:00:00Z".parse().unwrap()
}

fn metadata(file: &Path) -> FileMetadata {
    FileMetadata::read(&read(&file.with_extension("xml.metadata"))).unwrap()
}

fn shared(folder: &Path) -> Result<Dated<SharedParameters>, ParametersError> {
    let path = folder.join("shared-params.xml");
    let metadata = metadata(&path);
    let content = SharedParameters::read(&read(&path), metadata.version().unwrap())?;
    Ok(Dated { content, expires: metadata.expiration_date })
}

fn private(folder: &Path) -> Option<Dated<PrivateParameters>> {
    let path = folder.join("private-params.xml");
    let content = PrivateParameters::read(&fs::read(&path).ok()?).unwrap();
    Some(Dated { content, expires: metadata(&path).expiration_date })
}

fn load(name: &str) -> Option<GlobalConfiguration> {
    let folder = folder(name)?;
    let main = fs::read_to_string(folder.join("instance-identifier")).unwrap();
    let folders = fs::read_dir(&folder).unwrap().map(|entry| entry.unwrap().path());
    let parameters = folders
        .filter(|path| path.is_dir())
        .map(|path| InstanceParameters { shared: shared(&path).unwrap(), private: private(&path) })
        .collect();
    let profiles = CertificateProfiles::default().with(TEST_PROFILE).unwrap();
    Some(GlobalConfiguration::new(main.trim(), parameters, Extensions::default(), &profiles).unwrap())
}

fn certificate(name: &str) -> Certificate {
    let path = folder("xroad/certs").unwrap().join(name);
    Certificate::chain_from_pem(&read(&path)).unwrap().remove(0)
}

fn id(text: &str) -> ClientId {
    text.parse().unwrap()
}

const GOOD: [(&str, Version); 5] = [
    ("xroad/globalconf/globalconf_good_v2", Version::V2),
    ("xroad/globalconf/globalconf_good_v3", Version::V3),
    ("xroad/globalconf/globalconf_good_v4", Version::V4),
    ("xroad/globalconf/globalconf_good_v5", Version::V5),
    ("xroad/globalconf/globalconf_good_v6", Version::V6),
];

/// Runs `check` on the configuration of each version, with its main instance.
fn each_version(check: impl Fn(&GlobalConfiguration, &Instance)) {
    for (name, version) in GOOD {
        let Some(configuration) = load(name) else { return };
        let main = configuration.instance("EE", now()).unwrap();
        assert_eq!(main.shared().version, version);
        check(&configuration, main);
    }
}

#[test]
fn loads_the_main_instance_and_those_federated_with_it() {
    let expected: [(&str, &[&str]); 7] = [
        ("xroad/globalconf/globalconf_good_v2", &["EE", "bar", "foo"]),
        ("xroad/globalconf/globalconf_good_v3", &["EE", "bar", "foo_v2"]),
        ("xroad/globalconf/globalconf_good_v4", &["EE", "bar", "baz_v3", "foo_v2"]),
        ("xroad/globalconf/globalconf_good_v5", &["EE", "bar", "baz_v3", "foo_v2", "qux_v4"]),
        ("xroad/globalconf/globalconf_good_v6", &["EE", "bar", "baz_v3", "foo_v2", "quux_v5", "qux_v4"]),
        ("xroad/globalconf/globalconf_good2_v3", &["DEV"]),
        ("captures/pki/gc", &["DEV"]),
    ];
    for (name, instances) in expected {
        let Some(configuration) = load(name) else { return };
        let found: Vec<_> =
            configuration.instances(now()).map(|one| one.shared().instance.as_str()).collect();
        assert_eq!(found, instances, "{name}");
        assert_eq!(configuration.left_out().len(), 0, "{name}: {:?}", configuration.left_out());
        for instance in configuration.instances(now()) {
            let has_private = !["bar", "DEV"].contains(&instance.shared().instance.as_str());
            assert!(!has_private || instance.private().is_some(), "{name}");
        }
    }
}

#[test]
fn counts_until_its_date_and_federated_instances_end_then() {
    each_version(|configuration, _| {
        let last = "2124-05-20T17:42:55Z".parse().unwrap();
        let after = "2124-05-20T17:42:56Z".parse().unwrap();
        assert!(configuration.check(last).is_ok());
        assert_eq!(configuration.check(after).unwrap_err().xroad_code(), "global_conf_outdated");
        assert!(configuration.instances(last).count() > 2);
        let instances: Vec<_> = configuration.instances(after).collect();
        assert_eq!(instances.len(), 1);
        assert!(configuration.instance("bar", after).is_none());
        assert!(configuration.instance("xxx", last).is_none());
    });
}

/// It is there to verify containers with; without private parameters no message passes by it.
#[test]
fn without_private_parameters_nothing_passes() {
    let Some(configuration) = load("xroad/globalconf/globalconf_good2_v3") else { return };
    let error = configuration.check(now()).unwrap_err();
    assert_eq!(error.code(), "global_configuration.missing_private_parameters");
    let authorities = configuration.instance("DEV", now()).unwrap().authorities();
    assert_eq!((authorities.certification.len(), authorities.time_stamping.len()), (1, 1));
    let member = ["DEV/COM/1234", "DEV/COM/4321/TestClient"]
        .map(|member| configuration.is_registered(&id(member), now()));
    assert_eq!(member, [true, true]);
}

#[test]
fn the_recorded_exchanges_configuration_counts() {
    let Some(configuration) = load("captures/pki/gc") else { return };
    assert!(configuration.check(now()).is_ok());
    let path = folder("captures/pki/auth.pem").unwrap();
    let auth = Certificate::chain_from_pem(&read(&path)).unwrap().remove(0);
    let server = configuration.server_of_certificate(&auth, now()).unwrap();
    assert_eq!(server.id.owner.instance, "DEV");
    assert!(server.clients.iter().all(|client| configuration.certificate_serves(&auth, client, now())));
}

#[test]
fn knows_who_is_in_a_global_group() {
    each_version(|configuration, main| {
        let is_in = |client: &str, instance: &str, code: &str| {
            let group = GlobalGroupId { instance: instance.into(), code: code.into() };
            configuration.is_in_global_group(&id(client), &group, now())
        };
        assert!(is_in("EE/BUSINESS/member1/subsys", "EE", "Test group"));
        assert!(is_in("EE/BUSINESS/member2", "EE", "Test group"));
        assert!(!is_in("EE/BUSINESS/member2/subsys", "EE", "Test group"));
        assert!(!is_in("EE/BUSINESS/member2", "no-instance", "no-group"));
        let descriptions: Vec<_> =
            main.shared().global_groups.iter().map(|group| group.description.as_str()).collect();
        assert_eq!(descriptions, ["Description"]);
    });
}

#[test]
fn lists_members_with_their_subsystems() {
    let Some(configuration) = load(GOOD[0].0) else { return };
    let main = configuration.instance("EE", now()).unwrap();
    let mut found = Vec::new();
    for member in &main.shared().members {
        found.push(member.id.to_string());
        found.extend(member.subsystems.iter().map(|subsystem| subsystem.id.to_string()));
    }
    let expected =
        ["EE/BUSINESS/producer", "EE/BUSINESS/consumer", "EE/BUSINESS/foo", "EE/BUSINESS/foo/foosubsystem"];
    assert_eq!(found, expected);
    assert!(expected.iter().all(|member| configuration.is_registered(&id(member), now())));
    assert!(!configuration.is_registered(&id("EE/BUSINESS/foo/Foosubsystem"), now()));
    assert!(!configuration.is_registered(&id("xx/BUSINESS/foo"), now()));
}

#[test]
fn finds_the_addresses_of_a_provider() {
    each_version(|configuration, _| {
        let addresses = |client: &str| -> BTreeSet<_> {
            let servers = configuration.servers_of(&id(client), now());
            servers.filter_map(|server| server.address.clone()).collect()
        };
        let expected = ["127.0.0.1", "https://www.foo.com/bar"].map(str::to_owned);
        assert_eq!(addresses("EE/BUSINESS/consumer"), expected.into());
        assert_eq!(addresses("EE/BUSINESS/producer"), ["127.0.0.1".to_owned()].into());
        assert_eq!(addresses("EE/BUSINESS/unknown"), BTreeSet::new());
    });
}

#[test]
fn knows_servers_their_owners_and_clients() {
    each_version(|_, main| {
        let all: Vec<_> = main.shared().security_servers.iter().map(|server| server.id.to_string()).collect();
        let expected = [
            "EE/BUSINESS/producer/producerServerCode",
            "EE/BUSINESS/consumer/consumerServerCode",
            "EE/BUSINESS/foo/fooServerCode",
            "EE/BUSINESS/foo/FooBarServerCode",
        ];
        assert_eq!(all, expected);
        let is_client = |client: &str, server: &str| {
            let server = main.server(&server.parse().unwrap());
            server.is_some_and(|server| server.has_client(&id(client)))
        };
        let [consumer, producer, subsystem] =
            ["EE/BUSINESS/consumer", "EE/BUSINESS/producer", "EE/BUSINESS/foo/foosubsystem"];
        assert!(is_client(consumer, expected[0]));
        assert!(is_client(producer, expected[0]), "the owner, who is not listed");
        assert!(is_client(subsystem, expected[0]));
        assert!(!is_client("EE/xx/foo/foosubsystem", expected[0]));
        assert!(!is_client(consumer, "EE/BUSINESS/producer/foo"), "no such server");
        assert!(!is_client(subsystem, expected[3]), "only its member is");
        let of_foo: Vec<_> = main.servers_of(&id("EE/BUSINESS/foo")).map(|one| one.id.to_string()).collect();
        assert_eq!(of_foo, [expected[0], expected[2], expected[3]]);
    });
}

/// By SHA-1, in V2. The digests in the files of later versions are of PEM, and no certificate has them.
#[test]
fn knows_whose_an_authentication_certificate_is() {
    let Some(configuration) = load(GOOD[0].0) else { return };
    let (producer, consumer) = (certificate("producer.pem"), certificate("consumer.pem"));
    let server = configuration.server_of_certificate(&producer, now()).unwrap();
    assert_eq!(server.id.to_string(), "EE/BUSINESS/foo/fooServerCode");
    let serves = |certificate: &Certificate, client: &str| {
        configuration.certificate_serves(certificate, &id(client), now())
    };
    assert!(serves(&producer, "EE/BUSINESS/producer"));
    assert!(!serves(&consumer, "EE/BUSINESS/producer"));
    assert!(!serves(&producer, "EE/BUSINESS/consumer"));
    assert!(serves(&consumer, "EE/BUSINESS/consumer"));
}

#[test]
fn trusts_the_approved_authorities() {
    each_version(|_, main| {
        let authorities = main.authorities();
        let root = certificate("producer.pem");
        let issuers = authorities.certification.iter().filter(|ca| ca.certificate.subject() == root.issuer());
        assert_eq!(issuers.count(), 1);
        assert_eq!(authorities.ocsp_freshness, Duration::from_secs(42));
        assert!(authorities.verify_next_update);
        assert_eq!(authorities.time_stamping.len(), 1);
    });
    let Some(configuration) = load(GOOD[0].0) else { return };
    let main = configuration.instance("EE", now()).unwrap();
    assert_eq!(main.shared().approved_cas.len(), 5);
    let authorities: Vec<_> =
        configuration.instances(now()).flat_map(|one| &one.authorities().certification).collect();
    assert_eq!(authorities.iter().map(|ca| ca.ocsp_responders.len()).sum::<usize>(), 12);
    assert_eq!(authorities.iter().filter(|ca| !ca.authentication_only).count(), 4);
    let urls: BTreeSet<_> =
        main.ocsp_responders(&certificate("consumer.pem")).map(|one| one.url.as_str()).collect();
    assert!(
        urls.is_superset(&["http://127.0.0.1:8082/ocsp", "http://www.example.net/ocsp"].into()),
        "{urls:?}"
    );
}

#[test]
fn a_federated_instance_has_its_own_and_the_main_time_stamping_services() {
    let Some(configuration) = load(GOOD[0].0) else { return };
    let tsas = |name| configuration.instance(name, now()).unwrap().authorities().time_stamping.len();
    assert_eq!((tsas("EE"), tsas("bar"), tsas("foo")), (1, 2, 2));
}

#[test]
fn reads_private_parameters() {
    each_version(|_, main| {
        let private = main.private().unwrap();
        let service = &private.management_service;
        assert_eq!(service.registration_url.as_deref(), Some("http://mgmt.com:1234"));
        assert_eq!(service.provider, id("EE/BUSINESS/servicemember2"));
        assert_eq!(private.time_stamping_interval, Duration::from_secs(123));
        let federated: Vec<_> = private.federated.iter().map(|anchor| anchor.instance.as_str()).collect();
        assert_eq!(federated, ["bar"]);
    });
}

#[test]
fn reads_what_each_version_adds() {
    let Some(v4) = load("xroad/globalconf/globalconf_good_v4") else { return };
    let acme = |instance: &str| {
        let instance = v4.instance(instance, now()).unwrap();
        instance.shared().approved_cas[0].acme_server.clone().unwrap()
    };
    assert_eq!(acme("EE").directory_url, "http://ca:8887/acme/directory");
    assert_eq!(acme("EE").authentication_profile.as_deref(), Some("5"));
    assert_eq!(acme("EE").signing_profile.as_deref(), Some("6"));
    assert_eq!(acme("baz_v3").authentication_profile, None);

    let Some(v6) = load("xroad/globalconf/globalconf_good_v6") else { return };
    let main = v6.instance("EE", now()).unwrap();
    let server = main.server(&"EE/BUSINESS/foo/FooBarServerCode".parse().unwrap()).unwrap();
    let message = server.maintenance.as_ref().unwrap().message.as_deref();
    assert_eq!(message, Some("Test maintenance mode"));
    assert_eq!(main.shared().members[2].subsystems[0].name.as_deref(), Some("FOO Subsystem"));
    let costs: Vec<_> =
        main.ocsp_responders(&certificate("test_chain/user_1.pem")).map(|one| one.cost).collect();
    assert_eq!(costs, [Cost::Free, Cost::Paid, Cost::Paid, Cost::Undefined, Cost::Free]);
    assert_eq!(main.shared().approved_tsas[0].cost, Cost::Paid);
}

/// Which instance is the main one, `instance-identifier` says.
#[test]
fn refuses_folders_without_their_main_instance() {
    let profiles = CertificateProfiles::default();
    let build =
        |main, parameters| GlobalConfiguration::new(main, parameters, Extensions::default(), &profiles);
    // globalconf_empty has that file, and no folder of an instance.
    assert_eq!(build("EE", vec![]).unwrap_err().xroad_code(), "malformed_global_conf");
    let Some(folder) = folder("xroad/globalconf/globalconf_missing_identifier/baz_v3") else { return };
    let parameters = InstanceParameters { shared: shared(&folder).unwrap(), private: private(&folder) };
    let error = build("", vec![parameters]).unwrap_err();
    assert_eq!(error.code(), "global_configuration.missing_main_instance");
}

#[test]
fn refuses_files_that_are_no_parameters() {
    let Some(folder) = folder("xroad/globalconf/globalconf_malformed/foo") else { return };
    let error = SharedParameters::read(&read(&folder.join("shared-params.xml")), Version::V2).unwrap_err();
    assert_eq!((error.code(), error.xroad_code()), ("parameters.malformed", "malformed_global_conf"));
    let error = PrivateParameters::read(&read(&folder.join("private-params.xml"))).unwrap_err();
    assert_eq!(error.code(), "parameters.malformed");
}

#[test]
fn every_file_is_read_back_as_it_was_written() {
    each_version(|configuration, _| {
        for instance in configuration.instances(now()) {
            let shared = instance.shared();
            let written = shared.write().unwrap();
            assert_eq!(SharedParameters::read(written.as_bytes(), shared.version).as_ref(), Ok(shared));
            let Some(private) = instance.private() else { continue };
            assert_eq!(PrivateParameters::read(private.write().as_bytes()).as_ref(), Ok(private));
        }
    });
}

#[test]
fn reads_anchors() {
    let Some(folder) = folder("xroad/globalconf") else { return };
    let file = read(&folder.join("configuration-anchor1.xml"));
    let anchor = Anchor::read(&file).unwrap();
    assert_eq!((anchor.instance.as_str(), anchor.sources.len()), ("EE", 3));
    assert_eq!(anchor.sources[0].url, "http://www.bar.com/conf");
    assert_eq!(anchor.sources[0].certificates.len(), 2);
    assert_eq!(Anchor::read(anchor.write().as_bytes()), Ok(anchor.clone()));
    assert_ne!(Anchor::read(&read(&folder.join("configuration-anchor2.xml"))), Ok(anchor));
    // `openssl dgst -sha224 -c`
    let expected = "CC:2D:DB:13:0D:56:99:A5:7A:44:B3:A1:77:F9:78:4E:77:8C:50:FD:3D:D7:C0:80:9E:40:58:81";
    assert_eq!(Anchor::displayed_hash(&file), expected);
}

#[test]
fn reads_optional_parts_as_strictly_as_x_road() {
    let Some(folder) = folder("xroad/globalconf") else { return };
    let mut extensions = Extensions::default();
    let part = |name: &str| read(&folder.join(name));
    extensions.read_next_update(&part("valid-nextupdate-params.xml")).unwrap();
    extensions.read_fetch_interval(&part("valid-fetchinterval-params.xml")).unwrap();
    extensions.read_monitoring(&part("valid-monitoring-params.xml")).unwrap();
    let expected = Extensions {
        verify_next_update: false,
        ocsp_fetch_interval: Duration::from_secs(500),
        monitoring_client: Some(id("fdev/GOV/66655666")),
        governance: None,
    };
    assert_eq!(extensions, expected);
    extensions.read_monitoring(&part("empty-monitoring-params.xml")).unwrap();
    assert_eq!(extensions.monitoring_client, None);

    let refused = [
        extensions.read_next_update(&part("empty-nextupdate-params.xml")),
        extensions.read_next_update(&part("invalid-nextupdate-params.xml")),
        extensions.read_fetch_interval(&part("empty-fetchinterval-params.xml")),
        extensions.read_fetch_interval(&part("invalid-fetchinterval-params.xml")),
        extensions.read_monitoring(&part("invalid-monitoring-params.xml")),
    ];
    let codes = refused.map(|result| result.unwrap_err().code());
    let (missing, unexpected) = ("parameters.missing", "parameters.unexpected");
    assert_eq!(codes, [missing, unexpected, missing, unexpected, unexpected]);
}

/// What is said of a signed directory with this certificate at this time.
fn verdict(name: &str, signer: &str, at: &str) -> Option<Result<SignedDirectory, DirectoryError>> {
    let file = folder("xroad/configuration-client")?.join(name);
    let certificates = [VerificationCertificate(certificate(signer).der().to_vec())];
    Some(SignedDirectory::verify(&read(&file), &certificates, at.parse().unwrap()))
}

#[test]
fn verifies_signed_directories() {
    let (before, last) = ("2014-05-01T00:00:00Z", "2026-05-20T17:42:55Z");
    for (name, signer, at, expected) in [
        ("test-conf-simple.txt", "consumer.pem", last, Ok(3)),
        ("test-conf-detached.txt", "consumer.pem", last, Ok(1)),
        ("test-conf-simple.txt", "consumer.pem", "2026-05-20T17:42:56Z", Err("global_conf_outdated")),
        ("test-conf-simple.txt", "producer.pem", last, Err("global_conf_missing_verification_cert")),
        ("test-conf-missing-date.txt", "consumer.pem", last, Err("global_conf_header_field_missing")),
        (
            "test-conf-missing-signature.txt",
            "consumer.pem",
            before,
            Err("global_conf_signature_verification_failure"),
        ),
        (
            "test-conf-invalid-signature.txt",
            "consumer.pem",
            before,
            Err("global_conf_signature_verification_failure"),
        ),
        (
            "test-conf-malformed.txt",
            "consumer.pem",
            before,
            Err("global_conf_missing_signed_data_expiration_date"),
        ),
        // Its signature part does not say whose certificate verifies it.
        ("conf1.txt", "consumer.pem", before, Err("global_conf_header_field_missing")),
    ] {
        let Some(verdict) = verdict(name, signer, at) else { return };
        let found =
            verdict.as_ref().map(|directory| directory.files().len()).map_err(DirectoryError::xroad_code);
        assert_eq!(found, expected, "{name}: {:?}", verdict.err());
    }
}

#[test]
fn holds_downloaded_files_against_the_directory() {
    let Some(verdict) = verdict("test-conf-simple.txt", "consumer.pem", "2026-01-01T00:00:00Z") else {
        return;
    };
    let directory = verdict.unwrap();
    assert_eq!(directory.version(), Version::V2);
    let folder = folder("xroad/configuration-client/test-conf-simple/EE").unwrap();
    for file in directory.files() {
        assert!(file.check(&read(&folder.join(file.file_name()))).is_ok(), "{}", file.identifier());
        let error = file.check(&read(&folder.join("bar.xml"))).unwrap_err();
        assert_eq!(error.xroad_code(), "global_conf_part_downloaded_file_integrity_failure");
        assert!(file.check_instance("EE").is_ok());
        assert_eq!(
            file.check_instance("ee").unwrap_err().xroad_code(),
            "global_conf_part_invalid_instance_identifier"
        );
    }
    let files: Vec<_> = directory.files().iter().map(|file| (file.location(), file.file_name())).collect();
    let expected = [
        ("/private-params.xml", "private-params.xml"),
        ("/shared-params.xml", "shared-params.xml"),
        ("/foo.xml", "foo.xml"),
    ];
    assert_eq!(files, expected);
}

/// The addresses that the mirrors of a configuration add to those of an anchor, and how many certificates each has.
fn mirrors(name: &str, anchor_url: &str) -> Option<Vec<Vec<(String, usize)>>> {
    let in_force = shared(&folder("xroad/configuration-client")?.join(name).join("EE")).unwrap().content;
    let mut anchor =
        Anchor::read(&read(&folder("xroad/globalconf")?.join("configuration-anchor2.xml"))).unwrap();
    anchor.sources.first_mut()?.url = anchor_url.to_owned();
    let groups = download_sources(&anchor, Some(&in_force)).into_iter();
    let described =
        groups.map(|group| group.into_iter().map(|one| (one.url, one.certificates.len())).collect());
    let mut described: Vec<Vec<_>> = described.collect();
    described.truncate(described.len() - 2);
    Some(described)
}

#[test]
fn downloads_from_the_mirrors_of_the_configuration_in_force() {
    for (path, certificates) in [("internalconf", 1), ("externalconf", 1), ("PROXY/conf", 2)] {
        let Some(found) = mirrors("V3", &format!("http://domainAddress/{path}")) else { return };
        let expected =
            ["https", "http"].map(|scheme| vec![(format!("{scheme}://node1/{path}"), certificates)]);
        assert_eq!(found, expected);
    }
    let Some(many) = mirrors("V3-many-nodes", "http://domainAddress/internalconf") else { return };
    assert_eq!(many.iter().map(Vec::len).collect::<Vec<_>>(), [3, 3]);
    assert_eq!(mirrors("V2", "http://domainAddress/confDir"), Some(vec![]));
    assert_eq!(mirrors("V3", "http://no-path"), Some(vec![]));
}
