use std::future::pending;
use std::pin::Pin;
use std::sync::{Arc, Mutex, PoisonError};
use std::task::Context;
use std::time::{Duration, Instant};

use http::header::HOST;
use http::{Request, Response};
use hyper::body::Incoming;
use hyper::client::conn::http1::{self, SendRequest};
use hyper_util::rt::TokioIo;
use rustls::ClientConfig;
use rustls_pki_types::ServerName;
use tokio::io::{AsyncRead, AsyncWrite};
use tokio::net::TcpStream;
use tokio::sync::{OwnedSemaphorePermit, Semaphore};
use tokio::time::timeout;
use tokio_rustls::TlsConnector;

use super::base_url::BaseUrl;
use super::networks::Networks;
use super::{RequestBody, UpstreamBody, UpstreamError};
use crate::listening_socket::HEADER_BYTES_MAX;

/// An idle connection older than this is not worth trying: peers close theirs after a minute or so.
const IDLE_MAX: Duration = Duration::from_secs(30);

/// The connections to one host, reused one request after the other.
///
/// A connection is driven by the call that uses it, then by whoever reads the answer, and by nobody while idle: there is
/// no task to own or to stop, and dropping a call or an answer closes its connection.
#[derive(Debug)]
pub(super) struct Pool {
    base: BaseUrl,
    networks: Networks,
    tls: Option<Tls>,
    connect_timeout: Duration,
    slots: Arc<Semaphore>,
    idle: Mutex<Vec<Connection>>,
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
    ) -> Result<Response<UpstreamBody>, UpstreamError> {
        let slot = timeout(self.connect_timeout, self.slots.clone().acquire_owned()).await;
        let Ok(Ok(slot)) = slot else { return Err(UpstreamError::Busy) };
        request.headers_mut().insert(HOST, self.base.host_header.clone());
        while let Some(connection) = self.take_idle() {
            match connection.send(request).await {
                // Closed by the peer while it was idle: nothing was sent, so another one may carry it.
                Err(Failed { unsent: Some(unsent), .. }) => request = *unsent,
                Err(failed) => return Err(failed.error),
                Ok(answered) => return Ok(self.answer(answered, slot)),
            }
        }
        let connection = timeout(self.connect_timeout, self.dial())
            .await
            .map_err(|_| UpstreamError::Connect { source: std::io::ErrorKind::TimedOut.into() })??;
        let answered = connection.send(request).await.map_err(|failed| failed.error)?;
        Ok(self.answer(answered, slot))
    }

    fn answer(
        self: &Arc<Self>,
        (response, connection): (Response<Incoming>, Connection),
        slot: OwnedSemaphorePermit,
    ) -> Response<UpstreamBody> {
        let exchange = Exchange { connection, pool: self.clone(), _slot: slot };
        response.map(|body| UpstreamBody::new(body, exchange))
    }

    /// The connection used last: the least likely to be closed.
    fn take_idle(&self) -> Option<Connection> {
        let mut idle = self.idle.lock().unwrap_or_else(PoisonError::into_inner);
        idle.retain(|connection| connection.idle_since.elapsed() < IDLE_MAX);
        idle.pop()
    }

    async fn dial(&self) -> Result<Connection, UpstreamError> {
        let stream = self.dial_tcp().await?;
        stream.set_nodelay(true).map_err(|source| UpstreamError::Connect { source })?;
        let Some(tls) = &self.tls else { return Connection::open(stream).await };
        let connector = TlsConnector::from(tls.config.clone());
        let stream = connector
            .connect(tls.server_name.clone(), stream)
            .await
            .map_err(|source| UpstreamError::Tls { source: source.into() })?;
        Connection::open(stream).await
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

/// One connection: hyper's handle, and the work behind it for as long as there is any.
struct Connection {
    sender: SendRequest<RequestBody>,
    driver: Option<Pin<Box<dyn Future<Output = hyper::Result<()>> + Send>>>,
    idle_since: Instant,
}

/// Why an exchange failed, with the request if no byte of it was sent.
struct Failed {
    error: UpstreamError,
    unsent: Option<Box<Request<RequestBody>>>,
}

impl Connection {
    async fn open(
        stream: impl AsyncRead + AsyncWrite + Unpin + Send + 'static,
    ) -> Result<Self, UpstreamError> {
        let (sender, driver) = http1::Builder::new()
            .max_header_size(HEADER_BYTES_MAX)
            .handshake(TokioIo::new(stream))
            .await
            .map_err(UpstreamError::broken_off)?;
        Ok(Self { sender, driver: Some(Box::pin(driver)), idle_since: Instant::now() })
    }

    fn is_open(&self) -> bool {
        self.driver.is_some() && !self.sender.is_closed()
    }

    /// Sends `request` and waits until an answer begins.
    async fn send(mut self, request: Request<RequestBody>) -> Result<(Response<Incoming>, Self), Failed> {
        let Self { sender, driver, .. } = &mut self;
        let exchange = async {
            if let Err(source) = sender.ready().await {
                let error = UpstreamError::broken_off(source);
                return Err(Failed { error, unsent: Some(Box::new(request)) });
            }
            sender.try_send_request(request).await.map_err(|mut failed| {
                let unsent = failed.take_message().map(Box::new);
                Failed { error: UpstreamError::broken_off(failed.into_error()), unsent }
            })
        };
        let work = async {
            if let Some(connection) = driver.as_mut() {
                // How it ended reaches the exchange through its handle.
                let _ = connection.await;
                *driver = None;
            }
            pending().await
        };
        let response = tokio::select! {
            outcome = exchange => outcome?,
            outcome = work => outcome,
        };
        Ok((response, self))
    }
}

/// A connection whose answer is read, the slot it holds, and where it goes afterwards.
pub(super) struct Exchange {
    connection: Connection,
    pool: Arc<Pool>,
    _slot: OwnedSemaphorePermit,
}

impl Exchange {
    /// Moves what is to be sent and read.
    pub(super) fn advance(&mut self, context: &mut Context<'_>) {
        let driver = &mut self.connection.driver;
        if driver.as_mut().is_some_and(|driver| driver.as_mut().poll(context).is_ready()) {
            *driver = None;
        }
    }

    /// The answer was read to its end: the connection may carry another.
    pub(super) fn end(self) {
        let Self { mut connection, pool, .. } = self;
        if connection.is_open() {
            connection.idle_since = Instant::now();
            pool.idle.lock().unwrap_or_else(PoisonError::into_inner).push(connection);
        }
    }
}

impl std::fmt::Debug for Connection {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Connection").field("open", &self.is_open()).finish_non_exhaustive()
    }
}

impl std::fmt::Debug for Exchange {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Exchange").field("connection", &self.connection).finish_non_exhaustive()
    }
}
