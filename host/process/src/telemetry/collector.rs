use std::time::Duration;

use async_trait::async_trait;
use bytes::Bytes;
use http::header::HOST;
use http::uri::PathAndQuery;
use http::{HeaderValue, Request, Response, Uri};
use http_body_util::{BodyExt, Full, Limited};
use hyper::client::conn::http1;
use hyper_util::rt::TokioIo;
use opentelemetry_http::{HttpClient, HttpError};
use tokio::net::TcpStream;
use tokio::runtime::Handle;
use tokio::time::timeout;

/// What the specification gives an export as a whole.
const EXPORT_TIMEOUT: Duration = Duration::from_secs(10);

/// A collector answers with almost nothing.
const RESPONSE_BYTES_MAX: usize = 64 * 1024;

/// Sends batches of traces, a connection each: there is one every few seconds.
///
/// The exporter has a thread of its own without a runtime, so the work is done on ours.
#[derive(Debug)]
pub(super) struct CollectorClient {
    runtime: Handle,
}

impl CollectorClient {
    pub(super) fn new(runtime: Handle) -> Self {
        Self { runtime }
    }
}

#[async_trait]
impl HttpClient for CollectorClient {
    async fn send_bytes(&self, request: Request<Bytes>) -> Result<Response<Bytes>, HttpError> {
        // The exporter waits for this task, and the process for the exporter.
        self.runtime.spawn(async { timeout(EXPORT_TIMEOUT, send(request)).await? }).await?
    }
}

async fn send(mut request: Request<Bytes>) -> Result<Response<Bytes>, HttpError> {
    let authority = request.uri().authority().ok_or("the endpoint names no host")?.clone();
    let host = authority.host().trim_start_matches('[').trim_end_matches(']');
    let stream = TcpStream::connect((host, authority.port_u16().unwrap_or(80))).await?;
    let path = request.uri().path_and_query().cloned().unwrap_or(PathAndQuery::from_static("/"));
    *request.uri_mut() = Uri::from(path);
    request.headers_mut().insert(HOST, HeaderValue::from_str(authority.as_str())?);

    let (mut sender, connection) = http1::handshake(TokioIo::new(stream)).await?;
    let exchange = async move {
        let (head, body) = sender.send_request(request.map(Full::new)).await?.into_parts();
        let body = Limited::new(body, RESPONSE_BYTES_MAX).collect().await?.to_bytes();
        Ok(Response::from_parts(head, body))
    };
    let (response, _) = tokio::join!(exchange, connection);
    response
}
