//! A disk that can be full.

use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

use anyhow::{Context, Result, ensure};

/// More than any run writes; what is not written takes no memory.
const ROOMY: &str = "size=2g";

/// A file system of its own in a folder, to be filled up without harm to anyone.
#[derive(Debug)]
pub struct Disk(PathBuf);

impl Disk {
    /// Mounts one on `folder`; `None` if this user may not mount file systems.
    pub fn mount(folder: &Path) -> Result<Option<Self>> {
        std::fs::create_dir_all(folder)?;
        let mut mount = Command::new("mount");
        mount.args(["-t", "tmpfs", "-o", ROOMY, "uuk-test"]).arg(folder);
        let status = mount.stderr(Stdio::null()).status().context("cannot run mount")?;
        Ok(status.success().then(|| Self(folder.to_owned())))
    }

    /// From now on nothing more goes in.
    pub fn fill_up(&self) -> Result<()> {
        // It grows meanwhile, and a file system cannot be smaller than what is in it.
        let mut attempts =
            (0..1_000).map(|more| self.resize(&format!("size={}k", self.used_kib()? + 4 * more)));
        let is_full = attempts.any(|attempt| attempt.is_ok());
        ensure!(is_full, "{} cannot be made smaller", self.0.display());
        Ok(())
    }

    fn used_kib(&self) -> Result<u64> {
        let used = Command::new("df").args(["--output=used", "-B1024"]).arg(&self.0).output()?;
        let used = String::from_utf8(used.stdout)?;
        Ok(used.split_whitespace().last().context("df says nothing")?.parse()?)
    }

    /// There is room again.
    pub fn make_room(&self) -> Result<()> {
        self.resize(ROOMY)
    }

    fn resize(&self, size: &str) -> Result<()> {
        let mut mount = Command::new("mount");
        mount.args(["-o", &format!("remount,{size}")]).arg(&self.0).stderr(Stdio::null());
        ensure!(mount.status()?.success(), "{} cannot be mounted with {size}", self.0.display());
        Ok(())
    }
}

impl Drop for Disk {
    fn drop(&mut self) {
        // Lazily: a server that was just killed may still hold a file.
        let _ = Command::new("umount").arg("--lazy").arg(&self.0).status();
    }
}
