//! Statements of the manifest, run with typed parameters and read as typed rows.
//!
//! The functions that `uuk adapter typegen` writes are made of these; adapters call those.

pub use crate::bindings::uuk::adapter::sql::{
    Column, Cursor, DbError, Row, RowSet, SqlError, Transaction, Value, open, run,
};

/// Runs a statement and gives its rows.
///
/// # Errors
/// As the host says, and [`SqlError::Conversion`] if the rows do not fit `R`.
pub fn rows<R: FromRow>(statement: &str, params: &[(String, Value)]) -> Result<Vec<R>, SqlError> {
    run(statement, params)?.rows.into_iter().map(|row| R::from_row(Values::new(row))).collect()
}

/// Runs a statement whose `max_rows` is 1 and gives the row, if there is one.
///
/// # Errors
/// As [`rows`]; a second row is [`SqlError::TooManyRows`].
pub fn optional_row<R: FromRow>(statement: &str, params: &[(String, Value)]) -> Result<Option<R>, SqlError> {
    let mut rows = rows(statement, params)?;
    match rows.len() {
        0 | 1 => Ok(rows.pop()),
        _ => Err(SqlError::TooManyRows(1)),
    }
}

/// Runs a statement that gives no rows.
///
/// # Errors
/// As the host says.
pub fn execute(statement: &str, params: &[(String, Value)]) -> Result<(), SqlError> {
    run(statement, params).map(drop)
}

/// A parameter as the host takes it.
pub fn param(name: &str, value: Value) -> (String, Value) {
    (name.to_owned(), value)
}

/// A nullable parameter of a type: `nullable(surname, Value::Text)`.
pub fn nullable<T, U: From<T>>(value: Option<T>, of_type: impl FnOnce(U) -> Value) -> Value {
    value.map_or(Value::Null, |value| of_type(U::from(value)))
}

/// A row of one statement. Written by `uuk adapter typegen`.
pub trait FromRow: Sized {
    /// Takes the values in the order that the manifest declares.
    ///
    /// # Errors
    /// [`SqlError::Conversion`] if a value has another type.
    fn from_row(values: Values) -> Result<Self, SqlError>;
}

/// The values of a row, taken one after the other.
#[derive(Debug)]
pub struct Values {
    values: std::vec::IntoIter<Value>,
}

impl Values {
    /// The values of `row`.
    #[must_use]
    pub fn new(row: Row) -> Self {
        Self { values: row.into_iter() }
    }

    /// The next value, of column `column`.
    ///
    /// # Errors
    /// [`SqlError::Conversion`] if it has another type or the row has ended.
    pub fn take<T: FromValue>(&mut self, column: &str) -> Result<T, SqlError> {
        let value = self
            .values
            .next()
            .ok_or_else(|| SqlError::Conversion(format!("the row ends before column `{column}`")))?;
        T::from_value(value)
            .map_err(|value| SqlError::Conversion(format!("column `{column}` holds a {}", kind(&value))))
    }
}

/// A Rust type in which a column can be read.
pub trait FromValue: Sized {
    /// The value, or `value` itself if it has another type.
    ///
    /// # Errors
    /// The value back.
    fn from_value(value: Value) -> Result<Self, Value>;
}

impl FromValue for bool {
    fn from_value(value: Value) -> Result<Self, Value> {
        match value {
            Value::Boolean(boolean) => Ok(boolean),
            other => Err(other),
        }
    }
}

impl FromValue for i64 {
    fn from_value(value: Value) -> Result<Self, Value> {
        match value {
            Value::Integer(integer) => Ok(integer),
            other => Err(other),
        }
    }
}

impl FromValue for f64 {
    fn from_value(value: Value) -> Result<Self, Value> {
        match value {
            Value::Float(float) => Ok(float),
            other => Err(other),
        }
    }
}

impl FromValue for Vec<u8> {
    fn from_value(value: Value) -> Result<Self, Value> {
        match value {
            Value::Bytes(bytes) => Ok(bytes),
            other => Err(other),
        }
    }
}

/// Text, and everything whose portable form is text: decimals, dates, times, UUIDs, JSON.
impl FromValue for String {
    fn from_value(value: Value) -> Result<Self, Value> {
        match value {
            Value::Text(text)
            | Value::Decimal(text)
            | Value::Date(text)
            | Value::Time(text)
            | Value::Timestamp(text)
            | Value::Uuid(text)
            | Value::Json(text) => Ok(text),
            other => Err(other),
        }
    }
}

impl<T: FromValue> FromValue for Option<T> {
    fn from_value(value: Value) -> Result<Self, Value> {
        match value {
            Value::Null => Ok(None),
            value => T::from_value(value).map(Some),
        }
    }
}

/// The name of a value's type: a diagnostic must not quote what the register holds about people.
fn kind(value: &Value) -> &'static str {
    match value {
        Value::Null => "null",
        Value::Boolean(_) => "boolean",
        Value::Integer(_) => "integer",
        Value::Float(_) => "float",
        Value::Decimal(_) => "decimal",
        Value::Text(_) => "text",
        Value::Bytes(_) => "byte string",
        Value::Date(_) => "date",
        Value::Time(_) => "time",
        Value::Timestamp(_) => "timestamp",
        Value::Uuid(_) => "UUID",
        Value::Json(_) => "JSON document",
        Value::Other(_) => "value of a type of its own",
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn reads_a_row_in_the_declared_order() {
        let mut values = Values::new(vec![Value::Text("a".into()), Value::Null, Value::Integer(3)]);
        assert_eq!(values.take::<String>("name").unwrap(), "a");
        assert_eq!(values.take::<Option<String>>("birth_date").unwrap(), None);
        assert_eq!(values.take::<i64>("count").unwrap(), 3);
    }

    #[test]
    fn refuses_null_in_a_column_declared_without() {
        let error = Values::new(vec![Value::Null]).take::<String>("pin").unwrap_err();
        assert!(matches!(error, SqlError::Conversion(text) if text == "column `pin` holds a null"));
    }

    #[test]
    fn refuses_a_row_shorter_than_declared() {
        let error = Values::new(vec![]).take::<i64>("count").unwrap_err();
        assert!(matches!(error, SqlError::Conversion(text) if text.contains("ends before column `count`")));
    }

    #[test]
    fn a_missing_parameter_is_null() {
        assert!(matches!(nullable(None::<&str>, Value::Text), Value::Null));
        assert!(matches!(nullable(Some("x"), Value::Date), Value::Date(date) if date == "x"));
    }
}
