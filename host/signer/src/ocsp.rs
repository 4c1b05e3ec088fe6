//! OCSP answers about the certificates in use: fetched, checked, kept and renewed before they are too old.

use std::collections::HashMap;
use std::fs;
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

use aws_lc_rs::digest::{SHA1_FOR_LEGACY_USE_ONLY, digest};
use bytes::Bytes;
use http::header::CONTENT_TYPE;
use http::{Method, Request, StatusCode, Uri};
use ipnet::{IpNet, Ipv4Net, Ipv6Net};
use jiff::Timestamp;
use tracing::{info, warn};
use uuk_globalconf::Instance;
use uuk_pki::{
    Certificate, CertificateId, OCSP_RESPONSE_BYTES_MAX, OcspError, OcspRequest, OcspResponse, PathError,
};
use uuk_process::{ErrorChain, write_whole};
use uuk_transport::{Upstream, UpstreamBuildError, UpstreamConfig, UpstreamError};

use crate::error::TokenError;
use crate::token::make_folder;

/// Opening a connection to a responder takes no longer.
const CONNECT_TIMEOUT: Duration = Duration::from_secs(20);
/// A responder answers within this.
const ANSWER_TIMEOUT: Duration = Duration::from_secs(60);
/// The pause after the first failure; it doubles with each further one.
const RETRY_AFTER: Duration = Duration::from_secs(60);

/// How X-Road's servers name certificates whose answers they ask each other for.
pub(crate) type Sha1 = [u8; 20];

pub(crate) fn sha1(certificate: &Certificate) -> Sha1 {
    let mut value = [0; 20];
    value.copy_from_slice(digest(&SHA1_FOR_LEGACY_USE_ONLY, certificate.der()).as_ref());
    value
}

/// The newest answer about each certificate, in memory and in a folder, so that a restart does not have to wait for
/// responders. What is kept is checked again whenever it is used.
pub(crate) struct AnswerStore {
    folder: PathBuf,
    answers: Mutex<HashMap<Sha1, Arc<OcspResponse>>>,
}

impl AnswerStore {
    pub(crate) fn open(folder: &Path) -> Result<Self, TokenError> {
        make_folder(folder)?;
        Ok(Self { folder: folder.to_owned(), answers: Mutex::default() })
    }

    pub(crate) fn find(&self, certificate: &Certificate) -> Option<Arc<OcspResponse>> {
        let name = sha1(certificate);
        let mut answers = self.lock();
        if let Some(answer) = answers.get(&name) {
            return Some(answer.clone());
        }
        let answer = Arc::new(OcspResponse::from_der(&fs::read(self.path(&name)).ok()?).ok()?);
        answers.insert(name, answer.clone());
        Some(answer)
    }

    /// Keeps the newer of `answer` and what was there: an old one sent again must not undo a revocation.
    pub(crate) fn keep(&self, certificate: &Certificate, answer: OcspResponse) {
        let name = sha1(certificate);
        if self.find(certificate).is_some_and(|known| known.this_update() > answer.this_update()) {
            return;
        }
        if let Err(error) = write_whole(&self.path(&name), answer.der()) {
            warn!(%error, "Cannot keep an OCSP answer; after a restart it will be asked for again");
        }
        self.lock().insert(name, Arc::new(answer));
    }

    fn path(&self, name: &Sha1) -> PathBuf {
        self.folder.join(hex::encode(name)).with_extension("ocsp")
    }

    fn lock(&self) -> MutexGuard<'_, HashMap<Sha1, Arc<OcspResponse>>> {
        self.answers.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// When each certificate is asked about next.
#[derive(Default)]
pub(crate) struct Schedule(HashMap<Sha1, Asked>);

struct Asked {
    at: Timestamp,
    pause: Duration,
    /// Since the last answer.
    failures: u32,
}

impl Schedule {
    /// Whether `certificate` should be asked about at `now`: one never asked about is, and all are if the clock went
    /// back.
    pub(crate) fn is_due(&self, certificate: &Certificate, now: Timestamp) -> bool {
        self.0.get(&sha1(certificate)).is_none_or(|asked| {
            now < asked.at || asked.at.saturating_add(asked.pause).is_ok_and(|due| due <= now)
        })
    }

    /// Asks again after `interval`, or sooner if there was no answer.
    pub(crate) fn asked(
        &mut self,
        certificate: &Certificate,
        answered: bool,
        interval: Duration,
        now: Timestamp,
    ) {
        let name = sha1(certificate);
        let failures = self.0.get(&name).map_or(0, |asked| asked.failures);
        let asked = if answered {
            Asked { at: now, pause: interval, failures: 0 }
        } else {
            let pause = RETRY_AFTER.saturating_mul(1 << failures.min(16)).min(interval);
            Asked { at: now, pause, failures: failures.saturating_add(1) }
        };
        self.0.insert(name, asked);
    }
}

/// How often answers are asked for: as the instance says, and often enough that one failure makes none too old.
pub(crate) fn interval(configured: Duration, freshness: Duration) -> Duration {
    configured.min(freshness / 2).max(Duration::from_secs(1))
}

/// Why a responder gave no answer.
#[derive(Debug, thiserror::Error)]
pub(crate) enum AskError {
    #[error("its address is not usable")]
    Address(#[from] http::Error),
    #[error("its address is not usable")]
    Upstream(#[from] UpstreamBuildError),
    #[error("it cannot be reached")]
    Exchange(#[from] UpstreamError),
    #[error("it answered {0}")]
    Status(StatusCode),
    #[error("its answer is not accepted")]
    Answer(#[from] OcspError),
    #[error(transparent)]
    Path(#[from] PathError),
}

/// Asks the responders that the instance and the certificate name, in this order, until one says that `certificate` is
/// good or revoked, and keeps what it says. Tells whether one did.
pub(crate) async fn fetch(
    certificate: &Certificate,
    instance: &Instance,
    store: &AnswerStore,
    authorities: Option<&Path>,
    now: Timestamp,
) -> bool {
    let subject = certificate.subject();
    let named = instance.ocsp_responders(certificate).map(|responder| responder.url.clone());
    let urls: Vec<String> = named.chain(certificate.ocsp_urls()).collect();
    for url in &urls {
        let answer = match ask(url, certificate, instance, authorities).await {
            Ok(answer) => answer,
            Err(error) => {
                warn!(error = %ErrorChain(&error), "OCSP responder {url} did not answer about `{subject}`");
                continue;
            }
        };
        match check(&answer, certificate, instance, now) {
            Ok(()) => info!("OCSP responder {url} says that the certificate of `{subject}` is good"),
            Err(AskError::Answer(error @ OcspError::Revoked { .. })) => {
                warn!("OCSP responder {url}: {error}");
            }
            Err(error) => {
                warn!(error = %ErrorChain(&error), "OCSP responder {url} gave no usable answer about `{subject}`");
                continue;
            }
        }
        store.keep(certificate, answer);
        return true;
    }
    if urls.is_empty() {
        warn!("No OCSP responder is known for the certificate of `{subject}`");
    }
    false
}

fn check(
    answer: &OcspResponse,
    certificate: &Certificate,
    instance: &Instance,
    now: Timestamp,
) -> Result<(), AskError> {
    let authorities = instance.authorities();
    answer.verify(certificate, authorities.issuer(certificate)?, authorities, now)?;
    Ok(())
}

async fn ask(
    url: &str,
    certificate: &Certificate,
    instance: &Instance,
    authorities: Option<&Path>,
) -> Result<OcspResponse, AskError> {
    let issuer = &instance.authorities().issuer(certificate)?.certificate;
    let question = OcspRequest { certificate: CertificateId::new(certificate, issuer)? };
    let address: Uri = url.parse().map_err(http::Error::from)?;
    let mut base = address.clone().into_parts();
    let target = base.path_and_query.replace(http::uri::PathAndQuery::from_static("/"));
    let base = Uri::from_parts(base).map_err(http::Error::from)?;
    let responder = Upstream::build(&UpstreamConfig {
        authorities: authorities.map(Path::to_owned),
        // Whom the instance or our own certificate names may be anywhere, also beside us.
        networks: vec![IpNet::V4(Ipv4Net::default()), IpNet::V6(Ipv6Net::default())],
        connect_timeout: CONNECT_TIMEOUT,
        ..UpstreamConfig::new(base.to_string())
    })?;
    let request = Request::builder()
        .method(Method::POST)
        .uri(target.map_or_else(Uri::default, Uri::from))
        .header(CONTENT_TYPE, "application/ocsp-request")
        .body(Bytes::from(question.to_der()?))?;
    let deadline = Instant::now() + CONNECT_TIMEOUT + ANSWER_TIMEOUT;
    let response = responder.send(request, deadline, OCSP_RESPONSE_BYTES_MAX as u64).await?;
    if response.status() != StatusCode::OK {
        return Err(AskError::Status(response.status()));
    }
    Ok(OcspResponse::from_der(response.body())?)
}

#[cfg(test)]
mod tests;
