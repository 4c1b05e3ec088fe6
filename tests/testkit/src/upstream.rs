//! An upstream: a register of vehicles with a JSON API over HTTP, as an agency may already run one.
//!
//! `GET /v1/vehicles/{plate}` answers with one of a thousand vehicles, `01KG000AAA` to `01KG999AAA`;
//! `GET /v1/vehicles?owner_pin=…` lists an owner's. Told to, it misbehaves as servers do.

use std::convert::Infallible;
use std::io;
use std::net::SocketAddr;
use std::path::PathBuf;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use anyhow::{Context, Result};
use base64::Engine;
use base64::prelude::BASE64_STANDARD;
use bytes::Bytes;
use futures_util::stream;
use http::header::{AUTHORIZATION, CONTENT_LENGTH, CONTENT_TYPE, LOCATION, SET_COOKIE, WWW_AUTHENTICATE};
use http::{HeaderMap, HeaderValue, Method, Request, Response, StatusCode};
use http_body_util::combinators::BoxBody;
use http_body_util::{BodyExt, Collected, Full, StreamBody};
use hyper::body::{Frame, Incoming};
use hyper::server::conn::http1;
use hyper::service::service_fn;
use hyper_util::rt::TokioIo;
use rustls::crypto::aws_lc_rs::default_provider;
use rustls::server::WebPkiClientVerifier;
use rustls::{RootCertStore, ServerConfig};
use rustls_pki_types::pem::PemObject;
use rustls_pki_types::{CertificateDer, PrivateKeyDer};
use serde_json::{Value, json};
use tokio::net::{TcpListener, TcpStream};
use tokio::task::{JoinHandle, JoinSet};
use tokio_rustls::TlsAcceptor;

use crate::tls_authority::TlsFiles;

/// User of basic authentication, and client identifier of OAuth 2.
pub const USER: &str = "uuk";
/// Password of basic authentication, and client secret of OAuth 2.
pub const PASSWORD: &str = "correct horse: battery";

const VEHICLES: usize = 1000;

/// How the upstream is reached and protected.
#[derive(Debug, Clone, Default)]
pub struct UpstreamOptions {
    /// What a request must carry.
    pub access: Access,
    /// Identity of the server; plain HTTP without.
    pub tls: Option<TlsFiles>,
    /// Certificate of the authority that must vouch for clients.
    pub client_authority: Option<PathBuf>,
    /// Where to listen on 127.0.0.1; 0 lets the system choose.
    pub port: u16,
}

/// What a request must carry.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum Access {
    #[default]
    Open,
    Basic,
    /// A bearer token from `/oauth2/token`.
    OAuth2,
}

/// What the API does with the next requests. The token endpoint always behaves.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub enum Behaviour {
    #[default]
    Answer,
    /// Answers 302 to this address.
    Redirect(String),
    /// Never answers.
    Stall,
    /// Sends that many bytes without announcing them.
    Huge(u64),
    /// Announces more than it sends, and closes.
    BreakOff,
    /// Answers 401 whatever the token.
    Unauthorized,
}

/// A running upstream; it stops when dropped.
#[derive(Debug)]
pub struct VehiclesUpstream {
    address: SocketAddr,
    scheme: &'static str,
    register: Arc<Register>,
    connections: Arc<Mutex<JoinSet<()>>>,
    accepting: JoinHandle<()>,
}

impl VehiclesUpstream {
    pub async fn start(options: UpstreamOptions) -> Result<Self> {
        let socket = TcpListener::bind(("127.0.0.1", options.port)).await?;
        let address = socket.local_addr()?;
        let tls = options.tls.as_ref().map(|files| acceptor(files, options.client_authority.as_ref()));
        let tls = tls.transpose().context("cannot set up TLS of the upstream")?;
        let scheme = if tls.is_some() { "https" } else { "http" };
        let register = Arc::new(Register { access: options.access, ..Register::default() });
        let connections = Arc::new(Mutex::new(JoinSet::new()));
        let accepting = tokio::spawn(accept(socket, tls, register.clone(), connections.clone()));
        Ok(Self { address, scheme, register, connections, accepting })
    }

    pub fn address(&self) -> SocketAddr {
        self.address
    }

    /// URL of the API.
    pub fn base(&self) -> String {
        format!("{}://{}/v1", self.scheme, self.address)
    }

    /// URL of the token endpoint.
    pub fn token_url(&self) -> String {
        format!("{}://{}/oauth2/token", self.scheme, self.address)
    }

    pub fn behave(&self, behaviour: Behaviour) {
        *lock(&self.register.behaviour) = behaviour;
    }

    /// Makes every token given out so far worthless.
    pub fn revoke_tokens(&self) {
        self.register.tokens_revoked.store(self.token_requests(), Ordering::SeqCst);
    }

    /// Closes every open connection, without a word, and returns when they are closed.
    pub async fn close_connections(&self) {
        let mut open = std::mem::take(&mut *lock(&self.connections));
        open.shutdown().await;
    }

    /// Requests for a token so far.
    pub fn token_requests(&self) -> usize {
        self.register.token_requests.load(Ordering::SeqCst)
    }

    /// Requests to the API so far.
    pub fn requests(&self) -> usize {
        self.register.requests.load(Ordering::SeqCst)
    }

    /// Connections accepted so far.
    pub fn connections(&self) -> usize {
        self.register.connections.load(Ordering::SeqCst)
    }

    /// Head of the last request to the API.
    pub fn last_request(&self) -> Option<Request<()>> {
        lock(&self.register.last_request).clone()
    }
}

impl Drop for VehiclesUpstream {
    fn drop(&mut self) {
        self.accepting.abort();
        lock(&self.connections).abort_all();
    }
}

/// The state behind the API.
#[derive(Debug, Default)]
struct Register {
    access: Access,
    behaviour: Mutex<Behaviour>,
    token_requests: AtomicUsize,
    /// Tokens are numbered; those up to this number are no longer taken.
    tokens_revoked: AtomicUsize,
    requests: AtomicUsize,
    connections: AtomicUsize,
    last_request: Mutex<Option<Request<()>>>,
}

type Answer = Response<BoxBody<Bytes, io::Error>>;

impl Register {
    async fn answer(&self, request: Request<Incoming>) -> Answer {
        if request.uri().path() == "/oauth2/token" {
            return self.give_token(request).await;
        }
        self.requests.fetch_add(1, Ordering::SeqCst);
        let (head, body) = request.into_parts();
        let answer = self.answer_api(&head.method, &head.uri, &head.headers);
        *lock(&self.last_request) = Some(Request::from_parts(head, ()));
        // A server that leaves a body unread makes the next request on the connection unreadable.
        let _ = body.collect().await;
        match answer {
            Some(answer) => answer,
            None => std::future::pending().await,
        }
    }

    /// Absent if nothing is ever answered.
    fn answer_api(&self, method: &Method, uri: &http::Uri, headers: &HeaderMap) -> Option<Answer> {
        match lock(&self.behaviour).clone() {
            Behaviour::Stall => None,
            Behaviour::Redirect(target) => Some(redirect(&target)),
            Behaviour::Huge(size_bytes) => Some(huge(size_bytes)),
            Behaviour::BreakOff => Some(broken_off()),
            Behaviour::Unauthorized => Some(unauthorized()),
            Behaviour::Answer if !self.is_authorized(headers) => Some(unauthorized()),
            Behaviour::Answer if method != Method::GET => {
                Some(answer_json(StatusCode::METHOD_NOT_ALLOWED, &json!({"error": "read_only"})))
            }
            Behaviour::Answer => Some(look_up(uri)),
        }
    }

    fn is_authorized(&self, headers: &HeaderMap) -> bool {
        let authorization = headers.get(AUTHORIZATION).and_then(|value| value.to_str().ok());
        match self.access {
            Access::Open => true,
            Access::Basic => authorization == Some(&basic(PASSWORD)),
            Access::OAuth2 => authorization
                .and_then(|value| value.strip_prefix("Bearer token-")?.parse::<usize>().ok())
                .is_some_and(|number| number > self.tokens_revoked.load(Ordering::SeqCst)),
        }
    }

    /// RFC 6749 §4.4, with the client's credentials encoded as §2.3.1 says.
    async fn give_token(&self, request: Request<Incoming>) -> Answer {
        let number = self.token_requests.fetch_add(1, Ordering::SeqCst) + 1;
        let authorized = request
            .headers()
            .get(AUTHORIZATION)
            .is_some_and(|value| value == &basic("correct%20horse%3A%20battery"));
        let form = request.into_body().collect().await.map(Collected::to_bytes).unwrap_or_default();
        if !authorized {
            return answer_json(StatusCode::UNAUTHORIZED, &json!({"error": "invalid_client"}));
        }
        if !form.split(|byte| *byte == b'&').any(|field| field == b"grant_type=client_credentials") {
            return answer_json(StatusCode::BAD_REQUEST, &json!({"error": "unsupported_grant_type"}));
        }
        let token =
            json!({"access_token": format!("token-{number}"), "token_type": "Bearer", "expires_in": 3600});
        answer_json(StatusCode::OK, &token)
    }
}

async fn accept(
    socket: TcpListener,
    tls: Option<TlsAcceptor>,
    register: Arc<Register>,
    connections: Arc<Mutex<JoinSet<()>>>,
) {
    while let Ok((stream, _)) = socket.accept().await {
        register.connections.fetch_add(1, Ordering::SeqCst);
        lock(&connections).spawn(serve(stream, tls.clone(), register.clone()));
    }
}

/// Errors are the client's to see: it is what is being tested.
async fn serve(stream: TcpStream, tls: Option<TlsAcceptor>, register: Arc<Register>) {
    let service = service_fn(|request| async { Ok::<_, Infallible>(register.answer(request).await) });
    let server = http1::Builder::new();
    match tls {
        None => drop(server.serve_connection(TokioIo::new(stream), service).await),
        Some(tls) => {
            let Ok(stream) = tls.accept(stream).await else { return };
            drop(server.serve_connection(TokioIo::new(stream), service).await);
        }
    }
}

pub(crate) fn acceptor(files: &TlsFiles, client_authority: Option<&PathBuf>) -> Result<TlsAcceptor> {
    let provider = Arc::new(default_provider());
    let builder =
        ServerConfig::builder_with_provider(provider.clone()).with_safe_default_protocol_versions()?;
    let builder = match client_authority {
        None => builder.with_no_client_auth(),
        Some(authority) => {
            let mut roots = RootCertStore::empty();
            roots.add(CertificateDer::from_pem_file(authority)?)?;
            let verifier = WebPkiClientVerifier::builder_with_provider(Arc::new(roots), provider).build()?;
            builder.with_client_cert_verifier(verifier)
        }
    };
    let chain = vec![CertificateDer::from_pem_file(&files.certificate)?];
    let config = builder.with_single_cert(chain, PrivateKeyDer::from_pem_file(&files.key)?)?;
    Ok(TlsAcceptor::from(Arc::new(config)))
}

fn look_up(uri: &http::Uri) -> Answer {
    let found = match uri.path().strip_prefix("/v1/vehicles") {
        Some("") => owner_pin(uri).map(|owner_pin| {
            let owned = (0..VEHICLES).map(vehicle).filter(|vehicle| vehicle["owner_pin"] == owner_pin);
            json!({"vehicles": owned.collect::<Vec<_>>()})
        }),
        Some(path) => path.strip_prefix('/').and_then(number).map(vehicle),
        None => None,
    };
    match found {
        Some(found) => answer_json(StatusCode::OK, &found),
        None => answer_json(StatusCode::NOT_FOUND, &json!({"error": "not_found"})),
    }
}

fn owner_pin(uri: &http::Uri) -> Option<&str> {
    uri.query()?.split('&').find_map(|field| field.strip_prefix("owner_pin="))
}

fn number(plate: &str) -> Option<usize> {
    let number = plate.strip_prefix("01KG")?.strip_suffix("AAA")?;
    if number.len() == 3 { number.parse().ok() } else { None }
}

#[expect(clippy::indexing_slicing, reason = "every index is taken modulo the length")]
fn vehicle(number: usize) -> Value {
    const MODELS: [(&str, &str); 4] =
        [("Toyota", "Camry"), ("Honda", "Fit"), ("Hyundai", "Sonata"), ("Lada", "Niva")];
    const COLOURS: [&str; 3] = ["white", "silver", "blue"];
    let (make, model) = MODELS[number % MODELS.len()];
    json!({
        "plate": format!("01KG{number:03}AAA"),
        "make": make,
        "model": model,
        "year": 1998 + number % 27,
        "colour": COLOURS[number % COLOURS.len()],
        // Three vehicles to an owner.
        "owner_pin": format!("10101199{:06}", number / 3),
    })
}

fn answer_json(status: StatusCode, document: &Value) -> Answer {
    let mut answer = Response::new(full(document.to_string()));
    *answer.status_mut() = status;
    answer.headers_mut().insert(CONTENT_TYPE, HeaderValue::from_static("application/json"));
    answer.headers_mut().insert(SET_COOKIE, HeaderValue::from_static("session=for-nobody-else"));
    answer
}

fn unauthorized() -> Answer {
    let mut answer = answer_json(StatusCode::UNAUTHORIZED, &json!({"error": "invalid_token"}));
    answer.headers_mut().insert(WWW_AUTHENTICATE, HeaderValue::from_static("Bearer realm=\"vehicles\""));
    answer
}

fn redirect(target: &str) -> Answer {
    let mut answer = answer_json(StatusCode::FOUND, &json!({"moved": target}));
    if let Ok(target) = HeaderValue::from_str(target) {
        answer.headers_mut().insert(LOCATION, target);
    }
    answer
}

fn huge(size_bytes: u64) -> Answer {
    const CHUNK: &[u8] = &[b'x'; 64 * 1024];
    let chunks = size_bytes.div_ceil(CHUNK.len() as u64);
    let frames = (0..chunks).map(|_| Ok(Frame::data(Bytes::from_static(CHUNK))));
    Response::new(StreamBody::new(stream::iter(frames)).boxed())
}

fn broken_off() -> Answer {
    let frames = [Ok(Frame::data(Bytes::from_static(b"{\"plate\":"))), Err(io::ErrorKind::BrokenPipe.into())];
    let mut answer = Response::new(StreamBody::new(stream::iter(frames)).boxed());
    answer.headers_mut().insert(CONTENT_LENGTH, HeaderValue::from_static("1000"));
    answer
}

fn full(text: String) -> BoxBody<Bytes, io::Error> {
    Full::from(text).map_err(|never| match never {}).boxed()
}

fn basic(password: &str) -> String {
    format!("Basic {}", BASE64_STANDARD.encode(format!("{USER}:{password}")))
}

fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}
