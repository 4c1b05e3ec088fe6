//! The listener over loopback, with real clients: polite ones, strangers, and those that only hold on.

#![expect(clippy::unwrap_used, reason = "what a test's helpers cannot do, the test reports")]

use std::future::pending;
use std::net::SocketAddr;
use std::path::Path;
use std::sync::Arc;
use std::time::{Duration, Instant};

use anyhow::Result;
use bytes::Bytes;
use http::{Request, Response, StatusCode};
use http_body_util::Full;
use hyper::body::Incoming;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;
use tokio::sync::Semaphore;
use tokio::task::JoinHandle;
use tokio::time::timeout;
use tokio_util::sync::CancellationToken;
use uuk_testkit::tls_authority::{TlsAuthority, TlsFiles};
use uuk_transport::{
    ClientAuthentication, HEADER_BYTES_MAX, IdentityFiles, Listener, ListenerConfig, ListenerError,
    ListenerLimits, ListenerTls, Peer, Upstream, UpstreamConfig, UpstreamError, read_body,
};

/// Longer than anything here takes, shorter than anybody waits.
const PATIENCE: Duration = Duration::from_secs(20);

/// A listener that runs until the test ends.
struct Running {
    address: SocketAddr,
    tls: Option<ListenerTls>,
    stop: CancellationToken,
    task: JoinHandle<()>,
    /// Lets one request for `/wait` go on, per permit.
    go_on: Arc<Semaphore>,
    /// One permit per request for `/wait` that has arrived.
    arrived: Arc<Semaphore>,
}

impl Running {
    fn start(config: ListenerConfig) -> Result<Self> {
        let listener = Listener::bind(config)?;
        let (address, tls, stop) = (listener.address(), listener.tls(), CancellationToken::new());
        let (go_on, arrived) = (Arc::new(Semaphore::new(0)), Arc::new(Semaphore::new(0)));
        let service = {
            let (go_on, arrived) = (go_on.clone(), arrived.clone());
            move |request, peer| answer(request, peer, go_on.clone(), arrived.clone())
        };
        let task = tokio::spawn(listener.run(service, stop.clone()));
        Ok(Self { address, tls, stop, task, go_on, arrived })
    }

    async fn wait_for_arrivals(&self, count: u32) {
        timeout(PATIENCE, self.arrived.acquire_many(count)).await.unwrap().unwrap().forget();
    }

    async fn ended(self) {
        timeout(PATIENCE, self.task).await.unwrap().unwrap();
    }

    async fn plain_answer(&self) -> String {
        let mut client = TcpStream::connect(self.address).await.unwrap();
        client.write_all(b"GET / HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n").await.unwrap();
        read_to_end(&mut client).await
    }
}

async fn answer(
    request: Request<Incoming>,
    peer: Arc<Peer>,
    go_on: Arc<Semaphore>,
    arrived: Arc<Semaphore>,
) -> Response<Full<Bytes>> {
    let text = match request.uri().path() {
        "/wait" => {
            arrived.add_permits(1);
            go_on.acquire().await.unwrap().forget();
            "waited".into()
        }
        "/huge" => return Response::new(Full::from(vec![b'x'; 64 << 20])),
        "/body" => {
            match read_body(request.into_body(), 10, Instant::now() + Duration::from_millis(200)).await {
                Ok(body) => String::from_utf8_lossy(&body).into_owned(),
                Err(error) => error.code().into(),
            }
        }
        _ => match &peer.certificate {
            Some(certificate) => format!("{certificate:?}"),
            None => "nobody in particular".into(),
        },
    };
    Response::new(Full::from(text))
}

fn plain() -> ListenerConfig {
    ListenerConfig {
        address: "127.0.0.1:0".parse().unwrap(),
        authentication: ClientAuthentication::None,
        identity: None,
        client_certificates: vec![],
        client_authorities: vec![],
        limits: ListenerLimits::default(),
    }
}

fn identity(files: &TlsFiles) -> IdentityFiles {
    IdentityFiles { certificate: files.certificate.clone(), key: files.key.clone() }
}

fn tls(authority: &TlsAuthority, registered: &[&Path], authorities: &[&Path]) -> ListenerConfig {
    ListenerConfig {
        authentication: ClientAuthentication::Certificate,
        identity: Some(identity(&authority.server("server").unwrap())),
        client_certificates: registered.iter().map(|&path| path.to_owned()).collect(),
        client_authorities: authorities.iter().map(|&path| path.to_owned()).collect(),
        ..plain()
    }
}

/// What `client` is answered, over TLS.
async fn ask(
    server: &Running,
    authority: &TlsAuthority,
    client: Option<&TlsFiles>,
) -> Result<String, UpstreamError> {
    let config = UpstreamConfig {
        identity: client.map(identity),
        authorities: Some(authority.certificate()),
        ..UpstreamConfig::new(format!("https://{}", server.address))
    };
    let request = Request::get("/").body(Bytes::new()).unwrap();
    let response = Upstream::build(&config).unwrap().send(request, Instant::now() + PATIENCE, 1000).await?;
    Ok(String::from_utf8_lossy(response.body()).into_owned())
}

/// The server's alert may be lost when it closes on a client that is still sending.
async fn is_turned_away(server: &Running, authority: &TlsAuthority, client: Option<&TlsFiles>) -> bool {
    let answer = ask(server, authority, client).await;
    matches!(answer, Err(UpstreamError::Tls { .. } | UpstreamError::Protocol { .. }))
}

async fn read_to_end(client: &mut TcpStream) -> String {
    let mut answer = Vec::new();
    // A connection that is cut off ends as well as one that is closed.
    let _ = timeout(PATIENCE, client.read_to_end(&mut answer)).await.unwrap();
    String::from_utf8_lossy(&answer).into_owned()
}

fn refused(config: ListenerConfig, code: &str) {
    let error = Listener::bind(config).unwrap_err();
    let code_found = match &error {
        ListenerError::Tls { source, .. } => source.code(),
        error => error.code(),
    };
    assert_eq!(code_found, code, "{error}");
}

#[tokio::test]
async fn serves_plain_http_on_loopback_when_asked_to() {
    let server = Running::start(plain()).unwrap();
    assert!(server.plain_answer().await.ends_with("nobody in particular"));
}

#[tokio::test]
async fn refuses_plain_http_off_loopback() {
    for address in ["0.0.0.0:0", "[::]:0", "192.0.2.1:80", "[::ffff:192.0.2.1]:80"] {
        refused(
            ListenerConfig { address: address.parse().unwrap(), ..plain() },
            "listener.plain_off_loopback",
        );
    }
}

#[tokio::test]
async fn refuses_tls_without_an_identity() {
    refused(ListenerConfig { authentication: ClientAuthentication::Tls, ..plain() }, "listener.no_identity");
}

#[tokio::test]
async fn refuses_to_wait_for_clients_that_cannot_exist() {
    let authority = TlsAuthority::new().unwrap();
    refused(tls(&authority, &[], &[]), "listener.no_clients");
}

#[tokio::test]
async fn refuses_a_key_of_another_certificate() {
    let authority = TlsAuthority::new().unwrap();
    let (one, other) = (authority.server("one").unwrap(), authority.server("other").unwrap());
    let identity = Some(IdentityFiles { certificate: one.certificate, key: other.key });
    let config = ListenerConfig { authentication: ClientAuthentication::Tls, identity, ..plain() };
    refused(config, "tls.identity");
}

#[tokio::test]
async fn refuses_files_that_are_missing_or_of_another_kind() {
    let authority = TlsAuthority::new().unwrap();
    let server = authority.server("server").unwrap();
    refused(tls(&authority, &[Path::new("/nowhere.pem")], &[]), "tls.read");
    refused(tls(&authority, &[&server.key], &[]), "tls.certificate");
    let identity =
        Some(IdentityFiles { certificate: server.certificate.clone(), key: server.certificate.clone() });
    refused(ListenerConfig { identity, ..tls(&authority, &[&server.certificate], &[]) }, "tls.key");
}

#[tokio::test]
async fn refuses_an_address_that_is_taken() {
    let server = Running::start(plain()).unwrap();
    refused(ListenerConfig { address: server.address, ..plain() }, "listener.bind");
}

#[tokio::test]
async fn admits_a_registered_client_and_says_which() {
    let authority = TlsAuthority::new().unwrap();
    let client = authority.self_signed_client("client").unwrap();
    let server = Running::start(tls(&authority, &[&client.certificate], &[])).unwrap();
    let answer = ask(&server, &authority, Some(&client)).await.unwrap();
    assert!(answer.starts_with("ClientCertificate("), "{answer}");
}

#[tokio::test]
async fn admits_a_client_of_an_authority() {
    let authority = TlsAuthority::new().unwrap();
    let client = authority.client("client").unwrap();
    let server = Running::start(tls(&authority, &[], &[&authority.certificate()])).unwrap();
    assert!(ask(&server, &authority, Some(&client)).await.is_ok());
}

#[tokio::test]
async fn refuses_an_unknown_client_certificate() {
    let authority = TlsAuthority::new().unwrap();
    let (known, unknown) = (authority.client("known").unwrap(), authority.client("unknown").unwrap());
    let server = Running::start(tls(&authority, &[&known.certificate], &[])).unwrap();
    assert!(is_turned_away(&server, &authority, Some(&unknown)).await);
}

#[tokio::test]
async fn refuses_a_client_of_another_authority() {
    let (authority, other) = (TlsAuthority::new().unwrap(), TlsAuthority::new().unwrap());
    let client = other.client("client").unwrap();
    let server = Running::start(tls(&authority, &[], &[&authority.certificate()])).unwrap();
    assert!(is_turned_away(&server, &authority, Some(&client)).await);
}

#[tokio::test]
async fn refuses_a_client_without_a_certificate() {
    let authority = TlsAuthority::new().unwrap();
    let known = authority.client("known").unwrap();
    let server = Running::start(tls(&authority, &[&known.certificate], &[])).unwrap();
    assert!(is_turned_away(&server, &authority, None).await);
}

#[tokio::test]
async fn refuses_an_expired_client_certificate() {
    let authority = TlsAuthority::new().unwrap();
    let expired = authority.expired_client("expired").unwrap();
    for config in
        [tls(&authority, &[&expired.certificate], &[]), tls(&authority, &[], &[&authority.certificate()])]
    {
        let server = Running::start(config).unwrap();
        assert!(is_turned_away(&server, &authority, Some(&expired)).await);
    }
}

#[tokio::test]
async fn reloads_certificates_without_a_restart() {
    let authority = TlsAuthority::new().unwrap();
    let (before, after) = (authority.client("before").unwrap(), authority.client("after").unwrap());
    let registered = authority.client("registered").unwrap().certificate;
    std::fs::copy(&before.certificate, &registered).unwrap();
    let server = Running::start(tls(&authority, &[&registered], &[])).unwrap();
    assert!(ask(&server, &authority, Some(&before)).await.is_ok());

    std::fs::copy(&after.certificate, &registered).unwrap();
    let tls = server.tls.as_ref().unwrap();
    tls.reload().unwrap();
    assert!(ask(&server, &authority, Some(&after)).await.is_ok());
    assert!(is_turned_away(&server, &authority, Some(&before)).await);

    std::fs::write(&registered, "half a fi").unwrap();
    assert!(tls.reload().is_err());
    assert!(ask(&server, &authority, Some(&after)).await.is_ok(), "what was in force stays in force");
}

#[tokio::test]
async fn a_slow_handshake_delays_no_other_and_ends() {
    let authority = TlsAuthority::new().unwrap();
    let client = authority.client("client").unwrap();
    let limits =
        ListenerLimits { handshake_timeout: Duration::from_millis(200), ..ListenerLimits::default() };
    let server =
        Running::start(ListenerConfig { limits, ..tls(&authority, &[&client.certificate], &[]) }).unwrap();
    let mut slow = TcpStream::connect(server.address).await.unwrap();
    assert!(ask(&server, &authority, Some(&client)).await.is_ok());
    assert_eq!(read_to_end(&mut slow).await, "");
}

#[tokio::test]
async fn a_slow_head_delays_no_other_and_ends() {
    let limits = ListenerLimits { idle_timeout: Duration::from_millis(200), ..ListenerLimits::default() };
    let server = Running::start(ListenerConfig { limits, ..plain() }).unwrap();
    let mut slow = TcpStream::connect(server.address).await.unwrap();
    slow.write_all(b"GET / HTTP/1.1\r\nHo").await.unwrap();
    assert!(server.plain_answer().await.starts_with("HTTP/1.1 200"));
    assert!(!read_to_end(&mut slow).await.contains("200 OK"));
}

#[tokio::test]
async fn an_idle_connection_ends() {
    let limits = ListenerLimits { idle_timeout: Duration::from_millis(200), ..ListenerLimits::default() };
    let server = Running::start(ListenerConfig { limits, ..plain() }).unwrap();
    let mut idle = TcpStream::connect(server.address).await.unwrap();
    idle.write_all(b"GET / HTTP/1.1\r\nHost: x\r\n\r\n").await.unwrap();
    assert!(read_to_end(&mut idle).await.ends_with("nobody in particular"));
}

#[tokio::test]
async fn too_many_connections_wait_for_one_to_close() {
    let limits = ListenerLimits { connections_max: 1, ..ListenerLimits::default() };
    let server = Running::start(ListenerConfig { limits, ..plain() }).unwrap();
    let mut first = TcpStream::connect(server.address).await.unwrap();
    first.write_all(b"GET /wait HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n").await.unwrap();
    server.wait_for_arrivals(1).await;

    let mut second = TcpStream::connect(server.address).await.unwrap();
    second.write_all(b"GET /wait HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n").await.unwrap();
    assert!(timeout(Duration::from_millis(100), server.arrived.acquire()).await.is_err());

    server.go_on.add_permits(2);
    assert!(read_to_end(&mut first).await.ends_with("waited"));
    assert!(read_to_end(&mut second).await.ends_with("waited"));
}

#[tokio::test]
async fn refuses_a_head_that_is_too_large() {
    let server = Running::start(plain()).unwrap();
    let mut client = TcpStream::connect(server.address).await.unwrap();
    let filler = "x".repeat(HEADER_BYTES_MAX);
    // The server may close before it has read everything.
    let _ =
        client.write_all(format!("GET / HTTP/1.1\r\nHost: x\r\nFiller: {filler}\r\n\r\n").as_bytes()).await;
    let status = StatusCode::REQUEST_HEADER_FIELDS_TOO_LARGE.as_u16();
    let answer = read_to_end(&mut client).await;
    assert!(answer.starts_with(&format!("HTTP/1.1 {status}")), "{answer}");
}

#[tokio::test]
async fn a_client_that_takes_no_answer_loses_the_connection() {
    let limits = ListenerLimits {
        connections_max: 1,
        unread_timeout: Duration::from_millis(200),
        ..ListenerLimits::default()
    };
    let server = Running::start(ListenerConfig { limits, ..plain() }).unwrap();
    let mut unwilling = TcpStream::connect(server.address).await.unwrap();
    unwilling.write_all(b"GET /huge HTTP/1.1\r\nHost: x\r\n\r\n").await.unwrap();
    // The only slot is free again once the unwilling client has lost it.
    let answer = timeout(PATIENCE, server.plain_answer()).await.unwrap();
    assert!(answer.starts_with("HTTP/1.1 200"), "{answer}");
}

#[tokio::test]
async fn finishes_requests_in_progress_when_stopped() {
    let server = Running::start(plain()).unwrap();
    let mut client = TcpStream::connect(server.address).await.unwrap();
    let mut idle = TcpStream::connect(server.address).await.unwrap();
    client.write_all(b"GET /wait HTTP/1.1\r\nHost: x\r\n\r\n").await.unwrap();
    server.wait_for_arrivals(1).await;
    server.stop.cancel();
    assert_eq!(read_to_end(&mut idle).await, "");
    server.go_on.add_permits(1);
    assert!(read_to_end(&mut client).await.ends_with("waited"));
    server.ended().await;
}

#[tokio::test]
async fn cuts_off_requests_that_outlast_the_drain() {
    let limits = ListenerLimits { drain_timeout: Duration::from_millis(100), ..ListenerLimits::default() };
    let server = Running::start(ListenerConfig { limits, ..plain() }).unwrap();
    let mut client = TcpStream::connect(server.address).await.unwrap();
    client.write_all(b"GET /wait HTTP/1.1\r\nHost: x\r\n\r\n").await.unwrap();
    server.wait_for_arrivals(1).await;
    server.stop.cancel();
    assert_eq!(read_to_end(&mut client).await, "");
    server.ended().await;
}

/// Many clients write a request to its end before they read.
#[tokio::test]
async fn a_client_that_is_still_sending_reads_its_answer() {
    let server = Running::start(plain()).unwrap();
    let mut client = TcpStream::connect(server.address).await.unwrap();
    let body = vec![b'x'; 16 << 20];
    let head = format!("POST / HTTP/1.1\r\nHost: x\r\nContent-Length: {}\r\n\r\n", body.len());
    client.write_all(head.as_bytes()).await.unwrap();
    timeout(PATIENCE, client.write_all(&body)).await.unwrap().unwrap();
    client.shutdown().await.unwrap();
    let answer = read_to_end(&mut client).await;
    assert!(answer.ends_with("nobody in particular"), "{answer}");
}

async fn body(rest_of_request: &str) -> String {
    let server = Running::start(plain()).unwrap();
    let mut client = TcpStream::connect(server.address).await.unwrap();
    let request = format!("POST /body HTTP/1.1\r\nHost: x\r\nConnection: close\r\n{rest_of_request}");
    client.write_all(request.as_bytes()).await.unwrap();
    let answer = read_to_end(&mut client).await;
    answer.rsplit("\r\n").next().unwrap().to_owned()
}

#[tokio::test]
async fn reads_bodies_up_to_the_limit() {
    assert_eq!(body("Content-Length: 10\r\n\r\n0123456789").await, "0123456789");
    assert_eq!(
        body("Transfer-Encoding: chunked\r\n\r\n5\r\n01234\r\n5\r\n56789\r\n0\r\n\r\n").await,
        "0123456789"
    );
    assert_eq!(body("\r\n").await, "");
}

#[tokio::test]
async fn refuses_a_body_that_is_too_large() {
    assert_eq!(body("Content-Length: 11\r\n\r\n").await, "body.too_large", "as soon as it is announced");
    assert_eq!(body("Transfer-Encoding: chunked\r\n\r\nb\r\n0123456789A\r\n").await, "body.too_large");
}

#[tokio::test]
async fn refuses_a_body_that_is_slow() {
    assert_eq!(body("Content-Length: 10\r\n\r\n01234").await, "body.slow");
}

#[tokio::test]
async fn refuses_a_body_that_breaks_off() {
    assert_eq!(body("Transfer-Encoding: chunked\r\n\r\nnonsense\r\n").await, "body.broken");
}

#[test]
fn reads_its_section_and_refuses_unknown_settings() {
    let section = r#"
        address = "127.0.0.1:8443"
        identity = { certificate = "server.pem", key = "server.key" }
        client_certificates = ["client.pem"]
        limits = { idle_timeout = "90s", connections_max = 64 }
    "#;
    let mut config: ListenerConfig = toml::from_str(section).unwrap();
    assert_eq!(config.authentication, ClientAuthentication::Certificate);
    assert_eq!(config.limits.idle_timeout, Duration::from_secs(90));
    config.resolve(Path::new("/etc/uuk"));
    assert_eq!(config.client_certificates, [Path::new("/etc/uuk/client.pem")]);
    assert!(toml::from_str::<ListenerConfig>(&format!("{section}\nclient_certificate = []")).is_err());
}

#[tokio::test]
async fn a_request_is_dropped_when_its_client_goes() {
    struct Dropped(Arc<Semaphore>);
    impl Drop for Dropped {
        fn drop(&mut self) {
            self.0.add_permits(1);
        }
    }
    let (entered, dropped) = (Arc::new(Semaphore::new(0)), Arc::new(Semaphore::new(0)));
    let listener = Listener::bind(plain()).unwrap();
    let mut client = TcpStream::connect(listener.address()).await.unwrap();
    let service = {
        let (entered, dropped) = (entered.clone(), dropped.clone());
        move |_, _| {
            let (entered, guard) = (entered.clone(), Dropped(dropped.clone()));
            async move {
                entered.add_permits(1);
                let _guard = guard;
                pending::<Response<Full<Bytes>>>().await
            }
        }
    };
    let server = tokio::spawn(listener.run(service, CancellationToken::new()));
    client.write_all(b"GET / HTTP/1.1\r\nHost: x\r\n\r\n").await.unwrap();
    timeout(PATIENCE, entered.acquire()).await.unwrap().unwrap().forget();
    drop(client);
    timeout(PATIENCE, dropped.acquire()).await.unwrap().unwrap().forget();
    server.abort();
}
