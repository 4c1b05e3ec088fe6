//! Where the project is on this machine, and its cargo.

use std::ffi::OsStr;
use std::path::{Path, PathBuf};
use std::process::Command;

use anyhow::{Context, Result};
use cargo_metadata::MetadataCommand;

/// The project's folders.
#[derive(Debug)]
pub(crate) struct Project {
    /// The root of its tree.
    pub(crate) root: PathBuf,
    /// Where cargo builds.
    pub(crate) target: PathBuf,
}

impl Project {
    /// The project this program was built in.
    pub(crate) fn open() -> Result<Self> {
        let manifest = MetadataCommand::new()
            .current_dir(env!("CARGO_MANIFEST_DIR"))
            .no_deps()
            .exec()
            .context("cannot ask cargo about the project")?;
        Ok(Self { root: manifest.workspace_root.into(), target: manifest.target_directory.into() })
    }

    /// A program that runs at the root of the tree.
    pub(crate) fn command(&self, program: impl AsRef<OsStr>) -> Command {
        let mut command = Command::new(program);
        command.current_dir(&self.root);
        command
    }

    /// `cargo` with `arguments`.
    pub(crate) fn cargo(&self, arguments: &[&str]) -> Command {
        let mut command = self.command("cargo");
        command.args(arguments);
        command
    }

    /// Where tools of the project's own are installed, in versions it names.
    pub(crate) fn tools(&self) -> PathBuf {
        self.target.join("tools")
    }

    /// A path as people are shown it.
    pub(crate) fn shown<'a>(&self, path: &'a Path) -> std::path::Display<'a> {
        path.strip_prefix(&self.root).unwrap_or(path).display()
    }
}
