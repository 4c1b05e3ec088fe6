//! How a verified bundle is made ready beside what serves: read from its copy, compiled, linked, probed.

use std::collections::BTreeMap;
use std::panic::AssertUnwindSafe;
use std::sync::Arc;
use std::time::{Duration, Instant};

use futures_util::FutureExt;
use tokio::sync::Semaphore;
use tokio::task::JoinSet;
use uuk_bundle::{BundleDigest, VettedBundle};
use uuk_identifiers::ServiceId;
use uuk_process::Clock;

use super::store::Store;
use super::{Policy, RefusalReason};
use crate::compiled_cache::CompiledCache;
use crate::engine::Engine;
use crate::grant::Resources;
use crate::plugin::Plugin;

/// A probe may take as long as a call.
const PROBE_TIME_MAX: Duration = Duration::from_secs(10);
/// Bundles whose bytes are in memory to be verified; a restart begins with all of them.
const VERIFIED_AT_ONCE: usize = 2;

/// Everything that makes one bundle ready.
pub(super) struct Preparation {
    pub(super) engine: Arc<Engine>,
    pub(super) cache: Arc<CompiledCache>,
    pub(super) store: Store,
    pub(super) clock: Clock,
    pub(super) policy: Arc<Policy>,
    pub(super) resources: Arc<Resources>,
    pub(super) plugin: String,
    pub(super) digest: BundleDigest,
    pub(super) purpose: Purpose,
}

/// Why a bundle is made ready.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Purpose {
    /// To serve for the first time.
    Debut,
    /// To go on under another policy or after a restart. It has shown that it can serve: it is not probed, so that a
    /// database that is down does not take its service away for longer than it is down.
    Renewal,
}

/// The end of a preparation.
pub(super) struct Prepared {
    pub(super) plugin: String,
    pub(super) digest: BundleDigest,
    pub(super) purpose: Purpose,
    /// What the result rests on.
    pub(super) policy: Arc<Policy>,
    pub(super) result: Result<Arc<Plugin>, RefusalReason>,
}

/// The preparations in progress, at most one per bundle.
pub(super) struct Preparations {
    tasks: JoinSet<Prepared>,
    plugins: BTreeMap<BundleDigest, String>,
    verifying: Arc<Semaphore>,
}

impl Preparations {
    pub(super) fn new() -> Self {
        Self {
            tasks: JoinSet::new(),
            plugins: BTreeMap::new(),
            verifying: Arc::new(Semaphore::new(VERIFIED_AT_ONCE)),
        }
    }

    pub(super) fn contains(&self, digest: &BundleDigest) -> bool {
        self.plugins.contains_key(digest)
    }

    /// The bundles being prepared, and their plugins.
    pub(super) fn iter(&self) -> impl Iterator<Item = (&BundleDigest, &str)> {
        self.plugins.iter().map(|(digest, plugin)| (digest, plugin.as_str()))
    }

    /// Starts `preparation`, unless its bundle is being prepared already.
    pub(super) fn start(&mut self, preparation: Preparation) {
        if self.plugins.insert(preparation.digest, preparation.plugin.clone()).is_none() {
            self.tasks.spawn(preparation.run(Arc::clone(&self.verifying)));
        }
    }

    /// The next that ends; none if there is none.
    ///
    /// # Cancellation
    /// Safe: what has ended is given by the next call.
    pub(super) async fn next(&mut self) -> Option<Prepared> {
        // A task catches its own panics and is cancelled only by `end`.
        let prepared = self.tasks.join_next().await?.ok()?;
        self.plugins.remove(&prepared.digest);
        Some(prepared)
    }

    /// Cancels all.
    pub(super) async fn end(&mut self) {
        self.tasks.shutdown().await;
    }
}

impl Preparation {
    async fn run(self, verifying: Arc<Semaphore>) -> Prepared {
        let result = AssertUnwindSafe(self.prepare(&verifying)).catch_unwind().await;
        let Self { plugin, digest, purpose, policy, .. } = self;
        Prepared { plugin, digest, purpose, policy, result: result.unwrap_or(Err(RefusalReason::Host)) }
    }

    async fn prepare(&self, verifying: &Semaphore) -> Result<Arc<Plugin>, RefusalReason> {
        if self.purpose == Purpose::Renewal {
            // What may no longer serve stops now, not when the compiler is free.
            let _permit = verifying.acquire().await.map_err(|_| RefusalReason::Host)?;
            self.verify().await?;
        }
        let plugin = {
            // Compiling takes a core; the permit keeps the others for calls. Neither semaphore is ever closed.
            let _permit = self.engine.compilations.acquire().await.map_err(|_| RefusalReason::Host)?;
            self.load(self.verify().await?).await?
        };
        if self.purpose == Purpose::Debut {
            self.check_catalogued(&plugin)?;
            probe(&plugin).await?;
        }
        Ok(plugin)
    }

    /// Reads the copy and verifies it under the policy in force.
    async fn verify(&self) -> Result<VettedBundle, RefusalReason> {
        let (store, policy, digest, now) =
            (self.store.clone(), Arc::clone(&self.policy), self.digest, self.clock.now());
        let verifying = tokio::task::spawn_blocking(move || {
            let bytes = store.read(digest).map_err(RefusalReason::Store)?;
            Ok(uuk_bundle::verify(&bytes, &policy.trust, now)?)
        });
        verifying.await.map_err(|_| RefusalReason::Host)?
    }

    async fn load(&self, vetted: VettedBundle) -> Result<Arc<Plugin>, RefusalReason> {
        let (engine, cache, resources) =
            (Arc::clone(&self.engine), Arc::clone(&self.cache), Arc::clone(&self.resources));
        let loading = tokio::task::spawn_blocking(move || {
            Plugin::load(&engine, Some(&cache), vetted.bundle(), resources)
        });
        Ok(loading.await.map_err(|_| RefusalReason::Host)??)
    }

    /// A service outside the catalog does not answer, whatever is loaded; one inside it answers as catalogued. What
    /// serves when the catalog changes stays: the requests of that one service are refused, not its neighbours'.
    fn check_catalogued(&self, plugin: &Plugin) -> Result<(), RefusalReason> {
        let Some(deployment) = self.policy.deployment(&self.plugin) else { return Ok(()) };
        for (code, contract) in plugin.contracts() {
            let service = ServiceId { provider: deployment.provider.clone(), code: code.clone() };
            let catalogued = self.policy.catalogued.get(&service);
            if catalogued.is_some_and(|catalogued| *catalogued != contract.sha256()) {
                return Err(RefusalReason::ContractDiffers { service });
            }
        }
        Ok(())
    }
}

async fn probe(plugin: &Arc<Plugin>) -> Result<(), RefusalReason> {
    for deep in [false, true] {
        let findings = plugin.probe(deep, Instant::now() + PROBE_TIME_MAX).await;
        let findings = findings.map_err(RefusalReason::Probe)?;
        if let Some(finding) = findings.into_iter().find(|finding| !finding.ok) {
            return Err(RefusalReason::Finding { finding });
        }
    }
    Ok(())
}
