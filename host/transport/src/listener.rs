use std::error::Error;
use std::future::ready;
use std::io;
use std::net::SocketAddr;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use arc_swap::ArcSwap;
use bytes::Bytes;
use http::{Request, Response};
use hyper::body::{Body, Incoming};
use rustls::ServerConfig;
use serde::Deserialize;
use tokio::net::TcpStream;
use tokio_rustls::{TlsAcceptor, server::TlsStream};
use tokio_util::sync::CancellationToken;

use crate::listening_socket::{ListenerLimits, ListeningSocket};
use crate::peer::{ClientCertificate, Peer};
use crate::tls::{self, ClientTrust, IdentityFiles, TlsError};

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
    socket: ListeningSocket,
    tls: Option<ListenerTls>,
}

impl Listener {
    /// Reads certificates and binds. Call it within a tokio runtime.
    ///
    /// # Errors
    /// [`ListenerError`], whose every variant names the address.
    pub fn bind(config: ListenerConfig) -> Result<Self, ListenerError> {
        let ListenerConfig { address, authentication, .. } = config;
        let limits = config.limits.clone();
        let tls = match authentication {
            ClientAuthentication::None if address.ip().to_canonical().is_loopback() => None,
            ClientAuthentication::None => return Err(ListenerError::PlainOffLoopback { address }),
            ClientAuthentication::Certificate | ClientAuthentication::Tls => {
                Some(ListenerTls::build(config)?)
            }
        };
        let socket = ListeningSocket::bind(address, limits)
            .map_err(|source| ListenerError::Bind { address, source })?;
        Ok(Self { socket, tls })
    }

    /// Where it listens, with the port the system chose.
    pub fn address(&self) -> SocketAddr {
        self.socket.address()
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
        let Self { socket, tls } = self;
        match tls {
            Some(tls) => socket.run(|stream, address| tls.accept(stream, address), service, stop).await,
            None => {
                let plain = |stream, address| ready(Ok((stream, Peer { address, certificate: None })));
                socket.run(plain, service, stop).await;
            }
        }
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

    fn accept(
        &self,
        stream: TcpStream,
        address: SocketAddr,
    ) -> impl Future<Output = io::Result<(TlsStream<TcpStream>, Peer)>> + use<> {
        let handshake = TlsAcceptor::from(self.current.load_full()).accept(stream);
        async move {
            let stream = handshake.await?;
            let certificates = stream.get_ref().1.peer_certificates();
            let certificate = certificates.and_then(|chain| chain.first()).cloned();
            Ok((stream, Peer { address, certificate: certificate.map(ClientCertificate::new) }))
        }
    }
}
