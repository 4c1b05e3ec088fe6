//! An OpenID provider that is not ours: oidc-provider, of npm.

use std::io::{BufRead, BufReader, Write};
use std::path::Path;
use std::process::{Child, ChildStdout, Command, Stdio};

use anyhow::{Context, Result};
use serde_json::json;

/// An OpenID provider on loopback; it ends with this value. Anybody signs in there by any name.
#[derive(Debug)]
pub struct OpenIdProvider {
    process: Child,
    output: BufReader<ChildStdout>,
    issuer: String,
}

impl OpenIdProvider {
    /// One that knows nobody yet; `packages` is the folder in which npm has installed it.
    pub fn start(packages: &Path) -> Result<Self> {
        let mut process = Command::new("node")
            .args(["--input-type=module", "--eval", include_str!("openid_provider.mjs"), "--"])
            .arg(packages)
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            // Where it says that it is not fit for more than this.
            .stderr(Stdio::null())
            .spawn()?;
        let output = BufReader::new(process.stdout.take().context("no output")?);
        let mut provider = Self { process, output, issuer: String::new() };
        provider.issuer = format!("http://127.0.0.1:{}", provider.line()?);
        Ok(provider)
    }

    pub fn issuer(&self) -> &str {
        &self.issuer
    }

    /// Makes a program known to it, the only one, which has its pages at an address.
    pub fn admit(&mut self, client: &str, secret: &str, pages: &str) -> Result<()> {
        let told = json!({ "client": client, "secret": secret, "pages": pages });
        writeln!(self.process.stdin.as_mut().context("no input")?, "{told}")?;
        self.line().map(drop)
    }

    fn line(&mut self) -> Result<String> {
        let mut line = String::new();
        self.output.read_line(&mut line)?;
        anyhow::ensure!(!line.is_empty(), "the OpenID provider ended: is oidc-provider installed?");
        Ok(line.trim().to_owned())
    }
}

impl Drop for OpenIdProvider {
    fn drop(&mut self) {
        let _ = self.process.kill();
        let _ = self.process.wait();
    }
}
