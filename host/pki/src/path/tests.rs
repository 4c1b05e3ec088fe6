use uuk_testkit::authority::Authority;

use super::*;
use crate::sample::{approved, authorities, authority, certificate, good, itself, now, signed, signer};
use crate::{CertificateStatus, OcspAnswer};

fn at(time: &str) -> Timestamp {
    time.parse().unwrap()
}

fn path_error(authorities: &Authorities, certificate: &Certificate, usage: CertificateUse) -> PathError {
    authorities.path(certificate, usage, now()).unwrap_err()
}

fn for_encryption(authority: &Authority) -> Certificate {
    certificate(&authority.issue_for_encryption("Peer").unwrap().der())
}

#[test]
fn leads_to_the_authority_that_issued() {
    let root = authority("Root");
    let (authorities, signer) = (authorities(vec![approved(&root)]), signer(&root));
    let path = authorities.path(&signer, CertificateUse::Signing, now()).unwrap();
    let [step] = path.steps() else { panic!("{path:?}") };
    assert_eq!(*step.certificate, signer);
    assert_eq!(step.issuer.certificate, certificate(&root.der()));
}

#[test]
fn leads_over_approved_intermediate_authorities_to_the_top() {
    let root = authority("Root");
    let below = root.intermediate("Below").unwrap();
    let (authorities, signer) = (authorities(vec![approved(&root), approved(&below)]), signer(&below));
    let path = authorities.path(&signer, CertificateUse::Signing, now()).unwrap();
    let issuers: Vec<_> = path.steps().iter().map(|step| step.issuer.certificate.subject()).collect();
    assert_eq!(issuers, ["O=Test\\, Inc.,CN=Below", "O=Test\\, Inc.,CN=Root"]);
}

#[test]
fn takes_a_certificate_for_key_encipherment_for_authentication() {
    let root = authority("Root");
    let (authorities, peer) = (authorities(vec![approved(&root)]), for_encryption(&root));
    assert!(authorities.path(&peer, CertificateUse::Authentication, now()).is_ok());
}

#[test]
fn tells_authorities_of_one_name_apart_by_their_keys() {
    let (older, newer) = (authority("Root"), authority("Root"));
    let authorities = authorities(vec![approved(&older), approved(&newer)]);
    for root in [&older, &newer] {
        let signer = signer(root);
        let path = authorities.path(&signer, CertificateUse::Signing, now()).unwrap();
        assert_eq!(path.steps()[0].issuer.certificate, certificate(&root.der()));
    }
}

#[test]
fn refuses_a_certificate_for_another_use() {
    let root = authority("Root");
    let authorities = authorities(vec![approved(&root)]);
    let error = path_error(&authorities, &for_encryption(&root), CertificateUse::Signing);
    assert!(matches!(error, PathError::NotForSigning { .. }), "{error}");
    let error = path_error(&authorities, &signer(&root), CertificateUse::Authentication);
    assert!(matches!(error, PathError::NotForAuthentication { .. }), "{error}");
}

#[test]
fn refuses_an_issuer_that_is_not_approved() {
    let root = authority("Root");
    let below = root.intermediate("Below").unwrap();
    let error = path_error(&authorities(vec![approved(&root)]), &signer(&below), CertificateUse::Signing);
    assert!(matches!(error, PathError::NotApproved { .. }), "{error}");
}

#[test]
fn refuses_an_authority_of_the_same_name() {
    let error = path_error(
        &authorities(vec![approved(&authority("Root"))]),
        &signer(&authority("Root")),
        CertificateUse::Signing,
    );
    assert!(matches!(error, PathError::Broken { .. }), "{error}");
}

#[test]
fn refuses_signing_by_an_authority_for_authentication_only() {
    let root = authority("Root");
    let mut approved = approved(&root);
    approved.authentication_only = true;
    let authorities = authorities(vec![approved]);
    assert!(authorities.path(&for_encryption(&root), CertificateUse::Authentication, now()).is_ok());
    let error = path_error(&authorities, &signer(&root), CertificateUse::Signing);
    assert!(matches!(error, PathError::AuthenticationOnly { .. }), "{error}");
}

#[test]
fn refuses_a_certificate_outside_its_validity() {
    let root = authority("Root");
    let (authorities, signer) = (authorities(vec![approved(&root)]), signer(&root));
    let early = authorities.path(&signer, CertificateUse::Signing, at("2026-11-20T00:00:00Z")).unwrap_err();
    assert!(matches!(early, PathError::NotYetValid { .. }), "{early}");
    let late = authorities.path(&signer, CertificateUse::Signing, at("2028-01-01T00:00:00Z")).unwrap_err();
    assert!(matches!(late, PathError::Expired { .. }), "{late}");
}

#[test]
fn refuses_a_certificate_whose_issuer_is_no_authority() {
    let root = authority("Root");
    let pretender = root.pretender("Pretender").unwrap();
    let authorities = authorities(vec![approved(&root), approved(&pretender)]);
    let error = path_error(&authorities, &signer(&pretender), CertificateUse::Signing);
    assert!(matches!(error, PathError::Broken { source: webpki::Error::EndEntityUsedAsCa, .. }), "{error}");
}

#[test]
fn refuses_more_authorities_above_each_other_than_a_chain_holds() {
    let mut chain = vec![authority("0")];
    for number in 1..=CHAIN_LENGTH_MAX {
        chain.push(chain[number - 1].intermediate(&number.to_string()).unwrap());
    }
    let authorities = authorities(chain.iter().map(approved).collect());
    let error = path_error(&authorities, &signer(&chain[CHAIN_LENGTH_MAX]), CertificateUse::Signing);
    assert!(matches!(error, PathError::TooLong { .. }), "{error}");
}

#[test]
fn every_certificate_below_the_top_needs_its_status() {
    let root = authority("Root");
    let below = root.intermediate("Below").unwrap();
    let (authorities, signer) = (authorities(vec![approved(&root), approved(&below)]), signer(&below));
    let path = authorities.path(&signer, CertificateUse::Signing, now()).unwrap();
    let of_signer = signed(&good(&signer, &below), &itself(&below));
    let of_below = signed(&good(&certificate(&below.der()), &root), &itself(&root));

    let status = path.verify_status(&[of_below, of_signer.clone()], &authorities).unwrap();
    let responders: Vec<_> = status.iter().map(|status| status.responder.subject()).collect();
    assert_eq!(responders, ["O=Test\\, Inc.,CN=Below", "O=Test\\, Inc.,CN=Root"]);

    let error = path.verify_status(&[of_signer], &authorities).unwrap_err();
    assert!(matches!(&error, PathError::StatusMissing { subject } if subject.contains("Below")), "{error}");
    assert_eq!(error.xroad_code(), "invalid_cert_path.cert_validation");
}

#[test]
fn refuses_a_revoked_certificate() {
    let root = authority("Root");
    let (authorities, signer) = (authorities(vec![approved(&root)]), signer(&root));
    let path = authorities.path(&signer, CertificateUse::Signing, now()).unwrap();
    let status = CertificateStatus::Revoked { time: now() };
    let revoked = signed(&OcspAnswer { status, ..good(&signer, &root) }, &itself(&root));
    let error = path.verify_status(&[revoked], &authorities).unwrap_err();
    assert_eq!((error.code(), error.xroad_code()), ("ocsp.revoked", "invalid_cert_path.cert_validation"));
}
