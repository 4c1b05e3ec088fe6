//! Capability `http`: requests to named upstreams, within the methods and paths that the signed manifest asks for.
//!
//! The adapter names an upstream and a path; address, TLS and credentials are the host's. What it sends is judged here
//! and nowhere else: its method, its path (`http/path.rs`) and its headers (`http/headers.rs`).

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::{Duration, Instant};

use bytes::Bytes;
use http::{HeaderValue, Method, Request};
use tokio_util::task::AbortOnDropHandle;
use tracing::debug;
use uuk_process::ErrorChain;
use uuk_transport::{Upstream, UpstreamError};

use crate::call::CallContext;
use path::{PathPattern, RequestPath};

mod headers;
mod path;

/// The largest request body: what one window of a blob holds.
const REQUEST_BODY_BYTES_MAX: u64 = 1 << 20;

/// A request of an adapter, as the WIT has it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct HttpRequest {
    /// `GET`, in capitals.
    pub method: String,
    /// `/path?query`, below the upstream's base.
    pub path_and_query: String,
    /// Names and values.
    pub headers: Vec<(String, String)>,
    /// Absent is the same as empty.
    pub body: Option<Vec<u8>>,
    /// How long the adapter wants to wait, at most until the call's deadline.
    pub timeout: Option<Duration>,
}

/// What the upstream answered, as the WIT has it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct HttpResponse {
    /// Status code.
    pub status: u16,
    /// Names in lower case, and values.
    pub headers: Vec<(String, String)>,
    /// The whole body.
    pub body: Bytes,
}

/// Why there is no response, as the WIT has it: little, because the adapter may repeat it to its client. The host's log
/// has the rest.
#[derive(Debug, Clone, PartialEq, Eq)]
#[expect(missing_docs, reason = "the WIT describes them")]
pub enum HttpError {
    UnknownUpstream,
    NotGranted(String),
    HeaderRefused(String),
    TooLarge(u64),
    Deadline,
    Busy,
    Dns,
    Connect,
    Tls(String),
    Protocol(String),
    Other(String),
}

/// The upstreams of one plugin: what its manifest asks for of what its agency grants.
#[derive(Debug, Default)]
pub struct HttpUpstreams {
    upstreams: BTreeMap<String, HttpUpstream>,
}

#[derive(Debug)]
struct HttpUpstream {
    upstream: Arc<Upstream>,
    /// As the manifest spells them: it knows only methods that change nothing about the connection.
    methods: Vec<String>,
    paths: Vec<PathPattern>,
    response_bytes_max: u64,
}

impl HttpUpstreams {
    /// Ties what a manifest asks for to what `granted` has under the same name; what it has not stays unknown.
    pub fn new(
        asked: &BTreeMap<String, uuk_bundle::Upstream>,
        granted: impl Fn(&str) -> Option<Arc<Upstream>>,
    ) -> Self {
        let upstreams = asked.iter().filter_map(|(name, asked)| {
            let granted = HttpUpstream {
                upstream: granted(name)?,
                methods: asked.methods.clone(),
                paths: asked.paths.iter().map(|pattern| PathPattern::new(pattern)).collect(),
                response_bytes_max: asked.response_bytes_max,
            };
            Some((name.clone(), granted))
        });
        Self { upstreams: upstreams.collect() }
    }

    /// Sends `request` to `upstream` on behalf of `plugin`, for the call of `context`, which ends at `deadline`.
    ///
    /// Failures are counted for the operator and logged only in detail: an adapter can cause any number of them.
    ///
    /// # Errors
    /// [`HttpError`]; after `Deadline`, `Protocol` and `TooLarge` the upstream may have acted.
    ///
    /// # Cancellation
    /// Dropping the future closes its connection.
    pub async fn send(
        &self,
        plugin: &str,
        upstream: &str,
        request: HttpRequest,
        context: &CallContext,
        deadline: Instant,
    ) -> Result<HttpResponse, HttpError> {
        let granted = self.upstreams.get(upstream).ok_or(HttpError::UnknownUpstream)?;
        let deadline = match request.timeout.and_then(|timeout| Instant::now().checked_add(timeout)) {
            Some(earlier) => deadline.min(earlier),
            None => deadline,
        };
        let request = granted.judge(request, context)?;
        let (upstream_granted, bytes_max) = (Arc::clone(&granted.upstream), granted.response_bytes_max);
        // By the runtime: who asks may be on a thread that gives way, and what resolves names would be like it for ever.
        let sending = async move { upstream_granted.send(request, deadline, bytes_max).await };
        let sent = AbortOnDropHandle::new(tokio::spawn(sending)).await;
        let response = sent.map_err(|_| HttpError::Other("the host failed".into()))?.map_err(|error| {
            let code = error.code();
            // Only names that the manifest declares get here.
            let labels =
                [("plugin", plugin.to_owned()), ("upstream", upstream.to_owned()), ("code", code.to_owned())];
            metrics::counter!("uuk_upstream_failures_total", &labels).increment(1);
            debug!(
                { plugin.name = plugin, xroad.id = context.exchange_id, upstream, code, error = %ErrorChain(&error) },
                "Upstream {upstream} gave no answer"
            );
            HttpError::from(error)
        })?;
        let (head, body) = response.into_parts();
        Ok(HttpResponse { status: head.status.as_u16(), headers: headers::incoming(&head.headers), body })
    }
}

impl HttpUpstream {
    /// Turns what the adapter wants to send into what is sent.
    fn judge(&self, request: HttpRequest, context: &CallContext) -> Result<Request<Bytes>, HttpError> {
        let method = match Method::from_bytes(request.method.as_bytes()) {
            Ok(method) if self.methods.contains(&request.method) => method,
            _ => return Err(HttpError::NotGranted("method".into())),
        };
        let path = RequestPath::parse(&request.path_and_query)
            .map_err(|problem| HttpError::NotGranted(format!("path {problem}")))?;
        if !self.paths.iter().any(|pattern| pattern.matches(&path)) {
            return Err(HttpError::NotGranted("path".into()));
        }
        let mut headers = headers::outgoing(&request.headers)?;
        // By these, the upstream's log and ours tell of the same exchange.
        headers.insert("x-road-id", own_header(&context.exchange_id)?);
        if let Some(traceparent) = &context.traceparent {
            headers.insert("traceparent", own_header(traceparent)?);
        }
        let body = Bytes::from(request.body.unwrap_or_default());
        if body.len() as u64 > REQUEST_BODY_BYTES_MAX {
            return Err(HttpError::TooLarge(REQUEST_BODY_BYTES_MAX));
        }
        let mut sent = Request::new(body);
        *sent.method_mut() = method;
        *sent.uri_mut() = path.into_uri();
        *sent.headers_mut() = headers;
        Ok(sent)
    }
}

fn own_header(value: &str) -> Result<HeaderValue, HttpError> {
    HeaderValue::from_str(value).map_err(|_| HttpError::Other("the call's context cannot be sent".into()))
}

impl From<UpstreamError> for HttpError {
    fn from(error: UpstreamError) -> Self {
        match error {
            UpstreamError::TooLarge { bytes_max } => Self::TooLarge(bytes_max),
            UpstreamError::Deadline => Self::Deadline,
            UpstreamError::Busy => Self::Busy,
            UpstreamError::Dns { .. } => Self::Dns,
            UpstreamError::AddressRefused { .. } => Self::NotGranted("address".into()),
            UpstreamError::Connect { .. } => Self::Connect,
            UpstreamError::Tls { .. } => Self::Tls("no agreement on TLS".into()),
            UpstreamError::Protocol { .. } => Self::Protocol("the exchange broke off".into()),
            // Whatever else there is concerns the host's own dealings.
            _ => Self::Other("the upstream is not usable".into()),
        }
    }
}
