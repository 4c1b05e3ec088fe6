use crate::PartHeaders;
use crate::multipart::MultipartWriter;

use super::*;

/// Letters by which the boundaries of one transport message differ from all others.
const BOUNDARY_LETTERS: usize = 30;

/// The boundaries of one transport message.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Boundary(String);

impl Boundary {
    /// Boundaries made of thirty bytes of randomness.
    pub fn random(randomness: [u8; BOUNDARY_LETTERS]) -> Self {
        let letters = b"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz";
        let letter = |byte: u8| letters.iter().cycle().nth(byte.into()).copied().map_or('x', char::from);
        Self(randomness.into_iter().map(letter).collect())
    }

    /// The boundaries of a message whose HTTP content type was `content_type`, if it looks like X-Road's.
    pub fn of(content_type: &str) -> Option<Self> {
        let media_type = MediaType::parse(content_type)?;
        let letters = media_type.boundary()?.strip_prefix("xtop")?;
        (letters.len() == BOUNDARY_LETTERS).then(|| Self(letters.to_owned()))
    }

    /// The HTTP content type of the message.
    pub fn content_type(&self) -> String {
        format!("multipart/mixed; charset=UTF-8; boundary={}", self.top())
    }

    fn attachments_content_type(&self) -> String {
        format!("multipart/mixed; charset=UTF-8; boundary={}", self.attachments())
    }

    pub(super) fn top(&self) -> String {
        format!("xtop{}", self.0)
    }

    fn attachments(&self) -> String {
        format!("xatt{}", self.0)
    }
}

/// A part of a transport message, in the order in which parts are written.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Part<'p> {
    /// An OCSP response in DER.
    OcspResponse,
    /// The header part of a REST request.
    RestRequest,
    /// The header part of a REST response.
    RestResponse,
    /// A SOAP message, with the headers that it came with.
    Soap(&'p PartHeaders),
    /// The body of a REST message.
    RestBody,
    /// An attachment of a SOAP message, with the headers that it came with.
    Attachment(&'p PartHeaders),
    /// The result of the hash chain, if a batch was signed.
    HashChainResult,
    /// The hash chain, if a batch was signed.
    HashChain,
    /// The signature.
    Signature,
    /// A fault instead of what should have followed.
    Fault,
}

/// Writes the frame of a transport message, byte for byte as X-Road does.
///
/// The contents of parts are written by the caller between two calls, so that large ones can stream. The order of the
/// parts is the caller's to keep.
#[derive(Debug)]
pub struct TransportWriter {
    boundary: Boundary,
    top: MultipartWriter,
    attachments: Option<MultipartWriter>,
}

impl TransportWriter {
    /// A writer of a message with these boundaries.
    pub fn new(boundary: Boundary) -> Self {
        Self { top: MultipartWriter::new(&boundary.top(), ": "), boundary, attachments: None }
    }

    /// Writes to `out` what stands before the content of `part`. The part before ends with it.
    pub fn start(&mut self, out: &mut Vec<u8>, part: Part<'_>) {
        if let Part::Attachment(headers) = part {
            self.start_attachment(out, headers);
            return;
        }
        self.end_attachments(out);
        let of_type = PartHeaders::of_type;
        let headers = match part {
            Part::OcspResponse => &of_type(OCSP_RESPONSE),
            Part::RestRequest => &of_type(REST_REQUEST),
            Part::RestResponse => &of_type(REST_RESPONSE),
            Part::Soap(headers) | Part::Attachment(headers) => headers,
            Part::RestBody => &of_type(REST_BODY),
            Part::HashChainResult => &of_type(HASH_CHAIN_RESULT),
            Part::HashChain => &of_type(HASH_CHAIN),
            Part::Signature => &of_type(SIGNATURE),
            Part::Fault => &of_type("text/xml; charset=UTF-8"),
        };
        self.top.start(out, headers);
    }

    /// Writes a whole part to `out`.
    pub fn write(&mut self, out: &mut Vec<u8>, part: Part<'_>, content: &[u8]) {
        self.start(out, part);
        out.extend_from_slice(content);
    }

    /// Writes the end of the message to `out`.
    pub fn finish(mut self, out: &mut Vec<u8>) {
        self.end_attachments(out);
        self.top.finish(out);
    }

    fn start_attachment(&mut self, out: &mut Vec<u8>, headers: &PartHeaders) {
        let writer = match &mut self.attachments {
            Some(writer) => writer,
            none => {
                self.top.start(out, &PartHeaders::of_type(self.boundary.attachments_content_type()));
                none.insert(MultipartWriter::nested(&self.boundary.attachments(), ": "))
            }
        };
        writer.start(out, headers);
    }

    fn end_attachments(&mut self, out: &mut Vec<u8>) {
        if let Some(mut writer) = self.attachments.take() {
            writer.finish(out);
        }
    }
}
