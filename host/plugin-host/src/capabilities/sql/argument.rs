use chrono::{DateTime, NaiveDate, NaiveTime, Timelike, Utc};
use serde_json::value::RawValue;
use uuid::Uuid;
use uuk_bundle::{Scalar, ValueType};

use super::Value;

/// Longer decimals are refused; PostgreSQL declares at most this many digits.
const DECIMAL_DIGITS_MAX: usize = 1000;

/// A value on its way to a database: of the declared type, and well-formed.
#[derive(Debug, Clone)]
pub(super) enum Argument {
    /// Null of a type; of none for free SQL.
    Null(Option<Scalar>),
    Boolean(bool),
    Integer(i64),
    Float(f64),
    Decimal(String),
    Text(String),
    Bytes(Vec<u8>),
    Date(NaiveDate),
    Time(NaiveTime),
    Timestamp(DateTime<Utc>),
    Uuid(Uuid),
    Json(Box<RawValue>),
}

impl Argument {
    /// Takes `value` as what the manifest declares; nothing if it is of another type or malformed.
    pub(super) fn declared(value: Value, declared: ValueType) -> Option<Self> {
        match (declared.scalar, value) {
            (scalar, Value::Null) => declared.nullable.then_some(Self::Null(Some(scalar))),
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
            | (Scalar::Json, value @ Value::Json(_)) => Self::free(value),
            _ => None,
        }
    }

    /// Takes `value` for free SQL, where nothing is declared; nothing if it is malformed.
    pub(super) fn free(value: Value) -> Option<Self> {
        Some(match value {
            Value::Null => Self::Null(None),
            Value::Boolean(boolean) => Self::Boolean(boolean),
            Value::Integer(integer) => Self::Integer(integer),
            Value::Float(float) => Self::Float(float),
            Value::Decimal(text) => Self::Decimal(is_decimal(&text).then_some(text)?),
            Value::Text(text) => Self::Text(text),
            Value::Bytes(bytes) => Self::Bytes(bytes),
            Value::Date(text) => Self::Date(date(&text)?),
            Value::Time(text) => Self::Time(time(&text).filter(is_storable)?),
            Value::Timestamp(text) => {
                Self::Timestamp(timestamp(&text).filter(|moment| is_storable(&moment.time()))?)
            }
            Value::Uuid(text) => Self::Uuid(uuid(&text)?),
            Value::Json(text) => Self::Json(RawValue::from_string(text).ok()?),
            Value::Other(..) => return None,
        })
    }

    /// Whether `text` quotes this value, as the message of a database might.
    pub(super) fn is_quoted_in(&self, text: &str) -> bool {
        let quotes = |value: &str| !value.is_empty() && text.contains(value);
        match self {
            Self::Null(_) | Self::Boolean(_) | Self::Bytes(_) => false,
            Self::Integer(integer) => quotes(&integer.to_string()),
            Self::Float(float) => quotes(&float.to_string()),
            Self::Decimal(value) | Self::Text(value) => quotes(value),
            Self::Date(date) => quotes(&date.to_string()),
            Self::Time(time) => quotes(&time.to_string()),
            Self::Timestamp(timestamp) => quotes(&timestamp.date_naive().to_string()),
            Self::Uuid(uuid) => quotes(&uuid.to_string()),
            Self::Json(json) => quotes(json.get()),
        }
    }
}

/// Servers keep microseconds and know no leap seconds; what they would change silently is refused.
fn is_storable(time: &NaiveTime) -> bool {
    time.nanosecond() < 1_000_000_000 && time.nanosecond().is_multiple_of(1000)
}

/// `-12.50`: digits, at most one point, no exponent.
pub(super) fn is_decimal(text: &str) -> bool {
    let digits = text.strip_prefix('-').unwrap_or(text);
    let (whole, fraction) = digits.split_once('.').unwrap_or((digits, "0"));
    let are_digits = |part: &str| !part.is_empty() && part.bytes().all(|byte| byte.is_ascii_digit());
    text.len() <= DECIMAL_DIGITS_MAX && are_digits(whole) && are_digits(fraction)
}

/// `YYYY-MM-DD`, all digits written.
pub(super) fn date(text: &str) -> Option<NaiveDate> {
    let is_digit = |byte: u8| byte.is_ascii_digit();
    let [year, month, day] = [text.get(..4)?, text.get(5..7)?, text.get(8..)?];
    let dashes = [text.get(4..5)?, text.get(7..8)?];
    if text.len() != 10
        || dashes != ["-"; 2]
        || ![year, month, day].iter().all(|part| part.bytes().all(is_digit))
    {
        return None;
    }
    NaiveDate::from_ymd_opt(year.parse().ok()?, month.parse().ok()?, day.parse().ok()?)
}

/// `HH:MM:SS[.ffffff]`, all digits written.
pub(super) fn time(text: &str) -> Option<NaiveTime> {
    let (seconds, fraction) = text.split_once('.').unwrap_or((text, "0"));
    if seconds.len() != 8 || fraction.is_empty() {
        return None;
    }
    NaiveTime::parse_from_str(text, "%H:%M:%S%.f").ok()
}

/// RFC 3339, brought to UTC.
pub(super) fn timestamp(text: &str) -> Option<DateTime<Utc>> {
    Some(DateTime::parse_from_rfc3339(text).ok()?.to_utc())
}

/// The hyphenated form and no other.
pub(super) fn uuid(text: &str) -> Option<Uuid> {
    (text.len() == 36).then(|| Uuid::try_parse(text).ok()).flatten()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn accepts(scalar: Scalar, value: &Value) -> bool {
        Argument::declared(value.clone(), ValueType { scalar, nullable: false }).is_some()
    }

    /// One well-formed value of each type.
    fn one_of_each() -> Vec<(Scalar, Value)> {
        vec![
            (Scalar::Boolean, Value::Boolean(true)),
            (Scalar::Integer, Value::Integer(1)),
            (Scalar::Float, Value::Float(1.5)),
            (Scalar::Decimal, Value::Decimal("1.50".into())),
            (Scalar::Text, Value::Text("a".into())),
            (Scalar::Bytes, Value::Bytes(vec![1])),
            (Scalar::Date, Value::Date("2024-02-29".into())),
            (Scalar::Time, Value::Time("23:59:59.123456".into())),
            (Scalar::Timestamp, Value::Timestamp("2024-02-29T23:59:59.5+06:00".into())),
            (Scalar::Uuid, Value::Uuid("f81d4fae-7dec-11d0-a765-00a0c91e6bf6".into())),
            (Scalar::Json, Value::Json(r#"{"a": [1]}"#.into())),
        ]
    }

    #[test]
    fn takes_a_value_only_as_the_declared_type() {
        for (scalar, _) in one_of_each() {
            for (given, value) in one_of_each() {
                assert_eq!(accepts(scalar, &value), scalar == given, "{scalar} given {value:?}");
            }
            assert!(!accepts(scalar, &Value::Other("inet".into(), "::1".into())));
        }
    }

    #[test]
    fn takes_null_only_where_declared() {
        let null = |nullable| Argument::declared(Value::Null, ValueType { scalar: Scalar::Text, nullable });
        assert!(null(true).is_some());
        assert!(null(false).is_none());
    }

    #[track_caller]
    fn refuses(scalar: Scalar, make: fn(String) -> Value, texts: &[&str]) {
        for text in texts {
            assert!(!accepts(scalar, &make((*text).to_owned())), "{scalar} `{text}`");
        }
    }

    #[test]
    fn refuses_malformed_text() {
        let decimals = ["", "-", "1.", ".5", "1e5", "+1", "1_0", "NaN", "1.2.3", "１"];
        refuses(Scalar::Decimal, Value::Decimal, &decimals);
        let dates = ["2023-02-29", "2024-2-9", "24-02-29", "2024-02-29T00:00:00Z", "+024-02-29", ""];
        refuses(Scalar::Date, Value::Date, &dates);
        refuses(Scalar::Time, Value::Time, &["24:00:00", "23:59", "1:02:03", "23:59:59Z", "23:59:59.", ""]);
        refuses(Scalar::Timestamp, Value::Timestamp, &["2024-02-29", "2024-02-29T00:00:00", "now", ""]);
        refuses(Scalar::Uuid, Value::Uuid, &["f81d4fae7dec11d0a76500a0c91e6bf6", "f81d4fae", ""]);
        refuses(Scalar::Json, Value::Json, &["", "{", "{}{}", "nul"]);
    }

    #[test]
    fn refuses_moments_that_a_server_would_change() {
        refuses(Scalar::Time, Value::Time, &["23:59:60", "23:59:59.1234567"]);
        let timestamps = ["2016-12-31T23:59:60Z", "2024-02-29T23:59:59.123456789Z"];
        refuses(Scalar::Timestamp, Value::Timestamp, &timestamps);
    }

    #[test]
    fn refuses_decimal_of_too_many_digits() {
        assert!(accepts(Scalar::Decimal, &Value::Decimal("9".repeat(DECIMAL_DIGITS_MAX))));
        assert!(!accepts(Scalar::Decimal, &Value::Decimal("9".repeat(DECIMAL_DIGITS_MAX + 1))));
    }
}
