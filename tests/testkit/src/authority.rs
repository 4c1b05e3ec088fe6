//! A certification authority for signing certificates, and the keys they belong to.

use anyhow::{Result, anyhow};
use jiff::Span;
use jiff::civil::Date;
use p12_keystore::{Certificate, KeyStore, KeyStoreEntry, PrivateKey, PrivateKeyChain};
use pkcs8::PrivateKeyInfoRef;
use pkcs8::der::pem::LineEnding;
use pkcs8::pkcs5::pbes2::Parameters;
use rcgen::{
    BasicConstraints, CertificateParams, CertifiedIssuer, CustomExtension, DnType, ExtendedKeyUsagePurpose,
    IsCa, KeyPair, KeyUsagePurpose, PKCS_RSA_SHA256, date_time_ymd,
};

const RSA_2048: &str = include_str!("../../fixtures/keys/rsa-2048.pem");

/// An authority that issues signing certificates, valid from the day before its `today` to a year after.
#[derive(Debug)]
pub struct Authority {
    issuer: CertifiedIssuer<'static, KeyPair>,
    today: Date,
}

/// What a key is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum KeyKind {
    /// ECDSA on P-256, a new key each time.
    P256,
    /// RSA with 2048 bits, always the same key.
    Rsa2048,
}

/// A private key with its certificate.
#[derive(Debug)]
pub struct SigningIdentity {
    key: KeyPair,
    certificate: rcgen::Certificate,
}

impl Authority {
    /// An authority that signs with its own certificate.
    pub fn new(name: &str, today: Date) -> Result<Self> {
        let issuer = CertifiedIssuer::self_signed(authority(name, today)?, KeyPair::generate()?)?;
        Ok(Self { issuer, today })
    }

    /// An authority below this one.
    pub fn intermediate(&self, name: &str) -> Result<Self> {
        let params = authority(name, self.today)?;
        let issuer = CertifiedIssuer::signed_by(params, KeyPair::generate()?, &self.issuer)?;
        Ok(Self { issuer, today: self.today })
    }

    /// One that issues certificates although its own, from this one, is not an authority's.
    pub fn pretender(&self, name: &str) -> Result<Self> {
        let params = named(name, self.today)?;
        let issuer = CertifiedIssuer::signed_by(params, KeyPair::generate()?, &self.issuer)?;
        Ok(Self { issuer, today: self.today })
    }

    /// Its certificate, DER.
    pub fn der(&self) -> Vec<u8> {
        self.issuer.der().to_vec()
    }

    /// Its certificate, PEM.
    pub fn pem(&self) -> String {
        self.issuer.pem()
    }

    /// A signing certificate for a new person or body, with key usage non-repudiation.
    pub fn issue(&self, name: &str, kind: KeyKind) -> Result<SigningIdentity> {
        self.issue_for(name, kind, &[KeyUsagePurpose::ContentCommitment])
    }

    /// A certificate that is not for signing.
    pub fn issue_for_encryption(&self, name: &str) -> Result<SigningIdentity> {
        self.issue_for(name, KeyKind::P256, &[KeyUsagePurpose::KeyEncipherment])
    }

    /// A certificate for a responder that answers in this authority's place.
    pub fn issue_for_ocsp(&self, name: &str, kind: KeyKind) -> Result<SigningIdentity> {
        self.issue_with(name, kind, |params| {
            params.key_usages = vec![KeyUsagePurpose::DigitalSignature];
            params.extended_key_usages = vec![ExtendedKeyUsagePurpose::OcspSigning];
        })
    }

    /// A certificate for a time-stamping authority. RFC 3161 wants its purpose critical and alone.
    pub fn issue_for_time_stamping(&self, name: &str, kind: KeyKind) -> Result<SigningIdentity> {
        // SEQUENCE { OBJECT IDENTIFIER id-kp-timeStamping }
        const PURPOSE: [u8; 12] = [0x30, 0x0a, 0x06, 0x08, 0x2b, 0x06, 0x01, 0x05, 0x05, 0x07, 0x03, 0x08];
        self.issue_with(name, kind, |params| {
            params.key_usages = vec![KeyUsagePurpose::ContentCommitment];
            let mut purpose = CustomExtension::from_oid_content(&[2, 5, 29, 37], PURPOSE.to_vec());
            purpose.set_criticality(true);
            params.custom_extensions = vec![purpose];
        })
    }

    /// The authority's own certificate and key, for what it signs itself.
    pub fn identity(&self) -> Result<SigningIdentity> {
        let key = KeyPair::try_from(self.issuer.key().serialize_der())?;
        Ok(SigningIdentity { key, certificate: self.issuer.as_ref().clone() })
    }

    /// Certifies the key of `request` under the name that it gives, for the authority's own period.
    #[cfg(feature = "network")]
    pub(crate) fn certify(&self, mut request: rcgen::CertificateSigningRequestParams) -> Result<Vec<u8>> {
        set_validity(&mut request.params, self.today)?;
        Ok(request.signed_by(&self.issuer)?.der().to_vec())
    }

    fn issue_for(&self, name: &str, kind: KeyKind, usages: &[KeyUsagePurpose]) -> Result<SigningIdentity> {
        self.issue_with(name, kind, |params| params.key_usages = usages.to_vec())
    }

    fn issue_with(
        &self,
        name: &str,
        kind: KeyKind,
        adapt: impl FnOnce(&mut CertificateParams),
    ) -> Result<SigningIdentity> {
        let key = match kind {
            KeyKind::P256 => KeyPair::generate()?,
            KeyKind::Rsa2048 => KeyPair::from_pkcs8_pem_and_sign_algo(RSA_2048, &PKCS_RSA_SHA256)?,
        };
        let mut params = named(name, self.today)?;
        params.is_ca = IsCa::ExplicitNoCa;
        adapt(&mut params);
        let certificate = params.signed_by(&key, &self.issuer)?;
        Ok(SigningIdentity { key, certificate })
    }
}

impl SigningIdentity {
    /// The certificate, DER.
    pub fn der(&self) -> Vec<u8> {
        self.certificate.der().to_vec()
    }

    /// The certificate, PEM.
    pub fn pem(&self) -> String {
        self.certificate.pem()
    }

    /// The private key, unencrypted PKCS#8 DER.
    pub fn key_der(&self) -> Vec<u8> {
        self.key.serialize_der()
    }

    /// The private key, unencrypted PKCS#8 PEM.
    pub fn key_pem(&self) -> String {
        self.key.serialize_pem()
    }

    /// The private key, encrypted PKCS#8 PEM.
    pub fn encrypted_key_pem(&self, password: &str) -> Result<String> {
        let der = self.key_der();
        let info = PrivateKeyInfoRef::try_from(der.as_slice()).map_err(|error| anyhow!("{error}"))?;
        // Few rounds and a fixed salt: these keys protect nothing, and tests should be quick.
        let scheme = Parameters::generate_pbkdf2_sha256_aes256cbc(1000, b"salt for tests", [7; 16])
            .map_err(|error| anyhow!("{error}"))?;
        let encrypted = info.encrypt_with_params(scheme, password).map_err(|error| anyhow!("{error}"))?;
        Ok(encrypted.to_pem("ENCRYPTED PRIVATE KEY", LineEnding::LF)?.to_string())
    }

    /// Key and certificate, PKCS#12.
    pub fn pkcs12(&self, password: &str) -> Result<Vec<u8>> {
        let key = PrivateKey::from_der(&self.key_der())?;
        let certificate = Certificate::from_der(&self.der())?;
        let mut store = KeyStore::new();
        let chain = PrivateKeyChain::new("1", key, [certificate]);
        store.add_entry("1", KeyStoreEntry::PrivateKeyChain(chain));
        Ok(store.writer(password).write()?)
    }
}

fn authority(name: &str, today: Date) -> Result<CertificateParams> {
    let mut params = named(name, today)?;
    params.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
    params.key_usages = vec![KeyUsagePurpose::KeyCertSign];
    Ok(params)
}

fn named(name: &str, today: Date) -> Result<CertificateParams> {
    let mut params = CertificateParams::default();
    params.distinguished_name.push(DnType::CommonName, name);
    params.distinguished_name.push(DnType::OrganizationName, "Test, Inc.");
    set_validity(&mut params, today)?;
    Ok(params)
}

fn set_validity(params: &mut CertificateParams, today: Date) -> Result<()> {
    let midnight = |date: Date| -> Result<_> {
        Ok(date_time_ymd(date.year().into(), u8::try_from(date.month())?, u8::try_from(date.day())?))
    };
    params.not_before = midnight(today.yesterday()?)?;
    params.not_after = midnight(today.saturating_add(Span::new().years(1)))?;
    Ok(())
}
