//! Services that an information system answers over HTTP itself, behind two security servers.

use std::fs;

use anyhow::{Context, Result};
use bytes::Bytes;
use http::{Method, StatusCode};
use uuk_e2e::{Client, Network, PROVIDER, Pair, Server, target_folder};
use uuk_signer::KeyAlgorithm;
use uuk_testkit::upstream::{Behaviour, UpstreamOptions, VehiclesUpstream};

const KNOWN: &str = "/people/10101194000000";
const LARGE: usize = 64 << 20;
/// What either server may grow by, at its worst moment, while a large message passes.
const GROWTH_BYTES_MAX: u64 = 48 << 20;

struct Exchange {
    client: Client,
    upstream: VehiclesUpstream,
    servers: [Server; 2],
    pair: Pair,
}

async fn exchange() -> Result<Exchange> {
    let mut pair = Pair::enrol(Network::start().await?, [""; 2]).await?;
    let upstream = VehiclesUpstream::start(UpstreamOptions::default()).await?;
    pair.provider.site.backend("vehicle", &upstream.base())?;
    // Builds the program.
    drop(Server::start(&pair.provider.site)?);
    let program = target_folder().join("debug/uuk");
    let servers = pair.start(&program, KeyAlgorithm::EcP256, KNOWN).await?;
    Ok(Exchange { client: Client::new(servers[0].address()), upstream, servers, pair })
}

#[tokio::test(flavor = "multi_thread")]
async fn an_information_system_answers_by_itself() -> Result<()> {
    let exchange = exchange().await?;
    let path = format!("/r1/{PROVIDER}/vehicle/vehicles/01KG007AAA?all=%D0%B0");
    let headers = [("x-road-id", "seven"), ("accept", "application/json"), ("authorization", "Bearer mine")];
    let reply = exchange.client.call(Method::GET, &path, &headers, Bytes::new()).await?;
    assert_eq!(reply.text("plate")?, "01KG007AAA");
    assert_eq!(reply.headers["x-road-id"], "seven");
    assert_eq!(reply.headers["content-type"], "application/json");

    let asked = exchange.upstream.last_request().context("not asked")?;
    assert_eq!(asked.uri(), "/v1/vehicles/01KG007AAA?all=%D0%B0");
    assert_eq!(asked.headers()["x-road-client"], "KG/GOV/70000002/portal");
    assert_eq!(asked.headers()["x-road-id"], "seven");
    assert_eq!(asked.headers()["authorization"], "Bearer mine", "nobody's but the client's");
    assert_eq!(asked.headers()["host"], exchange.upstream.address().to_string());
    assert_eq!(asked.headers()["x-road-request-id"], reply.headers["x-road-request-id"]);

    let unknown = exchange.client.get("vehicle", "/vehicles/none").await?;
    assert_eq!(unknown.status, StatusCode::NOT_FOUND, "what it refuses is an answer");
    assert!(unknown.headers.contains_key("x-road-request-hash"));

    exchange.upstream.behave(Behaviour::BreakOff);
    let broken = exchange.client.get("vehicle", "/vehicles/01KG007AAA").await?;
    assert_eq!(broken.headers["x-road-error"], "server.serverproxy.service_failed.network_error");
    drop(exchange.upstream);
    let gone = exchange.client.get("vehicle", "/vehicles/01KG007AAA").await?;
    assert_eq!(gone.headers["x-road-error"], "server.serverproxy.service_failed.network_error");
    Ok(())
}

#[tokio::test(flavor = "multi_thread")]
async fn large_bodies_pass_both_servers_without_filling_their_memory() -> Result<()> {
    let mut exchange = exchange().await?;
    let path = format!("/r1/{PROVIDER}/vehicle/upload");
    let mut before = Vec::new();
    // The first message takes what every large message takes; one three times as large takes no more.
    for size in [LARGE, 3 * LARGE] {
        before = peaks(&mut exchange.servers)?;
        exchange.upstream.behave(Behaviour::Huge(size as u64));
        let reply = exchange.client.call(Method::POST, &path, &[], vec![b'x'; size].into()).await?;
        assert_eq!((reply.status, reply.body.len()), (StatusCode::OK, size));
    }
    let asked = exchange.upstream.last_request().context("not asked")?;
    assert_eq!(asked.headers()["content-length"], (3 * LARGE).to_string());

    for (before, after) in before.iter().zip(peaks(&mut exchange.servers)?) {
        let growth = after.saturating_sub(*before);
        println!("grew by {} KiB", growth >> 10);
        assert!(growth < GROWTH_BYTES_MAX, "grew by {growth} bytes");
    }
    for side in [&exchange.pair.consumer, &exchange.pair.provider] {
        let left = fs::read_dir(side.site.folder().join("state"))?;
        let left = left.filter_map(|entry| Some(entry.ok()?.metadata().ok()?.len())).max();
        assert!(left.is_none_or(|size| size < LARGE as u64), "the message was left behind");
    }
    Ok(())
}

/// The most memory that each server ever had, in bytes.
fn peaks(servers: &mut [Server; 2]) -> Result<Vec<u64>> {
    let peak = |server: &mut Server| {
        let status = fs::read_to_string(format!("/proc/{}/status", server.process().id()))?;
        let line = status.lines().find_map(|line| line.strip_prefix("VmHWM:")).context("no VmHWM")?;
        Ok(line.trim().trim_end_matches(" kB").parse::<u64>()? << 10)
    };
    servers.iter_mut().map(peak).collect()
}
