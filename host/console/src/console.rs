use std::net::SocketAddr;
use std::sync::Arc;
use std::time::{Duration, Instant};

use bytes::Bytes;
use http::request::Parts;
use http::{Method, Request, Response};
use http_body_util::Full;
use hyper::body::Incoming;
use tokio::sync::{OwnedSemaphorePermit, Semaphore};
use tokio_util::sync::CancellationToken;
use uuk_central::Central;
use uuk_central::vetting::BUNDLE_BYTES_MAX;
use uuk_transport::{Listener, ListenerError, read_body};

use crate::api;
use crate::config::ConsoleConfig;
use crate::desk::Desk;
use crate::openid::{OpenId, OpenIdError};
use crate::pages;
use crate::problem::Problem;
use crate::upload;

/// An application with all its persons and systems is a tenth of that.
const BODY_BYTES_MAX: u64 = 512 << 10;
const READ_TIME_MAX: Duration = Duration::from_secs(30);
/// What a browser puts around a bundle.
const FORM_BYTES_MAX: u64 = 4 << 10;
const UPLOAD_TIME_MAX: Duration = Duration::from_secs(300);
const UPLOADS_AT_ONCE: usize = 4;
const DOWNLOADS_AT_ONCE: usize = 8;

/// The pages and the API, on one address.
#[derive(Debug)]
pub struct Console {
    listener: Listener,
    desk: Desk,
}

/// What is asked, whole once the body is received.
#[derive(Debug)]
pub(crate) struct Asked {
    pub(crate) method: Method,
    pub(crate) path: String,
    pub(crate) query: String,
    parts: Parts,
    pub(crate) body: Bytes,
}

/// Why there are no pages.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum ConsoleError {
    /// Nobody could get to them.
    #[error(transparent)]
    Listener(#[from] ListenerError),
    /// Nobody could sign in as configured.
    #[error(transparent)]
    OpenId(#[from] OpenIdError),
}

impl ConsoleError {
    /// The stable code, of the cause.
    pub fn code(&self) -> &'static str {
        match self {
            Self::Listener(error) => error.code(),
            Self::OpenId(error) => error.code(),
        }
    }
}

impl Console {
    /// Binds the socket.
    ///
    /// # Errors
    /// [`ConsoleError`]
    pub fn build(mut config: ConsoleConfig, central: Arc<Central>) -> Result<Self, ConsoleError> {
        let [uploads, downloads] =
            [UPLOADS_AT_ONCE, DOWNLOADS_AT_ONCE].map(|at_once| Arc::new(Semaphore::new(at_once)));
        let openid = config.openid.take().map(OpenId::build).transpose()?.map(Arc::new);
        let contact = config.contact.take().map(Arc::new);
        let desk = Desk { central, openid, contact, uploads, downloads };
        Ok(Self { listener: Listener::bind(config.listener())?, desk })
    }

    /// Where it listens, with the port the system chose.
    pub fn address(&self) -> SocketAddr {
        self.listener.address()
    }

    /// Answers until `stop`.
    pub async fn run(self, stop: CancellationToken) {
        let Self { listener, desk } = self;
        let answer = move |request, _| {
            let desk = desk.clone();
            async move { answer(&desk, request).await }
        };
        listener.run(answer, stop).await;
    }
}

async fn answer(desk: &Desk, request: Request<Incoming>) -> Response<Full<Bytes>> {
    let (parts, body) = request.into_parts();
    let mut asked = Asked::of(parts);
    let received = asked.receive(desk, body).await;
    let reply = match asked.path.starts_with(api::PREFIX) {
        true => api::answer(desk, &asked, received).await.unwrap_or_else(|problem| problem.reply()),
        false => pages::answer(desk, &asked, received).await,
    };
    reply.into_response()
}

/// A body is here whole; if it is a bundle, this holds its place in memory.
pub(crate) struct Received {
    _place: Option<OwnedSemaphorePermit>,
}

impl Asked {
    fn of(parts: Parts) -> Self {
        let (method, path) = (parts.method.clone(), parts.uri.path().to_owned());
        let query = parts.uri.query().unwrap_or_default().to_owned();
        Self { method, path, query, parts, body: Bytes::new() }
    }

    /// Reads the body: a small one from anybody, a bundle only from those who may hand one in.
    async fn receive(&mut self, desk: &Desk, body: Incoming) -> Result<Received, Problem> {
        let place = upload::admit(desk, self).await?;
        let (bytes_max, time_max) = match place {
            Some(_) => (BUNDLE_BYTES_MAX as u64 + FORM_BYTES_MAX, UPLOAD_TIME_MAX),
            None => (BODY_BYTES_MAX, READ_TIME_MAX),
        };
        self.body = read_body(body, bytes_max, Instant::now() + time_max).await?;
        Ok(Received { _place: place })
    }

    /// The value of a header, if it is text and stands there once.
    pub(crate) fn header(&self, name: &str) -> Option<&str> {
        let mut values = self.parts.headers.get_all(name).iter();
        let value = values.next()?.to_str().ok()?;
        values.next().is_none().then_some(value)
    }

    /// The value of a cookie.
    pub(crate) fn cookie(&self, name: &str) -> Option<&str> {
        let mut cookies =
            self.header("cookie")?.split(';').filter_map(|cookie| cookie.trim().split_once('='));
        cookies.find(|(one, _)| *one == name).map(|(_, value)| value)
    }

    /// The parts of the path.
    pub(crate) fn segments(&self) -> Vec<&str> {
        self.path.split('/').filter(|segment| !segment.is_empty()).collect()
    }

    /// Refuses a body of another type.
    pub(crate) fn check_type(&self, expected: &'static str) -> Result<(), Problem> {
        let media_type = self.header("content-type").and_then(|value| value.split(';').next());
        match media_type.is_some_and(|media_type| media_type.trim().eq_ignore_ascii_case(expected)) {
            true => Ok(()),
            false => Err(Problem::MediaType { expected }),
        }
    }
}
