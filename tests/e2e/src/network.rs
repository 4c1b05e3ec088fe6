use std::collections::BTreeMap;
use std::fs;
use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};

use anyhow::{Context, Result, bail};
use uuk_identifiers::MemberId;
use uuk_pki::{CertificateUse, Sha256};
use uuk_signer::{Control, KeyAlgorithm, Order, Outcome};
use uuk_testkit::network::{Instance, Server as Registered};
use uuk_testkit::ports;

use crate::server::Server;
use crate::site::Site;

/// How far above the port for messages that for OCSP answers is.
const ANSWERS_AFTER: u16 = 77;
/// How long a server may take to learn what the instance says of it.
const PATIENCE: Duration = Duration::from_secs(60);

/// An instance whose members exchange messages: its authorities run, and security servers join it one by one.
pub struct Network {
    /// The authorities, and what they say.
    pub instance: Instance,
}

/// A security server of a [`Network`], in a folder as its operator would have it.
pub struct Enrolled {
    /// Its folder, complete but for what the scenario adds.
    pub site: Site,
    /// What the instance knows of it.
    pub registered: Registered,
    /// Where other servers connect, on 127.0.0.1.
    pub port: u16,
    owner: MemberId,
    keys: PathBuf,
}

impl Network {
    /// An instance called KG.
    pub async fn start() -> Result<Self> {
        Ok(Self { instance: Instance::start("KG").await? })
    }

    /// Registers the security server `server`, such as `GOV/70000001/ss1`, with one client, and makes its folder.
    /// `settings` are further lines of `uuk.toml`.
    pub fn enrol(&self, server: &str, client: &str, folder: &Path, settings: &str) -> Result<Enrolled> {
        self.enrol_at(["127.0.0.1:0"; 2], server, client, folder, settings)
    }

    /// As [`Network::enrol`]; its clients connect to the first address, and its metrics are at the second.
    pub fn enrol_at(
        &self,
        [clients, operations]: [&str; 2],
        server: &str,
        client: &str,
        folder: &Path,
        settings: &str,
    ) -> Result<Enrolled> {
        let port = ports::reserve_with(ANSWERS_AFTER)?;
        let registered = self.instance.server(server, &format!("127.0.0.1:{port}"))?.client(client)?;
        let answers = port + ANSWERS_AFTER;
        let time_stamping = self.instance.time_stamping.url();
        let settings = format!(
            "{settings}\n[exchange.listener]\naddress = \"127.0.0.1:{port}\"\n\n\
             [exchange.certificate_answers]\naddress = \"127.0.0.1:{answers}\"\n\n\
             [exchange.global_configuration]\nanchor = \"anchor.xml\"\nfolder = \"global-configuration\"\n\
             update_interval = \"1s\"\n\n\
             [signer.tokens.software]\npin_file = \"pin\"\n\n\
             [[message_log.time_stamping.authorities]]\nbase = \"{time_stamping}\"\nnetworks = [\"127.0.0.0/8\"]\n"
        );
        let name = format!("{}/{server}", self.instance.name());
        let site = Site::of_server(&name, folder, clients, operations, &settings)?;
        fs::write(folder.join("anchor.xml"), self.instance.anchor().write())?;
        fs::write(folder.join("pin"), "1234\n")?;
        let owner = registered.id().owner.clone();
        Ok(Enrolled { site, registered, port, owner, keys: folder.join("keys") })
    }
}

impl Enrolled {
    /// Starts the program, and gives it keys and certificates as an operator does.
    pub fn start(&self, network: &Network, algorithm: KeyAlgorithm) -> Result<Server> {
        let server = Server::start(&self.site)?;
        self.certify(network, CertificateUse::Authentication, algorithm)?;
        self.certify(network, CertificateUse::Signing, algorithm)?;
        Ok(server)
    }

    /// A new key in the running server, with a certificate that is in use from now on.
    pub fn certify(&self, network: &Network, usage: CertificateUse, algorithm: KeyAlgorithm) -> Result<()> {
        let (token, label) = ("software".to_owned(), String::new());
        let Outcome::Generated { key } = self.order(&Order::Generate { token, label, usage, algorithm })?
        else {
            bail!("no key was generated");
        };
        let member = (usage == CertificateUse::Signing).then(|| self.owner.clone());
        let fields = BTreeMap::from(
            [("name", "Agency"), ("country", "KG"), ("dns", "ss.example")]
                .map(|(name, value)| (name.to_owned(), value.to_owned())),
        );
        let request = Order::Request { key, member, authority: None, fields };
        let Outcome::Requested { request } = self.order(&request)? else { bail!("no request was made") };
        let certificate = network.instance.authority.issue(&request, usage)?;
        self.order(&Order::Import { certificate: certificate.der().to_vec() })?;
        self.order(&Order::Activate { certificate: Sha256::of(certificate.der()) })?;
        if usage == CertificateUse::Authentication {
            self.registered.register_authentication(certificate)?;
        }
        Ok(())
    }

    /// Repeats an order until the server knows the global configuration.
    fn order(&self, order: &Order) -> Result<Outcome> {
        let started = Instant::now();
        loop {
            match Control::ask(&self.keys, order) {
                Ok(outcome) => return Ok(outcome),
                Err(error) if started.elapsed() > PATIENCE => return Err(error).context("an order for keys"),
                Err(_) => std::thread::sleep(Duration::from_millis(100)),
            }
        }
    }
}
