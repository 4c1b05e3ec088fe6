use std::sync::Arc;
use std::time::Instant;

use bytes::Bytes;
use futures_util::TryFutureExt;
use http::{HeaderName, HeaderValue, Request, Response, StatusCode, header};
use http_body_util::{BodyExt, Full};
use hyper::body::Incoming as Body;
use tracing::{Instrument, Span};
use uuid::Uuid;
use uuk_identifiers::{ClientId, SubsystemId};
use uuk_message::{
    Direction as Way, Header, MessageKind, Part, RestError, RestRequest, RestRequestHead, RestResponse,
    TransportError,
};
use uuk_messagelog::Direction;
use uuk_process::telemetry;
use uuk_transport::{Destination, Peer, PeerAddress, PeerCertificates, PeerConnector, ReceivedBody};

use crate::certificate_answers::{self, KnownAnswers};
use crate::exchange::{Exchange, ExchangeConfig, ExchangeError, Sealed, Services};
use crate::fault::{self, Record, Refusal};
use crate::incoming::{self, Closing, Incoming, Message};
use crate::metaservices;
use crate::outgoing::{Outgoing, TransportBody, body};
use crate::provider::{Door, Provider};
use crate::spool::Spooled;
use crate::stages::{authorize, receive};
use crate::trust::{Trust, TrustError};

mod soap;

/// X-Road's servers give OCSP answers at 5577 and take messages at 5500. With another port, it is as far away.
const ANSWERS_AFTER: u16 = 77;

/// What this server says it is: X-Road's servers may be told to refuse older ones.
const PROXY_VERSION: &str = "7.8.0";

/// The sending side of the message path: takes requests of this server's clients, and brings back the answers of other
/// members' services, both signed and recorded.
pub struct ClientProxy {
    exchange: Arc<Exchange>,
    connector: PeerConnector,
    answers: KnownAnswers,
    /// Who the clients of this server are.
    provider: Arc<Provider>,
}

/// A request on its way, with what is known of it before it is signed.
struct Sending {
    trust: Trust,
    addresses: Vec<PeerAddress>,
    request: RestRequest,
    body: Option<Spooled>,
}

impl ClientProxy {
    /// A proxy for the clients that `provider` knows.
    pub fn new(
        config: ExchangeConfig,
        services: Services,
        connector: PeerConnector,
        provider: Arc<Provider>,
    ) -> Self {
        let (exchange, answers) = (Arc::new(Exchange::new(config, services)), KnownAnswers::default());
        Self { exchange, connector, answers, provider }
    }

    /// Answers one request of a client: with the service's answer or a fault, never with silence.
    pub async fn answer(self: &Arc<Self>, request: Request<Body>, peer: &Peer) -> Response<TransportBody> {
        let mut record = Record::new(Instant::now(), self.exchange.config.dialect);
        let span = tracing::info_span!("client_proxy");
        receive::continue_trace(&span, request.headers());
        if soap::speaks_soap(&request) {
            let response = self.answer_soap(request, peer, &mut record).instrument(span).await;
            record.finish(response.status());
            return response;
        }
        let exchanged = self.exchange(request, peer, &mut record).instrument(span).await;
        let response = exchanged.unwrap_or_else(|refusal| fault::response(&refusal, &mut record).map(whole));
        record.finish(response.status());
        response
    }

    /// The walk of a request to another member's service. Reading it is reading the protocol.
    async fn exchange(
        self: &Arc<Self>,
        request: Request<Body>,
        peer: &Peer,
        record: &mut Record,
    ) -> Result<Response<TransportBody>, Refusal> {
        if metaservices::asks_for_clients(&request) {
            record.name_service(metaservices::LIST_CLIENTS);
            let trust = self.exchange.trust.in_force().map_err(ExchangeError::from)?;
            return Ok(metaservices::list_clients(&request, &trust)?.map(whole));
        }
        let (head, body) = receive::head(Door::Client, request)?;
        record.identify(&head);
        let by_certificate = self.provider.asks_for_certificates().then_some(peer);
        authorize::system(&self.provider.conditions().clients, &head.client, by_certificate)?;

        let trust = self.exchange.trust.in_force().map_err(ExchangeError::from)?;
        let request = compose(&head).map_err(ExchangeError::from)?;
        let asked = request.head();
        let provider = provider_of(&asked.service.provider);
        let addresses = trust
            .addresses(&provider, asked.security_server.as_ref(), self.exchange.config.port)
            .map_err(ExchangeError::from)?;
        let config = &self.exchange.config;
        let deadline = Instant::now() + config.message_time_max;
        let body = incoming::whole(body, config, deadline).await.map_err(ExchangeError::from)?;

        // From here on the exchange goes to its end even if the client goes away: what was recorded is evidence of what
        // was done.
        let sending = Sending { trust, addresses, request, body };
        let this = Arc::clone(self);
        let forwarding = async move { this.forward(sending).await }.in_current_span();
        let forwarded = self.exchange.tasks.spawn(forwarding).await.map_err(|_| ExchangeError::GivenUp)?;
        Ok(forwarded?)
    }

    async fn forward(&self, sending: Sending) -> Result<Response<TransportBody>, ExchangeError> {
        let Sending { trust, addresses, request, body } = sending;
        let asked = request.head();
        let provider = provider_of(&asked.service.provider);
        let sealed = |direction, message, attachments| Sealed {
            kind: MessageKind::Rest,
            direction,
            party: &asked.client,
            query_id: &asked.id,
            request_id: asked.request_id.as_deref(),
            message,
            attachments,
        };

        let attachments: Vec<_> = body.iter().collect();
        let sent = sealed(Direction::Request, request.bytes(), &attachments);
        // Before anything is recorded that could not leave.
        let identity = self.exchange.identity()?;
        let signature = self.exchange.seal(sent).await?;
        let attachments: Vec<_> = attachments.iter().map(|body| (Part::RestBody, *body)).collect();
        let message = Outgoing {
            ocsp_answers: &identity.ocsp_answers,
            message: (Part::RestRequest, request.bytes()),
            attachments: &attachments,
            signature: &signature,
        };
        let response = self.send(&trust, &provider, &addresses, transport_request(asked, &message)?).await?;

        let (response, body) = self.received(response, &request, body.as_ref()).await?;
        let Closing { attachments, signature } = body;
        let attachments: Vec<_> = attachments.iter().map(|(_, attachment)| attachment).collect();
        let received = sealed(Direction::Response, response.bytes(), &attachments);
        self.exchange.accept(&trust, provider.member(), received, &signature).await?;
        Ok(delivered(&response, attachments.first().copied()))
    }

    async fn send(
        &self,
        trust: &Trust,
        provider: &ClientId,
        addresses: &[PeerAddress],
        mut request: Request<TransportBody>,
    ) -> Result<Response<ReceivedBody>, ExchangeError> {
        if let Some(traceparent) = telemetry::traceparent(&Span::current()).and_then(|text| text.parse().ok())
        {
            request.headers_mut().insert("traceparent", traceparent);
        }
        let name = provider.to_string();
        let destination = Destination { addresses, provider: &name };
        let verify = |certificates: PeerCertificates, address: PeerAddress| async move {
            let check = |answers: &[Bytes]| trust.check_server(&certificates, answers, provider);
            let asked: Vec<_> = certificates.iter().cloned().collect();
            let port = address.port.saturating_add(ANSWERS_AFTER);
            let ask = certificate_answers::ask(&address.host, port, &asked).map_err(TrustError::Unanswered);
            self.answers.check(certificates.leaf(), check, ask).await
        };
        Ok(self.connector.send(destination, verify, request).await?)
    }

    /// Reads the response and checks that it answers `request`. Nothing of it counts before its signature is verified.
    async fn received(
        &self,
        response: Response<ReceivedBody>,
        request: &RestRequest,
        request_body: Option<&Spooled>,
    ) -> Result<(RestResponse, Closing), ExchangeError> {
        let mut incoming = self.incoming(response, MessageKind::Rest)?;
        let Message::RestResponse(response) = incoming.open().await?.message else {
            return Err(TransportError::MissingRest.into());
        };
        let closing = incoming.close().await?;
        response.check(request, request_body.and_then(Spooled::hash).as_ref())?;
        Ok((*response, closing))
    }

    /// Reads what the HTTP headers of a response say of the message.
    fn incoming(
        &self,
        response: Response<ReceivedBody>,
        kind: MessageKind,
    ) -> Result<Incoming<ReceivedBody>, ExchangeError> {
        let status = response.status();
        if status != StatusCode::OK && status != StatusCode::INTERNAL_SERVER_ERROR {
            return Err(ExchangeError::Status { status: status.as_u16() });
        }
        let content_type = response.headers().get(header::CONTENT_TYPE).and_then(|value| value.to_str().ok());
        let content_type = content_type.ok_or(TransportError::MediaType)?.to_owned();
        let config = &self.exchange.config;
        Ok(Incoming::new(
            &content_type,
            (Way::Response, kind),
            config.limits,
            response.into_body(),
            config.spool_folder.clone(),
            Instant::now() + config.message_time_max,
        )?)
    }
}

impl std::fmt::Debug for ClientProxy {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("ClientProxy").field("exchange", &self.exchange).finish_non_exhaustive()
    }
}

/// The message that is signed, from what the client sent.
fn compose(head: &receive::Head) -> Result<RestRequest, RestError> {
    let method = head.method().parse().map_err(|_| RestError::Method)?;
    let headers = (1..).zip(head.headers()).map(|(position, (name, value))| {
        let value = std::str::from_utf8(value.as_bytes()).map_err(|_| RestError::Header { position })?;
        Ok(Header::new(name.as_str(), value))
    });
    let headers: Vec<_> = headers.collect::<Result<_, RestError>>()?;
    let request_id = Uuid::new_v4().to_string();
    RestRequest::compose(method, head.target(), &headers, &request_id, &head.id)
}

fn whole(body: Full<Bytes>) -> TransportBody {
    body.map_err(|never| match never {}).boxed_unsync()
}

fn provider_of(provider: &SubsystemId) -> ClientId {
    ClientId::Subsystem(provider.clone())
}

/// The HTTP request that carries a message to another server.
fn transport_request(
    asked: &RestRequestHead,
    message: &Outgoing<'_>,
) -> Result<Request<TransportBody>, ExchangeError> {
    let (content_type, body) = message.write();
    let mut request = Request::new(body);
    *request.method_mut() = http::Method::POST;
    let original = asked.headers.iter().find(|header| header.name.eq_ignore_ascii_case("content-type"));
    let original = original.map(|header| header.value.as_str()).unwrap_or_default();
    let headers = [
        ("content-type", content_type.as_str()),
        ("x-road-message-type", "REST"),
        ("x-hash-algorithm", "SHA-512"),
        ("x-proxy-version", PROXY_VERSION),
        ("x-road-request-id", asked.request_id.as_deref().unwrap_or_default()),
        ("x-original-content-type", original),
    ];
    for (name, value) in headers {
        let value = HeaderValue::from_str(value).map_err(|_| ExchangeError::Header { name })?;
        request.headers_mut().insert(name, value);
    }
    Ok(request)
}

/// The response as the client gets it.
fn delivered(response: &RestResponse, content: Option<&Spooled>) -> Response<TransportBody> {
    let content = match content {
        Some(content) => body(content.stream()),
        None => TransportBody::default(),
    };
    let mut delivered = Response::new(content);
    let head = response.head();
    *delivered.status_mut() = StatusCode::from_u16(head.status).unwrap_or(StatusCode::BAD_GATEWAY);
    for header in &head.headers {
        let name = HeaderName::from_bytes(header.name.as_bytes());
        if let (Ok(name), Ok(value)) = (name, HeaderValue::from_bytes(header.value.as_bytes())) {
            delivered.headers_mut().append(name, value);
        }
    }
    delivered
}
