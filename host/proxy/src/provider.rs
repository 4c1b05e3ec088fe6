use std::sync::Arc;
use std::time::{Duration, Instant};

use arc_swap::ArcSwap;
use bytes::Bytes;
use http::{Request, Response};
use http_body_util::Full;
use hyper::body::Incoming;
use tracing::Instrument;
use uuk_contract::{Contract, Document, Operation, SoapCall};
use uuk_globalconf::{Catalog, CataloguedService};
use uuk_identifiers::{ClientId, ServiceId, SoapServiceId};
use uuk_message::Dialect;
use uuk_plugin_host::{Arm, Registry};
use uuk_process::Clock;
use uuk_serverconf::Clients;
use uuk_transport::{BodyError, Peer};

use crate::backend::Backends;
use crate::exchange::ExchangeError;
use crate::fault::{self, Refusal};
use crate::spool::Spooled;
use crate::stages::{adapt, answer, authorize, catalog, contract, receive};

/// Bounds on what is answered here.
#[derive(Debug, Clone, Copy)]
pub struct ProviderConfig {
    /// A request is given up after this, whatever it waits for.
    pub request_time_max: Duration,
    /// Longest request body.
    pub body_bytes_max: u64,
    /// Whether clients prove who they are with a certificate.
    pub client_certificates: bool,
}

/// What decides over requests: a snapshot that a request takes once and keeps.
#[derive(Debug, Clone, Default)]
pub struct Conditions {
    /// The services that exist.
    pub catalog: Catalog,
    /// This server's clients and their rights.
    pub clients: Clients,
    /// The services that information systems answer themselves, to requests of other security servers.
    pub backends: Backends,
}

/// Where a request came in.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Door {
    /// A client's information system: `/r1/{service}/…`; its rights are checked here.
    Client,
    /// The same, where it names an operation and not its path: `/json/{service}/…`.
    Json,
    /// An X-Road security server that uses this one as its information system: `/{service}/…`; it has checked them.
    Behind,
}

impl Door {
    /// What stands before the service in a path.
    pub(crate) fn prefix(self) -> &'static str {
        match self {
            Self::Client => "/r1/",
            Self::Json => "/json/",
            Self::Behind => "/",
        }
    }
}

/// Answers requests for this server's own services, through adapters.
///
/// Who asks has been established when a server proxy calls it; at its own doors, [`Provider::answer`] does that.
#[derive(Debug)]
pub struct Provider {
    config: ProviderConfig,
    conditions: ArcSwap<Conditions>,
    registry: Registry,
    clock: Clock,
}

impl Provider {
    /// A provider for the plugins of `registry`; it refuses everything until [`Provider::set_conditions`].
    pub fn new(config: ProviderConfig, registry: Registry, clock: Clock) -> Self {
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
        let mut record = fault::Record::new(started, Dialect::SnakeCase);
        let span = tracing::info_span!("server_proxy");
        receive::continue_trace(&span, request.headers());
        let exchange = self.exchange(door, request, peer, started, &mut record).instrument(span);
        let response = match exchange.await {
            Ok(answered) => answered.into_response(&record),
            Err(refusal) => fault::response(&refusal, &mut record),
        };
        record.finish(response.status());
        response
    }

    /// The walk of a request at a door. Reading it is reading the protocol.
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
            authorize::system(&conditions.clients, &head.client, by_certificate)?;
            // Without an exchange there is no global configuration that could say who is in a global group.
            authorize::client(&conditions.clients, &head, |_| false)?;
            authorize::purpose(&conditions.catalog, &head.service, head.says_purpose())?;
        }
        let arm = catalog::arm(&self.registry, catalogued)?;
        let body = receive::body(body, self.config.body_bytes_max, deadline).await?;
        self.call(&arm, &head, &body, started, record).await
    }

    /// The plugin version that answers this request, if its service exists and answers as catalogued.
    pub(crate) fn find(&self, conditions: &Conditions, head: &receive::Head) -> Result<Arm, Refusal> {
        catalog::arm(&self.registry, catalog::find(&conditions.catalog, &head.service)?)
    }

    /// The catalogued service, and its contract, that has this operation. In SOAP each operation is a service, and which
    /// catalogued one it belongs to is not said.
    pub(crate) fn soap_service(
        &self,
        conditions: &Conditions,
        asked: &SoapServiceId,
    ) -> Option<(ServiceId, Arc<Contract>)> {
        let ClientId::Subsystem(subsystem) = &asked.provider else { return None };
        let own = conditions.catalog.services().filter(|service| service.id.provider == *subsystem);
        let mut found = own.filter_map(|service| {
            let contract = self.contract(service)?;
            contract.soap_service(&asked.code, asked.version.as_deref())?;
            Some((service.id.clone(), contract))
        });
        // Where two services have an operation of that name, which is meant cannot be told.
        found.next().filter(|_| found.next().is_none())
    }

    /// The contract of a catalogued service, if it answers here.
    pub(crate) fn contract(&self, catalogued: &CataloguedService) -> Option<Arc<Contract>> {
        catalog::contract(&self.registry, catalogued)
    }

    /// The body of a request that came from another server, if it is not too long for an adapter.
    pub(crate) async fn body(&self, body: Option<&Spooled>) -> Result<Bytes, Refusal> {
        let bytes_max = self.config.body_bytes_max;
        match body {
            None => Ok(Bytes::new()),
            Some(body) if body.size_bytes() > bytes_max => {
                Err(Refusal::Body(BodyError::TooLarge { bytes_max }))
            }
            Some(body) => Ok(body.read().await.map_err(ExchangeError::Spool)?),
        }
    }

    /// Whether clients prove who they are with a certificate.
    pub(crate) fn asks_for_certificates(&self) -> bool {
        self.config.client_certificates
    }

    /// Answers a request whose client and right are established: from the contract to the checked answer.
    pub(crate) async fn call(
        &self,
        arm: &Arm,
        head: &receive::Head,
        body: &[u8],
        started: Instant,
        record: &mut fault::Record,
    ) -> Result<answer::Answered, Refusal> {
        let (operation, document) = contract::request(&arm.contract, head, body, self.config.body_bytes_max)?;
        self.operate(arm, operation, document, head, started, record).await
    }

    /// As [`Provider::call`], for a SOAP message that calls `operation`.
    pub(crate) async fn call_soap(
        &self,
        arm: &Arm,
        operation: &Operation,
        head: &receive::Head,
        message: &SoapCall<'_>,
        started: Instant,
        record: &mut fault::Record,
    ) -> Result<answer::Answered, Refusal> {
        let (called, document) = contract::soap_request(&arm.contract, message, self.config.body_bytes_max)?;
        // The right was checked by the name in the header; the element in the body must be the same operation's.
        if called.id() != operation.id() {
            return Err(Refusal::AccessDenied);
        }
        self.operate(arm, operation, document, head, started, record).await
    }

    async fn operate(
        &self,
        arm: &Arm,
        operation: &Operation,
        document: Document,
        head: &receive::Head,
        started: Instant,
        record: &mut fault::Record,
    ) -> Result<answer::Answered, Refusal> {
        let deadline = started + self.config.request_time_max;
        record.operation(operation.id(), &arm.plugin);
        let adapt = tracing::debug_span!("adapt", operation = operation.id());
        let called =
            adapt::call(arm, operation, head, document, deadline, &self.clock).instrument(adapt).await;
        answer::check(&self.registry, arm, operation, called)
    }
}
