//! Traces on their way to a collector over loopback.

#![expect(clippy::unwrap_used, reason = "what a test's helpers cannot do, the test reports")]

use std::convert::Infallible;
use std::time::Duration;

use bytes::Bytes;
use http::{Method, Request, Response};
use http_body_util::{BodyExt, Full};
use hyper::body::Incoming;
use hyper::server::conn::http1;
use hyper::service::service_fn;
use hyper_util::rt::TokioIo;
use tokio::net::TcpListener;
use tokio::sync::mpsc;
use tokio::time::timeout;
use tracing::info_span;
use uuk_process::telemetry::{Telemetry, TraceExport, continue_trace, traceparent};

const PATIENCE: Duration = Duration::from_secs(20);

const TRACE_ID: [u8; 16] =
    [0x4b, 0xf9, 0x2f, 0x35, 0x77, 0xb3, 0x4d, 0xa6, 0xa3, 0xce, 0x92, 0x9d, 0x0e, 0x0e, 0x47, 0x36];
const TRACEPARENT: &str = "00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01";

/// A collector: the bodies posted to `/v1/traces`, and how to export to it.
async fn collector() -> (mpsc::UnboundedReceiver<Bytes>, TraceExport) {
    let socket = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let endpoint = format!("http://{}", socket.local_addr().unwrap());
    let (received, posts) = mpsc::unbounded_channel();
    tokio::spawn(async move {
        while let Ok((stream, _)) = socket.accept().await {
            let service = service_fn(|request: Request<Incoming>| {
                let received = received.clone();
                async move {
                    assert_eq!((request.method(), request.uri().path()), (&Method::POST, "/v1/traces"));
                    received.send(request.into_body().collect().await.unwrap().to_bytes()).unwrap();
                    Ok::<_, Infallible>(Response::new(Full::new(Bytes::new())))
                }
            });
            http1::Builder::new().serve_connection(TokioIo::new(stream), service).await.unwrap();
        }
    });
    let variable = |name: &str| (name == "OTEL_EXPORTER_OTLP_ENDPOINT").then(|| endpoint.clone());
    (posts, TraceExport::from_variables(variable).unwrap().unwrap())
}

fn contains(body: &[u8], part: &[u8]) -> bool {
    body.windows(part.len()).any(|window| window == part)
}

#[tokio::test]
async fn a_span_reaches_the_collector_in_the_trace_it_continues() {
    let (mut posts, export) = collector().await;
    let telemetry = Telemetry::build(false, "info", Some(&export)).unwrap();
    let continued = tracing::dispatcher::with_default(telemetry.dispatch(), || {
        let span = info_span!("server_proxy", service.id = "KG/GOV/70000001/registry/person");
        continue_trace(&span, TRACEPARENT);
        let _entered = span.enter();
        traceparent(&span).unwrap()
    });
    assert!(continued.starts_with("00-4bf92f3577b34da6a3ce929d0e0e4736-"), "{continued}");
    assert_ne!(continued, TRACEPARENT, "others continue from our span, not from the client's");

    telemetry.shut_down().await;
    let body = timeout(PATIENCE, posts.recv()).await.unwrap().unwrap();
    assert!(contains(&body, b"server_proxy"));
    assert!(contains(&body, b"KG/GOV/70000001/registry/person"));
    assert!(contains(&body, &TRACE_ID));
}

#[tokio::test]
async fn what_the_filter_leaves_out_is_not_exported() {
    let (mut posts, export) = collector().await;
    let telemetry = Telemetry::build(true, "info,telemetry=off", Some(&export)).unwrap();
    tracing::dispatcher::with_default(telemetry.dispatch(), || drop(info_span!("left_out").entered()));
    telemetry.shut_down().await;
    assert!(posts.try_recv().is_err());
}

#[tokio::test]
async fn a_collector_that_is_gone_stops_nobody() {
    let socket = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let endpoint = format!("http://{}", socket.local_addr().unwrap());
    drop(socket);
    let variable = |name: &str| (name == "OTEL_EXPORTER_OTLP_ENDPOINT").then(|| endpoint.clone());
    let export = TraceExport::from_variables(variable).unwrap().unwrap();
    let telemetry = Telemetry::build(false, "info", Some(&export)).unwrap();
    tracing::dispatcher::with_default(telemetry.dispatch(), || drop(info_span!("lost").entered()));
    timeout(PATIENCE, telemetry.shut_down()).await.unwrap();
}

#[test]
fn refuses_a_filter_it_does_not_understand() {
    let error = Telemetry::build(false, "info,=,", None).unwrap_err();
    assert_eq!(error.code(), "telemetry.filter");
}

#[test]
fn logging_starts_once() {
    let _first = Telemetry::start(false, "info").unwrap();
    assert_eq!(Telemetry::start(true, "info").unwrap_err().code(), "telemetry.twice");
}

#[test]
fn without_export_there_is_no_trace_to_continue() {
    let telemetry = Telemetry::build(false, "info", None).unwrap();
    tracing::dispatcher::with_default(telemetry.dispatch(), || {
        let span = info_span!("server_proxy");
        continue_trace(&span, TRACEPARENT);
        assert_eq!(traceparent(&span), None);
    });
}
