//! A mail server that is not ours: aiosmtpd, of Debian's package python3-aiosmtpd.

use std::io::{BufRead, BufReader};
use std::path::PathBuf;
use std::process::{Child, Command, Stdio};

use anyhow::{Context, Result};
use tempfile::TempDir;

use crate::tls_authority::TlsFiles;

pub const USER: &str = "exchange";
pub const PASSWORD: &str = "a password of the mail server";

/// A mail server on loopback; it ends with this value. The mailbox `nobody` does not exist, `busy` is to be tried later.
#[derive(Debug)]
pub struct MailServer {
    process: Child,
    port: u16,
    folder: TempDir,
}

impl MailServer {
    /// One that speaks TLS after STARTTLS and lets in [`USER`]; or, without an identity, everybody without TLS.
    pub fn start(identity: Option<&TlsFiles>) -> Result<Self> {
        let folder = tempfile::tempdir()?;
        let [certificate, key] = match identity {
            Some(TlsFiles { certificate, key }) => [certificate.clone(), key.clone()],
            None => [PathBuf::new(), PathBuf::new()],
        };
        // Debian's own Python, as it has the package.
        let mut process = Command::new("/usr/bin/python3")
            .args(["-c", include_str!("mail_server.py")])
            .args([folder.path(), &certificate, &key])
            .args([USER, PASSWORD])
            .stdout(Stdio::piped())
            .spawn()?;
        let output = process.stdout.take().context("no output")?;
        let mut line = String::new();
        BufReader::new(output).read_line(&mut line)?;
        let port = line.trim().parse().context("no mail server: is python3-aiosmtpd installed?")?;
        Ok(Self { process, port, folder })
    }

    pub fn port(&self) -> u16 {
        self.port
    }

    /// What it has received so far, in the order in which it came.
    pub fn letters(&self) -> Result<Vec<String>> {
        let mut letters = Vec::new();
        for number in 1.. {
            match std::fs::read(self.folder.path().join(format!("{number}.eml"))) {
                Ok(bytes) => letters.push(String::from_utf8(bytes)?),
                Err(_) => break,
            }
        }
        Ok(letters)
    }
}

impl Drop for MailServer {
    fn drop(&mut self) {
        let _ = self.process.kill();
        let _ = self.process.wait();
    }
}
