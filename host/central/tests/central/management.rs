use std::time::{Duration, Instant};

use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use bytes::Bytes;
use http::{Method, Request, StatusCode};
use http_body_util::{BodyExt, Full};
use hyper_util::client::legacy::Client;
use hyper_util::rt::TokioExecutor;
use tokio_util::sync::CancellationToken;
use tokio_util::task::TaskTracker;
use uuk_central::{Central, ClientState, ManagementConfig, ManagementService, Registry};
use uuk_identifiers::ServerId;
use uuk_message::{Soap, SoapFault};
use uuk_pki::{
    Certificate, CertificateId, DigestAlgorithm, OcspRequest, SignatureScheme, SigningKey, sign_der,
};
use uuk_testkit::network::{Identity, Server};
use uuk_transport::{ClientAuthentication, ListenerConfig, ListenerLimits};

use crate::world::*;

const MULTIPART: &str = "multipart/related; type=\"application/octet-stream\"; charset=UTF-8; boundary=part";
const PATIENCE: Duration = Duration::from_secs(20);

/// A central server that takes requests, with a member that has a server in mind.
struct Office {
    world: World,
    central: std::sync::Arc<Central>,
    /// What the authority has certified; the central server knows nothing of it.
    server: Server,
    doors: [String; 2],
    stop: CancellationToken,
    tasks: TaskTracker,
}

/// Which door, by its place among the office's.
const REGISTRATION: usize = 0;
const MANAGEMENT: usize = 1;

impl Office {
    async fn open() -> Self {
        let world = World::new().await;
        let server = world.instance.server("GOV/70000001/ss9", "ss9.example.kg").unwrap();
        let (config, _) = database(Database::Sqlite, world.folder.path()).unwrap();
        let central = world.central(&config).await;
        central.found(&actor(), world.registry()).await.unwrap();
        let plain = || ListenerConfig {
            address: "127.0.0.1:0".parse().unwrap(),
            authentication: ClientAuthentication::None,
            identity: None,
            client_certificates: Vec::new(),
            client_authorities: Vec::new(),
            limits: ListenerLimits::default(),
        };
        let config = ManagementConfig {
            registration: Some(plain()),
            management: Some(plain()),
            ..ManagementConfig::default()
        };
        let service = ManagementService::build(config, central.clone()).unwrap();
        let addresses = [service.registration_address(), service.management_address()];
        let doors = addresses.map(|address| format!("http://{}", address.unwrap()));
        let (stop, tasks) = (CancellationToken::new(), TaskTracker::new());
        tasks.spawn(service.run(stop.clone()));
        tasks.close();
        Self { world, central, server, doors, stop, tasks }
    }

    async fn close(self) {
        self.stop.cancel();
        self.tasks.wait().await;
    }

    /// A certificate with which the member signs, and what the authority says of it.
    async fn signer(&self, member: &str) -> (Identity, Vec<u8>) {
        let identity = self.server.signing(member).unwrap();
        let id = CertificateId::new(identity.certificate(), self.world.instance.authority.top()).unwrap();
        let request = OcspRequest { certificate: id }.to_der().unwrap();
        let url = self.world.instance.authority.ocsp().url();
        let (_, answer) = post(&url, "application/ocsp-request", request).await;
        (identity, answer.to_vec())
    }

    async fn send(&self, door: usize, content_type: &str, body: Vec<u8>) -> Result<u64, SoapFault> {
        let (status, answer) = post(&self.doors[door], content_type, body).await;
        match Soap::read("text/xml; charset=UTF-8", answer).unwrap() {
            Soap::Fault(fault) => {
                assert_eq!(status, StatusCode::INTERNAL_SERVER_ERROR);
                Err(fault)
            }
            Soap::Message(message) => {
                assert!(message.is_response());
                let text = String::from_utf8(message.bytes().to_vec()).unwrap();
                let number = text.split("requestId>").nth(1).unwrap().trim_end_matches("</xroad:");
                Ok(number.parse().unwrap())
            }
        }
    }

    async fn registry(&self) -> Registry {
        Registry::clone(&self.central.snapshot().await.unwrap().registry)
    }

    async fn approve(&self, number: u64) {
        let now = self.world.now();
        let approve = |registry: &mut Registry| registry.approve_request(number, now);
        self.central.change(&actor(), "approve-request", approve).await.unwrap();
    }

    /// A request to register the server's certificate, whole and right.
    async fn registration(&self) -> Registration {
        let (signer, ocsp_answer) = self.signer("GOV/70000001").await;
        let server = self.server.authentication().clone();
        let certificate = server.certificate().clone();
        Registration {
            server,
            signer,
            ocsp_answer,
            enclosed: certificate.clone(),
            certificate,
            dry_run: false,
        }
    }

    async fn register(&self, registration: &Registration) -> Result<u64, SoapFault> {
        self.send(REGISTRATION, MULTIPART, registration.message(self.server.id())).await
    }

    /// A request by the member that owns the server, signed by one.
    async fn ask(&self, service: &str, fields: &str, signer: &str) -> Result<u64, SoapFault> {
        let soap = envelope(service, &format!("{}{fields}", server_xml(self.server.id())));
        let (identity, ocsp_answer) = self.signer(signer).await;
        let message = multipart(
            &soap,
            &[signed(&soap, &identity), der(identity.certificate().der()), der(&ocsp_answer)],
        );
        self.send(MANAGEMENT, MULTIPART, message).await
    }

    /// A request that nobody signs.
    async fn ask_plain(&self, service: &str, fields: &str) -> Result<u64, SoapFault> {
        let soap = envelope(service, &format!("{}{fields}", server_xml(self.server.id())));
        self.send(MANAGEMENT, "text/xml; charset=UTF-8", soap.into_bytes()).await
    }

    /// With the server registered, as an operator approved.
    async fn with_server() -> Self {
        let office = Self::open().await;
        let number = office.register(&office.registration().await).await.unwrap();
        office.approve(number).await;
        office
    }
}

/// The parts of a request to register a certificate; a test makes one of them wrong.
struct Registration {
    server: Identity,
    signer: Identity,
    ocsp_answer: Vec<u8>,
    /// In the SOAP message.
    certificate: Certificate,
    /// Beside it.
    enclosed: Certificate,
    dry_run: bool,
}

impl Registration {
    fn message(&self, server: &ServerId) -> Vec<u8> {
        let fields = format!(
            "{}<x:address>ss9.example.kg</x:address><x:authCert>{}</x:authCert><x:dryRun>{}</x:dryRun>",
            server_xml(server),
            STANDARD.encode(self.certificate.der()),
            self.dry_run
        );
        let soap = envelope("authCertReg", &fields);
        let parts = [
            signed(&soap, &self.server),
            signed(&soap, &self.signer),
            der(self.enclosed.der()),
            der(self.signer.certificate().der()),
            der(&self.ocsp_answer),
        ];
        multipart(&soap, &parts)
    }
}

fn server_xml(server: &ServerId) -> String {
    let ServerId { owner, code } = server;
    format!(
        "<x:server i:objectType='SERVER'><i:xRoadInstance>KG</i:xRoadInstance><i:memberClass>{}</i:memberClass>\
         <i:memberCode>{}</i:memberCode><i:serverCode>{code}</i:serverCode></x:server>",
        owner.class, owner.code
    )
}

fn client_xml(code: &str, subsystem: Option<&str>) -> String {
    let subsystem = subsystem.map(|code| format!("<i:subsystemCode>{code}</i:subsystemCode>"));
    format!(
        "<x:client i:objectType='{}'><i:xRoadInstance>KG</i:xRoadInstance><i:memberClass>GOV</i:memberClass>\
         <i:memberCode>{code}</i:memberCode>{}</x:client>",
        if subsystem.is_some() { "SUBSYSTEM" } else { "MEMBER" },
        subsystem.unwrap_or_default()
    )
}

/// As the owner of the server writes it to the instance's management service.
fn envelope(service: &str, fields: &str) -> String {
    let party = "<i:xRoadInstance>KG</i:xRoadInstance><i:memberClass>GOV</i:memberClass>";
    format!(
        "<s:Envelope xmlns:s='http://schemas.xmlsoap.org/soap/envelope/' xmlns:x='http://x-road.eu/xsd/xroad.xsd' \
         xmlns:i='http://x-road.eu/xsd/identifiers'><s:Header>\
         <x:client i:objectType='MEMBER'>{party}<i:memberCode>70000001</i:memberCode></x:client>\
         <x:service i:objectType='SERVICE'>{party}<i:memberCode>10000001</i:memberCode>\
         <i:subsystemCode>management</i:subsystemCode><i:serviceCode>{service}</i:serviceCode></x:service>\
         <x:id>1</x:id><x:protocolVersion>4.0</x:protocolVersion></s:Header>\
         <s:Body><x:{service}>{fields}</x:{service}></s:Body></s:Envelope>"
    )
}

fn signed(soap: &str, identity: &Identity) -> (String, Vec<u8>) {
    let key = identity.signing_key().unwrap();
    let signature = sign_der(&key, DigestAlgorithm::Sha512, soap.as_bytes()).unwrap();
    let scheme = if key.scheme() == SignatureScheme::Ecdsa { "ECDSA" } else { "RSA" };
    (format!("signature-algorithm-id: SHA512with{scheme}\r\n"), signature)
}

fn der(bytes: &[u8]) -> (String, Vec<u8>) {
    (String::new(), bytes.to_vec())
}

fn multipart(soap: &str, parts: &[(String, Vec<u8>)]) -> Vec<u8> {
    let mut message =
        format!("--part\r\ncontent-type:text/xml; charset=UTF-8\r\n\r\n{soap}\r\n").into_bytes();
    for (headers, content) in parts {
        message.extend(format!("--part\r\ncontent-type:application/octet-stream\r\n{headers}\r\n").bytes());
        message.extend(content);
        message.extend(b"\r\n");
    }
    message.extend(b"--part--\r\n");
    message
}

async fn post(url: &str, content_type: &str, body: Vec<u8>) -> (StatusCode, Bytes) {
    let client = Client::builder(TokioExecutor::new()).build_http();
    let request = Request::builder().method(Method::POST).uri(url).header("content-type", content_type);
    let reply = client.request(request.body(Full::new(Bytes::from(body))).unwrap()).await.unwrap();
    let status = reply.status();
    (status, reply.into_body().collect().await.unwrap().to_bytes())
}

/// Checks that a request is refused with one of our codes.
#[track_caller]
fn refused(result: Result<u64, SoapFault>, code: &str) {
    let fault = result.unwrap_err();
    assert_eq!(fault.detail.as_deref(), Some(code), "{fault:?}");
}

#[tokio::test]
async fn a_server_is_registered_once_an_operator_approves() {
    let office = Office::open().await;
    let registration = office.registration().await;
    let number = office.register(&registration).await.unwrap();
    assert!(!office.registry().await.servers().contains_key(office.server.id()), "nobody has approved");
    refused(office.register(&registration).await, "registry.already_registered");
    office.approve(number).await;
    let registry = office.registry().await;
    let server = &registry.servers()[office.server.id()];
    assert_eq!(server.address.as_deref(), Some("ss9.example.kg"));
    assert_eq!(server.certificates.first().unwrap().as_bytes(), registration.certificate.der());
    assert!(registry.requests().is_empty());
    refused(office.register(&registration).await, "registry.certificate_taken");
    office.close().await;
}

#[tokio::test]
async fn a_dry_run_leaves_no_trace() {
    let office = Office::open().await;
    let registration = Registration { dry_run: true, ..office.registration().await };
    assert_eq!(office.register(&registration).await.unwrap(), 0);
    assert!(office.registry().await.requests().is_empty());
    office.close().await;
}

#[tokio::test]
async fn refuses_registrations_that_do_not_prove_themselves() {
    let office = Office::open().await;
    let other_key = office.signer("GOV/70000001").await.0;
    let stranger = office.signer("GOV/70000002").await;
    let not_for_servers = other_key.certificate().clone();
    let right = || office.registration();
    for (wrong, code) in [
        (Registration { server: other_key.clone(), ..right().await }, "management.signature"),
        (
            Registration { signer: stranger.0, ocsp_answer: stranger.1, ..right().await },
            "management.other_signer",
        ),
        (Registration { enclosed: not_for_servers.clone(), ..right().await }, "management.other_certificate"),
        (Registration { ocsp_answer: b"no answer".to_vec(), ..right().await }, "ocsp.malformed"),
        (
            Registration {
                certificate: not_for_servers.clone(),
                enclosed: not_for_servers,
                server: other_key,
                ..right().await
            },
            "certificate_path.not_for_authentication",
        ),
    ] {
        refused(office.register(&wrong).await, code);
    }
    office.world.instance.authority.revoke(right().await.signer.certificate()).unwrap();
    assert!(office.registry().await.requests().is_empty());
    office.close().await;
}

#[tokio::test]
async fn refuses_a_signer_whose_certificate_was_revoked() {
    let office = Office::open().await;
    let (signer, _) = office.signer("GOV/70000001").await;
    office.world.instance.authority.revoke(signer.certificate()).unwrap();
    let id = CertificateId::new(signer.certificate(), office.world.instance.authority.top()).unwrap();
    let request = OcspRequest { certificate: id }.to_der().unwrap();
    let url = office.world.instance.authority.ocsp().url();
    let (_, answer) = post(&url, "application/ocsp-request", request).await;
    let registration = Registration { signer, ocsp_answer: answer.to_vec(), ..office.registration().await };
    refused(office.register(&registration).await, "ocsp.revoked");
    office.close().await;
}

#[tokio::test]
async fn refuses_messages_that_are_none() {
    let office = Office::open().await;
    let right = office.registration().await.message(office.server.id());
    let text = String::from_utf8_lossy(&right).into_owned();
    let soap = envelope("authCertReg", &server_xml(office.server.id()));
    refused(office.send(REGISTRATION, "text/plain", right.clone()).await, "related.media_type");
    refused(office.send(REGISTRATION, "text/xml", soap.into_bytes()).await, "management.body");
    let other = |service: &str| envelope(service, &server_xml(office.server.id())).into_bytes();
    refused(office.send(REGISTRATION, "text/xml", other("clientReg")).await, "management.body");
    refused(
        office.send(REGISTRATION, "text/xml", other("maintenanceModeDisable")).await,
        "management.unknown_service",
    );
    refused(office.send(MANAGEMENT, "text/xml", other("formatDisk")).await, "management.unknown_service");
    refused(office.send(MANAGEMENT, "text/xml", other("maintenanceModeDisable")).await, "management.parts");
    let elsewhere =
        String::from_utf8(other("maintenanceModeDisable")).unwrap().replace("10000001", "10000002");
    refused(office.send(MANAGEMENT, "text/xml", elsewhere.into_bytes()).await, "management.wrong_service");
    let stranger = String::from_utf8(other("maintenanceModeDisable")).unwrap();
    let stranger = stranger.replacen("70000001", "70000002", 1);
    refused(office.send(MANAGEMENT, "text/xml", stranger.into_bytes()).await, "management.not_owner");
    assert!(text.contains("signature-algorithm-id"));
    let unknown = right.windows(10).position(|window| window == b"SHA512with").unwrap();
    let mut weak = right.clone();
    weak.splice(unknown..unknown + 6, *b"SHA1ab");
    refused(office.send(REGISTRATION, MULTIPART, weak).await, "management.algorithm");
    office.close().await;
}

#[tokio::test]
async fn a_client_comes_and_goes() {
    let office = Office::with_server().await;
    let client = client_xml("70000001", Some("archive"));
    let id = crate::world::client("KG/GOV/70000001/archive");
    let state = async || office.registry().await.servers()[office.server.id()].clients.get(&id).copied();

    let named = format!("{client}<x:subsystemName>The archive</x:subsystemName>");
    refused(office.ask("clientReg", &named, "GOV/70000002").await, "management.other_signer");
    let number = office.ask("clientReg", &named, "GOV/70000001").await.unwrap();
    office.ask_plain("clientDeletion", &client).await.unwrap();
    assert!(office.registry().await.requests().is_empty(), "taken back");
    assert!(office.registry().await.clone().approve_request(number, office.world.now()).is_err());

    let number = office.ask("clientReg", &named, "GOV/70000001").await.unwrap();
    office.approve(number).await;
    let registry = office.registry().await;
    assert_eq!(
        registry.subsystems()[&subsystem("KG/GOV/70000001/archive")].name.as_deref(),
        Some("The archive")
    );
    office.ask("clientDisable", &client, "GOV/70000001").await.unwrap();
    assert_eq!(state().await, Some(ClientState::Disabled));
    office.ask("clientEnable", &client, "GOV/70000001").await.unwrap();
    assert_eq!(state().await, Some(ClientState::Enabled));
    let renamed = format!("{client}<x:subsystemName>Old papers</x:subsystemName>");
    office.ask("clientRename", &renamed, "GOV/70000001").await.unwrap();
    office.ask_plain("clientDeletion", &client).await.unwrap();
    assert_eq!(state().await, None);
    refused(office.ask_plain("clientDeletion", &client).await, "registry.no_client");
    office.close().await;
}

#[tokio::test]
async fn a_server_moves_rests_and_loses_its_certificate() {
    let office = Office::with_server().await;
    let server = async || office.registry().await.servers()[office.server.id()].clone();
    let owner = "GOV/70000001";
    office.ask("addressChange", "<x:address>new.example.kg</x:address>", owner).await.unwrap();
    assert_eq!(server().await.address.as_deref(), Some("new.example.kg"));
    refused(office.ask("addressChange", "<x:address>a b</x:address>", owner).await, "registry.address");
    office.ask("maintenanceModeEnable", "<x:message>until noon</x:message>", owner).await.unwrap();
    assert_eq!(server().await.maintenance.unwrap().message.as_deref(), Some("until noon"));
    office.ask("maintenanceModeDisable", "", owner).await.unwrap();
    assert_eq!(server().await.maintenance, None);
    let der = STANDARD.encode(office.server.authentication().certificate().der());
    office.ask_plain("authCertDeletion", &format!("<x:authCert>{der}</x:authCert>")).await.unwrap();
    assert!(server().await.certificates.is_empty());
    office.close().await;
}

#[tokio::test]
async fn a_server_changes_hands_once_an_operator_approves() {
    let office = Office::with_server().await;
    let now = office.world.now();
    let add = |registry: &mut Registry| registry.add_member(&member("KG/GOV/70000002"), "Successor");
    office.central.change(&actor(), "add-member", add).await.unwrap();
    let successor = client_xml("70000002", None);
    refused(office.ask("ownerChange", &successor, "GOV/70000002").await, "registry.no_client");
    let number = office.ask("clientReg", &successor, "GOV/70000002").await.unwrap();
    office.approve(number).await;
    let number = office.ask("ownerChange", &successor, "GOV/70000002").await.unwrap();
    let decline = |registry: &mut Registry| registry.decline_request(number);
    office.central.change(&actor(), "decline-request", decline).await.unwrap();
    assert!(office.registry().await.approve_request(number, now).is_err());
    let number = office.ask("ownerChange", &successor, "GOV/70000002").await.unwrap();
    office.approve(number).await;
    assert!(office.registry().await.servers().contains_key(&server("KG/GOV/70000002/ss9")));
    office.close().await;
}

#[tokio::test]
async fn a_request_that_nobody_decides_on_expires() {
    let office = Office::open().await;
    office.register(&office.registration().await).await.unwrap();
    office.world.clock.advance(Duration::from_secs(31 * 24 * 3600));
    let Office { world, central, stop, tasks, .. } = office;
    stop.cancel();
    tasks.wait().await;
    // It is looked at when the service starts, and every minute.
    let service = ManagementService::build(ManagementConfig::default(), central.clone()).unwrap();
    let stop = CancellationToken::new();
    let running = tokio::spawn(service.run(stop.clone()));
    let start = Instant::now();
    while !central.snapshot().await.unwrap().registry.requests().is_empty() {
        assert!(start.elapsed() < PATIENCE);
        tokio::time::sleep(Duration::from_millis(20)).await;
    }
    stop.cancel();
    running.await.unwrap();
    drop(world);
}
