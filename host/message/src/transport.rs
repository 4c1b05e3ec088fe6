use std::collections::VecDeque;

use bytes::Bytes;

use crate::digest::StreamedDigest;
use crate::multipart::{MultipartReader, PartEvent};
use crate::soap::is_soap;
use crate::{
    Limits, MediaType, MultipartError, PartHeaders, RestError, RestRequest, RestResponse, Sha512, Soap,
    SoapError, SoapFault, SoapMessage,
};

mod order;
mod writer;

use order::Order;
pub use writer::{Boundary, Part, TransportWriter};

pub(crate) const OCSP_RESPONSE: &str = "application/ocsp-response";
const REST_REQUEST: &str = "application/x-road-rest-request";
const REST_RESPONSE: &str = "application/x-road-rest-response";
const REST_BODY: &str = "application/x-road-rest-body";
const MULTIPART_MIXED: &str = "multipart/mixed";
const HASH_CHAIN_RESULT: &str = "application/hash-chain-result";
const HASH_CHAIN: &str = "application/hash-chain";
const SIGNATURE: &str = "signature/bdoc-1.0/ts";
const TEXT_XML: &str = "text/xml";

/// Which way a message goes.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Direction {
    /// From the client to the provider.
    Request,
    /// Back.
    Response,
}

/// What a transport message carries. A request says it in the HTTP header `x-road-message-type`.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum MessageKind {
    /// A REST message.
    Rest,
    /// A SOAP message.
    Soap,
}

/// Why a transport message is refused.
#[derive(Debug, thiserror::Error, strum::IntoStaticStr)]
#[strum(serialize_all = "snake_case", prefix = "transport.")]
#[non_exhaustive]
pub enum TransportError {
    /// Its media type is not `multipart/mixed` with a boundary.
    #[error("the message is not `multipart/mixed` with a boundary")]
    MediaType,
    /// Its parts cannot be told apart.
    #[error("the message cannot be divided into its parts")]
    Multipart(#[from] MultipartError),
    /// The REST message is refused.
    #[error("the REST message is refused")]
    Rest(#[from] RestError),
    /// The SOAP message is refused.
    #[error("the SOAP message is refused")]
    Soap(#[from] SoapError),
    /// A part of this type may not stand where it stands.
    #[error("found the media type {found} where {expected} must follow")]
    UnexpectedPart {
        /// Its media type, in bounds.
        found: String,
        /// What could have stood there.
        expected: &'static str,
    },
    /// Something follows the signature.
    #[error("found the media type {found} after the signature")]
    ExtraContent {
        /// Its media type, in bounds.
        found: String,
    },
    /// An OCSP response is not DER.
    #[error("OCSP response {position} is not DER")]
    Ocsp {
        /// Counted from 1.
        position: usize,
    },
    /// A hash chain or signature is not UTF-8.
    #[error("the part {part} is not UTF-8 text")]
    NotUtf8 {
        /// Which part.
        part: &'static str,
    },
    /// A part is too large.
    #[error("the part {part} is larger than {bytes_max} bytes")]
    PartTooLarge {
        /// Which part.
        part: &'static str,
        /// The limit.
        bytes_max: u64,
    },
    /// There are too many parts of one type.
    #[error("there are more than {count_max} parts {part}")]
    TooManyParts {
        /// Which part.
        part: &'static str,
        /// The limit.
        count_max: usize,
    },
    /// An envelope alone must be a fault.
    #[error("an envelope without signature is not a fault")]
    NoFault,
    /// There is no REST message.
    #[error("there is no REST message")]
    MissingRest,
    /// There is no SOAP message.
    #[error("there is no SOAP message")]
    MissingSoap,
    /// There is neither signature nor fault.
    #[error("there is no signature")]
    MissingSignature,
}

impl TransportError {
    /// The stable code.
    pub fn code(&self) -> &'static str {
        match self {
            Self::Multipart(error) => error.code(),
            Self::Rest(error) => error.code(),
            Self::Soap(error) => error.code(),
            error => error.into(),
        }
    }

    /// X-Road's code. For what only our limits refuse it has none, and `invalid_message` comes closest.
    pub fn xroad_code(&self) -> &'static str {
        match self {
            Self::MediaType | Self::UnexpectedPart { .. } => "invalid_content_type",
            Self::Multipart(_) => "mime_parsing_failed",
            Self::Rest(error) => error.xroad_code(),
            Self::Soap(error) => error.xroad_code(),
            Self::ExtraContent { .. }
            | Self::NoFault
            | Self::PartTooLarge { .. }
            | Self::TooManyParts { .. } => "invalid_message",
            Self::Ocsp { .. } | Self::NotUtf8 { .. } => "io_error",
            Self::MissingRest => "missing_rest",
            Self::MissingSoap => "missing_soap",
            Self::MissingSignature => "missing_signature",
        }
    }
}

/// What was read of a transport message.
#[derive(Debug)]
pub enum TransportEvent {
    /// An OCSP response in DER, for the sender's authentication certificate or for one above it.
    OcspResponse(Bytes),
    /// The header part of a REST request.
    RestRequest(Box<RestRequest>),
    /// The header part of a REST response.
    RestResponse(Box<RestResponse>),
    /// A SOAP message, with the headers of its part.
    Soap(PartHeaders, Box<SoapMessage>),
    /// The body of a REST message, or an attachment of a SOAP message, begins.
    BodyStart(PartHeaders),
    /// The next bytes of it, as they are signed: nothing is decoded.
    Body(Bytes),
    /// It is complete.
    BodyEnd {
        /// Its digest.
        sha512: Sha512,
        /// Its size.
        size_bytes: u64,
    },
    /// The result of the hash chain: what the signature of a batch covers.
    HashChainResult(String),
    /// The hash chain, from the result to the parts of this message.
    HashChain(String),
    /// The signature, unverified.
    Signature(String),
    /// What the sender had to say instead of a message or a signature.
    Fault(SoapFault),
    /// All parts were there, in their order, and nothing else. Comes last.
    End,
}

/// Reads a transport message as its bytes come: [`push`](Self::push) them, then ask for events until there is none.
///
/// Memory is bounded by [`Limits`]; bodies and attachments pass through. Nothing that was read may be acted on before
/// [`TransportEvent::End`] and the verification of the signature.
///
/// Source: `transport.md` §2, §3 and §6 of the reference notes.
pub struct TransportReader {
    kind: MessageKind,
    limits: Limits,
    source: Source,
    order: Order,
    current: Current,
    events: VecDeque<TransportEvent>,
    ocsp_responses: usize,
    attachments: usize,
    body_bytes: u64,
}

enum Source {
    Multipart(Box<MultipartReader>),
    /// A fault that came instead of a multipart message, with its content type.
    BareFault {
        content_type: String,
        bytes: Vec<u8>,
        ended: bool,
    },
    Ended,
}

/// The part that is being read.
enum Current {
    Between,
    /// Held until it is complete.
    Held {
        place: Place,
        headers: PartHeaders,
        bytes: Vec<u8>,
        bytes_max: usize,
    },
    /// The body of a REST message.
    Streamed(StreamedDigest),
    /// Attachments of a SOAP message, a multipart message of their own.
    Attachments {
        reader: Box<MultipartReader>,
        streamed: Option<StreamedDigest>,
    },
}

/// What a part is by its place and media type.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Place {
    OcspResponse,
    RestRequest,
    RestResponse,
    /// A SOAP message, or a fault in its place.
    Envelope,
    RestBody,
    Attachments,
    HashChainResult,
    HashChain,
    Signature,
    /// A fault in place of the signature.
    Fault,
}

impl TransportReader {
    /// A reader of a message whose HTTP content type is `content_type`.
    ///
    /// # Errors
    /// If it is another type than transport messages have. A response may also be a fault alone.
    pub fn new(
        content_type: &str,
        direction: Direction,
        kind: MessageKind,
        limits: Limits,
    ) -> Result<Self, TransportError> {
        let media_type = MediaType::parse(content_type).ok_or(TransportError::MediaType)?;
        let source = match (media_type.essence.as_str(), media_type.boundary(), direction) {
            (MULTIPART_MIXED, Some(boundary), _) => {
                Source::Multipart(Box::new(MultipartReader::new(boundary, limits.part_header_bytes_max)))
            }
            (TEXT_XML, _, Direction::Response) => {
                Source::BareFault { content_type: content_type.to_owned(), bytes: Vec::new(), ended: false }
            }
            _ => return Err(TransportError::MediaType),
        };
        Ok(Self {
            kind,
            limits,
            source,
            order: Order::new(direction, kind),
            current: Current::Between,
            events: VecDeque::new(),
            ocsp_responses: 0,
            attachments: 0,
            body_bytes: 0,
        })
    }

    /// Takes the next bytes of the message.
    pub fn push(&mut self, more: &[u8]) {
        match &mut self.source {
            Source::Multipart(reader) => reader.push(more),
            Source::BareFault { bytes, .. } => bytes.extend_from_slice(more),
            Source::Ended => {}
        }
    }

    /// Says that all bytes were pushed.
    pub fn end_of_input(&mut self) {
        match &mut self.source {
            Source::Multipart(reader) => reader.end_of_input(),
            Source::BareFault { ended, .. } => *ended = true,
            Source::Ended => {}
        }
    }

    /// The next event, or `None` if it takes more bytes. After [`TransportEvent::End`] there is none.
    ///
    /// # Errors
    /// The first thing that is wrong. The reader is of no use afterwards.
    pub fn next_event(&mut self) -> Result<Option<TransportEvent>, TransportError> {
        loop {
            if let Some(event) = self.events.pop_front() {
                return Ok(Some(event));
            }
            if !self.advance()? {
                return Ok(None);
            }
        }
    }

    /// Makes a step: whether there was one to make.
    fn advance(&mut self) -> Result<bool, TransportError> {
        match &mut self.source {
            Source::Ended => Ok(false),
            Source::BareFault { content_type, bytes, ended } => {
                let (part, bytes_max) = ("fault", self.limits.fault_bytes_max);
                if bytes.len() > bytes_max {
                    return Err(TransportError::PartTooLarge { part, bytes_max: bytes_max as u64 });
                }
                if !*ended {
                    return Ok(false);
                }
                let fault = SoapFault::read(content_type, std::mem::take(bytes))?;
                self.source = Source::Ended;
                self.events.push_back(TransportEvent::Fault(fault.ok_or(TransportError::NoFault)?));
                self.events.push_back(TransportEvent::End);
                Ok(true)
            }
            Source::Multipart(reader) => match reader.next_event()? {
                Some(PartEvent::Start(headers)) => self.begin(headers).map(|()| true),
                Some(PartEvent::Data(data)) => self.take(data).map(|()| true),
                Some(PartEvent::End) => self.end().map(|()| true),
                None if reader.is_at_end() => {
                    self.order.check_complete()?;
                    self.source = Source::Ended;
                    self.events.push_back(TransportEvent::End);
                    Ok(true)
                }
                None => Ok(false),
            },
        }
    }

    fn begin(&mut self, headers: PartHeaders) -> Result<(), TransportError> {
        let media_type = headers.content_type.as_deref().and_then(MediaType::parse);
        let place = self.order.place(media_type.as_ref())?;
        self.current = match place {
            Place::RestBody => {
                self.events.push_back(TransportEvent::BodyStart(headers));
                Current::Streamed(StreamedDigest::new())
            }
            Place::Attachments => {
                let boundary = media_type.as_ref().and_then(MediaType::boundary);
                let boundary = boundary.ok_or(TransportError::MediaType)?;
                let reader = MultipartReader::new(boundary, self.limits.part_header_bytes_max);
                Current::Attachments { reader: Box::new(reader), streamed: None }
            }
            held => Current::Held { place, headers, bytes: Vec::new(), bytes_max: self.limits.of(held) },
        };
        if place == Place::OcspResponse {
            self.ocsp_responses += 1;
            let count_max = self.limits.ocsp_responses_max;
            if self.ocsp_responses > count_max {
                return Err(TransportError::TooManyParts { part: OCSP_RESPONSE, count_max });
            }
        }
        Ok(())
    }

    fn take(&mut self, data: Bytes) -> Result<(), TransportError> {
        match &mut self.current {
            Current::Between => Ok(()),
            Current::Held { place, bytes, bytes_max, .. } => {
                if bytes.len().saturating_add(data.len()) > *bytes_max {
                    return Err(TransportError::PartTooLarge {
                        part: place.name(),
                        bytes_max: *bytes_max as u64,
                    });
                }
                bytes.extend_from_slice(&data);
                Ok(())
            }
            Current::Streamed(_) => self.stream(data),
            Current::Attachments { reader, .. } => {
                reader.push(&data);
                self.read_attachments()
            }
        }
    }

    fn end(&mut self) -> Result<(), TransportError> {
        match &mut self.current {
            Current::Between => {}
            Current::Held { place, headers, bytes, .. } => {
                let (place, headers, bytes) = (*place, std::mem::take(headers), std::mem::take(bytes));
                self.complete(place, headers, bytes.into())?;
            }
            Current::Streamed(_) => self.end_body(),
            Current::Attachments { reader, .. } => {
                reader.end_of_input();
                self.read_attachments()?;
            }
        }
        self.current = Current::Between;
        Ok(())
    }

    fn complete(&mut self, place: Place, headers: PartHeaders, bytes: Bytes) -> Result<(), TransportError> {
        let content_type = headers.content_type.as_deref().unwrap_or_default();
        let event = match place {
            Place::OcspResponse => {
                if !is_der_sequence(&bytes) {
                    return Err(TransportError::Ocsp { position: self.ocsp_responses });
                }
                TransportEvent::OcspResponse(bytes)
            }
            Place::RestRequest => TransportEvent::RestRequest(Box::new(RestRequest::read(bytes)?)),
            Place::RestResponse => TransportEvent::RestResponse(Box::new(RestResponse::read(bytes)?)),
            Place::Envelope => match Soap::read(content_type, bytes)? {
                Soap::Fault(fault) => TransportEvent::Fault(fault),
                Soap::Message(_) if self.kind == MessageKind::Rest => {
                    return Err(TransportError::MissingRest);
                }
                Soap::Message(message) => TransportEvent::Soap(headers, message),
            },
            Place::Fault => {
                let fault = SoapFault::read(content_type, bytes)?;
                TransportEvent::Fault(fault.ok_or(TransportError::UnexpectedPart {
                    found: TEXT_XML.to_owned(),
                    expected: SIGNATURE,
                })?)
            }
            Place::HashChainResult => TransportEvent::HashChainResult(utf8(place, bytes)?),
            Place::HashChain => TransportEvent::HashChain(utf8(place, bytes)?),
            Place::Signature => TransportEvent::Signature(utf8(place, bytes)?),
            Place::RestBody | Place::Attachments => return Ok(()),
        };
        self.order.saw(&event);
        self.events.push_back(event);
        Ok(())
    }

    fn read_attachments(&mut self) -> Result<(), TransportError> {
        loop {
            let Current::Attachments { reader, streamed } = &mut self.current else { return Ok(()) };
            match reader.next_event()? {
                Some(PartEvent::Start(headers)) => {
                    *streamed = Some(StreamedDigest::new());
                    self.attachments += 1;
                    let count_max = self.limits.attachments_max;
                    if self.attachments > count_max {
                        return Err(TransportError::TooManyParts { part: "attachment", count_max });
                    }
                    self.events.push_back(TransportEvent::BodyStart(headers));
                }
                Some(PartEvent::Data(data)) => self.stream(data)?,
                Some(PartEvent::End) => self.end_body(),
                None => return Ok(()),
            }
        }
    }

    fn stream(&mut self, data: Bytes) -> Result<(), TransportError> {
        self.body_bytes = self.body_bytes.saturating_add(data.len() as u64);
        let bytes_max = self.limits.body_bytes_max;
        if self.body_bytes > bytes_max {
            return Err(TransportError::PartTooLarge { part: "body", bytes_max });
        }
        if let Some(digest) = self.current.digest() {
            digest.update(&data);
        }
        self.events.push_back(TransportEvent::Body(data));
        Ok(())
    }

    fn end_body(&mut self) {
        if let Some(digest) = self.current.digest() {
            let digest = std::mem::replace(digest, StreamedDigest::new());
            let size_bytes = digest.size_bytes;
            self.events.push_back(TransportEvent::BodyEnd { sha512: digest.finish(), size_bytes });
        }
    }
}

impl Current {
    fn digest(&mut self) -> Option<&mut StreamedDigest> {
        match self {
            Self::Streamed(digest) => Some(digest),
            Self::Attachments { streamed, .. } => streamed.as_mut(),
            Self::Between | Self::Held { .. } => None,
        }
    }
}

impl Place {
    fn name(self) -> &'static str {
        match self {
            Self::OcspResponse => OCSP_RESPONSE,
            Self::RestRequest => REST_REQUEST,
            Self::RestResponse => REST_RESPONSE,
            Self::Envelope => "SOAP message",
            Self::RestBody => REST_BODY,
            Self::Attachments => "attachments",
            Self::HashChainResult => HASH_CHAIN_RESULT,
            Self::HashChain => HASH_CHAIN,
            Self::Signature => SIGNATURE,
            Self::Fault => "fault",
        }
    }
}

impl Limits {
    fn of(&self, place: Place) -> usize {
        match place {
            Place::OcspResponse => self.ocsp_bytes_max,
            Place::HashChainResult | Place::HashChain | Place::Signature => self.signature_bytes_max,
            Place::Fault => self.fault_bytes_max,
            _ => self.message_bytes_max,
        }
    }
}

fn utf8(place: Place, bytes: Bytes) -> Result<String, TransportError> {
    String::from_utf8(bytes.into()).map_err(|_| TransportError::NotUtf8 { part: place.name() })
}

/// Whether `bytes` begin with a whole SEQUENCE. What is in it is for those to say who verify it.
pub(crate) fn is_der_sequence(bytes: &[u8]) -> bool {
    let Some((&[0x30, length], rest)) = bytes.split_first_chunk() else { return false };
    let Some(octets) = length.checked_sub(0x80).map(usize::from) else {
        return rest.len() >= usize::from(length);
    };
    let Some((length, rest)) = rest.split_at_checked(octets) else { return false };
    let length = length
        .iter()
        .fold(0_usize, |length, octet| length.saturating_mul(256).saturating_add((*octet).into()));
    (1..=4).contains(&octets) && rest.len() >= length
}

#[cfg(test)]
mod tests;
