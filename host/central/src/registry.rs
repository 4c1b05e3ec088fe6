//! Who takes part in an instance, and whom it trusts.

mod authorities;
mod federation;
mod members;
mod refusal;
mod requests;
mod rows;
mod servers;
mod signing_keys;

use std::collections::{BTreeMap, BTreeSet};
use std::net::{IpAddr, SocketAddr};

use jiff::Timestamp;
use serde::{Deserialize, Serialize};
use uuk_identifiers::{ClientId, MemberId, ServerId, SubsystemId};
use uuk_message::ManagementRequest;
use uuk_pki::{Der, Sha256};

use crate::catalog::CatalogRegister;
use crate::vetting::BundleTrust;

pub use federation::FederatedInstance;
pub(crate) use members::OWNERS;
pub use refusal::Refusal;
pub use rows::{DamagedRow, Edit};
pub(crate) use rows::{compare, put};

/// Names, descriptions and messages are for people, and shorter.
const TEXT_CHARS_MAX: usize = 255;
/// As much of a URL as X-Road's databases hold.
const URL_BYTES_MAX: usize = 2048;

/// All that is registered, at one moment. It is changed as a value: whoever stores it compares it with what it was
/// before, so that no change escapes the audit log.
///
/// Every method that changes it leaves it as it was when it refuses.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Registry {
    pub(crate) settings: Settings,
    pub(crate) member_classes: BTreeMap<String, MemberClass>,
    pub(crate) members: BTreeMap<MemberId, Member>,
    pub(crate) subsystems: BTreeMap<SubsystemId, Subsystem>,
    pub(crate) servers: BTreeMap<ServerId, Server>,
    pub(crate) groups: BTreeMap<String, Group>,
    pub(crate) certification: BTreeMap<String, CertificationService>,
    pub(crate) time_stamping: BTreeMap<String, TimeStampingService>,
    pub(crate) signing_keys: BTreeMap<Sha256, SigningKeyRecord>,
    pub(crate) federated: BTreeMap<String, FederatedInstance>,
    pub(crate) requests: BTreeMap<u64, PendingRequest>,
    pub(crate) catalog: CatalogRegister,
    pub(crate) bundle_trust: BundleTrust,
    /// So many have come; the last one has this number.
    pub(crate) requests_received: u64,
}

/// What holds for the whole instance.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Settings {
    /// The identifier that every name begins with. It never changes.
    pub instance: String,
    /// Where members download the configuration: `host` or `host:port` of each central server, at least one.
    pub sources: Vec<String>,
    /// Who answers management requests.
    pub management_provider: ClientId,
    /// Where requests to register authentication certificates go.
    pub registration_url: String,
    /// The certificate that is shown there.
    pub registration_certificate: Option<Der>,
    /// How old an OCSP answer may be.
    pub ocsp_freshness_seconds: u32,
    /// How long a message may wait for its time-stamp.
    pub time_stamping_interval_seconds: u32,
}

/// A class of members; it is named by its code.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct MemberClass {
    /// For people.
    pub description: String,
}

/// A member.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Member {
    /// For people.
    pub name: String,
}

/// A subsystem.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Subsystem {
    /// For people.
    pub name: Option<String>,
}

/// A security server.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Server {
    /// Host name or address; without one, no one can reach it.
    pub address: Option<String>,
    /// Its authentication certificates.
    pub certificates: BTreeSet<Der>,
    /// Who exchanges messages through it, beside its owner, and whether it does so for now.
    pub clients: BTreeMap<ClientId, ClientState>,
    /// If it is to be left alone for now, why.
    pub maintenance: Option<Maintenance>,
}

/// Whether a client exchanges messages.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum ClientState {
    /// It does.
    Enabled,
    /// Not for now, by its own wish.
    Disabled,
}

/// A server is being maintained.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Maintenance {
    /// What its operator says about it.
    pub message: Option<String>,
}

/// A group of members and subsystems that rights can be given to; it is named by its code.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Group {
    /// For people.
    pub description: String,
    /// Who is in it.
    pub members: BTreeSet<ClientId>,
}

/// An approved certification service; its name is for people.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct CertificationService {
    /// Its certificates are for TLS only.
    pub authentication_only: bool,
    /// The top authority, then those below it.
    pub authorities: Vec<Authority>,
    /// How subjects name members: the name of a Java class.
    pub certificate_profile: String,
}

/// An authority of a certification service.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Authority {
    /// Its certificate.
    pub certificate: Der,
    /// Who answers about its certificates.
    pub responders: Vec<Responder>,
}

/// An OCSP responder.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Responder {
    /// Where to ask.
    pub url: String,
    /// The certificate that may sign its answers, beside those that the authority issues for that.
    pub certificate: Option<Der>,
}

/// An approved time-stamping service; its name is for people.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct TimeStampingService {
    /// Where to ask.
    pub url: String,
    /// The certificate that signs its time-stamps.
    pub certificate: Der,
}

/// A key for the global configuration, as everybody may know it; it is named by the digest of its certificate.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct SigningKeyRecord {
    /// By which members know its signatures.
    pub certificate: Der,
    /// Since when the configuration tells members of it.
    pub announced_at: Timestamp,
    /// Whether it signs: of all keys, one does.
    pub active: bool,
}

/// A management request that waits for an operator; it is known by its number.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct PendingRequest {
    /// What is asked.
    pub request: ManagementRequest,
    /// Since when.
    pub received_at: Timestamp,
}

impl Registry {
    /// The registry of a new instance, with its first signing key.
    ///
    /// # Errors
    /// If the settings are not such as an instance can have.
    pub fn new(settings: Settings, certificate: Der, now: Timestamp) -> Result<Self, Refusal> {
        settings.check()?;
        let mut registry = Self::empty(settings);
        let key = SigningKeyRecord { announced_at: now, active: true, certificate };
        registry.signing_keys.insert(key.certificate.sha256(), key);
        Ok(registry)
    }

    fn empty(settings: Settings) -> Self {
        Self {
            settings,
            member_classes: BTreeMap::new(),
            members: BTreeMap::new(),
            subsystems: BTreeMap::new(),
            servers: BTreeMap::new(),
            groups: BTreeMap::new(),
            certification: BTreeMap::new(),
            time_stamping: BTreeMap::new(),
            signing_keys: BTreeMap::new(),
            federated: BTreeMap::new(),
            requests: BTreeMap::new(),
            catalog: CatalogRegister::default(),
            bundle_trust: BundleTrust::default(),
            requests_received: 0,
        }
    }

    /// What holds for the whole instance.
    pub fn settings(&self) -> &Settings {
        &self.settings
    }

    /// The instances whose members may exchange messages with those of this one, by identifier.
    pub fn federated(&self) -> &BTreeMap<String, FederatedInstance> {
        &self.federated
    }

    /// The certification services that are approved, by what people call them.
    pub fn certification(&self) -> &BTreeMap<String, CertificationService> {
        &self.certification
    }

    /// The time-stamping services that are approved, likewise.
    pub fn time_stamping(&self) -> &BTreeMap<String, TimeStampingService> {
        &self.time_stamping
    }

    /// The members, by name.
    pub fn members(&self) -> &BTreeMap<MemberId, Member> {
        &self.members
    }

    /// The subsystems, by name.
    pub fn subsystems(&self) -> &BTreeMap<SubsystemId, Subsystem> {
        &self.subsystems
    }

    /// The security servers, by name.
    pub fn servers(&self) -> &BTreeMap<ServerId, Server> {
        &self.servers
    }

    /// The keys for the global configuration, by the digest of their certificates.
    pub fn signing_keys(&self) -> &BTreeMap<Sha256, SigningKeyRecord> {
        &self.signing_keys
    }

    /// The management requests that wait for an operator, by number.
    pub fn requests(&self) -> &BTreeMap<u64, PendingRequest> {
        &self.requests
    }

    /// Changes what holds for the whole instance.
    ///
    /// # Errors
    /// If the settings are not such as an instance can have, or are of another one.
    pub fn set_settings(&mut self, settings: Settings) -> Result<(), Refusal> {
        self.check_instance(&settings.instance)?;
        settings.check()?;
        self.settings = settings;
        Ok(())
    }

    fn check_instance(&self, instance: &str) -> Result<(), Refusal> {
        match instance == self.settings.instance {
            true => Ok(()),
            false => Err(Refusal::OtherInstance { instance: self.settings.instance.clone() }),
        }
    }
}

impl Settings {
    /// The settings of an instance with one central server at `source`, which takes requests at X-Road's usual port, and
    /// X-Road's usual periods.
    pub fn new(instance: &str, source: &str, management_provider: ClientId) -> Self {
        let host = source.rsplit_once(':').map_or(source, |(host, _)| host);
        Self {
            instance: instance.to_owned(),
            sources: vec![source.to_owned()],
            management_provider,
            registration_url: format!("https://{host}:4001/managementservice/"),
            registration_certificate: None,
            ocsp_freshness_seconds: 3600,
            time_stamping_interval_seconds: 60,
        }
    }

    fn check(&self) -> Result<(), Refusal> {
        check_instance(&self.instance)?;
        if self.sources.is_empty() {
            return Err(Refusal::NoSource);
        }
        self.sources.iter().try_for_each(|source| check_address(source))?;
        if self.management_provider.member().instance != self.instance {
            return Err(Refusal::OtherInstance { instance: self.instance.clone() });
        }
        check_url(&self.registration_url)
    }
}

impl SigningKeyRecord {
    /// The name of the key: the digest of its certificate.
    pub fn id(&self) -> Sha256 {
        self.certificate.sha256()
    }
}

/// Refuses what cannot begin a name.
fn check_instance(instance: &str) -> Result<(), Refusal> {
    let member = MemberId { instance: instance.to_owned(), class: "class".into(), code: "code".into() };
    Ok(member.checked().map(drop)?)
}

/// Refuses what is no text for people.
pub(crate) fn check_text(what: &'static str, text: &str) -> Result<(), Refusal> {
    if text.trim().is_empty() {
        return Err(Refusal::Blank { what });
    }
    if text.chars().count() > TEXT_CHARS_MAX {
        return Err(Refusal::TooLong { what, chars_max: TEXT_CHARS_MAX });
    }
    match text.chars().any(char::is_control) {
        true => Err(Refusal::ControlCharacter { what }),
        false => Ok(()),
    }
}

/// Refuses what is neither a host name nor an IP address, perhaps with a port.
fn check_address(address: &str) -> Result<(), Refusal> {
    let is_label = |label: &str| {
        let may_stand = |byte: u8| byte.is_ascii_alphanumeric() || byte == b'-' || byte == b'_';
        (1..=63).contains(&label.len()) && label.bytes().all(may_stand) && !label.starts_with('-')
    };
    let is_name = |host: &str| host.len() <= 253 && host.split('.').all(is_label);
    let is_ip = address.parse::<IpAddr>().is_ok()
        || address.parse::<SocketAddr>().is_ok_and(|address| address.port() > 0);
    let is_named = match address.split_once(':') {
        Some((host, port)) => is_name(host) && port.parse::<u16>().is_ok_and(|port| port > 0),
        None => is_name(address),
    };
    match is_ip || is_named {
        true => Ok(()),
        false => Err(Refusal::Address { address: address.chars().take(TEXT_CHARS_MAX).collect() }),
    }
}

/// Refuses what is no URL of HTTP.
fn check_url(url: &str) -> Result<(), Refusal> {
    let wrong = || Refusal::Url { url: url.chars().take(TEXT_CHARS_MAX).collect() };
    let uri: http::Uri = url.parse().map_err(|_| wrong())?;
    let is_http = matches!(uri.scheme_str(), Some("http" | "https"));
    let has_host = uri.host().is_some_and(|host| !host.is_empty());
    if url.len() <= URL_BYTES_MAX && is_http && has_host { Ok(()) } else { Err(wrong()) }
}
