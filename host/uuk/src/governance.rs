//! The files that decide over a server, followed while it runs: catalog, trust, clients and grants.
//!
//! They are read together and replace what was in force together. A file that is not usable leaves everything as it
//! was: half a change is worse than none.

use std::cell::RefCell;
use std::collections::{BTreeMap, HashMap};
use std::path::{Path, PathBuf};
use std::time::{Duration, SystemTime};

use uuk_bundle::{BundleDigest, Engine, Trust};
use uuk_globalconf::{Catalog, CatalogError, TrustError, TrustList};
use uuk_pki::{Anchors, Certificate, CertificateError, DigestAlgorithm};
use uuk_plugin_host::Grant;
use uuk_plugin_host::capabilities::sql::DatabaseGrant;
use uuk_plugin_host::reload::{Deployment, Policy};
use uuk_process::Secret;
use uuk_proxy::Conditions;
use uuk_serverconf::{Clients, ClientsError, DatasourceGrant, GrantError, GrantFile};

use crate::config::Files;

/// Files larger than this are not read: the largest catalog seen in the field is a tenth of it.
const FILE_BYTES_MAX: u64 = 16 << 20;

/// What the files say, ready to be put in force.
pub(crate) struct Governance {
    pub(crate) conditions: Conditions,
    pub(crate) policy: Policy,
    /// Certificates of the clients' information systems: who may open a TLS connection.
    pub(crate) client_certificates: Vec<PathBuf>,
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
        let catalog = Catalog::parse(&read(&files.catalog)?)
            .map_err(|source| GovernanceError::Catalog { path: files.catalog.clone(), source })?;
        let (clients, client_certificates) = clients(&files.clients)?;
        let policy = Policy {
            deployments: deployments(&files.grants)?,
            trust: trust(&files.trust)?,
            catalogued: catalog.services().map(|entry| (entry.id.clone(), entry.contract.0)).collect(),
        };
        Ok(Self { conditions: Conditions { catalog, clients }, policy, client_certificates })
    }
}

/// Reads a trust list and the certificates it names.
pub(crate) fn trust(path: &Path) -> Result<Trust, GovernanceError> {
    let list = TrustList::parse(&read(path)?)
        .map_err(|source| GovernanceError::Trust { path: path.to_owned(), source })?;
    let folder = path.parent().unwrap_or(Path::new(""));
    let anchors = |files: &[String]| {
        let mut certificates = Vec::new();
        for file in files {
            certificates.extend(read_certificates(&folder.join(file))?);
        }
        Ok::<_, GovernanceError>(Anchors::new(certificates))
    };
    Ok(Trust {
        author_anchors: anchors(&list.author_certificates)?,
        vetting_anchors: anchors(&list.vetting_certificates)?,
        revoked: list.revoked.iter().map(|revoked| BundleDigest::from(revoked.0)).collect(),
        minimum_versions: list.minimum_versions,
    })
}

/// The list of clients, and the files of their certificates.
fn clients(path: &Path) -> Result<(Clients, Vec<PathBuf>), GovernanceError> {
    let folder = path.parent().unwrap_or(Path::new(""));
    let files = RefCell::new(Vec::new());
    let certificate = |file: &str| {
        let path = folder.join(file);
        let certificates = read_certificates(&path).map_err(|error| error.to_string())?;
        let certificate = certificates.first().ok_or("no certificate in the file")?;
        let mut sha256 = [0; 32];
        sha256.copy_from_slice(certificate.digest(DigestAlgorithm::Sha256).as_bytes());
        files.borrow_mut().push(path);
        Ok(sha256)
    };
    let clients = Clients::parse(&read(path)?, certificate)
        .map_err(|source| GovernanceError::Clients { path: path.to_owned(), source })?;
    Ok((clients, files.into_inner()))
}

fn deployments(folder: &Path) -> Result<Vec<Deployment>, GovernanceError> {
    let mut granted: BTreeMap<String, PathBuf> = BTreeMap::new();
    let mut deployments = Vec::new();
    for path in grant_files(folder)? {
        let file = GrantFile::parse(&read(&path)?)
            .map_err(|source| GovernanceError::Grant { path: path.clone(), source })?;
        if let Some(one) = granted.insert(file.plugin.clone(), path.clone()) {
            return Err(GovernanceError::GrantedTwice { plugin: file.plugin, one, other: path });
        }
        deployments.push(deployment(file, folder)?);
    }
    Ok(deployments)
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

fn deployment(file: GrantFile, folder: &Path) -> Result<Deployment, GovernanceError> {
    let mut datasources = BTreeMap::new();
    for (name, datasource) in file.datasource {
        let granted = database(&file.plugin, &name, datasource, folder)?;
        datasources.insert(name, granted);
    }
    let mut upstreams = file.upstream;
    upstreams.values_mut().for_each(|upstream| upstream.resolve(folder));
    let configuration = file.config.unwrap_or_default();
    let grant = Grant { datasources, upstreams, configuration };
    Ok(Deployment { plugin: file.plugin, provider: file.provider, grant })
}

fn database(
    plugin: &str,
    name: &str,
    file: DatasourceGrant,
    folder: &Path,
) -> Result<DatabaseGrant, GovernanceError> {
    let password = match &file.password_file {
        None => None,
        Some(file) => Some(Secret::new(read(&folder.join(file))?.trim_end().to_owned())),
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
        connections_max: file.connections_max.map_or(8, |connections| connections as usize),
        acquire_time_max: Duration::from_secs(5),
        statement_time_max: Duration::from_secs(60),
        application_name: format!("uuk:{plugin}"),
        session_variables: false,
    })
}

fn read(path: &Path) -> Result<String, GovernanceError> {
    use std::io::Read;

    let mut text = String::new();
    let read = std::fs::File::open(path).and_then(|file| file.take(FILE_BYTES_MAX).read_to_string(&mut text));
    match read {
        Ok(_) => Ok(text),
        Err(source) => Err(GovernanceError::Read { path: path.to_owned(), source }),
    }
}

fn read_certificates(path: &Path) -> Result<Vec<Certificate>, GovernanceError> {
    Certificate::chain_from_pem(read(path)?.as_bytes())
        .map_err(|source| GovernanceError::Certificate { path: path.to_owned(), source })
}

/// What tells that any of the files has changed: compared, never read.
#[derive(Debug, Default, PartialEq, Eq)]
pub(crate) struct Fingerprint(HashMap<PathBuf, Option<(u64, SystemTime)>>);

impl Fingerprint {
    /// As the files are now. Certificates and passwords that they name are part of it only through the folder they
    /// usually lie in: touching the naming file makes a replaced certificate seen.
    pub(crate) fn take(files: &Files) -> Self {
        let mut paths = vec![files.catalog.clone(), files.trust.clone(), files.clients.clone()];
        paths.extend(grant_files(&files.grants).unwrap_or_default());
        let stamp = |path: &Path| {
            let metadata = std::fs::metadata(path).ok()?;
            Some((metadata.len(), metadata.modified().ok()?))
        };
        Self(paths.into_iter().map(|path| (path.clone(), stamp(&path))).collect())
    }
}
