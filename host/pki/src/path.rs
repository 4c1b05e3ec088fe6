//! The path from a certificate to the approved authorities of a global configuration.

use jiff::Timestamp;

use crate::authorities::{Authorities, CertificationAuthority};
use crate::certificate::{CHAIN_LENGTH_MAX, Certificate};
use crate::chain::find_path;
use crate::ocsp::{GoodStatus, OcspError, OcspResponse};
use crate::profile::CertificateUse;

/// A certificate and the approved authorities above it, valid at a time and for a use; made by [`Authorities::path`].
/// Revocation is not looked at until [`CertificatePath::verify_status`].
#[derive(Debug, Clone)]
pub struct CertificatePath<'a> {
    time: Timestamp,
    steps: Vec<PathStep<'a>>,
}

/// A certificate of a path with the authority that issued it.
#[derive(Debug, Clone, Copy)]
pub struct PathStep<'a> {
    /// The certificate.
    pub certificate: &'a Certificate,
    /// Who issued it.
    pub issuer: &'a CertificationAuthority,
}

/// Why a certificate does not lead to an approved authority, or no longer.
#[derive(Debug, thiserror::Error, strum::IntoStaticStr)]
#[strum(serialize_all = "snake_case", prefix = "certificate_path.")]
#[non_exhaustive]
pub enum PathError {
    /// The certificate is not for signing messages.
    #[error("the certificate of `{subject}` is not for signing: its key usage lacks non-repudiation")]
    NotForSigning {
        /// Whose certificate it is.
        subject: String,
    },
    /// The certificate is not for authentication.
    #[error("the certificate of `{subject}` is not for authentication")]
    NotForAuthentication {
        /// Whose certificate it is.
        subject: String,
    },
    /// The issuer is not among the approved authorities.
    #[error(
        "`{issuer}`, which issued the certificate of `{subject}`, is not an approved certification authority"
    )]
    NotApproved {
        /// Whose certificate it is.
        subject: String,
        /// Who issued it.
        issuer: String,
    },
    /// The issuer is approved for authentication certificates only.
    #[error("`{issuer}`, which issued the certificate of `{subject}`, is approved for authentication only")]
    AuthenticationOnly {
        /// Whose certificate it is.
        subject: String,
        /// Who issued it.
        issuer: String,
    },
    /// Before the validity of a certificate of the path.
    #[error("the certificate of `{subject}` is valid only from {not_before}")]
    NotYetValid {
        /// Whose certificate it is.
        subject: String,
        /// Its first instant.
        not_before: Timestamp,
    },
    /// After the validity of a certificate of the path.
    #[error("the certificate of `{subject}` expired at {not_after}")]
    Expired {
        /// Whose certificate it is.
        subject: String,
        /// Its last instant.
        not_after: Timestamp,
    },
    /// More approved authorities above each other than [`CHAIN_LENGTH_MAX`].
    #[error("the path of the certificate of `{subject}` is longer than {CHAIN_LENGTH_MAX}")]
    TooLong {
        /// Whose certificate it is.
        subject: String,
    },
    /// A signature of the path is made with MD5, SHA-1 or another algorithm that is not accepted.
    #[error(
        "the path of the certificate of `{subject}` rests on a signature algorithm that is too weak or unknown"
    )]
    WeakSignature {
        /// Whose certificate it is.
        subject: String,
    },
    /// A signature or constraint of the path does not hold.
    #[error("the path of the certificate of `{subject}` does not hold")]
    Broken {
        /// Whose certificate it is.
        subject: String,
        /// What does not hold.
        #[source]
        source: webpki::Error,
    },
    /// No OCSP response is about a certificate of the path.
    #[error("there is no OCSP response for the certificate of `{subject}`")]
    StatusMissing {
        /// Whose certificate it is.
        subject: String,
    },
    /// The OCSP response for a certificate of the path is not accepted.
    #[error("the OCSP response for the certificate of `{subject}` does not show that it is good")]
    Status {
        /// Whose certificate it is.
        subject: String,
        /// Why not.
        #[source]
        source: OcspError,
    },
}

impl PathError {
    /// The stable code of the reason: of the OCSP response's, if that is it.
    pub fn code(&self) -> &'static str {
        match self {
            Self::Status { source, .. } => source.code(),
            other => other.into(),
        }
    }

    /// X-Road's code. For the certificate of a TLS peer `ssl_authentication_failed.` goes before it.
    pub fn xroad_code(&self) -> &'static str {
        match self {
            Self::NotForSigning { .. } => "malformed_signature",
            Self::NotForAuthentication { .. } => "ssl_authentication_failed",
            Self::StatusMissing { .. } => "invalid_cert_path.cert_validation",
            Self::Status { source: OcspError::Revoked { .. } | OcspError::Unknown { .. }, .. } => {
                "invalid_cert_path.cert_validation"
            }
            Self::Status { .. } => "invalid_cert_path.incorrect_validation_info",
            _ => "cannot_create_cert_path",
        }
    }
}

impl Authorities {
    /// The approved authority that issued `certificate`.
    ///
    /// If several have the issuer's name, as after a change of key, it is the one whose key made the signature.
    ///
    /// # Errors
    /// [`PathError::NotApproved`].
    pub fn issuer(&self, certificate: &Certificate) -> Result<&CertificationAuthority, PathError> {
        let named: Vec<_> =
            self.certification.iter().filter(|authority| is_named(certificate, authority)).collect();
        let issuer = match named.as_slice() {
            [only] => Some(only),
            several => several.iter().find(|authority| certificate.is_issued_by(&authority.certificate)),
        };
        issuer.copied().ok_or_else(|| PathError::NotApproved {
            subject: certificate.subject().to_owned(),
            issuer: certificate.issuer().to_owned(),
        })
    }

    /// Checks that `certificate` is for `usage` and leads at `time` to an approved authority.
    ///
    /// Every issuer on the way must itself be approved: certificates that a message carries along make nobody trusted,
    /// which is what X-Road comes to as well, since it finds no OCSP responder for others. Stricter than X-Road: the
    /// topmost authority must be valid too, authorities for authentication only issue no signing certificates, SHA-1
    /// is refused, and names must be equal to the byte.
    ///
    /// # Errors
    /// The first of the variants of [`PathError`] that applies, up to [`PathError::Broken`].
    ///
    /// # Source
    /// RFC 5280 §6, by rustls-webpki.
    pub fn path<'a>(
        &'a self,
        certificate: &'a Certificate,
        usage: CertificateUse,
        time: Timestamp,
    ) -> Result<CertificatePath<'a>, PathError> {
        let subject = || certificate.subject().to_owned();
        match usage {
            CertificateUse::Signing if !certificate.is_for_signing() => {
                return Err(PathError::NotForSigning { subject: subject() });
            }
            CertificateUse::Authentication if !certificate.is_for_authentication() => {
                return Err(PathError::NotForAuthentication { subject: subject() });
            }
            _ => {}
        }
        let issuer = self.issuer(certificate)?;
        if issuer.authentication_only && usage == CertificateUse::Signing {
            let issuer = issuer.certificate.subject().to_owned();
            return Err(PathError::AuthenticationOnly { subject: subject(), issuer });
        }

        let mut steps = vec![PathStep { certificate, issuer }];
        let mut top = issuer;
        while let Some(above) = self.above(top) {
            if steps.len() == CHAIN_LENGTH_MAX {
                return Err(PathError::TooLong { subject: subject() });
            }
            steps.push(PathStep { certificate: &top.certificate, issuer: above });
            top = above;
        }
        for certificate in steps.iter().map(|step| step.certificate).chain([&top.certificate]) {
            check_validity(certificate, time)?;
        }
        let intermediates: Vec<_> = steps.iter().skip(1).map(|step| step.certificate).collect();
        find_path(certificate, &intermediates, std::slice::from_ref(&top.certificate), time)
            .map_err(|source| broken(subject(), source))?;
        Ok(CertificatePath { time, steps })
    }

    /// The approved authority above one, `None` for a topmost one.
    fn above(&self, authority: &CertificationAuthority) -> Option<&CertificationAuthority> {
        let certificate = &authority.certificate;
        if certificate.is_self_issued() { None } else { self.issuer(certificate).ok() }
    }
}

impl<'a> CertificatePath<'a> {
    /// The certificates and who issued them, from the one asked about up to below the topmost authority.
    pub fn steps(&self) -> &[PathStep<'a>] {
        &self.steps
    }

    /// Checks that for every certificate of the path one of `responses` shows that it is good at the path's time, and
    /// returns what they say, in the order of [`CertificatePath::steps`].
    ///
    /// # Errors
    /// [`PathError::StatusMissing`] or [`PathError::Status`].
    pub fn verify_status(
        &self,
        responses: &[OcspResponse],
        authorities: &Authorities,
    ) -> Result<Vec<GoodStatus>, PathError> {
        let status = |PathStep { certificate, issuer }: &PathStep<'_>| {
            let subject = || certificate.subject().to_owned();
            let response = responses
                .iter()
                .find(|response| response.is_about(certificate, &issuer.certificate))
                .ok_or_else(|| PathError::StatusMissing { subject: subject() })?;
            response
                .verify(certificate, issuer, authorities, self.time)
                .map_err(|source| PathError::Status { subject: subject(), source })
        };
        self.steps.iter().map(status).collect()
    }
}

fn is_named(certificate: &Certificate, authority: &CertificationAuthority) -> bool {
    certificate.issuer_name() == authority.certificate.subject_name()
}

fn check_validity(certificate: &Certificate, time: Timestamp) -> Result<(), PathError> {
    let (not_before, not_after) = certificate.validity();
    let subject = || certificate.subject().to_owned();
    if time < not_before {
        return Err(PathError::NotYetValid { subject: subject(), not_before });
    }
    if time > not_after {
        return Err(PathError::Expired { subject: subject(), not_after });
    }
    Ok(())
}

fn broken(subject: String, source: webpki::Error) -> PathError {
    use webpki::Error::{
        UnsupportedSignatureAlgorithmContext, UnsupportedSignatureAlgorithmForPublicKeyContext,
    };
    match source {
        UnsupportedSignatureAlgorithmContext(_) | UnsupportedSignatureAlgorithmForPublicKeyContext(_) => {
            PathError::WeakSignature { subject }
        }
        source => PathError::Broken { subject, source },
    }
}

#[cfg(test)]
mod tests;
