//! `xmlsec1`, an implementation of XML signatures that shares nothing with ours.

use std::path::Path;
use std::process::Command;

use anyhow::Result;
use jiff::Timestamp;

use crate::fixtures;

/// What `xmlsec1` said of a signature.
#[derive(Debug)]
pub struct Verdict {
    /// Whether it accepted it.
    pub accepted: bool,
    /// What it printed.
    pub said: String,
}

/// Has `xmlsec1` verify the signature document `signature` in `folder`, where the parts it refers to lie, at `time`. A
/// part `a` there may be referred to as `/a` too.
/// `authorities` are PEM certificates, the first to be trusted, the others to be used on the way to it. `None`, after
/// saying so, if the program is not installed.
///
/// # Panics
/// If it is not installed and `CI` is `true`.
pub fn verify(
    folder: &Path,
    signature: &str,
    authorities: &[String],
    time: Timestamp,
) -> Result<Option<Verdict>> {
    if Command::new("xmlsec1").arg("--version").output().is_err() {
        fixtures::skip("xmlsec1 is not installed");
        return Ok(None);
    }
    let mut command = Command::new("xmlsec1");
    command.arg("--verify");
    for (index, authority) in authorities.iter().enumerate() {
        let file = format!("authority-{index}.pem");
        std::fs::write(folder.join(&file), authority)?;
        command.args([if index == 0 { "--trusted-pem" } else { "--untrusted-pem" }, &file]);
    }
    for entry in std::fs::read_dir(folder)? {
        let name = entry?.file_name();
        command.arg(format!("--url-map:/{}", name.display())).arg(name);
    }
    let output = command
        .arg("--verification-gmt-time")
        .arg(time.strftime("%Y-%m-%d %H:%M:%S").to_string())
        .args(["--id-attr:Id", "http://uri.etsi.org/01903/v1.3.2#:SignedProperties", signature])
        .current_dir(folder)
        .output()?;
    let said = String::from_utf8_lossy(&output.stderr).into_owned();
    Ok(Some(Verdict { accepted: output.status.success(), said }))
}
