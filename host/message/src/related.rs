use bytes::Bytes;

use crate::digest::StreamedDigest;
use crate::multipart::{MultipartReader, MultipartWriter, PartEvent};
use crate::soap::is_soap;
use crate::{
    Direction, Limits, MediaType, MultipartError, PartHeaders, Sha512, Soap, SoapError, SoapFault,
    SoapMessage,
};

/// Why a message of an information system is refused.
#[derive(Debug, thiserror::Error, strum::IntoStaticStr)]
#[strum(serialize_all = "snake_case", prefix = "related.")]
#[non_exhaustive]
pub enum RelatedError {
    /// Its media type is none that carries SOAP, or is `multipart/related` without a boundary.
    #[error("the media type is neither `text/xml` nor `multipart/related` with a boundary")]
    MediaType,
    /// A part does not say its media type.
    #[error("part {part} has no media type")]
    MissingPartType {
        /// Counted from 1.
        part: usize,
    },
    /// Its parts cannot be told apart.
    #[error("the message cannot be divided into its parts")]
    Multipart(#[from] MultipartError),
    /// Its envelope is refused.
    #[error("the SOAP message is refused")]
    Soap(#[from] SoapError),
    /// It has no parts.
    #[error("there is no SOAP message")]
    MissingSoap {
        /// Which way it goes.
        direction: Direction,
    },
    /// It is too large.
    #[error("the {what} is larger than {bytes_max} bytes")]
    TooLarge {
        /// What of it.
        what: &'static str,
        /// The limit.
        bytes_max: u64,
    },
    /// It has too many attachments.
    #[error("there are more than {count_max} attachments")]
    TooManyAttachments {
        /// The limit.
        count_max: usize,
    },
}

impl RelatedError {
    /// The stable code.
    pub fn code(&self) -> &'static str {
        match self {
            Self::Multipart(error) => error.code(),
            Self::Soap(error) => error.code(),
            error => error.into(),
        }
    }

    /// X-Road's code. For what only our limits refuse it has none, and `invalid_message` comes closest.
    pub fn xroad_code(&self) -> &'static str {
        match self {
            Self::MediaType | Self::MissingPartType { .. } => "invalid_content_type",
            Self::Multipart(_) => "mime_parsing_failed",
            Self::Soap(error) => error.xroad_code(),
            Self::MissingSoap { direction: Direction::Request } => "missing_soap",
            Self::MissingSoap { direction: Direction::Response } => "invalid_message",
            Self::TooLarge { .. } | Self::TooManyAttachments { .. } => "invalid_message",
        }
    }
}

/// What was read of a message.
#[derive(Debug)]
pub enum RelatedEvent {
    /// The SOAP message, with the headers of its part: its content type, and all others if it was one of several.
    Soap(PartHeaders, Box<SoapMessage>),
    /// A fault in its place.
    Fault(SoapFault),
    /// An attachment begins.
    AttachmentStart(PartHeaders),
    /// The next bytes of it. Nothing is decoded.
    Attachment(Bytes),
    /// It is complete.
    AttachmentEnd {
        /// Its digest.
        sha512: Sha512,
        /// Its size.
        size_bytes: u64,
    },
    /// Nothing is left. Comes last.
    End,
}

/// Reads a SOAP message as information systems send it, alone or with attachments, as its bytes come.
///
/// MTOM and XOP are attachments like all others. In `multipart/related` the first part is the envelope, whatever
/// `start` says: so X-Road takes it.
///
/// Source: `messages.md` §4 of the reference notes.
pub struct RelatedReader {
    direction: Direction,
    limits: Limits,
    source: Source,
    current: Current,
    parts: usize,
    attachment_bytes: u64,
}

enum Source {
    /// The envelope is all there is.
    Alone {
        headers: PartHeaders,
        bytes: Vec<u8>,
        input_ended: bool,
    },
    Multipart(Box<MultipartReader>),
    Ended,
    Done,
}

enum Current {
    Envelope { headers: PartHeaders, bytes: Vec<u8> },
    Attachment(StreamedDigest),
}

impl RelatedReader {
    /// A reader of a client's request or a provider's response, whose HTTP content type is `content_type`.
    ///
    /// # Errors
    /// If it is none that carries SOAP.
    pub fn new(content_type: &str, direction: Direction, limits: Limits) -> Result<Self, RelatedError> {
        let media_type = MediaType::parse(content_type).ok_or(RelatedError::MediaType)?;
        let source = if is_soap(&media_type) {
            Source::Alone {
                headers: PartHeaders::of_type(content_type),
                bytes: Vec::new(),
                input_ended: false,
            }
        } else if media_type.essence == "multipart/related" {
            let boundary = media_type.boundary().ok_or(RelatedError::MediaType)?;
            Source::Multipart(Box::new(MultipartReader::new(boundary, limits.part_header_bytes_max)))
        } else {
            return Err(RelatedError::MediaType);
        };
        let current = Current::Envelope { headers: PartHeaders::default(), bytes: Vec::new() };
        Ok(Self { direction, limits, source, current, parts: 0, attachment_bytes: 0 })
    }

    /// Takes the next bytes of the message.
    pub fn push(&mut self, more: &[u8]) {
        match &mut self.source {
            Source::Alone { bytes, .. } => bytes.extend_from_slice(more),
            Source::Multipart(reader) => reader.push(more),
            Source::Ended | Source::Done => {}
        }
    }

    /// Says that all bytes were pushed.
    pub fn end_of_input(&mut self) {
        match &mut self.source {
            Source::Alone { input_ended, .. } => *input_ended = true,
            Source::Multipart(reader) => reader.end_of_input(),
            Source::Ended | Source::Done => {}
        }
    }

    /// The next event, or `None` if it takes more bytes. After [`RelatedEvent::End`] there is none.
    ///
    /// # Errors
    /// The first thing that is wrong. The reader is of no use afterwards.
    pub fn next_event(&mut self) -> Result<Option<RelatedEvent>, RelatedError> {
        loop {
            match &mut self.source {
                Source::Alone { headers, bytes, input_ended } => {
                    check_envelope_size(bytes.len(), &self.limits)?;
                    if !*input_ended {
                        return Ok(None);
                    }
                    let event = envelope(std::mem::take(headers), std::mem::take(bytes).into())?;
                    self.source = Source::Ended;
                    return Ok(Some(event));
                }
                Source::Multipart(reader) => match reader.next_event()? {
                    Some(event) => {
                        if let Some(event) = self.read_part(event)? {
                            return Ok(Some(event));
                        }
                    }
                    None if !reader.is_at_end() => return Ok(None),
                    None if self.parts == 0 => {
                        return Err(RelatedError::MissingSoap { direction: self.direction });
                    }
                    None => self.source = Source::Ended,
                },
                Source::Ended => {
                    self.source = Source::Done;
                    return Ok(Some(RelatedEvent::End));
                }
                Source::Done => return Ok(None),
            }
        }
    }

    fn read_part(&mut self, event: PartEvent) -> Result<Option<RelatedEvent>, RelatedError> {
        match (event, &mut self.current) {
            (PartEvent::Start(part), current) => {
                self.parts += 1;
                if part.content_type.is_none() {
                    return Err(RelatedError::MissingPartType { part: self.parts });
                }
                if self.parts == 1 {
                    *current = Current::Envelope { headers: part, bytes: Vec::new() };
                    return Ok(None);
                }
                let count_max = self.limits.attachments_max;
                if self.parts > count_max.saturating_add(1) {
                    return Err(RelatedError::TooManyAttachments { count_max });
                }
                *current = Current::Attachment(StreamedDigest::new());
                Ok(Some(RelatedEvent::AttachmentStart(part)))
            }
            (PartEvent::Data(data), Current::Envelope { bytes, .. }) => {
                check_envelope_size(bytes.len().saturating_add(data.len()), &self.limits)?;
                bytes.extend_from_slice(&data);
                Ok(None)
            }
            (PartEvent::Data(data), Current::Attachment(digest)) => {
                self.attachment_bytes = self.attachment_bytes.saturating_add(data.len() as u64);
                let bytes_max = self.limits.body_bytes_max;
                if self.attachment_bytes > bytes_max {
                    return Err(RelatedError::TooLarge { what: "attachments", bytes_max });
                }
                digest.update(&data);
                Ok(Some(RelatedEvent::Attachment(data)))
            }
            (PartEvent::End, Current::Envelope { headers, bytes }) => {
                envelope(std::mem::take(headers), std::mem::take(bytes).into()).map(Some)
            }
            (PartEvent::End, Current::Attachment(digest)) => {
                let digest = std::mem::replace(digest, StreamedDigest::new());
                let size_bytes = digest.size_bytes;
                Ok(Some(RelatedEvent::AttachmentEnd { sha512: digest.finish(), size_bytes }))
            }
        }
    }
}

fn check_envelope_size(size: usize, limits: &Limits) -> Result<(), RelatedError> {
    let bytes_max = limits.message_bytes_max;
    if size > bytes_max {
        return Err(RelatedError::TooLarge { what: "SOAP message", bytes_max: bytes_max as u64 });
    }
    Ok(())
}

fn envelope(headers: PartHeaders, bytes: Bytes) -> Result<RelatedEvent, RelatedError> {
    Ok(match Soap::read(headers.content_type.as_deref().unwrap_or_default(), bytes)? {
        Soap::Message(message) => RelatedEvent::Soap(headers, message),
        Soap::Fault(fault) => RelatedEvent::Fault(fault),
    })
}

/// Writes the frame of a `multipart/related` message for an information system, byte for byte as X-Road does.
///
/// The contents of parts are written by the caller between two calls, so that large ones can stream.
#[derive(Debug)]
pub struct RelatedWriter(MultipartWriter);

impl RelatedWriter {
    /// A writer of a message whose HTTP content type is `content_type`: the one that the sender gave it, since an
    /// envelope may speak of it.
    ///
    /// # Errors
    /// If it is not `multipart/related` with a boundary.
    pub fn new(content_type: &str) -> Result<Self, RelatedError> {
        let media_type = MediaType::parse(content_type).ok_or(RelatedError::MediaType)?;
        match media_type.boundary() {
            Some(boundary) if media_type.essence == "multipart/related" => {
                Ok(Self(MultipartWriter::new(boundary, ":")))
            }
            _ => Err(RelatedError::MediaType),
        }
    }

    /// Writes to `out` what stands before the content of a part with these headers. The part before ends with it.
    pub fn start(&mut self, out: &mut Vec<u8>, headers: &PartHeaders) {
        self.0.start(out, headers);
    }

    /// Writes the end of the message to `out`.
    pub fn finish(mut self, out: &mut Vec<u8>) {
        self.0.finish(out);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const FAULT: &str = "<e:Envelope xmlns:e='http://schemas.xmlsoap.org/soap/envelope/'><e:Body><e:Fault/></e:Body>\
        </e:Envelope>";

    /// Reads a provider's answer under small limits.
    fn read(content_type: &str, message: &str) -> Result<usize, RelatedError> {
        let limits = Limits {
            message_bytes_max: FAULT.len(),
            body_bytes_max: 4,
            attachments_max: 2,
            ..Limits::default()
        };
        let mut reader = RelatedReader::new(content_type, Direction::Response, limits)?;
        reader.push(message.as_bytes());
        reader.end_of_input();
        let mut events = 0;
        while reader.next_event()?.is_some() {
            events += 1;
        }
        Ok(events)
    }

    fn multipart(attachments: &[&str]) -> String {
        let parts =
            attachments.iter().map(|content| format!("--B\r\nContent-Type: a/b\r\n\r\n{content}\r\n"));
        format!("--B\r\nContent-Type: text/xml\r\n\r\n{FAULT}\r\n{}--B--", parts.collect::<String>())
    }

    #[track_caller]
    fn refuses(content_type: &str, message: &str, code: &str, xroad_code: &str) {
        let error = read(content_type, message).unwrap_err();
        assert_eq!((error.code(), error.xroad_code()), (code, xroad_code), "{error}");
    }

    #[test]
    fn reads_what_the_limits_allow() {
        assert_eq!(read("text/xml", FAULT).unwrap(), 2);
        assert_eq!(read("multipart/related; boundary=B", &multipart(&["12", "34"])).unwrap(), 8);
    }

    #[test]
    fn refuses_more_than_the_limits_allow() {
        let content_type = "multipart/related; boundary=B";
        refuses("text/xml", &format!("{FAULT} "), "related.too_large", "invalid_message");
        let large = multipart(&[]).replace(FAULT, &format!("{FAULT} "));
        refuses(content_type, &large, "related.too_large", "invalid_message");
        refuses(content_type, &multipart(&["123", "45"]), "related.too_large", "invalid_message");
        refuses(content_type, &multipart(&["", "", ""]), "related.too_many_attachments", "invalid_message");
    }

    #[test]
    fn refuses_other_content_types() {
        for content_type in
            ["", "blah", "application/json", "multipart/mixed; boundary=B", "multipart/related"]
        {
            refuses(content_type, FAULT, "related.media_type", "invalid_content_type");
        }
        assert_eq!(RelatedWriter::new("text/xml").unwrap_err().code(), "related.media_type");
    }

    #[test]
    fn refuses_parts_without_a_media_type() {
        let message = multipart(&["1"]).replace("Content-Type: a/b", "a: b");
        refuses(
            "multipart/related; boundary=B",
            &message,
            "related.missing_part_type",
            "invalid_content_type",
        );
    }

    #[test]
    fn refuses_an_answer_without_parts() {
        refuses("multipart/related; boundary=B", "", "related.missing_soap", "invalid_message");
    }

    #[test]
    fn passes_on_what_is_wrong_inside() {
        let content_type = "multipart/related; boundary=B";
        refuses(content_type, "--B\r\nx\r\n", "multipart.header", "mime_parsing_failed");
        refuses("text/xml", "<a/>", "soap.no_envelope", "invalid_soap");
    }

    #[test]
    fn writes_as_the_reference_does() {
        let mut out = Vec::new();
        let mut writer = RelatedWriter::new("Multipart/Related; boundary=\"B\"").unwrap();
        let others = vec![crate::Header::new("Content-ID", "<a>")];
        writer.start(&mut out, &PartHeaders { content_type: Some("text/xml".into()), others });
        out.extend_from_slice(b"<x/>");
        writer.finish(&mut out);
        assert_eq!(out, b"--B\r\ncontent-type:text/xml\r\nContent-ID: <a>\r\n\r\n<x/>\r\n--B--\r\n");
    }
}
