use std::collections::HashMap;
use std::future::{Ready, ready};
use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use http::header::CONTENT_TYPE;
use http::{HeaderValue, Method, Request, Response, StatusCode};
use http_body_util::Full;
use jiff::Timestamp;
use tokio::sync::watch;
use tokio_util::sync::CancellationToken;
use tracing::{error, info, warn};
use uuk_globalconf::Version;
use uuk_pki::{Der, SoftwareKey};
use uuk_process::ErrorChain;
use uuk_transport::{Listener, ListenerError, ListenerTls, PublicListener, PublicListenerConfig};

use crate::audit::Head;
use crate::central::{Central, CentralError, Snapshot};
use crate::config::PublicationConfig;
use crate::key_folder::{KeyFolder, KeyFolderError};
use crate::publication::{Audience, Directories, Files, PublicationError};
use crate::registry::Registry;

/// How often the registry is asked whether it has changed: so soon a removed certificate is gone.
const LOOK_EVERY: Duration = Duration::from_secs(1);

/// Why the configuration is not published, or not anew.
#[derive(Debug, thiserror::Error, strum::IntoStaticStr)]
#[strum(serialize_all = "snake_case", prefix = "publisher.")]
#[non_exhaustive]
pub enum PublisherError {
    /// The registry cannot be read.
    #[error(transparent)]
    Central(#[from] CentralError),
    /// No key signs.
    #[error("no signing key is active")]
    NoKey,
    /// The key cannot be used.
    #[error(transparent)]
    Key(#[from] KeyFolderError),
    /// The files cannot be made.
    #[error(transparent)]
    Publication(#[from] PublicationError),
    /// The socket cannot be had.
    #[error(transparent)]
    Listener(#[from] ListenerError),
}

impl PublisherError {
    /// The stable code: of the cause, if there is one.
    pub fn code(&self) -> &'static str {
        match self {
            Self::Central(error) => error.code(),
            Self::Key(error) => error.code(),
            Self::Publication(error) => error.code(),
            Self::Listener(error) => error.code(),
            Self::NoKey => self.into(),
        }
    }
}

/// Publishes the global configuration: makes it of the registry, signs it, gives it out.
///
/// It is made anew as soon as the registry changes, and signed anew every interval. If the registry cannot be read, what
/// is out there runs out: nobody may go on trusting a certificate only because a database is down.
#[derive(Debug)]
pub struct Publisher {
    press: Press,
    listener: PublicListener,
    https: Option<Listener>,
    offer: watch::Sender<Arc<Offer>>,
}

/// Makes editions, and remembers the last.
#[derive(Debug)]
struct Press {
    central: Arc<Central>,
    keys: KeyFolder,
    interval: Duration,
    lifetime: Duration,
    edition: Option<Edition>,
}

#[derive(Debug)]
struct Edition {
    head: Head,
    files: Files,
    certificate: Der,
    key: SoftwareKey,
    signed_at: Timestamp,
}

/// What is given out.
#[derive(Debug, Default)]
struct Offer {
    directories: Directories,
    /// By path, with the last instant at which a directory lists it.
    files: HashMap<String, (Bytes, Timestamp)>,
}

impl Publisher {
    /// Makes the first edition and binds the socket.
    ///
    /// # Errors
    /// [`PublisherError`] says what is missing.
    pub async fn build(
        config: PublicationConfig,
        central: Arc<Central>,
        keys: KeyFolder,
    ) -> Result<Self, PublisherError> {
        let PublicationConfig { address, limits, https, interval, lifetime } = config;
        let mut press = Press { central, keys, interval, lifetime, edition: None };
        let first = press.renew(&Offer::default()).await?.unwrap_or_default();
        let listener = PublicListener::bind(PublicListenerConfig { address, limits })?;
        let https = https.map(Listener::bind).transpose()?;
        Ok(Self { press, listener, https, offer: watch::channel(Arc::new(first)).0 })
    }

    /// Where members download.
    pub fn address(&self) -> SocketAddr {
        self.listener.address()
    }

    /// Where they do so with TLS, if anywhere.
    pub fn https_address(&self) -> Option<SocketAddr> {
        self.https.as_ref().map(Listener::address)
    }

    /// Publishes until `stop`.
    pub async fn run(self, stop: CancellationToken) {
        let Self { press, listener, https, offer } = self;
        let renewal = renew(https.as_ref().and_then(Listener::tls), press.interval, stop.clone());
        let plain = listener.run(giving_out(offer.subscribe()), stop.clone());
        let answer = giving_out(offer.subscribe());
        let encrypted = async {
            if let Some(https) = https {
                https.run(answer, stop.clone()).await;
            }
        };
        tokio::join!(plain, encrypted, renewal, press.run(offer, stop.clone()));
    }
}

/// Answers from what is given out at the time.
fn giving_out<B, A>(
    given_out: watch::Receiver<Arc<Offer>>,
) -> impl Fn(Request<B>, A) -> Ready<Response<Full<Bytes>>> + Clone {
    move |request, _| ready(given_out.borrow().answer(&request))
}

/// Takes up a certificate whose file has been replaced, every so often.
async fn renew(tls: Option<ListenerTls>, interval: Duration, stop: CancellationToken) {
    let Some(tls) = tls else { return };
    while stop.run_until_cancelled(tokio::time::sleep(interval)).await.is_some() {
        if let Err(error) = tls.reload() {
            warn!(error = %ErrorChain(&error), "The certificate for HTTPS cannot be read again");
        }
    }
}

impl Press {
    async fn run(mut self, offer: watch::Sender<Arc<Offer>>, stop: CancellationToken) {
        let mut told = None;
        while stop.run_until_cancelled(tokio::time::sleep(LOOK_EVERY)).await.is_some() {
            let last = Arc::clone(&offer.borrow());
            match self.renew(&last).await {
                Ok(renewed) => {
                    told = None;
                    renewed.map(|renewed| offer.send_replace(Arc::new(renewed)));
                }
                Err(problem) => {
                    let problem = ErrorChain(&problem).to_string();
                    if told.as_ref() != Some(&problem) {
                        error!(error = %problem, "The global configuration cannot be renewed: {problem}");
                        told = Some(problem);
                    }
                }
            }
        }
    }

    /// What to offer in place of `last`, if the registry has changed or the interval is over.
    async fn renew(&mut self, last: &Offer) -> Result<Option<Offer>, PublisherError> {
        let Snapshot { head, registry } = self.central.snapshot().await?;
        let now = self.central.clock().now();
        // It is put back once all has succeeded: after a failure, everything is made anew.
        let (files, certificate, key) = match self.edition.take() {
            Some(edition) if edition.head == head => {
                if now.duration_since(edition.signed_at).unsigned_abs() < self.interval {
                    self.edition = Some(edition);
                    return Ok(None);
                }
                (edition.files, edition.certificate, edition.key)
            }
            outdated => {
                let number = head.number;
                info!(globalconf.revision = number, "Publishing the configuration as of change {number}");
                let certificate = registry.active_key().ok_or(PublisherError::NoKey)?.certificate.clone();
                let key = match outdated.filter(|edition| edition.certificate == certificate) {
                    Some(edition) => edition.key,
                    None => self.keys.open(&certificate.sha256())?,
                };
                (Files::of(&registry)?, certificate, key)
            }
        };
        let expires = now.saturating_add(self.lifetime).unwrap_or(Timestamp::MAX);
        let directories = files.list(&key, &certificate, expires)?;
        // Who has read an older directory still fetches what that lists.
        let listed = last.files.iter().filter(|(_, (_, until))| *until >= now);
        let mut offered: HashMap<_, _> = listed.map(|(path, file)| (path.clone(), file.clone())).collect();
        offered.extend(files.by_path().map(|(path, file)| (path.to_owned(), (file.clone(), expires))));
        self.edition = Some(Edition { head, files, certificate, key, signed_at: now });
        Ok(Some(Offer { directories, files: offered }))
    }
}

impl Offer {
    fn answer<B>(&self, request: &Request<B>) -> Response<Full<Bytes>> {
        if request.method() != Method::GET {
            return refuse(StatusCode::METHOD_NOT_ALLOWED, "GET the configuration\n");
        }
        let path = request.uri().path();
        let found = match Audience::at(path) {
            Some(audience) => asked_version(request.uri().query())
                .and_then(|version| self.directories.get(audience, version))
                .map(|directory| ("multipart/related", directory)),
            None => self.files.get(path).map(|(file, _)| (media_type(path), file)),
        };
        match found {
            Some((media_type, body)) => respond(StatusCode::OK, media_type, body.clone()),
            None => refuse(StatusCode::NOT_FOUND, "not found\n"),
        }
    }
}

fn media_type(path: &str) -> &'static str {
    if path.ends_with(".json") { "application/json" } else { "text/xml" }
}

/// The configuration in one file, as members get it, for those without a network: it counts until `expires`.
///
/// # Errors
/// If there is no key that signs, or the files cannot be made.
pub fn courier(registry: &Registry, keys: &KeyFolder, expires: Timestamp) -> Result<Vec<u8>, PublisherError> {
    let certificate = &registry.active_key().ok_or(PublisherError::NoKey)?.certificate;
    let key = keys.open(&certificate.sha256())?;
    Ok(Files::of(registry)?.courier(&key, certificate, expires)?)
}

/// The version that a query asks for. Who names none is of a time when there was only one.
fn asked_version(query: Option<&str>) -> Option<Version> {
    let mut pairs = query.unwrap_or_default().split('&').filter_map(|pair| pair.split_once('='));
    match pairs.find(|(name, _)| *name == "version") {
        None => Some(Version::V2),
        Some((_, number)) => Version::from_number(number.parse().ok()?),
    }
}

fn refuse(status: StatusCode, reason: &'static str) -> Response<Full<Bytes>> {
    respond(status, "text/plain", Bytes::from_static(reason.as_bytes()))
}

fn respond(status: StatusCode, media_type: &'static str, body: Bytes) -> Response<Full<Bytes>> {
    let mut response = Response::new(Full::new(body));
    *response.status_mut() = status;
    response.headers_mut().insert(CONTENT_TYPE, HeaderValue::from_static(media_type));
    response
}
