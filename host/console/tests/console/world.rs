use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use http::{Request, StatusCode};
use http_body_util::{BodyExt, Full};
use hyper_util::client::legacy::Client;
use hyper_util::rt::TokioExecutor;
use serde_json::{Value, json};
use tempfile::TempDir;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;
use tokio_util::sync::{CancellationToken, DropGuard};
use uuk_central::{
    Actor, AuditEntry, Authority, Central, CertificationService, DatabaseConfig, Invited, KeyFolder,
    Registry, Responder, Role, Settings,
};
use uuk_console::{Console, ConsoleConfig, ContactConfig};
use uuk_pki::{Der, Sha256};
use uuk_process::{Clock, Secret};
use uuk_testkit::joining::CHECKLIST;
use uuk_testkit::network::{Instance, InstanceOptions, certificate_pem};

/// Who joins, by the name it will have.
pub(crate) const MEMBER: &str = "KG/GOV/70000002";
pub(crate) const SERVER: &str = "KG/GOV/70000002/ss1";
pub(crate) const PASSWORD: &str = "correct horse battery";

pub(crate) struct World {
    pub(crate) central: Arc<Central>,
    pub(crate) clock: Clock,
    pub(crate) address: String,
    pub(crate) instance: Instance,
    pub(crate) folder: TempDir,
    _stop: DropGuard,
}

/// An answer with what of it tests look at.
#[derive(Debug)]
pub(crate) struct Answer {
    pub(crate) status: StatusCode,
    pub(crate) headers: http::HeaderMap,
    pub(crate) text: String,
}

impl World {
    pub(crate) async fn new() -> Self {
        let contact = ContactConfig {
            phone: Some("+996 312 000000".to_owned()),
            mail: Some("help@example.kg".parse().unwrap()),
            hours: Some("9–18".to_owned()),
        };
        let config = ConsoleConfig {
            address: "127.0.0.1:0".parse().unwrap(),
            contact: Some(contact),
            ..ConsoleConfig::default()
        };
        Self::with(Clock::set_to("2026-11-23T06:00:00Z".parse().unwrap()), config).await
    }

    pub(crate) async fn with(clock: Clock, config: ConsoleConfig) -> Self {
        let options = InstanceOptions { clock: clock.clone(), ..InstanceOptions::default() };
        let instance = Instance::start_with("KG", options).await.unwrap();
        let folder = tempfile::tempdir().unwrap();
        let url = format!("sqlite:{}", folder.path().join("central.db").display());
        let central =
            Central::open(&DatabaseConfig { url, password_file: None }, clock.clone()).await.unwrap();
        let central = Arc::new(central);
        central.found(&operator(), registry(&instance, &folder, &clock)).await.unwrap();

        let console = Console::build(config, Arc::clone(&central)).unwrap();
        let address = console.address().to_string();
        let stop = CancellationToken::new();
        tokio::spawn(console.run(stop.clone()));
        Self { central, clock, address, instance, folder, _stop: stop.drop_guard() }
    }

    pub(crate) fn advance(&self, days: u64) {
        self.clock.advance(Duration::from_secs(days * 24 * 3600));
    }

    /// A token of somebody new in a role, at an institution if it is a role there.
    pub(crate) async fn token(&self, name: &str, role: Role, member: &str) -> String {
        self.invite(name, role, member).await;
        self.central.issue_token(&operator(), name, "test", 300).await.unwrap().expose().clone()
    }

    /// The invitation of somebody new.
    pub(crate) async fn invite(&self, name: &str, role: Role, member: &str) -> String {
        let invited = Invited {
            name: name.to_owned(),
            full_name: format!("Person {name}"),
            roles: [role].into(),
            member: role.is_at_member().then(|| member.parse().unwrap()),
            mail: None,
            language: None,
            until: None,
        };
        self.central.invite(&operator(), &invited).await.unwrap().expose().clone()
    }

    /// A session of somebody new: the cookie.
    pub(crate) async fn sign_in(&self, name: &str, role: Role, member: &str) -> String {
        let invitation = self.invite(name, role, member).await;
        let passed =
            self.central.accept_invitation(&invitation, Secret::new(PASSWORD.to_owned())).await.unwrap();
        format!("__Host-session={}", passed.session.expose())
    }

    pub(crate) async fn get(&self, token: &str, path: &str) -> (StatusCode, Value) {
        self.call("GET", token, path, None).await
    }

    pub(crate) async fn post(&self, token: &str, path: &str, body: &Value) -> (StatusCode, Value) {
        self.call("POST", token, path, Some(body)).await
    }

    /// A step of procedure 1, which is offered and succeeds.
    #[track_caller]
    pub(crate) fn step(&self, token: &str, step: Value) -> impl Future<Output = Value> {
        let caller = std::panic::Location::caller();
        async move {
            let (_, shown) = self.get(token, "/api/v1/procedures/1").await;
            let offered = shown["steps"].as_array().unwrap();
            assert!(offered.contains(&step["act"]), "{caller}: {step} is not among {offered:?}");
            let (status, told) = self.post(token, "/api/v1/procedures/1/steps", &step).await;
            assert_eq!(status, StatusCode::OK, "{caller}: {step}: {told}");
            told
        }
    }

    pub(crate) async fn call(
        &self,
        method: &str,
        token: &str,
        path: &str,
        body: Option<&Value>,
    ) -> (StatusCode, Value) {
        let mut headers = vec![("authorization", format!("Bearer {token}"))];
        if body.is_some() {
            headers.push(("content-type", "application/json".to_owned()));
        }
        let body = body.map(Value::to_string).unwrap_or_default();
        let answer = self.send(method, path, &headers, &body).await;
        let value = serde_json::from_str(&answer.text).unwrap_or(Value::Null);
        (answer.status, value)
    }

    pub(crate) async fn send(
        &self,
        method: &str,
        path: &str,
        headers: &[(&str, String)],
        body: &str,
    ) -> Answer {
        let (parts, body) = self.exchange(method, path, headers, body.to_owned().into()).await;
        let text = String::from_utf8(body.to_vec()).unwrap();
        Answer { status: parts.status, headers: parts.headers, text }
    }

    /// As [`World::send`], where bodies are no text.
    pub(crate) async fn exchange(
        &self,
        method: &str,
        path: &str,
        headers: &[(&str, String)],
        body: Bytes,
    ) -> (http::response::Parts, Bytes) {
        let mut request = Request::builder().method(method).uri(format!("http://{}{path}", self.address));
        for (name, value) in headers {
            request = request.header(*name, value);
        }
        let client = Client::builder(TokioExecutor::new()).build_http();
        let request = request.body(Full::new(body)).unwrap();
        let (parts, body) = client.request(request).await.unwrap().into_parts();
        (parts, body.collect().await.unwrap().to_bytes())
    }

    /// Sends the beginning of a request, and reads the first line of the answer.
    pub(crate) async fn begin(&self, request: &str) -> (TcpStream, String) {
        let mut connection = TcpStream::connect(&self.address).await.unwrap();
        connection.write_all(request.as_bytes()).await.unwrap();
        let mut line = Vec::new();
        while !line.ends_with(b"\r\n") {
            line.push(connection.read_u8().await.unwrap());
        }
        (connection, String::from_utf8(line).unwrap().trim_end().to_owned())
    }

    pub(crate) async fn audit(&self) -> Vec<AuditEntry> {
        let mut entries = Vec::new();
        self.central.audit(|entry| entries.push(entry)).await.unwrap();
        entries
    }

    /// The certificates of the institution's server and of its signature, in PEM.
    pub(crate) fn certificates(&self, member: &str) -> [String; 2] {
        let server = self.instance.server("GOV/70000002/ss1", "ss1.example.kg").unwrap();
        let signing = server.signing(member).unwrap();
        [server.authentication().certificate(), signing.certificate()].map(|it| certificate_pem(it).unwrap())
    }
}

fn registry(instance: &Instance, folder: &TempDir, clock: &Clock) -> Registry {
    let keys = KeyFolder::new(folder.path().join("keys"), Secret::new("long enough".to_owned()));
    let certificate = keys.generate("KG", clock.now()).unwrap();
    let management = "KG/GOV/10000001/management".parse().unwrap();
    let settings = Settings::new("KG", "central.example.kg", management);
    let mut registry = Registry::new(settings, certificate, clock.now()).unwrap();
    let authority = Authority {
        certificate: Der::from(instance.authority.top().clone()),
        responders: vec![Responder { url: instance.authority.ocsp().url(), certificate: None }],
    };
    let service = CertificationService {
        authentication_only: false,
        authorities: vec![authority],
        certificate_profile: instance.authority.profile().name().to_owned(),
    };
    registry.set_certification_service("Test authority", service).unwrap();
    registry.set_member_class("GOV", "Government").unwrap();
    registry
}

pub(crate) fn operator() -> Actor {
    "uid:1000".parse().unwrap()
}

/// A complete application by the rules of `tunduk-2018`, whose head is called so.
pub(crate) fn application(head: &str) -> Value {
    json!({
        "names": { "ky": "Мекеме", "ru": "Учреждение", "en": "An institution" },
        "address": "Bishkek, Manas 1",
        "persons": [{
            "name": head,
            "position": "Head",
            "duties": ["signs_agreement", "maintains_systems", "answers_for_accuracy", "connects_and_exchanges"],
            "authority": { "title": "Order 12 of 1 February 2026" },
            "valid_until": "2027-12-31",
        }],
        "systems": [{ "name": "People", "purpose": "Registers people" }],
    })
}

/// A review that finds every one of them met.
pub(crate) fn review() -> Value {
    json!({ "items": CHECKLIST.iter().map(|item| (item.to_string(), json!(true))).collect::<serde_json::Map<_, _>>() })
}

pub(crate) fn digest(text: &str) -> String {
    Sha256::of(text.as_bytes()).to_string()
}
