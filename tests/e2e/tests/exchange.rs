//! Two security servers: a client of one calls a service of the other, and both keep the evidence.

use std::process::Command;
use std::time::Duration;

use anyhow::{Context, Result};
use bytes::Bytes;
use http::{Method, StatusCode};
use uuk_e2e::{CLIENT, Client, Enrolled, Guest, Network, Server, target_folder};
use uuk_signer::KeyAlgorithm;

const SETTINGS: &str = "[plugins]\ncanary_percent = 0\nrescan_every = \"200ms\"\n\n";
const KNOWN: &str = "/people/10101194000000";

struct Exchange {
    client: Client,
    consumer: Enrolled,
    provider: Enrolled,
    _servers: [Server; 2],
    _network: Network,
    _folders: [tempfile::TempDir; 2],
}

async fn exchange(algorithm: KeyAlgorithm) -> Result<Exchange> {
    let network = Network::start().await?;
    let folders = [tempfile::tempdir()?, tempfile::tempdir()?];
    let mut provider =
        network.enrol("GOV/70000001/ss1", "GOV/70000001/registry", folders[0].path(), SETTINGS)?;
    let consumer = network.enrol("GOV/70000002/ss2", "GOV/70000002/portal", folders[1].path(), SETTINGS)?;
    provider.site.catalogue(Guest::People)?;
    provider.site.sqlite("people.db", &Guest::People.folder().join("data/sqlite.sql")).await?;
    provider.site.grant(
        "kg.example.people",
        "[datasource.registry]\nengine = \"sqlite\"\nurl = \"sqlite:people.db\"\n",
    )?;
    provider.site.drop_bundle("people.asice", &provider.site.bundle(Guest::People, None)?)?;
    let provider_server = provider.start(&network, algorithm)?;
    let consumer_server = consumer.start(&network, algorithm)?;
    let client = Client::new(consumer_server.address());
    let asked = client.clone();
    let answers = || async {
        let reply = asked.get("person", KNOWN).await;
        reply.is_ok_and(|reply| reply.status == StatusCode::OK)
    };
    consumer_server.until("the exchange answers", Duration::from_secs(90), answers).await?;
    Ok(Exchange {
        client,
        consumer,
        provider,
        _servers: [consumer_server, provider_server],
        _network: network,
        _folders: folders,
    })
}

/// `uuk log …` beside a running server: its exit code, and what it prints with `--json`.
fn log(arguments: &[&str], side: &Enrolled) -> Result<(bool, serde_json::Value)> {
    let config = side.site.folder().join("uuk.toml");
    let mut command = Command::new(target_folder().join("debug/uuk"));
    let (what, arguments) = arguments.split_first().context("no arguments")?;
    command.args(["log", what, "--json"]).args(arguments);
    if *what != "verify" {
        command.arg("--config").arg(config);
    }
    let output = command.output()?;
    let printed = serde_json::from_slice(&output.stdout);
    let printed = printed.with_context(|| String::from_utf8_lossy(&output.stderr).into_owned())?;
    Ok((output.status.success(), printed))
}

#[tokio::test(flavor = "multi_thread")]
async fn a_client_of_one_agency_calls_a_service_of_another_and_both_can_prove_it() -> Result<()> {
    for algorithm in [KeyAlgorithm::EcP256, KeyAlgorithm::Rsa2048] {
        let exchange = exchange(algorithm).await?;
        let reply = exchange.client.get("person", KNOWN).await?;
        assert_eq!(reply.json()?["pin"], "10101194000000");
        assert_eq!(reply.headers["x-road-service"], "KG/GOV/70000001/registry/person");
        let id = reply.headers["x-road-id"].to_str()?.to_owned();

        for side in [&exchange.consumer, &exchange.provider] {
            let (_, found) = log(&["find", "--id", &id], side)?;
            let directions: Vec<_> =
                found["records"].as_array().unwrap().iter().map(|record| &record["direction"]).collect();
            assert_eq!(directions, ["request", "response"], "{found}");

            let folder = side.site.folder().join("evidence");
            let configuration = side.site.folder().join("global-configuration");
            let [out, trust] = [&folder, &configuration].map(|path| path.to_str().unwrap());
            let export = ["export", "--id", &id, "--stamp-now", "--out", out, "--configuration", trust];
            let (exported, printed) = log(&export, side)?;
            assert!(exported, "{printed}");
            let mut verified = 0;
            for container in std::fs::read_dir(&folder)? {
                let container = container?.path();
                let container = container.to_str().unwrap();
                let (holds, verdict) = log(&["verify", "--configuration", trust, container], side)?;
                assert!(holds, "{verdict:#}");
                verified += 1;
            }
            assert_eq!(verified, 2);
        }
    }
    Ok(())
}

#[tokio::test(flavor = "multi_thread")]
async fn what_a_service_refuses_is_an_answer_and_what_a_server_refuses_is_a_fault() -> Result<()> {
    let exchange = exchange(KeyAlgorithm::EcP256).await?;
    let client = &exchange.client;
    let refused = client.get("person", "/people/12").await?;
    assert_eq!(refused.status, StatusCode::BAD_REQUEST);
    assert!(refused.headers.contains_key("x-road-request-hash"), "signed like any answer");

    let portal = [("x-road-client", CLIENT)];
    let fault = async |service: &str| {
        let reply =
            client.call(Method::GET, &format!("/r1/{service}/people/1"), &portal, Bytes::new()).await?;
        Ok::<_, anyhow::Error>(reply.headers["x-road-error"].to_str()?.to_owned())
    };
    let unknown_service = fault("KG/GOV/70000001/registry/other").await?;
    assert_eq!(unknown_service, "server.serverproxy.unknown_service");
    let unknown_member = fault("KG/GOV/70000009/registry/person").await?;
    assert_eq!(unknown_member, "server.clientproxy.unknown_member");
    Ok(())
}
