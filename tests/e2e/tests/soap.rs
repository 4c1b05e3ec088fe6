//! SOAP through two security servers, to an information system that answers it over HTTP.

#![expect(clippy::unwrap_used, reason = "helpers of tests may fail as tests do")]

use std::convert::Infallible;
use std::fs;
use std::path::Path;
use std::process::Command;
use std::sync::{Arc, Mutex};
use std::time::Duration;

use anyhow::{Context, Result, ensure};
use bytes::Bytes;
use http::{HeaderMap, Method, Request, Response, StatusCode};
use http_body_util::{BodyExt, Collected, Full};
use hyper::body::Incoming;
use hyper::server::conn::http1;
use hyper::service::service_fn;
use hyper_util::rt::TokioIo;
use tokio::net::TcpListener;
use tokio::task::JoinHandle;
use uuk_e2e::{Client, Enrolled, Network, RawPeer, Reply, Server, target_folder};
use uuk_signer::KeyAlgorithm;

const TEXT: &str = "text/xml; charset=utf-8";
const ACTION: &str = "\"urn:get-person\"";
const PROVIDER: &str = "/r1/KG/GOV/70000001/registry/getPerson";

const OTHER_SERVER: &str = "<x:securityServer i:objectType=\"SERVER\"><i:xRoadInstance>KG</i:xRoadInstance>\
    <i:memberClass>GOV</i:memberClass><i:memberCode>70000002</i:memberCode><i:serverCode>ss2</i:serverCode>\
    </x:securityServer>";

const WSDL: &str = "<definitions xmlns='http://schemas.xmlsoap.org/wsdl/' name='Адам'/>";

/// An information system that answers all requests alike, and keeps the last one in mind.
struct InformationSystem {
    base: String,
    said: Arc<Mutex<Said>>,
    serving: JoinHandle<()>,
}

#[derive(Default)]
struct Said {
    asked: Option<(HeaderMap, Bytes)>,
    status: StatusCode,
    content_type: String,
    answer: Bytes,
}

impl InformationSystem {
    async fn start() -> Result<Self> {
        let socket = TcpListener::bind("127.0.0.1:0").await?;
        let base = format!("http://{}/soap", socket.local_addr()?);
        let said = Arc::new(Mutex::new(Said::default()));
        let state = said.clone();
        let serving = tokio::spawn(async move {
            while let Ok((stream, _)) = socket.accept().await {
                let state = state.clone();
                let answer = service_fn(move |request| answer(request, state.clone()));
                tokio::spawn(http1::Builder::new().serve_connection(TokioIo::new(stream), answer));
            }
        });
        Ok(Self { base, said, serving })
    }

    fn answer(&self, status: u16, content_type: &str, answer: impl Into<Bytes>) -> Result<()> {
        let mut said = self.said.lock().unwrap();
        said.status = StatusCode::from_u16(status)?;
        (said.content_type, said.answer) = (content_type.to_owned(), answer.into());
        Ok(())
    }

    fn asked(&self) -> (HeaderMap, Bytes) {
        self.said.lock().unwrap().asked.clone().unwrap()
    }
}

impl Drop for InformationSystem {
    fn drop(&mut self) {
        self.serving.abort();
    }
}

async fn answer(
    request: Request<Incoming>,
    state: Arc<Mutex<Said>>,
) -> Result<Response<Full<Bytes>>, Infallible> {
    let (head, body) = request.into_parts();
    let body = body.collect().await.map(Collected::to_bytes).unwrap_or_default();
    let mut said = state.lock().unwrap();
    said.asked = Some((head.headers, body));
    let mut response = Response::new(Full::new(said.answer.clone()));
    *response.status_mut() = said.status;
    response.headers_mut().insert("content-type", said.content_type.parse().unwrap());
    Ok(response)
}

struct Scene {
    client: Client,
    system: InformationSystem,
    provider: Enrolled,
    _servers: [Server; 2],
    _network: Network,
    _folders: [tempfile::TempDir; 2],
}

impl Scene {
    async fn set() -> Result<Self> {
        let network = Network::start().await?;
        let system = InformationSystem::start().await?;
        let folders = [tempfile::tempdir()?, tempfile::tempdir()?];
        let provider = provider(&network, &system, folders[0].path())?;
        let consumer = network.enrol("GOV/70000002/ss2", "GOV/70000002/portal", folders[1].path(), "")?;
        let servers = [
            consumer.start(&network, KeyAlgorithm::EcP256)?,
            provider.start(&network, KeyAlgorithm::EcP256)?,
        ];
        let client = Client::new(servers[0].address());
        let scene =
            Self { client, system, provider, _servers: servers, _network: network, _folders: folders };
        let request = envelope("warm-up", "getPerson", "");
        scene.system.answer(200, TEXT, envelope("warm-up", "getPersonResponse", ""))?;
        let answers = || async {
            let reply = scene.ask(TEXT, request.clone()).await;
            reply.is_ok_and(|reply| !text(&reply).contains("Fault>"))
        };
        scene._servers[0].until("the exchange answers", Duration::from_secs(90), answers).await?;
        Ok(scene)
    }

    async fn ask(&self, content_type: &str, body: impl Into<Bytes>) -> Result<Reply> {
        let headers = [("content-type", content_type), ("soapaction", ACTION)];
        self.client.call(Method::POST, "/", &headers, body.into()).await
    }

    /// The code of the fault that answers `body`.
    async fn fault(&self, body: impl Into<Bytes>) -> Result<String> {
        let reply = self.ask(TEXT, body).await?;
        let text = text(&reply);
        let code = text.split("<faultcode>").nth(1).and_then(|rest| rest.split("</faultcode>").next());
        Ok(code.with_context(|| text.clone())?.to_owned())
    }
}

/// The registry's server, which spells faults as older ones do.
fn provider(network: &Network, system: &InformationSystem, folder: &Path) -> Result<Enrolled> {
    let older = "[exchange]\nfault_codes = \"CamelCase\"\n\n";
    let mut provider = network.enrol("GOV/70000001/ss1", "GOV/70000001/registry", folder, older)?;
    provider.site.backend("getPerson", &system.base)?;
    let backends = folder.join("backends.toml");
    let entry = fs::read_to_string(&backends)?;
    let entry = format!("{}\nprotocol = \"soap\"\nwsdl = \"person.wsdl\"\n", entry.trim_end());
    fs::write(&backends, entry)?;
    fs::write(folder.join("person.wsdl"), WSDL)?;
    Ok(provider)
}

/// A message of the portal to the registry.
fn envelope(id: &str, element: &str, more: &str) -> String {
    let names = |subsystem: &str, member: &str| {
        format!(
            "<i:xRoadInstance>KG</i:xRoadInstance><i:memberClass>GOV</i:memberClass>\
             <i:memberCode>{member}</i:memberCode><i:subsystemCode>{subsystem}</i:subsystemCode>"
        )
    };
    format!(
        "<e:Envelope xmlns:e=\"http://schemas.xmlsoap.org/soap/envelope/\" xmlns:x=\"http://x-road.eu/xsd/xroad.xsd\" \
         xmlns:i=\"http://x-road.eu/xsd/identifiers\">\n<e:Header>\n<x:client i:objectType=\"SUBSYSTEM\">{}</x:client>\n\
         <x:service i:objectType=\"SERVICE\">{}<i:serviceCode>getPerson</i:serviceCode></x:service>\n<x:id>{id}</x:id>\n\
         <x:protocolVersion>4.0</x:protocolVersion>\n{more}</e:Header><e:Body><p:{element} xmlns:p='urn:p' a = \"1\"/>\
         </e:Body></e:Envelope>",
        names("portal", "70000002"),
        names("registry", "70000001"),
    )
}

fn text(reply: &Reply) -> String {
    String::from_utf8_lossy(&reply.body).into_owned()
}

#[tokio::test(flavor = "multi_thread")]
async fn an_envelope_passes_byte_for_byte_and_its_answer_names_it() -> Result<()> {
    let scene = Scene::set().await?;
    let request = envelope("seven", "getPerson", "<x:userId>KG1</x:userId>\n");
    let answer = envelope("seven", "getPersonResponse", "<x:userId>KG1</x:userId>\n");
    scene.system.answer(200, "text/xml;charset=UTF-8", answer.clone())?;
    let reply = scene.ask(TEXT, request.clone()).await?;
    assert_eq!(
        (reply.status, &reply.headers["content-type"]),
        (StatusCode::OK, &"text/xml;charset=UTF-8".parse()?)
    );

    let (headers, asked) = scene.system.asked();
    assert_eq!(asked, request);
    assert_eq!((&headers["content-type"], &headers["soapaction"]), (&TEXT.parse()?, &ACTION.parse()?));
    let answered = text(&reply);
    let (before, rest) = answered.split_once("\n<x:requestHash ").context("no hash of the request")?;
    let (_, after) = rest.split_once("</x:requestHash>").context("no hash of the request")?;
    assert_eq!(format!("{before}{after}"), answer, "all else is as the information system wrote it");

    let evidence = log(&scene.provider, &["find", "--id", "seven"])?;
    assert_eq!(evidence["records"].as_array().map(Vec::len), Some(2), "{evidence}");

    scene.system.answer(200, TEXT, envelope("eight", "getPersonResponse", ""))?;
    let code = scene.fault(request).await?;
    assert_eq!(
        code, "Server.ServerProxy.ServiceFailed.InconsistentResponse",
        "the answer to another request"
    );
    Ok(())
}

#[tokio::test(flavor = "multi_thread")]
async fn attachments_go_along_and_are_proven_by_their_digests() -> Result<()> {
    let scene = Scene::set().await?;
    let content_type = "multipart/related; type=\"text/xml\"; start=\"<a>\"; boundary=\"of the sender\"";
    let picture: Vec<u8> = (0..700_000_u32).map(|number| u8::try_from(number % 251).unwrap()).collect();
    let message = |envelope: String| {
        let mut message = format!(
            "--of the sender\r\ncontent-type:text/xml; charset=UTF-8\r\nContent-ID: <a>\r\n\r\n{envelope}\r\n\
             --of the sender\r\ncontent-type:image/png\r\nContent-ID: <b>\r\nContent-Transfer-Encoding: binary\r\n\r\n"
        )
        .into_bytes();
        message.extend_from_slice(&picture);
        message.extend_from_slice(b"\r\n--of the sender--\r\n");
        message
    };
    let request = message(envelope("with-picture", "getPerson", ""));
    scene.system.answer(200, content_type, message(envelope("with-picture", "getPersonResponse", "")))?;
    let reply = scene.ask(content_type, request.clone()).await?;
    assert_eq!(&reply.headers["content-type"], content_type, "{}", text(&reply));
    let (headers, asked) = scene.system.asked();
    assert_eq!(&headers["content-type"], content_type);
    ensure!(asked == request, "the information system got something else");
    let has = |part: &[u8]| reply.body.windows(part.len()).any(|window| window == part);
    ensure!(has(b"Content-ID: <b>") && has(b"requestHash") && has(picture.get(..4096).unwrap_or_default()));

    let folder = scene.provider.site.folder().join("evidence");
    let trust = scene.provider.site.folder().join("global-configuration");
    let [out, trust] = [&folder, &trust].map(|path| path.to_str().unwrap());
    log(
        &scene.provider,
        &["export", "--id", "with-picture", "--stamp-now", "--out", out, "--configuration", trust],
    )?;
    assert_eq!(fs::read_dir(&folder)?.count(), 2);
    Ok(())
}

#[tokio::test(flavor = "multi_thread")]
async fn faults_say_whose_they_are_and_those_of_providers_pass_as_they_are() -> Result<()> {
    let scene = Scene::set().await?;
    let fault = "<s:Envelope xmlns:s='http://schemas.xmlsoap.org/soap/envelope/'><s:Body><s:Fault>\
        <faultcode>s:Server</faultcode><faultstring>closed <!-- today --></faultstring></s:Fault></s:Body></s:Envelope>";
    scene.system.answer(500, TEXT, fault)?;
    let request = || envelope("nine", "getPerson", "");
    assert_eq!(text(&scene.ask(TEXT, request()).await?), fault);
    scene.system.answer(404, "text/html", "gone")?;
    assert_eq!(scene.fault(request()).await?, "Server.ServerProxy.ServiceFailed.HttpError");

    for (what, request, code) in [
        ("no XML", "hello".to_owned(), "client.invalid_soap"),
        ("another service in the body", envelope("1", "other", ""), "client.inconsistent_headers"),
        ("a client of nobody", request().replace(">portal<", ">office<"), "client.unknown_member"),
        (
            "an unknown service",
            request().replace("getPerson", "getNothing"),
            "Server.ServerProxy.UnknownService",
        ),
        (
            "an unknown member",
            request().replace(">70000001<", ">70000009<"),
            "server.clientproxy.unknown_member",
        ),
        (
            "another server than the provider's",
            envelope("1", "getPerson", OTHER_SERVER),
            "server.clientproxy.invalid_security_server",
        ),
    ] {
        assert_eq!(scene.fault(request).await?, code, "{what}");
    }
    let headers = [("content-type", TEXT), ("soapaction", "urn:unquoted")];
    let reply = scene.client.call(Method::POST, "/", &headers, request().into()).await?;
    assert!(text(&reply).contains("<faultcode>client.invalid_soap_action<"), "{}", text(&reply));

    let clients = scene.provider.site.folder().join("clients.toml");
    let entitled = fs::read_to_string(&clients)?;
    fs::write(&clients, entitled.replace(&PROVIDER.replace("/r1/", ""), "KG/GOV/70000001/registry/x"))?;
    let denied =
        || async { scene.fault(request()).await.is_ok_and(|code| code == "Server.ServerProxy.AccessDenied") };
    scene._servers[0].until("the right is gone", Duration::from_secs(30), denied).await
}

#[tokio::test(flavor = "multi_thread")]
async fn metaservices_answer_in_the_envelope_of_the_request() -> Result<()> {
    let scene = Scene::set().await?;
    let ask = async |id: &str, metaservice: &str| {
        let request = envelope(id, "getPerson", "").replace("getPerson", metaservice);
        Ok::<_, anyhow::Error>(text(&scene.ask(TEXT, request).await?))
    };
    let service = "<xroad:service id:objectType=\"SERVICE\"><id:xRoadInstance>KG</id:xRoadInstance>\
        <id:memberClass>GOV</id:memberClass><id:memberCode>70000001</id:memberCode>\
        <id:subsystemCode>registry</id:subsystemCode><id:serviceCode>getPerson</id:serviceCode></xroad:service>";
    for metaservice in ["listMethods", "allowedMethods"] {
        let listed = ask(metaservice, metaservice).await?;
        let end = format!("{service}</xroad:{metaservice}Response></e:Body></e:Envelope>");
        assert!(listed.contains("<x:requestHash ") && listed.ends_with(&end), "{listed}");
        let evidence = log(&scene.provider, &["find", "--id", metaservice])?;
        assert_eq!(evidence["records"].as_array().map(Vec::len), Some(2), "{evidence}");
    }

    let asks_for = |service: &str| {
        let asked = format!("<x:getWsdl><x:serviceCode>{service}</x:serviceCode></x:getWsdl>");
        envelope("wsdl", "getPerson", "")
            .replace("getPerson", "getWsdl")
            .replace("<p:getWsdl xmlns:p='urn:p' a = \"1\"/>", &asked)
    };
    let reply = scene.ask(TEXT, asks_for("getPerson")).await?;
    assert!(reply.headers["content-type"].to_str()?.starts_with("multipart/related; type=\"text/xml\""));
    let described = text(&reply);
    assert!(described.contains("<xroad:serviceCode>getPerson</xroad:serviceCode></xroad:getWsdlResponse>"));
    assert!(described.contains("Content-ID: <wsdl=") && described.contains(WSDL), "{described}");
    assert_eq!(scene.fault(asks_for("getNothing")).await?, "Server.ServerProxy.UnknownService");

    let clients = scene.provider.site.folder().join("clients.toml");
    let entitled = fs::read_to_string(&clients)?;
    fs::write(&clients, entitled.replace(&PROVIDER.replace("/r1/", ""), "KG/GOV/70000001/registry/x"))?;
    let is_gone = || async { ask("1", "allowedMethods").await.is_ok_and(|listed| !listed.contains(service)) };
    scene._servers[0].until("the right is gone", Duration::from_secs(30), is_gone).await?;
    assert!(ask("2", "listMethods").await?.contains(service), "listed all the same");
    Ok(())
}

#[tokio::test(flavor = "multi_thread")]
async fn the_answering_server_believes_nothing_that_the_other_should_have_checked() -> Result<()> {
    let network = Network::start().await?;
    let system = InformationSystem::start().await?;
    let folder = tempfile::tempdir()?;
    let provider = provider(&network, &system, folder.path())?;
    let server = provider.start(&network, KeyAlgorithm::EcP256)?;
    let peer = RawPeer::join(&network)?;
    system.answer(200, TEXT, envelope("1", "getPersonResponse", ""))?;
    let sound = peer.soap_message(&network, envelope("1", "getPerson", "")).await?;
    let answers = || async { peer.send(provider.port, &sound).await.is_ok_and(|code| code == "ok") };
    server.until("the server answers", Duration::from_secs(90), answers).await?;

    let code = peer.send(provider.port, &sound).await?;
    assert_eq!(code, "Server.ServerProxy.InvalidRequest", "a replayed request");
    let office = envelope("1", "getPerson", "").replace(">portal<", ">office<");
    let headless =
        "<e:Envelope xmlns:e='http://schemas.xmlsoap.org/soap/envelope/'><e:Body><a/></e:Body></e:Envelope>";
    for (what, request, code) in [
        ("another server's", envelope("1", "getPerson", OTHER_SERVER), "InvalidSecurityServer"),
        ("without a right", office, "AccessDenied"),
        ("without a header", headless.to_owned(), "MissingHeader"),
    ] {
        let message = peer.soap_message(&network, request).await?;
        let refused = peer.send(provider.port, &message).await?;
        assert_eq!(refused, format!("Server.ServerProxy.{code}"), "{what}");
    }
    Ok(())
}

/// What `uuk log …` prints with `--json`.
fn log(side: &Enrolled, arguments: &[&str]) -> Result<serde_json::Value> {
    let mut command = Command::new(target_folder().join("debug/uuk"));
    command.arg("log").args(arguments).args(["--json", "--config"]).arg(side.site.folder().join("uuk.toml"));
    let output = command.output()?;
    let problem =
        || String::from_utf8_lossy(&[output.stderr.clone(), output.stdout.clone()].concat()).into_owned();
    ensure!(output.status.success(), problem());
    serde_json::from_slice(&output.stdout).with_context(problem)
}
