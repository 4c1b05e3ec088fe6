//! The sending side for clients that speak SOAP.

use std::sync::Arc;
use std::time::Instant;

use bytes::Bytes;
use http::{HeaderMap, HeaderValue, Method, Request, Response, header};
use hyper::body::Incoming as Body;
use tracing::Instrument;
use uuid::Uuid;
use uuk_message::{Direction as Way, FaultCode, MessageKind, Part, PartHeaders, RelatedError, SoapMessage};
use uuk_messagelog::Direction;
use uuk_transport::{Peer, PeerAddress};

use super::{ClientProxy, PROXY_VERSION};
use crate::exchange::{ExchangeError, Sealed};
use crate::fault::{self, Record, Refusal};
use crate::incoming::{IncomingError, Message};
use crate::outgoing::{Outgoing, TransportBody};
use crate::related::{self, Related, Sent};
use crate::stages::authorize;
use crate::trust::Trust;

/// A request on its way, with what is known of it before it is signed.
struct Sending {
    trust: Trust,
    addresses: Vec<PeerAddress>,
    request: Related,
    /// As the client says it.
    content_type: String,
    action: Option<HeaderValue>,
}

/// Whether a client speaks SOAP: so does whoever posts to no path of REST.
pub(super) fn speaks_soap<B>(request: &Request<B>) -> bool {
    request.method() == Method::POST && !request.uri().path().starts_with("/r1/")
}

impl ClientProxy {
    /// Answers one SOAP request of a client: with the service's answer or a fault, never with silence.
    pub(super) async fn answer_soap(
        self: &Arc<Self>,
        request: Request<Body>,
        peer: &Peer,
        record: &mut Record,
    ) -> Response<TransportBody> {
        self.exchange_soap(request, peer, record).await.unwrap_or_else(|refusal| {
            fault::soap(&refusal, FaultCode::CLIENT_PROXY, record).map(super::whole)
        })
    }

    /// The walk of a SOAP request to another member's service. Reading it is reading the protocol.
    async fn exchange_soap(
        self: &Arc<Self>,
        request: Request<Body>,
        peer: &Peer,
        record: &mut Record,
    ) -> Result<Response<TransportBody>, Refusal> {
        let config = &self.exchange.config;
        let deadline = Instant::now() + config.message_time_max;
        let (head, body) = request.into_parts();
        let action = head.headers.get("soapaction").cloned();
        related::check_action(action.as_ref()).map_err(of_client)?;
        let content_type = text(&head.headers, header::CONTENT_TYPE.as_str()).unwrap_or_default();
        let request = related::read(body, &content_type, Way::Request, config, deadline);
        let request = match request.await.map_err(of_client)? {
            Sent::Message(request) => request,
            Sent::Fault(_) => {
                return Err(of_client(RelatedError::MissingSoap { direction: Way::Request }.into()));
            }
        };
        let asked = request.message.header();
        record.identify_soap(asked);
        let by_certificate = self.provider.asks_for_certificates().then_some(peer);
        authorize::system(&self.provider.conditions().clients, &asked.client, by_certificate)?;

        let trust = self.exchange.trust.in_force().map_err(ExchangeError::from)?;
        let addresses = trust
            .addresses(&asked.service.provider, asked.security_server.as_ref(), config.port)
            .map_err(ExchangeError::from)?;

        // From here on the exchange goes to its end even if the client goes away: what was recorded is evidence of what
        // was done.
        let sending = Sending { trust, addresses, request, content_type, action };
        let this = Arc::clone(self);
        let forwarding = async move { this.forward_soap(sending).await }.in_current_span();
        let forwarded = self.exchange.tasks.spawn(forwarding).await.map_err(|_| ExchangeError::GivenUp)?;
        Ok(forwarded?)
    }

    async fn forward_soap(&self, sending: Sending) -> Result<Response<TransportBody>, ExchangeError> {
        let Sending { trust, addresses, request, content_type, action } = sending;
        let Related { headers, message: request, attachments } = request;
        let asked = request.header();
        let provider = &asked.service.provider;
        let request_id = Uuid::new_v4().to_string();
        let sealed = |direction, message, attachments| Sealed {
            kind: MessageKind::Soap,
            direction,
            party: &asked.client,
            query_id: &asked.id,
            request_id: Some(&request_id),
            message,
            attachments,
        };

        let contents: Vec<_> = attachments.iter().map(|(_, content)| content).collect();
        // Before anything is recorded that could not leave.
        let identity = self.exchange.identity()?;
        let signature = self.exchange.seal(sealed(Direction::Request, request.bytes(), &contents)).await?;
        let attachments: Vec<_> =
            attachments.iter().map(|(headers, content)| (Part::Attachment(headers), content)).collect();
        let message = Outgoing {
            ocsp_answers: &identity.ocsp_answers,
            message: (Part::Soap(&headers), request.bytes()),
            attachments: &attachments,
            signature: &signature,
        };
        let sent = transport_request(&message, &content_type, action, &request_id)?;
        let response = self.send(&trust, provider, &addresses, sent).await?;

        let original = text(response.headers(), "x-original-content-type");
        let mut incoming = self.incoming(response, MessageKind::Soap)?;
        let Message::Soap(headers, response) = incoming.open().await?.message else {
            return Err(uuk_message::TransportError::MissingSoap.into());
        };
        let closing = incoming.close().await?;
        request.check_response(&response)?;
        request.check_hash(&response)?;
        let contents: Vec<_> = closing.attachments.iter().map(|(_, content)| content).collect();
        let received = sealed(Direction::Response, response.bytes(), &contents);
        self.exchange.accept(&trust, provider.member(), received, &closing.signature).await?;
        delivered(original, &headers, &response, &closing.attachments)
    }
}

/// What is wrong with the client's own message is not this server's fault.
fn of_client(error: IncomingError) -> Refusal {
    match error {
        IncomingError::Related(error) => Refusal::Soap(error),
        error => ExchangeError::from(error).into(),
    }
}

fn text(headers: &HeaderMap, name: &str) -> Option<String> {
    headers.get(name).and_then(|value| value.to_str().ok()).map(str::to_owned)
}

/// The HTTP request that carries a message to another server.
fn transport_request(
    message: &Outgoing<'_>,
    original: &str,
    action: Option<HeaderValue>,
    request_id: &str,
) -> Result<Request<TransportBody>, ExchangeError> {
    let (content_type, body) = message.write();
    let mut request = Request::new(body);
    *request.method_mut() = Method::POST;
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
    if let Some(action) = action {
        request.headers_mut().insert("x-original-soapaction", action);
    }
    Ok(request)
}

/// The response as the client gets it.
fn delivered(
    content_type: Option<String>,
    headers: &PartHeaders,
    response: &SoapMessage,
    attachments: &[(PartHeaders, crate::spool::Spooled)],
) -> Result<Response<TransportBody>, ExchangeError> {
    let of_part = || headers.content_type.clone();
    let content_type = content_type.or_else(of_part).unwrap_or_default();
    let message: &Bytes = response.bytes();
    let mut delivered = Response::new(related::write(&content_type, headers, message, attachments)?);
    let name = "x-original-content-type";
    let content_type = HeaderValue::from_str(&content_type).map_err(|_| ExchangeError::Header { name })?;
    delivered.headers_mut().insert(header::CONTENT_TYPE, content_type);
    Ok(delivered)
}
