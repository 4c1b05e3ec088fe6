//! Keys held in memory, read from encrypted files.

use aws_lc_rs::signature::{self, EcdsaKeyPair, KeyPair as _, RsaKeyPair};
use pkcs8::{EncryptedPrivateKeyInfoRef, PrivateKeyInfoRef, SecretDocument};

use crate::certificate::Certificate;
use crate::digest::{Digest, DigestAlgorithm};
use crate::password::Password;
use crate::public_key::{EC, PublicKey, RSA, SignatureScheme};
use crate::signing_key::{KeyError, SigningKey};

/// Key files are a few kilobytes; a PKCS#12 file with a long chain is still far below this.
const KEY_FILE_BYTES_MAX: usize = 256 * 1024;

/// A private key held by this process: RSA of 2048 to 8192 bits, or P-256.
#[derive(Debug)]
pub struct SoftwareKey(KeyPair);

#[derive(Debug)]
enum KeyPair {
    Rsa(RsaKeyPair),
    EcP256(EcdsaKeyPair),
}

/// What a key file held.
#[derive(Debug)]
pub struct KeyFile {
    /// The private key.
    pub key: SoftwareKey,
    /// The key's certificate and then its issuers, for PKCS#12; empty for PKCS#8.
    pub certificates: Vec<Certificate>,
}

impl KeyFile {
    /// Reads an encrypted PKCS#8 key in PEM, or a PKCS#12 file, whichever `bytes` are.
    ///
    /// # Errors
    /// [`KeyError::NotEncrypted`] for a bare PKCS#8 key, [`KeyError::Locked`] if `password` does not fit,
    /// [`KeyError::Unsupported`] for keys that may not sign here.
    pub fn read(bytes: &[u8], password: &Password) -> Result<Self, KeyError> {
        if bytes.len() > KEY_FILE_BYTES_MAX {
            return Err(KeyError::TooLarge { bytes_max: KEY_FILE_BYTES_MAX });
        }
        // A PKCS#12 file is one DER SEQUENCE; PEM is text.
        const DER_SEQUENCE: u8 = 0x30;
        if bytes.first() == Some(&DER_SEQUENCE) {
            Self::read_pkcs12(bytes, password)
        } else {
            let key = SoftwareKey::from_encrypted_pem(bytes, password)?;
            Ok(Self { key, certificates: Vec::new() })
        }
    }

    fn read_pkcs12(bytes: &[u8], password: &Password) -> Result<Self, KeyError> {
        let password = std::str::from_utf8(password.as_bytes()).map_err(|_| KeyError::Locked)?;
        let store =
            p12_keystore::KeyStore::from_pkcs12(bytes, password, p12_keystore::Pkcs12ImportPolicy::Strict)
                .map_err(|_| KeyError::Locked)?;
        let (_, entry) = store.private_key_chain().ok_or(KeyError::NoKey)?;
        let certificates = entry
            .certs()
            .iter()
            .map(|certificate| Certificate::from_der(certificate.as_der()))
            .collect::<Result<_, _>>()
            .map_err(|_| KeyError::NoKey)?;
        Ok(Self { key: SoftwareKey::from_pkcs8(entry.key().as_der())?, certificates })
    }
}

impl SoftwareKey {
    /// Reads an encrypted PKCS#8 key in PEM.
    ///
    /// # Errors
    /// As [`KeyFile::read`].
    pub fn from_encrypted_pem(pem: &[u8], password: &Password) -> Result<Self, KeyError> {
        let text = std::str::from_utf8(pem).map_err(|_| KeyError::UnknownFormat)?;
        let (label, document) = SecretDocument::from_pem(text).map_err(|_| KeyError::UnknownFormat)?;
        match label {
            "ENCRYPTED PRIVATE KEY" => {}
            "PRIVATE KEY" | "RSA PRIVATE KEY" | "EC PRIVATE KEY" => return Err(KeyError::NotEncrypted),
            _ => return Err(KeyError::UnknownFormat),
        }
        let encrypted =
            EncryptedPrivateKeyInfoRef::try_from(document.as_bytes()).map_err(|_| KeyError::UnknownFormat)?;
        let key = encrypted.decrypt(password.as_bytes()).map_err(|_| KeyError::Locked)?;
        Self::from_pkcs8(key.as_bytes())
    }

    /// Takes a DER `PrivateKeyInfo`.
    ///
    /// # Errors
    /// [`KeyError::Unsupported`] if it is anything but RSA of 2048 to 8192 bits or P-256.
    pub fn from_pkcs8(der: &[u8]) -> Result<Self, KeyError> {
        let info = PrivateKeyInfoRef::try_from(der).map_err(|_| KeyError::Unsupported)?;
        let pair = match info.algorithm.oid {
            RSA => RsaKeyPair::from_pkcs8(der).map(KeyPair::Rsa),
            EC => EcdsaKeyPair::from_pkcs8(&signature::ECDSA_P256_SHA256_FIXED_SIGNING, der)
                .map(KeyPair::EcP256),
            _ => return Err(KeyError::Unsupported),
        };
        pair.map(Self).map_err(|_| KeyError::Unsupported)
    }

    /// Its public half, as certificates of it have it.
    pub fn public_key(&self) -> PublicKey {
        match &self.0 {
            KeyPair::Rsa(pair) => PublicKey::Rsa(pair.public_key().as_ref().to_vec()),
            KeyPair::EcP256(pair) => PublicKey::EcP256(pair.public_key().as_ref().to_vec()),
        }
    }
}

impl SigningKey for SoftwareKey {
    fn scheme(&self) -> SignatureScheme {
        match self.0 {
            KeyPair::Rsa(_) => SignatureScheme::RsaPkcs1,
            KeyPair::EcP256(_) => SignatureScheme::Ecdsa,
        }
    }

    fn sign_digest(&self, digest: &Digest) -> Result<Vec<u8>, KeyError> {
        match &self.0 {
            KeyPair::Rsa(pair) => {
                let encoding = match digest.algorithm() {
                    DigestAlgorithm::Sha256 => &signature::RSA_PKCS1_SHA256,
                    DigestAlgorithm::Sha384 => &signature::RSA_PKCS1_SHA384,
                    DigestAlgorithm::Sha512 => &signature::RSA_PKCS1_SHA512,
                };
                let digest = digest.for_signing().ok_or(KeyError::Signing)?;
                let mut signed = vec![0; pair.public_modulus_len()];
                pair.sign_digest(encoding, &digest, &mut signed).map_err(|_| KeyError::Signing)?;
                Ok(signed)
            }
            KeyPair::EcP256(pair) => {
                let digest = digest.for_curve(DigestAlgorithm::Sha256).ok_or(KeyError::Signing)?;
                let signed = pair.sign_digest(&digest).map_err(|_| KeyError::Signing)?;
                Ok(signed.as_ref().to_vec())
            }
        }
    }

    fn is_in_memory(&self) -> bool {
        true
    }
}

#[cfg(test)]
mod tests {
    use jiff::civil::date;
    use uuk_testkit::authority::{Authority, KeyKind, SigningIdentity};

    use super::*;

    const KINDS: [KeyKind; 2] = [KeyKind::P256, KeyKind::Rsa2048];

    fn identity(kind: KeyKind) -> SigningIdentity {
        Authority::new("Authority", date(2026, 11, 22)).unwrap().issue("Signer", kind).unwrap()
    }

    fn password(text: &str) -> Password {
        Password::new(text.as_bytes().to_vec())
    }

    #[test]
    fn what_is_signed_with_any_digest_verifies_with_the_certificate() {
        for kind in KINDS {
            let identity = identity(kind);
            let key = SoftwareKey::from_pkcs8(&identity.key_der()).unwrap();
            let public = Certificate::from_der(&identity.der()).unwrap().public_key().unwrap();
            assert_eq!(key.public_key(), public);
            for algorithm in [DigestAlgorithm::Sha256, DigestAlgorithm::Sha384, DigestAlgorithm::Sha512] {
                let digest = algorithm.digest(b"message");
                let signature = key.sign_digest(&digest).unwrap();
                assert!(public.verify(key.scheme(), &digest, &signature).is_ok(), "{kind:?} {algorithm}");
                let other = algorithm.digest(b"other");
                assert!(public.verify(key.scheme(), &other, &signature).is_err(), "{kind:?} {algorithm}");
            }
        }
    }

    #[test]
    fn reads_encrypted_pkcs8() {
        for kind in KINDS {
            let file = identity(kind).encrypted_key_pem("пароль").unwrap();
            let read = KeyFile::read(file.as_bytes(), &password("пароль")).unwrap();
            assert!(read.certificates.is_empty());
        }
    }

    #[test]
    fn reads_pkcs12_with_its_certificate() {
        for kind in KINDS {
            let identity = identity(kind);
            let read = KeyFile::read(&identity.pkcs12("secret").unwrap(), &password("secret")).unwrap();
            assert_eq!(read.certificates, [Certificate::from_der(&identity.der()).unwrap()]);
        }
    }

    #[test]
    fn refuses_a_wrong_password() {
        let identity = identity(KeyKind::P256);
        let files =
            [identity.encrypted_key_pem("right").unwrap().into_bytes(), identity.pkcs12("right").unwrap()];
        for file in files {
            let error = KeyFile::read(&file, &password("wrong")).unwrap_err();
            assert!(matches!(error, KeyError::Locked), "{error}");
        }
    }

    #[test]
    fn refuses_a_key_that_is_not_encrypted() {
        let file = identity(KeyKind::P256).key_pem();
        let error = KeyFile::read(file.as_bytes(), &password("")).unwrap_err();
        assert!(matches!(error, KeyError::NotEncrypted), "{error}");
    }

    #[test]
    fn refuses_a_certificate_in_the_place_of_a_key() {
        let file = identity(KeyKind::P256).pem();
        let error = KeyFile::read(file.as_bytes(), &password("")).unwrap_err();
        assert!(matches!(error, KeyError::UnknownFormat), "{error}");
    }

    #[test]
    fn refuses_something_else_than_a_key() {
        for file in [&b""[..], b"hello", b"\xff\xfe"] {
            let error = KeyFile::read(file, &password("")).unwrap_err();
            assert!(matches!(error, KeyError::UnknownFormat), "{error}");
        }
        assert!(matches!(KeyFile::read(b"\x30\x00", &password("")), Err(KeyError::Locked)));
    }

    #[test]
    fn refuses_a_file_that_is_too_large() {
        let error = KeyFile::read(&vec![0x30; KEY_FILE_BYTES_MAX + 1], &password("")).unwrap_err();
        assert!(matches!(error, KeyError::TooLarge { .. }), "{error}");
    }

    #[test]
    fn refuses_a_key_of_another_kind() {
        // `openssl genpkey -algorithm ed25519 -outform der`, with its 32 secret bytes set to zero.
        let ed25519 =
            [&b"\x30\x2e\x02\x01\x00\x30\x05\x06\x03\x2b\x65\x70\x04\x22\x04\x20"[..], &[0; 32]].concat();
        assert!(matches!(SoftwareKey::from_pkcs8(&ed25519), Err(KeyError::Unsupported)));
    }

    #[test]
    fn a_password_does_not_print() {
        assert_eq!(format!("{:?}", password("secret")), "Password(…)");
    }
}
