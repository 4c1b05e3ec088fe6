use std::sync::Arc;
use std::time::{Duration, Instant};

use arc_swap::ArcSwap;
use bytes::Bytes;
use http::{Request, Response};
use http_body_util::Full;
use hyper::body::Incoming;
use tracing::Instrument;
use uuk_globalconf::Catalog;
use uuk_plugin_host::Registry;
use uuk_process::Clock;
use uuk_serverconf::Clients;
use uuk_transport::Peer;

use crate::fault::{self, Refusal};
use crate::stages::{adapt, answer, authorize, catalog, contract, receive};

/// Settings of the answering side.
#[derive(Debug, Clone, Copy)]
pub struct ServerProxyConfig {
    /// A request is given up after this, whatever it waits for.
    pub request_time_max: Duration,
    /// Longest request body.
    pub body_bytes_max: u64,
    /// Whether clients prove who they are with a certificate.
    pub client_certificates: bool,
}

/// What decides over requests: a snapshot that a request takes once and keeps.
#[derive(Debug, Default)]
pub struct Conditions {
    /// The services that exist.
    pub catalog: Catalog,
    /// This server's clients and their rights.
    pub clients: Clients,
}

/// Where a request came in.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Door {
    /// A client's information system: `/r1/{service}/…`; its rights are checked here.
    Client,
    /// An X-Road security server that uses this one as its information system: `/{service}/…`; it has checked them.
    Behind,
}

/// The answering side of the message path.
#[derive(Debug)]
pub struct ServerProxy {
    config: ServerProxyConfig,
    conditions: ArcSwap<Conditions>,
    registry: Registry,
    clock: Clock,
}

impl ServerProxy {
    /// A proxy for the plugins of `registry`; it refuses everything until [`ServerProxy::set_conditions`].
    pub fn new(config: ServerProxyConfig, registry: Registry, clock: Clock) -> Self {
        Self { config, conditions: ArcSwap::default(), registry, clock }
    }

    /// Replaces catalog and clients for requests from now on.
    pub fn set_conditions(&self, conditions: Conditions) {
        self.conditions.store(Arc::new(conditions));
    }

    /// The conditions in force.
    pub fn conditions(&self) -> Arc<Conditions> {
        self.conditions.load_full()
    }

    /// Answers one request: with the adapter's answer or a fault, never with silence.
    pub async fn answer(&self, door: Door, request: Request<Incoming>, peer: &Peer) -> Response<Full<Bytes>> {
        let started = Instant::now();
        let mut record = fault::Record::new(started);
        let span = tracing::info_span!("server_proxy");
        if let Some(traceparent) = request.headers().get("traceparent").and_then(|value| value.to_str().ok())
        {
            uuk_process::telemetry::continue_trace(&span, traceparent);
        }
        let exchange = self.exchange(door, request, peer, started, &mut record).instrument(span);
        let response = match exchange.await {
            Ok(answered) => answered.into_response(&record),
            Err(refusal) => fault::response(&refusal, &mut record),
        };
        record.finish(response.status());
        response
    }

    /// The walk of a request. Reading it is reading the protocol.
    async fn exchange(
        &self,
        door: Door,
        request: Request<Incoming>,
        peer: &Peer,
        started: Instant,
        record: &mut fault::Record,
    ) -> Result<answer::Answered, Refusal> {
        let conditions = self.conditions.load();
        let deadline = started + self.config.request_time_max;

        let (head, body) = receive::head(door, request)?;
        record.identify(&head);
        let catalogued = catalog::find(&conditions.catalog, &head.service)?;
        if door == Door::Client {
            let by_certificate = self.config.client_certificates.then_some(peer);
            authorize::client(&conditions.clients, &head, by_certificate)?;
        }
        let route = catalog::route(&self.registry, catalogued)?;
        let arm = route.pick().map_err(|retry_after| Refusal::Suspended { retry_after })?;
        catalog::answers_as_catalogued(arm, catalogued)?;
        let body = receive::body(body, self.config.body_bytes_max, deadline).await?;
        let (operation, document) =
            contract::request(&arm.contract, &head, &body, self.config.body_bytes_max)?;
        record.operation(operation.id(), &arm.plugin);
        let adapt = tracing::debug_span!("adapt", operation = operation.id());
        let called =
            adapt::call(arm, operation, &head, document, deadline, &self.clock).instrument(adapt).await;
        answer::check(&self.registry, arm, operation, called)
    }
}
