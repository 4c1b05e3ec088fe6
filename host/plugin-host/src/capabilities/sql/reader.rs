use std::sync::OnceLock;
use std::task::{Context, Poll, ready};

use futures_util::StreamExt;
use futures_util::stream::{self, BoxStream};
use sqlx::{Column as _, Either, SqlStr, TypeInfo};
use uuk_bundle::ValueType;

use super::argument::Argument;
use super::error::{Condition, Failure};
use super::{Column, Row, SqlError, Value, conversion};

/// Rows of a refused result that are read without being looked at.
const ROWS_DISCARDED_MAX: usize = 100;

/// A statement with its values, on its way to a connection.
#[derive(Debug)]
pub(super) struct Query<'a> {
    pub(super) sql: &'a SqlStr,
    pub(super) arguments: &'a [Argument],
    /// Whether the connection should keep it prepared: it will come again.
    pub(super) persistent: bool,
    pub(super) shape: Shape<'a>,
    pub(super) rows_max: u64,
    pub(super) bytes_max: u64,
}

/// What the rows look like to the guest.
#[derive(Debug, Clone, Copy)]
pub(super) enum Shape<'a> {
    /// These columns, by name and in this order; others stay behind.
    Declared(&'a [(String, ValueType)]),
    /// As the database gives them; the first row says which columns these are.
    AsGiven(&'a OnceLock<Vec<Column>>),
}

/// A row as its driver gives it.
pub(super) trait DriverRow: sqlx::Row {
    /// The value at `index`, in the type the database gives it.
    ///
    /// # Errors
    /// What cannot be represented, in words that do not contain the value.
    fn value(&self, index: usize) -> Result<Value, String>;
}

/// The rows of a driver, and a mark at the end of each result.
pub(super) type DriverRows<'s, DB> = BoxStream<
    's,
    Result<Either<<DB as sqlx::Database>::QueryResult, <DB as sqlx::Database>::Row>, sqlx::Error>,
>;

/// Turns the rows of a driver into rows for the guest, within the limits of the query.
pub(super) fn read<'s, DB: sqlx::Database<Row: DriverRow>>(
    mut rows: DriverRows<'s, DB>,
    query: &'s Query<'s>,
    failure: fn(&sqlx::Error, &[Argument]) -> Failure,
) -> BoxStream<'s, Result<Row, Failure>> {
    let mut reader = Reader { query, positions: None, rows: 0, bytes: 0 };
    let mut is_complete = false;
    stream::poll_fn(move |context| {
        // The drivers read from their sockets without ever yielding, so a fast database would hold up deadlines and
        // neighbours.
        let progress = ready!(tokio::task::coop::poll_proceed(context));
        progress.made_progress();
        let next = loop {
            break match ready!(rows.poll_next_unpin(context)) {
                Some(Ok(Either::Right(row))) => Some(
                    reader
                        .read(&row)
                        .map_err(|error| Failure { error, leaves: discard::<DB>(&mut rows, context) }),
                ),
                Some(Ok(Either::Left(_))) => {
                    is_complete = true;
                    continue;
                }
                Some(Err(error)) => Some(Err(failure(&error, query.arguments))),
                None if is_complete => None,
                // SQLite's thread is gone. Without this, missing rows would look like rows that do not exist.
                None => Some(Err(Failure::of_connection(&sqlx::Error::WorkerCrashed))),
            };
        };
        is_complete |= matches!(next, Some(Err(_)));
        Poll::Ready(next)
    })
    .boxed()
}

/// Takes the rest of a refused result, if it is small and already here. Otherwise the database has to be stopped, which
/// costs the connection.
fn discard<DB: sqlx::Database>(rows: &mut DriverRows<'_, DB>, context: &mut Context<'_>) -> Condition {
    for _ in 0..ROWS_DISCARDED_MAX {
        match rows.poll_next_unpin(context) {
            Poll::Ready(None) => return Condition::Ready,
            Poll::Ready(Some(Ok(_))) => {}
            Poll::Ready(Some(Err(_))) | Poll::Pending => break,
        }
    }
    Condition::Working
}

struct Reader<'q> {
    query: &'q Query<'q>,
    /// For each column of the guest's row, where the driver's row has it; known from the first row on.
    positions: Option<Vec<usize>>,
    rows: u64,
    bytes: u64,
}

impl Reader<'_> {
    fn read<R: DriverRow>(&mut self, row: &R) -> Result<Row, SqlError> {
        self.rows += 1;
        if self.rows > self.query.rows_max {
            return Err(SqlError::TooManyRows(self.query.rows_max));
        }
        let positions = match &mut self.positions {
            Some(positions) => positions,
            unknown => unknown.insert(positions(row, self.query.shape)?),
        };
        let mut values = Vec::with_capacity(positions.len());
        for (column, position) in positions.iter().enumerate() {
            let value = row.value(*position).and_then(|value| match self.query.shape {
                Shape::Declared(declared) => match declared.get(column) {
                    Some((_, value_type)) => conversion::declared(value, *value_type),
                    None => Ok(value),
                },
                Shape::AsGiven(_) => Ok(value),
            });
            let value = value.map_err(|reason| {
                let name = row.columns().get(*position).map_or("", sqlx::Column::name);
                SqlError::Conversion(format!("column `{name}`: {reason}"))
            })?;
            self.bytes += value.size_bytes();
            if self.bytes > self.query.bytes_max {
                return Err(SqlError::TooManyBytes(self.query.bytes_max));
            }
            values.push(value);
        }
        Ok(values)
    }
}

fn positions<R: DriverRow>(row: &R, shape: Shape<'_>) -> Result<Vec<usize>, SqlError> {
    match shape {
        Shape::Declared(declared) => declared.iter().map(|(name, _)| position(row, name)).collect(),
        Shape::AsGiven(columns) => {
            columns.get_or_init(|| row.columns().iter().map(column::<R>).collect());
            Ok((0..row.columns().len()).collect())
        }
    }
}

fn position<R: DriverRow>(row: &R, name: &str) -> Result<usize, SqlError> {
    let mut found = row.columns().iter().enumerate().filter(|(_, column)| column.name() == name);
    match (found.next(), found.next()) {
        (Some((position, _)), None) => Ok(position),
        (Some(_), Some(_)) => Err(SqlError::Conversion(format!("the result has two columns `{name}`"))),
        (None, _) => Err(SqlError::Conversion(format!("the result has no column `{name}`"))),
    }
}

fn column<R: DriverRow>(column: &<R::Database as sqlx::Database>::Column) -> Column {
    Column { name: column.name().to_owned(), db_type: column.type_info().name().to_owned(), nullable: None }
}
