use aws_lc_rs::rand::SystemRandom;
use aws_lc_rs::signature::{RSA_PSS_SHA512, RsaKeyPair};
use jiff::civil::date;
use uuk_pki::{DigestAlgorithm, SigningKey, SoftwareKey};
use uuk_testkit::authority::{Authority, KeyKind};

use super::*;

const SHARED: &[u8] = b"<conf/>";
const WEAK: &[u8] = include_bytes!("../../../../tests/fixtures/keys/rsa-1024.crt");

struct Signer {
    key: SoftwareKey,
    key_der: Vec<u8>,
    certificate: VerificationCertificate,
}

impl Signer {
    fn new(kind: KeyKind) -> Self {
        let identity = Authority::new("CS", date(2026, 11, 22)).unwrap().issue("Signer", kind).unwrap();
        let (key_der, certificate) = (identity.key_der(), VerificationCertificate(identity.der()));
        Self { key: SoftwareKey::from_pkcs8(&key_der).unwrap(), key_der, certificate }
    }

    fn verify(&self, directory: &str) -> Result<SignedDirectory, DirectoryError> {
        SignedDirectory::verify(directory.as_bytes(), std::slice::from_ref(&self.certificate), last())
    }

    /// A directory around `signed`, whatever that is.
    fn sign(&self, signed: &str) -> String {
        let signature = self.key.sign_digest(&DigestAlgorithm::Sha512.digest(signed.as_bytes())).unwrap();
        self.envelope(
            signed,
            "http://www.w3.org/2001/04/xmldsig-more#rsa-sha512",
            &STANDARD.encode(signature),
        )
    }

    fn envelope(&self, signed: &str, algorithm: &str, signature: &str) -> String {
        let digest = STANDARD.encode(DigestAlgorithm::Sha512.digest(&self.certificate.0).as_bytes());
        format!(
            "Content-Type: multipart/related; boundary=O\r\n\r\n--O\r\n\
             Content-Type: multipart/mixed; boundary=I\r\n\r\n{signed}\r\n--O\r\n\
             Content-Type: application/octet-stream\r\nContent-Transfer-Encoding: base64\r\n\
             Signature-Algorithm-Id: {algorithm}\r\n\
             Verification-certificate-hash: {digest}; hash-algorithm-id=\"{SHA512}\"\r\n\r\n\
             {signature}\r\n--O--\r\n"
        )
    }
}

const SHA512: &str = "http://www.w3.org/2001/04/xmlenc#sha512";

fn last() -> Timestamp {
    "2026-11-22T12:10:00Z".parse().unwrap()
}

fn listing(version: Version) -> Listing<'static> {
    let shared = ListedFile {
        identifier: SHARED_PARAMETERS,
        instance: "DEV",
        location: "/V6/1/shared-params.xml",
        content: SHARED,
    };
    let extension =
        ListedFile { identifier: "NEXTUPDATE", location: "/V6/1/nextupdate-params.xml", ..shared };
    Listing { version, expires: last(), files: vec![shared, extension] }
}

/// The part that is signed, with a file whose headers and body are `file`.
fn content(file: &str) -> String {
    format!("--I\r\nExpire-date: 2026-11-22T12:10:00Z\r\nVersion: 6\r\n--I\r\n{file}\r\n--I--\r\n")
}

/// A valid file entry, changed from `from` to `to`.
fn entry(from: &str, to: &str) -> String {
    let digest = STANDARD.encode(DigestAlgorithm::Sha512.digest(SHARED).as_bytes());
    let entry = format!(
        "Content-type: application/octet-stream\r\nContent-transfer-encoding: base64\r\n\
         Content-identifier: SHARED-PARAMETERS; instance='DEV'\r\n\
         Content-location: /V6/1/shared-params.xml\r\nHash-algorithm-id: {SHA512}\r\n\r\n{digest}"
    );
    assert!(entry.contains(from), "{from}");
    entry.replace(from, to)
}

#[track_caller]
fn refuses_entry(from: &str, to: &str, code: &str) {
    refuses_content(&content(&entry(from, to)), code);
}

#[track_caller]
fn refuses_content(signed: &str, code: &str) {
    let signer = Signer::new(KeyKind::Rsa2048);
    let error = signer.verify(&signer.sign(signed)).unwrap_err();
    assert_eq!(error.code(), format!("signed_directory.{code}"), "{error}");
}

#[track_caller]
fn refuses_changed(from: &str, to: &str, code: &str) {
    let signer = Signer::new(KeyKind::Rsa2048);
    let directory = listing(Version::V6).sign(&signer.key, &signer.certificate).unwrap();
    assert!(directory.contains(from), "{from}");
    let error = signer.verify(&directory.replacen(from, to, 1)).unwrap_err();
    assert_eq!(error.code(), format!("signed_directory.{code}"), "{error}");
}

#[test]
fn what_was_signed_verifies() {
    for kind in [KeyKind::P256, KeyKind::Rsa2048] {
        for version in Version::NEWEST_FIRST {
            let signer = Signer::new(kind);
            let directory = signer.verify(&listing(version).sign(&signer.key, &signer.certificate).unwrap());
            let directory = directory.unwrap();
            assert_eq!((directory.version(), directory.expires()), (version, last()));
            let [shared, extension] = directory.files() else { panic!("{directory:?}") };
            assert_eq!((shared.identifier(), shared.instance()), (SHARED_PARAMETERS, "DEV"));
            assert_eq!(shared.file_name(), "shared-params.xml");
            assert_eq!(extension.file_name(), "nextupdate-params.xml");
            assert!(shared.check(SHARED).is_ok());
        }
    }
}

#[test]
fn accepts_rsa_pss() {
    let signer = Signer::new(KeyKind::Rsa2048);
    let signed = content(&entry("", ""));
    let key = RsaKeyPair::from_pkcs8(&signer.key_der).unwrap();
    let mut signature = vec![0; key.public_modulus_len()];
    key.sign(&RSA_PSS_SHA512, &SystemRandom::new(), signed.as_bytes(), &mut signature).unwrap();
    let algorithm = "http://www.w3.org/2007/05/xmldsig-more#sha512-rsa-MGF1";
    assert!(signer.verify(&signer.envelope(&signed, algorithm, &STANDARD.encode(signature))).is_ok());
}

#[test]
fn without_version_it_is_the_second() {
    let signer = Signer::new(KeyKind::Rsa2048);
    let signed = content(&entry("", "")).replace("Version: 6\r\n", "");
    assert_eq!(signer.verify(&signer.sign(&signed)).unwrap().version(), Version::V2);
}

#[test]
fn refuses_every_changed_byte_of_what_is_signed() {
    let signer = Signer::new(KeyKind::P256);
    let directory = listing(Version::V6).sign(&signer.key, &signer.certificate).unwrap();
    let (start, end) = (directory.find("Expire-date").unwrap(), directory.rfind("--contentof").unwrap());
    for position in start..end {
        let mut changed = directory.clone().into_bytes();
        changed[position] ^= 1;
        let verdict = SignedDirectory::verify(&changed, std::slice::from_ref(&signer.certificate), last());
        assert!(verdict.is_err(), "byte {position}");
    }
}

#[test]
fn refuses_an_expired_directory() {
    let signer = Signer::new(KeyKind::P256);
    let mut listing = listing(Version::V6);
    listing.expires = "2026-11-22T12:09:59Z".parse().unwrap();
    let error = signer.verify(&listing.sign(&signer.key, &signer.certificate).unwrap()).unwrap_err();
    assert_eq!(error.code(), "signed_directory.expired");
}

#[test]
fn refuses_another_signer_and_another_key_of_the_same_name() {
    let (signer, other) = (Signer::new(KeyKind::P256), Signer::new(KeyKind::P256));
    let directory = listing(Version::V6).sign(&signer.key, &signer.certificate).unwrap();
    assert_eq!(other.verify(&directory).unwrap_err().code(), "signed_directory.unknown_certificate");
    let directory = listing(Version::V6).sign(&signer.key, &other.certificate).unwrap();
    assert_eq!(other.verify(&directory).unwrap_err().code(), "signed_directory.wrong_signature");
}

#[test]
fn refuses_a_verification_certificate_with_a_weak_key() {
    let signer = Signer::new(KeyKind::Rsa2048);
    let weak = VerificationCertificate(Certificate::chain_from_pem(WEAK).unwrap()[0].der().to_vec());
    let directory = listing(Version::V6).sign(&signer.key, &weak).unwrap();
    let error = SignedDirectory::verify(directory.as_bytes(), &[weak], last()).unwrap_err();
    assert_eq!(error.code(), "signed_directory.unusable_certificate");
}

#[test]
fn refuses_a_directory_larger_than_any() {
    let signer = Signer::new(KeyKind::P256);
    let error = signer.verify(&" ".repeat(DIRECTORY_BYTES_MAX + 1)).unwrap_err();
    assert_eq!(error.code(), "signed_directory.too_large");
}

#[test]
fn refuses_what_is_not_two_parts() {
    refuses_changed("multipart/related", "text/plain", "malformed");
    refuses_changed("boundary=envelopeofdirectory0", "boundary=other", "missing_signed_part");
    refuses_changed("boundary=contentofdirectory00", "boundary=contentofdirectory00--", "missing_header");
    refuses_changed("--envelopeofdirectory0--", "", "missing_signature");
    refuses_changed(
        "--envelopeofdirectory0--",
        "--envelopeofdirectory0\r\n\r\n--envelopeofdirectory0--",
        "malformed",
    );
}

#[test]
fn refuses_headers_of_the_signature_that_are_missing_or_wrong() {
    refuses_changed("Signature-Algorithm-Id", "X", "missing_header");
    refuses_changed("Verification-certificate-hash", "X", "missing_header");
    refuses_changed("; hash-algorithm-id=", "; x=", "missing_parameter");
    refuses_changed(
        "hash-algorithm-id=\"http://www.w3.org/2001/04/xmlenc#sha512",
        "hash-algorithm-id=\"http://www.w3.org/2000/09/xmldsig#sha1",
        "wrong_header",
    );
    refuses_changed("#rsa-sha512", "#ecdsa-sha512", "wrong_header");
    refuses_changed("#rsa-sha512", "#rsa-sha1", "wrong_header");
    refuses_changed("Content-Type: application/octet-stream", "Content-Type: text/plain", "wrong_header");
    refuses_changed("Content-Transfer-Encoding: base64", "Content-Transfer-Encoding: 8bit", "wrong_header");
}

#[test]
fn refuses_a_signature_that_is_not_base64() {
    refuses_changed("\r\n--envelopeofdirectory0--", "!\r\n--envelopeofdirectory0--", "signature_encoding");
}

#[test]
fn refuses_a_missing_or_wrong_date() {
    refuses_content("--I\r\nVersion: 6\r\n--I--\r\n", "missing_header");
    refuses_content("--I\r\nExpire-date: tomorrow\r\n--I--\r\n", "wrong_header");
    refuses_content("", "missing_header");
}

#[test]
fn refuses_a_version_that_is_not_known() {
    refuses_content(&content(&entry("", "")).replace("Version: 6", "Version: 7"), "wrong_header");
}

#[test]
fn refuses_entries_whose_headers_are_missing_or_wrong() {
    refuses_entry("Content-location", "X", "missing_header");
    refuses_entry("Hash-algorithm-id", "X", "missing_header");
    refuses_entry("Content-transfer-encoding: base64", "Content-transfer-encoding: 8bit", "wrong_header");
    refuses_entry("xmlenc#sha512", "xmlenc#md5", "wrong_header");
    refuses_entry("; instance='DEV'", "", "missing_parameter");
    refuses_entry("Content-location: ", "Content-location: /x\r\nContent-Location: ", "malformed");
}

#[test]
fn refuses_a_digest_of_the_wrong_length() {
    refuses_entry("==", "", "malformed");
    refuses_entry("xmlenc#sha512", "xmlenc#sha256", "malformed");
}

#[test]
fn refuses_locations_that_lead_elsewhere() {
    for location in ["http://elsewhere/x", "//elsewhere/x", "x.xml", "/a b", "/a\\b"] {
        refuses_entry("/V6/1/shared-params.xml", location, "location");
    }
}

#[test]
fn refuses_file_names_that_are_paths() {
    let other = |name: &str| entry("SHARED-PARAMETERS", "OTHER").replace("/V6/1/shared-params.xml", name);
    for location in ["/", "/V6/..", "/V6/.metadata", "/V6/%2e%2e"] {
        refuses_content(&content(&other(location)), "location");
    }
    let named = other("/x.xml").replace("Hash-algorithm-id", "Content-file-name: ../x\r\nHash-algorithm-id");
    refuses_content(&content(&named), "location");
}

#[test]
fn refuses_a_file_listed_twice() {
    let entry = entry("", "");
    refuses_content(&content(&format!("{entry}\r\n--I\r\n{entry}")), "file_twice");
}

#[test]
fn does_not_sign_names_that_would_be_read_differently() {
    let signer = Signer::new(KeyKind::P256);
    for (instance, location) in [("D'EV", "/x"), ("DEV\r\nVersion: 2", "/x"), ("DEV", "x"), ("DEV", "/x\r\n")]
    {
        let mut listing = listing(Version::V6);
        listing.files = vec![ListedFile { instance, location, ..listing.files[0] }];
        let error = listing.sign(&signer.key, &signer.certificate).unwrap_err();
        assert!(matches!(error, SignDirectoryError::Name { .. }), "{error}");
    }
}
