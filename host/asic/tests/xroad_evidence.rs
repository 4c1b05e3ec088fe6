//! What the containers and signatures of the X-Road project prove, with the verdicts of its own tests.

#![expect(clippy::unwrap_used, clippy::panic, reason = "what a test's helpers cannot do, the test reports")]

use std::time::Duration;

use base64::Engine;
use base64::engine::general_purpose::STANDARD as BASE64;
use jiff::Timestamp;
use uuk_asic::{
    ChainDocuments, Check, Examination, MESSAGE, MessageContainer, MessagePart, MessageSignatureError,
    Outcome, PartContent, SignatureDocuments, examine, verify_message,
};
use uuk_identifiers::MemberId;
use uuk_pki::{Authorities, Certificate, CertificateProfiles, CertificationAuthority};
use uuk_testkit::fixtures;

/// X-Road's `TestCertificateProfileInfoProvider`.
const TEST_PROFILE: &str = "[[profile]]\nname = 'ee.ria.xroad.common.certificateprofile.impl.TestCertificateProfileInfoProvider'\n\
     member = [{ class = 'BUSINESS', subject = { CN = '(?<code>.+)' } }]\nauthentication = []\nsigning = []";

fn read(name: &str) -> Option<Vec<u8>> {
    let path = fixtures::folder()?.join("xroad").join(name);
    Some(std::fs::read(&path).unwrap_or_else(|error| panic!("{}: {error}", path.display())))
}

/// The authorities of a `shared-params.xml`, found by the names of its elements. `uuk-globalconf` reads it properly.
fn authorities(shared_params: &str) -> Option<Authorities> {
    let text = String::from_utf8(read(&format!("globalconf/{shared_params}/shared-params.xml"))?).unwrap();
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
    Some(Authorities {
        certification: certification.collect(),
        time_stamping: stamping.map(certificate).collect(),
        ocsp_freshness: Duration::from_secs(3600),
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
    let authorities = authorities("globalconf_good2_v3/DEV")?;
    let container = MessageContainer::read(&read(&format!("asic/verifier/{name}.asice"))?).unwrap();
    Some(examine(&container, &member(sender), &authorities))
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
        let code = verdict.as_ref().map_or_else(|error| error.xroad_code(), |_| "ok".to_owned());
        assert_eq!(code, expected, "{name}: {steps:#?}");
    }
}
