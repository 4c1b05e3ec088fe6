use std::collections::HashMap;
use std::error::Error;
use std::io;
use std::sync::Arc;
use std::task::Context;
use std::time::Duration;

use http::{Request, Response};
use hyper::body::Incoming;
use tokio::net::TcpStream;
use tokio::sync::OwnedSemaphorePermit;
use tokio::time::{Instant, sleep};
use tokio_util::sync::CancellationToken;

use super::pool::Pool;
use super::reads_on::is_quiet;
use super::routes::AddressSet;
use super::upload::Upload;
use super::{PeerAddress, PeerError};
use crate::connection::{Connection, Failed};
use crate::peer_tls::{PeerCertificates, PeerIdentity, Stream};
use crate::received_body::Exchange;

/// What was verified of a connection counts no longer: meanwhile a certificate may have been revoked.
const VERIFIED_FOR: Duration = Duration::from_secs(60);

/// A connection to another security server.
#[derive(Debug)]
pub(super) struct PeerConnection {
    pub(super) address: PeerAddress,
    pub(super) certificates: PeerCertificates,
    /// What we showed.
    pub(super) identity: Arc<PeerIdentity>,
    pub(super) verified: Verified,
    /// What TLS goes over.
    socket: Arc<TcpStream>,
    connection: Connection<Upload>,
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

/// Why a request brought no answer, with the request if no byte of it was sent.
pub(super) struct Unanswered<E: Error + 'static> {
    pub(super) error: PeerError<E>,
    pub(super) unsent: Option<Box<Request<Upload>>>,
}

impl PeerConnection {
    pub(super) async fn open<E: Error + 'static>(
        stream: Box<dyn Stream>,
        socket: Arc<TcpStream>,
        certificates: PeerCertificates,
        address: PeerAddress,
        identity: Arc<PeerIdentity>,
    ) -> Result<Self, PeerError<E>> {
        match Connection::open(stream).await {
            Ok(connection) => {
                let verified = Verified::default();
                Ok(Self { address, certificates, identity, verified, socket, connection })
            }
            Err(source) => Err(PeerError::broken_off(address, source)),
        }
    }

    /// Whether it may carry a request after it was idle.
    pub(super) fn is_usable(&self) -> bool {
        self.connection.is_open() && is_quiet(&self.socket)
    }

    /// Sends `request` and waits until an answer begins.
    pub(super) async fn send<E: Error + 'static>(
        &mut self,
        request: Request<Upload>,
        response_timeout: Duration,
    ) -> Result<Response<Incoming>, Unanswered<E>> {
        let sent = request.body().ended();
        let silence = async {
            sent.cancelled().await;
            sleep(response_timeout).await;
        };
        let address = self.address.clone();
        tokio::select! {
            answered = self.connection.send(request) => answered.map_err(|Failed { source, unsent }| {
                Unanswered { error: PeerError::broken_off(address, source), unsent }
            }),
            () = silence => Err(Unanswered { error: PeerError::Slow { address }, unsent: None }),
        }
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
pub(super) struct PeerExchange {
    pub(super) connection: PeerConnection,
    /// Whether the request was sent to its end.
    pub(super) sent: CancellationToken,
    pub(super) pool: Arc<Pool>,
    pub(super) addresses: AddressSet,
    pub(super) slot: OwnedSemaphorePermit,
}

impl Exchange for PeerExchange {
    fn advance(&mut self, context: &mut Context<'_>) {
        self.connection.connection.advance(context);
    }

    /// If the request was sent to its end too, the connection may carry another.
    fn end(self: Box<Self>) {
        let Self { connection, sent, pool, addresses, slot } = *self;
        if sent.is_cancelled() && connection.is_usable() {
            pool.put(addresses, connection);
        }
        drop(slot);
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
