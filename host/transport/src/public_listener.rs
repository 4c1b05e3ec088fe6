use std::error::Error;
use std::future::ready;
use std::net::SocketAddr;
use std::sync::Arc;

use bytes::Bytes;
use http::{Request, Response};
use hyper::body::{Body, Incoming};
use serde::Deserialize;
use tokio_util::sync::CancellationToken;

use crate::listener::ListenerError;
use crate::listening_socket::{ListenerLimits, ListeningSocket};

/// Where anyone may ask for what proves itself.
#[derive(Debug, Clone, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct PublicListenerConfig {
    /// Address and port; port 0 lets the system choose. Other security servers expect port 5577. Default:
    /// `127.0.0.1:5577`.
    pub address: SocketAddr,
    /// Bounds on what clients may hold.
    pub limits: ListenerLimits,
}

impl Default for PublicListenerConfig {
    fn default() -> Self {
        Self { address: SocketAddr::from(([127, 0, 0, 1], 5577)), limits: ListenerLimits::default() }
    }
}

/// A socket for plain HTTP with anyone, off loopback too: for answers that are signed and no secret, such as OCSP's.
/// Everything else belongs to [`Listener`](crate::Listener).
#[derive(Debug)]
pub struct PublicListener(ListeningSocket);

impl PublicListener {
    /// Binds. Call it within a tokio runtime.
    ///
    /// # Errors
    /// [`ListenerError::Bind`].
    pub fn bind(config: PublicListenerConfig) -> Result<Self, ListenerError> {
        let PublicListenerConfig { address, limits } = config;
        let socket = ListeningSocket::bind(address, limits);
        socket.map(Self).map_err(|source| ListenerError::Bind { address, source })
    }

    /// Where it listens, with the port the system chose.
    pub fn address(&self) -> SocketAddr {
        self.0.address()
    }

    /// Serves connections until `stop`, then lets requests in progress finish within `drain_timeout`.
    ///
    /// `service` answers each request, told where it comes from. It may be dropped at any await when the client goes
    /// away.
    pub async fn run<S, F, B>(self, service: S, stop: CancellationToken)
    where
        S: Fn(Request<Incoming>, Arc<SocketAddr>) -> F + Clone + Send + Sync + 'static,
        F: Future<Output = Response<B>> + Send + 'static,
        B: Body<Data = Bytes, Error: Into<Box<dyn Error + Send + Sync>>> + Send + 'static,
    {
        self.0.run(|stream, address| ready(Ok((stream, address))), service, stop).await;
    }
}
