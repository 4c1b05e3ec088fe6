#[cfg(feature = "odbc")]
use std::sync::Arc;

use futures_util::stream::{BoxStream, StreamExt};
use futures_util::{TryStreamExt, stream};
use sqlx::postgres::PgConnectOptions;
use sqlx::sqlite::SqliteConnectOptions;
use uuk_bundle::Engine;
use uuk_process::Secret;

use crate::CallContext;

use super::error::{Condition, Failure};
use super::mariadb::{self, MariadbOptions, MariadbSession};
#[cfg(feature = "odbc")]
use super::odbc::{self, OdbcOptions, OdbcSession};
use super::postgres::{self, PostgresSession};
use super::reader::{Query, read};
use super::sqlite::{self, SqliteSession};
use super::{ConnectError, DatabaseGrant, Row, SqlError};

/// How to open connections to one database, read once from the grant.
#[derive(Debug)]
pub(super) enum SessionOptions {
    Sqlite {
        options: Box<SqliteConnectOptions>,
        access: uuk_bundle::Access,
    },
    Postgres(Box<Secret<PgConnectOptions>>),
    Mariadb(Box<MariadbOptions>),
    #[cfg(feature = "odbc")]
    Odbc(Arc<OdbcOptions>),
}

/// One open connection.
///
/// The engines differ in how they connect, write values, begin and stop; all else is above this.
#[derive(Debug)]
pub(super) enum Session {
    Sqlite(SqliteSession),
    Postgres(PostgresSession),
    Mariadb(MariadbSession),
    #[cfg(feature = "odbc")]
    Odbc(OdbcSession),
}

/// Several exchanges with the database that belong together.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Unit {
    /// The database refuses writes within it; nothing of it remains.
    ReadOnly,
    /// All of it is made permanent, or nothing.
    ReadWrite,
}

/// How a unit ends.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Ending {
    Commit,
    Rollback,
}

impl Ending {
    /// How every engine spells it.
    pub(super) fn sql(self) -> &'static str {
        match self {
            Self::Commit => "COMMIT",
            Self::Rollback => "ROLLBACK",
        }
    }
}

impl SessionOptions {
    pub(super) fn of(grant: &DatabaseGrant) -> Result<Self, ConnectError> {
        grant.check_login()?;
        if grant.odbc().is_some() {
            return Self::by_odbc(grant);
        }
        Ok(match grant.engine {
            Engine::Sqlite => {
                Self::Sqlite { options: Box::new(sqlite::options(grant)?), access: grant.access }
            }
            Engine::Postgres => Self::Postgres(Box::new(Secret::new(postgres::options(grant)?))),
            Engine::Mariadb => Self::Mariadb(Box::new(MariadbOptions::of(grant)?)),
            Engine::Sqlserver | Engine::Oracle | Engine::Db2 | Engine::Firebird => {
                return Err(grant.wrong_address());
            }
        })
    }

    #[cfg(feature = "odbc")]
    fn by_odbc(grant: &DatabaseGrant) -> Result<Self, ConnectError> {
        Ok(Self::Odbc(Arc::new(OdbcOptions::of(grant)?)))
    }

    #[cfg(not(feature = "odbc"))]
    fn by_odbc(grant: &DatabaseGrant) -> Result<Self, ConnectError> {
        Err(ConnectError::OdbcLeftOut { datasource: grant.datasource.clone() })
    }

    pub(super) async fn connect(&self) -> Result<Session, sqlx::Error> {
        Ok(match self {
            Self::Sqlite { options, access } => {
                Session::Sqlite(SqliteSession::connect(options, *access).await?)
            }
            Self::Postgres(options) => Session::Postgres(PostgresSession::connect(options).await?),
            Self::Mariadb(options) => Session::Mariadb(MariadbSession::connect(options).await?),
            #[cfg(feature = "odbc")]
            Self::Odbc(options) => Session::Odbc(OdbcSession::connect(options).await?),
        })
    }
}

impl Session {
    /// Sends a query; its rows follow as they are taken. Dropping the stream leaves the database at work.
    pub(super) fn rows<'s>(&'s mut self, query: &'s Query<'s>) -> BoxStream<'s, Result<Row, Failure>> {
        let rows = match self {
            Self::Sqlite(session) => session.fetch(query).map(|rows| read(rows, query, sqlite::failure)),
            Self::Postgres(session) => session.fetch(query).map(|rows| read(rows, query, postgres::failure)),
            Self::Mariadb(session) => session.fetch(query).map(|rows| read(rows, query, mariadb::failure)),
            #[cfg(feature = "odbc")]
            Self::Odbc(session) => Ok(read(session.fetch(query), query, odbc::failure)),
        };
        // Only a value that is too long for the protocol gets here; nothing was sent.
        rows.unwrap_or_else(|error| {
            let error = SqlError::Other(format!("cannot send a value: {error}"));
            stream::iter([Err(Failure { error, leaves: Condition::Ready })]).boxed()
        })
    }

    /// Sends a query and takes all its rows.
    pub(super) async fn collect(&mut self, query: &Query<'_>) -> Result<Vec<Row>, Failure> {
        self.rows(query).try_collect().await
    }

    /// Begins a unit. `caller` is told to the database where the grant says so.
    pub(super) async fn begin(&mut self, unit: Unit, caller: Option<&CallContext>) -> Result<(), Failure> {
        match self {
            Self::Sqlite(session) => session.begin(unit).await.map_err(|error| sqlite::failure(&error, &[])),
            Self::Postgres(session) => {
                session.begin(unit, caller).await.map_err(|error| postgres::failure(&error, &[]))
            }
            Self::Mariadb(session) => {
                session.begin(unit).await.map_err(|error| mariadb::failure(&error, &[]))
            }
            #[cfg(feature = "odbc")]
            Self::Odbc(session) => session.begin(unit).await.map_err(|error| odbc::failure(&error, &[])),
        }
    }

    /// Ends a unit.
    pub(super) async fn end(&mut self, unit: Unit, ending: Ending) -> Result<(), Failure> {
        match self {
            Self::Sqlite(session) => {
                session.end(unit, ending).await.map_err(|error| sqlite::failure(&error, &[]))
            }
            Self::Postgres(session) => {
                session.end(ending).await.map_err(|error| postgres::failure(&error, &[]))
            }
            Self::Mariadb(session) => {
                session.end(ending).await.map_err(|error| mariadb::failure(&error, &[]))
            }
            #[cfg(feature = "odbc")]
            Self::Odbc(session) => {
                session.end(unit, ending).await.map_err(|error| odbc::failure(&error, &[]))
            }
        }
    }

    /// Waits until the database answers, after whatever it was still sending.
    pub(super) async fn ping(&mut self) -> Result<(), sqlx::Error> {
        match self {
            Self::Sqlite(session) => session.ping().await,
            Self::Postgres(session) => session.ping().await,
            Self::Mariadb(session) => session.ping().await,
            #[cfg(feature = "odbc")]
            Self::Odbc(session) => session.ping().await,
        }
    }

    /// Ends whatever the database is doing for this connection. The connection is of no use afterwards.
    pub(super) async fn stop(&mut self) -> Result<(), sqlx::Error> {
        match self {
            Self::Sqlite(session) => session.stop().await,
            Self::Postgres(session) => session.stop().await,
            Self::Mariadb(session) => session.stop().await,
            #[cfg(feature = "odbc")]
            Self::Odbc(session) => session.stop().await,
        }
    }
}
