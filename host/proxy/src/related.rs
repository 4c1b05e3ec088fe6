//! SOAP messages as information systems send and take them: an envelope, alone or with attachments.

use std::time::Instant;

use bytes::Bytes;
use http::HeaderValue;
use hyper::body::Body;
use uuk_message::{
    Direction, PartHeaders, RelatedError, RelatedEvent, RelatedReader, RelatedWriter, Soap, SoapError,
    SoapFault, SoapMessage,
};
use uuk_pki::Digest;

use crate::exchange::{Attachment, ExchangeConfig, ExchangeError};
use crate::frames::Frames;
use crate::incoming::IncomingError;
use crate::outgoing::{Piece, TransportBody, pieces};
use crate::spool::Spool;

/// A SOAP message that came whole.
pub(crate) struct Related {
    /// Of the part that the envelope is.
    pub(crate) headers: PartHeaders,
    pub(crate) message: Box<SoapMessage>,
    pub(crate) attachments: Vec<Attachment>,
}

/// What an information system sent.
pub(crate) enum Sent {
    Message(Related),
    Fault(SoapFault),
}

/// Checks the HTTP header `SOAPAction` of a client, if there is one. It goes on as it is.
pub(crate) fn check_action(action: Option<&HeaderValue>) -> Result<(), IncomingError> {
    let action = action.map_or(Ok(""), HeaderValue::to_str).map_err(|_| SoapError::Action);
    action.and_then(Soap::check_action).map_err(|error| RelatedError::from(error).into())
}

/// Reads a message to its end; attachments go where large bodies go.
pub(crate) async fn read<B>(
    body: B,
    content_type: &str,
    direction: Direction,
    config: &ExchangeConfig,
    deadline: Instant,
) -> Result<Sent, IncomingError>
where
    B: Body<Data = Bytes, Error: Into<Box<dyn std::error::Error + Send + Sync>>>,
{
    let mut frames = Frames::new(body, deadline);
    let mut reader = RelatedReader::new(content_type, direction, config.limits)?;
    let (mut envelope, mut fault) = (None, None);
    let (mut attachments, mut current) = (Vec::new(), None);
    loop {
        while let Some(event) = reader.next_event()? {
            match (event, &mut current) {
                (RelatedEvent::Soap(headers, message), _) => envelope = Some((headers, message)),
                (RelatedEvent::Fault(found), _) => fault = Some(found),
                (RelatedEvent::AttachmentStart(headers), current) => {
                    *current = Some((headers, Spool::new(&config.spool_folder)));
                }
                (RelatedEvent::Attachment(data), Some((_, spool))) => spool.push(&data).await?,
                (RelatedEvent::AttachmentEnd { sha512, .. }, current) => {
                    if let Some((headers, spool)) = current.take() {
                        let content = spool.finish(Digest::sha512(sha512)).await?;
                        attachments.push(Attachment { headers, content });
                    }
                }
                (RelatedEvent::Attachment(_), None) => {}
                (RelatedEvent::End, _) => {
                    return match (envelope, fault) {
                        (Some((headers, message)), _) => {
                            Ok(Sent::Message(Related { headers, message, attachments }))
                        }
                        (None, Some(fault)) => Ok(Sent::Fault(fault)),
                        (None, None) => Err(RelatedError::MissingSoap { direction }.into()),
                    };
                }
            }
        }
        match frames.next().await? {
            Some(data) => reader.push(&data),
            None => reader.end_of_input(),
        }
    }
}

/// A message as an information system takes it, in the form that `content_type`, its sender's, says.
pub(crate) fn write(
    content_type: &str,
    headers: &PartHeaders,
    message: &Bytes,
    attachments: &[Attachment],
) -> Result<TransportBody, ExchangeError> {
    let Ok(mut writer) = RelatedWriter::new(content_type) else {
        return match attachments {
            [] => Ok(pieces(vec![Piece::Written(message.clone())])),
            _ => Err(ExchangeError::Header { name: "x-original-content-type" }),
        };
    };
    let mut out = Vec::new();
    writer.start(&mut out, headers);
    out.extend_from_slice(message);
    let mut written = Vec::new();
    for Attachment { headers, content } in attachments {
        writer.start(&mut out, headers);
        written.push(Piece::Written(std::mem::take(&mut out).into()));
        written.push(Piece::Spooled(content.clone()));
    }
    writer.finish(&mut out);
    written.push(Piece::Written(out.into()));
    Ok(pieces(written))
}
