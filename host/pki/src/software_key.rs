//! Keys held in memory, read from encrypted files.

use aws_lc_rs::signature::{self, EcdsaKeyPair, RsaKeyPair};
use der::oid::ObjectIdentifier;
use pkcs8::{EncryptedPrivateKeyInfoRef, PrivateKeyInfoRef, SecretDocument};

use crate::certificate::Certificate;
use crate::digest::{Digest, DigestAlgorithm};
use crate::password::Password;
use crate::public_key::SignatureScheme;
use crate::signing_key::{KeyError, SigningKey};

/// Key files are a few kilobytes; a PKCS#12 file with a long chain is still far below this.
const KEY_FILE_BYTES_MAX: usize = 256 * 1024;

const RSA: ObjectIdentifier = ObjectIdentifier::new_unwrap("1.2.840.113549.1.1.1");
const EC: ObjectIdentifier = ObjectIdentifier::new_unwrap("1.2.840.10045.2.1");

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
}
