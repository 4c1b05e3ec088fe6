use std::collections::HashMap;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use tokio::time::Instant;

use super::connection::PeerConnection;
use super::routes::AddressSet;
use crate::peer_tls::PeerIdentity;

/// Connections that wait for another request, by the addresses they may serve.
#[derive(Debug)]
pub(super) struct Pool {
    idle_timeout: Duration,
    idle: Mutex<HashMap<AddressSet, Vec<Idle>>>,
}

#[derive(Debug)]
struct Idle {
    connection: PeerConnection,
    since: Instant,
}

impl Pool {
    pub(super) fn new(idle_timeout: Duration) -> Self {
        Self { idle_timeout, idle: Mutex::default() }
    }

    pub(super) fn put(&self, addresses: AddressSet, connection: PeerConnection) {
        let idle = Idle { connection, since: Instant::now() };
        self.idle.lock().unwrap_or_else(PoisonError::into_inner).entry(addresses).or_default().push(idle);
    }

    /// The connection used last: the least likely to be closed. Those that are too old, or show what this server was,
    /// go, whomever they lead to.
    pub(super) fn take(
        &self,
        addresses: &AddressSet,
        identity: &Arc<PeerIdentity>,
    ) -> Option<PeerConnection> {
        let now = Instant::now();
        let mut pool = self.idle.lock().unwrap_or_else(PoisonError::into_inner);
        pool.retain(|_, idle| {
            idle.retain(|idle| {
                now.saturating_duration_since(idle.since) < self.idle_timeout
                    && Arc::ptr_eq(&idle.connection.identity, identity)
            });
            !idle.is_empty()
        });
        let idle = pool.get_mut(addresses)?;
        std::iter::from_fn(|| idle.pop()).map(|idle| idle.connection).find(PeerConnection::is_usable)
    }
}
