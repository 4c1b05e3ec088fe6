//! What drivers say of failures, in the words that the engines share.

use std::error::Error as StdError;

use odbc_api::Error;
use odbc_api::handles::{Record, slice_to_cow_utf8};
use sqlx::error::{DatabaseError, ErrorKind};
use uuk_bundle::Engine;

use super::super::error::{Condition, Refusal};
use super::super::{mariadb, postgres, sqlite};
use super::{Argument, Failure, OdbcOptions, SqlError};

/// A driver's or the driver manager's account of a failure.
#[derive(Debug, thiserror::Error)]
#[error("{message} ({sqlstate}, {number})")]
struct Diagnostic {
    engine: Engine,
    sqlstate: String,
    /// The engine's own.
    number: i32,
    message: String,
}

/// What is told of an error. No word of it contains the password, though a driver may quote it.
pub(super) fn error(error: Error, options: &OdbcOptions) -> sqlx::Error {
    let (sqlstate, number, message) = match &error {
        Error::Diagnostics { record, .. } => parts(record),
        Error::UnableToRepresentNull(record)
        | Error::UnsupportedOdbcApiVersion(record)
        | Error::OracleOdbcDriverDoesNotSupport64Bit(record) => parts(record),
        other => ("HY000".to_owned(), 0, other.to_string()),
    };
    let hidden = options.password.as_ref().map_or("", |password| password.expose());
    let message = if hidden.is_empty() { message } else { message.replace(hidden, "…") };
    sqlx::Error::Database(Box::new(Diagnostic { engine: options.engine, sqlstate, number, message }))
}

fn parts(record: &Record) -> (String, i32, String) {
    let message = slice_to_cow_utf8(&record.message);
    // Who said it stands before it: `[unixODBC][Driver Manager]`.
    let mut message = message.as_ref();
    while let Some((_, rest)) = message.strip_prefix('[').and_then(|rest| rest.split_once(']')) {
        message = rest;
    }
    (record.state.as_str().to_owned(), record.native_error, message.trim().to_owned())
}

/// What an error means for the guest and for the connection.
pub(in super::super) fn failure(error: &sqlx::Error, arguments: &[Argument]) -> Failure {
    if matches!(error, sqlx::Error::PoolTimedOut) {
        return Failure { error: SqlError::Busy, leaves: Condition::Lost };
    }
    let diagnostic = error.as_database_error().and_then(|error| error.try_downcast_ref::<Diagnostic>());
    diagnostic.map_or_else(|| Failure::of_connection(error), |diagnostic| diagnostic.failure(arguments))
}

impl Diagnostic {
    fn failure(&self, arguments: &[Argument]) -> Failure {
        let ready = |error| Failure { error, leaves: Condition::Ready };
        let unavailable = |reason: &str| Failure {
            error: SqlError::Unavailable(reason.to_owned()),
            leaves: Condition::Lost,
        };
        let message = self.message.as_str();
        // https://learn.microsoft.com/sql/odbc/reference/appendixes/appendix-a-odbc-error-codes
        match self.sqlstate.as_str() {
            "HYT00" | "HYT01" | "HY008" => return ready(SqlError::Deadline),
            "IM002" => return unavailable("ODBC knows no such data source or driver"),
            "IM003" => return unavailable("the ODBC driver cannot be loaded"),
            "01000" if message.starts_with("Can't open lib") => {
                return unavailable("the ODBC driver cannot be loaded");
            }
            "08001" | "08004" => return unavailable("the server cannot be reached, or refused the login"),
            "28000" => return unavailable("the server refused the login"),
            state if state.starts_with("08") => return unavailable("connection lost"),
            _ => {}
        }
        let number = self.number.unsigned_abs();
        match self.engine {
            Engine::Sqlite => {
                let message = message.strip_suffix(&format!(" ({number})")).unwrap_or(message);
                return sqlite::failure_of(extended_code(number, message), message, arguments);
            }
            Engine::Postgres => {
                return postgres::failure_of(&self.sqlstate, message, quoted_constraint(message), arguments);
            }
            // What the client's own library says: https://mariadb.com/kb/en/mariadb-connectorc-error-codes/
            Engine::Mariadb if matches!(number, 2000..2100 | 5000..6000) => {
                return unavailable("connection lost");
            }
            Engine::Mariadb => {
                let number = u16::try_from(number).unwrap_or_default();
                return mariadb::failure_of(number, &self.sqlstate, message, arguments);
            }
            _ => {}
        }
        let sqlstate = match (self.engine, number) {
            // https://learn.microsoft.com/sql/relational-databases/errors-events/database-engine-events-and-errors
            (Engine::Sqlserver, 1205 | 1222) => return ready(SqlError::Busy),
            (Engine::Sqlserver, 2601 | 2627) => "23505",
            (Engine::Sqlserver, 515) => "23502",
            (Engine::Sqlserver, 547) if message.contains("CHECK") => "23514",
            (Engine::Sqlserver, 547) => "23503",
            // https://docs.oracle.com/error-help/db
            (Engine::Oracle, 54 | 60 | 30006) => return ready(SqlError::Busy),
            (Engine::Oracle, 28 | 1012 | 3113 | 3114 | 3135) => return unavailable("connection lost"),
            (Engine::Oracle, 1) => "23505",
            (Engine::Oracle, 1400 | 1407) => "23502",
            (Engine::Oracle, 2290) => "23514",
            (Engine::Oracle, 2291 | 2292) => "23503",
            (Engine::Oracle, 1456) => "25006",
            // https://www.ibm.com/docs/db2/11.5?topic=messages-sqlstate
            (Engine::Db2, 803) => "23505",
            (Engine::Db2, 911 | 913) => return ready(SqlError::Busy),
            _ => &self.sqlstate,
        };
        ready(Refusal { sqlstate, message, constraint: None }.told_to_guest(arguments))
    }
}

/// SQLite's code of a violated constraint, of which its driver passes on the lower byte.
fn extended_code(number: u32, message: &str) -> u32 {
    let of_constraint = [("UNIQUE", 2067), ("NOT NULL", 1299), ("CHECK", 275), ("FOREIGN KEY", 787)];
    let found = of_constraint.iter().find(|(kind, _)| number == 19 && message.starts_with(kind));
    found.map_or(number, |(_, code)| *code)
}

/// The constraint that PostgreSQL names in its message, as its driver passes on no more than that.
fn quoted_constraint(message: &str) -> Option<&str> {
    let (_, name) = message.split_once("constraint \"")?;
    Some(name.split_once('"')?.0)
}

impl DatabaseError for Diagnostic {
    fn message(&self) -> &str {
        &self.message
    }

    fn as_error(&self) -> &(dyn StdError + Send + Sync + 'static) {
        self
    }

    fn as_error_mut(&mut self) -> &mut (dyn StdError + Send + Sync + 'static) {
        self
    }

    fn into_error(self: Box<Self>) -> Box<dyn StdError + Send + Sync + 'static> {
        self
    }

    fn kind(&self) -> ErrorKind {
        ErrorKind::Other
    }
}

#[cfg(test)]
mod tests {
    use uuk_process::Secret;

    use super::super::DatabaseGrant;
    use super::*;

    fn told(engine: Engine, sqlstate: &str, number: i32, message: &str) -> SqlError {
        let message = message.to_owned();
        Diagnostic { engine, sqlstate: sqlstate.to_owned(), number, message }.failure(&[]).error
    }

    #[test]
    fn violated_constraints_have_the_same_state_in_every_engine() {
        for (engine, number, message, expected) in [
            (Engine::Sqlserver, 2627, "Violation of PRIMARY KEY constraint", "23505"),
            (Engine::Sqlserver, 547, "conflicted with the CHECK constraint", "23514"),
            (Engine::Sqlserver, 547, "conflicted with the FOREIGN KEY constraint", "23503"),
            (Engine::Oracle, 1, "ORA-00001", "23505"),
            (Engine::Oracle, 1400, "ORA-01400", "23502"),
            (Engine::Db2, -803, "SQL0803N", "23505"),
        ] {
            let SqlError::Rejected(error) = told(engine, "23000", number, message) else {
                panic!("{message}: not rejected")
            };
            assert_eq!(error.sqlstate, expected, "{message}");
        }
    }

    #[test]
    fn tells_a_time_limit_a_lock_and_a_driver_that_is_missing() {
        assert_eq!(told(Engine::Db2, "HYT00", 0, "timeout"), SqlError::Deadline);
        assert_eq!(told(Engine::Sqlserver, "HY000", 1222, "lock"), SqlError::Busy);
        let missing = told(Engine::Oracle, "01000", 0, "Can't open lib 'x' : file not found");
        assert_eq!(missing, SqlError::Unavailable("the ODBC driver cannot be loaded".into()));
    }

    #[test]
    fn says_no_password_that_a_driver_quotes() {
        let grant = DatabaseGrant {
            password: Some(Secret::new("hunter2".into())),
            ..DatabaseGrant::reading(Engine::Firebird, "odbc:Database=people")
        };
        let options = OdbcOptions::of(&grant).unwrap();
        assert!(!format!("{options:?}").contains("hunter2"));
        let message = "[x][y]cannot connect by UID=a;PWD=hunter2;".encode_utf16().collect();
        let record = Record { message, ..Record::default() };
        let told = error(Error::Diagnostics { record, function: "SQLDriverConnect" }, &options);
        assert!(told.to_string().contains("cannot connect by UID=a;PWD=…;"), "{told}");
    }
}
