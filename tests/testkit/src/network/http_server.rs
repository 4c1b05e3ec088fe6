//! A small HTTP server on 127.0.0.1 that can be made to fail.

use std::fmt;
use std::io;
use std::net::{Ipv4Addr, SocketAddr};
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex};
use std::time::Duration;

use anyhow::{Context, Result};
use bytes::Bytes;
use http::header::CONTENT_TYPE;
use http::{HeaderValue, Request, Response, StatusCode};
use http_body_util::{BodyExt, Full, Limited};
use hyper::body::Incoming;
use hyper::server::conn::http1;
use hyper::service::service_fn;
use hyper_util::rt::TokioIo;
use tokio::net::{TcpListener, TcpStream};
use tokio::task::{JoinHandle, JoinSet};
use tokio_rustls::TlsAcceptor;

use super::lock;

const REQUEST_BYTES_MAX: usize = 1 << 20;

/// The first byte that a TLS client sends (RFC 8446 §5.1), and no HTTP client does.
const TLS_HANDSHAKE: u8 = 22;

/// What a server does instead of answering.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum Fault {
    /// It answers.
    #[default]
    None,
    /// It closes every connection without a word, as a process does that dies.
    Down,
    /// It answers after this long.
    Slow(Duration),
    /// It says that it cannot answer now: 503.
    Unavailable,
    /// It answers with bytes that mean nothing.
    Garbage,
}

/// A server that listens already and does not answer yet.
#[derive(Debug)]
pub(super) struct BoundServer {
    socket: TcpListener,
    address: SocketAddr,
}

/// A running server; it stops when dropped.
#[derive(Debug)]
pub(super) struct HttpServer {
    address: SocketAddr,
    service: Arc<Service>,
    accepting: JoinHandle<()>,
}

pub(super) type Answer = Response<Full<Bytes>>;

type Answering = dyn Fn(&Request<Bytes>) -> Answer + Send + Sync;

struct Service {
    tls: Option<TlsAcceptor>,
    answer: Box<Answering>,
    fault: Mutex<Fault>,
    requests: AtomicUsize,
}

impl BoundServer {
    /// Listens at `port` of 127.0.0.1; 0 lets the system choose.
    pub(super) async fn bind(port: u16) -> Result<Self> {
        let socket = TcpListener::bind((Ipv4Addr::LOCALHOST, port)).await;
        let socket = socket.with_context(|| format!("cannot listen at port {port} of 127.0.0.1"))?;
        Ok(Self { address: socket.local_addr()?, socket })
    }

    /// The root of its URLs, without a slash at its end.
    pub(super) fn url(&self) -> String {
        format!("http://{}", self.address)
    }

    pub(super) fn serve(
        self,
        answer: impl Fn(&Request<Bytes>) -> Answer + Send + Sync + 'static,
    ) -> HttpServer {
        self.serve_with(None, answer)
    }

    /// With `tls` it speaks both, as the client begins.
    pub(super) fn serve_with(
        self,
        tls: Option<TlsAcceptor>,
        answer: impl Fn(&Request<Bytes>) -> Answer + Send + Sync + 'static,
    ) -> HttpServer {
        let service = Arc::new(Service {
            tls,
            answer: Box::new(answer),
            fault: Mutex::default(),
            requests: AtomicUsize::new(0),
        });
        let accepting = tokio::spawn(accept(self.socket, service.clone()));
        HttpServer { address: self.address, service, accepting }
    }
}

impl HttpServer {
    pub(super) fn address(&self) -> SocketAddr {
        self.address
    }

    pub(super) fn url(&self) -> String {
        format!("http://{}", self.address)
    }

    /// What it does with the requests from now on.
    pub(super) fn fail(&self, fault: Fault) {
        *lock(&self.service.fault) = fault;
    }

    /// Requests so far.
    pub(super) fn requests(&self) -> usize {
        self.service.requests.load(Ordering::SeqCst)
    }
}

impl Drop for HttpServer {
    fn drop(&mut self) {
        self.accepting.abort();
    }
}

impl fmt::Debug for Service {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.debug_struct("Service").field("fault", &self.fault).finish_non_exhaustive()
    }
}

/// The connections end with this task.
async fn accept(socket: TcpListener, service: Arc<Service>) {
    let mut connections = JoinSet::new();
    loop {
        while connections.try_join_next().is_some() {}
        match socket.accept().await {
            Ok(_) if *lock(&service.fault) == Fault::Down => {}
            Ok((stream, _)) => drop(connections.spawn(serve(stream, service.clone()))),
            // Running out of descriptors passes.
            Err(_) => tokio::time::sleep(Duration::from_millis(50)).await,
        }
    }
}

/// Errors are the client's to see: it is what is being tested.
async fn serve(stream: TcpStream, service: Arc<Service>) {
    let answer = service_fn(|request| service.answer(request));
    let mut first = [0];
    let begins_with_handshake = matches!(stream.peek(&mut first).await, Ok(1)) && first == [TLS_HANDSHAKE];
    match service.tls.as_ref().filter(|_| begins_with_handshake) {
        None => drop(http1::Builder::new().serve_connection(TokioIo::new(stream), answer).await),
        Some(tls) => {
            let Ok(stream) = tls.accept(stream).await else { return };
            drop(http1::Builder::new().serve_connection(TokioIo::new(stream), answer).await);
        }
    }
}

impl Service {
    async fn answer(&self, request: Request<Incoming>) -> io::Result<Answer> {
        self.requests.fetch_add(1, Ordering::SeqCst);
        let fault = *lock(&self.fault);
        let (head, body) = request.into_parts();
        let body = Limited::new(body, REQUEST_BYTES_MAX).collect().await.map_err(io::Error::other)?;
        match fault {
            Fault::Down => return Err(io::ErrorKind::BrokenPipe.into()),
            Fault::Slow(delay) => tokio::time::sleep(delay).await,
            Fault::Unavailable => return Ok(refusal(StatusCode::SERVICE_UNAVAILABLE, "try later")),
            Fault::Garbage => return Ok(success("text/plain", "nothing that was asked for")),
            Fault::None => {}
        }
        Ok((self.answer)(&Request::from_parts(head, body.to_bytes())))
    }
}

pub(super) fn success(content_type: &'static str, body: impl Into<Bytes>) -> Answer {
    let mut answer = Response::new(Full::new(body.into()));
    answer.headers_mut().insert(CONTENT_TYPE, HeaderValue::from_static(content_type));
    answer
}

pub(super) fn refusal(status: StatusCode, reason: impl fmt::Display) -> Answer {
    let mut answer = success("text/plain", reason.to_string());
    *answer.status_mut() = status;
    answer
}
