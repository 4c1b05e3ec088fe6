use std::time::{Duration, Instant};

use uuk_bundle::BundleError;
use uuk_identifiers::ServiceId;

use crate::call::CallError;
use crate::component::ComponentError;
use crate::grant::ResourcesError;
use crate::instance::Finding;
use crate::plugin::LoadError;

/// First and longest pause before a bundle that may pass later is tried again: it doubles with each attempt, so that
/// a probe that never succeeds costs little.
const RETRY: (Duration, Duration) = (Duration::from_secs(2), Duration::from_secs(300));

/// Why a bundle does not serve.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum RefusalReason {
    /// The file can not be read.
    #[error("cannot read the file")]
    Read(#[source] std::io::Error),
    /// Signature, vetting, revocation or contents.
    #[error(transparent)]
    Bundle(#[from] BundleError),
    /// No grant names the plugin.
    #[error("no grant names the plugin `{plugin}`")]
    NotGranted {
        /// The plugin's identifier.
        plugin: String,
    },
    /// The contract is not the catalogued one.
    #[error("contract of service `{service}` differs from the catalogued one")]
    ContractDiffers {
        /// The service.
        service: ServiceId,
    },
    /// Another plugin answers the service already.
    #[error("service `{code}` of the same subsystem is answered by the plugin `{plugin}`")]
    ServiceTaken {
        /// The service's code.
        code: String,
        /// The other plugin's identifier.
        plugin: String,
    },
    /// What is granted can not be opened.
    #[error("grant is not usable")]
    Resources(#[from] ResourcesError),
    /// Component, contract, statements, configuration.
    #[error(transparent)]
    Load(#[from] LoadError),
    /// The probe did not come to an end.
    #[error("probe failed")]
    Probe(#[source] CallError),
    /// The probe found something wrong.
    #[error("probe found `{}` wrong: {}", finding.check, finding.detail)]
    Finding {
        /// The first bad finding.
        finding: Finding,
    },
    /// The copy can not be kept or read.
    #[error("cannot keep a copy of the bundle")]
    Store(#[source] std::io::Error),
    /// The host failed.
    #[error("preparing the bundle failed inside the host")]
    Host,
}

impl RefusalReason {
    /// The stable code of the cause.
    pub fn code(&self) -> &'static str {
        match self {
            Self::Read(_) => "plugin.unreadable",
            Self::Bundle(error) => error.code(),
            Self::NotGranted { .. } => "plugin.not_granted",
            Self::ContractDiffers { .. } => "plugin.contract_differs",
            Self::ServiceTaken { .. } => "plugin.service_taken",
            Self::Resources(error) => error.code(),
            Self::Load(error) => error.code(),
            Self::Probe(_) | Self::Finding { .. } => "plugin.probe",
            Self::Store(_) => "plugin.store",
            Self::Host => "plugin.host",
        }
    }

    /// Whether trying the same bytes again later may help.
    fn may_pass(&self) -> bool {
        matches!(
            self,
            Self::Probe(_)
                | Self::Finding { .. }
                | Self::Store(_)
                | Self::ServiceTaken { .. }
                | Self::Host
                | Self::Load(LoadError::Component(ComponentError::Compiler { .. }))
        )
    }
}

/// The last refusal of a bundle, and how often it was tried.
#[derive(Debug)]
pub(super) struct Refusal {
    pub(super) reason: RefusalReason,
    at: Instant,
    attempts: u32,
}

impl Refusal {
    pub(super) fn new(reason: RefusalReason, before: Option<&Self>) -> Self {
        let attempts = before.map_or(0, |before| before.attempts.saturating_add(1));
        Self { reason, at: Instant::now(), attempts }
    }

    /// Whether it is time for another attempt.
    pub(super) fn is_over(&self) -> bool {
        let (first, longest) = RETRY;
        let pause = first.saturating_mul(1 << self.attempts.min(16)).min(longest);
        self.reason.may_pass() && self.at.elapsed() >= pause
    }
}
