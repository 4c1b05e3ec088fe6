//! Names of the parties and of what they offer, as X-Road spells them.
//!
//! A name is a few pieces; its text form joins them with `/` and percent-encodes what a piece may not show. A second
//! form, `TYPE:a/b/c`, is for people only. Comparison is exact and case-sensitive. Pure: no clock, no I/O.
//!
//! Source: X-Road PR-REST 4.1, and the characters its administration refuses (`certs.md` of the reference notes:
//! control characters, `% : ; / \`, U+200B, U+FEFF).

#![warn(missing_docs)]

mod client;
mod group;
mod piece;
mod represented_party;
mod server;
mod service;

pub use client::{ClientId, MemberId, SubsystemId};
pub use group::{GlobalGroupId, LocalGroupId};
pub use piece::{IdentifierError, PIECE_BYTES_MAX};
pub use represented_party::RepresentedParty;
pub use server::ServerId;
pub use service::{ServiceId, SoapServiceId};
