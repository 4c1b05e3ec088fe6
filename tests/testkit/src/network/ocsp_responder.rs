//! A responder that says which certificates of an authority are good.

use std::net::SocketAddr;
use std::sync::{Arc, Mutex};
use std::time::Duration;

use anyhow::Result;
use bytes::Bytes;
use http::{Method, Request, StatusCode};
use jiff::tz::TimeZone;
use uuk_pki::{OcspAnswer, OcspRequest, ResponseStatus};

use super::certification_authority::Register;
use super::http_server::{Answer, BoundServer, Fault, HttpServer, refusal, success};
use super::identity::Identity;
use super::lock;

/// How long an answer counts, by what it says itself.
const VALIDITY: Duration = Duration::from_secs(3600);

/// A responder: POST of an `application/ocsp-request` to any path (RFC 6960 Appendix A). For each authority it answers
/// with a certificate that the authority issued to it for that purpose.
#[derive(Debug)]
pub struct OcspResponder {
    server: HttpServer,
    answering: Arc<Mutex<Answering>>,
}

/// How a responder answers.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum Answering {
    /// As things are.
    #[default]
    Honestly,
    /// As things were this long ago.
    Stale(Duration),
    /// Not, but it says why.
    Refusing(ResponseStatus),
    /// With the signature of someone whom nobody asked.
    AsStranger,
}

impl OcspResponder {
    pub(super) fn new(socket: BoundServer, register: Arc<Register>) -> Self {
        let answering = Arc::new(Mutex::default());
        let current = answering.clone();
        let server = socket.serve(move |request| {
            let answering = *lock(&current);
            answer(request, &register, answering)
        });
        Self { server, answering }
    }

    /// Where to ask.
    pub fn url(&self) -> String {
        self.server.url()
    }

    /// Where it listens.
    pub fn address(&self) -> SocketAddr {
        self.server.address()
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
    pub fn answer(&self, answering: Answering) {
        *lock(&self.answering) = answering;
    }
}

fn answer(request: &Request<Bytes>, register: &Register, answering: Answering) -> Answer {
    if request.method() != Method::POST {
        return refusal(StatusCode::METHOD_NOT_ALLOWED, "POST an OCSP request");
    }
    let der: Result<Vec<u8>> = match (OcspRequest::from_der(request.body()), answering) {
        (Err(_), _) => ResponseStatus::MalformedRequest.refusal().map_err(Into::into),
        (Ok(_), Answering::Refusing(status)) => status.refusal().map_err(Into::into),
        (Ok(request), _) => sign(request, register, answering),
    };
    match der {
        Ok(der) => success("application/ocsp-response", der),
        Err(error) => refusal(StatusCode::INTERNAL_SERVER_ERROR, format!("{error:#}")),
    }
}

fn sign(request: OcspRequest, register: &Register, answering: Answering) -> Result<Vec<u8>> {
    let now = register.clock().now();
    let this_update = match answering {
        Answering::Stale(age) => now - age,
        _ => now,
    };
    let (status, issuer) = register.status(&request.certificate);
    let stranger;
    let responder = match answering {
        Answering::AsStranger => {
            stranger = Identity::self_signed("Stranger", now.to_zoned(TimeZone::UTC).date())?;
            &stranger
        }
        _ => &issuer.responder,
    };
    let next_update = Some(this_update + VALIDITY);
    let answer = OcspAnswer { certificate: request.certificate, status, this_update, next_update };
    Ok(answer.sign(responder.certificate(), &responder.signing_key()?)?)
}
