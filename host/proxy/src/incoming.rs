//! Reading a transport message while it comes from a peer.

use std::path::PathBuf;
use std::time::Instant;

use bytes::Bytes;
use http::HeaderMap;
use http::header::CONTENT_TYPE;
use hyper::body::Body;
use uuk_asic::{ChainDocuments, SignatureDocuments};
use uuk_message::{
    Direction, MessageKind, PartHeaders, RelatedError, RestRequest, RestResponse, SoapFault, SoapMessage,
    TransportError, TransportEvent, TransportReader,
};
use uuk_pki::{Digest, DigestAlgorithm};

use crate::exchange::{Attachment, ExchangeConfig};
use crate::frames::Frames;
use crate::spool::{Spool, Spooled};

/// Why a message did not come.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum IncomingError {
    /// It is malformed.
    #[error(transparent)]
    Transport(#[from] TransportError),
    /// An information system's SOAP message is malformed.
    #[error(transparent)]
    Related(Box<RelatedError>),
    /// A fault came in its place.
    #[error("the other security server refused: {}: {}", .0.code, .0.string)]
    Fault(Box<SoapFault>),
    /// The connection broke off.
    #[error("the message broke off")]
    Broken(#[source] Box<dyn std::error::Error + Send + Sync>),
    /// It took too long.
    #[error("the message did not come in time")]
    Slow,
    /// There is too much of it.
    #[error("the body of the message is larger than {bytes_max} bytes")]
    TooLarge {
        /// The limit.
        bytes_max: u64,
    },
    /// It cannot be kept while its signature is verified.
    #[error("the message cannot be kept on its way")]
    Spool(#[from] std::io::Error),
}

impl From<RelatedError> for IncomingError {
    fn from(error: RelatedError) -> Self {
        Self::Related(error.into())
    }
}

/// What stands before body and signature.
pub(crate) struct Opening {
    /// DER OCSP responses about the sender's authentication certificate and those above it.
    pub(crate) ocsp_answers: Vec<Bytes>,
    pub(crate) message: Message,
}

/// The message itself.
#[derive(Debug)]
pub(crate) enum Message {
    RestRequest(Box<RestRequest>),
    RestResponse(Box<RestResponse>),
    Soap(PartHeaders, Box<SoapMessage>),
}

/// What follows the message. Nothing of it counts before the signature is verified.
pub(crate) struct Closing {
    /// The REST body or the SOAP attachments, in their order.
    pub(crate) attachments: Vec<Attachment>,
    pub(crate) signature: SignatureDocuments,
}

/// Takes a body as it comes from a client or an information system, or finds that there is none.
pub(crate) async fn whole<B>(
    body: B,
    config: &ExchangeConfig,
    deadline: Instant,
) -> Result<Option<Spooled>, IncomingError>
where
    B: Body<Data = Bytes, Error: Into<Box<dyn std::error::Error + Send + Sync>>>,
{
    let bytes_max = config.limits.body_bytes_max;
    let mut frames = Frames::new(body, deadline);
    let (mut spool, mut sha512) = (Spool::new(&config.spool_folder), DigestAlgorithm::Sha512.start());
    while let Some(data) = frames.next().await? {
        if spool.size_bytes() + data.len() as u64 > bytes_max {
            return Err(IncomingError::TooLarge { bytes_max });
        }
        sha512.update(&data);
        spool.push(&data).await?;
    }
    Ok(Some(spool.finish(sha512.finish()).await?).filter(|body| body.size_bytes() > 0))
}

/// A transport message that is being read.
pub(crate) struct Incoming<B> {
    frames: Frames<B>,
    reader: TransportReader,
    folder: PathBuf,
}

impl<B> Incoming<B>
where
    B: Body<Data = Bytes, Error: Into<Box<dyn std::error::Error + Send + Sync>>>,
{
    /// `http` are the headers that came before `body`.
    pub(crate) fn new(
        http: &HeaderMap,
        body: B,
        (direction, kind): (Direction, MessageKind),
        config: &ExchangeConfig,
        deadline: Instant,
    ) -> Result<Self, TransportError> {
        let content_type = http.get(CONTENT_TYPE).and_then(|value| value.to_str().ok());
        let content_type = content_type.ok_or(TransportError::MediaType)?;
        let reader = TransportReader::new(content_type, direction, kind, config.limits)?;
        Ok(Self { frames: Frames::new(body, deadline), reader, folder: config.spool_folder.clone() })
    }

    /// Reads up to the message, without what belongs to it.
    pub(crate) async fn open(&mut self) -> Result<Opening, IncomingError> {
        let mut ocsp_answers = Vec::new();
        loop {
            let message = match self.event().await? {
                TransportEvent::OcspResponse(answer) => {
                    ocsp_answers.push(answer);
                    continue;
                }
                TransportEvent::RestRequest(request) => Message::RestRequest(request),
                TransportEvent::RestResponse(response) => Message::RestResponse(response),
                TransportEvent::Soap(headers, message) => Message::Soap(headers, message),
                TransportEvent::Fault(fault) => return Err(IncomingError::Fault(fault.into())),
                _ => return Err(TransportError::MissingSignature.into()),
            };
            return Ok(Opening { ocsp_answers, message });
        }
    }

    /// Reads what follows the message, to the end.
    pub(crate) async fn close(mut self) -> Result<Closing, IncomingError> {
        let mut attachments = Vec::new();
        let (mut result, mut chain, mut signatures) = (None, None, None::<Bytes>);
        loop {
            match self.event().await? {
                TransportEvent::BodyStart(headers) => {
                    attachments.push(Attachment { headers, content: self.attachment().await? });
                }
                TransportEvent::HashChainResult(text) => result = Some(text.into_bytes()),
                TransportEvent::HashChain(text) => chain = Some(text.into_bytes()),
                TransportEvent::Signature(text) => signatures = Some(text.into_bytes().into()),
                TransportEvent::Fault(fault) => return Err(IncomingError::Fault(fault.into())),
                TransportEvent::End => break,
                _ => return Err(TransportError::MissingSignature.into()),
            }
        }
        let signatures = signatures.ok_or(TransportError::MissingSignature)?;
        let hash_chain = result.zip(chain).map(|(result, chain)| ChainDocuments { result, chain });
        Ok(Closing { attachments, signature: SignatureDocuments { signatures, hash_chain } })
    }

    async fn attachment(&mut self) -> Result<Spooled, IncomingError> {
        let mut spool = Spool::new(&self.folder);
        loop {
            match self.event().await? {
                TransportEvent::Body(bytes) => spool.push(&bytes).await?,
                TransportEvent::BodyEnd { sha512, .. } => {
                    return Ok(spool.finish(Digest::sha512(sha512)).await?);
                }
                _ => return Err(TransportError::MissingSignature.into()),
            }
        }
    }

    /// What comes next. At the end of the body, the reader has something to say: the end, or what is missing.
    async fn event(&mut self) -> Result<TransportEvent, IncomingError> {
        loop {
            if let Some(event) = self.reader.next_event()? {
                return Ok(event);
            }
            match self.frames.next().await? {
                Some(data) => self.reader.push(&data),
                None => self.reader.end_of_input(),
            }
        }
    }
}
