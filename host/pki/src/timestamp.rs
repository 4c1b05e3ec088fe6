//! When something existed, by the word of a time-stamping authority.
//!
//! A [`TimeStampRequest`] carries the digest of what is stamped; [`TimeStampToken::from_response`] reads
//! the answer. [`TimeStamper`] is the authority's side.
//!
//! Source: RFC 3161 over CMS (RFC 5652), and how X-Road's servers ask and accept.

mod asn1;
mod request;
mod stamper;
mod token;

pub use request::{TIME_STAMP_REQUEST_BYTES_MAX, TimeStampRequest};
pub use stamper::TimeStamper;
pub use token::{TIME_STAMP_TOKEN_BYTES_MAX, TimeStamp, TimeStampError, TimeStampToken};

#[cfg(test)]
mod tests;
