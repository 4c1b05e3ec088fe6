use std::collections::HashMap;
use std::error::Error;
use std::io;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
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
        let groups = self.memory().groups(route, Instant::now());
        for (group, limit) in groups {
            let mut attempts: FuturesUnordered<_> =
                group.iter().map(|address| connect(address, limit)).collect();
            while let Some(attempt) = attempts.next().await {
                match attempt {
                    Ok((stream, address)) => {
                        self.memory().won(route, address, Instant::now());
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
        self.memory().failed(address, Instant::now());
    }

    fn memory(&self) -> MutexGuard<'_, Memory> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Memory {
    /// The untried addresses in the order in which to try them, those of a group at once, and for how long.
    fn groups(&self, route: &Route, now: Instant) -> [(Vec<PeerAddress>, Duration); 3] {
        let winner = self.winner(route, now);
        let won = |address: &PeerAddress| winner == Some(address);
        let failed = |address: &PeerAddress| {
            self.failures.get(address).is_some_and(|at| now.saturating_duration_since(*at) < SET_ASIDE_FOR)
        };
        let (last, usable): (Vec<_>, Vec<_>) = route.untried.iter().cloned().partition(failed);
        let (first, others): (Vec<_>, Vec<_>) = usable.into_iter().partition(won);
        let timeout = route.connect_timeout;
        let is_alone = route.addresses.only().is_some();
        let winner_timeout = if is_alone { timeout } else { timeout.min(WINNER_TIMEOUT) };
        [(first, winner_timeout), (others, timeout), (last, timeout)]
    }

    fn winner(&self, route: &Route, now: Instant) -> Option<&PeerAddress> {
        let (winner, at) = self.winners.get(&route.addresses)?;
        (now.saturating_duration_since(*at) < WINNER_FOR).then_some(winner)
    }

    fn won(&mut self, route: &Route, address: &PeerAddress, now: Instant) {
        self.failures.remove(address);
        if self.winner(route, now) != Some(address) {
            make_room(&mut self.winners);
            self.winners.insert(route.addresses.clone(), (address.clone(), now));
        }
    }

    fn failed(&mut self, address: &PeerAddress, now: Instant) {
        make_room(&mut self.failures);
        self.failures.insert(address.clone(), now);
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

/// Forgets everything if it is more than there are servers: what is remembered only saves time.
fn make_room<K, V>(memories: &mut HashMap<K, V>) {
    if memories.len() >= MEMORIES_MAX {
        memories.clear();
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn address(host: &str) -> PeerAddress {
        PeerAddress { host: host.to_owned(), port: 5500 }
    }

    fn route(hosts: &[&str]) -> Route {
        let addresses: Vec<_> = hosts.iter().copied().map(address).collect();
        Route::new(AddressSet::new(&addresses), Duration::from_secs(30))
    }

    /// Hosts in the order in which they are tried.
    #[track_caller]
    fn check(memory: &Memory, route: &Route, now: Instant, expected: [&[&str]; 3]) {
        let hosts = memory
            .groups(route, now)
            .map(|(group, _)| group.into_iter().map(|address| address.host).collect::<Vec<_>>());
        assert_eq!(hosts, expected.map(<[&str]>::to_vec));
    }

    #[test]
    fn the_winner_is_preferred_for_an_hour() {
        let (mut memory, route, now) = (Memory::default(), route(&["c", "b", "a"]), Instant::now());
        check(&memory, &route, now, [&[], &["a", "b", "c"], &[]]);
        memory.won(&route, &address("b"), now);
        check(&memory, &route, now + Duration::from_secs(3599), [&["b"], &["a", "c"], &[]]);
        let later = now + Duration::from_secs(3600);
        check(&memory, &route, later, [&[], &["a", "b", "c"], &[]]);
        memory.won(&route, &address("b"), later);
        check(&memory, &route, later + Duration::from_secs(1), [&["b"], &["a", "c"], &[]]);
    }

    #[test]
    fn a_failed_address_is_tried_last_for_a_while() {
        let (mut memory, route, now) = (Memory::default(), route(&["a", "b"]), Instant::now());
        memory.won(&route, &address("a"), now);
        memory.failed(&address("a"), now);
        check(&memory, &route, now + Duration::from_secs(29), [&[], &["b"], &["a"]]);
        check(&memory, &route, now + Duration::from_secs(30), [&["a"], &["b"], &[]]);
    }

    #[test]
    fn the_winner_delays_others_no_longer_than_five_seconds() {
        let (mut memory, now) = (Memory::default(), Instant::now());
        for (hosts, seconds) in [(["a", "b"].as_slice(), 5), (&["a"], 30)] {
            let route = route(hosts);
            memory.won(&route, &address("a"), now);
            let [(_, timeout), ..] = memory.groups(&route, now);
            assert_eq!(timeout, Duration::from_secs(seconds));
        }
    }

    #[test]
    fn after_a_failure_the_next_address_has_half_the_time() {
        let (routes, mut route) = (Routes::default(), route(&["a", "b", "c", "d"]));
        let timeouts = ["a", "b", "c"].map(|host| {
            routes.set_aside(&mut route, &address(host));
            route.connect_timeout.as_secs_f32()
        });
        assert_eq!(timeouts, [15.0, 7.5, 5.0]);
        assert_eq!(route.untried, [address("d")]);
    }
}
