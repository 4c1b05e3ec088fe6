//! From bytes to names: who calls which service, and on whose behalf.

use std::time::Instant;

use bytes::Bytes;
use http::{HeaderMap, Request};
use hyper::body::Incoming;
use uuid::Uuid;
use uuk_identifiers::{ClientId, ServiceId};

use crate::fault::Refusal;
use crate::server_proxy::Door;

/// Longest value of a header that names something.
const HEADER_BYTES_MAX: usize = 1_024;

/// A request whose names are read; its body still lies in the connection.
pub(crate) struct Head {
    pub(crate) service: ServiceId,
    pub(crate) client: ClientId,
    /// `X-Road-Id`, given by the client or made here.
    pub(crate) id: String,
    pub(crate) user: Option<String>,
    pub(crate) issue: Option<String>,
    pub(crate) represented_party: Option<String>,
    pub(crate) purpose: Option<String>,
    pub(crate) traceparent: Option<String>,
    pub(crate) idempotency_key: Option<String>,
    pub(crate) locale: Option<String>,
    parts: http::request::Parts,
    /// Where the path after the service begins.
    path_start: usize,
}

impl Head {
    pub(crate) fn method(&self) -> &str {
        self.parts.method.as_str()
    }

    /// The path after the service, as received: empty, or beginning with `/`.
    pub(crate) fn path(&self) -> &str {
        self.parts.uri.path().get(self.path_start..).unwrap_or_default()
    }

    pub(crate) fn query(&self) -> Option<&str> {
        self.parts.uri.query()
    }

    pub(crate) fn headers(&self) -> &HeaderMap {
        &self.parts.headers
    }
}

/// Reads path and headers.
pub(crate) fn head(door: Door, request: Request<Incoming>) -> Result<(Head, Incoming), Refusal> {
    let (parts, body) = request.into_parts();
    let path = parts.uri.path();
    let prefix = match door {
        Door::Client => "/r1/",
        Door::Behind => "/",
    };
    let names = path.strip_prefix(prefix).ok_or(Refusal::UnknownPath)?;
    // Five pieces name the service. Each is decoded once, by the identifier; what follows stays as it was received.
    let end = names.match_indices('/').nth(4).map_or(names.len(), |(index, _)| index);
    let service = names.get(..end).unwrap_or_default().parse().map_err(Refusal::ServiceId)?;

    let header = |name: &'static str| single(&parts.headers, name);
    let client = header("x-road-client")?.ok_or(Refusal::NoClient)?.parse().map_err(Refusal::ClientId)?;
    let id = header("x-road-id")?.unwrap_or_else(|| Uuid::new_v4().to_string());
    let head = Head {
        service,
        client,
        id,
        user: header("x-road-userid")?,
        issue: header("x-road-issue")?,
        represented_party: header("x-road-represented-party")?,
        purpose: header("x-road-purpose")?,
        traceparent: header("traceparent")?,
        idempotency_key: header("idempotency-key")?,
        locale: header("accept-language")?,
        path_start: prefix.len() + end,
        parts,
    };
    Ok((head, body))
}

/// Reads the whole body.
pub(crate) async fn body(body: Incoming, bytes_max: u64, deadline: Instant) -> Result<Bytes, Refusal> {
    uuk_transport::read_body(body, bytes_max, deadline).await.map_err(Refusal::Body)
}

/// A header that may stand once. X-Road takes the last of several; two that differ would let one system authorise what
/// another reads, so they are refused.
fn single(headers: &HeaderMap, name: &'static str) -> Result<Option<String>, Refusal> {
    let mut values = headers.get_all(name).iter();
    let Some(value) = values.next() else { return Ok(None) };
    if values.next().is_some() {
        return Err(Refusal::RepeatedHeader { name });
    }
    match value.to_str() {
        Ok(text) if text.len() <= HEADER_BYTES_MAX => Ok(Some(text.to_owned())),
        Ok(_) | Err(_) => Err(Refusal::BadHeader { name }),
    }
}
