//! The manifest `plugin.toml`: what a plugin serves and what it asks for. It asks, it never grants.

use std::collections::BTreeMap;
use std::time::Duration;

use serde::Deserialize;

/// A parsed and checked manifest.
///
/// Names are unique, every statement's datasource exists, every file reference is a plain relative path;
/// whether the files are there is checked by [`crate::Contents`].
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Manifest {
    /// Who the plugin is.
    pub plugin: Plugin,
    /// Services answered, at least one.
    pub services: Vec<Service>,
    /// Databases asked for, by the name the statements use.
    pub datasources: BTreeMap<String, Datasource>,
    /// Statements, by the name the adapter runs them under.
    pub statements: BTreeMap<String, Statement>,
    /// Upstreams asked for, by the name the adapter sends to.
    pub upstreams: BTreeMap<String, Upstream>,
    /// Limits asked for; the server clamps them.
    pub limits: Limits,
    /// Path in the bundle of the JSON Schema of the plugin's configuration.
    pub config_schema: Option<String>,
    /// How the author builds the component; kept for the reviewer, unused by the server.
    pub build: Option<Build>,
}

/// Section `[plugin]`.
#[derive(Debug, Clone, PartialEq, Eq, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Plugin {
    /// Reverse-DNS identifier, immutable: `kg.example.people`.
    pub id: String,
    /// Semantic version.
    pub version: semver::Version,
    /// Version of the adapter contract needed, `major.minor`: `0.1`.
    pub api: String,
    /// SPDX licence expression.
    #[serde(default)]
    pub licence: Option<String>,
    /// One line for people.
    #[serde(default)]
    pub description: Option<String>,
}

/// Section `[[service]]`: a service and its contract.
#[derive(Debug, Clone, PartialEq, Eq, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Service {
    /// Service code, as in the catalog.
    pub code: String,
    /// Path in the bundle of the OpenAPI document.
    pub contract: String,
}

/// Section `[datasource.NAME]`.
#[derive(Debug, Clone, PartialEq, Eq, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Datasource {
    /// Engines the statements are written for, at least one.
    pub engine: Vec<Engine>,
    /// Whether any statement may write.
    #[serde(default)]
    pub access: Access,
}

/// A kind of database.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Deserialize, strum::Display)]
#[serde(rename_all = "lowercase")]
#[strum(serialize_all = "lowercase")]
pub enum Engine {
    /// SQLite 3.
    Sqlite,
    /// PostgreSQL.
    Postgres,
    /// MariaDB or MySQL.
    Mariadb,
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
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Statement {
    /// Name of a `[datasource.NAME]`.
    pub datasource: String,
    /// Path in the bundle of the SQL text; parameters are written `:name`.
    pub file: String,
    /// Read or write.
    pub mode: Access,
    /// Parameters with their types, in the manifest's order.
    pub params: Vec<(String, ValueType)>,
    /// Columns of a row with their types, in the manifest's order; empty for statements without rows.
    pub row: Vec<(String, ValueType)>,
    /// More rows than this refuse the result; 1 to [`Statement::ROWS_MAX`].
    pub rows_max: u32,
    /// Result bytes above this refuse the result.
    pub bytes_max: u64,
    /// The database cancels the statement after this.
    pub timeout: Duration,
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
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Upstream {
    /// Methods used.
    pub methods: Vec<String>,
    /// Path patterns: `*` stands for one segment, `**` for any rest.
    pub paths: Vec<String>,
    /// Larger responses are refused.
    pub response_bytes_max: u64,
}

/// Section `[limits]`: what one call may use.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Limits {
    /// Linear memory of one instance.
    pub memory_bytes_max: u64,
    /// Time the guest itself may compute.
    pub guest_time_max: Duration,
    /// Time of the whole call, host calls included.
    pub wall_time_max: Duration,
    /// Answer document.
    pub response_bytes_max: u64,
    /// SQL and HTTP calls of one call together.
    pub host_calls_max: u32,
    /// Calls in progress at once.
    pub concurrency_max: u32,
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
