//! Upstreams that give the responses which a fixture records.

use std::convert::Infallible;
use std::net::SocketAddr;
use std::sync::{Arc, Mutex, PoisonError};

use http::{Request, Response, StatusCode};
use http_body_util::Full;
use hyper::body::{Bytes, Incoming};
use hyper::service::service_fn;
use hyper_util::rt::TokioIo;
use tokio::net::TcpListener;
use tokio::task::JoinSet;

use crate::commands::adapter::fixture::UpstreamCall;

/// A server on loopback, with a path for each upstream. It ends when this is dropped.
pub(super) struct Upstreams {
    address: SocketAddr,
    recording: Arc<Recording>,
    _server: JoinSet<()>,
}

struct Recording {
    calls: Vec<UpstreamCall>,
    is_empty_world: bool,
    unrecorded: Mutex<Vec<String>>,
}

impl Upstreams {
    pub(super) async fn serve(calls: Vec<UpstreamCall>, is_empty_world: bool) -> std::io::Result<Self> {
        let listener = TcpListener::bind((std::net::Ipv4Addr::LOCALHOST, 0)).await?;
        let address = listener.local_addr()?;
        let recording = Arc::new(Recording { calls, is_empty_world, unrecorded: Mutex::default() });
        let mut server = JoinSet::new();
        server.spawn(accept(listener, Arc::clone(&recording)));
        Ok(Self { address, recording, _server: server })
    }

    /// The address below which the upstream `name` answers.
    pub(super) fn base(&self, name: &str) -> String {
        format!("http://{}/{name}", self.address)
    }

    /// The requests that came and are not recorded.
    pub(super) fn unrecorded(&self) -> Vec<String> {
        self.recording.unrecorded.lock().unwrap_or_else(PoisonError::into_inner).clone()
    }
}

async fn accept(listener: TcpListener, recording: Arc<Recording>) {
    let mut connections = JoinSet::new();
    while let Ok((stream, _)) = listener.accept().await {
        let recording = Arc::clone(&recording);
        connections.spawn(async move {
            let answer = service_fn(|request| {
                let response = recording.answer(&request);
                async move { Ok::<_, Infallible>(response) }
            });
            // A connection that breaks is seen by the adapter.
            let _ = hyper::server::conn::http1::Builder::new()
                .serve_connection(TokioIo::new(stream), answer)
                .await;
        });
    }
}

impl Recording {
    fn answer(&self, request: &Request<Incoming>) -> Response<Full<Bytes>> {
        let target = request.uri().path_and_query().map_or("", |target| target.as_str());
        let is_recorded = |call: &&UpstreamCall| {
            let path = target.strip_prefix('/').and_then(|rest| rest.strip_prefix(call.upstream.as_str()));
            path == Some(call.path.as_str()) && request.method().as_str() == call.method
        };
        let mut response = Response::new(Full::default());
        match self.calls.iter().find(is_recorded) {
            Some(call) => {
                *response.status_mut() = StatusCode::from_u16(call.status).unwrap_or(StatusCode::BAD_GATEWAY);
                *response.body_mut() = call.body.as_ref().map(ToString::to_string).unwrap_or_default().into();
                let json = http::HeaderValue::from_static("application/json");
                response.headers_mut().insert(http::header::CONTENT_TYPE, json);
            }
            None if self.is_empty_world => *response.status_mut() = StatusCode::NOT_FOUND,
            None => {
                *response.status_mut() = StatusCode::NOT_IMPLEMENTED;
                let request = format!("{} {target}", request.method());
                let mut unrecorded = self.unrecorded.lock().unwrap_or_else(PoisonError::into_inner);
                if !unrecorded.contains(&request) {
                    unrecorded.push(request);
                }
            }
        }
        response
    }
}
