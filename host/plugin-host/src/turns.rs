//! Who may go on computing: calls that take long take turns, and leave a processor to those that do not.

use std::future::{Future, poll_fn};
use std::pin::Pin;
use std::sync::{Arc, Mutex, PoisonError};
use std::thread::available_parallelism;

use tokio::sync::{OwnedSemaphorePermit, Semaphore};

/// The turns of one plugin's calls. All plugins together have one processor less than there are, and take turns with each
/// other: one with a hundred calls that compute gets no more than one with a single such call.
#[derive(Debug)]
pub(crate) struct Turns {
    own: Arc<Semaphore>,
    all: Arc<Semaphore>,
}

/// The turn of one call, while it has one.
#[derive(Debug, Clone, Default)]
pub(crate) struct Turn(Arc<Mutex<Option<[OwnedSemaphorePermit; 2]>>>);

impl Turns {
    /// Those that all plugins share.
    pub(crate) fn shared() -> Arc<Semaphore> {
        Arc::new(Semaphore::new(processors()))
    }

    pub(crate) fn new(all: &Arc<Semaphore>) -> Self {
        Self { own: Arc::new(Semaphore::new(processors())), all: Arc::clone(all) }
    }
}

/// Processors for calls that take long.
fn processors() -> usize {
    available_parallelism().map_or(1, usize::from).saturating_sub(1).max(1)
}

impl Turn {
    /// Ends the present turn, lets others run, and waits for the next one.
    pub(crate) fn next(&self, turns: &Turns) -> Pin<Box<dyn Future<Output = ()> + Send>> {
        let (turn, own, all) = (self.clone(), Arc::clone(&turns.own), Arc::clone(&turns.all));
        turn.end();
        Box::pin(async move {
            tokio::task::yield_now().await;
            // Neither is ever closed.
            if let (Ok(own), Ok(all)) = (own.acquire_owned().await, all.acquire_owned().await) {
                turn.set(Some([own, all]));
            }
        })
    }

    /// Runs a call: whenever it waits, for its turn or a database, its turn ends.
    pub(crate) async fn take<F: Future>(&self, mut call: Pin<&mut F>) -> F::Output {
        poll_fn(|context| {
            let polled = call.as_mut().poll(context);
            self.end();
            polled
        })
        .await
    }

    fn end(&self) {
        self.set(None);
    }

    fn set(&self, permits: Option<[OwnedSemaphorePermit; 2]>) {
        *self.0.lock().unwrap_or_else(PoisonError::into_inner) = permits;
    }
}

#[cfg(test)]
mod tests {
    use std::pin::pin;

    use super::*;

    #[tokio::test]
    async fn a_turn_ends_when_the_call_waits() {
        let all = Turns::shared();
        let (turns, turn) = (Turns::new(&all), Turn::default());
        let free = all.available_permits();
        let call = pin!(async {
            turn.next(&turns).await;
            let during = all.available_permits();
            tokio::task::yield_now().await;
            (during, all.available_permits())
        });
        assert_eq!(turn.take(call).await, (free - 1, free));
    }

    #[tokio::test]
    async fn a_plugin_waits_for_its_own_calls_before_it_waits_for_others() {
        let all = Turns::shared();
        let turns = Turns::new(&all);
        let holders: Vec<_> = (0..processors()).map(|_| Turn::default()).collect();
        for holder in &holders {
            holder.next(&turns).await;
        }
        let late = Turn::default();
        let mut waiting = pin!(late.next(&turns));
        assert!(futures_util::poll!(&mut waiting).is_pending());
        assert!(futures_util::poll!(&mut waiting).is_pending(), "all its turns are taken");
        holders.iter().for_each(Turn::end);
        waiting.await;
        assert_eq!(turns.own.available_permits(), processors() - 1);
    }
}
