use std::sync::atomic::{AtomicU32, Ordering};
use std::time::Instant;

use tokio::sync::{Semaphore, SemaphorePermit};

use crate::call::CallError;

/// Calls of one plugin in progress and waiting: as many may wait as may run, further ones are refused at once.
#[derive(Debug)]
pub(crate) struct Slots {
    running: Semaphore,
    waiting: AtomicU32,
    concurrency_max: u32,
}

impl Slots {
    pub(crate) fn new(concurrency_max: u32) -> Self {
        Self {
            running: Semaphore::new(concurrency_max as usize),
            waiting: AtomicU32::new(0),
            concurrency_max,
        }
    }

    /// Waits for a place, in order, until `deadline`.
    pub(crate) async fn take(&self, deadline: Instant) -> Result<SemaphorePermit<'_>, CallError> {
        if let Ok(place) = self.running.try_acquire() {
            return Ok(place);
        }
        let busy = CallError::Busy { concurrency_max: self.concurrency_max };
        let _waiting = Waiting::join(&self.waiting, self.concurrency_max).ok_or_else(|| busy.clone())?;
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
    use std::time::Duration;

    use super::*;

    #[tokio::test]
    async fn refuses_when_the_queue_is_full() {
        let slots = Slots::new(1);
        let deadline = Instant::now() + Duration::from_secs(10);
        let _running = slots.take(deadline).await.unwrap();
        let waiting = slots.take(deadline);
        tokio::pin!(waiting);
        assert!(futures_util::poll!(&mut waiting).is_pending());
        assert!(matches!(slots.take(deadline).await, Err(CallError::Busy { concurrency_max: 1 })));
    }

    #[tokio::test]
    async fn a_call_that_gives_up_leaves_the_queue() {
        let slots = Slots::new(1);
        let _running = slots.take(Instant::now()).await.unwrap();
        assert!(slots.take(Instant::now() + Duration::from_millis(1)).await.is_err());
        assert_eq!(slots.waiting.load(Ordering::Relaxed), 0);
    }
}
