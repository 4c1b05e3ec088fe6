//! What orchestrators and Prometheus ask: `/live`, `/ready`, `/metrics`.

use std::collections::BTreeSet;
use std::sync::{Arc, Mutex, PoisonError};

use bytes::Bytes;
use http::{Request, Response, StatusCode};
use http_body_util::Full;
use metrics_exporter_prometheus::PrometheusHandle;
use tokio::sync::watch;
use uuk_plugin_host::reload::{PluginStatus, ReloadHandle, Stage};
use uuk_proxy::{Provider, drift};

use crate::exchange::Findings;
use crate::finding::any_fails;

/// Answers of the operations listener.
pub(crate) struct Operations {
    metrics: PrometheusHandle,
    provider: Arc<Provider>,
    plugins: ReloadHandle,
    is_ready: watch::Receiver<bool>,
    /// How it stands with the exchange, if there is one.
    exchange: Option<Findings>,
    versions: Mutex<ActiveVersions>,
}

impl Operations {
    pub(crate) fn new(
        metrics: PrometheusHandle,
        provider: Arc<Provider>,
        plugins: ReloadHandle,
        is_ready: watch::Receiver<bool>,
        exchange: Option<Findings>,
    ) -> Self {
        Self { metrics, provider, plugins, is_ready, exchange, versions: Mutex::default() }
    }

    pub(crate) fn answer<B>(&self, request: &Request<B>) -> Response<Full<Bytes>> {
        match request.uri().path() {
            "/live" => respond(StatusCode::OK, "text/plain", "live\n".into()),
            "/ready" => self.ready(),
            "/metrics" => {
                self.versions.lock().unwrap_or_else(PoisonError::into_inner).show(&self.plugins.status());
                respond(StatusCode::OK, "text/plain; version=0.0.4", self.metrics.render())
            }
            _ => respond(StatusCode::NOT_FOUND, "text/plain", "try /live, /ready or /metrics\n".into()),
        }
    }

    fn ready(&self) -> Response<Full<Bytes>> {
        let exchange = self.exchange.as_ref().map(|findings| findings.borrow().clone());
        let is_ready =
            *self.is_ready.borrow() && exchange.as_ref().is_none_or(|findings| !any_fails(findings));
        let found = drift(&self.provider.conditions().catalog, &self.plugins.registry().snapshot());
        let status = if is_ready { StatusCode::OK } else { StatusCode::SERVICE_UNAVAILABLE };
        let body = serde_json::json!({ "ready": is_ready, "drift": found, "exchange": exchange.as_deref() });
        respond(status, "application/json", format!("{body}\n"))
    }
}

/// Plugins and versions that have a gauge, which keeps its value until told otherwise.
#[derive(Default)]
struct ActiveVersions(BTreeSet<(String, String)>);

impl ActiveVersions {
    fn show(&mut self, known: &[PluginStatus]) {
        let active = known.iter().filter(|status| status.stage == Stage::Active);
        let active: BTreeSet<_> =
            active.map(|status| (status.plugin.clone(), status.version.clone())).collect();
        self.0.extend(active.iter().cloned());
        for version in &self.0 {
            let labels = [("plugin", version.0.clone()), ("version", version.1.clone())];
            metrics::gauge!("uuk_plugin_active", &labels).set(f64::from(u8::from(active.contains(version))));
        }
    }
}

/// Says once that the server is ready: after the first change of `status`, as soon as no bundle is on its way.
///
/// Later arrivals change nothing: one bundle that takes long is no reason to take the others from the load balancer.
pub(crate) async fn await_ready(
    mut status: watch::Receiver<Arc<Vec<PluginStatus>>>,
    is_ready: watch::Sender<bool>,
) {
    while status.changed().await.is_ok() {
        if status.borrow_and_update().iter().all(|status| status.stage != Stage::Preparing) {
            is_ready.send_replace(true);
            return;
        }
    }
}

fn respond(status: StatusCode, media_type: &'static str, body: String) -> Response<Full<Bytes>> {
    let mut response = Response::new(Full::new(body.into()));
    *response.status_mut() = status;
    response.headers_mut().insert(http::header::CONTENT_TYPE, http::HeaderValue::from_static(media_type));
    response
}

#[cfg(test)]
mod tests {
    use metrics_exporter_prometheus::PrometheusBuilder;

    use super::*;

    fn bundle(version: &str, stage: Stage) -> PluginStatus {
        let (plugin, version) = ("kg.example.people".to_owned(), version.to_owned());
        PluginStatus { plugin, version, digest: None, stage, file: None, reason: None }
    }

    #[tokio::test]
    async fn is_ready_once_what_the_first_scan_found_is_no_longer_on_its_way() {
        let (status, watched) = watch::channel(Arc::default());
        let (sender, mut is_ready) = watch::channel(false);
        let waiting = tokio::spawn(await_ready(watched, sender));
        tokio::task::yield_now().await;
        assert!(!*is_ready.borrow(), "the folder was not scanned yet");
        status.send_replace(Arc::new(vec![bundle("1.0.0", Stage::Preparing)]));
        tokio::task::yield_now().await;
        assert!(!*is_ready.borrow(), "a bundle is on its way");
        status.send_replace(Arc::new(vec![bundle("1.0.0", Stage::Active)]));
        is_ready.changed().await.unwrap();
        status.send_replace(Arc::new(vec![bundle("1.0.1", Stage::Preparing)]));
        waiting.await.unwrap();
        assert!(*is_ready.borrow(), "a later bundle changes nothing");
    }

    #[test]
    fn a_version_that_is_gone_is_no_longer_active() {
        let recorder = PrometheusBuilder::new().build_recorder();
        metrics::with_local_recorder(&recorder, || {
            let mut versions = ActiveVersions::default();
            versions.show(&[bundle("1.0.0", Stage::Active)]);
            versions.show(&[bundle("1.0.1", Stage::Active)]);
        });
        let said = recorder.handle().render();
        assert!(said.contains(r#"version="1.0.0"} 0"#) && said.contains(r#"version="1.0.1"} 1"#), "{said}");
    }
}
