use bytes::Bytes;

use crate::multipart::{MultipartError, MultipartReader, MultipartWriter, PartEvent};
use crate::transport::{OCSP_RESPONSE, is_der_sequence};
use crate::{Header, Limits, MediaType, PartHeaders};

/// Why OCSP answers of another security server cannot be read. Parts count from 1.
#[derive(Debug, thiserror::Error, strum::IntoStaticStr)]
#[strum(serialize_all = "snake_case", prefix = "ocsp_answers.")]
#[non_exhaustive]
pub enum OcspAnswersError {
    /// The media type is another.
    #[error("the media type is not `multipart/related` with a boundary")]
    MediaType,
    /// The answers cannot be told apart.
    #[error("the message cannot be divided into its parts")]
    Multipart(#[from] MultipartError),
    /// A part is no OCSP answer.
    #[error("part {part} is not an OCSP response in DER")]
    Ocsp {
        /// Which part.
        part: usize,
    },
    /// A part is larger than OCSP answers are.
    #[error("part {part} is larger than {bytes_max} bytes")]
    TooLarge {
        /// Which part.
        part: usize,
        /// The limit.
        bytes_max: usize,
    },
    /// There are more than anyone asks for.
    #[error("there are more than {count_max} answers")]
    TooMany {
        /// The limit.
        count_max: usize,
    },
}

impl OcspAnswersError {
    /// The stable code.
    pub fn code(&self) -> &'static str {
        match self {
            Self::Multipart(error) => error.code(),
            error => error.into(),
        }
    }
}

/// OCSP answers in DER, as one security server gives them to another beside their messages, in the order asked for.
///
/// Source: `transport.md` §8 of the reference notes.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct OcspAnswers(pub Vec<Bytes>);

impl OcspAnswers {
    /// Reads a whole message whose HTTP content type is `content_type`. Parts of other types than OCSP answers are
    /// left out, as X-Road does.
    ///
    /// # Errors
    /// The first thing that is wrong.
    pub fn read(content_type: &str, message: &[u8], limits: &Limits) -> Result<Self, OcspAnswersError> {
        let media_type = MediaType::parse(content_type).ok_or(OcspAnswersError::MediaType)?;
        let boundary = match media_type.boundary() {
            Some(boundary) if media_type.essence == "multipart/related" => boundary,
            _ => return Err(OcspAnswersError::MediaType),
        };
        let mut reader = MultipartReader::new(boundary, limits.part_header_bytes_max);
        reader.push(message);
        reader.end_of_input();
        let (mut answers, mut part) = (Vec::new(), 0);
        let mut current = None;
        while let Some(event) = reader.next_event()? {
            match (event, &mut current) {
                (PartEvent::Start(headers), _) => {
                    part += 1;
                    current = is_ocsp(&headers).then(Vec::new);
                }
                (PartEvent::Data(_), None) => {}
                (PartEvent::Data(data), Some(bytes)) => {
                    let bytes_max = limits.ocsp_bytes_max;
                    if bytes.len().saturating_add(data.len()) > bytes_max {
                        return Err(OcspAnswersError::TooLarge { part, bytes_max });
                    }
                    bytes.extend_from_slice(&data);
                }
                (PartEvent::End, current) => {
                    let Some(bytes) = current.take() else { continue };
                    let count_max = limits.ocsp_responses_max;
                    if answers.len() >= count_max {
                        return Err(OcspAnswersError::TooMany { count_max });
                    }
                    if !is_der_sequence(&bytes) {
                        return Err(OcspAnswersError::Ocsp { part });
                    }
                    answers.push(bytes.into());
                }
            }
        }
        Ok(Self(answers))
    }

    /// The HTTP content type of a message with this boundary.
    pub fn content_type(boundary: &str) -> String {
        format!(r#"multipart/related; type="{OCSP_RESPONSE}"; charset=UTF-8; boundary={boundary}"#)
    }

    /// The message, byte for byte as X-Road writes it.
    pub fn write(&self, boundary: &str) -> Vec<u8> {
        // X-Road leaves this one to Jetty, which writes the header's name in its usual case.
        let header = Header::new("Content-Type", OCSP_RESPONSE);
        let headers = PartHeaders { content_type: None, others: vec![header] };
        let (mut out, mut writer) = (Vec::new(), MultipartWriter::new(boundary, ": "));
        for answer in &self.0 {
            writer.start(&mut out, &headers);
            out.extend_from_slice(answer);
        }
        writer.finish(&mut out);
        out
    }
}

fn is_ocsp(headers: &PartHeaders) -> bool {
    let media_type = headers.content_type.as_deref().and_then(MediaType::parse);
    media_type.is_some_and(|media_type| media_type.essence == OCSP_RESPONSE)
}

#[cfg(test)]
mod tests {
    use super::*;

    const LIMITS: Limits = Limits {
        part_header_bytes_max: 100,
        message_bytes_max: 0,
        ocsp_bytes_max: 4,
        ocsp_responses_max: 2,
        signature_bytes_max: 0,
        fault_bytes_max: 0,
        body_bytes_max: 0,
        attachments_max: 0,
    };

    fn answers(answers: &[&'static [u8]]) -> OcspAnswers {
        OcspAnswers(answers.iter().copied().map(Bytes::from_static).collect())
    }

    #[track_caller]
    fn refuses(content_type: &str, message: &[u8], code: &str) {
        let error = OcspAnswers::read(content_type, message, &LIMITS).unwrap_err();
        assert_eq!(error.code(), code, "{error}");
    }

    #[test]
    fn reads_what_it_writes() {
        for written in [answers(&[b"\x30\x01a", b"\x30\x02bc"]), answers(&[b"\x30\x00"]), answers(&[])] {
            let (content_type, message) = (OcspAnswers::content_type("B"), written.write("B"));
            assert_eq!(OcspAnswers::read(&content_type, &message, &LIMITS).unwrap(), written);
        }
    }

    #[test]
    fn leaves_out_parts_of_other_types() {
        let message = b"--B\r\nContent-Type: text/plain\r\n\r\nhello\r\n--B--";
        let content_type = OcspAnswers::content_type("B");
        assert_eq!(OcspAnswers::read(&content_type, message, &LIMITS).unwrap(), answers(&[]));
    }

    #[test]
    fn refuses_other_content_types() {
        for content_type in ["", "text/plain", "multipart/related", "multipart/mixed; boundary=B"] {
            refuses(content_type, b"--B--", "ocsp_answers.media_type");
        }
    }

    #[test]
    fn refuses_answers_that_are_too_large_or_too_many() {
        let content_type = OcspAnswers::content_type("B");
        refuses(&content_type, &answers(&[b"\x30\x03abc"]).write("B"), "ocsp_answers.too_large");
        refuses(&content_type, &answers(&[b"\x30\x00".as_slice(); 3]).write("B"), "ocsp_answers.too_many");
    }

    #[test]
    fn refuses_what_is_no_ocsp_answer() {
        refuses(&OcspAnswers::content_type("B"), &answers(&[b"no"]).write("B"), "ocsp_answers.ocsp");
    }

    #[test]
    fn refuses_a_message_that_breaks_off() {
        let mut message = answers(&[b"\x30\x00"]).write("B");
        message.truncate(message.len() - 8);
        refuses(&OcspAnswers::content_type("B"), &message, "multipart.truncated");
    }
}
