//! X.509 certificates, as far as signatures need them.

use std::sync::OnceLock;

use der::asn1::UintRef;
use der::oid::{AssociatedOid, ObjectIdentifier};
use der::{Decode, Encode, Reader, SliceReader};
use jiff::Timestamp;
use x509_cert::ext::pkix::name::GeneralName;
use x509_cert::ext::pkix::{AuthorityInfoAccessSyntax, ExtendedKeyUsage, KeyUsage, SubjectKeyIdentifier};
use x509_cert::name::Name;

use crate::digest::{Digest, DigestAlgorithm};
use crate::public_key::{EC, P256, P384, PublicKey, RSA};
use crate::signature::check_signature;

/// Larger certificates are refused; those in use are below 4 KiB.
pub const CERTIFICATE_BYTES_MAX: usize = 16 * 1024;

/// More certificates in one PEM file are refused.
pub const CHAIN_LENGTH_MAX: usize = 10;

const CLIENT_AUTHENTICATION: ObjectIdentifier = ObjectIdentifier::new_unwrap("1.3.6.1.5.5.7.3.2");
const OCSP_SIGNING: ObjectIdentifier = ObjectIdentifier::new_unwrap("1.3.6.1.5.5.7.3.9");
const OCSP_ACCESS: ObjectIdentifier = ObjectIdentifier::new_unwrap("1.3.6.1.5.5.7.48.1");

/// A parsed certificate together with its exact bytes. Nothing is said about whether to trust it.
#[derive(Debug, Clone)]
pub struct Certificate {
    der: Vec<u8>,
    subject_name: Name,
    issuer_name: Name,
    /// Both as text, once someone wants to read them: that takes as long as all the rest.
    names: OnceLock<Names>,
    serial: String,
    serial_bytes: Vec<u8>,
    not_before: Timestamp,
    not_after: Timestamp,
    key_usage: Option<KeyUsage>,
    extended_key_usage: Vec<ObjectIdentifier>,
    public_key: x509_cert::spki::SubjectPublicKeyInfoOwned,
}

#[derive(Debug, Clone)]
struct Names {
    subject: String,
    issuer: String,
}

impl PartialEq for Certificate {
    fn eq(&self, other: &Self) -> bool {
        self.der == other.der
    }
}

impl Eq for Certificate {}

/// Why bytes are not a certificate that can be used.
#[derive(Debug, thiserror::Error, strum::IntoStaticStr)]
#[strum(serialize_all = "snake_case", prefix = "certificate.")]
#[non_exhaustive]
pub enum CertificateError {
    /// More than [`CERTIFICATE_BYTES_MAX`] bytes.
    #[error("the certificate is larger than {CERTIFICATE_BYTES_MAX} bytes")]
    TooLarge,
    /// Not one strict DER certificate.
    #[error("the certificate is malformed")]
    Malformed(#[source] der::Error),
    /// A PEM file without certificates, or with something else in it.
    #[error("the file does not hold certificates in PEM")]
    NotPem,
    /// More than [`CHAIN_LENGTH_MAX`] certificates in a file.
    #[error("the file holds more than {CHAIN_LENGTH_MAX} certificates")]
    TooMany,
    /// An RSA key below 2048 bits.
    #[error("the RSA key of `{subject}` has {bits} bits; at least 2048 are needed")]
    KeyTooShort {
        /// Whose certificate it is.
        subject: String,
        /// Length of the modulus.
        bits: usize,
    },
    /// A key that is neither RSA nor on P-256 or P-384.
    #[error("the key of `{subject}` is of a kind that is not supported")]
    KeyUnsupported {
        /// Whose certificate it is.
        subject: String,
    },
}

impl CertificateError {
    /// The stable code of the reason.
    pub fn code(&self) -> &'static str {
        self.into()
    }
}

impl Certificate {
    /// Parses exactly one DER certificate.
    ///
    /// # Errors
    /// [`CertificateError::TooLarge`] or [`CertificateError::Malformed`].
    pub fn from_der(der: &[u8]) -> Result<Self, CertificateError> {
        if der.len() > CERTIFICATE_BYTES_MAX {
            return Err(CertificateError::TooLarge);
        }
        let parsed = x509_cert::Certificate::from_der(der).map_err(CertificateError::Malformed)?;
        let certified = parsed.tbs_certificate();
        let validity = certified.validity();
        let key_usage = certified.get_extension::<KeyUsage>().map_err(CertificateError::Malformed)?;
        let extended_key_usage =
            certified.get_extension::<ExtendedKeyUsage>().map_err(CertificateError::Malformed)?;
        Ok(Self {
            der: der.to_vec(),
            subject_name: certified.subject().clone(),
            issuer_name: certified.issuer().clone(),
            names: OnceLock::new(),
            serial: decimal(certified.serial_number().as_bytes()),
            serial_bytes: certified.serial_number().as_bytes().to_vec(),
            not_before: timestamp(validity.not_before),
            not_after: timestamp(validity.not_after),
            key_usage: key_usage.map(|(_, usage)| usage),
            extended_key_usage: extended_key_usage.map_or_else(Vec::new, |(_, usage)| usage.0),
            public_key: certified.subject_public_key_info().clone(),
        })
    }

    /// Parses a PEM file of one to [`CHAIN_LENGTH_MAX`] certificates, in the file's order.
    ///
    /// # Errors
    /// As the variants of [`CertificateError`] say.
    pub fn chain_from_pem(pem: &[u8]) -> Result<Vec<Self>, CertificateError> {
        if pem.len() > 2 * CERTIFICATE_BYTES_MAX * CHAIN_LENGTH_MAX {
            return Err(CertificateError::TooLarge);
        }
        let chain = x509_cert::Certificate::load_pem_chain(pem).map_err(|_| CertificateError::NotPem)?;
        match chain.len() {
            0 => return Err(CertificateError::NotPem),
            1..=CHAIN_LENGTH_MAX => {}
            _ => return Err(CertificateError::TooMany),
        }
        chain
            .iter()
            .map(|certificate| Self::from_der(&certificate.to_der().map_err(CertificateError::Malformed)?))
            .collect()
    }

    /// Its exact bytes.
    pub fn der(&self) -> &[u8] {
        &self.der
    }

    /// The subject as an RFC 4514 string, the later form of RFC 2253: `CN=Signing key,O=Example`.
    pub fn subject(&self) -> &str {
        &self.names().subject
    }

    /// The issuer in the same form, as XAdES' IssuerSerial wants it.
    pub fn issuer(&self) -> &str {
        &self.names().issuer
    }

    fn names(&self) -> &Names {
        self.names.get_or_init(|| Names {
            subject: self.subject_name.to_string(),
            issuer: self.issuer_name.to_string(),
        })
    }

    /// The serial number in decimal.
    pub fn serial(&self) -> &str {
        &self.serial
    }

    /// The first and the last instant of validity.
    pub fn validity(&self) -> (Timestamp, Timestamp) {
        (self.not_before, self.not_after)
    }

    /// Whether `time` lies within its validity.
    pub fn is_valid_at(&self, time: Timestamp) -> bool {
        self.not_before <= time && time <= self.not_after
    }

    /// Whether its key usage names non-repudiation or digital signature. Without key usage it may not sign.
    pub fn may_sign(&self) -> bool {
        self.key_usage.is_some_and(|usage| usage.non_repudiation() || usage.digital_signature())
    }

    /// Whether X-Road takes it for signing messages: its key usage names non-repudiation.
    pub fn is_for_signing(&self) -> bool {
        self.key_usage.is_some_and(|usage| usage.non_repudiation())
    }

    /// Whether X-Road takes it for authentication: its extended key usage names client authentication, or its key
    /// usage digital signature, key encipherment or data encipherment. It may be for signing too.
    pub fn is_for_authentication(&self) -> bool {
        self.extended_key_usage.contains(&CLIENT_AUTHENTICATION)
            || self.key_usage.is_some_and(|usage| {
                usage.digital_signature() || usage.key_encipherment() || usage.data_encipherment()
            })
    }

    /// Whether `issuer` issued it: the names are the same to the byte and the signature is made with its key.
    /// Whether `issuer` may issue certificates at all, and when, is not said.
    pub fn is_issued_by(&self, issuer: &Self) -> bool {
        self.issuer_name == issuer.subject_name && self.is_signed_by(issuer)
    }

    fn is_signed_by(&self, issuer: &Self) -> bool {
        let Ok(parsed) = x509_cert::Certificate::from_der(&self.der) else { return false };
        let Ok(signed) = parsed.tbs_certificate().to_der() else { return false };
        let Some(signature) = parsed.signature().as_bytes() else { return false };
        check_signature(issuer, parsed.signature_algorithm(), &signed, signature).is_ok()
    }

    /// Whether subject and issuer are the same, as of a top authority.
    pub fn is_self_issued(&self) -> bool {
        self.subject_name == self.issuer_name
    }

    /// Where it says that its OCSP answers are to be had, in its order; empty if it says nothing.
    pub fn ocsp_urls(&self) -> Vec<String> {
        let access = self.extension::<AuthorityInfoAccessSyntax>();
        let descriptions = access.map_or_else(Vec::new, |access| access.0);
        descriptions
            .into_iter()
            .filter(|description| description.access_method == OCSP_ACCESS)
            .filter_map(|description| match description.access_location {
                GeneralName::UniformResourceIdentifier(url) => Some(url.to_string()),
                _ => None,
            })
            .collect()
    }

    pub(crate) fn is_for_ocsp(&self) -> bool {
        self.extended_key_usage.contains(&OCSP_SIGNING)
    }

    pub(crate) fn subject_name(&self) -> &Name {
        &self.subject_name
    }

    pub(crate) fn issuer_name(&self) -> &Name {
        &self.issuer_name
    }

    pub(crate) fn serial_bytes(&self) -> &[u8] {
        &self.serial_bytes
    }

    /// The bits of the public key without their algorithm, as OCSP hashes them.
    pub(crate) fn key_bits(&self) -> &[u8] {
        self.public_key.subject_public_key.raw_bytes()
    }

    pub(crate) fn subject_key_identifier(&self) -> Option<Vec<u8>> {
        self.extension::<SubjectKeyIdentifier>().map(|identifier| identifier.0.into_bytes().into_vec())
    }

    fn extension<T: for<'a> Decode<'a> + AssociatedOid>(&self) -> Option<T> {
        let parsed = x509_cert::Certificate::from_der(&self.der).ok()?;
        let (_, extension) = parsed.tbs_certificate().get_extension().ok()??;
        Some(extension)
    }

    /// The digest of its bytes.
    pub fn digest(&self, algorithm: DigestAlgorithm) -> Digest {
        algorithm.digest(&self.der)
    }

    /// The key it certifies.
    ///
    /// # Errors
    /// [`CertificateError::KeyTooShort`] for RSA below 2048 bits, [`CertificateError::KeyUnsupported`] for other
    /// kinds of key.
    pub fn public_key(&self) -> Result<PublicKey, CertificateError> {
        let unsupported = || CertificateError::KeyUnsupported { subject: self.subject().to_owned() };
        let info = &self.public_key;
        let bytes = || info.subject_public_key.as_bytes().map(<[u8]>::to_vec).ok_or_else(unsupported);
        match info.algorithm.oid {
            RSA => {
                let bits = modulus_bits(&bytes()?).map_err(CertificateError::Malformed)?;
                if bits < 2048 {
                    return Err(CertificateError::KeyTooShort { subject: self.subject().to_owned(), bits });
                }
                Ok(PublicKey::Rsa(bytes()?))
            }
            EC => {
                let curve = info
                    .algorithm
                    .parameters
                    .as_ref()
                    .and_then(|parameters| parameters.decode_as::<ObjectIdentifier>().ok());
                match curve {
                    Some(P256) => Ok(PublicKey::EcP256(bytes()?)),
                    Some(P384) => Ok(PublicKey::EcP384(bytes()?)),
                    _ => Err(unsupported()),
                }
            }
            _ => Err(unsupported()),
        }
    }
}

/// The length of the modulus of a DER `RSAPublicKey` (RFC 8017 §A.1.1).
fn modulus_bits(key: &[u8]) -> Result<usize, der::Error> {
    let mut reader = SliceReader::new(key)?;
    let bits = reader.sequence(|fields| {
        let modulus = UintRef::decode(fields)?;
        let _exponent = UintRef::decode(fields)?;
        let leading = modulus.as_bytes().first().map_or(0, |byte| byte.leading_zeros() as usize);
        Ok::<_, der::Error>(8 * modulus.as_bytes().len() - leading)
    })?;
    reader.finish()?;
    Ok(bits)
}

/// The decimal digits of a big-endian number of at most 21 bytes.
fn decimal(bytes: &[u8]) -> String {
    let mut digits = vec![0u8];
    for byte in bytes {
        let mut carry = u16::from(*byte);
        for digit in &mut digits {
            let value = u16::from(*digit) * 256 + carry;
            *digit = (value % 10) as u8;
            carry = value / 10;
        }
        while carry > 0 {
            digits.push((carry % 10) as u8);
            carry /= 10;
        }
    }
    digits.iter().rev().map(|digit| char::from(b'0' + digit)).collect()
}

/// X.509 times lie between the years 1950 and 9999, which a timestamp holds.
fn timestamp(time: x509_cert::time::Time) -> Timestamp {
    let seconds = i64::try_from(time.to_unix_duration().as_secs()).unwrap_or(i64::MAX);
    Timestamp::from_second(seconds).unwrap_or(Timestamp::MAX)
}

#[cfg(test)]
mod tests {
    use jiff::civil::date;
    use uuk_testkit::authority::{Authority, KeyKind};

    use super::*;

    const SHORT_RSA: &[u8] = include_bytes!("../../../tests/fixtures/keys/rsa-1024.crt");
    const P521: &[u8] = include_bytes!("../../../tests/fixtures/keys/p521.crt");

    fn pem(pem: &[u8]) -> Certificate {
        Certificate::chain_from_pem(pem).unwrap().remove(0)
    }

    #[test]
    fn names_subject_issuer_and_validity() {
        let authority = Authority::new("Authority", date(2026, 11, 22)).unwrap();
        let certificate =
            Certificate::from_der(&authority.issue("Signer", KeyKind::P256).unwrap().der()).unwrap();
        assert_eq!(certificate.subject(), "O=Test\\, Inc.,CN=Signer");
        assert_eq!(certificate.issuer(), "O=Test\\, Inc.,CN=Authority");
        let (first, last) = certificate.validity();
        assert_eq!(
            (first.to_string(), last.to_string()),
            ("2026-11-21T00:00:00Z".into(), "2027-11-22T00:00:00Z".into())
        );
        assert!(certificate.may_sign());
    }

    #[test]
    fn writes_serial_numbers_in_decimal() {
        assert_eq!(decimal(&[0]), "0");
        assert_eq!(decimal(&[0x01, 0x00]), "256");
        // `python3 -c "print(0x5bdf50e55525a2ab)"`: the serial of a certificate in X-Road's fixtures.
        assert_eq!(decimal(&[0x5b, 0xdf, 0x50, 0xe5, 0x55, 0x25, 0xa2, 0xab]), "6620098923164181163");
    }

    #[test]
    fn refuses_rsa_below_2048_bits() {
        let error = pem(SHORT_RSA).public_key().unwrap_err();
        assert!(matches!(error, CertificateError::KeyTooShort { bits: 1024, .. }), "{error}");
    }

    #[test]
    fn refuses_other_curves() {
        let error = pem(P521).public_key().unwrap_err();
        assert!(matches!(error, CertificateError::KeyUnsupported { .. }), "{error}");
    }

    #[test]
    fn refuses_bytes_that_are_no_certificate() {
        assert!(matches!(Certificate::from_der(b""), Err(CertificateError::Malformed(_))));
        let mut trailing = pem(P521).der().to_vec();
        trailing.push(0);
        assert!(matches!(Certificate::from_der(&trailing), Err(CertificateError::Malformed(_))));
    }

    #[test]
    fn refuses_what_is_too_large() {
        let large = vec![0x30; CERTIFICATE_BYTES_MAX + 1];
        assert!(matches!(Certificate::from_der(&large), Err(CertificateError::TooLarge)));
    }

    #[test]
    fn refuses_files_without_certificates() {
        assert!(matches!(Certificate::chain_from_pem(b"hello"), Err(CertificateError::NotPem)));
        assert!(matches!(Certificate::chain_from_pem(b""), Err(CertificateError::NotPem)));
    }

    #[test]
    fn refuses_too_many_certificates() {
        let many = P521.repeat(CHAIN_LENGTH_MAX + 1);
        assert!(matches!(Certificate::chain_from_pem(&many), Err(CertificateError::TooMany)));
    }
}
