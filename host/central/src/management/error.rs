use uuk_identifiers::{ClientId, MemberId};
use uuk_message::{ManagementRequestError, RelatedError};
use uuk_pki::{CertificateError, OcspError, PathError, ProfileError, WrongSignature};

use crate::central::CentralError;
use crate::registry::Refusal;

/// Why a management request is refused; nothing has changed.
#[derive(Debug, thiserror::Error, strum::IntoStaticStr)]
#[strum(serialize_all = "snake_case", prefix = "management.")]
#[non_exhaustive]
pub enum ManagementError {
    /// It is no message that carries SOAP, or not in bounds.
    #[error("the request is refused")]
    Message(#[from] RelatedError),
    /// It came later than anyone waits, or broke off.
    #[error("the request cannot be read")]
    Unreadable(#[from] uuk_transport::BodyError),
    /// It is for someone else.
    #[error("`{service}` is not answered here")]
    WrongService {
        /// The code of the service that its header names.
        service: String,
    },
    /// No request of X-Road's is called so, or not at this door.
    #[error("no such request is taken here")]
    UnknownService,
    /// Something in its body is missing or wrong.
    #[error("`{what}` in the body of the request is missing or wrong")]
    Body {
        /// What.
        what: &'static str,
    },
    /// Only the owner of a server speaks for it.
    #[error("`{client}` does not own the security server that the request is about")]
    NotOwner {
        /// Who its header names.
        client: ClientId,
    },
    /// A signature or certificate that must come with it.
    #[error("the request has {found} parts beside the SOAP message instead of {expected}")]
    Parts {
        /// How many there are.
        found: usize,
        /// How many there should be.
        expected: usize,
    },
    /// A signature is of no algorithm that is accepted.
    #[error("a signature of the request is of no accepted algorithm")]
    Algorithm,
    /// A signature is not made with the key that it should be.
    #[error("the signature with the {whose} does not hold")]
    Signature {
        /// Of which key.
        whose: &'static str,
        /// Why.
        #[source]
        source: WrongSignature,
    },
    /// Something that should be a certificate.
    #[error("a certificate of the request cannot be used")]
    Certificate(#[from] CertificateError),
    /// The certificate that signed, or that is to be registered, leads to no approved authority.
    #[error("a certificate of the request is not accepted")]
    CertificatePath(#[from] PathError),
    /// Whether the certificate that signed is good.
    #[error("the certificate that signed is not known to be good")]
    Ocsp(#[from] OcspError),
    /// The certificate that signed names nobody.
    #[error("the certificate that signed names no member")]
    Profile(#[from] ProfileError),
    /// Another member has signed than the one that must.
    #[error("`{signer}` has signed instead of `{expected}`")]
    OtherSigner {
        /// Who has.
        signer: Box<MemberId>,
        /// Who must.
        expected: Box<MemberId>,
    },
    /// Beside the message is another certificate than in it.
    #[error("the certificate beside the message is not the one in it")]
    OtherCertificate,
    /// It asks for what may not be.
    #[error("the request is refused")]
    Refused(#[from] Refusal),
    /// The registry cannot be read or changed.
    #[error("the request cannot be looked at now")]
    Central(#[source] CentralError),
}

impl ManagementError {
    /// The stable code of the reason.
    pub fn code(&self) -> &'static str {
        match self {
            Self::Message(error) => error.code(),
            Self::Unreadable(error) => error.code(),
            Self::Certificate(error) => error.code(),
            Self::CertificatePath(error) => error.code(),
            Self::Ocsp(error) => error.code(),
            Self::Profile(error) => error.code(),
            Self::Refused(refusal) => refusal.code(),
            Self::Central(error) => error.code(),
            other => other.into(),
        }
    }

    /// X-Road's code.
    pub fn xroad_code(&self) -> &'static str {
        match self {
            Self::Message(error) => error.xroad_code(),
            Self::WrongService { .. } | Self::UnknownService => "unknown_service",
            Self::Signature { .. } | Self::Algorithm => "invalid_signature_value",
            Self::Certificate(_) => "incorrect_certificate",
            Self::OtherSigner { .. } | Self::OtherCertificate | Self::Profile(_) => "incorrect_certificate",
            Self::CertificatePath(error) => error.xroad_code(),
            Self::Ocsp(error) => error.xroad_code(),
            Self::NotOwner { .. } => "invalid_client_identifier",
            Self::Central(_) => "internal_error",
            Self::Body { .. } | Self::Parts { .. } | Self::Refused(_) | Self::Unreadable(_) => {
                "invalid_request"
            }
        }
    }
}

impl From<CentralError> for ManagementError {
    fn from(error: CentralError) -> Self {
        match error {
            CentralError::Refused(refusal) => Self::Refused(refusal),
            other => Self::Central(other),
        }
    }
}

impl From<ManagementRequestError> for ManagementError {
    fn from(error: ManagementRequestError) -> Self {
        match error {
            ManagementRequestError::Body { what } => Self::Body { what },
            ManagementRequestError::Certificate(error) => Self::Certificate(error),
            _ => Self::UnknownService,
        }
    }
}
