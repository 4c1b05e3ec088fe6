use std::sync::Arc;
use std::time::Instant;

use tokio::sync::mpsc;
use tokio_util::task::TaskTracker;

use super::argument::Argument;
use super::lease::Lease;
use super::sql_text::SqlText;
use super::{Column, Row, SqlError, Statement, ending_of, query_of, within};

/// Rows the database may be ahead of the guest.
const ROWS_AHEAD_MAX: usize = 32;

/// A result being read. Dropping it stops the statement in the database.
#[derive(Debug)]
pub struct Cursor {
    columns: Arc<[Column]>,
    rows: mpsc::Receiver<Result<Row, SqlError>>,
}

impl Cursor {
    /// Reads on a task of its own: a stream of rows borrows its connection, and a cursor cannot hold both.
    pub(super) fn open(
        mut lease: Lease,
        statement: Arc<Statement>,
        text: SqlText,
        arguments: Vec<Argument>,
        deadline: Instant,
        tasks: &TaskTracker,
    ) -> Self {
        let (sender, rows) = mpsc::channel(ROWS_AHEAD_MAX);
        let columns = Arc::clone(&statement.columns);
        tasks.spawn(async move {
            let query = query_of(&statement, &text, &arguments);
            let work = async {
                lease.stream(&query, &sender).await?;
                lease.end(ending_of(statement.mode())).await
            };
            let outcome = tokio::select! {
                outcome = within(deadline, statement.timeout, work) => outcome,
                // A database that finds no row for a long time would notice too late that nobody wants one.
                () = sender.closed() => Ok(()),
            };
            drop(lease);
            if let Err(error) = outcome {
                // Nobody may be left to hear it.
                let _ = sender.send(Err(error)).await;
            }
        });
        Self { columns, rows }
    }

    /// The columns, in the order that the manifest declares.
    pub fn columns(&self) -> &[Column] {
        &self.columns
    }

    /// At most `rows_max` further rows; none at the end. Waits until there are as many, or the end.
    ///
    /// # Errors
    /// As [`super::Database::run`]. Rows that came before the error are lost, and nothing comes after it.
    pub async fn next(&mut self, rows_max: usize) -> Result<Vec<Row>, SqlError> {
        let mut page = Vec::new();
        while page.len() < rows_max {
            match self.rows.recv().await {
                Some(Ok(row)) => page.push(row),
                Some(Err(error)) => {
                    self.rows.close();
                    return Err(error);
                }
                None => break,
            }
        }
        Ok(page)
    }
}
