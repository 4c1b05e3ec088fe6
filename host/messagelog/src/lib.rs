//! The evidence of messages: what was asked and answered, by whom and when, provable years later.
//!
//! A message is recorded before it leaves: [`MessageLog::append`] returns once the record is on the disk. Records are
//! time-stamped, several at once, by an authority that the instance approves; stamped ones are archived and, after a
//! while, deleted. [`verify`] judges what was exported or archived, here or elsewhere, without any of this.
//!
//! It does not know how messages come and go, who may ask for evidence, or where the global configuration comes from.
//! Start with [`MessageLog`].

#![warn(missing_docs)]

mod append;
mod archive_place;
mod archiver;
mod checkpointer;
mod config;
mod configuration_files;
mod encryption;
mod export;
mod message_log;
mod reader;
mod record;
mod store;
mod time_stamper;
mod verification;
mod writer;

pub use append::AppendError;
pub use archive_place::{ArchivePlaceError, BucketConfig};
pub use archiver::{ArchivingError, WrittenArchive};
pub use config::{ArchiveConfig, Grouping, LargerAttachments, MessageLogConfig, TimeStampingConfig};
pub use configuration_files::{
    ConfigurationFiles, ConfigurationFilesError, read_configuration, unpack_configuration,
};
pub use encryption::{EncryptionError, EncryptionKey};
pub use export::{ExportError, ExportedContainer};
pub use message_log::{BuildError, Health, MessageLog, Unstamped};
pub use reader::LogReader;
pub use record::{Direction, FoundRecord, LoggedAttachment, NewRecord, Query, RecordId};
pub use store::StoreError;
pub use time_stamper::{TimeStampingAuthority, TimeStampingError};
pub use verification::{
    ArchiveReport, ContainerReport, Disproof, ExplainedStep, Judge, MessageNames, Report, verify,
};
