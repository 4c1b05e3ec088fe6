//! Moving what SQLite has committed from its log of changes into its file, beside the commits instead of in them.

use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

use tokio::sync::Notify;
use tokio_util::sync::CancellationToken;
use tracing::warn;
use uuk_process::ErrorChain;

use crate::store::Store;

/// So much of messages is committed between two moves: about what SQLite would leave in its log by itself.
const BACKLOG_BYTES: usize = 16 << 20;

/// How much was committed since it was last moved. Clones are the same backlog.
#[derive(Debug, Clone, Default)]
pub(crate) struct Backlog(Arc<Counted>);

#[derive(Debug, Default)]
struct Counted {
    bytes: AtomicUsize,
    is_long: Notify,
}

impl Backlog {
    /// Counts what a commit has added.
    pub(crate) fn add(&self, bytes: usize) {
        let before = self.0.bytes.fetch_add(bytes, Ordering::Relaxed);
        if before.saturating_add(bytes) >= BACKLOG_BYTES {
            self.0.is_long.notify_one();
        }
    }

    async fn is_long(&self) {
        self.0.is_long.notified().await;
        self.0.bytes.store(0, Ordering::Relaxed);
    }
}

/// Moves whenever there is enough of it, until `stop`. What is left then is moved when the database is closed.
pub(crate) async fn run(store: &Store, stop: &CancellationToken) {
    while stop.run_until_cancelled(store.backlog().is_long()).await.is_some() {
        if let Err(error) = store.checkpoint().await {
            warn!(error = %ErrorChain(&error), "SQLite's log of changes could not be moved into its file, and grows");
        }
    }
}
