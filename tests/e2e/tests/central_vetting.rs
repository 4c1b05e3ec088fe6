//! Vetting by the whole program: a bundle is handed in, tried, approved by two people, signed, and serves until it is
//! revoked.

#![expect(clippy::indexing_slicing, reason = "of a JSON document, what is missing is null")]

use std::fs::{self, OpenOptions};
use std::io::Write;
use std::path::Path;
use std::process::Command;
use std::time::{Duration, Instant};

use anyhow::{Context, Result, ensure};
use bytes::Bytes;
use http::{Method, StatusCode};
use jiff::Timestamp;
use serde_json::{Value, json};
use tempfile::TempDir;
use uuk_bundle::Trust;
use uuk_e2e::{Central, Client, Guest, Network, Operator, Parts, Server, Site};
use uuk_pki::{Anchors, Certificate};
use uuk_testkit::authority::{Authority, KeyKind};
use uuk_testkit::ports;

const KNOWN: &str = "/people/10101194000000";
/// How long a debug build may take to compile and try an adapter.
const PATIENCE: Duration = Duration::from_secs(120);
const REFRESH: Duration = Duration::from_secs(15);
const SOFTHSM: &str = "/usr/lib/softhsm/libsofthsm2.so";

const BILL_OF_MATERIALS: &str =
    r#"{"components":[{"name":"smallvec","version":"1.6.0","purl":"pkg:cargo/smallvec@1.6.0"}]}"#;
const ADVISORY: &str = r#"{"id":"RUSTSEC-2021-0003","modified":"2023-06-13T13:10:24Z","affected":[{
    "package":{"ecosystem":"crates.io","name":"smallvec"},
    "ranges":[{"type":"SEMVER","events":[{"introduced":"0.0.0-0"},{"fixed":"1.6.1"}]}]}]}"#;

/// An operator with people who vet, and an agency.
struct Office {
    central: Central,
    api: Client,
    site: Site,
    submitter: String,
    reviewers: [String; 2],
    _network: Network,
    _folder: TempDir,
}

impl Office {
    /// `settings` are the lines of `[vetting]`.
    async fn open(settings: impl Fn(&Site, &mut Central) -> Result<String>) -> Result<Self> {
        let network = Network::start().await?;
        let folder = tempfile::tempdir()?;
        let governance = "[plugins]\ncanary_percent = 0\nrescan_every = \"200ms\"\n\n\
                          [governance]\ntrust = \"global_configuration\"\n\n\
                          [governance.global_configuration]\nupdate_interval = \"1s\"\nanchor = \"anchor.xml\"\n";
        let mut site = Site::new(folder.path(), "127.0.0.1:0", "127.0.0.1:0", governance)?;
        site.people().await?;
        fs::remove_file(folder.path().join("trust.toml"))?;

        let mut central = Central::found()?;
        central.approve(&network)?;
        central.hand_anchor(folder.path())?;
        for (role, file) in [("author", "author-ca.pem"), ("vetting", "vetting-ca.pem")] {
            central.run(&["vetting", "trust", role, &folder.path().join(file).display().to_string()])?;
        }
        let address = format!("127.0.0.1:{}", ports::reserve()?);
        let vetting = settings(&site, &mut central)?;
        let mut config = OpenOptions::new().append(true).open(central.path("central.toml"))?;
        writeln!(config, "[console]\naddress = '{address}'\n\n[vetting]\n{vetting}")?;
        let person = |name: &str, full_name: &str, role: &[&str]| {
            central.run(&[&["person", "invite", name, full_name, "--role"], role].concat())?;
            let issued = central.run(&["person", "token", name, "test"])?;
            Ok::<_, anyhow::Error>(issued["token"].as_str().context("no token")?.to_owned())
        };
        let submitter = person("asanova", "A. Asanova", &["specialist", "--member", "KG/GOV/70000002"])?;
        let reviewers =
            [person("chon", "C. Chon", &["reviewer"])?, person("duysheev", "D. Duysheev", &["reviewer"])?];
        central.serve()?;
        let api = Client::new(&address);
        Ok(Self { central, api, site, submitter, reviewers, _network: network, _folder: folder })
    }

    async fn ask(&self, token: &str, method: Method, path: &str, body: (&str, Bytes)) -> Result<Value> {
        let bearer = format!("Bearer {token}");
        let headers = [("authorization", bearer.as_str()), ("content-type", body.0)];
        let path = format!("/api/v1/submissions{path}");
        let reply = self.api.call(method, &path, &headers, body.1).await?;
        ensure!(reply.status.is_success(), "{path}: {reply:?}");
        reply.json()
    }

    /// Hands a bundle in; its number.
    async fn submit(&self, bundle: Vec<u8>) -> Result<u64> {
        let body = ("application/vnd.etsi.asic-e+zip", bundle.into());
        self.ask(&self.submitter, Method::POST, "", body).await?["number"].as_u64().context("no number")
    }

    async fn step(&self, token: &str, number: u64, step: Value) -> Result<Value> {
        let body = ("application/json", step.to_string().into());
        self.ask(token, Method::POST, &format!("/{number}/steps"), body).await
    }

    /// The submission once it is at a stage.
    async fn at(&self, number: u64, stage: &str) -> Result<Value> {
        let until = Instant::now() + PATIENCE;
        loop {
            let path = format!("/{number}");
            let shown = self.ask(&self.reviewers[0], Method::GET, &path, ("", Bytes::new())).await?;
            if shown["stage"] == stage {
                return Ok(shown);
            }
            ensure!(Instant::now() < until, "never {stage}: {shown}");
            tokio::time::sleep(Duration::from_millis(200)).await;
        }
    }

    /// Both reviewers approve, and the vetted bundle is fetched.
    async fn vet(&self, number: u64) -> Result<Vec<u8>> {
        let bundle = self.at(number, "review").await?["bundle"].clone();
        for reviewer in &self.reviewers {
            let approve =
                json!({ "act": "approve", "bundle": bundle, "tier": "standard", "grants": "the register" });
            self.step(reviewer, number, approve).await?;
        }
        self.at(number, "vetted").await?;
        let bearer = format!("Bearer {}", self.submitter);
        let path = format!("/api/v1/submissions/{number}/vetted");
        let reply = self.api.call(Method::GET, &path, &[("authorization", &bearer)], Bytes::new()).await?;
        ensure!(reply.status == StatusCode::OK, "{reply:?}");
        Ok(reply.body.to_vec())
    }
}

fn key_file(site: &Site) -> String {
    let keys = site.folder().join("keys");
    let path = |name: &str| keys.join(name).display().to_string();
    let (certificate, key, password) =
        (path("vetting-certificate.pem"), path("vetting.pem"), path("password"));
    format!("certificate = '{certificate}'\nkey = '{key}'\npassword_file = '{password}'\n")
}

async fn status(client: &Client) -> Option<StatusCode> {
    client.get("person", KNOWN).await.ok().map(|reply| reply.status)
}

#[tokio::test(flavor = "multi_thread")]
async fn an_approved_bundle_serves_until_it_is_revoked() -> Result<()> {
    let office = Office::open(|site, central| {
        fs::create_dir(central.path("advisories"))?;
        fs::write(central.path("advisories/RUSTSEC-2021-0003.json"), ADVISORY)?;
        Ok(format!("{}advisories = 'advisories'\n", key_file(site)))
    })
    .await?;
    let mut parts = Parts::of(Guest::People)?.with_fixtures(Guest::People)?;
    parts.0.insert("sbom.json".to_owned(), BILL_OF_MATERIALS.into());
    let number = office.submit(office.site.author(parts.clone())?).await?;
    let findings = &office.at(number, "review").await?["findings"];
    let trial = &findings["trial"];
    ensure!(trial["problem"].is_null() && trial["wrong_answers"] == json!([]), "{trial}");
    let fixtures = trial["fixtures"].as_array().context("no fixtures")?;
    ensure!(!fixtures.is_empty() && trial["odd_requests"].as_u64() > Some(10), "{trial}");
    for fixture in fixtures {
        ensure!(fixture["problems"] == json!([]) && fixture["memory_bytes"].as_u64() > Some(0), "{fixture}");
    }
    let differences = findings["differences"].as_array().context("no differences")?;
    ensure!(differences.iter().any(|one| one["what"] == "sql" && one["change"] == "new"), "{differences:?}");

    let vulnerable = &findings["advisories"]["found"][0];
    ensure!(vulnerable["component"] == "smallvec" && vulnerable["fixed_in"] == "1.6.1", "{findings}");

    let vetted = office.vet(number).await?;
    office.site.drop_bundle("people.asice", &vetted)?;
    let server = Server::start_program(office.central.program(), &office.site, std::process::Stdio::null())?;
    let client = Client::new(server.address());
    let answers = async || status(&client).await == Some(StatusCode::OK);
    server.until("the vetted bundle answers", PATIENCE, answers).await?;

    // Of the next version, what has changed since is told.
    let next = parts.clone().with_version("9.0.0")?.with_manifest("host_calls = 2", "host_calls = 3")?;
    let next = office.submit(office.site.author(next)?).await?;
    let findings = &office.at(next, "review").await?["findings"];
    ensure!(findings["against"].is_string(), "{findings}");
    let told = findings["differences"].as_array().context("no differences")?.iter();
    let told: Vec<_> = told.map(|one| (one["what"].clone(), one["name"].clone())).collect();
    ensure!(told == [(json!("limit"), json!("host_calls"))], "{told:?}");

    let revoke = json!({ "act": "revoke", "reason": "wrong dates" });
    office.step(&office.reviewers[0], number, revoke).await?;
    let refuses = async || status(&client).await.is_some_and(|status| status != StatusCode::OK);
    server.until("a revoked bundle stops", REFRESH, refuses).await?;
    ensure!(Operator::of(&office.site).sees_refused("people.asice").await? == "bundle.revoked");

    // What was revoked is nothing to compare with.
    let last = office.submit(office.site.author(parts.with_version("9.0.1")?)?).await?;
    ensure!(office.at(last, "review").await?["findings"]["against"].is_null(), "compared with a revoked one");
    Ok(())
}

#[tokio::test(flavor = "multi_thread")]
async fn a_key_in_a_device_signs() -> Result<()> {
    if !Path::new(SOFTHSM).exists() {
        uuk_testkit::fixtures::skip("SoftHSM is not installed");
        return Ok(());
    }
    let device = tempfile::tempdir()?;
    let authority = Authority::new("Vetters with a device", jiff::Zoned::now().date())?;
    let office = Office::open(|_, central| {
        let file = |name: &str, text: &str| {
            let path = device.path().join(name);
            fs::write(&path, text)?;
            Ok::<_, anyhow::Error>(path.display().to_string())
        };
        let vetter = authority.issue("Vetting 2026", KeyKind::Rsa2048)?;
        central.run(&["vetting", "trust", "vetting", &file("authority.pem", &authority.pem())?])?;
        let tokens = device.path().join("tokens");
        fs::create_dir(&tokens)?;
        let config = file("softhsm2.conf", &format!("directories.tokendir = {}\n", tokens.display()))?;
        central.environment.insert("SOFTHSM2_CONF".to_owned(), config.clone());
        let key = file("key.pem", &vetter.key_pem())?;
        let initialize = ["--init-token", "--free", "--so-pin", "87654321"];
        let import = ["--import", &key, "--token", "vetting", "--id", "0102"];
        for arguments in [&initialize[..], &import] {
            let mut command = Command::new("softhsm2-util");
            command.args(arguments).args(["--label", "vetting", "--pin", "1234"]);
            let output = command.env("SOFTHSM2_CONF", &config).output()?;
            ensure!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
        }
        let (certificate, pin) = (file("vetting.pem", &vetter.pem())?, file("pin", "1234\n")?);
        Ok(format!(
            "certificate = '{certificate}'\npkcs11 = {{ module = '{SOFTHSM}', label = 'vetting' }}\n\
             password_file = '{pin}'\n"
        ))
    });
    let office = office.await?;
    let number = office.submit(office.site.author(Parts::of(Guest::People)?)?).await?;
    let vetted = office.vet(number).await?;
    let authors = Certificate::chain_from_pem(&fs::read(office.site.folder().join("author-ca.pem"))?)?;
    let trust = Trust {
        author_anchors: Anchors::new(authors),
        vetting_anchors: Anchors::new(vec![Certificate::from_der(&authority.der())?]),
        ..Trust::default()
    };
    let verified = uuk_bundle::verify(&vetted, &trust, Timestamp::now())?;
    ensure!(verified.statement().reviewers == ["C. Chon", "D. Duysheev"]);
    ensure!(verified.vetter().time_stamp.is_some());
    Ok(())
}
