//! A mapping whose upstream is a legacy service that speaks SOAP.

use std::convert::Infallible;
use std::fs;
use std::time::Duration;

use anyhow::Result;
use bytes::Bytes;
use http::{Request, Response, StatusCode};
use http_body_util::{BodyExt, Full};
use hyper::body::Incoming;
use hyper::service::service_fn;
use hyper_util::rt::TokioIo;
use tokio::net::TcpListener;
use tokio::task::JoinSet;
use uuk_e2e::{Client, Guest, Operator, Parts, Server, Site, project_root};

const SETTINGS: &str = "[plugins]\ncanary_percent = 0\nrescan_every = \"200ms\"\n";
const MAPPING: &str = r#"
[check]
upstream = "registry-api"
path = "/ws"
soap = { element = "carCheck", namespace = "http://example.org/producer", action = "urn:carCheck" }
body = { request = { object = { govPlate = "/plate" } } }
needs = "/response/car"
faults.none = { code = "VEHICLE_NOT_FOUND", message = "no vehicle bears this plate" }
faults.soap."Client.Plate" = { kind = "not-found", code = "VEHICLE_NOT_FOUND", message = "no such plate" }

[check.answer]
plate = "/response/car/govPlate"
make = "/response/car/brand"
model = "/response/car/model"
year = { from = "/response/car/year", as = "integer" }
"#;

/// What the service says about a plate, by what it was sent.
fn said(action: &str, sent: &str) -> (StatusCode, String) {
    let fault = |code: &str| {
        let fault =
            format!("<s:Fault><faultcode>s:{code}</faultcode><faultstring>no</faultstring></s:Fault>");
        (StatusCode::INTERNAL_SERVER_ERROR, fault)
    };
    let expected = |plate: &str| {
        format!(
            "<s:Envelope xmlns:s=\"http://schemas.xmlsoap.org/soap/envelope/\"><s:Body>\
             <b:carCheck xmlns:b=\"http://example.org/producer\"><b:request><b:govPlate>{plate}</b:govPlate></b:request>\
             </b:carCheck></s:Body></s:Envelope>"
        )
    };
    let answer = |car: &str| {
        let opening = "<p:carCheckResponse xmlns:p=\"http://example.org/producer\"><p:response>";
        (StatusCode::OK, format!("{opening}{car}</p:response></p:carCheckResponse>"))
    };
    if action != "\"urn:carCheck\"" {
        fault("Client.Action")
    } else if sent == expected("01KG123AAA") {
        let (brand, model) = ("<p:brand>Lada &amp; Co</p:brand>", "<p:model>Niva</p:model>");
        answer(&format!(
            "<p:car><p:govPlate>01KG123AAA</p:govPlate>{brand}{model}<p:year>2013</p:year></p:car>"
        ))
    } else if sent == expected("01KG124AAA") {
        answer("<p:car xmlns:i=\"http://www.w3.org/2001/XMLSchema-instance\" i:nil=\"true\"/>")
    } else if sent == expected("01KG125AAA") {
        fault("Client.Plate")
    } else {
        fault("Server")
    }
}

async fn answer(request: Request<Incoming>) -> Result<Response<Full<Bytes>>, Infallible> {
    let action =
        request.headers().get("soapaction").and_then(|action| action.to_str().ok()).unwrap_or_default();
    let action = action.to_owned();
    let sent =
        request.into_body().collect().await.map(http_body_util::Collected::to_bytes).unwrap_or_default();
    let (status, said) = said(&action, &String::from_utf8_lossy(&sent));
    let opening = "<s:Envelope xmlns:s=\"http://schemas.xmlsoap.org/soap/envelope/\"><s:Body>";
    let mut response = Response::new(Full::from(format!("{opening}{said}</s:Body></s:Envelope>")));
    *response.status_mut() = status;
    Ok(response)
}

/// A legacy service on loopback, and where it is.
async fn service(connections: &mut JoinSet<()>) -> Result<String> {
    let listener = TcpListener::bind("127.0.0.1:0").await?;
    let base = format!("http://{}", listener.local_addr()?);
    connections.spawn(async move {
        let mut open = JoinSet::new();
        while let Ok((stream, _)) = listener.accept().await {
            let http = hyper::server::conn::http1::Builder::new();
            let served = http.serve_connection(TokioIo::new(stream), service_fn(answer));
            open.spawn(async move { served.await.unwrap_or_default() });
        }
    });
    Ok(base)
}

#[tokio::test]
async fn a_mapping_asks_a_service_in_soap() -> Result<()> {
    let mut connections = JoinSet::new();
    let base = service(&mut connections).await?;
    let folder = tempfile::tempdir()?;
    let mut site = Site::new(folder.path(), "127.0.0.1:0", "127.0.0.1:0", SETTINGS)?;
    site.catalogue(Guest::Vehicles)?;
    let grant = format!("[upstream.registry-api]\nbase = \"{base}\"\nnetworks = [\"127.0.0.1/32\"]\n");
    site.grant("kg.example.vehicles", &grant)?;
    let component = fs::read(project_root().join("plugins/declarative/declarative.wasm"))?;
    let parts = Parts::of(Guest::Vehicles)?
        .with_manifest("methods = [\"GET\"]", "methods = [\"POST\"]")?
        .with_manifest("/v1/vehicles/*", "/ws")?
        .with_part("adapter.wasm", component)
        .with_part("map.toml", MAPPING);
    site.drop_bundle("vehicles.asice", &site.sign(parts)?)?;
    let server = Server::start(&site)?;
    let client = Client::new(server.address());
    Operator::of(&site).sees_version("kg.example.vehicles", "1.0.0", "active").await?;
    let is_answered = || async {
        client.get("vehicle", "/vehicles/01KG123AAA").await.is_ok_and(|reply| reply.status == StatusCode::OK)
    };
    server.until("the mapping answers", Duration::from_secs(60), is_answered).await?;

    let found = client.get("vehicle", "/vehicles/01KG123AAA").await?;
    let expected =
        serde_json::json!({ "plate": "01KG123AAA", "make": "Lada & Co", "model": "Niva", "year": 2013 });
    assert_eq!(found.json()?, expected);
    for absent in ["/vehicles/01KG124AAA", "/vehicles/01KG125AAA"] {
        let reply = client.get("vehicle", absent).await?;
        assert_eq!(
            (reply.status, reply.text("code")?),
            (StatusCode::NOT_FOUND, "VEHICLE_NOT_FOUND".into()),
            "{absent}"
        );
    }
    let refused = client.get("vehicle", "/vehicles/01KG126AAA").await?;
    assert_eq!(refused.status, StatusCode::SERVICE_UNAVAILABLE, "a fault that the mapping does not name");
    Ok(())
}
