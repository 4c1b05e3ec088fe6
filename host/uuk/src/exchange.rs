//! The wiring of the exchange with other security servers, for a server that takes part in one.

mod findings;
mod inspection;
mod standing;

use std::net::SocketAddr;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use serde::Deserialize;
use tokio::sync::watch;
use tokio::task::JoinSet;
use tokio_util::sync::CancellationToken;
use tokio_util::task::TaskTracker;
use uuk_configuration_client::{ConfigurationClient, ConfigurationClientConfig, RefreshError};
use uuk_globalconf::GlobalConfiguration;
use uuk_message::{Dialect, Limits};
use uuk_messagelog::MessageLog;
use uuk_pki::{CertificateProfiles, ProfileError};
use uuk_process::Clock;
use uuk_proxy::{ClientProxy, ExchangeConfig, Provider, ServerProxy, Services, certificate_answers};
use uuk_signer::{AuthenticationIdentity, Control, ControlError, Signer, SignerDependencies, TokenError};
use uuk_transport::{
    Listener, ListenerError, PeerConnector, PeerConnectorConfig, PeerIdentity, PeerListener,
    PeerListenerConfig, PublicListener, PublicListenerConfig,
};

pub(crate) use self::standing::Findings;
use self::standing::Standing;
use crate::config::Config;

/// Section `[exchange]`: requests of clients go to the security servers of other members, and theirs come here, signed and
/// recorded. Without it, the server answers its clients from its own services alone.
#[derive(Debug, Clone, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct Exchange {
    /// Where other security servers connect.
    #[serde(default)]
    pub(crate) listener: PeerListenerConfig,
    /// Where they ask for OCSP answers about this server's certificate, over plain HTTP.
    #[serde(default)]
    pub(crate) certificate_answers: PublicListenerConfig,
    /// Where other security servers take messages, unless their address in the global configuration names a port; their
    /// OCSP answers are 77 ports above. Default: 5500.
    #[serde(default = "default_port")]
    pub(crate) port: u16,
    /// How they are called.
    #[serde(default)]
    pub(crate) connector: PeerConnectorConfig,
    /// A message that does not come whole in this time is given up. Default: 5 min.
    #[serde(
        default = "default_message_time_max",
        with = "jiff::fmt::serde::unsigned_duration::friendly::compact::required"
    )]
    pub(crate) message_time_max: Duration,
    /// Longest body of a message, or all its attachments together. Default: 4 GiB.
    #[serde(default = "default_body_bytes_max")]
    pub(crate) body_bytes_max: u64,
    /// How the codes of this server's faults are spelled: `snake_case` as X-Road 7.8, or `CamelCase` as older ones; both are
    /// understood. Default: `snake_case`.
    #[serde(default)]
    pub(crate) fault_codes: FaultCodes,
    /// TOML file of certificate profiles beside those of X-Road, for authorities that name members in a way of their own.
    /// Default: none.
    pub(crate) certificate_profiles: Option<PathBuf>,
    /// Where the global configuration of the instance comes from.
    pub(crate) global_configuration: ConfigurationClientConfig,
}

/// How the codes of faults are spelled.
#[derive(Debug, Clone, Copy, Default, Deserialize)]
pub(crate) enum FaultCodes {
    #[default]
    #[serde(rename = "snake_case")]
    SnakeCase,
    CamelCase,
}

impl From<FaultCodes> for Dialect {
    fn from(codes: FaultCodes) -> Self {
        match codes {
            FaultCodes::SnakeCase => Self::SnakeCase,
            FaultCodes::CamelCase => Self::CamelCase,
        }
    }
}

fn default_port() -> u16 {
    5500
}

fn default_message_time_max() -> Duration {
    Duration::from_secs(300)
}

fn default_body_bytes_max() -> u64 {
    Limits::default().body_bytes_max
}

/// Why there is no exchange.
#[derive(Debug, thiserror::Error)]
pub enum ExchangeStartError {
    #[error("cannot read the certificate profiles {}", path.display())]
    ProfilesUnreadable {
        path: PathBuf,
        #[source]
        source: std::io::Error,
    },
    #[error("the certificate profiles {} are not usable", path.display())]
    Profiles {
        path: PathBuf,
        #[source]
        source: ProfileError,
    },
    #[error(transparent)]
    Configuration(#[from] RefreshError),
    #[error(transparent)]
    Token(#[from] TokenError),
    #[error(transparent)]
    Control(#[from] ControlError),
    #[error(transparent)]
    MessageLog(#[from] uuk_messagelog::BuildError),
    #[error(transparent)]
    Listener(#[from] ListenerError),
}

impl ExchangeStartError {
    pub(crate) fn code(&self) -> &str {
        match self {
            Self::ProfilesUnreadable { .. } => "exchange.profiles_unreadable",
            Self::Profiles { source, .. } => source.code(),
            Self::Configuration(error) => error.code(),
            Self::Token(error) => error.code(),
            Self::Control(error) => error.code(),
            Self::MessageLog(error) => error.code(),
            Self::Listener(error) => error.code(),
        }
    }
}

/// The exchange of one server, ready to run.
pub(crate) struct Exchanging {
    client_proxy: Arc<ClientProxy>,
    server_proxy: Arc<ServerProxy>,
    peers: PeerListener,
    answers: PublicListener,
    signer: Signer,
    control: Control,
    message_log: MessageLog,
    standing: Standing,
    identity: watch::Sender<Option<Arc<PeerIdentity>>>,
    tasks: TaskTracker,
}

impl Exchanging {
    /// Opens keys and message log, and binds the doors for other servers. `configuration` is someone else's to run.
    pub(crate) async fn build(
        config: &Config,
        exchange: &Exchange,
        clock: Clock,
        configuration: &ConfigurationClient,
        provider: &Arc<Provider>,
    ) -> Result<Self, ExchangeStartError> {
        let in_force: watch::Receiver<Option<Arc<GlobalConfiguration>>> = configuration.configuration();
        let dependencies = SignerDependencies {
            server: config.server.id.clone(),
            clock: clock.clone(),
            configuration: in_force.clone(),
        };
        let signer_config = config.signer.clone().unwrap_or_default();
        let signer = Signer::build(signer_config.clone(), dependencies)?;
        let control = Control::bind(signer.clone())?;
        let log_config = config.message_log.clone().unwrap_or_default();
        let message_log = MessageLog::build(log_config, clock.clone(), in_force.clone()).await?;
        let standing = Standing {
            server: config.server.id.clone(),
            clock: clock.clone(),
            signer: signer.clone(),
            signer_config,
            message_log: message_log.clone(),
            configuration: in_force.clone(),
            configuration_status: configuration.status(),
            found: Standing::unknown(),
        };

        let shown = signer.authentication().borrow().as_deref().map(peer_identity);
        let (identity, shown) = watch::channel(shown);
        let tasks = TaskTracker::new();
        let services = Services {
            signer: signer.clone(),
            message_log: message_log.clone(),
            configuration: in_force,
            clock,
            tasks: tasks.clone(),
        };
        let limits = ExchangeConfig {
            spool_folder: config.files.state.clone(),
            message_time_max: exchange.message_time_max,
            limits: Limits { body_bytes_max: exchange.body_bytes_max, ..Limits::default() },
            port: exchange.port,
            server: config.server.id.clone(),
            dialect: exchange.fault_codes.into(),
        };
        let connector = PeerConnector::new(exchange.connector.clone(), shown.clone());
        let client_proxy =
            ClientProxy::new(limits.clone(), services.clone(), connector, Arc::clone(provider));
        let server_proxy = Arc::new(ServerProxy::new(limits, services, Arc::clone(provider)));
        let knows = Arc::clone(&server_proxy);
        let admit = Arc::new(move |certificate: &[u8]| knows.knows_server(certificate));
        Ok(Self {
            client_proxy: Arc::new(client_proxy),
            server_proxy,
            peers: PeerListener::bind(exchange.listener.clone(), shown, admit)?,
            answers: PublicListener::bind(exchange.certificate_answers.clone())?,
            signer,
            control,
            message_log,
            standing,
            identity,
            tasks,
        })
    }

    /// Where other servers connect.
    pub(crate) fn address(&self) -> SocketAddr {
        self.peers.address()
    }

    /// Where they ask for OCSP answers.
    pub(crate) fn answers_address(&self) -> SocketAddr {
        self.answers.address()
    }

    /// Who sends messages for the clients of this server, and asks the central server.
    pub(crate) fn client_proxy(&self) -> Arc<ClientProxy> {
        Arc::clone(&self.client_proxy)
    }

    /// How it stands, once it runs.
    pub(crate) fn findings(&self) -> Findings {
        self.standing.found.subscribe()
    }

    /// Serves the clients of `listener` and other servers until `stop`, and ends when the last exchange has.
    pub(crate) async fn run(self, listener: Listener, stop: CancellationToken) {
        let mut services = JoinSet::new();
        // They outlive the doors: an exchange in progress still needs them.
        let services_stop = CancellationToken::new();
        services.spawn(self.control.run(services_stop.clone()));
        services.spawn(self.message_log.run(services_stop.clone()));
        services.spawn(self.standing.run(services_stop.clone()));
        services.spawn(show(self.signer.authentication(), self.identity, services_stop.clone()));
        services.spawn(self.signer.clone().run(services_stop.clone()));

        let (client_proxy, server_proxy, signer) = (self.client_proxy, self.server_proxy, self.signer);
        let clients = listener.run(
            move |request, peer| {
                let client_proxy = Arc::clone(&client_proxy);
                async move { client_proxy.answer(request, &peer).await }
            },
            stop.clone(),
        );
        let peers = self.peers.run(
            move |request, peer| {
                let server_proxy = Arc::clone(&server_proxy);
                async move { server_proxy.answer(request, &peer).await }
            },
            stop.clone(),
        );
        let answers = self.answers.run(
            move |request: http::Request<_>, _| {
                let response = certificate_answers::respond(&request, |sha1| signer.ocsp_answer(sha1));
                async move { response }
            },
            stop,
        );
        tokio::join!(clients, peers, answers);
        self.tasks.close();
        self.tasks.wait().await;
        services_stop.cancel();
        services.join_all().await;
    }
}

/// Shows other servers the authentication certificate in use.
async fn show(
    mut authentication: watch::Receiver<Option<Arc<AuthenticationIdentity>>>,
    identity: watch::Sender<Option<Arc<PeerIdentity>>>,
    stop: CancellationToken,
) {
    loop {
        identity.send_replace(authentication.borrow_and_update().as_deref().map(peer_identity));
        match stop.run_until_cancelled(authentication.changed()).await {
            Some(Ok(())) => {}
            Some(Err(_)) | None => return,
        }
    }
}

fn peer_identity(identity: &AuthenticationIdentity) -> Arc<PeerIdentity> {
    let certificates = std::iter::once(&identity.certificate).chain(&identity.intermediates);
    let certificates = certificates.map(|certificate| Bytes::copy_from_slice(certificate.der())).collect();
    Arc::new(PeerIdentity { certificates, key: identity.key.clone() })
}

impl Exchange {
    pub(crate) fn resolve(&mut self, folder: &Path) {
        self.global_configuration.resolve(folder);
        if let Some(profiles) = &mut self.certificate_profiles {
            *profiles = folder.join(&*profiles);
        }
    }

    /// The global configuration, as it was kept.
    pub(crate) fn configuration_client(
        &self,
        clock: Clock,
    ) -> Result<ConfigurationClient, ExchangeStartError> {
        Ok(ConfigurationClient::build(self.global_configuration.clone(), self.profiles()?, clock)?)
    }

    /// X-Road's certificate profiles, and those of the file.
    fn profiles(&self) -> Result<CertificateProfiles, ExchangeStartError> {
        let Some(path) = &self.certificate_profiles else { return Ok(CertificateProfiles::default()) };
        let text = std::fs::read_to_string(path)
            .map_err(|source| ExchangeStartError::ProfilesUnreadable { path: path.clone(), source })?;
        let profiles = CertificateProfiles::default().with(&text);
        profiles.map_err(|source| ExchangeStartError::Profiles { path: path.clone(), source })
    }
}
