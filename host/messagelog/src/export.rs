//! Making the container of a record: the evidence that others can verify.

use std::collections::BTreeMap;
use std::sync::Arc;

use jiff::Timestamp;
use uuk_asic::{
    ContainerError, MessageContainer, PendingTimeStamp, SignatureDocuments, Stamped, container_file_name,
};

use crate::encryption::{EncryptionError, Keys, Place};
use crate::record::{FoundRecord, RecordId};
use crate::store::{FullRecord, Store, StoreError, StoredAttachment};
use crate::time_stamper::TimeStampingError;

/// A record as the file that proves it.
#[derive(Debug, Clone)]
pub struct ExportedContainer {
    /// As X-Road names it.
    pub file_name: String,
    /// The container, ASiC-E.
    pub bytes: Vec<u8>,
}

/// Why a record was not exported.
#[derive(Debug, thiserror::Error, strum::IntoStaticStr)]
#[strum(serialize_all = "snake_case", prefix = "message_log.")]
#[non_exhaustive]
pub enum ExportError {
    /// There is no such record, or not any more.
    #[error("there is no record {record}")]
    NotFound {
        /// Its number.
        record: RecordId,
    },
    /// The record waits for its time-stamp, without which it proves nothing later.
    #[error("record {record} is not time-stamped yet")]
    NotStampedYet {
        /// Its number.
        record: RecordId,
    },
    /// It was to be stamped now, and was not.
    #[error("record {record} could not be time-stamped now")]
    TimeStamping {
        /// Its number.
        record: RecordId,
        /// Why.
        #[source]
        source: TimeStampingError,
    },
    /// The body cannot be decrypted.
    #[error("the body of record {record} cannot be read")]
    Encryption {
        /// Its number.
        record: RecordId,
        /// Why.
        #[source]
        source: EncryptionError,
    },
    /// The container cannot be written.
    #[error("the container of record {record} cannot be written")]
    Container {
        /// Its number.
        record: RecordId,
        /// Why.
        #[source]
        source: ContainerError,
    },
    /// The database failed.
    #[error(transparent)]
    Store(#[from] StoreError),
}

impl ExportError {
    /// The stable code: `message_log.not_stamped_yet`.
    pub fn code(&self) -> &'static str {
        match self {
            Self::TimeStamping { source, .. } => source.code(),
            Self::Encryption { source, .. } => source.code(),
            Self::Container { source, .. } => source.code(),
            Self::Store(error) => error.code(),
            other => other.into(),
        }
    }
}

/// The container of a time-stamped record, and when it was recorded.
pub(crate) async fn export(
    record: RecordId,
    store: &Store,
    keys: &Keys,
) -> Result<(ExportedContainer, Timestamp), ExportError> {
    let full = store.load(record).await?.ok_or(ExportError::NotFound { record })?;
    let found = full.found.clone();
    let file_name = container_file_name(&found.query_id, found.direction.into(), record.0.unsigned_abs());
    let bytes = container(full, keys)?.write();
    let bytes = bytes.map_err(|source| ExportError::Container { record, source })?;
    Ok((ExportedContainer { file_name, bytes }, found.recorded_at))
}

/// Message and signature of a record.
pub(crate) async fn recorded_message(
    record: RecordId,
    store: &Store,
    keys: &Keys,
) -> Result<Option<(Vec<u8>, SignatureDocuments)>, ExportError> {
    let Some(FullRecord { found, content, .. }) = store.load(record).await? else { return Ok(None) };
    let message = decrypt(&found, content.key_id.as_deref(), content.message, keys)?;
    Ok(Some((message, content.signature)))
}

/// The message of a record as it was signed.
pub(crate) fn decrypt(
    found: &FoundRecord,
    key_id: Option<&str>,
    message: Vec<u8>,
    keys: &Keys,
) -> Result<Vec<u8>, ExportError> {
    let place = Place { party: &found.party, direction: found.direction, query_id: &found.query_id, part: 0 };
    let failed = |source| ExportError::Encryption { record: found.id, source };
    keys.decrypt(key_id, message, place).map_err(failed)
}

fn container(full: FullRecord, keys: &Keys) -> Result<MessageContainer, ExportError> {
    let FullRecord { found, content, time_stamp } = full;
    let record = found.id;
    let decrypt = |body, part| {
        let place =
            Place { party: &found.party, direction: found.direction, query_id: &found.query_id, part };
        keys.decrypt(content.key_id.as_deref(), body, place)
            .map_err(|source| ExportError::Encryption { record, source })
    };
    let mut attachments = BTreeMap::new();
    for (attachment, number) in content.attachments.into_iter().zip(1_u16..) {
        if let StoredAttachment::Content(body) = attachment {
            attachments.insert(number, Arc::from(decrypt(body, number.into())?));
        }
    }
    let time_stamp = time_stamp.ok_or(ExportError::NotStampedYet { record })?;
    let SignatureDocuments { mut signatures, hash_chain } = content.signature;
    // A token over one signature goes into it.
    let inside = match time_stamp.hash_chain {
        Some(_) => None,
        None => stamp_inside(&signatures, &time_stamp.token),
    };
    let time_stamp = match inside {
        Some(stamped) => {
            signatures = stamped.into();
            None
        }
        None => Some(time_stamp),
    };
    Ok(MessageContainer {
        message: Arc::from(decrypt(content.message, 0)?),
        signature: SignatureDocuments { signatures, hash_chain },
        time_stamp,
        attachments,
        others: Vec::new(),
    })
}

fn stamp_inside(signatures: &[u8], token: &[u8]) -> Option<Vec<u8>> {
    let stamped = PendingTimeStamp::new(&[signatures]).ok()??.complete(token).ok()?;
    match stamped.into_iter().next()? {
        Stamped::Inside(signatures) => Some(signatures),
        Stamped::Beside(_) => None,
    }
}
