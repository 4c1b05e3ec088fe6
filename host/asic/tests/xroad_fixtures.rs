//! The containers of the X-Road project, with the verdicts of its own tests.

#![expect(clippy::unwrap_used, clippy::panic, reason = "what a test's helpers cannot do, the test reports")]

use std::path::PathBuf;

use uuk_asic::{Container, ContainerError, Profile, VerifiedSignature, VerifyError, verify};
use uuk_testkit::fixtures;

fn read(name: &str) -> Option<Result<Container, ContainerError>> {
    let path: PathBuf = fixtures::folder()?.join("xroad/asic").join(name);
    let bytes = std::fs::read(&path).unwrap_or_else(|error| panic!("{}: {error}", path.display()));
    Some(Container::read(&bytes, &Profile::message()))
}

/// The verdict on a container's XML signature. Hash chains and time-stamps are beyond it.
fn verify_signature(name: &str) -> Option<Result<VerifiedSignature, VerifyError>> {
    let container = read(name)?.unwrap();
    let signatures = container.entry("META-INF/signatures.xml").unwrap();
    Some(verify(signatures, |uri, algorithm| container.digest(uri, algorithm)))
}

#[track_caller]
fn accepts(name: &str, parts: &[&str]) {
    let Some(verdict) = verify_signature(name) else { return };
    let verified = verdict.unwrap_or_else(|error| panic!("{name}: {error}"));
    let covered: Vec<_> = verified.parts.iter().map(|part| part.uri.as_str()).collect();
    assert_eq!(covered, parts, "{name}");
}

#[track_caller]
fn refuses(name: &str, code: &str) {
    let Some(verdict) = verify_signature(name) else { return };
    let error = verdict.map(|verified| verified.parts).unwrap_err();
    assert_eq!(error.code(), code, "{name}: {error}");
}

#[test]
fn reads_structurally_valid_containers() {
    for name in
        ["structure/valid-signed-message.asice", "structure/valid-signed-message-with-attachments.asice"]
    {
        let Some(container) = read(name) else { return };
        container.unwrap_or_else(|error| panic!("{name}: {error}"));
    }
}

#[test]
fn refuses_structurally_invalid_containers() {
    for (name, code, xroad_code) in [
        ("structure/no-message.asice", "container.missing_entry", "asic_message_not_found"),
        ("structure/no-signature.asice", "container.missing_entry", "asic_signature_not_found"),
        ("structure/no-mimetype.asice", "container.missing_mimetype", "asic_mime_type_not_found"),
        // A text file: X-Road says that the media type is missing.
        ("structure/not-asic.asice", "container.not_a_container", "asic_mime_type_not_found"),
        ("verifier/attachments.asice", "container.missing_entry", "asic_message_not_found"),
    ] {
        let Some(verdict) = read(name) else { return };
        let error = verdict.unwrap_err();
        assert_eq!((error.code(), error.xroad_code()), (code, Some(xroad_code)), "{name}");
    }
}

#[test]
fn names_the_missing_entry() {
    for (name, expected) in [("no-message", "message.xml"), ("no-signature", "META-INF/signatures.xml")] {
        let Some(verdict) = read(&format!("structure/{name}.asice")) else { return };
        assert!(matches!(verdict, Err(ContainerError::MissingEntry { what }) if what == expected));
    }
}

#[test]
fn accepts_valid_signatures() {
    accepts("verifier/valid-signed-message.asice", &["/message.xml"]);
    accepts("verifier/valid-batch-ts.asice", &["/message.xml"]);
    accepts("verifier/valid-signed-hashchain.asice", &["/sig-hashchainresult.xml"]);
    accepts("verifier/invalid-not-signed-hashchain.asice", &["/message.xml"]);
}

#[test]
fn accepts_exclusive_canonicalisation_and_a_reference_per_part() {
    accepts("verifier/valid-non-batch-rest.asice", &["/message.xml", "/attachment1"]);
    let parts = ["/message.xml", "/attachment1", "/attachment2"];
    accepts("verifier/valid-non-batch-soap-attachments.asice", &parts);
}

#[test]
fn refuses_a_changed_message() {
    refuses("verifier/wrong-message.asice", "signature.part_modified");
}

#[test]
fn refuses_changed_properties() {
    refuses("verifier/invalid-digest.asice", "signature.properties_modified");
}

#[test]
fn refuses_a_changed_reference() {
    refuses("verifier/invalid-incorrect-references.asice", "signature.wrong_signature");
}

/// X-Road's verifier finds the fault in the hash chain; its result, which is what was signed, was changed as well.
#[test]
fn refuses_a_changed_hash_chain_result() {
    refuses("verifier/invalid-hashchain-modified-message.asice", "signature.part_modified");
}

#[test]
fn refuses_a_message_whose_time_stamp_is_wrong_too() {
    refuses("verifier/invalid-ts-hashchainresult.asice", "signature.part_modified");
}

/// The fault of this one lies in the hash chain below its result, which is checked above the signature.
#[test]
fn leaves_hash_chains_to_others() {
    accepts("verifier/invalid-signed-hashchain.asice", &["/sig-hashchainresult.xml"]);
}

#[test]
fn names_signer_and_time() {
    let Some(verdict) = verify_signature("verifier/valid-signed-message.asice") else { return };
    let verified = verdict.unwrap();
    assert_eq!(verified.signer.subject(), "SERIALNUMBER=DEV/ss2/COM,CN=4321,O=Test client,C=FI");
    assert_eq!((verified.signer.issuer(), verified.signer.serial()), ("CN=Test CA,O=Test", "18"));
    assert_eq!(verified.claimed_time.to_string(), "2024-12-05T13:16:11.661Z");
}
