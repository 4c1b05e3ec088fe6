use std::path::PathBuf;
use std::sync::Arc;

use jiff::Timestamp;
use uuk_asic::SignError;
use uuk_identifiers::MemberId;
use uuk_pki::{CertificateError, KeyError, PathError, ProfileError, RequestError};

use crate::token::{CertificateStatus, KeyId};

/// Why a message was not signed.
#[derive(Debug, Clone, thiserror::Error, strum::IntoStaticStr)]
#[strum(serialize_all = "snake_case", prefix = "signer.")]
#[non_exhaustive]
pub enum SignerError {
    /// The member has no signing certificate here.
    #[error("no signing certificate of `{member}` is in the tokens of this server")]
    NoCertificate {
        /// Who was to sign.
        member: MemberId,
    },
    /// The member has certificates, and none may be used now.
    #[error("no signing certificate of `{member}` can be used")]
    NoUsableCertificate {
        /// Who was to sign.
        member: MemberId,
        /// What is wrong with the first.
        #[source]
        reason: Arc<Unusable>,
    },
    /// Too many messages wait for the key.
    #[error("too many messages wait for the signing key")]
    Busy,
    /// The signature took longer than it may.
    #[error("the signing key did not answer in time")]
    Slow,
    /// The server is stopping.
    #[error("the signer has stopped")]
    Stopped,
    /// The key refused, or what it made is no signature.
    #[error("the message cannot be signed")]
    Signature(#[source] Arc<SignError>),
}

impl SignerError {
    /// The stable code of the reason: of what is wrong with the certificate, if that is it.
    pub fn code(&self) -> &'static str {
        match self {
            Self::NoUsableCertificate { reason, .. } => reason.code(),
            other => other.into(),
        }
    }

    /// What X-Road 7.8 calls it.
    pub fn xroad_code(&self) -> &'static str {
        match self {
            Self::NoCertificate { .. } => "signer.unknown_member",
            Self::Signature(_) => "signer.cannot_sign",
            _ => "signer.internal_error",
        }
    }
}

/// Why a certificate is not used.
#[derive(Debug, thiserror::Error, strum::IntoStaticStr)]
#[strum(serialize_all = "snake_case", prefix = "signer.")]
#[non_exhaustive]
pub enum Unusable {
    /// The operator has not activated it.
    #[error("it is not active")]
    Inactive,
    /// It is not registered.
    #[error("it is not registered, but {status}")]
    NotRegistered {
        /// What it is instead.
        status: CertificateStatus,
    },
    /// The global configuration does not say that it belongs to this server.
    #[error("the global configuration does not name it for this server")]
    NotThisServer,
    /// There is no global configuration yet.
    #[error("there is no global configuration")]
    NoGlobalConfiguration,
    /// It was good, and nothing newer is known.
    #[error("it was known to be good until {until}")]
    Lapsed {
        /// The last instant.
        until: Timestamp,
    },
    /// It leads to no approved authority, is past its time, revoked, or without a fresh OCSP answer.
    #[error(transparent)]
    Path(#[from] PathError),
    /// Its key cannot be used now.
    #[error(transparent)]
    Token(#[from] TokenError),
}

impl Unusable {
    /// The stable code of the reason: that of path or token, if it is theirs.
    pub fn code(&self) -> &'static str {
        match self {
            Self::Path(error) => error.code(),
            Self::Token(error) => error.code(),
            other => other.into(),
        }
    }
}

/// Why a token cannot be read or used.
#[derive(Debug, thiserror::Error, strum::IntoStaticStr)]
#[strum(serialize_all = "snake_case", prefix = "token.")]
#[non_exhaustive]
pub enum TokenError {
    /// A file of a token, or of a PIN, cannot be read.
    #[error("cannot read {}", path.display())]
    Read {
        /// The file.
        path: PathBuf,
        /// Why.
        #[source]
        source: std::io::Error,
    },
    /// A file of a token cannot be written.
    #[error("cannot write {}", path.display())]
    Write {
        /// The file.
        path: PathBuf,
        /// Why.
        #[source]
        source: std::io::Error,
    },
    /// What is known of a token is not readable.
    #[error("{} is damaged", path.display())]
    Damaged {
        /// The file.
        path: PathBuf,
        /// Where.
        #[source]
        source: serde_json::Error,
    },
    /// Another server uses the tokens.
    #[error("another server uses the keys in {}", folder.display())]
    InUse {
        /// The folder of the tokens.
        folder: PathBuf,
    },
    /// The file of a PIN does not hold one.
    #[error("there is no PIN in the first line of {}", path.display())]
    NoPin {
        /// The file.
        path: PathBuf,
    },
    /// The PIN does not open the token.
    #[error("the PIN does not open the token `{token}`")]
    WrongPin {
        /// The token.
        token: String,
    },
    /// The PIN of a file does not open the token. A device is not given it again, also after a restart.
    #[error("the PIN in {} does not open the token `{token}`, and is not tried again", path.display())]
    PinFileRefused {
        /// The token.
        token: String,
        /// The file.
        path: PathBuf,
    },
    /// The device says that one more wrong PIN blocks it, and nobody is there to answer for the one in the file.
    #[error("one more wrong PIN blocks the token `{token}`, so that the one in {} is not tried", path.display())]
    LastTry {
        /// The token.
        token: String,
        /// The file.
        path: PathBuf,
    },
    /// The device has blocked itself.
    #[error("the token `{token}` has blocked itself after too many wrong PINs")]
    Blocked {
        /// The token.
        token: String,
    },
    /// Nobody has opened the token.
    #[error("the token `{token}` is locked")]
    Locked {
        /// The token.
        token: String,
    },
    /// The key is known, and not in the token.
    #[error("the key {key} is missing or damaged in the token `{token}`")]
    KeyMissing {
        /// The key.
        key: KeyId,
        /// The token.
        token: String,
    },
    /// The device has no key of the certificate.
    #[error("the token `{token}` has no key for the certificate of `{subject}`")]
    NoKey {
        /// The token.
        token: String,
        /// Whose certificate it is.
        subject: String,
    },
    /// The system has no random numbers.
    #[error("the system gives no random numbers")]
    NoRandomness,
    /// No key could be made.
    #[error("the key cannot be generated or encrypted")]
    Generation,
    /// The module cannot be loaded, has no such token, or the device refuses.
    #[error("the token `{token}` cannot be reached")]
    Device {
        /// The token.
        token: String,
        /// What the module said.
        #[source]
        source: Box<cryptoki::error::Error>,
    },
    /// The threads of a token cannot be started.
    #[error("cannot start the threads of the token `{token}`")]
    Threads {
        /// The token.
        token: String,
        /// Why.
        #[source]
        source: std::io::Error,
    },
    /// The module has no token with the label.
    #[error("no token is labelled `{label}`, or several are")]
    NoDevice {
        /// The label.
        label: String,
    },
}

impl TokenError {
    /// The stable code of the reason.
    pub fn code(&self) -> &'static str {
        self.into()
    }

    /// Whether only the device is missing, which may come back.
    pub(crate) fn is_absence(&self) -> bool {
        matches!(self, Self::Device { .. } | Self::NoDevice { .. })
    }
}

/// Why an order about keys was refused.
#[derive(Debug, thiserror::Error, strum::IntoStaticStr)]
#[strum(serialize_all = "snake_case", prefix = "keys.")]
#[non_exhaustive]
pub enum OrderError {
    /// No token has the name.
    #[error("there is no token `{token}`")]
    UnknownToken {
        /// The name.
        token: String,
    },
    /// No token has the key.
    #[error("there is no key {key}")]
    UnknownKey {
        /// The key.
        key: KeyId,
    },
    /// No key has the certificate.
    #[error("there is no such certificate")]
    UnknownCertificate,
    /// Keys for authentication live in software only.
    #[error("the token `{token}` is a device; keys for authentication are kept in software")]
    AuthenticationInDevice {
        /// The token.
        token: String,
    },
    /// There is no global configuration yet.
    #[error("there is no global configuration yet")]
    NoGlobalConfiguration,
    /// No approved authority has the name, or a name is needed.
    #[error("name one of the approved authorities: {}", known.join(", "))]
    Authority {
        /// Their names.
        known: Vec<String>,
    },
    /// A request for a signing certificate needs a member.
    #[error("a signing certificate is for a member")]
    MemberMissing,
    /// The global configuration does not know the member.
    #[error("the global configuration has no member `{member}`")]
    UnknownMember {
        /// Who was named.
        member: MemberId,
    },
    /// The certificate cannot be read.
    #[error("the certificate cannot be read")]
    Certificate(#[from] CertificateError),
    /// No key of a token belongs to the certificate.
    #[error("no key in the tokens belongs to the certificate of `{subject}`")]
    NoKey {
        /// Whose certificate it is.
        subject: String,
    },
    /// The certificate is there already.
    #[error("the certificate of `{subject}` is there already")]
    AlreadyThere {
        /// Whose certificate it is.
        subject: String,
    },
    /// The certificate leads to no approved authority, or is not for what its key is.
    #[error("the certificate is not accepted")]
    NotAccepted(#[source] PathError),
    /// The profile of the authority does not fit.
    #[error(transparent)]
    Profile(#[from] ProfileError),
    /// No request could be made.
    #[error(transparent)]
    Request(#[from] RequestError),
    /// The key did not sign.
    #[error("the key did not sign")]
    Key(#[source] KeyError),
    /// What is in use is not deleted.
    #[error("the certificate of `{subject}` is active; deactivate it first")]
    Active {
        /// Whose certificate it is.
        subject: String,
    },
    /// The token refuses.
    #[error(transparent)]
    Token(#[from] TokenError),
    /// The server is stopping.
    #[error("the signer has stopped")]
    Stopped,
}

impl OrderError {
    /// The stable code of the reason: that of profile, request, path or token, if it is theirs.
    pub fn code(&self) -> &'static str {
        match self {
            Self::Certificate(error) => error.code(),
            Self::NotAccepted(error) => error.code(),
            Self::Profile(error) => error.code(),
            Self::Request(error) => error.code(),
            Self::Key(error) => error.code(),
            Self::Token(error) => error.code(),
            other => other.into(),
        }
    }
}
