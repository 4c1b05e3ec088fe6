//! A mapping in place of code: the fixed component, `map.toml`, and all else as it was.

use std::fs;
use std::time::Duration;

use anyhow::Result;
use http::StatusCode;
use tempfile::TempDir;
use uuk_e2e::{Client, Guest, Operator, Parts, Server, Site, project_root};

const SETTINGS: &str = "[plugins]\ncanary_percent = 0\nrescan_every = \"200ms\"\n";
const PATHS: [&str; 3] = [
    "/people/10101194000000",
    "/people/29912209999999",
    "/people?surname=%D0%90%D1%81%D0%B0%D0%BD&page_size=3&sex=female&after=10101194000000",
];

async fn people() -> Result<(TempDir, Site, Server, Client)> {
    let folder = tempfile::tempdir()?;
    let mut site = Site::new(folder.path(), "127.0.0.1:0", "127.0.0.1:0", SETTINGS)?;
    site.people().await?;
    let server = Server::start(&site)?;
    let client = Client::new(server.address());
    Ok((folder, site, server, client))
}

/// The people look-up with its code replaced by the mapping of the example, as `adapt` changes it.
fn mapped(adapt: impl FnOnce(String) -> String) -> Result<Parts> {
    let root = project_root();
    let mapping = fs::read_to_string(root.join("examples/people-mapping/map.toml"))?;
    let component = fs::read(root.join("plugins/declarative/declarative.wasm"))?;
    let parts = Parts::of(Guest::People)?.with_version("1.1.0")?;
    Ok(parts.with_part("adapter.wasm", component).with_part("map.toml", adapt(mapping)))
}

/// Status and body of each of [`PATHS`].
async fn answers(client: &Client) -> Result<Vec<(StatusCode, serde_json::Value)>> {
    let mut answers = Vec::new();
    for path in PATHS {
        let reply = client.get("person", path).await?;
        answers.push((reply.status, reply.json()?));
    }
    Ok(answers)
}

#[tokio::test]
async fn a_mapping_answers_as_the_code_that_it_replaces() -> Result<()> {
    let (_folder, site, server, client) = people().await?;
    let is_answered =
        || async { client.get("person", PATHS[0]).await.is_ok_and(|reply| reply.status == StatusCode::OK) };
    site.drop_bundle("people.asice", &site.bundle(Guest::People, None)?)?;
    server.until("code answers", Duration::from_secs(60), is_answered).await?;
    let by_code = answers(&client).await?;

    fs::remove_file(site.folder().join("plugins/people.asice"))?;
    site.drop_bundle("mapped.asice", &site.sign(mapped(|mapping| mapping)?)?)?;
    Operator::of(&site).sees_version("kg.example.people", "1.1.0", "active").await?;
    assert_eq!(answers(&client).await?, by_code);
    Ok(())
}

#[tokio::test]
async fn a_mapping_of_a_column_that_is_not_there_does_not_serve() -> Result<()> {
    let (_folder, site, _server, _client) = people().await?;
    let wrong = mapped(|mapping| mapping.replace("\"/surname\"", "\"/sirname\""))?;
    site.drop_bundle("mapped.asice", &site.sign(wrong)?)?;
    assert_eq!(Operator::of(&site).sees_refused("mapped.asice").await?, "plugin.probe");
    Ok(())
}
