//! Information systems that answer a service over HTTP themselves, without an adapter.

use std::collections::HashMap;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::{Duration, Instant};

use bytes::Bytes;
use http::header::{CONTENT_LENGTH, CONTENT_TYPE, HOST, USER_AGENT};
use http::{HeaderMap, HeaderValue, Method, Request, Response, StatusCode};
use serde::Deserialize;
use uuk_globalconf::{Malformed, from_toml};
use uuk_identifiers::{ClientId, ServiceId, SoapServiceId};
use uuk_message::{Direction, InconsistentResponse, RestRequestHead, SoapFault};
use uuk_transport::{Upstream, UpstreamBuildError, UpstreamConfig, UpstreamError};

use crate::exchange::{ExchangeConfig, ExchangeError};
use crate::fault::Refusal;
use crate::incoming::{IncomingError, whole};
use crate::outgoing::{TransportBody, body};
use crate::related::{self, Related, Sent};
use crate::spool::Spooled;

/// Which information systems answer which services: the file `backends.toml`.
#[derive(Debug, Clone, Default)]
pub struct Backends {
    rest: HashMap<ServiceId, Arc<Backend>>,
    soap: HashMap<SoapServiceId, Arc<Backend>>,
}

/// What an information system speaks.
#[derive(Debug, Clone, Copy, Default, Deserialize)]
#[serde(rename_all = "lowercase")]
enum Protocol {
    #[default]
    Rest,
    Soap,
}

/// Why the file of backends is refused; the one in force stays.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum BackendsError {
    /// Not TOML of the right shape.
    #[error("list of backends is not readable")]
    Malformed(#[source] Malformed),
    /// Two information systems answer one service.
    #[error("service `{service}` is listed twice")]
    Duplicate {
        /// The service.
        service: Box<ServiceId>,
    },
    /// A description cannot be read.
    #[error("the description of service `{service}` cannot be read")]
    Wsdl {
        /// The service.
        service: Box<ServiceId>,
        /// Why.
        #[source]
        source: std::io::Error,
    },
    /// An information system cannot be called as described.
    #[error("the backend of service `{service}` is not usable")]
    Upstream {
        /// The service.
        service: Box<ServiceId>,
        /// Why.
        #[source]
        source: UpstreamBuildError,
    },
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct File {
    #[serde(default)]
    backend: Vec<Entry>,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Entry {
    /// Which service it answers.
    service: ServiceId,
    /// `rest` or `soap`. Default: `rest`.
    #[serde(default)]
    protocol: Protocol,
    /// Which version of a SOAP service. Default: the one without version.
    #[serde(default)]
    version: Option<String>,
    /// File of the description of a SOAP service, WSDL, which `getWsdl` gives out as it is. Default: none.
    #[serde(default)]
    wsdl: Option<PathBuf>,
    /// A call is given up after this, body and answer included. Default: 60 s.
    #[serde(
        default = "Entry::default_time_max",
        with = "jiff::fmt::serde::unsigned_duration::friendly::compact::required"
    )]
    time_max: Duration,
    /// Where it is, and how it is called.
    upstream: UpstreamConfig,
}

impl Entry {
    /// As X-Road's.
    fn default_time_max() -> Duration {
        Duration::from_secs(60)
    }
}

impl Backends {
    /// Reads the list, and the certificates and secrets that it names, relative to `folder`; connects to nobody yet.
    /// `note` learns of each such file before it is read; descriptions are read by `read`.
    ///
    /// # Errors
    /// [`BackendsError`] names the line or the service.
    pub fn parse(
        text: &str,
        folder: &Path,
        note: impl Fn(&UpstreamConfig),
        read: impl Fn(&Path) -> std::io::Result<Vec<u8>>,
    ) -> Result<Self, BackendsError> {
        let file: File = from_toml(text).map_err(BackendsError::Malformed)?;
        let mut backends = Self::default();
        for Entry { service, protocol, version, wsdl, time_max, mut upstream } in file.backend {
            upstream.resolve(folder);
            note(&upstream);
            let upstream = Upstream::build(&upstream)
                .map_err(|source| BackendsError::Upstream { service: Box::new(service.clone()), source })?;
            let wsdl = wsdl.map(|file| read(&folder.join(file))).transpose();
            let wsdl = wsdl
                .map_err(|source| BackendsError::Wsdl { service: Box::new(service.clone()), source })?
                .map(Bytes::from);
            let backend = Arc::new(Backend { upstream, wsdl, time_max });
            let earlier = match protocol {
                Protocol::Rest => backends.rest.insert(service.clone(), backend),
                Protocol::Soap => {
                    let ServiceId { provider, code } = service.clone();
                    let provider = ClientId::Subsystem(provider);
                    backends.soap.insert(SoapServiceId { provider, code, version }, backend)
                }
            };
            if earlier.is_some() {
                return Err(BackendsError::Duplicate { service: Box::new(service) });
            }
        }
        Ok(backends)
    }

    /// The REST services that information systems answer.
    pub(crate) fn rest_services(&self) -> impl Iterator<Item = &ServiceId> {
        self.rest.keys()
    }

    /// The SOAP services that information systems answer.
    pub(crate) fn soap_services(&self) -> impl Iterator<Item = &SoapServiceId> {
        self.soap.keys()
    }

    /// What answers `service`, if no adapter does.
    pub(crate) fn find(&self, service: &ServiceId) -> Option<Arc<Backend>> {
        self.rest.get(service).cloned()
    }

    /// What answers a SOAP service.
    pub(crate) fn find_soap(&self, service: &SoapServiceId) -> Result<Arc<Backend>, Refusal> {
        let is_rest = || service.unversioned().is_some_and(|service| self.rest.contains_key(&service));
        let unknown = || if is_rest() { Refusal::ServiceType } else { Refusal::UnknownService };
        self.soap.get(service).cloned().ok_or_else(unknown)
    }
}

/// Why an information system gave no answer.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum BackendError {
    /// It did not begin to answer.
    #[error("the information system did not answer")]
    Unanswered(#[source] UpstreamError),
    /// It did not answer to the end.
    #[error("the answer of the information system did not come whole")]
    Answer(#[source] IncomingError),
    /// It answered a SOAP request with another HTTP status than SOAP has, or without media type.
    #[error("the information system answered with HTTP status {status}, which is not an answer in SOAP")]
    Status {
        /// Which.
        status: u16,
    },
    /// It answered with a fault, which goes back as it is.
    #[error("the information system refused: {}: {}", .0.code, .0.string)]
    Fault(Box<SoapFault>),
    /// It answered another request.
    #[error(transparent)]
    Inconsistent(InconsistentResponse),
}

impl BackendError {
    /// The stable code.
    pub fn code(&self) -> &'static str {
        match self {
            Self::Unanswered(error) => error.code(),
            Self::Answer(IncomingError::TooLarge { .. }) => "backend.too_large",
            Self::Answer(IncomingError::Slow) => "backend.slow",
            Self::Answer(IncomingError::Spool(_)) => "exchange.spool",
            Self::Answer(IncomingError::Related(error)) => error.code(),
            Self::Answer(_) => "backend.broken_off",
            Self::Status { .. } => "backend.status",
            Self::Fault(_) => "backend.fault",
            Self::Inconsistent(error) => error.code(),
        }
    }

    /// X-Road's code.
    pub fn xroad_code(&self) -> String {
        let reason = match self {
            Self::Unanswered(UpstreamError::Request { .. }) => "internal_error",
            Self::Unanswered(_) | Self::Answer(IncomingError::Slow | IncomingError::Broken(_)) => {
                "network_error"
            }
            Self::Answer(IncomingError::Related(error)) => error.xroad_code(),
            Self::Answer(_) => "io_error",
            Self::Status { .. } => "http_error",
            Self::Fault(fault) => return fault.fault_code().as_str().to_owned(),
            Self::Inconsistent(error) => error.xroad_code(),
        };
        format!("service_failed.{reason}")
    }
}

/// An information system.
#[derive(Debug)]
pub(crate) struct Backend {
    upstream: Upstream,
    /// Its description, if it speaks SOAP and has one.
    pub(crate) wsdl: Option<Bytes>,
    time_max: Duration,
}

impl Backend {
    /// Calls it as `asked` says, and keeps what it answers until that can be signed.
    ///
    /// Source: `transport.md` section 4 of the reference notes.
    pub(crate) async fn call(
        &self,
        asked: &RestRequestHead,
        content: Option<&Spooled>,
        config: &ExchangeConfig,
    ) -> Result<Response<Option<Spooled>>, BackendError> {
        let deadline = Instant::now() + self.time_max;
        let method: &str = asked.method.into();
        let mut head = Request::new(());
        *head.method_mut() = method.parse().unwrap_or_default();
        for header in &asked.headers {
            let value = HeaderValue::from_bytes(header.value.as_bytes());
            if let (Ok(name), Ok(value)) = (header.name.parse::<http::HeaderName>(), value) {
                head.headers_mut().append(name, value);
            }
        }
        head.headers_mut().remove(HOST);
        head.headers_mut().insert(USER_AGENT, HeaderValue::from_static("uuk"));
        // X-Road's HTTP client has no body for other methods.
        let takes_body = matches!(*head.method(), Method::POST | Method::PUT | Method::PATCH);
        let content = content.filter(|_| takes_body);
        if let Some(content) = content {
            head.headers_mut().insert(CONTENT_LENGTH, content.size_bytes().into());
        }
        let content = || content.map_or_else(TransportBody::default, |content| body(content.stream()));
        let target = match &asked.query {
            Some(query) => format!("{}?{query}", asked.service_path),
            None => asked.service_path.clone(),
        };
        let response = self.upstream.stream(&target, head, content, deadline).await;
        let (head, answer) = response.map_err(BackendError::Unanswered)?.into_parts();
        let answer = whole(answer, config, deadline).await.map_err(BackendError::Answer)?;
        Ok(Response::from_parts(head, answer))
    }

    /// Calls it with a SOAP request; `http` are the headers by which the other server tells how the client sent it. Gives
    /// the media type of the answer, and the answer.
    ///
    /// Source: `messages.md` section 4 of the reference notes.
    pub(crate) async fn call_soap(
        &self,
        http: &HeaderMap,
        request: &Related,
        config: &ExchangeConfig,
    ) -> Result<(HeaderValue, Related), ExchangeError> {
        let deadline = Instant::now() + self.time_max;
        let name = "x-original-content-type";
        let content_type = http.get(name).ok_or(ExchangeError::Header { name })?;
        let content_type_text = content_type.to_str().map_err(|_| ExchangeError::Header { name })?;
        let Related { headers, message, attachments } = request;
        // Once before it is sent, to know that it can be written.
        related::write(content_type_text, headers, message.bytes(), attachments)?;

        let mut head = Request::new(());
        *head.method_mut() = Method::POST;
        head.headers_mut().insert(CONTENT_TYPE, content_type.clone());
        head.headers_mut().insert(USER_AGENT, HeaderValue::from_static("uuk"));
        // An envelope alone has a length, which old information systems want to know.
        if !content_type_text.to_ascii_lowercase().starts_with("multipart/") {
            head.headers_mut().insert(CONTENT_LENGTH, message.bytes().len().into());
        }
        if let Some(action) = http.get("x-original-soapaction") {
            head.headers_mut().insert("soapaction", action.clone());
        }
        let content =
            || related::write(content_type_text, headers, message.bytes(), attachments).unwrap_or_default();
        let response = self.upstream.stream("", head, content, deadline).await;
        let (head, answer) = response.map_err(BackendError::Unanswered)?.into_parts();
        let status = head.status.as_u16();
        let is_soap = matches!(head.status, StatusCode::OK | StatusCode::INTERNAL_SERVER_ERROR);
        let content_type = head.headers.get(CONTENT_TYPE).filter(|_| is_soap);
        let content_type = content_type.ok_or(BackendError::Status { status })?.clone();
        let content_type_text = content_type.to_str().map_err(|_| BackendError::Status { status })?;
        let answer = related::read(answer, content_type_text, Direction::Response, config, deadline).await;
        match answer.map_err(BackendError::Answer)? {
            Sent::Message(answer) => Ok((content_type, answer)),
            Sent::Fault(fault) => Err(BackendError::Fault(Box::new(fault)).into()),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const REST: &str =
        "[[backend]]\nservice = 'KG/GOV/70000001/registry/person'\nupstream.base = 'http://10.0.0.1'\n";

    fn parse(text: &str) -> Result<Backends, BackendsError> {
        Backends::parse(text, Path::new(""), |_| {}, |_| Err(std::io::ErrorKind::NotFound.into()))
    }

    #[test]
    fn a_service_speaks_rest_or_soap_in_some_version() {
        let soap = format!("{REST}protocol = 'soap'\n");
        let backends = parse(&format!("{REST}{soap}{soap}version = 'v1'\n")).unwrap();
        let service: ServiceId = "KG/GOV/70000001/registry/person".parse().unwrap();
        assert!(backends.find(&service).is_some());
        let of_version = |version: Option<&str>| SoapServiceId {
            provider: ClientId::Subsystem(service.provider.clone()),
            code: service.code.clone(),
            version: version.map(str::to_owned),
        };
        assert!(backends.find_soap(&of_version(None)).is_ok());
        assert!(backends.find_soap(&of_version(Some("v1"))).is_ok());
        let refused = backends.find_soap(&of_version(Some("v2"))).unwrap_err();
        assert_eq!(refused.code(), "proxy.service_type");
    }

    #[test]
    fn refuses_a_service_listed_twice() {
        assert!(matches!(parse(&REST.repeat(2)), Err(BackendsError::Duplicate { .. })));
    }

    #[test]
    fn names_the_service_whose_information_system_cannot_be_called() {
        let Err(error) = parse(&REST.replace("http:", "https:")) else { panic!("accepted") };
        assert!(error.to_string().contains("registry/person"), "{error}");
    }

    #[test]
    fn names_the_service_whose_description_cannot_be_read() {
        let Err(error) = parse(&format!("{REST}wsdl = 'person.wsdl'\n")) else { panic!("accepted") };
        assert!(error.to_string().contains("registry/person"), "{error}");
    }

    #[test]
    fn refuses_a_misspelt_key() {
        for wrong in ["protocl = 'soap'", "protocol = 'xml'", "upstream.bse = ''"] {
            assert!(
                matches!(parse(&format!("{REST}{wrong}\n")), Err(BackendsError::Malformed(_))),
                "{wrong}"
            );
        }
    }
}
