//! The sending side for clients that name an operation and post JSON, whatever the service speaks:
//! `/json/{instance}/{class}/{member}/{subsystem}/{service}[/{version}]/{operation}`.
//!
//! What an operation takes and answers is said by the description that the service's provider gives out: OpenAPI, or a WSDL.
//! Without operation, a `GET` is answered with that description, as OpenAPI. Only services of SOAP have versions.

use std::sync::Arc;
use std::time::{Duration, Instant};

use bytes::Bytes;
use http::{HeaderName, HeaderValue, Method, Request, Response, StatusCode, header};
use http_body_util::Full;
use hyper::body::Incoming as Body;
use uuid::Uuid;
use uuk_contract::{
    Contract, Document, FieldProblem, Limits, Operation, PROBLEM_MEDIA_TYPE, Problem, RestCall, SoapCall,
    percent,
};
use uuk_identifiers::SoapServiceId;
use uuk_message::{
    FaultCode, Header, RestError, RestRequest, RestRequestHead, SoapError, SoapFault, SoapHeader,
};
use uuk_transport::Peer;

use self::description::Protocol;
use super::{ClientProxy, Sending, envelope, provider_of, whole};
use crate::exchange::{Attachment, ExchangeError};
use crate::fault::{Record, Refusal};
use crate::incoming::IncomingError;
use crate::outgoing::TransportBody;
use crate::provider::Door;
use crate::related::Related;
use crate::spool::Spooled;
use crate::stages::authorize;
use crate::stages::receive::{self, Head};

mod description;

pub(super) use self::description::Descriptions;

/// Longest document of a request, and longest envelope or attachment that becomes the document of an answer.
const DOCUMENT_BYTES_MAX: u64 = 4 << 20;
/// A document that does not come whole in this time is given up.
const DOCUMENT_TIME_MAX: Duration = Duration::from_secs(30);
/// Of what a service says of its fault, this much is told.
const DETAIL_CHARS_MAX: usize = 1_000;

/// What a client names in the path.
struct Asked {
    service: SoapServiceId,
    /// Nothing if it asks for the description.
    operation: Option<String>,
}

/// Whether a client calls in JSON.
pub(super) fn speaks_json<B>(request: &Request<B>) -> bool {
    request.uri().path().starts_with(Door::Json.prefix())
}

impl ClientProxy {
    /// The walk of a call in JSON to another member's service. Reading it is reading the protocol.
    pub(super) async fn exchange_json(
        self: &Arc<Self>,
        request: Request<Body>,
        peer: &Peer,
        record: &mut Record,
    ) -> Result<Response<TransportBody>, Refusal> {
        let (head, body) = receive::head(Door::Json, request)?;
        record.identify(&head);
        let by_certificate = self.provider.asks_for_certificates().then_some(peer);
        authorize::system(&self.provider.conditions().clients, &head.client, by_certificate)?;

        let Asked { service, operation } = Asked::read(&head)?;
        let deadline = Instant::now() + DOCUMENT_TIME_MAX;
        let body = receive::body(body, DOCUMENT_BYTES_MAX, deadline).await?;
        let description = self.describe(&head.client, &service).await?;
        let contract = &description.contract;
        let Some(operation) = operation else {
            let (media_type, document) = contract.openapi();
            return Ok(respond(StatusCode::OK, media_type, document.into_owned(), record));
        };
        let (operation, document) = document(contract, &operation, &head, &body)?;
        match description.protocol {
            Protocol::Rest => self.call_rest(&head, operation, &document, record).await,
            Protocol::Soap => self.call_soap(&head, service, (contract, operation), &document, record).await,
        }
    }

    async fn call_rest(
        self: &Arc<Self>,
        head: &Head,
        operation: &Operation,
        document: &Document,
        record: &Record,
    ) -> Result<Response<TransportBody>, Refusal> {
        let call = operation.rest_call(document).map_err(invalid)?;
        let target = format!("/r1/{}{}", head.service, call.target);
        let request =
            compose(head, call.method.into(), &target, &call.headers).map_err(ExchangeError::from)?;
        let body = if call.body.is_empty() { None } else { Some(call.body.into()) };
        let response = self.carry(request, body).await?;
        let status = response.status();
        let is_problem = response.headers().get(header::CONTENT_TYPE).is_some_and(|media_type| {
            media_type.to_str().is_ok_and(|media_type| media_type.starts_with(PROBLEM_MEDIA_TYPE))
        });
        if status.as_u16() < 400 || is_problem {
            return Ok(response);
        }
        let detail = format!("the service answered with HTTP status {}", status.as_u16());
        Ok(respond_problem(&Problem::new(status.as_u16(), "service.status", detail), record))
    }

    async fn call_soap(
        self: &Arc<Self>,
        head: &Head,
        service: SoapServiceId,
        (contract, operation): (&Contract, &Operation),
        document: &Document,
        record: &Record,
    ) -> Result<Response<TransportBody>, Refusal> {
        let element = contract.soap_request(operation, document).map_err(invalid)?;
        // The names are read as those of a call in REST.
        let named = compose(head, "POST", &format!("/r1/{}", head.service), &[]);
        let named = named.map_err(ExchangeError::from)?;
        // Each operation of a WSDL is a service of its own, and the client named one of them.
        let service = SoapServiceId { code: operation.id().to_owned(), ..service };
        let request = envelope::write(&soap_header(named.head(), service), &element).map_err(not_in_soap)?;
        let answer = match self.send_soap(envelope::MEDIA_TYPE, request).await {
            Err(ExchangeError::Incoming(IncomingError::Fault(fault))) => match problem_of(&fault) {
                Some(problem) => return Ok(respond_problem(&problem, record)),
                None => return Err(ExchangeError::Incoming(IncomingError::Fault(fault)).into()),
            },
            answer => answer?,
        };
        let (envelope, attachments) = read(&answer).await?;
        let envelope = String::from_utf8_lossy(&envelope);
        let attachments: Vec<(&str, &[u8])> =
            attachments.iter().map(|(id, content)| (*id, content.as_ref())).collect();
        let message = SoapCall { envelope: &envelope, attachments: &attachments };
        let answer = contract.soap_response(operation, &message, &limits()).map_err(Refusal::Answer)?;
        let status = StatusCode::from_u16(answer.status()).unwrap_or(StatusCode::OK);
        let media_type = answer.media_type().unwrap_or("application/json");
        Ok(respond(status, media_type, answer.into_body(), record))
    }

    /// Sends a request of REST, and waits for its answer even if the client does not.
    async fn carry(
        self: &Arc<Self>,
        request: RestRequest,
        body: Option<Bytes>,
    ) -> Result<Response<TransportBody>, ExchangeError> {
        let trust = self.exchange.trust.in_force()?;
        let asked = request.head();
        let provider = provider_of(&asked.service.provider);
        let port = self.exchange.config.port;
        let addresses = trust.addresses(&provider, asked.security_server.as_ref(), port)?;
        let sending = Sending { trust, addresses, request, body: body.map(Spooled::of) };
        let this = Arc::clone(self);
        self.exchange.see_through(async move { this.forward(sending).await }).await?
    }
}

impl Asked {
    fn read(head: &Head) -> Result<Self, Refusal> {
        let pieces = head.path().split('/').skip(1).map(|piece| {
            percent::path_segment(piece)
                .map(std::borrow::Cow::into_owned)
                .map_err(|reason| Refusal::AmbiguousPath { reason })
        });
        let mut pieces = pieces.collect::<Result<Vec<_>, _>>()?;
        let operation = if head.method() == Method::GET.as_str() { None } else { pieces.pop() };
        let version = pieces.pop();
        if !pieces.is_empty() || (operation.is_none() && head.method() != Method::GET.as_str()) {
            return Err(Refusal::UnknownPath);
        }
        let service = SoapServiceId {
            provider: provider_of(&head.service.provider),
            code: head.service.code.clone(),
            version,
        };
        Ok(Self { service: service.checked().map_err(Refusal::ServiceId)?, operation })
    }
}

/// What the client posted, as the document of the operation.
fn document<'c>(
    contract: &'c Contract,
    operation: &str,
    head: &Head,
    body: &[u8],
) -> Result<(&'c Operation, Document), Refusal> {
    let headers: Vec<(&str, &[u8])> =
        head.headers().iter().map(|(name, value)| (name.as_str(), value.as_bytes())).collect();
    let call = RestCall { method: head.method(), path: "", query: head.query(), headers: &headers, body };
    contract.posted_document(operation, &call, &limits()).map_err(Refusal::Contract)
}

fn limits() -> Limits {
    Limits { body_bytes_max: DOCUMENT_BYTES_MAX as usize, ..Limits::default() }
}

/// A request of REST in the client's name, with its headers but those of the document that it posted.
fn compose(
    head: &Head,
    method: &str,
    target: &str,
    headers: &[(String, String)],
) -> Result<RestRequest, RestError> {
    let is_replaced = |name: &HeaderName| {
        name.as_str().starts_with("content-")
            || headers.iter().any(|(declared, _)| declared.eq_ignore_ascii_case(name.as_str()))
    };
    let kept = head.headers().iter().zip(1..).filter(|((name, _), _)| !is_replaced(name));
    let kept = kept.map(|((name, value), position)| {
        let value = std::str::from_utf8(value.as_bytes()).map_err(|_| RestError::Header { position })?;
        Ok(Header::new(name.as_str(), value))
    });
    let composed = headers.iter().map(|(name, value)| Ok(Header::new(name, value)));
    let headers = kept.chain(composed).collect::<Result<Vec<_>, RestError>>()?;
    let method = method.parse().map_err(|_| RestError::Method)?;
    RestRequest::compose(method, target, &headers, &Uuid::new_v4().to_string(), &head.id)
}

/// The names of a call, as SOAP says them.
fn soap_header(named: &RestRequestHead, service: SoapServiceId) -> SoapHeader {
    SoapHeader {
        security_server: named.security_server.clone(),
        user_id: named.user_id.clone(),
        issue: named.issue.clone(),
        represented_party: named.represented_party.clone(),
        ..SoapHeader::new(named.client.clone(), service, named.id.clone())
    }
}

/// The envelope of an answer and what is attached to it, in memory.
async fn read(answer: &Related) -> Result<(Bytes, Vec<(&str, Bytes)>), ExchangeError> {
    let sizes = answer.attachments.iter().map(|attachment| attachment.content.size_bytes());
    let size_bytes = sizes.chain([answer.message.bytes().len() as u64]).fold(0, u64::saturating_add);
    if size_bytes > DOCUMENT_BYTES_MAX {
        return Err(IncomingError::TooLarge { bytes_max: DOCUMENT_BYTES_MAX }.into());
    }
    let mut attachments = Vec::new();
    for Attachment { headers, content } in &answer.attachments {
        let id = headers.others.iter().find(|header| header.name.eq_ignore_ascii_case("content-id"));
        let id = id.map_or("", |header| header.value.trim().trim_matches(['<', '>']));
        attachments.push((id, content.read().await.map_err(ExchangeError::Spool)?));
    }
    Ok((answer.message.bytes().clone(), attachments))
}

/// A fault of the service as a problem: the one in its detail, or what SOAP says of it. Nothing for faults of servers.
fn problem_of(fault: &SoapFault) -> Option<Problem> {
    let told = std::str::from_utf8(&fault.xml).ok().and_then(Problem::of_fault);
    if told.is_some() {
        return told;
    }
    let code = fault.fault_code();
    if [FaultCode::SERVER_PROXY, FaultCode::CLIENT_PROXY].iter().any(|side| code.as_str().starts_with(side)) {
        return None;
    }
    let code = fault.code.rsplit(':').next().unwrap_or_default().trim();
    let status = if code.to_ascii_lowercase().starts_with("client") { 400 } else { 502 };
    let brief = |text: &str| text.chars().take(DETAIL_CHARS_MAX).collect::<String>();
    Some(Problem::new(status, brief(code), brief(&fault.string)))
}

fn invalid(problem: FieldProblem) -> Refusal {
    Refusal::Contract(uuk_contract::Refusal::Invalid { problems: vec![problem] })
}

fn not_in_soap(error: SoapError) -> Refusal {
    Refusal::Soap(Box::new(error.into()))
}

fn respond_problem(problem: &Problem, record: &Record) -> Response<TransportBody> {
    let status = StatusCode::from_u16(problem.status).unwrap_or(StatusCode::BAD_GATEWAY);
    respond(status, PROBLEM_MEDIA_TYPE, problem.to_json(), record)
}

fn respond(
    status: StatusCode,
    media_type: &'static str,
    body: Vec<u8>,
    record: &Record,
) -> Response<TransportBody> {
    let mut response = Response::new(whole(Full::from(body)));
    *response.status_mut() = status;
    response.headers_mut().insert(header::CONTENT_TYPE, HeaderValue::from_static(media_type));
    record.name_exchange(response.headers_mut());
    response
}

#[cfg(test)]
mod tests {
    use super::*;

    fn asked(method: &str, path: &str) -> Result<(Option<String>, Option<String>), &'static str> {
        let request = Request::builder()
            .method(method)
            .uri(format!("/json/KG/GOV/70000001/registry/person{path}"))
            .header("x-road-client", "KG/GOV/70000002/portal");
        let (head, ()) = receive::head(Door::Json, request.body(()).unwrap()).unwrap();
        let asked = Asked::read(&head).map_err(|refusal| refusal.code())?;
        Ok((asked.service.version, asked.operation))
    }

    #[test]
    fn a_path_names_a_service_and_perhaps_version_and_operation() {
        let of = |text: &str| Some(text.to_owned());
        assert_eq!(asked("POST", "/get"), Ok((None, of("get"))));
        assert_eq!(asked("POST", "/v1/get"), Ok((of("v1"), of("get"))));
        assert_eq!(asked("GET", ""), Ok((None, None)));
        assert_eq!(asked("GET", "/v1"), Ok((of("v1"), None)));
    }

    #[test]
    fn refuses_a_path_of_too_much_or_too_little() {
        assert_eq!(asked("POST", ""), Err("proxy.unknown_path"));
        assert_eq!(asked("POST", "/v1/get/more"), Err("proxy.unknown_path"));
        assert_eq!(asked("POST", "/v1%2Fget"), Err("proxy.ambiguous_path"));
        assert_eq!(asked("POST", "/get/"), Err("proxy.ambiguous_path"));
    }

    fn fault(code: &str, detail: &str) -> SoapFault {
        let xml = format!(
            "<e:Envelope xmlns:e='http://schemas.xmlsoap.org/soap/envelope/'><e:Body><e:Fault>\
             <faultcode>{code}</faultcode><faultstring>why</faultstring><detail>{detail}</detail>\
             </e:Fault></e:Body></e:Envelope>"
        );
        SoapFault::read("text/xml", xml).unwrap().unwrap()
    }

    #[test]
    fn a_fault_of_a_service_is_a_problem_and_one_of_a_server_is_not() {
        let told = |code: &str, detail: &str| {
            problem_of(&fault(code, detail)).map(|problem| (problem.status, problem.code.into_owned()))
        };
        assert_eq!(told("soap:Client.NO_SUCH", ""), Some((400, "Client.NO_SUCH".to_owned())));
        assert_eq!(told("soap:Server", "<x/>"), Some((502, "Server".to_owned())));
        let detail = Problem::new(404, "PERSON_NOT_FOUND", "nobody").to_xml();
        assert_eq!(told("soap:Client.PERSON_NOT_FOUND", &detail), Some((404, "PERSON_NOT_FOUND".to_owned())));
        assert_eq!(told("Server.ServerProxy.AccessDenied", ""), None);
        assert_eq!(told("server.serverproxy.access_denied", ""), None);
    }
}
