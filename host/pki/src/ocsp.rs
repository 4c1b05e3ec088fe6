//! Whether a certificate was revoked, by the Online Certificate Status Protocol.
//!
//! An [`OcspRequest`] asks about one certificate; an [`OcspResponse`] answers and is evidence, kept beside the
//! signature it belongs to. [`OcspAnswer`] is the responder's side.
//!
//! Source: RFC 6960, and how X-Road's servers ask and accept.

mod answer;
mod asn1;
mod request;
mod response;

pub use answer::{AnswerError, CertificateStatus, OcspAnswer};
pub use asn1::ResponseStatus;
pub use request::{CertificateId, OCSP_REQUEST_BYTES_MAX, OcspRequest};
pub use response::{CLOCK_SKEW_MAX, GoodStatus, OCSP_RESPONSE_BYTES_MAX, OcspError, OcspResponse};

#[cfg(test)]
mod tests;
