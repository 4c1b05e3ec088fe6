//! The plugin folder as last looked at: which file holds which bundle, and which holds none.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::{Duration, Instant};

use jiff::Timestamp;
use uuk_bundle::{BundleDigest, Manifest};
use uuk_process::ErrorChain;

use super::folder::{self, FILES_MAX, Listing, Stamp};
use super::store::Store;
use super::{Policy, RefusalReason};

/// A file that does not verify may still be being written; it is called bad once it has not changed for this long.
const SETTLED_AFTER: Duration = Duration::from_secs(2);
/// Files verified in one scan, so that orders and failures are heard of between two scans of a full folder.
const LOOKS_MAX: usize = 16;

/// The folder that bundles are dropped into.
#[derive(Debug)]
pub(super) struct Inbox {
    folder: PathBuf,
    rescan_every: Duration,
    files: BTreeMap<PathBuf, SeenFile>,
    state: FolderState,
}

/// A file as last looked at.
#[derive(Debug)]
struct SeenFile {
    stamp: Stamp,
    /// When it was first looked at with this stamp, and when last.
    looked: (Instant, Instant),
    /// What the verdict rests on.
    policy: Arc<Policy>,
    verdict: Verdict,
    /// The bundle that was in it last.
    held: Option<BundleDigest>,
}

#[derive(Debug)]
enum Verdict {
    Bundle(BundleDigest),
    /// Not a bundle, or not yet, or not one that can be kept.
    Unusable(Option<BundleDigest>, RefusalReason),
}

/// How the folder itself was at the last scan; a change is told once.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum FolderState {
    Unseen,
    InOrder,
    Unreadable,
    TooManyFiles,
}

/// What a scan brought.
pub(super) struct Scan {
    /// Bundles that verify and were not known to.
    pub(super) found: Vec<(BundleDigest, Manifest)>,
    /// Whether files are left to look at.
    pub(super) is_unfinished: bool,
}

impl Inbox {
    pub(super) fn new(folder: PathBuf, rescan_every: Duration) -> Self {
        Self { folder, rescan_every, files: BTreeMap::new(), state: FolderState::Unseen }
    }

    /// Lists the folder and verifies what is new in it, or was verified under another policy.
    pub(super) async fn scan(&mut self, policy: &Arc<Policy>, store: &Store, now: Timestamp) -> Scan {
        let mut scan = Scan { found: Vec::new(), is_unfinished: false };
        let Some(listing) = self.list().await else { return scan };
        self.files.retain(|path, _| listing.files.contains_key(path));
        let (new, again) = self.to_look_at(&listing, policy);
        scan.is_unfinished = new.len() > LOOKS_MAX;
        for (path, stamp) in new.into_iter().chain(again).take(LOOKS_MAX) {
            scan.found.extend(self.look_at(path, stamp, policy, store, now).await);
        }
        scan
    }

    async fn list(&mut self) -> Option<Listing> {
        let folder = self.folder.clone();
        let listing = tokio::task::spawn_blocking(move || folder::list(&folder)).await.ok()?;
        let before = std::mem::replace(&mut self.state, FolderState::of(&listing));
        if before != self.state {
            let folder = self.folder.display();
            match (&listing, self.state) {
                (Err(error), _) => {
                    tracing::error!(%error, "Cannot read the plugin folder {folder}; what serves goes on");
                }
                (Ok(_), FolderState::TooManyFiles) => {
                    tracing::warn!(
                        "More than {FILES_MAX} bundles in {folder}; the last by name are left alone"
                    );
                }
                (Ok(_), _) => tracing::info!("Following the plugin folder {folder}"),
            }
        }
        listing.ok()
    }

    /// Files that are new or changed, and files whose trouble may have passed, those first that waited longest.
    fn to_look_at(&self, listing: &Listing, policy: &Arc<Policy>) -> (Vec<Listed>, Vec<Listed>) {
        let (mut new, mut again) = (Vec::new(), Vec::new());
        for (path, stamp) in &listing.files {
            match self.files.get(path) {
                Some(seen) if seen.stamp == *stamp && Arc::ptr_eq(&seen.policy, policy) => {
                    if self.may_pass(seen) {
                        again.push((seen.looked.1, (path.clone(), *stamp)));
                    }
                }
                Some(_) | None => new.push((path.clone(), *stamp)),
            }
        }
        again.sort_by_key(|(last, _)| *last);
        (new, again.into_iter().map(|(_, file)| file).collect())
    }

    fn may_pass(&self, seen: &SeenFile) -> bool {
        let (first, last) = seen.looked;
        match &seen.verdict {
            Verdict::Bundle(_) => false,
            // Its last write may have come within the clock's grain of our read: so once more when it has settled.
            Verdict::Unusable(_, RefusalReason::Bundle(_)) => {
                last.duration_since(first) < SETTLED_AFTER && last.elapsed() >= self.rescan_every
            }
            // A full disk or a missing permission passes.
            Verdict::Unusable(..) => last.elapsed() >= self.rescan_every,
        }
    }

    async fn look_at(
        &mut self,
        path: PathBuf,
        stamp: Stamp,
        policy: &Arc<Policy>,
        store: &Store,
        now: Timestamp,
    ) -> Option<(BundleDigest, Manifest)> {
        let looking = {
            let (path, policy, store) = (path.clone(), Arc::clone(policy), store.clone());
            tokio::task::spawn_blocking(move || {
                let bytes = folder::read(&path)?;
                let digest = BundleDigest::of(&bytes);
                Ok::<_, std::io::Error>((digest, verify(digest, &bytes, &policy, &store, now)))
            })
        };
        let (verdict, found) = match looking.await.ok()? {
            Ok((digest, Ok(manifest))) => (Verdict::Bundle(digest), Some((digest, manifest))),
            Ok((digest, Err(reason))) => (Verdict::Unusable(Some(digest), reason), None),
            Err(error) => (Verdict::Unusable(None, RefusalReason::Read(error)), None),
        };
        if let Verdict::Unusable(_, reason) = &verdict {
            let error = ErrorChain(reason);
            tracing::debug!(file = %path.display(), %error, "A file is not a usable bundle (yet)");
        }
        let before = self.files.get(&path);
        let looked = match before {
            Some(seen) if seen.stamp == stamp => (seen.looked.0, Instant::now()),
            Some(_) | None => (Instant::now(), Instant::now()),
        };
        let held = match verdict {
            Verdict::Bundle(digest) => Some(digest),
            Verdict::Unusable(..) => before.and_then(|seen| seen.held),
        };
        self.files.insert(path, SeenFile { stamp, looked, policy: Arc::clone(policy), verdict, held });
        found
    }

    /// Whether the folder could be listed when it was last looked at.
    pub(super) fn is_readable(&self) -> bool {
        matches!(self.state, FolderState::InOrder | FolderState::TooManyFiles)
    }

    /// The bundles in the folder.
    pub(super) fn bundles(&self) -> impl Iterator<Item = BundleDigest> {
        self.files.values().filter_map(|file| match file.verdict {
            Verdict::Bundle(digest) => Some(digest),
            Verdict::Unusable(..) => None,
        })
    }

    /// Whether a file that held the bundle is there, but holds none now: it is being overwritten, or was badly.
    pub(super) fn is_overwritten(&self, digest: BundleDigest) -> bool {
        let is_unusable = |file: &SeenFile| matches!(file.verdict, Verdict::Unusable(..));
        self.files.values().any(|file| file.held == Some(digest) && is_unusable(file))
    }

    /// A file that holds the bundle.
    pub(super) fn file_of(&self, digest: BundleDigest) -> Option<&Path> {
        let holds = |file: &SeenFile| matches!(file.verdict, Verdict::Bundle(held) if held == digest);
        self.files.iter().find(|(_, file)| holds(file)).map(|(path, _)| path.as_path())
    }

    /// Files that hold no bundle, with what is wrong.
    pub(super) fn unusable(&self) -> impl Iterator<Item = (&Path, Option<BundleDigest>, &RefusalReason)> {
        self.files.iter().filter_map(|(path, file)| match &file.verdict {
            Verdict::Bundle(_) => None,
            Verdict::Unusable(digest, reason) => Some((path.as_path(), *digest, reason)),
        })
    }
}

impl FolderState {
    fn of(listing: &std::io::Result<Listing>) -> Self {
        match listing {
            Err(_) => Self::Unreadable,
            Ok(listing) if listing.is_cut => Self::TooManyFiles,
            Ok(_) => Self::InOrder,
        }
    }
}

/// A file as listed.
type Listed = (PathBuf, Stamp);

/// Verifies a bundle and keeps a copy of the very bytes that were verified; the file is not read again.
fn verify(
    digest: BundleDigest,
    bytes: &[u8],
    policy: &Policy,
    store: &Store,
    now: Timestamp,
) -> Result<Manifest, RefusalReason> {
    let vetted = uuk_bundle::verify(bytes, &policy.trust, now)?;
    store.keep(digest, bytes).map_err(RefusalReason::Store)?;
    Ok(vetted.bundle().manifest().clone())
}
