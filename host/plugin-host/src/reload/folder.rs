use std::collections::BTreeMap;
use std::os::unix::fs::MetadataExt;
use std::path::{Path, PathBuf};

/// Files looked at; more are left alone.
pub(super) const FILES_MAX: usize = 1_000;
/// The largest bundle read.
const BUNDLE_BYTES_MAX: u64 = 64 << 20;

/// What tells that a file has changed without reading it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Stamp {
    bytes: u64,
    /// Time of the last change in seconds and nanoseconds, which nobody can set back.
    changed: (i64, i64),
    inode: u64,
}

/// The bundles in a folder, by path.
#[derive(Debug, Default)]
pub(super) struct Listing {
    pub(super) files: BTreeMap<PathBuf, Stamp>,
    /// More than [`FILES_MAX`] are there; the last by name are left out.
    pub(super) is_cut: bool,
}

/// Lists the bundles in `folder`: regular files named `*.asice` that are not hidden, or links to such.
///
/// # Errors
/// If the folder can not be read. Files that vanish meanwhile are not there.
pub(super) fn list(folder: &Path) -> std::io::Result<Listing> {
    let mut paths = Vec::new();
    for entry in std::fs::read_dir(folder)? {
        let path = entry?.path();
        if is_bundle_name(&path) {
            paths.push(path);
        }
    }
    paths.sort();
    let is_cut = paths.len() > FILES_MAX;
    let files = paths.into_iter().take(FILES_MAX).filter_map(|path| stamp(&path).map(|stamp| (path, stamp)));
    Ok(Listing { files: files.collect(), is_cut })
}

fn is_bundle_name(path: &Path) -> bool {
    let hidden = path.file_name().is_none_or(|name| name.as_encoded_bytes().starts_with(b"."));
    !hidden && path.extension().is_some_and(|extension| extension == "asice")
}

fn stamp(path: &Path) -> Option<Stamp> {
    // Following the link is what makes a swap of `..data` by an orchestrator visible as a change.
    let metadata = std::fs::metadata(path).ok().filter(std::fs::Metadata::is_file)?;
    Some(Stamp {
        bytes: metadata.len(),
        changed: (metadata.ctime(), metadata.ctime_nsec()),
        inode: metadata.ino(),
    })
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
