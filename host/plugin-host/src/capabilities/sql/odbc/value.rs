//! Values to and from a driver. All but numbers and octets pass as text in UTF-16: every driver has that, and no locale
//! or precision of the driver's own comes between.

use std::num::NonZeroUsize;

use chrono::SecondsFormat;
use odbc_api::buffers::Indicator;
use odbc_api::parameter::{
    InputParameter, VarBinaryArray, VarBinaryBox, VarWCharArray, VarWCharBox, WithDataType,
};
use odbc_api::sys::SqlDataType;
use odbc_api::{Bit, CursorRow, DataType, Error, Nullable};
use uuk_bundle::{Engine, Scalar};

use super::super::argument::{self, Argument};
use super::super::conversion::{self, MALFORMED};
use super::Value;

/// Values are fetched in pieces of so many octets or UTF-16 units.
const PIECE: usize = 4096;

/// SQL Server's and PostgreSQL's type for UUIDs, `SQL_GUID`.
const GUID: SqlDataType = SqlDataType(-11);

/// How a column is read.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Kind {
    Boolean,
    Integer,
    Float,
    Decimal,
    Text,
    Bytes,
    Date,
    Time,
    Timestamp,
    Uuid,
    /// The driver does not say, so it is whatever the manifest takes it for.
    Unknown,
}

impl Kind {
    pub(super) fn of(data_type: DataType, engine: Engine) -> Self {
        match data_type {
            DataType::Bit => Self::Boolean,
            DataType::TinyInt | DataType::SmallInt | DataType::Integer | DataType::BigInt => Self::Integer,
            DataType::Real | DataType::Double | DataType::Float { .. } => Self::Float,
            DataType::Decimal { .. } | DataType::Numeric { .. } => Self::Decimal,
            DataType::Binary { .. } | DataType::Varbinary { .. } | DataType::LongVarbinary { .. } => {
                Self::Bytes
            }
            // A column of SQLite holds values of any type, whatever it is declared as.
            _ if engine == Engine::Sqlite => Self::Unknown,
            DataType::Date => Self::Date,
            DataType::Time { .. } => Self::Time,
            DataType::Timestamp { .. } => Self::Timestamp,
            DataType::Other { data_type: GUID, .. } => Self::Uuid,
            DataType::Other { .. } | DataType::Unknown => Self::Unknown,
            _ => Self::Text,
        }
    }
}

/// Fetches a value. Inside, why it cannot be represented.
pub(super) fn read(
    row: &mut CursorRow<'_>,
    column: u16,
    kind: Kind,
    bytes_max: u64,
) -> Result<Result<Value, String>, Error> {
    let value = match kind {
        Kind::Float => {
            let mut float = Nullable::<f64>::null();
            row.get_data(column, &mut float)?;
            return Ok(Ok(float.into_opt().map_or(Value::Null, Value::Float)));
        }
        Kind::Bytes => return Ok(Ok(bytes(row, column, bytes_max)?.map_or(Value::Null, Value::Bytes))),
        _ => text(row, column, bytes_max)?,
    };
    Ok(match value {
        None => Ok(Value::Null),
        Some(text) => spelled(kind, text).ok_or_else(|| MALFORMED.to_owned()),
    })
}

/// The value that a driver spells so.
fn spelled(kind: Kind, text: String) -> Option<Value> {
    match kind {
        Kind::Boolean => conversion::boolean(&text).map(Value::Boolean),
        Kind::Integer => text.parse().ok().map(Value::Integer),
        Kind::Decimal => decimal(text).map(Value::Decimal),
        Kind::Date => argument::date(&text).and_then(conversion::date),
        Kind::Time => argument::time(&text).map(conversion::time),
        Kind::Timestamp => conversion::any_timestamp(&text).and_then(conversion::timestamp),
        Kind::Uuid => argument::uuid(&text).map(conversion::uuid),
        Kind::Unknown => Some(Value::Other("unknown".to_owned(), text)),
        Kind::Text | Kind::Float | Kind::Bytes => Some(Value::Text(text)),
    }
}

/// Some drivers leave the zero before the point out.
fn decimal(text: String) -> Option<String> {
    let (sign, digits) = text.strip_prefix('-').map_or(("", text.as_str()), |digits| ("-", digits));
    let text = if digits.starts_with('.') { format!("{sign}0{digits}") } else { text };
    argument::is_decimal(&text).then_some(text)
}

/// Text as it is, or the beginning of one that is longer than `bytes_max`, which is still longer than that.
pub(super) fn text(row: &mut CursorRow<'_>, column: u16, bytes_max: u64) -> Result<Option<String>, Error> {
    let mut units = Vec::new();
    loop {
        let mut piece = VarWCharArray::<PIECE>::default();
        row.get_data(column, &mut piece)?;
        let Some(more) = piece.as_slice() else { return Ok(None) };
        units.extend_from_slice(more);
        if piece.is_complete() || units.len() as u64 > bytes_max {
            return Ok(Some(String::from_utf16_lossy(&units)));
        }
    }
}

/// Likewise for octets.
fn bytes(row: &mut CursorRow<'_>, column: u16, bytes_max: u64) -> Result<Option<Vec<u8>>, Error> {
    let mut bytes = Vec::new();
    loop {
        let mut piece = VarBinaryArray::<PIECE>::default();
        row.get_data(column, &mut piece)?;
        let Some(more) = piece.as_slice() else { return Ok(None) };
        bytes.extend_from_slice(more);
        if piece.is_complete() || bytes.len() as u64 > bytes_max {
            return Ok(Some(bytes));
        }
    }
}

/// A value as drivers take it, with the type that the database is told.
pub(super) fn parameter(argument: Argument, engine: Engine) -> Box<dyn InputParameter> {
    match argument {
        Argument::Null(Some(Scalar::Bytes)) => Box::new(VarBinaryBox::null()),
        Argument::Null(scalar) => {
            let data_type = scalar.and_then(|scalar| type_of(scalar, "", engine));
            typed(VarWCharBox::null(), data_type)
        }
        Argument::Boolean(value) => Box::new(Bit::from_bool(value)),
        // Its driver has no integers of 64 bits.
        Argument::Integer(value) if engine == Engine::Oracle => {
            wide(&value.to_string(), Scalar::Decimal, engine)
        }
        Argument::Integer(value) => Box::new(value),
        Argument::Float(value) => Box::new(value),
        Argument::Bytes(value) if value.is_empty() => {
            Box::new(VarBinaryBox::from_buffer(Box::new([0]), Indicator::Length(0)))
        }
        Argument::Bytes(value) => Box::new(VarBinaryBox::from_vec(value)),
        Argument::Decimal(value) => wide(&value, Scalar::Decimal, engine),
        Argument::Text(value) => wide(&value, Scalar::Text, engine),
        Argument::Date(value) => wide(&value.to_string(), Scalar::Date, engine),
        Argument::Time(value) => wide(&value.to_string(), Scalar::Time, engine),
        // As values have it here, for a database that only keeps text.
        Argument::Timestamp(value) if engine == Engine::Sqlite => {
            wide(&value.to_rfc3339_opts(SecondsFormat::AutoSi, true), Scalar::Text, engine)
        }
        Argument::Timestamp(value) => wide(&value.naive_utc().to_string(), Scalar::Timestamp, engine),
        Argument::Uuid(value) => wide(&value.hyphenated().to_string(), Scalar::Uuid, engine),
        Argument::Json(value) => wide(value.get(), Scalar::Json, engine),
    }
}

fn wide(text: &str, scalar: Scalar, engine: Engine) -> Box<dyn InputParameter> {
    let value = if text.is_empty() {
        // An empty buffer would be announced as a text of at most nothing, which servers refuse.
        VarWCharBox::from_buffer(Box::new([0]), Indicator::Length(0))
    } else {
        VarWCharBox::from_str_slice(text)
    };
    typed(value, type_of(scalar, text, engine))
}

fn typed(value: VarWCharBox, data_type: Option<DataType>) -> Box<dyn InputParameter> {
    match data_type {
        Some(data_type) => Box::new(WithDataType::new(value, data_type)),
        None => Box::new(value),
    }
}

/// What a database is told of a value that it is given as text; nothing if that is what it should take it for.
fn type_of(scalar: Scalar, text: &str, engine: Engine) -> Option<DataType> {
    if engine == Engine::Sqlite {
        return None;
    }
    match scalar {
        Scalar::Boolean => Some(DataType::Bit),
        Scalar::Integer if engine == Engine::Oracle => Some(DataType::Decimal { precision: 19, scale: 0 }),
        Scalar::Integer => Some(DataType::BigInt),
        Scalar::Float => Some(DataType::Double),
        Scalar::Decimal => {
            let digits = text.bytes().filter(u8::is_ascii_digit).count();
            let scale = text.split_once('.').map_or(0, |(_, fraction)| fraction.len());
            Some(DataType::Decimal {
                precision: digits.max(1),
                scale: i16::try_from(scale).unwrap_or(i16::MAX),
            })
        }
        Scalar::Date => Some(DataType::Date),
        Scalar::Time => Some(DataType::Time { precision: 6 }),
        Scalar::Timestamp => Some(DataType::Timestamp { precision: 6 }),
        Scalar::Uuid if matches!(engine, Engine::Postgres | Engine::Sqlserver) => {
            Some(DataType::Other { data_type: GUID, column_size: NonZeroUsize::new(36), decimal_digits: 0 })
        }
        Scalar::Text | Scalar::Bytes | Scalar::Uuid | Scalar::Json => None,
    }
}
