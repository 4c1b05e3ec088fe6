use std::time::Duration;

use der::asn1::GeneralizedTime;
use der::{Decode, Encode};
use jiff::Timestamp;
use x509_cert::ext::Extensions;
use x509_cert::spki::AlgorithmIdentifierOwned;

use super::answer::CertificateStatus;
use super::asn1::{self, CertStatus, ResponderId, ResponseStatus};
use super::request::{CertificateId, sha1};
use crate::authorities::{Authorities, CertificationAuthority};
use crate::certificate::{CHAIN_LENGTH_MAX, Certificate};
use crate::signature::{SignatureError, check_signature};

/// Larger responses are refused; those in use are below 4 KiB.
pub const OCSP_RESPONSE_BYTES_MAX: usize = 64 * 1024;

/// How far a responder's clock may be ahead.
pub const CLOCK_SKEW_MAX: Duration = Duration::from_secs(5 * 60);

/// A responder's answer, parsed and together with its exact bytes. Nothing is said about whether to believe it.
///
/// Only its first single response is looked at, as X-Road does.
#[derive(Debug, Clone)]
pub struct OcspResponse {
    der: Vec<u8>,
    certificate: CertificateId,
    status: CertificateStatus,
    this_update: Timestamp,
    next_update: Option<Timestamp>,
    responder: ResponderId,
    pub(super) certificates: Vec<Certificate>,
    signed: Vec<u8>,
    algorithm: AlgorithmIdentifierOwned,
    signature: Vec<u8>,
}

/// What an accepted answer proves: the certificate was good at `this_update`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct GoodStatus {
    /// Who says so.
    pub responder: Certificate,
    /// When the status was known to be correct.
    pub this_update: Timestamp,
    /// By when newer information is promised.
    pub next_update: Option<Timestamp>,
}

/// Why an OCSP response, or a request, is not accepted.
#[derive(Debug, thiserror::Error, strum::IntoStaticStr)]
#[strum(serialize_all = "snake_case", prefix = "ocsp.")]
#[non_exhaustive]
pub enum OcspError {
    /// More bytes than any in use has.
    #[error("the OCSP message is larger than {bytes_max} bytes")]
    TooLarge {
        /// The limit.
        bytes_max: usize,
    },
    /// Not the strict DER of RFC 6960.
    #[error("the OCSP message is malformed")]
    Malformed(#[source] der::Error),
    /// The responder refused to answer.
    #[error("the OCSP responder did not answer: {status}")]
    Unsuccessful {
        /// What it said instead.
        status: ResponseStatus,
    },
    /// Another kind of response than the basic one.
    #[error("the OCSP response is of the unknown kind {kind}")]
    Kind {
        /// Its object identifier.
        kind: String,
    },
    /// A message about no certificate.
    #[error("the OCSP message names no certificate")]
    Empty,
    /// More certificates than [`CHAIN_LENGTH_MAX`], or one that cannot be used.
    #[error("the OCSP response carries certificates that are malformed or too many")]
    Certificates,
    /// An extension that must be understood and is not.
    #[error("the OCSP response has the critical extension {oid}")]
    CriticalExtension {
        /// Its object identifier.
        oid: String,
    },
    /// The response is about another certificate.
    #[error("the OCSP response is not about the certificate of `{subject}`")]
    OtherCertificate {
        /// Whose certificate it should be about.
        subject: String,
    },
    /// The responder's certificate is neither known nor enclosed.
    #[error("no certificate is known for the responder of the OCSP response")]
    UnknownResponder,
    /// The responder may not speak for the authority.
    #[error("`{responder}` may not answer for `{issuer}`")]
    NotAuthorized {
        /// The responder.
        responder: String,
        /// The authority.
        issuer: String,
    },
    /// The signature does not verify.
    #[error("the signature of the OCSP response is not valid")]
    Signature(#[source] SignatureError),
    /// The responder's certificate was not valid at the time.
    #[error("the certificate of the OCSP responder `{responder}` is not valid at {time}")]
    ResponderNotValid {
        /// The responder.
        responder: String,
        /// When it should have been.
        time: Timestamp,
    },
    /// `thisUpdate` lies further back than the global configuration allows.
    #[error("the OCSP response of {this_update} is too old at {time}")]
    Stale {
        /// When the status was known.
        this_update: Timestamp,
        /// When it should have been fresh.
        time: Timestamp,
    },
    /// `thisUpdate` lies ahead by more than [`CLOCK_SKEW_MAX`].
    #[error("the OCSP response of {this_update} comes from the future at {time}")]
    FromTheFuture {
        /// When the status was known.
        this_update: Timestamp,
        /// The time it is ahead of.
        time: Timestamp,
    },
    /// `nextUpdate` has passed.
    #[error("newer information than the OCSP response was promised for {next_update}")]
    NextUpdatePassed {
        /// The time promised.
        next_update: Timestamp,
    },
    /// The certificate was revoked.
    #[error("the certificate of `{subject}` was revoked at {time}")]
    Revoked {
        /// Whose certificate it is.
        subject: String,
        /// Since when.
        time: Timestamp,
    },
    /// The responder does not know the certificate.
    #[error("the OCSP responder does not know the certificate of `{subject}`")]
    Unknown {
        /// Whose certificate it is.
        subject: String,
    },
}

impl OcspError {
    /// The stable code of the reason.
    pub fn code(&self) -> &'static str {
        self.into()
    }

    /// X-Road's code.
    pub fn xroad_code(&self) -> &'static str {
        match self {
            Self::Revoked { .. } | Self::Unknown { .. } => "cert_validation",
            _ => "incorrect_validation_info",
        }
    }
}

impl OcspResponse {
    /// Reads a response.
    ///
    /// # Errors
    /// The variants of [`OcspError`] from [`OcspError::TooLarge`] to [`OcspError::CriticalExtension`].
    pub fn from_der(bytes: &[u8]) -> Result<Self, OcspError> {
        if bytes.len() > OCSP_RESPONSE_BYTES_MAX {
            return Err(OcspError::TooLarge { bytes_max: OCSP_RESPONSE_BYTES_MAX });
        }
        let outer = asn1::OcspResponse::from_der(bytes).map_err(OcspError::Malformed)?;
        let (ResponseStatus::Successful, Some(inner)) = (outer.status, outer.bytes) else {
            return Err(OcspError::Unsuccessful { status: outer.status });
        };
        if inner.kind != asn1::BASIC_RESPONSE {
            return Err(OcspError::Kind { kind: inner.kind.to_string() });
        }
        let basic = asn1::BasicResponse::from_der(inner.response.as_bytes()).map_err(OcspError::Malformed)?;
        let signed = basic.data.to_der().map_err(OcspError::Malformed)?;
        let data = asn1::ResponseData::from_der(&signed).map_err(OcspError::Malformed)?;
        let first = data.responses.into_iter().next().ok_or(OcspError::Empty)?;
        refuse_critical(data.extensions)?;
        refuse_critical(first.extensions)?;

        let enclosed = basic.certificates.unwrap_or_default();
        if enclosed.len() > CHAIN_LENGTH_MAX {
            return Err(OcspError::Certificates);
        }
        let certificates = enclosed
            .iter()
            .map(|certificate| Certificate::from_der(&certificate.to_der().ok()?).ok())
            .collect::<Option<_>>()
            .ok_or(OcspError::Certificates)?;
        Ok(Self {
            der: bytes.to_vec(),
            certificate: CertificateId(first.certificate),
            status: match first.status {
                CertStatus::Good(_) => CertificateStatus::Good,
                CertStatus::Revoked(info) => CertificateStatus::Revoked { time: timestamp(info.time) },
                CertStatus::Unknown(_) => CertificateStatus::Unknown,
            },
            this_update: timestamp(first.this_update),
            next_update: first.next_update.map(timestamp),
            responder: data.responder,
            certificates,
            signed,
            algorithm: basic.algorithm,
            signature: basic.signature.as_bytes().unwrap_or_default().to_vec(),
        })
    }

    /// Its exact bytes.
    pub fn der(&self) -> &[u8] {
        &self.der
    }

    /// When the status was known to be correct, by the responder's word.
    pub fn this_update(&self) -> Timestamp {
        self.this_update
    }

    /// By when newer information is promised, by the responder's word.
    pub fn next_update(&self) -> Option<Timestamp> {
        self.next_update
    }

    /// Whether it is about `certificate` that `issuer` issued; how an answer is found among several.
    pub fn is_about(&self, certificate: &Certificate, issuer: &Certificate) -> bool {
        CertificateId::new(certificate, issuer).is_ok_and(|id| id == self.certificate)
    }

    /// Checks that it proves `certificate`, issued by `issuer`, to be good at `time`.
    ///
    /// Accepted as X-Road does, and stricter in three places: the status may not come from the future, the responder's
    /// certificate must be valid, and critical extensions are refused.
    ///
    /// # Errors
    /// The variants of [`OcspError`] from [`OcspError::OtherCertificate`] on, the first that applies.
    pub fn verify(
        &self,
        certificate: &Certificate,
        issuer: &CertificationAuthority,
        authorities: &Authorities,
        time: Timestamp,
    ) -> Result<GoodStatus, OcspError> {
        let subject = || certificate.subject().to_owned();
        if !self.is_about(certificate, &issuer.certificate) {
            return Err(OcspError::OtherCertificate { subject: subject() });
        }
        let responder = self.check_responder(issuer, time)?;
        self.check_time(authorities, time)?;
        match self.status {
            CertificateStatus::Good => Ok(GoodStatus {
                responder: responder.clone(),
                this_update: self.this_update,
                next_update: self.next_update,
            }),
            CertificateStatus::Revoked { time } => Err(OcspError::Revoked { subject: subject(), time }),
            CertificateStatus::Unknown => Err(OcspError::Unknown { subject: subject() }),
        }
    }

    /// The responder's certificate, once it is clear that it signed, may answer for `issuer`, and is valid.
    fn check_responder<'a>(
        &'a self,
        issuer: &'a CertificationAuthority,
        time: Timestamp,
    ) -> Result<&'a Certificate, OcspError> {
        let authority = &issuer.certificate;
        let known = issuer.ocsp_responders.iter().chain([authority]).chain(&self.certificates);
        let named: Vec<_> = known.filter(|certificate| self.names(certificate)).collect();
        let first = named.first().ok_or(OcspError::UnknownResponder)?;
        let mut refusal = OcspError::NotAuthorized {
            responder: first.subject().to_owned(),
            issuer: authority.subject().to_owned(),
        };
        // A responder keeps its name when it changes its key, so several certificates may have it.
        for responder in &named {
            let may_answer = issuer.ocsp_responders.contains(responder)
                || *responder == authority
                || responder.is_for_ocsp() && responder.is_issued_by(authority);
            if !may_answer {
                continue;
            }
            match check_signature(responder, &self.algorithm, &self.signed, &self.signature) {
                Ok(()) if responder.is_valid_at(time) => return Ok(responder),
                Ok(()) => {
                    refusal =
                        OcspError::ResponderNotValid { responder: responder.subject().to_owned(), time };
                }
                Err(error) => refusal = OcspError::Signature(error),
            }
        }
        Err(refusal)
    }

    fn names(&self, certificate: &Certificate) -> bool {
        match &self.responder {
            ResponderId::Name(name) => name == certificate.subject_name(),
            ResponderId::KeyHash(hash) => hash.as_bytes() == sha1(certificate.key_bits()),
        }
    }

    fn check_time(&self, authorities: &Authorities, time: Timestamp) -> Result<(), OcspError> {
        let this_update = self.this_update;
        if this_update.saturating_add(authorities.ocsp_freshness).unwrap_or(Timestamp::MAX) < time {
            return Err(OcspError::Stale { this_update, time });
        }
        if this_update > time.saturating_add(CLOCK_SKEW_MAX).unwrap_or(Timestamp::MAX) {
            return Err(OcspError::FromTheFuture { this_update, time });
        }
        match self.next_update {
            Some(next_update) if authorities.verify_next_update && next_update < time => {
                Err(OcspError::NextUpdatePassed { next_update })
            }
            _ => Ok(()),
        }
    }
}

fn refuse_critical(extensions: Option<Extensions>) -> Result<(), OcspError> {
    match extensions.into_iter().flatten().find(|extension| extension.critical) {
        Some(extension) => Err(OcspError::CriticalExtension { oid: extension.extn_id.to_string() }),
        None => Ok(()),
    }
}

/// The years 1970 to 9999 of the encoding lie within those of a timestamp.
fn timestamp(time: GeneralizedTime) -> Timestamp {
    let seconds = i64::try_from(time.to_unix_duration().as_secs()).unwrap_or(i64::MAX);
    Timestamp::from_second(seconds).unwrap_or(Timestamp::MAX)
}
