use bytes::Bytes;
use http::header::{CACHE_CONTROL, CONTENT_TYPE, HeaderName, HeaderValue, LOCATION, SET_COOKIE};
use http::{Response, StatusCode};
use http_body_util::Full;
use maud::Markup;
use serde::Serialize;
use uuk_pki::Sha256;

use crate::console::Asked;
use crate::download::Download;

/// Nothing from elsewhere, no script at all, and no frame around it.
const CONTENT_SECURITY_POLICY: &str = "default-src 'none'; style-src 'self'; img-src 'self'; form-action 'self'; \
                                       frame-ancestors 'none'; base-uri 'none'";

/// Of a bundle.
pub(crate) const MIMETYPE: &str = "application/vnd.etsi.asic-e+zip";

/// What is answered.
#[derive(Debug)]
pub(crate) struct Reply(Response<Bytes>);

impl Reply {
    pub(crate) fn new(status: StatusCode, media_type: &'static str, body: impl Into<Bytes>) -> Self {
        let mut response = Response::new(body.into());
        *response.status_mut() = status;
        let headers = response.headers_mut();
        headers.insert(CONTENT_TYPE, HeaderValue::from_static(media_type));
        for (name, value) in [
            ("content-security-policy", CONTENT_SECURITY_POLICY),
            ("x-content-type-options", "nosniff"),
            ("referrer-policy", "no-referrer"),
            ("cache-control", "no-store"),
        ] {
            headers.insert(HeaderName::from_static(name), HeaderValue::from_static(value));
        }
        Self(response)
    }

    pub(crate) fn page(status: StatusCode, page: Markup) -> Self {
        Self::new(status, "text/html; charset=utf-8", page.into_string())
    }

    pub(crate) fn json(status: StatusCode, value: &impl Serialize) -> Self {
        match serde_json::to_vec(value) {
            Ok(body) => Self::new(status, "application/json", body),
            Err(_) => Self::new(StatusCode::INTERNAL_SERVER_ERROR, "text/plain", Bytes::new()),
        }
    }

    pub(crate) fn download(file: Download) -> Self {
        let disposition = format!("attachment; filename=\"{}\"", file.name);
        Self::new(StatusCode::OK, file.media_type, file.content).header("content-disposition", &disposition)
    }

    /// After a form: the browser loads `path`, and loading it anew does nothing twice.
    pub(crate) fn see_other(path: &str) -> Self {
        let reply = Self::new(StatusCode::SEE_OTHER, "text/plain", Bytes::new());
        reply.header(LOCATION.as_str(), path)
    }

    /// For anybody to keep for a minute, and then to ask whether it has changed.
    pub(crate) fn keepable(mut self, asked: &Asked) -> Self {
        let tag = format!("\"{}\"", Sha256::of(self.0.body()));
        let known = asked.header("if-none-match").unwrap_or_default().split(',');
        // A proxy that compresses makes the tag a weak one.
        if known.into_iter().any(|one| one.trim().trim_start_matches("W/") == tag) {
            *self.0.status_mut() = StatusCode::NOT_MODIFIED;
            *self.0.body_mut() = Bytes::new();
        }
        self.0.headers_mut().insert(CACHE_CONTROL, HeaderValue::from_static("public, max-age=60"));
        self.header("etag", &tag)
    }

    pub(crate) fn cookie(self, cookie: &str) -> Self {
        self.header(SET_COOKIE.as_str(), cookie)
    }

    pub(crate) fn header(mut self, name: &str, value: &str) -> Self {
        if let (Ok(name), Ok(value)) = (name.parse::<HeaderName>(), value.parse::<HeaderValue>()) {
            self.0.headers_mut().append(name, value);
        }
        self
    }

    pub(crate) fn into_response(self) -> Response<Full<Bytes>> {
        self.0.map(Full::new)
    }
}
