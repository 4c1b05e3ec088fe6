//! The manifest `plugin.toml`: what a plugin serves and what it asks for. It asks, it never grants.

mod check;
mod ordered;
mod quantity;

use std::collections::BTreeMap;
use std::time::Duration;

use serde::Deserialize;

pub use check::{Location, ManifestError};
pub(crate) use check::{location, shorten};

/// A parsed and checked manifest.
///
/// Names are unique, every statement's datasource exists, every file reference is a plain relative path;
/// whether the files are there is checked by [`crate::Bundle::read`].
#[derive(Debug, Clone, PartialEq, Eq, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Manifest {
    /// Who the plugin is.
    pub plugin: Plugin,
    /// Services answered, at least one.
    #[serde(rename = "service")]
    pub services: Vec<Service>,
    /// Databases asked for, by the name the statements use.
    #[serde(default, rename = "datasource")]
    pub datasources: BTreeMap<String, Datasource>,
    /// Statements, by the name the adapter runs them under.
    #[serde(default, rename = "sql")]
    pub statements: BTreeMap<String, Statement>,
    /// Upstreams asked for, by the name the adapter sends to.
    #[serde(default, rename = "upstream")]
    pub upstreams: BTreeMap<String, Upstream>,
    /// Limits asked for; the server clamps them.
    #[serde(default)]
    pub limits: Limits,
    /// Whether instances may answer several calls.
    #[serde(default)]
    pub reuse: Option<Reuse>,
    /// Path in the bundle of the JSON Schema of the plugin's configuration.
    #[serde(default, rename = "config", deserialize_with = "check::config_schema")]
    pub config_schema: Option<String>,
    /// How the author builds the component; kept for the reviewer, unused by the server.
    #[serde(default)]
    pub build: Option<Build>,
}

impl Manifest {
    /// Parses and checks the bytes of `plugin.toml`: UTF-8 TOML of at most [`Manifest::BYTES_MAX`] bytes, in which
    /// every key is known and every value within its bounds.
    ///
    /// # Errors
    /// [`ManifestError`] with the line and column of the first thing that is wrong.
    pub fn parse(bytes: &[u8]) -> Result<Self, ManifestError> {
        check::parse(bytes)
    }

    /// Larger manifests are refused.
    pub const BYTES_MAX: usize = 256 << 10;

    /// Every file of the bundle that the manifest refers to.
    pub fn files(&self) -> impl Iterator<Item = &str> {
        let contracts = self.services.iter().map(|service| &service.contract);
        let statements = self.statements.values().map(|statement| &statement.file);
        contracts.chain(statements).chain(&self.config_schema).map(String::as_str)
    }
}

/// Section `[plugin]`.
#[derive(Debug, Clone, PartialEq, Eq, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Plugin {
    /// Reverse-DNS identifier, immutable: `kg.example.people`.
    #[serde(deserialize_with = "check::plugin_id")]
    pub id: String,
    /// Semantic version.
    pub version: semver::Version,
    /// Version of the adapter contract needed, `major.minor`: `0.1`.
    #[serde(deserialize_with = "check::api_version")]
    pub api: String,
    /// SPDX licence expression.
    #[serde(default, deserialize_with = "check::line")]
    pub licence: Option<String>,
    /// One line for people.
    #[serde(default, deserialize_with = "check::line")]
    pub description: Option<String>,
}

/// Section `[[service]]`: a service and its contract.
#[derive(Debug, Clone, PartialEq, Eq, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Service {
    /// Service code, as in the catalog.
    #[serde(deserialize_with = "check::service_code")]
    pub code: String,
    /// Path in the bundle of the OpenAPI document.
    #[serde(deserialize_with = "check::path")]
    pub contract: String,
}

/// Section `[datasource.NAME]`.
#[derive(Debug, Clone, PartialEq, Eq, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Datasource {
    /// Engines the statements are written for, at least one.
    #[serde(deserialize_with = "check::engines")]
    pub engine: Vec<Engine>,
    /// Whether any statement may write.
    #[serde(default)]
    pub access: Access,
}

/// A kind of database: whose SQL a statement is written in. How it is reached, the agency says.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Deserialize, strum::Display, strum::VariantArray)]
#[serde(rename_all = "lowercase")]
#[strum(serialize_all = "lowercase")]
pub enum Engine {
    /// SQLite 3.
    Sqlite,
    /// PostgreSQL.
    Postgres,
    /// MariaDB or MySQL.
    Mariadb,
    /// Microsoft SQL Server; by ODBC only, as all below.
    Sqlserver,
    /// Oracle Database.
    Oracle,
    /// IBM Db2.
    Db2,
    /// Firebird.
    Firebird,
}

/// What a datasource or statement may do.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Deserialize, strum::Display)]
#[serde(rename_all = "lowercase")]
#[strum(serialize_all = "lowercase")]
pub enum Access {
    /// Only reads; the database enforces it.
    #[default]
    Read,
    /// Reads and writes.
    Write,
}

/// Section `[sql.NAME]`: one statement, its parameters and the row it gives.
#[derive(Debug, Clone, PartialEq, Eq, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Statement {
    /// Name of a `[datasource.NAME]`.
    pub datasource: String,
    /// Path in the bundle of the SQL text; parameters are written `:name`.
    #[serde(deserialize_with = "check::path")]
    pub file: String,
    /// Read or write.
    #[serde(default)]
    pub mode: Access,
    /// Parameters with their types, in the manifest's order.
    #[serde(default, deserialize_with = "ordered::typed_names")]
    pub params: Vec<(String, ValueType)>,
    /// Columns of a row with their types, in the manifest's order; empty for statements without rows.
    #[serde(default, deserialize_with = "ordered::typed_names")]
    pub row: Vec<(String, ValueType)>,
    /// More rows than this refuse the result; 1 to [`Statement::ROWS_MAX`].
    #[serde(rename = "max_rows", default = "Statement::default_rows", deserialize_with = "quantity::rows")]
    pub rows_max: u32,
    /// Result bytes above this refuse the result; at most [`Statement::BYTES_MAX`].
    #[serde(
        rename = "max_bytes",
        default = "Statement::default_bytes",
        deserialize_with = "quantity::statement_bytes"
    )]
    pub bytes_max: u64,
    /// The database cancels the statement after this; at most [`Statement::TIMEOUT_MAX`].
    #[serde(default = "Statement::default_timeout", deserialize_with = "quantity::statement_timeout")]
    pub timeout: Duration,
}

impl Statement {
    /// The most rows that may be asked for.
    pub const ROWS_MAX: u32 = 10_000;
    /// The most bytes of rows that may be asked for: what the host buffers for one call.
    pub const BYTES_MAX: u64 = 4 << 20;
    /// The longest time that may be asked for.
    pub const TIMEOUT_MAX: Duration = Duration::from_secs(30);

    fn default_rows() -> u32 {
        100
    }

    fn default_bytes() -> u64 {
        64 << 10
    }

    fn default_timeout() -> Duration {
        Duration::from_secs(1)
    }
}

/// Type of a parameter or column; a trailing `?` in the manifest marks it nullable.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct ValueType {
    /// The scalar type.
    pub scalar: Scalar,
    /// Whether null is allowed.
    pub nullable: bool,
}

/// The scalar types of `uuk:adapter/sql`.
#[derive(Debug, Clone, Copy, PartialEq, Eq, strum::Display, strum::EnumString)]
#[strum(serialize_all = "lowercase")]
pub enum Scalar {
    /// `true` or `false`.
    Boolean,
    /// 64-bit signed.
    Integer,
    /// 64-bit floating point.
    Float,
    /// Exact decimal, as text.
    Decimal,
    /// UTF-8 text.
    Text,
    /// Octets.
    Bytes,
    /// `YYYY-MM-DD`.
    Date,
    /// `HH:MM:SS[.ffffff]`.
    Time,
    /// RFC 3339 date and time.
    Timestamp,
    /// UUID in its hyphenated form.
    Uuid,
    /// JSON text.
    Json,
}

/// Section `[upstream.NAME]`: an HTTP API the adapter calls by name.
#[derive(Debug, Clone, PartialEq, Eq, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Upstream {
    /// Methods used, at least one.
    #[serde(deserialize_with = "check::methods")]
    pub methods: Vec<String>,
    /// Path patterns, at least one: `*` stands for one segment, `**` at the end for any rest.
    #[serde(deserialize_with = "check::path_patterns")]
    pub paths: Vec<String>,
    /// Larger responses are refused; at most [`Upstream::RESPONSE_BYTES_MAX`].
    #[serde(
        rename = "max_response",
        default = "Upstream::default_response",
        deserialize_with = "quantity::upstream_response"
    )]
    pub response_bytes_max: u64,
}

impl Upstream {
    /// The largest response that may be asked for.
    pub const RESPONSE_BYTES_MAX: u64 = 16 << 20;

    fn default_response() -> u64 {
        1 << 20
    }
}

/// Section `[limits]`: what one call may use.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct Limits {
    /// Linear memory of one instance: 1 MiB to 1 GiB, 64 MiB unless said.
    #[serde(rename = "memory", deserialize_with = "quantity::memory")]
    pub memory_bytes_max: u64,
    /// Time the guest itself may compute: at most 10 s, 250 ms unless said.
    #[serde(rename = "guest_time", deserialize_with = "quantity::guest_time")]
    pub guest_time_max: Duration,
    /// Time of the whole call, host calls included: at most 60 s, 5 s unless said.
    #[serde(rename = "wall", deserialize_with = "quantity::wall_time")]
    pub wall_time_max: Duration,
    /// Answer document: at most 16 MiB, 1 MiB unless said.
    #[serde(rename = "response", deserialize_with = "quantity::response")]
    pub response_bytes_max: u64,
    /// SQL and HTTP calls of one call together: at most 1000, 50 unless said.
    #[serde(rename = "host_calls", deserialize_with = "quantity::host_calls")]
    pub host_calls_max: u32,
    /// Calls in progress at once: 1 to 1024, 32 unless said.
    #[serde(rename = "concurrency", deserialize_with = "quantity::concurrency")]
    pub concurrency_max: u32,
}

impl Default for Limits {
    fn default() -> Self {
        Self {
            memory_bytes_max: 64 << 20,
            guest_time_max: Duration::from_millis(250),
            wall_time_max: Duration::from_secs(5),
            response_bytes_max: 1 << 20,
            host_calls_max: 50,
            concurrency_max: 32,
        }
    }
}

/// Section `[reuse]`: asks that an instance may answer several calls, one after the other. The agency must grant it.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct Reuse {
    /// Calls that one instance answers: 2 to 10,000, 1000 unless said.
    #[serde(rename = "calls", deserialize_with = "quantity::calls")]
    pub calls_max: u32,
    /// How long it waits for the next one: at most 5 min, 30 s unless said.
    #[serde(rename = "idle", deserialize_with = "quantity::idle_time")]
    pub idle_time_max: Duration,
}

impl Default for Reuse {
    fn default() -> Self {
        Self { calls_max: 1000, idle_time_max: Duration::from_secs(30) }
    }
}

/// Section `[build]`.
#[derive(Debug, Clone, PartialEq, Eq, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Build {
    /// Command run in the project's folder.
    pub command: String,
    /// The component it leaves, relative to the project's folder.
    pub artifact: String,
    /// Glob patterns of files whose change asks for a rebuild.
    #[serde(default)]
    pub watch: Vec<String>,
}

#[cfg(test)]
mod tests;
