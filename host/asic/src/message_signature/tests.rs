//! Messages signed and verified, and what is refused of them.

use std::time::Duration;

use jiff::Timestamp;
use jiff::civil::date;
use uuk_identifiers::MemberId;
use uuk_pki::{
    Authorities, Certificate, CertificateId, CertificateProfiles, CertificateStatus, CertificationAuthority,
    Digest, DigestAlgorithm, OcspAnswer, SignatureScheme, SigningKey, SoftwareKey,
};
use uuk_testkit::authority::{Authority, KeyKind, SigningIdentity};

use super::verify::KNOWN_MAX;
use super::*;
use crate::xades::SignError;

const PROFILE: &str = "[[profile]]\nname = 'test'\nmember = [{ class = 'COM', subject = { CN = '(?<code>.+)' } }]\n\
                       authentication = []\nsigning = []";

/// A member with a key, and the authorities that vouch for it.
struct Member {
    certificate: Certificate,
    key: SoftwareKey,
    ocsp_answer: Vec<u8>,
    authorities: Authorities,
}

fn now() -> Timestamp {
    "2026-11-22T08:00:00Z".parse().unwrap()
}

fn id(code: &str) -> MemberId {
    MemberId { instance: "DEV".to_owned(), class: "COM".to_owned(), code: code.to_owned() }
}

fn key(identity: &SigningIdentity) -> SoftwareKey {
    SoftwareKey::from_pkcs8(&identity.key_der()).unwrap()
}

fn member(kind: KeyKind) -> Member {
    let authority = Authority::new("Authority", date(2026, 11, 1)).unwrap();
    let identity = authority.issue("4321", kind).unwrap();
    let responder = authority.issue("Responder", KeyKind::P256).unwrap();
    let responder_certificate = Certificate::from_der(&responder.der()).unwrap();
    let issuer = Certificate::from_der(&authority.der()).unwrap();
    let certificate = Certificate::from_der(&identity.der()).unwrap();
    let ocsp_answer = OcspAnswer {
        certificate: CertificateId::new(&certificate, &issuer).unwrap(),
        status: CertificateStatus::Good,
        this_update: now(),
        next_update: None,
    };
    Member {
        ocsp_answer: ocsp_answer.sign(&responder_certificate, &key(&responder)).unwrap(),
        key: key(&identity),
        certificate,
        authorities: Authorities {
            certification: vec![CertificationAuthority {
                certificate: issuer,
                ocsp_responders: vec![responder_certificate],
                profile: CertificateProfiles::default().with(PROFILE).unwrap().find("test").unwrap().clone(),
                authentication_only: false,
            }],
            time_stamping: Vec::new(),
            ocsp_freshness: Duration::from_secs(3600),
            verify_next_update: true,
        },
    }
}

fn digest(part: &str) -> Digest {
    DigestAlgorithm::Sha512.digest(part.as_bytes())
}

impl Member {
    fn prepare(&self, messages: &[&[&str]]) -> Result<PendingSignature, SignError> {
        let digests: Vec<Vec<Digest>> =
            messages.iter().map(|parts| parts.iter().map(|part| digest(part)).collect()).collect();
        let signer = MessageSigner {
            scheme: self.key.scheme(),
            certificate: &self.certificate,
            intermediates: &[],
            ocsp_answers: std::slice::from_ref(&self.ocsp_answer),
        };
        PendingSignature::new(&signer, &digests, now())
    }

    fn sign(&self, messages: &[&[&str]]) -> Vec<SignatureDocuments> {
        let pending = self.prepare(messages).unwrap();
        let value = self.key.sign_digest(pending.digest()).unwrap();
        pending.complete(&value).unwrap()
    }

    fn verify(
        &self,
        documents: &SignatureDocuments,
        parts: &[&str],
    ) -> Result<VerifiedMessage, MessageSignatureError> {
        self.verify_as(documents, parts, &id("4321"), now())
    }

    fn verify_as(
        &self,
        documents: &SignatureDocuments,
        parts: &[&str],
        sender: &MemberId,
        time: Timestamp,
    ) -> Result<VerifiedMessage, MessageSignatureError> {
        let digests: Vec<Digest> = parts.iter().map(|part| digest(part)).collect();
        let mut parts: Vec<MessagePart<'_>> = (1..)
            .zip(digests.iter().skip(1))
            .map(|(number, digest)| MessagePart::attachment(number, PartContent::Digest(digest)))
            .collect();
        parts.push(MessagePart::message(PartContent::Digest(&digests[0])));
        verify_message(documents, &parts, sender, &self.authorities, time)
    }
}

#[track_caller]
fn refuses(result: Result<VerifiedMessage, MessageSignatureError>, code: &str, xroad_code: &str) {
    let error = result.unwrap_err();
    assert_eq!((error.code(), error.xroad_code().as_str()), (code, xroad_code), "{error}");
}

#[test]
fn signs_one_message_by_itself() {
    for kind in [KeyKind::P256, KeyKind::Rsa2048] {
        let member = member(kind);
        let signed = member.sign(&[&["message"]]);
        assert_eq!(signed[0].hash_chain, None);
        let verified = member.verify(&signed[0], &["message"]).unwrap();
        assert_eq!((verified.signer.clone(), verified.claimed_time()), (id("4321"), now()));
    }
}

#[test]
fn signs_attachments_through_a_hash_chain() {
    let member = member(KeyKind::P256);
    let signed = member.sign(&[&["message", "one", "two"]]);
    let verified = member.verify(&signed[0], &["message", "one", "two"]).unwrap();
    let uris: Vec<_> = verified.parts.iter().map(|part| part.uri.as_str()).collect();
    assert_eq!(uris, ["/message.xml", "/attachment1", "/attachment2"]);
}

#[test]
fn signs_many_waiting_messages_at_once() {
    let member = member(KeyKind::P256);
    let messages: [&[&str]; 3] = [&["a"], &["b", "body"], &["c"]];
    let signed = member.sign(&messages);
    assert!(signed.iter().all(|documents| documents.signatures == signed[0].signatures));
    for (documents, parts) in signed.iter().zip(messages) {
        member.verify(documents, parts).unwrap();
    }
}

/// The messages of a batch come one after the other, and the second signature value is not verified again.
#[test]
fn a_known_signature_proves_no_other_message_and_no_other_signer() {
    let member = member(KeyKind::P256);
    let signed = member.sign(&[&["a"], &["b"], &["c"]]);
    let known = KnownSignatures::default();
    let verify = |documents: &SignatureDocuments, text: &str, sender: &str| {
        let parts = [MessagePart::message(PartContent::Bytes(text.as_bytes()))];
        verify_message_by(documents, &parts, &id(sender), &known, |certificate, answers| {
            check_signer(certificate, answers, &id(sender), &member.authorities, now())
        })
    };
    verify(&signed[0], "a", "4321").unwrap();
    assert!(known.find(&signed[1].signatures).is_some());
    verify(&signed[1], "b", "4321").unwrap();
    assert_eq!(verify(&signed[2], "d", "4321").unwrap_err().code(), "hash_chain.part_modified");
    assert_eq!(verify(&signed[2], "b", "4321").unwrap_err().code(), "hash_chain.part_modified");
    assert_eq!(verify(&signed[2], "c", "9999").unwrap_err().code(), "message_signature.wrong_member");
    let other = member.sign(&[&["d"], &["e"]]);
    let mixed = SignatureDocuments { hash_chain: other[0].hash_chain.clone(), ..signed[0].clone() };
    assert_eq!(verify(&mixed, "d", "4321").unwrap_err().code(), "signature.part_modified");
}

#[test]
fn remembers_few_signatures_and_none_of_one_message() {
    let member = member(KeyKind::P256);
    let known = KnownSignatures::default();
    let verify = |documents: &SignatureDocuments, text: &str| {
        let parts = [MessagePart::message(PartContent::Bytes(text.as_bytes()))];
        verify_message_by(documents, &parts, &id("4321"), &known, |_, _| Ok(())).unwrap();
    };
    let alone = member.sign(&[&["alone"]]).remove(0);
    verify(&alone, "alone");
    assert!(known.find(&alone.signatures).is_none());
    let first = member.sign(&[&["0"], &["x"]]).remove(0);
    verify(&first, "0");
    for number in 1..=KNOWN_MAX {
        let text = number.to_string();
        verify(&member.sign(&[&[&text], &["x"]]).remove(0), &text);
    }
    assert!(known.find(&first.signatures).is_none());
    assert_eq!(known.0.lock().unwrap().len(), KNOWN_MAX);
}

#[test]
fn remembers_a_signature_once_however_many_verify_it_at_a_time() {
    let member = member(KeyKind::P256);
    let signed = member.sign(&[&["a"], &["b"]]);
    let known = KnownSignatures::default();
    let message = |text: &'static str| [MessagePart::message(PartContent::Bytes(text.as_bytes()))];
    verify_message_by(&signed[0], &message("a"), &id("4321"), &known, |_, _| {
        verify_message_by(&signed[1], &message("b"), &id("4321"), &known, |_, _| Ok(())).map(drop)
    })
    .unwrap();
    assert_eq!(known.0.lock().unwrap().len(), 1);
}

#[test]
fn remembers_no_signature_of_a_stranger() {
    let member = member(KeyKind::P256);
    let signed = member.sign(&[&["a"], &["b"]]);
    let known = KnownSignatures::default();
    let parts = [MessagePart::message(PartContent::Bytes(b"a"))];
    let refused = |_: &Certificate, _: &[Vec<u8>]| Err(MessageSignatureError::NoOcspAnswer);
    verify_message_by(&signed[0], &parts, &id("4321"), &known, refused).unwrap_err();
    assert!(known.find(&signed[0].signatures).is_none());
}

/// The document that X-Road's servers look at by names and positions.
#[test]
fn writes_what_xroad_reads_literally() {
    let member = member(KeyKind::P256);
    let alone = String::from_utf8(member.sign(&[&["message"]])[0].signatures.to_vec()).unwrap();
    let batch = String::from_utf8(member.sign(&[&["message", "body"]])[0].signatures.to_vec()).unwrap();
    for expected in [
        r#"XMLSchema-instance"><ds:Signature Id="signature"><ds:SignedInfo><ds:CanonicalizationMethod "#,
        r#"<ds:Reference Id="signature-reference-0" URI="/message.xml"><ds:DigestMethod "#,
        r##"Type="http://uri.etsi.org/01903#SignedProperties" URI="#signed-properties">"##,
        r#"<ds:SignatureValue Id="signature-value">"#,
        r#"</xades:SigningCertificate><xades:SignaturePolicyIdentifier><xades:SignaturePolicyId><xades:SigPolicyId>"#,
        r##"<xades:DataObjectFormat ObjectReference="#signature-reference-0"><xades:MimeType>text/xml<"##,
        r#"<xades:UnsignedSignatureProperties><xades:RevocationValues><xades:OCSPValues><xades:EncapsulatedOCSPValue "#,
    ] {
        assert!(alone.contains(expected), "{expected}\n{alone}");
    }
    assert!(batch.contains(r#"URI="/sig-hashchainresult.xml""#));
    assert!(batch.contains("<xades:MimeType>application/hash-chain-result<"));
}

#[test]
fn carries_intermediates_with_references_to_them() {
    let member = member(KeyKind::P256);
    let issuer = [member.authorities.certification[0].certificate.clone()];
    let ocsp_answers = [member.ocsp_answer.clone(), member.ocsp_answer.clone()];
    let signer = MessageSigner {
        scheme: SignatureScheme::Ecdsa,
        certificate: &member.certificate,
        intermediates: &issuer,
        ocsp_answers: &ocsp_answers,
    };
    let pending = PendingSignature::new(&signer, &[vec![digest("message")]], now()).unwrap();
    let value = member.key.sign_digest(pending.digest()).unwrap();
    let mut signed = pending.complete(&value).unwrap().remove(0);
    member.verify(&signed, &["message"]).unwrap();

    let sound = String::from_utf8(signed.signatures.to_vec()).unwrap();
    for (from, to) in [
        (" URI=\"#encapsulated-cert-0\"", ""),
        (" URI=\"#encapsulated-cert-0\"", " URI=\"#other\""),
        (" Id=\"encapsulated-cert-0\"", ""),
    ] {
        assert!(sound.contains(from));
        signed.signatures = sound.replace(from, to).into_bytes().into();
        refuses(
            member.verify(&signed, &["message"]),
            "signature.intermediate_mismatch",
            "malformed_signature",
        );
    }
}

#[test]
fn refuses_a_changed_message() {
    let member = member(KeyKind::P256);
    let signed = member.sign(&[&["message"]]);
    refuses(member.verify(&signed[0], &["forged"]), "signature.part_modified", "invalid_signature_value");
}

#[test]
fn refuses_a_changed_attachment() {
    let member = member(KeyKind::P256);
    let signed = member.sign(&[&["message", "body"]]);
    let verdict = member.verify(&signed[0], &["message", "forged"]);
    refuses(verdict, "hash_chain.part_modified", "malformed_signature.invalid_hash_chain_ref");
}

/// X-Road's servers accept this: nothing there says that a body must be signed.
#[test]
fn refuses_a_body_added_to_a_message_signed_alone() {
    let member = member(KeyKind::P256);
    let signed = member.sign(&[&["message"]]);
    refuses(
        member.verify(&signed[0], &["message", "added"]),
        "message_signature.part_not_covered",
        "malformed_signature",
    );
}

#[test]
fn refuses_an_attachment_added_to_others() {
    let member = member(KeyKind::P256);
    let signed = member.sign(&[&["message", "body"]]);
    let verdict = member.verify(&signed[0], &["message", "body", "added"]);
    refuses(verdict, "hash_chain.part_not_covered", "malformed_signature.hashchain_unused_inputs");
}

#[test]
fn refuses_an_attachment_taken_away() {
    let member = member(KeyKind::P256);
    let signed = member.sign(&[&["message", "body"]]);
    refuses(
        member.verify(&signed[0], &["message"]),
        "message_signature.unexpected_part",
        "malformed_signature",
    );
}

#[test]
fn refuses_the_hash_chain_of_another_message() {
    let member = member(KeyKind::P256);
    let signed = member.sign(&[&["a"], &["b"]]);
    let verdict = member.verify(&signed[0], &["b"]);
    refuses(verdict, "hash_chain.part_modified", "malformed_signature.invalid_hash_chain_ref");
}

#[test]
fn refuses_a_hash_chain_that_was_not_signed() {
    let member = member(KeyKind::P256);
    let signed = member.sign(&[&["message", "body"]]);
    let other = member.sign(&[&["message", "forged"]]);
    let mixed = SignatureDocuments {
        signatures: signed[0].signatures.clone(),
        hash_chain: other[0].hash_chain.clone(),
    };
    refuses(
        member.verify(&mixed, &["message", "forged"]),
        "signature.part_modified",
        "invalid_signature_value",
    );
}

#[test]
fn refuses_a_missing_hash_chain() {
    let member = member(KeyKind::P256);
    let mut signed = member.sign(&[&["message", "body"]]).remove(0);
    signed.hash_chain = None;
    let verdict = member.verify(&signed, &["message", "body"]);
    refuses(verdict, "message_signature.no_hash_chain", "malformed_signature");
}

/// X-Road's servers accept this: they never ask whether it was the message that was signed.
#[test]
fn refuses_a_signature_of_something_else() {
    let member = member(KeyKind::P256);
    let part = crate::PartReference { uri: "/other.xml", digest: digest("other"), media_type: "text/xml" };
    let signer = crate::Signer { key: &member.key, certificate: &member.certificate, intermediates: &[] };
    let signatures = crate::sign(&signer, &[part], now()).unwrap();
    let documents = SignatureDocuments { signatures: signatures.into(), hash_chain: None };
    refuses(
        member.verify(&documents, &["message"]),
        "message_signature.message_not_covered",
        "malformed_signature",
    );
}

#[test]
fn refuses_a_hash_chain_beside_the_message() {
    let member = member(KeyKind::P256);
    let mut documents = member.sign(&[&["message", "body"]]).remove(0);
    let result = DigestAlgorithm::Sha512.digest(&documents.hash_chain.as_ref().unwrap().result);
    let part = |uri, digest| crate::PartReference { uri, digest, media_type: "text/xml" };
    let signer = crate::Signer { key: &member.key, certificate: &member.certificate, intermediates: &[] };
    let both = [part(MESSAGE, digest("message")), part(RESULT, result)];
    documents.signatures = crate::sign(&signer, &both, now()).unwrap().into();
    refuses(
        member.verify(&documents, &["message"]),
        "message_signature.unexpected_part",
        "malformed_signature",
    );
}

#[test]
fn refuses_another_sender() {
    let member = member(KeyKind::P256);
    let signed = member.sign(&[&["message"]]);
    refuses(
        member.verify_as(&signed[0], &["message"], &id("1234"), now()),
        "message_signature.wrong_member",
        "incorrect_certificate",
    );
}

#[test]
fn refuses_a_certificate_of_an_unknown_authority() {
    let signed = member(KeyKind::P256).sign(&[&["message"]]);
    let mut other = member(KeyKind::P256);
    other.authorities.certification.clear();
    refuses(
        other.verify(&signed[0], &["message"]),
        "certificate_path.not_approved",
        "cannot_create_cert_path",
    );
}

#[test]
fn refuses_a_subject_that_names_no_member() {
    let mut member = member(KeyKind::P256);
    let profiles = CertificateProfiles::default();
    let ejbca = "ee.ria.xroad.common.certificateprofile.impl.EjbcaCertificateProfileInfoProvider";
    member.authorities.certification[0].profile = profiles.find(ejbca).unwrap().clone();
    let signed = member.sign(&[&["message"]]);
    refuses(
        member.verify(&signed[0], &["message"]),
        "certificate_profile.no_member",
        "incorrect_certificate",
    );
}

#[test]
fn refuses_an_expired_certificate() {
    let member = member(KeyKind::P256);
    let signed = member.sign(&[&["message"]]);
    let later = "2030-01-01T00:00:00Z".parse().unwrap();
    refuses(
        member.verify_as(&signed[0], &["message"], &id("4321"), later),
        "certificate_path.expired",
        "cannot_create_cert_path",
    );
}

#[test]
fn refuses_a_stale_ocsp_answer() {
    let member = member(KeyKind::P256);
    let signed = member.sign(&[&["message"]]);
    let later = now() + Duration::from_secs(7200);
    let error = member.verify_as(&signed[0], &["message"], &id("4321"), later).unwrap_err();
    assert!(error.code().starts_with("ocsp."), "{error}");
    assert_eq!(error.xroad_code(), "invalid_cert_path.incorrect_validation_info");
}

#[test]
fn refuses_a_missing_ocsp_answer() {
    let member = member(KeyKind::P256);
    let mut signed = member.sign(&[&["message"]]).remove(0);
    let sound = String::from_utf8(signed.signatures.to_vec()).unwrap();
    let start = sound.find("<xades:EncapsulatedOCSPValue").unwrap();
    let end = sound.find("</xades:OCSPValues>").unwrap();
    signed.signatures = [&sound[..start], &sound[end..]].concat().into_bytes().into();
    refuses(member.verify(&signed, &["message"]), "message_signature.no_ocsp_answer", "malformed_signature");

    signed.signatures = sound
        .replacen(&sound[start..end], "<xades:EncapsulatedOCSPValue>MAA=</xades:EncapsulatedOCSPValue>", 1)
        .into();
    let error = member.verify(&signed, &["message"]).unwrap_err();
    assert!(matches!(error, MessageSignatureError::OcspAnswer(_)), "{error}");
    assert_eq!(error.xroad_code(), "malformed_signature");
}

#[test]
fn does_not_sign_nothing() {
    let member = member(KeyKind::P256);
    for nothing in [&[][..], &[&[][..]], &[&["message"][..], &[]]] {
        assert!(matches!(member.prepare(nothing), Err(SignError::NoParts)));
    }
}

#[test]
fn does_not_sign_other_digests() {
    let member = member(KeyKind::P256);
    let signer = MessageSigner {
        scheme: SignatureScheme::Ecdsa,
        certificate: &member.certificate,
        intermediates: &[],
        ocsp_answers: std::slice::from_ref(&member.ocsp_answer),
    };
    let error =
        PendingSignature::new(&signer, &[vec![DigestAlgorithm::Sha256.digest(b"")]], now()).unwrap_err();
    assert!(matches!(error, SignError::DigestNotAccepted { .. }), "{error}");
    let signer = MessageSigner { ocsp_answers: &[], ..signer };
    let error = PendingSignature::new(&signer, &[vec![digest("message")]], now()).unwrap_err();
    assert!(matches!(error, SignError::NoOcspAnswer { .. }), "{error}");
}

#[test]
fn does_not_complete_with_a_value_of_another_key() {
    let (one, other) = (member(KeyKind::P256), member(KeyKind::P256));
    let pending = one.prepare(&[&["message"]]).unwrap();
    let value = other.key.sign_digest(pending.digest()).unwrap();
    assert!(matches!(pending.complete(&value), Err(SignError::KeyMismatch { .. })));
}
