use std::collections::{BTreeMap, BTreeSet};
use std::io::ErrorKind;
use std::os::unix::fs::DirBuilderExt;
use std::path::{Path, PathBuf};

use semver::Version;
use serde::{Deserialize, Serialize};
use uuk_bundle::BundleDigest;

use super::folder;
use crate::compiled_cache::write_whole;

/// What outlives a restart: copies of the bundles that may serve, and the ledger of what became of them.
#[derive(Debug, Clone)]
pub(super) struct Store {
    folder: PathBuf,
}

/// What was decided, by plugin and by digest.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub(super) struct Ledger {
    /// The bundle that serves, by plugin identifier.
    pub(super) active: BTreeMap<String, BundleDigest>,
    /// The bundle that served before it.
    pub(super) previous: BTreeMap<String, BundleDigest>,
    /// The bundle that an operator chose, in place of the newest.
    pub(super) pinned: BTreeMap<String, Pin>,
    /// Bundles that may not serve, with the reason.
    pub(super) quarantined: BTreeMap<BundleDigest, String>,
    /// Bundles that an operator has approved, where that is asked for.
    pub(super) approved: BTreeMap<BundleDigest, String>,
}

/// An operator's choice, in force until a version appears that nobody knew of when it was made.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub(super) struct Pin {
    pub(super) digest: BundleDigest,
    /// The highest version known then.
    pub(super) newest: Version,
}

impl Ledger {
    /// What served and what stood by, by plugin.
    pub(super) fn loaded(&self) -> impl Iterator<Item = (&String, BundleDigest)> {
        self.active.iter().chain(&self.previous).map(|(id, digest)| (id, *digest))
    }

    /// A plugin has no version any more.
    pub(super) fn retire(&mut self, id: &str) {
        self.active.remove(id);
        self.previous.remove(id);
        self.pinned.remove(id);
    }
}

impl Store {
    /// Opens the store in `folder`, making it (0700) at first.
    pub(super) fn open(folder: &Path) -> std::io::Result<Self> {
        std::fs::DirBuilder::new().recursive(true).mode(0o700).create(folder)?;
        Ok(Self { folder: folder.to_owned() })
    }

    /// Keeps a copy of a bundle.
    pub(super) fn keep(&self, digest: BundleDigest, bytes: &[u8]) -> std::io::Result<()> {
        if self.read(digest).is_ok() { Ok(()) } else { write_whole(&self.path(digest), &[bytes]) }
    }

    /// A copy kept earlier, with the bytes it was kept with; its reader verifies it again.
    pub(super) fn read(&self, digest: BundleDigest) -> std::io::Result<Vec<u8>> {
        let bytes = folder::read(&self.path(digest))?;
        if BundleDigest::of(&bytes) != digest {
            return Err(std::io::Error::new(ErrorKind::InvalidData, "the copy is damaged"));
        }
        Ok(bytes)
    }

    /// Removes the copies that nobody may want again.
    pub(super) fn forget_all_but(&self, wanted: &BTreeSet<BundleDigest>) {
        let wanted: BTreeSet<PathBuf> = wanted.iter().map(|digest| self.path(*digest)).collect();
        let Ok(entries) = std::fs::read_dir(&self.folder) else { return };
        for path in entries.flatten().map(|entry| entry.path()) {
            if path.extension().is_some_and(|extension| extension == "asice") && !wanted.contains(&path) {
                let _ = std::fs::remove_file(&path);
            }
        }
    }

    pub(super) fn ledger(&self) -> Ledger {
        let read = std::fs::read(self.folder.join("ledger.json"));
        match read.map(|bytes| serde_json::from_slice(&bytes)) {
            Ok(Ok(ledger)) => ledger,
            Ok(Err(error)) => {
                tracing::error!(%error, "The ledger of plugins is damaged; starting from the folder alone");
                Ledger::default()
            }
            Err(_) => Ledger::default(),
        }
    }

    pub(super) fn save(&self, ledger: &Ledger) -> std::io::Result<()> {
        let bytes = serde_json::to_vec_pretty(ledger).map_err(std::io::Error::other)?;
        write_whole(&self.folder.join("ledger.json"), &[&bytes])
    }

    fn path(&self, digest: BundleDigest) -> PathBuf {
        self.folder.join(hex::encode(digest.as_bytes())).with_extension("asice")
    }
}
