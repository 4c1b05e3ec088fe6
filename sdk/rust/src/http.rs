//! Requests to upstreams that the manifest names.

use serde::Serialize;
use serde::de::DeserializeOwned;

pub use crate::bindings::uuk::adapter::http::{HttpError, Request, Response, send};
use crate::{Fault, FaultKind};

impl Request {
    /// A GET of the path made of `segments`, each percent-encoded: a segment cannot leave its place.
    #[must_use]
    pub fn get(segments: &[&str]) -> Self {
        Self::new("GET", segments)
    }

    /// A POST of `document` as JSON.
    ///
    /// # Errors
    /// An internal fault if `document` has no JSON form.
    pub fn post(segments: &[&str], document: &impl Serialize) -> Result<Self, Fault> {
        let request = Self::new("POST", segments).header("content-type", "application/json");
        Ok(Self { body: Some(serde_json::to_vec(document)?), ..request })
    }

    /// A request without a body.
    #[must_use]
    pub fn new(method: &str, segments: &[&str]) -> Self {
        let path = segments.iter().map(|segment| format!("/{}", percent_encoded(segment))).collect();
        let accept = ("accept".to_owned(), "application/json".to_owned());
        Self {
            method: method.to_owned(),
            path_and_query: path,
            headers: vec![accept],
            body: None,
            timeout_ms: None,
        }
    }

    /// Adds a query parameter, percent-encoded.
    #[must_use]
    pub fn query(mut self, name: &str, value: &str) -> Self {
        let separator = if self.path_and_query.contains('?') { '&' } else { '?' };
        let (name, value) = (percent_encoded(name), percent_encoded(value));
        self.path_and_query.push_str(&format!("{separator}{name}={value}"));
        self
    }

    /// Adds a header field.
    #[must_use]
    pub fn header(mut self, name: &str, value: &str) -> Self {
        self.headers.push((name.to_owned(), value.to_owned()));
        self
    }

    /// Sends it to an upstream the manifest names.
    ///
    /// # Errors
    /// As the host says; a response with an error status is a response.
    pub fn send(&self, upstream: &str) -> Result<Response, HttpError> {
        send(upstream, self)
    }
}

impl Response {
    /// The JSON document of a successful response, or nothing if the upstream says 404.
    ///
    /// # Errors
    /// A fault of kind upstream-unavailable for any other status, and for a body of another form.
    pub fn found_json<T: DeserializeOwned>(&self) -> Result<Option<T>, Fault> {
        match self.status {
            404 => Ok(None),
            200..=299 => match serde_json::from_slice(&self.body) {
                Ok(document) => Ok(Some(document)),
                Err(error) => {
                    Err(unusable(format_args!("the upstream's document is not as expected: {error}")))
                }
            },
            status => Err(unusable(format_args!("the upstream answered with status {status}"))),
        }
    }
}

fn unusable(diagnostic: impl std::fmt::Display) -> Fault {
    Fault::new(FaultKind::UpstreamUnavailable, "UPSTREAM_UNUSABLE", "the upstream's answer cannot be used")
        .diagnostic(diagnostic)
}

/// `text` with everything but the unreserved characters of RFC 3986 §2.3 encoded.
fn percent_encoded(text: &str) -> String {
    let mut encoded = String::with_capacity(text.len());
    for byte in text.bytes() {
        match byte {
            b'A'..=b'Z' | b'a'..=b'z' | b'0'..=b'9' | b'-' | b'.' | b'_' | b'~' => encoded.push(byte.into()),
            _ => encoded.push_str(&format!("%{byte:02X}")),
        }
    }
    encoded
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_segment_cannot_leave_its_place() {
        let request = Request::get(&["v1", "vehicles", "../admin?x=1#y"]).query("as of", "2026&1");
        assert_eq!(request.path_and_query, "/v1/vehicles/..%2Fadmin%3Fx%3D1%23y?as%20of=2026%261");
    }

    #[test]
    fn nothing_found_is_no_error() {
        assert_eq!(response(404, "{}").found_json::<u8>().unwrap(), None);
        assert_eq!(response(200, "7").found_json::<u8>().unwrap(), Some(7));
    }

    #[test]
    fn an_upstream_in_trouble_is_unavailable() {
        for unusable in [response(500, "7"), response(302, ""), response(200, "<html>")] {
            let fault = unusable.found_json::<u8>().unwrap_err();
            assert_eq!(fault.kind, FaultKind::UpstreamUnavailable);
        }
    }

    fn response(status: u16, body: &str) -> Response {
        Response { status, headers: Vec::new(), body: body.into() }
    }
}
