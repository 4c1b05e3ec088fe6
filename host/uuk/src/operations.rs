//! What orchestrators and Prometheus ask: `/live`, `/ready`, `/metrics`.

use std::sync::Arc;

use bytes::Bytes;
use http::{Request, Response, StatusCode};
use http_body_util::Full;
use metrics_exporter_prometheus::PrometheusHandle;
use uuk_plugin_host::reload::{ReloadHandle, Stage};
use uuk_proxy::{ServerProxy, drift};

/// Answers of the operations listener.
pub(crate) struct Operations {
    metrics: PrometheusHandle,
    proxy: Arc<ServerProxy>,
    plugins: ReloadHandle,
}

impl Operations {
    pub(crate) fn new(metrics: PrometheusHandle, proxy: Arc<ServerProxy>, plugins: ReloadHandle) -> Self {
        Self { metrics, proxy, plugins }
    }

    pub(crate) fn answer<B>(&self, request: &Request<B>) -> Response<Full<Bytes>> {
        match request.uri().path() {
            "/live" => respond(StatusCode::OK, "text/plain", "live\n".into()),
            "/ready" => self.ready(),
            "/metrics" => {
                self.gauge();
                respond(StatusCode::OK, "text/plain; version=0.0.4", self.metrics.render())
            }
            _ => respond(StatusCode::NOT_FOUND, "text/plain", "try /live, /ready or /metrics\n".into()),
        }
    }

    /// Ready once no bundle is on its way any more: what can answer does.
    fn ready(&self) -> Response<Full<Bytes>> {
        let preparing = self.plugins.status().iter().any(|status| status.stage == Stage::Preparing);
        let found = drift(&self.proxy.conditions().catalog, &self.plugins.registry().snapshot());
        let status = if preparing { StatusCode::SERVICE_UNAVAILABLE } else { StatusCode::OK };
        let body = serde_json::json!({ "ready": !preparing, "drift": found });
        respond(status, "application/json", format!("{body}\n"))
    }

    fn gauge(&self) {
        for status in self.plugins.status().iter().filter(|status| !status.plugin.is_empty()) {
            let labels = [("plugin", status.plugin.clone()), ("version", status.version.clone())];
            metrics::gauge!("uuk_plugin_active", &labels)
                .set(f64::from(u8::from(status.stage == Stage::Active)));
        }
    }
}

fn respond(status: StatusCode, media_type: &'static str, body: String) -> Response<Full<Bytes>> {
    let mut response = Response::new(Full::new(body.into()));
    *response.status_mut() = status;
    response.headers_mut().insert(http::header::CONTENT_TYPE, http::HeaderValue::from_static(media_type));
    response
}
