use std::collections::BTreeMap;
use std::fs;
use std::io::{BufRead, BufReader};
use std::net::TcpListener;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};

use anyhow::{Context, Result, bail, ensure};
use serde_json::Value;
use tempfile::TempDir;
use uuk_testkit::network::certificate_pem;

use crate::network::Network;
use crate::server::Server;

/// A central server in a folder, and its operator at the terminal.
pub struct Central {
    /// Environment variables that it has besides ours.
    pub environment: BTreeMap<String, String>,
    program: PathBuf,
    folder: TempDir,
    serving: Option<Child>,
}

impl Central {
    /// Founds the instance KG, which approves nobody yet.
    pub fn found() -> Result<Self> {
        let folder = tempfile::tempdir()?;
        // The anchor names the address, so it must be known before anything listens there.
        let address = TcpListener::bind("127.0.0.1:0")?.local_addr()?.to_string();
        fs::write(
            folder.path().join("central.toml"),
            format!("[publication]\naddress = '{address}'\ninterval = '1s'\nlifetime = '1m'\n"),
        )?;
        fs::write(folder.path().join("signing-keys-password"), "correct horse battery staple\n")?;
        let environment = BTreeMap::new();
        let central = Self { environment, program: Server::program()?, folder, serving: None };
        central.run(&["init", "KG", "--source", &address, "--management", "KG/GOV/10000001/management"])?;
        central.run(&["class", "set", "GOV", "Government"])?;
        Ok(central)
    }

    /// Approves the authorities of `network`.
    pub fn approve(&self, network: &Network) -> Result<()> {
        let [authority, stamper] = ["authority.pem", "stamper.pem"].map(|name| self.path(name));
        fs::write(&authority, certificate_pem(network.instance.authority.top())?)?;
        fs::write(&stamper, certificate_pem(network.instance.time_stamping.certificate())?)?;
        let (ocsp, stamping) =
            (network.instance.authority.ocsp().url(), network.instance.time_stamping.url());
        let [authority, stamper] = [&authority, &stamper].map(|path| path.display().to_string());
        self.run(&[
            "authority",
            "set",
            "Test authority",
            "--certificate",
            &authority,
            "--ocsp",
            &ocsp,
            "--profile",
            "Basic",
        ])?;
        let stamper = ["time-stamping", "set", "Test stamper", "--url", &stamping, "--certificate", &stamper];
        self.run(&stamper)?;
        Ok(())
    }

    /// The program that serves.
    pub fn program(&self) -> &Path {
        &self.program
    }

    /// A file in its folder.
    pub fn path(&self, name: &str) -> PathBuf {
        self.folder.path().join(name)
    }

    /// Hands the anchor over to whoever owns `folder`.
    pub fn hand_anchor(&self, folder: &Path) -> Result<()> {
        self.run(&["anchor", "--output", &folder.join("anchor.xml").display().to_string()])?;
        Ok(())
    }

    /// `uuk central …`: what it prints with `--json`, or that it refuses.
    pub fn run(&self, arguments: &[&str]) -> Result<Value> {
        let config = self.path("central.toml");
        let mut command = Command::new(&self.program);
        command.args(["--json", "central", "--config"]).arg(config).args(arguments);
        let output = command.output()?;
        let printed = String::from_utf8_lossy(&output.stdout);
        ensure!(output.status.success(), "uuk central {}: {printed}", arguments.join(" "));
        if printed.trim().is_empty() { Ok(Value::Null) } else { Ok(serde_json::from_str(&printed)?) }
    }

    /// `uuk central serve`, until this is dropped.
    pub fn serve(&mut self) -> Result<()> {
        let mut command = Command::new(&self.program);
        command.args(["central", "serve", "--no-color", "--config"]).arg(self.path("central.toml"));
        command.envs(&self.environment);
        let mut child = command.stdin(Stdio::null()).stderr(Stdio::piped()).spawn()?;
        let mut lines = BufReader::new(child.stderr.take().context("no standard error")?).lines();
        let ready = lines.by_ref().map_while(Result::ok).any(|line| line.trim_start().starts_with("ready"));
        // The rest of its log is read, so that it never waits for a reader.
        std::thread::spawn(move || lines.map_while(Result::ok).for_each(drop));
        self.serving = Some(child);
        if ready { Ok(()) } else { bail!("the central server ended before it was ready") }
    }
}

impl Drop for Central {
    fn drop(&mut self) {
        if let Some(child) = &mut self.serving {
            let _ = child.kill();
            let _ = child.wait();
        }
    }
}
