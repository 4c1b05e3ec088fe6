use std::convert::Infallible;
use std::error::Error;
use std::io;
use std::net::SocketAddr;
use std::path::{Path, PathBuf};
use std::pin::pin;
use std::sync::Arc;
use std::time::Duration;

use arc_swap::ArcSwap;
use bytes::Bytes;
use http::{Request, Response};
use hyper::body::{Body, Incoming};
use hyper::server::conn::http1;
use hyper::service::service_fn;
use hyper_util::rt::{TokioIo, TokioTimer};
use rustls::ServerConfig;
use serde::Deserialize;
use socket2::SockRef;
use tokio::io::{AsyncRead, AsyncWrite};
use tokio::net::{TcpListener, TcpSocket, TcpStream};
use tokio::sync::{OwnedSemaphorePermit, Semaphore};
use tokio::time::{sleep, timeout};
use tokio_rustls::{TlsAcceptor, server::TlsStream};
use tokio_util::sync::CancellationToken;
use tokio_util::task::TaskTracker;
use tracing::{debug, info, warn};
use uuk_process::ErrorChain;

use crate::peer::{ClientCertificate, Peer};
use crate::tls::{self, ClientTrust, IdentityFiles, TlsError};

/// Request line and headers together; a larger head is answered with 431. Four times what any client here sends.
pub const HEADER_BYTES_MAX: usize = 32 * 1024;

/// What hyper keeps per connection while a large body passes.
const BUFFER_BYTES_MAX: usize = 64 * 1024;

/// Connections the system may hold for us while all of ours are taken.
const BACKLOG_MAX: u32 = 1024;

/// A section `[listener]`: where clients connect, and how they show who they are.
#[derive(Debug, Clone, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct ListenerConfig {
    /// Address and port; port 0 lets the system choose.
    pub address: SocketAddr,
    /// How clients show who they are. Default: `certificate`.
    #[serde(default)]
    pub authentication: ClientAuthentication,
    /// Certificate and key of this server; needed unless `authentication` is `none`.
    #[serde(default)]
    pub identity: Option<IdentityFiles>,
    /// PEM files of the client certificates admitted one by one.
    #[serde(default)]
    pub client_certificates: Vec<PathBuf>,
    /// PEM files of authorities; a client certificate that leads to one is admitted.
    #[serde(default)]
    pub client_authorities: Vec<PathBuf>,
    /// Bounds on what clients may hold.
    #[serde(default)]
    pub limits: ListenerLimits,
}

impl ListenerConfig {
    /// Makes the files it names relative to `folder`, where it was read.
    pub fn resolve(&mut self, folder: &Path) {
        if let Some(identity) = &mut self.identity {
            identity.resolve(folder);
        }
        for file in self.client_certificates.iter_mut().chain(&mut self.client_authorities) {
            *file = folder.join(&*file);
        }
    }
}

/// How clients show who they are.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum ClientAuthentication {
    /// TLS, with a client certificate that is registered or leads to an authority.
    #[default]
    Certificate,
    /// TLS of the server only: anyone may connect.
    Tls,
    /// Plain HTTP, on loopback addresses only.
    None,
}

/// Bounds on what clients may hold.
#[derive(Debug, Clone, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct ListenerLimits {
    /// Open connections; further ones wait until one closes. Default: 1024.
    pub connections_max: usize,
    /// A TLS handshake takes no longer. Default: 10 s.
    #[serde(with = "jiff::fmt::serde::unsigned_duration::friendly::compact::required")]
    pub handshake_timeout: Duration,
    /// A connection that has sent no whole request head this long after it was opened or last answered is closed.
    /// One limit for idle and for slow clients, because what each may hold is the same. Default: 60 s.
    #[serde(with = "jiff::fmt::serde::unsigned_duration::friendly::compact::required")]
    pub idle_timeout: Duration,
    /// A client that takes none of its answer for this long loses the connection. Default: 30 s.
    #[serde(with = "jiff::fmt::serde::unsigned_duration::friendly::compact::required")]
    pub unread_timeout: Duration,
    /// Requests in progress when the listener stops may take this long to finish. Default: 30 s.
    #[serde(with = "jiff::fmt::serde::unsigned_duration::friendly::compact::required")]
    pub drain_timeout: Duration,
}

impl Default for ListenerLimits {
    fn default() -> Self {
        Self {
            connections_max: 1024,
            handshake_timeout: Duration::from_secs(10),
            idle_timeout: Duration::from_secs(60),
            unread_timeout: Duration::from_secs(30),
            drain_timeout: Duration::from_secs(30),
        }
    }
}

/// Why a listener was not set up.
#[derive(Debug, thiserror::Error, strum::IntoStaticStr)]
#[strum(serialize_all = "snake_case", prefix = "listener.")]
#[non_exhaustive]
pub enum ListenerError {
    /// Plain HTTP would let anyone on the network read requests and send their own.
    #[error("plain HTTP is served on loopback addresses only, not on {address}")]
    PlainOffLoopback {
        /// The address asked for.
        address: SocketAddr,
    },
    /// TLS needs a certificate and key.
    #[error("listener {address} has no `identity`, which TLS needs")]
    NoIdentity {
        /// The address asked for.
        address: SocketAddr,
    },
    /// Without one, nobody could connect.
    #[error("listener {address} names neither `client_certificates` nor `client_authorities`")]
    NoClients {
        /// The address asked for.
        address: SocketAddr,
    },
    /// A certificate or key cannot be used.
    #[error("cannot set up TLS for listener {address}")]
    Tls {
        /// The address asked for.
        address: SocketAddr,
        /// Why.
        #[source]
        source: TlsError,
    },
    /// The address is taken, not ours, or not permitted.
    #[error("cannot listen on {address}")]
    Bind {
        /// The address asked for.
        address: SocketAddr,
        /// Why.
        #[source]
        source: io::Error,
    },
}

impl ListenerError {
    /// Stable code, such as `listener.plain_off_loopback`.
    pub fn code(&self) -> &'static str {
        self.into()
    }
}

/// A bound socket whose TLS is ready; it accepts nobody before [`Listener::run`].
#[derive(Debug)]
pub struct Listener {
    socket: TcpListener,
    address: SocketAddr,
    tls: Option<ListenerTls>,
    limits: Arc<ListenerLimits>,
    slots: Arc<Semaphore>,
}

impl Listener {
    /// Reads certificates and binds. Call it within a tokio runtime.
    ///
    /// # Errors
    /// [`ListenerError`], whose every variant names the address.
    pub fn bind(config: ListenerConfig) -> Result<Self, ListenerError> {
        let ListenerConfig { address, authentication, .. } = config;
        let limits = Arc::new(config.limits.clone());
        let tls = match authentication {
            ClientAuthentication::None if address.ip().to_canonical().is_loopback() => None,
            ClientAuthentication::None => return Err(ListenerError::PlainOffLoopback { address }),
            ClientAuthentication::Certificate | ClientAuthentication::Tls => {
                Some(ListenerTls::build(config)?)
            }
        };
        let socket = bind(address).map_err(|source| ListenerError::Bind { address, source })?;
        let address = socket.local_addr().map_err(|source| ListenerError::Bind { address, source })?;
        let slots = Arc::new(Semaphore::new(limits.connections_max.min(Semaphore::MAX_PERMITS)));
        Ok(Self { socket, address, tls, limits, slots })
    }

    /// Where it listens, with the port the system chose.
    pub fn address(&self) -> SocketAddr {
        self.address
    }

    /// A handle by which certificates are reloaded while the listener runs; absent for plain HTTP.
    pub fn tls(&self) -> Option<ListenerTls> {
        self.tls.clone()
    }

    /// Serves connections until `stop`, then lets requests in progress finish within `drain_timeout`.
    ///
    /// `service` answers each request. It may be dropped at any await when the client goes away.
    pub async fn run<S, F, B>(self, service: S, stop: CancellationToken)
    where
        S: Fn(Request<Incoming>, Arc<Peer>) -> F + Clone + Send + Sync + 'static,
        F: Future<Output = Response<B>> + Send + 'static,
        B: Body<Data = Bytes, Error: Into<Box<dyn Error + Send + Sync>>> + Send + 'static,
    {
        let connections = TaskTracker::new();
        while let Some(Ok(slot)) = stop.run_until_cancelled(self.slots.clone().acquire_owned()).await {
            match stop.run_until_cancelled(self.socket.accept()).await {
                None => break,
                Some(Ok((stream, address))) => {
                    let connection = Connection {
                        address,
                        tls: self.tls.as_ref().map(ListenerTls::acceptor),
                        limits: self.limits.clone(),
                        // A token of its own: connections that poll a shared one contend for its lock.
                        stop: stop.child_token(),
                        _slot: slot,
                    };
                    // The handshake is part of serving, with its own deadline: one slow peer delays no other.
                    connections.spawn(connection.serve(stream, service.clone()));
                }
                Some(Err(error)) => pause_after(&error).await,
            }
        }
        // Whoever connects from now on is refused at once instead of waiting for nobody.
        drop(self.socket);
        connections.close();
        connections.wait().await;
    }
}

/// The certificates of a listener: its own, and those of its clients.
#[derive(Debug, Clone)]
pub struct ListenerTls {
    files: Arc<ListenerConfig>,
    current: Arc<ArcSwap<ServerConfig>>,
}

impl ListenerTls {
    fn build(files: ListenerConfig) -> Result<Self, ListenerError> {
        let current = Arc::new(ArcSwap::from_pointee(Self::read(&files)?));
        Ok(Self { files: Arc::new(files), current })
    }

    /// Reads the files again; connections opened from now on see what they say, open ones stay as they are.
    ///
    /// # Errors
    /// [`ListenerError`]; what was in force stays in force.
    pub fn reload(&self) -> Result<(), ListenerError> {
        // Sessions to resume belong to the replaced configuration and go with it, so no client that was removed
        // comes back by resuming.
        self.current.store(Arc::new(Self::read(&self.files)?));
        Ok(())
    }

    /// Admits these client certificates in place of those named before, as [`ListenerTls::reload`] does.
    ///
    /// # Errors
    /// [`ListenerError`]; what was in force stays in force.
    pub fn admit(&self, client_certificates: Vec<PathBuf>) -> Result<(), ListenerError> {
        let files = ListenerConfig { client_certificates, ..ListenerConfig::clone(&self.files) };
        self.current.store(Arc::new(Self::read(&files)?));
        Ok(())
    }

    fn read(files: &ListenerConfig) -> Result<ServerConfig, ListenerError> {
        let address = files.address;
        let unusable = |source| ListenerError::Tls { address, source };
        let identity = files.identity.as_ref().ok_or(ListenerError::NoIdentity { address })?;
        let clients = match files.authentication {
            ClientAuthentication::Certificate => {
                if files.client_certificates.is_empty() && files.client_authorities.is_empty() {
                    return Err(ListenerError::NoClients { address });
                }
                let trust = ClientTrust::read(&files.client_certificates, &files.client_authorities);
                Some(trust.map_err(unusable)?)
            }
            ClientAuthentication::Tls | ClientAuthentication::None => None,
        };
        tls::server_config(identity, clients).map_err(unusable)
    }

    fn acceptor(&self) -> TlsAcceptor {
        TlsAcceptor::from(self.current.load_full())
    }
}

/// One accepted connection, and the slot it holds.
struct Connection {
    address: SocketAddr,
    tls: Option<TlsAcceptor>,
    limits: Arc<ListenerLimits>,
    stop: CancellationToken,
    _slot: OwnedSemaphorePermit,
}

impl Connection {
    async fn serve<S, F, B>(mut self, stream: TcpStream, service: S)
    where
        S: Fn(Request<Incoming>, Arc<Peer>) -> F,
        F: Future<Output = Response<B>>,
        B: Body<Data = Bytes, Error: Into<Box<dyn Error + Send + Sync>>> + 'static,
    {
        if let Err(error) = self.set_up(&stream) {
            debug!(peer.addr = %self.address, %error, "Connection from {} broke off", self.address);
            return;
        }
        let Some(tls) = self.tls.take() else { return self.serve_http(stream, None, service).await };
        if let Some((stream, certificate)) = self.handshake(tls, stream).await {
            self.serve_http(stream, certificate, service).await;
        }
    }

    fn set_up(&self, stream: &TcpStream) -> io::Result<()> {
        stream.set_nodelay(true)?;
        // The kernel watches for clients that stop reading; a timer of ours would cost every write.
        SockRef::from(stream).set_tcp_user_timeout(Some(self.limits.unread_timeout))
    }

    async fn handshake(
        &self,
        tls: TlsAcceptor,
        stream: TcpStream,
    ) -> Option<(TlsStream<TcpStream>, Option<ClientCertificate>)> {
        let address = self.address;
        let handshake = timeout(self.limits.handshake_timeout, tls.accept(stream));
        match self.stop.run_until_cancelled(handshake).await? {
            Ok(Ok(stream)) => {
                let certificates = stream.get_ref().1.peer_certificates();
                let certificate = certificates.and_then(|chain| chain.first()).cloned();
                Some((stream, certificate.map(ClientCertificate::new)))
            }
            Ok(Err(error)) => {
                info!(peer.addr = %address, error = %ErrorChain(&error), "TLS handshake with {address} failed");
                None
            }
            Err(_) => {
                info!(peer.addr = %address, "TLS handshake with {address} took too long");
                None
            }
        }
    }

    async fn serve_http<S, F, B>(
        self,
        stream: impl AsyncRead + AsyncWrite + Unpin,
        certificate: Option<ClientCertificate>,
        service: S,
    ) where
        S: Fn(Request<Incoming>, Arc<Peer>) -> F,
        F: Future<Output = Response<B>>,
        B: Body<Data = Bytes, Error: Into<Box<dyn Error + Send + Sync>>> + 'static,
    {
        let peer = Arc::new(Peer { address: self.address, certificate });
        let service = service_fn(|request| {
            let response = service(request, peer.clone());
            async { Ok::<_, Infallible>(response.await) }
        });
        let connection = http1::Builder::new()
            .timer(TokioTimer::new())
            .header_read_timeout(self.limits.idle_timeout)
            .max_header_size(HEADER_BYTES_MAX)
            .max_buf_size(BUFFER_BYTES_MAX)
            .serve_connection(TokioIo::new(stream), service);
        let mut connection = pin!(connection);
        let served = match self.stop.run_until_cancelled(connection.as_mut()).await {
            Some(served) => served,
            None => {
                connection.as_mut().graceful_shutdown();
                match timeout(self.limits.drain_timeout, connection).await {
                    Ok(served) => served,
                    Err(_) => {
                        let address = self.address;
                        warn!(peer.addr = %address, "Request of {address} was cut off: still running at the end");
                        return;
                    }
                }
            }
        };
        if let Err(error) = served {
            let address = self.address;
            debug!(peer.addr = %address, error = %ErrorChain(&error), "Connection from {address} broke off");
        }
    }
}

fn bind(address: SocketAddr) -> io::Result<TcpListener> {
    let socket = if address.is_ipv4() { TcpSocket::new_v4() } else { TcpSocket::new_v6() }?;
    // Otherwise a restart would fail for a minute while connections of the last run linger.
    socket.set_reuseaddr(true)?;
    socket.bind(address)?;
    socket.listen(BACKLOG_MAX)
}

/// Running out of descriptors passes; stopping because of it would not.
async fn pause_after(error: &io::Error) {
    match error.kind() {
        // Only the one connection failed.
        io::ErrorKind::ConnectionAborted | io::ErrorKind::ConnectionReset => {}
        _ => {
            warn!(%error, "Cannot accept connections for now");
            sleep(Duration::from_millis(100)).await;
        }
    }
}
