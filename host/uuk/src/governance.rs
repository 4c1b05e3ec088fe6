//! What decides over a server, followed while it runs: catalog, trust, clients and grants.
//!
//! They are files, read together, and replace what was in force together. A file that is not usable leaves everything as
//! it was: half a change is worse than none. Catalog and trust may come from the global configuration instead, each from
//! one place only; while that does not count, there is no service and nobody is trusted. Access rights add up: those of the
//! file, and what the catalog of the instance grants.

use std::cell::RefCell;
use std::collections::{BTreeMap, HashMap};
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::{Duration, SystemTime};

use serde::Deserialize;
use tokio::sync::watch;
use uuk_bundle::{Engine, Trust};
use uuk_configuration_client::{ConfigurationClient, ConfigurationClientConfig};
use uuk_globalconf::{Catalog, CatalogError, GlobalConfiguration, InstanceGovernance, TrustError, TrustList};
use uuk_identifiers::ServiceId;
use uuk_pki::{Anchors, Certificate, CertificateError, DigestAlgorithm};
use uuk_plugin_host::Grant;
use uuk_plugin_host::capabilities::sql::DatabaseGrant;
use uuk_plugin_host::reload::{Deployment, Policy};
use uuk_process::{Clock, ErrorChain, Secret};
use uuk_proxy::{Backends, BackendsError, Conditions};
use uuk_serverconf::{Clients, ClientsError, DatasourceGrant, GrantError, GrantFile};
use uuk_transport::{Authentication, UpstreamConfig};

use crate::config::{Config, Files};
use crate::finding::Finding;

/// Files larger than this are not read: the largest catalog seen in the field is a tenth of it.
const FILE_BYTES_MAX: u64 = 16 << 20;

/// Section `[governance]`: who says which services there are, and whose signatures on bundles count.
#[derive(Debug, Default, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub(crate) struct GovernanceConfig {
    /// Who says which services there are: `file` (`catalog` in `[files]`) or `global_configuration`. Default: `file`.
    pub(crate) catalog: Governor,
    /// Who says whose signatures on bundles count, and which bundles are revoked: `file` (`trust` in `[files]`) or
    /// `global_configuration`. Default: `file`.
    pub(crate) trust: Governor,
    /// Who says who may call: `file` (`clients` in `[files]`), `global_configuration` (the accesses that the catalog of the
    /// instance grants) or `both`, which add up. Default: `both`.
    pub(crate) access_rights: RightsGovernor,
    /// Whether each call of a service that gives out data about people says what for. Default: `required`.
    pub(crate) purposes: Purposes,
    /// Where the global configuration comes from, for a server without an exchange.
    pub(crate) global_configuration: Option<ConfigurationClientConfig>,
}

/// Where a setting comes from.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "snake_case")]
pub(crate) enum Governor {
    /// A file of this server.
    #[default]
    File,
    /// The operator of the instance.
    GlobalConfiguration,
}

/// Whether calls say what they are for.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "snake_case")]
pub(crate) enum Purposes {
    /// Of a service that gives out data about people, each call does.
    #[default]
    Required,
    /// They may.
    Optional,
}

/// Where access rights come from.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "snake_case")]
pub(crate) enum RightsGovernor {
    /// A file of this server.
    File,
    /// The operator of the instance.
    GlobalConfiguration,
    /// The file, and the operator if there is a global configuration.
    #[default]
    Both,
}

/// What findings about it are called.
pub(crate) const CATALOG: &str = "catalog";
pub(crate) const TRUST: &str = "trust";
pub(crate) const ACCESS_RIGHTS: &str = "access rights";

/// What files and global configuration say, ready to be put in force.
pub(crate) struct Governance {
    pub(crate) conditions: Conditions,
    pub(crate) policy: Policy,
    /// Certificates of the clients' information systems: who may open a TLS connection.
    pub(crate) client_certificates: Vec<PathBuf>,
    /// All this rests on, as it was.
    pub(crate) fingerprint: Fingerprint,
}

/// Why the files are not usable.
#[derive(Debug, thiserror::Error)]
pub enum GovernanceError {
    #[error("cannot read {}", path.display())]
    Read {
        path: PathBuf,
        #[source]
        source: std::io::Error,
    },
    #[error("{} is longer than {FILE_BYTES_MAX} bytes", path.display())]
    TooLong { path: PathBuf },
    #[error("{}", path.display())]
    Catalog {
        path: PathBuf,
        #[source]
        source: CatalogError,
    },
    #[error("{}", path.display())]
    Trust {
        path: PathBuf,
        #[source]
        source: TrustError,
    },
    #[error("{}", path.display())]
    Clients {
        path: PathBuf,
        #[source]
        source: ClientsError,
    },
    #[error("{}", path.display())]
    Backends {
        path: PathBuf,
        #[source]
        source: BackendsError,
    },
    #[error("{}", path.display())]
    Grant {
        path: PathBuf,
        #[source]
        source: GrantError,
    },
    #[error("{}", path.display())]
    Certificate {
        path: PathBuf,
        #[source]
        source: CertificateError,
    },
    #[error("plugin `{plugin}` is granted in {} and in {}", one.display(), other.display())]
    GrantedTwice { plugin: String, one: PathBuf, other: PathBuf },
}

impl Governance {
    /// Reads all files that count; `instance` is what the global configuration says, if it counts. By `clock` begins and
    /// ends what it grants.
    pub(crate) fn read(
        config: &Config,
        instance: Option<Arc<InstanceGovernance>>,
        clock: &Clock,
    ) -> Result<Self, GovernanceError> {
        let (files, reader) = (&config.files, Reader::default());
        let catalog = match config.governance.catalog {
            Governor::File => reader.catalog(&files.catalog)?,
            Governor::GlobalConfiguration => {
                instance.as_ref().map(|one| one.catalog.clone()).unwrap_or_default()
            }
        };
        let catalog = match config.governance.purposes {
            Purposes::Required => catalog,
            Purposes::Optional => catalog.without_purposes(),
        };
        let trust = match config.governance.trust {
            Governor::File => reader.trust(&files.trust)?,
            Governor::GlobalConfiguration => instance.as_deref().map(trust_of).unwrap_or_default(),
        };
        let (mut clients, client_certificates) = reader.clients(&files.clients)?;
        config.governance.grant(instance.as_deref(), clock, &mut clients);
        let policy = Policy {
            deployments: reader.deployments(&files.grants)?,
            trust,
            catalogued: contracts(&catalog),
        };
        let backends = reader.backends(&files.backends)?;
        let fingerprint = Fingerprint { files: reader.seen.into_inner(), instance };
        Ok(Self {
            conditions: Conditions { catalog, clients, backends },
            policy,
            client_certificates,
            fingerprint,
        })
    }

    /// Who says what, with how much of it.
    pub(crate) fn sources(&self, config: &Config) -> [Finding; 3] {
        let source = |governor, file: &Path| match governor {
            Governor::File => file.display().to_string(),
            Governor::GlobalConfiguration => "the global configuration".to_owned(),
        };
        let services = self.policy.catalogued.len();
        let Trust { vetting_anchors, revoked, .. } = &self.policy.trust;
        let (vetters, revoked) = (vetting_anchors.certificates().len(), revoked.len());
        let catalog = source(config.governance.catalog, &config.files.catalog);
        let trust = source(config.governance.trust, &config.files.trust);
        [
            governed(
                CATALOG,
                config.governance.catalog,
                format!("of {catalog}: services {services}"),
                services,
            ),
            governed(
                TRUST,
                config.governance.trust,
                format!("of {trust}: vetting certificates {vetters}, revoked bundles {revoked}"),
                vetters,
            ),
            self.rights_source(config),
        ]
    }

    fn rights_source(&self, config: &Config) -> Finding {
        let accesses = self.fingerprint.instance.as_ref().map_or(0, |one| one.accesses.count());
        let (file, granted) = (config.files.clients.display(), "the global configuration");
        let detail = match config.governance.access_rights {
            RightsGovernor::GlobalConfiguration => {
                format!("of {granted}: accesses of all members {accesses}")
            }
            RightsGovernor::Both if self.fingerprint.instance.is_some() => {
                format!("of {file}, and of {granted}: accesses of all members {accesses}")
            }
            RightsGovernor::Both | RightsGovernor::File => format!("of {file}"),
        };
        Finding::ok(ACCESS_RIGHTS, detail)
    }
}

/// Of a file, it is the agency's own affair if there is nothing in it.
fn governed(what: &str, governor: Governor, detail: String, count: usize) -> Finding {
    match (governor, count) {
        (Governor::GlobalConfiguration, 0) => Finding::warn(
            what,
            detail,
            "wait for the global configuration, or ask the operator of the instance",
        ),
        _ => Finding::ok(what, detail),
    }
}

/// The contract of each service.
fn contracts(catalog: &Catalog) -> HashMap<ServiceId, [u8; 32]> {
    catalog.services().map(|entry| (entry.id.clone(), entry.contract.0)).collect()
}

fn trust_of(instance: &InstanceGovernance) -> Trust {
    Trust {
        author_anchors: Anchors::new(instance.author_certificates.clone()),
        vetting_anchors: Anchors::new(instance.vetting_certificates.clone()),
        revoked: instance.revoked.clone(),
        minimum_versions: instance.minimum_versions.clone(),
    }
}

/// The instance, as far as it governs this server.
pub(crate) struct Instance {
    configuration: Option<watch::Receiver<Option<Arc<GlobalConfiguration>>>>,
    clock: Clock,
}

impl Instance {
    /// That of `client`, if there is one and anything is to come from it.
    pub(crate) fn of(config: &Config, client: Option<&ConfigurationClient>, clock: Clock) -> Self {
        let client = client.filter(|_| config.governance.follows_instance());
        Self { configuration: client.map(ConfigurationClient::configuration), clock }
    }

    /// Catalog, accesses and trust, if the global configuration says them and counts.
    pub(crate) fn in_force(&self) -> Option<Arc<InstanceGovernance>> {
        let configuration = self.configuration.as_ref()?.borrow();
        let counts =
            |configuration: &&Arc<GlobalConfiguration>| configuration.check(self.clock.now()).is_ok();
        configuration.as_ref().filter(counts)?.extensions().governance.clone()
    }

    /// By which it counts.
    pub(crate) fn clock(&self) -> &Clock {
        &self.clock
    }
}

impl GovernanceConfig {
    /// Whether anything may come from the global configuration.
    pub(crate) fn follows_instance(&self) -> bool {
        self.needs_instance() || self.access_rights != RightsGovernor::File
    }

    /// Whether something comes from the global configuration alone.
    pub(crate) fn needs_instance(&self) -> bool {
        [self.catalog, self.trust].contains(&Governor::GlobalConfiguration)
            || self.access_rights == RightsGovernor::GlobalConfiguration
    }

    /// Gives `clients` the rights that the instance grants now, as far as it governs them.
    pub(crate) fn grant(&self, instance: Option<&InstanceGovernance>, clock: &Clock, clients: &mut Clients) {
        if self.access_rights == RightsGovernor::GlobalConfiguration {
            clients.clear_rights();
        }
        if self.access_rights != RightsGovernor::File {
            let accesses = instance.map(|one| Arc::clone(&one.accesses)).unwrap_or_default();
            clients.grant(accesses, clock.clone());
        }
    }

    /// What decides over plugins with what the instance says in its place, as far as it governs.
    pub(crate) fn follow(&self, instance: Option<&InstanceGovernance>, policy: &Policy) -> Policy {
        let mut policy = policy.clone();
        if self.catalog == Governor::GlobalConfiguration {
            policy.catalogued = instance.map(|one| contracts(&one.catalog)).unwrap_or_default();
        }
        if self.trust == Governor::GlobalConfiguration {
            policy.trust = instance.map(trust_of).unwrap_or_default();
        }
        policy
    }

    /// What does not fit together.
    pub(crate) fn problems(&self, has_exchange: bool) -> Vec<String> {
        let problem = match (&self.global_configuration, has_exchange) {
            (Some(_), true) => {
                "governance.global_configuration: [exchange.global_configuration] says it already; take one away"
            }
            (Some(_), _) if !self.follows_instance() => {
                "governance.global_configuration: nothing is taken from it; set `catalog`, `trust` or `access_rights` in [governance]"
            }
            (None, false) if self.needs_instance() => {
                "governance: there is no global configuration; name its anchor in [governance.global_configuration]"
            }
            _ => return Vec::new(),
        };
        vec![problem.to_owned()]
    }
}

/// Reads files and keeps in mind which, to notice later that one has changed.
#[derive(Default)]
struct Reader {
    seen: RefCell<HashMap<PathBuf, Option<Stamp>>>,
}

impl Reader {
    fn catalog(&self, path: &Path) -> Result<Catalog, GovernanceError> {
        Catalog::parse(&self.read(path)?)
            .map_err(|source| GovernanceError::Catalog { path: path.to_owned(), source })
    }

    /// A trust list and the certificates it names.
    fn trust(&self, path: &Path) -> Result<Trust, GovernanceError> {
        let list = TrustList::parse(&self.read(path)?)
            .map_err(|source| GovernanceError::Trust { path: path.to_owned(), source })?;
        let folder = path.parent().unwrap_or(Path::new(""));
        let anchors = |files: &[String]| {
            let mut certificates = Vec::new();
            for file in files {
                certificates.extend(self.certificates(&folder.join(file))?);
            }
            Ok::<_, GovernanceError>(Anchors::new(certificates))
        };
        Ok(Trust {
            author_anchors: anchors(&list.author_certificates)?,
            vetting_anchors: anchors(&list.vetting_certificates)?,
            revoked: list.revoked.into_iter().collect(),
            minimum_versions: list.minimum_versions,
        })
    }

    /// The list of clients, and the files of their certificates.
    fn clients(&self, path: &Path) -> Result<(Clients, Vec<PathBuf>), GovernanceError> {
        let folder = path.parent().unwrap_or(Path::new(""));
        let files = RefCell::new(Vec::new());
        let certificate = |file: &str| {
            let path = folder.join(file);
            let certificates = self.certificates(&path).map_err(|error| ErrorChain(&error).to_string())?;
            let certificate = certificates.first().ok_or("no certificate in the file")?;
            let mut sha256 = [0; 32];
            sha256.copy_from_slice(certificate.digest(DigestAlgorithm::Sha256).as_bytes());
            files.borrow_mut().push(path);
            Ok(sha256)
        };
        let clients = Clients::parse(&self.read(path)?, certificate)
            .map_err(|source| GovernanceError::Clients { path: path.to_owned(), source })?;
        Ok((clients, files.into_inner()))
    }

    /// The list of backends. A server that has none has no such file.
    fn backends(&self, path: &Path) -> Result<Backends, GovernanceError> {
        self.note(path);
        if !path.exists() {
            return Ok(Backends::default());
        }
        let folder = path.parent().unwrap_or(Path::new(""));
        let note = |upstream: &UpstreamConfig| files_of(upstream).for_each(|file| self.note(file));
        let read = |file: &Path| {
            self.note(file);
            std::fs::read(file)
        };
        Backends::parse(&self.read(path)?, folder, note, read)
            .map_err(|source| GovernanceError::Backends { path: path.to_owned(), source })
    }

    fn deployments(&self, folder: &Path) -> Result<Vec<Deployment>, GovernanceError> {
        let mut granted: BTreeMap<String, PathBuf> = BTreeMap::new();
        let mut deployments = Vec::new();
        for path in grant_files(folder)? {
            let file = GrantFile::parse(&self.read(&path)?)
                .map_err(|source| GovernanceError::Grant { path: path.clone(), source })?;
            if let Some(one) = granted.insert(file.plugin.clone(), path.clone()) {
                return Err(GovernanceError::GrantedTwice { plugin: file.plugin, one, other: path });
            }
            deployments.push(self.deployment(file, folder)?);
        }
        Ok(deployments)
    }

    fn deployment(&self, file: GrantFile, folder: &Path) -> Result<Deployment, GovernanceError> {
        let mut datasources = BTreeMap::new();
        for (name, datasource) in file.datasource {
            let granted = self.database(&file.plugin, &name, datasource, folder)?;
            datasources.insert(name, granted);
        }
        let mut upstreams = file.upstream;
        for upstream in upstreams.values_mut() {
            upstream.resolve(folder);
            // Read when the upstream is set up.
            files_of(upstream).for_each(|file| self.note(file));
        }
        let configuration = file.config.unwrap_or_default();
        let reuse_instances = file.reuse_instances;
        let grant = Grant { datasources, upstreams, configuration, reuse_instances };
        Ok(Deployment { plugin: file.plugin, provider: file.provider, grant })
    }

    fn database(
        &self,
        plugin: &str,
        name: &str,
        file: DatasourceGrant,
        folder: &Path,
    ) -> Result<DatabaseGrant, GovernanceError> {
        let password = match &file.password_file {
            None => None,
            Some(file) => Some(Secret::new(self.read(&folder.join(file))?.trim_end().to_owned())),
        };
        let url = match (file.engine, file.url.strip_prefix("sqlite:")) {
            (Engine::Sqlite, Some(path)) => format!("sqlite:{}", folder.join(path).display()),
            _ => file.url,
        };
        Ok(DatabaseGrant {
            datasource: name.to_owned(),
            engine: file.engine,
            url,
            user: file.user,
            password,
            access: file.access,
            free_sql: false,
            connections_max: file
                .connections_max
                .map_or_else(|| default_connections_max(file.engine), |connections| connections as usize),
            acquire_time_max: Duration::from_secs(5),
            statement_time_max: Duration::from_secs(60),
            application_name: format!("uuk:{plugin}"),
            session_variables: false,
        })
    }

    fn certificates(&self, path: &Path) -> Result<Vec<Certificate>, GovernanceError> {
        Certificate::chain_from_pem(self.read(path)?.as_bytes())
            .map_err(|source| GovernanceError::Certificate { path: path.to_owned(), source })
    }

    fn read(&self, path: &Path) -> Result<String, GovernanceError> {
        use std::io::Read;

        // Before reading: a change during it is noticed afterwards.
        self.note(path);
        let mut text = String::new();
        std::fs::File::open(path)
            .and_then(|file| file.take(FILE_BYTES_MAX + 1).read_to_string(&mut text))
            .map_err(|source| GovernanceError::Read { path: path.to_owned(), source })?;
        if text.len() as u64 > FILE_BYTES_MAX {
            return Err(GovernanceError::TooLong { path: path.to_owned() });
        }
        Ok(text)
    }

    fn note(&self, path: &Path) {
        self.seen.borrow_mut().insert(path.to_owned(), stamp(path));
    }
}

fn grant_files(folder: &Path) -> Result<Vec<PathBuf>, GovernanceError> {
    let failed = |source| GovernanceError::Read { path: folder.to_owned(), source };
    let mut files = Vec::new();
    for entry in std::fs::read_dir(folder).map_err(failed)? {
        let path = entry.map_err(failed)?.path();
        if path.extension().is_some_and(|extension| extension == "toml") {
            files.push(path);
        }
    }
    files.sort();
    Ok(files)
}

/// The files that an upstream's configuration names.
fn files_of(upstream: &UpstreamConfig) -> impl Iterator<Item = &Path> {
    let secret = match &upstream.authentication {
        Authentication::None => None,
        Authentication::Basic { password_file, .. } => Some(password_file),
        Authentication::OAuth2 { client_secret_file, .. } => Some(client_secret_file),
    };
    let identity = upstream.identity.iter().flat_map(|identity| [&identity.certificate, &identity.key]);
    secret.into_iter().chain(identity).chain(&upstream.authorities).map(PathBuf::as_path)
}

/// Length and time of the last change.
type Stamp = (u64, SystemTime);

fn stamp(path: &Path) -> Option<Stamp> {
    let metadata = std::fs::metadata(path).ok()?;
    Some((metadata.len(), metadata.modified().ok()?))
}

/// What was read, as it was then.
#[derive(Debug)]
pub(crate) struct Fingerprint {
    /// Also certificates and passwords that other files name.
    files: HashMap<PathBuf, Option<Stamp>>,
    instance: Option<Arc<InstanceGovernance>>,
}

impl Fingerprint {
    /// Whether it rests on this, which whoever refreshes it keeps if nothing has changed.
    pub(crate) fn is_of(&self, instance: Option<&Arc<InstanceGovernance>>) -> bool {
        match (&self.instance, instance) {
            (Some(read), Some(now)) => Arc::ptr_eq(read, now),
            (read, now) => read.is_none() && now.is_none(),
        }
    }

    /// From now on it rests on this.
    pub(crate) fn rest_on(&mut self, instance: Option<Arc<InstanceGovernance>>) {
        self.instance = instance;
    }

    /// Whether nothing has changed, gone or come since.
    pub(crate) fn is_current(&self, files: &Files, instance: Option<&Arc<InstanceGovernance>>) -> bool {
        let grants = grant_files(&files.grants).unwrap_or_default();
        self.is_of(instance)
            && grants.iter().all(|path| self.files.contains_key(path))
            && self.files.iter().all(|(path, seen)| stamp(path) == *seen)
    }
}

/// SQLite computes in this process: more connections than processors only wait for each other.
fn default_connections_max(engine: Engine) -> usize {
    match engine {
        Engine::Sqlite => std::thread::available_parallelism().map_or(2, usize::from).clamp(2, 8),
        _ => 8,
    }
}

#[cfg(test)]
mod tests {
    use std::fs;

    use uuk_globalconf::GrantedAccess;
    use uuk_identifiers::ClientId;

    use super::*;

    const GRANT: &str = "plugin = 'kg.example.people'\nprovider = 'KG/GOV/70000001/registry'\n";

    const LEAST: &str = "[server]\nid = 'KG/GOV/70000001/ss1'\n[listener]\naddress = '127.0.0.1:0'\n";

    /// The least that is usable, in a folder of its own; `settings` are further lines of its configuration.
    fn site(settings: &str) -> (tempfile::TempDir, Config) {
        let folder = tempfile::tempdir().unwrap();
        let at = |name: &str| folder.path().join(name);
        fs::create_dir(at("grants")).unwrap();
        fs::write(at("catalog.toml"), "").unwrap();
        fs::write(at("clients.toml"), "").unwrap();
        fs::write(at("trust.toml"), "author_certificates = []\nvetting_certificates = []").unwrap();
        fs::write(at("uuk.toml"), format!("{LEAST}{settings}")).unwrap();
        let config = Config::load(&at("uuk.toml")).unwrap();
        (folder, config)
    }

    fn read(config: &Config) -> Result<Governance, GovernanceError> {
        Governance::read(config, None, &Clock::system())
    }

    #[test]
    fn notices_a_replaced_password_and_a_new_grant() {
        let (_folder, config) = site("");
        let files = &config.files;
        let password = files.grants.join("password");
        let datasource = "[datasource.registry]\nengine = 'postgres'\nurl = 'postgres://db/people'\n";
        let upstream = "[upstream.api]\nbase = 'https://a'\nauthorities = 'ca.pem'\n";
        let grant = format!("{GRANT}{datasource}password_file = 'password'\n{upstream}");
        fs::write(files.grants.join("people.toml"), grant).unwrap();
        fs::write(&password, "old").unwrap();
        let read = || read(&config).unwrap().fingerprint;

        let before = read();
        assert!(before.is_current(files, None));
        fs::write(&password, "replaced").unwrap();
        assert!(!before.is_current(files, None), "a password");

        let before = read();
        fs::write(files.grants.join("ca.pem"), "new").unwrap();
        assert!(!before.is_current(files, None), "the authorities of an upstream");

        let before = read();
        fs::write(&files.backends, "").unwrap();
        assert!(!before.is_current(files, None), "the first backends");

        let before = read();
        fs::write(files.grants.join("other.toml"), "").unwrap();
        assert!(!before.is_current(files, None), "a grant");
    }

    #[test]
    fn refuses_a_file_too_long_rather_than_cut_it() {
        let (_folder, config) = site("");
        let length = usize::try_from(FILE_BYTES_MAX).unwrap();
        fs::write(&config.files.catalog, "#".repeat(length)).unwrap();
        assert!(read(&config).is_ok());
        fs::write(&config.files.catalog, "#".repeat(length + 1)).unwrap();
        assert!(matches!(read(&config), Err(GovernanceError::TooLong { .. })));
    }

    const OF_INSTANCE: &str = "[governance]\ncatalog = 'global_configuration'\n\
        trust = 'global_configuration'\naccess_rights = 'global_configuration'\nglobal_configuration.anchor = 'anchor.xml'\n";

    #[test]
    fn what_the_instance_says_needs_no_files_and_is_followed() {
        let (_folder, config) = site(OF_INSTANCE);
        fs::remove_file(&config.files.catalog).unwrap();
        fs::remove_file(&config.files.trust).unwrap();
        let digest = uuk_pki::Sha256::of(b"bundle");
        let instance = InstanceGovernance { revoked: [digest].into(), ..InstanceGovernance::default() };
        let instance = Arc::new(instance);
        let governance = Governance::read(&config, Some(Arc::clone(&instance)), &Clock::system()).unwrap();
        assert!(governance.policy.trust.revoked.contains(&digest));
        assert!(governance.fingerprint.is_current(&config.files, Some(&instance)));
        assert!(!governance.fingerprint.is_current(&config.files, None), "it has expired");
        assert!(read(&config).unwrap().policy.trust.revoked.is_empty(), "while there is none");
    }

    #[test]
    fn calls_say_what_for_unless_that_is_switched_off() {
        let entry = format!(
            "[[service]]\nid = 'KG/GOV/70000001/registry/person'\ncontract = 'sha256:{}'\npersonal = true\n",
            "0".repeat(64)
        );
        for (settings, personal) in [("", true), ("[governance]\npurposes = 'optional'\n", false)] {
            let (_folder, config) = site(settings);
            fs::write(&config.files.catalog, &entry).unwrap();
            let catalog = read(&config).unwrap().conditions.catalog;
            assert_eq!(catalog.services().next().unwrap().personal, personal, "{settings}");
        }
    }

    #[test]
    fn rights_of_the_file_and_of_the_catalog_add_up_unless_one_is_to_count_alone() {
        let person = "KG/GOV/70000001/registry/person".parse().unwrap();
        let [listed, granted] =
            ["KG/GOV/70000002/portal", "KG/GOV/70000003/portal"].map(|id| id.parse().unwrap());
        let [from, until] = ["2026-01-01T00:00:00Z", "2027-01-01T00:00:00Z"].map(|at| at.parse().unwrap());
        let access = GrantedAccess { client: ClientId::clone(&granted), from, until };
        let accesses = Arc::new([(ServiceId::clone(&person), access)].into_iter().collect());
        let instance = Arc::new(InstanceGovernance { accesses, ..InstanceGovernance::default() });
        for (setting, expected) in [
            ("", [true, true]),
            ("[governance]\naccess_rights = 'file'\n", [true, false]),
            (OF_INSTANCE, [false, true]),
        ] {
            let (_folder, config) = site(setting);
            let text = format!("[[client]]\nid = '{listed}'\nservices = ['{person}']\n");
            fs::write(&config.files.clients, text).unwrap();
            let instance = Some(Arc::clone(&instance));
            let clients =
                Governance::read(&config, instance, &Clock::set_to(from)).unwrap().conditions.clients;
            let may_call =
                [&listed, &granted].map(|id| clients.rights(id, &person, |_| false).cover_service());
            assert_eq!(may_call, expected, "{setting}");
        }
    }

    #[test]
    fn says_who_governs() {
        let (_folder, config) = site("");
        let sources = read(&config).unwrap().sources(&config);
        for (source, file) in sources.iter().zip(["catalog.toml", "trust.toml", "clients.toml"]) {
            assert!(source.detail.contains(file), "{}", source.detail);
        }
        let (_folder, config) = site(OF_INSTANCE);
        let sources = read(&config).unwrap().sources(&config);
        assert!(sources.iter().all(|source| source.detail.contains("the global configuration")));
    }

    #[test]
    fn refuses_two_global_configurations_and_none() {
        let load = |settings: &str| {
            let folder = tempfile::tempdir().unwrap();
            fs::write(folder.path().join("uuk.toml"), format!("{LEAST}{settings}")).unwrap();
            Config::load(&folder.path().join("uuk.toml"))
        };
        let exchange = "[exchange.global_configuration]\nanchor = 'anchor.xml'\n";
        for settings in [
            &format!("{OF_INSTANCE}{exchange}"),
            "[governance]\naccess_rights = 'file'\nglobal_configuration.anchor = 'anchor.xml'",
            "[governance]\ntrust = 'global_configuration'",
            "[governance]\naccess_rights = 'global_configuration'",
        ] {
            let error = load(settings).unwrap_err().to_string();
            assert!(error.contains("governance"), "{settings}: {error}");
        }
        assert!(load(&format!("[governance]\ntrust = 'global_configuration'\n{exchange}")).is_ok());
    }
}
