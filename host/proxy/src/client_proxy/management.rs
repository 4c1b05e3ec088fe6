//! What this server asks of the central server: to be registered, to move, to rest.

use std::net::{Ipv4Addr, Ipv6Addr};
use std::sync::Arc;
use std::time::{Duration, Instant};

use bytes::Bytes;
use http::header::CONTENT_TYPE;
use http::{Method, Request};
use http_body_util::BodyExt;
use ipnet::{IpNet, Ipv4Net, Ipv6Net};
use uuid::Uuid;
use uuk_globalconf::ManagementService;
use uuk_identifiers::{ClientId, SoapServiceId};
use uuk_message::{
    ManagementRequest, PartHeaders, Soap, SoapError, SoapFault, SoapHeader, signature_headers,
};
use uuk_signer::{CertificateStatus, OrderError, Proof};
use uuk_transport::{Upstream, UpstreamBuildError, UpstreamConfig, UpstreamError};

use super::{ClientProxy, envelope};
use crate::exchange::{Attachment, ExchangeError};
use crate::incoming::IncomingError;
use crate::related::{self, Related};
use crate::spool::Spooled;

/// The registration service answers within this.
const ANSWER_TIME_MAX: Duration = Duration::from_secs(60);
/// An answer is the request and a number.
const ANSWER_BYTES_MAX: u64 = 512 << 10;

/// Why the central server did not take a request.
#[derive(Debug, thiserror::Error, strum::IntoStaticStr)]
#[strum(serialize_all = "snake_case", prefix = "registration.")]
#[non_exhaustive]
pub enum RegistrationError {
    /// It did not get there, as no message would.
    #[error(transparent)]
    Exchange(#[from] ExchangeError),
    /// A key of this server did not sign.
    #[error(transparent)]
    Key(#[from] OrderError),
    /// What is asked cannot be written, such as a name with control characters.
    #[error("the request cannot be written")]
    Unwritable(#[source] SoapError),
    /// Nobody says where, or by which certificate to know who answers there.
    #[error("the global configuration does not say where certificates are registered")]
    Unknown,
    /// Where the global configuration says is no place to ask.
    #[error("the registration service of the central server cannot be asked")]
    Address(#[source] UpstreamBuildError),
    /// Nobody answers there.
    #[error("the registration service of the central server does not answer")]
    Unanswered(#[source] UpstreamError),
    /// What came is no answer.
    #[error("the answer of the central server cannot be read")]
    Unreadable,
    /// The central server looked at the request and refuses it.
    #[error("the central server refuses: {reason}")]
    Refused {
        /// In its words.
        reason: String,
    },
}

impl RegistrationError {
    /// The stable code.
    pub fn code(&self) -> &'static str {
        match self {
            Self::Exchange(error) => error.code(),
            Self::Key(error) => error.code(),
            other => other.into(),
        }
    }
}

impl From<SoapFault> for RegistrationError {
    fn from(fault: SoapFault) -> Self {
        Self::Refused { reason: fault.string }
    }
}

impl ClientProxy {
    /// Asks the central server, and answers with the number under which it knows the request: 0, if it was to look at it
    /// only, which it does with certificates.
    ///
    /// A certificate is registered at a door of its own, since no security server believes this one yet. All else goes to
    /// the security server of the instance, as a message of this server's owner.
    ///
    /// # Errors
    /// [`RegistrationError`]. Where no answer came, the central server may have taken the request all the same.
    pub async fn ask_central(
        self: &Arc<Self>,
        request: &ManagementRequest,
        dry_run: bool,
    ) -> Result<u64, RegistrationError> {
        let trust = self.exchange.trust.in_force().map_err(ExchangeError::from)?;
        let private = trust.instance(None).and_then(|instance| instance.private());
        let central = &private.ok_or(RegistrationError::Unknown)?.management_service;

        let owner = ClientId::Member(request.server().owner.clone());
        let code = request.service().to_owned();
        let service = SoapServiceId { provider: central.provider.clone(), code, version: None };
        let header = SoapHeader::new(owner, service, Uuid::new_v4().to_string());
        let unwritable = RegistrationError::Unwritable;
        let mut message = envelope::write(&header, &request.to_xml(dry_run)).map_err(unwritable)?;
        message.attachments = self.proofs(request, message.message.bytes()).await?;

        let answer = match request {
            ManagementRequest::AuthCertReg { .. } => register(central, message).await?,
            _ => self.pass_on(message).await?,
        };
        let Soap::Message(answer) = answer else { return Err(RegistrationError::Unreadable) };
        let number = ManagementRequest::number(&answer).map_err(|_| RegistrationError::Unreadable)?;
        if !dry_run {
            self.note(request).await?;
        }
        Ok(number)
    }

    /// What stands beside the envelope, in X-Road's order.
    async fn proofs(
        &self,
        request: &ManagementRequest,
        envelope: &Bytes,
    ) -> Result<Vec<Attachment>, RegistrationError> {
        let signer = self.exchange.signer();
        let mut parts = Vec::new();
        let by_server = match request {
            ManagementRequest::AuthCertReg { certificate, .. } => {
                let proof = signer.prove_server(certificate.sha256(), envelope.clone()).await?;
                parts.push(signature(&proof));
                Some(proof)
            }
            _ => None,
        };
        if let Some(member) = request.signer() {
            let proof = signer.prove(member, envelope.clone()).await.map_err(ExchangeError::from)?;
            parts.push(signature(&proof));
            parts.extend(by_server.map(|proof| enclosed(proof.certificate.der().to_vec())));
            parts.push(enclosed(proof.certificate.der().to_vec()));
            parts.push(enclosed(proof.ocsp_answer));
        }
        Ok(parts)
    }

    async fn pass_on(self: &Arc<Self>, message: Related) -> Result<Soap, RegistrationError> {
        let content_type = match message.attachments.as_slice() {
            [] => envelope::MEDIA_TYPE.to_owned(),
            _ => multipart(),
        };
        match self.send_soap(&content_type, message).await {
            Ok(answer) => Ok(Soap::Message(answer.message)),
            Err(ExchangeError::Incoming(IncomingError::Fault(fault))) => Err((*fault).into()),
            Err(error) => Err(error.into()),
        }
    }

    /// Notes how far the registration of a certificate is.
    async fn note(&self, request: &ManagementRequest) -> Result<(), RegistrationError> {
        let (certificate, status) = match request {
            ManagementRequest::AuthCertReg { certificate, .. } => {
                (certificate, CertificateStatus::RegistrationInProgress)
            }
            ManagementRequest::AuthCertDeletion { certificate, .. } => {
                (certificate, CertificateStatus::DeletionInProgress)
            }
            _ => return Ok(()),
        };
        match self.exchange.signer().note_status(certificate.sha256(), status).await {
            // A certificate may be given up whose key is not here any more.
            Err(OrderError::UnknownCertificate) => Ok(()),
            noted => Ok(noted?),
        }
    }
}

/// Sends a request to where anyone registers, if the very certificate is shown there that the configuration says.
async fn register(central: &ManagementService, message: Related) -> Result<Soap, RegistrationError> {
    let (Some(url), Some(certificate)) = (&central.registration_url, &central.registration_certificate)
    else {
        return Err(RegistrationError::Unknown);
    };
    let config = UpstreamConfig {
        only: Some(certificate.clone()),
        // Who signs the configuration says where; a central server lies in a network of its own.
        networks: vec![
            IpNet::V4(Ipv4Net::new_assert(Ipv4Addr::UNSPECIFIED, 0)),
            IpNet::V6(Ipv6Net::new_assert(Ipv6Addr::UNSPECIFIED, 0)),
        ],
        ..UpstreamConfig::new(url.clone())
    };
    let (upstream, target) = Upstream::build_at(&config).map_err(RegistrationError::Address)?;
    let content_type = multipart();
    let Related { headers, message, attachments } = message;
    let body = related::write(&content_type, &headers, message.bytes(), &attachments)?;
    let body = body.collect().await.map_err(ExchangeError::Spool)?.to_bytes();
    let mut request = Request::new(body);
    *request.method_mut() = Method::POST;
    *request.uri_mut() = target;
    let content_type = content_type.parse().map_err(|_| ExchangeError::Header { name: "content-type" })?;
    request.headers_mut().insert(CONTENT_TYPE, content_type);
    let sent = upstream.send(request, Instant::now() + ANSWER_TIME_MAX, ANSWER_BYTES_MAX).await;
    let answer = sent.map_err(RegistrationError::Unanswered)?;
    let content_type = answer.headers().get(CONTENT_TYPE).and_then(|value| value.to_str().ok());
    match Soap::read(content_type.unwrap_or_default(), answer.body().clone()) {
        Ok(Soap::Fault(fault)) => Err(fault.into()),
        Ok(message) => Ok(message),
        Err(_) => Err(RegistrationError::Unreadable),
    }
}

/// As X-Road writes it.
fn multipart() -> String {
    let boundary = Uuid::new_v4().simple();
    format!("multipart/related; type=\"application/octet-stream\"; charset=UTF-8; boundary={boundary}")
}

fn signature(proof: &Proof) -> Attachment {
    let content = Spooled::of(proof.signature.clone().into());
    Attachment { headers: signature_headers(proof.algorithm), content }
}

fn enclosed(der: Vec<u8>) -> Attachment {
    let headers = PartHeaders::of_type("application/octet-stream");
    Attachment { headers, content: Spooled::of(der.into()) }
}
