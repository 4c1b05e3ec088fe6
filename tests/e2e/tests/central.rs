//! The operator's central server: security servers take the global configuration from it, and what it registers or
//! removes decides who exchanges messages.

use std::fs;
use std::io::{BufRead, BufReader};
use std::net::TcpListener;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::time::Duration;

use anyhow::{Context, Result, bail, ensure};
use http::StatusCode;
use serde_json::Value;
use tempfile::TempDir;
use uuk_e2e::{Client, Enrolled, Network, Pair, Server};
use uuk_pki::{CertificateUse, Sha256};
use uuk_signer::KeyAlgorithm;
use uuk_testkit::network::certificate_pem;

const KNOWN: &str = "/people/10101194000000";
/// How long a server may take for its first configuration, in a debug build.
const PATIENCE: Duration = Duration::from_secs(90);
/// A second until the central server publishes, a second until a security server asks, and some for a busy machine.
const REFRESH: Duration = Duration::from_secs(15);

/// A central server in a folder, and its operator at the terminal.
struct Central {
    program: PathBuf,
    folder: TempDir,
    serving: Option<Child>,
}

impl Central {
    /// Founds the instance of `network`, with its authorities approved.
    fn found(network: &Network) -> Result<Self> {
        let folder = tempfile::tempdir()?;
        // The anchor names the address, so it must be known before anything listens there.
        let address = TcpListener::bind("127.0.0.1:0")?.local_addr()?.to_string();
        fs::write(
            folder.path().join("central.toml"),
            format!("[publication]\naddress = '{address}'\ninterval = '1s'\nlifetime = '1m'\n"),
        )?;
        fs::write(folder.path().join("signing-keys-password"), "correct horse battery staple\n")?;
        let central = Self { program: Server::program()?, folder, serving: None };
        let [authority, stamper] = ["authority.pem", "stamper.pem"].map(|name| central.path(name));
        fs::write(&authority, certificate_pem(network.instance.authority.top())?)?;
        fs::write(&stamper, certificate_pem(network.instance.time_stamping.certificate())?)?;
        let (ocsp, stamping) =
            (network.instance.authority.ocsp().url(), network.instance.time_stamping.url());
        let [authority, stamper] = [&authority, &stamper].map(|path| path.display().to_string());
        central.run(&["init", "KG", "--source", &address, "--management", "KG/GOV/10000001/management"])?;
        central.run(&["class", "set", "GOV", "Government"])?;
        central.run(&[
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
        central.run(&[
            "time-stamping",
            "set",
            "Test stamper",
            "--url",
            &stamping,
            "--certificate",
            &stamper,
        ])?;
        Ok(central)
    }

    fn path(&self, name: &str) -> PathBuf {
        self.folder.path().join(name)
    }

    /// `uuk central …`: what it prints with `--json`, or that it refuses.
    fn run(&self, arguments: &[&str]) -> Result<Value> {
        let config = self.path("central.toml");
        let mut command = Command::new(&self.program);
        command.args(["--json", "central", "--config"]).arg(config).args(arguments);
        let output = command.output()?;
        let printed = String::from_utf8_lossy(&output.stdout);
        ensure!(output.status.success(), "uuk central {}: {printed}", arguments.join(" "));
        Ok(serde_json::from_str(&printed)?)
    }

    /// `uuk central serve`, until this is dropped.
    fn serve(&mut self) -> Result<()> {
        let mut command = Command::new(&self.program);
        command.args(["central", "serve", "--no-color", "--config"]).arg(self.path("central.toml"));
        let mut child = command.stdin(Stdio::null()).stderr(Stdio::piped()).spawn()?;
        let mut lines = BufReader::new(child.stderr.take().context("no standard error")?).lines();
        let ready = lines.by_ref().map_while(Result::ok).any(|line| line.trim_start().starts_with("ready"));
        // The rest of its log is read, so that it never waits for a reader.
        std::thread::spawn(move || lines.map_while(Result::ok).for_each(drop));
        self.serving = Some(child);
        if ready { Ok(()) } else { bail!("the central server ended before it was ready") }
    }

    /// Registers a member with its server and the client that exchanges through it, and hands over the anchor.
    fn admit(&self, side: &Enrolled, client: &str) -> Result<()> {
        let server = side.registered.id();
        let (owner, server) = (server.owner.to_string(), server.to_string());
        self.run(&["member", "add", &owner, "An agency"])?;
        self.run(&["subsystem", "add", client])?;
        self.run(&["server", "add", &server, &format!("127.0.0.1:{}", side.port)])?;
        self.run(&["client", "add", &server, client])?;
        let anchor = side.site.folder().join("anchor.xml");
        self.run(&["anchor", "--output", &anchor.display().to_string()])?;
        Ok(())
    }

    /// Registers the certificate that the server's key was given last, and answers with its digest.
    fn register_certificate(&self, network: &Network, side: &Enrolled) -> Result<String> {
        let content = network.instance.source.content();
        let known = content.certificates.get(side.registered.id()).and_then(|known| known.last());
        let certificate = known.context("no certificate was issued")?;
        let file = self.path("authentication.pem");
        fs::write(&file, certificate_pem(certificate)?)?;
        let server = side.registered.id().to_string();
        self.run(&["certificate", "add", &server, &file.display().to_string()])?;
        Ok(Sha256::of(certificate.der()).to_string())
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

/// A server with keys and certificates, of which the central server does not know yet.
fn start(program: &Path, side: &Enrolled, network: &Network) -> Result<Server> {
    let server = Server::start_program(program, &side.site, Stdio::null())?;
    for usage in [CertificateUse::Authentication, CertificateUse::Signing] {
        side.certify(network, usage, KeyAlgorithm::EcP256)?;
    }
    Ok(server)
}

#[tokio::test(flavor = "multi_thread")]
async fn a_call_succeeds_while_the_registry_says_so() -> Result<()> {
    let pair = Pair::enrol(Network::start().await?, ["", ""]).await?;
    let mut central = Central::found(&pair.network)?;
    central.admit(&pair.provider, "KG/GOV/70000001/registry")?;
    central.admit(&pair.consumer, "KG/GOV/70000002/portal")?;
    central.serve()?;
    let provider = start(&central.program, &pair.provider, &pair.network)?;
    let consumer = start(&central.program, &pair.consumer, &pair.network)?;
    let client = Client::new(consumer.address());
    let status = || async { client.get("person", KNOWN).await.map(|reply| reply.status) };

    central.register_certificate(&pair.network, &pair.provider)?;
    let registered = central.register_certificate(&pair.network, &pair.consumer)?;
    let answers = || async { status().await.is_ok_and(|status| status == StatusCode::OK) };
    consumer.until("the exchange answers", PATIENCE, answers).await?;

    let server = pair.consumer.registered.id().to_string();
    central.run(&["certificate", "remove", &server, &registered])?;
    let stops = || async { status().await.is_ok_and(|status| status != StatusCode::OK) };
    consumer.until("calls stop", REFRESH, stops).await?;
    central.register_certificate(&pair.network, &pair.consumer)?;
    consumer.until("calls go on", REFRESH, answers).await?;

    let log = central.run(&["audit"])?;
    let acts: Vec<_> =
        log["entries"].as_array().context("no entries")?.iter().map(|entry| &entry["act"]).collect();
    assert_eq!(acts.first().copied(), Some(&Value::from("found-instance")));
    assert!(acts.contains(&&Value::from("remove-certificate")), "{acts:?}");
    drop(provider);
    Ok(())
}
