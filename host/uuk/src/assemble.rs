//! The wiring of a server: everything is built and checked before anything runs.

use std::os::unix::fs::DirBuilderExt;
use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

use metrics_exporter_prometheus::PrometheusHandle;
use tokio::sync::watch;
use tokio::task::JoinSet;
use tokio_util::sync::CancellationToken;
use tracing::{error, info, warn};
use uuk_configuration_client::ConfigurationClient;
use uuk_globalconf::InstanceGovernance;
use uuk_pki::CertificateProfiles;
use uuk_plugin_host::reload::{Canary, Deployment, Policy, Reload, ReloadConfig, ReloadError, ReloadHandle};
use uuk_plugin_host::{
    CacheError, CompiledCache, Compiler, Engine, EngineConfig, EngineError, WaitingLimits,
};
use uuk_process::{Clock, ErrorChain};
use uuk_proxy::{Door, Provider, ProviderConfig, drift};
use uuk_transport::{ClientAuthentication, Listener, ListenerConfig, ListenerError, ListenerTls};

use crate::administration::{Administration, AdministrationError, Served};
use crate::config::Config;
use crate::exchange::{ExchangeStartError, Exchanging};
use crate::finding::{Finding, State};
use crate::governance::{Fingerprint, Governance, GovernanceError, Instance};
use crate::operations::{Operations, await_ready};

/// How often the files of governance are looked at.
const GOVERNANCE_EVERY: Duration = Duration::from_secs(1);
/// How often samples of summaries are folded together: without, they pile up until someone asks for the metrics.
const METRICS_UPKEEP_EVERY: Duration = Duration::from_secs(5);

/// Why a server did not start.
#[derive(Debug, thiserror::Error)]
pub enum StartError {
    #[error(transparent)]
    Governance(#[from] GovernanceError),
    #[error(transparent)]
    Engine(#[from] EngineError),
    #[error(transparent)]
    Cache(#[from] CacheError),
    #[error(transparent)]
    Reload(#[from] ReloadError),
    #[error(transparent)]
    Listener(#[from] ListenerError),
    #[error(transparent)]
    Administration(#[from] AdministrationError),
    #[error(transparent)]
    Exchange(#[from] ExchangeStartError),
    #[error("cannot make the state folder {}", path.display())]
    State {
        path: PathBuf,
        #[source]
        source: std::io::Error,
    },
}

/// Reads the governance and what the exchange rests on, and nothing else: what `serve --check` may do beside a running
/// server.
pub(crate) fn check(config: &Config) -> Result<Vec<Finding>, StartError> {
    let governance = read_kept(config)?;
    let exchange = config.exchange.iter().flat_map(|exchange| exchange.inspect(config));
    let databases = unusable_databases(&governance);
    Ok(governance.sources(config).into_iter().chain(databases).chain(exchange).collect())
}

/// What no connection is needed for to see.
fn unusable_databases(governance: &Governance) -> Vec<Finding> {
    let mut findings = Vec::new();
    for Deployment { plugin, grant, .. } in &governance.policy.deployments {
        for (name, granted) in &grant.datasources {
            if let Err(error) = granted.check() {
                findings.push(Finding {
                    state: State::Fail,
                    what: "database".to_owned(),
                    detail: format!("`{name}` of {plugin}: {}", ErrorChain(&error)),
                    remedy: Some(format!("uuk explain {}", error.code())),
                });
            }
        }
    }
    findings
}

/// The governance as the files have it, those of the global configuration included.
pub(crate) fn read_kept(config: &Config) -> Result<Governance, StartError> {
    let clock = Clock::system();
    let client = match configuration(config, &clock) {
        // The inspection of the exchange says what is wrong with it.
        Err(_) if !config.governance.needs_instance() => None,
        client => client?,
    };
    let instance = Instance::of(config, client.as_ref(), clock);
    Ok(Governance::read(config, instance.in_force(), instance.clock())?)
}

/// The global configuration that the server takes part in or is governed by, as it was kept.
fn configuration(config: &Config, clock: &Clock) -> Result<Option<ConfigurationClient>, StartError> {
    if let Some(exchange) = &config.exchange {
        return Ok(Some(exchange.configuration_client(clock.clone())?));
    }
    let Some(section) = &config.governance.global_configuration else { return Ok(None) };
    let profiles = CertificateProfiles::default();
    let client = ConfigurationClient::build(section.clone(), profiles, clock.clone());
    client.map(Some).map_err(|error| ExchangeStartError::from(error).into())
}

/// A server that is ready to run.
pub struct Server {
    config: Config,
    provider: Arc<Provider>,
    reload: Reload,
    handle: ReloadHandle,
    policy: watch::Sender<Arc<Policy>>,
    configuration: Option<ConfigurationClient>,
    instance: Instance,
    fingerprint: Fingerprint,
    listener: Listener,
    behind: Option<Listener>,
    operations: Listener,
    administration: Administration,
    exchange: Option<Exchanging>,
}

impl Server {
    /// Reads the governance, opens state and engine, binds every listener.
    ///
    /// The socket of administration comes first: a folder that another server uses is left alone.
    pub async fn build(config: Config, clock: Clock, compiler: Compiler) -> Result<Self, StartError> {
        // Socket, ledger and compiled code are nobody else's to read.
        std::fs::DirBuilder::new()
            .recursive(true)
            .mode(0o700)
            .create(&config.files.state)
            .map_err(|source| StartError::State { path: config.files.state.clone(), source })?;
        let administration = Administration::bind(&config.files.state)?;
        let configuration = configuration(&config, &clock)?;
        let instance = Instance::of(&config, configuration.as_ref(), clock.clone());
        let governance = Governance::read(&config, instance.in_force(), &clock)?;
        let engine = Engine::new(EngineConfig {
            instances_max: config.plugins.instances_max,
            waiting: WaitingLimits {
                count_max: config.plugins.waiting_max,
                time_max: config.plugins.waiting_time_max,
            },
            compiler,
            ..EngineConfig::default()
        })?;
        let cache = Arc::new(CompiledCache::open(&config.files.state.join("compiled"))?);
        let (policy, follow) = watch::channel(Arc::new(governance.policy));
        let reload = ReloadConfig {
            folder: config.files.plugins.clone(),
            state: config.files.state.clone(),
            rescan_every: config.plugins.rescan_every,
            removal_grace: config.plugins.removal_grace,
            verify_every: config.plugins.verify_every,
            approval: config.plugins.approval,
            canary: Canary { share: config.plugins.canary_share(), time: config.plugins.canary_time },
        };
        let (reload, handle) = Reload::open(reload, engine, cache, clock.clone(), follow)?;

        let limits = ProviderConfig {
            request_time_max: config.requests.time_max,
            body_bytes_max: config.requests.body_bytes_max,
            client_certificates: config.listener.authentication == ClientAuthentication::Certificate,
        };
        let provider = Arc::new(Provider::new(limits, handle.registry().clone(), clock.clone()));
        provider.set_conditions(governance.conditions);
        let exchange = match (&config.exchange, &configuration) {
            (Some(exchange), Some(configuration)) => {
                Some(Exchanging::build(&config, exchange, clock, configuration, &provider).await?)
            }
            _ => None,
        };

        let mut listener = config.listener.clone();
        listener.client_certificates.extend(governance.client_certificates);
        Ok(Self {
            listener: Listener::bind(listener)?,
            behind: config.behind.clone().map(Listener::bind).transpose()?,
            operations: Listener::bind(plain(config.operations.address))?,
            administration,
            exchange,
            configuration,
            instance,
            config,
            provider,
            reload,
            handle,
            policy,
            fingerprint: governance.fingerprint,
        })
    }

    /// Where clients connect.
    pub fn address(&self) -> std::net::SocketAddr {
        self.listener.address()
    }

    /// Where clients connect, as the beginning of a URL.
    pub fn base(&self) -> String {
        base(&self.listener)
    }

    /// Where an X-Road security server connects, likewise, if this server stands behind one.
    pub fn behind_base(&self) -> Option<String> {
        self.behind.as_ref().map(base)
    }

    /// Where other security servers connect, if this one takes part in an exchange.
    pub fn exchange_address(&self) -> Option<std::net::SocketAddr> {
        self.exchange.as_ref().map(Exchanging::address)
    }

    /// Where they ask for OCSP answers, likewise.
    pub fn answers_address(&self) -> Option<std::net::SocketAddr> {
        self.exchange.as_ref().map(Exchanging::answers_address)
    }

    /// The plugins, to watch and to steer.
    pub fn plugins(&self) -> &ReloadHandle {
        &self.handle
    }

    /// Where liveness, readiness and metrics are asked for.
    pub fn operations_address(&self) -> std::net::SocketAddr {
        self.operations.address()
    }

    /// Serves until `stop`, then lets requests in progress finish.
    ///
    /// # Panics
    /// If one of its tasks did: a server does not go on with a part of it gone.
    pub async fn run(self, metrics: PrometheusHandle, stop: CancellationToken) {
        let mut services = JoinSet::new();
        // Plugins outlive the listeners: a request in progress still needs them.
        let plugins_stop = CancellationToken::new();
        let (ready, is_ready) = watch::channel(false);
        let mut status = self.handle.watch();
        // What is known before the folder was scanned does not count.
        status.mark_unchanged();
        services.spawn(await_ready(status, ready));
        services.spawn(self.reload.run(plugins_stop.clone()));
        if let Some(configuration) = self.configuration {
            services.spawn(configuration.run(plugins_stop.clone()));
        }
        services.spawn(follow_governance(
            self.config,
            self.instance,
            self.fingerprint,
            Arc::clone(&self.provider),
            self.policy,
            self.listener.tls(),
            plugins_stop.clone(),
        ));
        services.spawn(report_drift(Arc::clone(&self.provider), self.handle.clone(), plugins_stop.clone()));
        services.spawn(keep_up(metrics.clone(), plugins_stop.clone()));
        let served = Served {
            plugins: self.handle.clone(),
            exchange: self.exchange.as_ref().map(Exchanging::findings),
            client_proxy: self.exchange.as_ref().map(Exchanging::client_proxy),
        };
        let exchange = served.exchange.clone();
        let operations =
            Operations::new(metrics, Arc::clone(&self.provider), self.handle, is_ready, exchange);
        let operations = Arc::new(operations);
        services.spawn(self.operations.run(
            move |request, _| {
                let operations = Arc::clone(&operations);
                async move { operations.answer(&request) }
            },
            plugins_stop.clone(),
        ));
        services.spawn(self.administration.run(served, plugins_stop.clone()));

        let mut doors = JoinSet::new();
        match self.exchange {
            Some(exchange) => doors.spawn(exchange.run(self.listener, stop.clone())),
            None => doors.spawn(serve(self.listener, Arc::clone(&self.provider), Door::Client, stop.clone())),
        };
        if let Some(behind) = self.behind {
            doors.spawn(serve(behind, self.provider, Door::Behind, stop.clone()));
        }
        let doors = async {
            doors.join_all().await;
            plugins_stop.cancel();
        };
        tokio::join!(doors, services.join_all());
    }
}

async fn serve(listener: Listener, provider: Arc<Provider>, door: Door, stop: CancellationToken) {
    let answer = move |request, peer: Arc<uuk_transport::Peer>| {
        let provider = Arc::clone(&provider);
        async move { provider.answer(door, request, &peer).await }
    };
    listener.run(answer, stop).await;
}

fn base(listener: &Listener) -> String {
    let scheme = if listener.tls().is_some() { "https" } else { "http" };
    format!("{scheme}://{}", listener.address())
}

fn plain(address: std::net::SocketAddr) -> ListenerConfig {
    ListenerConfig {
        address,
        authentication: ClientAuthentication::None,
        identity: None,
        client_certificates: Vec::new(),
        client_authorities: Vec::new(),
        limits: uuk_transport::ListenerLimits::default(),
    }
}

async fn keep_up(metrics: PrometheusHandle, stop: CancellationToken) {
    while stop.run_until_cancelled(tokio::time::sleep(METRICS_UPKEEP_EVERY)).await.is_some() {
        metrics.run_upkeep();
    }
}

/// Puts what has changed in force, together, or leaves everything as it was.
///
/// Files that are not usable are tried again until they are: one of them may be on its way. What the instance says is
/// followed all the same.
async fn follow_governance(
    config: Config,
    instance: Instance,
    mut in_force: Fingerprint,
    provider: Arc<Provider>,
    policy: watch::Sender<Arc<Policy>>,
    tls: Option<ListenerTls>,
    stop: CancellationToken,
) {
    let mut told = None;
    while stop.run_until_cancelled(tokio::time::sleep(GOVERNANCE_EVERY)).await.is_some() {
        let of_instance = instance.in_force();
        if in_force.is_current(&config.files, of_instance.as_ref()) {
            told = None;
            continue;
        }
        match read_anew(&config, of_instance.clone(), instance.clock(), tls.as_ref()) {
            Ok(governance) => {
                info!("Catalog, trust, clients and grants were read anew");
                provider.set_conditions(governance.conditions);
                policy.send_replace(Arc::new(governance.policy));
                in_force = governance.fingerprint;
            }
            Err(problem) => {
                if !in_force.is_of(of_instance.as_ref()) {
                    // A slip in a file of this server must not keep what the operator takes back from stopping.
                    let followed = config.governance.follow(of_instance.as_deref(), &policy.borrow());
                    policy.send_replace(Arc::new(followed));
                    let mut conditions = (*provider.conditions()).clone();
                    let clients = &mut conditions.clients;
                    config.governance.grant(of_instance.as_deref(), instance.clock(), clients);
                    provider.set_conditions(conditions);
                    in_force.rest_on(of_instance);
                }
                let problem = ErrorChain(&problem).to_string();
                if told.as_ref() != Some(&problem) {
                    error!(error = %problem, "Changed files are not usable; what was in force stays: {problem}");
                    told = Some(problem);
                }
            }
        }
    }
}

/// Reads all anew, and admits the clients that they name.
fn read_anew(
    config: &Config,
    instance: Option<Arc<InstanceGovernance>>,
    clock: &Clock,
    tls: Option<&ListenerTls>,
) -> Result<Governance, StartError> {
    let governance = Governance::read(config, instance, clock)?;
    if let Some(tls) = tls {
        let configured = config.listener.client_certificates.iter();
        tls.admit(configured.chain(&governance.client_certificates).cloned().collect())?;
    }
    Ok(governance)
}

/// Says which services have a plugin and no catalog entry, and the other way round, whenever that changes.
async fn report_drift(provider: Arc<Provider>, handle: ReloadHandle, stop: CancellationToken) {
    let mut status = handle.watch();
    let mut told = None;
    while let Some(Ok(())) = stop.run_until_cancelled(status.changed()).await {
        let found = drift(&provider.conditions().catalog, &handle.registry().snapshot());
        if told.as_ref() == Some(&found) {
            continue;
        }
        for service in &found.not_catalogued {
            warn!(service.id = %service, "{service} has a plugin and is not in the catalog: it does not answer");
        }
        for service in &found.contract_differs {
            warn!(service.id = %service, "{service} has another contract than the catalog: it does not answer");
        }
        for service in &found.not_answered {
            warn!(service.id = %service, "{service} is in the catalog and no plugin answers it");
        }
        told = Some(found);
    }
}
