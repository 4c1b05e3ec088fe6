use std::time::Duration;

use der::asn1::{Any, Null, OctetString};
use der::{Decode, Encode};
use jiff::Timestamp;
use uuk_testkit::authority::{Authority, KeyKind};

use x509_cert::ext::Extension;

use super::*;
use crate::sample::{
    Identity, approved, authorities, authority, certificate, good, itself, now, signed, signer,
};
use crate::{Authorities, CHAIN_LENGTH_MAX, Certificate};

struct World {
    root: Authority,
    authorities: Authorities,
    signer: Certificate,
}

impl World {
    fn new() -> Self {
        let root = authority("Root");
        Self { authorities: authorities(vec![approved(&root)]), signer: signer(&root), root }
    }

    fn good(&self) -> OcspAnswer {
        good(&self.signer, &self.root)
    }

    fn responder(&self) -> Identity {
        self.root.issue_for_ocsp("Responder", KeyKind::P256).unwrap().into()
    }

    fn verify(&self, response: &OcspResponse) -> Result<GoodStatus, OcspError> {
        response.verify(&self.signer, &self.authorities.certification[0], &self.authorities, now())
    }

    fn verify_answer(&self, answer: &OcspAnswer) -> Result<GoodStatus, OcspError> {
        self.verify(&signed(answer, &itself(&self.root)))
    }
}

fn ago(seconds: u64) -> Timestamp {
    now() - Duration::from_secs(seconds)
}

#[test]
fn a_request_names_the_certificate_and_its_issuer() {
    let World { root, signer, .. } = World::new();
    let id = CertificateId::new(&signer, &certificate(&root.der())).unwrap();
    let request = OcspRequest { certificate: id };
    assert_eq!(OcspRequest::from_der(&request.to_der().unwrap()).unwrap(), request);
}

#[test]
fn the_authority_may_answer_itself() {
    let world = World::new();
    let status = world.verify_answer(&world.good()).unwrap();
    assert_eq!(status.responder, certificate(&world.root.der()));
    assert_eq!(status.this_update, ago(60));
}

#[test]
fn a_responder_that_the_authority_certified_may_answer() {
    let world = World::new();
    let responder = world.responder();
    let status = world.verify(&signed(&world.good(), &responder)).unwrap();
    assert_eq!(status.responder, responder.certificate);
}

#[test]
fn a_responder_that_the_global_configuration_names_may_answer() {
    let mut world = World::new();
    let responder: Identity = authority("Other").issue("Responder", KeyKind::Rsa2048).unwrap().into();
    world.authorities.certification[0].ocsp_responders.push(responder.certificate.clone());
    assert!(world.verify(&signed(&world.good(), &responder)).is_ok());
}

#[test]
fn a_responder_may_have_changed_its_key() {
    let mut world = World::new();
    let older = world.responder().certificate;
    world.authorities.certification[0].ocsp_responders.push(older);
    assert!(world.verify(&signed(&world.good(), &world.responder())).is_ok());
}

#[test]
fn refuses_an_answer_about_another_certificate() {
    let world = World::new();
    let error = world.verify_answer(&good(&signer(&world.root), &world.root)).unwrap_err();
    assert!(matches!(error, OcspError::OtherCertificate { .. }), "{error}");
}

#[test]
fn refuses_a_responder_of_another_authority() {
    let world = World::new();
    let other: Identity = authority("Root").issue_for_ocsp("Responder", KeyKind::P256).unwrap().into();
    let error = world.verify(&signed(&world.good(), &other)).unwrap_err();
    assert!(matches!(error, OcspError::NotAuthorized { .. }), "{error}");
}

#[test]
fn refuses_a_responder_certified_for_something_else() {
    let world = World::new();
    let other: Identity = world.root.issue("Member", KeyKind::P256).unwrap().into();
    let error = world.verify(&signed(&world.good(), &other)).unwrap_err();
    assert!(matches!(error, OcspError::NotAuthorized { .. }), "{error}");
}

#[test]
fn refuses_a_responder_that_nobody_knows() {
    let world = World::new();
    let mut response = signed(&world.good(), &world.responder());
    response.certificates.clear();
    let error = world.verify(&response).unwrap_err();
    assert!(matches!(error, OcspError::UnknownResponder), "{error}");
}

#[test]
fn refuses_a_signature_by_another_key() {
    let world = World::new();
    let der = world.good().sign(&certificate(&world.root.der()), &world.responder().key).unwrap();
    let error = world.verify(&OcspResponse::from_der(&der).unwrap()).unwrap_err();
    assert!(matches!(error, OcspError::Signature(_)), "{error}");
}

#[test]
fn refuses_a_responder_whose_certificate_has_expired() {
    let mut world = World::new();
    let old = Authority::new("Old", jiff::civil::date(2024, 1, 1)).unwrap();
    let responder: Identity = old.issue("Responder", KeyKind::P256).unwrap().into();
    world.authorities.certification[0].ocsp_responders.push(responder.certificate.clone());
    let error = world.verify(&signed(&world.good(), &responder)).unwrap_err();
    assert!(matches!(error, OcspError::ResponderNotValid { .. }), "{error}");
}

#[test]
fn refuses_an_answer_that_is_too_old() {
    let world = World::new();
    assert!(world.verify_answer(&OcspAnswer { this_update: ago(3600), ..world.good() }).is_ok());
    let error = world.verify_answer(&OcspAnswer { this_update: ago(3601), ..world.good() }).unwrap_err();
    assert!(matches!(error, OcspError::Stale { .. }), "{error}");
}

#[test]
fn refuses_an_answer_from_the_future() {
    let world = World::new();
    let ahead = now() + CLOCK_SKEW_MAX;
    assert!(world.verify_answer(&OcspAnswer { this_update: ahead, ..world.good() }).is_ok());
    let ahead = ahead + Duration::from_secs(1);
    let error = world.verify_answer(&OcspAnswer { this_update: ahead, ..world.good() }).unwrap_err();
    assert!(matches!(error, OcspError::FromTheFuture { .. }), "{error}");
}

#[test]
fn refuses_an_answer_past_its_next_update_unless_that_is_switched_off() {
    let mut world = World::new();
    let answer = OcspAnswer { next_update: Some(ago(1)), ..world.good() };
    let error = world.verify_answer(&answer).unwrap_err();
    assert!(matches!(error, OcspError::NextUpdatePassed { .. }), "{error}");
    world.authorities.verify_next_update = false;
    assert!(world.verify_answer(&answer).is_ok());
}

#[test]
fn refuses_revoked_and_unknown_certificates() {
    let world = World::new();
    let status = CertificateStatus::Revoked { time: ago(60) };
    let error = world.verify_answer(&OcspAnswer { status, ..world.good() }).unwrap_err();
    assert!(matches!(error, OcspError::Revoked { time, .. } if time == ago(60)), "{error}");
    assert_eq!(error.xroad_code(), "cert_validation");
    let status = CertificateStatus::Unknown;
    let error = world.verify_answer(&OcspAnswer { status, ..world.good() }).unwrap_err();
    assert!(matches!(error, OcspError::Unknown { .. }), "{error}");
}

#[test]
fn refuses_a_response_without_an_answer() {
    let der = ResponseStatus::TryLater.refusal().unwrap();
    let error = OcspResponse::from_der(&der).unwrap_err();
    assert!(matches!(error, OcspError::Unsuccessful { status: ResponseStatus::TryLater }), "{error}");
}

/// Reads an answer after `change` to its parts. Its signature no longer fits, which reading does not see.
fn read_changed(change: impl FnOnce(&mut asn1::ResponseBytes, &mut asn1::BasicResponse)) -> OcspError {
    let world = World::new();
    let response = signed(&world.good(), &itself(&world.root));
    let mut outer = asn1::OcspResponse::from_der(response.der()).unwrap();
    let bytes = outer.bytes.as_mut().unwrap();
    let mut basic = asn1::BasicResponse::from_der(bytes.response.as_bytes()).unwrap();
    change(bytes, &mut basic);
    bytes.response = OctetString::new(basic.to_der().unwrap()).unwrap();
    OcspResponse::from_der(&outer.to_der().unwrap()).unwrap_err()
}

#[test]
fn refuses_another_kind_of_response() {
    let error = read_changed(|bytes, _| bytes.kind = "1.3.6.1.5.5.7.48.1.99".parse().unwrap());
    assert!(matches!(error, OcspError::Kind { .. }), "{error}");
}

#[test]
fn refuses_too_many_certificates_and_bad_ones() {
    let error = read_changed(|_, basic| {
        let certificates = basic.certificates.as_mut().unwrap();
        certificates.resize(CHAIN_LENGTH_MAX + 1, certificates[0].clone());
    });
    assert!(matches!(error, OcspError::Certificates), "{error}");
    let error = read_changed(|_, basic| basic.certificates = Some(vec![Any::from(Null)]));
    assert!(matches!(error, OcspError::Certificates), "{error}");
}

#[test]
fn refuses_critical_extensions_and_empty_answers() {
    let changed_data = |change: fn(&mut asn1::ResponseData)| {
        read_changed(|_, basic| {
            let mut data: asn1::ResponseData = basic.data.decode_as().unwrap();
            change(&mut data);
            basic.data = Any::encode_from(&data).unwrap();
        })
    };
    let error = changed_data(|data| {
        let extn_value = OctetString::new(Vec::new()).unwrap();
        let extension = Extension { extn_id: "1.2.3".parse().unwrap(), critical: true, extn_value };
        data.extensions = Some(vec![extension]);
    });
    assert!(matches!(error, OcspError::CriticalExtension { .. }), "{error}");
    let error = changed_data(|data| data.responses.clear());
    assert!(matches!(error, OcspError::Empty), "{error}");
}

#[test]
fn refuses_what_is_not_an_ocsp_message() {
    let world = World::new();
    let mut der = signed(&world.good(), &itself(&world.root)).der().to_vec();
    der.push(0);
    for bytes in [&b""[..], b"hello", &der] {
        assert!(matches!(OcspResponse::from_der(bytes), Err(OcspError::Malformed(_))));
        assert!(matches!(OcspRequest::from_der(bytes), Err(OcspError::Malformed(_))));
    }
}

#[test]
fn refuses_messages_that_are_too_large() {
    let response = OcspResponse::from_der(&vec![0x30; OCSP_RESPONSE_BYTES_MAX + 1]);
    assert!(matches!(response, Err(OcspError::TooLarge { .. })));
    let request = OcspRequest::from_der(&vec![0x30; OCSP_REQUEST_BYTES_MAX + 1]);
    assert!(matches!(request, Err(OcspError::TooLarge { .. })));
}

#[test]
fn refuses_a_request_about_nothing() {
    // SEQUENCE { SEQUENCE { SEQUENCE {} } }
    assert!(matches!(OcspRequest::from_der(&[0x30, 4, 0x30, 2, 0x30, 0]), Err(OcspError::Empty)));
}
