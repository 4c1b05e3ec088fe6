use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Instant;

use tokio::sync::OwnedSemaphorePermit;
use uuk_bundle::{Bundle, BundleDigest, Manifest, Service};
use uuk_contract::{Contract, ContractError};

use crate::call::{Call, CallError, Outcome, Usage};
use crate::capabilities::config::ConfigurationError;
use crate::capabilities::log::LogLine;
use crate::capabilities::sql::StatementError;
use crate::compiled_cache::CompiledCache;
use crate::component::ComponentError;
use crate::engine::Engine;
use crate::environment::Environment;
use crate::grant::{Resources, ResourcesError};
use crate::health::{Health, Verdict};
use crate::idle_instances::IdleInstances;
use crate::instance::{self, Ended, Errand, Errands, Finding, Start};
use crate::limits::CallLimits;
use crate::meter::{Meters, RequestMeter};
use crate::slots::Slots;
use crate::turns::{Lost, Pace};

/// Why a bundle did not become a plugin.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum LoadError {
    /// The component.
    #[error(transparent)]
    Component(#[from] ComponentError),
    /// A contract.
    #[error("contract `{file}` of service `{service}` is not usable")]
    Contract {
        /// Service code.
        service: String,
        /// Path in the bundle.
        file: String,
        /// Why.
        #[source]
        source: ContractError,
    },
    /// A statement.
    #[error("statements are not usable")]
    Statement(#[source] StatementError),
    /// The grant does not cover what the manifest asks for.
    #[error("grant does not fit")]
    Resources(#[from] ResourcesError),
    /// The agency's configuration.
    #[error("configuration does not fit")]
    Configuration(#[from] ConfigurationError),
}

impl LoadError {
    /// The stable code of the cause: `component.import_forbidden`.
    pub fn code(&self) -> &'static str {
        match self {
            Self::Component(error) => error.code(),
            Self::Contract { source, .. } => source.code(),
            Self::Statement(error) => error.code(),
            Self::Resources(error) => error.code(),
            Self::Configuration(_) => "plugin.configuration",
        }
    }
}

/// One version of an adapter with all it needs, ready to be called.
pub struct Plugin {
    environment: Arc<Environment>,
    digest: BundleDigest,
    contracts: BTreeMap<String, Arc<Contract>>,
    slots: Slots,
    /// Where manifest and grant allow it.
    idle: Option<Arc<IdleInstances>>,
    health: Health,
    meters: Meters,
}

impl Plugin {
    /// Checks, compiles (or takes from `cache`) and links the component of `bundle`, and ties it to what is granted.
    ///
    /// Compiling takes from a tenth of a second (Rust) to ten (Python): call it where blocking is allowed.
    ///
    /// # Errors
    /// [`LoadError`] says which part does not fit.
    pub fn load(
        engine: &Arc<Engine>,
        cache: Option<&CompiledCache>,
        bundle: &Bundle,
        resources: Arc<Resources>,
    ) -> Result<Arc<Self>, LoadError> {
        let contracts = contracts(bundle)?;
        let environment = Environment::load(engine, cache, bundle, resources)?;
        let environment = Arc::new(environment);
        Ok(Arc::new(Self {
            digest: bundle.digest(),
            meters: Meters::new(&environment.manifest.plugin.id, &contracts),
            contracts,
            slots: Slots::new(environment.limits.concurrency_max, engine.waiting),
            health: Health::default(),
            idle: environment.reuse.map(|reuse| IdleInstances::new(&environment, reuse)),
            environment,
        }))
    }

    /// Answers one call in an instance of its own, or, where manifest and grant allow it, in one that has answered calls of
    /// the same client.
    ///
    /// # Errors
    /// [`CallError`]: the queue is full, a limit was met, or the adapter trapped.
    pub async fn call(self: &Arc<Self>, call: Call) -> (Result<Outcome, CallError>, Usage) {
        let (deadline, context) = (call.deadline, Arc::clone(&call.context));
        let (ended, usage) = self.run(Errand::Handle(call), deadline).await;
        let outcome = ended.and_then(|errand| match errand {
            Errands::Handled(outcome) => Ok(outcome),
            Errands::Probed(_) => Err(CallError::Host),
        });
        self.meters.count(&context.operation, &outcome, &usage);
        (outcome, usage)
    }

    /// Asks the adapter whether it could answer; `deep` lets it try its databases and upstreams.
    ///
    /// # Errors
    /// As [`Plugin::call`].
    pub async fn probe(self: &Arc<Self>, deep: bool, deadline: Instant) -> Result<Vec<Finding>, CallError> {
        match self.run(Errand::Probe { deep, deadline }, deadline).await.0? {
            Errands::Probed(findings) => Ok(findings),
            Errands::Handled(_) => Err(CallError::Host),
        }
    }

    async fn run(self: &Arc<Self>, errand: Errand, deadline: Instant) -> (Result<Errands, CallError>, Usage) {
        let pace = Pace::default();
        let errand = Arc::clone(self).run_errand(errand, deadline, pace.clone());
        let ended = pace.run(&self.environment.turns, errand).await;
        ended.unwrap_or_else(|Lost| (Err(CallError::Host), Usage::default()))
    }

    async fn run_errand(
        self: Arc<Self>,
        errand: Errand,
        deadline: Instant,
        pace: Pace,
    ) -> (Result<Errands, CallError>, Usage) {
        let _place = match self.slots.take(deadline).await {
            Ok(place) => place,
            Err(error) => return (Err(error), Usage::default()),
        };
        let again = match (&self.idle, &errand) {
            (Some(idle), Errand::Handle(call)) => Some((idle, Arc::clone(&call.context))),
            _ => None,
        };
        let kept = again.as_ref().and_then(|(idle, context)| idle.take(&context.client));
        let start = match kept {
            Some(instance) => Start::Kept(instance),
            None => match self.share(deadline).await {
                Some(share) => Start::New(share),
                None => {
                    let concurrency_max = self.environment.limits.concurrency_max;
                    return (Err(CallError::Busy { concurrency_max }), Usage::default());
                }
            },
        };
        let Ended { result, usage, instance } = instance::run(&self.environment, start, errand, pace).await;
        if let (Some(instance), Some((idle, context))) = (instance, again) {
            idle.keep(instance, &context.client);
        }
        (result, usage)
    }

    /// An instance's part of the pool that all plugins use.
    async fn share(&self, deadline: Instant) -> Option<OwnedSemaphorePermit> {
        let Environment { engine, memories, .. } = &*self.environment;
        if let Ok(share) = Arc::clone(&engine.memories).try_acquire_many_owned(*memories) {
            return Some(share);
        }
        let share = Arc::clone(&engine.memories).acquire_many_owned(*memories);
        tokio::time::timeout_at(deadline.into(), share).await.ok()?.ok()
    }

    /// Counts how a call ended; true when this version has failed too often.
    pub fn record(&self, verdict: Verdict) -> bool {
        self.health.record(verdict, Instant::now())
    }

    /// The manifest.
    pub fn manifest(&self) -> &Manifest {
        &self.environment.manifest
    }

    /// SHA-256 of the bundle file: its identity.
    pub fn digest(&self) -> BundleDigest {
        self.digest
    }

    /// Contracts by service code.
    pub fn contracts(&self) -> &BTreeMap<String, Arc<Contract>> {
        &self.contracts
    }

    /// What a call may use.
    pub fn limits(&self) -> &CallLimits {
        &self.environment.limits
    }

    /// Where requests to `operation` are counted that this plugin answered.
    pub fn answered(&self, operation: &str) -> Option<&RequestMeter> {
        self.meters.answered(operation)
    }

    /// The adapter's last log lines, oldest first.
    pub fn log_lines(&self) -> Vec<LogLine> {
        self.environment.log.lines()
    }
}

impl std::fmt::Debug for Plugin {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let plugin = &self.environment.manifest.plugin;
        f.debug_struct("Plugin")
            .field("id", &plugin.id)
            .field("version", &plugin.version)
            .finish_non_exhaustive()
    }
}

fn contracts(bundle: &Bundle) -> Result<BTreeMap<String, Arc<Contract>>, LoadError> {
    let contract = |service: &Service| {
        let contract = Contract::read(bundle.contract(service));
        match contract {
            Ok(contract) => Ok((service.code.clone(), Arc::new(contract))),
            Err(source) => Err(LoadError::Contract {
                service: service.code.clone(),
                file: service.contract.clone(),
                source,
            }),
        }
    };
    bundle.manifest().services.iter().map(contract).collect()
}
