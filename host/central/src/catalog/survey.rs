use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;
use std::time::{Duration, Instant};

use bytes::Bytes;
use futures_util::{StreamExt, stream};
use http::{Request, Response, StatusCode};
use jiff::{SignedDuration, Timestamp};
use serde::{Deserialize, Serialize};
use serde_json::{Value, json};
use tokio::time::MissedTickBehavior;
use tokio_util::sync::CancellationToken;
use tracing::{info, warn};
use uuk_contract::percent;
use uuk_identifiers::{ClientId, ServiceId, SubsystemId};
use uuk_pki::Sha256;
use uuk_process::ErrorChain;
use uuk_transport::{Upstream, UpstreamBuildError, UpstreamConfig, UpstreamError};

use super::{CONTRACT_BYTES_MAX, Published};
use crate::central::{Central, CentralError, Recorded};

const DEFAULT_INTERVAL: Duration = Duration::from_secs(24 * 3600);
const INTERVAL_MIN: Duration = Duration::from_secs(1);
/// One that did not say is asked again after this at the latest: perhaps somebody is about to connect it.
const SILENCE_MAX: Duration = Duration::from_secs(600);
/// How often it is looked which systems are to be asked again.
const LOOK_EVERY: Duration = Duration::from_secs(60);
const ASKED_AT_ONCE: usize = 8;
const ANSWER_TIME_MAX: Duration = Duration::from_secs(60);
/// A list names each endpoint of each service.
const LIST_BYTES_MAX: u64 = 4 << 20;
/// More are not kept of one system.
const DRIFTS_MAX: usize = 100;
const REASON_CHARS_MAX: usize = 300;
/// Longer ones are none of X-Road's, and are cut.
const CODE_CHARS_MAX: usize = 255;

/// Section `[survey]`: through which security server information systems are asked what they offer.
#[derive(Debug, Clone, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct SurveyConfig {
    /// The operator's own security server.
    pub server: UpstreamConfig,
    /// The operator's subsystem as which it asks.
    pub client: SubsystemId,
    /// How often each system is asked; at least a second. Default: 24 h.
    #[serde(
        default = "SurveyConfig::default_interval",
        with = "jiff::fmt::serde::unsigned_duration::friendly::compact::required"
    )]
    pub interval: Duration,
}

impl SurveyConfig {
    /// Makes the files it names relative to `folder`, where it was read.
    pub fn resolve(&mut self, folder: &std::path::Path) {
        self.server.resolve(folder);
    }

    /// What the types cannot say.
    pub fn problems(&self) -> Vec<String> {
        match self.interval < INTERVAL_MIN {
            true => vec!["survey.interval: at least a second".to_owned()],
            false => Vec::new(),
        }
    }

    fn default_interval() -> Duration {
        DEFAULT_INTERVAL
    }
}

/// What an information system was found to offer, beside what the catalog says.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Survey {
    /// Which system.
    pub system: SubsystemId,
    /// When it was asked.
    pub at: Timestamp,
    /// Why it did not say, if it did not.
    pub silence: Option<String>,
    /// Where it differs from the catalog; none if it did not say.
    pub drifts: Vec<Drift>,
}

/// A service that is not as the catalog says.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
pub struct Drift {
    /// Its code.
    pub service: String,
    /// How.
    pub kind: DriftKind,
}

/// How a service differs from the catalog.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize, strum::Display)]
#[serde(rename_all = "snake_case")]
#[strum(serialize_all = "snake_case")]
pub enum DriftKind {
    /// It is offered, and not in the catalog.
    Undescribed,
    /// It is in the catalog, and not offered.
    NotOffered,
    /// It goes by another contract, or shows none.
    OtherContract,
}

impl Survey {
    /// When the system is asked again, if those that answer are every `interval`.
    fn due(&self, interval: Duration) -> Timestamp {
        let pause = if self.silence.is_some() { interval.min(SILENCE_MAX) } else { interval };
        let pause = SignedDuration::try_from(pause).unwrap_or(SignedDuration::MAX);
        self.at.saturating_add(pause).unwrap_or(Timestamp::MAX)
    }
}

impl Recorded for Survey {
    const KIND: &'static str = "survey";

    fn told(&self) -> Value {
        json!({ "drifts": self.drifts.len() })
    }
}

/// Why a system does not say what it offers.
#[derive(Debug, thiserror::Error)]
enum Silence {
    #[error("the operator's security server gives no answer")]
    Unreachable(#[from] UpstreamError),
    #[error("the answer is {status} {code}")]
    Refused {
        status: StatusCode,
        /// X-Road's, if there is one.
        code: String,
    },
    #[error("the answer is no list of services")]
    NoList,
    #[error(transparent)]
    Central(#[from] CentralError),
}

/// The answer of `listMethods`, as far as it is read (X-Road PR-MREST).
#[derive(Debug, Deserialize)]
struct ServiceList {
    service: Vec<ListedService>,
}

#[derive(Debug, Deserialize)]
struct ListedService {
    service_code: String,
}

/// Asks every information system what it offers, by X-Road's metaservices: servers of any make answer them.
#[derive(Debug)]
pub struct Surveyor {
    central: Arc<Central>,
    upstream: Upstream,
    client: SubsystemId,
    interval: Duration,
}

impl Surveyor {
    /// Gets ready to ask; asks nobody yet.
    ///
    /// # Errors
    /// If the security server cannot be asked as configured.
    pub fn build(config: &SurveyConfig, central: Arc<Central>) -> Result<Self, UpstreamBuildError> {
        let SurveyConfig { server, client, interval } = config;
        let upstream = Upstream::build(server)?;
        Ok(Self { central, upstream, client: client.clone(), interval: *interval })
    }

    /// Asks until `stop`.
    pub async fn run(self, stop: CancellationToken) {
        let mut tick = tokio::time::interval(self.interval.min(LOOK_EVERY));
        tick.set_missed_tick_behavior(MissedTickBehavior::Delay);
        while stop.run_until_cancelled(tick.tick()).await.is_some() {
            let Some(round) = stop.run_until_cancelled(self.round()).await else { return };
            if let Err(error) = round {
                warn!(fault.code = error.code(), "Cannot survey: {}", ErrorChain(&error));
            }
        }
    }

    /// Asks those whose turn it is. With several central servers, whoever comes first writes down that it was asked.
    async fn round(&self) -> Result<(), CentralError> {
        let now = self.central.clock().now();
        let registry = self.central.snapshot().await?.registry;
        let clients = registry.servers().values().flat_map(|server| server.clients.keys());
        let exchanging = clients.filter_map(|client| match client {
            ClientId::Subsystem(system) => Some(system),
            ClientId::Member(_) => None,
        });
        let systems: BTreeSet<_> = exchanging.chain(registry.catalog().systems.keys()).collect();
        let known: BTreeMap<String, Survey> = self.central.records().await?.into_iter().collect();
        for (id, survey) in &known {
            if !systems.contains(&survey.system) {
                self.central.keep::<Survey>(id, None).await?;
            }
        }
        let is_fresh = |survey: &Survey| now < survey.due(self.interval);
        let mut due = Vec::new();
        for system in systems {
            if !known.get(&system.to_string()).is_some_and(is_fresh) {
                let services = registry.catalog().services.iter().filter(|(id, _)| id.provider == *system);
                let published = services.filter_map(|(id, service)| Some((id, service.published.as_ref()?)));
                due.push(self.survey(system, published.collect(), now));
            }
        }
        let mut surveys = stream::iter(due).buffer_unordered(ASKED_AT_ONCE);
        while let Some(survey) = surveys.next().await {
            self.central.keep(&survey.system.to_string(), Some(&survey)).await?;
        }
        Ok(())
    }

    async fn survey(
        &self,
        system: &SubsystemId,
        published: BTreeMap<&ServiceId, &Published>,
        at: Timestamp,
    ) -> Survey {
        let (silence, drifts) = match self.drifts(system, published).await {
            Ok(drifts) => (None, drifts),
            Err(silence) => (Some(ErrorChain(&silence).to_string()), Vec::new()),
        };
        if !drifts.is_empty() {
            info!(system = %system, "{system} offers other services than the catalog says: {}", drifts.len());
        }
        let silence = silence.map(|reason| reason.chars().take(REASON_CHARS_MAX).collect());
        Survey { system: system.clone(), at, silence, drifts }
    }

    async fn drifts(
        &self,
        system: &SubsystemId,
        published: BTreeMap<&ServiceId, &Published>,
    ) -> Result<Vec<Drift>, Silence> {
        let answer = self.ask(system, "listMethods", LIST_BYTES_MAX).await?;
        if answer.status() != StatusCode::OK {
            let code = answer.headers().get("x-road-error").and_then(|code| code.to_str().ok());
            let code = code.unwrap_or_default().to_owned();
            return Err(Silence::Refused { status: answer.status(), code });
        }
        let list: ServiceList = serde_json::from_slice(answer.body()).map_err(|_| Silence::NoList)?;
        let offered: BTreeSet<&str> =
            list.service.iter().map(|listed| listed.service_code.as_str()).collect();
        let described: BTreeSet<&str> = published.keys().map(|id| id.code.as_str()).collect();

        let drift = |code: &str, kind| Drift { service: shown(code), kind };
        let undescribed = offered.difference(&described).take(DRIFTS_MAX);
        let mut drifts: Vec<_> = undescribed.map(|code| drift(code, DriftKind::Undescribed)).collect();
        for (id, published) in published {
            let contract = self.central.contract(&published.edition).await?;
            // X-Road's own servers list services of SOAP in SOAP only.
            if contract.trim_start().starts_with('<') {
                continue;
            }
            if !offered.contains(id.code.as_str()) {
                drifts.push(drift(&id.code, DriftKind::NotOffered));
            } else if !self.goes_by(id, &published.edition.contract).await? {
                drifts.push(drift(&id.code, DriftKind::OtherContract));
            }
        }
        drifts.sort();
        // What is cut off is told once the first are mended.
        drifts.truncate(DRIFTS_MAX);
        Ok(drifts)
    }

    /// Whether a system shows a contract for a service, by its digest.
    async fn goes_by(&self, service: &ServiceId, contract: &Sha256) -> Result<bool, Silence> {
        let question = format!("getOpenAPI?serviceCode={}", percent::encode(&service.code));
        let shown = match self.ask(&service.provider, &question, CONTRACT_BYTES_MAX as u64).await {
            // A larger one is none that the catalog takes.
            Err(UpstreamError::TooLarge { .. }) => return Ok(false),
            shown => shown?,
        };
        Ok(shown.status() == StatusCode::OK && Sha256::of(shown.body()) == *contract)
    }

    async fn ask(
        &self,
        system: &SubsystemId,
        question: &str,
        bytes_max: u64,
    ) -> Result<Response<Bytes>, UpstreamError> {
        let path = format!("/r1/{}/{question}", in_path(&system.to_string()));
        let request = Request::get(path).header("x-road-client", in_path(&self.client.to_string()));
        let request = request.body(Bytes::new()).map_err(|source| UpstreamError::Request { source })?;
        self.upstream.send(request, Instant::now() + ANSWER_TIME_MAX, bytes_max).await
    }
}

/// A code as people are shown it, whatever a server has sent.
fn shown(code: &str) -> String {
    let visible = code.chars().map(|one| if one.is_control() { char::REPLACEMENT_CHARACTER } else { one });
    visible.take(CODE_CHARS_MAX).collect()
}

/// An identifier as it stands in a path: its parts encoded, what parts them not.
fn in_path(id: &str) -> String {
    id.split('/').map(percent::encode).collect::<Vec<_>>().join("/")
}

impl Central {
    /// What the information systems were last found to offer, by identifier.
    ///
    /// # Errors
    /// If the database cannot be used.
    pub async fn surveys(&self) -> Result<Vec<Survey>, CentralError> {
        let mut surveys: Vec<Survey> =
            self.records().await?.into_iter().map(|(_, survey): (String, _)| survey).collect();
        surveys.sort_by(|one, other| one.system.cmp(&other.system));
        Ok(surveys)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn who_was_silent_is_asked_again_soon_and_who_answered_is_left_in_peace() {
        let at: Timestamp = "2026-11-24T12:00:00Z".parse().unwrap();
        let system = "KG/GOV/70000001/registry".parse().unwrap();
        let answered = Survey { system, at, silence: None, drifts: Vec::new() };
        let silent = Survey { silence: Some("no answer".to_owned()), ..answered.clone() };
        let (hour, second) = (Duration::from_secs(3600), Duration::from_secs(1));
        assert_eq!(answered.due(hour), at + hour);
        assert_eq!(silent.due(hour), at + SILENCE_MAX);
        assert_eq!(silent.due(second), at + second);
        assert_eq!(answered.due(Duration::MAX), Timestamp::MAX);
    }
}
