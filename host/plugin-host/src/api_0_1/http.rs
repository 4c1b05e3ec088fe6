use std::time::{Duration, Instant};

use crate::bindings::uuk::adapter::http;
use crate::capabilities::http::{HttpError, HttpRequest};
use crate::instance::CallState;

impl http::Host for CallState {
    async fn send(
        &mut self,
        upstream: String,
        request: http::Request,
    ) -> wasmtime::Result<Result<http::Response, http::HttpError>> {
        let request = HttpRequest {
            method: request.method,
            path_and_query: request.path_and_query,
            headers: request.headers,
            body: request.body,
            timeout: request.timeout_ms.map(|ms| Duration::from_millis(u64::from(ms))),
        };
        let started = Instant::now();
        let response = self.send(&upstream, request).await;
        self.host_calls.spent_since(started);
        Ok(response.map_err(error).map(|response| http::Response {
            status: response.status,
            headers: response.headers,
            body: response.body.to_vec(),
        }))
    }
}

fn error(error: HttpError) -> http::HttpError {
    match error {
        HttpError::UnknownUpstream => http::HttpError::UnknownUpstream,
        HttpError::NotGranted(what) => http::HttpError::NotGranted(what),
        HttpError::HeaderRefused(name) => http::HttpError::HeaderRefused(name),
        HttpError::TooLarge(bytes_max) => http::HttpError::TooLarge(bytes_max),
        HttpError::Deadline => http::HttpError::Deadline,
        HttpError::Busy => http::HttpError::Busy,
        HttpError::Dns => http::HttpError::Dns,
        HttpError::Connect => http::HttpError::Connect,
        HttpError::Tls(what) => http::HttpError::Tls(what),
        HttpError::Protocol(what) => http::HttpError::Protocol(what),
        HttpError::Other(what) => http::HttpError::Other(what),
    }
}
