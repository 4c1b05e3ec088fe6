//! The connector against a real upstream over loopback, behaving and misbehaving.

#![expect(clippy::unwrap_used, reason = "what a test's helpers cannot do, the test reports")]

use std::path::Path;
use std::sync::Arc;
use std::time::{Duration, Instant};

use bytes::Bytes;
use http::header::{AUTHORIZATION, HOST};
use http::{Request, Response, StatusCode};
use http_body_util::{BodyExt, Full};
use rustls_pki_types::CertificateDer;
use rustls_pki_types::pem::PemObject;
use tempfile::NamedTempFile;
use tokio::io::AsyncWriteExt;
use tokio::net::TcpListener;
use uuk_testkit::tls_authority::{TlsAuthority, TlsFiles};
use uuk_testkit::upstream::{Access, Behaviour, PASSWORD, USER, UpstreamOptions, VehiclesUpstream};
use uuk_transport::{
    Authentication, IdentityFiles, Upstream, UpstreamBuildError, UpstreamConfig, UpstreamError,
};

const PATIENCE: Duration = Duration::from_secs(20);

fn get(path_and_query: &str) -> Request<Bytes> {
    Request::get(path_and_query).body(Bytes::new()).unwrap()
}

async fn send(upstream: &Upstream) -> Result<Response<Bytes>, UpstreamError> {
    upstream.send(get("/vehicles/01KG042AAA"), Instant::now() + PATIENCE, 1 << 20).await
}

async fn open_upstream() -> VehiclesUpstream {
    VehiclesUpstream::start(UpstreamOptions::default()).await.unwrap()
}

async fn upstream_with(access: Access) -> VehiclesUpstream {
    VehiclesUpstream::start(UpstreamOptions { access, ..UpstreamOptions::default() }).await.unwrap()
}

fn secret(text: &str) -> NamedTempFile {
    let file = NamedTempFile::new().unwrap();
    std::fs::write(&file, text).unwrap();
    file
}

fn oauth2(server: &VehiclesUpstream, secret: &Path) -> UpstreamConfig {
    let authentication = Authentication::OAuth2 {
        token_url: server.token_url(),
        client_id: USER.into(),
        client_secret_file: secret.to_owned(),
        scope: Some("vehicles:read".into()),
        audience: None,
    };
    UpstreamConfig { authentication, ..UpstreamConfig::new(server.base()) }
}

fn identity(files: &TlsFiles) -> IdentityFiles {
    IdentityFiles { certificate: files.certificate.clone(), key: files.key.clone() }
}

fn refused(config: &UpstreamConfig, code: &str) {
    let error = Upstream::build(config).unwrap_err();
    assert_eq!(error.code(), code, "{error}");
}

#[tokio::test]
async fn sends_below_the_base_path_under_the_hosts_own_name() {
    let server = open_upstream().await;
    let upstream = Upstream::build(&UpstreamConfig::new(server.base())).unwrap();
    let mut request = get("/vehicles/01KG042AAA?full=1");
    request.headers_mut().insert(HOST, "elsewhere".parse().unwrap());
    request.headers_mut().insert(AUTHORIZATION, "Bearer forged".parse().unwrap());
    let response = upstream.send(request, Instant::now() + PATIENCE, 1000).await.unwrap();
    assert_eq!(response.status(), StatusCode::OK);
    let seen = server.last_request().unwrap();
    assert_eq!(seen.uri(), "/v1/vehicles/01KG042AAA?full=1");
    assert_eq!(seen.headers()[HOST], server.address().to_string());
    assert!(!seen.headers().contains_key(AUTHORIZATION));
}

#[tokio::test]
async fn reuses_its_connection() {
    let server = open_upstream().await;
    let upstream = Upstream::build(&UpstreamConfig::new(server.base())).unwrap();
    for _ in 0..10 {
        send(&upstream).await.unwrap();
    }
    assert_eq!((server.requests(), server.connections()), (10, 1));
}

#[tokio::test]
async fn replaces_a_connection_the_upstream_closed_meanwhile() {
    let server = open_upstream().await;
    let upstream = Upstream::build(&UpstreamConfig::new(server.base())).unwrap();
    send(&upstream).await.unwrap();
    server.close_connections().await;
    assert!(send(&upstream).await.is_ok());
    assert_eq!((server.requests(), server.connections()), (2, 2));
}

#[tokio::test]
async fn shows_user_and_password() {
    let server = upstream_with(Access::Basic).await;
    let password = secret(&format!("{PASSWORD}\n"));
    let authentication =
        Authentication::Basic { user: USER.into(), password_file: password.path().to_owned() };
    let upstream =
        Upstream::build(&UpstreamConfig { authentication, ..UpstreamConfig::new(server.base()) }).unwrap();
    assert_eq!(send(&upstream).await.unwrap().status(), StatusCode::OK);
}

#[tokio::test]
async fn shows_its_client_certificate() {
    let authority = TlsAuthority::new().unwrap();
    let server = VehiclesUpstream::start(UpstreamOptions {
        tls: Some(authority.server("server").unwrap()),
        client_authority: Some(authority.certificate()),
        ..UpstreamOptions::default()
    })
    .await
    .unwrap();
    let config =
        UpstreamConfig { authorities: Some(authority.certificate()), ..UpstreamConfig::new(server.base()) };
    let anonymous = Upstream::build(&config).unwrap();
    assert!(send(&anonymous).await.is_err());

    let identity = Some(identity(&authority.client("client").unwrap()));
    let known = Upstream::build(&UpstreamConfig { identity, ..config }).unwrap();
    assert_eq!(send(&known).await.unwrap().status(), StatusCode::OK);
}

#[tokio::test]
async fn refuses_an_upstream_no_authority_vouches_for() {
    let (authority, other) = (TlsAuthority::new().unwrap(), TlsAuthority::new().unwrap());
    let tls = Some(authority.server("server").unwrap());
    let server =
        VehiclesUpstream::start(UpstreamOptions { tls, ..UpstreamOptions::default() }).await.unwrap();
    let config =
        UpstreamConfig { authorities: Some(other.certificate()), ..UpstreamConfig::new(server.base()) };
    let error = send(&Upstream::build(&config).unwrap()).await.unwrap_err();
    assert_eq!(error.code(), "upstream.tls");
    assert_eq!(server.requests(), 0);
}

#[tokio::test]
async fn believes_the_only_certificate_it_knows_and_no_other() {
    let authority = TlsAuthority::new().unwrap();
    let [own, other] = ["server", "other"].map(|name| authority.server(name).unwrap());
    let tls = Some(own.clone());
    let server =
        VehiclesUpstream::start(UpstreamOptions { tls, ..UpstreamOptions::default() }).await.unwrap();
    let with_only = |files: &TlsFiles| {
        let only = CertificateDer::from_pem_file(&files.certificate).unwrap().to_vec();
        // The name counts for nothing then.
        let server_name = Some("api.example.kg".into());
        UpstreamConfig { only: Some(only), server_name, ..UpstreamConfig::new(server.base()) }
    };
    let known = Upstream::build(&with_only(&own)).unwrap();
    assert_eq!(send(&known).await.unwrap().status(), StatusCode::OK);
    let stranger = Upstream::build(&with_only(&other)).unwrap();
    assert_eq!(send(&stranger).await.unwrap_err().code(), "upstream.tls");
    assert_eq!(server.requests(), 1);
    let plain = UpstreamConfig { base: "http://127.0.0.1:1".to_owned(), ..with_only(&own) };
    refused(&plain, "upstream_setting.url");
}

#[tokio::test]
async fn refuses_an_upstream_of_another_name() {
    let authority = TlsAuthority::new().unwrap();
    let tls = Some(authority.server("server").unwrap());
    let server =
        VehiclesUpstream::start(UpstreamOptions { tls, ..UpstreamOptions::default() }).await.unwrap();
    let config = UpstreamConfig {
        authorities: Some(authority.certificate()),
        server_name: Some("api.example.kg".into()),
        ..UpstreamConfig::new(server.base())
    };
    assert_eq!(send(&Upstream::build(&config).unwrap()).await.unwrap_err().code(), "upstream.tls");
}

#[tokio::test]
async fn follows_no_redirect() {
    let (server, other) = (open_upstream().await, open_upstream().await);
    server.behave(Behaviour::Redirect(format!("{}/vehicles/01KG042AAA", other.base())));
    let upstream = Upstream::build(&UpstreamConfig::new(server.base())).unwrap();
    assert_eq!(send(&upstream).await.unwrap().status(), StatusCode::FOUND);
    assert_eq!((server.requests(), other.requests()), (1, 0));
}

#[tokio::test]
async fn refuses_the_address_of_a_metadata_service() {
    for host in ["169.254.169.254", "[::ffff:169.254.169.254]", "[fd00:ec2::254]", "0.0.0.0"] {
        let base = format!("http://{host}/latest");
        let networks = vec!["0.0.0.0/0".parse().unwrap(), "::/0".parse().unwrap()];
        refused(
            &UpstreamConfig { networks, ..UpstreamConfig::new(base) },
            "upstream_setting.address_refused",
        );
    }
}

#[tokio::test]
async fn refuses_a_name_that_resolves_to_an_address_nobody_allowed() {
    let server = open_upstream().await;
    // What a system's resolver makes of the last two is not our parser's to know: what counts is what is dialled.
    for host in ["localhost", "2130706433", "0x7f.1"] {
        let base = format!("http://{host}:{}/v1", server.address().port());
        let upstream = Upstream::build(&UpstreamConfig::new(base)).unwrap();
        let error = send(&upstream).await.unwrap_err();
        assert!(
            matches!(error, UpstreamError::AddressRefused { .. } | UpstreamError::Dns { .. }),
            "{host}: {error}"
        );
    }
    assert_eq!(server.connections(), 0);
}

#[tokio::test]
async fn dials_a_name_within_the_networks_allowed() {
    let server = open_upstream().await;
    let base = format!("http://localhost:{}/v1", server.address().port());
    let networks = vec!["127.0.0.0/8".parse().unwrap()];
    let upstream = Upstream::build(&UpstreamConfig { networks, ..UpstreamConfig::new(base) }).unwrap();
    assert_eq!(send(&upstream).await.unwrap().status(), StatusCode::OK);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn fetches_one_token_for_fifty_calls_at_once() {
    let server = upstream_with(Access::OAuth2).await;
    let secret = secret(PASSWORD);
    let upstream = Arc::new(Upstream::build(&oauth2(&server, secret.path())).unwrap());
    let calls: Vec<_> = (0..50)
        .map(|_| {
            let upstream = upstream.clone();
            tokio::spawn(async move { send(&upstream).await.unwrap().status() })
        })
        .collect();
    for call in calls {
        assert_eq!(call.await.unwrap(), StatusCode::OK);
    }
    assert_eq!((server.token_requests(), server.requests()), (1, 50));
}

#[tokio::test]
async fn fetches_a_fresh_token_once_after_401() {
    let server = upstream_with(Access::OAuth2).await;
    let secret = secret(PASSWORD);
    let upstream = Upstream::build(&oauth2(&server, secret.path())).unwrap();
    send(&upstream).await.unwrap();
    server.revoke_tokens();
    assert_eq!(send(&upstream).await.unwrap().status(), StatusCode::OK);
    assert_eq!((server.token_requests(), server.requests()), (2, 3));
}

#[tokio::test]
async fn passes_on_a_401_that_a_fresh_token_does_not_cure() {
    let server = upstream_with(Access::OAuth2).await;
    server.behave(Behaviour::Unauthorized);
    let secret = secret(PASSWORD);
    let upstream = Upstream::build(&oauth2(&server, secret.path())).unwrap();
    assert_eq!(send(&upstream).await.unwrap().status(), StatusCode::UNAUTHORIZED);
    assert_eq!((server.token_requests(), server.requests()), (2, 2));
}

#[tokio::test]
async fn sends_nothing_without_a_token() {
    let server = upstream_with(Access::OAuth2).await;
    let secret = secret("wrong");
    let upstream = Upstream::build(&oauth2(&server, secret.path())).unwrap();
    assert_eq!(send(&upstream).await.unwrap_err().code(), "upstream.token_refused");
    assert_eq!(server.requests(), 0);
}

#[tokio::test]
async fn says_when_the_token_endpoint_cannot_be_reached() {
    let server = upstream_with(Access::OAuth2).await;
    let secret = secret(PASSWORD);
    let mut config = oauth2(&server, secret.path());
    if let Authentication::OAuth2 { token_url, .. } = &mut config.authentication {
        *token_url = format!("http://{}/token", closed_port().await);
    }
    assert_eq!(send(&Upstream::build(&config).unwrap()).await.unwrap_err().code(), "upstream.token");
}

#[tokio::test]
async fn says_when_the_token_endpoint_gives_something_else() {
    let server = upstream_with(Access::OAuth2).await;
    let other = open_upstream().await;
    let secret = secret(PASSWORD);
    let mut config = oauth2(&server, secret.path());
    if let Authentication::OAuth2 { token_url, .. } = &mut config.authentication {
        *token_url = format!("{}/huge", other.base());
    }
    other.behave(Behaviour::Huge(10));
    let error = send(&Upstream::build(&config).unwrap()).await.unwrap_err();
    assert_eq!(error.code(), "upstream.token_malformed");
}

#[tokio::test]
async fn refuses_an_answer_that_is_too_large() {
    let server = open_upstream().await;
    server.behave(Behaviour::Huge(1 << 30));
    let upstream = Upstream::build(&UpstreamConfig::new(server.base())).unwrap();
    let error = upstream.send(get("/"), Instant::now() + PATIENCE, 100_000).await.unwrap_err();
    assert!(matches!(error, UpstreamError::TooLarge { bytes_max: 100_000 }), "{error}");
}

#[tokio::test]
async fn the_operators_limit_binds_every_caller() {
    let server = open_upstream().await;
    let config = UpstreamConfig { response_bytes_max: 20, ..UpstreamConfig::new(server.base()) };
    let error = send(&Upstream::build(&config).unwrap()).await.unwrap_err();
    assert!(matches!(error, UpstreamError::TooLarge { bytes_max: 20 }), "{error}");
}

#[tokio::test]
async fn gives_up_at_the_deadline() {
    let server = open_upstream().await;
    server.behave(Behaviour::Stall);
    let upstream = Upstream::build(&UpstreamConfig::new(server.base())).unwrap();
    let deadline = Instant::now() + Duration::from_millis(100);
    assert_eq!(upstream.send(get("/"), deadline, 1000).await.unwrap_err().code(), "upstream.deadline");
}

#[tokio::test]
async fn says_when_all_connections_are_in_use() {
    let server = open_upstream().await;
    server.behave(Behaviour::Stall);
    let config = UpstreamConfig {
        connections_max: 1,
        connect_timeout: Duration::from_millis(100),
        ..UpstreamConfig::new(server.base())
    };
    let upstream = Upstream::build(&config).unwrap();
    let (first, second) = tokio::join!(
        upstream.send(get("/"), Instant::now() + Duration::from_secs(1), 1000),
        upstream.send(get("/"), Instant::now() + PATIENCE, 1000)
    );
    assert_eq!(first.unwrap_err().code(), "upstream.deadline");
    assert_eq!(second.unwrap_err().code(), "upstream.busy");
}

#[tokio::test]
async fn says_when_the_answer_breaks_off() {
    let server = open_upstream().await;
    server.behave(Behaviour::BreakOff);
    let upstream = Upstream::build(&UpstreamConfig::new(server.base())).unwrap();
    assert_eq!(send(&upstream).await.unwrap_err().code(), "upstream.protocol");
}

#[tokio::test]
async fn says_when_the_answer_is_not_http() {
    let socket = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let base = format!("http://{}", socket.local_addr().unwrap());
    tokio::spawn(async move {
        let (mut stream, _) = socket.accept().await.unwrap();
        stream.write_all(b"SSH-2.0-OpenSSH_9.9\r\n").await.unwrap();
    });
    let upstream = Upstream::build(&UpstreamConfig::new(base)).unwrap();
    assert_eq!(send(&upstream).await.unwrap_err().code(), "upstream.protocol");
}

#[tokio::test]
async fn says_when_nobody_listens() {
    let upstream = Upstream::build(&UpstreamConfig::new(format!("http://{}", closed_port().await))).unwrap();
    assert_eq!(send(&upstream).await.unwrap_err().code(), "upstream.connect");
}

#[tokio::test]
async fn says_when_the_name_does_not_resolve() {
    // RFC 6761 keeps this domain empty for ever.
    let upstream = Upstream::build(&UpstreamConfig::new("http://upstream.invalid")).unwrap();
    assert_eq!(send(&upstream).await.unwrap_err().code(), "upstream.dns");
}

async fn closed_port() -> String {
    TcpListener::bind("127.0.0.1:0").await.unwrap().local_addr().unwrap().to_string()
}

#[test]
fn refuses_credentials_over_plain_http() {
    let password = secret(PASSWORD);
    let authentication =
        Authentication::Basic { user: USER.into(), password_file: password.path().to_owned() };
    let config = UpstreamConfig { authentication, ..UpstreamConfig::new("http://api.example.kg") };
    refused(&config, "upstream_setting.plain_credentials");
}

#[test]
fn refuses_a_client_certificate_over_plain_http() {
    let files = TlsAuthority::new().unwrap().client("client").unwrap();
    let config =
        UpstreamConfig { identity: Some(identity(&files)), ..UpstreamConfig::new("http://127.0.0.1") };
    refused(&config, "upstream_setting.plain_identity");
}

#[test]
fn refuses_https_without_authorities() {
    refused(&UpstreamConfig::new("https://api.example.kg"), "upstream_setting.no_authorities");
}

#[test]
fn refuses_a_server_name_no_certificate_can_carry() {
    let authority = TlsAuthority::new().unwrap();
    let config = UpstreamConfig {
        authorities: Some(authority.certificate()),
        server_name: Some("not a name".into()),
        ..UpstreamConfig::new("https://api.example.kg")
    };
    refused(&config, "upstream_setting.server_name");
}

#[test]
fn refuses_authorities_that_are_no_certificates() {
    let authorities = Some(secret("no certificate").path().to_owned());
    let config = UpstreamConfig { authorities, ..UpstreamConfig::new("https://api.example.kg") };
    refused(&config, "upstream_setting.tls");
}

#[test]
fn refuses_a_url_with_a_password_and_does_not_repeat_it() {
    let error = Upstream::build(&UpstreamConfig::new("https://user:hunter2@api.example.kg")).unwrap_err();
    assert!(matches!(error, UpstreamBuildError::Url { setting: "base", .. }));
    assert!(!format!("{error} {error:?}").contains("hunter2"));
}

#[test]
fn refuses_a_user_with_a_colon() {
    let authentication = Authentication::Basic { user: "a:b".into(), password_file: "/nowhere".into() };
    let config = UpstreamConfig { authentication, ..UpstreamConfig::new("http://127.0.0.1") };
    refused(&config, "upstream_setting.user_with_colon");
}

#[test]
fn refuses_secrets_that_are_missing_or_empty() {
    let basic = |password_file: &Path| UpstreamConfig {
        authentication: Authentication::Basic { user: USER.into(), password_file: password_file.to_owned() },
        ..UpstreamConfig::new("http://127.0.0.1")
    };
    refused(&basic(Path::new("/nowhere")), "upstream_setting.secret");
    refused(&basic(secret("\n").path()), "upstream_setting.empty_secret");
}

#[test]
fn refuses_an_upstream_without_connections() {
    let config = UpstreamConfig { connections_max: 0, ..UpstreamConfig::new("http://127.0.0.1") };
    refused(&config, "upstream_setting.no_connections");
}

#[test]
fn reads_its_section_and_refuses_unknown_settings() {
    let section = r#"
        base = "https://api.example.kg/v1"
        authorities = "authorities.pem"
        networks = ["10.20.0.0/16"]
        connect_timeout = "2s"
        [authentication]
        kind = "oauth2"
        token_url = "https://api.example.kg/oauth2/token"
        client_id = "uuk"
        client_secret_file = "vehicles.secret"
    "#;
    let mut config: UpstreamConfig = toml::from_str(section).unwrap();
    assert_eq!(config.connect_timeout, Duration::from_secs(2));
    config.resolve(Path::new("/etc/uuk"));
    assert_eq!(config.authorities.as_deref(), Some(Path::new("/etc/uuk/authorities.pem")));
    let Authentication::OAuth2 { client_secret_file, .. } = config.authentication else {
        panic!("not OAuth 2")
    };
    assert_eq!(client_secret_file, Path::new("/etc/uuk/vehicles.secret"));
    assert!(toml::from_str::<UpstreamConfig>(&format!("{section}\nclient_secret = \"written\"")).is_err());
}

#[tokio::test]
async fn an_answer_that_streams_gives_its_connection_back_when_it_was_read() {
    let server = upstream_with(Access::Open).await;
    let upstream = Upstream::build(&UpstreamConfig::new(server.base())).unwrap();
    let deadline = Instant::now() + Duration::from_secs(10);
    let sent: Bytes = vec![b'x'; 1 << 20].into();
    let stream =
        || upstream.stream("/vehicles/01KG007AAA", Request::new(()), || Full::new(sent.clone()), deadline);

    server.behave(Behaviour::Huge(8 << 20));
    for _ in 0..2 {
        let mut body = stream().await.unwrap().into_body();
        let mut size_bytes = 0;
        while let Some(frame) = body.frame().await {
            size_bytes += frame.unwrap().data_ref().map_or(0, Bytes::len);
        }
        assert_eq!(size_bytes, 8 << 20);
    }
    assert_eq!(server.connections(), 1);

    drop(stream().await.unwrap());
    server.behave(Behaviour::Answer);
    assert_eq!(send(&upstream).await.unwrap().status(), StatusCode::OK);
    assert_eq!(server.connections(), 2, "half an answer was left on the first");
}
