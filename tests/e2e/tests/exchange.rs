//! Two security servers: a client of one calls a service of the other, and both keep the evidence.

use std::collections::BTreeMap;
use std::net::SocketAddr;
use std::process::Command;
use std::sync::{Arc, Mutex};
use std::time::Duration;

use anyhow::{Context, Result};
use bytes::Bytes;
use http::{Method, Request, Response, StatusCode};
use http_body_util::{BodyExt, Collected, Full};
use hyper::body::Incoming;
use tokio_util::sync::CancellationToken;
use uuk_e2e::{CLIENT, Client, Enrolled, Guest, Network, PROVIDER, Server, target_folder};
use uuk_signer::KeyAlgorithm;
use uuk_transport::{ListenerLimits, PublicListener, PublicListenerConfig};

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
    exchange_with(algorithm, &BTreeMap::new()).await
}

/// As [`exchange`]; each server is told `environment`, and what it is called in traces.
async fn exchange_with(algorithm: KeyAlgorithm, environment: &BTreeMap<String, String>) -> Result<Exchange> {
    let network = Network::start().await?;
    let folders = [tempfile::tempdir()?, tempfile::tempdir()?];
    let mut provider =
        network.enrol("GOV/70000001/ss1", "GOV/70000001/registry", folders[0].path(), SETTINGS)?;
    let mut consumer =
        network.enrol("GOV/70000002/ss2", "GOV/70000002/portal", folders[1].path(), SETTINGS)?;
    for (side, name) in [(&mut consumer, "ss-consumer"), (&mut provider, "ss-provider")] {
        side.site.environment.clone_from(environment);
        side.site.environment.insert("OTEL_SERVICE_NAME".to_owned(), name.to_owned());
    }
    provider.site.people().await?;
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

        for (side, was) in [(&exchange.consumer, "called"), (&exchange.provider, "answered")] {
            let (_, usage) = log(&["usage", "--from", "2026-01-01T00:00:00Z"], side)?;
            let services = usage["services"].as_array().unwrap();
            let person =
                services.iter().find(|one| one["service"] == "KG/GOV/70000001/registry/person").unwrap();
            assert_eq!((&person["side"], &person["client"]), (&was.into(), &CLIENT.into()));
            let (_, requests) = log(&["find", "--direction", "request", "--limit", "10000"], side)?;
            assert_eq!(usage["calls"], requests["records"].as_array().unwrap().len(), "the log has as many");

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

#[tokio::test(flavor = "multi_thread")]
async fn a_trace_that_a_client_began_goes_through_both_servers() -> Result<()> {
    let address = SocketAddr::from(([127, 0, 0, 1], 0));
    let collector =
        PublicListener::bind(PublicListenerConfig { address, limits: ListenerLimits::default() })?;
    let endpoint = format!("http://{}", collector.address());
    let collected = Arc::new(Mutex::new(Vec::<Bytes>::new()));
    let keep = Arc::clone(&collected);
    let collect = move |request: Request<Incoming>, _: Arc<SocketAddr>| {
        let keep = Arc::clone(&keep);
        async move {
            let spans = request.into_body().collect().await.map(Collected::to_bytes).unwrap_or_default();
            keep.lock().unwrap().push(spans);
            Response::new(Full::<Bytes>::default())
        }
    };
    let collector = tokio::spawn(collector.run(collect, CancellationToken::new()));

    let environment =
        [("OTEL_EXPORTER_OTLP_ENDPOINT", endpoint.as_str()), ("OTEL_BSP_SCHEDULE_DELAY", "100")];
    let environment = environment.map(|(name, value)| (name.to_owned(), value.to_owned()));
    let exchange = exchange_with(KeyAlgorithm::EcP256, &environment.into()).await?;
    let trace =
        [0x4b, 0xf9, 0x2f, 0x35, 0x77, 0xb3, 0x4d, 0xa6, 0xa3, 0xce, 0x92, 0x9d, 0x0e, 0x0e, 0x47, 0x36];
    let traceparent = [("traceparent", "00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01")];
    let path = format!("/r1/{PROVIDER}/person{KNOWN}");
    let reply = exchange.client.call(Method::GET, &path, &traceparent, Bytes::new()).await?;
    assert_eq!(reply.status, StatusCode::OK);

    // Spans in protobuf: names and identifiers stand there as they are.
    let has = |spans: &Bytes, what: &[u8]| spans.windows(what.len()).any(|window| window == what);
    let is_complete = || async {
        let collected = collected.lock().unwrap();
        ["ss-consumer", "ss-provider"]
            .iter()
            .all(|server| collected.iter().any(|spans| has(spans, server.as_bytes()) && has(spans, &trace)))
    };
    let [consumer, _] = &exchange._servers;
    consumer.until("both have told of the trace", Duration::from_secs(30), is_complete).await?;
    collector.abort();
    Ok(())
}
