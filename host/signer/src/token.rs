//! What is known of a token: its keys and their certificates.

use std::fmt;
use std::fs::{DirBuilder, File};
use std::io::{ErrorKind, Read};
use std::os::unix::fs::DirBuilderExt;
use std::path::Path;
use std::str::FromStr;

use aws_lc_rs::rand;
use base64::Engine;
use base64::engine::general_purpose::STANDARD as BASE64;
use jiff::Timestamp;
use serde::{Deserialize, Deserializer, Serialize, Serializer, de};
use uuk_identifiers::MemberId;
use uuk_pki::{Certificate, CertificateUse, PublicKey, Sha256};
use uuk_process::write_whole;

use crate::error::TokenError;

/// Name of the file in a token's folder.
const RECORD: &str = "token.json";
/// A token with hundreds of certificates is still far below this.
const RECORD_BYTES_MAX: u64 = 16 << 20;
const KEY_ID_BYTES: usize = 20;

/// The keys of a token, in the order in which they were made.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct TokenRecord {
    /// The keys.
    pub(crate) keys: Vec<KeyRecord>,
}

/// A key and its certificates.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct KeyRecord {
    /// The name of its file, or its `CKA_ID` in a device.
    pub(crate) id: KeyId,
    /// For people.
    pub(crate) label: String,
    /// What it is for.
    #[serde(with = "UseName")]
    pub(crate) usage: CertificateUse,
    /// What it is.
    pub(crate) algorithm: KeyAlgorithm,
    /// Its public half, as [`PublicKey`] has it, in base64.
    #[serde(with = "base64_text")]
    pub(crate) public_key: Vec<u8>,
    /// Its certificates, in the order in which they came.
    pub(crate) certificates: Vec<CertificateRecord>,
}

/// A certificate of a key.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct CertificateRecord {
    /// The certificate, DER in base64.
    #[serde(with = "certificate_text")]
    pub(crate) certificate: Certificate,
    /// Whom it names, if it is for signing.
    pub(crate) member: Option<MemberId>,
    /// How far its registration is.
    pub(crate) status: CertificateStatus,
    /// Since when the operator lets it be used: of several that may be, the one activated last is.
    pub(crate) active_since: Option<Timestamp>,
}

/// How far the registration of a certificate is.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, strum::Display)]
#[serde(rename_all = "snake_case")]
pub enum CertificateStatus {
    /// It is here, and nobody was told.
    #[strum(serialize = "saved")]
    Saved,
    /// The central server was asked to register it.
    #[strum(serialize = "registration in progress")]
    RegistrationInProgress,
    /// It counts.
    #[strum(serialize = "registered")]
    Registered,
    /// The central server was asked to forget it.
    #[strum(serialize = "deletion in progress")]
    DeletionInProgress,
    /// It was registered, and the global configuration no longer has it.
    #[strum(serialize = "global error")]
    GlobalError,
}

/// What a key is.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, strum::Display, strum::EnumString)]
pub enum KeyAlgorithm {
    /// ECDSA on P-256.
    #[serde(rename = "p256")]
    #[strum(serialize = "p256")]
    EcP256,
    /// RSA with 2048 bits.
    #[serde(rename = "rsa2048")]
    #[strum(serialize = "rsa2048")]
    Rsa2048,
    /// RSA with 3072 bits.
    #[serde(rename = "rsa3072")]
    #[strum(serialize = "rsa3072")]
    Rsa3072,
    /// RSA with 4096 bits.
    #[serde(rename = "rsa4096")]
    #[strum(serialize = "rsa4096")]
    Rsa4096,
}

/// Names a key: 40 hexadecimal digits in upper case, as X-Road's servers write it.
#[derive(Debug, Clone, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct KeyId(String);

impl KeyAlgorithm {
    /// The length of the modulus, if it is RSA.
    pub(crate) fn rsa_bits(self) -> Option<u32> {
        match self {
            Self::EcP256 => None,
            Self::Rsa2048 => Some(2048),
            Self::Rsa3072 => Some(3072),
            Self::Rsa4096 => Some(4096),
        }
    }
}

impl TokenRecord {
    /// Reads what is known of the token in `folder`; nothing, if it is new.
    pub(crate) fn load(folder: &Path) -> Result<Self, TokenError> {
        let path = folder.join(RECORD);
        let failed = |source| TokenError::Read { path: path.clone(), source };
        let file = match File::open(&path) {
            Ok(file) => file,
            Err(error) if error.kind() == ErrorKind::NotFound => return Ok(Self::default()),
            Err(error) => return Err(failed(error)),
        };
        let mut bytes = Vec::new();
        file.take(RECORD_BYTES_MAX).read_to_end(&mut bytes).map_err(failed)?;
        serde_json::from_slice(&bytes).map_err(|source| TokenError::Damaged { path, source })
    }

    pub(crate) fn save(&self, folder: &Path) -> Result<(), TokenError> {
        let path = folder.join(RECORD);
        let written = serde_json::to_vec_pretty(self).map_err(std::io::Error::other);
        written
            .and_then(|bytes| write_whole(&path, &bytes))
            .map_err(|source| TokenError::Write { path, source })
    }

    pub(crate) fn key_mut(&mut self, id: &KeyId) -> Option<&mut KeyRecord> {
        self.keys.iter_mut().find(|key| key.id == *id)
    }

    pub(crate) fn certificates_mut(&mut self) -> impl Iterator<Item = &mut CertificateRecord> {
        self.keys.iter_mut().flat_map(|key| &mut key.certificates)
    }
}

impl KeyRecord {
    pub(crate) fn new(
        id: KeyId,
        label: String,
        usage: CertificateUse,
        algorithm: KeyAlgorithm,
        public_key: &PublicKey,
    ) -> Self {
        let (PublicKey::Rsa(bytes) | PublicKey::EcP256(bytes) | PublicKey::EcP384(bytes)) = public_key;
        Self { id, label, usage, algorithm, public_key: bytes.clone(), certificates: Vec::new() }
    }

    /// The public key, in the form that certificates are compared with.
    pub(crate) fn public(&self) -> PublicKey {
        match self.algorithm {
            KeyAlgorithm::EcP256 => PublicKey::EcP256(self.public_key.clone()),
            _ => PublicKey::Rsa(self.public_key.clone()),
        }
    }
}

impl CertificateRecord {
    /// What orders name it by.
    pub(crate) fn fingerprint(&self) -> Sha256 {
        Sha256::of(self.certificate.der())
    }
}

impl KeyId {
    pub(crate) fn random() -> Result<Self, TokenError> {
        let mut bytes = [0; KEY_ID_BYTES];
        rand::fill(&mut bytes).map_err(|_| TokenError::NoRandomness)?;
        Ok(Self(hex::encode_upper(bytes)))
    }

    /// That of a key in a device, whoever made it and however long its `CKA_ID` is.
    pub(crate) fn of_device(id: &[u8]) -> Self {
        Self(hex::encode_upper(id))
    }

    /// The bytes of `CKA_ID`.
    pub(crate) fn bytes(&self) -> Vec<u8> {
        hex::decode(&self.0).unwrap_or_default()
    }
}

impl fmt::Display for KeyId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

/// The text is not the name of a key.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("a key is named by 40 hexadecimal digits")]
pub struct MalformedKeyId;

impl FromStr for KeyId {
    type Err = MalformedKeyId;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        let mut bytes = [0; KEY_ID_BYTES];
        hex::decode_to_slice(text, &mut bytes).map_err(|_| MalformedKeyId)?;
        Ok(Self(hex::encode_upper(bytes)))
    }
}

impl Serialize for KeyId {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_str(self)
    }
}

impl<'de> Deserialize<'de> for KeyId {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        String::deserialize(deserializer)?.parse().map_err(de::Error::custom)
    }
}

/// How files and orders spell what a key is for.
#[derive(Serialize, Deserialize)]
#[serde(remote = "CertificateUse", rename_all = "lowercase")]
pub(crate) enum UseName {
    Authentication,
    Signing,
}

pub(crate) mod base64_text {
    use super::*;

    pub(crate) fn serialize<S: Serializer>(bytes: &[u8], serializer: S) -> Result<S::Ok, S::Error> {
        serializer.serialize_str(&BASE64.encode(bytes))
    }

    pub(crate) fn deserialize<'de, D: Deserializer<'de>>(deserializer: D) -> Result<Vec<u8>, D::Error> {
        BASE64.decode(String::deserialize(deserializer)?).map_err(de::Error::custom)
    }
}

mod certificate_text {
    use super::*;

    pub(super) fn serialize<S: Serializer>(
        certificate: &Certificate,
        serializer: S,
    ) -> Result<S::Ok, S::Error> {
        base64_text::serialize(certificate.der(), serializer)
    }

    pub(super) fn deserialize<'de, D: Deserializer<'de>>(deserializer: D) -> Result<Certificate, D::Error> {
        Certificate::from_der(&base64_text::deserialize(deserializer)?).map_err(de::Error::custom)
    }
}

/// Makes a folder that only its owner can open.
pub(crate) fn make_folder(path: &Path) -> Result<(), TokenError> {
    let made = DirBuilder::new().recursive(true).mode(0o700).create(path);
    made.map_err(|source| TokenError::Write { path: path.to_owned(), source })
}
