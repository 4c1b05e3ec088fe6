//! What `cargo xtask demo` runs: an agency with the register of people, on this machine, until Ctrl-C.

use std::path::Path;
use std::time::Duration;

use anyhow::{Context, Result};
use http::StatusCode;
use uuk_e2e::{CLIENT, Client, Guest, PROVIDER, Server, Site, project_root};

/// A person that the generated register has.
const KNOWN: &str = "10101194000000";

/// Builds everything, serves the demo and waits for Ctrl-C.
fn main() -> Result<()> {
    let folder = tempfile::Builder::new().prefix("uuk-demo-").tempdir()?;
    tokio::runtime::Runtime::new()?.block_on(serve(folder.path()))?;
    // Dropping the folder removes all that the demo made outside of `target`.
    println!("\nThe demo has ended and left nothing behind.");
    Ok(())
}

async fn serve(folder: &Path) -> Result<()> {
    say("build", "the adapters of examples/ (Rust, wasm32-wasip2) and the program");
    let mut site = Site::new(folder, "127.0.0.1:8080", "127.0.0.1:8081", "[plugins]\ncanary_percent = 0\n")?;
    Guest::People.build()?;
    say("make", "10,000 people in SQLite, keys of an author and a vetter, a catalog");
    site.catalogue(Guest::People)?;
    site.sqlite("people.db", &Guest::People.folder().join("data/sqlite.sql")).await?;
    site.grant(
        "kg.example.people",
        "[datasource.registry]\nengine = \"sqlite\"\nurl = \"sqlite:people.db\"\n",
    )?;

    let server = Server::start(&site).context("if a port is taken, end what uses 8080 or 8081")?;
    say("drop", "the signed and vetted bundle into plugins/");
    site.drop_bundle("people.asice", &site.bundle(Guest::People, None)?)?;
    let client = Client::new(server.address());
    let path = format!("/people/{KNOWN}");
    server
        .until("the service answers", Duration::from_secs(60), || async {
            client.get("person", &path).await.is_ok_and(|reply| reply.status == StatusCode::OK)
        })
        .await
        .with_context(|| std::fs::read_to_string(folder.join("server.log")).unwrap_or_default())?;
    tell(&server, folder);

    tokio::signal::ctrl_c().await?;
    Ok(())
}

fn say(verb: &str, what: &str) {
    eprintln!("  {verb:<9} {what}");
}

fn tell(server: &Server, folder: &Path) {
    let base = format!("http://{}/r1/{PROVIDER}/person", server.address());
    let uuk = project_root().join("target/debug/uuk");
    println!(
        "\nThe demo answers at http://{address}. Paste into another terminal:

  # one person
  curl -s -H 'X-Road-Client: {CLIENT}' '{base}/people/{KNOWN}'

  # a search, by pages
  curl -s -H 'X-Road-Client: {CLIENT}' '{base}/people?surname=Асанова&rows=3'

  # a refusal that names every bad field
  curl -s -H 'X-Road-Client: {CLIENT}' '{base}/people/12?colour=red'

  # what runs, and what it logs
  '{uuk}' plugin list --config '{folder}/uuk.toml'
  curl -s http://{operations}/metrics | grep uuk_

Its files are in {folder}; its log is server.log there. Ctrl-C ends the demo.",
        address = server.address(),
        operations = server.operations(),
        uuk = uuk.display(),
        folder = folder.display(),
    );
}
