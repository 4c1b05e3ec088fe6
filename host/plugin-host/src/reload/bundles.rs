use std::collections::{BTreeMap, BTreeSet};

use semver::Version;
use uuk_bundle::{BundleDigest, Manifest};

use super::RefusalReason;
use super::refusal::Refusal;

/// The bundles that have verified, by digest, whatever file they came from.
#[derive(Debug, Default)]
pub(super) struct Bundles(BTreeMap<BundleDigest, KnownBundle>);

/// What is remembered of a bundle besides its copy on disk.
#[derive(Debug)]
pub(super) struct KnownBundle {
    pub(super) plugin: String,
    pub(super) version: Version,
    pub(super) refusal: Option<Refusal>,
}

impl Bundles {
    /// Remembers a bundle that verifies. One that was refused before has a new chance: its file or the policy changed.
    pub(super) fn note(&mut self, digest: BundleDigest, manifest: &Manifest) {
        let plugin = &manifest.plugin;
        let known = KnownBundle { plugin: plugin.id.clone(), version: plugin.version.clone(), refusal: None };
        self.0.insert(digest, known);
    }

    pub(super) fn refuse(&mut self, digest: BundleDigest, reason: RefusalReason) {
        if let Some(known) = self.0.get_mut(&digest) {
            known.refusal = Some(Refusal::new(reason, known.refusal.as_ref()));
        }
    }

    pub(super) fn forgive(&mut self, digest: BundleDigest) {
        if let Some(known) = self.0.get_mut(&digest) {
            known.refusal = None;
        }
    }

    pub(super) fn contains(&self, digest: &BundleDigest) -> bool {
        self.0.contains_key(digest)
    }

    pub(super) fn get(&self, digest: &BundleDigest) -> Option<&KnownBundle> {
        self.0.get(digest)
    }

    pub(super) fn iter(&self) -> impl Iterator<Item = (&BundleDigest, &KnownBundle)> {
        self.0.iter()
    }

    /// Those of one plugin.
    pub(super) fn of(&self, id: &str) -> impl Iterator<Item = (&BundleDigest, &KnownBundle)> {
        self.0.iter().filter(move |(_, known)| known.plugin == id)
    }

    /// Keeps memory bounded by what is in the folder and what serves.
    pub(super) fn forget_all_but(&mut self, wanted: &BTreeSet<BundleDigest>) {
        self.0.retain(|digest, _| wanted.contains(digest));
    }
}
