//! Certificate profiles: which member a signing certificate names, and what a certificate request should say.

/// Which attributes of a subject name a member, as data.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct CertificateProfile {
    name: String,
}

impl CertificateProfile {
    /// The name that `certificateProfileInfo` gives it.
    pub fn name(&self) -> &str {
        &self.name
    }
}
