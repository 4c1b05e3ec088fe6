use cms::signed_data::{SignerIdentifier, SignerInfos};
use der::asn1::{OctetString, SetOfVec};
use der::{Any, Decode, Encode, Tag};
use jiff::Timestamp;
use uuk_testkit::authority::{Authority, KeyKind};
use x509_cert::ext::pkix::SubjectKeyIdentifier;

use super::asn1::{CONTENT_TYPE, MESSAGE_DIGEST, SIGNING_CERTIFICATE_V2, TstInfo};
use super::*;
use crate::sample::{Identity, authorities, authority, itself, now};
use crate::{Authorities, Digest, DigestAlgorithm};

struct World {
    stamper: Identity,
    authorities: Authorities,
}

impl World {
    fn new(kind: KeyKind) -> Self {
        Self::with(authority("Root").issue_for_time_stamping("Stamper", kind).unwrap().into())
    }

    fn with(stamper: Identity) -> Self {
        let mut authorities = authorities(Vec::new());
        authorities.time_stamping.push(stamper.certificate.clone());
        Self { stamper, authorities }
    }

    fn stamp(&self, imprint: &Digest) -> TimeStampToken {
        let stamper = TimeStamper { certificate: &self.stamper.certificate, key: &self.stamper.key };
        stamper.stamp(&TimeStampRequest::new(imprint.clone()), u64::MAX, now()).unwrap()
    }

    /// Verifies a good token after `change` to it.
    fn verify_changed(&self, change: impl FnOnce(&mut TimeStampToken)) -> TimeStampError {
        let mut token = self.stamp(&imprint());
        change(&mut token);
        token.verify(&imprint(), &self.authorities).unwrap_err()
    }
}

fn imprint() -> Digest {
    DigestAlgorithm::Sha512.digest(b"message")
}

/// Reads a token whose content says something else. Its signature no longer fits, which reading does not see.
fn read_changed(change: impl FnOnce(&mut TstInfo)) -> TimeStampError {
    let mut signed = World::new(KeyKind::P256).stamp(&imprint()).signed;
    let content = signed.content.encap_content_info.econtent.as_mut().unwrap();
    let mut info = TstInfo::from_der(content.value()).unwrap();
    change(&mut info);
    *content = Any::new(Tag::OctetString, info.to_der().unwrap()).unwrap();
    TimeStampToken::from_der(&signed.to_der().unwrap()).unwrap_err()
}

#[test]
fn a_request_carries_the_digest() {
    let request = TimeStampRequest::new(imprint());
    assert_eq!(TimeStampRequest::from_der(&request.to_der().unwrap()).unwrap(), request);
}

#[test]
fn proves_when_a_digest_existed() {
    for kind in [KeyKind::P256, KeyKind::Rsa2048] {
        let world = World::new(kind);
        let token = TimeStampToken::from_response(&world.stamp(&imprint()).to_response().unwrap()).unwrap();
        let stamp = token.verify(&imprint(), &world.authorities).unwrap();
        assert_eq!((stamp.time, stamp.authority), (now(), &world.stamper.certificate));
    }
}

#[test]
fn finds_the_authority_by_its_key_identifier() {
    // Of those made for tests, only certificates of authorities have one.
    let world = World::with(itself(&authority("Root")));
    let mut token = world.stamp(&imprint());
    change_signer(&mut token, |signer| {
        let identifier = world.stamper.certificate.subject_key_identifier().unwrap();
        let identifier = OctetString::new(identifier).unwrap();
        signer.sid = SignerIdentifier::SubjectKeyIdentifier(SubjectKeyIdentifier(identifier));
    });
    assert!(token.verify(&imprint(), &world.authorities).is_ok());
}

#[test]
fn encloses_the_certificate_once() {
    let world = World::new(KeyKind::P256);
    let mut token = world.stamp(&imprint());
    token.enclose(&world.stamper.certificate).unwrap();
    let once = token.to_der().unwrap();
    token.enclose(&world.stamper.certificate).unwrap();
    assert_eq!(token.to_der().unwrap(), once);
    let read = TimeStampToken::from_der(&once).unwrap();
    assert!(read.verify(&imprint(), &world.authorities).is_ok());
}

#[test]
fn reads_fractions_of_a_second_and_nothing_stranger() {
    let time = |text: &str| token::time(&Any::new(Tag::GeneralizedTime, text.as_bytes()).unwrap());
    let expected: Timestamp = "2024-12-05T07:34:14.25Z".parse().unwrap();
    assert_eq!(time("20241205073414.25Z"), Some(expected));
    for wrong in
        ["20241205073414", "20241205073414.Z", "202412050734Z", "20241305073414Z", "20241205073414+0100"]
    {
        assert_eq!(time(wrong), None, "{wrong}");
    }
}

#[test]
fn refuses_a_stamp_of_something_else() {
    let world = World::new(KeyKind::P256);
    let other = DigestAlgorithm::Sha512.digest(b"other");
    let error = world.stamp(&other).verify(&imprint(), &world.authorities).unwrap_err();
    assert!(matches!(error, TimeStampError::Imprint), "{error}");
}

#[test]
fn refuses_an_authority_that_is_not_approved() {
    let (world, other) = (World::new(KeyKind::P256), World::new(KeyKind::P256));
    let error = world.stamp(&imprint()).verify(&imprint(), &other.authorities).unwrap_err();
    assert!(matches!(error, TimeStampError::UnknownAuthority), "{error}");
    let error = world.stamp(&imprint()).verify(&imprint(), &authorities(Vec::new())).unwrap_err();
    assert!(matches!(error, TimeStampError::NoAuthority), "{error}");
}

#[test]
fn refuses_an_authority_whose_certificate_had_expired() {
    let old = Authority::new("Old", jiff::civil::date(2024, 1, 1)).unwrap();
    let world = World::with(old.issue_for_time_stamping("Stamper", KeyKind::P256).unwrap().into());
    let error = world.verify_changed(|_| {});
    assert!(matches!(error, TimeStampError::AuthorityNotValid { .. }), "{error}");
}

#[test]
fn refuses_a_signature_that_does_not_fit() {
    let error = World::new(KeyKind::P256).verify_changed(|token| {
        change_signer(token, |signer| {
            let mut value = signer.signature.as_bytes().to_vec();
            *value.last_mut().unwrap() ^= 1;
            signer.signature = OctetString::new(value).unwrap();
        });
    });
    assert!(matches!(error, TimeStampError::Signature(_)), "{error}");
}

#[test]
fn refuses_a_token_without_signed_attributes() {
    for (oid, name) in [
        (CONTENT_TYPE, "contentType"),
        (MESSAGE_DIGEST, "messageDigest"),
        (SIGNING_CERTIFICATE_V2, "signingCertificate"),
    ] {
        let error = World::new(KeyKind::P256).verify_changed(|token| {
            change_signer(token, |signer| {
                let kept = signer.signed_attrs.take().unwrap().into_vec();
                let kept: Vec<_> = kept.into_iter().filter(|attribute| attribute.oid != oid).collect();
                signer.signed_attrs = Some(SetOfVec::try_from(kept).unwrap());
            });
        });
        assert!(matches!(error, TimeStampError::Attribute { attribute } if attribute == name), "{error}");
    }
}

#[test]
fn refuses_two_signatures() {
    let error = World::new(KeyKind::P256).verify_changed(|token| {
        let signers = &mut token.signed.content.signer_infos.0;
        let mut second = signers.as_slice()[0].clone();
        second.signature = OctetString::new(vec![1]).unwrap();
        signers.insert(second).unwrap();
    });
    assert!(matches!(error, TimeStampError::Signers { count: 2 }), "{error}");
}

fn change_signer(token: &mut TimeStampToken, change: impl FnOnce(&mut cms::signed_data::SignerInfo)) {
    let signers = &mut token.signed.content.signer_infos;
    let mut signer = signers.0.as_slice()[0].clone();
    change(&mut signer);
    *signers = SignerInfos(SetOfVec::try_from(vec![signer]).unwrap());
}

#[test]
fn refuses_a_time_that_is_none() {
    let error = read_changed(|info| info.time = Any::new(Tag::GeneralizedTime, &b"yesterday"[..]).unwrap());
    assert!(matches!(error, TimeStampError::Time), "{error}");
}

#[test]
fn refuses_sha_1() {
    let error = read_changed(|info| info.imprint.algorithm.oid = "1.3.14.3.2.26".parse().unwrap());
    assert!(matches!(error, TimeStampError::Digest { .. }), "{error}");
}

#[test]
fn refuses_signed_data_of_another_kind() {
    let mut signed = World::new(KeyKind::P256).stamp(&imprint()).signed;
    signed.content.encap_content_info.econtent_type = "1.2.840.113549.1.7.1".parse().unwrap();
    let error = TimeStampToken::from_der(&signed.to_der().unwrap()).unwrap_err();
    assert!(matches!(error, TimeStampError::Content), "{error}");
}

#[test]
fn refuses_a_response_that_grants_nothing() {
    // SEQUENCE { SEQUENCE { INTEGER 2 } }: rejection.
    let error = TimeStampToken::from_response(&[0x30, 5, 0x30, 3, 2, 1, 2]).unwrap_err();
    assert!(matches!(error, TimeStampError::NotGranted { status: 2 }), "{error}");
}

#[test]
fn refuses_what_is_not_a_time_stamp() {
    let mut trailing = World::new(KeyKind::P256).stamp(&imprint()).to_der().unwrap();
    trailing.push(0);
    for bytes in [&b""[..], b"hello", &trailing] {
        assert!(matches!(TimeStampToken::from_der(bytes), Err(TimeStampError::Malformed(_))));
        assert!(matches!(TimeStampToken::from_response(bytes), Err(TimeStampError::Malformed(_))));
        assert!(matches!(TimeStampRequest::from_der(bytes), Err(TimeStampError::Malformed(_))));
    }
}

#[test]
fn refuses_messages_that_are_too_large() {
    let large = vec![0x30; TIME_STAMP_TOKEN_BYTES_MAX + 1];
    assert!(matches!(TimeStampToken::from_der(&large), Err(TimeStampError::TooLarge { .. })));
    assert!(matches!(TimeStampToken::from_response(&large), Err(TimeStampError::TooLarge { .. })));
    assert!(matches!(TimeStampRequest::from_der(&large), Err(TimeStampError::TooLarge { .. })));
}
