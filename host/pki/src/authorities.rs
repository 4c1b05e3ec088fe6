//! Whom a global configuration trusts for certificates and time.

use std::time::Duration;

use crate::certificate::Certificate;
use crate::profile::CertificateProfile;

/// Whom a global configuration trusts for certificates and time.
#[derive(Debug, Clone)]
pub struct Authorities {
    /// The approved certification authorities, top and intermediate ones alike.
    pub certification: Vec<CertificationAuthority>,
    /// The certificates whose keys may sign time-stamps.
    pub time_stamping: Vec<Certificate>,
    /// How old an OCSP answer's `thisUpdate` may be.
    pub ocsp_freshness: Duration,
    /// Whether an OCSP answer is refused past its `nextUpdate`.
    pub verify_next_update: bool,
}

/// An approved certification authority and what is agreed about its certificates.
#[derive(Debug, Clone)]
pub struct CertificationAuthority {
    /// Its certificate.
    pub certificate: Certificate,
    /// Certificates trusted to sign its OCSP answers, besides those that it issues for that purpose.
    pub ocsp_responders: Vec<Certificate>,
    /// Maps the subject of a signing certificate to a member.
    pub profile: CertificateProfile,
    /// It issues certificates for TLS only.
    pub authentication_only: bool,
}
