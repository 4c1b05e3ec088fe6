//! Looking into a log beside the server that writes it.

use std::sync::Arc;

use crate::config::MessageLogConfig;
use crate::encryption::Keys;
use crate::export::{ExportError, ExportedContainer, decrypt, export};
use crate::message_log::{BuildError, read_password};
use crate::record::{FoundRecord, Query, RecordId};
use crate::store::{Store, StoreError};

/// What is looked through at once.
const RECORDS_AT_ONCE: u32 = 1024;

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

    /// Gives `see` each record that fits, oldest first, with its message: the SOAP envelope, or the header part of REST. A
    /// record that is deleted meanwhile may be left out.
    ///
    /// # Errors
    /// [`ExportError`], also of a message whose key is not here: nobody is to take some records for all.
    pub async fn messages(
        &self,
        query: &Query,
        mut see: impl FnMut(FoundRecord, Vec<u8>),
    ) -> Result<(), ExportError> {
        let mut query = query.clone();
        loop {
            let found = self.store.find(&query, RECORDS_AT_ONCE).await?;
            let Some(last) = found.last() else { return Ok(()) };
            query.after = Some(last.id);
            let ids: Vec<_> = found.iter().map(|found| found.id).collect();
            let mut messages = self.store.messages(&ids).await?.into_iter().peekable();
            for record in found {
                let Some((_, key_id, message)) = messages.next_if(|(id, ..)| *id == record.id.0) else {
                    continue;
                };
                let message = decrypt(&record, key_id.as_deref(), message, &self.keys)?;
                see(record, message);
            }
        }
    }

    /// The container of a time-stamped record.
    ///
    /// # Errors
    /// [`ExportError`].
    pub async fn export(&self, record: RecordId) -> Result<ExportedContainer, ExportError> {
        Ok(export(record, &self.store, &self.keys).await?.0)
    }
}
