use anyhow::{Context, Result};
use bytes::Bytes;
use http::{HeaderMap, Method, Request, StatusCode};
use http_body_util::{BodyExt, Full};
use hyper_util::client::legacy::Client as HyperClient;
use hyper_util::client::legacy::connect::HttpConnector;
use hyper_util::rt::TokioExecutor;

use crate::site::{CLIENT, PROVIDER};

/// An information system of [`CLIENT`] that calls services of [`PROVIDER`].
#[derive(Debug, Clone)]
pub struct Client {
    http: HyperClient<HttpConnector, Full<Bytes>>,
    address: String,
}

/// What came back.
#[derive(Debug, Clone)]
pub struct Reply {
    /// Status code.
    pub status: StatusCode,
    /// Headers.
    pub headers: HeaderMap,
    /// The whole body.
    pub body: Bytes,
}

impl Reply {
    /// The body as JSON.
    pub fn json(&self) -> Result<serde_json::Value> {
        serde_json::from_slice(&self.body)
            .with_context(|| format!("{}: {}", self.status, String::from_utf8_lossy(&self.body)))
    }

    /// The text of a member of the body.
    pub fn text(&self, member: &str) -> Result<String> {
        let document = self.json()?;
        let text = document.get(member).and_then(serde_json::Value::as_str);
        Ok(text.with_context(|| format!("no `{member}` in {}: {document}", self.status))?.to_owned())
    }
}

impl Client {
    /// A client of the server at `address`, `host:port`.
    pub fn new(address: &str) -> Self {
        let http = HyperClient::builder(TokioExecutor::new()).build_http();
        Self { http, address: address.to_owned() }
    }

    /// `GET` below the service: `get("person", "/people/1…")`.
    pub async fn get(&self, service: &str, path: &str) -> Result<Reply> {
        self.call(Method::GET, &format!("/r1/{PROVIDER}/{service}{path}"), &[], Bytes::new()).await
    }

    /// `POST` of a JSON body below the service.
    pub async fn post(&self, service: &str, path: &str, body: impl Into<Bytes>) -> Result<Reply> {
        let headers = [("content-type", "application/json")];
        self.call(Method::POST, &format!("/r1/{PROVIDER}/{service}{path}"), &headers, body.into()).await
    }

    /// Any request in the name of [`CLIENT`], unless `headers` say otherwise.
    pub async fn call(
        &self,
        method: Method,
        path: &str,
        headers: &[(&str, &str)],
        body: Bytes,
    ) -> Result<Reply> {
        let mut request = Request::builder().method(method).uri(format!("http://{}{path}", self.address));
        if !headers.iter().any(|(name, _)| name.eq_ignore_ascii_case("x-road-client")) {
            request = request.header("x-road-client", CLIENT);
        }
        for (name, value) in headers {
            request = request.header(*name, *value);
        }
        let (head, body) = self.http.request(request.body(Full::new(body))?).await?.into_parts();
        let body = body.collect().await?.to_bytes();
        Ok(Reply { status: head.status, headers: head.headers, body })
    }
}
