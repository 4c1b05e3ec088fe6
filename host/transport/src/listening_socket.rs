use std::convert::Infallible;
use std::error::Error;
use std::io;
use std::net::SocketAddr;
use std::pin::pin;
use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use http::{Request, Response};
use hyper::body::{Body, Incoming};
use hyper::server::conn::http1;
use hyper::service::service_fn;
use hyper_util::rt::{TokioIo, TokioTimer};
use serde::Deserialize;
use socket2::SockRef;
use tokio::io::{AsyncRead, AsyncWrite};
use tokio::net::{TcpListener, TcpSocket, TcpStream};
use tokio::sync::{OwnedSemaphorePermit, Semaphore};
use tokio::time::{sleep, timeout};
use tokio_util::sync::CancellationToken;
use tokio_util::task::TaskTracker;
use tracing::{debug, info, warn};
use uuk_process::ErrorChain;

use crate::lingering::Lingering;

/// Request line and headers together; a larger head is answered with 431. Four times what any client here sends.
pub const HEADER_BYTES_MAX: usize = 32 * 1024;

/// What hyper keeps per connection while a large body passes.
pub(crate) const BUFFER_BYTES_MAX: usize = 64 * 1024;

/// Connections the system may hold for us while all of ours are taken.
const BACKLOG_MAX: u32 = 1024;

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

/// A bound socket with bounds on what those may hold who connect to it. Who they are is for its user to find out.
#[derive(Debug)]
pub(crate) struct ListeningSocket {
    socket: TcpListener,
    address: SocketAddr,
    limits: Arc<ListenerLimits>,
    slots: Arc<Semaphore>,
}

impl ListeningSocket {
    pub(crate) fn bind(address: SocketAddr, limits: ListenerLimits) -> io::Result<Self> {
        let socket = bind(address)?;
        let address = socket.local_addr()?;
        let slots = Arc::new(Semaphore::new(limits.connections_max.min(Semaphore::MAX_PERMITS)));
        Ok(Self { socket, address, limits: Arc::new(limits), slots })
    }

    /// Where it listens, with the port the system chose.
    pub(crate) fn address(&self) -> SocketAddr {
        self.address
    }

    /// Serves connections until `stop`, then lets requests in progress finish within `drain_timeout`.
    ///
    /// `handshake` makes of a connection what HTTP goes over, and says who is at the other end; `service` answers each
    /// request of theirs.
    pub(crate) async fn run<H, HF, T, P, S, F, B>(self, handshake: H, service: S, stop: CancellationToken)
    where
        H: Fn(TcpStream, SocketAddr) -> HF,
        HF: Future<Output = io::Result<(T, P)>> + Send + 'static,
        T: AsyncRead + AsyncWrite + Unpin + Send + 'static,
        P: Send + Sync + 'static,
        S: Fn(Request<Incoming>, Arc<P>) -> F + Clone + Send + Sync + 'static,
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
                        limits: self.limits.clone(),
                        // A token of its own: connections that poll a shared one contend for its lock.
                        stop: stop.child_token(),
                        _slot: slot,
                    };
                    match connection.set_up(&stream) {
                        // The handshake is part of serving, with its own deadline: one slow peer delays no other.
                        Ok(()) => {
                            let handshake = handshake(stream, address);
                            connections.spawn(connection.serve(handshake, service.clone()));
                        }
                        Err(error) => {
                            debug!(peer.addr = %address, %error, "Connection from {address} broke off");
                        }
                    }
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

/// One accepted connection, and the slot it holds.
struct Connection {
    address: SocketAddr,
    limits: Arc<ListenerLimits>,
    stop: CancellationToken,
    _slot: OwnedSemaphorePermit,
}

impl Connection {
    fn set_up(&self, stream: &TcpStream) -> io::Result<()> {
        stream.set_nodelay(true)?;
        // The kernel watches for clients that stop reading; a timer of ours would cost every write.
        SockRef::from(stream).set_tcp_user_timeout(Some(self.limits.unread_timeout))
    }

    async fn serve<T, P, S, F, B>(self, handshake: impl Future<Output = io::Result<(T, P)>>, service: S)
    where
        T: AsyncRead + AsyncWrite + Unpin,
        S: Fn(Request<Incoming>, Arc<P>) -> F,
        F: Future<Output = Response<B>>,
        B: Body<Data = Bytes, Error: Into<Box<dyn Error + Send + Sync>>> + 'static,
    {
        let address = self.address;
        let handshake = timeout(self.limits.handshake_timeout, handshake);
        match self.stop.run_until_cancelled(handshake).await {
            None => {}
            Some(Ok(Ok((stream, peer)))) => self.serve_http(stream, Arc::new(peer), service).await,
            Some(Ok(Err(error))) => {
                info!(peer.addr = %address, error = %ErrorChain(&error), "TLS handshake with {address} failed");
            }
            Some(Err(_)) => info!(peer.addr = %address, "TLS handshake with {address} took too long"),
        }
    }

    async fn serve_http<P, S, F, B>(
        self,
        stream: impl AsyncRead + AsyncWrite + Unpin,
        peer: Arc<P>,
        service: S,
    ) where
        S: Fn(Request<Incoming>, Arc<P>) -> F,
        F: Future<Output = Response<B>>,
        B: Body<Data = Bytes, Error: Into<Box<dyn Error + Send + Sync>>> + 'static,
    {
        let service = service_fn(|request| {
            let response = service(request, peer.clone());
            async { Ok::<_, Infallible>(response.await) }
        });
        let connection = http1::Builder::new()
            .timer(TokioTimer::new())
            .header_read_timeout(self.limits.idle_timeout)
            .max_header_size(HEADER_BYTES_MAX)
            .max_buf_size(BUFFER_BYTES_MAX)
            .serve_connection(TokioIo::new(Lingering::new(stream)), service);
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
