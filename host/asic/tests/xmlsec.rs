//! An independent implementation accepts the signatures made here.

#![expect(clippy::unwrap_used, reason = "what a test's helpers cannot do, the test reports")]

use jiff::Timestamp;
use uuk_asic::{PartReference, Signer, sign};
use uuk_pki::{Certificate, DigestAlgorithm, SoftwareKey};
use uuk_testkit::authority::{Authority, KeyKind};
use uuk_testkit::xmlsec;

#[test]
fn xmlsec1_accepts_a_signature_by_p256() {
    check(KeyKind::P256);
}

#[test]
fn xmlsec1_accepts_a_signature_by_rsa() {
    check(KeyKind::Rsa2048);
}

/// Signs two parts, has them verified, changes one, and has them refused.
fn check(kind: KeyKind) {
    let folder = tempfile::tempdir().unwrap();
    let authority = Authority::new("Authority, “quoted” & <marked>", jiff::civil::date(2026, 11, 1)).unwrap();
    let identity = authority.issue("Signer", kind).unwrap();
    let time: Timestamp = "2026-11-22T08:00:00.123Z".parse().unwrap();
    let signer = Signer {
        key: &SoftwareKey::from_pkcs8(&identity.key_der()).unwrap(),
        certificate: &Certificate::from_der(&identity.der()).unwrap(),
        intermediates: &[Certificate::from_der(&authority.der()).unwrap()],
    };
    let parts = [part("plugin.toml", b"id = 1"), part("sql/find.sql", b"SELECT 1")];
    let signed = sign(&signer, &parts, time).unwrap();

    std::fs::create_dir(folder.path().join("sql")).unwrap();
    std::fs::write(folder.path().join("plugin.toml"), "id = 1").unwrap();
    std::fs::write(folder.path().join("sql/find.sql"), "SELECT 1").unwrap();
    std::fs::write(folder.path().join("signatures.xml"), signed).unwrap();
    let verify = || xmlsec::verify(folder.path(), "signatures.xml", &[authority.pem()], time).unwrap();
    let Some(verdict) = verify() else { return };
    assert!(verdict.accepted, "{}", verdict.said);

    std::fs::write(folder.path().join("sql/find.sql"), "SELECT 2").unwrap();
    assert!(verify().is_some_and(|verdict| !verdict.accepted));
}

fn part<'a>(uri: &'a str, bytes: &[u8]) -> PartReference<'a> {
    PartReference { uri, digest: DigestAlgorithm::Sha512.digest(bytes), media_type: "text/plain" }
}
