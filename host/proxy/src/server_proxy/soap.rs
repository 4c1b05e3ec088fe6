//! The answering side for SOAP.

use std::sync::Arc;

use bytes::Bytes;
use http::{HeaderMap, HeaderValue, Response};
use uuk_message::{Part, PartHeaders, SoapMessage};
use uuk_messagelog::Direction;
use uuk_transport::{ReceivedBody, ServerPeer};

use adapter::Adapter;

use super::ServerProxy;
use crate::backend::{Backend, BackendError};
use crate::exchange::{ExchangeError, Sealed};
use crate::fault::{Record, Refusal};
use crate::incoming::{Closing, Incoming};
use crate::metaservices::{SoapAnswer, SoapMetaservice};
use crate::outgoing::{Outgoing, TransportBody};
use crate::related::{self, Related};
use crate::stages::{authorize, receive};
use crate::trust::Trust;

mod adapter;

/// A request whose envelope has come.
pub(super) struct Opened<'p> {
    pub(super) trust: Trust,
    pub(super) peer: &'p ServerPeer,
    pub(super) ocsp_answers: Vec<Bytes>,
    /// Of the HTTP request.
    pub(super) http: HeaderMap,
    pub(super) headers: PartHeaders,
    pub(super) request: Box<SoapMessage>,
    pub(super) incoming: Incoming<ReceivedBody>,
}

/// A request that is verified and recorded, and what answers it.
pub(super) struct Accepted {
    http: HeaderMap,
    request: Related,
    answering: Answering,
}

/// Who answers a request: an adapter, an information system, or this server by itself.
enum Answering {
    Adapter(Box<Adapter>),
    Backend(Arc<Backend>),
    Metaservice(Box<SoapAnswer>),
}

impl ServerProxy {
    /// The walk of a SOAP request from another server, from its envelope up to its record.
    pub(super) async fn accept_soap(
        &self,
        opened: Opened<'_>,
        record: &mut Record,
    ) -> Result<Accepted, Refusal> {
        let Opened { trust, peer, ocsp_answers, http, headers, request, incoming } = opened;
        let asked = request.header();
        record.identify_soap(asked);
        related::check_action(http.get("x-original-soapaction")).map_err(ExchangeError::from)?;
        let conditions = self.provider.conditions();
        let provider = &asked.service.provider;
        if !conditions.clients.is_registered(provider) {
            return Err(ExchangeError::NotHere { provider: Box::new(provider.clone()) }.into());
        }
        trust.check_server(&peer.certificates, &ocsp_answers, &asked.client).map_err(ExchangeError::from)?;
        if let Some(server) = &asked.security_server
            && *server != self.exchange.config.server
        {
            return Err(ExchangeError::OtherServer { server: Box::new(server.clone()) }.into());
        }
        let is_in_global_group = |group: &_| trust.is_in_global_group(&asked.client, group);
        let answering = match SoapMetaservice::called_by(&request) {
            Some(metaservice) => {
                let answer = metaservice.answer(
                    &self.provider,
                    &conditions,
                    (&headers, &request),
                    is_in_global_group,
                )?;
                Answering::Metaservice(answer.into())
            }
            None => match conditions.backends.find_soap(&asked.service) {
                Ok(backend) => {
                    let (client, service) = (&asked.client, &asked.service);
                    authorize::soap_client(&conditions.clients, client, service, is_in_global_group)?;
                    let is_said = receive::is_said(asked.issue.as_deref());
                    let service = service.unversioned().ok_or(Refusal::AccessDenied)?;
                    authorize::purpose(&conditions.catalog, &service, is_said)?;
                    Answering::Backend(backend)
                }
                Err(unknown) => {
                    let adapter = Adapter::find(&self.provider, &conditions, asked)?.ok_or(unknown)?;
                    adapter.authorize(&conditions, is_in_global_group)?;
                    Answering::Adapter(Box::new(adapter))
                }
            },
        };

        // Only who may call fills the disk with attachments.
        let Closing { attachments, signature } = incoming.close().await.map_err(ExchangeError::from)?;
        let named = (asked, request_id(&http));
        let message = Sealed::soap(Direction::Request, named, provider, request.bytes(), &attachments);
        self.exchange.accept(&trust, asked.client.member(), message, &signature).await?;
        let request = Related { headers, message: request, attachments };
        Ok(Accepted { http, request, answering })
    }

    /// Answers a SOAP request that is verified and recorded.
    pub(super) async fn serve_soap(
        &self,
        accepted: Accepted,
        record: &mut Record,
    ) -> Result<Response<TransportBody>, ExchangeError> {
        let Accepted { http, request, answering } = accepted;
        let (content_type, answer) = match answering {
            Answering::Adapter(adapter) => {
                let message = adapter.answer(&self.provider, &request, record).await?.into();
                let content_type = HeaderValue::from_static("text/xml; charset=utf-8");
                let headers = PartHeaders::of_type("text/xml; charset=utf-8");
                (content_type, Related { headers, message, attachments: Vec::new() })
            }
            Answering::Backend(backend) => backend.call_soap(&http, &request, &self.exchange.config).await?,
            Answering::Metaservice(answer) => {
                let (content_type, answer) = *answer;
                let name = "x-original-content-type";
                (content_type.parse().map_err(|_| ExchangeError::Header { name })?, answer)
            }
        };
        let request = request.message;
        request.check_response(&answer.message).map_err(BackendError::Inconsistent)?;
        let response: Bytes = answer.message.with_request_hash(request.hash()).into();

        let (asked, attachments) = (request.header(), &answer.attachments);
        let named = (asked, request_id(&http));
        let message =
            Sealed::soap(Direction::Response, named, &asked.service.provider, &response, attachments);
        let signature = self.exchange.seal(message).await?;
        let message = Outgoing {
            ocsp_answers: &[],
            message: (Part::Soap(&answer.headers), &response),
            attachments,
            signature: &signature,
        };
        let mut sent = super::transport_response(&message)?;
        sent.headers_mut().insert("x-original-content-type", content_type);
        Ok(sent)
    }
}

fn request_id(http: &HeaderMap) -> Option<&str> {
    http.get("x-road-request-id").and_then(|value| value.to_str().ok())
}
