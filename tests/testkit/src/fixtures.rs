//! Data of other projects, which is not committed here.

use std::path::PathBuf;

/// The folder of other projects' fixtures: the one that `UUK_FIXTURES` names, else `../shared/fixtures` beside the
/// project. `None`, after saying so, if it is not there; then the test has nothing to do.
///
/// # Panics
/// If it is not there and `CI` is `true`: there, nothing may be left out.
pub fn folder() -> Option<PathBuf> {
    let folder = std::env::var_os("UUK_FIXTURES").map_or_else(
        || PathBuf::from(concat!(env!("CARGO_MANIFEST_DIR"), "/../../../shared/fixtures")),
        PathBuf::from,
    );
    if folder.is_dir() {
        return Some(folder);
    }
    skip(&format!("no folder of fixtures at {}", folder.display()));
    None
}

/// Says why a test has nothing to do.
///
/// # Panics
/// If `CI` is `true`.
pub fn skip(reason: &str) {
    assert!(std::env::var_os("CI").is_none_or(|ci| ci != "true"), "{reason}");
    eprintln!("skipped: {reason}");
}
