use std::sync::atomic::{AtomicU32, Ordering};
use std::time::{Duration, Instant};

use tokio::sync::{Semaphore, SemaphorePermit};

use crate::call::CallError;

/// Calls that find all places of their plugin taken.
#[derive(Debug, Clone, Copy)]
pub struct WaitingLimits {
    /// How many wait at one plugin; further ones are refused at once.
    pub count_max: u32,
    /// How long one waits.
    pub time_max: Duration,
}

impl Default for WaitingLimits {
    /// Of 256 clients, all wait that find no place; a caller who is not served within seconds is better told so.
    fn default() -> Self {
        Self { count_max: 512, time_max: Duration::from_secs(5) }
    }
}

/// Calls of one plugin in progress and waiting.
#[derive(Debug)]
pub(crate) struct Slots {
    running: Semaphore,
    waiting: AtomicU32,
    concurrency_max: u32,
    limits: WaitingLimits,
}

impl Slots {
    pub(crate) fn new(concurrency_max: u32, limits: WaitingLimits) -> Self {
        let running = Semaphore::new(concurrency_max as usize);
        Self { running, waiting: AtomicU32::new(0), concurrency_max, limits }
    }

    /// Waits for a place, in order, until `deadline` at the latest.
    pub(crate) async fn take(&self, deadline: Instant) -> Result<SemaphorePermit<'_>, CallError> {
        if let Ok(place) = self.running.try_acquire() {
            return Ok(place);
        }
        let WaitingLimits { count_max, time_max } = self.limits;
        let busy = CallError::Busy { concurrency_max: self.concurrency_max };
        let _waiting = Waiting::join(&self.waiting, count_max).ok_or_else(|| busy.clone())?;
        let deadline = deadline.min(Instant::now() + time_max);
        match tokio::time::timeout_at(deadline.into(), self.running.acquire()).await {
            Ok(Ok(place)) => Ok(place),
            Ok(Err(_)) | Err(_) => Err(busy),
        }
    }
}

/// A place in the queue, given back when dropped.
struct Waiting<'a>(&'a AtomicU32);

impl<'a> Waiting<'a> {
    fn join(waiting: &'a AtomicU32, waiting_max: u32) -> Option<Self> {
        waiting
            .fetch_update(Ordering::Relaxed, Ordering::Relaxed, |now| (now < waiting_max).then_some(now + 1))
            .ok()
            .map(|_| Self(waiting))
    }
}

impl Drop for Waiting<'_> {
    fn drop(&mut self) {
        self.0.fetch_sub(1, Ordering::Relaxed);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn in_an_hour() -> Instant {
        Instant::now() + Duration::from_secs(3600)
    }

    #[tokio::test]
    async fn refuses_when_the_queue_is_full() {
        let slots = Slots::new(1, WaitingLimits { count_max: 2, ..WaitingLimits::default() });
        let _running = slots.take(in_an_hour()).await.unwrap();
        let mut waiting = [slots.take(in_an_hour()), slots.take(in_an_hour())].map(Box::pin);
        for waiting in &mut waiting {
            assert!(futures_util::poll!(waiting).is_pending());
        }
        assert!(matches!(slots.take(in_an_hour()).await, Err(CallError::Busy { concurrency_max: 1 })));
    }

    #[tokio::test]
    async fn a_call_that_gives_up_leaves_the_queue() {
        let slots = Slots::new(1, WaitingLimits::default());
        let _running = slots.take(Instant::now()).await.unwrap();
        assert!(slots.take(Instant::now() + Duration::from_millis(1)).await.is_err());
        assert_eq!(slots.waiting.load(Ordering::Relaxed), 0);
    }

    #[tokio::test]
    async fn nobody_waits_longer_than_is_set() {
        let slots =
            Slots::new(1, WaitingLimits { time_max: Duration::from_millis(1), ..WaitingLimits::default() });
        let _running = slots.take(in_an_hour()).await.unwrap();
        assert!(slots.take(in_an_hour()).await.is_err());
    }
}
