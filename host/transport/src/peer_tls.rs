//! TLS between security servers: both sides show the certificates of their authentication keys, and whom to believe is
//! decided by what the global configuration says, not by a path to an authority.

use std::fmt;
use std::io;
use std::sync::{Arc, Mutex, PoisonError};

use bytes::Bytes;
use serde::Deserialize;
use tokio::io::{AsyncRead, AsyncWrite};
use tokio::net::TcpStream;
use tokio::sync::watch;
use tracing::error;
use uuk_process::{ErrorChain, Secret};

mod with_openssl;
mod with_rustls;

/// What proves this security server to its peers.
#[derive(Debug, Clone)]
pub struct PeerIdentity {
    /// Certificates in DER: that of the authentication key, then its intermediates. Never the trust anchor: a stock
    /// peer would ask for its OCSP answer, and refuse us for lack of one.
    pub certificates: Vec<Bytes>,
    /// The authentication key, PKCS#8 in DER.
    pub key: Secret<Vec<u8>>,
}

/// The certificates that a peer sent, whose first key it proved to hold. Nothing else about them is proven.
#[derive(Clone, PartialEq, Eq)]
pub struct PeerCertificates {
    leaf: Bytes,
    intermediates: Arc<[Bytes]>,
}

impl PeerCertificates {
    /// Takes certificates in the order in which they were sent; `None` if there are none.
    pub(crate) fn new(sent: impl IntoIterator<Item = Bytes>) -> Option<Self> {
        let mut sent = sent.into_iter();
        Some(Self { leaf: sent.next()?, intermediates: sent.collect() })
    }

    /// The certificate of the peer's authentication key, DER.
    pub fn leaf(&self) -> &Bytes {
        &self.leaf
    }

    /// What else the peer sent, DER.
    pub fn intermediates(&self) -> &[Bytes] {
        &self.intermediates
    }

    /// All of them as sent, leaf first.
    pub fn iter(&self) -> impl Iterator<Item = &Bytes> {
        std::iter::once(&self.leaf).chain(self.intermediates.iter())
    }
}

impl fmt::Debug for PeerCertificates {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "PeerCertificates({})", 1 + self.intermediates.len())
    }
}

/// Whether a server may connect that holds the key of this certificate, in DER.
pub type Admit = Arc<dyn Fn(&[u8]) -> bool + Send + Sync>;

/// Which peers TLS is to be agreed with.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum PeerCiphers {
    /// TLS 1.3 and 1.2 with authenticated encryption, by rustls.
    #[default]
    Modern,
    /// Also stock X-Road servers, which offer TLS 1.2 with CBC suites only, by OpenSSL.
    XRoad,
}

/// Why an identity cannot be used.
#[derive(Debug, thiserror::Error)]
#[error("the authentication key and its certificates cannot be used for TLS")]
pub(crate) struct UnusableIdentity(#[source] Box<dyn std::error::Error + Send + Sync>);

/// What is left of a connection once its two sides know each other.
pub(crate) trait Stream: AsyncRead + AsyncWrite + Unpin + Send {}

impl<S: AsyncRead + AsyncWrite + Unpin + Send> Stream for S {}

/// The answering side, for one identity of ours.
#[derive(Clone)]
pub(crate) enum PeerAcceptor {
    Rustls(with_rustls::Acceptor),
    OpenSsl(with_openssl::Acceptor),
}

impl PeerAcceptor {
    pub(crate) fn new(
        identity: &PeerIdentity,
        ciphers: PeerCiphers,
        admit: &Admit,
    ) -> Result<Self, UnusableIdentity> {
        match ciphers {
            PeerCiphers::Modern => with_rustls::Acceptor::new(identity, admit.clone()).map(Self::Rustls),
            PeerCiphers::XRoad => with_openssl::Acceptor::new(identity, admit.clone()).map(Self::OpenSsl),
        }
    }

    /// Agrees with whoever connected, if `admit` says so.
    pub(crate) async fn accept(self, stream: TcpStream) -> io::Result<(Box<dyn Stream>, PeerCertificates)> {
        match self {
            Self::Rustls(acceptor) => acceptor.accept(stream).await,
            Self::OpenSsl(acceptor) => acceptor.accept(stream).await,
        }
    }
}

/// The calling side, for one identity of ours.
#[derive(Clone)]
pub(crate) enum PeerDialer {
    Rustls(with_rustls::Dialer),
    OpenSsl(with_openssl::Dialer),
}

impl PeerDialer {
    pub(crate) fn new(identity: &PeerIdentity, ciphers: PeerCiphers) -> Result<Self, UnusableIdentity> {
        match ciphers {
            PeerCiphers::Modern => with_rustls::Dialer::new(identity).map(Self::Rustls),
            PeerCiphers::XRoad => with_openssl::Dialer::new(identity).map(Self::OpenSsl),
        }
    }

    /// Agrees with whoever is at the other end. Nothing may be sent before its certificates are judged.
    pub(crate) async fn connect(
        self,
        stream: impl Stream + 'static,
    ) -> io::Result<(Box<dyn Stream>, PeerCertificates)> {
        match self {
            Self::Rustls(dialer) => dialer.connect(stream).await,
            Self::OpenSsl(dialer) => dialer.connect(stream).await,
        }
    }
}

/// Makes of the identity in force what handshakes need, and makes it anew when the identity changes.
pub(crate) struct Following<T> {
    identity: watch::Receiver<Option<Arc<PeerIdentity>>>,
    make: Make<T>,
    state: Mutex<State<T>>,
}

type Make<T> = Box<dyn Fn(&PeerIdentity) -> Result<T, UnusableIdentity> + Send + Sync>;

struct State<T> {
    seen: Option<Arc<PeerIdentity>>,
    made: Option<(Arc<PeerIdentity>, T)>,
}

impl<T: Clone> Following<T> {
    pub(crate) fn new(
        identity: watch::Receiver<Option<Arc<PeerIdentity>>>,
        make: impl Fn(&PeerIdentity) -> Result<T, UnusableIdentity> + Send + Sync + 'static,
    ) -> Self {
        Self { identity, make: Box::new(make), state: Mutex::new(State { seen: None, made: None }) }
    }

    /// The identity in force and what was made of it; `None` if there is none.
    ///
    /// An identity that cannot be used is told to the operator once, and the one before stays in force.
    pub(crate) fn current(&self) -> Option<(Arc<PeerIdentity>, T)> {
        let mut state = self.state.lock().unwrap_or_else(PoisonError::into_inner);
        let identity = self.identity.borrow().clone();
        if identity.as_ref().map(Arc::as_ptr) != state.seen.as_ref().map(Arc::as_ptr) {
            match identity.as_ref().map(|identity| (self.make)(identity)) {
                Some(Ok(made)) => state.made = identity.clone().map(|identity| (identity, made)),
                Some(Err(error)) => {
                    error!(error = %ErrorChain(&error), "The new identity of this server is not used");
                }
                None => state.made = None,
            }
            state.seen = identity;
        }
        state.made.clone()
    }
}

impl<T> fmt::Debug for Following<T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Following").finish_non_exhaustive()
    }
}
