use std::collections::BTreeMap;
use std::fs;
use std::path::{Path, PathBuf};

use anyhow::Result;

/// Debian's `libfaketime`, made for programs with threads.
const LIBRARY: &str = "faketime/libfaketimeMT.so.1";

/// The clock of one server, which can be wrong. Only its date is: durations are measured as ever.
#[derive(Debug)]
pub(crate) struct ServerClock {
    library: PathBuf,
    /// Read whenever the server asks for the time.
    file: PathBuf,
}

impl ServerClock {
    /// `None` if the library is not installed.
    pub(crate) fn in_folder(folder: &Path) -> Result<Option<Self>> {
        let architectures = fs::read_dir("/usr/lib")?.flatten().map(|entry| entry.path().join(LIBRARY));
        let Some(library) = architectures.into_iter().find(|path| path.is_file()) else { return Ok(None) };
        let clock = Self { library, file: folder.join("clock") };
        clock.set(0)?;
        Ok(Some(clock))
    }

    /// What a server is to be started with, so that this is its clock.
    pub(crate) fn environment(&self) -> BTreeMap<String, String> {
        let path = |path: &Path| path.display().to_string();
        let variables = [
            ("LD_PRELOAD", path(&self.library)),
            ("FAKETIME_TIMESTAMP_FILE", path(&self.file)),
            ("FAKETIME_NO_CACHE", "1".to_owned()),
            ("FAKETIME_DONT_FAKE_MONOTONIC", "1".to_owned()),
        ];
        variables.into_iter().map(|(name, value)| (name.to_owned(), value)).collect()
    }

    /// From now on it is wrong by so much: negative is behind.
    pub(crate) fn set(&self, seconds: i64) -> Result<()> {
        let next = self.file.with_extension("next");
        fs::write(&next, format!("{seconds:+}\n"))?;
        // At once, so that nobody reads half of it.
        Ok(fs::rename(next, &self.file)?)
    }
}
