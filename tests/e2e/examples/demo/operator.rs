//! What the operator of a security server types: for its keys and certificates, and to prove a call.

use std::path::Path;
use std::process::Command;
use std::time::{Duration, Instant};

use anyhow::{Context, Result, ensure};
use serde_json::Value;
use uuk_e2e::{Enrolled, Network};
use uuk_pki::Sha256;

use crate::say;

/// A server may take this long to learn what was just registered, and to have a call stamped.
const PATIENCE: Duration = Duration::from_secs(30);
const EARLY: [&str; 3] =
    ["keys.no_global_configuration", "keys.unknown_member", "message_log.not_stamped_yet"];

/// The operator of a security server, at a shell in its folder.
pub(crate) struct Operator<'a> {
    server: &'a Enrolled,
    authority: String,
    uuk: &'a Path,
    /// Whether the commands are shown.
    speaks: bool,
}

impl<'a> Operator<'a> {
    pub(crate) fn new(server: &'a Enrolled, network: &Network, uuk: &'a Path, speaks: bool) -> Self {
        Self { server, authority: network.instance.authority.url(), uuk, speaks }
    }

    /// Gives the running server a key that proves it to other servers, and one that signs for its owner. The certificates
    /// are in its folder, as `authentication.pem` and `signing.pem`.
    pub(crate) fn certify(&self) -> Result<()> {
        let server = self.server.registered.id();
        let dns = format!("dns={}.example", server.code);
        self.certify_key("authentication", &["--field", "country=KG", "--field", &dns])?;
        let owner = server.owner.to_string();
        self.certify_key("signing", &["--field", "country=KG", "--member", &owner])
    }

    /// Exports the answer with this message identifier, and gives the digest of the file.
    pub(crate) fn record(&self, id: &str) -> Result<String> {
        let found = self.uuk(&["--json", "log", "find", "--id", id, "--direction", "response"])?;
        let found: Value = serde_json::from_str(&found)?;
        let record = found.pointer("/records/0/record").context("the call is not in the log")?.to_string();
        let exported = self.uuk(&["--json", "log", "export", &record, "--out", "first-call"])?;
        let exported: Value = serde_json::from_str(&exported)?;
        let file = exported.pointer("/files/0").and_then(Value::as_str).context("nothing was exported")?;
        Ok(Sha256::of(&std::fs::read(self.server.site.folder().join(file))?).to_string())
    }

    fn certify_key(&self, usage: &str, of_whom: &[&str]) -> Result<()> {
        let (request, certificate) = (format!("{usage}.csr"), format!("{usage}.pem"));
        let key = self.uuk(&["keys", "generate", "--for", usage])?;
        let asking = [&["keys", "request", short(&key), "--output", &request], of_whom].concat();
        self.uuk(&asking)?;
        let body = format!("@{request}");
        let url = format!("{}/{usage}", self.authority);
        self.run("curl", &["-sSf", "--data-binary", &body, &url, "-o", &certificate])?;
        let digest = self.uuk(&["keys", "import", &certificate])?;
        self.uuk(&["keys", "activate", short(&digest)])?;
        Ok(())
    }

    /// Runs a command of the program, and gives what it prints.
    fn uuk(&self, arguments: &[&str]) -> Result<String> {
        self.run("uuk", arguments)
    }

    fn run(&self, program: &str, arguments: &[&str]) -> Result<String> {
        let line = format!("{program} {}", arguments.join(" "));
        self.show(&format!("$ {line}"));
        let started = Instant::now();
        loop {
            let mut command = match program {
                "uuk" => Command::new(self.uuk),
                other => Command::new(other),
            };
            // A proxy that this machine uses does not lead back to it.
            command.args(arguments).current_dir(self.server.site.folder()).env("no_proxy", "127.0.0.1");
            let output = command.output();
            let output = output.with_context(|| format!("cannot run `{line}`"))?;
            if output.status.success() {
                return Ok(String::from_utf8(output.stdout)?.trim().to_owned());
            }
            // Whoever asked for JSON is told in JSON, as the result.
            let said = [output.stderr, output.stdout].concat();
            let said = String::from_utf8_lossy(&said);
            let too_early = EARLY.iter().any(|code| said.contains(code));
            ensure!(too_early && started.elapsed() < PATIENCE, "`{line}` failed: {said}");
            std::thread::sleep(Duration::from_millis(50));
        }
    }

    fn show(&self, line: &str) {
        if self.speaks {
            say("", line);
        }
    }
}

/// As much of a name as commands need.
fn short(name: &str) -> &str {
    name.get(..8).unwrap_or(name)
}
