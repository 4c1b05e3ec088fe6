//! Tables whose order matters: parameters and columns.

use serde::de::{Deserializer, Error, MapAccess, Visitor};

use super::{Scalar, ValueType};

/// More parameters or columns than a statement has.
const NAMES_MAX: usize = 128;
/// The longest identifier of the databases supported is PostgreSQL's, 63 bytes.
const NAME_BYTES_MAX: usize = 63;

/// Reads `{ pin = "text", birth_date = "date?" }` in its order.
pub(super) fn typed_names<'de, D: Deserializer<'de>>(input: D) -> Result<Vec<(String, ValueType)>, D::Error> {
    input.deserialize_map(TypedNames)
}

struct TypedNames;

impl<'de> Visitor<'de> for TypedNames {
    type Value = Vec<(String, ValueType)>;

    fn expecting(&self, formatter: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        formatter.write_str("a table of names with their types, such as { pin = \"text\" }")
    }

    fn visit_map<M: MapAccess<'de>>(self, mut map: M) -> Result<Self::Value, M::Error> {
        let mut names: Self::Value = Vec::new();
        while let Some((name, value)) = map.next_entry::<String, String>()? {
            if !is_identifier(&name) {
                return Err(M::Error::custom(format_args!(
                    "`{}` is not a name: a letter or `_`, then letters, digits and `_`, {NAME_BYTES_MAX} at most",
                    name.escape_debug()
                )));
            }
            let value = parse_type(&value).ok_or_else(|| {
                M::Error::custom(format_args!(
                    "`{name}` is not of a known type; known are boolean, integer, float, decimal, text, bytes, \
                     date, time, timestamp, uuid and json, with `?` where null is allowed"
                ))
            })?;
            names.push((name, value));
            if names.len() > NAMES_MAX {
                return Err(M::Error::custom(format_args!("more than {NAMES_MAX} names")));
            }
        }
        Ok(names)
    }
}

fn is_identifier(name: &str) -> bool {
    name.len() <= NAME_BYTES_MAX
        && name.starts_with(|first: char| first.is_ascii_alphabetic() || first == '_')
        && name.bytes().all(|byte| byte.is_ascii_alphanumeric() || byte == b'_')
}

fn parse_type(text: &str) -> Option<ValueType> {
    let (scalar, nullable) = match text.strip_suffix('?') {
        Some(scalar) => (scalar, true),
        None => (text, false),
    };
    scalar.parse::<Scalar>().ok().map(|scalar| ValueType { scalar, nullable })
}
