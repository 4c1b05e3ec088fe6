use std::fmt;

use crate::{Certificate, CertificateError, Sha256};
use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use serde::{Deserialize, Deserializer, Serialize, Serializer};

/// A certificate's bytes, DER; in base64 where it is text.
#[derive(Clone, PartialEq, Eq, PartialOrd, Ord)]
pub struct Der(Vec<u8>);

impl Der {
    /// The bytes of exactly one certificate.
    ///
    /// # Errors
    /// If they are not such.
    pub fn new(bytes: &[u8]) -> Result<Self, CertificateError> {
        Certificate::from_der(bytes).map(Self::from)
    }

    /// Its bytes.
    pub fn as_bytes(&self) -> &[u8] {
        &self.0
    }

    /// The digest by which it is named.
    pub fn sha256(&self) -> Sha256 {
        Sha256::of(&self.0)
    }

    /// The certificate.
    ///
    /// # Errors
    /// If a database gave it back changed.
    pub fn certificate(&self) -> Result<Certificate, CertificateError> {
        Certificate::from_der(&self.0)
    }
}

impl From<Certificate> for Der {
    fn from(certificate: Certificate) -> Self {
        Self(certificate.der().to_vec())
    }
}

impl fmt::Debug for Der {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Der({})", self.sha256())
    }
}

impl Serialize for Der {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.serialize_str(&STANDARD.encode(&self.0))
    }
}

impl<'de> Deserialize<'de> for Der {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let text = String::deserialize(deserializer)?;
        STANDARD.decode(text).map(Self).map_err(serde::de::Error::custom)
    }
}
