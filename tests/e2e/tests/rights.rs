//! Two security servers: what a client of one may call of the other, and what it may learn without any right.

use std::time::Duration;

use anyhow::Result;
use bytes::Bytes;
use http::{Method, StatusCode};
use serde_json::json;
use uuk_e2e::{Client, Guest, Network, PROVIDER, Pair, Reply, Server};
use uuk_signer::KeyAlgorithm;

const KNOWN: &str = "/people/10101194000000";
const SEARCH: &str = "/people?surname=Aa";
/// The provider's clients.toml: nobody but itself is its client, and members of a group may call one endpoint.
const CLIENTS: &str = "[[client]]\nid = 'KG/GOV/70000001/registry'\n\n\
    [[access_right]]\nglobal_group = 'KG/health'\nservices = ['KG/GOV/70000001/registry/person']\n\
    endpoints = ['GET /people/*']\n";
/// The provider's backends.toml: one more service, to which nobody has a right.
const BACKENDS: &str = "[[backend]]\nservice = 'KG/GOV/70000001/registry/vehicle'\n\
    upstream = { base = 'http://127.0.0.1:9', networks = ['127.0.0.0/8'] }\n";
const DENIED: &str = "server.serverproxy.access_denied";

struct Exchange {
    client: Client,
    consumer: Server,
    provider: Server,
    pair: Pair,
}

async fn exchange() -> Result<Exchange> {
    let network = Network::start().await?;
    let pair = Pair::enrol(network, ["", ""]).await?;
    pair.network.instance.group("health", &["GOV/70000002/portal"])?;
    std::fs::write(pair.provider.site.folder().join("clients.toml"), CLIENTS)?;
    std::fs::write(pair.provider.site.folder().join("backends.toml"), BACKENDS)?;
    let provider = pair.provider.start(&pair.network, KeyAlgorithm::EcP256)?;
    let consumer = pair.consumer.start(&pair.network, KeyAlgorithm::EcP256)?;
    let client = Client::new(consumer.address());
    let answers =
        || async { client.get("person", KNOWN).await.is_ok_and(|reply| reply.status == StatusCode::OK) };
    consumer.until("the exchange answers", Duration::from_secs(90), answers).await?;
    Ok(Exchange { client, consumer, provider, pair })
}

/// X-Road's code of a refusal; empty for an answer.
fn error(reply: &Reply) -> &str {
    reply.headers.get("x-road-error").and_then(|code| code.to_str().ok()).unwrap_or_default()
}

fn is_signed(reply: &Reply) -> bool {
    reply.headers.contains_key("x-road-request-hash")
}

#[tokio::test(flavor = "multi_thread")]
async fn a_group_may_call_one_endpoint_and_no_other() -> Result<()> {
    let exchange = exchange().await?;
    let client = &exchange.client;
    assert_eq!(client.get("person", KNOWN).await?.json()?["pin"], "10101194000000");
    assert_eq!(error(&client.get("person", SEARCH).await?), DENIED, "another path");
    assert_eq!(error(&client.post("person", KNOWN, "{}").await?), DENIED, "another method");
    for path in ["/people/x/%2e%2e", "/people/%2E%2e", "/people/..%2Fpeople", "/people/x%5Cy"] {
        let refused = client.get("person", path).await?;
        assert_eq!(error(&refused), DENIED, "{path}");
        assert!(!is_signed(&refused), "no service saw it: {path}");
    }

    let direct = Client::new(exchange.provider.address()).get("person", KNOWN).await?;
    assert_eq!(direct.text("code")?, "proxy.unknown_client", "a right makes nobody a client of the server");

    exchange.pair.network.instance.group("health", &[])?;
    let is_denied = || async { client.get("person", KNOWN).await.is_ok_and(|reply| error(&reply) == DENIED) };
    exchange.consumer.until("who left the group is denied", Duration::from_secs(30), is_denied).await
}

#[tokio::test(flavor = "multi_thread")]
async fn metaservices_tell_who_is_there_and_what_they_offer() -> Result<()> {
    let Exchange { client, consumer: _consumer, provider: _provider, pair: _pair } = exchange().await?;

    let all = client.get("listMethods", "").await?;
    assert!(is_signed(&all));
    assert_eq!(all.headers["content-type"], "application/json");
    let (person, search) =
        (json!({"method": "GET", "path": "/people/*"}), json!({"method": "GET", "path": "/people"}));
    let listed = |code: &str, service_type: &str, endpoints: serde_json::Value| {
        json!({
            "member_class": "GOV",
            "member_code": "70000001",
            "object_type": "SERVICE",
            "service_code": code,
            "service_type": service_type,
            "subsystem_code": "registry",
            "xroad_instance": "KG",
            "endpoint_list": endpoints,
        })
    };
    let by_adapter = listed("person", "OPENAPI", json!([person, search]));
    let by_system = listed("vehicle", "REST", json!([]));
    assert_eq!(all.json()?, json!({"service": [by_adapter, by_system]}));
    let allowed = client.get("allowedMethods", "").await?;
    assert_eq!(allowed.json()?, json!({"service": [listed("person", "OPENAPI", json!([person]))]}));

    let with_body = format!("/r1/{PROVIDER}/listMethods");
    let with_body = client.call(Method::GET, &with_body, &[], Bytes::from_static(b"{}")).await?;
    assert_eq!(with_body.body, all.body, "a body is no reason to refuse");

    let contract = client.get("getOpenAPI", "?serviceCode=person").await?;
    assert!(is_signed(&contract));
    assert_eq!(contract.headers["content-type"], "text/yaml");
    let file = std::fs::read(Guest::People.folder().join("contracts/person.yaml"))?;
    assert_eq!(contract.body, file);
    let unnamed = client.get("getOpenAPI", "").await?;
    assert_eq!(error(&unnamed), "server.serverproxy.invalid_request");
    let unknown = client.get("getOpenAPI", "?serviceCode=other").await?;
    assert_eq!(error(&unknown), "server.serverproxy.unknown_service");
    let posted = client.post("listMethods", "", "{}").await?;
    assert_eq!(error(&posted), "server.serverproxy.unknown_service", "metaservices are asked with GET");

    let list_clients = async |query: &str, accept: &str| {
        let path = format!("/listClients{query}");
        client.call(Method::GET, &path, &[("accept", accept)], Bytes::new()).await
    };
    let clients = list_clients("", "application/json").await?;
    assert_eq!(clients.headers["content-type"], "application/json; charset=utf-8");
    let registry = json!({
        "member_class": "GOV",
        "member_code": "70000001",
        "object_type": "SUBSYSTEM",
        "subsystem_code": "registry",
        "xroad_instance": "KG",
    });
    let clients = clients.json()?;
    let ids: Vec<_> = clients["member"].as_array().unwrap().iter().map(|member| &member["id"]).collect();
    assert!(ids.contains(&&registry), "{clients}");
    let clients = list_clients("?xRoadInstance=KG", "*/*").await?;
    assert_eq!(clients.headers["content-type"], "text/xml; charset=UTF-8");
    let xml = String::from_utf8_lossy(&clients.body).into_owned();
    assert!(xml.contains("<id:subsystemCode>registry</id:subsystemCode></xroad:id>"), "{xml}");
    assert_eq!(list_clients("?xRoadInstance=XX", "*/*").await?.status, StatusCode::NOT_FOUND);
    Ok(())
}
