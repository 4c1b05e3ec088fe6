//! What clients see when something goes wrong, decided in one place, and the one line that is logged per message.

use std::borrow::Cow;
use std::sync::Arc;
use std::time::{Duration, Instant};

use bytes::Bytes;
use http::{HeaderMap, HeaderValue, Response, StatusCode, header};
use http_body_util::Full;
use tracing::{info, warn};
use uuid::Uuid;
use uuk_contract::{AnswerProblem, ContractError, Problem, Refusal as ContractRefusal};
use uuk_identifiers::IdentifierError;
use uuk_message::{Dialect, FaultCode, RelatedError, SoapFault, SoapHeader};
use uuk_plugin_host::{CallError, Plugin, RequestMeter};
use uuk_process::ErrorChain;
use uuk_transport::{BodyError, PeerError};

use crate::backend::BackendError;
use crate::exchange::ExchangeError;
use crate::incoming::IncomingError;
use crate::stages::receive::Head;
use crate::trust::TrustError;

/// Why a request got no answer of an adapter.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum Refusal {
    /// Not a path of the message protocol.
    #[error(
        "path is not /r1/{{instance}}/{{class}}/{{member}}/{{subsystem}}/{{service}}/… or /json/…/{{operation}}"
    )]
    UnknownPath,
    /// The path does not name a service.
    #[error("path does not name a service")]
    ServiceId(#[source] IdentifierError),
    /// No client is named.
    #[error("header X-Road-Client is missing")]
    NoClient,
    /// The client's name is none.
    #[error("header X-Road-Client does not name a member or subsystem")]
    ClientId(#[source] IdentifierError),
    /// A header stands twice.
    #[error("header {name} is given more than once")]
    RepeatedHeader {
        /// Its name.
        name: &'static str,
    },
    /// A header is too long or not text.
    #[error("header {name} is too long or not text")]
    BadHeader {
        /// Its name.
        name: &'static str,
    },
    /// The client is not one of this server's.
    #[error("client is not registered with this security server")]
    UnknownClient,
    /// The connection does not prove the client.
    #[error("certificate of the connection is not one of the client's")]
    ClientCertificate,
    /// The service is not catalogued.
    #[error("service is not in the catalog")]
    UnknownService,
    /// The path below the service could be read in two ways.
    #[error("path {reason}")]
    AmbiguousPath {
        /// What is wrong with it.
        reason: &'static str,
    },
    /// The description of no service is asked for.
    #[error("parameter serviceCode is missing or badly encoded")]
    NoServiceCode,
    /// The provider does not say how the service is called.
    #[error("the provider gives out no description of the service, neither OpenAPI nor WSDL")]
    NoDescription,
    /// What the provider says of it cannot be read.
    #[error("the description that the provider gives out is not usable: {0}")]
    Description(ContractError),
    /// The instance is neither this one nor federated with it.
    #[error("instance is not one of the global configuration")]
    UnknownInstance,
    /// The client has no right to it.
    #[error("client has no right to call this service")]
    AccessDenied,
    /// The service gives out data about people, and the call does not say what for.
    #[error("service gives out personal data, and the call does not say what for")]
    NoPurpose,
    /// No plugin stands for the service.
    #[error("service is catalogued, and nothing answers it on this server")]
    NoPlugin,
    /// The plugin's contract is not the catalogued one.
    #[error("service does not answer by its catalogued contract")]
    ContractDiffers,
    /// The plugin failed too often.
    #[error("service pauses after failures")]
    Suspended {
        /// How long.
        retry_after: Duration,
    },
    /// The body did not come.
    #[error("request body is not readable")]
    Body(#[source] BodyError),
    /// The client's SOAP message is malformed.
    #[error(transparent)]
    Soap(Box<RelatedError>),
    /// The service is one of REST.
    #[error("service does not speak SOAP")]
    ServiceType,
    /// The contract refuses the request.
    #[error(transparent)]
    Contract(ContractRefusal),
    /// The adapter gave no outcome.
    #[error("service failed")]
    Call(#[source] CallError),
    /// The adapter's outcome is not one the contract declares.
    #[error("service gave an answer outside its contract")]
    Answer(#[source] AnswerProblem),
    /// The exchange with another security server failed.
    #[error(transparent)]
    Exchange(#[from] ExchangeError),
}

/// What a refusal is on the wire.
struct Wire {
    status: u16,
    /// uuk's own code, in the body.
    code: &'static str,
    /// X-Road's code, in the header that its clients read.
    xroad: Cow<'static, str>,
}

impl Refusal {
    /// The stable code: `proxy.access_denied`.
    pub fn code(&self) -> &'static str {
        self.wire().code
    }

    /// The whole mapping, one line per refusal. X-Road's codes: `messages.md` section 7 of the reference notes.
    fn wire(&self) -> Wire {
        let wire = |status, code, xroad| Wire { status, code, xroad: Cow::Borrowed(xroad) };
        match self {
            Self::UnknownPath => wire(404, "proxy.unknown_path", "client.bad_request"),
            Self::ServiceId(_) => wire(400, "proxy.service_id", "client.bad_request"),
            Self::NoClient => wire(400, "proxy.no_client", "client.invalid_client_identifier"),
            Self::ClientId(_) => wire(400, "proxy.client_id", "client.invalid_client_identifier"),
            Self::RepeatedHeader { .. } => wire(400, "proxy.repeated_header", "client.bad_request"),
            Self::BadHeader { .. } => wire(400, "proxy.bad_header", "client.bad_request"),
            Self::UnknownClient => wire(403, "proxy.unknown_client", "client.unknown_member"),
            Self::ClientCertificate => {
                wire(403, "proxy.client_certificate", "client.ssl_authentication_failed")
            }
            Self::UnknownService => wire(404, "proxy.unknown_service", "server.serverproxy.unknown_service"),
            Self::AccessDenied => wire(403, "proxy.access_denied", "server.serverproxy.access_denied"),
            Self::NoPurpose => wire(400, "proxy.no_purpose", "server.serverproxy.invalid_request"),
            Self::AmbiguousPath { .. } => {
                wire(400, "proxy.ambiguous_path", "server.serverproxy.access_denied")
            }
            Self::NoServiceCode => wire(400, "proxy.no_service_code", "server.serverproxy.invalid_request"),
            Self::NoDescription => wire(404, "proxy.no_description", "client.bad_request"),
            Self::Description(_) => wire(502, "proxy.description", "server.clientproxy.invalid_message"),
            Self::UnknownInstance => wire(404, "proxy.unknown_instance", "client.bad_request"),
            Self::NoPlugin => wire(503, "proxy.no_plugin", "server.serverproxy.service_disabled"),
            Self::ContractDiffers => {
                wire(503, "proxy.contract_differs", "server.serverproxy.service_disabled")
            }
            Self::Suspended { .. } => wire(503, "proxy.suspended", "server.serverproxy.service_disabled"),
            Self::Body(BodyError::TooLarge { .. }) => wire(413, "proxy.body_too_large", "client.bad_request"),
            Self::Body(_) => wire(408, "proxy.body_broken", "client.network_error"),
            Self::Soap(error) => Wire {
                status: 400,
                code: error.code(),
                xroad: format!("{}.{}", FaultCode::CLIENT, error.xroad_code()).into(),
            },
            Self::ServiceType => wire(400, "proxy.service_type", "server.serverproxy.service_type"),
            Self::Contract(refusal) => {
                wire(refusal.status(), refusal.code(), "server.serverproxy.invalid_request")
            }
            Self::Call(error @ CallError::Busy { .. }) => {
                wire(503, error.code(), "server.serverproxy.service_failed.network_error")
            }
            Self::Call(error @ CallError::WallTime { .. }) => {
                wire(504, error.code(), "server.serverproxy.service_failed.network_error")
            }
            Self::Call(error) => wire(502, error.code(), "server.serverproxy.service_failed.internal_error"),
            Self::Answer(problem) => {
                wire(502, problem.code(), "server.serverproxy.service_failed.internal_error")
            }
            Self::Exchange(error) => {
                Wire { status: exchange_status(error), code: error.code(), xroad: error.xroad_code().into() }
            }
        }
    }

    /// X-Road's code. What an exchange fails by has none of the words that say whose server it was.
    pub(crate) fn xroad_code(&self) -> Cow<'static, str> {
        self.wire().xroad
    }

    pub(crate) fn problem(&self) -> Problem {
        match self {
            Self::Contract(refusal) => refusal.problem(),
            // What is at fault inside the service is for its operator; the client learns that it failed.
            _ => Problem::new(self.wire().status, self.code(), self.to_string()),
        }
    }

    fn retry_after(&self) -> Option<Duration> {
        match self {
            Self::Suspended { retry_after } => Some(*retry_after),
            Self::Call(CallError::Busy { .. }) => Some(Duration::from_secs(1)),
            _ => None,
        }
    }
}

/// What a client is told by the status: its own fault, a server that pauses, or one that failed.
fn exchange_status(error: &ExchangeError) -> u16 {
    match error {
        ExchangeError::Rest(_) | ExchangeError::Method | ExchangeError::Header { .. } => 400,
        ExchangeError::Trust(TrustError::NoServer { .. } | TrustError::NotItsServer { .. }) => 404,
        ExchangeError::Trust(
            TrustError::NoConfiguration | TrustError::Configuration(_) | TrustError::Maintenance { .. },
        )
        | ExchangeError::Signer(_)
        | ExchangeError::Log(_)
        | ExchangeError::Recall(_)
        | ExchangeError::NoIdentity => 503,
        ExchangeError::Incoming(IncomingError::TooLarge { .. }) => 413,
        ExchangeError::Incoming(IncomingError::Slow) => 504,
        ExchangeError::Peer(error) if matches!(**error, PeerError::Slow { .. }) => 504,
        ExchangeError::Spool(_) | ExchangeError::GivenUp => 500,
        _ => 502,
    }
}

/// A refusal as it goes to clients that speak REST.
pub(crate) fn response(refusal: &Refusal, record: &mut Record) -> Response<Full<Bytes>> {
    record.refused(refusal);
    let wire = refusal.wire();
    let mut response = Response::new(Full::new(refusal.problem().to_json().into()));
    *response.status_mut() = StatusCode::from_u16(wire.status).unwrap_or(StatusCode::INTERNAL_SERVER_ERROR);
    let headers = response.headers_mut();
    headers.insert(header::CONTENT_TYPE, HeaderValue::from_static("application/problem+json"));
    let mut code = FaultCode::parse(&wire.xroad);
    // What another server refused with says already whose it was.
    if matches!(refusal, Refusal::Exchange(_)) && !code.is_of_a_server() {
        code = code.with_prefix(FaultCode::CLIENT_PROXY);
    }
    if let Ok(code) = HeaderValue::from_str(&code.spelled(record.dialect)) {
        headers.insert("x-road-error", code);
    }
    if let Some(retry_after) = refusal.retry_after() {
        headers.insert(header::RETRY_AFTER, HeaderValue::from(whole_seconds(retry_after)));
    }
    if let Refusal::Contract(ContractRefusal::MethodNotAllowed { allowed }) = refusal {
        let allowed = allowed.iter().map(ToString::to_string).collect::<Vec<_>>().join(", ");
        if let Ok(allowed) = HeaderValue::from_str(&allowed) {
            headers.insert(header::ALLOW, allowed);
        }
    }
    record.name_exchange(headers);
    response
}

/// A refusal in SOAP, said by `side`: to other servers, REST or not, and to clients that speak it. What a provider or
/// another server said goes on byte for byte.
pub(crate) fn soap(refusal: &Refusal, side: &str, record: &mut Record) -> Response<Full<Bytes>> {
    record.refused(refusal);
    let body = match refusal {
        Refusal::Exchange(ExchangeError::Backend(BackendError::Fault(fault))) => fault.to_xml(),
        Refusal::Exchange(ExchangeError::Incoming(IncomingError::Fault(fault)))
            if side == FaultCode::CLIENT_PROXY =>
        {
            fault.to_xml()
        }
        _ => {
            let mut code = FaultCode::parse(&refusal.xroad_code());
            if side == FaultCode::SERVER_PROXY || matches!(refusal, Refusal::Exchange(_)) {
                code = code.with_prefix(side);
            }
            let id = Uuid::new_v4().to_string();
            SoapFault::new(code.spelled(record.dialect), refusal.to_string(), id).to_xml()
        }
    };
    let mut response = Response::new(Full::new(body));
    let headers = response.headers_mut();
    headers.insert(header::CONTENT_TYPE, HeaderValue::from_static("text/xml;charset=utf-8"));
    headers.insert("soapaction", HeaderValue::from_static(""));
    response
}

/// What an adapter says to SOAP instead of an answer: the problem that it says to REST, as the detail of a fault.
pub(crate) fn of_adapter(problem: &Problem) -> SoapFault {
    let side = if problem.status < 500 { "Client" } else { "Server" };
    let is_name = |byte: u8| byte.is_ascii_alphanumeric() || b"._-".contains(&byte);
    let code = Some(&problem.code).filter(|code| code.bytes().all(is_name));
    let code = code.map_or_else(|| side.to_owned(), |code| format!("{side}.{code}"));
    let string = problem.detail.replace('&', "&amp;").replace('<', "&lt;");
    let string: String = string.chars().filter(|character| !character.is_control()).collect();
    let xml = format!(
        "<?xml version=\"1.0\" encoding=\"UTF-8\"?>\
         <soap:Envelope xmlns:soap=\"http://schemas.xmlsoap.org/soap/envelope/\"><soap:Body><soap:Fault>\
         <faultcode>soap:{code}</faultcode><faultstring>{string}</faultstring><detail>{}</detail>\
         </soap:Fault></soap:Body></soap:Envelope>",
        problem.to_xml()
    );
    SoapFault { code, string: problem.detail.clone(), actor: None, detail: None, xml: xml.into() }
}

/// Rounded up: sooner would be refused again.
pub(crate) fn whole_seconds(retry_after: Duration) -> u64 {
    u64::try_from(retry_after.as_millis().div_ceil(1_000)).unwrap_or(u64::MAX).max(1)
}

/// What is known of a message so far, for its log line and its metrics, and how its faults are spelled.
#[derive(Debug)]
pub(crate) struct Record {
    started: Instant,
    dialect: Dialect,
    id: Option<HeaderValue>,
    client: String,
    service: String,
    operation: String,
    plugin: Option<Arc<Plugin>>,
    code: &'static str,
    is_finished: bool,
}

/// A client that goes away takes the future of its request with it. What was done for it is still told.
impl Drop for Record {
    fn drop(&mut self) {
        if !self.is_finished {
            self.code = "proxy.client_gone";
            info!(
                xroad.id = self.id_text(),
                service.id = self.service,
                client.id = self.client,
                fault.code = self.code,
                "The client went away before {} answered",
                self.service
            );
            self.count();
        }
    }
}

impl Record {
    pub(crate) fn new(started: Instant, dialect: Dialect) -> Self {
        Self {
            started,
            dialect,
            id: None,
            client: String::new(),
            service: String::new(),
            operation: String::new(),
            plugin: None,
            code: "ok",
            is_finished: false,
        }
    }

    pub(crate) fn identify(&mut self, head: &Head) {
        self.id = HeaderValue::from_str(&head.id).ok();
        self.client = head.client.to_string();
        self.service = head.service.to_string();
    }

    pub(crate) fn identify_soap(&mut self, header: &SoapHeader) {
        self.id = HeaderValue::from_str(&header.id).ok();
        self.client = header.client.to_string();
        self.service = header.service.titled().to_string();
    }

    /// For what is called without naming a provider.
    pub(crate) fn name_service(&mut self, service: &str) {
        service.clone_into(&mut self.service);
    }

    pub(crate) fn operation(&mut self, operation: &str, plugin: &Arc<Plugin>) {
        operation.clone_into(&mut self.operation);
        self.plugin = Some(Arc::clone(plugin));
    }

    /// The exchange's identifier goes back to the client, also when it was made here.
    pub(crate) fn name_exchange(&self, headers: &mut HeaderMap) {
        if let Some(id) = &self.id {
            headers.insert("x-road-id", id.clone());
        }
    }

    pub(crate) fn refused(&mut self, refusal: &Refusal) {
        self.code = refusal.code();
        let (id, service, client) = (self.id_text(), &self.service, &self.client);
        let error = ErrorChain(refusal);
        match refusal {
            Refusal::Call(_) | Refusal::Answer(_) | Refusal::Exchange(_) => {
                warn!(xroad.id = id, service.id = service, client.id = client, fault.code = self.code, %error, "{service} failed: {error}");
            }
            _ => {
                info!(
                    xroad.id = id,
                    service.id = service,
                    client.id = client,
                    fault.code = self.code,
                    "Refused: {error}"
                );
            }
        }
    }

    /// Writes the line and the metrics of a message that has been answered.
    pub(crate) fn finish(mut self, status: StatusCode) {
        self.is_finished = true;
        if self.code == "ok" {
            let (service, operation) = (&self.service, &self.operation);
            let plugin = self.plugin.as_ref().map(|plugin| &plugin.manifest().plugin);
            let duration_ms = self.started.elapsed().as_secs_f64() * 1_000.0;
            info!(
                xroad.id = self.id_text(),
                service.id = service,
                client.id = self.client,
                operation,
                plugin.name = plugin.map(|plugin| plugin.id.as_str()),
                plugin.version = plugin.map(|plugin| display(&plugin.version)),
                status = status.as_u16(),
                duration_ms,
                "Answered {service} {operation} with {} in {duration_ms:.2} ms",
                status.as_u16()
            );
        }
        self.count();
    }

    fn count(&self) {
        // Labels only of what this server knows: names that strangers invent would fill the memory.
        let (plugin, took) = (self.plugin.as_deref(), self.started.elapsed());
        match plugin.filter(|_| self.code == "ok").and_then(|plugin| plugin.answered(&self.operation)) {
            Some(meter) => meter.count(took),
            None => {
                let plugin = plugin.map_or("", |plugin| &plugin.manifest().plugin.id);
                RequestMeter::new(plugin, &self.operation, self.code).count(took);
            }
        }
    }

    fn id_text(&self) -> &str {
        self.id.as_ref().and_then(|id| id.to_str().ok()).unwrap_or_default()
    }
}

#[cfg(test)]
mod tests {
    use uuk_identifiers::ClientId;

    use super::*;

    #[test]
    fn time_to_wait_is_rounded_up_to_whole_seconds() {
        let cases = [(0, 1), (1, 1), (1_000, 1), (1_001, 2)];
        for (ms, seconds) in cases {
            assert_eq!(whole_seconds(Duration::from_millis(ms)), seconds);
        }
    }

    #[test]
    fn what_went_wrong_inside_a_service_is_not_told_to_clients() {
        let refusal = Refusal::Call(CallError::Trap { reason: "unreachable at 0x1f".into() });
        let problem = String::from_utf8(refusal.problem().to_json()).unwrap();
        assert!(!problem.contains("0x1f"), "{problem}");
        assert!(problem.contains("\"code\":\"plugin.trap\""), "{problem}");
    }

    #[test]
    fn a_busy_service_says_when_to_come_back() {
        let mut record = Record::new(Instant::now(), Dialect::SnakeCase);
        let refusal = Refusal::Call(CallError::Busy { concurrency_max: 32 });
        let answer = response(&refusal, &mut record);
        assert_eq!(answer.status(), StatusCode::SERVICE_UNAVAILABLE);
        assert_eq!(answer.headers()["retry-after"], "1");
    }

    #[test]
    fn codes_are_spelled_as_older_servers_do_if_so_configured() {
        for (dialect, code) in [
            (Dialect::SnakeCase, "server.clientproxy.unknown_member"),
            (Dialect::CamelCase, "Server.ClientProxy.UnknownMember"),
        ] {
            let provider: ClientId = "KG/GOV/70000009".parse().unwrap();
            let refusal = Refusal::from(ExchangeError::NotHere { provider: Box::new(provider) });
            let answer = response(&refusal, &mut Record::new(Instant::now(), dialect));
            assert_eq!(answer.headers()["x-road-error"], code);
        }
    }
}
