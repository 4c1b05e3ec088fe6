use std::sync::OnceLock;
use std::task::{Context, Poll, ready};
use std::time::Duration;

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
    /// How long it may take. Only where the driver is told each time: the others know the grant's own limit.
    #[cfg_attr(not(feature = "odbc"), expect(dead_code, reason = "only ODBC is told each time"))]
    pub(super) time_max: Duration,
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
pub(super) trait DriverRow {
    /// Its columns, in order: the database's names of each and of its type.
    fn columns(&self) -> impl Iterator<Item = (&str, &str)>;

    /// The value at `index`, in the type the database gives it.
    ///
    /// # Errors
    /// What cannot be represented, in words that do not contain the value.
    fn value(&self, index: usize) -> Result<Value, String>;
}

/// The rows of a driver, and a mark at the end of each result.
pub(super) type DriverRows<'s, E, R> = BoxStream<'s, Result<Either<E, R>, sqlx::Error>>;

/// The columns of a row of sqlx.
pub(super) fn columns<R: sqlx::Row>(row: &R) -> impl Iterator<Item = (&str, &str)> {
    row.columns().iter().map(|column| (column.name(), column.type_info().name()))
}

/// Turns the rows of a driver into rows for the guest, within the limits of the query.
pub(super) fn read<'s, E: 's, R: DriverRow + 's>(
    mut rows: DriverRows<'s, E, R>,
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
                    reader.read(&row).map_err(|error| Failure { error, leaves: discard(&mut rows, context) }),
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
fn discard<E, R>(rows: &mut DriverRows<'_, E, R>, context: &mut Context<'_>) -> Condition {
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
                Shape::AsGiven(_) => Ok(match value {
                    // There is no manifest that says what it is.
                    Value::Other(_, text) => Value::Text(text),
                    known => known,
                }),
            });
            let value = value.map_err(|reason| {
                let name = row.columns().nth(*position).map_or("", |(name, _)| name);
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

fn positions(row: &impl DriverRow, shape: Shape<'_>) -> Result<Vec<usize>, SqlError> {
    match shape {
        Shape::Declared(declared) => declared.iter().map(|(name, _)| position(row, name)).collect(),
        Shape::AsGiven(columns) => {
            let column = |(name, db_type): (&str, &str)| Column {
                name: name.to_owned(),
                db_type: db_type.to_owned(),
                nullable: None,
            };
            let given = columns.get_or_init(|| row.columns().map(column).collect());
            Ok((0..given.len()).collect())
        }
    }
}

fn position(row: &impl DriverRow, name: &str) -> Result<usize, SqlError> {
    let mut found = row.columns().enumerate().filter(|(_, (column, _))| *column == name);
    match (found.next(), found.next()) {
        (Some((position, _)), None) => Ok(position),
        (Some(_), Some(_)) => Err(SqlError::Conversion(format!("the result has two columns `{name}`"))),
        (None, _) => Err(SqlError::Conversion(format!("the result has no column `{name}`"))),
    }
}
