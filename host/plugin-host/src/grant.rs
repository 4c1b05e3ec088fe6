use std::collections::BTreeMap;
use std::sync::Arc;

use serde_json::Value;
use tokio_util::task::TaskTracker;
use uuk_bundle::{Access, Manifest};
use uuk_transport::{Upstream, UpstreamBuildError, UpstreamConfig};

use crate::capabilities::sql::{ConnectError, Database, DatabaseGrant};
use crate::host_call_log::HostCallLog;

/// What an agency gives a plugin: the only source of its power.
#[derive(Debug, Clone, Default)]
pub struct Grant {
    /// Databases, by the manifest's names.
    pub datasources: BTreeMap<String, DatabaseGrant>,
    /// Upstreams, by the manifest's names.
    pub upstreams: BTreeMap<String, UpstreamConfig>,
    /// Values for the plugin, a JSON object or null.
    pub configuration: Value,
    /// Whether an instance may answer several calls, if the manifest asks for it. What the adapter keeps of one call, it
    /// then has in the next.
    pub reuse_instances: bool,
}

/// Why what is granted can not be given, or is not enough.
#[derive(Debug, thiserror::Error, strum::IntoStaticStr)]
#[strum(serialize_all = "snake_case", prefix = "grant.")]
#[non_exhaustive]
pub enum ResourcesError {
    /// The manifest asks for a database that is not granted.
    #[error("datasource `{name}` is asked for and not granted")]
    DatasourceNotGranted {
        /// The manifest's name.
        name: String,
    },
    /// The granted database is of another kind than the statements are written for.
    #[error("datasource `{name}` is {granted}, its statements are written for {asked}")]
    Engine {
        /// The manifest's name.
        name: String,
        /// Kind granted.
        granted: String,
        /// Kinds asked for.
        asked: String,
    },
    /// The manifest asks to write to a database that is granted for reading.
    #[error("datasource `{name}` is granted for reading, and the plugin asks to write")]
    WriteNotGranted {
        /// The manifest's name.
        name: String,
    },
    /// The manifest asks for an upstream that is not granted.
    #[error("upstream `{name}` is asked for and not granted")]
    UpstreamNotGranted {
        /// The manifest's name.
        name: String,
    },
    /// A database's settings are wrong.
    #[error("datasource `{name}` is not usable")]
    Datasource {
        /// The manifest's name.
        name: String,
        /// Why.
        #[source]
        source: ConnectError,
    },
    /// An upstream's settings are wrong.
    #[error("upstream `{name}` is not usable")]
    Upstream {
        /// The manifest's name.
        name: String,
        /// Why.
        #[source]
        source: UpstreamBuildError,
    },
}

impl ResourcesError {
    /// The stable code: `grant.write_not_granted`.
    pub fn code(&self) -> &'static str {
        self.into()
    }
}

/// A grant with its pools open. Versions of a plugin share it for as long as the grant stands.
#[derive(Debug)]
pub struct Resources {
    databases: BTreeMap<String, Database>,
    access: BTreeMap<String, Access>,
    upstreams: BTreeMap<String, Arc<Upstream>>,
    configuration: Value,
    reuse_instances: bool,
    /// Where the host calls of plugins are kept; nowhere on a server.
    log: Option<HostCallLog>,
}

impl Resources {
    /// Opens the pools. No connection is made yet: a database that is down makes calls fail, not the start.
    ///
    /// `tasks` runs what must be cleaned up after calls that ended early; its owner waits for it.
    ///
    /// # Errors
    /// [`ResourcesError`] if settings are wrong.
    pub fn open(grant: &Grant, tasks: &TaskTracker) -> Result<Arc<Self>, ResourcesError> {
        Ok(Arc::new(Self::connect(grant, tasks)?))
    }

    /// As [`Resources::open`], and keeps in `log` what is asked of them and what comes of it.
    ///
    /// # Errors
    /// [`ResourcesError`] if settings are wrong.
    pub fn open_logged(
        grant: &Grant,
        tasks: &TaskTracker,
        log: HostCallLog,
    ) -> Result<Arc<Self>, ResourcesError> {
        Ok(Arc::new(Self { log: Some(log), ..Self::connect(grant, tasks)? }))
    }

    fn connect(grant: &Grant, tasks: &TaskTracker) -> Result<Self, ResourcesError> {
        let mut databases = BTreeMap::new();
        let mut access = BTreeMap::new();
        for (name, datasource) in &grant.datasources {
            let database = Database::connect(datasource.clone(), tasks.clone())
                .map_err(|source| ResourcesError::Datasource { name: name.clone(), source })?;
            databases.insert(name.clone(), database);
            access.insert(name.clone(), datasource.access);
        }
        let mut upstreams = BTreeMap::new();
        for (name, upstream) in &grant.upstreams {
            let upstream = Upstream::build(upstream)
                .map_err(|source| ResourcesError::Upstream { name: name.clone(), source })?;
            upstreams.insert(name.clone(), Arc::new(upstream));
        }
        let (configuration, reuse_instances) = (grant.configuration.clone(), grant.reuse_instances);
        Ok(Self { databases, access, upstreams, configuration, reuse_instances, log: None })
    }

    /// Checks that everything `manifest` asks for is granted.
    pub(crate) fn cover(&self, manifest: &Manifest) -> Result<(), ResourcesError> {
        for (name, asked) in &manifest.datasources {
            let (Some(database), Some(access)) = (self.databases.get(name), self.access.get(name)) else {
                return Err(ResourcesError::DatasourceNotGranted { name: name.clone() });
            };
            if !asked.engine.contains(&database.engine()) {
                return Err(ResourcesError::Engine {
                    name: name.clone(),
                    granted: database.engine().to_string(),
                    asked: asked.engine.iter().map(ToString::to_string).collect::<Vec<_>>().join(" or "),
                });
            }
            if asked.access == Access::Write && *access == Access::Read {
                return Err(ResourcesError::WriteNotGranted { name: name.clone() });
            }
        }
        match manifest.upstreams.keys().find(|name| !self.upstreams.contains_key(*name)) {
            Some(name) => Err(ResourcesError::UpstreamNotGranted { name: name.clone() }),
            None => Ok(()),
        }
    }

    pub(crate) fn database(&self, name: &str) -> Option<&Database> {
        self.databases.get(name)
    }

    pub(crate) fn upstream(&self, name: &str) -> Option<&Arc<Upstream>> {
        self.upstreams.get(name)
    }

    pub(crate) fn log(&self) -> Option<&HostCallLog> {
        self.log.as_ref()
    }

    pub(crate) fn configuration(&self) -> &Value {
        &self.configuration
    }

    pub(crate) fn reuses_instances(&self) -> bool {
        self.reuse_instances
    }
}
