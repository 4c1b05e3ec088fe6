//! The files that decide over a server, followed while it runs: catalog, trust, clients and grants.
//!
//! They are read together and replace what was in force together. A file that is not usable leaves everything as it
//! was: half a change is worse than none.

use std::cell::RefCell;
use std::collections::{BTreeMap, HashMap};
use std::path::{Path, PathBuf};
use std::time::{Duration, SystemTime};

use uuk_bundle::{Engine, Trust};
use uuk_globalconf::{Catalog, CatalogError, TrustError, TrustList};
use uuk_pki::{Anchors, Certificate, CertificateError, DigestAlgorithm};
use uuk_plugin_host::Grant;
use uuk_plugin_host::capabilities::sql::DatabaseGrant;
use uuk_plugin_host::reload::{Deployment, Policy};
use uuk_process::{ErrorChain, Secret};
use uuk_proxy::{Backends, BackendsError, Conditions};
use uuk_serverconf::{Clients, ClientsError, DatasourceGrant, GrantError, GrantFile};
use uuk_transport::{Authentication, UpstreamConfig};

use crate::config::Files;

/// Files larger than this are not read: the largest catalog seen in the field is a tenth of it.
const FILE_BYTES_MAX: u64 = 16 << 20;

/// What the files say, ready to be put in force.
pub(crate) struct Governance {
    pub(crate) conditions: Conditions,
    pub(crate) policy: Policy,
    /// Certificates of the clients' information systems: who may open a TLS connection.
    pub(crate) client_certificates: Vec<PathBuf>,
    /// All files this rests on, as they were.
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
    /// Reads all files.
    pub(crate) fn read(files: &Files) -> Result<Self, GovernanceError> {
        let reader = Reader::default();
        let catalog = Catalog::parse(&reader.read(&files.catalog)?)
            .map_err(|source| GovernanceError::Catalog { path: files.catalog.clone(), source })?;
        let (clients, client_certificates) = reader.clients(&files.clients)?;
        let policy = Policy {
            deployments: reader.deployments(&files.grants)?,
            trust: reader.trust(&files.trust)?,
            catalogued: catalog.services().map(|entry| (entry.id.clone(), entry.contract.0)).collect(),
        };
        let backends = reader.backends(&files.backends)?;
        let fingerprint = Fingerprint(reader.seen.into_inner());
        Ok(Self {
            conditions: Conditions { catalog, clients, backends },
            policy,
            client_certificates,
            fingerprint,
        })
    }
}

/// Reads files and keeps in mind which, to notice later that one has changed.
#[derive(Default)]
struct Reader {
    seen: RefCell<HashMap<PathBuf, Option<Stamp>>>,
}

impl Reader {
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
        let grant = Grant { datasources, upstreams, configuration };
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

/// The files that were read, also certificates and passwords that others name, as they were then.
#[derive(Debug)]
pub(crate) struct Fingerprint(HashMap<PathBuf, Option<Stamp>>);

impl Fingerprint {
    /// Whether nothing has changed, gone or come since.
    pub(crate) fn is_current(&self, files: &Files) -> bool {
        let grants = grant_files(&files.grants).unwrap_or_default();
        grants.iter().all(|path| self.0.contains_key(path))
            && self.0.iter().all(|(path, seen)| stamp(path) == *seen)
    }
}

/// SQLite computes in this process: more connections than processors only wait for each other.
fn default_connections_max(engine: Engine) -> usize {
    match engine {
        Engine::Sqlite => std::thread::available_parallelism().map_or(2, usize::from).clamp(2, 8),
        Engine::Postgres | Engine::Mariadb => 8,
    }
}

#[cfg(test)]
mod tests {
    use std::fs;

    use super::*;

    const GRANT: &str = "plugin = 'kg.example.people'\nprovider = 'KG/GOV/70000001/registry'\n";

    /// The least that is usable, in a folder of its own.
    fn site() -> (tempfile::TempDir, Files) {
        let folder = tempfile::tempdir().unwrap();
        let at = |name: &str| folder.path().join(name);
        fs::create_dir(at("grants")).unwrap();
        fs::write(at("catalog.toml"), "").unwrap();
        fs::write(at("clients.toml"), "").unwrap();
        fs::write(at("trust.toml"), "author_certificates = []\nvetting_certificates = []").unwrap();
        let files = Files {
            plugins: at("plugins"),
            grants: at("grants"),
            catalog: at("catalog.toml"),
            trust: at("trust.toml"),
            clients: at("clients.toml"),
            backends: at("backends.toml"),
            state: at("state"),
        };
        (folder, files)
    }

    #[test]
    fn notices_a_replaced_password_and_a_new_grant() {
        let (_folder, files) = site();
        let password = files.grants.join("password");
        let datasource = "[datasource.registry]\nengine = 'postgres'\nurl = 'postgres://db/people'\n";
        let upstream = "[upstream.api]\nbase = 'https://a'\nauthorities = 'ca.pem'\n";
        let grant = format!("{GRANT}{datasource}password_file = 'password'\n{upstream}");
        fs::write(files.grants.join("people.toml"), grant).unwrap();
        fs::write(&password, "old").unwrap();
        let read = || Governance::read(&files).unwrap().fingerprint;

        let before = read();
        assert!(before.is_current(&files));
        fs::write(&password, "replaced").unwrap();
        assert!(!before.is_current(&files), "a password");

        let before = read();
        fs::write(files.grants.join("ca.pem"), "new").unwrap();
        assert!(!before.is_current(&files), "the authorities of an upstream");

        let before = read();
        fs::write(&files.backends, "").unwrap();
        assert!(!before.is_current(&files), "the first backends");

        let before = read();
        fs::write(files.grants.join("other.toml"), "").unwrap();
        assert!(!before.is_current(&files), "a grant");
    }

    #[test]
    fn refuses_a_file_too_long_rather_than_cut_it() {
        let (_folder, files) = site();
        let length = usize::try_from(FILE_BYTES_MAX).unwrap();
        fs::write(&files.catalog, "#".repeat(length)).unwrap();
        assert!(Governance::read(&files).is_ok());
        fs::write(&files.catalog, "#".repeat(length + 1)).unwrap();
        assert!(matches!(Governance::read(&files), Err(GovernanceError::TooLong { .. })));
    }
}
