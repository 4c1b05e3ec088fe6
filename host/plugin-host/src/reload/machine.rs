//! What moves a bundle from stage to stage: what should serve and does not yet is brought up, what failed goes.

use std::collections::BTreeSet;
use std::sync::Arc;
use std::sync::atomic::AtomicU64;
use std::time::Instant;

use uuk_bundle::BundleDigest;
use uuk_identifiers::ServiceId;
use uuk_process::ErrorChain;

use super::bundles::KnownBundle;
use super::installed::{Installed, Trial, Withdrawn};
use super::preparation::{Preparation, Prepared, Purpose};
use super::refusal::Refusal;
use super::{Approval, RefusalReason, Reload};
use crate::grant::Resources;
use crate::plugin::Plugin;

/// What should happen for a plugin.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Target {
    /// No bundle of it is in the folder.
    Nothing,
    /// None of its bundles may serve now.
    AsItIs,
    /// This bundle should serve.
    Bundle(BundleDigest),
}

impl Reload {
    /// Starts what should serve and does not yet, and ends what should no longer.
    pub(super) fn settle(&mut self) {
        let policy = Arc::clone(&self.in_force);
        let in_folder: BTreeSet<BundleDigest> = self.inbox.bundles().collect();
        for id in policy.deployments.iter().map(|deployment| &deployment.plugin) {
            let target = self.target(id, &in_folder);
            let installed = self.plugins.entry(id.clone()).or_default();
            // A trial goes on only for what is wanted.
            installed.trial.take_if(|trial| target != Target::Bundle(trial.plugin.digest()));
            if target == Target::Nothing && self.is_removed(id) {
                self.retire_after_grace(id);
            } else if let Some(installed) = self.plugins.get_mut(id) {
                installed.absent_since = None;
            }
            if let Target::Bundle(digest) = target {
                self.bring_up(id, digest);
            }
            self.promote(id);
        }
        self.forget();
    }

    /// Which bundle should serve for `id`: the highest version in the folder, or the operator's choice if nothing came
    /// after it.
    fn target(&self, id: &str, in_folder: &BTreeSet<BundleDigest>) -> Target {
        let candidates = || self.bundles.of(id).filter(|(digest, _)| in_folder.contains(digest));
        if candidates().next().is_none() {
            return Target::Nothing;
        }
        let pin = self.ledger.pinned.get(id).filter(|pin| {
            self.bundles.get(&pin.digest).is_some_and(|known| self.may_serve(pin.digest, known))
        });
        let serves = self.ledger.active.get(id);
        let newest = candidates()
            .filter(|(digest, known)| self.may_serve(**digest, known))
            .filter(|(_, known)| pin.is_none_or(|pin| known.version > pin.newest))
            // Of two bundles with one version the one that serves stays: swapping them back and forth helps nobody.
            .max_by_key(|(digest, known)| (&known.version, Some(*digest) == serves, **digest))
            .map(|(digest, _)| *digest);
        newest.or(pin.map(|pin| pin.digest)).map_or(Target::AsItIs, Target::Bundle)
    }

    fn may_serve(&self, digest: BundleDigest, known: &KnownBundle) -> bool {
        !self.ledger.quarantined.contains_key(&digest)
            && known.refusal.as_ref().is_none_or(Refusal::is_over)
            && (self.config.approval == Approval::Automatic || self.ledger.approved.contains_key(&digest))
    }

    /// Whether the file of what serves was taken away on purpose. A folder that can not be read, such as one that is not
    /// mounted, is not an empty one; and a file that is being overwritten is not a missing one.
    fn is_removed(&self, id: &str) -> bool {
        let active = self.ledger.active.get(id);
        active.is_some_and(|active| self.inbox.is_readable() && !self.inbox.is_overwritten(*active))
    }

    fn retire_after_grace(&mut self, id: &str) {
        let Some(installed) = self.plugins.get_mut(id) else { return };
        let since = *installed.absent_since.get_or_insert_with(Instant::now);
        if since.elapsed() >= self.config.removal_grace {
            tracing::info!(plugin.name = id, "The bundle was removed from the folder; the plugin is retired");
            self.plugins.remove(id);
            self.ledger.retire(id);
        }
    }

    fn bring_up(&mut self, id: &str, digest: BundleDigest) {
        // What served before a restart comes back first, so that a newer version has its trial beside it.
        let comes_back = self.ledger.active.get(id).is_some_and(|active| self.preparations.contains(active));
        let Some(installed) = self.plugins.get(id) else { return };
        if comes_back || installed.is_active(digest) || installed.on_trial(digest).is_some() {
            return;
        }
        match installed.standing_by(digest) {
            Some(ready) => self.take_over(id, ready),
            None => self.prepare(id, digest, Purpose::Debut),
        }
    }

    fn prepare(&mut self, id: &str, digest: BundleDigest, purpose: Purpose) {
        let resources = match self.resources_of(id) {
            Ok(resources) => resources,
            Err(reason) => return self.refuse(id, digest, reason),
        };
        self.preparations.start(Preparation {
            engine: Arc::clone(&self.engine),
            cache: Arc::clone(&self.cache),
            store: self.store.clone(),
            clock: self.clock.clone(),
            policy: Arc::clone(&self.in_force),
            resources,
            plugin: id.to_owned(),
            digest,
            purpose,
        });
    }

    /// What the plugin is granted, opened once for all its versions.
    fn resources_of(&mut self, id: &str) -> Result<Arc<Resources>, RefusalReason> {
        if let Some(resources) = self.resources.get(id) {
            return Ok(Arc::clone(resources));
        }
        let deployment = self.in_force.deployment(id);
        let deployment = deployment.ok_or_else(|| RefusalReason::NotGranted { plugin: id.to_owned() })?;
        let resources = Resources::open(&deployment.grant, &self.cleanup)?;
        self.resources.insert(id.to_owned(), Arc::clone(&resources));
        Ok(resources)
    }

    /// Verifies and loads anew, under the policy in force, all that serves and stands by.
    pub(super) fn renew(&mut self) {
        let loaded: Vec<_> = self.ledger.loaded().map(|(id, digest)| (id.clone(), digest)).collect();
        for (id, digest) in loaded {
            self.prepare(&id, digest, Purpose::Renewal);
        }
    }

    /// Trust, grants or the catalog changed: what no longer passes stops, the rest goes on under the new ones.
    pub(super) fn policy_changed(&mut self) {
        self.in_force = self.policy.borrow_and_update().clone();
        self.resources.clear();
        let in_force = &self.in_force;
        self.plugins.retain(|id, _| in_force.deployment(id).is_some());
        for installed in self.plugins.values_mut() {
            installed.trial = None;
        }
        self.renew();
    }

    /// A preparation ended.
    pub(super) fn prepared(&mut self, prepared: Prepared) {
        let Prepared { plugin: id, digest, purpose, policy, result } = prepared;
        if !Arc::ptr_eq(&policy, &self.in_force) {
            // What was made ready under an earlier policy may not serve. A debut is asked for again by `settle`.
            if purpose == Purpose::Renewal {
                self.prepare(&id, digest, purpose);
            }
            return;
        }
        match (result, purpose) {
            (Ok(plugin), Purpose::Debut) => self.admit(&id, plugin),
            (Ok(plugin), Purpose::Renewal) => self.renewed(&id, plugin),
            (Err(reason), _) => self.refuse(&id, digest, reason),
        }
    }

    fn renewed(&mut self, id: &str, plugin: Arc<Plugin>) {
        let digest = plugin.digest();
        if !self.bundles.contains(&digest) {
            self.bundles.note(digest, plugin.manifest());
        }
        let Some(installed) = self.plugins.get_mut(id) else { return };
        if self.ledger.active.get(id) == Some(&digest) {
            installed.active = Some(plugin);
        } else if self.ledger.previous.get(id) == Some(&digest) {
            installed.previous = Some(plugin);
        }
    }

    /// A version is ready: on trial if another serves well, else at once.
    fn admit(&mut self, id: &str, plugin: Arc<Plugin>) {
        let digest = plugin.digest();
        if self.target(id, &self.inbox.bundles().collect()) != Target::Bundle(digest) {
            // Replaced, removed or quarantined meanwhile.
            return;
        }
        if let Err(reason) = self.check_services_free(id, &plugin) {
            return self.refuse(id, digest, reason);
        }
        let is_chosen = self.ledger.pinned.get(id).is_some_and(|pin| pin.digest == digest);
        let Some(installed) = self.plugins.get(id) else { return };
        let serves_well = installed.pauses.end(Instant::now()).is_none()
            && installed.active.as_ref().is_some_and(|active| self.answers_as_catalogued(id, active));
        if is_chosen || !serves_well || self.config.canary.share.is_none() {
            return self.take_over(id, plugin);
        }
        let version = &plugin.manifest().plugin.version;
        tracing::info!(plugin.name = id, plugin.version = %version, "Version {version} of {id} is on trial");
        let trial = Trial { plugin, since: Instant::now(), calls: Arc::new(AtomicU64::new(0)) };
        if let Some(installed) = self.plugins.get_mut(id) {
            installed.trial = Some(trial);
        }
    }

    /// Whether its contracts are still those of the catalog: what does not answer as catalogued does not answer.
    fn answers_as_catalogued(&self, id: &str, plugin: &Plugin) -> bool {
        let Some(deployment) = self.in_force.deployment(id) else { return false };
        plugin.contracts().iter().all(|(code, contract)| {
            let service = ServiceId { provider: deployment.provider.clone(), code: code.clone() };
            self.in_force.catalogued.get(&service) == Some(&contract.sha256())
        })
    }

    /// One service has one plugin: the first to serve it.
    fn check_services_free(&self, id: &str, plugin: &Plugin) -> Result<(), RefusalReason> {
        let provider = self.in_force.deployment(id).map(|deployment| &deployment.provider);
        let others = self.in_force.deployments.iter().filter(|other| other.plugin != id);
        for other in others.filter(|other| Some(&other.provider) == provider) {
            let active = self.plugins.get(&other.plugin).and_then(|installed| installed.active.as_ref());
            let taken = active.and_then(|active| {
                plugin.contracts().keys().find(|code| active.contracts().contains_key(*code))
            });
            if let Some(code) = taken {
                let (code, plugin) = (code.clone(), other.plugin.clone());
                return Err(RefusalReason::ServiceTaken { code, plugin });
            }
        }
        Ok(())
    }

    pub(super) fn take_over(&mut self, id: &str, plugin: Arc<Plugin>) {
        let (digest, version) = (plugin.digest(), plugin.manifest().plugin.version.clone());
        tracing::info!(plugin.name = id, plugin.version = %version, "Version {version} of {id} is active");
        let installed = self.plugins.entry(id.to_owned()).or_default();
        installed.take_over(plugin);
        if let Some(previous) = &installed.previous {
            self.ledger.previous.insert(id.to_owned(), previous.digest());
        }
        self.ledger.active.insert(id.to_owned(), digest);
        // An operator's choice ends with a version that came after it.
        if self.ledger.pinned.get(id).is_some_and(|pin| pin.digest != digest) {
            self.ledger.pinned.remove(id);
        }
    }

    fn promote(&mut self, id: &str) {
        let Some(trial) = self.plugins.get(id).and_then(|installed| installed.trial.clone()) else { return };
        if trial.since.elapsed() >= self.config.canary.time {
            self.take_over(id, trial.plugin);
        }
    }

    /// A bundle does not pass: it does not serve, whatever it did before.
    fn refuse(&mut self, id: &str, digest: BundleDigest, reason: RefusalReason) {
        let error = ErrorChain(&reason);
        tracing::warn!(plugin.name = id, bundle = %digest, %error, "A bundle of {id} is refused: {error}");
        self.bundles.refuse(digest, reason);
        // What served stays in the ledger: it comes back when the policy lets it.
        self.withdraw(id, digest);
    }

    /// A version failed too often: go back if there is something to go back to, else pause.
    pub(super) fn tripped(&mut self, plugin: &Arc<Plugin>) {
        let (id, digest) = (plugin.manifest().plugin.id.clone(), plugin.digest());
        let Some(installed) = self.plugins.get_mut(&id) else { return };
        let is_it = |one: &Arc<Plugin>| Arc::ptr_eq(one, plugin);
        if installed.trial.as_ref().is_some_and(|trial| is_it(&trial.plugin)) {
            return self.quarantine(&id, digest, "failed on trial".into());
        }
        let now = Instant::now();
        if !installed.active.as_ref().is_some_and(is_it) || installed.pauses.end(now).is_some() {
            // Calls that had begun before it was replaced or paused.
            return;
        }
        if let Some(trial) = installed.trial.take() {
            // The newer version can hardly do worse; if it does, it goes the same way.
            return self.take_over(&id, trial.plugin);
        }
        if installed.previous.is_some() {
            return self.quarantine(&id, digest, "failed while it served".into());
        }
        let pause = installed.pauses.begin(now);
        tracing::warn!(plugin.name = id, "{id} keeps failing; its services pause for {pause:?}");
    }

    pub(super) fn quarantine(&mut self, id: &str, digest: BundleDigest, reason: String) {
        tracing::error!(plugin.name = id, bundle = %digest, reason, "A version of {id} is quarantined: {reason}");
        if let Withdrawn::NothingLeft = self.withdraw(id, digest) {
            self.ledger.active.remove(id);
        }
        self.ledger.previous.retain(|_, previous| *previous != digest);
        self.ledger.pinned.retain(|_, pin| pin.digest != digest);
        self.ledger.quarantined.insert(digest, reason);
    }

    /// Takes a version out of service, back to the one that stands by.
    fn withdraw(&mut self, id: &str, digest: BundleDigest) -> Withdrawn {
        let withdrawn = self.plugins.get_mut(id).map(|installed| installed.withdraw(digest));
        let withdrawn = withdrawn.unwrap_or(Withdrawn::NotActive);
        if let Withdrawn::BackTo(previous) = &withdrawn {
            tracing::warn!(
                plugin.name = id,
                "Back to version {} of {id}",
                previous.manifest().plugin.version
            );
            self.ledger.active.insert(id.to_owned(), previous.digest());
            self.ledger.previous.remove(id);
        }
        withdrawn
    }

    /// Forgets bundles that are neither in the folder nor of any use, in memory and on disk.
    fn forget(&mut self) {
        let loaded = self.plugins.values().flat_map(Installed::digests);
        let preparing = self.preparations.iter().map(|(digest, _)| *digest);
        let decided = self.ledger.loaded().map(|(_, digest)| digest);
        let quarantined = self.ledger.quarantined.keys().copied();
        let wanted: BTreeSet<BundleDigest> =
            self.inbox.bundles().chain(loaded).chain(preparing).chain(decided).chain(quarantined).collect();
        if wanted != self.kept {
            self.bundles.forget_all_but(&wanted);
            self.store.forget_all_but(&wanted);
            self.kept = wanted;
        }
    }
}
