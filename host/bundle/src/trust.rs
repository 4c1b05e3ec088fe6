//! Whom and what to trust, as the global configuration or a trust file says.

use std::collections::{BTreeMap, BTreeSet};

use semver::Version;
use uuk_pki::Anchors;

use crate::BundleDigest;

/// What decides whether a bundle may run.
#[derive(Debug, Clone, Default)]
pub struct Trust {
    /// Authorities of authors, or authors' own certificates.
    pub author_anchors: Anchors,
    /// Authorities of vetters, or vetters' own certificates.
    pub vetting_anchors: Anchors,
    /// Bundles that may not run, by the digest of the file or of the contents.
    pub revoked: BTreeSet<BundleDigest>,
    /// The lowest version that may run, by plugin id.
    pub minimum_versions: BTreeMap<String, Version>,
}
