use std::collections::BTreeMap;
use std::fs::{self, File};
use std::io::{BufRead, BufReader, Write};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};

use anyhow::{Context, Result, bail, ensure};
use serde_json::Value;
use tempfile::TempDir;
use uuk_testkit::network::certificate_pem;
use uuk_testkit::ports;

use crate::network::{Enrolled, Network};
use crate::server::Server;

/// A central server in a folder, and its operator at the terminal.
pub struct Central {
    /// Environment variables that it has besides ours.
    pub environment: BTreeMap<String, String>,
    program: PathBuf,
    folder: PathBuf,
    serving: Option<Child>,
    /// Its folder, if it goes with it.
    temporary: Option<TempDir>,
}

impl Central {
    /// Founds the instance KG, which approves nobody yet.
    pub fn found() -> Result<Self> {
        Self::found_instance("KG")
    }

    /// As [`Central::found`], another instance.
    pub fn found_instance(instance: &str) -> Result<Self> {
        let folder = tempfile::tempdir()?;
        let often = "interval = '1s'\nlifetime = '1m'\n";
        let mut central = Self::found_instance_in(instance, folder.path(), &Server::program()?, often)?;
        central.temporary = Some(folder);
        Ok(central)
    }

    /// As [`Central::found`], in a folder that is there, by `program`; `settings` are further lines of `central.toml`,
    /// of its section `[publication]` first.
    pub fn found_in(folder: &Path, program: &Path, settings: &str) -> Result<Self> {
        Self::found_instance_in("KG", folder, program, settings)
    }

    fn found_instance_in(instance: &str, folder: &Path, program: &Path, settings: &str) -> Result<Self> {
        // The anchor names the address, so it must be known before anything listens there.
        let address = format!("127.0.0.1:{}", ports::reserve()?);
        fs::write(folder.join("central.toml"), format!("[publication]\naddress = '{address}'\n{settings}"))?;
        fs::write(folder.join("signing-keys-password"), "correct horse battery staple\n")?;
        let (program, folder) = (program.to_owned(), folder.to_owned());
        let central = Self { environment: BTreeMap::new(), program, folder, serving: None, temporary: None };
        let management = format!("{instance}/GOV/10000001/management");
        central.run(&["init", instance, "--source", &address, "--management", &management])?;
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
        self.folder.join(name)
    }

    /// Registers a member with its server, and the client that exchanges through it.
    pub fn admit(&self, side: &Enrolled, name: &str, client: &str) -> Result<()> {
        let server = side.registered.id();
        let (owner, server) = (server.owner.to_string(), server.to_string());
        self.run(&["member", "add", &owner, name])?;
        self.run(&["subsystem", "add", client])?;
        self.run(&["server", "add", &server, &format!("127.0.0.1:{}", side.port)])?;
        self.run(&["client", "add", &server, client])?;
        Ok(())
    }

    /// Registers the authentication certificate in a PEM file as that of a server.
    pub fn register_certificate(&self, side: &Enrolled, certificate: &Path) -> Result<()> {
        let server = side.registered.id().to_string();
        self.run(&["certificate", "add", &server, &certificate.display().to_string()])?;
        Ok(())
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
        self.serve_by(Command::new(&self.program))
    }

    /// As [`Central::serve`]; it ends with the calling thread, even if this process is killed.
    pub fn serve_with_us(&mut self) -> Result<()> {
        let mut command = Command::new("setpriv");
        command.args(["--pdeathsig", "KILL", "--"]).arg(&self.program);
        self.serve_by(command)
    }

    fn serve_by(&mut self, mut command: Command) -> Result<()> {
        command.args(["central", "serve", "--no-color", "--config"]).arg(self.path("central.toml"));
        command.envs(&self.environment);
        let mut child = command.stdin(Stdio::null()).stderr(Stdio::piped()).spawn()?;
        let mut lines = BufReader::new(child.stderr.take().context("no standard error")?).lines();
        let mut log = File::create(self.path("server.log"))?;
        let mut keep = move |line: &str| writeln!(log, "{line}");
        self.serving = Some(child);
        let mut told = Vec::new();
        loop {
            let Some(line) = lines.next().transpose()? else {
                bail!("the central server ended before it was ready:\n{}", told.join("\n"));
            };
            keep(&line)?;
            if line.trim_start().starts_with("ready") {
                break;
            }
            told.push(line);
        }
        // The rest of its log is read, so that it never waits for a reader.
        std::thread::spawn(move || lines.map_while(Result::ok).try_for_each(|line| keep(&line)));
        Ok(())
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
