//! An independent implementation, `xmlsec1` (Aleksey Sanin's XML Security Library), accepts the signatures made here.

use std::path::Path;
use std::process::Command;

use jiff::Timestamp;
use uuk_asic::{PartReference, Signer, sign};
use uuk_pki::{Certificate, DigestAlgorithm, SoftwareKey};
use uuk_testkit::authority::{Authority, KeyKind};
use uuk_testkit::fixtures;

#[test]
fn accepts_a_signature_by_p256() {
    check(KeyKind::P256);
}

#[test]
fn accepts_a_signature_by_rsa() {
    check(KeyKind::Rsa2048);
}

/// Signs two parts, has them verified, changes one, and has them refused.
fn check(kind: KeyKind) {
    if Command::new("xmlsec1").arg("--version").output().is_err() {
        return fixtures::skip("xmlsec1 is not installed");
    }
    let folder = tempfile::tempdir().unwrap();
    let authority = Authority::new("Authority, “quoted” & <marked>", jiff::civil::date(2026, 11, 1)).unwrap();
    let identity = authority.issue("Signer", kind).unwrap();
    let signed = sign(
        &Signer {
            key: &SoftwareKey::from_pkcs8(&identity.key_der()).unwrap(),
            certificate: &Certificate::from_der(&identity.der()).unwrap(),
            intermediates: &[Certificate::from_der(&authority.der()).unwrap()],
        },
        &[part("plugin.toml", b"id = 1"), part("sql/find.sql", b"SELECT 1")],
        "2026-11-22T08:00:00.123Z".parse::<Timestamp>().unwrap(),
    )
    .unwrap();

    std::fs::create_dir(folder.path().join("sql")).unwrap();
    std::fs::write(folder.path().join("plugin.toml"), "id = 1").unwrap();
    std::fs::write(folder.path().join("sql/find.sql"), "SELECT 1").unwrap();
    std::fs::write(folder.path().join("signatures.xml"), signed).unwrap();
    std::fs::write(folder.path().join("authority.pem"), authority.pem()).unwrap();
    let (accepted, said) = xmlsec1(folder.path());
    assert!(accepted, "{said}");

    std::fs::write(folder.path().join("sql/find.sql"), "SELECT 2").unwrap();
    assert!(!xmlsec1(folder.path()).0);
}

fn part<'a>(uri: &'a str, bytes: &[u8]) -> PartReference<'a> {
    PartReference { uri, digest: DigestAlgorithm::Sha512.digest(bytes), media_type: "text/plain" }
}

fn xmlsec1(folder: &Path) -> (bool, String) {
    let output = Command::new("xmlsec1")
        .args([
            "--verify",
            "--trusted-pem",
            "authority.pem",
            "--verification-gmt-time",
            "2026-11-22 08:00:00",
        ])
        .args(["--id-attr:Id", "http://uri.etsi.org/01903/v1.3.2#:SignedProperties", "signatures.xml"])
        .current_dir(folder)
        .output()
        .unwrap();
    (output.status.success(), String::from_utf8_lossy(&output.stderr).into_owned())
}
