use std::sync::Arc;
use std::sync::atomic::AtomicU64;
use std::time::{Duration, Instant};

use uuk_bundle::BundleDigest;

use super::Stage;
use crate::plugin::Plugin;

/// What is loaded for one plugin.
#[derive(Debug, Default)]
pub(super) struct Installed {
    pub(super) active: Option<Arc<Plugin>>,
    /// Served before, and could again at once.
    pub(super) previous: Option<Arc<Plugin>>,
    pub(super) trial: Option<Trial>,
    pub(super) pauses: Pauses,
    /// Since when no bundle of the plugin is in the folder.
    pub(super) absent_since: Option<Instant>,
}

/// A new version that answers a share of calls beside the active one.
#[derive(Debug, Clone)]
pub(super) struct Trial {
    pub(super) plugin: Arc<Plugin>,
    pub(super) since: Instant,
    /// Calls so far, of which the share is taken: it outlives the routing tables.
    pub(super) calls: Arc<AtomicU64>,
}

impl Installed {
    pub(super) fn is_active(&self, digest: BundleDigest) -> bool {
        self.active.as_ref().is_some_and(|active| active.digest() == digest)
    }

    pub(super) fn on_trial(&self, digest: BundleDigest) -> Option<Arc<Plugin>> {
        let trial = self.trial.as_ref()?;
        (trial.plugin.digest() == digest).then(|| Arc::clone(&trial.plugin))
    }

    pub(super) fn standing_by(&self, digest: BundleDigest) -> Option<Arc<Plugin>> {
        self.previous.clone().filter(|previous| previous.digest() == digest)
    }

    /// Everything loaded.
    pub(super) fn digests(&self) -> impl Iterator<Item = BundleDigest> {
        let trial = self.trial.as_ref().map(|trial| &trial.plugin);
        [self.active.as_ref(), self.previous.as_ref(), trial]
            .into_iter()
            .flatten()
            .map(|plugin| plugin.digest())
    }

    pub(super) fn stage_of(&self, digest: BundleDigest, now: Instant) -> Option<Stage> {
        if self.is_active(digest) {
            Some(if self.pauses.end(now).is_some() { Stage::Suspended } else { Stage::Active })
        } else if self.on_trial(digest).is_some() {
            Some(Stage::Canary)
        } else {
            self.standing_by(digest).map(|_| Stage::Standby)
        }
    }

    /// Puts `plugin` in the place of what serves, which stands by from now on.
    pub(super) fn take_over(&mut self, plugin: Arc<Plugin>) {
        self.trial = None;
        self.pauses = Pauses::default();
        if let Some(before) = self.active.replace(plugin) {
            self.previous = Some(before);
        }
    }

    /// Takes a version out; if it was the active one, what stands by serves again.
    pub(super) fn withdraw(&mut self, digest: BundleDigest) -> Withdrawn {
        self.trial.take_if(|trial| trial.plugin.digest() == digest);
        self.previous.take_if(|previous| previous.digest() == digest);
        if self.active.take_if(|active| active.digest() == digest).is_none() {
            return Withdrawn::NotActive;
        }
        self.pauses = Pauses::default();
        self.active = self.previous.take();
        self.active.clone().map_or(Withdrawn::NothingLeft, Withdrawn::BackTo)
    }
}

/// What [`Installed::withdraw`] left.
pub(super) enum Withdrawn {
    NotActive,
    BackTo(Arc<Plugin>),
    NothingLeft,
}

/// Pauses of a service whose only version keeps failing. It is never given up: with nothing to go back to, a service
/// that answers now and then is worth more than none.
#[derive(Debug, Default)]
pub(super) struct Pauses {
    begun: u32,
    until: Option<Instant>,
}

impl Pauses {
    /// First and longest.
    const LENGTH: (Duration, Duration) = (Duration::from_secs(1), Duration::from_secs(60));
    /// A version that did well for this long after a pause begins anew.
    const FORGOTTEN_AFTER: Duration = Duration::from_secs(600);

    /// When the present pause ends, if there is one.
    pub(super) fn end(&self, now: Instant) -> Option<Instant> {
        self.until.filter(|until| *until > now)
    }

    /// Begins the next pause, longer than the one before, and says how long.
    pub(super) fn begin(&mut self, now: Instant) -> Duration {
        if self.until.is_some_and(|until| now.saturating_duration_since(until) >= Self::FORGOTTEN_AFTER) {
            *self = Self::default();
        }
        let (first, longest) = Self::LENGTH;
        let pause = first.saturating_mul(2u32.saturating_pow(self.begun)).min(longest);
        self.begun = self.begun.saturating_add(1);
        self.until = Some(now + pause);
        pause
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn pauses_grow_up_to_a_minute() {
        let (mut pauses, now) = (Pauses::default(), Instant::now());
        let lengths: Vec<_> = (0..8).map(|_| pauses.begin(now).as_secs()).collect();
        assert_eq!(lengths, [1, 2, 4, 8, 16, 32, 60, 60]);
    }

    #[test]
    fn a_version_that_did_well_for_long_begins_anew() {
        let (mut pauses, now) = (Pauses::default(), Instant::now());
        for _ in 0..3 {
            pauses.begin(now);
        }
        assert_eq!(pauses.begin(now + Duration::from_secs(700)), Duration::from_secs(1));
    }

    #[test]
    fn a_pause_ends_by_itself() {
        let (mut pauses, now) = (Pauses::default(), Instant::now());
        pauses.begin(now);
        assert!(pauses.end(now).is_some());
        assert!(pauses.end(now + Duration::from_secs(1)).is_none());
    }
}
