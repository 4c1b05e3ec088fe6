//! Instances that have answered a call and may answer another.

use std::collections::VecDeque;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError, Weak};
use std::time::{Duration, Instant};

use tokio::sync::{OwnedSemaphorePermit, Semaphore};
use tokio_util::task::AbortOnDropHandle;
use uuk_bundle::Reuse;

use crate::environment::Environment;
use crate::instance::Instance;

/// The idle instances of one version of a plugin.
///
/// An instance remembers whatever its adapter kept. So it stays with its version and its client: what a call left behind
/// is never seen by another body.
pub(crate) struct IdleInstances {
    /// Of all plugins together.
    places: Arc<Semaphore>,
    memories: u32,
    idle_time_max: Duration,
    waiting: Mutex<Waiting>,
}

#[derive(Default)]
struct Waiting {
    /// In the order in which they became idle, and so in that in which their time is up.
    instances: VecDeque<Idle>,
    /// Drops those whose time is up, while there are any.
    sweeper: Option<AbortOnDropHandle<()>>,
}

struct Idle {
    instance: Instance,
    client: String,
    until: Instant,
    _place: OwnedSemaphorePermit,
}

impl IdleInstances {
    pub(crate) fn new(environment: &Environment, reuse: Reuse) -> Arc<Self> {
        Arc::new(Self {
            places: Arc::clone(&environment.engine.idle_memories),
            memories: environment.memories,
            idle_time_max: reuse.idle_time_max,
            waiting: Mutex::default(),
        })
    }

    /// The one that answered `client` last.
    pub(crate) fn take(&self, client: &str) -> Option<Instance> {
        let mut waiting = self.waiting();
        let now = Instant::now();
        let index = waiting.instances.iter().rposition(|idle| idle.client == client && now < idle.until)?;
        waiting.instances.remove(index).map(|idle| idle.instance)
    }

    /// Keeps an instance for the next call of `client`, if need be instead of the one that has waited longest.
    pub(crate) fn keep(self: &Arc<Self>, instance: Instance, client: &str) {
        let mut waiting = self.waiting();
        let place = loop {
            match Arc::clone(&self.places).try_acquire_many_owned(self.memories) {
                Ok(place) => break place,
                // All places are other plugins'.
                Err(_) if waiting.instances.is_empty() => return,
                Err(_) => drop(waiting.instances.pop_front()),
            }
        };
        let until = Instant::now() + self.idle_time_max;
        waiting.instances.push_back(Idle { instance, client: client.to_owned(), until, _place: place });
        if waiting.sweeper.is_none() {
            let sweeping = sweep(Arc::downgrade(self), until);
            waiting.sweeper = Some(AbortOnDropHandle::new(tokio::spawn(sweeping)));
        }
    }

    /// Drops those whose time is up, and says when the next one's is.
    fn drop_expired(&self) -> Option<Instant> {
        let mut waiting = self.waiting();
        let now = Instant::now();
        while waiting.instances.front().is_some_and(|idle| idle.until <= now) {
            waiting.instances.pop_front();
        }
        let next = waiting.instances.front().map(|idle| idle.until);
        if next.is_none() {
            waiting.sweeper = None;
        }
        next
    }

    fn waiting(&self) -> MutexGuard<'_, Waiting> {
        self.waiting.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// Keeps no plugin alive that is no longer in use.
async fn sweep(idle: Weak<IdleInstances>, mut next: Instant) {
    loop {
        tokio::time::sleep_until(next.into()).await;
        match idle.upgrade().and_then(|idle| idle.drop_expired()) {
            Some(until) => next = until,
            None => return,
        }
    }
}
