//! Information systems that answer a service over HTTP themselves, without an adapter.

use std::collections::HashMap;
use std::path::Path;
use std::sync::Arc;
use std::time::{Duration, Instant};

use http::header::{CONTENT_LENGTH, HOST, USER_AGENT};
use http::{HeaderValue, Method, Request, Response};
use serde::Deserialize;
use uuk_globalconf::{Malformed, from_toml};
use uuk_identifiers::ServiceId;
use uuk_message::RestRequestHead;
use uuk_transport::{Upstream, UpstreamBody, UpstreamBuildError, UpstreamConfig, UpstreamError};

use crate::exchange::ExchangeConfig;
use crate::incoming::{IncomingError, whole};
use crate::outgoing::{TransportBody, body};
use crate::spool::Spooled;

/// Which information systems answer which services: the file `backends.toml`.
#[derive(Debug, Default)]
pub struct Backends {
    rest: HashMap<ServiceId, Arc<Backend>>,
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
    /// `note` learns of each such file before it is read.
    ///
    /// # Errors
    /// [`BackendsError`] names the line or the service.
    pub fn parse(text: &str, folder: &Path, note: impl Fn(&UpstreamConfig)) -> Result<Self, BackendsError> {
        let file: File = from_toml(text).map_err(BackendsError::Malformed)?;
        let mut backends = Self::default();
        for Entry { service, time_max, mut upstream } in file.backend {
            upstream.resolve(folder);
            note(&upstream);
            let upstream = Upstream::build(&upstream)
                .map_err(|source| BackendsError::Upstream { service: Box::new(service.clone()), source })?;
            let backend = Arc::new(Backend { upstream, time_max });
            if backends.rest.insert(service.clone(), backend).is_some() {
                return Err(BackendsError::Duplicate { service: Box::new(service) });
            }
        }
        Ok(backends)
    }

    /// The REST services that information systems answer.
    pub(crate) fn rest_services(&self) -> impl Iterator<Item = &ServiceId> {
        self.rest.keys()
    }

    /// What answers `service`, if no adapter does.
    pub(crate) fn find(&self, service: &ServiceId) -> Option<Arc<Backend>> {
        self.rest.get(service).cloned()
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
}

impl BackendError {
    /// The stable code.
    pub fn code(&self) -> &'static str {
        match self {
            Self::Unanswered(error) => error.code(),
            Self::Answer(IncomingError::TooLarge { .. }) => "backend.too_large",
            Self::Answer(IncomingError::Slow) => "backend.slow",
            Self::Answer(IncomingError::Spool(_)) => "exchange.spool",
            Self::Answer(_) => "backend.broken_off",
        }
    }

    /// X-Road's code.
    pub fn xroad_code(&self) -> &'static str {
        match self {
            Self::Unanswered(UpstreamError::Request { .. }) => "service_failed.internal_error",
            Self::Unanswered(_) | Self::Answer(IncomingError::Slow | IncomingError::Broken(_)) => {
                "service_failed.network_error"
            }
            Self::Answer(_) => "service_failed.io_error",
        }
    }
}

/// An information system.
#[derive(Debug)]
pub(crate) struct Backend {
    upstream: Upstream,
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
        // X-Road's HTTP client has no body for other methods.
        let takes_body = matches!(*head.method(), Method::POST | Method::PUT | Method::PATCH);
        let content = content.filter(|_| takes_body);
        let target = match &asked.query {
            Some(query) => format!("{}?{query}", asked.service_path),
            None => asked.service_path.clone(),
        };
        let response = self.send(&target, head, content, deadline).await?;
        let (head, answer) = response.into_parts();
        let answer = whole(answer, config, deadline).await.map_err(BackendError::Answer)?;
        Ok(Response::from_parts(head, answer))
    }

    async fn send(
        &self,
        target: &str,
        mut head: Request<()>,
        content: Option<&Spooled>,
        deadline: Instant,
    ) -> Result<Response<UpstreamBody>, BackendError> {
        let headers = head.headers_mut();
        headers.remove(HOST);
        headers.insert(USER_AGENT, HeaderValue::from_static("uuk"));
        if let Some(content) = content {
            headers.insert(CONTENT_LENGTH, content.size_bytes().into());
        }
        let content = || content.map_or_else(TransportBody::default, |content| body(content.stream()));
        self.upstream.stream(target, head, content, deadline).await.map_err(BackendError::Unanswered)
    }
}
