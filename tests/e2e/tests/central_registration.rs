//! What a security server asks of the central server of its instance: through the door for certificates, and through the
//! security server of the operator.

#![expect(clippy::indexing_slicing, reason = "what is missing in an answer, the test reports")]

use std::fmt::Write as _;
use std::fs;
use std::process::{Command, Stdio};
use std::time::{Duration, Instant};

use anyhow::{Context, Result, ensure};
use serde_json::Value;
use uuk_e2e::{Central, Enrolled, Network, Server};
use uuk_pki::CertificateUse;
use uuk_signer::KeyAlgorithm;
use uuk_testkit::network::certificate_pem;
use uuk_testkit::ports;
use uuk_testkit::tls_authority::TlsAuthority;
use uuk_testkit::upstream::{UpstreamOptions, VehiclesUpstream};

const SERVER: &str = "KG/GOV/70000001/ss1";
const CLIENT: &str = "KG/GOV/70000001/registry";
/// A second until the central server publishes, a second until a security server asks, and some for a busy machine.
const PATIENCE: Duration = Duration::from_secs(90);

const SERVICES: [&str; 10] = [
    "clientReg",
    "clientDeletion",
    "clientDisable",
    "clientEnable",
    "clientRename",
    "ownerChange",
    "addressChange",
    "authCertDeletion",
    "maintenanceModeEnable",
    "maintenanceModeDisable",
];

/// An operator's central and security server, and an agency of which only the name is registered.
struct Scene {
    central: Central,
    agency: Enrolled,
    server: Server,
    _office: Server,
    _network: Network,
    _folders: [tempfile::TempDir; 2],
    _tls: TlsAuthority,
}

impl Scene {
    async fn set() -> Result<Self> {
        let [registration, management] =
            [ports::reserve()?, ports::reserve()?].map(|port| format!("127.0.0.1:{port}"));
        let tls = TlsAuthority::new()?;
        let identity = tls.server("central")?;
        let program = Server::program()?;
        let folders = [tempfile::tempdir()?, tempfile::tempdir()?];
        let mut central = Central::found()?;
        let config = central.path("central.toml");
        let requests = format!(
            "[requests]\nregistration = {{ address = '{registration}', authentication = 'tls', identity = {{ \
             certificate = '{}', key = '{}' }} }}\nmanagement = {{ address = '{management}', authentication = 'none' }}\n",
            identity.certificate.display(),
            identity.key.display()
        );
        fs::write(&config, fs::read_to_string(&config)? + &requests)?;
        central.run(&[
            "settings",
            "--registration",
            &format!("https://{registration}/managementservice/"),
        ])?;

        let network = Network::start().await?;
        central.approve(&network)?;
        let [office, agency] = [
            ("GOV/10000001/ss0", "GOV/10000001/management", &folders[0]),
            ("GOV/70000001/ss1", "GOV/70000001/registry", &folders[1]),
        ]
        .map(|(server, client, folder)| network.enrol(server, client, folder.path(), ""));
        let (office, agency) = (office?, agency?);
        central.admit(&office, "Operator", "KG/GOV/10000001/management")?;
        central.run(&["member", "add", "KG/GOV/70000001", "Registry of people"])?;
        answer_requests(&office, &management)?;
        for side in [&office, &agency] {
            central.hand_anchor(side.site.folder())?;
        }
        central.serve()?;

        let start = |side: &Enrolled| {
            let server = Server::start_program(&program, &side.site, Stdio::null())?;
            for usage in [CertificateUse::Authentication, CertificateUse::Signing] {
                side.certify(&network, usage, KeyAlgorithm::EcP256)?;
            }
            Ok::<_, anyhow::Error>(server)
        };
        let (of_office, server) = (start(&office)?, start(&agency)?);
        let content = network.instance.source.content();
        let known = content.certificates.get(office.registered.id()).and_then(|known| known.last());
        let file = central.path("office.pem");
        fs::write(&file, certificate_pem(known.context("no certificate was issued")?)?)?;
        central.register_certificate(&office, &file)?;
        Ok(Self {
            central,
            agency,
            server,
            _office: of_office,
            _network: network,
            _folders: folders,
            _tls: tls,
        })
    }

    /// `uuk registration …` or `uuk keys …` at the agency: what it prints with `--json`, and whether it succeeds.
    fn uuk(&self, arguments: &[&str]) -> Result<(bool, Value)> {
        let mut command = Command::new(self.central.program());
        command.arg("--json").args(arguments).arg("--config").arg(self.agency.site.folder().join("uuk.toml"));
        let output = command.output()?;
        Ok((output.status.success(), serde_json::from_slice(&output.stdout)?))
    }

    /// Asks until it is taken, since servers learn of each other one by one; answers with the number of the request.
    async fn asks(&self, arguments: &[&str]) -> Result<String> {
        let arguments = [&["registration"], arguments].concat();
        let started = Instant::now();
        loop {
            let (taken, printed) = self.uuk(&arguments)?;
            if taken {
                return Ok(printed["request"].to_string());
            }
            ensure!(started.elapsed() < PATIENCE, "{}: {printed}", arguments.join(" "));
            tokio::time::sleep(Duration::from_millis(200)).await;
        }
    }

    /// Asks for what is not to be had; answers with the code of the reason.
    fn is_refused(&self, arguments: &[&str]) -> Result<String> {
        let (taken, printed) = self.uuk(&[&["registration"], arguments].concat())?;
        ensure!(!taken, "{}: {printed}", arguments.join(" "));
        Ok(printed["code"].as_str().unwrap_or_default().to_owned())
    }

    async fn is_approved(&self, arguments: &[&str]) -> Result<()> {
        let number = self.asks(arguments).await?;
        self.central.run(&["request", "approve", &number]).map(drop)
    }

    /// What the agency's server knows of its authentication certificate.
    fn certificate(&self) -> Result<Value> {
        let (_, printed) = self.uuk(&["keys", "list"])?;
        let tokens = printed["tokens"].as_array().context("no tokens")?;
        let mut keys = tokens.iter().filter_map(|token| token["keys"].as_array()).flatten();
        let key = keys.find(|key| key["usage"] == "authentication").context("no key")?;
        Ok(key["certificates"][0].clone())
    }

    /// What is registered of the agency's server.
    fn registered(&self) -> Result<Value> {
        let shown = self.central.run(&["show"])?;
        Ok(shown["servers"][SERVER].clone())
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_server_registers_itself_and_its_clients() -> Result<()> {
    let scene = Scene::set().await?;
    let certificate = scene.certificate()?;
    let digest = certificate["sha256"].as_str().context("no digest")?.to_owned();
    let address = format!("127.0.0.1:{}", scene.agency.port);
    assert_eq!(certificate["status"], "saved");

    // At the door for certificates.
    let add = ["certificate", "add", &digest, "--address", &address];
    scene.asks(&[&add[..], &["--dry-run"]].concat()).await?;
    assert_eq!(scene.certificate()?["status"], "saved");
    let number = scene.asks(&add).await?;
    assert_eq!(scene.certificate()?["status"], "registration_in_progress");
    assert_eq!(scene.is_refused(&add)?, "registration.refused", "it waits already");
    assert_eq!(scene.registered()?, Value::Null, "nobody has approved");
    scene.central.run(&["request", "approve", &number])?;
    assert_eq!(scene.registered()?["address"], address.as_str());

    // Through the security server of the operator.
    scene.is_approved(&["client", "add", CLIENT, "--name", "The register"]).await?;
    assert_eq!(scene.registered()?["clients"][CLIENT], "enabled");
    scene.asks(&["client", "disable", CLIENT]).await?;
    assert_eq!(scene.registered()?["clients"][CLIENT], "disabled");
    scene.asks(&["client", "enable", CLIENT]).await?;
    scene.asks(&["client", "rename", CLIENT, "People & <places>"]).await?;
    let shown = scene.central.run(&["show"])?;
    assert_eq!(shown["subsystems"][CLIENT]["name"], "People & <places>");
    scene.asks(&["maintenance", "start", "until noon"]).await?;
    assert_eq!(scene.registered()?["maintenance"]["message"], "until noon");
    scene.asks(&["maintenance", "end"]).await?;
    assert_eq!(scene.registered()?["maintenance"], Value::Null);
    scene.asks(&["address", "localhost"]).await?;
    assert_eq!(scene.registered()?["address"], "localhost");
    scene.asks(&["client", "remove", CLIENT]).await?;
    assert_eq!(scene.registered()?["clients"].as_object().map(serde_json::Map::len), Some(0));

    // What may not be.
    assert_eq!(scene.is_refused(&["client", "remove", CLIENT])?, "registration.refused");
    assert_eq!(scene.is_refused(&["client", "add", "KG/GOV/70000009/x"])?, "signer.no_certificate");
    assert_eq!(scene.is_refused(&["owner", "KG/GOV/70000009"])?, "signer.no_certificate");
    assert_eq!(scene.is_refused(&["address", "not an address"])?, "registration.refused");

    scene.asks(&["certificate", "remove", &digest]).await?;
    assert_eq!(scene.certificate()?["status"], "deletion_in_progress");
    assert_eq!(scene.registered()?["certificates"].as_array().map(Vec::len), Some(0));
    Ok(())
}

#[tokio::test(flavor = "multi_thread")]
async fn nobody_registers_with_a_stranger() -> Result<()> {
    let scene = Scene::set().await?;
    let digest = scene.certificate()?["sha256"].as_str().context("no digest")?.to_owned();
    // Somebody else listens where the configuration says; it shows a certificate, but not that one.
    let authority = TlsAuthority::new()?;
    let tls = Some(authority.server("central")?);
    let stranger = VehiclesUpstream::start(UpstreamOptions { tls, ..UpstreamOptions::default() }).await?;
    scene.central.run(&["settings", "--registration", &stranger.base()])?;
    let add = ["certificate", "add", &digest, "--dry-run"];
    let refused = async || scene.is_refused(&add).is_ok_and(|code| code == "registration.unanswered");
    scene.server.until("the stranger is asked", PATIENCE, refused).await?;
    assert_eq!(scene.certificate()?["status"], "saved");
    assert_eq!(stranger.requests(), 0);
    Ok(())
}

/// Has the operator's security server pass requests on to the central server, for all who own one.
fn answer_requests(office: &Enrolled, management: &str) -> Result<()> {
    let folder = office.site.folder();
    let services = SERVICES.map(|service| format!("KG/GOV/10000001/management/{service}"));
    let mut backends = String::new();
    for service in &services {
        writeln!(
            backends,
            "[[backend]]\nservice = '{service}'\nprotocol = 'soap'\nupstream = {{ base = 'http://{management}' }}\n"
        )?;
    }
    fs::write(folder.join("backends.toml"), backends)?;
    let clients = format!(
        "[[client]]\nid = 'KG/GOV/10000001/management'\n\n\
         [[access_right]]\nglobal_group = 'KG/security-server-owners'\nservices = {services:?}\n"
    );
    Ok(fs::write(folder.join("clients.toml"), clients)?)
}
