use std::error::Error;
use std::fmt;
use std::io;
use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use http::header::{CONTENT_LENGTH, HOST};
use http::{HeaderValue, Request, Response};
use http_body_util::BodyExt;
use hyper::body::Body;
use serde::Deserialize;
use socket2::SockRef;
use tokio::net::TcpStream;
use tokio::sync::{Semaphore, watch};
use tokio::time::{Instant, timeout};

use crate::peer_tls::{Following, PeerCertificates, PeerCiphers, PeerDialer, PeerIdentity};
use crate::received_body::ReceivedBody;
use connection::{PeerConnection, PeerExchange, Unanswered};
use pool::Pool;
use reads_on::ReadsOn;
use routes::{AddressSet, Route, Routes};
use upload::Upload;

mod connection;
mod pool;
mod reads_on;
mod routes;
mod upload;

/// How other security servers are called.
#[derive(Debug, Clone, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct PeerConnectorConfig {
    /// Which servers TLS is to be agreed with: `modern`, or `x-road` if any of them is a stock X-Road server. Default:
    /// `modern`.
    pub ciphers: PeerCiphers,
    /// Waiting for a free connection, reaching an address, and agreeing on TLS take no longer each; X-Road's
    /// `client-timeout`. Default: 30 s.
    #[serde(with = "jiff::fmt::serde::unsigned_duration::friendly::compact::required")]
    pub connect_timeout: Duration,
    /// A server that has the whole request, or is taking it or answering it, pauses no longer; X-Road's
    /// `client-httpclient-timeout`, which has no end there. Default: 5 min.
    #[serde(with = "jiff::fmt::serde::unsigned_duration::friendly::compact::required")]
    pub response_timeout: Duration,
    /// A connection that was idle for longer is not used again. Shorter than the other side keeps it. Default: 30 s.
    #[serde(with = "jiff::fmt::serde::unsigned_duration::friendly::compact::required")]
    pub idle_timeout: Duration,
    /// Requests in progress at once. Default: 1024.
    pub connections_max: usize,
}

impl Default for PeerConnectorConfig {
    fn default() -> Self {
        Self {
            ciphers: PeerCiphers::default(),
            connect_timeout: Duration::from_secs(30),
            response_timeout: Duration::from_secs(300),
            idle_timeout: Duration::from_secs(30),
            connections_max: 1024,
        }
    }
}

/// Where a security server listens.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct PeerAddress {
    /// A name, or an IP address without brackets.
    pub host: String,
    /// X-Road's servers listen on 5500.
    pub port: u16,
}

impl fmt::Display for PeerAddress {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { host, port } = self;
        if host.contains(':') { write!(f, "[{host}]:{port}") } else { write!(f, "{host}:{port}") }
    }
}

/// Whom a request goes to.
#[derive(Debug, Clone, Copy)]
pub struct Destination<'d> {
    /// The servers that may answer it. Any of them will do.
    pub addresses: &'d [PeerAddress],
    /// Whom they answer for. What is verified of a server is verified for one provider; for another one it is
    /// verified again.
    pub provider: &'d str,
}

/// Why a request to another security server brought no answer.
#[derive(Debug, thiserror::Error, strum::IntoStaticStr)]
#[strum(serialize_all = "snake_case", prefix = "peer.")]
#[non_exhaustive]
pub enum PeerError<E: Error + 'static> {
    /// All connections were in use for `connect_timeout`.
    #[error("all connections to other servers are in use")]
    Busy,
    /// This server has no authentication key in use.
    #[error("this server has no identity to show")]
    NoIdentity,
    /// No server answers for the provider.
    #[error("there is no server to send to")]
    NoAddress,
    /// The name does not resolve.
    #[error("cannot resolve {address}")]
    Resolve {
        /// Of the server tried last.
        address: PeerAddress,
        /// Why.
        #[source]
        source: io::Error,
    },
    /// Nobody answers at the address.
    #[error("cannot connect to {address}")]
    Connect {
        /// Of the server tried last.
        address: PeerAddress,
        /// Why.
        #[source]
        source: io::Error,
    },
    /// The handshake failed: it refuses our certificate, shows none, or offers no version or suite of ours.
    #[error("cannot agree on TLS with {address}")]
    Tls {
        /// Of the server tried last.
        address: PeerAddress,
        /// Why.
        #[source]
        source: Box<dyn Error + Send + Sync>,
    },
    /// The server's certificate is not one to send this request to.
    #[error("the certificate of {address} is refused")]
    Untrusted {
        /// Of the server tried last.
        address: PeerAddress,
        /// Why.
        #[source]
        source: E,
    },
    /// The request's own body broke off.
    #[error("the body of the request broke off")]
    Request {
        /// Why.
        #[source]
        source: hyper::Error,
    },
    /// For `response_timeout` it neither took more of the request nor, having all of it, answered.
    #[error("{address} did not answer in time")]
    Slow {
        /// Of the server.
        address: PeerAddress,
    },
    /// Status line and headers of the answer are too large.
    #[error("the headers of the answer of {address} are too large")]
    HeaderTooLarge {
        /// Of the server.
        address: PeerAddress,
    },
    /// The answer broke off or is not HTTP.
    #[error("the exchange with {address} broke off")]
    Protocol {
        /// Of the server.
        address: PeerAddress,
        /// Why.
        #[source]
        source: hyper::Error,
    },
}

impl<E: Error + 'static> PeerError<E> {
    /// Stable code, such as `peer.untrusted`.
    pub fn code(&self) -> &'static str {
        self.into()
    }

    /// X-Road's code for it.
    pub fn xroad_code(&self) -> &'static str {
        match self {
            Self::NoIdentity | Self::Tls { .. } | Self::Untrusted { .. } => "ssl_authentication_failed",
            Self::NoAddress => "unknown_member",
            Self::Resolve { .. } | Self::Connect { .. } | Self::Busy => "network_error",
            Self::Request { .. } | Self::Slow { .. } | Self::Protocol { .. } => "io_error",
            Self::HeaderTooLarge { .. } => "http_error",
        }
    }
}

/// Calls other security servers: chooses among the addresses of a provider, keeps connections for reuse, and sends
/// nothing before it was told whom the server's certificate belongs to.
#[derive(Debug)]
pub struct PeerConnector {
    config: PeerConnectorConfig,
    dialer: Following<PeerDialer>,
    routes: Routes,
    pool: Arc<Pool>,
    slots: Arc<Semaphore>,
}

impl PeerConnector {
    /// A connector that shows `identity`; while there is none, it sends nothing.
    pub fn new(config: PeerConnectorConfig, identity: watch::Receiver<Option<Arc<PeerIdentity>>>) -> Self {
        let ciphers = config.ciphers;
        let dialer = Following::new(identity, move |identity| PeerDialer::new(identity, ciphers));
        let pool = Arc::new(Pool::new(config.idle_timeout));
        let slots = Arc::new(Semaphore::new(config.connections_max.min(Semaphore::MAX_PERMITS)));
        Self { config, dialer, routes: Routes::default(), pool, slots }
    }

    /// Sends `request`, whose body is taken as fast as the server reads it, and returns its answer as soon as that
    /// begins, which may be before the request was sent to its end.
    ///
    /// `verify` decides about a server before anything is sent to it: after the handshake, and again when a connection
    /// that was verified a minute ago is reused. If it refuses, or nobody agrees on TLS, the next address is tried.
    ///
    /// A request is sent once: another connection is tried only if no byte of it was written to the first.
    ///
    /// # Errors
    /// [`PeerError`], of the address tried last.
    ///
    /// # Cancellation
    /// Dropping the future, or the body of the answer before its end, closes the connection.
    pub async fn send<B, V, F, E>(
        &self,
        destination: Destination<'_>,
        verify: V,
        request: Request<B>,
    ) -> Result<Response<ReceivedBody>, PeerError<E>>
    where
        B: Body<Data = Bytes, Error: Into<Box<dyn Error + Send + Sync>>> + Send + 'static,
        V: Fn(PeerCertificates, PeerAddress) -> F,
        F: Future<Output = Result<(), E>>,
        E: Error + 'static,
    {
        let slot = timeout(self.config.connect_timeout, self.slots.clone().acquire_owned()).await;
        let Ok(Ok(slot)) = slot else { return Err(PeerError::Busy) };
        let addresses = AddressSet::new(destination.addresses);
        let mut request = prepare(request, &addresses);
        let mut route = Route::new(addresses.clone(), self.config.connect_timeout);
        let mut failure = PeerError::NoAddress;
        loop {
            let (identity, dialer) = self.dialer.current().ok_or(PeerError::NoIdentity)?;
            let reused = self.pool.take(&addresses, &identity);
            let is_new = reused.is_none();
            let mut connection = match reused {
                Some(connection) => connection,
                None if route.is_exhausted() => return Err(failure),
                None => match self.open(&mut route, dialer, identity).await {
                    Ok(connection) => connection,
                    Err(error) => {
                        failure = error;
                        continue;
                    }
                },
            };
            let address = connection.address.clone();
            if !connection.verified.holds_for(destination.provider, Instant::now()) {
                if let Err(source) = verify(connection.certificates.clone(), address.clone()).await {
                    self.routes.set_aside(&mut route, &address);
                    failure = PeerError::Untrusted { address, source };
                    continue;
                }
                connection.verified.insert(destination.provider, Instant::now());
            }
            let sent = request.body().ended();
            match connection.send(request, self.config.response_timeout).await {
                Ok(response) => {
                    let pool = self.pool.clone();
                    let exchange = PeerExchange { connection, sent, pool, addresses, slot };
                    let pause_max = Some(self.config.response_timeout);
                    return Ok(response.map(|body| ReceivedBody::of_answer(body, pause_max, exchange)));
                }
                // Closed by the server before: another one may carry the request.
                Err(Unanswered { unsent: Some(unsent), error }) => {
                    request = *unsent;
                    if is_new {
                        self.routes.set_aside(&mut route, &address);
                        failure = error;
                    }
                }
                Err(unanswered) => return Err(unanswered.error),
            }
        }
    }

    /// Connects to one address of `route`, and takes from it those that failed.
    async fn open<E: Error + 'static>(
        &self,
        route: &mut Route,
        dialer: PeerDialer,
        identity: Arc<PeerIdentity>,
    ) -> Result<PeerConnection, PeerError<E>> {
        let (stream, address) = self.routes.connect(route).await?;
        let socket = Arc::new(stream);
        let handshake = async {
            self.set_up(&socket)?;
            dialer.connect(ReadsOn::new(socket.clone())).await
        };
        let handshake = timeout(self.config.connect_timeout, handshake);
        let opened = match handshake.await.unwrap_or(Err(io::ErrorKind::TimedOut.into())) {
            Ok((stream, certificates)) => {
                PeerConnection::open(stream, socket.clone(), certificates, address.clone(), identity).await
            }
            Err(source) => Err(PeerError::Tls { address: address.clone(), source: source.into() }),
        };
        if opened.is_err() {
            self.routes.set_aside(route, &address);
        }
        opened
    }

    fn set_up(&self, stream: &TcpStream) -> io::Result<()> {
        stream.set_nodelay(true)?;
        // The kernel watches for servers that stop reading; a timer of ours would cost every write.
        SockRef::from(stream).set_tcp_user_timeout(Some(self.config.response_timeout))
    }
}

/// Says `Host` as X-Road does, and leaves the length of the body open: it is always sent in chunks.
fn prepare<B>(request: Request<B>, addresses: &AddressSet) -> Request<Upload>
where
    B: Body<Data = Bytes, Error: Into<Box<dyn Error + Send + Sync>>> + Send + 'static,
{
    let mut request = request.map(|body| Upload::new(body.map_err(Into::into).boxed_unsync()));
    let host = addresses.only().and_then(|address| HeaderValue::try_from(address.to_string()).ok());
    request.headers_mut().remove(CONTENT_LENGTH);
    request.headers_mut().insert(HOST, host.unwrap_or(HeaderValue::from_static("localhost:5500")));
    request
}
