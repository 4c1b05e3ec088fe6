//! X.509 certificates, as far as signatures need them.

use der::asn1::UintRef;
use der::oid::ObjectIdentifier;
use der::{Decode, Encode, Reader, SliceReader};
use jiff::Timestamp;
use x509_cert::ext::pkix::KeyUsage;

use crate::digest::{Digest, DigestAlgorithm};
use crate::public_key::PublicKey;

/// Larger certificates are refused; those in use are below 4 KiB.
pub const CERTIFICATE_BYTES_MAX: usize = 16 * 1024;

/// More certificates in one PEM file are refused.
pub const CHAIN_LENGTH_MAX: usize = 10;

const RSA: ObjectIdentifier = ObjectIdentifier::new_unwrap("1.2.840.113549.1.1.1");
const EC: ObjectIdentifier = ObjectIdentifier::new_unwrap("1.2.840.10045.2.1");
const P256: ObjectIdentifier = ObjectIdentifier::new_unwrap("1.2.840.10045.3.1.7");
const P384: ObjectIdentifier = ObjectIdentifier::new_unwrap("1.3.132.0.34");

/// A parsed certificate together with its exact bytes. Nothing is said about whether to trust it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Certificate {
    der: Vec<u8>,
    subject: String,
    issuer: String,
    serial: String,
    not_before: Timestamp,
    not_after: Timestamp,
    may_sign: bool,
    public_key: x509_cert::spki::SubjectPublicKeyInfoOwned,
}

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
        let key_usage = certified
            .get_extension::<KeyUsage>()
            .map_err(CertificateError::Malformed)?
            .map(|(_, usage)| usage);
        Ok(Self {
            der: der.to_vec(),
            subject: certified.subject().to_string(),
            issuer: certified.issuer().to_string(),
            serial: decimal(certified.serial_number().as_bytes()),
            not_before: timestamp(validity.not_before),
            not_after: timestamp(validity.not_after),
            may_sign: key_usage.is_some_and(|usage| usage.non_repudiation() || usage.digital_signature()),
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
        &self.subject
    }

    /// The issuer in the same form, as XAdES' IssuerSerial wants it.
    pub fn issuer(&self) -> &str {
        &self.issuer
    }

    /// The serial number in decimal.
    pub fn serial(&self) -> &str {
        &self.serial
    }

    /// The first and the last instant of validity.
    pub fn validity(&self) -> (Timestamp, Timestamp) {
        (self.not_before, self.not_after)
    }

    /// Whether its key usage names non-repudiation or digital signature. Without key usage it may not sign.
    pub fn may_sign(&self) -> bool {
        self.may_sign
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
        let unsupported = || CertificateError::KeyUnsupported { subject: self.subject.clone() };
        let info = &self.public_key;
        let bytes = || info.subject_public_key.as_bytes().map(<[u8]>::to_vec).ok_or_else(unsupported);
        match info.algorithm.oid {
            RSA => {
                let bits = modulus_bits(&bytes()?).map_err(CertificateError::Malformed)?;
                if bits < 2048 {
                    return Err(CertificateError::KeyTooShort { subject: self.subject.clone(), bits });
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
