use std::collections::HashMap;
use std::path::{Path, PathBuf};
use std::time::SystemTime;

/// Files looked at; more are left alone, with a warning.
const FILES_MAX: usize = 1_000;
/// The largest bundle read.
pub(super) const BUNDLE_BYTES_MAX: u64 = 64 << 20;

/// What tells that a file has changed without reading it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Stamp {
    bytes: u64,
    modified: Option<SystemTime>,
    inode: u64,
}

/// The bundles in the folder, by path, as the last scan saw them.
pub(super) type Listing = HashMap<PathBuf, Stamp>;

/// Lists the bundles in `folder`: regular files named `*.asice` that are not hidden, symlinks followed once.
///
/// # Errors
/// If the folder can not be read. Files that vanish meanwhile are not there.
pub(super) fn list(folder: &Path) -> std::io::Result<Listing> {
    use std::os::unix::fs::MetadataExt;

    let mut listing = Listing::new();
    for entry in std::fs::read_dir(folder)? {
        let path = entry?.path();
        if !is_bundle_name(&path) {
            continue;
        }
        // Following the link is what makes a swap of `..data` by an orchestrator visible as a change.
        let Ok(metadata) = std::fs::metadata(&path) else { continue };
        if !metadata.is_file() {
            continue;
        }
        if listing.len() == FILES_MAX {
            tracing::warn!(
                "More than {FILES_MAX} bundles in {}; the others are left alone",
                folder.display()
            );
            break;
        }
        let stamp =
            Stamp { bytes: metadata.len(), modified: metadata.modified().ok(), inode: metadata.ino() };
        listing.insert(path, stamp);
    }
    Ok(listing)
}

fn is_bundle_name(path: &Path) -> bool {
    let hidden = path.file_name().is_none_or(|name| name.as_encoded_bytes().starts_with(b"."));
    !hidden && path.extension().is_some_and(|extension| extension == "asice")
}

/// Reads a bundle whole, or says why not.
pub(super) fn read(path: &Path) -> std::io::Result<Vec<u8>> {
    use std::io::Read;

    let mut bytes = Vec::new();
    std::fs::File::open(path)?.take(BUNDLE_BYTES_MAX + 1).read_to_end(&mut bytes)?;
    if bytes.len() as u64 > BUNDLE_BYTES_MAX {
        return Err(std::io::Error::other(format!("bundle is larger than {BUNDLE_BYTES_MAX} bytes")));
    }
    Ok(bytes)
}
