//! `openssl`, which shares nothing with the libraries used here.

use std::path::Path;
use std::process::Command;

use anyhow::Result;

use crate::fixtures;

/// What `openssl` did.
#[derive(Debug)]
pub struct Outcome {
    /// Whether it reported success.
    pub success: bool,
    /// What it printed, to both streams.
    pub said: String,
}

/// Runs `openssl` with `arguments`, separated by single spaces, in `folder`. `None`, after saying so, if the program
/// is not installed.
///
/// # Panics
/// If it is not installed and `CI` is `true`.
pub fn run(folder: &Path, arguments: &str) -> Result<Option<Outcome>> {
    if Command::new("openssl").arg("version").output().is_err() {
        fixtures::skip("openssl is not installed");
        return Ok(None);
    }
    let output = Command::new("openssl").args(arguments.split(' ')).current_dir(folder).output()?;
    let said =
        String::from_utf8_lossy(&output.stdout).into_owned() + &String::from_utf8_lossy(&output.stderr);
    Ok(Some(Outcome { success: output.status.success(), said }))
}
