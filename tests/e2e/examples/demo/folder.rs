use std::fs::{self, DirBuilder, File, TryLockError};
use std::io::ErrorKind;
use std::os::unix::fs::{DirBuilderExt, MetadataExt};
use std::path::{Path, PathBuf};

use anyhow::{Context, Result, bail, ensure};

/// The folder of the demo, the same each time: what one that was killed has left there, the next one clears away.
pub(crate) struct Folder {
    path: PathBuf,
    /// Held as long as this demo lives.
    _lock: File,
}

impl Folder {
    /// Takes the folder, empty, for this demo alone.
    pub(crate) fn take() -> Result<Self> {
        let path = std::env::temp_dir().join("uuk-demo");
        match DirBuilder::new().mode(0o700).create(&path) {
            Err(error) if error.kind() != ErrorKind::AlreadyExists => {
                return Err(error).with_context(|| format!("cannot make the folder {}", path.display()));
            }
            _ => {}
        }
        let found = fs::symlink_metadata(&path)?;
        // Anyone may make something of this name where temporary files are.
        let is_ours = found.is_dir() && found.uid() == fs::metadata("/proc/self")?.uid();
        ensure!(
            is_ours,
            "{} is not a folder of yours; remove it, or set TMPDIR to another place",
            path.display()
        );
        let lock = File::open(&path)?;
        match lock.try_lock() {
            Ok(()) => {}
            Err(TryLockError::WouldBlock) => {
                bail!(
                    "a demo is running already, in {}; end it with Ctrl-C where it was started",
                    path.display()
                )
            }
            Err(TryLockError::Error(error)) => return Err(error).context("cannot lock the folder"),
        }
        for left in fs::read_dir(&path)? {
            let left = left?;
            if left.file_type()?.is_dir() {
                fs::remove_dir_all(left.path())?;
            } else {
                fs::remove_file(left.path())?;
            }
        }
        Ok(Self { path, _lock: lock })
    }

    pub(crate) fn path(&self) -> &Path {
        &self.path
    }

    /// Leaves nothing behind.
    pub(crate) fn remove(self) -> Result<()> {
        fs::remove_dir_all(&self.path).with_context(|| format!("cannot remove {}", self.path.display()))
    }
}
