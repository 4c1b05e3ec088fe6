//! What both sides of an exchange do with a message: sign and record it before it leaves, verify and record it before
//! it is acted on.

use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use tokio::sync::watch;
use tokio_util::task::TaskTracker;
use tracing::Instrument;
use uuk_asic::{MessagePart, PartContent, SignatureDocuments};
use uuk_globalconf::GlobalConfiguration;
use uuk_identifiers::{ClientId, MemberId, ServerId};
use uuk_message::{
    Dialect, InconsistentResponse, Limits, MessageKind, PartHeaders, RestError, RestRequestHead, SoapHeader,
    TransportError,
};
use uuk_messagelog::{AppendError, Direction, ExportError, LoggedAttachment, MessageLog, NewRecord, Query};
use uuk_pki::DigestAlgorithm;
use uuk_process::Clock;
use uuk_signer::{AuthenticationIdentity, Signer, SignerError};
use uuk_transport::PeerError;

use crate::backend::BackendError;
use crate::incoming::IncomingError;
use crate::replays::{CLOCKS_DIFFER, Replays, Seen};
use crate::spool::Spooled;
use crate::trust::{Signed, Trust, TrustError, TrustSource};

/// Records of one message identifier that are looked through for a replay.
const NAMESAKES_MAX: u32 = 1_000;

/// How messages are exchanged with other security servers.
#[derive(Debug, Clone)]
pub struct ExchangeConfig {
    /// Where messages too large for memory are kept while they pass; files have no names.
    pub spool_folder: PathBuf,
    /// A message that does not come whole in this time is given up.
    pub message_time_max: Duration,
    /// Bounds on one message.
    pub limits: Limits,
    /// The port at which other servers take messages.
    pub port: u16,
    /// This server, as it is registered.
    pub server: ServerId,
    /// How the codes of faults are spelled that this server gives.
    pub dialect: Dialect,
}

/// The services that an exchange needs.
#[derive(Clone)]
pub struct Services {
    /// Signs for the members.
    pub signer: Signer,
    /// Keeps the evidence.
    pub message_log: MessageLog,
    /// Whom to trust.
    pub configuration: watch::Receiver<Option<Arc<GlobalConfiguration>>>,
    /// What time it is.
    pub clock: Clock,
    /// Exchanges that go on although nobody waits for them any more.
    pub tasks: TaskTracker,
}

/// Why there was no exchange.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum ExchangeError {
    /// The other server or its message is not trusted, or nobody is for now.
    #[error(transparent)]
    Trust(#[from] TrustError),
    /// What the client or the service said cannot be carried.
    #[error("the message cannot be carried")]
    Rest(#[from] RestError),
    /// The other server's message did not come.
    #[error(transparent)]
    Incoming(#[from] IncomingError),
    /// It is not what was asked for.
    #[error(transparent)]
    Inconsistent(#[from] InconsistentResponse),
    /// It came with this HTTP status.
    #[error("the other security server answered with HTTP status {status}")]
    Status {
        /// Which.
        status: u16,
    },
    /// The request of another server has no header that says what it is, or a wrong one.
    #[error("the HTTP header `{name}` is missing or not supported")]
    Header {
        /// Its name.
        name: &'static str,
    },
    /// The request of another server is no POST.
    #[error("messages are sent with POST")]
    Method,
    /// There was no way to the other server.
    #[error(transparent)]
    Peer(Box<PeerError<TrustError>>),
    /// The service is not offered through this server.
    #[error("`{provider}` is not a client of this security server")]
    NotHere {
        /// Whose service was asked for.
        provider: Box<ClientId>,
    },
    /// The client wants another security server to answer.
    #[error("the message is for the security server `{server}`")]
    OtherServer {
        /// Which.
        server: Box<ServerId>,
    },
    /// It came before.
    #[error("this very request was accepted before")]
    Replayed,
    /// The information system that answers the service did not.
    #[error(transparent)]
    Backend(#[from] BackendError),
    /// The message was not signed.
    #[error(transparent)]
    Signer(#[from] SignerError),
    /// The message was not recorded, and therefore did not leave.
    #[error(transparent)]
    Log(#[from] AppendError),
    /// The message log does not say whether the request came before.
    #[error("it cannot be found out whether this request was accepted before")]
    Recall(#[from] ExportError),
    /// This server has no identity to show to others.
    #[error("this server has no authentication certificate in use")]
    NoIdentity,
    /// The message cannot be kept on its way.
    #[error("the message cannot be kept on its way")]
    Spool(#[source] std::io::Error),
    /// The exchange ended within this server.
    #[error("the exchange was given up")]
    GivenUp,
}

impl From<PeerError<TrustError>> for ExchangeError {
    fn from(error: PeerError<TrustError>) -> Self {
        Self::Peer(error.into())
    }
}

impl From<TransportError> for ExchangeError {
    fn from(error: TransportError) -> Self {
        Self::Incoming(error.into())
    }
}

impl ExchangeError {
    /// The stable code.
    pub fn code(&self) -> &'static str {
        match self {
            Self::Trust(error) => error.code(),
            Self::Rest(error) => error.code(),
            Self::Incoming(IncomingError::Transport(error)) => error.code(),
            Self::Incoming(IncomingError::Related(error)) => error.code(),
            Self::Incoming(IncomingError::Fault(_)) => "exchange.refused",
            Self::Incoming(IncomingError::Broken(_)) => "exchange.broken_off",
            Self::Incoming(IncomingError::Slow) => "exchange.slow",
            Self::Incoming(IncomingError::TooLarge { .. }) => "exchange.too_large",
            Self::Incoming(IncomingError::Spool(_)) | Self::Spool(_) => "exchange.spool",
            Self::Inconsistent(error) => error.code(),
            Self::Status { .. } => "exchange.status",
            Self::Header { .. } => "exchange.header",
            Self::Method => "exchange.method",
            Self::Peer(error) => match &**error {
                PeerError::Untrusted { source, .. } => source.code(),
                error => error.code(),
            },
            Self::NotHere { .. } => "exchange.not_here",
            Self::OtherServer { .. } => "exchange.other_server",
            Self::Replayed => "exchange.replayed",
            Self::Backend(error) => error.code(),
            Self::Signer(error) => error.code(),
            Self::Log(error) => error.code(),
            Self::Recall(error) => error.code(),
            Self::NoIdentity => "exchange.no_identity",
            Self::GivenUp => "exchange.given_up",
        }
    }

    /// X-Road's code, without the side that says it.
    pub fn xroad_code(&self) -> String {
        match self {
            Self::Trust(error) => error.xroad_code(),
            Self::Rest(error) => error.xroad_code().to_owned(),
            Self::Incoming(IncomingError::Transport(error)) => error.xroad_code().to_owned(),
            Self::Incoming(IncomingError::Related(error)) => error.xroad_code().to_owned(),
            Self::Incoming(IncomingError::Fault(fault)) => fault.fault_code().as_str().to_owned(),
            Self::Incoming(IncomingError::Broken(_) | IncomingError::Slow) => "network_error".to_owned(),
            Self::Incoming(IncomingError::TooLarge { .. }) => "invalid_message".to_owned(),
            Self::Incoming(IncomingError::Spool(_)) | Self::Spool(_) => "io_error".to_owned(),
            Self::Inconsistent(error) => error.xroad_code().to_owned(),
            Self::Status { .. } => "http_error".to_owned(),
            Self::Header { .. } | Self::GivenUp => "internal_error".to_owned(),
            Self::Method => "invalid_http_method".to_owned(),
            Self::Peer(error) => match &**error {
                PeerError::Untrusted { source, .. } => source.xroad_code(),
                error => error.xroad_code().to_owned(),
            },
            Self::NotHere { .. } => "unknown_member".to_owned(),
            Self::OtherServer { .. } => "invalid_security_server".to_owned(),
            Self::Replayed => "invalid_request".to_owned(),
            Self::Backend(error) => error.xroad_code(),
            Self::Signer(error) => error.xroad_code().to_owned(),
            Self::Log(error) => error.xroad_code().to_owned(),
            Self::Recall(_) => "database_error".to_owned(),
            Self::NoIdentity => "ssl_authentication_failed".to_owned(),
        }
    }
}

/// What both proxies work with.
pub(crate) struct Exchange {
    pub(crate) config: ExchangeConfig,
    pub(crate) trust: TrustSource,
    tasks: TaskTracker,
    signer: Signer,
    message_log: MessageLog,
    replays: Replays,
    identity: watch::Receiver<Option<Arc<AuthenticationIdentity>>>,
}

/// A message as it is signed, verified and recorded.
pub(crate) struct Sealed<'m> {
    kind: MessageKind,
    direction: Direction,
    /// The local one.
    party: &'m ClientId,
    query_id: &'m str,
    request_id: Option<&'m str>,
    message: &'m Bytes,
    attachments: &'m [Attachment],
}

/// What belongs to a message beside it: the body of REST, or an attachment of SOAP.
pub(crate) struct Attachment {
    /// Of its part.
    pub(crate) headers: PartHeaders,
    pub(crate) content: Spooled,
}

impl Attachment {
    /// The body of a REST message, which may have none.
    pub(crate) fn body(content: Option<Spooled>) -> Vec<Self> {
        content.into_iter().map(|content| Self { headers: PartHeaders::default(), content }).collect()
    }
}

impl<'m> Sealed<'m> {
    /// A message of the exchange that `asked` began, with its body.
    pub(crate) fn rest(
        direction: Direction,
        asked: &'m RestRequestHead,
        party: &'m ClientId,
        message: &'m Bytes,
        attachments: &'m [Attachment],
    ) -> Self {
        let (query_id, request_id) = (&asked.id, asked.request_id.as_deref());
        Self { kind: MessageKind::Rest, direction, party, query_id, request_id, message, attachments }
    }

    /// A message of the exchange that `asked` began. Its identifier stands in no envelope.
    pub(crate) fn soap(
        direction: Direction,
        (asked, request_id): (&'m SoapHeader, Option<&'m str>),
        party: &'m ClientId,
        message: &'m Bytes,
        attachments: &'m [Attachment],
    ) -> Self {
        let query_id = &asked.id;
        Self { kind: MessageKind::Soap, direction, party, query_id, request_id, message, attachments }
    }
}

impl Exchange {
    pub(crate) fn new(config: ExchangeConfig, services: Services) -> Self {
        let Services { signer, message_log, configuration, clock, tasks } = services;
        let identity = signer.authentication();
        let replays = Replays::new(clock.now(), message_log.last_recorded_before());
        let trust = TrustSource::new(configuration, clock);
        Self { config, trust, tasks, signer, message_log, replays, identity }
    }

    /// Does `work` to its end even if whoever asked for it goes away: what was recorded is evidence of what was done.
    pub(crate) async fn see_through<T: Send + 'static>(
        &self,
        work: impl Future<Output = T> + Send + 'static,
    ) -> Result<T, ExchangeError> {
        self.tasks.spawn(work.in_current_span()).await.map_err(|_| ExchangeError::GivenUp)
    }

    /// The keys of this server.
    pub(crate) fn signer(&self) -> &Signer {
        &self.signer
    }

    /// What proves this server to others, now.
    pub(crate) fn identity(&self) -> Result<Arc<AuthenticationIdentity>, ExchangeError> {
        self.identity.borrow().clone().ok_or(ExchangeError::NoIdentity)
    }

    /// Signs a message of this server's own party, and records it. Only then may it leave.
    pub(crate) async fn seal(&self, message: Sealed<'_>) -> Result<SignatureDocuments, ExchangeError> {
        let digests = std::iter::once(DigestAlgorithm::Sha512.digest(message.message))
            .chain(message.attachments.iter().map(|attachment| attachment.content.sha512().clone()));
        let signature = self.signer.sign(message.party.member(), digests.collect()).await?;
        self.record(message, &signature).await?;
        Ok(signature)
    }

    /// Verifies that `sender` signed a message that came from another server, and records it. Only then may it be acted
    /// on.
    pub(crate) async fn accept(
        &self,
        trust: &Trust,
        sender: &MemberId,
        message: Sealed<'_>,
        signature: &SignatureDocuments,
    ) -> Result<(), ExchangeError> {
        let attachments = message.attachments.iter().zip(1..).map(|(attachment, number)| {
            MessagePart::attachment(number, PartContent::Digest(attachment.content.sha512()))
        });
        let parts: Vec<_> = std::iter::once(MessagePart::message(PartContent::Bytes(message.message)))
            .chain(attachments)
            .collect();
        let signed = trust.check_message(signature, &parts, sender)?;
        drop(parts);
        // A response answers one request by its hash, and is asked for once.
        if message.direction == Direction::Request && !self.is_first(&message, signed).await? {
            return Err(ExchangeError::Replayed);
        }
        self.record(message, signature).await
    }

    /// Whether this request, of which the signature is verified, comes for the first time.
    async fn is_first(&self, request: &Sealed<'_>, signed: Signed) -> Result<bool, ExportError> {
        match self.replays.look(request.message, signed) {
            Seen::Never => Ok(true),
            Seen::Before => Ok(false),
            Seen::Perhaps => Ok(!self.is_recorded(request, signed).await?),
        }
    }

    /// Whether the message log has this request: the same bytes, signed at the same time.
    async fn is_recorded(&self, request: &Sealed<'_>, signed: Signed) -> Result<bool, ExportError> {
        let query = Query {
            query_id: Some(request.query_id.to_owned()),
            party: Some(request.party.clone()),
            direction: Some(request.direction),
            from: signed.at.saturating_sub(CLOCKS_DIFFER).ok(),
            ..Query::default()
        };
        let namesakes = self.message_log.find(&query, NAMESAKES_MAX).await?;
        // More than can be looked through in time: it may be among the others.
        if namesakes.len() >= NAMESAKES_MAX as usize {
            return Ok(true);
        }
        // Of REST, the identifier of the exchange is signed, and each has its own.
        let exchange = request.request_id.unwrap_or_default();
        let may_be = |id: &str| request.kind == MessageKind::Soap || id == exchange;
        for found in namesakes.iter().filter(|found| may_be(&found.request_id)) {
            if let Some((message, signature)) = self.message_log.message(found.id).await?
                && message == **request.message
                && signature.claimed_time().is_ok_and(|at| at == signed.at)
            {
                return Ok(true);
            }
        }
        Ok(false)
    }

    async fn record(&self, message: Sealed<'_>, signature: &SignatureDocuments) -> Result<(), ExchangeError> {
        // As X-Road: attachments of SOAP are proven by their digests alone, where the signature is of a hash chain.
        let by_digest = message.kind == MessageKind::Soap && signature.hash_chain.is_some();
        let mut attachments = Vec::with_capacity(message.attachments.len());
        for (number, Attachment { content, .. }) in (1..).zip(message.attachments) {
            attachments.push(match !by_digest && self.message_log.keeps(number, content.size_bytes())? {
                true => LoggedAttachment::Content(content.read().await.map_err(ExchangeError::Spool)?),
                false => LoggedAttachment::LeftOut(content.sha512().clone()),
            });
        }
        let record = NewRecord {
            direction: message.direction,
            party: message.party.clone(),
            query_id: message.query_id.to_owned(),
            request_id: message.request_id.unwrap_or_default().to_owned(),
            message: message.message.clone(),
            attachments,
            signature: signature.clone(),
        };
        self.message_log.append(record).await?;
        Ok(())
    }
}

impl std::fmt::Debug for Exchange {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Exchange").field("config", &self.config).finish_non_exhaustive()
    }
}
