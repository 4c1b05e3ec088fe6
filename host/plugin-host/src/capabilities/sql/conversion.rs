use chrono::{DateTime, Datelike, NaiveDate, NaiveDateTime, NaiveTime, SecondsFormat, Utc};
use serde::de::IgnoredAny;
use uuid::Uuid;
use uuk_bundle::{Scalar, ValueType};

use super::{Value, argument};

/// Digits that survive a 64-bit floating-point number; beyond them it is not the decimal that was stored.
const FLOAT_DIGITS_MAX: usize = 15;

/// What a driver could not decode: a negative time of day, a date with month zero, text that is not UTF-8.
pub(super) const MALFORMED: &str = "malformed or out of range";

/// Turns a value as the database has it into the declared type, if that loses nothing.
///
/// Databases have fewer types than the manifest: SQLite keeps booleans as integers and dates as text, MariaDB
/// gives a sum of integers as a decimal. Text becomes what it spells, in the form that the type has here.
///
/// # Errors
/// What does not fit, in words that do not contain the value.
pub(super) fn declared(value: Value, declared: ValueType) -> Result<Value, String> {
    let found = kind(&value);
    let fitting = match (declared.scalar, value) {
        (_, Value::Null) if declared.nullable => Some(Value::Null),

        (Scalar::Boolean, value @ Value::Boolean(_))
        | (Scalar::Integer, value @ Value::Integer(_))
        | (Scalar::Float, value @ Value::Float(_))
        | (Scalar::Decimal, value @ Value::Decimal(_))
        | (Scalar::Text, value @ Value::Text(_))
        | (Scalar::Bytes, value @ Value::Bytes(_))
        | (Scalar::Date, value @ Value::Date(_))
        | (Scalar::Time, value @ Value::Time(_))
        | (Scalar::Timestamp, value @ Value::Timestamp(_))
        | (Scalar::Uuid, value @ Value::Uuid(_))
        | (Scalar::Json, value @ Value::Json(_)) => Some(value),

        (Scalar::Boolean, Value::Integer(integer @ (0 | 1))) => Some(Value::Boolean(integer == 1)),
        (Scalar::Integer, Value::Decimal(text)) => whole(&text).map(Value::Integer),
        (Scalar::Float, Value::Integer(integer)) => exact_float(integer).map(Value::Float),
        (Scalar::Float, Value::Decimal(text)) => text.parse().ok().map(Value::Float),
        (Scalar::Decimal, Value::Integer(integer)) => Some(Value::Decimal(integer.to_string())),
        (Scalar::Decimal, Value::Float(float)) => exact_decimal(float).map(Value::Decimal),
        (Scalar::Decimal, Value::Text(text)) => argument::is_decimal(&text).then_some(Value::Decimal(text)),
        (Scalar::Date, Value::Text(text)) => argument::date(&text).map(|_| Value::Date(text)),
        (Scalar::Time, Value::Text(text)) => argument::time(&text).map(time),
        (Scalar::Timestamp, Value::Text(text)) => any_timestamp(&text).and_then(timestamp),
        (Scalar::Uuid, Value::Text(text)) => argument::uuid(&text).map(uuid),
        (Scalar::Uuid, Value::Bytes(bytes)) => Uuid::from_slice(&bytes).ok().map(uuid),
        (Scalar::Json, Value::Text(text)) => is_json(&text).then_some(Value::Json(text)),

        // A driver that knows no type: whatever the text spells.
        (Scalar::Boolean, Value::Other(_, text)) => boolean(&text).map(Value::Boolean),
        (Scalar::Integer, Value::Other(_, text)) => text.parse().ok().map(Value::Integer),
        (Scalar::Float, Value::Other(_, text)) => text.parse().ok().map(Value::Float),
        (Scalar::Text, Value::Other(_, text)) => Some(Value::Text(text)),
        (_, Value::Other(_, text)) => return self::declared(Value::Text(text), declared),
        _ => None,
    };
    fitting.ok_or_else(|| format!("cannot take {found} as {}", declared.scalar))
}

/// A date, if its year has four digits.
pub(super) fn date(date: NaiveDate) -> Option<Value> {
    has_four_digits(date.year()).then(|| Value::Date(date.to_string()))
}

pub(super) fn time(time: NaiveTime) -> Value {
    Value::Time(time.to_string())
}

/// A moment, in UTC, if its year has four digits.
pub(super) fn timestamp(timestamp: DateTime<Utc>) -> Option<Value> {
    has_four_digits(timestamp.year())
        .then(|| Value::Timestamp(timestamp.to_rfc3339_opts(SecondsFormat::AutoSi, true)))
}

pub(super) fn uuid(uuid: Uuid) -> Value {
    Value::Uuid(uuid.hyphenated().to_string())
}

fn has_four_digits(year: i32) -> bool {
    (0..=9999).contains(&year)
}

fn kind(value: &Value) -> &'static str {
    match value {
        Value::Null => "null",
        Value::Boolean(_) => "a boolean",
        Value::Integer(_) => "an integer",
        Value::Float(_) => "a float",
        Value::Decimal(_) => "a decimal",
        Value::Text(_) => "text",
        Value::Bytes(_) => "bytes",
        Value::Date(_) => "a date",
        Value::Time(_) => "a time",
        Value::Timestamp(_) => "a timestamp",
        Value::Uuid(_) => "a uuid",
        Value::Json(_) => "json",
        Value::Other(..) => "text",
    }
}

/// `12.00` is 12.
fn whole(decimal: &str) -> Option<i64> {
    let (whole, fraction) = decimal.split_once('.').unwrap_or((decimal, ""));
    fraction.bytes().all(|digit| digit == b'0').then(|| whole.parse().ok()).flatten()
}

#[expect(
    clippy::cast_precision_loss,
    clippy::cast_possible_truncation,
    reason = "the round trip is the check"
)]
fn exact_float(integer: i64) -> Option<f64> {
    let float = integer as f64;
    // The largest integer rounds up to 2^63, which casts back to it.
    (float as i64 == integer && integer != i64::MAX).then_some(float)
}

fn exact_decimal(float: f64) -> Option<String> {
    let text = float.is_finite().then(|| float.to_string())?;
    let digits = text.trim_start_matches(['-', '0', '.']).bytes().filter(u8::is_ascii_digit).count();
    (digits <= FLOAT_DIGITS_MAX).then_some(text)
}

pub(super) fn boolean(text: &str) -> Option<bool> {
    match text {
        "0" => Some(false),
        "1" => Some(true),
        _ => None,
    }
}

/// RFC 3339, or what SQLite's `datetime()` writes, which is UTC.
pub(super) fn any_timestamp(text: &str) -> Option<DateTime<Utc>> {
    argument::timestamp(text).or_else(|| {
        let naive = NaiveDateTime::parse_from_str(text, "%Y-%m-%d %H:%M:%S%.f").ok()?;
        Some(naive.and_utc())
    })
}

fn is_json(text: &str) -> bool {
    serde_json::from_str::<IgnoredAny>(text).is_ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[track_caller]
    fn check(scalar: Scalar, stored: Value, expected: Value) {
        assert_eq!(declared(stored, ValueType { scalar, nullable: false }), Ok(expected));
    }

    #[track_caller]
    fn refuses(scalar: Scalar, stored: Value, message: &str) {
        assert_eq!(declared(stored, ValueType { scalar, nullable: false }), Err(message.to_owned()));
    }

    fn text(text: &str) -> Value {
        Value::Text(text.to_owned())
    }

    #[test]
    fn takes_integers_as_booleans_and_numbers() {
        check(Scalar::Boolean, Value::Integer(0), Value::Boolean(false));
        check(Scalar::Boolean, Value::Integer(1), Value::Boolean(true));
        check(Scalar::Float, Value::Integer(1 << 53), Value::Float(9_007_199_254_740_992.0));
        check(Scalar::Decimal, Value::Integer(i64::MIN), Value::Decimal("-9223372036854775808".into()));
        refuses(Scalar::Boolean, Value::Integer(2), "cannot take an integer as boolean");
        refuses(Scalar::Float, Value::Integer((1 << 53) + 1), "cannot take an integer as float");
        refuses(Scalar::Float, Value::Integer(i64::MAX), "cannot take an integer as float");
    }

    #[test]
    fn takes_decimals_as_whole_numbers_only_without_fraction() {
        check(Scalar::Integer, Value::Decimal("12.00".into()), Value::Integer(12));
        check(Scalar::Float, Value::Decimal("12.5".into()), Value::Float(12.5));
        refuses(Scalar::Integer, Value::Decimal("12.01".into()), "cannot take a decimal as integer");
        refuses(
            Scalar::Integer,
            Value::Decimal("9223372036854775808".into()),
            "cannot take a decimal as integer",
        );
    }

    #[test]
    fn takes_floats_as_decimals_only_while_they_are_exact() {
        check(Scalar::Decimal, Value::Float(-0.125), Value::Decimal("-0.125".into()));
        check(Scalar::Decimal, Value::Float(1_234_567_890_123.45), Value::Decimal("1234567890123.45".into()));
        refuses(Scalar::Decimal, Value::Float(0.1 + 0.2), "cannot take a float as decimal");
        refuses(Scalar::Decimal, Value::Float(f64::NAN), "cannot take a float as decimal");
        refuses(Scalar::Integer, Value::Float(3.0), "cannot take a float as integer");
    }

    #[test]
    fn takes_text_as_what_it_spells() {
        check(Scalar::Decimal, text("12.50"), Value::Decimal("12.50".into()));
        check(Scalar::Date, text("2024-02-29"), Value::Date("2024-02-29".into()));
        check(Scalar::Time, text("08:00:00.5"), Value::Time("08:00:00.500".into()));
        check(
            Scalar::Timestamp,
            text("2024-02-29 08:00:00"),
            Value::Timestamp("2024-02-29T08:00:00Z".into()),
        );
        check(
            Scalar::Timestamp,
            text("2024-02-29T08:00:00+06:00"),
            Value::Timestamp("2024-02-29T02:00:00Z".into()),
        );
        check(Scalar::Json, text("[1]"), Value::Json("[1]".into()));
        let uuid = "f81d4fae-7dec-11d0-a765-00a0c91e6bf6";
        check(Scalar::Uuid, text(&uuid.to_uppercase()), Value::Uuid(uuid.into()));
        for scalar in
            [Scalar::Decimal, Scalar::Date, Scalar::Time, Scalar::Timestamp, Scalar::Json, Scalar::Uuid]
        {
            refuses(scalar, text("x"), &format!("cannot take text as {scalar}"));
        }
    }

    #[test]
    fn takes_sixteen_bytes_as_a_uuid() {
        check(Scalar::Uuid, Value::Bytes(vec![0; 16]), Value::Uuid(Uuid::nil().to_string()));
        refuses(Scalar::Uuid, Value::Bytes(vec![0; 15]), "cannot take bytes as uuid");
    }

    #[test]
    fn refuses_null_where_none_is_declared() {
        refuses(Scalar::Text, Value::Null, "cannot take null as text");
        let nullable = ValueType { scalar: Scalar::Text, nullable: true };
        assert_eq!(declared(Value::Null, nullable), Ok(Value::Null));
    }

    #[test]
    fn refuses_years_that_rfc_3339_cannot_write() {
        assert_eq!(date(NaiveDate::MAX), None);
        assert_eq!(timestamp(DateTime::<Utc>::MIN_UTC), None);
    }
}
