use std::collections::BTreeMap;
use std::fs::File;
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError, RwLock, RwLockReadGuard};
use std::time::Duration;

use arc_swap::ArcSwap;
use bytes::Bytes;
use futures_util::{StreamExt, stream};
use jiff::Timestamp;
use tokio::sync::watch;
use tokio::task::spawn_blocking;
use tokio::time::{sleep, timeout};
use tokio_util::sync::CancellationToken;
use tracing::{error, info, warn};
use uuk_asic::{SignError, SignatureDocuments};
use uuk_globalconf::GlobalConfiguration;
use uuk_identifiers::{MemberId, ServerId};
use uuk_pki::{
    Certificate, CertificateUse, Digest, DigestAlgorithm, KeyError, Sha256, SignatureAlgorithm, SigningKey,
    sign_der,
};
use uuk_process::{Clock, ErrorChain};

use crate::batch::{Bounds, SigningThreads};
use crate::config::{SignerConfig, TokenConfig};
use crate::device::Device;
use crate::error::{OrderError, SignerError, TokenError, Unusable};
use crate::identity::{AuthenticationIdentity, Identities, TokenView, wanted};
use crate::ocsp::{self, AnswerStore, Schedule};
use crate::pin::Pin;
use crate::pkcs11::{Modules, Pkcs11Token};
use crate::refused_pin::RefusedPin;
use crate::software::SoftwareToken;
use crate::token::{CertificateStatus, TokenRecord, make_folder};

/// How often it is looked whether something is due. The clock can be set and can jump; sleeping until a time cannot.
const TICK: Duration = Duration::from_secs(1);
/// What counts is looked at again at least this often, as X-Road's servers do.
const LOOK_EVERY: Duration = Duration::from_secs(60);
/// Responders asked at the same time.
const FETCHES_MAX: usize = 8;

/// The keys of this server. Clones are handles of the same one.
#[derive(Clone)]
pub struct Signer {
    pub(crate) shared: Arc<Shared>,
}

/// A signature by itself, and what proves the key that made it.
#[derive(Debug, Clone)]
pub struct Proof {
    /// Of the content: ECDSA as `SEQUENCE { r, s }`.
    pub signature: Vec<u8>,
    /// How it was made.
    pub algorithm: SignatureAlgorithm,
    /// Of the key.
    pub certificate: Certificate,
    /// DER `OCSPResponse` about the certificate; empty if it is not in use yet.
    pub ocsp_answer: Vec<u8>,
}

impl Proof {
    fn make(key: &dyn SigningKey, certificate: Certificate, content: &[u8]) -> Result<Self, KeyError> {
        let algorithm = SignatureAlgorithm { digest: DigestAlgorithm::Sha512, scheme: key.scheme() };
        let signature = sign_der(key, algorithm.digest, content)?;
        Ok(Self { signature, algorithm, certificate, ocsp_answer: Vec::new() })
    }
}

/// What a signer needs of others.
#[derive(Debug, Clone)]
pub struct SignerDependencies {
    /// Who this server is.
    pub server: ServerId,
    /// What time it is.
    pub clock: Clock,
    /// The global configuration in force.
    pub configuration: watch::Receiver<Option<Arc<GlobalConfiguration>>>,
}

pub(crate) struct Shared {
    config: SignerConfig,
    pub(crate) dependencies: SignerDependencies,
    pub(crate) tokens: BTreeMap<String, Token>,
    pub(crate) answers: AnswerStore,
    pub(crate) identities: ArcSwap<Identities>,
    authentication: watch::Sender<Option<Arc<AuthenticationIdentity>>>,
    /// Held while what counts is looked at, so that the last look is the newest.
    looking: Mutex<()>,
    /// Orders are carried out one after the other.
    pub(crate) ordering: Arc<tokio::sync::Mutex<()>>,
    _lock: File,
}

pub(crate) struct Token {
    name: String,
    pub(crate) config: TokenConfig,
    pub(crate) folder: PathBuf,
    record: RwLock<TokenRecord>,
    /// Held by whoever changes the record.
    changing: Mutex<()>,
    /// Why the token is not open although it has a PIN file, or cannot be reached although it is open.
    problem: Mutex<Option<TokenError>>,
    pub(crate) device: Box<dyn Device>,
    threads: SigningThreads,
}

impl Signer {
    /// Opens the tokens, those with a PIN file for signing, and looks which certificates count.
    ///
    /// # Errors
    /// [`TokenError`]. A PIN file with a wrong PIN is no error, and neither is a device that cannot be reached: the token
    /// stays closed, and [`Order::List`](crate::Order::List) says why. The device is tried again, the PIN is not.
    pub fn build(config: SignerConfig, dependencies: SignerDependencies) -> Result<Self, TokenError> {
        make_folder(&config.folder)?;
        let lock = lock(&config)?;
        let (mut tokens, mut modules) = (BTreeMap::new(), Modules::default());
        for (name, token) in &config.tokens {
            let opened = Token::open(name, token, &config, &mut modules, &dependencies.clock)?;
            tokens.insert(name.clone(), opened);
        }
        let answers = AnswerStore::open(&config.folder.join("ocsp"))?;
        let shared = Arc::new(Shared {
            config,
            dependencies,
            tokens,
            answers,
            identities: ArcSwap::default(),
            authentication: watch::Sender::new(None),
            looking: Mutex::new(()),
            ordering: Arc::default(),
            _lock: lock,
        });
        shared.look();
        Ok(Self { shared })
    }

    /// Signs one message for `member`: `parts` are the SHA-512 digests of the message and then of its attachments.
    ///
    /// The first key of the member whose certificate is active, registered, valid and good by OCSP signs. Messages that
    /// come to it together, or wait for it, share a signature.
    ///
    /// # Errors
    /// [`SignerError`]; for [`SignerError::NoUsableCertificate`] the cause says what is wrong with the first.
    ///
    /// # Cancellation
    /// A message that nobody waits for any more is not signed, unless that has begun.
    pub async fn sign(
        &self,
        member: &MemberId,
        parts: Vec<Digest>,
    ) -> Result<SignatureDocuments, SignerError> {
        // Checked before it joins others, whom it would keep from being signed.
        let unfit = match parts.iter().find(|digest| digest.algorithm() != DigestAlgorithm::Sha512) {
            Some(digest) => Some(SignError::DigestNotAccepted { algorithm: digest.algorithm() }),
            None => parts.is_empty().then_some(SignError::NoParts),
        };
        if let Some(reason) = unfit {
            return Err(SignerError::Signature(Arc::new(reason)));
        }
        let now = self.shared.dependencies.clock.now();
        let identity = self.shared.identities.load().signing(member, now)?.clone();
        let signed = identity.queue.sign(identity.clone(), parts);
        timeout(self.shared.config.signature_timeout, signed).await.unwrap_or(Err(SignerError::Slow))
    }

    /// Signs `content` with the key that [`Signer::sign`] would take, and by itself: as the central server wants it.
    ///
    /// # Errors
    /// [`SignerError`].
    pub async fn prove(&self, member: &MemberId, content: Bytes) -> Result<Proof, SignerError> {
        let now = self.shared.dependencies.clock.now();
        let identity = self.shared.identities.load().signing(member, now)?.clone();
        let made = spawn_blocking(move || {
            let proof = Proof::make(&*identity.key, identity.certificate.clone(), &content)?;
            Ok(Proof { ocsp_answer: identity.ocsp_answers.first().cloned().unwrap_or_default(), ..proof })
        });
        let made =
            timeout(self.shared.config.signature_timeout, made).await.map_err(|_| SignerError::Slow)?;
        let proof: Result<Proof, KeyError> = made.map_err(|_| SignerError::Stopped)?;
        proof.map_err(|error| SignerError::Signature(Arc::new(SignError::Key(error))))
    }

    /// Signs `content` with the key of one of this server's authentication certificates, whether anyone knows that yet or
    /// not. There is no OCSP answer with it.
    ///
    /// # Errors
    /// [`OrderError::UnknownCertificate`], also for one that is for signing, and [`OrderError::Token`].
    pub async fn prove_server(&self, certificate: Sha256, content: Bytes) -> Result<Proof, OrderError> {
        let shared = self.shared.clone();
        let made = spawn_blocking(move || {
            let (token, key, certificate) =
                shared.authentication_key(certificate).ok_or(OrderError::UnknownCertificate)?;
            let signing = token.device.key(&key)?;
            Proof::make(&*signing, certificate, &content).map_err(OrderError::Key)
        });
        made.await.unwrap_or(Err(OrderError::Stopped))
    }

    /// What proves this server to its peers; `None` while nothing does. It changes with renewal and with each new OCSP
    /// answer.
    pub fn authentication(&self) -> watch::Receiver<Option<Arc<AuthenticationIdentity>>> {
        self.shared.authentication.subscribe()
    }

    /// A fresh OCSP answer (DER `OCSPResponse`) about one of this server's certificates in use, or of an authority
    /// above it, by the SHA-1 digest of that certificate.
    pub fn ocsp_answer(&self, certificate_sha1: &[u8; 20]) -> Option<Bytes> {
        let now = self.shared.dependencies.clock.now();
        self.shared.identities.load().answer(certificate_sha1, now)
    }

    /// Follows the global configuration, the time and the tokens, and keeps OCSP answers fresh, until `stop`.
    pub async fn run(self, stop: CancellationToken) {
        let work = async { tokio::join!(self.follow(), self.fetch_answers()) };
        stop.run_until_cancelled(work).await;
    }

    async fn follow(&self) {
        let mut configuration = self.shared.dependencies.configuration.clone();
        let mut looked = Timestamp::MIN;
        loop {
            let changed = tokio::select! {
                changed = configuration.changed() => match changed {
                    Ok(()) => true,
                    // Whoever followed it has stopped, and so will we.
                    Err(_) => std::future::pending().await,
                },
                () = sleep(TICK) => false,
            };
            let now = self.shared.dependencies.clock.now();
            let lapsed = self.shared.identities.load().lapses < now;
            let due = now < looked || looked.saturating_add(LOOK_EVERY).is_ok_and(|due| due <= now);
            if changed || lapsed || due {
                self.look().await;
                looked = now;
            }
        }
    }

    async fn fetch_answers(&self) {
        let mut schedule = Schedule::default();
        loop {
            if let Some(configuration) = self.shared.configuration()
                && self.fetch_due(&configuration, &mut schedule).await
            {
                self.look().await;
            }
            sleep(TICK).await;
        }
    }

    /// Fetches the answers that are due; tells whether any were.
    async fn fetch_due(&self, configuration: &GlobalConfiguration, schedule: &mut Schedule) -> bool {
        let Shared { config, dependencies, answers, tokens, .. } = &*self.shared;
        let now = dependencies.clock.now();
        let Some(instance) = configuration.instance(configuration.main(), now) else { return false };
        let records: Vec<_> = tokens.values().map(|token| token.record().clone()).collect();
        let mut due = wanted(records.iter(), instance, now);
        due.retain(|certificate| schedule.is_due(certificate, now));

        let authorities = config.ocsp_authorities.as_deref();
        let fetches = due.iter().map(|one| ocsp::fetch(one, instance, answers, authorities, now));
        let fetches = fetches.collect::<Vec<_>>();
        let fetched: Vec<_> = stream::iter(fetches).buffered(FETCHES_MAX).collect().await;
        let configured = configuration.extensions().ocsp_fetch_interval;
        let interval = ocsp::interval(configured, instance.authorities().ocsp_freshness);
        for (certificate, answered) in due.iter().zip(fetched) {
            schedule.asked(certificate, answered, interval, now);
        }
        !due.is_empty()
    }

    /// Looks which certificates count, and publishes it.
    pub(crate) async fn look(&self) {
        let shared = self.shared.clone();
        // Signatures of OCSP answers are checked, and a device may be asked; neither belongs on this thread.
        let _ = spawn_blocking(move || shared.look()).await;
    }

    /// The folder of the tokens.
    pub(crate) fn folder(&self) -> &Path {
        &self.shared.config.folder
    }
}

impl Shared {
    pub(crate) fn configuration(&self) -> Option<Arc<GlobalConfiguration>> {
        self.dependencies.configuration.borrow().clone()
    }

    pub(crate) fn look(&self) {
        let _looking = self.looking.lock().unwrap_or_else(PoisonError::into_inner);
        let SignerDependencies { server, clock, .. } = &self.dependencies;
        let configuration = self.configuration();
        let now = clock.now();
        for (name, token) in &self.tokens {
            token.attend();
            if let Some(configuration) = &configuration
                && let Err(error) = token.follow(configuration, server, now)
            {
                warn!(token.id = %name, error = %ErrorChain(&error), "Cannot note what is registered");
            }
        }
        let records: Vec<_> = self.tokens.values().map(|token| (token, token.record())).collect();
        let views = records.iter().map(|(token, record)| TokenView {
            record,
            device: &*token.device,
            queue: token.threads.queue(),
        });
        let found = Identities::find(views, server, configuration.as_deref(), &self.answers, now);
        report(&self.identities.load(), &found);
        self.authentication.send_if_modified(|current| {
            let shown = current.as_ref().map(|identity| identity.shown());
            let changed = shown != found.authentication.as_ref().map(|identity| identity.shown());
            if changed {
                current.clone_from(&found.authentication);
            }
            changed
        });
        self.identities.store(Arc::new(found));
    }
}

/// Says once what can no longer be used, and why, and what can be again.
fn report(before: &Identities, now: &Identities) {
    for (certificate, verdict) in &now.verdicts {
        let known =
            before.verdicts.get(certificate).map(|known| known.as_ref().err().map(|reason| reason.code()));
        match verdict.as_ref().map_err(Arc::as_ref) {
            // Neither is news: the operator did it, or the server has just started.
            Err(Unusable::Inactive | Unusable::NoGlobalConfiguration) => {}
            Err(reason) if known != Some(Some(reason.code())) => {
                let reason = ErrorChain(reason);
                warn!(%certificate, error = %reason, "Certificate {certificate} cannot be used: {reason}");
            }
            Ok(_) if known.is_some_and(|known| known.is_some()) => {
                info!(%certificate, "Certificate {certificate} can be used");
            }
            _ => {}
        }
    }
}

/// Two servers that write one folder would lose each other's keys.
fn lock(config: &SignerConfig) -> Result<File, TokenError> {
    let path = config.folder.join("lock");
    let file = File::create(&path).map_err(|source| TokenError::Write { path, source })?;
    match file.try_lock() {
        Ok(()) => Ok(file),
        Err(_) => Err(TokenError::InUse { folder: config.folder.clone() }),
    }
}

/// Where the keys of a token live, which is not open yet.
pub(crate) fn device(
    name: &str,
    config: &TokenConfig,
    folder: &Path,
    modules: &mut Modules,
) -> Result<Box<dyn Device>, TokenError> {
    Ok(match &config.pkcs11 {
        None => Box::new(SoftwareToken::new(name, folder)),
        Some(pkcs11) => Box::new(Pkcs11Token::new(name, pkcs11, modules)?),
    })
}

impl Token {
    fn open(
        name: &str,
        config: &TokenConfig,
        signer: &SignerConfig,
        modules: &mut Modules,
        clock: &Clock,
    ) -> Result<Self, TokenError> {
        let folder = signer.folder.join("tokens").join(name);
        make_folder(&folder)?;
        let device = device(name, config, &folder, modules)?;
        let bounds = Bounds {
            at_once: config.signatures_at_once(),
            batch_max: if config.batch_signing { signer.batch_messages_max } else { 1 },
            waiting_max: signer.waiting_max,
        };
        let threads = SigningThreads::start(name, bounds, clock.clone())
            .map_err(|source| TokenError::Threads { token: name.to_owned(), source })?;
        let record = RwLock::new(TokenRecord::load(&folder)?);
        let (config, changing, problem) = (config.clone(), Mutex::new(()), Mutex::default());
        let token =
            Self { name: name.to_owned(), config, folder, record, changing, problem, device, threads };
        match token.open_by_file() {
            Err(error @ (TokenError::Read { .. } | TokenError::NoPin { .. } | TokenError::Write { .. })) => {
                return Err(error);
            }
            opened => token.note(opened),
        }
        Ok(token)
    }

    fn open_by_file(&self) -> Result<(), TokenError> {
        let Some(path) = &self.config.pin_file else { return Ok(()) };
        let pin = Pin::read(path)?;
        let is_device = self.config.pkcs11.is_some();
        let refused = RefusedPin::of(&self.folder);
        if is_device && refused.is(&pin) {
            return Err(TokenError::PinFileRefused { token: self.name.clone(), path: path.clone() });
        }
        if is_device && self.device.is_at_last_try() {
            return Err(TokenError::LastTry { token: self.name.clone(), path: path.clone() });
        }
        match self.device.open(&pin, &self.record().keys) {
            Err(TokenError::WrongPin { token }) => {
                if is_device {
                    refused.keep(&pin)?;
                }
                Err(TokenError::PinFileRefused { token, path: path.clone() })
            }
            Ok(()) => {
                refused.forget();
                Ok(())
            }
            away => away,
        }
    }

    /// Opens the token at an operator's word, who may try what they like.
    pub(crate) fn log_in(&self, pin: &Pin) -> Result<(), TokenError> {
        self.device.open(pin, &self.record().keys)?;
        RefusedPin::of(&self.folder).forget();
        Ok(())
    }

    /// Tries a device again that was away at the start, and looks whether an open one still is there. One that has
    /// refused the PIN is left alone.
    fn attend(&self) {
        let awaited = self.problem().as_ref().is_some_and(TokenError::is_absence);
        if self.device.is_open() {
            self.note(self.device.check());
        } else if awaited {
            self.note(self.open_by_file());
        }
    }

    /// Keeps what is wrong with the token, and says it once.
    fn note(&self, outcome: Result<(), TokenError>) {
        let (name, mut problem) = (&self.name, self.problem());
        match (&*problem, &outcome) {
            (Some(_), Ok(())) => info!(token.id = %name, "Token {name} can be used again"),
            (before, Err(error)) if before.as_ref().is_none_or(|before| before.code() != error.code()) => {
                error!(token.id = %name, error = %ErrorChain(error), "Token {name} cannot be used");
            }
            _ => {}
        }
        *problem = outcome.err();
    }

    pub(crate) fn problem(&self) -> MutexGuard<'_, Option<TokenError>> {
        self.problem.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Takes over what the global configuration says of authentication certificates: who is registered, and who no
    /// longer is.
    fn follow(
        &self,
        configuration: &GlobalConfiguration,
        server: &ServerId,
        now: Timestamp,
    ) -> Result<(), TokenError> {
        let Some(instance) = configuration.instance(configuration.main(), now) else { return Ok(()) };
        self.change(|record| {
            let keys = record.keys.iter_mut().filter(|key| key.usage == CertificateUse::Authentication);
            for one in keys.flat_map(|key| &mut key.certificates) {
                let named = instance.server_of_certificate(&one.certificate);
                one.status = match (one.status, named.is_some_and(|named| named.id == *server)) {
                    (CertificateStatus::DeletionInProgress, _) => CertificateStatus::DeletionInProgress,
                    (_, true) => CertificateStatus::Registered,
                    (CertificateStatus::Registered, false) => CertificateStatus::GlobalError,
                    (status, false) => status,
                };
            }
            Ok(())
        })
    }

    pub(crate) fn record(&self) -> RwLockReadGuard<'_, TokenRecord> {
        self.record.read().unwrap_or_else(PoisonError::into_inner)
    }

    /// Changes what is known of the token. It is written first, and counts only then.
    pub(crate) fn change<T, E: From<TokenError>>(
        &self,
        edit: impl FnOnce(&mut TokenRecord) -> Result<T, E>,
    ) -> Result<T, E> {
        let _changing = self.changing.lock().unwrap_or_else(PoisonError::into_inner);
        let mut changed = self.record().clone();
        let outcome = edit(&mut changed)?;
        if changed != *self.record() {
            changed.save(&self.folder)?;
            *self.record.write().unwrap_or_else(PoisonError::into_inner) = changed;
        }
        Ok(outcome)
    }
}

#[cfg(test)]
mod tests;
