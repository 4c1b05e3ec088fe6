//! Host calls answered from a fixture, without a database and without an upstream.
//!
//! The plugin host is the real one, with every check of parameters, types and limits: only what lies behind it is
//! exchanged. A statement's text becomes one that gives the recorded rows, run by SQLite on an empty file; an
//! upstream becomes a server on loopback that gives the recorded responses. What a fixture does not record is an
//! error that says so.

mod statement;
mod upstreams;

use std::collections::BTreeMap;
use std::time::Duration;

use uuk_bundle::{Datasource, Engine, MANIFEST, Manifest};
use uuk_plugin_host::Grant;
use uuk_plugin_host::capabilities::sql::DatabaseGrant;
use uuk_transport::UpstreamConfig;

use self::upstreams::Upstreams;
use super::fixture::Fixture;
use super::project::Project;
use crate::exit_code::ExitCode;
use crate::terminal::Failure;

/// The recorded host calls of a fixture, ready to be made again.
pub(super) struct Recorded<'a> {
    fixture: &'a Fixture,
    manifest: &'a Manifest,
    manifest_text: String,
    upstreams: Upstreams,
    /// SQLite needs a file; an empty one is an empty database.
    database: tempfile::NamedTempFile,
}

impl<'a> Recorded<'a> {
    /// Gets ready to answer what `fixture` records; its upstreams answer until this is dropped.
    pub(super) async fn new(fixture: &'a Fixture, project: &'a Project) -> Result<Self, Failure> {
        let upstreams =
            Upstreams::serve(fixture.http.clone(), fixture.is_empty_world).await.map_err(not_ready)?;
        let database = tempfile::NamedTempFile::new().map_err(not_ready)?;
        let (manifest, manifest_text) = (&project.manifest, project.manifest_text()?);
        Ok(Self { fixture, manifest, manifest_text, upstreams, database })
    }

    /// Databases and upstreams that lead here, for all that the manifest asks for.
    pub(super) fn grant(&self) -> Grant {
        let datasources = self.manifest.datasources.iter();
        let upstreams = self.manifest.upstreams.keys();
        Grant {
            datasources: datasources
                .map(|(name, asked)| (name.clone(), self.database(name, asked)))
                .collect(),
            upstreams: upstreams
                .map(|name| (name.clone(), UpstreamConfig::new(self.upstreams.base(name))))
                .collect(),
            ..Grant::default()
        }
    }

    /// Replaces the statements of the datasources for which `is_recorded` by ones that give the recorded rows.
    pub(super) fn put_into(
        &self,
        parts: &mut BTreeMap<String, Vec<u8>>,
        is_recorded: impl Fn(&str) -> bool,
    ) -> Result<(), Failure> {
        let mut manifest: toml::Table = self.manifest_text.parse().map_err(not_ready)?;
        for (name, statement) in &self.manifest.statements {
            if !is_recorded(&statement.datasource) {
                continue;
            }
            let calls: Vec<_> = self.fixture.sql.iter().filter(|call| call.statement == *name).collect();
            // Two statements may share a file; their recordings may not.
            let file = format!("sql/recorded/{name}.sql");
            let sql = match self.fixture.is_empty_world {
                true => statement::without_rows(statement),
                false => statement::recorded(name, statement, &calls),
            };
            parts.insert(file.clone(), sql.into_bytes());
            set(&mut manifest, &["sql", name], "file", file.into());
            let engines = vec![Engine::Sqlite.to_string().into()];
            set(&mut manifest, &["datasource", &statement.datasource], "engine", toml::Value::Array(engines));
        }
        let used: Vec<_> = Manifest::parse(manifest.to_string().as_bytes())
            .map_err(not_ready)?
            .files()
            .map(str::to_owned)
            .collect();
        parts.retain(|name, _| !name.starts_with("sql/") || used.contains(name));
        parts.insert(MANIFEST.to_owned(), manifest.to_string().into_bytes());
        Ok(())
    }

    /// The requests that were sent and are not recorded.
    pub(super) fn unrecorded_requests(&self) -> Vec<String> {
        self.upstreams.unrecorded()
    }

    fn database(&self, name: &str, asked: &Datasource) -> DatabaseGrant {
        DatabaseGrant {
            datasource: name.to_owned(),
            engine: Engine::Sqlite,
            url: format!("sqlite:{}", self.database.path().display()),
            user: None,
            password: None,
            access: asked.access,
            free_sql: false,
            connections_max: 2,
            acquire_time_max: Duration::from_secs(5),
            statement_time_max: Duration::from_secs(5),
            application_name: "uuk adapter".to_owned(),
            session_variables: false,
        }
    }
}

/// Sets `key` in the table at `path`, which the manifest is known to have.
fn set(manifest: &mut toml::Table, path: &[&str], key: &str, value: toml::Value) {
    let mut table = Some(manifest);
    for name in path {
        table = table.and_then(|table| table.get_mut(*name)?.as_table_mut());
    }
    if let Some(table) = table {
        table.insert(key.to_owned(), value);
    }
}

fn not_ready(error: impl std::fmt::Display) -> Failure {
    let message = "cannot get ready to answer from the fixture";
    Failure::new(ExitCode::Environment, "adapter.recording_unusable", message).note(error)
}
