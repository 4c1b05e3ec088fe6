use std::error::Error;
use std::io;
use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use http::{Request, Response};
use hyper::body::Body;
use serde::Deserialize;
use tokio::sync::watch;
use tokio_util::sync::CancellationToken;

use crate::listener::ListenerError;
use crate::listening_socket::{ListenerLimits, ListeningSocket};
use crate::peer_tls::{Admit, Following, PeerAcceptor, PeerCertificates, PeerCiphers, PeerIdentity};
use crate::received_body::ReceivedBody;

/// Where other security servers connect.
#[derive(Debug, Clone, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct PeerListenerConfig {
    /// Address and port; port 0 lets the system choose. Other security servers expect port 5500. Default:
    /// `127.0.0.1:5500`.
    pub address: SocketAddr,
    /// Which servers TLS is to be agreed with: `modern`, or `x-road` if any of them is a stock X-Road server. Default:
    /// `modern`.
    pub ciphers: PeerCiphers,
    /// Bounds on what they may hold. A pause of `idle_timeout` within a request's body ends it, too.
    pub limits: ListenerLimits,
}

impl Default for PeerListenerConfig {
    fn default() -> Self {
        Self {
            address: SocketAddr::from(([127, 0, 0, 1], 5500)),
            ciphers: PeerCiphers::default(),
            limits: ListenerLimits::default(),
        }
    }
}

/// The security server at the other end of a connection, as far as the connection itself proves it.
#[derive(Debug, Clone)]
pub struct ServerPeer {
    /// Where the connection comes from.
    pub address: SocketAddr,
    /// The certificates it sent; the first is one that the listener admitted.
    pub certificates: PeerCertificates,
}

/// The socket that other security servers connect to, with TLS in both directions.
#[derive(Debug)]
pub struct PeerListener {
    socket: ListeningSocket,
    acceptor: Following<PeerAcceptor>,
    pause_max: Duration,
}

impl PeerListener {
    /// Binds. Call it within a tokio runtime.
    ///
    /// While there is no identity, no handshake succeeds; a new one counts from the next handshake on. `admit` is asked
    /// in each handshake, and must answer at once.
    ///
    /// # Errors
    /// [`ListenerError::Bind`].
    pub fn bind(
        config: PeerListenerConfig,
        identity: watch::Receiver<Option<Arc<PeerIdentity>>>,
        admit: Admit,
    ) -> Result<Self, ListenerError> {
        let PeerListenerConfig { address, ciphers, limits } = config;
        let pause_max = limits.idle_timeout;
        let socket = ListeningSocket::bind(address, limits)
            .map_err(|source| ListenerError::Bind { address, source })?;
        let acceptor = Following::new(identity, move |identity| PeerAcceptor::new(identity, ciphers, &admit));
        Ok(Self { socket, acceptor, pause_max })
    }

    /// Where it listens, with the port the system chose.
    pub fn address(&self) -> SocketAddr {
        self.socket.address()
    }

    /// Serves connections until `stop`, then lets requests in progress finish within `drain_timeout`.
    ///
    /// `service` answers each request. It may be dropped at any await when the peer goes away.
    pub async fn run<S, F, B>(self, service: S, stop: CancellationToken)
    where
        S: Fn(Request<ReceivedBody>, Arc<ServerPeer>) -> F + Clone + Send + Sync + 'static,
        F: Future<Output = Response<B>> + Send + 'static,
        B: Body<Data = Bytes, Error: Into<Box<dyn Error + Send + Sync>>> + Send + 'static,
    {
        let Self { socket, acceptor, pause_max } = self;
        let handshake = |stream, address| {
            let acceptor = acceptor.current();
            async move {
                let (_, acceptor) =
                    acceptor.ok_or_else(|| io::Error::other("this server has no identity yet"))?;
                let (stream, certificates) = acceptor.accept(stream).await?;
                Ok((stream, ServerPeer { address, certificates }))
            }
        };
        let service = move |request: Request<_>, peer| {
            service(request.map(|body| ReceivedBody::of_request(body, pause_max)), peer)
        };
        socket.run(handshake, service, stop).await;
    }
}
