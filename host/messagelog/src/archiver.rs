//! Archiving: time-stamped records become files that continue one another; what was archived is deleted after a while.
//!
//! An archive is planned before it is written: its records, its name and its last digest are committed first. Since the
//! same records give the same bytes, whoever comes after a crash writes the very file that was planned, and the chain
//! has neither a gap nor a branch.

use std::sync::{Arc, Mutex as StdMutex, PoisonError};
use std::time::Duration;

use jiff::Timestamp;
use jiff::tz::TimeZone;
use metrics::{counter, gauge};
use tokio::sync::Mutex;
use tokio::time::sleep;
use tokio_util::sync::CancellationToken;
use tracing::{error, info, warn};
use uuk_asic::{ArchiveWriter, PreviousArchive, archive_file_name};
use uuk_process::{Clock, ErrorChain};

use crate::archive_place::{ArchivePlace, ArchivePlaceError};
use crate::config::ArchiveConfig;
use crate::encryption::Keys;
use crate::export::{ExportError, export};
use crate::record::RecordId;
use crate::store::{PlannedArchive, Store, StoreError};

/// How often it is looked whether archiving is due, and how long a failed attempt is waited out.
const CHECK_EVERY: Duration = Duration::from_secs(60);
const DAY: Duration = Duration::from_secs(24 * 3600);
/// Records in one archive; what lists them takes some 8 MiB.
const RECORDS_MAX: usize = 32 * 1024;
/// Records deleted per commit, so that nobody waits long who has a record to write.
const DELETED_PER_COMMIT: u32 = 512;
/// Under which name the last success is remembered.
const ARCHIVED: &str = "archived";

/// An archive that was written.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct WrittenArchive {
    /// Its file name.
    pub file_name: String,
    /// How many records are in it.
    pub records: usize,
    /// Its size, in bytes.
    pub bytes: usize,
}

/// Why records were not archived. What was planned will be written later.
#[derive(Debug, thiserror::Error, strum::IntoStaticStr)]
#[strum(serialize_all = "snake_case", prefix = "message_log.")]
#[non_exhaustive]
pub enum ArchivingError {
    /// The folder or object store does not take the file.
    #[error("the archive `{file_name}` cannot be written")]
    ArchiveUnwritable {
        /// Which.
        file_name: String,
        /// Why.
        #[source]
        source: ArchivePlaceError,
    },
    /// The records are not what they were when the archive was planned.
    #[error("the records of the archive `{file_name}` have changed since it was planned")]
    ArchiveChanged {
        /// Which.
        file_name: String,
    },
    /// Another process archives the same records at this time.
    #[error("another process archives the same records")]
    ArchivedElsewhere,
    /// A record cannot be exported.
    #[error(transparent)]
    Export(#[from] ExportError),
    /// The database failed.
    #[error(transparent)]
    Store(#[from] StoreError),
}

impl ArchivingError {
    /// The stable code: `message_log.archive_changed`.
    pub fn code(&self) -> &'static str {
        match self {
            Self::ArchiveUnwritable { source, .. } => source.code(),
            Self::Export(error) => error.code(),
            Self::Store(error) => error.code(),
            other => other.into(),
        }
    }
}

/// Archives what is time-stamped.
#[derive(Debug)]
pub(crate) struct Archiver {
    config: ArchiveConfig,
    clock: Clock,
    store: Store,
    keys: Arc<Keys>,
    place: ArchivePlace,
    /// Since when archiving is due and not done.
    overdue_since: StdMutex<Option<Timestamp>>,
    /// Held by the run in progress.
    run: Mutex<()>,
}

impl Archiver {
    pub(crate) fn new(
        config: ArchiveConfig,
        clock: Clock,
        store: Store,
        keys: Arc<Keys>,
        place: ArchivePlace,
    ) -> Self {
        Self { config, clock, store, keys, place, overdue_since: StdMutex::default(), run: Mutex::default() }
    }

    /// Since when archiving is due and not done.
    pub(crate) fn overdue_since(&self) -> Option<Timestamp> {
        *self.overdue_since.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Archives and deletes whenever it is due, until `stop`.
    pub(crate) async fn run(&self, stop: &CancellationToken) {
        while stop.run_until_cancelled(self.archive_if_due()).await.is_some() {
            if stop.run_until_cancelled(sleep(CHECK_EVERY)).await.is_none() {
                return;
            }
        }
    }

    /// Archives and deletes, if the last success is an interval ago.
    pub(crate) async fn archive_if_due(&self) {
        let now = self.clock.now();
        let last = match self.store.recall(ARCHIVED).await {
            Ok(Some(last)) if last <= now => last,
            // The first interval begins now, and so it does after the clock was set back.
            Ok(_) => match self.store.remember(ARCHIVED, Some(now)).await {
                Ok(()) => now,
                Err(error) => return self.raise_alarm(now, &error.into()),
            },
            Err(error) => return self.raise_alarm(now, &error.into()),
        };
        let due = last.saturating_add(self.config.interval).unwrap_or(Timestamp::MAX);
        if now < due {
            return;
        }
        let outcome = async {
            self.archive().await?;
            self.clean().await?;
            Ok::<_, ArchivingError>(self.store.remember(ARCHIVED, Some(now)).await?)
        };
        match outcome.await {
            Ok(()) => self.set_overdue(None),
            // Another server of the same identity is at it.
            Err(ArchivingError::ArchivedElsewhere) => info!("Another server archives at this time"),
            Err(error) => self.raise_alarm(due, &error),
        }
    }

    fn raise_alarm(&self, due: Timestamp, error: &ArchivingError) {
        self.set_overdue(Some(self.overdue_since().unwrap_or(due)));
        counter!("uuk_message_log_archive_failures_total").increment(1);
        error!(error = %ErrorChain(error), "Records were to be archived at {due} and are not");
    }

    fn set_overdue(&self, since: Option<Timestamp>) {
        gauge!("uuk_message_log_archive_overdue").set(f64::from(u8::from(since.is_some())));
        *self.overdue_since.lock().unwrap_or_else(PoisonError::into_inner) = since;
    }

    /// Writes what was planned and is not written, and then all time-stamped records that are in no archive.
    pub(crate) async fn archive(&self) -> Result<Vec<WrittenArchive>, ArchivingError> {
        let _one_run = self.run.lock().await;
        let mut written = Vec::new();
        for planned in self.store.unwritten_archives().await? {
            warn!("The archive {} was planned and not written; writing it now", planned.file_name);
            written.push(self.write_planned(&planned).await?);
        }
        for group in self.store.parties_to_archive(self.config.grouping).await? {
            while let Some(archive) = self.archive_next(&group).await? {
                written.push(archive);
            }
        }
        Ok(written)
    }

    /// The next archive of a group, if there is anything to put into it.
    async fn archive_next(&self, group: &[String]) -> Result<Option<WrittenArchive>, ArchivingError> {
        let records = self.store.to_archive(group, self.config.grouping, RECORDS_MAX).await?;
        if records.is_empty() {
            return Ok(None);
        }
        let group = group.join("/");
        let before = self.store.last_archive(&group).await?;
        let position = before.as_ref().map_or(1, |before| before.position + 1);
        let filled = self.fill(&records, before, self.config.bytes_max).await?;
        let records = records.get(..filled.records).unwrap_or_default();
        let local = |time: Timestamp| time.to_zoned(TimeZone::system()).datetime();
        let last_digest = filled.writer.last_digest().to_owned();
        let named = (!group.is_empty()).then_some(group.as_str());
        let file_name =
            archive_file_name(named, local(filled.first), local(filled.last), &last_digest, false);
        let id = self.store.take_numbers(1).await?.first().copied().unwrap_or_default();
        let planned = PlannedArchive { id, group, position, file_name, last_digest };
        if !self.store.plan_archive(&planned, records).await? {
            return Err(ArchivingError::ArchivedElsewhere);
        }
        self.put(&planned, filled).await.map(Some)
    }

    /// Writes an archive that was planned before.
    async fn write_planned(&self, planned: &PlannedArchive) -> Result<WrittenArchive, ArchivingError> {
        let before = self.store.archive_at(&planned.group, planned.position - 1).await?;
        let records = self.store.archived(planned.id).await?;
        let filled = self.fill(&records, before, usize::MAX).await?;
        if filled.writer.last_digest() != planned.last_digest {
            return Err(ArchivingError::ArchiveChanged { file_name: planned.file_name.clone() });
        }
        self.put(planned, filled).await
    }

    /// Puts the first of `records` into an archive, until it has `bytes_max` bytes.
    async fn fill(
        &self,
        records: &[RecordId],
        before: Option<PlannedArchive>,
        bytes_max: usize,
    ) -> Result<Filled, ArchivingError> {
        let previous = before
            .map(|before| PreviousArchive { last_digest: before.last_digest, file_name: before.file_name });
        let mut filled = Filled {
            writer: ArchiveWriter::new(previous),
            records: 0,
            first: Timestamp::MAX,
            last: Timestamp::MIN,
        };
        for record in records {
            let (container, recorded_at) = export(*record, &self.store, &self.keys).await?;
            filled.writer.push(container.file_name, &container.bytes);
            filled.records += 1;
            filled.first = filled.first.min(recorded_at);
            filled.last = filled.last.max(recorded_at);
            if filled.writer.bytes() >= bytes_max || filled.writer.is_full() {
                break;
            }
        }
        Ok(filled)
    }

    /// Writes the file, whole or not at all, and notes that it is there.
    async fn put(&self, planned: &PlannedArchive, filled: Filled) -> Result<WrittenArchive, ArchivingError> {
        let file_name = planned.file_name.clone();
        let file = filled.writer.finish();
        let bytes = file.len();
        self.place
            .put(&file_name, file)
            .await
            .map_err(|source| ArchivingError::ArchiveUnwritable { file_name: file_name.clone(), source })?;
        self.store.mark_written(planned.id, self.clock.now()).await?;
        let records = filled.records;
        counter!("uuk_message_log_archived_records_total").increment(records as u64);
        info!(size_bytes = bytes, "Archived {records} records in {file_name}");
        Ok(WrittenArchive { file_name, records, bytes })
    }

    /// Deletes archived records that were kept long enough; answers how many.
    pub(crate) async fn clean(&self) -> Result<u64, StoreError> {
        let keep = DAY.saturating_mul(self.config.keep_days);
        let before = self.clock.now().saturating_sub(keep).unwrap_or(Timestamp::MIN);
        let mut deleted = 0;
        loop {
            let now = self.store.delete_archived(before, DELETED_PER_COMMIT).await?;
            deleted += now;
            if now < u64::from(DELETED_PER_COMMIT) {
                break;
            }
        }
        self.store.delete_unused_time_stamps(before).await?;
        if deleted > 0 {
            info!("Deleted {deleted} archived records");
        }
        Ok(deleted)
    }
}

/// An archive with as many records as it takes.
struct Filled {
    writer: ArchiveWriter,
    records: usize,
    first: Timestamp,
    last: Timestamp,
}
