//! From a file in a folder to a plugin that answers, and back again when it fails.
//!
//! Folder events are hints; the truth is a rescan. A bundle is read once, verified in memory, kept in a private store,
//! prepared (compiled, linked, probed) beside what serves, and then swapped in by publishing a new routing table.
//! Nothing here stops a version that serves, except a newer one that is ready, an operator, a policy that no longer
//! allows it, or the version itself.
//!
//! | file | its story |
//! |---|---|
//! | `inbox.rs`, `folder.rs` | what is in the folder |
//! | `preparation.rs` | how a bundle is made ready |
//! | `machine.rs` | which bundle should serve, and what moves it from stage to stage |
//! | `bundles.rs`, `installed.rs` | what is known of each bundle, what is loaded for each plugin |
//! | `store.rs` | what outlives a restart |
//! | `orders.rs`, `status.rs`, `refusal.rs` | what operators ask for and see |

mod bundles;
mod folder;
mod inbox;
mod installed;
mod machine;
mod orders;
mod preparation;
mod refusal;
mod status;
mod store;

use std::collections::{BTreeSet, HashMap};
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;

use notify::Watcher;
use serde::Deserialize;
use tokio::sync::{mpsc, watch};
use tokio_util::sync::CancellationToken;
use tokio_util::task::TaskTracker;
use uuk_bundle::{BundleDigest, Trust};
use uuk_identifiers::{ServiceId, SubsystemId};
use uuk_process::Clock;

use crate::compiled_cache::CompiledCache;
use crate::engine::Engine;
use crate::grant::{Grant, Resources};
use crate::plugin::Plugin;
use crate::registry::{Arm, Canary as CanaryArm, Registry, Route, RoutingTable, Share, Trip};
use bundles::Bundles;
use inbox::Inbox;
use installed::Installed;
use orders::Asked;
use preparation::Preparations;
use store::{Ledger, Store};

pub use orders::{Order, OrderError, ReloadHandle};
pub use refusal::RefusalReason;
pub use status::{PluginStatus, Stage};

/// After a hint, events that belong together are waited for.
const DEBOUNCE: Duration = Duration::from_millis(20);

/// Where bundles are looked for, and how new ones begin.
#[derive(Debug, Clone)]
pub struct ReloadConfig {
    /// The folder that the agency drops bundles into.
    pub folder: PathBuf,
    /// A private folder for copies, the ledger and compiled code.
    pub state: PathBuf,
    /// How often the folder is scanned without a hint.
    pub rescan_every: Duration,
    /// A plugin whose bundles are gone this long was removed on purpose; shorter absences are swaps and remounts.
    pub removal_grace: Duration,
    /// How often what serves is verified again: a vetting or a certificate may have expired meanwhile.
    pub verify_every: Duration,
    /// Whether a new bundle waits for `uuk plugin approve`.
    pub approval: Approval,
    /// How a new version takes over from one that serves.
    pub canary: Canary,
}

/// Whether someone must agree before a vetted bundle serves.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Approval {
    /// The vetting signature and the grant suffice.
    #[default]
    Automatic,
    /// An operator of this server approves each bundle.
    Manual,
}

/// How a new version takes over.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Canary {
    /// Its share of calls at first; none means that it takes over at once.
    pub share: Share,
    /// How long it must do well before it takes over.
    pub time: Duration,
}

/// What decides which bundles may serve: all of it replaced together.
#[derive(Debug, Clone, Default)]
pub struct Policy {
    /// What the agency grants, one entry per plugin.
    pub deployments: Vec<Deployment>,
    /// Whose signatures count, and what is revoked.
    pub trust: Trust,
    /// SHA-256 of the catalogued contract of each service.
    pub catalogued: HashMap<ServiceId, [u8; 32]>,
}

impl Policy {
    fn deployment(&self, plugin: &str) -> Option<&Deployment> {
        self.deployments.iter().find(|deployment| deployment.plugin == plugin)
    }
}

/// A plugin that the agency installs for one of its subsystems.
#[derive(Debug, Clone)]
pub struct Deployment {
    /// The plugin's identifier.
    pub plugin: String,
    /// The subsystem whose services it answers.
    pub provider: SubsystemId,
    /// What it may use.
    pub grant: Grant,
}

/// Why reload did not start.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum ReloadError {
    /// The private folder.
    #[error("cannot use the state folder {}", path.display())]
    State {
        /// The folder.
        path: PathBuf,
        /// Why.
        #[source]
        source: std::io::Error,
    },
    /// The plugin folder, and nothing has served before that could go on without it.
    #[error("cannot read the plugin folder {}", path.display())]
    Folder {
        /// The folder.
        path: PathBuf,
        /// Why.
        #[source]
        source: std::io::Error,
    },
}

/// The one writer of the routing table.
pub struct Reload {
    config: ReloadConfig,
    engine: Arc<Engine>,
    cache: Arc<CompiledCache>,
    clock: Clock,
    registry: Registry,
    trips: mpsc::Receiver<Trip>,
    orders: mpsc::Receiver<Asked>,
    status: watch::Sender<Arc<Vec<PluginStatus>>>,
    policy: watch::Receiver<Arc<Policy>>,
    /// The policy that all decisions rest on, until `policy_changed`.
    in_force: Arc<Policy>,
    inbox: Inbox,
    bundles: Bundles,
    preparations: Preparations,
    plugins: HashMap<String, Installed>,
    resources: HashMap<String, Arc<Resources>>,
    store: Store,
    /// The bundles whose copies are kept.
    kept: BTreeSet<BundleDigest>,
    ledger: Ledger,
    /// The ledger as it is on disk.
    saved: Ledger,
    cleanup: TaskTracker,
}

impl Reload {
    /// Opens the state folder and starts to bring back what served before.
    ///
    /// Call it inside a tokio runtime: loading goes on in its tasks.
    ///
    /// # Errors
    /// [`ReloadError`] if a folder can not be used.
    pub fn open(
        config: ReloadConfig,
        engine: Arc<Engine>,
        cache: Arc<CompiledCache>,
        clock: Clock,
        mut policy: watch::Receiver<Arc<Policy>>,
    ) -> Result<(Self, ReloadHandle), ReloadError> {
        let state = |source| ReloadError::State { path: config.state.clone(), source };
        let store = Store::open(&config.state.join("bundles")).map_err(state)?;
        let ledger = store.ledger();
        if let Err(source) = folder::list(&config.folder)
            && ledger.active.is_empty()
        {
            return Err(ReloadError::Folder { path: config.folder, source });
        }
        let in_force = Arc::clone(&policy.borrow_and_update());
        let (registry, trips) = Registry::new();
        let (orders, asked) = mpsc::channel(16);
        let (status, watched) = watch::channel(Arc::default());
        let handle = ReloadHandle { orders, status: watched, registry: registry.clone() };
        let mut reload = Self {
            inbox: Inbox::new(config.folder.clone(), config.rescan_every),
            config,
            engine,
            cache,
            clock,
            registry,
            trips,
            orders: asked,
            status,
            in_force,
            policy,
            bundles: Bundles::default(),
            preparations: Preparations::new(),
            plugins: HashMap::new(),
            resources: HashMap::new(),
            store,
            kept: BTreeSet::new(),
            saved: ledger.clone(),
            ledger,
            cleanup: TaskTracker::new(),
        };
        for deployment in &reload.in_force.deployments {
            reload.plugins.insert(deployment.plugin.clone(), Installed::default());
        }
        reload.renew();
        reload.publish();
        Ok((reload, handle))
    }

    /// Follows the folder, the policy, failures and orders until `stop`.
    pub async fn run(mut self, stop: CancellationToken) {
        let (hint, mut hints) = mpsc::channel(1);
        let _watcher = watch_folder(&self.config.folder, hint.clone());
        let mut rescan = tokio::time::interval(self.config.rescan_every);
        rescan.set_missed_tick_behavior(tokio::time::MissedTickBehavior::Delay);
        let first = tokio::time::Instant::now() + self.config.verify_every;
        let mut verification = tokio::time::interval_at(first, self.config.verify_every);
        loop {
            let mut answer = None;
            tokio::select! {
                () = stop.cancelled() => break,
                _ = rescan.tick() => self.scan(&hint).await,
                _ = verification.tick() => self.renew(),
                Some(()) = hints.recv() => {
                    tokio::time::sleep(DEBOUNCE).await;
                    self.scan(&hint).await;
                }
                Some(prepared) = self.preparations.next() => self.prepared(prepared),
                Some(trip) = self.trips.recv() => self.tripped(&trip.plugin),
                Some((order, asked)) = self.orders.recv() => answer = Some((self.carry_out(order), asked)),
                Ok(()) = self.policy.changed() => {
                    self.policy_changed();
                    self.scan(&hint).await;
                }
            }
            self.settle();
            self.save_ledger();
            self.publish();
            if let Some((result, asked)) = answer {
                // Whoever gave the order may have gone; it is carried out all the same.
                let _ = asked.send(result);
            }
        }
        self.preparations.end().await;
        self.cleanup.close();
        self.cleanup.wait().await;
    }

    async fn scan(&mut self, hint: &mpsc::Sender<()>) {
        let scan = self.inbox.scan(&self.in_force, &self.store, self.clock.now()).await;
        for (digest, manifest) in scan.found {
            self.bundles.note(digest, &manifest);
        }
        if scan.is_unfinished {
            // A full channel already holds a hint.
            let _ = hint.try_send(());
        }
    }

    fn save_ledger(&mut self) {
        if self.ledger == self.saved {
            return;
        }
        match self.store.save(&self.ledger) {
            Ok(()) => self.saved = self.ledger.clone(),
            // Tried again at the next scan.
            Err(error) => {
                tracing::error!(%error, "Cannot save the ledger of plugins; a restart would forget the last change");
            }
        }
    }

    fn publish(&self) {
        let mut routes = HashMap::new();
        for deployment in &self.in_force.deployments {
            let Some(installed) = self.plugins.get(&deployment.plugin) else { continue };
            let Some(active) = &installed.active else { continue };
            for code in active.contracts().keys() {
                let service = ServiceId { provider: deployment.provider.clone(), code: code.clone() };
                if let Some(route) = self.route(installed, active, code) {
                    routes.insert(service, Arc::new(route));
                }
            }
        }
        self.registry.publish(RoutingTable { routes });
        self.status.send_replace(Arc::new(self.statuses()));
    }

    fn route(&self, installed: &Installed, active: &Arc<Plugin>, code: &str) -> Option<Route> {
        let arm = |plugin: &Arc<Plugin>| {
            let contract = Arc::clone(plugin.contracts().get(code)?);
            Some(Arm { plugin: Arc::clone(plugin), contract })
        };
        let canary = installed.trial.as_ref().and_then(|trial| {
            let (share, calls) = (self.config.canary.share, Arc::clone(&trial.calls));
            Some(CanaryArm { arm: arm(&trial.plugin)?, share, calls })
        });
        let suspended_until = installed.pauses.end(std::time::Instant::now());
        Some(Route::new(arm(active)?, canary, suspended_until))
    }
}

/// Hints at changes in `folder` until dropped; without, changes are found by the rescan alone.
fn watch_folder(folder: &Path, hint: mpsc::Sender<()>) -> Option<notify::RecommendedWatcher> {
    let watch = || {
        let mut watcher = notify::recommended_watcher(move |event: notify::Result<notify::Event>| {
            // Reading is not a change, and most of it is our own scan: it would call for the next one, for ever.
            if !event.is_ok_and(|event| event.kind.is_access()) {
                // A full channel already holds a hint.
                let _ = hint.try_send(());
            }
        })?;
        watcher.watch(folder, notify::RecursiveMode::NonRecursive)?;
        Ok::<_, notify::Error>(watcher)
    };
    watch()
        .inspect_err(|error| tracing::warn!(%error, "Cannot watch the plugin folder; it is only scanned"))
        .ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn a_scan_is_no_reason_for_another() {
        let folder = tempfile::tempdir().unwrap();
        let file = folder.path().join("people.asice");
        std::fs::write(&file, b"bundle").unwrap();
        let (hint, mut hints) = mpsc::channel(1);
        let _watcher = watch_folder(folder.path(), hint).unwrap();

        assert_eq!(folder::list(folder.path()).unwrap().files.len(), 1);
        folder::read(&file).unwrap();
        let hinted = tokio::time::timeout(Duration::from_millis(200), hints.recv()).await;
        assert!(hinted.is_err(), "reading is not a change");

        std::fs::write(&file, b"another").unwrap();
        let hinted = tokio::time::timeout(Duration::from_secs(10), hints.recv()).await;
        assert_eq!(hinted, Ok(Some(())));
    }
}
