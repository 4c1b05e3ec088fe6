//! The capability `http` against a real upstream over loopback.

#![expect(clippy::unwrap_used, reason = "what a test's helpers cannot do, the test reports")]

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::{Duration, Instant};

use tempfile::NamedTempFile;
use uuk_plugin_host::CallContext;
use uuk_plugin_host::capabilities::http::{HttpError, HttpRequest, HttpResponse, HttpUpstreams};
use uuk_testkit::upstream::{Access, Behaviour, PASSWORD, USER, UpstreamOptions, VehiclesUpstream};
use uuk_transport::{Authentication, Upstream, UpstreamConfig};

const PLUGIN: &str = "kg.example.vehicles";

const PATIENCE: Duration = Duration::from_secs(20);

/// An upstream, and what a plugin may do with it.
struct Fixture {
    server: VehiclesUpstream,
    upstreams: HttpUpstreams,
}

impl Fixture {
    async fn new() -> Self {
        Self::with(UpstreamOptions::default(), |_| {}).await
    }

    async fn with(options: UpstreamOptions, adapt: impl FnOnce(&mut UpstreamConfig)) -> Self {
        let server = VehiclesUpstream::start(options).await.unwrap();
        let mut config = UpstreamConfig::new(server.base());
        adapt(&mut config);
        Self { upstreams: granted(&config), server }
    }

    async fn send(&self, request: HttpRequest) -> Result<HttpResponse, HttpError> {
        self.upstreams.send(PLUGIN, "vehicles", request, &context(), Instant::now() + PATIENCE).await
    }
}

/// What a plugin may do whose manifest asks for two upstreams and whose agency grants one of them.
fn granted(config: &UpstreamConfig) -> HttpUpstreams {
    let asked = uuk_bundle::Upstream {
        methods: vec!["GET".into(), "POST".into()],
        paths: vec!["/vehicles/*".into()],
        response_bytes_max: 100_000,
    };
    let upstream = Arc::new(Upstream::build(config).unwrap());
    let asked = BTreeMap::from([("vehicles".to_owned(), asked.clone()), ("persons".to_owned(), asked)]);
    HttpUpstreams::new(&asked, |name| (name == "vehicles").then(|| upstream.clone()))
}

fn context() -> CallContext {
    CallContext {
        exchange_id: "KG-0f3c".into(),
        traceparent: Some("00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01".into()),
        ..CallContext::default()
    }
}

fn get(path_and_query: &str) -> HttpRequest {
    HttpRequest {
        method: "GET".into(),
        path_and_query: path_and_query.into(),
        headers: vec![],
        body: None,
        timeout: None,
    }
}

fn not_granted(what: &str) -> HttpError {
    HttpError::NotGranted(what.into())
}

#[tokio::test]
async fn answers_with_what_the_upstream_says() {
    let fixture = Fixture::new().await;
    let response = fixture.send(get("/vehicles/01KG042AAA?full=1")).await.unwrap();
    assert_eq!(response.status, 200);
    assert!(response.body.starts_with(b"{\"plate\":\"01KG042AAA\""));
    assert!(response.headers.contains(&("content-type".into(), "application/json".into())));
}

#[tokio::test]
async fn keeps_the_upstreams_session_to_the_host() {
    let fixture = Fixture::new().await;
    let response = fixture.send(get("/vehicles/01KG042AAA")).await.unwrap();
    assert!(response.headers.iter().all(|(name, _)| name != "set-cookie"));
}

#[tokio::test]
async fn tells_the_upstream_of_the_exchange() {
    let fixture = Fixture::new().await;
    let headers = vec![("Accept-Language".into(), "ky".into())];
    fixture.send(HttpRequest { headers, ..get("/vehicles/01KG042AAA") }).await.unwrap();
    let seen = fixture.server.last_request().unwrap();
    assert_eq!(seen.headers()["accept-language"], "ky");
    assert_eq!(seen.headers()["x-road-id"], "KG-0f3c");
    assert!(seen.headers()["traceparent"].to_str().unwrap().starts_with("00-4bf92f"));
}

#[tokio::test]
async fn shows_credentials_the_adapter_never_sees() {
    let secret = NamedTempFile::new().unwrap();
    std::fs::write(&secret, PASSWORD).unwrap();
    let options = UpstreamOptions { access: Access::OAuth2, ..UpstreamOptions::default() };
    let fixture = Fixture::with(options, |config| {
        config.authentication = Authentication::OAuth2 {
            token_url: config.base.replace("/v1", "/oauth2/token"),
            client_id: USER.into(),
            client_secret_file: secret.path().to_owned(),
            scope: None,
            audience: None,
        };
    })
    .await;
    assert_eq!(fixture.send(get("/vehicles/01KG042AAA")).await.unwrap().status, 200);
    assert_eq!(fixture.server.token_requests(), 1);
}

#[tokio::test]
async fn refuses_an_upstream_the_agency_did_not_grant() {
    let fixture = Fixture::new().await;
    for name in ["persons", "elsewhere", ""] {
        let deadline = Instant::now() + PATIENCE;
        let sent = fixture.upstreams.send(PLUGIN, name, get("/vehicles/1"), &context(), deadline).await;
        assert_eq!(sent, Err(HttpError::UnknownUpstream), "{name}");
    }
}

#[tokio::test]
async fn refuses_a_method_the_manifest_did_not_ask_for() {
    let fixture = Fixture::new().await;
    for method in ["DELETE", "get", "CONNECT", "GET /vehicles/1 HTTP/1.1\r\nHost: x", ""] {
        let request = HttpRequest { method: method.into(), ..get("/vehicles/1") };
        assert_eq!(fixture.send(request).await, Err(not_granted("method")), "{method}");
    }
    assert_eq!(fixture.server.requests(), 0);
}

#[tokio::test]
async fn refuses_a_path_the_manifest_did_not_ask_for() {
    let fixture = Fixture::new().await;
    for path in ["/", "/vehicles", "/vehicles/", "/vehicles/1/owner", "/owners/1", "/VEHICLES/1"] {
        assert_eq!(fixture.send(get(path)).await, Err(not_granted("path")), "{path}");
    }
    assert_eq!(fixture.server.requests(), 0);
}

#[tokio::test]
async fn refuses_a_path_that_escapes() {
    let fixture = Fixture::new().await;
    for path in [
        "/vehicles/..",
        "/vehicles/%2e%2e",
        "/vehicles/..%2fowners",
        "/vehicles/..;x",
        "/vehicles\\1",
        "//evil/vehicles/1",
        "http://evil/vehicles/1",
        "@evil/vehicles/1",
        "/vehicles/1 HTTP/1.1\r\nHost: evil\r\n\r\n",
        "/vehicles/1%0d%0aHost:%20evil",
        "/vehicles/1#x",
    ] {
        let refused = fixture.send(get(path)).await.unwrap_err();
        assert!(
            matches!(&refused, HttpError::NotGranted(what) if what.starts_with("path ")),
            "{path}: {refused:?}"
        );
    }
    assert_eq!(fixture.server.requests(), 0);
}

#[tokio::test]
async fn refuses_a_header_that_is_the_hosts() {
    let fixture = Fixture::new().await;
    for name in ["authorization", "host", "x-road-client", "x-forwarded-for", "cookie", "transfer-encoding"] {
        let headers = vec![(name.to_owned(), "x".to_owned())];
        let request = HttpRequest { headers, ..get("/vehicles/1") };
        assert_eq!(fixture.send(request).await, Err(HttpError::HeaderRefused(name.into())));
    }
    assert_eq!(fixture.server.requests(), 0);
}

#[tokio::test]
async fn refuses_a_body_that_is_too_large() {
    let fixture = Fixture::new().await;
    let body = Some(vec![b'x'; (1 << 20) + 1]);
    let request = HttpRequest { method: "POST".into(), body, ..get("/vehicles/1") };
    assert_eq!(fixture.send(request).await, Err(HttpError::TooLarge(1 << 20)));
    assert_eq!(fixture.server.requests(), 0);
}

#[tokio::test]
async fn refuses_a_response_larger_than_the_manifest_asked_for() {
    let fixture = Fixture::new().await;
    fixture.server.behave(Behaviour::Huge(1 << 30));
    assert_eq!(fixture.send(get("/vehicles/1")).await, Err(HttpError::TooLarge(100_000)));
}

#[tokio::test]
async fn refuses_a_response_larger_than_the_agency_granted() {
    let fixture = Fixture::with(UpstreamOptions::default(), |config| config.response_bytes_max = 10).await;
    assert_eq!(fixture.send(get("/vehicles/01KG042AAA")).await, Err(HttpError::TooLarge(10)));
}

#[tokio::test]
async fn hands_a_redirect_to_the_adapter() {
    let fixture = Fixture::new().await;
    fixture.server.behave(Behaviour::Redirect("http://169.254.169.254/latest".into()));
    assert_eq!(fixture.send(get("/vehicles/1")).await.unwrap().status, 302);
    assert_eq!(fixture.server.requests(), 1);
}

#[tokio::test]
async fn ends_at_the_adapters_timeout_or_the_calls_deadline() {
    let fixture = Fixture::new().await;
    fixture.server.behave(Behaviour::Stall);
    let short = Duration::from_millis(50);
    let request = HttpRequest { timeout: Some(short), ..get("/vehicles/1") };
    assert_eq!(fixture.send(request).await, Err(HttpError::Deadline));

    let request = HttpRequest { timeout: Some(Duration::MAX), ..get("/vehicles/1") };
    let sent = fixture.upstreams.send(PLUGIN, "vehicles", request, &context(), Instant::now() + short).await;
    assert_eq!(sent, Err(HttpError::Deadline));
}

#[tokio::test]
async fn says_when_nobody_listens() {
    let base = VehiclesUpstream::start(UpstreamOptions::default()).await.unwrap().base();
    let upstreams = granted(&UpstreamConfig::new(base));
    let sent =
        upstreams.send(PLUGIN, "vehicles", get("/vehicles/1"), &context(), Instant::now() + PATIENCE).await;
    assert_eq!(sent, Err(HttpError::Connect));
}

#[tokio::test]
async fn counts_requests_that_brought_no_answer() {
    let recorder = metrics_exporter_prometheus::PrometheusBuilder::new().build_recorder();
    let _recording = metrics::set_default_local_recorder(&recorder);
    let fixture = Fixture::new().await;
    fixture.server.behave(Behaviour::BreakOff);
    for _ in 0..2 {
        fixture.send(get("/vehicles/1")).await.unwrap_err();
    }
    let metrics = recorder.handle().render();
    let counted = metrics.lines().find(|line| line.starts_with("uuk_upstream_failures_total{")).unwrap();
    assert!(counted.contains(r#"plugin="kg.example.vehicles""#), "{counted}");
    assert!(counted.contains(r#"upstream="vehicles""#) && counted.ends_with(" 2"), "{counted}");
}

#[tokio::test]
async fn says_when_the_exchange_breaks_off() {
    let fixture = Fixture::new().await;
    fixture.server.behave(Behaviour::BreakOff);
    assert!(matches!(fixture.send(get("/vehicles/1")).await, Err(HttpError::Protocol(_))));
}
