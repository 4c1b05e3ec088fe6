//! The messages between members, and how security servers carry them to each other.
//!
//! This crate reads and writes bytes: REST messages ([`RestRequest`], [`RestResponse`]), SOAP 4.0 messages
//! ([`SoapMessage`]) alone or with attachments ([`RelatedReader`]), the transport message that carries either between two
//! servers ([`TransportReader`], [`TransportWriter`]), the OCSP answers that servers ask of each other
//! ([`OcspAnswers`]), and faults ([`SoapFault`], [`FaultCode`]). It does not know
//! what is signed, who may call, or where messages come from: signatures, hash chains and OCSP answers are bytes here.
//!
//! Readers of what streams are fed with bytes and asked for events, so that they need no runtime and hold no more than
//! their limits say. What they are lax about is what X-Road's own servers write; what two readers could take
//! differently is refused.
//!
//! Start with `transport.rs`, the order of the parts.

#![warn(missing_docs)]

mod consistency;
mod digest;
mod fault;
mod fault_code;
mod header;
mod limits;
mod management;
mod media_type;
mod multipart;
mod ocsp_answers;
mod related;
mod rest;
mod soap;
mod transport;
mod xml;

pub use consistency::InconsistentResponse;
pub use digest::{RequestHash, Sha512, sha512};
pub use fault::SoapFault;
pub use fault_code::{Dialect, FaultCode};
pub use header::{Header, PartHeaders};
pub use limits::Limits;
pub use management::{ManagementRequest, ManagementRequestError, signature_algorithm, signature_headers};
pub use media_type::MediaType;
pub use multipart::MultipartError;
pub use ocsp_answers::{OcspAnswers, OcspAnswersError};
pub use related::{RelatedError, RelatedEvent, RelatedReader, RelatedWriter};
pub use rest::{RestError, RestMethod, RestRequest, RestRequestHead, RestResponse, RestResponseHead};
pub use soap::{Soap, SoapError, SoapHeader, SoapMessage};
pub use transport::{
    Boundary, Direction, MessageKind, Part, TransportError, TransportEvent, TransportReader, TransportWriter,
};
