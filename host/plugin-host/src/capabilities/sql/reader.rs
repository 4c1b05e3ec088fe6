use std::sync::OnceLock;

use futures_util::StreamExt;
use futures_util::stream::BoxStream;
use sqlx::{Column as _, SqlStr, TypeInfo};
use uuk_bundle::ValueType;

use super::argument::Argument;
use super::error::Failure;
use super::{Column, Row, SqlError, Value, conversion};

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

/// Turns the rows of a driver into rows for the guest, within the limits of the query.
pub(super) fn read<'s, R: DriverRow + Send + 's>(
    rows: BoxStream<'s, Result<R, sqlx::Error>>,
    query: &'s Query<'s>,
    failure: fn(&sqlx::Error, &[Argument]) -> Failure,
) -> BoxStream<'s, Result<Row, Failure>> {
    let mut reader = Reader { query, positions: None, rows: 0, bytes: 0 };
    rows.map(move |row| match row {
        Ok(row) => reader.read(&row).map_err(Failure::unread),
        Err(error) => Err(failure(&error, query.arguments)),
    })
    .boxed()
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
