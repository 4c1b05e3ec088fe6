//! Certificates: whom they name, whom they lead to, whether they are good, and keys behind a trait.
//!
//! Pure: bytes, passwords and the time come in as arguments. It knows nothing of containers, bundles or messages, nor
//! where [`Authorities`] come from, and where a key lives only as far as [`SigningKey`] says.
//!
//! Start with [`SigningKey`] to make signatures. Whether a certificate may have made one is decided by
//! [`Authorities::path`] and the status it then asks for where a global configuration governs, and by [`Anchors`] where
//! an operator lists what to trust. [`OcspResponse`] and [`TimeStampToken`] are the evidence kept with a signature.

#![warn(missing_docs)]

mod algorithm_uri;
mod authorities;
mod certificate;
mod certificate_bytes;
mod chain;
mod digest;
mod ocsp;
mod password;
mod path;
mod profile;
mod public_key;
#[cfg(test)]
mod sample;
mod sha256;
mod signature;
mod signing_key;
mod software_key;
mod timestamp;

pub use authorities::{Authorities, CertificationAuthority};
pub use certificate::{CERTIFICATE_BYTES_MAX, CHAIN_LENGTH_MAX, Certificate, CertificateError};
pub use certificate_bytes::Der;
pub use chain::{Anchors, ChainError, TrustedBy};
pub use digest::{Digest, DigestAlgorithm, RunningDigest};
pub use ocsp::{
    AnswerError, CLOCK_SKEW_MAX, CertificateId, CertificateStatus, GoodStatus, OCSP_REQUEST_BYTES_MAX,
    OCSP_RESPONSE_BYTES_MAX, OcspAnswer, OcspError, OcspRequest, OcspResponse, ResponseStatus,
};
pub use password::Password;
pub use path::{CertificatePath, PathError, PathStep};
pub use profile::{
    Applicant, CertificateProfile, CertificateProfiles, CertificateUse, ProfileError, RequestError,
    RequestedSubject,
};
pub use public_key::{PublicKey, SignatureAlgorithm, SignatureScheme, WrongSignature};
pub use sha256::{MalformedSha256, Sha256};
pub use signature::{SignatureError, sign_der};
pub use signing_key::{KeyError, SigningKey};
pub use software_key::{KeyFile, SoftwareKey};
pub use timestamp::{
    TIME_STAMP_REQUEST_BYTES_MAX, TIME_STAMP_TOKEN_BYTES_MAX, TimeStamp, TimeStampError, TimeStampRequest,
    TimeStampToken, TimeStamper,
};
