//! An independent implementation accepts the directories signed here.

#![expect(clippy::unwrap_used, reason = "what a test's helpers cannot do, the test reports")]

use std::fs;
use std::process::Command;

use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use uuk_globalconf::{ListedFile, Listing, SHARED_PARAMETERS, VerificationCertificate, Version};
use uuk_pki::SoftwareKey;
use uuk_testkit::authority::{Authority, KeyKind};
use uuk_testkit::fixtures;

#[test]
fn openssl_accepts_a_directory_signed_by_p256() {
    check(KeyKind::P256);
}

#[test]
fn openssl_accepts_a_directory_signed_by_rsa() {
    check(KeyKind::Rsa2048);
}

/// Takes the signed bytes and the signature out of a directory by what the protocol says of them, not by our reader.
fn check(kind: KeyKind) {
    if Command::new("openssl").arg("version").output().is_err() {
        return fixtures::skip("openssl is not installed");
    }
    let authority = Authority::new("Central server", jiff::civil::date(2026, 11, 22)).unwrap();
    let identity = authority.issue("Signer", kind).unwrap();
    let key = SoftwareKey::from_pkcs8(&identity.key_der()).unwrap();
    let file = ListedFile {
        identifier: SHARED_PARAMETERS,
        instance: "DEV",
        location: "/V6/1/shared-params.xml",
        content: b"<conf/>",
    };
    let expires = "2026-11-22T12:10:00Z".parse().unwrap();
    let listing = Listing { version: Version::V6, expires, files: vec![file] };
    let directory = listing.sign(&key, &VerificationCertificate(identity.der())).unwrap();

    let delimiter = format!("{}\r\n", directory.lines().find(|line| line.starts_with("--")).unwrap());
    let mut parts = directory.split(&delimiter).skip(1);
    let [signed, signature] =
        [parts.next().unwrap(), parts.next().unwrap()].map(|part| part.split_once("\r\n\r\n").unwrap().1);
    let signed = signed.strip_suffix("\r\n").unwrap();
    let signature = STANDARD.decode(signature.lines().next().unwrap()).unwrap();

    let folder = tempfile::tempdir().unwrap();
    let write = |name: &str, bytes: &[u8]| fs::write(folder.path().join(name), bytes).unwrap();
    write("signature", &signature);
    write("certificate", &identity.der());
    let openssl = |arguments: &str| {
        let mut command = Command::new("openssl");
        command.args(arguments.split(' ')).current_dir(folder.path()).output().unwrap()
    };
    let key = openssl("x509 -inform der -in certificate -pubkey -noout");
    write("key", &key.stdout);
    write("signed", signed.as_bytes());
    assert!(openssl("dgst -sha512 -verify key -signature signature signed").status.success());
    write("signed", signed.replace("DEV", "DEW").as_bytes());
    assert!(!openssl("dgst -sha512 -verify key -signature signature signed").status.success());
}
