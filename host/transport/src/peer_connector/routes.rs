use std::collections::HashMap;
use std::error::Error;
use std::hash::Hash;
use std::io;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use futures_util::StreamExt;
use futures_util::stream::FuturesUnordered;
use tokio::net::{TcpStream, lookup_host};
use tokio::time::{Instant, timeout};

use super::{PeerAddress, PeerError};

/// The address that connected first is preferred for so long.
const WINNER_FOR: Duration = Duration::from_secs(3600);
/// Connecting to the preferred address takes no longer, if there are others.
const WINNER_TIMEOUT: Duration = Duration::from_secs(5);
/// After a failed handshake or verification, connecting to the next address takes half of what the one before could,
/// but no less.
const NEXT_TIMEOUT_MIN: Duration = Duration::from_secs(5);
/// An address that failed is tried after all others for so long.
const SET_ASIDE_FOR: Duration = Duration::from_secs(30);
/// What is remembered of addresses.
const MEMORIES_MAX: usize = 4096;

/// Addresses of which any will do, in order and without repetition.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub(super) struct AddressSet(Arc<[PeerAddress]>);

impl AddressSet {
    pub(super) fn new(addresses: &[PeerAddress]) -> Self {
        let mut addresses = addresses.to_vec();
        addresses.sort();
        addresses.dedup();
        Self(addresses.into())
    }

    /// The address, if there is one only.
    pub(super) fn only(&self) -> Option<&PeerAddress> {
        match &*self.0 {
            [only] => Some(only),
            _ => None,
        }
    }
}

/// The way of one request: the addresses that it has not failed to reach yet.
#[derive(Debug)]
pub(super) struct Route {
    addresses: AddressSet,
    untried: Vec<PeerAddress>,
    connect_timeout: Duration,
}

impl Route {
    pub(super) fn new(addresses: AddressSet, connect_timeout: Duration) -> Self {
        Self { untried: addresses.0.to_vec(), addresses, connect_timeout }
    }

    pub(super) fn is_exhausted(&self) -> bool {
        self.untried.is_empty()
    }
}

/// What is remembered of addresses: which of a set connected first, and which failed.
#[derive(Debug, Default)]
pub(super) struct Routes(Mutex<Memory>);

#[derive(Debug, Default)]
struct Memory {
    winners: HashMap<AddressSet, (PeerAddress, Instant)>,
    failures: HashMap<PeerAddress, Instant>,
}

impl Routes {
    /// Connects to the preferred address, else to the first that answers, last to those that failed lately. Addresses
    /// that do not answer are taken from `route`.
    pub(super) async fn connect<E: Error + 'static>(
        &self,
        route: &mut Route,
    ) -> Result<(TcpStream, PeerAddress), PeerError<E>> {
        let mut failure = PeerError::NoAddress;
        for (group, limit) in self.groups(route) {
            let mut attempts: FuturesUnordered<_> =
                group.iter().map(|address| connect(address, limit)).collect();
            while let Some(attempt) = attempts.next().await {
                match attempt {
                    Ok((stream, address)) => {
                        self.remember_winner(route, address);
                        return Ok((stream, address.clone()));
                    }
                    Err((error, address)) => {
                        self.set_aside(route, address);
                        failure = error;
                    }
                }
            }
        }
        Err(failure)
    }

    /// An address failed: this request does not try it again, and others try it last.
    pub(super) fn set_aside(&self, route: &mut Route, address: &PeerAddress) {
        route.untried.retain(|untried| untried != address);
        route.connect_timeout = (route.connect_timeout / 2).max(NEXT_TIMEOUT_MIN.min(route.connect_timeout));
        let memory = &mut *self.0.lock().unwrap_or_else(PoisonError::into_inner);
        make_room(&mut memory.failures, |since| since.elapsed() < SET_ASIDE_FOR);
        memory.failures.insert(address.clone(), Instant::now());
    }

    /// The untried addresses in the order in which to try them, those of a group at once.
    fn groups(&self, route: &Route) -> Vec<(Vec<PeerAddress>, Duration)> {
        let memory = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        let failed = |address: &PeerAddress| {
            memory.failures.get(address).is_some_and(|since| since.elapsed() < SET_ASIDE_FOR)
        };
        let winner = memory.winners.get(&route.addresses);
        let won = |address: &PeerAddress| {
            winner.is_some_and(|(winner, since)| winner == address && since.elapsed() < WINNER_FOR)
        };
        let (last, usable): (Vec<_>, Vec<_>) = route.untried.iter().cloned().partition(failed);
        let (first, others): (Vec<_>, Vec<_>) = usable.into_iter().partition(won);
        let first_timeout = if route.addresses.only().is_some() {
            route.connect_timeout
        } else {
            route.connect_timeout.min(WINNER_TIMEOUT)
        };
        vec![(first, first_timeout), (others, route.connect_timeout), (last, route.connect_timeout)]
    }

    fn remember_winner(&self, route: &Route, address: &PeerAddress) {
        let memory = &mut *self.0.lock().unwrap_or_else(PoisonError::into_inner);
        if memory.winners.get(&route.addresses).is_none_or(|(winner, _)| winner != address) {
            make_room(&mut memory.winners, |(_, since)| since.elapsed() < WINNER_FOR);
            memory.winners.insert(route.addresses.clone(), (address.clone(), Instant::now()));
        }
        memory.failures.remove(address);
    }
}

async fn connect<E: Error + 'static>(
    address: &PeerAddress,
    limit: Duration,
) -> Result<(TcpStream, &PeerAddress), (PeerError<E>, &PeerAddress)> {
    let attempt = async {
        let resolved = lookup_host((address.host.as_str(), address.port)).await;
        let resolved = resolved.map_err(|source| PeerError::Resolve { address: address.clone(), source })?;
        let mut failure = io::ErrorKind::NotFound.into();
        for socket_address in resolved {
            match TcpStream::connect(socket_address).await {
                Ok(stream) => return Ok(stream),
                Err(source) => failure = source,
            }
        }
        Err(PeerError::Connect { address: address.clone(), source: failure })
    };
    match timeout(limit, attempt).await {
        Ok(Ok(stream)) => Ok((stream, address)),
        Ok(Err(error)) => Err((error, address)),
        Err(_) => {
            let source = io::ErrorKind::TimedOut.into();
            Err((PeerError::Connect { address: address.clone(), source }, address))
        }
    }
}

/// Forgets what is out of date if there is much, and everything if that is not enough.
fn make_room<K: Hash + Eq, V>(memories: &mut HashMap<K, V>, is_current: impl Fn(&V) -> bool) {
    if memories.len() >= MEMORIES_MAX {
        memories.retain(|_, memory| is_current(memory));
    }
    if memories.len() >= MEMORIES_MAX {
        memories.clear();
    }
}
