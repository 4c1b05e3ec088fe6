use std::ops::Range;

use bytes::Bytes;
use uuk_identifiers::{
    ClientId, IdentifierError, MemberId, RepresentedParty, ServerId, SoapServiceId, SubsystemId,
};

use crate::consistency::{check_field, check_hash};
use crate::soap::charset::Charset;
use crate::soap::header::HeaderReader;
use crate::xml::{Malformed, Tag, XmlReader, escape};
use crate::{InconsistentResponse, MediaType, RequestHash, SoapFault, sha512};

mod charset;
mod header;

const ENVELOPE: &str = "http://schemas.xmlsoap.org/soap/envelope/";
const SHA512: &str = "http://www.w3.org/2001/04/xmlenc#sha512";

/// Why a SOAP message is refused.
#[derive(Debug, thiserror::Error, strum::IntoStaticStr)]
#[strum(serialize_all = "snake_case", prefix = "soap.")]
#[non_exhaustive]
pub enum SoapError {
    /// Its media type is not one of SOAP 1.1.
    #[error("a SOAP message has the media type `text/xml` or `application/xop+xml`")]
    MediaType,
    /// Its character encoding is unknown.
    #[error("the character encoding is neither UTF-8 nor one of single bytes")]
    UnknownCharset,
    /// Header and XML declaration name two encodings, and it matters which one it is.
    #[error("the media type and the XML declaration name two character encodings")]
    ConflictingCharsets,
    /// Some bytes mean nothing in its character encoding.
    #[error("the message is not text in its character encoding")]
    Encoding,
    /// The HTTP header `SOAPAction` is neither empty nor a URI in quotes.
    #[error("the SOAPAction is not a URI in double quotes")]
    Action,
    /// It has a document type, which could make any text of it.
    #[error("the message has a document type")]
    DocumentType,
    /// It is no XML.
    #[error("the message is not well-formed XML: {reason}")]
    Malformed {
        /// What the parser says, in bounds.
        reason: String,
    },
    /// It is XML, but not SOAP 1.1.
    #[error("the root element is not a SOAP 1.1 envelope")]
    NoEnvelope,
    /// It has no header.
    #[error("the envelope has no header")]
    MissingHeader,
    /// It has two headers.
    #[error("the envelope has a second header")]
    RepeatedHeader,
    /// A field that must be in the header, or a part of one, is not there.
    #[error("header field `{field}` is missing")]
    MissingField {
        /// Its local name.
        field: &'static str,
    },
    /// A field, or a part of one, is there twice.
    #[error("header field `{field}` stands more than once")]
    RepeatedField {
        /// Its local name.
        field: &'static str,
    },
    /// A field has elements where its text should be, so that two readers could read two values.
    #[error("header field `{field}` holds elements instead of text")]
    FieldContent {
        /// Its local name.
        field: &'static str,
    },
    /// An identifier is of another type than its place asks for, or of none.
    #[error("the attribute `objectType` of header field `{field}` is missing or wrong")]
    ObjectType {
        /// Its local name.
        field: &'static str,
    },
    /// An identifier has a piece that none may have.
    #[error("header field `{field}` is not an identifier")]
    Identifier {
        /// Its local name.
        field: &'static str,
        /// What is wrong with it.
        #[source]
        source: IdentifierError,
    },
    /// It speaks another protocol than this one.
    #[error("the protocol version does not begin with `4.`")]
    ProtocolVersion,
    /// It has no body.
    #[error("the envelope has no body")]
    MissingBody,
    /// Its body is not one element.
    #[error("the envelope must have one body, with exactly one element")]
    InvalidBody,
    /// The element in the body is called otherwise than the service in the header.
    #[error("the name of the element in the body does not begin with the service code")]
    InconsistentHeaders,
}

impl SoapError {
    /// The stable code.
    pub fn code(&self) -> &'static str {
        self.into()
    }

    /// X-Road's code.
    pub fn xroad_code(&self) -> &'static str {
        match self {
            Self::MediaType => "invalid_content_type",
            Self::Action => "invalid_soap_action",
            Self::UnknownCharset
            | Self::ConflictingCharsets
            | Self::Encoding
            | Self::DocumentType
            | Self::Malformed { .. }
            | Self::NoEnvelope => "invalid_soap",
            Self::MissingHeader => "missing_header",
            Self::MissingField { .. } => "missing_header_field",
            Self::RepeatedHeader | Self::RepeatedField { .. } => "duplicate_header_field",
            Self::FieldContent { .. } | Self::ObjectType { .. } | Self::Identifier { .. } => "invalid_xml",
            Self::ProtocolVersion => "invalid_protocol_version",
            Self::MissingBody => "missing_body",
            Self::InvalidBody => "invalid_body",
            Self::InconsistentHeaders => "inconsistent_headers",
        }
    }
}

impl From<Malformed> for SoapError {
    fn from(error: Malformed) -> Self {
        match error {
            Malformed::DocumentType => Self::DocumentType,
            Malformed::Other { reason } => Self::Malformed { reason },
        }
    }
}

/// What an envelope holds.
#[derive(Debug)]
pub enum Soap {
    /// A request or a response.
    Message(Box<SoapMessage>),
    /// A fault. It needs no header.
    Fault(SoapFault),
}

/// A SOAP request or response of X-Road's message protocol 4.0: its bytes, and what they say.
///
/// Source: X-Road PR-MESS, `messages.md` §4 of the reference notes.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct SoapMessage {
    bytes: Bytes,
    header: SoapHeader,
    body_element: String,
    /// Where that element stands in the bytes.
    body_place: Range<usize>,
    hash_place: HashPlace,
    charset: Charset,
}

/// What the header of a SOAP message says.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct SoapHeader {
    /// Who calls.
    pub client: ClientId,
    /// What is called.
    pub service: SoapServiceId,
    /// The identifier of the message, chosen by the client. It may be empty.
    pub id: String,
    /// The version of the protocol, `4.` and something.
    pub protocol_version: String,
    /// The only security server that may answer.
    pub security_server: Option<ServerId>,
    /// Who started the call.
    pub user_id: Option<String>,
    /// What the call belongs to at the client.
    pub issue: Option<String>,
    /// On whose behalf the client calls.
    pub represented_party: Option<RepresentedParty>,
    /// Which request it answers. `None` also if what stands there is not a SHA-512 digest.
    pub request_hash: Option<RequestHash>,
}

impl SoapHeader {
    /// That of a request with what every one says, and nothing more.
    pub fn new(client: ClientId, service: SoapServiceId, id: String) -> Self {
        let protocol_version = "4.0".to_owned();
        Self {
            client,
            service,
            id,
            protocol_version,
            security_server: None,
            user_id: None,
            issue: None,
            represented_party: None,
            request_hash: None,
        }
    }
}

/// Where in the bytes the hash of the request goes, and how its element is written there.
#[derive(Debug, Clone, PartialEq, Eq)]
struct HashPlace {
    at: usize,
    /// White space, and the start tag.
    before: Vec<u8>,
    /// The end tag.
    after: Vec<u8>,
    /// An element that pretends to be it already.
    stale: Option<Range<usize>>,
}

impl Soap {
    /// Checks the HTTP header `SOAPAction`, if there is one. It is handed on as it is.
    ///
    /// # Errors
    /// If it is neither empty nor a URI in double quotes, which may be empty too.
    pub fn check_action(action: &str) -> Result<(), SoapError> {
        let uri = action.strip_prefix('"').and_then(|rest| rest.strip_suffix('"'));
        let is_uri =
            |uri: &str| uri.bytes().all(|byte| byte.is_ascii_graphic() && !b"\"<>\\^`{|}".contains(&byte));
        if action.is_empty() || uri.is_some_and(is_uri) { Ok(()) } else { Err(SoapError::Action) }
    }

    /// Reads an envelope. `content_type` is the one it came with.
    ///
    /// # Errors
    /// Names the first thing that is wrong with it, in the order of X-Road.
    pub fn read(content_type: &str, bytes: impl Into<Bytes>) -> Result<Self, SoapError> {
        let media_type = MediaType::parse(content_type).ok_or(SoapError::MediaType)?;
        if !is_soap(&media_type) {
            return Err(SoapError::MediaType);
        }
        let bytes = bytes.into();
        let (charset, text) = Charset::decode(media_type.parameter("charset"), &bytes)?;
        let (mut xml, root) = XmlReader::open(&text)?;
        if !root.is(ENVELOPE, "Envelope") {
            return Err(SoapError::NoEnvelope);
        }
        let mut header = None;
        let mut body = None;
        while let Some(child) = xml.child()? {
            if child.is(ENVELOPE, "Header") {
                if header.replace(HeaderReader::read(&mut xml)?).is_some() {
                    return Err(SoapError::RepeatedHeader);
                }
            } else if child.is(ENVELOPE, "Body") {
                if body.replace(Body::read(&mut xml)?).is_some() {
                    return Err(SoapError::InvalidBody);
                }
            } else {
                xml.skip()?;
            }
        }
        xml.close()?;
        if let Some(Body::Fault(fault)) = body {
            return Ok(Self::Fault(SoapFault { xml: bytes.clone(), ..fault }));
        }
        let (header, place) = header.ok_or(SoapError::MissingHeader)?.finish()?;
        let (body_element, body_place) = match body.ok_or(SoapError::MissingBody)? {
            Body::Element(name, place) => (name, place),
            Body::Fault(_) | Body::Empty => return Err(SoapError::InvalidBody),
        };
        if !body_element.starts_with(&header.service.code) {
            return Err(SoapError::InconsistentHeaders);
        }
        let hash_place = HashPlace {
            at: charset.bytes_before(&text, place.at),
            before: charset.encode(&place.before),
            after: charset.encode(&place.after),
            stale: place.stale.map(|stale| {
                // With the white space before it, so that nothing but the new element remains.
                let start =
                    text.get(..stale.start).map_or(stale.start, |before| before.trim_ascii_end().len());
                charset.bytes_before(&text, start)..charset.bytes_before(&text, stale.end)
            }),
        };
        let body_place =
            charset.bytes_before(&text, body_place.start)..charset.bytes_before(&text, body_place.end);
        drop(text);
        let message = SoapMessage { bytes, header, body_element, body_place, hash_place, charset };
        Ok(Self::Message(Box::new(message)))
    }
}

impl SoapMessage {
    /// The bytes of the envelope, which are what is signed.
    pub fn bytes(&self) -> &Bytes {
        &self.bytes
    }

    /// What its header says.
    pub fn header(&self) -> &SoapHeader {
        &self.header
    }

    /// The local name of the element in its body.
    pub fn body_element(&self) -> &str {
        &self.body_element
    }

    /// Whether it is a response, which X-Road tells by the name of the element in its body.
    pub fn is_response(&self) -> bool {
        self.body_element.ends_with("Response")
    }

    /// The hash by which the response names this request.
    pub fn hash(&self) -> RequestHash {
        RequestHash(sha512(&self.bytes))
    }

    /// The bytes of this response with the hash of the request in its header, in place of any that is there.
    ///
    /// All other bytes stay as they are; X-Road writes the whole envelope anew.
    pub fn with_request_hash(&self, request_hash: RequestHash) -> Vec<u8> {
        let HashPlace { at, before, after, stale } = &self.hash_place;
        let hash = request_hash.to_string();
        let stale = stale.clone().unwrap_or(*at..*at);
        let kept = |range: Range<usize>| self.bytes.get(range).unwrap_or_default();
        let end = self.bytes.len();
        let added = [before, hash.as_bytes(), after].concat();
        if stale.start < *at {
            [kept(0..stale.start), kept(stale.end..*at), &added, kept(*at..end)].concat()
        } else {
            [kept(0..*at), &added, kept(*at..stale.start), kept(stale.end..end)].concat()
        }
    }

    /// The texts of the children of the element in its body that are called `names`, in X-Road's namespace: what a
    /// metaservice is asked.
    ///
    /// # Errors
    /// If one is there twice, or holds elements.
    pub fn body_texts<const N: usize>(
        &self,
        names: [&'static str; N],
    ) -> Result<[Option<String>; N], SoapError> {
        let (_, text) = Charset::decode(Some(self.charset.name()), &self.bytes)?;
        let (mut xml, _) = XmlReader::open(&text)?;
        while let Some(child) = xml.child()? {
            if child.is(ENVELOPE, "Body") && xml.child()?.is_some() {
                return header::pieces(&mut xml, header::XROAD, names);
            }
            xml.skip()?;
        }
        Err(SoapError::MissingBody)
    }

    /// This message with another element in its body; all else stays as it is.
    ///
    /// # Errors
    /// If that is no message: the element is not well-formed, is a fault, or is not called like the service.
    pub fn with_body(&self, element: &str) -> Result<Self, SoapError> {
        let Range { start, end } = self.body_place;
        let kept = |range: Range<usize>| self.bytes.get(range).unwrap_or_default();
        let bytes = [kept(0..start), &self.charset.encode(element), kept(end..self.bytes.len())].concat();
        match Soap::read(&format!("text/xml; charset={}", self.charset.name()), bytes)? {
            Soap::Message(message) => Ok(*message),
            Soap::Fault(_) => Err(SoapError::InvalidBody),
        }
    }

    /// Checks that `response` answers this request, as its header says. The hash is [checked](Self::check_hash) apart,
    /// since a provider's answer has none yet.
    ///
    /// # Errors
    /// Names the first field that differs.
    pub fn check_response(&self, response: &Self) -> Result<(), InconsistentResponse> {
        let (asked, answered) = (&self.header, &response.header);
        check_field("client", &asked.client, &answered.client)?;
        check_field("service", &asked.service, &answered.service)?;
        check_field("userId", &asked.user_id, &answered.user_id)?;
        check_field("representedParty", &asked.represented_party, &answered.represented_party)?;
        check_field("issue", &asked.issue, &answered.issue)?;
        check_field("id", &asked.id, &answered.id)
    }

    /// Checks that `response` has the hash of this request.
    ///
    /// # Errors
    /// If it has none, or another.
    pub fn check_hash(&self, response: &Self) -> Result<(), InconsistentResponse> {
        check_hash(self.hash(), response.header.request_hash)
    }
}

enum Body {
    Empty,
    /// Its local name, and where it stands in the text.
    Element(String, Range<usize>),
    Fault(SoapFault),
}

impl Body {
    /// Reads the element `Body`, which was entered.
    fn read(xml: &mut XmlReader<'_>) -> Result<Self, SoapError> {
        let mut body = Self::Empty;
        while let Some(child) = xml.child()? {
            if !matches!(body, Self::Empty) {
                return Err(SoapError::InvalidBody);
            }
            body = if child.is(ENVELOPE, "Fault") {
                Self::Fault(SoapFault::read_element(xml)?)
            } else {
                let place = child.start..xml.skip()?;
                Self::Element(child.name.local_name.into_owned(), place)
            };
        }
        Ok(body)
    }
}

pub(crate) fn is_soap(media_type: &MediaType) -> bool {
    matches!(media_type.essence.as_str(), "text/xml" | "application/xop+xml")
}

#[cfg(test)]
mod tests;
