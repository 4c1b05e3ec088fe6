//! What the containers and signatures of the X-Road project prove, with the verdicts of its own tests.

#![expect(
    clippy::unwrap_used,
    clippy::panic,
    clippy::indexing_slicing,
    reason = "what a test's helpers cannot do, the test reports"
)]

use std::time::Duration;

use base64::Engine;
use base64::engine::general_purpose::STANDARD as BASE64;
use uuk_asic::{
    ChainDocuments, Check, EvidenceError, Examination, MessageContainer, MessagePart, Outcome, PartContent,
    STAMPED_WITHIN, SignatureDocuments, examine, verify_message,
};
use uuk_identifiers::MemberId;
use uuk_pki::{Authorities, Certificate, CertificateProfiles, CertificationAuthority};
use uuk_testkit::fixtures;

/// X-Road's `TestCertificateProfileInfoProvider`.
const TEST_PROFILE: &str = "[[profile]]\nname = 'ee.ria.xroad.common.certificateprofile.impl.TestCertificateProfileInfoProvider'\n\
     member = [{ class = 'BUSINESS', subject = { CN = '(?<code>.+)' } }]\nauthentication = []\nsigning = []";

const GOOD: &str = "xroad/globalconf/globalconf_good_v4/EE";
const GOOD2: &str = "xroad/globalconf/globalconf_good2_v3/DEV";
/// The configuration of the servers whose exchanges were recorded.
const CAPTURED: &str = "captures/pki/gc/DEV";

fn read(name: &str) -> Option<Vec<u8>> {
    let path = fixtures::folder()?.join(name);
    Some(std::fs::read(&path).unwrap_or_else(|error| panic!("{}: {error}", path.display())))
}

/// The authorities of the `shared-params.xml` in a folder, found by the names of its elements. `uuk-globalconf` reads it properly.
fn authorities(shared_params: &str) -> Option<Authorities> {
    let text = String::from_utf8(read(&format!("{shared_params}/shared-params.xml"))?).unwrap();
    let profiles = CertificateProfiles::default().with(TEST_PROFILE).unwrap();
    let certification = between(&text, "approvedCA").into_iter().flat_map(|approved| {
        let profile = between(approved, "certificateProfileInfo")[0].trim();
        let profile = profiles.find(profile).unwrap().clone();
        let authorities: Vec<_> = [between(approved, "topCA"), between(approved, "intermediateCA")].concat();
        authorities.into_iter().map(move |authority| {
            let mut certificates = between(authority, "cert").into_iter().map(certificate);
            CertificationAuthority {
                certificate: certificates.next().unwrap(),
                ocsp_responders: certificates.collect(),
                profile: profile.clone(),
                authentication_only: between(approved, "authenticationOnly").contains(&"true"),
            }
        })
    });
    let stamping = between(&text, "approvedTSA").into_iter().map(|approved| between(approved, "cert")[0]);
    let freshness =
        between(&text, "ocspFreshnessSeconds").first().map_or(3600, |seconds| seconds.parse().unwrap());
    Some(Authorities {
        certification: certification.collect(),
        time_stamping: stamping.map(certificate).collect(),
        ocsp_freshness: Duration::from_secs(freshness),
        verify_next_update: true,
    })
}

fn between<'t>(text: &'t str, element: &str) -> Vec<&'t str> {
    let (start, end) = (format!("<{element}>"), format!("</{element}>"));
    text.split(&start).skip(1).filter_map(|rest| Some(rest.split_once(&end)?.0)).collect()
}

/// DER or PEM, in base64.
fn certificate(text: &str) -> Certificate {
    let bytes = BASE64.decode(text.split_whitespace().collect::<String>()).unwrap();
    if bytes.starts_with(b"-----BEGIN") {
        return Certificate::chain_from_pem(&bytes).unwrap().remove(0);
    }
    Certificate::from_der(&bytes).unwrap()
}

fn member(text: &str) -> MemberId {
    let [instance, class, code] = text.split('/').collect::<Vec<_>>().try_into().unwrap();
    MemberId { instance: instance.to_owned(), class: class.to_owned(), code: code.to_owned() }
}

fn examine_container(name: &str, sender: &str) -> Option<Examination> {
    let authorities = authorities(GOOD2)?;
    let container = MessageContainer::read(&read(&format!("xroad/asic/verifier/{name}.asice"))?).unwrap();
    Some(examine(&container, &member(sender), &authorities, STAMPED_WITHIN))
}

#[test]
fn says_of_every_container_what_its_project_says() {
    let client = "DEV/COM/4321";
    for (name, sender, expected) in [
        ("valid-signed-message", client, "ok"),
        ("valid-signed-hashchain", client, "ok"),
        ("valid-batch-ts", client, "ok"),
        ("valid-non-batch-rest", "DEV/COM/1234", "ok"),
        ("valid-non-batch-soap-attachments", client, "ok"),
        ("invalid-not-signed-hashchain", client, "ok"),
        ("wrong-message", client, "invalid_signature_value"),
        ("invalid-digest", client, "invalid_signature_value"),
        ("invalid-signed-hashchain", client, "malformed_signature.invalid_hash_chain_ref"),
        ("invalid-hashchain-modified-message", client, "malformed_signature.hashchain_unused_inputs"),
        ("invalid-incorrect-references", "EE/BUSINESS/consumer", "malformed_signature"),
        ("invalid-ts-hashchainresult", "EE/BUSINESS/consumer", "malformed_signature"),
    ] {
        let Some(Examination { steps, verdict }) = examine_container(name, sender) else { return };
        let code = verdict.as_ref().map_or_else(EvidenceError::xroad_code, |_| "ok".to_owned());
        assert_eq!(code, expected, "{name}: {steps:#?}");
    }
}

#[test]
fn tells_what_was_found_at_each_step() {
    let Some(examination) = examine_container("valid-signed-hashchain", "DEV/COM/4321") else { return };
    let found: Vec<_> =
        examination.steps.iter().map(|step| (step.check.to_string(), &step.outcome)).collect();
    let passed = |words: &str| Outcome::Passed(words.to_owned());
    assert_eq!(
        found,
        [
            ("signature document".to_owned(), &passed("says that it was made at 2024-12-05T12:37:37.117Z")),
            (
                "time-stamp".to_owned(),
                &passed("made before 2024-12-05T12:37:50Z, by the word of `CN=Test TSA,O=Test`")
            ),
            (
                "what is signed".to_owned(),
                &passed("/message.xml; signed but not in the container: /attachment1")
            ),
            (
                "signer".to_owned(),
                &passed(
                    "the certificate of `SERIALNUMBER=DEV/ss2/COM,CN=4321,O=Test client,C=FI` is DEV/COM/4321's"
                )
            ),
            ("signature".to_owned(), &passed("the certificate's key signed these very parts")),
            (
                "certificate".to_owned(),
                &passed("issued by an approved authority, valid and not revoked at that time")
            ),
        ]
    );
    let evidence = examination.verdict.unwrap();
    assert_eq!(
        (evidence.message.signer, evidence.time_stamped_by),
        (member("DEV/COM/4321"), "CN=Test TSA,O=Test".to_owned())
    );
}

#[test]
fn asks_no_further_after_a_failure() {
    let Some(examination) = examine_container("invalid-signed-hashchain", "DEV/COM/4321") else { return };
    let failed: Vec<_> = examination.steps.iter().skip(2).map(|step| (step.check, &step.outcome)).collect();
    let words =
        "the signature's hash chain is not valid: `/message.xml` is not what the hash chain was made over";
    assert_eq!(
        failed,
        [
            (Check::Coverage, &Outcome::Failed(words.to_owned())),
            (Check::Signer, &Outcome::NotMade),
            (Check::Signature, &Outcome::NotMade),
            (Check::Certificate, &Outcome::NotMade),
        ]
    );
}

#[test]
fn names_entries_that_nobody_signed() {
    let Some(examination) = examine_container("invalid-not-signed-hashchain", "DEV/COM/4321") else { return };
    let Some(Outcome::Passed(words)) = examination.steps.get(2).map(|step| &step.outcome) else { panic!() };
    assert_eq!(words, "/message.xml; in the container but not signed: hashchain.xml, hashchainresult.xml");
}

#[test]
fn refuses_a_time_stamp_by_an_unknown_authority() {
    let Some(mut authorities) = authorities(GOOD2) else { return };
    authorities.time_stamping = vec![authorities.certification[0].certificate.clone()];
    let container =
        MessageContainer::read(&read("xroad/asic/verifier/valid-batch-ts.asice").unwrap()).unwrap();
    let error =
        examine(&container, &member("DEV/COM/4321"), &authorities, STAMPED_WITHIN).verdict.unwrap_err();
    assert_eq!(error.xroad_code(), "mlog.tsp_certificate_not_found", "{error}");
}

#[test]
fn refuses_a_missing_time_stamp() {
    let Some(authorities) = authorities(GOOD2) else { return };
    let mut container =
        MessageContainer::read(&read("xroad/asic/verifier/valid-batch-ts.asice").unwrap()).unwrap();
    container.time_stamp = None;
    let error =
        examine(&container, &member("DEV/COM/4321"), &authorities, STAMPED_WITHIN).verdict.unwrap_err();
    assert_eq!(
        (error.code(), error.xroad_code().as_str()),
        ("evidence.no_time_stamp", "malformed_signature")
    );
}

/// X-Road's verifier accepts this: it does not ask whether an attachment in the container was signed.
#[test]
fn refuses_an_attachment_that_was_not_signed() {
    let Some(authorities) = authorities(GOOD2) else { return };
    let mut container =
        MessageContainer::read(&read("xroad/asic/verifier/valid-batch-ts.asice").unwrap()).unwrap();
    container.attachments.insert(1, std::sync::Arc::from(&b"added"[..]));
    let error =
        examine(&container, &member("DEV/COM/4321"), &authorities, STAMPED_WITHIN).verdict.unwrap_err();
    assert_eq!(error.code(), "message_signature.part_not_covered", "{error}");
}

/// A signature of `SignatureVerifierTest`, verified as that test does: its codes, X-Road's and ours.
struct Signed {
    file: &'static str,
    hash_chain: Option<ChainDocuments>,
    message: Vec<u8>,
    body: Option<Vec<u8>>,
    shared_params: &'static str,
    time: &'static str,
}

impl Signed {
    /// By EE/BUSINESS/consumer, over one message.
    fn alone(file: &'static str) -> Option<Self> {
        Some(Self {
            file,
            hash_chain: None,
            message: read("xroad/signatures/common/message-0.xml")?,
            body: None,
            shared_params: GOOD,
            time: "2014-10-30T00:00:00Z",
        })
    }

    fn verdict(self, sender: &str) -> (String, &'static str) {
        let signatures = read(&format!("xroad/signatures/{}", self.file)).unwrap();
        let body = self.body.as_deref().map(|body| MessagePart::attachment(1, PartContent::Bytes(body)));
        let message = MessagePart::message(PartContent::Bytes(&self.message));
        let parts: Vec<_> = std::iter::once(message).chain(body).collect();
        let documents = SignatureDocuments { signatures: signatures.into(), hash_chain: self.hash_chain };
        let authorities = authorities(self.shared_params).unwrap();
        match verify_message(&documents, &parts, &member(sender), &authorities, self.time.parse().unwrap()) {
            Ok(_) => ("ok".to_owned(), "ok"),
            Err(error) => (error.xroad_code(), error.code()),
        }
    }
}

#[test]
fn says_of_every_signature_what_its_project_says() {
    let consumer = "EE/BUSINESS/consumer";
    // X-Road accepts these two. Everything about the signature holds here too; but the certificate's own signature is
    // made with SHA-1, which is accepted no more.
    let weak = ("cannot_create_cert_path", "certificate_path.weak_signature");
    for (file, sender, expected) in [
        ("common/sign-0.xml", consumer, weak),
        ("common/sign-0-old-format.xml", consumer, weak),
        (
            "common/sign-0.xml",
            "EE/BUSINESS/FOORBAR",
            ("incorrect_certificate", "message_signature.wrong_member"),
        ),
        ("globalconf-impl/empty.xml", consumer, ("malformed_signature", "signature.malformed")),
        (
            "globalconf-impl/sign-0-no-signature.xml",
            consumer,
            ("malformed_signature", "signature.no_signature"),
        ),
        (
            "globalconf-impl/sign-0-no-objectcontainer.xml",
            consumer,
            ("malformed_signature", "signature.structure"),
        ),
        (
            "globalconf-impl/sign-0-malformed-xml.xml",
            consumer,
            ("malformed_signature", "signature.malformed"),
        ),
        ("globalconf-impl/sign-0-schema-fail.xml", consumer, ("malformed_signature", "signature.structure")),
        (
            "globalconf-impl/sign-0-no-signing-cert.xml",
            consumer,
            ("malformed_signature", "signature.certificate_mismatch"),
        ),
        (
            "globalconf-impl/sign-0-invalid-signature-value.xml",
            consumer,
            ("invalid_signature_value", "signature.wrong_signature"),
        ),
        (
            "globalconf-impl/sign-0-ocsp-no-responses.xml",
            consumer,
            ("malformed_signature", "message_signature.no_ocsp_answer"),
        ),
        // Of a form older than X-Road's tests: without identifier, over a manifest.
        (
            "globalconf-impl/extra-certs-missing-id.xml",
            consumer,
            ("malformed_signature", "signature.foreign_properties"),
        ),
        (
            "globalconf-impl/extra-certs-missing-cert.xml",
            consumer,
            ("malformed_signature", "signature.foreign_properties"),
        ),
        (
            "globalconf-impl/extra-certs-digest-invalid.xml",
            consumer,
            ("malformed_signature", "signature.foreign_properties"),
        ),
    ] {
        let Some(signed) = Signed::alone(file) else { return };
        let (xroad_code, code) = signed.verdict(sender);
        assert_eq!((xroad_code.as_str(), code), expected, "{file} of {sender}");
    }
}

#[test]
fn follows_the_hash_chain_of_a_batch_signature() {
    let read = |file| read(&format!("xroad/signatures/globalconf-impl/{file}"));
    let Some(result) = read("hash-chain-result.xml") else { return };
    let verify = |body: &[u8]| {
        let signed = Signed {
            hash_chain: Some(ChainDocuments {
                result: result.clone(),
                chain: read("hash-chain-1.xml").unwrap(),
            }),
            message: read("message-1.xml").unwrap(),
            body: Some(body.to_vec()),
            ..Signed::alone("globalconf-impl/batch-sig.xml").unwrap()
        };
        signed.verdict("EE/BUSINESS/consumer").1
    };
    // The last of all checks: SHA-1 once more.
    assert_eq!(verify(b"blaah"), "certificate_path.weak_signature");
    assert_eq!(verify(b"other"), "hash_chain.part_modified");
}

#[test]
fn accepts_a_reference_per_part() {
    let read = |file| read(&format!("xroad/signatures/globalconf-impl/non-batch-sig/{file}"));
    let Some(message) = read("message.xml") else { return };
    let verify = |body: Vec<u8>| {
        let signed = Signed {
            file: "globalconf-impl/non-batch-sig/signatures.xml",
            hash_chain: None,
            message: message.clone(),
            body: Some(body),
            shared_params: GOOD2,
            // X-Road's test asks as of that day's midnight, before the OCSP answer was given; here nobody knew then.
            time: "2024-07-09T07:38:53Z",
        };
        signed.verdict("DEV/COM/4321").0
    };
    assert_eq!(verify(read("attachment1").unwrap()), "ok");
    assert_eq!(verify(vec![1]), "invalid_signature_value");
}

/// A part of a recorded message: its content type and its bytes.
type Part = (String, Vec<u8>);

/// The body of a recorded HTTP message, taken out of its chunks.
fn body(http: &[u8]) -> Vec<u8> {
    let (head, mut rest) = split(http, b"\r\n\r\n");
    if !String::from_utf8_lossy(head).contains("Transfer-Encoding: chunked") {
        return rest.to_vec();
    }
    let mut body = Vec::new();
    loop {
        let (length, after) = split(rest, b"\r\n");
        let length = usize::from_str_radix(std::str::from_utf8(length).unwrap(), 16).unwrap();
        if length == 0 {
            return body;
        }
        body.extend(&after[..length]);
        rest = &after[length + 2..];
    }
}

fn split<'b>(bytes: &'b [u8], mark: &[u8]) -> (&'b [u8], &'b [u8]) {
    let position = bytes.windows(mark.len()).position(|window| window == mark).unwrap();
    (&bytes[..position], &bytes[position + mark.len()..])
}

/// The parts of a multipart body, which starts with its boundary; those of nested ones in their place.
fn parts(multipart: &[u8]) -> Vec<Part> {
    let start = multipart.windows(2).position(|window| window == b"--").unwrap();
    let (boundary, mut rest) = split(&multipart[start..], b"\r\n");
    let mark = [b"\r\n", boundary].concat();
    let mut found = Vec::new();
    loop {
        let (part, after) = split(rest, &mark);
        let (head, bytes) = split(part, b"\r\n\r\n");
        let head = String::from_utf8(head.to_vec()).unwrap().to_ascii_lowercase();
        let content_type = head.lines().find_map(|line| line.strip_prefix("content-type:")).unwrap().trim();
        if content_type.starts_with("multipart/") {
            found.extend(parts(bytes));
        } else {
            found.push((content_type.to_owned(), bytes.to_vec()));
        }
        match after.strip_prefix(b"\r\n") {
            Some(next) => rest = next,
            None => return found,
        }
    }
}

#[test]
fn accepts_what_servers_sent_each_other() {
    let Some(authorities) = authorities(CAPTURED) else { return };
    let sender = member("DEV/COM/1234");
    for name in ["01-req", "01-resp", "02-req", "02-resp", "03-req", "03-resp", "04-req"] {
        let mut parts = parts(&body(&read(&format!("captures/{name}.bin")).unwrap()));
        let mut take = |wanted: &[&str]| {
            let found =
                parts.iter().position(|(kind, _)| wanted.iter().any(|wanted| kind.starts_with(wanted)))?;
            Some(parts.remove(found).1)
        };
        let hash_chain = take(&["application/hash-chain-result"])
            .map(|result| ChainDocuments { result, chain: take(&["application/hash-chain"]).unwrap() });
        let documents = SignatureDocuments { signatures: take(&["signature/"]).unwrap().into(), hash_chain };
        let message = take(&["application/x-road-rest-re", "text/xml"]).unwrap();
        let body = take(&["application/x-road-rest-body", "application/octet-stream"]);
        let mut signed = vec![MessagePart::message(PartContent::Bytes(&message))];
        if let Some(body) = &body {
            signed.push(MessagePart::attachment(1, PartContent::Bytes(body)));
        }
        let time = "2026-11-22T05:10:00Z".parse().unwrap();
        let verified = verify_message(&documents, &signed, &sender, &authorities, time)
            .unwrap_or_else(|error| panic!("{name}: {error}"));
        assert_eq!(verified.parts.len(), signed.len(), "{name}");
        assert_eq!(documents.hash_chain.is_some(), body.is_some(), "{name}");
    }
}
