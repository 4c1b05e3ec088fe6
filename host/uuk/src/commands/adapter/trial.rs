//! An adapter under trial: in the plugin host, as a server runs it, with its limits and nothing but what it asks for.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::{Duration, Instant};

use tokio_util::task::TaskTracker;
use uuk_asic::Profile;
use uuk_bundle::{Bundle, COMPONENT, Datasource, Engine as DatabaseEngine, Manifest, pack};
use uuk_contract::{AnswerProblem, Limits};
use uuk_plugin_host::capabilities::sql::DatabaseGrant;
use uuk_plugin_host::{
    Call, CallContext, CallError, CompiledCache, Engine, EngineConfig, Finding, HostCall, HostCallLog,
    Outcome, Plugin, Resources, Usage,
};
use uuk_proxy::problem_of_fault;
use uuk_transport::UpstreamConfig;

use super::component::Component;
use super::fixture::Fixture;
use super::project::Project;
use super::recorded::Recorded;
use crate::exit_code::ExitCode;
use crate::terminal::Failure;

/// A call may take this long; the manifest usually says less.
const CALL_TIME_MAX: Duration = Duration::from_secs(60);

/// Where the adapter's data comes from. What is not named comes from the fixture.
#[derive(Debug, Clone, Default, clap::Args)]
pub(super) struct SourceOptions {
    /// Database for a datasource: sqlite:./people.db or postgres://user@localhost/people
    #[arg(long = "datasource", value_name = "NAME=URL", value_parser = named_url)]
    datasources: Vec<(String, String)>,
    /// Base address for an upstream: http://127.0.0.1:8099
    #[arg(long = "upstream", value_name = "NAME=URL", value_parser = named_url)]
    upstreams: Vec<(String, String)>,
}

impl SourceOptions {
    /// Checks that the manifest asks for what is named: locally, too, an adapter reaches nothing else.
    pub(super) fn check(&self, manifest: &Manifest) -> Result<(), Failure> {
        let unasked = self.datasources.iter().find(|(name, _)| !manifest.datasources.contains_key(name));
        if let Some((name, _)) = unasked {
            return Err(unknown("datasource", name));
        }
        match self.upstreams.iter().find(|(name, _)| !manifest.upstreams.contains_key(name)) {
            Some((name, _)) => Err(unknown("upstream", name)),
            None => Ok(()),
        }
    }
}

/// The plugin host, and a component compiled once for all its trials.
pub(super) struct Bench {
    engine: Arc<Engine>,
    cache: CompiledCache,
    // Dropped last: the cache lives in it.
    _folder: tempfile::TempDir,
}

impl Bench {
    /// Starts the plugin host.
    pub(super) fn new() -> Result<Self, Failure> {
        let failed = |reason: &dyn std::fmt::Display| {
            let message = "cannot start the plugin host";
            Failure::new(ExitCode::Environment, "adapter.host_not_started", message).note(reason)
        };
        let folder = tempfile::tempdir().map_err(|error| failed(&error))?;
        let engine = Engine::new(EngineConfig { instances_max: 16, ..EngineConfig::default() });
        Ok(Self {
            engine: engine.map_err(|error| failed(&error))?,
            cache: CompiledCache::open(&folder.path().join("compiled")).map_err(|error| failed(&error))?,
            _folder: folder,
        })
    }

    /// Calls the adapter once. Host calls are answered by the sources named and otherwise by `recorded`.
    pub(super) async fn call(
        &self,
        project: &Project,
        component: &Component,
        call: Call,
        sources: &SourceOptions,
        recorded: &Recorded<'_>,
    ) -> Result<(Result<Outcome, CallError>, Usage), Failure> {
        let (outcome, usage, _) = self.observe(project, component, call, sources, recorded).await?;
        Ok((outcome, usage))
    }

    /// As [`Bench::call`], with the host calls that were made.
    pub(super) async fn observe(
        &self,
        project: &Project,
        component: &Component,
        call: Call,
        sources: &SourceOptions,
        recorded: &Recorded<'_>,
    ) -> Result<(Result<Outcome, CallError>, Usage, Vec<HostCall>), Failure> {
        let mut grant = recorded.grant();
        let mut parts = project.parts()?;
        parts.insert(COMPONENT.to_owned(), component.bytes.clone());
        for (name, url) in &sources.datasources {
            let asked = project.manifest.datasources.get(name);
            let asked = asked.ok_or_else(|| unknown("datasource", name))?;
            grant.datasources.insert(name.clone(), database(name, url, asked));
        }
        for (name, base) in &sources.upstreams {
            if !project.manifest.upstreams.contains_key(name) {
                return Err(unknown("upstream", name));
            }
            grant.upstreams.insert(name.clone(), UpstreamConfig::new(base));
        }
        let is_recorded = |name: &str| sources.datasources.iter().all(|(live, _)| live != name);
        recorded.put_into(&mut parts, is_recorded)?;

        let (tasks, log) = (TaskTracker::new(), HostCallLog::default());
        let resources = Resources::open_logged(&grant, &tasks, log.clone());
        let resources = resources.map_err(|error| not_loaded(error.code(), &error))?;
        let (outcome, usage) = self.load(resources, parts)?.call(call).await;
        tasks.close();
        tasks.wait().await;
        Ok((outcome, usage, log.take()))
    }

    /// Calls the adapter with each request, where databases have no row and upstreams no document.
    pub(super) async fn call_in_empty_world(
        &self,
        project: &Project,
        component: &Component,
        requests: &[(String, serde_json::Value)],
    ) -> Result<Vec<Result<Outcome, CallError>>, Failure> {
        let world = Fixture { is_empty_world: true, ..Fixture::nothing() };
        self.in_world(&world, project, component, async |plugin| {
            let mut outcomes = Vec::with_capacity(requests.len());
            for (operation, request) in requests {
                let (operation, request) = (operation.clone(), request.clone());
                let fixture = Fixture { operation, request, ..Fixture::nothing() };
                let (outcome, _) = plugin.call(call_of(project, &fixture)).await;
                outcomes.push(outcome);
            }
            outcomes
        })
        .await
    }

    /// What the adapter says of itself before its first call; no host call is made.
    pub(super) async fn probe(
        &self,
        project: &Project,
        component: &Component,
    ) -> Result<Vec<Finding>, Failure> {
        let probe = async |plugin: Arc<Plugin>| plugin.probe(false, Instant::now() + CALL_TIME_MAX).await;
        let findings = self.in_world(&Fixture::nothing(), project, component, probe).await?;
        findings.map_err(|error| Failure::new(ExitCode::CheckFailed, error.code(), error))
    }

    /// Loads the adapter where all its host calls are answered as in `world`, and leaves it to `work`; returns once
    /// nothing of it runs any more.
    async fn in_world<T>(
        &self,
        world: &Fixture,
        project: &Project,
        component: &Component,
        work: impl AsyncFnOnce(Arc<Plugin>) -> T,
    ) -> Result<T, Failure> {
        let recorded = Recorded::new(world, project).await?;
        let mut parts = project.parts()?;
        parts.insert(COMPONENT.to_owned(), component.bytes.clone());
        recorded.put_into(&mut parts, |_| true)?;
        let tasks = TaskTracker::new();
        let resources = Resources::open(&recorded.grant(), &tasks);
        let resources = resources.map_err(|error| not_loaded(error.code(), &error))?;
        let result = work(self.load(resources, parts)?).await;
        tasks.close();
        tasks.wait().await;
        Ok(result)
    }

    fn load(
        &self,
        resources: Arc<Resources>,
        parts: BTreeMap<String, Vec<u8>>,
    ) -> Result<Arc<Plugin>, Failure> {
        Plugin::load(&self.engine, Some(&self.cache), &bundle(parts)?, resources)
            .map_err(|error| not_loaded(error.code(), &error))
    }
}

/// Runs the commands that call adapters.
pub(super) fn block_on<T>(work: impl Future<Output = Result<T, Failure>>) -> Result<T, Failure> {
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().map_err(|error| {
        Failure::new(ExitCode::Environment, "adapter.runtime", "cannot start the runtime").note(error)
    })?;
    runtime.block_on(work)
}

/// The call of `fixture`, as a server would make it.
pub(super) fn call_of(project: &Project, fixture: &Fixture) -> Call {
    let Fixture { operation, request, received_at, .. } = fixture;
    let services = project.manifest.services.iter().zip(&project.contracts);
    let service = services.into_iter().find(|(_, contract)| contract.operation(operation).is_some());
    let context = CallContext {
        exchange_id: "00000000-0000-4000-8000-000000000000".to_owned(),
        client: "DEV/GOV/1/client".to_owned(),
        provider: "DEV/GOV/1/provider".to_owned(),
        service_code: service.map(|(service, _)| service.code.clone()).unwrap_or_default(),
        service_version: service.map(|(_, contract)| contract.version().to_owned()).unwrap_or_default(),
        operation: operation.clone(),
        received_at: received_at.clone(),
        ..CallContext::default()
    };
    Call {
        context: Arc::new(context),
        document: request.to_string().into(),
        deadline: Instant::now() + CALL_TIME_MAX,
    }
}

/// Why a server would not let the answer out.
pub(super) fn contradiction(
    project: &Project,
    operation: &str,
    outcome: &Result<Outcome, CallError>,
) -> Option<AnswerProblem> {
    let operation = project.contracts.iter().find_map(|contract| contract.operation(operation))?;
    match outcome {
        Ok(Outcome::Answer(payload)) => {
            operation.answer(&payload.media_type, payload.data.clone(), &Limits::default()).err()
        }
        // Faults that no contract need declare get the host's own words.
        Ok(Outcome::Fault(fault)) if fault.kind.is_technical() => None,
        Ok(Outcome::Fault(fault)) => operation.fault(&problem_of_fault(fault)).err(),
        Err(_) => None,
    }
}

fn bundle(parts: BTreeMap<String, Vec<u8>>) -> Result<Bundle, Failure> {
    let refused = |error: uuk_bundle::BundleError| not_loaded(error.code(), &error);
    let packed = pack(parts).map_err(refused)?;
    Bundle::read(&packed, &Profile::bundle().limits).map_err(refused)
}

/// The database at `url`, for reading what a trial or a new project needs of it.
pub(super) fn database(name: &str, url: &str, asked: &Datasource) -> DatabaseGrant {
    let (url, user) = without_user(url);
    DatabaseGrant {
        datasource: name.to_owned(),
        engine: match url.split(':').next() {
            Some("postgres" | "postgresql") => DatabaseEngine::Postgres,
            Some("mysql" | "mariadb") => DatabaseEngine::Mariadb,
            _ => DatabaseEngine::Sqlite,
        },
        url,
        user,
        password: None,
        access: asked.access,
        free_sql: false,
        connections_max: 2,
        acquire_time_max: Duration::from_secs(5),
        statement_time_max: Duration::from_secs(30),
        application_name: "uuk adapter".to_owned(),
        session_variables: false,
    }
}

/// `postgres://user@host/database` as the address and the user.
fn without_user(url: &str) -> (String, Option<String>) {
    let parts = url.split_once("://").and_then(|(scheme, rest)| Some((scheme, rest.split_once('@')?)));
    match parts {
        Some((scheme, (user, rest))) => (format!("{scheme}://{rest}"), Some(user.to_owned())),
        None => (url.to_owned(), None),
    }
}

fn named_url(text: &str) -> Result<(String, String), String> {
    let (name, url) = text.split_once('=').ok_or("write NAME=URL, such as registry=sqlite:./people.db")?;
    Ok((name.to_owned(), url.to_owned()))
}

fn unknown(what: &str, name: &str) -> Failure {
    let message = format!("plugin.toml asks for no {what} `{name}`");
    Failure::new(ExitCode::Usage, "adapter.source_unknown", message)
}

fn not_loaded(code: &str, error: &dyn std::error::Error) -> Failure {
    let message = format!("the plugin host does not load the adapter: {error}");
    Failure::new(ExitCode::CheckFailed, code, message).causes(error)
}
