//! What engines and their drivers have words of their own for.

use std::time::Duration;

use odbc_api::escape_attribute_value;
use uuk_bundle::{Access, Engine};

use super::super::mariadb;
use super::DatabaseGrant;

/// The connection string of the grant, with its login and what keeps a driver to the limits.
pub(super) fn connection_string(grant: &DatabaseGrant) -> String {
    let mut text = grant.odbc().unwrap_or_default().trim_end_matches(';').to_owned();
    let mut add = |name: &str, value: &str| {
        text.extend([";", name, "=", &escape_attribute_value(value)]);
    };
    match grant.engine {
        // Rows in portions instead of all at once, booleans as such, and octets as octets.
        Engine::Postgres => {
            for (name, value) in [
                ("UseDeclareFetch", "1"),
                ("Fetch", "100"),
                ("BoolsAsChar", "0"),
                ("ByteaAsLongVarBinary", "1"),
            ] {
                add(name, value);
            }
        }
        // Rows while they are found, of a file that exists, and foreign keys that hold.
        Engine::Sqlite => {
            for (name, value) in [("StepAPI", "1"), ("NoCreat", "1"), ("FKSupport", "1")] {
                add(name, value);
            }
            add("Timeout", &grant.acquire_time_max.as_millis().to_string());
        }
        Engine::Sqlserver => add("APP", &grant.application_name),
        Engine::Mariadb | Engine::Oracle | Engine::Db2 | Engine::Firebird => {}
    }
    if let Some(user) = &grant.user {
        add("UID", user);
    }
    if let Some(password) = &grant.password {
        add("PWD", password.expose());
    }
    text
}

/// What each session begins with, beside the rules for writing.
pub(super) fn session_rules(
    engine: Engine,
    version: &str,
    statement_time_max: Duration,
    application_name: &str,
) -> Vec<String> {
    match engine {
        Engine::Postgres => vec![
            format!("SET statement_timeout = {}", statement_time_max.as_millis().max(1)),
            "SET standard_conforming_strings = on".to_owned(),
            "SET TimeZone = 'UTC'".to_owned(),
            format!("SET application_name = '{}'", application_name.replace('\'', "''")),
        ],
        Engine::Mariadb => vec![
            mariadb::session_rules(version, statement_time_max),
            "SET SESSION time_zone = '+00:00'".to_owned(),
        ],
        Engine::Oracle => vec!["ALTER SESSION SET TIME_ZONE = 'UTC'".to_owned()],
        Engine::Sqlite | Engine::Sqlserver | Engine::Db2 | Engine::Firebird => Vec::new(),
    }
}

/// Lets a session that may only read refuse to write from its beginning.
pub(super) fn read_only_session(engine: Engine, access: Access) -> Option<&'static str> {
    match (engine, access) {
        (Engine::Sqlite, Access::Read) => Some("PRAGMA query_only = ON"),
        (Engine::Postgres, Access::Read) => Some("SET default_transaction_read_only = on"),
        (Engine::Mariadb, Access::Read) => Some("SET SESSION TRANSACTION READ ONLY"),
        _ => None,
    }
}

/// The first statement of a transaction that must not write.
pub(super) fn refuse_writes(engine: Engine) -> Option<&'static str> {
    match engine {
        Engine::Sqlite => Some("PRAGMA query_only = ON"),
        Engine::Postgres | Engine::Mariadb | Engine::Oracle => Some("SET TRANSACTION READ ONLY"),
        Engine::Sqlserver | Engine::Db2 | Engine::Firebird => None,
    }
}

/// What lets the session write again after such a transaction.
pub(super) fn allow_writes(engine: Engine, access: Access) -> Option<&'static str> {
    (engine == Engine::Sqlite && access == Access::Write).then_some("PRAGMA query_only = OFF")
}

/// Asks for the version of the server and its number of this connection.
pub(super) fn who_are_you(engine: Engine) -> Option<&'static str> {
    match engine {
        Engine::Postgres => Some("SELECT version(), CAST(pg_backend_pid() AS text)"),
        Engine::Mariadb => Some("SELECT VERSION(), CAST(CONNECTION_ID() AS CHAR)"),
        _ => None,
    }
}

/// Stops what the connection of this number runs.
pub(super) fn stopper(engine: Engine, number: &str) -> Option<String> {
    let number: u64 = number.parse().ok()?;
    match engine {
        Engine::Postgres => Some(format!("SELECT CAST(pg_cancel_backend({number}) AS text)")),
        Engine::Mariadb => Some(format!("KILL QUERY {number}")),
        _ => None,
    }
}

/// Has the server send no more rows than show that they are too many: MariaDB's driver takes all that come before it
/// gives the first.
pub(super) fn rows_rule(engine: Engine, rows_max: u64) -> Option<String> {
    (engine == Engine::Mariadb)
        .then(|| format!("SET SESSION sql_select_limit = {}", rows_max.saturating_add(1)))
}

/// A statement that does nothing.
pub(super) fn ping(engine: Engine) -> &'static str {
    match engine {
        Engine::Sqlite | Engine::Postgres | Engine::Mariadb | Engine::Sqlserver => "SELECT 1",
        Engine::Oracle => "SELECT 1 FROM dual",
        Engine::Db2 => "VALUES 1",
        Engine::Firebird => "SELECT 1 FROM rdb$database",
    }
}
