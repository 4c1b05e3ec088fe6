use std::collections::HashMap;
use std::error::Error;
use std::fmt;
use std::future::pending;
use std::io;
use std::pin::Pin;
use std::sync::Arc;
use std::task::Context;
use std::time::Duration;

use http::{Request, Response};
use hyper::body::Incoming;
use hyper::client::conn::http1::{self, SendRequest};
use hyper_util::rt::TokioIo;
use tokio::net::TcpStream;
use tokio::sync::OwnedSemaphorePermit;
use tokio::time::{Instant, sleep};
use tokio_util::sync::CancellationToken;

use super::pool::Pool;
use super::reads_on::is_quiet;
use super::routes::AddressSet;
use super::upload::Upload;
use super::{PeerAddress, PeerError};
use crate::listening_socket::{BUFFER_BYTES_MAX, HEADER_BYTES_MAX};
use crate::peer_tls::{PeerCertificates, PeerIdentity, Stream};

/// What was verified of a connection counts no longer: meanwhile a certificate may have been revoked.
const VERIFIED_FOR: Duration = Duration::from_secs(60);

/// One connection: hyper's handle, and the work behind it.
///
/// It is driven by whoever waits for an answer or reads one, and by nobody while idle: there is no task to own or to
/// stop, and dropping the answer closes the connection.
pub(super) struct Connection {
    pub(super) address: PeerAddress,
    pub(super) certificates: PeerCertificates,
    /// What we showed.
    pub(super) identity: Arc<PeerIdentity>,
    /// What TLS goes over.
    socket: Arc<TcpStream>,
    sender: SendRequest<Upload>,
    driver: Option<Pin<Box<dyn Future<Output = hyper::Result<()>> + Send>>>,
    pub(super) verified: Verified,
}

/// For which providers a connection was verified, and when.
#[derive(Debug, Default)]
pub(super) struct Verified(HashMap<String, Instant>);

impl Verified {
    pub(super) fn holds_for(&mut self, provider: &str, now: Instant) -> bool {
        self.0.retain(|_, at| now.saturating_duration_since(*at) < VERIFIED_FOR);
        self.0.contains_key(provider)
    }

    pub(super) fn insert(&mut self, provider: &str, now: Instant) {
        self.0.insert(provider.to_owned(), now);
    }
}

/// A connection whose answer has begun.
pub(super) struct Busy {
    connection: Connection,
    sent: CancellationToken,
}

/// Why a request brought no answer, with the request if no byte of it was sent.
pub(super) struct Failed<E: Error + 'static> {
    pub(super) error: PeerError<E>,
    pub(super) unsent: Option<Box<Request<Upload>>>,
}

impl Connection {
    pub(super) async fn open<E: Error + 'static>(
        stream: Box<dyn Stream>,
        socket: Arc<TcpStream>,
        certificates: PeerCertificates,
        address: PeerAddress,
        identity: Arc<PeerIdentity>,
    ) -> Result<Self, PeerError<E>> {
        let opened = http1::Builder::new()
            .max_header_size(HEADER_BYTES_MAX)
            .max_buf_size(BUFFER_BYTES_MAX)
            .handshake(TokioIo::new(stream))
            .await;
        let (sender, driver) = match opened {
            Ok((sender, driver)) => (sender, Some(Box::pin(driver) as _)),
            Err(source) => return Err(PeerError::broken_off(address, source)),
        };
        Ok(Self { address, certificates, identity, socket, sender, driver, verified: Verified::default() })
    }

    /// Whether it may carry a request after it was idle.
    pub(super) fn is_usable(&self) -> bool {
        self.driver.is_some() && !self.sender.is_closed() && is_quiet(&self.socket)
    }

    /// Sends `request` and waits until an answer begins.
    pub(super) async fn send<E: Error + 'static>(
        mut self,
        request: Request<Upload>,
        response_timeout: Duration,
    ) -> Result<(Response<Incoming>, Busy), Failed<E>> {
        let Self { sender, driver, address, .. } = &mut self;
        let sent = request.body().ended();
        let exchange = async {
            if let Err(source) = sender.ready().await {
                let error = PeerError::broken_off(address.clone(), source);
                return Err(Failed { error, unsent: Some(Box::new(request)) });
            }
            sender.try_send_request(request).await.map_err(|mut failed| {
                let unsent = failed.take_message().map(Box::new);
                Failed { error: PeerError::broken_off(address.clone(), failed.into_error()), unsent }
            })
        };
        let silence = async {
            sent.cancelled().await;
            sleep(response_timeout).await;
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
            () = silence => {
                return Err(Failed { error: PeerError::Slow { address: address.clone() }, unsent: None });
            }
        };
        Ok((response, Busy { connection: self, sent }))
    }
}

impl fmt::Debug for Connection {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Connection").field("address", &self.address).finish_non_exhaustive()
    }
}

impl<E: Error + 'static> PeerError<E> {
    fn broken_off(address: PeerAddress, source: hyper::Error) -> Self {
        if source.is_user() {
            return Self::Request { source };
        }
        if source.is_parse_too_large() {
            return Self::HeaderTooLarge { address };
        }
        let Some(cause) = source.source().and_then(|cause| cause.downcast_ref::<io::Error>()) else {
            return Self::Protocol { address, source };
        };
        // The kernel has waited in vain for the server to read.
        if cause.kind() == io::ErrorKind::TimedOut {
            return Self::Slow { address };
        }
        // In TLS 1.3 a server refuses our certificate only after the handshake has ended for us.
        match cause.get_ref() {
            Some(cause) if cause.is::<rustls::Error>() || cause.is::<openssl::ssl::Error>() => {
                Self::Tls { address, source: source.into() }
            }
            _ => Self::Protocol { address, source },
        }
    }
}

/// A connection whose answer is read, the slot it holds, and where it goes afterwards.
pub(crate) struct Exchange {
    busy: Busy,
    pool: Arc<Pool>,
    addresses: AddressSet,
    _slot: OwnedSemaphorePermit,
}

impl Exchange {
    pub(super) fn new(
        busy: Busy,
        pool: Arc<Pool>,
        addresses: AddressSet,
        slot: OwnedSemaphorePermit,
    ) -> Self {
        Self { busy, pool, addresses, _slot: slot }
    }

    /// Moves what is to be sent and read.
    pub(crate) fn advance(&mut self, context: &mut Context<'_>) {
        let driver = &mut self.busy.connection.driver;
        if driver.as_mut().is_some_and(|driver| driver.as_mut().poll(context).is_ready()) {
            *driver = None;
        }
    }

    /// The answer was read to its end. If the request was sent to its end too, the connection may carry another.
    pub(crate) fn end(self) {
        let Busy { connection, sent } = self.busy;
        if sent.is_cancelled() && connection.is_usable() {
            self.pool.put(self.addresses, connection);
        }
    }
}

impl fmt::Debug for Exchange {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.busy.connection.fmt(f)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_verification_is_forgotten_after_a_minute() {
        let (mut verified, now) = (Verified::default(), Instant::now());
        verified.insert("provider", now);
        assert!(verified.holds_for("provider", now + Duration::from_secs(59)));
        assert!(!verified.holds_for("another", now));
        assert!(!verified.holds_for("provider", now + Duration::from_secs(60)));
    }
}
