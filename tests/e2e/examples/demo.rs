//! What `cargo xtask demo` runs: an agency with a register of people and one of vehicles, until Ctrl-C.

use std::path::Path;
use std::time::Duration;

use anyhow::{Context, Result};
use http::StatusCode;
use tokio::signal::unix::{SignalKind, signal};
use uuk_e2e::{CLIENT, Client, Guest, PROVIDER, Server, Site, project_root};
use uuk_testkit::databases::{self, PostgreSql};
use uuk_testkit::upstream::{Access, PASSWORD, USER, UpstreamOptions, VehiclesUpstream};

/// A person that the generated register has.
const PERSON: &str = "/people/10101194000000";
/// A vehicle that the stub of the vehicle registry has.
const VEHICLE: &str = "/vehicles/01KG000AAA";

#[tokio::main]
async fn main() -> Result<()> {
    let folder = tempfile::Builder::new().prefix("uuk-demo-").tempdir()?;
    let postgres = std::env::args().any(|argument| argument == "--postgres");
    say("build", "the adapters of examples/ for wasm32-wasip2");
    let (people, vehicles) = (Guest::People.build()?, Guest::Vehicles.build()?);
    for component in [people, vehicles] {
        say("built", &component.display().to_string());
    }

    let mut site =
        Site::new(folder.path(), "127.0.0.1:8080", "127.0.0.1:8081", "[plugins]\ncanary_percent = 0\n")?;
    // Both live as long as the demo.
    let _database = register_of_people(&mut site, postgres).await?;
    let _upstream = registry_of_vehicles(&mut site).await?;

    say("build", "the program");
    let server = Server::start(&site).context("if a port is taken, end what uses 8080 or 8081")?;
    say("drop", "two signed and vetted bundles into plugins/");
    site.drop_bundle("people.asice", &site.bundle(Guest::People, None)?)?;
    site.drop_bundle("vehicles.asice", &site.bundle(Guest::Vehicles, None)?)?;
    answers(&server, folder.path()).await?;
    tell(&server, folder.path());

    let mut terminate = signal(SignalKind::terminate())?;
    tokio::select! {
        interrupted = tokio::signal::ctrl_c() => interrupted?,
        _ = terminate.recv() => {}
    }
    drop(server);
    folder.close()?;
    println!("\nThe demo has ended and left nothing behind.");
    Ok(())
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
    let database = server.create_database(&std::fs::read_to_string(data.join("postgres.sql"))?)?;
    std::fs::write(site.folder().join("grants/people.password"), databases::PASSWORD)?;
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
    std::fs::write(site.folder().join("grants/vehicles.secret"), PASSWORD)?;
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

async fn answers(server: &Server, folder: &Path) -> Result<()> {
    let client = Client::new(server.address());
    for (service, path) in [("person", PERSON), ("vehicle", VEHICLE)] {
        server
            .until("the service answers", Duration::from_secs(60), || async {
                client.get(service, path).await.is_ok_and(|reply| reply.status == StatusCode::OK)
            })
            .await
            .with_context(|| std::fs::read_to_string(folder.join("server.log")).unwrap_or_default())?;
    }
    Ok(())
}

fn say(verb: &str, what: &str) {
    eprintln!("  {verb:<9} {what}");
}

fn tell(server: &Server, folder: &Path) {
    let base = format!("http://{}/r1/{PROVIDER}", server.address());
    let uuk = project_root().join("target/debug/uuk");
    println!(
        "
The demo answers at http://{address}. Paste into another terminal:

  # one person, from the database
  curl -s -H 'X-Road-Client: {CLIENT}' '{base}/person{PERSON}'

  # a search, by pages
  curl -sG -H 'X-Road-Client: {CLIENT}' '{base}/person/people' --data-urlencode 'surname=Асан' -d page_size=3

  # a vehicle, from another system's API
  curl -s -H 'X-Road-Client: {CLIENT}' '{base}/vehicle{VEHICLE}'

  # a refusal that names every bad field
  curl -s -H 'X-Road-Client: {CLIENT}' '{base}/person/people/12?colour=red'

  # what runs, and what is measured
  '{uuk}' plugin list --config '{folder}/uuk.toml'
  curl -s http://{operations}/metrics | grep uuk_requests

Its files are in {folder}, its log is server.log there. Ctrl-C ends the demo.",
        address = server.address(),
        operations = server.operations(),
        uuk = uuk.display(),
        folder = folder.display(),
    );
}
