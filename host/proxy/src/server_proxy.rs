use std::sync::Arc;
use std::time::Instant;

use bytes::Bytes;
use http::{HeaderMap, HeaderValue, Method, Request, Response, header};
use http_body_util::{BodyExt, Collected, Full};
use tracing::Instrument;
use uuk_identifiers::ClientId;
use uuk_message::{
    Direction as Way, FaultCode, Header, MessageKind, Part, RestRequest, RestResponse, TransportError,
};
use uuk_messagelog::Direction;
use uuk_plugin_host::Arm;
use uuk_transport::{ReceivedBody, ServerPeer};

use crate::backend::Backend;
use crate::exchange::{Attachment, Exchange, ExchangeConfig, ExchangeError, Sealed, Services};
use crate::fault::{self, Record, Refusal};
use crate::incoming::{Closing, Incoming, Message, Opening};
use crate::metaservices::Metaservice;
use crate::outgoing::{Outgoing, TransportBody};
use crate::provider::{Door, Provider};
use crate::spool::Spooled;
use crate::stages::{authorize, receive};
use soap::Opened;

mod soap;

/// The answering side of the message path: takes requests of other security servers, and answers them from this server's
/// services, both signed and recorded.
pub struct ServerProxy {
    exchange: Arc<Exchange>,
    provider: Arc<Provider>,
}

/// A request that is verified and recorded.
enum Accepted {
    Rest(Box<AcceptedRest>),
    Soap(soap::Accepted),
}

/// What answers it, too.
struct AcceptedRest {
    request: RestRequest,
    head: receive::Head,
    body: Option<Spooled>,
    answering: Answering,
    started: Instant,
}

/// Who answers a request: an adapter, an information system, or this server by itself.
enum Answering {
    Adapter(Arm),
    Backend(Arc<Backend>),
    Metaservice(Response<Full<Bytes>>),
}

impl ServerProxy {
    /// A proxy for the services of `provider`.
    pub fn new(config: ExchangeConfig, services: Services, provider: Arc<Provider>) -> Self {
        Self { exchange: Arc::new(Exchange::new(config, services)), provider }
    }

    /// Whether to go on with a handshake: `certificate`, DER, is that of a security server.
    pub fn knows_server(&self, certificate: &[u8]) -> bool {
        self.exchange.trust.in_force().is_ok_and(|trust| trust.knows_server(certificate))
    }

    /// Answers one request of another server: with the service's answer or a fault, never with silence.
    pub async fn answer(
        self: &Arc<Self>,
        request: Request<ReceivedBody>,
        peer: &ServerPeer,
    ) -> Response<TransportBody> {
        let record = Record::new(Instant::now(), self.exchange.config.dialect);
        let span = tracing::info_span!("server_proxy");
        receive::continue_trace(&span, request.headers());
        self.exchange(request, peer, record).instrument(span).await
    }

    async fn exchange(
        self: &Arc<Self>,
        request: Request<ReceivedBody>,
        peer: &ServerPeer,
        mut record: Record,
    ) -> Response<TransportBody> {
        let accepted = match self.accept(request, peer, &mut record).await {
            Ok(accepted) => accepted,
            Err(refusal) => return refused(&refusal, record),
        };
        let this = Arc::clone(self);
        let serving = async move {
            let served = match accepted {
                Accepted::Rest(accepted) => this.serve(*accepted, &mut record).await,
                Accepted::Soap(accepted) => this.serve_soap(accepted, &mut record).await,
            };
            match served {
                Ok(response) => {
                    record.finish(response.status());
                    response
                }
                Err(error) => refused(&error.into(), record),
            }
        };
        let served = self.exchange.see_through(serving).await;
        served.unwrap_or_else(|error| {
            refused(&error.into(), Record::new(Instant::now(), self.exchange.config.dialect))
        })
    }

    /// The walk of a request from another server, up to its record. Reading it is reading the protocol.
    async fn accept(
        &self,
        request: Request<ReceivedBody>,
        peer: &ServerPeer,
        record: &mut Record,
    ) -> Result<Accepted, Refusal> {
        let started = Instant::now();
        let trust = self.exchange.trust.in_force().map_err(ExchangeError::from)?;
        let (http, body) = request.into_parts();
        let mut incoming = self.incoming(&http, body, started)?;
        let Opening { ocsp_answers, message } = incoming.open().await.map_err(ExchangeError::from)?;
        let request = match message {
            Message::RestRequest(request) => request,
            Message::Soap(headers, request) => {
                let http = http.headers;
                let opened = Opened { trust, peer, ocsp_answers, http, headers, request, incoming };
                return self.accept_soap(opened, record).await.map(Accepted::Soap);
            }
            Message::RestResponse(_) => return Err(ExchangeError::from(TransportError::MissingRest).into()),
        };
        let asked = request.head();
        let head = head(&request)?;
        record.identify(&head);

        let conditions = self.provider.conditions();
        let provider = ClientId::Subsystem(asked.service.provider.clone());
        if !conditions.clients.is_registered(&provider) {
            return Err(ExchangeError::NotHere { provider: Box::new(provider) }.into());
        }
        trust.check_server(&peer.certificates, &ocsp_answers, &asked.client).map_err(ExchangeError::from)?;
        let is_in_global_group = |group: &_| trust.is_in_global_group(&head.client, group);
        let answering = match Metaservice::called_by(&head) {
            Some(metaservice) => {
                let answer = metaservice.answer(&self.provider, &conditions, &head, is_in_global_group)?;
                Answering::Metaservice(answer)
            }
            None => {
                let answering = match conditions.backends.find(&head.service) {
                    Some(backend) => Answering::Backend(backend),
                    None => Answering::Adapter(self.provider.find(&conditions, &head)?),
                };
                authorize::client(&conditions.clients, &head, is_in_global_group)?;
                authorize::purpose(&conditions.catalog, &head.service, head.says_purpose())?;
                answering
            }
        };

        // Only who may call fills the disk with a body.
        let Closing { attachments, signature } = incoming.close().await.map_err(ExchangeError::from)?;
        let message = Sealed::rest(Direction::Request, asked, &provider, request.bytes(), &attachments);
        self.exchange.accept(&trust, asked.client.member(), message, &signature).await?;
        let body = attachments.into_iter().next().map(|body| body.content);
        Ok(Accepted::Rest(Box::new(AcceptedRest { head, body, answering, started, request: *request })))
    }

    /// Answers a request that is verified and recorded. What the service refuses is an answer too, and evidence.
    async fn serve(
        &self,
        accepted: AcceptedRest,
        record: &mut Record,
    ) -> Result<Response<TransportBody>, ExchangeError> {
        let AcceptedRest { request, head, body, answering, started } = accepted;
        let answer = match answering {
            Answering::Metaservice(answer) => in_memory(answer).await,
            Answering::Backend(backend) => {
                backend.call(request.head(), body.as_ref(), &self.exchange.config).await?
            }
            Answering::Adapter(arm) => {
                let answered = match self.provider.body(body.as_ref()).await {
                    Ok(body) => self.provider.call(&arm, &head, &body, started, record).await,
                    Err(refusal) => Err(refusal),
                };
                let answer = match answered {
                    Ok(answered) => answered.into_response(record),
                    Err(refusal) => fault::response(&refusal, record),
                };
                in_memory(answer).await
            }
        };
        let (parts, content) = answer.into_parts();

        // Also for a metaservice: X-Road's servers leave the body out there, and their clients refuse that.
        let request_body = body.as_ref().and_then(Spooled::hash);
        let response = RestResponse::compose(
            &request,
            request.hash(request_body.as_ref()),
            parts.status.as_u16(),
            parts.status.canonical_reason().unwrap_or_default(),
            &headers(&parts.headers),
        )?;
        let provider = ClientId::Subsystem(request.head().service.provider.clone());
        let attachments = Attachment::body(content);
        let message =
            Sealed::rest(Direction::Response, request.head(), &provider, response.bytes(), &attachments);
        let signature = self.exchange.seal(message).await?;
        transport_response(&Outgoing {
            ocsp_answers: &[],
            message: (Part::RestResponse, response.bytes()),
            attachments: &attachments,
            signature: &signature,
        })
    }

    /// Reads what the HTTP headers say of the message.
    fn incoming(
        &self,
        http: &http::request::Parts,
        body: ReceivedBody,
        started: Instant,
    ) -> Result<Incoming<ReceivedBody>, ExchangeError> {
        if http.method != Method::POST {
            return Err(ExchangeError::Method);
        }
        let value = |name: &str| http.headers.get(name).and_then(|value| value.to_str().ok());
        if !value("x-hash-algorithm").is_some_and(|name| name.eq_ignore_ascii_case("SHA-512")) {
            return Err(ExchangeError::Header { name: "x-hash-algorithm" });
        }
        let kind = match value("x-road-message-type") {
            Some("REST") => MessageKind::Rest,
            None => MessageKind::Soap,
            Some(_) => return Err(ExchangeError::Header { name: "x-road-message-type" }),
        };
        let config = &self.exchange.config;
        let deadline = started + config.message_time_max;
        Ok(Incoming::new(&http.headers, body, (Way::Request, kind), config, deadline)?)
    }
}

impl std::fmt::Debug for ServerProxy {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("ServerProxy").field("exchange", &self.exchange).finish_non_exhaustive()
    }
}

/// The same names as if the client had called here directly.
fn head(request: &RestRequest) -> Result<receive::Head, Refusal> {
    let asked = request.head();
    let target = match &asked.query {
        Some(query) => format!("{}?{query}", asked.path),
        None => asked.path.clone(),
    };
    let method: &str = asked.method.into();
    let mut direct = Request::builder().method(method).uri(target);
    for header in &asked.headers {
        direct = direct.header(&header.name, header.value.as_bytes());
    }
    let direct = direct.body(()).map_err(|_| ExchangeError::from(uuk_message::RestError::Target))?;
    receive::head(Door::Client, direct).map(|(head, ())| head)
}

async fn in_memory(answer: Response<Full<Bytes>>) -> Response<Option<Spooled>> {
    let (parts, content) = answer.into_parts();
    let content = content.collect().await.map(Collected::to_bytes).unwrap_or_default();
    Response::from_parts(parts, Some(content).filter(|content| !content.is_empty()).map(Spooled::of))
}

fn headers(headers: &HeaderMap) -> Vec<Header> {
    let text = |value: &HeaderValue| String::from_utf8_lossy(value.as_bytes()).into_owned();
    headers.iter().map(|(name, value)| Header::new(name.as_str(), text(value))).collect()
}

/// The HTTP response that carries a message to another server.
fn transport_response(message: &Outgoing<'_>) -> Result<Response<TransportBody>, ExchangeError> {
    let (content_type, body) = message.write();
    let mut response = Response::new(body);
    let content_type = HeaderValue::from_str(&content_type);
    let content_type = content_type.map_err(|_| ExchangeError::Header { name: "content-type" })?;
    response.headers_mut().insert(header::CONTENT_TYPE, content_type);
    response.headers_mut().insert("x-hash-algorithm", HeaderValue::from_static("SHA-512"));
    Ok(response)
}

/// A refusal as other servers read it, REST or not.
fn refused(refusal: &Refusal, mut record: Record) -> Response<TransportBody> {
    let response = fault::soap(refusal, FaultCode::SERVER_PROXY, &mut record);
    record.finish(response.status());
    response.map(|body| body.map_err(|never| match never {}).boxed_unsync())
}
