//! What `cargo xtask demo` runs, until Ctrl-C: the operator of an instance, its authorities, and two agencies. The portal of
//! agency 2 asks the registers of agency 1, each through its own security server.

mod album;
mod folder;
mod joining;
mod operator;
mod vetting;

use std::convert::Infallible;
use std::fs;
use std::os::unix::fs::symlink;
use std::path::{Path, PathBuf};
use std::process::ExitCode;
use std::time::Duration;

use anyhow::{Context, Result, bail};
use clap::Parser;
use http::StatusCode;
use tokio::signal::unix::{Signal, SignalKind, signal};
use uuk_e2e::{
    CLIENT, Central, Client, Enrolled, Guest, Network, PROVIDER, Parts, Reply, Server, Site, project_root,
    target_folder,
};
use uuk_testkit::databases::{self, PostgreSql};
use uuk_testkit::joining::PASSWORD as PEOPLE_PASSWORD;
use uuk_testkit::upstream::{Access, PASSWORD, USER, UpstreamOptions, VehiclesUpstream};

use crate::album::Album;
use crate::folder::Folder;
use crate::joining::{Applicant, DESK, HEAD};
use crate::operator::Operator;
use crate::vetting::vet;

/// A person that the generated register has.
const PERSON: &str = "/people/10101194000000";
/// A vehicle that the stub of the vehicle registry has.
const VEHICLE: &str = "/vehicles/01KG000AAA";
/// Nobody waits a minute to see evidence with its time-stamp.
const SETTINGS: &str = "[plugins]\ncanary_percent = 0\n\n[message_log.time_stamping]\ninterval = \"1s\"\n";
/// What is refused meanwhile stands in logs and metrics too.
const ASKED_EVERY: Duration = Duration::from_millis(100);
const ANSWER_TIME_MAX: Duration = Duration::from_secs(60);
/// Of what a server has said, this many lines are shown when it does not answer.
const LINES_SHOWN: usize = 15;

#[derive(Debug, clap::Parser)]
struct Options {
    /// Keep the register of people in PostgreSQL instead of SQLite
    #[arg(long)]
    postgres: bool,
    /// Where agency 2's own systems connect; its metrics are one port above, the pages of the operator two
    #[arg(long, default_value_t = 8080)]
    port: u16,
    /// Write pictures of pages on the way into this folder
    #[arg(long)]
    pictures: Option<PathBuf>,
}

#[tokio::main]
async fn main() -> ExitCode {
    match run(&Options::parse()).await {
        Ok(()) => {
            println!("\nThe demo has ended and left nothing behind.");
            ExitCode::SUCCESS
        }
        Err(error) => {
            eprintln!("error: {error:#}");
            ExitCode::FAILURE
        }
    }
}

async fn run(options: &Options) -> Result<()> {
    // From here on no signal ends the process before everything it has started is gone, however often it comes.
    let mut ending = Ending::expected()?;
    let folder = Folder::take()?;
    let outcome = tokio::select! {
        biased;
        () = ending.begins() => Ok(()),
        failed = show(&folder, options) => failed.map(|never| match never {}),
    };
    // Ctrl-C also ends what was being run for us: that is no failure.
    let wanted = tokio::time::timeout(Duration::from_millis(50), ending.begins()).await.is_ok();
    folder.remove()?;
    if wanted { Ok(()) } else { outcome }
}

/// Starts everything, tells what there is to try, and goes on until dropped.
async fn show(folder: &Folder, options: &Options) -> Result<Infallible> {
    let (folder, uuk) = (folder.path(), folder.path().join("uuk"));
    symlink(target_folder().join("debug/uuk"), &uuk)?;
    say("build", "the adapters of examples/ for wasm32-wasip2");
    Guest::People.build()?;
    Guest::Vehicles.build()?;

    say("start", "the authorities of an instance, KG: certification with OCSP, and time-stamping");
    let network = Network::start().await?;
    let chosen = ["127.0.0.1:0"; 2];
    let [clients, metrics] =
        [options.port, options.port.saturating_add(1)].map(|port| format!("127.0.0.1:{port}"));
    let (one, two) = (folder.join("agency-1"), folder.join("agency-2"));
    let mut provider =
        network.enrol_at(chosen, "GOV/70000001/ss1", "GOV/70000001/registry", &one, SETTINGS)?;
    let consumer =
        network.enrol_at([&clients, &metrics], "GOV/70000002/ss2", "GOV/70000002/portal", &two, SETTINGS)?;
    say("operator", "founds KG at its central server, approves them, and admits agency 1 with a service");
    let console = format!("127.0.0.1:{}", options.port.saturating_add(2));
    let mut central = found(&folder.join("operator"), &uuk, &console, &network, &provider)?;
    central.serve_with_us()?;
    // Both live as long as the demo.
    let _database = register_of_people(&mut provider.site, options.postgres).await?;
    let _upstream = registry_of_vehicles(&mut provider.site).await?;

    say(
        "agency 1",
        "KG/GOV/70000001, with the registers, starts its security server ss1 and gets keys for it:",
    );
    let provider_server = Server::start_with_us(&provider.site)?;
    Operator::new(&provider, &network, &uuk, true).certify()?;
    central.register_certificate(&provider, &one.join("authentication.pem"))?;
    say(
        "agency 2",
        "KG/GOV/70000002, with the portal, joins in the browser, while two reviewers vet the adapters:",
    );
    let album = Album { folder: options.pictures.clone() };
    let applicant = Applicant { side: &consumer, network: &network, uuk: &uuk, album: &album };
    let files = ["people.asice", "vehicles.asice"];
    let authored = |guest: Guest| provider.site.author(Parts::of(guest)?.with_fixtures(guest)?);
    let bundles = [(files[0], authored(Guest::People)?), (files[1], authored(Guest::Vehicles)?)];
    let ((consumer_server, joining), vetted) =
        tokio::try_join!(applicant.join(&central, &console), vet(&central, &console, &album, bundles))?;
    say("drop", "both bundles, signed by author and central server, into plugins/ of agency 1");
    for (file, bundle) in files.iter().zip(&vetted) {
        provider.site.drop_bundle(file, bundle)?;
    }

    say("wait", "until the portal is answered");
    let reply = answers(&consumer_server, folder).await?;
    let id = reply.headers.get("x-road-id").context("an answer without X-Road-Id")?.to_str()?;
    let record = Operator::new(&consumer, &network, &uuk, false).record(id)?;
    applicant.finish(&joining, &record).await?;
    say("ready", "the operator confirms the call, by the digest of its record: agency 2 is admitted");
    tell(&consumer_server, &reply, id, &console, folder);
    // Both servers live until now.
    let _servers = [provider_server, consumer_server];
    std::future::pending().await
}

/// A central server in `folder` for the authorities of `network`: with the service of `provider` in its catalog, and a key
/// that signs what is vetted.
fn found(
    folder: &Path,
    uuk: &Path,
    console: &str,
    network: &Network,
    provider: &Enrolled,
) -> Result<Central> {
    fs::create_dir(folder)?;
    let agency = provider.site.folder();
    let keys = agency.join("keys").display().to_string();
    let settings = format!(
        "\n[console]\naddress = '{console}'\n\n[vetting]\ncertificate = '{keys}/vetting-certificate.pem'\n\
         key = '{keys}/vetting.pem'\npassword_file = '{keys}/password'\n"
    );
    let central = Central::found_in(folder, uuk, &settings)?;
    central.approve(network)?;
    for role in ["author", "vetting"] {
        let authority = agency.join(format!("{role}-ca.pem"));
        central.run(&["vetting", "trust", role, &authority.display().to_string()])?;
    }
    central.admit(provider, "Registry of people", PROVIDER)?;
    central.hand_anchor(agency)?;
    let described =
        |name: &str| project_root().join("tests/e2e/examples/demo/catalog").join(name).display().to_string();
    let contract = Guest::People.folder().join("contracts/person.yaml").display().to_string();
    central.run(&["catalog", "system", PROVIDER, &described("system.toml")])?;
    central.run(&["catalog", "draft", &described("person.toml"), &contract])?;
    central.run(&["catalog", "publish", &format!("{PROVIDER}/person")])?;
    Ok(central)
}

/// 10,000 generated people; gives the database server, if there is one.
async fn register_of_people(site: &mut Site, postgres: bool) -> Result<Option<PostgreSql>> {
    site.catalogue(Guest::People)?;
    let data = Guest::People.folder().join("data");
    if !postgres {
        say("make", "10,000 people in SQLite");
        site.sqlite("people.db", &data.join("sqlite.sql")).await?;
        let grant = "[datasource.registry]\nengine = \"sqlite\"\nurl = \"sqlite:people.db\"\n";
        site.grant("kg.example.people", grant)?;
        return Ok(None);
    }
    say("make", "10,000 people in a PostgreSQL server of the demo's own");
    let server = PostgreSql::start()?;
    let database = server.create_database(&fs::read_to_string(data.join("postgres.sql"))?)?;
    fs::write(site.folder().join("grants/people.password"), databases::PASSWORD)?;
    site.grant(
        "kg.example.people",
        &format!(
            "[datasource.registry]\nengine = \"postgres\"\nurl = \"{}\"\nuser = \"{}\"\npassword_file = \"people.password\"\n",
            server.url(&database),
            databases::USER,
        ),
    )?;
    Ok(Some(server))
}

/// A stub of the vehicle registry's API, which wants a token by OAuth 2 client credentials.
async fn registry_of_vehicles(site: &mut Site) -> Result<VehiclesUpstream> {
    say("make", "a stub of the vehicle registry's API, behind OAuth 2");
    site.catalogue(Guest::Vehicles)?;
    let upstream =
        VehiclesUpstream::start(UpstreamOptions { access: Access::OAuth2, ..UpstreamOptions::default() })
            .await?;
    fs::write(site.folder().join("grants/vehicles.secret"), PASSWORD)?;
    site.grant(
        "kg.example.vehicles",
        &format!(
            "[upstream.registry-api]\nbase = \"http://{}\"\nnetworks = [\"127.0.0.1/32\"]\n\n\
             [upstream.registry-api.authentication]\nkind = \"oauth2\"\ntoken_url = \"{}\"\nclient_id = \"{USER}\"\n\
             client_secret_file = \"vehicles.secret\"\n",
            upstream.address(),
            upstream.token_url(),
        ),
    )?;
    Ok(upstream)
}

/// Waits until both services answer, and gives the answer about a person.
async fn answers(server: &Server, folder: &Path) -> Result<Reply> {
    let client = Client::new(server.address());
    let asking = async {
        while client.get("vehicle", VEHICLE).await?.status != StatusCode::OK {
            tokio::time::sleep(ASKED_EVERY).await;
        }
        loop {
            let reply = client.get("person", PERSON).await?;
            if reply.status == StatusCode::OK {
                return Ok(reply);
            }
            tokio::time::sleep(ASKED_EVERY).await;
        }
    };
    let answered = tokio::time::timeout(ANSWER_TIME_MAX, asking).await;
    answered.unwrap_or_else(|_| {
        bail!(
            "the services do not answer within {ANSWER_TIME_MAX:?}; the servers last said:\n{}",
            last_said(folder)
        )
    })
}

/// The ends of both servers' logs, which will be gone.
fn last_said(folder: &Path) -> String {
    let mut said = String::new();
    for agency in ["agency-1", "agency-2"] {
        let log = fs::read_to_string(folder.join(agency).join("server.log")).unwrap_or_default();
        let lines: Vec<&str> = log.lines().collect();
        let last = lines.iter().skip(lines.len().saturating_sub(LINES_SHOWN));
        said.extend(last.map(|line| format!("{agency}: {line}\n")));
    }
    said
}

fn say(verb: &str, what: &str) {
    eprintln!("  {verb:<9} {what}");
}

fn tell(server: &Server, reply: &Reply, id: &str, console: &str, folder: &Path) {
    let (base, demo) = (format!("http://{}/r1/{PROVIDER}", server.address()), for_shell(folder));
    println!(
        "
The portal of agency 2 asked its own security server, which asked that of agency 1 and checked its signed answer:

  GET {base}/person{PERSON}
  X-Road-Client: {CLIENT}

  {status}
  X-Road-Id: {id}
  {body}

Paste into another terminal:
{proxy}
  # the same, as the portal
  curl -s -H 'X-Road-Client: {CLIENT}' '{base}/person{PERSON}'

  # a search, by pages
  curl -sG -H 'X-Road-Client: {CLIENT}' '{base}/person/people' --data-urlencode 'surname=Асан' -d page_size=3

  # a vehicle, from another system's API
  curl -s -H 'X-Road-Client: {CLIENT}' '{base}/vehicle{VEHICLE}'

  # a refusal that names every bad field
  curl -s -H 'X-Road-Client: {CLIENT}' '{base}/person/people/12?colour=red'

  # the evidence of the exchange above, as agency 2 has it; agency 1 has the same
  {demo}/uuk log find --config {demo}/agency-2/uuk.toml --id {id}
  {demo}/uuk log export --config {demo}/agency-2/uuk.toml --id {id} --out {demo}/evidence

  # what the answer proves, judged without any server
  {demo}/uuk log verify --configuration {demo}/agency-2/global-configuration {demo}/evidence/*-response-*.asice

  # how a server does, its keys and plugins, and what is measured
  {demo}/uuk doctor --config {demo}/agency-1/uuk.toml
  {demo}/uuk keys list --config {demo}/agency-1/uuk.toml
  {demo}/uuk plugin list --config {demo}/agency-1/uuk.toml
  curl -s http://{operations}/metrics | grep uuk_requests

How agency 2 joined stands on the pages at http://{console}/. Sign in as {head}, its head, or as {desk}, the operator;
both have the password `{password}`.

All files are in {demo}, each server's log is server.log in its folder. Ctrl-C ends the demo.",
        proxy = if is_behind_proxy() { "\n  export no_proxy=127.0.0.1\n" } else { "" },
        status = reply.status,
        body = String::from_utf8_lossy(&reply.body),
        operations = server.operations(),
        password = PEOPLE_PASSWORD,
        desk = DESK.0,
        head = HEAD.0,
    );
}

/// Whether curl would ask a proxy for what is on this machine.
fn is_behind_proxy() -> bool {
    let is_set = |name| std::env::var_os(name).is_some_and(|value| !value.is_empty());
    is_set("http_proxy") || is_set("all_proxy") || is_set("ALL_PROXY")
}

/// A path as a shell takes it.
fn for_shell(path: &Path) -> String {
    let path = path.display().to_string();
    let is_plain = |character: char| character.is_alphanumeric() || "/._-".contains(character);
    if path.chars().all(is_plain) { path } else { format!("'{}'", path.replace('\'', r"'\''")) }
}

/// The signals that end the demo: Ctrl-C, a polite `kill`, and a terminal that is closed.
struct Ending([Signal; 3]);

impl Ending {
    fn expected() -> Result<Self> {
        let kinds = [SignalKind::interrupt(), SignalKind::terminate(), SignalKind::hangup()];
        let [interrupt, terminate, hangup] = kinds.map(signal);
        Ok(Self([interrupt?, terminate?, hangup?]))
    }

    async fn begins(&mut self) {
        let [interrupt, terminate, hangup] = &mut self.0;
        tokio::select! {
            _ = interrupt.recv() => {}
            _ = terminate.recv() => {}
            _ = hangup.recv() => {}
        }
    }
}
