//! Clients that know neither paths nor XML: they name an operation and post JSON, and get what the native doors give.

use std::convert::Infallible;
use std::fs;
use std::process::Command;
use std::sync::{Arc, Mutex, PoisonError};

use anyhow::{Context, Result, ensure};
use bytes::Bytes;
use http::{Method, Request, Response, StatusCode};
use http_body_util::{BodyExt, Collected, Full};
use hyper::body::Incoming;
use hyper::server::conn::http1;
use hyper::service::service_fn;
use hyper_util::rt::TokioIo;
use serde_json::{Value, json};
use tokio::net::TcpListener;
use tokio::task::JoinHandle;
use uuk_e2e::{Client, Network, PROVIDER, Pair, Reply, Server, target_folder};
use uuk_signer::KeyAlgorithm;

const KNOWN: &str = "10101194000000";
const NOBODY: &str = "10101194999999";

const WSDL: &str = include_str!("vehicles.wsdl");

const FAULT: &str = "<f:Envelope xmlns:f='http://schemas.xmlsoap.org/soap/envelope/'><f:Body><f:Fault>\
    <faultcode>f:Client.NoSuchPlate</faultcode><faultstring>no such plate</faultstring></f:Fault></f:Body></f:Envelope>";

/// An old information system, which answers SOAP with the header of the request and a body that the test sets.
struct InformationSystem {
    base: String,
    /// What it says in the body, or a whole fault.
    says: Arc<Mutex<String>>,
    heard: Arc<Mutex<String>>,
    serving: JoinHandle<()>,
}

impl InformationSystem {
    async fn start() -> Result<Self> {
        let socket = TcpListener::bind("127.0.0.1:0").await?;
        let base = format!("http://{}/soap", socket.local_addr()?);
        let (says, heard) = (Arc::new(Mutex::new(String::new())), Arc::new(Mutex::new(String::new())));
        let state = (says.clone(), heard.clone());
        let serving = tokio::spawn(async move {
            while let Ok((stream, _)) = socket.accept().await {
                let state = state.clone();
                let answer = service_fn(move |request| answer(request, state.clone()));
                tokio::spawn(http1::Builder::new().serve_connection(TokioIo::new(stream), answer));
            }
        });
        Ok(Self { base, says, heard, serving })
    }

    fn says(&self, body: &str) {
        body.clone_into(&mut self.says.lock().unwrap_or_else(PoisonError::into_inner));
    }

    fn heard(&self) -> String {
        self.heard.lock().unwrap_or_else(PoisonError::into_inner).clone()
    }
}

impl Drop for InformationSystem {
    fn drop(&mut self) {
        self.serving.abort();
    }
}

async fn answer(
    request: Request<Incoming>,
    (says, heard): (Arc<Mutex<String>>, Arc<Mutex<String>>),
) -> Result<Response<Full<Bytes>>, Infallible> {
    let body = request.into_body().collect().await.map(Collected::to_bytes).unwrap_or_default();
    let asked = String::from_utf8_lossy(&body).into_owned();
    let says = says.lock().unwrap_or_else(PoisonError::into_inner).clone();
    let (before, rest) = asked.split_once("<soap:Body>").unwrap_or_default();
    let (_, after) = rest.split_once("</soap:Body>").unwrap_or_default();
    let answer = match says.contains("Fault>") {
        true => says,
        false => format!("{before}<soap:Body>{says}</soap:Body>{after}"),
    };
    *heard.lock().unwrap_or_else(PoisonError::into_inner) = asked;
    let mut response = Response::new(Full::new(answer.into()));
    response.headers_mut().insert("content-type", http::HeaderValue::from_static("text/xml; charset=utf-8"));
    Ok(response)
}

struct Scene {
    client: Client,
    system: InformationSystem,
    address: String,
    _servers: [Server; 2],
    _pair: Pair,
}

impl Scene {
    async fn set() -> Result<Self> {
        let mut pair = Pair::enrol(Network::start().await?, [""; 2]).await?;
        let system = InformationSystem::start().await?;
        let site = &mut pair.provider.site;
        site.backend("checkVehicle", &system.base)?;
        let backends = site.folder().join("backends.toml");
        let entry = fs::read_to_string(&backends)?;
        let of_soap = "protocol = \"soap\"\nversion = \"v2\"\nwsdl = \"vehicles.wsdl\"\n";
        fs::write(&backends, format!("{}\n{of_soap}", entry.trim_end()))?;
        fs::write(site.folder().join("vehicles.wsdl"), WSDL)?;
        // Builds the program.
        drop(Server::start(site)?);
        let program = target_folder().join("debug/uuk");
        let servers = pair.start(&program, KeyAlgorithm::EcP256, &format!("/people/{KNOWN}")).await?;
        let address = servers[0].address().to_owned();
        Ok(Self { client: Client::new(&address), system, address, _servers: servers, _pair: pair })
    }

    async fn post(&self, path: &str, document: &Value) -> Result<Reply> {
        let headers = [("content-type", "application/json"), ("x-road-userid", "KG1"), ("x-road-id", "7<8")];
        let path = format!("/json/{PROVIDER}/{path}");
        self.client.call(Method::POST, &path, &headers, document.to_string().into()).await
    }

    async fn get(&self, path: &str) -> Result<Reply> {
        self.client.call(Method::GET, &format!("/json/{PROVIDER}/{path}"), &[], Bytes::new()).await
    }

    async fn check_vehicle(&self, body: &str) -> Result<Reply> {
        self.system.says(body);
        self.post("checkVehicle/v2/checkVehicle", &json!({"plate": "01KG<007"})).await
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn an_adapter_gives_json_clients_what_its_native_doors_give() -> Result<()> {
    let scene = Scene::set().await?;
    let person = scene.client.get("person", &format!("/people/{KNOWN}")).await?;
    // By its OpenAPI, and, as each operation is a service of SOAP too, by its WSDL.
    for service in ["person/get", "get/get", "get/v1/get"] {
        let reply = scene.post(service, &json!({"pin": KNOWN})).await?;
        assert_eq!((reply.status, reply.json()?), (StatusCode::OK, person.json()?), "{service}");
        assert_eq!(reply.headers.get("x-road-id").context("an identifier")?, "7<8");

        let nobody = scene.client.get("person", &format!("/people/{NOBODY}")).await?;
        let reply = scene.post(service, &json!({"pin": NOBODY})).await?;
        assert_eq!((reply.status, reply.json()?), (nobody.status, nobody.json()?), "{service}");
        assert_eq!(reply.text("code")?, "PERSON_NOT_FOUND");

        let malformed = scene.client.get("person", "/people/1").await?;
        let reply = scene.post(service, &json!({"pin": "1"})).await?;
        assert_eq!(
            (reply.status, reply.text("code")?),
            (malformed.status, malformed.text("code")?),
            "{service}"
        );
    }
    let found = scene.client.get("person", "/people?surname=%D0%90%D1%81&page_size=1").await?;
    let reply = scene.post("person/search", &json!({"surname": "Ас", "page_size": 1})).await?;
    assert_eq!((reply.status, reply.json()?), (StatusCode::OK, found.json()?));
    Ok(())
}

#[tokio::test(flavor = "multi_thread")]
async fn a_soap_service_takes_and_gives_json() -> Result<()> {
    let scene = Scene::set().await?;
    let answer = "<v:checkVehicleResponse xmlns:v='urn:vehicles' xmlns:i='http://www.w3.org/2001/XMLSchema-instance'>\
        <v:status>200</v:status><v:mass>1500.250</v:mass><v:period><v:from>2025-01-01</v:from><v:to i:nil='true'/></v:period>\
        </v:checkVehicleResponse>";
    let reply = scene.check_vehicle(answer).await?;
    let expected = json!({"status": 200, "mass": "1500.250", "period": [{"from": "2025-01-01", "to": null}]});
    assert_eq!((reply.status, reply.json()?), (StatusCode::OK, expected));
    let heard = scene.system.heard();
    for said in ["<xroad:userId>KG1</xroad:userId>", "<xroad:id>7&lt;8</xroad:id>", "plate>01KG&lt;007</"] {
        ensure!(heard.contains(said), "{said} is not in {heard}");
    }
    let reply = scene
        .check_vehicle("<v:checkVehicleResponse xmlns:v='urn:vehicles'><v:status>100</v:status></v:checkVehicleResponse>")
        .await?;
    assert_eq!(reply.json()?, json!({"status": 100, "period": []}), "a list is one, also when it is empty");

    let described = scene.get("checkVehicle/v2").await?.json()?;
    ensure!(
        described.pointer("/paths/~1checkVehicle/post/operationId") == Some(&json!("checkVehicle")),
        "{described}"
    );
    Ok(())
}

#[tokio::test(flavor = "multi_thread")]
async fn faults_have_one_model_whoever_says_them() -> Result<()> {
    let scene = Scene::set().await?;
    let check = |reply: Reply, status: u16, code: &str| {
        let found = (reply.status.as_u16(), reply.text("code"));
        ensure!(
            found.0 == status && found.1.as_ref().is_ok_and(|found| found == code),
            "{found:?}, not {code}"
        );
        assert_eq!(reply.headers.get("content-type").context("a media type")?, "application/problem+json");
        Ok(())
    };
    check(scene.check_vehicle(FAULT).await?, 400, "Client.NoSuchPlate")?;
    let strange = "<v:checkVehicleResponse xmlns:v='urn:vehicles'><v:state/></v:checkVehicleResponse>";
    check(scene.check_vehicle(strange).await?, 502, "contract.answer_invalid")?;
    check(
        scene.post("checkVehicle/v2/checkVehicle", &json!({"plate": 7})).await?,
        400,
        "contract.request_invalid",
    )?;
    check(scene.post("checkVehicle/v2/other", &json!({})).await?, 404, "contract.request_path_unknown")?;
    // The service has this version only, and that code only.
    check(scene.post("checkVehicle/v3/checkVehicle", &json!({})).await?, 404, "proxy.no_description")?;
    check(scene.post("nothing/at-all", &json!({})).await?, 404, "proxy.no_description")?;
    check(scene.post("person", &json!({})).await?, 404, "proxy.unknown_path")?;
    let put = format!("/json/{PROVIDER}/person/get");
    check(
        scene.client.call(Method::PUT, &put, &[], "{}".into()).await?,
        405,
        "contract.request_method_not_allowed",
    )?;
    let stranger = [("x-road-client", "KG/GOV/70000009/stranger"), ("content-type", "application/json")];
    check(scene.client.call(Method::POST, &put, &stranger, "{}".into()).await?, 403, "proxy.unknown_client")?;
    Ok(())
}

#[tokio::test(flavor = "multi_thread")]
async fn people_call_operations_from_the_command_line() -> Result<()> {
    let scene = Scene::set().await?;
    scene.system.says(
        "<v:checkVehicleResponse xmlns:v='urn:vehicles'><v:status>200</v:status></v:checkVehicleResponse>",
    );
    let call = |service: &str, operation: &str, document: &str| {
        let program = target_folder().join("debug/uuk");
        let url = format!("http://{}", scene.address);
        let service = format!("{PROVIDER}/{service}");
        let mut command = Command::new(program);
        command.args(["call", &service, "--op", operation, "--data", document]);
        command.args(["--as", "KG/GOV/70000002/portal", "--url", &url]).output()
    };
    let called = call("checkVehicle/v2", "checkVehicle", r#"{"plate":"01KG007"}"#)?;
    let answer: Value = serde_json::from_slice(&called.stdout)
        .with_context(|| String::from_utf8_lossy(&called.stderr).into_owned())?;
    assert_eq!(answer, json!({"status": 200, "period": []}));
    let refused = call("person", "get", &format!(r#"{{"pin":"{NOBODY}"}}"#))?;
    assert_eq!(refused.status.code(), Some(1));
    ensure!(String::from_utf8_lossy(&refused.stderr).contains("PERSON_NOT_FOUND"));
    Ok(())
}
