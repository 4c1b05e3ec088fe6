use std::collections::BTreeMap;

use serde::Deserialize;
use uuk_pki::Sha256;

use crate::{Malformed, from_toml};

/// Whose signatures on bundles count, and which bundles no longer do. Certificates are named by file.
#[derive(Debug, Clone, Default, PartialEq, Eq, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct TrustList {
    /// PEM files of authorities or certificates whose holders may sign as author.
    pub author_certificates: Vec<String>,
    /// PEM files of authorities or certificates whose holders may vet.
    pub vetting_certificates: Vec<String>,
    /// Bundles that may not serve any more.
    #[serde(default)]
    pub revoked: Vec<Sha256>,
    /// Lowest version of a plugin that may serve.
    #[serde(default)]
    pub minimum_versions: BTreeMap<String, semver::Version>,
}

/// Why a trust list is refused; the one in force stays.
#[derive(Debug, thiserror::Error)]
#[error("trust list is not readable")]
pub struct TrustError(#[source] Malformed);

impl TrustList {
    /// Reads a trust list.
    ///
    /// # Errors
    /// [`TrustError`] names the line.
    pub fn parse(text: &str) -> Result<Self, TrustError> {
        from_toml(text).map_err(TrustError)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn reads_certificates_revocations_and_minimum_versions() {
        let list = TrustList::parse(
            "author_certificates = ['author.pem']\nvetting_certificates = []\n[minimum_versions]\n'kg.example.people' = '1.2.0'",
        )
        .unwrap();
        assert_eq!(list.author_certificates, ["author.pem"]);
        assert_eq!(list.minimum_versions["kg.example.people"], semver::Version::new(1, 2, 0));
    }

    #[test]
    fn refuses_a_misspelt_key() {
        assert!(TrustList::parse("author_certificate = []\nvetting_certificates = []").is_err());
    }
}
