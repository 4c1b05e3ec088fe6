use std::collections::HashMap;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::{Duration, Instant};

use arc_swap::ArcSwap;
use tokio::sync::mpsc;
use uuk_contract::Contract;
use uuk_identifiers::ServiceId;

use crate::health::Verdict;
use crate::plugin::Plugin;

/// Which plugin answers which service: the snapshot in force, and the way to report what became of a call.
///
/// Readers take the snapshot once per request and keep it; the one writer is [`crate::reload::Reload`].
#[derive(Debug, Clone)]
pub struct Registry {
    table: Arc<ArcSwap<RoutingTable>>,
    trips: mpsc::Sender<Trip>,
}

/// A version that failed too often.
#[derive(Debug)]
pub(crate) struct Trip {
    pub(crate) plugin: Arc<Plugin>,
}

impl Registry {
    /// An empty table, and where its writer hears of failing versions.
    pub(crate) fn new() -> (Self, mpsc::Receiver<Trip>) {
        // A full queue drops a trip; the version goes on failing, and its next failure says so again.
        let (trips, heard) = mpsc::channel(64);
        (Self { table: Arc::default(), trips }, heard)
    }

    /// The table in force.
    pub fn snapshot(&self) -> Arc<RoutingTable> {
        self.table.load_full()
    }

    /// The route of `service` in the table in force.
    pub fn route(&self, service: &ServiceId) -> Option<Arc<Route>> {
        self.table.load().routes.get(service).cloned()
    }

    pub(crate) fn publish(&self, table: RoutingTable) {
        self.table.store(Arc::new(table));
    }

    /// Says how a call of `plugin` ended.
    pub fn record(&self, plugin: &Arc<Plugin>, verdict: Verdict) {
        if plugin.record(verdict) {
            let _ = self.trips.try_send(Trip { plugin: Arc::clone(plugin) });
        }
    }
}

/// All routes, consistent with each other.
#[derive(Debug, Default)]
pub struct RoutingTable {
    pub(crate) routes: HashMap<ServiceId, Arc<Route>>,
}

impl RoutingTable {
    /// Every service that a plugin stands for.
    pub fn services(&self) -> impl Iterator<Item = (&ServiceId, &Arc<Route>)> {
        self.routes.iter()
    }
}

/// Who answers one service.
#[derive(Debug)]
pub struct Route {
    active: Arm,
    canary: Option<Canary>,
    suspended_until: Option<Instant>,
}

/// The version on trial.
#[derive(Debug)]
pub(crate) struct Canary {
    pub(crate) arm: Arm,
    pub(crate) share: Share,
    /// Calls so far, over all routes and tables of the trial: one call in ten stays one in ten, however often the
    /// table is replaced meanwhile.
    pub(crate) calls: Arc<AtomicU64>,
}

/// One version of the plugin with its contract for this service.
#[derive(Debug, Clone)]
pub struct Arm {
    /// The plugin.
    pub plugin: Arc<Plugin>,
    /// Its contract.
    pub contract: Arc<Contract>,
}

/// A share of calls, in thousandths.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Share(u16);

impl Share {
    /// `thousandths` of all calls, at most all.
    pub fn thousandths(thousandths: u16) -> Self {
        Self(thousandths.min(1000))
    }

    /// Whether call number `call` falls into the share; spread evenly over the calls.
    fn takes(self, call: u64) -> bool {
        let share = u64::from(self.0);
        call.wrapping_mul(share) % 1000 < share
    }

    /// Whether there is any.
    pub fn is_none(self) -> bool {
        self.0 == 0
    }
}

impl Route {
    pub(crate) fn new(active: Arm, canary: Option<Canary>, suspended_until: Option<Instant>) -> Self {
        Self { active, canary, suspended_until }
    }

    /// Chooses the version that answers the next call, or says how long the service is suspended.
    pub fn pick(&self) -> Result<&Arm, Duration> {
        if let Some(until) = self.suspended_until
            && let Some(left) = until.checked_duration_since(Instant::now())
        {
            return Err(left);
        }
        let Some(Canary { arm, share, calls }) = &self.canary else { return Ok(&self.active) };
        let call = calls.fetch_add(1, Ordering::Relaxed);
        Ok(if share.takes(call) { arm } else { &self.active })
    }

    /// The version that answers most calls.
    pub fn active(&self) -> &Arm {
        &self.active
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_share_takes_its_part_evenly() {
        for thousandths in [0, 1, 200, 500, 1000] {
            let share = Share::thousandths(thousandths);
            let taken = (0..1000).filter(|call| share.takes(*call)).count();
            assert_eq!(taken, usize::from(thousandths));
        }
        let fifth = Share::thousandths(200);
        assert_eq!((0..10).filter(|call| fifth.takes(*call)).count(), 2);
    }
}
