//! How a security server gets its keys and certificates: what its operator types, and what others do then.

use std::path::PathBuf;
use std::process::Command;
use std::time::{Duration, Instant};

use anyhow::{Context, Result, ensure};
use uuk_e2e::{Enrolled, Network};
use uuk_pki::Certificate;

use crate::say;

/// A server has just started: it may take this long to learn what the instance is.
const PATIENCE: Duration = Duration::from_secs(30);

/// The operator of a security server, at a shell in its folder.
pub(crate) struct Operator<'a> {
    server: &'a Enrolled,
    authority: String,
    uuk: PathBuf,
    /// Whether the commands are shown.
    speaks: bool,
}

impl<'a> Operator<'a> {
    pub(crate) fn new(server: &'a Enrolled, network: &Network, uuk: PathBuf, speaks: bool) -> Self {
        Self { server, authority: network.instance.authority.url(), uuk, speaks }
    }

    /// Gives the running server a key that proves it to other servers, and one that signs for its owner.
    pub(crate) fn certify(&self) -> Result<()> {
        let server = self.server.registered.id();
        let dns = format!("dns={}.example", server.code);
        self.certify_key("authentication", &["--field", "country=KG", "--field", &dns])?;
        let certificate = std::fs::read(self.server.site.folder().join("authentication.pem"))?;
        let certificate = Certificate::chain_from_pem(&certificate)?.swap_remove(0);
        self.server.registered.register_authentication(certificate)?;
        self.show("# the operator of the instance registers authentication.pem as that of this server");
        let owner = server.owner.to_string();
        self.certify_key("signing", &["--field", "country=KG", "--member", &owner])
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
                "uuk" => Command::new(&self.uuk),
                other => Command::new(other),
            };
            // A proxy that this machine uses does not lead back to it.
            command.args(arguments).current_dir(self.server.site.folder()).env("no_proxy", "127.0.0.1");
            let output = command.output();
            let output = output.with_context(|| format!("cannot run `{line}`"))?;
            if output.status.success() {
                return Ok(String::from_utf8(output.stdout)?.trim().to_owned());
            }
            let said = String::from_utf8_lossy(&output.stderr);
            let too_early = said.contains("keys.no_global_configuration");
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
