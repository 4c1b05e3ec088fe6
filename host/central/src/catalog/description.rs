use std::collections::{BTreeMap, BTreeSet};

use jiff::{SignedDuration, Timestamp};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use serde_json::{Value, json};
use uuk_identifiers::{ClientId, ServiceId};
use uuk_pki::Sha256;

/// How long a description passes for true without anybody looking at it: half a year.
const FRESH_TIME: SignedDuration = SignedDuration::from_hours(182 * 24);

/// The languages in which everything in the catalog can be read.
pub const LANGUAGES: [&str; 4] = ["ky", "ru", "uz", "en"];

/// A text by language.
pub type Texts = BTreeMap<String, String>;

/// An information system; it exchanges messages as the subsystem by which it is named.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct InformationSystem {
    /// What it is called.
    pub title: Texts,
    /// What it is for.
    pub description: Texts,
    /// Its registers and databases, by code.
    #[serde(default)]
    pub resources: BTreeMap<String, Resource>,
}

/// A register or database of an information system.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Resource {
    /// What it is called.
    pub title: Texts,
}

/// What its provider says about a service.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct ServiceDescription {
    /// The service; its provider is an information system of the catalog.
    #[schemars(with = "String")]
    pub service: ServiceId,
    /// The register that it answers from, by its code in the system.
    #[serde(default)]
    pub resource: Option<String>,
    /// What it is called.
    pub title: Texts,
    /// What it answers.
    pub description: Texts,
    /// The law by which it may.
    pub legal_basis: String,
    /// What a call costs.
    pub tariff: String,
    /// What consumers can rely on.
    pub service_level: ServiceLevel,
    /// Who helps. These are people: consumers with access see them, the public does not.
    pub support: Vec<Contact>,
    /// What each field of the contract is, by its JSON Pointer: `/get/answer/surname`.
    pub classification: BTreeMap<String, Classification>,
    /// An answer of each operation, as it could be.
    #[serde(default)]
    pub samples: BTreeMap<String, Value>,
}

/// What consumers of a service can rely on.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct ServiceLevel {
    /// How many minutes of a month it may be away, planned or not.
    pub down_minutes_per_month_max: u32,
    /// Of nineteen answers in twenty.
    pub answer_time_ms: u32,
    /// So soon its provider decides on a request for access. Default: 10.
    #[serde(default = "ServiceLevel::default_decision_days")]
    pub decision_days: u32,
}

impl ServiceLevel {
    fn default_decision_days() -> u32 {
        10
    }
}

impl Default for ServiceLevel {
    /// To begin with: nothing but the time to decide is known.
    fn default() -> Self {
        let decision_days = Self::default_decision_days();
        Self { down_minutes_per_month_max: 0, answer_time_ms: 0, decision_days }
    }
}

/// Someone who helps.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Contact {
    /// Whom to ask for.
    pub name: String,
    /// Where to call.
    #[serde(default)]
    pub phone: Option<String>,
    /// Where to write.
    #[serde(default)]
    pub mail: Option<String>,
}

/// What the law says about a field.
#[derive(
    Debug,
    Clone,
    Copy,
    PartialEq,
    Eq,
    Hash,
    PartialOrd,
    Ord,
    Serialize,
    Deserialize,
    JsonSchema,
    strum::Display,
    strum::EnumIter,
)]
#[serde(rename_all = "snake_case")]
#[strum(serialize_all = "snake_case")]
pub enum Classification {
    /// Nothing about a person.
    None,
    /// Personal data.
    Personal,
    /// Of a special category, such as health or religion.
    Special,
    /// Biometric.
    Biometric,
}

/// A service in the catalog.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct CatalogService {
    /// What is being prepared.
    pub draft: Option<Edition>,
    /// What counts: without it, the service does not exist for anybody.
    pub published: Option<Published>,
}

/// A description with its contract.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Edition {
    /// What is said about it.
    pub description: ServiceDescription,
    /// The contract's exact bytes.
    pub contract: Sha256,
}

impl InformationSystem {
    /// By which a change says what it replaces.
    pub fn digest(&self) -> Sha256 {
        digest(self)
    }
}

impl Edition {
    /// By which a change says what it replaces.
    pub fn digest(&self) -> Sha256 {
        digest(self)
    }
}

impl CatalogService {
    /// What is being prepared, or what counts.
    pub fn current(&self) -> Option<&Edition> {
        self.draft.as_ref().or(self.published.as_ref().map(|published| &published.edition))
    }
}

/// Of the JSON, in which maps are sorted.
fn digest(value: &impl Serialize) -> Sha256 {
    Sha256::of(json!(value).to_string().as_bytes())
}

/// An edition that counts.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Published {
    /// From one.
    pub number: u32,
    /// Since when.
    pub at: Timestamp,
    /// When its provider last looked through it and found all of it still so.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub confirmed_at: Option<Timestamp>,
    /// What counts.
    #[serde(flatten)]
    pub edition: Edition,
}

impl Published {
    /// When its provider last stood by it: published it, or confirmed it since.
    pub fn fresh_at(&self) -> Timestamp {
        self.confirmed_at.unwrap_or(self.at)
    }

    /// When it is to be confirmed again, if nothing else happens to it.
    pub fn stale_at(&self) -> Timestamp {
        self.fresh_at().saturating_add(FRESH_TIME).unwrap_or(Timestamp::MAX)
    }
}

/// A consumer asks for access to a service.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct AccessRequest {
    /// Who would call.
    #[schemars(with = "String")]
    pub consumer: ClientId,
    /// What.
    #[schemars(with = "String")]
    pub service: ServiceId,
    /// What for.
    pub purpose: String,
    /// The law by which they may.
    pub legal_basis: String,
    /// The fields of the answer that they need, by JSON Pointer.
    pub fields: BTreeSet<String>,
    /// The last instant at which they would.
    #[schemars(with = "String")]
    pub until: Timestamp,
    /// How often, at most.
    pub calls_per_day: u32,
}

/// A request and what became of it.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Access {
    /// What was asked.
    pub request: AccessRequest,
    /// Since when it waits.
    pub asked_at: Timestamp,
    /// By when the provider decides, by the service level that it promised then; older requests have none.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub due: Option<Timestamp>,
    /// What the provider said.
    pub decision: Option<Decision>,
}

/// What a provider said to a request.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Decision {
    /// Whether they may.
    pub granted: bool,
    /// Why not, or on what conditions.
    pub note: String,
    /// When it was said.
    pub at: Timestamp,
}

impl Access {
    /// Whether the provider should have decided by `now`, and has not.
    pub fn is_overdue(&self, now: Timestamp) -> bool {
        self.decision.is_none() && self.due.is_some_and(|due| due < now)
    }

    /// Whether the consumer may call at `now`.
    pub fn counts(&self, now: Timestamp) -> bool {
        self.decision.as_ref().is_some_and(|decision| decision.granted) && now <= self.request.until
    }
}
