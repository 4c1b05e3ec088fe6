use std::sync::{Arc, Mutex, PoisonError};
use std::task::Context;
use std::time::{Duration, Instant};

use http::header::HOST;
use http::{Request, Response};
use hyper::body::Incoming;
use rustls::ClientConfig;
use rustls_pki_types::ServerName;
use tokio::net::TcpStream;
use tokio::sync::{OwnedSemaphorePermit, Semaphore};
use tokio::time::timeout;
use tokio_rustls::TlsConnector;

use super::base_url::BaseUrl;
use super::networks::Networks;
use super::{RequestBody, UpstreamError};
use crate::connection::{Connection, Failed};
use crate::received_body::{Exchange, ReceivedBody};

/// An idle connection older than this is not worth trying: peers close theirs after a minute or so.
const IDLE_MAX: Duration = Duration::from_secs(30);

/// The connections to one host, reused one request after the other.
#[derive(Debug)]
pub(super) struct Pool {
    base: BaseUrl,
    networks: Networks,
    tls: Option<Tls>,
    connect_timeout: Duration,
    slots: Arc<Semaphore>,
    idle: Mutex<Vec<Idle>>,
}

#[derive(Debug)]
struct Idle {
    connection: Connection<RequestBody>,
    since: Instant,
}

/// How the host of a pool is recognised.
#[derive(Debug, Clone)]
pub(super) struct Tls {
    pub(super) config: Arc<ClientConfig>,
    pub(super) server_name: ServerName<'static>,
}

impl Pool {
    pub(super) fn new(
        base: BaseUrl,
        networks: Networks,
        tls: Option<Tls>,
        connect_timeout: Duration,
        connections_max: usize,
    ) -> Self {
        let slots = Arc::new(Semaphore::new(connections_max.min(Semaphore::MAX_PERMITS)));
        Self { base, networks, tls, connect_timeout, slots, idle: Mutex::default() }
    }

    pub(super) fn base(&self) -> &BaseUrl {
        &self.base
    }

    /// Sends `request`, whose URI is a path and query, and returns the answer as soon as it begins.
    pub(super) async fn send(
        self: &Arc<Self>,
        mut request: Request<RequestBody>,
    ) -> Result<Response<ReceivedBody>, UpstreamError> {
        let slot = timeout(self.connect_timeout, self.slots.clone().acquire_owned()).await;
        let Ok(Ok(slot)) = slot else { return Err(UpstreamError::Busy) };
        request.headers_mut().insert(HOST, self.base.host_header.clone());
        while let Some(mut connection) = self.take_idle() {
            match connection.send(request).await {
                // Closed by the peer while it was idle: nothing was sent, so another one may carry it.
                Err(Failed { unsent: Some(unsent), .. }) => request = *unsent,
                Err(failed) => return Err(UpstreamError::broken_off(failed.source)),
                Ok(response) => return Ok(self.answer(response, connection, slot)),
            }
        }
        let mut connection = timeout(self.connect_timeout, self.dial())
            .await
            .map_err(|_| UpstreamError::Connect { source: std::io::ErrorKind::TimedOut.into() })??;
        let response = connection.send(request).await;
        let response = response.map_err(|failed| UpstreamError::broken_off(failed.source))?;
        Ok(self.answer(response, connection, slot))
    }

    fn answer(
        self: &Arc<Self>,
        response: Response<Incoming>,
        connection: Connection<RequestBody>,
        slot: OwnedSemaphorePermit,
    ) -> Response<ReceivedBody> {
        let exchange = PooledExchange { connection, pool: self.clone(), _slot: slot };
        response.map(|body| ReceivedBody::of_answer(body, None, exchange))
    }

    /// The connection used last: the least likely to be closed.
    fn take_idle(&self) -> Option<Connection<RequestBody>> {
        let mut idle = self.idle.lock().unwrap_or_else(PoisonError::into_inner);
        idle.retain(|idle| idle.since.elapsed() < IDLE_MAX);
        idle.pop().map(|idle| idle.connection)
    }

    async fn dial(&self) -> Result<Connection<RequestBody>, UpstreamError> {
        let stream = self.dial_tcp().await?;
        stream.set_nodelay(true).map_err(|source| UpstreamError::Connect { source })?;
        let opened = match &self.tls {
            None => Connection::open(stream).await,
            Some(tls) => {
                let connector = TlsConnector::from(tls.config.clone());
                let stream = connector.connect(tls.server_name.clone(), stream).await;
                Connection::open(stream.map_err(|source| UpstreamError::Tls { source: source.into() })?).await
            }
        };
        opened.map_err(UpstreamError::broken_off)
    }

    /// Resolves once and dials the very addresses that were judged.
    async fn dial_tcp(&self) -> Result<TcpStream, UpstreamError> {
        let addresses = tokio::net::lookup_host((self.base.host.as_str(), self.base.port))
            .await
            .map_err(|source| UpstreamError::Dns { source })?;
        let mut failure = None;
        for address in addresses {
            if !self.networks.permit(address.ip()) {
                failure.get_or_insert(UpstreamError::AddressRefused { address: address.ip() });
                continue;
            }
            match TcpStream::connect(address).await {
                Ok(stream) => return Ok(stream),
                Err(source) => failure = Some(UpstreamError::Connect { source }),
            }
        }
        Err(failure.unwrap_or(UpstreamError::Dns { source: std::io::ErrorKind::NotFound.into() }))
    }
}

/// A connection whose answer is read, the slot it holds, and where it goes afterwards.
struct PooledExchange {
    connection: Connection<RequestBody>,
    pool: Arc<Pool>,
    _slot: OwnedSemaphorePermit,
}

impl Exchange for PooledExchange {
    fn advance(&mut self, context: &mut Context<'_>) {
        self.connection.advance(context);
    }

    fn end(self: Box<Self>) {
        let Self { connection, pool, .. } = *self;
        if connection.is_open() {
            let idle = Idle { connection, since: Instant::now() };
            pool.idle.lock().unwrap_or_else(PoisonError::into_inner).push(idle);
        }
    }
}
