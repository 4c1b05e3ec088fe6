use std::time::Duration;

use der::asn1::{BitString, GeneralizedTime, Null, OctetString};
use der::{Any, Decode, Encode};
use jiff::Timestamp;

use super::asn1::{self, CertStatus, ResponderId, ResponseStatus, RevokedInfo};
use super::request::CertificateId;
use super::response::OcspError;
use crate::certificate::Certificate;
use crate::digest::DigestAlgorithm;
use crate::signature::sign;
use crate::signing_key::{KeyError, SigningKey};

/// What a responder says of a certificate.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum CertificateStatus {
    /// Not revoked.
    Good,
    /// Revoked, for good or for now.
    Revoked {
        /// Since when.
        time: Timestamp,
    },
    /// The responder does not know the certificate.
    Unknown,
}

/// What a responder says before it signs.
#[derive(Debug, Clone)]
pub struct OcspAnswer {
    /// About which certificate.
    pub certificate: CertificateId,
    /// What of it.
    pub status: CertificateStatus,
    /// When that was known to be correct. Fractions of a second are cut off.
    pub this_update: Timestamp,
    /// By when newer information will be there.
    pub next_update: Option<Timestamp>,
}

/// Why an answer could not be made.
#[derive(Debug, thiserror::Error)]
pub enum AnswerError {
    /// The key did not sign.
    #[error(transparent)]
    Key(#[from] KeyError),
    /// A time or name that the encoding does not hold.
    #[error("the answer cannot be encoded")]
    Encoding(#[from] der::Error),
}

impl OcspAnswer {
    /// Signs the answer with the responder's key, and encloses its certificate.
    ///
    /// # Errors
    /// [`AnswerError`].
    pub fn sign(&self, responder: &Certificate, key: &dyn SigningKey) -> Result<Vec<u8>, AnswerError> {
        let response = asn1::SingleResponse {
            certificate: self.certificate.0.clone(),
            status: match self.status {
                CertificateStatus::Good => CertStatus::Good(Null),
                CertificateStatus::Revoked { time } => {
                    CertStatus::Revoked(RevokedInfo { time: generalized_time(time)?, reason: None })
                }
                CertificateStatus::Unknown => CertStatus::Unknown(Null),
            },
            this_update: generalized_time(self.this_update)?,
            next_update: self.next_update.map(generalized_time).transpose()?,
            extensions: None,
        };
        let data = asn1::ResponseData {
            version: 0,
            responder: ResponderId::Name(responder.subject_name().clone()),
            produced_at: generalized_time(self.this_update)?,
            responses: vec![response],
            extensions: None,
        }
        .to_der()?;
        let (algorithm, signature) = sign(key, DigestAlgorithm::Sha256, &data)?;
        let basic = asn1::BasicResponse {
            data: Any::from_der(&data)?,
            algorithm,
            signature: BitString::from_bytes(&signature)?,
            certificates: Some(vec![Any::from_der(responder.der())?]),
        };
        let bytes =
            asn1::ResponseBytes { kind: asn1::BASIC_RESPONSE, response: OctetString::new(basic.to_der()?)? };
        Ok(asn1::OcspResponse { status: ResponseStatus::Successful, bytes: Some(bytes) }.to_der()?)
    }
}

impl ResponseStatus {
    /// The response that gives no answer but says why, unsigned.
    ///
    /// # Errors
    /// [`OcspError::Malformed`] if it cannot be written.
    pub fn refusal(self) -> Result<Vec<u8>, OcspError> {
        asn1::OcspResponse { status: self, bytes: None }.to_der().map_err(OcspError::Malformed)
    }
}

fn generalized_time(time: Timestamp) -> Result<GeneralizedTime, der::Error> {
    let seconds = u64::try_from(time.as_second()).unwrap_or(0);
    GeneralizedTime::from_unix_duration(Duration::from_secs(seconds))
}
