//! Trust and accesses of the instance: what its operator revokes, no longer trusts or takes back stops at a running server.

use std::fs;
use std::time::Duration;

use anyhow::{Context, Result};
use http::StatusCode;
use jiff::{SignedDuration, Timestamp};
use tempfile::TempDir;
use uuk_e2e::{CLIENT, Central, Client, Guest, Operator, PROVIDER, Server, Site, project_root};

const KNOWN: &str = "/people/10101194000000";
/// How long a server may take to compile its plugin, in a debug build.
const PATIENCE: Duration = Duration::from_secs(90);
/// A second until the central server publishes, a second until a security server asks, and some for a busy machine.
const REFRESH: Duration = Duration::from_secs(15);
const SETTINGS: &str = "[plugins]\ncanary_percent = 0\nrescan_every = \"200ms\"\n\n\
                        [governance]\ntrust = \"global_configuration\"\n";

/// An agency that takes its trust from the instance, and the operator of that.
struct Agency {
    central: Central,
    site: Site,
    digest: String,
    _folder: TempDir,
}

impl Agency {
    /// `source` is how the global configuration comes to the agency.
    async fn furnish(source: &str) -> Result<Self> {
        Self::governed("", source).await
    }

    /// Likewise; `governance` are further lines of the agency's section of that name.
    async fn governed(governance: &str, source: &str) -> Result<Self> {
        let folder = tempfile::tempdir()?;
        let settings = format!(
            "{SETTINGS}{governance}[governance.global_configuration]\nupdate_interval = \"1s\"\n{source}\n"
        );
        let mut site = Site::new(folder.path(), "127.0.0.1:0", "127.0.0.1:0", &settings)?;
        site.people().await?;
        let bundle = site.bundle(Guest::People, None)?;
        site.drop_bundle("people.asice", &bundle)?;
        fs::remove_file(folder.path().join("trust.toml"))?;
        let central = Central::found()?;
        central.hand_anchor(folder.path())?;
        for (role, file) in [("author", "author-ca.pem"), ("vetting", "vetting-ca.pem")] {
            central.run(&["vetting", "trust", role, &folder.path().join(file).display().to_string()])?;
        }
        let digest = uuk_bundle::BundleDigest::of(&bundle).to_string();
        Ok(Self { central, site, digest, _folder: folder })
    }
}

impl Agency {
    /// Describes the agency's service in the operator's catalog, and registers who may ask for access to it.
    fn publish_service(&self) -> Result<()> {
        let central = &self.central;
        for (subsystem, name) in [(PROVIDER, "Registry of people"), (CLIENT, "Pensions")] {
            let (member, _) = subsystem.rsplit_once('/').context("a subsystem has a member")?;
            central.run(&["member", "add", member, name])?;
            central.run(&["subsystem", "add", subsystem])?;
        }
        let described = project_root().join("tests/e2e/examples/demo/catalog");
        let [system, person] =
            ["system.toml", "person.toml"].map(|name| described.join(name).display().to_string());
        let contract = Guest::People.folder().join("contracts/person.yaml").display().to_string();
        central.run(&["catalog", "system", PROVIDER, &system])?;
        central.run(&["catalog", "draft", &person, &contract])?;
        central.run(&["catalog", "publish", &format!("{PROVIDER}/person")])?;
        Ok(())
    }

    /// Asks for access for so long; gives the number of the request.
    fn ask(&self, lasting: SignedDuration) -> Result<String> {
        let until = Timestamp::now() + lasting;
        let request = format!(
            "consumer = '{CLIENT}'\nservice = '{PROVIDER}/person'\npurpose = 'pensions'\n\
             legal_basis = 'Law 7'\nfields = []\nuntil = '{until}'\ncalls_per_day = 100\n"
        );
        let path = self.central.path("request.toml");
        fs::write(&path, request)?;
        let asked = self.central.run(&["catalog", "ask", &path.display().to_string()])?;
        Ok(asked.get("number").context("no number")?.to_string())
    }

    fn decide(&self, act: &str, number: &str) -> Result<()> {
        self.central.run(&["catalog", act, number, "--note", "as agreed"]).map(drop)
    }
}

async fn denies(client: &Client) -> bool {
    client.get("person", KNOWN).await.is_ok_and(|reply| reply.status == StatusCode::FORBIDDEN)
}

async fn answers(client: &Client) -> bool {
    client.get("person", KNOWN).await.is_ok_and(|reply| reply.status == StatusCode::OK)
}

async fn refuses(client: &Client) -> bool {
    client.get("person", KNOWN).await.is_ok_and(|reply| reply.status != StatusCode::OK)
}

#[tokio::test(flavor = "multi_thread")]
async fn what_the_operator_takes_back_stops_within_one_refresh() -> Result<()> {
    let mut agency = Agency::furnish("anchor = \"anchor.xml\"").await?;
    agency.central.serve()?;
    let server = Server::start_program(agency.central.program(), &agency.site, std::process::Stdio::null())?;
    let client = Client::new(server.address());
    let central = &agency.central;
    server.until("the adapter answers", PATIENCE, async || answers(&client).await).await?;

    // A slip of the agency's own does not keep its server from obeying.
    let slip = agency.site.folder().join("grants/slip.toml");
    fs::write(&slip, "?")?;
    central.run(&["vetting", "revoke", &agency.digest, "--reason", "wrong dates"])?;
    server.until("a revoked bundle stops", REFRESH, async || refuses(&client).await).await?;
    assert_eq!(Operator::of(&agency.site).sees_refused("people.asice").await?, "bundle.revoked");
    fs::remove_file(&slip)?;
    central.run(&["vetting", "restore", &agency.digest])?;
    server.until("it serves again", REFRESH, async || answers(&client).await).await?;

    central.run(&["vetting", "minimum", "kg.example.people", "99.0.0"])?;
    server.until("an old version stops", REFRESH, async || refuses(&client).await).await?;
    central.run(&["vetting", "minimum", "kg.example.people"])?;
    server.until("it serves again", REFRESH, async || answers(&client).await).await?;

    let shown = central.run(&["show"])?;
    let vetters = shown.pointer("/bundle_trust/vetters").and_then(|vetters| vetters.as_object());
    let vetter = vetters.and_then(|vetters| vetters.keys().next()).context("no vetter is shown")?;
    central.run(&["vetting", "distrust", "vetting", vetter])?;
    server.until("what its vetter signed stops", REFRESH, async || refuses(&client).await).await?;
    Ok(())
}

#[tokio::test(flavor = "multi_thread")]
async fn an_access_opens_a_service_until_it_ends_or_is_taken_back() -> Result<()> {
    let governance = "access_rights = \"global_configuration\"\n\n";
    let mut agency = Agency::governed(governance, "anchor = \"anchor.xml\"").await?;
    agency.publish_service()?;
    agency.central.serve()?;
    let server = Server::start_program(agency.central.program(), &agency.site, std::process::Stdio::null())?;
    let client = Client::new(server.address());
    let asked = agency.ask(SignedDuration::from_hours(24))?;
    server.until("its file gives no right", PATIENCE, async || denies(&client).await).await?;

    agency.decide("grant", &asked)?;
    server.until("what is granted is answered", PATIENCE, async || answers(&client).await).await?;
    // A slip of the agency's own does not keep its server from obeying.
    let slip = agency.site.folder().join("grants/slip.toml");
    fs::write(&slip, "?")?;
    agency.decide("refuse", &asked)?;
    server.until("what is taken back is refused", REFRESH, async || denies(&client).await).await?;
    fs::remove_file(&slip)?;

    let short = agency.ask(SignedDuration::from_secs(20))?;
    agency.decide("grant", &short)?;
    server.until("it is answered again", REFRESH, async || answers(&client).await).await?;
    server.until("its end comes by the clock", REFRESH * 2, async || denies(&client).await).await?;
    Ok(())
}

#[tokio::test(flavor = "multi_thread")]
async fn a_courier_brings_what_the_network_would() -> Result<()> {
    let agency = Agency::furnish("anchor = \"anchor.xml\"\ncourier = \"courier\"").await?;
    let carry = |central: &Central| {
        let written = central.path("courier");
        central.run(&["courier", "write", &written.display().to_string()])?;
        fs::copy(&written, agency.site.folder().join("courier"))?;
        anyhow::Ok(())
    };
    // Nobody serves the configuration here.
    carry(&agency.central)?;
    let server = Server::start_program(agency.central.program(), &agency.site, std::process::Stdio::null())?;
    let client = Client::new(server.address());
    server.until("the adapter answers", PATIENCE, async || answers(&client).await).await?;

    agency.central.run(&["vetting", "revoke", &agency.digest, "--reason", "wrong dates"])?;
    carry(&agency.central)?;
    server.until("a revoked bundle stops", REFRESH, async || refuses(&client).await).await?;

    // Another instance's operator can bring what they like.
    carry(&Central::found()?)?;
    let config = agency.site.folder().join("uuk.toml").display().to_string();
    let checked = std::process::Command::new(agency.central.program())
        .args(["serve", "--check", "--no-color", "--config", &config])
        .output()?;
    let said = String::from_utf8_lossy(&checked.stderr).into_owned();
    assert!(said.contains("the global configuration: vetting certificates 1, revoked bundles 1"), "{said}");
    assert!(refuses(&client).await, "the revocation stands");
    Ok(())
}
