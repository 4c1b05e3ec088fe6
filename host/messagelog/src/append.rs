//! Why a message is not recorded.

use std::sync::Arc;

use jiff::Timestamp;

use crate::encryption::EncryptionError;
use crate::store::StoreError;
use crate::time_stamper::TimeStampingError;

/// Why a message was not recorded; it must not leave.
#[derive(Debug, thiserror::Error, strum::IntoStaticStr)]
#[strum(serialize_all = "snake_case", prefix = "message_log.")]
#[non_exhaustive]
pub enum AppendError {
    /// The configuration names no time-stamping authority, so that nothing recorded would ever be evidence.
    #[error("no time-stamping authority is configured")]
    NoAuthority,
    /// No authority has stamped for longer than the instance may wait.
    #[error("time-stamping has failed since {since}, for longer than is accepted")]
    TimeStampingFailed {
        /// The first failure.
        since: Timestamp,
    },
    /// The record was to be stamped at once, and was not. It is recorded and will be stamped later.
    #[error("the message could not be time-stamped at once")]
    NotStamped(#[source] TimeStampingError),
    /// An identifier is longer than any in use, or has a character that databases do not take.
    #[error("the {what} has more than {bytes_max} bytes or a null character")]
    Identifier {
        /// Which.
        what: &'static str,
        /// The limit.
        bytes_max: usize,
    },
    /// An attachment is larger than what is recorded, and the configuration says to refuse it.
    #[error("attachment {number} is larger than {bytes_max} bytes and would not be recorded")]
    AttachmentTooLarge {
        /// Counted from one.
        number: usize,
        /// The limit.
        bytes_max: usize,
    },
    /// More attachments than a record can have.
    #[error("the message has more than {count_max} attachments")]
    TooManyAttachments {
        /// The limit.
        count_max: usize,
    },
    /// The body cannot be encrypted.
    #[error("the message cannot be encrypted")]
    Encryption(#[source] EncryptionError),
    /// More messages wait than the disk takes.
    #[error("too many messages wait to be recorded")]
    Overloaded,
    /// The server is stopping.
    #[error("the message log is stopping")]
    Stopped,
    /// The database failed. The message may have been recorded all the same.
    #[error("the message could not be recorded")]
    Store(#[source] Arc<StoreError>),
}

impl AppendError {
    /// The stable code: `message_log.overloaded`.
    pub fn code(&self) -> &'static str {
        match self {
            Self::Store(error) => error.code(),
            Self::Encryption(error) => error.code(),
            other => other.into(),
        }
    }

    /// The code that X-Road 7.8 has for it.
    pub fn xroad_code(&self) -> &'static str {
        match self {
            Self::NoAuthority | Self::TimeStampingFailed { .. } | Self::NotStamped(_) => {
                "timestamping_failed"
            }
            _ => "logging_failed",
        }
    }
}
