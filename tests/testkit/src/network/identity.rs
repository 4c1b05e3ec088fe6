//! A key with the certificates that say whose it is.

use std::fs;
use std::path::Path;

use anyhow::{Result, anyhow};
use der::pem::LineEnding;
use jiff::civil::Date;
use rcgen::{KeyPair, PKCS_RSA_SHA256};
pub use uuk_pki::CertificateUse as Use;
use uuk_pki::{Certificate, PublicKey, SoftwareKey};

use crate::authority::{Authority, KeyKind, SigningIdentity};

/// A private key, its certificate, and the authorities between that and the top one.
#[derive(Debug, Clone)]
pub struct Identity {
    key_der: Vec<u8>,
    certificate: Certificate,
    intermediates: Vec<Certificate>,
}

impl Identity {
    pub(super) fn new(key_der: Vec<u8>, certificate: Certificate, intermediates: Vec<Certificate>) -> Self {
        Self { key_der, certificate, intermediates }
    }

    /// A new key that vouches for itself.
    pub(super) fn self_signed(name: &str, today: Date) -> Result<Self> {
        Self::try_from(Authority::new(name, today)?.identity()?)
    }

    /// The certificate.
    pub fn certificate(&self) -> &Certificate {
        &self.certificate
    }

    /// The authorities between the certificate and the top one, the nearest first.
    pub fn intermediates(&self) -> &[Certificate] {
        &self.intermediates
    }

    /// The private key, PKCS#8 DER.
    pub fn key_der(&self) -> &[u8] {
        &self.key_der
    }

    /// The private key, ready to sign.
    pub fn signing_key(&self) -> Result<SoftwareKey> {
        Ok(SoftwareKey::from_pkcs8(&self.key_der)?)
    }

    /// Writes `NAME.key`, PKCS#8 in PEM and not encrypted, and `NAME.pem`, the certificate and its intermediates.
    pub fn write(&self, folder: &Path, name: &str) -> Result<()> {
        fs::write(folder.join(format!("{name}.key")), pem("PRIVATE KEY", &self.key_der)?)?;
        let chain = std::iter::once(&self.certificate).chain(&self.intermediates);
        let chain: String = chain.map(certificate_pem).collect::<Result<_>>()?;
        fs::write(folder.join(format!("{name}.pem")), chain)?;
        Ok(())
    }
}

impl TryFrom<SigningIdentity> for Identity {
    type Error = anyhow::Error;

    fn try_from(identity: SigningIdentity) -> Result<Self> {
        Ok(Self::new(identity.key_der(), Certificate::from_der(&identity.der())?, Vec::new()))
    }
}

/// A new key: its PKCS#8 DER and its public half.
pub(super) fn new_key(kind: KeyKind) -> Result<(Vec<u8>, PublicKey)> {
    let pair = match kind {
        KeyKind::P256 => KeyPair::generate()?,
        KeyKind::Rsa2048 => KeyPair::generate_for(&PKCS_RSA_SHA256)?,
    };
    let public = pair.public_key_raw().to_vec();
    let public = match kind {
        KeyKind::P256 => PublicKey::EcP256(public),
        KeyKind::Rsa2048 => PublicKey::Rsa(public),
    };
    Ok((pair.serialize_der(), public))
}

/// A certificate in PEM.
pub fn certificate_pem(certificate: &Certificate) -> Result<String> {
    pem("CERTIFICATE", certificate.der())
}

fn pem(label: &str, der: &[u8]) -> Result<String> {
    der::pem::encode_string(label, LineEnding::LF, der).map_err(|error| anyhow!("{error}"))
}
