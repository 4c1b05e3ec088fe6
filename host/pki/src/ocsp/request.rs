use aws_lc_rs::digest::{SHA1_FOR_LEGACY_USE_ONLY, digest};
use der::asn1::{ObjectIdentifier, OctetString};
use der::{Decode, Encode};
use x509_cert::serial_number::SerialNumber;
use x509_cert::spki::AlgorithmIdentifierOwned;

use super::asn1;
use super::response::OcspError;
use crate::certificate::Certificate;
use crate::signature::null;

/// Larger requests are refused; those about one certificate have some hundred bytes.
pub const OCSP_REQUEST_BYTES_MAX: usize = 8 * 1024;

const SHA1: ObjectIdentifier = ObjectIdentifier::new_unwrap("1.3.14.3.2.26");

/// How OCSP names a certificate: hashes of its issuer's name and key, and its serial number.
///
/// X-Road hashes with SHA-1. No collision helps an attacker here, since both the issuer and the certificate are at hand
/// when identifiers are compared.
#[derive(Debug, Clone)]
pub struct CertificateId(pub(super) asn1::CertId);

impl CertificateId {
    /// Names `certificate` that `issuer` issued.
    ///
    /// # Errors
    /// [`OcspError::Malformed`] if their names or numbers cannot be written.
    pub fn new(certificate: &Certificate, issuer: &Certificate) -> Result<Self, OcspError> {
        let hash = |bytes: &[u8]| OctetString::new(sha1(bytes)).map_err(OcspError::Malformed);
        let issuer_name = issuer.subject_name().to_der().map_err(OcspError::Malformed)?;
        Ok(Self(asn1::CertId {
            hash_algorithm: AlgorithmIdentifierOwned { oid: SHA1, parameters: Some(null()) },
            issuer_name_hash: hash(&issuer_name)?,
            issuer_key_hash: hash(issuer.key_bits())?,
            serial_number: SerialNumber::new(certificate.serial_bytes()).map_err(OcspError::Malformed)?,
        }))
    }
}

/// Whether the parameters of the hash algorithm are NULL or absent makes no difference.
impl PartialEq for CertificateId {
    fn eq(&self, other: &Self) -> bool {
        let Self(asn1::CertId { hash_algorithm, issuer_name_hash, issuer_key_hash, serial_number }) = self;
        *issuer_name_hash == other.0.issuer_name_hash
            && *issuer_key_hash == other.0.issuer_key_hash
            && *serial_number == other.0.serial_number
            && hash_algorithm.oid == other.0.hash_algorithm.oid
    }
}

/// A request about one certificate, unsigned and without nonce, so that answers can be made ahead and cached.
#[derive(Debug, Clone, PartialEq)]
pub struct OcspRequest {
    /// Which certificate it asks about.
    pub certificate: CertificateId,
}

impl OcspRequest {
    /// The bytes to send as `application/ocsp-request`.
    ///
    /// # Errors
    /// [`OcspError::Malformed`] if it cannot be written.
    pub fn to_der(&self) -> Result<Vec<u8>, OcspError> {
        let list = vec![asn1::Request { certificate: self.certificate.0.clone(), extensions: None }];
        let request = asn1::TbsRequest { version: 0, requestor: None, list, extensions: None };
        asn1::OcspRequest { request, signature: None }.to_der().map_err(OcspError::Malformed)
    }

    /// Reads a request as a responder gets it. Of several certificates the first is taken; signature, nonce and other
    /// extensions are ignored.
    ///
    /// # Errors
    /// [`OcspError::TooLarge`], [`OcspError::Malformed`], or [`OcspError::Empty`] if it asks about nothing.
    pub fn from_der(bytes: &[u8]) -> Result<Self, OcspError> {
        if bytes.len() > OCSP_REQUEST_BYTES_MAX {
            return Err(OcspError::TooLarge { bytes_max: OCSP_REQUEST_BYTES_MAX });
        }
        let request = asn1::OcspRequest::from_der(bytes).map_err(OcspError::Malformed)?.request;
        let first = request.list.into_iter().next().ok_or(OcspError::Empty)?;
        Ok(Self { certificate: CertificateId(first.certificate) })
    }
}

pub(super) fn sha1(bytes: &[u8]) -> Vec<u8> {
    digest(&SHA1_FOR_LEGACY_USE_ONLY, bytes).as_ref().to_vec()
}
