//! A message as it is recorded.

use std::fmt;

use bytes::Bytes;
use jiff::Timestamp;
use uuk_asic::{ContainedMessage, SignatureDocuments};
use uuk_identifiers::ClientId;
use uuk_pki::Digest;

/// The number of a record.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct RecordId(pub i64);

impl fmt::Display for RecordId {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(formatter, "{}", self.0)
    }
}

/// Which message of an exchange a record is about.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, strum::Display, strum::EnumString)]
#[strum(serialize_all = "lowercase")]
pub enum Direction {
    /// The client's.
    Request,
    /// The service's.
    Response,
}

impl From<Direction> for ContainedMessage {
    fn from(direction: Direction) -> Self {
        match direction {
            Direction::Request => Self::Request,
            Direction::Response => Self::Response,
        }
    }
}

/// A message to record, signed and verified.
#[derive(Debug, Clone)]
pub struct NewRecord {
    /// Which message of the exchange it is.
    pub direction: Direction,
    /// The local one: the client where the call comes from, the service's owner where it is answered.
    pub party: ClientId,
    /// The identifier of the message, which the client chose.
    pub query_id: String,
    /// The identifier of the exchange; empty if there is none.
    pub request_id: String,
    /// The SOAP envelope, or the header part of the REST message, as it was signed.
    pub message: Bytes,
    /// SOAP attachments in order, or the REST body.
    pub attachments: Vec<LoggedAttachment>,
    /// The signature over all of it.
    pub signature: SignatureDocuments,
}

/// An attachment to record.
#[derive(Debug, Clone)]
pub enum LoggedAttachment {
    /// To be kept.
    Content(Bytes),
    /// Not to be kept; its SHA-512 digest, which the signature covers.
    LeftOut(Digest),
}

/// A record as it is found; what it is about is loaded when it is exported.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct FoundRecord {
    /// Its number.
    pub id: RecordId,
    /// When it was recorded, to the millisecond.
    pub recorded_at: Timestamp,
    /// Which message of the exchange it is.
    pub direction: Direction,
    /// The local one.
    pub party: ClientId,
    /// The identifier of the message.
    pub query_id: String,
    /// The identifier of the exchange; empty if there is none.
    pub request_id: String,
    /// When it was time-stamped, by the word of the authority.
    pub stamped_at: Option<Timestamp>,
    /// The file name of its archive, if it was archived.
    pub archive: Option<String>,
}

/// Which records to find: those that fit every field given.
#[derive(Debug, Clone, Default)]
pub struct Query {
    /// The identifier of the message, exactly.
    pub query_id: Option<String>,
    /// The local party, exactly: a member's subsystems are not found with the member.
    pub party: Option<ClientId>,
    /// Which message of the exchange.
    pub direction: Option<Direction>,
    /// Recorded at this time or later.
    pub from: Option<Timestamp>,
    /// Recorded before this time.
    pub until: Option<Timestamp>,
    /// Numbers above this one only: the last one found goes here to find more.
    pub after: Option<RecordId>,
    /// Only those not time-stamped yet.
    pub unstamped_only: bool,
}
