//! Whether a certificate may sign: at that time, for that purpose, led to from what we trust.

use std::time::Duration;

use jiff::Timestamp;
use rustls_pki_types::{CertificateDer, UnixTime};
use webpki::{EndEntityCert, ExtendedKeyUsageValidator, KeyPurposeIdIter, anchor_from_trusted_cert};

use crate::certificate::Certificate;

/// Certificates trusted as they are: authorities, or the very signing certificates.
#[derive(Debug, Clone, Default)]
pub struct Anchors(Vec<Certificate>);

/// What a signing certificate's trust rests on.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum TrustedBy<'a> {
    /// The certificate itself is an anchor.
    Itself,
    /// A path of certificates leads to this anchor.
    Authority(&'a Certificate),
}

/// Why a certificate may not sign.
#[derive(Debug, thiserror::Error, strum::IntoStaticStr)]
#[strum(serialize_all = "snake_case", prefix = "chain.")]
#[non_exhaustive]
pub enum ChainError {
    /// Past its validity, or its anchor is.
    #[error("the certificate of `{subject}` expired at {not_after}")]
    Expired {
        /// Whose certificate it is.
        subject: String,
        /// Its last instant.
        not_after: Timestamp,
    },
    /// Before its validity, or its anchor is.
    #[error("the certificate of `{subject}` is valid only from {not_before}")]
    NotYetValid {
        /// Whose certificate it is.
        subject: String,
        /// Its first instant.
        not_before: Timestamp,
    },
    /// Key usage lacks both non-repudiation and digital signature.
    #[error("the certificate of `{subject}` is not for signing: its key usage lacks non-repudiation")]
    NotForSigning {
        /// Whose certificate it is.
        subject: String,
    },
    /// No path to an anchor.
    #[error("the certificate of `{subject}`, issued by `{issuer}`, does not lead to a trusted certificate")]
    Untrusted {
        /// Whose certificate it is.
        subject: String,
        /// Who issued it.
        issuer: String,
        /// What the path lacks.
        #[source]
        source: webpki::Error,
    },
}

impl ChainError {
    /// The stable code of the reason.
    pub fn code(&self) -> &'static str {
        self.into()
    }
}

impl Anchors {
    /// Trusts exactly these.
    pub fn new(certificates: Vec<Certificate>) -> Self {
        Self(certificates)
    }

    /// The certificates trusted.
    pub fn certificates(&self) -> &[Certificate] {
        &self.0
    }

    /// Checks that `signer` may sign at `time`: valid then, for signing, and either an anchor itself or led to from
    /// one, over `intermediates` where needed. Extended key usages are not restricted: authorities that issue
    /// signing certificates name many.
    ///
    /// # Errors
    /// The first of the variants of [`ChainError`] that applies.
    ///
    /// # Source
    /// RFC 5280 §6, by rustls-webpki.
    pub fn verify_signer(
        &self,
        signer: &Certificate,
        intermediates: &[Certificate],
        time: Timestamp,
    ) -> Result<TrustedBy<'_>, ChainError> {
        check_validity(signer, time)?;
        if !signer.may_sign() {
            return Err(ChainError::NotForSigning { subject: signer.subject().to_owned() });
        }
        if self.0.iter().any(|anchor| anchor.der() == signer.der()) {
            return Ok(TrustedBy::Itself);
        }

        let intermediates: Vec<_> = intermediates.iter().collect();
        let anchor =
            find_path(signer, &intermediates, &self.0, time).map_err(|source| ChainError::Untrusted {
                subject: signer.subject().to_owned(),
                issuer: signer.issuer().to_owned(),
                source,
            })?;
        // A trust anchor has no validity of its own in RFC 5280; one that has run out is trusted no longer here.
        check_validity(anchor, time)?;
        Ok(TrustedBy::Authority(anchor))
    }
}

/// The anchor to which a path leads from `certificate`, which is no authority, over `intermediates` where needed.
/// Extended key usages are not restricted.
pub(crate) fn find_path<'a>(
    certificate: &Certificate,
    intermediates: &[&Certificate],
    anchors: &'a [Certificate],
    time: Timestamp,
) -> Result<&'a Certificate, webpki::Error> {
    let encoded: Vec<_> = anchors.iter().map(|anchor| CertificateDer::from(anchor.der())).collect();
    // An anchor that webpki cannot use (a pinned signing certificate may be one) leads nowhere.
    let usable: Vec<_> = encoded.iter().filter_map(|der| anchor_from_trusted_cert(der).ok()).collect();
    let intermediates: Vec<_> =
        intermediates.iter().map(|certificate| CertificateDer::from(certificate.der())).collect();
    let certificate = CertificateDer::from(certificate.der());
    let end_entity = EndEntityCert::try_from(&certificate)?;
    let seconds = u64::try_from(time.as_second()).unwrap_or(0);
    let path = end_entity.verify_for_usage(
        webpki::ALL_VERIFICATION_ALGS,
        &usable,
        &intermediates,
        UnixTime::since_unix_epoch(Duration::from_secs(seconds)),
        AnyPurpose,
        None,
        None,
    )?;
    let subject = &path.anchor().subject;
    let key = &path.anchor().subject_public_key_info;
    anchors
        .iter()
        .zip(&encoded)
        .find(|(_, der)| {
            anchor_from_trusted_cert(der)
                .is_ok_and(|anchor| &anchor.subject == subject && &anchor.subject_public_key_info == key)
        })
        .map(|(certificate, _)| certificate)
        .ok_or(webpki::Error::UnknownIssuer)
}

fn check_validity(certificate: &Certificate, time: Timestamp) -> Result<(), ChainError> {
    let (not_before, not_after) = certificate.validity();
    let subject = || certificate.subject().to_owned();
    if time < not_before {
        return Err(ChainError::NotYetValid { subject: subject(), not_before });
    }
    if time > not_after {
        return Err(ChainError::Expired { subject: subject(), not_after });
    }
    Ok(())
}

struct AnyPurpose;

impl ExtendedKeyUsageValidator for AnyPurpose {
    fn validate(&self, _purposes: KeyPurposeIdIter<'_, '_>) -> Result<(), webpki::Error> {
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use jiff::civil::date;
    use uuk_testkit::authority::{Authority, KeyKind};

    use super::*;

    fn authority() -> Authority {
        Authority::new("Authority", date(2026, 11, 22)).unwrap()
    }

    fn certificate(der: &[u8]) -> Certificate {
        Certificate::from_der(der).unwrap()
    }

    fn signer(authority: &Authority) -> Certificate {
        certificate(&authority.issue("Signer", KeyKind::P256).unwrap().der())
    }

    fn anchors(authority: &Authority) -> Anchors {
        Anchors::new(vec![certificate(&authority.der())])
    }

    fn now() -> Timestamp {
        "2026-11-22T08:00:00Z".parse().unwrap()
    }

    #[test]
    fn trusts_what_an_authority_issued() {
        let authority = authority();
        let anchors = anchors(&authority);
        let trusted = anchors.verify_signer(&signer(&authority), &[], now()).unwrap();
        assert_eq!(trusted, TrustedBy::Authority(&certificate(&authority.der())));
    }

    #[test]
    fn trusts_over_an_intermediate() {
        let root = authority();
        let below = root.intermediate("Below").unwrap();
        let signer = signer(&below);
        assert!(anchors(&root).verify_signer(&signer, &[certificate(&below.der())], now()).is_ok());
        let error = anchors(&root).verify_signer(&signer, &[], now()).unwrap_err();
        assert!(matches!(error, ChainError::Untrusted { .. }), "{error}");
    }

    #[test]
    fn trusts_a_pinned_certificate() {
        let signer = signer(&authority());
        let anchors = Anchors::new(vec![signer.clone()]);
        assert_eq!(anchors.verify_signer(&signer, &[], now()).unwrap(), TrustedBy::Itself);
    }

    #[test]
    fn a_pinned_signing_certificate_is_no_authority() {
        let authority = authority();
        let anchors = Anchors::new(vec![signer(&authority)]);
        let error = anchors.verify_signer(&signer(&authority), &[], now()).unwrap_err();
        assert!(matches!(error, ChainError::Untrusted { .. }), "{error}");
    }

    #[test]
    fn refuses_an_authority_of_the_same_name() {
        let error = anchors(&authority()).verify_signer(&signer(&authority()), &[], now()).unwrap_err();
        assert!(matches!(error, ChainError::Untrusted { .. }), "{error}");
    }

    #[test]
    fn refuses_an_expired_certificate_even_if_pinned() {
        let signer = signer(&authority());
        let late = "2028-01-01T00:00:00Z".parse().unwrap();
        let error = Anchors::new(vec![signer.clone()]).verify_signer(&signer, &[], late).unwrap_err();
        assert!(matches!(error, ChainError::Expired { .. }), "{error}");
    }

    #[test]
    fn refuses_a_certificate_that_is_not_yet_valid() {
        let authority = authority();
        let early = "2026-01-01T00:00:00Z".parse().unwrap();
        let error = anchors(&authority).verify_signer(&signer(&authority), &[], early).unwrap_err();
        assert!(matches!(error, ChainError::NotYetValid { .. }), "{error}");
    }

    #[test]
    fn refuses_a_certificate_for_something_else_than_signing() {
        let authority = authority();
        let other = certificate(&authority.issue_for_encryption("Encrypter").unwrap().der());
        let error = anchors(&authority).verify_signer(&other, &[], now()).unwrap_err();
        assert!(matches!(error, ChainError::NotForSigning { .. }), "{error}");
    }

    #[test]
    fn refuses_everything_when_nothing_is_trusted() {
        let error = Anchors::default().verify_signer(&signer(&authority()), &[], now()).unwrap_err();
        assert!(matches!(error, ChainError::Untrusted { .. }), "{error}");
    }
}
