//! Databases: the interfaces `uuk:adapter/sql` and `sql-adhoc`, on SQLite, PostgreSQL and MariaDB, and by ODBC on others.
//!
//! A guest runs statements by the names its signed manifest gives them. Text, address, login and connections stay
//! here; that a reading statement only reads, the database enforces (within a transaction, which writes, its text is
//! checked instead); and whatever a call leaves unfinished is
//! stopped in the database before its connection serves another call. Nothing here knows of Wasm: the bindings map
//! [`Value`] and [`SqlError`] to their twins one by one.
//!
//! Start with [`Database::run`]. [`Statements`] are compiled when a plugin is loaded; `lease.rs` says what becomes
//! of a connection; `sqlite.rs`, `postgres.rs`, `mariadb.rs` and `odbc.rs` hold all that differs.

mod argument;
mod conversion;
mod cursor;
mod error;
mod grant;
mod lease;
mod lexer;
mod mariadb;
#[cfg(feature = "odbc")]
mod odbc;
mod postgres;
mod reader;
mod session;
mod sql_text;
mod sqlite;
mod statement;
mod transaction;
mod value;

use std::sync::{Arc, OnceLock};
use std::time::{Duration, Instant};

use futures_util::FutureExt;
use tokio_util::task::TaskTracker;
use uuk_bundle::{Access, Engine};

pub use cursor::Cursor;
pub use error::{ConnectError, DbError, SqlError};
pub use grant::DatabaseGrant;
pub use sql_text::{Position, SQL_BYTES_MAX, SqlTextError};
pub use statement::{Statement, StatementError, Statements};
pub use transaction::Transaction;
pub use value::{Column, Row, RowSet, Value};

use crate::CallContext;

use argument::Argument;
use lease::{Lease, Leases};
use reader::{Query, Shape};
use session::{Ending, Unit};
use sql_text::{Notation, SqlText};

/// Limits of a result of free SQL, for which no manifest states any.
const FREE_ROWS_MAX: u64 = 1000;
const FREE_BYTES_MAX: u64 = 4 << 20;

/// A database as one plugin may use it: its grant, and connections that no other plugin shares.
///
/// Clones share the connections.
#[derive(Debug, Clone)]
pub struct Database {
    inner: Arc<Inner>,
}

#[derive(Debug)]
struct Inner {
    grant: DatabaseGrant,
    leases: Leases,
    tasks: TaskTracker,
}

impl Database {
    /// Sets up the database of `grant`. Nothing is connected: a database that is down makes statements fail as
    /// [`SqlError::Unavailable`] until it is back. What calls leave unfinished is cleaned up on `tasks`.
    ///
    /// # Errors
    /// [`ConnectError`] if the grant contradicts itself.
    ///
    /// # Panics
    /// Outside of a tokio runtime.
    pub fn connect(grant: DatabaseGrant, tasks: TaskTracker) -> Result<Self, ConnectError> {
        let leases = Leases::new(&grant, tasks.clone())?;
        Ok(Self { inner: Arc::new(Inner { grant, leases, tasks }) })
    }

    /// What the database is.
    pub fn engine(&self) -> Engine {
        self.inner.grant.engine
    }

    /// Opens a connection, or checks one that is open.
    ///
    /// # Errors
    /// [`SqlError::Unavailable`], [`SqlError::Busy`] or [`SqlError::Deadline`].
    pub async fn answers(&self, deadline: Instant) -> Result<(), SqlError> {
        within(deadline, Duration::MAX, self.inner.leases.take()).await.map(drop)
    }

    /// Runs a statement and gives its whole result.
    ///
    /// It ends at `deadline` or after the statement's own timeout, whichever comes first. A statement that writes is
    /// made permanent at once.
    ///
    /// # Errors
    /// Any [`SqlError`]; after most nothing was written, but after [`SqlError::Deadline`] and
    /// [`SqlError::Unavailable`] a writing statement may have been carried out.
    ///
    /// # Cancellation
    /// Dropping the future stops the statement in the database.
    pub async fn run(
        &self,
        statement: &Statement,
        params: Vec<(String, Value)>,
        deadline: Instant,
        caller: &CallContext,
    ) -> Result<RowSet, SqlError> {
        let (text, arguments) = self.prepare(statement, params)?;
        let unit = self.unit_of(statement.mode());
        within(deadline, statement.timeout, async {
            let mut lease = self.lease(unit, caller).await?;
            let rows = lease.collect(&query_of(statement, text, &arguments)).await?;
            lease.end(ending_of(statement.mode())).await?;
            Ok(RowSet { columns: Arc::clone(&statement.columns), rows })
        })
        .await
    }

    /// Runs a statement whose result is read in pages, while the database produces it. The limits of the statement
    /// hold for the whole result.
    ///
    /// # Errors
    /// As [`Database::run`]; what goes wrong while reading, [`Cursor::next`] tells.
    pub async fn open(
        &self,
        statement: &Arc<Statement>,
        params: Vec<(String, Value)>,
        deadline: Instant,
        caller: &CallContext,
    ) -> Result<Cursor, SqlError> {
        let (text, arguments) = self.prepare(statement, params)?;
        let text = text.clone();
        let unit = self.unit_of(statement.mode());
        let lease = within(deadline, statement.timeout, self.lease(unit, caller)).await?;
        Ok(Cursor::open(lease, Arc::clone(statement), text, arguments, deadline, &self.inner.tasks))
    }

    /// Begins a transaction.
    ///
    /// # Errors
    /// [`SqlError::NotGranted`] if the grant only allows reading; otherwise as [`Database::run`].
    pub async fn begin(&self, deadline: Instant, caller: &CallContext) -> Result<Transaction, SqlError> {
        if self.inner.grant.access == Access::Read {
            return Err(SqlError::NotGranted("writing to this datasource".into()));
        }
        let lease = within(deadline, Duration::MAX, self.lease(Some(Unit::ReadWrite), caller)).await?;
        Ok(Transaction::new(self.clone(), lease))
    }

    /// Runs SQL text that no manifest contains, binding by position. It can only read.
    ///
    /// # Errors
    /// [`SqlError::NotGranted`] unless the grant allows free SQL; [`SqlError::Rejected`] with SQLSTATE `42601` for
    /// text that is not one statement; [`SqlError::BadParameter`] with the number, from 1, of a malformed value;
    /// otherwise as [`Database::run`].
    pub async fn query_text(
        &self,
        text: &str,
        params: Vec<Value>,
        deadline: Instant,
        caller: &CallContext,
    ) -> Result<RowSet, SqlError> {
        if !self.inner.grant.free_sql {
            return Err(SqlError::NotGranted("free SQL".into()));
        }
        let text = SqlText::positional(self.engine(), self.notation(), text, params.len())?;
        if !text.only_reads && Reading::on(self.engine()) == Reading::Unguarded {
            return Err(SqlError::NotGranted("writing by free SQL".into()));
        }
        let number = |index: usize| SqlError::BadParameter((index + 1).to_string());
        let arguments: Vec<Argument> = params
            .into_iter()
            .enumerate()
            .map(|(index, value)| Argument::free(value).ok_or_else(|| number(index)))
            .collect::<Result<_, _>>()?;
        let columns = OnceLock::new();
        let query = Query {
            sql: &text.sql,
            arguments: &arguments,
            persistent: false,
            shape: Shape::AsGiven(&columns),
            rows_max: FREE_ROWS_MAX,
            bytes_max: FREE_BYTES_MAX,
            time_max: self.inner.grant.statement_time_max,
        };
        let rows = within(deadline, Duration::MAX, async {
            let mut lease = self.lease(Some(Unit::ReadOnly), caller).await?;
            let rows = lease.collect(&query).await?;
            lease.end(Ending::Rollback).await?;
            Ok(rows)
        })
        .await?;
        Ok(RowSet { columns: columns.into_inner().unwrap_or_default().into(), rows })
    }

    /// Checks that the grant covers `statement` and gives what is to be sent.
    fn prepare<'s>(
        &self,
        statement: &'s Statement,
        params: Vec<(String, Value)>,
    ) -> Result<(&'s SqlText, Vec<Argument>), SqlError> {
        if statement.datasource() != self.inner.grant.datasource {
            return Err(SqlError::NotGranted("a statement of another datasource".into()));
        }
        if statement.mode() == Access::Write && self.inner.grant.access == Access::Read {
            return Err(SqlError::NotGranted("writing to this datasource".into()));
        }
        let text = statement.text(self.engine(), self.notation())?;
        if statement.mode() == Access::Read
            && !text.only_reads
            && Reading::on(self.engine()) == Reading::Unguarded
        {
            return Err(SqlError::NotGranted("writing by a statement declared as reading".into()));
        }
        Ok((text, statement.arguments(text, params)?))
    }

    fn notation(&self) -> Notation {
        if self.inner.grant.odbc().is_some() { Notation::Odbc } else { Notation::Own }
    }

    /// What a single statement needs around it. A session that can only read needs nothing: that saves two
    /// exchanges with the server.
    fn unit_of(&self, mode: Access) -> Option<Unit> {
        let is_guarded = Reading::on(self.engine()) == Reading::BySession;
        match (self.inner.grant.access, mode) {
            (Access::Write, Access::Read) => Some(Unit::ReadOnly),
            (Access::Read, _) => {
                (self.inner.grant.session_variables || !is_guarded).then_some(Unit::ReadOnly)
            }
            (Access::Write, Access::Write) => self.inner.grant.session_variables.then_some(Unit::ReadWrite),
        }
    }

    async fn lease(&self, unit: Option<Unit>, caller: &CallContext) -> Result<Lease, SqlError> {
        let mut lease = self.inner.leases.take().await?;
        if let Some(unit) = unit {
            lease.begin(unit, self.inner.grant.session_variables.then_some(caller)).await?;
        }
        Ok(lease)
    }
}

/// What a database itself can be told to refuse writes in.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Reading {
    /// A session, or a transaction.
    BySession,
    /// A transaction only.
    ByTransaction,
    /// Nothing but its login. Words that write are refused here then, and what is read is rolled back.
    Unguarded,
}

impl Reading {
    fn on(engine: Engine) -> Self {
        match engine {
            Engine::Sqlite | Engine::Postgres | Engine::Mariadb => Self::BySession,
            Engine::Oracle => Self::ByTransaction,
            Engine::Sqlserver | Engine::Db2 | Engine::Firebird => Self::Unguarded,
        }
    }
}

/// A unit that only read is rolled back: that undoes whatever a function did to the session.
fn ending_of(mode: Access) -> Ending {
    match mode {
        Access::Read => Ending::Rollback,
        Access::Write => Ending::Commit,
    }
}

fn query_of<'a>(statement: &'a Statement, text: &'a SqlText, arguments: &'a [Argument]) -> Query<'a> {
    Query {
        sql: &text.sql,
        arguments,
        persistent: true,
        shape: Shape::Declared(&statement.row),
        rows_max: statement.rows_max,
        bytes_max: statement.bytes_max,
        time_max: statement.timeout,
    }
}

/// Gives `work` up at `deadline` or after `timeout`. What it leaves behind on a connection, dropping it stops.
fn within<T>(
    deadline: Instant,
    timeout: Duration,
    work: impl Future<Output = Result<T, SqlError>>,
) -> impl Future<Output = Result<T, SqlError>> {
    let end = Instant::now().checked_add(timeout).map_or(deadline, |own| own.min(deadline));
    // No `async fn`: it would hold the work twice, and the work is large.
    tokio::time::timeout_at(end.into(), work).map(|ended| ended.unwrap_or(Err(SqlError::Deadline)))
}
