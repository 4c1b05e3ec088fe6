//! The service: building it, recording, finding.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use jiff::Timestamp;
use tokio::sync::{Mutex, mpsc, oneshot, watch};
use tokio_util::sync::CancellationToken;
use uuk_asic::SignatureDocuments;
use uuk_globalconf::GlobalConfiguration;
use uuk_pki::DigestAlgorithm;
use uuk_process::{Clock, Secret};
use uuk_transport::UpstreamBuildError;

use crate::append::AppendError;
use crate::archive_place::{ArchivePlace, ArchivePlaceError};
use crate::archiver::{Archiver, ArchivingError, WrittenArchive};
use crate::checkpointer;
use crate::config::{LargerAttachments, MessageLogConfig};
use crate::encryption::{EncryptionError, Keys, Place};
use crate::export::{ExportError, ExportedContainer, export, recorded_message};
use crate::record::{FoundRecord, LoggedAttachment, NewRecord, Query, RecordId};
use crate::store::{Content, NewRow, Store, StoreError, StoredAttachment};
use crate::time_stamper::{TimeStamper, TimeStampingError};
use crate::writer::{self, Waiting, Writer};

/// The longest identifier of a message; X-Road's own column has 255 characters.
const IDENTIFIER_BYTES_MAX: usize = 1024;
/// As many as fit into a container, beside its other entries.
const ATTACHMENTS_MAX: usize = 100;
/// A message with its attachments; a container of it is still read by every reader, ours included.
const RECORD_BYTES_MAX: usize = 48 << 20;

/// Under which name the last proof that the database takes something is remembered.
const CHECKED: &str = "checked";

/// Why the message log cannot be built.
#[derive(Debug, thiserror::Error, strum::IntoStaticStr)]
#[strum(serialize_all = "snake_case", prefix = "message_log.")]
#[non_exhaustive]
pub enum BuildError {
    /// The file of the database password cannot be read.
    #[error("cannot read the password of the message log's database from `{path}`")]
    Password {
        /// Which file.
        path: String,
        /// Why.
        #[source]
        source: std::io::Error,
    },
    /// The database cannot be used.
    #[error(transparent)]
    Store(#[from] StoreError),
    /// A key cannot be used.
    #[error(transparent)]
    Encryption(#[from] EncryptionError),
    /// The folder or bucket of the archives cannot be used.
    #[error("archives have nowhere to go")]
    ArchivePlace(#[from] ArchivePlaceError),
    /// A time-stamping authority is described wrongly.
    #[error("the time-stamping authority {url} cannot be used")]
    Authority {
        /// Its address.
        url: String,
        /// Why.
        #[source]
        source: UpstreamBuildError,
    },
}

impl BuildError {
    /// The stable code: `message_log.password`.
    pub fn code(&self) -> &'static str {
        match self {
            Self::Store(error) => error.code(),
            Self::Encryption(error) => error.code(),
            Self::ArchivePlace(error) => error.code(),
            Self::Authority { source, .. } => source.code(),
            other => other.into(),
        }
    }
}

/// The message log. Clones are the same log.
#[derive(Debug, Clone)]
pub struct MessageLog(Arc<Shared>);

#[derive(Debug)]
struct Shared {
    config: MessageLogConfig,
    clock: Clock,
    store: Store,
    keys: Arc<Keys>,
    queue: mpsc::Sender<Waiting>,
    /// Taken by whoever runs the log.
    waiting: Mutex<mpsc::Receiver<Waiting>>,
    /// Whether the last commit failed.
    has_failed: Arc<AtomicBool>,
    time_stamper: TimeStamper,
    archiver: Archiver,
    /// Of the newest record that was there already.
    last_recorded_before: Option<Timestamp>,
}

impl MessageLog {
    /// Opens the database, brings its tables up to date, and reads keys; nothing runs yet.
    ///
    /// # Errors
    /// [`BuildError`].
    pub async fn build(
        config: MessageLogConfig,
        clock: Clock,
        configuration: watch::Receiver<Option<Arc<GlobalConfiguration>>>,
    ) -> Result<Self, BuildError> {
        let keys = Arc::new(Keys::load(&config.encryption_keys)?);
        let store = Store::open(&config.database, read_password(&config)?.as_ref()).await?;
        let time_stamper =
            TimeStamper::build(config.time_stamping.clone(), clock.clone(), store.clone(), configuration)
                .await?;
        let place = match &config.archive.bucket {
            Some(bucket) => ArchivePlace::bucket(bucket)?,
            None => ArchivePlace::folder(&config.archive.folder)?,
        };
        let archiver =
            Archiver::new(config.archive.clone(), clock.clone(), store.clone(), Arc::clone(&keys), place);
        let (queue, waiting) = writer::queue();
        let waiting = Mutex::new(waiting);
        let has_failed = Arc::default();
        let last_recorded_before = store.last_recorded_at().await?;
        Ok(Self(Arc::new(Shared {
            config,
            clock,
            store,
            keys,
            queue,
            waiting,
            has_failed,
            time_stamper,
            archiver,
            last_recorded_before,
        })))
    }

    /// Commits, time-stamps and archives records until `stop`; then commits those that wait. Recording works only while
    /// it runs.
    pub async fn run(self, stop: CancellationToken) {
        let mut waiting = self.0.waiting.lock().await;
        let writer = Writer::new(self.0.store.clone(), self.0.has_failed.clone());
        tokio::join!(
            writer.run(&mut waiting, &stop),
            self.0.time_stamper.run(&stop),
            self.0.archiver.run(&stop),
            checkpointer::run(&self.0.store, &stop),
        );
    }

    /// Whether attachment `number`, counted from one, is kept whole: a larger one need not even be read.
    ///
    /// # Errors
    /// [`AppendError::AttachmentTooLarge`] if messages with such attachments are refused.
    pub fn keeps(&self, number: usize, size_bytes: u64) -> Result<bool, AppendError> {
        let bytes_max = self.0.config.attachment_bytes_max;
        match (size_bytes <= bytes_max as u64, self.0.config.larger_attachments) {
            (true, _) => Ok(true),
            (false, LargerAttachments::LeaveOut) => Ok(false),
            (false, LargerAttachments::Refuse) => Err(AppendError::AttachmentTooLarge { number, bytes_max }),
        }
    }

    /// Records a message; returns once it is on the disk.
    ///
    /// # Errors
    /// [`AppendError`]; the message must not leave then.
    ///
    /// # Cancellation
    /// Dropping the future may leave the message recorded or not.
    pub async fn append(&self, record: NewRecord) -> Result<RecordId, AppendError> {
        let Shared { time_stamper, config, .. } = &*self.0;
        if !time_stamper.is_configured() {
            return Err(AppendError::NoAuthority);
        }
        if let Some(since) = time_stamper.failed_for_too_long() {
            return Err(AppendError::TimeStampingFailed { since });
        }
        let row = self.0.prepare(record)?;
        let (committed, outcome) = oneshot::channel();
        self.0.queue.try_send(Waiting { row, committed }).map_err(|error| match error {
            mpsc::error::TrySendError::Full(_) => AppendError::Overloaded,
            mpsc::error::TrySendError::Closed(_) => AppendError::Stopped,
        })?;
        let id = outcome.await.unwrap_or(Err(AppendError::Stopped))?;
        if config.time_stamping.immediately {
            time_stamper.stamp_until(id).await.map_err(AppendError::NotStamped)?;
        }
        Ok(id)
    }

    /// Time-stamps the records that wait now, so many as share a time-stamp; answers how many.
    ///
    /// # Errors
    /// [`TimeStampingError`] of the authority asked last.
    pub async fn time_stamp(&self) -> Result<usize, TimeStampingError> {
        self.0.time_stamper.stamp(self.0.config.time_stamping.records_max.max(1)).await
    }

    /// Archives all time-stamped records that are in no archive yet, and deletes those that were kept long enough.
    ///
    /// # Errors
    /// [`ArchivingError`]; what is written until then is done.
    pub async fn archive(&self) -> Result<Vec<WrittenArchive>, ArchivingError> {
        let written = self.0.archiver.archive().await?;
        self.0.archiver.clean().await?;
        Ok(written)
    }

    /// Archives and deletes, if the interval is over: what [`run`](Self::run) does every minute.
    pub async fn archive_if_due(&self) {
        self.0.archiver.archive_if_due().await;
    }

    /// The container of a record. One that waits for its time-stamp is stamped first if `stamp_now` says so.
    ///
    /// # Errors
    /// [`ExportError`].
    pub async fn export(&self, record: RecordId, stamp_now: bool) -> Result<ExportedContainer, ExportError> {
        if stamp_now {
            let stamped = self.0.time_stamper.stamp_until(record).await;
            stamped.map_err(|source| ExportError::TimeStamping { record, source })?;
        }
        Ok(export(record, &self.0.store, &self.0.keys).await?.0)
    }

    /// Message and signature of a record, for those who want no evidence of it; `None` if it is not there, or not any more.
    ///
    /// # Errors
    /// [`ExportError`].
    pub async fn message(
        &self,
        record: RecordId,
    ) -> Result<Option<(Vec<u8>, SignatureDocuments)>, ExportError> {
        recorded_message(record, &self.0.store, &self.0.keys).await
    }

    /// When the newest record was made that was there when the log was opened.
    pub fn last_recorded_before(&self) -> Option<Timestamp> {
        self.0.last_recorded_before
    }

    /// Whether time-stamping and archiving do well.
    pub fn health(&self) -> Health {
        Health {
            time_stamping_configured: self.0.time_stamper.is_configured(),
            time_stamping_succeeded_at: self.0.time_stamper.succeeded_at(),
            time_stamping_failing_since: self.0.time_stamper.failing_since(),
            time_stamping_failed_for_too_long: self.0.time_stamper.failed_for_too_long().is_some(),
            archiving_overdue_since: self.0.archiver.overdue_since(),
        }
    }

    /// Asks the database how many records wait for a time-stamp. If the last commit failed, it is also asked to write: a
    /// server that gets no messages because of it would never learn that they can be recorded again.
    ///
    /// # Errors
    /// [`StoreError`] if messages cannot be recorded now.
    pub async fn check(&self) -> Result<Unstamped, StoreError> {
        let Shared { store, clock, has_failed, .. } = &*self.0;
        if has_failed.load(Ordering::Relaxed) {
            store.remember(CHECKED, Some(clock.now())).await?;
            has_failed.store(false, Ordering::Relaxed);
        }
        let (count, oldest) = store.waiting().await?;
        Ok(Unstamped { count, oldest })
    }

    /// The records that fit, oldest first, at most `records_max`.
    ///
    /// # Errors
    /// [`StoreError`].
    pub async fn find(&self, query: &Query, records_max: u32) -> Result<Vec<FoundRecord>, StoreError> {
        self.0.store.find(query, records_max).await
    }
}

/// Records that wait for a time-stamp.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Unstamped {
    /// How many.
    pub count: u64,
    /// When the oldest was recorded; absent if there are none.
    pub oldest: Option<Timestamp>,
}

/// The password of the database's user, if there is one.
pub(crate) fn read_password(config: &MessageLogConfig) -> Result<Option<Secret<String>>, BuildError> {
    let Some(path) = &config.password_file else { return Ok(None) };
    let text = std::fs::read_to_string(path)
        .map_err(|source| BuildError::Password { path: path.display().to_string(), source })?;
    Ok(Some(Secret::new(text.trim_end_matches(['\r', '\n']).to_owned())))
}

/// How the message log does.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Health {
    /// Whether any authority is configured; without one, every message is refused.
    pub time_stamping_configured: bool,
    /// When a round of time-stamping last succeeded, since the start.
    pub time_stamping_succeeded_at: Option<Timestamp>,
    /// Since when no authority has stamped.
    pub time_stamping_failing_since: Option<Timestamp>,
    /// Whether that is for longer than the configuration accepts, so that every message is refused.
    pub time_stamping_failed_for_too_long: bool,
    /// Since when records are to be archived and are not.
    pub archiving_overdue_since: Option<Timestamp>,
}

impl Shared {
    /// Checks a record and makes it ready for the database.
    fn prepare(&self, record: NewRecord) -> Result<NewRow, AppendError> {
        let NewRecord { direction, party, query_id, request_id, message, attachments, signature } = record;
        for (what, identifier) in [("message identifier", &query_id), ("exchange identifier", &request_id)] {
            if identifier.len() > IDENTIFIER_BYTES_MAX || identifier.contains('\0') {
                return Err(AppendError::Identifier { what, bytes_max: IDENTIFIER_BYTES_MAX });
            }
        }
        if attachments.len() > ATTACHMENTS_MAX {
            return Err(AppendError::TooManyAttachments { count_max: ATTACHMENTS_MAX });
        }
        let encrypt = |body: &[u8], part| {
            let place = Place { party: &party, direction, query_id: &query_id, part };
            self.keys.encrypt(body, place).map_err(AppendError::Encryption)
        };
        let bytes_max = self.config.attachment_bytes_max;
        let mut room = RECORD_BYTES_MAX.saturating_sub(message.len());
        let attachments = attachments.into_iter().zip(1..).map(|(attachment, number)| match attachment {
            LoggedAttachment::LeftOut(digest) => Ok(StoredAttachment::LeftOut(digest)),
            LoggedAttachment::Content(content) if content.len() <= bytes_max.min(room) => {
                room -= content.len();
                Ok(StoredAttachment::Content(encrypt(&content, number)?))
            }
            LoggedAttachment::Content(content) => match self.config.larger_attachments {
                LargerAttachments::LeaveOut => {
                    Ok(StoredAttachment::LeftOut(DigestAlgorithm::Sha512.digest(&content)))
                }
                LargerAttachments::Refuse => {
                    Err(AppendError::AttachmentTooLarge { number, bytes_max: bytes_max.min(room) })
                }
            },
        });
        let content = Content {
            key_id: self.keys.current().map(str::to_owned),
            attachments: attachments.collect::<Result<_, _>>()?,
            message: encrypt(&message, 0)?,
            signature,
        };
        Ok(NewRow { recorded_at: self.clock.now(), direction, party, query_id, request_id, content })
    }
}
