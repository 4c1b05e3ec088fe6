//! Nothing that a stranger sends verifies; and whatever a signer signed, reading it ends with a short error or with
//! files whose names are no paths.
//!
//! Seeds: `tests/fuzz/seeds/signed_directory`, the first a whole directory, the others signed parts.

#![no_main]

use std::sync::LazyLock;

use jiff::Timestamp;
use libfuzzer_sys::fuzz_target;
use rcgen::{CertificateParams, KeyPair};
use uuk_globalconf::{ListedFile, Listing, SignedDirectory, VerificationCertificate, Version};
use uuk_pki::{DigestAlgorithm, SigningKey, SoftwareKey};

const KEY: &str = include_str!("../../fixtures/keys/rsa-2048.pem");
const ERROR_BYTES_MAX: usize = 1024;

struct Signer {
    key: SoftwareKey,
    certificates: [VerificationCertificate; 1],
    /// A directory of this signer, up to the signed part; from it to the signature; and the end.
    envelope: [String; 3],
}

static SIGNER: LazyLock<Signer> = LazyLock::new(|| {
    let pair = KeyPair::from_pem(KEY).unwrap();
    let key = SoftwareKey::from_pkcs8(&pair.serialize_der()).unwrap();
    let certificate = CertificateParams::default().self_signed(&pair).unwrap();
    let certificate = VerificationCertificate(certificate.der().to_vec());
    let files: Vec<ListedFile<'_>> = vec![];
    let directory =
        Listing { version: Version::V6, expires: Timestamp::MAX, files }.sign(&key, &certificate).unwrap();
    let (head, rest) = directory.split_at(directory.find("--contentof").unwrap());
    let (_, rest) = rest.split_at(rest.find("\r\n--envelope").unwrap());
    let (middle, rest) = rest.split_at(rest.find("\r\n\r\n").unwrap() + 4);
    let (_, tail) = rest.split_at(rest.find("\r\n").unwrap());
    let envelope = [head, middle, tail].map(str::to_owned);
    Signer { key, certificates: [certificate], envelope }
});

fuzz_target!(|bytes: &[u8]| {
    if let Ok(directory) = verify(bytes) {
        panic!("{directory:?} was never signed");
    }
    let signature = base64(&SIGNER.key.sign_digest(&DigestAlgorithm::Sha512.digest(bytes)).unwrap());
    let [head, middle, tail] = SIGNER.envelope.each_ref().map(|text| text.as_bytes());
    let directory = [head, bytes, middle, signature.as_bytes(), tail];
    if let Ok(directory) = verify(&directory.concat()) {
        assert!(directory.files().iter().all(|file| !file.file_name().contains(['/', '\\'])));
    }
});

fn verify(directory: &[u8]) -> Result<SignedDirectory, ()> {
    SignedDirectory::verify(directory, &SIGNER.certificates, Timestamp::UNIX_EPOCH)
        .map_err(|error| assert!(error.to_string().len() <= ERROR_BYTES_MAX, "{}", error.code()))
}

fn base64(bytes: &[u8]) -> String {
    use base64::Engine;
    base64::engine::general_purpose::STANDARD.encode(bytes)
}
