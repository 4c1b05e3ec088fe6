use der::asn1::{Int, OctetString};
use der::{Decode, Encode};

use super::asn1::{MessageImprint, TimeStampReq};
use super::token::TimeStampError;
use crate::digest::Digest;
use crate::signature::{digest_algorithm, digest_identifier};

/// Larger requests are refused; those in use have about a hundred bytes.
pub const TIME_STAMP_REQUEST_BYTES_MAX: usize = 4 * 1024;

/// A request to stamp a digest. X-Road asks without nonce, policy or certificate.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct TimeStampRequest {
    /// The digest of what is stamped.
    pub imprint: Digest,
    /// A number that the token repeats.
    pub(super) nonce: Option<Int>,
}

impl TimeStampRequest {
    /// Asks to stamp `imprint`.
    pub fn new(imprint: Digest) -> Self {
        Self { imprint, nonce: None }
    }

    /// The bytes to send as `application/timestamp-query`.
    ///
    /// # Errors
    /// [`TimeStampError::Malformed`] if it cannot be written.
    pub fn to_der(&self) -> Result<Vec<u8>, TimeStampError> {
        let request = TimeStampReq {
            version: 1,
            imprint: message_imprint(&self.imprint)?,
            policy: None,
            nonce: self.nonce.clone(),
            certificate_wanted: false,
            extensions: None,
        };
        Ok(request.to_der()?)
    }

    /// Reads a request as an authority gets it. Policy and extensions are ignored.
    ///
    /// # Errors
    /// [`TimeStampError::TooLarge`], [`TimeStampError::Malformed`] or [`TimeStampError::Digest`].
    pub fn from_der(bytes: &[u8]) -> Result<Self, TimeStampError> {
        if bytes.len() > TIME_STAMP_REQUEST_BYTES_MAX {
            return Err(TimeStampError::TooLarge { bytes_max: TIME_STAMP_REQUEST_BYTES_MAX });
        }
        let request = TimeStampReq::from_der(bytes)?;
        Ok(Self { imprint: digest(&request.imprint)?, nonce: request.nonce })
    }
}

pub(super) fn message_imprint(digest: &Digest) -> Result<MessageImprint, der::Error> {
    let algorithm = digest_identifier(digest.algorithm());
    Ok(MessageImprint { algorithm, digest: OctetString::new(digest.as_bytes())? })
}

pub(super) fn digest(imprint: &MessageImprint) -> Result<Digest, TimeStampError> {
    let digest = digest_algorithm(&imprint.algorithm)
        .and_then(|algorithm| Digest::new(algorithm, imprint.digest.as_bytes().to_vec()));
    digest.ok_or_else(|| TimeStampError::Digest { oid: imprint.algorithm.oid.to_string() })
}
