//! Adapters that were built for a version of the contract with the host go on answering.

#![expect(clippy::unwrap_used, reason = "what a test's helpers cannot do, the test reports")]

use std::path::{Path, PathBuf};
use std::process::Command;

#[test]
fn every_adapter_of_the_museum_answers_as_it_did() {
    let museum = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../tests/components/museum");
    let exhibits: Vec<_> = folders(&museum).iter().flat_map(|version| folders(version)).collect();
    let exhibits: Vec<_> =
        exhibits.into_iter().filter(|folder| folder.join("plugin.toml").is_file()).collect();
    assert!(exhibits.len() >= 3, "the museum has {} adapters", exhibits.len());
    for exhibit in exhibits {
        let mut uuk = Command::new(env!("CARGO_BIN_EXE_uuk"));
        let output = uuk.args(["adapter", "test", "--project"]).arg(&exhibit).output().unwrap();
        let said = String::from_utf8_lossy(&output.stderr);
        assert!(output.status.success(), "{}: {said}", exhibit.display());
    }
}

fn folders(folder: &Path) -> Vec<PathBuf> {
    let entries = std::fs::read_dir(folder).unwrap().map(|entry| entry.unwrap().path());
    let mut folders: Vec<_> = entries.filter(|path| path.is_dir()).collect();
    folders.sort();
    folders
}
