//! From bytes to names: who calls which service, and on whose behalf.

use std::time::Instant;

use bytes::Bytes;
use http::{HeaderMap, Request};
use hyper::body::Incoming;
use tracing::Span;
use uuid::Uuid;
use uuk_identifiers::{ClientId, ServiceId};
use uuk_message::SoapHeader;
use uuk_process::telemetry;

use crate::fault::Refusal;
use crate::provider::Door;

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
    /// The same names as a SOAP message says them. What its operation takes is in its body.
    pub(crate) fn of_soap(header: &SoapHeader, service: ServiceId) -> Self {
        let (parts, ()) = Request::new(()).into_parts();
        Self {
            service,
            client: header.client.clone(),
            id: header.id.clone(),
            user: header.user_id.clone(),
            issue: header.issue.clone(),
            represented_party: header.represented_party.as_ref().map(ToString::to_string),
            purpose: None,
            traceparent: None,
            idempotency_key: None,
            locale: None,
            parts,
            path_start: 0,
        }
    }

    /// Whether the client says what the call is for: in words, or by the number of a case or document.
    pub(crate) fn says_purpose(&self) -> bool {
        is_said(self.purpose.as_deref()) || is_said(self.issue.as_deref())
    }

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

    /// Path and query, as received.
    pub(crate) fn target(&self) -> &str {
        self.parts.uri.path_and_query().map_or("/", |target| target.as_str())
    }

    pub(crate) fn headers(&self) -> &HeaderMap {
        &self.parts.headers
    }
}

/// Whether there is a text, and something in it.
pub(crate) fn is_said(text: Option<&str>) -> bool {
    text.is_some_and(|text| !text.trim().is_empty())
}

/// Makes `span` part of the trace that the sender of a request says it belongs to.
pub(crate) fn continue_trace(span: &Span, headers: &HeaderMap) {
    if let Some(traceparent) = headers.get("traceparent").and_then(|value| value.to_str().ok()) {
        telemetry::continue_trace(span, traceparent);
    }
}

/// Reads path and headers.
pub(crate) fn head<B>(door: Door, request: Request<B>) -> Result<(Head, B), Refusal> {
    let (parts, body) = request.into_parts();
    let path = parts.uri.path();
    let prefix = door.prefix();
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

#[cfg(test)]
mod tests {
    use super::*;

    const SERVICE: &str = "/r1/KG/GOV/70000001/registry/person";

    fn read(door: Door, path: &str, headers: &[(&str, &str)]) -> Result<Head, Refusal> {
        let mut request = Request::get(path);
        for (name, value) in headers {
            request = request.header(*name, *value);
        }
        head(door, request.body(()).unwrap()).map(|(head, ())| head)
    }

    fn refused(path: &str, headers: &[(&str, &str)]) -> &'static str {
        read(Door::Client, path, headers).err().unwrap().code()
    }

    const CLIENT: (&str, &str) = ("x-road-client", "KG/GOV/70000002/portal");

    #[test]
    fn what_follows_the_service_stays_as_it_was_received() {
        let path = format!("{SERVICE}/people/%D0%90?x=%2F");
        let head = read(Door::Client, &path, &[CLIENT]).unwrap();
        assert_eq!((head.path(), head.query()), ("/people/%D0%90", Some("x=%2F")));
        assert_eq!(head.service.to_string(), "KG/GOV/70000001/registry/person");
        assert_eq!(read(Door::Client, SERVICE, &[CLIENT]).unwrap().path(), "");
    }

    #[test]
    fn behind_a_security_server_the_path_has_no_version() {
        let head = read(Door::Behind, "/KG/GOV/70000001/registry/person/people", &[CLIENT]).unwrap();
        assert_eq!(head.path(), "/people");
    }

    #[test]
    fn an_identifier_is_given_where_the_client_gave_none() {
        assert_eq!(read(Door::Client, SERVICE, &[CLIENT]).unwrap().id.len(), 36);
        assert_eq!(read(Door::Client, SERVICE, &[CLIENT, ("x-road-id", "7")]).unwrap().id, "7");
    }

    #[test]
    fn refuses_an_encoded_slash_in_the_service() {
        assert_eq!(refused("/r1/KG/GOV/70000001/registry%2Fx/person", &[CLIENT]), "proxy.service_id");
    }

    #[test]
    fn refuses_a_path_that_names_too_little() {
        assert_eq!(refused("/r1/KG/GOV/70000001/registry", &[CLIENT]), "proxy.service_id");
        assert_eq!(refused("/r2/KG/GOV/70000001/registry/person", &[CLIENT]), "proxy.unknown_path");
    }

    #[test]
    fn refuses_a_missing_or_malformed_client() {
        assert_eq!(refused(SERVICE, &[]), "proxy.no_client");
        assert_eq!(refused(SERVICE, &[("x-road-client", "portal")]), "proxy.client_id");
    }

    #[test]
    fn refuses_a_header_given_twice_even_with_one_value() {
        assert_eq!(refused(SERVICE, &[CLIENT, CLIENT]), "proxy.repeated_header");
    }

    #[test]
    fn refuses_a_header_that_is_too_long() {
        let long = "x".repeat(HEADER_BYTES_MAX + 1);
        assert_eq!(refused(SERVICE, &[CLIENT, ("x-road-userid", &long)]), "proxy.bad_header");
    }
}
