//! Time-stamping: which records wait, whom to ask, and what failing means for those who want to record more.

use std::sync::{Arc, Mutex as StdMutex, PoisonError};
use std::time::{Duration, Instant};

use bytes::Bytes;
use http::header::CONTENT_TYPE;
use http::{Request, StatusCode, Uri};
use jiff::Timestamp;
use metrics::{counter, gauge};
use tokio::sync::{Mutex, watch};
use tokio::time::sleep;
use tokio_util::sync::CancellationToken;
use tracing::{error, info, warn};
use uuk_asic::{ChainNames, HashChains, PendingTimeStamp};
use uuk_globalconf::{GlobalConfiguration, Instance};
use uuk_pki::{
    Authorities, Digest, DigestAlgorithm, TIME_STAMP_TOKEN_BYTES_MAX, TimeStampError, TimeStampRequest,
    TimeStampToken,
};
use uuk_process::{Clock, ErrorChain};
use uuk_transport::{Upstream, UpstreamConfig, UpstreamError};

use crate::config::TimeStampingConfig;
use crate::message_log::BuildError;
use crate::record::RecordId;
use crate::store::{Covered, NewTimeStamp, Store, StoreError};

/// An authority may think this long.
const ANSWER_TIME_MAX: Duration = Duration::from_secs(60);
/// Bounds on what the private parameters may ask for, as X-Road has them.
const INTERVAL_MIN: Duration = Duration::from_secs(60);
const INTERVAL_MAX: Duration = Duration::from_secs(24 * 3600);
/// Under which name the first failure is remembered.
const FAILED_SINCE: &str = "time-stamping failed";

/// Why records were not time-stamped.
#[derive(Debug, thiserror::Error, strum::IntoStaticStr)]
#[strum(serialize_all = "snake_case", prefix = "message_log.")]
#[non_exhaustive]
pub enum TimeStampingError {
    /// The configuration names no authority.
    #[error("no time-stamping authority is configured")]
    NoAuthority,
    /// Nobody knows which authorities are approved.
    #[error("there is no global configuration, which says whose time-stamps count")]
    NoGlobalConfiguration,
    /// The authority cannot be asked.
    #[error("the time-stamping authority {authority} does not answer")]
    AuthorityUnreachable {
        /// Its address.
        authority: String,
        /// Why.
        #[source]
        source: UpstreamError,
    },
    /// The authority answers with an error of HTTP.
    #[error("the time-stamping authority {authority} answers with status {status}")]
    AuthorityStatus {
        /// Its address.
        authority: String,
        /// Its status.
        status: StatusCode,
    },
    /// The answer is no time-stamp that counts.
    #[error("the answer of the time-stamping authority {authority} is not accepted")]
    AnswerRefused {
        /// Its address.
        authority: String,
        /// Why.
        #[source]
        source: TimeStampError,
    },
    /// The database failed.
    #[error(transparent)]
    Store(#[from] StoreError),
}

impl TimeStampingError {
    /// The stable code: `message_log.authority_unreachable`.
    pub fn code(&self) -> &'static str {
        match self {
            Self::Store(error) => error.code(),
            other => other.into(),
        }
    }
}

/// Stamps what waits.
#[derive(Debug)]
pub(crate) struct TimeStamper {
    config: TimeStampingConfig,
    authorities: Vec<TimeStampingAuthority>,
    clock: Clock,
    store: Store,
    configuration: watch::Receiver<Option<Arc<GlobalConfiguration>>>,
    /// Since when nobody has stamped.
    failing_since: StdMutex<Option<Timestamp>>,
    /// When a round last succeeded.
    succeeded_at: StdMutex<Option<Timestamp>>,
    /// Held by the round in progress: two would stamp the same records.
    round: Mutex<()>,
}

/// An authority that is asked for time-stamps, at its very URL.
#[derive(Debug)]
pub struct TimeStampingAuthority {
    url: String,
    target: Uri,
    upstream: Upstream,
}

/// What is to be stamped.
enum Subject {
    /// One signature; the token goes into it.
    Alone { record: RecordId, imprint: Digest },
    /// Several; the token goes beside them.
    Many { records: Vec<RecordId>, covered: Covered },
}

impl TimeStamper {
    pub(crate) async fn build(
        config: TimeStampingConfig,
        clock: Clock,
        store: Store,
        configuration: watch::Receiver<Option<Arc<GlobalConfiguration>>>,
    ) -> Result<Self, BuildError> {
        let authorities =
            config.authorities.iter().map(TimeStampingAuthority::build).collect::<Result<_, _>>()?;
        let failing_since = StdMutex::new(store.recall(FAILED_SINCE).await?);
        Ok(Self {
            config,
            authorities,
            clock,
            store,
            configuration,
            failing_since,
            succeeded_at: StdMutex::default(),
            round: Mutex::new(()),
        })
    }

    /// Since when nobody has stamped; `None` if the last attempt succeeded.
    pub(crate) fn failing_since(&self) -> Option<Timestamp> {
        *self.failing_since.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// When a round last succeeded, since the start.
    pub(crate) fn succeeded_at(&self) -> Option<Timestamp> {
        *self.succeeded_at.lock().unwrap_or_else(PoisonError::into_inner)
    }

    pub(crate) fn is_configured(&self) -> bool {
        !self.authorities.is_empty()
    }

    /// The first failure, if it is longer ago than messages may go on without time-stamps.
    pub(crate) fn failed_for_too_long(&self) -> Option<Timestamp> {
        let period = self.config.acceptable_failure_period;
        let since = self.failing_since().filter(|_| !period.is_zero())?;
        let last = since.saturating_add(period).unwrap_or(Timestamp::MAX);
        (self.clock.now() >= last).then_some(since)
    }

    /// Stamps at the interval of the instance, until `stop`.
    pub(crate) async fn run(&self, stop: &CancellationToken) {
        if !self.is_configured() {
            error!("No time-stamping authority is configured: no message can be exchanged");
            return;
        }
        let mut pause = Duration::ZERO;
        while stop.run_until_cancelled(sleep(pause)).await.is_some() {
            let Some(next) = stop.run_until_cancelled(self.round()).await else { return };
            pause = next;
        }
    }

    /// One round; answers how long to wait for the next.
    async fn round(&self) -> Duration {
        let was_failing = self.failing_since().is_some();
        // While nobody answers, one record is enough to find out when somebody does again.
        let records_max = if was_failing { 1 } else { self.config.records_max.max(1) };
        match self.stamp(records_max).await {
            Ok(count) if count >= records_max as usize => Duration::ZERO,
            Ok(_) => self.interval(),
            Err(_) => self.config.retry_delay,
        }
    }

    fn interval(&self) -> Duration {
        let of_instance = || {
            let configuration = self.configuration.borrow().clone()?;
            let main = configuration.instance(configuration.main(), self.clock.now())?;
            Some(main.private()?.time_stamping_interval.clamp(INTERVAL_MIN, INTERVAL_MAX))
        };
        self.config.interval.or_else(of_instance).unwrap_or(INTERVAL_MIN)
    }

    /// Stamps until `record` is stamped.
    pub(crate) async fn stamp_until(&self, record: RecordId) -> Result<(), TimeStampingError> {
        // Whoever waited for the round of another may find the own record stamped in it.
        while self.store.is_unstamped(record).await? {
            self.stamp(self.config.records_max.max(1)).await?;
        }
        Ok(())
    }

    /// Stamps at most `records_max` of the records that wait, the oldest first; answers how many.
    pub(crate) async fn stamp(&self, records_max: u32) -> Result<usize, TimeStampingError> {
        let _one_round = self.round.lock().await;
        let outcome = self.stamp_alone(records_max).await;
        self.remember(outcome.as_ref().err()).await?;
        outcome
    }

    async fn stamp_alone(&self, records_max: u32) -> Result<usize, TimeStampingError> {
        let Some(subject) = self.subject(records_max).await? else { return Ok(0) };
        let imprint = match &subject {
            Subject::Alone { imprint, .. } => imprint.clone(),
            Subject::Many { covered, .. } => DigestAlgorithm::Sha512.digest(&covered.result),
        };
        let (token, stamped_at) = self.token(imprint).await?;
        let (records, covered) = match subject {
            Subject::Alone { record, .. } => (vec![record], None),
            Subject::Many { records, covered } => (records, Some(covered)),
        };
        let count = records.len();
        self.store.save_time_stamp(NewTimeStamp { stamped_at, token, covered }, &records).await?;
        counter!("uuk_message_log_time_stamps_total").increment(1);
        info!(count, "Time-stamped {count} records");
        Ok(count)
    }

    async fn subject(&self, records_max: u32) -> Result<Option<Subject>, TimeStampingError> {
        let waiting = self.store.unstamped(records_max).await?;
        if let [(record, _)] = waiting.as_slice() {
            let signatures = self.store.signatures(*record).await?;
            // A signature that cannot be read takes a chain of its own, and holds up nobody.
            if let Ok(Some(pending)) = PendingTimeStamp::new(&[&signatures]) {
                return Ok(Some(Subject::Alone { record: *record, imprint: pending.imprint().clone() }));
            }
        }
        let (records, mut signatures): (Vec<_>, Vec<_>) = waiting.into_iter().unzip();
        // Several records may share one.
        signatures.sort_unstable_by(|one, other| one.as_bytes().cmp(other.as_bytes()));
        signatures.dedup();
        let chains =
            HashChains::new(ChainNames::TIMESTAMP, signatures.iter().map(|one| vec![one.clone()]).collect());
        let covered = chains.map(|chains| Covered { result: chains.result().to_vec(), signatures });
        Ok(covered.map(|covered| Subject::Many { records, covered }))
    }

    /// A token over `imprint` from the first authority that gives one, and the time it states.
    async fn token(&self, imprint: Digest) -> Result<(Vec<u8>, Timestamp), TimeStampingError> {
        let configuration = self.configuration.borrow().clone();
        let approved = configuration
            .as_ref()
            .and_then(|configuration| configuration.instance(configuration.main(), self.clock.now()))
            .map(Instance::authorities)
            .ok_or(TimeStampingError::NoGlobalConfiguration)?;
        let mut failure = TimeStampingError::NoAuthority;
        for authority in &self.authorities {
            match authority.stamp(&imprint, approved).await {
                Ok(stamped) => return Ok(stamped),
                Err(error) => {
                    let labels = [("authority", authority.url.clone())];
                    counter!("uuk_message_log_time_stamp_failures_total", &labels).increment(1);
                    warn!(error = %ErrorChain(&error), "{} has not stamped", authority.url);
                    failure = error;
                }
            }
        }
        Err(failure)
    }

    /// Keeps the time of the first failure, also over a restart, or forgets it.
    async fn remember(&self, failure: Option<&TimeStampingError>) -> Result<(), StoreError> {
        let before = self.failing_since();
        let since = failure.map(|_| before.unwrap_or_else(|| self.clock.now()));
        if failure.is_none() {
            *self.succeeded_at.lock().unwrap_or_else(PoisonError::into_inner) = Some(self.clock.now());
        }
        gauge!("uuk_message_log_time_stamping_failing").set(f64::from(u8::from(since.is_some())));
        if since == before {
            return Ok(());
        }
        match failure {
            Some(failure) => {
                error!(error = %ErrorChain(failure), "Records cannot be time-stamped; trying again and again");
            }
            None => info!("Records are time-stamped again"),
        }
        *self.failing_since.lock().unwrap_or_else(PoisonError::into_inner) = since;
        self.store.remember(FAILED_SINCE, since).await
    }
}

impl TimeStampingAuthority {
    /// Gets ready to ask at the address `base`.
    ///
    /// # Errors
    /// [`BuildError::Authority`] if it cannot be asked there.
    pub fn build(config: &UpstreamConfig) -> Result<Self, BuildError> {
        let url = config.base.clone();
        let built = Upstream::build_at(config);
        let (upstream, target) =
            built.map_err(|source| BuildError::Authority { url: url.clone(), source })?;
        Ok(Self { url, target, upstream })
    }

    /// A DER token over `imprint` by one of `approved`, with its certificate in it, and the time that it states.
    ///
    /// # Errors
    /// [`TimeStampingError`], of the variants about one authority.
    pub async fn stamp(
        &self,
        imprint: &Digest,
        approved: &Authorities,
    ) -> Result<(Vec<u8>, Timestamp), TimeStampingError> {
        let authority = || self.url.clone();
        let refused = |source| TimeStampingError::AnswerRefused { authority: authority(), source };
        let body = TimeStampRequest::new(imprint.clone()).to_der().map_err(refused)?;
        let mut request = Request::new(Bytes::from(body));
        *request.method_mut() = http::Method::POST;
        *request.uri_mut() = self.target.clone();
        let query = http::HeaderValue::from_static("application/timestamp-query");
        request.headers_mut().insert(CONTENT_TYPE, query);
        let deadline = Instant::now() + ANSWER_TIME_MAX;
        let response =
            self.upstream.send(request, deadline, TIME_STAMP_TOKEN_BYTES_MAX as u64).await.map_err(
                |source| TimeStampingError::AuthorityUnreachable { authority: authority(), source },
            )?;
        if response.status() != StatusCode::OK {
            let status = response.status();
            return Err(TimeStampingError::AuthorityStatus { authority: authority(), status });
        }
        let mut token = TimeStampToken::from_response(response.body()).map_err(refused)?;
        let stamped = token.verify(imprint, approved).map_err(refused)?;
        token.enclose(stamped.authority).map_err(refused)?;
        Ok((token.to_der().map_err(refused)?, stamped.time))
    }
}
