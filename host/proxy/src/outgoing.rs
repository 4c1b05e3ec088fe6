//! Writing a transport message to a peer. It is whole, signed and recorded before the first byte leaves.

use bytes::Bytes;
use futures_util::{Stream, StreamExt, TryStreamExt, stream};
use http_body_util::StreamBody;
use http_body_util::combinators::UnsyncBoxBody;
use hyper::body::Frame;
use uuid::Uuid;
use uuk_asic::SignatureDocuments;
use uuk_message::{Boundary, Part, TransportWriter};

use crate::exchange::Attachment;
use crate::spool::Spooled;

/// A body that streams.
pub type TransportBody = UnsyncBoxBody<Bytes, std::io::Error>;

/// A message as it goes to a peer: its parts, in their order.
pub(crate) struct Outgoing<'m> {
    /// Of this server's authentication certificate and those above it; requests only.
    pub(crate) ocsp_answers: &'m [Bytes],
    pub(crate) message: (Part<'m>, &'m Bytes),
    pub(crate) attachments: &'m [Attachment],
    pub(crate) signature: &'m SignatureDocuments,
}

/// A piece of what is written.
pub(crate) enum Piece {
    Written(Bytes),
    Spooled(Spooled),
}

impl Outgoing<'_> {
    /// The media type and the body.
    pub(crate) fn write(&self) -> (String, TransportBody) {
        let boundary = boundary();
        let content_type = boundary.content_type();
        let mut writer = TransportWriter::new(boundary);
        let (mut pieces, mut out) = (Vec::new(), Vec::new());
        for answer in self.ocsp_answers {
            writer.write(&mut out, Part::OcspResponse, answer);
        }
        let (part, message) = self.message;
        writer.write(&mut out, part, message);
        for Attachment { headers, content } in self.attachments {
            writer.start(
                &mut out,
                match part {
                    Part::Soap(_) => Part::Attachment(headers),
                    _ => Part::RestBody,
                },
            );
            pieces.push(Piece::Written(std::mem::take(&mut out).into()));
            pieces.push(Piece::Spooled(content.clone()));
        }
        if let Some(chain) = &self.signature.hash_chain {
            writer.write(&mut out, Part::HashChainResult, &chain.result);
            writer.write(&mut out, Part::HashChain, &chain.chain);
        }
        writer.write(&mut out, Part::Signature, &self.signature.signatures);
        writer.finish(&mut out);
        pieces.push(Piece::Written(out.into()));
        (content_type, self::pieces(pieces))
    }
}

/// A body of these pieces.
pub(crate) fn pieces(pieces: Vec<Piece>) -> TransportBody {
    body(stream::iter(pieces).flat_map(Piece::stream))
}

/// A body of what `stream` gives.
pub(crate) fn body(stream: impl Stream<Item = std::io::Result<Bytes>> + Send + 'static) -> TransportBody {
    UnsyncBoxBody::new(StreamBody::new(stream.map_ok(Frame::data)))
}

impl Piece {
    fn stream(self) -> impl Stream<Item = std::io::Result<Bytes>> + Send {
        match self {
            Self::Written(bytes) => stream::once(async { Ok(bytes) }).left_stream(),
            Self::Spooled(spooled) => spooled.stream().right_stream(),
        }
    }
}

/// One that no content foresees.
fn boundary() -> Boundary {
    let mut randomness = [0; 30];
    let random = Uuid::new_v4().into_bytes().into_iter().chain(Uuid::new_v4().into_bytes());
    randomness.iter_mut().zip(random).for_each(|(to, from)| *to = from);
    Boundary::random(randomness)
}
