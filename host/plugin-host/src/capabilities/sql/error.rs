use strum::IntoStaticStr;

use super::argument::Argument;
use super::sql_text::SqlTextError;

/// Longer messages of a database are cut.
const MESSAGE_CHARS_MAX: usize = 300;

/// Longer names given by a guest are cut when they are quoted back.
const NAME_CHARS_MAX: usize = 64;

/// Why a statement did not run to its end: the variant `sql-error` of `uuk:adapter/sql`.
///
/// No text in it contains an address, a login, or the value of a parameter.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error, IntoStaticStr)]
#[strum(serialize_all = "snake_case", prefix = "sql.")]
pub enum SqlError {
    /// The manifest names no such datasource.
    #[error("the manifest names no such datasource")]
    UnknownDatasource,
    /// The manifest names no such statement.
    #[error("the manifest names no such statement")]
    UnknownStatement,
    /// Not granted on this server; what, in words.
    #[error("not granted: {0}")]
    NotGranted(String),
    /// Name of a parameter that is missing, unknown, given twice, of another type than declared, or malformed.
    #[error("parameter `{0}` is missing, unknown, given twice, or not of the declared type")]
    BadParameter(String),
    /// More rows than this.
    #[error("the result has more than {0} rows")]
    TooManyRows(u64),
    /// More bytes than this.
    #[error("the result has more than {0} bytes")]
    TooManyBytes(u64),
    /// It took too long, and was cancelled in the database.
    #[error("the statement took too long")]
    Deadline,
    /// No connection became free, or the database holds a lock for someone else.
    #[error("no connection or lock became free in time")]
    Busy,
    /// The database cannot be reached; why, in words.
    #[error("the database is unavailable: {0}")]
    Unavailable(String),
    /// The database refused the statement.
    #[error("the database refused the statement")]
    Rejected(#[source] DbError),
    /// A value of the result does not fit its declared type; which, in words.
    #[error("the result does not fit the manifest: {0}")]
    Conversion(String),
    /// Anything else, in words.
    #[error("{0}")]
    Other(String),
}

impl SqlError {
    /// The stable code of the reason.
    pub fn code(&self) -> &'static str {
        self.into()
    }

    /// A name the guest gave, cut to a length that can be quoted.
    pub(super) fn bad_parameter(name: &str) -> Self {
        Self::BadParameter(name.chars().take(NAME_CHARS_MAX).collect())
    }
}

/// Free SQL that is not one statement is refused as the database would refuse it.
impl From<SqlTextError> for SqlError {
    fn from(error: SqlTextError) -> Self {
        Self::Rejected(DbError { sqlstate: "42601".into(), message: error.to_string(), constraint: None })
    }
}

/// What the database itself objected to.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{message} ({sqlstate})")]
pub struct DbError {
    /// SQLSTATE. The usual ones mean the same in every engine: a violated unique constraint is `23505` in SQLite too.
    pub sqlstate: String,
    /// The database's words, or ours where the database would quote values.
    pub message: String,
    /// The violated constraint, as the database names it.
    pub constraint: Option<String>,
}

/// An error of a database, in the words that the engines share.
#[derive(Debug)]
pub(super) struct Refusal<'a> {
    pub(super) sqlstate: &'a str,
    pub(super) message: &'a str,
    pub(super) constraint: Option<&'a str>,
}

impl Refusal<'_> {
    /// What the guest learns of it.
    ///
    /// A database quotes values in the messages of data exceptions and violated constraints (SQLSTATE classes 22
    /// and 23), so these are put in our words. Functions and triggers may quote them in any other message.
    pub(super) fn told_to_guest(&self, arguments: &[Argument]) -> SqlError {
        let message = match self.sqlstate {
            "23505" => "a unique constraint is violated",
            "23503" => "a foreign key is violated",
            "23502" => "a required value is missing",
            "23514" => "a check constraint is violated",
            state if state.starts_with("23") => "a constraint is violated",
            state if state.starts_with("22") => "a value is malformed or out of range",
            _ if arguments.iter().any(|argument| argument.is_quoted_in(self.message)) => {
                "refused, in words that quote a parameter"
            }
            _ => self.message,
        };
        let printable = message.chars().map(|c| if c.is_control() { ' ' } else { c });
        SqlError::Rejected(DbError {
            sqlstate: self.sqlstate.chars().take(5).collect(),
            message: printable.take(MESSAGE_CHARS_MAX).collect(),
            constraint: self.constraint.map(|name| name.chars().take(NAME_CHARS_MAX).collect()),
        })
    }
}

/// A failure on a connection: what to tell the guest, and what is left of the connection.
#[derive(Debug)]
pub(super) struct Failure {
    pub(super) error: SqlError,
    pub(super) leaves: Condition,
}

/// What is going on on a connection.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Condition {
    /// Nothing: it can take a statement.
    Ready,
    /// The database may be at work.
    Working,
    /// It is lost.
    Lost,
}

impl Failure {
    /// An error of the driver that is not the database's answer to a statement.
    pub(super) fn of_connection(error: &sqlx::Error) -> Self {
        let reason = match error {
            sqlx::Error::Io(error) => match error.kind() {
                std::io::ErrorKind::ConnectionRefused => "connection refused",
                std::io::ErrorKind::NotFound => "no such address",
                std::io::ErrorKind::TimedOut => "no answer",
                _ => "connection lost",
            },
            sqlx::Error::Tls(_) => "its identity could not be established",
            sqlx::Error::Configuration(_) => "the settings of the connection are wrong",
            _ => "connection lost",
        };
        Self { error: SqlError::Unavailable(reason.into()), leaves: Condition::Lost }
    }
}

/// Why a database could not be set up from its grant. It need not be reachable for that.
#[derive(Debug, thiserror::Error, IntoStaticStr)]
#[strum(serialize_all = "snake_case", prefix = "sql_connect.")]
#[non_exhaustive]
pub enum ConnectError {
    /// The URL is not one of this engine.
    #[error("the address of datasource `{datasource}` is not a valid {engine} URL")]
    Address {
        /// The datasource.
        datasource: String,
        /// Its engine.
        engine: uuk_bundle::Engine,
    },
    /// A password in a URL ends up in logs and process lists.
    #[error("the address of datasource `{datasource}` contains a password; name it separately")]
    PasswordInAddress {
        /// The datasource.
        datasource: String,
    },
    /// A server needs a user name.
    #[error("datasource `{datasource}` has no user")]
    NoUser {
        /// The datasource.
        datasource: String,
    },
    /// This program was built without ODBC.
    #[error("datasource `{datasource}` is reached by ODBC, which this program was built without")]
    OdbcLeftOut {
        /// The datasource.
        datasource: String,
    },
    /// The driver or data source that the connection string names is not there.
    #[error(
        "datasource `{datasource}` names the ODBC driver or data source `{name}`, which is not installed here"
    )]
    OdbcDriver {
        /// The datasource.
        datasource: String,
        /// The driver or data source.
        name: String,
    },
    /// The pool would be empty.
    #[error("datasource `{datasource}` allows no connection")]
    NoConnections {
        /// The datasource.
        datasource: String,
    },
    /// Session variables exist on PostgreSQL only.
    #[error("datasource `{datasource}`: {engine} has no session variables")]
    SessionVariables {
        /// The datasource.
        datasource: String,
        /// Its engine.
        engine: uuk_bundle::Engine,
    },
}

impl ConnectError {
    /// The stable code of the reason.
    pub fn code(&self) -> &'static str {
        self.into()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn told(sqlstate: &str, message: &str, arguments: &[Argument]) -> DbError {
        let refusal = Refusal { sqlstate, message, constraint: None };
        let SqlError::Rejected(error) = refusal.told_to_guest(arguments) else { panic!("not rejected") };
        error
    }

    #[test]
    fn tells_no_value_of_a_parameter() {
        let secret = [Argument::Text("21212198001234".into())];
        for (sqlstate, message) in [
            ("22P02", "invalid input syntax for type integer: \"2121…\""),
            ("23505", "Duplicate entry '21212198001234' for key 'pin'"),
            ("P0001", "pin 21212198001234 is not known"),
        ] {
            let told = told(sqlstate, message, &secret);
            assert!(!told.message.contains("2121"), "{told:?}");
        }
    }

    #[test]
    fn tells_what_concerns_the_statement_only() {
        let told = told("42703", "column \"nmae\" does not exist", &[Argument::Integer(7)]);
        assert_eq!(told.to_string(), "column \"nmae\" does not exist (42703)");
    }

    #[test]
    fn bounds_and_cleans_the_message() {
        let told = told("42000", &"a\n\u{1b}".repeat(1000), &[]);
        assert_eq!(told.message.chars().count(), MESSAGE_CHARS_MAX);
        assert!(!told.message.contains(['\n', '\u{1b}']));
    }

    #[test]
    fn codes_are_snake_case_with_a_prefix() {
        assert_eq!(SqlError::TooManyRows(1).code(), "sql.too_many_rows");
        assert_eq!(ConnectError::NoUser { datasource: "d".into() }.code(), "sql_connect.no_user");
    }
}
