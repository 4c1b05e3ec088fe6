use std::sync::Arc;
use std::time::{Duration, Instant};

use uuk_bundle::Access;

use super::lease::Lease;
use super::session::Ending;
use super::{Database, DbError, RowSet, SqlError, Statement, Value, query_of, within};

/// Several statements as one unit: all of it becomes permanent with [`Transaction::commit`], or nothing.
///
/// Dropping it rolls back. After a failed statement everything further is refused: databases disagree on what
/// would still be part of the transaction.
#[derive(Debug)]
pub struct Transaction {
    database: Database,
    /// Nothing once a statement has failed.
    lease: Option<Lease>,
}

impl Transaction {
    pub(super) fn new(database: Database, lease: Lease) -> Self {
        Self { database, lease: Some(lease) }
    }

    /// Runs a statement of the same datasource within the transaction.
    ///
    /// # Errors
    /// As [`Database::run`]; [`SqlError::NotGranted`] for a statement that is declared as reading and has words that
    /// write, for here the database would let it; [`SqlError::Rejected`] with SQLSTATE `25P02` after a failed statement.
    ///
    /// # Cancellation
    /// Dropping the future counts as a failure of the statement.
    pub async fn run(
        &mut self,
        statement: &Statement,
        params: Vec<(String, Value)>,
        deadline: Instant,
    ) -> Result<RowSet, SqlError> {
        let (text, arguments) = self.database.prepare(statement, params)?;
        if statement.mode() == Access::Read && !text.only_reads {
            return Err(SqlError::NotGranted("writing by a statement declared as reading".into()));
        }
        // Put back only after success, so that every other way out ends the transaction.
        let mut lease = self.lease.take().ok_or_else(aborted)?;
        let query = query_of(statement, text, &arguments);
        let rows = within(deadline, statement.timeout, lease.collect(&query)).await?;
        self.lease = Some(lease);
        Ok(RowSet { columns: Arc::clone(&statement.columns), rows })
    }

    /// Makes the transaction permanent.
    ///
    /// # Errors
    /// As [`Transaction::run`]; then nothing of it is permanent, except that after [`SqlError::Deadline`] and
    /// [`SqlError::Unavailable`] it may be.
    pub async fn commit(mut self, deadline: Instant) -> Result<(), SqlError> {
        let mut lease = self.lease.take().ok_or_else(aborted)?;
        within(deadline, Duration::MAX, lease.end(Ending::Commit)).await
    }
}

fn aborted() -> SqlError {
    SqlError::Rejected(DbError {
        sqlstate: "25P02".into(),
        message: "an earlier statement of the transaction failed".into(),
        constraint: None,
    })
}
