//! The sending side for clients that speak SOAP.

use std::sync::Arc;
use std::time::Instant;

use http::{HeaderMap, HeaderValue, Method, Request, Response, header};
use hyper::body::Incoming as Body;
use uuid::Uuid;
use uuk_message::{Direction as Way, MessageKind, Part, RelatedError, SoapHeader};
use uuk_messagelog::Direction;
use uuk_transport::{Peer, PeerAddress};

use super::ClientProxy;
use crate::exchange::{ExchangeError, Sealed};
use crate::fault::{Record, Refusal};
use crate::incoming::{Closing, IncomingError, Message};
use crate::outgoing::{Outgoing, TransportBody};
use crate::provider::Door;
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

/// The answer that came, and the media type in which the service sent it.
struct Answered {
    content_type: Option<String>,
    answer: Related,
}

/// Whether a client speaks SOAP: so does whoever posts to no path of REST or JSON.
pub(super) fn speaks_soap<B>(request: &Request<B>) -> bool {
    let path = request.uri().path();
    let is_path = [Door::Client, Door::Json].iter().any(|door| path.starts_with(door.prefix()));
    request.method() == Method::POST && !is_path
}

impl ClientProxy {
    /// The walk of a SOAP request to another member's service. Reading it is reading the protocol.
    pub(super) async fn exchange_soap(
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

        let sending = Sending { trust, addresses, request, content_type, action };
        let this = Arc::clone(self);
        Ok(delivered(self.exchange.see_through(async move { this.forward_soap(sending).await }).await??)?)
    }

    /// Sends a request of this server's making, in the form that `content_type` says, and waits for its answer even if
    /// the client does not.
    pub(super) async fn send_soap(
        self: &Arc<Self>,
        content_type: &str,
        request: Related,
    ) -> Result<Related, ExchangeError> {
        let trust = self.exchange.trust.in_force()?;
        let SoapHeader { service, security_server, .. } = request.message.header();
        let port = self.exchange.config.port;
        let addresses = trust.addresses(&service.provider, security_server.as_ref(), port)?;
        let (content_type, action) = (content_type.to_owned(), Some(HeaderValue::from_static("\"\"")));
        let sending = Sending { trust, addresses, request, content_type, action };
        let this = Arc::clone(self);
        Ok(self.exchange.see_through(async move { this.forward_soap(sending).await }).await??.answer)
    }

    async fn forward_soap(&self, sending: Sending) -> Result<Answered, ExchangeError> {
        let Sending { trust, addresses, request, content_type, action } = sending;
        let Related { headers, message: request, attachments } = request;
        let asked = request.header();
        let provider = &asked.service.provider;
        let request_id = Uuid::new_v4().to_string();
        let sealed = |direction, message, attachments| {
            Sealed::soap(direction, (asked, Some(&request_id)), &asked.client, message, attachments)
        };

        // Before anything is recorded that could not leave.
        let identity = self.exchange.identity()?;
        let signature = self.exchange.seal(sealed(Direction::Request, request.bytes(), &attachments)).await?;
        let message = Outgoing {
            ocsp_answers: &identity.ocsp_answers,
            message: (Part::Soap(&headers), request.bytes()),
            attachments: &attachments,
            signature: &signature,
        };
        let mut sent = super::transport_request(&message, &content_type, &request_id)?;
        if let Some(action) = action {
            sent.headers_mut().insert("x-original-soapaction", action);
        }
        let response = self.send(&trust, provider, &addresses, sent).await?;

        let content_type = text(response.headers(), "x-original-content-type");
        let mut incoming = self.incoming(response, MessageKind::Soap)?;
        let Message::Soap(headers, response) = incoming.open().await?.message else {
            return Err(uuk_message::TransportError::MissingSoap.into());
        };
        let Closing { attachments, signature } = incoming.close().await?;
        request.check_response(&response)?;
        request.check_hash(&response)?;
        let received = sealed(Direction::Response, response.bytes(), &attachments);
        self.exchange.accept(&trust, provider.member(), received, &signature).await?;
        Ok(Answered { content_type, answer: Related { headers, message: response, attachments } })
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

/// The response as the client gets it.
fn delivered(answered: Answered) -> Result<Response<TransportBody>, ExchangeError> {
    let Answered { content_type, answer: Related { headers, message, attachments } } = answered;
    let of_part = || headers.content_type.clone();
    let content_type = content_type.or_else(of_part).unwrap_or_default();
    let message = message.bytes();
    let mut delivered = Response::new(related::write(&content_type, &headers, message, &attachments)?);
    let name = "x-original-content-type";
    let content_type = HeaderValue::from_str(&content_type).map_err(|_| ExchangeError::Header { name })?;
    delivered.headers_mut().insert(header::CONTENT_TYPE, content_type);
    Ok(delivered)
}
