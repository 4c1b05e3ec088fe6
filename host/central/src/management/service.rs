use std::net::SocketAddr;
use std::path::Path;
use std::sync::Arc;
use std::time::{Duration, Instant};

use bytes::Bytes;
use http::header::CONTENT_TYPE;
use http::{HeaderValue, Method, Request, Response, StatusCode};
use http_body_util::Full;
use hyper::body::Incoming;
use jiff::Timestamp;
use serde::Deserialize;
use tokio_util::sync::CancellationToken;
use tokio_util::task::TaskTracker;
use tracing::{info, warn};
use uuk_message::SoapFault;
use uuk_pki::{Certificate, Der};
use uuk_process::ErrorChain;
use uuk_transport::{ClientAuthentication, Listener, ListenerConfig, ListenerError, read_body};

use super::error::ManagementError;
use super::verify::{Door, REQUEST_BYTES_MAX, VerifiedRequest};
use crate::audit::Actor;
use crate::central::{Central, CentralError};
use crate::registry::{Registry, Settings};

/// A request comes whole within this.
const READ_TIME_MAX: Duration = Duration::from_secs(30);
/// How often requests are looked for that nobody has decided on in time.
const EXPIRE_EVERY: Duration = Duration::from_secs(60);
const XML: &str = "text/xml; charset=UTF-8";

/// Section `[requests]`: where security servers ask to be registered.
#[derive(Debug, Clone, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct ManagementConfig {
    /// Where authentication certificates are registered, by anyone: `authentication = "tls"`. X-Road's servers expect
    /// port 4001. Default: nowhere.
    pub registration: Option<ListenerConfig>,
    /// Where the security server of the instance passes on all other requests; admit only that server. Default: nowhere.
    pub management: Option<ListenerConfig>,
    /// A request that nobody has decided on for so long expires. Default: 30 days.
    #[serde(with = "jiff::fmt::serde::unsigned_duration::friendly::compact::required")]
    pub pending_time: Duration,
}

impl Default for ManagementConfig {
    fn default() -> Self {
        Self { registration: None, management: None, pending_time: Duration::from_secs(30 * 24 * 3600) }
    }
}

impl ManagementConfig {
    /// What the types cannot say.
    pub fn problems(&self) -> Vec<String> {
        let mut problems = Vec::new();
        let admits = |listener: &Option<ListenerConfig>, authentication| {
            listener.as_ref().is_some_and(|listener| listener.authentication == authentication)
        };
        if admits(&self.registration, ClientAuthentication::Certificate) {
            problems.push(
                "requests.registration.authentication: servers that register show no certificate yet; use `tls`"
                    .to_owned(),
            );
        }
        if admits(&self.management, ClientAuthentication::Tls) {
            problems.push(
                "requests.management.authentication: with `tls` anyone could have clients deleted; use `certificate` \
                 and admit the security server of the instance"
                    .to_owned(),
            );
        }
        problems
    }

    /// Makes the files it names relative to `folder`, where it was read.
    pub fn resolve(&mut self, folder: &Path) {
        for listener in [&mut self.registration, &mut self.management].into_iter().flatten() {
            listener.resolve(folder);
        }
    }
}

/// Takes the requests of security servers.
#[derive(Debug)]
pub struct ManagementService {
    doors: Vec<(Door, Listener)>,
    /// What is shown where certificates are registered.
    registration_certificate: Option<Der>,
    central: Arc<Central>,
    pending_time: Duration,
}

impl ManagementService {
    /// Binds the sockets.
    ///
    /// # Errors
    /// [`ListenerError`], of the first that cannot be had.
    pub fn build(config: ManagementConfig, central: Arc<Central>) -> Result<Self, ListenerError> {
        let ManagementConfig { registration, management, pending_time } = config;
        let registration_certificate = registration.as_ref().and_then(certificate);
        let doors = [(Door::Registration, registration), (Door::Management, management)];
        let doors = doors.into_iter().filter_map(|(door, config)| Some((door, config?)));
        let doors = doors.map(|(door, config)| Ok((door, Listener::bind(config)?)));
        Ok(Self { doors: doors.collect::<Result<_, _>>()?, registration_certificate, central, pending_time })
    }

    /// Where authentication certificates are registered, if anywhere.
    pub fn registration_address(&self) -> Option<SocketAddr> {
        self.address(Door::Registration)
    }

    /// Where all other requests come in, if anywhere.
    pub fn management_address(&self) -> Option<SocketAddr> {
        self.address(Door::Management)
    }

    fn address(&self, wanted: Door) -> Option<SocketAddr> {
        self.doors.iter().find(|(door, _)| *door == wanted).map(|(_, listener)| listener.address())
    }

    /// Takes requests until `stop`.
    pub async fn run(self, stop: CancellationToken) {
        let Self { doors, registration_certificate, central, pending_time } = self;
        let listening = TaskTracker::new();
        for (door, listener) in doors {
            let central = Arc::clone(&central);
            let answer = move |request, _| {
                let central = Arc::clone(&central);
                async move { answer(&central, door, request).await }
            };
            listening.spawn(listener.run(answer, stop.clone()));
        }
        listening.close();
        let published = publish_certificate(&central, registration_certificate, &stop);
        tokio::join!(listening.wait(), published, expire(&central, pending_time, &stop));
    }
}

async fn answer(central: &Central, door: Door, request: Request<Incoming>) -> Response<Full<Bytes>> {
    if request.method() != Method::POST {
        return respond(StatusCode::METHOD_NOT_ALLOWED, Bytes::new());
    }
    match take(central, door, request).await {
        Ok(answer) => respond(StatusCode::OK, answer),
        Err(error) => {
            let told = ErrorChain(&error).to_string();
            warn!(error = %told, fault.code = error.code(), "A management request is refused: {told}");
            // What only concerns this machine is not told to strangers.
            let told = if matches!(error, ManagementError::Central(_)) { error.to_string() } else { told };
            let fault = SoapFault::new(error.xroad_code(), told, error.code());
            // SOAP 1.1 §6.2.
            respond(StatusCode::INTERNAL_SERVER_ERROR, fault.to_xml())
        }
    }
}

async fn take(central: &Central, door: Door, request: Request<Incoming>) -> Result<Bytes, ManagementError> {
    let content_type = request.headers().get(CONTENT_TYPE).and_then(|value| value.to_str().ok());
    let content_type = content_type.unwrap_or_default().to_owned();
    let body = read_body(request.into_body(), REQUEST_BYTES_MAX, Instant::now() + READ_TIME_MAX).await?;
    let registry = central.snapshot().await?.registry;
    let now = central.clock().now();
    let verified = VerifiedRequest::read(door, &content_type, body, &registry, now)?;
    let VerifiedRequest { message, request, dry_run } = verified;
    let number = match dry_run {
        true => {
            registry.as_ref().clone().receive_request(&request, now)?;
            0
        }
        false => {
            let server = request.server();
            let actor = format!("server:{server}").parse::<Actor>();
            let actor = actor.map_err(|_| ManagementError::Body { what: "server" })?;
            let received = |registry: &mut Registry| registry.receive_request(&request, now);
            let number = central.change(&actor, request.service(), received).await?;
            info!(request.number = number, "{server} asks: {}", request.service());
            number
        }
    };
    let answer = message.with_body(&request.answer(number));
    let answer = answer.map_err(|error| ManagementError::Message(error.into()))?;
    Ok(answer.bytes().clone())
}

/// The certificate that a listener shows; nothing if it shows none, or one that it could not be bound with either.
fn certificate(listener: &ListenerConfig) -> Option<Der> {
    let pem = std::fs::read(&listener.identity.as_ref()?.certificate).ok()?;
    Some(Certificate::chain_from_pem(&pem).ok()?.swap_remove(0).into())
}

/// Has the configuration say by which certificate security servers know where they register: by the one that is shown.
async fn publish_certificate(central: &Central, certificate: Option<Der>, stop: &CancellationToken) {
    let (Some(certificate), Ok(actor)) = (certificate, "central".parse::<Actor>()) else { return };
    let publish = async || {
        let registration_certificate = Some(certificate.clone());
        if central.snapshot().await?.registry.settings().registration_certificate == registration_certificate
        {
            return Ok(());
        }
        let set = |registry: &mut Registry| {
            let registration_certificate = registration_certificate.clone();
            registry.set_settings(Settings { registration_certificate, ..registry.settings().clone() })
        };
        central.change(&actor, "set-registration-certificate", set).await
    };
    while let Err(error) = publish().await {
        let told = ErrorChain(&error).to_string();
        warn!(error = %told, "The certificate for registrations cannot be published: {told}");
        if stop.run_until_cancelled(tokio::time::sleep(EXPIRE_EVERY)).await.is_none() {
            return;
        }
    }
}

/// Ends requests that wait too long.
async fn expire(central: &Central, pending_time: Duration, stop: &CancellationToken) {
    let Ok(actor) = "central".parse::<Actor>() else { return };
    loop {
        if let Err(error) = expire_once(central, pending_time, &actor).await {
            let told = ErrorChain(&error).to_string();
            warn!(error = %told, "Requests that wait too long cannot be ended: {told}");
        }
        if stop.run_until_cancelled(tokio::time::sleep(EXPIRE_EVERY)).await.is_none() {
            return;
        }
    }
}

async fn expire_once(central: &Central, pending_time: Duration, actor: &Actor) -> Result<(), CentralError> {
    let before = central.clock().now().saturating_sub(pending_time).unwrap_or(Timestamp::MIN);
    if central.snapshot().await?.registry.has_requests_before(before) {
        let expire = |registry: &mut Registry| {
            registry.expire_requests(before);
            Ok(())
        };
        central.change(actor, "expire-requests", expire).await?;
    }
    Ok(())
}

fn respond(status: StatusCode, body: Bytes) -> Response<Full<Bytes>> {
    let mut response = Response::new(Full::new(body));
    *response.status_mut() = status;
    response.headers_mut().insert(CONTENT_TYPE, HeaderValue::from_static(XML));
    response
}
