//! From a file in a folder to a plugin that answers, and back again when it fails.
//!
//! Folder events are hints; the truth is a rescan. A bundle is read once, verified in memory, kept in a private store,
//! prepared (compiled, linked, probed) beside what serves, and then swapped in by publishing a new routing table.
//! Nothing here stops a version that serves, except a newer one that is ready, an operator, or the version itself.

mod folder;
mod store;

use std::collections::{BTreeMap, BTreeSet, HashMap};
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::{Duration, Instant};

use notify::Watcher;
use serde::{Deserialize, Serialize};
use tokio::sync::{mpsc, oneshot, watch};
use tokio::task::JoinSet;
use tokio_util::sync::CancellationToken;
use tokio_util::task::TaskTracker;
use uuk_bundle::{BundleDigest, BundleError, Trust, VettedBundle};
use uuk_identifiers::{ServiceId, SubsystemId};
use uuk_process::{Clock, ErrorChain};

use crate::call::CallError;
use crate::compiled_cache::CompiledCache;
use crate::engine::Engine;
use crate::grant::{Grant, Resources, ResourcesError};
use crate::instance::Finding;
use crate::plugin::{LoadError, Plugin};
use crate::registry::{Arm, Registry, Route, RoutingTable, Share, Trip};
use folder::{Listing, Stamp};
use store::{Ledger, Store};

/// After a hint, events that belong together are waited for.
const DEBOUNCE: Duration = Duration::from_millis(20);
/// A file that does not verify may still be being written; it is called bad once it has not changed for this long.
const SETTLED_AFTER: Duration = Duration::from_secs(2);
/// A bundle that is gone this long was removed on purpose; shorter absences are swaps and remounts.
const REMOVED_AFTER: Duration = Duration::from_secs(10);
/// A probe may take as long as a call.
const PROBE_TIME_MAX: Duration = Duration::from_secs(10);
/// First and longest pause of a service whose only version keeps failing.
const SUSPENSION: (Duration, Duration) = (Duration::from_secs(1), Duration::from_secs(60));
/// Suspensions after which the version is quarantined for an operator to look at.
const SUSPENSIONS_MAX: u32 = 3;
/// Outcomes remembered for `uuk plugin list` beyond what is in the folder.
const REMEMBERED_MAX: usize = 200;

/// Where bundles are looked for, and how new ones begin.
#[derive(Debug, Clone)]
pub struct ReloadConfig {
    /// The folder that the agency drops bundles into.
    pub folder: PathBuf,
    /// A private folder for copies, the ledger and compiled code.
    pub state: PathBuf,
    /// How often the folder is scanned without a hint.
    pub rescan_every: Duration,
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

/// Why a bundle does not serve.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum RefusalReason {
    /// Signature, vetting, revocation or contents.
    #[error(transparent)]
    Bundle(#[from] BundleError),
    /// No grant names the plugin.
    #[error("no grant names the plugin `{plugin}`")]
    NotGranted {
        /// The plugin's identifier.
        plugin: String,
    },
    /// The contract is not the catalogued one.
    #[error("contract of service `{service}` differs from the catalogued one")]
    ContractDiffers {
        /// The service.
        service: ServiceId,
    },
    /// What is granted can not be opened.
    #[error("grant is not usable")]
    Resources(#[from] ResourcesError),
    /// Component, contract, statements, configuration.
    #[error(transparent)]
    Load(#[from] LoadError),
    /// The probe did not come to an end.
    #[error("probe failed")]
    Probe(#[source] CallError),
    /// The probe found something wrong.
    #[error("probe found `{}` wrong: {}", finding.check, finding.detail)]
    Finding {
        /// The first bad finding.
        finding: Finding,
    },
    /// The copy can not be kept or read.
    #[error("cannot keep a copy of the bundle")]
    Store(#[source] std::io::Error),
    /// The host failed.
    #[error("preparing the bundle failed inside the host")]
    Host,
}

impl RefusalReason {
    /// The stable code of the cause.
    pub fn code(&self) -> &'static str {
        match self {
            Self::Bundle(error) => error.code(),
            Self::NotGranted { .. } => "plugin.not_granted",
            Self::ContractDiffers { .. } => "plugin.contract_differs",
            Self::Resources(error) => error.code(),
            Self::Load(error) => error.code(),
            Self::Probe(_) | Self::Finding { .. } => "plugin.probe",
            Self::Store(_) => "plugin.store",
            Self::Host => "plugin.host",
        }
    }

    /// Whether trying the same bytes again later may help.
    fn may_pass(&self) -> bool {
        matches!(self, Self::Probe(_) | Self::Finding { .. } | Self::Store(_))
    }
}

/// Where a bundle is on its way.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, strum::Display)]
#[serde(rename_all = "snake_case")]
#[strum(serialize_all = "snake_case")]
pub enum Stage {
    /// Verified, and waiting for an operator's approval.
    AwaitsApproval,
    /// Being compiled and probed.
    Preparing,
    /// Answers its share of calls.
    Canary,
    /// Answers.
    Active,
    /// Served before, kept ready for a rollback.
    Standby,
    /// Active, but pausing after failures.
    Suspended,
    /// May not serve until released.
    Quarantined,
    /// Does not pass a check.
    Rejected,
    /// Verified, and a better version serves.
    Superseded,
}

/// One line of `uuk plugin list`.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct PluginStatus {
    /// The plugin's identifier, empty if the bundle could not be read.
    pub plugin: String,
    /// Its version, empty likewise.
    pub version: String,
    /// SHA-256 of the bundle; absent if it could not be read.
    pub digest: Option<BundleDigest>,
    /// Where it is.
    pub stage: Stage,
    /// File it came from, if it is still there.
    pub file: Option<PathBuf>,
    /// Code and text of what is wrong.
    pub reason: Option<(String, String)>,
}

/// What an operator asks for.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Order {
    /// Let this bundle serve, where approval is asked for.
    Approve(BundleDigest),
    /// Let this bundle serve in place of the newest.
    Activate(BundleDigest),
    /// Go back to the version that served before.
    Rollback {
        /// The plugin's identifier.
        plugin: String,
    },
    /// Take this bundle out of service.
    Quarantine {
        /// The bundle.
        digest: BundleDigest,
        /// Why, for the ledger.
        reason: String,
    },
    /// Let a quarantined bundle serve again.
    Release(BundleDigest),
}

/// Why an order was not carried out.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum OrderError {
    /// No bundle has this digest.
    #[error("no bundle has the digest {0}")]
    UnknownBundle(BundleDigest),
    /// Nothing to go back to.
    #[error("plugin `{0}` has no earlier version that could serve")]
    NoEarlierVersion(String),
    /// The server is stopping.
    #[error("the server is stopping")]
    Stopping,
}

/// A hold on the running reload: its state, and orders to it.
#[derive(Debug, Clone)]
pub struct ReloadHandle {
    orders: mpsc::Sender<(Order, oneshot::Sender<Result<(), OrderError>>)>,
    status: watch::Receiver<Arc<Vec<PluginStatus>>>,
    registry: Registry,
}

impl ReloadHandle {
    /// All bundles known, by plugin and version.
    pub fn status(&self) -> Arc<Vec<PluginStatus>> {
        self.status.borrow().clone()
    }

    /// Changes of [`ReloadHandle::status`].
    pub fn watch(&self) -> watch::Receiver<Arc<Vec<PluginStatus>>> {
        self.status.clone()
    }

    /// The routes.
    pub fn registry(&self) -> &Registry {
        &self.registry
    }

    /// Carries out `order`.
    ///
    /// # Errors
    /// [`OrderError`] if it can not be.
    pub async fn order(&self, order: Order) -> Result<(), OrderError> {
        let (answer, answered) = oneshot::channel();
        self.orders.send((order, answer)).await.map_err(|_| OrderError::Stopping)?;
        answered.await.map_err(|_| OrderError::Stopping)?
    }
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
    /// The plugin folder.
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
    orders: mpsc::Receiver<(Order, oneshot::Sender<Result<(), OrderError>>)>,
    status: watch::Sender<Arc<Vec<PluginStatus>>>,
    policy: watch::Receiver<Arc<Policy>>,
    store: Store,
    ledger: Ledger,
    files: HashMap<PathBuf, SeenFile>,
    bundles: BTreeMap<BundleDigest, KnownBundle>,
    plugins: BTreeMap<String, Installed>,
    resources: HashMap<String, Arc<Resources>>,
    preparing: JoinSet<Prepared>,
    cleanup: TaskTracker,
}

/// A file as last looked at.
struct SeenFile {
    stamp: Stamp,
    since: Instant,
    contents: Contents,
}

enum Contents {
    /// Verifies.
    Bundle(BundleDigest),
    /// Does not, or not yet.
    Unusable(BundleDigest),
    /// Can not be read.
    Unreadable(String),
}

/// A bundle by its digest, whatever file it came from.
struct KnownBundle {
    plugin: String,
    version: Option<semver::Version>,
    /// Held until it is prepared.
    vetted: Option<VettedBundle>,
    preparing: bool,
    refused: Option<(Instant, RefusalReason)>,
}

/// What serves for one plugin.
#[derive(Default)]
struct Installed {
    active: Option<Arc<Plugin>>,
    previous: Option<Arc<Plugin>>,
    canary: Option<(Arc<Plugin>, Instant)>,
    suspensions: u32,
    suspended_until: Option<Instant>,
    absent_since: Option<Instant>,
    /// Grants changed: the active version is to be loaded again under the new ones.
    renew: bool,
}

/// The end of a preparation.
struct Prepared {
    digest: BundleDigest,
    plugin: String,
    result: Result<Arc<Plugin>, RefusalReason>,
}

impl Reload {
    /// Opens the state folder and brings back what served before, without probing: it has served.
    ///
    /// # Errors
    /// [`ReloadError`] if a folder can not be used.
    pub fn open(
        config: ReloadConfig,
        engine: Arc<Engine>,
        cache: Arc<CompiledCache>,
        clock: Clock,
        policy: watch::Receiver<Arc<Policy>>,
    ) -> Result<(Self, ReloadHandle), ReloadError> {
        let state = |source| ReloadError::State { path: config.state.clone(), source };
        let store = Store::open(&config.state.join("bundles")).map_err(state)?;
        folder::list(&config.folder)
            .map_err(|source| ReloadError::Folder { path: config.folder.clone(), source })?;
        let (registry, trips) = Registry::new();
        let (orders, heard) = mpsc::channel(16);
        let (status, watched) = watch::channel(Arc::default());
        let handle = ReloadHandle { orders, status: watched, registry: registry.clone() };
        let ledger = store.ledger();
        let mut reload = Self {
            config,
            engine,
            cache,
            clock,
            registry,
            trips,
            orders: heard,
            status,
            policy,
            store,
            ledger,
            files: HashMap::new(),
            bundles: BTreeMap::new(),
            plugins: BTreeMap::new(),
            resources: HashMap::new(),
            preparing: JoinSet::new(),
            cleanup: TaskTracker::new(),
        };
        reload.restore();
        Ok((reload, handle))
    }

    /// Follows the folder, the policy, failures and orders until `stop`.
    pub async fn run(mut self, stop: CancellationToken) {
        let (hint, mut hints) = mpsc::channel(1);
        let _watcher = self.watch_folder(hint);
        let mut rescan = tokio::time::interval(self.config.rescan_every);
        rescan.set_missed_tick_behavior(tokio::time::MissedTickBehavior::Delay);
        loop {
            tokio::select! {
                () = stop.cancelled() => break,
                _ = rescan.tick() => self.scan().await,
                Some(()) = hints.recv() => {
                    tokio::time::sleep(DEBOUNCE).await;
                    self.scan().await;
                }
                Some(prepared) = self.preparing.join_next() => self.prepared(prepared),
                Some(trip) = self.trips.recv() => self.tripped(&trip.plugin),
                Some((order, answer)) = self.orders.recv() => {
                    // Whoever gave the order may have gone; it is carried out all the same.
                    let _ = answer.send(self.carry_out(order));
                }
                Ok(()) = self.policy.changed() => self.policy_changed(),
            }
            self.settle();
            self.publish();
        }
        self.preparing.shutdown().await;
        self.cleanup.close();
        self.cleanup.wait().await;
    }

    fn watch_folder(&self, hint: mpsc::Sender<()>) -> Option<notify::RecommendedWatcher> {
        // A full channel already holds a hint; events after an overflow are found by the rescan.
        let watcher = notify::recommended_watcher(move |_| {
            let _ = hint.try_send(());
        });
        let watched = watcher.and_then(|mut watcher| {
            watcher.watch(&self.config.folder, notify::RecursiveMode::NonRecursive)?;
            Ok(watcher)
        });
        watched
            .inspect_err(|error| {
                let every = self.config.rescan_every;
                tracing::warn!(%error, "Cannot watch the plugin folder; it is scanned every {every:?}");
            })
            .ok()
    }

    /// Brings back what the ledger says served.
    fn restore(&mut self) {
        let policy = self.policy.borrow().clone();
        for (id, digest) in self.ledger.active.clone() {
            let restored = self.store.read(digest).map_err(RefusalReason::Store).and_then(|bytes| {
                let vetted = uuk_bundle::verify(&bytes, &policy.trust, self.clock.now())?;
                let resources = self.resources_of(&policy, &id)?;
                let plugin = load(&self.engine, &self.cache, &vetted, &policy, resources);
                self.note_bundle(digest, vetted);
                plugin
            });
            match restored {
                Ok(plugin) => {
                    self.plugins.entry(id).or_default().active = Some(plugin);
                }
                Err(error) => {
                    let error = ErrorChain(&error);
                    tracing::warn!(plugin.name = id, %error, "Cannot bring back the version that served");
                }
            }
        }
        self.publish();
    }

    /// Looks at the folder and verifies what is new in it.
    async fn scan(&mut self) {
        let folder = self.config.folder.clone();
        let Ok(listing) = tokio::task::spawn_blocking(move || folder::list(&folder)).await else { return };
        let listing = match listing {
            Ok(listing) => listing,
            Err(error) => {
                // Not an empty folder: an unmounted one must not take every service away.
                tracing::error!(%error, "Cannot read the plugin folder; what serves goes on");
                return;
            }
        };
        self.files.retain(|path, _| listing.contains_key(path));
        for path in self.changed(&listing) {
            self.look_at(path, &listing).await;
        }
    }

    fn changed(&self, listing: &Listing) -> Vec<PathBuf> {
        let unchanged = |path: &Path, stamp: &Stamp| {
            self.files.get(path).is_some_and(|seen| {
                // A file that did not verify is read once more when it has settled: its last write may have come
                // within the clock's grain of our read.
                let again = match seen.contents {
                    Contents::Bundle(_) => false,
                    Contents::Unusable(_) => !self.is_settled(seen),
                    // A full disk or a missing permission passes.
                    Contents::Unreadable(_) => true,
                };
                seen.stamp == *stamp && !again
            })
        };
        listing.iter().filter(|(path, stamp)| !unchanged(path, stamp)).map(|(path, _)| path.clone()).collect()
    }

    fn is_settled(&self, seen: &SeenFile) -> bool {
        seen.since.elapsed() >= SETTLED_AFTER + self.config.rescan_every
    }

    async fn look_at(&mut self, path: PathBuf, listing: &Listing) {
        let Some(stamp) = listing.get(&path).copied() else { return };
        let (policy, now) = (self.policy.borrow().clone(), self.clock.now());
        let read = {
            let (path, store) = (path.clone(), self.store.clone());
            tokio::task::spawn_blocking(move || {
                let bytes = folder::read(&path)?;
                let digest = BundleDigest::of(&bytes);
                let verified = uuk_bundle::verify(&bytes, &policy.trust, now);
                // The copy that is kept is of the bytes that were verified; the file is not read again.
                if verified.is_ok() {
                    store.keep(digest, &bytes)?;
                }
                Ok::<_, std::io::Error>((digest, verified))
            })
        };
        let contents = match read.await {
            Ok(Ok((digest, Ok(vetted)))) => {
                self.note_bundle(digest, vetted);
                Contents::Bundle(digest)
            }
            Ok(Ok((digest, Err(error)))) => {
                self.note_unusable(&path, digest, error);
                Contents::Unusable(digest)
            }
            Ok(Err(error)) => Contents::Unreadable(error.to_string()),
            Err(_) => return,
        };
        let since = match self.files.get(&path) {
            Some(seen) if seen.stamp == stamp => seen.since,
            _ => Instant::now(),
        };
        self.files.insert(path, SeenFile { stamp, since, contents });
    }

    fn note_bundle(&mut self, digest: BundleDigest, vetted: VettedBundle) {
        let plugin = &vetted.bundle().manifest().plugin;
        let preparing = self.bundles.get(&digest).is_some_and(|known| known.preparing);
        let known = KnownBundle {
            plugin: plugin.id.clone(),
            version: Some(plugin.version.clone()),
            vetted: Some(vetted),
            preparing,
            refused: None,
        };
        self.bundles.insert(digest, known);
    }

    fn note_unusable(&mut self, path: &Path, digest: BundleDigest, error: BundleError) {
        tracing::debug!(file = %path.display(), error = %ErrorChain(&error), "A bundle does not verify (yet)");
        let refused = Some((Instant::now(), error.into()));
        let known =
            KnownBundle { plugin: String::new(), version: None, vetted: None, preparing: false, refused };
        self.bundles.insert(digest.clone(), known);
    }

    /// Starts what should serve and does not yet, and ends what should no longer.
    fn settle(&mut self) {
        let policy = self.policy.borrow().clone();
        let ids: Vec<String> =
            policy.deployments.iter().map(|deployment| deployment.plugin.clone()).collect();
        for id in ids {
            match self.target(&id) {
                Target::Nothing => self.retire_if_removed(&id),
                Target::Serving => {}
                Target::Bundle(digest) => self.bring_up(&policy, &id, digest),
            }
            self.promote(&id);
        }
        self.refuse_ungranted(&policy);
        self.forget_old();
    }

    /// Which bundle should serve for `id`: the operator's choice, else the highest version in the folder.
    fn target(&mut self, id: &str) -> Target {
        let usable = |digest: BundleDigest, known: &KnownBundle| {
            let retry = |refused: &(Instant, RefusalReason)| {
                refused.1.may_pass() && refused.0.elapsed() >= SETTLED_AFTER.max(self.config.rescan_every)
            };
            known.plugin == id
                && !self.ledger.quarantined.contains_key(&digest)
                && known.refused.as_ref().is_none_or(retry)
                && (self.config.approval == Approval::Automatic || self.ledger.approved.contains_key(&digest))
        };
        let in_folder = self.files.values().filter_map(|file| match &file.contents {
            Contents::Bundle(digest) => self.bundles.get(digest).map(|known| (digest, known)),
            Contents::Unusable(_) | Contents::Unreadable(_) => None,
        });
        let any_in_folder = in_folder.clone().any(|(_, known)| known.plugin == id);
        let newest = in_folder
            .filter(|(digest, known)| usable(**digest, known))
            .max_by(|one, other| one.1.version.cmp(&other.1.version))
            .map(|(digest, _)| *digest);
        let pinned = self
            .ledger
            .pinned
            .get(id)
            .filter(|pinned| self.bundles.get(*pinned).is_some_and(|known| usable(**pinned, known)));
        let wanted = pinned.copied().or(newest);
        let installed = self.plugins.entry(id.to_owned()).or_default();
        if any_in_folder {
            installed.absent_since = None;
        }
        let serves = |plugin: &Arc<Plugin>| Some(plugin.digest()) == wanted;
        match wanted {
            None if any_in_folder => Target::Serving,
            None => Target::Nothing,
            Some(_) if !installed.renew && installed.active.as_ref().is_some_and(serves) => {
                // What was on trial beside it is no longer wanted.
                installed.canary = None;
                Target::Serving
            }
            Some(_) if installed.canary.as_ref().is_some_and(|(canary, _)| serves(canary)) => Target::Serving,
            Some(digest) => Target::Bundle(digest),
        }
    }

    fn retire_if_removed(&mut self, id: &str) {
        let Some(installed) = self.plugins.get_mut(id) else { return };
        if installed.active.is_none() {
            return;
        }
        let since = *installed.absent_since.get_or_insert_with(Instant::now);
        if since.elapsed() >= REMOVED_AFTER {
            tracing::info!(plugin.name = id, "The bundle was removed from the folder; the plugin is retired");
            self.plugins.remove(id);
            self.ledger.active.remove(id);
            self.ledger.previous.remove(id);
            self.save_ledger();
        }
    }

    fn bring_up(&mut self, policy: &Arc<Policy>, id: &str, digest: BundleDigest) {
        let ready = self.plugins.get(id).and_then(|installed| installed.previous.clone());
        if let Some(ready) = ready.filter(|plugin| plugin.digest() == digest) {
            self.take_over(id, ready);
            return;
        }
        let resources = self.resources_of(policy, id);
        let Some(known) = self.bundles.get_mut(&digest) else { return };
        if known.preparing {
            return;
        }
        let Some(vetted) = known.vetted.clone() else {
            // Its bytes were let go after an earlier preparation.
            if let Ok(vetted) = read_again(&self.store, digest, policy, &self.clock) {
                known.vetted = Some(vetted);
            }
            return;
        };
        let resources = match resources {
            Ok(resources) => resources,
            Err(error) => {
                known.refused = Some((Instant::now(), error));
                return;
            }
        };
        known.preparing = true;
        known.refused = None;
        let (engine, cache, policy) = (Arc::clone(&self.engine), Arc::clone(&self.cache), Arc::clone(policy));
        let plugin = id.to_owned();
        self.preparing.spawn(async move {
            let result = prepare(engine, cache, vetted, policy, resources).await;
            Prepared { digest, plugin, result }
        });
    }

    fn prepared(&mut self, prepared: Result<Prepared, tokio::task::JoinError>) {
        let Ok(Prepared { digest, plugin: id, result }) = prepared else {
            tracing::error!("The host panicked while it prepared a bundle");
            return;
        };
        let Some(known) = self.bundles.get_mut(&digest) else { return };
        known.preparing = false;
        known.vetted = None;
        match result {
            Ok(plugin) => self.admit(&id, plugin),
            Err(reason) => {
                let error = ErrorChain(&reason).to_string();
                tracing::warn!(plugin.name = id, bundle = %digest, error, "A bundle is refused; what serves goes on");
                known.refused = Some((Instant::now(), reason));
            }
        }
    }

    /// A version is ready: on trial if another serves, else at once.
    fn admit(&mut self, id: &str, plugin: Arc<Plugin>) {
        let installed = self.plugins.entry(id.to_owned()).or_default();
        if installed.active.as_ref().is_some_and(|active| active.digest() == plugin.digest()) {
            installed.active = Some(plugin);
            installed.renew = false;
            return;
        }
        let on_trial = installed.active.is_some() && !self.config.canary.share.is_none();
        if on_trial {
            tracing::info!(
                plugin.name = id, plugin.version = %plugin.manifest().plugin.version,
                "A new version of {id} answers its share of calls"
            );
            installed.canary = Some((plugin, Instant::now()));
        } else {
            self.take_over(id, plugin);
        }
    }

    fn take_over(&mut self, id: &str, plugin: Arc<Plugin>) {
        let version = &plugin.manifest().plugin.version;
        tracing::info!(plugin.name = id, plugin.version = %version, "Version {version} of {id} is active");
        let installed = self.plugins.entry(id.to_owned()).or_default();
        installed.canary = None;
        installed.suspensions = 0;
        installed.suspended_until = None;
        let digest = plugin.digest();
        if let Some(before) = installed.active.replace(plugin) {
            self.ledger.previous.insert(id.to_owned(), before.digest());
            installed.previous = Some(before);
        }
        self.ledger.active.insert(id.to_owned(), digest);
        self.save_ledger();
    }

    fn promote(&mut self, id: &str) {
        let canary = self.plugins.get(id).and_then(|installed| installed.canary.clone());
        if let Some((plugin, since)) = canary
            && since.elapsed() >= self.config.canary.time
        {
            self.take_over(id, plugin);
        }
    }

    /// A version failed too often: go back if there is something to go back to, else pause.
    fn tripped(&mut self, plugin: &Arc<Plugin>) {
        let id = plugin.manifest().plugin.id.clone();
        let digest = plugin.digest();
        let Some(installed) = self.plugins.get_mut(&id) else { return };
        if installed.canary.as_ref().is_some_and(|(canary, _)| Arc::ptr_eq(canary, plugin)) {
            self.quarantine(&id, digest, "failed on trial".into());
        } else if installed.active.as_ref().is_some_and(|active| Arc::ptr_eq(active, plugin)) {
            if installed.previous.is_some() || installed.suspensions >= SUSPENSIONS_MAX {
                self.quarantine(&id, digest, "failed while it served".into());
            } else if installed.suspended_until.is_none_or(|until| until <= Instant::now()) {
                let pause = SUSPENSION.0.saturating_mul(1 << installed.suspensions.min(6)).min(SUSPENSION.1);
                installed.suspensions += 1;
                installed.suspended_until = Some(Instant::now() + pause);
                tracing::warn!(plugin.name = id, "{id} keeps failing; its services pause for {pause:?}");
            }
        }
    }

    fn quarantine(&mut self, id: &str, digest: BundleDigest, reason: String) {
        tracing::error!(plugin.name = id, bundle = %digest, reason, "A version of {id} is quarantined");
        if let Some(installed) = self.plugins.get_mut(id) {
            let is_it = |plugin: &Arc<Plugin>| plugin.digest() == digest;
            installed.canary.take_if(|(canary, _)| is_it(canary));
            installed.previous.take_if(|previous| is_it(previous));
            if installed.active.take_if(|active| is_it(active)).is_some() {
                self.ledger.active.remove(id);
                installed.suspended_until = None;
                if let Some(previous) = installed.previous.take() {
                    tracing::warn!(
                        plugin.name = id,
                        "Back to version {}",
                        previous.manifest().plugin.version
                    );
                    self.ledger.active.insert(id.to_owned(), previous.digest());
                    installed.active = Some(previous);
                }
            }
        }
        if self.ledger.pinned.get(id) == Some(&digest) {
            self.ledger.pinned.remove(id);
        }
        self.ledger.quarantined.insert(digest, reason);
        self.save_ledger();
    }

    fn carry_out(&mut self, order: Order) -> Result<(), OrderError> {
        let plugin_of = |reload: &Self, digest: BundleDigest| {
            let known = reload.bundles.get(&digest).map(|known| known.plugin.clone());
            known.ok_or_else(|| OrderError::UnknownBundle(digest))
        };
        match order {
            Order::Approve(digest) => {
                let id = plugin_of(self, digest)?;
                self.ledger.approved.insert(digest, id);
            }
            Order::Activate(digest) => {
                let id = plugin_of(self, digest)?;
                self.ledger.approved.insert(digest, id.clone());
                self.ledger.pinned.insert(id, digest);
            }
            Order::Rollback { plugin } => {
                let previous = self.plugins.get(&plugin).and_then(|installed| installed.previous.clone());
                let previous = previous.ok_or_else(|| OrderError::NoEarlierVersion(plugin.clone()))?;
                self.ledger.pinned.insert(plugin.clone(), previous.digest());
                self.take_over(&plugin, previous);
            }
            Order::Quarantine { digest, reason } => {
                let id = plugin_of(self, digest)?;
                self.quarantine(&id, digest, reason);
            }
            Order::Release(digest) => {
                let released = self.ledger.quarantined.remove(&digest);
                released.ok_or_else(|| OrderError::UnknownBundle(digest))?;
                if let Some(known) = self.bundles.get_mut(&digest) {
                    known.refused = None;
                }
            }
        }
        self.save_ledger();
        Ok(())
    }

    /// Trust, grants or the catalog changed: whatever no longer passes stops, the rest is read anew.
    fn policy_changed(&mut self) {
        let policy = self.policy.borrow().clone();
        self.resources.clear();
        let loaded: Vec<(String, BundleDigest)> = self
            .plugins
            .iter()
            .flat_map(|(id, installed)| {
                let canary = installed.canary.as_ref().map(|(canary, _)| canary);
                [installed.active.as_ref(), installed.previous.as_ref(), canary]
                    .into_iter()
                    .flatten()
                    .map(|plugin| (id.clone(), plugin.digest()))
            })
            .collect();
        for (id, digest) in loaded {
            if let Err(error) = read_again(&self.store, digest, &policy, &self.clock) {
                self.unload(&id, digest, error);
            }
        }
        // Grants are part of a loaded plugin: what passes is loaded again under the new ones.
        for installed in self.plugins.values_mut() {
            installed.previous = None;
            installed.renew = installed.active.is_some();
        }
        self.files.clear();
    }

    fn unload(&mut self, id: &str, digest: BundleDigest, reason: RefusalReason) {
        tracing::error!(plugin.name = id, bundle = %digest, error = %ErrorChain(&reason), "A version may no longer serve");
        if let Some(installed) = self.plugins.get_mut(id) {
            let is_it = |plugin: &Arc<Plugin>| plugin.digest() == digest;
            installed.canary.take_if(|(canary, _)| is_it(canary));
            installed.previous.take_if(|previous| is_it(previous));
            installed.active.take_if(|active| is_it(active));
        }
        if let Some(known) = self.bundles.get_mut(&digest) {
            known.refused = Some((Instant::now(), reason));
        }
    }

    fn resources_of(&mut self, policy: &Policy, id: &str) -> Result<Arc<Resources>, RefusalReason> {
        if let Some(resources) = self.resources.get(id) {
            return Ok(Arc::clone(resources));
        }
        let Some(deployment) = policy.deployments.iter().find(|deployment| deployment.plugin == id) else {
            return Err(RefusalReason::NotGranted { plugin: id.to_owned() });
        };
        let resources = Resources::open(&deployment.grant, &self.cleanup)?;
        self.resources.insert(id.to_owned(), Arc::clone(&resources));
        Ok(resources)
    }

    fn refuse_ungranted(&mut self, policy: &Policy) {
        for known in self.bundles.values_mut().filter(|known| known.version.is_some()) {
            let granted = policy.deployments.iter().any(|deployment| deployment.plugin == known.plugin);
            if !granted && known.refused.is_none() {
                let reason = RefusalReason::NotGranted { plugin: known.plugin.clone() };
                known.refused = Some((Instant::now(), reason));
            }
        }
    }

    /// Keeps memory bounded: bundles that are neither in the folder nor serve are forgotten.
    fn forget_old(&mut self) {
        if self.bundles.len() <= REMEMBERED_MAX {
            return;
        }
        let in_folder = self.files.values().filter_map(|file| match &file.contents {
            Contents::Bundle(digest) | Contents::Unusable(digest) => Some(*digest),
            Contents::Unreadable(_) => None,
        });
        let (active, previous) = (&self.ledger.active, &self.ledger.previous);
        let kept: BTreeSet<BundleDigest> =
            active.values().chain(previous.values()).copied().chain(in_folder).collect();
        self.bundles.retain(|digest, known| known.preparing || kept.contains(digest));
        self.store.forget_all_but(&kept);
    }

    fn save_ledger(&self) {
        if let Err(error) = self.store.save(&self.ledger) {
            tracing::error!(%error, "Cannot save the ledger of plugins; a restart may forget the last change");
        }
    }

    fn publish(&mut self) {
        let policy = self.policy.borrow().clone();
        let mut routes = HashMap::new();
        for deployment in &policy.deployments {
            let Some(installed) = self.plugins.get(&deployment.plugin) else { continue };
            let Some(active) = &installed.active else { continue };
            for (code, contract) in active.contracts() {
                let service = ServiceId { provider: deployment.provider.clone(), code: code.clone() };
                let arm = Arm { plugin: Arc::clone(active), contract: Arc::clone(contract) };
                let canary = installed.canary.as_ref().and_then(|(plugin, _)| {
                    let contract = Arc::clone(plugin.contracts().get(code)?);
                    Some((Arm { plugin: Arc::clone(plugin), contract }, self.config.canary.share))
                });
                routes.insert(service, Arc::new(Route::new(arm, canary, installed.suspended_until)));
            }
        }
        self.registry.publish(RoutingTable { routes });
        self.status.send_replace(Arc::new(self.statuses()));
    }

    fn statuses(&self) -> Vec<PluginStatus> {
        let mut statuses: Vec<PluginStatus> =
            self.bundles.iter().map(|(digest, known)| self.status_of(*digest, known)).collect();
        statuses.extend(self.files.iter().filter_map(|(path, file)| match &file.contents {
            Contents::Unreadable(error) => Some(PluginStatus {
                plugin: String::new(),
                version: String::new(),
                digest: None,
                stage: Stage::Rejected,
                file: Some(path.clone()),
                reason: Some(("plugin.unreadable".into(), error.clone())),
            }),
            Contents::Bundle(_) | Contents::Unusable(_) => None,
        }));
        statuses.sort_by(|one, other| (&one.plugin, &one.version).cmp(&(&other.plugin, &other.version)));
        statuses
    }

    fn status_of(&self, digest: BundleDigest, known: &KnownBundle) -> PluginStatus {
        let installed = self.plugins.get(&known.plugin);
        let is_it = |plugin: &Arc<Plugin>| plugin.digest() == digest;
        let quarantined = self.ledger.quarantined.get(&digest);
        let refused = known.refused.as_ref().map(|(_, reason)| reason);
        let stage = if quarantined.is_some() {
            Stage::Quarantined
        } else if let Some(installed) = installed.filter(|one| one.active.as_ref().is_some_and(is_it)) {
            match installed.suspended_until {
                Some(until) if until > Instant::now() => Stage::Suspended,
                _ => Stage::Active,
            }
        } else if installed.is_some_and(|one| one.canary.as_ref().is_some_and(|(canary, _)| is_it(canary))) {
            Stage::Canary
        } else if installed.is_some_and(|one| one.previous.as_ref().is_some_and(is_it)) {
            Stage::Standby
        } else if known.preparing {
            Stage::Preparing
        } else if refused.is_some() {
            Stage::Rejected
        } else if self.config.approval == Approval::Manual && !self.ledger.approved.contains_key(&digest) {
            Stage::AwaitsApproval
        } else {
            Stage::Superseded
        };
        let file = self.files.iter().find(|(_, file)| match &file.contents {
            Contents::Bundle(seen) | Contents::Unusable(seen) => *seen == digest,
            Contents::Unreadable(_) => false,
        });
        PluginStatus {
            plugin: known.plugin.clone(),
            version: known.version.as_ref().map(ToString::to_string).unwrap_or_default(),
            digest: Some(digest),
            stage,
            file: file.map(|(path, _)| path.clone()),
            reason: quarantined
                .map(|reason| ("plugin.quarantined".to_owned(), reason.clone()))
                .or_else(|| refused.map(|reason| (reason.code().into(), ErrorChain(reason).to_string()))),
        }
    }
}

/// What should happen for a plugin.
enum Target {
    /// No bundle of it is in the folder.
    Nothing,
    /// What serves is what should.
    Serving,
    /// This bundle should serve.
    Bundle(BundleDigest),
}

fn read_again(
    store: &Store,
    digest: BundleDigest,
    policy: &Policy,
    clock: &Clock,
) -> Result<VettedBundle, RefusalReason> {
    let bytes = store.read(digest).map_err(RefusalReason::Store)?;
    Ok(uuk_bundle::verify(&bytes, &policy.trust, clock.now())?)
}

/// Compiles, links and probes a bundle beside what serves.
async fn prepare(
    engine: Arc<Engine>,
    cache: Arc<CompiledCache>,
    vetted: VettedBundle,
    policy: Arc<Policy>,
    resources: Arc<Resources>,
) -> Result<Arc<Plugin>, RefusalReason> {
    let plugin = {
        // Compiling takes a core; the permit keeps the others for calls. The semaphore is never closed.
        let _permit = engine.compilations.acquire().await.map_err(|_| RefusalReason::Host)?;
        let engine = Arc::clone(&engine);
        let loading = tokio::task::spawn_blocking(move || load(&engine, &cache, &vetted, &policy, resources));
        loading.await.map_err(|_| RefusalReason::Host)??
    };
    for deep in [false, true] {
        let findings =
            plugin.probe(deep, Instant::now() + PROBE_TIME_MAX).await.map_err(RefusalReason::Probe)?;
        if let Some(finding) = findings.into_iter().find(|finding| !finding.ok) {
            return Err(RefusalReason::Finding { finding });
        }
    }
    Ok(plugin)
}

fn load(
    engine: &Arc<Engine>,
    cache: &CompiledCache,
    vetted: &VettedBundle,
    policy: &Policy,
    resources: Arc<Resources>,
) -> Result<Arc<Plugin>, RefusalReason> {
    let plugin = Plugin::load(engine, Some(cache), vetted.bundle(), resources)?;
    let id = &plugin.manifest().plugin.id;
    let provider =
        policy.deployments.iter().find(|deployment| deployment.plugin == *id).map(|one| &one.provider);
    for (code, contract) in plugin.contracts() {
        let Some(provider) = provider else { continue };
        let service = ServiceId { provider: provider.clone(), code: code.clone() };
        // A service outside the catalog does not answer, whatever is loaded; one inside it answers as catalogued.
        if policy.catalogued.get(&service).is_some_and(|catalogued| *catalogued != contract.sha256()) {
            return Err(RefusalReason::ContractDiffers { service });
        }
    }
    Ok(plugin)
}
