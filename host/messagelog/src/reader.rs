//! Looking into a log beside the server that writes it.

use std::sync::Arc;

use crate::config::MessageLogConfig;
use crate::encryption::Keys;
use crate::export::{ExportError, ExportedContainer, export};
use crate::message_log::{BuildError, read_password};
use crate::record::{FoundRecord, Query, RecordId};
use crate::store::{Store, StoreError};

/// A message log that is only read: its database is neither made nor changed.
#[derive(Debug)]
pub struct LogReader {
    store: Store,
    keys: Arc<Keys>,
}

impl LogReader {
    /// Opens the database and reads keys.
    ///
    /// # Errors
    /// [`BuildError`]; [`StoreError::Unreachable`] also if there is no database yet.
    pub async fn open(config: &MessageLogConfig) -> Result<Self, BuildError> {
        let keys = Arc::new(Keys::load(&config.encryption_keys)?);
        let store = Store::open_read_only(&config.database, read_password(config)?.as_ref()).await?;
        Ok(Self { store, keys })
    }

    /// The records that fit, oldest first, at most `records_max`.
    ///
    /// # Errors
    /// [`StoreError`].
    pub async fn find(&self, query: &Query, records_max: u32) -> Result<Vec<FoundRecord>, StoreError> {
        self.store.find(query, records_max).await
    }

    /// The container of a time-stamped record.
    ///
    /// # Errors
    /// [`ExportError`].
    pub async fn export(&self, record: RecordId) -> Result<ExportedContainer, ExportError> {
        Ok(export(record, &self.store, &self.keys).await?.0)
    }
}
