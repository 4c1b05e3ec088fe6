//! An authority that says when something existed.

use std::net::SocketAddr;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex};
use std::time::Duration;

use anyhow::Result;
use bytes::Bytes;
use http::{Method, Request, StatusCode};
use jiff::tz::TimeZone;
use uuk_pki::{Certificate, TimeStampRequest, TimeStamper};
use uuk_process::Clock;

use super::http_server::{Answer, BoundServer, Fault, HttpServer, refusal, success};
use super::identity::Identity;
use super::lock;
use crate::authority::{Authority, KeyKind};

/// `TimeStampResp` with `PKIStatus` rejection (2), as RFC 3161 §2.4.2 has it.
const REJECTION: &[u8] = &[0x30, 5, 0x30, 3, 2, 1, 2];

/// An authority: POST of an `application/timestamp-query` to any path (RFC 3161 §3.4).
#[derive(Debug)]
pub struct TimeStampingAuthority {
    server: HttpServer,
    stamper: Arc<Stamper>,
}

/// How an authority answers.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum Stamping {
    /// It stamps what it gets.
    #[default]
    Granting,
    /// It says that it does not.
    Refusing,
    /// It stamps with a time this long ago.
    Late(Duration),
    /// It stamps with a key that is not its own.
    AsStranger,
}

#[derive(Debug)]
struct Stamper {
    clock: Clock,
    top: Certificate,
    identity: Identity,
    stamping: Mutex<Stamping>,
    serial: AtomicU64,
}

impl TimeStampingAuthority {
    /// Starts an authority with a key of `kind`; `port` 0 lets the system choose.
    pub async fn start(name: &str, kind: KeyKind, port: u16, clock: &Clock) -> Result<Self> {
        let top = Authority::new(&format!("{name} root"), clock.now().to_zoned(TimeZone::UTC).date())?;
        let stamper = Arc::new(Stamper {
            clock: clock.clone(),
            top: Certificate::from_der(&top.der())?,
            identity: top.issue_for_time_stamping(name, kind)?.try_into()?,
            stamping: Mutex::default(),
            serial: AtomicU64::new(1),
        });
        let stamping = stamper.clone();
        let server = BoundServer::bind(port).await?.serve(move |request| stamping.answer(request));
        Ok(Self { server, stamper })
    }

    /// Where to ask.
    pub fn url(&self) -> String {
        self.server.url()
    }

    /// Where it listens.
    pub fn address(&self) -> SocketAddr {
        self.server.address()
    }

    /// The certificate of its stamps.
    pub fn certificate(&self) -> &Certificate {
        self.stamper.identity.certificate()
    }

    /// The certificate of the authority that issued it.
    pub fn top(&self) -> &Certificate {
        &self.stamper.top
    }

    /// Requests so far.
    pub fn requests(&self) -> usize {
        self.server.requests()
    }

    /// What it does with requests from now on.
    pub fn fail(&self, fault: Fault) {
        self.server.fail(fault);
    }

    /// How it answers from now on.
    pub fn stamp(&self, stamping: Stamping) {
        *lock(&self.stamper.stamping) = stamping;
    }
}

impl Stamper {
    fn answer(&self, request: &Request<Bytes>) -> Answer {
        if request.method() != Method::POST {
            return refusal(StatusCode::METHOD_NOT_ALLOWED, "POST a time-stamp query");
        }
        match self.stamp(request.body()) {
            Ok(response) => success("application/timestamp-reply", response),
            Err(error) => refusal(StatusCode::BAD_REQUEST, format!("{error:#}")),
        }
    }

    fn stamp(&self, request: &[u8]) -> Result<Vec<u8>> {
        let request = TimeStampRequest::from_der(request)?;
        let (stamping, now) = (*lock(&self.stamping), self.clock.now());
        let time = match stamping {
            Stamping::Refusing => return Ok(REJECTION.to_vec()),
            Stamping::Late(delay) => now - delay,
            Stamping::Granting | Stamping::AsStranger => now,
        };
        let stranger;
        let identity = if stamping == Stamping::AsStranger {
            stranger = Identity::self_signed("Stranger", now.to_zoned(TimeZone::UTC).date())?;
            &stranger
        } else {
            &self.identity
        };
        let stamper = TimeStamper { certificate: identity.certificate(), key: &identity.signing_key()? };
        let token = stamper.stamp(&request, self.serial.fetch_add(1, Ordering::SeqCst), time)?;
        Ok(token.to_response()?)
    }
}
