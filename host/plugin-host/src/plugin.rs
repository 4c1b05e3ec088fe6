use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Instant;

use uuk_bundle::{Bundle, BundleDigest, Manifest, Service};
use uuk_contract::{Contract, ContractError};
use wasmtime::component::Component;

use crate::call::{Call, CallError, Outcome, Usage};
use crate::capabilities::config::{Configuration, ConfigurationError};
use crate::capabilities::http::HttpUpstreams;
use crate::capabilities::log::{LogLine, PluginLog};
use crate::capabilities::sql::{StatementError, Statements};
use crate::compiled_cache::CompiledCache;
use crate::component::{self, ComponentError, Entry, OwnCompiled};
use crate::engine::{Engine, MEMORIES_PER_INSTANCE};
use crate::grant::{Resources, ResourcesError};
use crate::health::{Health, Verdict};
use crate::instance::{self, Errand, Errands, Finding};
use crate::limits::CallLimits;
use crate::meter::{Meters, RequestMeter};
use crate::slots::Slots;
use crate::turns::{Lost, Pace, Turns};

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
    engine: Arc<Engine>,
    manifest: Manifest,
    digest: BundleDigest,
    contracts: BTreeMap<String, Arc<Contract>>,
    entry: Entry,
    statements: Statements,
    upstreams: HttpUpstreams,
    resources: Arc<Resources>,
    configuration: Configuration,
    limits: CallLimits,
    slots: Slots,
    turns: Arc<Turns>,
    /// Memories that an instance takes from the pool.
    memories: u32,
    log: PluginLog,
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
        let manifest = bundle.manifest().clone();
        let contracts = contracts(bundle)?;
        resources.cover(&manifest)?;
        let statements = Statements::compile(&manifest, |file| {
            bundle.part(file).and_then(|bytes| std::str::from_utf8(bytes).ok())
        })
        .map_err(LoadError::Statement)?;
        let upstreams = HttpUpstreams::new(&manifest.upstreams, |name| resources.upstream(name).cloned());
        // Values of the agency are refused beside a mapping, as where there is no schema.
        let mut configuration =
            Configuration::new(bundle.config_schema(), resources.configuration().clone())?;
        if let Some(tables) = bundle.mapping() {
            configuration = Configuration::of_mapping(tables);
        }

        let component = {
            let compiled = compiled(engine, cache, bundle.component())?;
            component::deserialize(engine, &compiled)?
        };
        component::check_imports(engine, &component, &manifest, bundle.mapping().is_some())?;
        let entry = Entry::link(engine, &component)?;

        let limits = CallLimits::of(&manifest.limits);
        Ok(Arc::new(Self {
            engine: Arc::clone(engine),
            digest: bundle.digest(),
            meters: Meters::new(&manifest.plugin.id, &contracts),
            contracts,
            entry,
            statements,
            upstreams,
            configuration,
            slots: Slots::new(limits.concurrency_max, engine.waiting),
            turns: engine.background.turns(&manifest.plugin.id),
            memories: memories(&component),
            log: PluginLog::new(manifest.plugin.id.clone(), manifest.plugin.version.to_string()),
            health: Health::default(),
            limits,
            resources,
            manifest,
        }))
    }

    /// Answers one call in an instance of its own.
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
        let ended = pace.run(&self.turns, errand).await;
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
        // Also its share of the pool that all plugins use.
        let share = self.engine.memories.acquire_many(self.memories);
        let Ok(Ok(_share)) = tokio::time::timeout_at(deadline.into(), share).await else {
            let concurrency_max = self.limits.concurrency_max;
            return (Err(CallError::Busy { concurrency_max }), Usage::default());
        };
        instance::run(&self, errand, pace).await
    }

    /// Counts how a call ended; true when this version has failed too often.
    pub fn record(&self, verdict: Verdict) -> bool {
        self.health.record(verdict, Instant::now())
    }

    /// The manifest.
    pub fn manifest(&self) -> &Manifest {
        &self.manifest
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
        &self.limits
    }

    /// Where requests to `operation` are counted that this plugin answered.
    pub fn answered(&self, operation: &str) -> Option<&RequestMeter> {
        self.meters.answered(operation)
    }

    /// The adapter's last log lines, oldest first.
    pub fn log_lines(&self) -> Vec<LogLine> {
        self.log.lines()
    }

    pub(crate) fn engine(&self) -> &Engine {
        &self.engine
    }

    pub(crate) fn turns(&self) -> &Arc<Turns> {
        &self.turns
    }

    pub(crate) fn entry(&self) -> &Entry {
        &self.entry
    }

    pub(crate) fn statements(&self) -> &Statements {
        &self.statements
    }

    pub(crate) fn upstreams(&self) -> &HttpUpstreams {
        &self.upstreams
    }

    pub(crate) fn resources(&self) -> &Resources {
        &self.resources
    }

    pub(crate) fn configuration(&self) -> &Configuration {
        &self.configuration
    }

    pub(crate) fn log(&self) -> &PluginLog {
        &self.log
    }
}

impl std::fmt::Debug for Plugin {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let plugin = &self.manifest.plugin;
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

/// Memories of an instance, and at least what every instance is reckoned with.
fn memories(component: &Component) -> u32 {
    let required = component.resources_required().map_or(0, |required| required.num_memories);
    required.max(MEMORIES_PER_INSTANCE)
}

fn compiled(
    engine: &Engine,
    cache: Option<&CompiledCache>,
    component: &[u8],
) -> Result<OwnCompiled, ComponentError> {
    if let Some(compiled) = cache.and_then(|cache| cache.load(engine, component)) {
        return Ok(compiled);
    }
    component::check_bytes(component)?;
    let compiled = OwnCompiled(engine.compiler.compile(engine, component)?.into());
    if let Some(cache) = cache {
        cache.store(engine, component, &compiled);
    }
    Ok(compiled)
}
