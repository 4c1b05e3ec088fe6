//! The one task that writes records: those that wait share a commit, and one that comes alone is committed at once.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use metrics::{counter, histogram};
use tokio::sync::{mpsc, oneshot};
use tokio_util::sync::CancellationToken;
use tracing::warn;
use uuk_process::ErrorChain;

use crate::append::AppendError;
use crate::record::RecordId;
use crate::store::{Attempt, NewRow, Store, StoreError};

/// Records that wait to be committed; further ones are refused.
const QUEUE_MAX: usize = 4096;
/// Records per commit: the statements of one take some tens of milliseconds.
const COMMIT_RECORDS_MAX: usize = 256;
/// Bytes per commit, unless one record has more: a database copies what it is given.
const COMMIT_BYTES_MAX: usize = 64 << 20;
/// How often everything that is ready to run goes before a commit, while records come: some milliseconds on a busy server,
/// and nothing on an idle one.
const ROUNDS_MAX: usize = 8;

/// A record on its way to the disk.
#[derive(Debug)]
pub(crate) struct Waiting {
    pub(crate) row: NewRow,
    /// Hears of the commit.
    pub(crate) committed: oneshot::Sender<Result<RecordId, AppendError>>,
}

pub(crate) fn queue() -> (mpsc::Sender<Waiting>, mpsc::Receiver<Waiting>) {
    mpsc::channel(QUEUE_MAX)
}

/// Commits what comes through the queue.
#[derive(Debug)]
pub(crate) struct Writer {
    store: Store,
    /// Whether the last commit failed.
    has_failed: Arc<AtomicBool>,
}

impl Writer {
    pub(crate) fn new(store: Store, has_failed: Arc<AtomicBool>) -> Self {
        Self { store, has_failed }
    }

    /// Commits until `stop`, and then what still waits.
    pub(crate) async fn run(self, queue: &mut mpsc::Receiver<Waiting>, stop: &CancellationToken) {
        let mut waiting = Vec::with_capacity(COMMIT_RECORDS_MAX);
        loop {
            tokio::select! {
                count = queue.recv_many(&mut waiting, COMMIT_RECORDS_MAX) => match count {
                    0 => return,
                    _ => {
                        gather(queue, &mut waiting).await;
                        while !waiting.is_empty() {
                            let sizes = waiting.iter().map(|one| one.row.content.size_bytes());
                            let rest = waiting.split_off(fitting(sizes));
                            self.commit(std::mem::replace(&mut waiting, rest)).await;
                        }
                    }
                },
                () = stop.cancelled(), if !queue.is_closed() => queue.close(),
            }
        }
    }

    /// Commits `waiting`, all or none, and says so to whoever waits.
    async fn commit(&self, waiting: Vec<Waiting>) {
        let outcome = self.store_all(&waiting).await;
        counter!("uuk_message_log_commits_total").increment(1);
        histogram!("uuk_message_log_commit_records").record(waiting.len() as f64);
        self.has_failed.store(outcome.is_err(), Ordering::Relaxed);
        // Whoever stopped waiting does not want to hear.
        match outcome {
            Ok(ids) => {
                counter!("uuk_message_log_records_total").increment(waiting.len() as u64);
                for (one, id) in waiting.into_iter().zip(ids) {
                    let _ = one.committed.send(Ok(id));
                }
            }
            Err(error) => {
                warn!(error = %ErrorChain(&error), "{} messages could not be recorded", waiting.len());
                let error = Arc::new(error);
                for one in waiting {
                    let _ = one.committed.send(Err(AppendError::Store(Arc::clone(&error))));
                }
            }
        }
    }

    async fn store_all(&self, waiting: &[Waiting]) -> Result<Vec<RecordId>, StoreError> {
        let numbers = self.store.take_numbers(waiting.len()).await?;
        let ids: Vec<_> = numbers.into_iter().map(RecordId).collect();
        let rows: Vec<_> = ids.iter().copied().zip(waiting.iter().map(|one| &one.row)).collect();
        match self.store.insert(&rows, Attempt::First).await {
            // The connection broke, perhaps after the commit. The numbers tell whether the records are there.
            Err(StoreError::Unreachable(_)) => self.store.insert(&rows, Attempt::Again).await?,
            other => other?,
        }
        Ok(ids)
    }
}

/// How many records of these sizes one commit takes: all that fit, and one at least.
fn fitting(sizes_bytes: impl Iterator<Item = usize>) -> usize {
    let sums = sizes_bytes.scan(0, |sum, size| {
        *sum += size;
        Some(*sum)
    });
    sums.take_while(|sum| *sum <= COMMIT_BYTES_MAX).count().max(1)
}

/// Lets those join who are about to come, for as long as they do.
async fn gather(queue: &mut mpsc::Receiver<Waiting>, waiting: &mut Vec<Waiting>) {
    for _ in 0..ROUNDS_MAX {
        tokio::task::yield_now().await;
        let room = COMMIT_RECORDS_MAX.saturating_sub(waiting.len());
        let before = waiting.len();
        waiting.extend(std::iter::from_fn(|| queue.try_recv().ok()).take(room));
        if waiting.len() == before {
            return;
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn commits_what_fits_and_what_is_too_large_alone() {
        let fits = |sizes: &[usize]| fitting(sizes.iter().copied());
        assert_eq!(fits(&[1, 1, 1]), 3);
        assert_eq!(fits(&[COMMIT_BYTES_MAX - 1, 1, 1]), 2);
        assert_eq!(fits(&[COMMIT_BYTES_MAX + 1, 1]), 1);
    }
}
