use std::sync::Arc;
use std::time::Instant;

use bytes::Bytes;
use futures_util::TryFutureExt;
use http::{HeaderName, HeaderValue, Request, Response, StatusCode};
use http_body_util::{BodyExt, Full};
use hyper::body::Incoming as Body;
use tracing::{Instrument, Span};
use uuid::Uuid;
use uuk_identifiers::{ClientId, SubsystemId};
use uuk_message::{
    Direction as Way, FaultCode, Header, MessageKind, Part, RestError, RestRequest, RestResponse,
    TransportError,
};
use uuk_messagelog::Direction;
use uuk_process::telemetry;
use uuk_transport::{Destination, Peer, PeerAddress, PeerCertificates, PeerConnector, ReceivedBody};

use crate::certificate_answers::{self, KnownAnswers};
use crate::exchange::{Attachment, Exchange, ExchangeConfig, ExchangeError, Sealed, Services};
use crate::fault::{self, Record, Refusal};
use crate::incoming::{self, Closing, Incoming, Message};
use crate::metaservices;
use crate::outgoing::{self, Outgoing, TransportBody};
use crate::provider::{Door, Provider};
use crate::spool::Spooled;
use crate::stages::{authorize, receive};
use crate::trust::{Trust, TrustError};

mod envelope;
mod json;
mod management;
mod soap;

pub use management::RegistrationError;

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
    /// How services are called, for clients that do not know.
    descriptions: json::Descriptions,
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
        let exchange = Arc::new(Exchange::new(config, services));
        let (answers, descriptions) = (KnownAnswers::default(), json::Descriptions::default());
        Self { exchange, connector, answers, descriptions, provider }
    }

    /// Answers one request of a client: with the service's answer or a fault, never with silence.
    pub async fn answer(self: &Arc<Self>, request: Request<Body>, peer: &Peer) -> Response<TransportBody> {
        let mut record = Record::new(Instant::now(), self.exchange.config.dialect);
        let span = tracing::info_span!("client_proxy");
        receive::continue_trace(&span, request.headers());
        let answering = async {
            let exchanged = match soap::speaks_soap(&request) {
                true => {
                    let exchanged = self.exchange_soap(request, peer, &mut record).await;
                    exchanged.map_err(|refusal| fault::soap(&refusal, FaultCode::CLIENT_PROXY, &mut record))
                }
                false => {
                    let exchanged = match json::speaks_json(&request) {
                        true => self.exchange_json(request, peer, &mut record).await,
                        false => self.exchange(request, peer, &mut record).await,
                    };
                    exchanged.map_err(|refusal| fault::response(&refusal, &mut record))
                }
            };
            exchanged.unwrap_or_else(|fault| fault.map(whole))
        };
        let response = answering.instrument(span).await;
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

        let sending = Sending { trust, addresses, request, body };
        let this = Arc::clone(self);
        Ok(self.exchange.see_through(async move { this.forward(sending).await }).await??)
    }

    async fn forward(&self, sending: Sending) -> Result<Response<TransportBody>, ExchangeError> {
        let Sending { trust, addresses, request, body } = sending;
        let asked = request.head();
        let provider = provider_of(&asked.service.provider);
        let sealed = |direction, message, body| Sealed::rest(direction, asked, &asked.client, message, body);

        let hash = body.as_ref().and_then(Spooled::hash);
        let body = Attachment::body(body);
        // Before anything is recorded that could not leave.
        let identity = self.exchange.identity()?;
        let signature = self.exchange.seal(sealed(Direction::Request, request.bytes(), &body)).await?;
        let message = Outgoing {
            ocsp_answers: &identity.ocsp_answers,
            message: (Part::RestRequest, request.bytes()),
            attachments: &body,
            signature: &signature,
        };
        let original = asked.headers.iter().find(|header| header.name.eq_ignore_ascii_case("content-type"));
        let original = original.map(|header| header.value.as_str()).unwrap_or_default();
        let request_id = asked.request_id.as_deref().unwrap_or_default();
        let mut sent = transport_request(&message, original, request_id)?;
        sent.headers_mut().insert("x-road-message-type", HeaderValue::from_static("REST"));
        let response = self.send(&trust, &provider, &addresses, sent).await?;

        let mut incoming = self.incoming(response, MessageKind::Rest)?;
        let Message::RestResponse(response) = incoming.open().await?.message else {
            return Err(TransportError::MissingRest.into());
        };
        let Closing { attachments: body, signature } = incoming.close().await?;
        response.check(&request, hash.as_ref())?;
        let received = sealed(Direction::Response, response.bytes(), &body);
        self.exchange.accept(&trust, provider.member(), received, &signature).await?;
        Ok(delivered(&response, body.first()))
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

    /// Reads what the HTTP headers of a response say of the message.
    fn incoming(
        &self,
        response: Response<ReceivedBody>,
        kind: MessageKind,
    ) -> Result<Incoming<ReceivedBody>, ExchangeError> {
        let (http, body) = response.into_parts();
        if http.status != StatusCode::OK && http.status != StatusCode::INTERNAL_SERVER_ERROR {
            return Err(ExchangeError::Status { status: http.status.as_u16() });
        }
        let config = &self.exchange.config;
        let deadline = Instant::now() + config.message_time_max;
        Ok(Incoming::new(&http.headers, body, (Way::Response, kind), config, deadline)?)
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

/// The HTTP request that carries a message to another server; `original` is the media type in which the client sent it.
fn transport_request(
    message: &Outgoing<'_>,
    original: &str,
    request_id: &str,
) -> Result<Request<TransportBody>, ExchangeError> {
    let (content_type, body) = message.write();
    let mut request = Request::new(body);
    *request.method_mut() = http::Method::POST;
    let headers = [
        ("content-type", content_type.as_str()),
        ("x-hash-algorithm", "SHA-512"),
        ("x-proxy-version", PROXY_VERSION),
        ("x-road-request-id", request_id),
        ("x-original-content-type", original),
    ];
    for (name, value) in headers {
        let value = HeaderValue::from_str(value).map_err(|_| ExchangeError::Header { name })?;
        request.headers_mut().insert(name, value);
    }
    Ok(request)
}

/// The response as the client gets it.
fn delivered(response: &RestResponse, content: Option<&Attachment>) -> Response<TransportBody> {
    let content = content.map_or_else(TransportBody::default, |body| outgoing::body(body.content.stream()));
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
