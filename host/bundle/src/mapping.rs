//! The part `map.toml`: a mapping, which the fixed component `plugins/declarative` runs.
//!
//! What its tables mean is the component's matter. Here they are read, and put beside what the manifest declares of the
//! statements and upstreams that they name: the host gives both to the component as its configuration.

use serde_json::{Map, Value};

use crate::error::BundleError;
use crate::manifest::{Manifest, location, shorten};

/// The mapping, in bundles that have one.
pub const MAPPING: &str = "map.toml";

/// The tables of a mapping as `map.NAME`, and those of the manifest's statements and upstreams as `sql.NAME` and
/// `upstream.NAME`.
pub(crate) fn tables(manifest: &[u8], mapping: &[u8]) -> Result<Map<String, Value>, BundleError> {
    let mut tables = Map::new();
    for (name, table) in read(mapping)? {
        tables.insert(format!("map.{name}"), json(&name, table)?);
    }
    let mut manifest = read(manifest)?;
    for section in ["sql", "upstream"] {
        if let Some(toml::Value::Table(declarations)) = manifest.remove(section) {
            for (name, declaration) in declarations {
                tables.insert(format!("{section}.{name}"), json(&name, declaration)?);
            }
        }
    }
    Ok(tables)
}

fn read(bytes: &[u8]) -> Result<toml::Table, BundleError> {
    let wrong = |reason: String| BundleError::Mapping { reason };
    if bytes.len() > Manifest::BYTES_MAX {
        return Err(wrong(format!("it is larger than {} bytes", Manifest::BYTES_MAX)));
    }
    let text = std::str::from_utf8(bytes).map_err(|_| wrong("it is not in UTF-8".to_owned()))?;
    toml::from_str(text).map_err(|error| {
        let at = location(text, error.span().map_or(0, |span| span.start));
        wrong(format!("{at}: {}", shorten(error.message())))
    })
}

/// As JSON, which has neither dates nor numbers that are none.
fn json(key: &str, value: toml::Value) -> Result<Value, BundleError> {
    let wrong = |what| BundleError::Mapping { reason: format!("`{}` is {what}", shorten(key)) };
    Ok(match value {
        toml::Value::String(text) => Value::String(text),
        toml::Value::Integer(number) => Value::from(number),
        toml::Value::Float(number) => {
            let number = serde_json::Number::from_f64(number);
            Value::Number(number.ok_or_else(|| wrong("no number that an answer can hold"))?)
        }
        toml::Value::Boolean(boolean) => Value::Bool(boolean),
        toml::Value::Datetime(_) => return Err(wrong("a date of TOML: write it as text, in quotes")),
        toml::Value::Array(items) => {
            Value::Array(items.into_iter().map(|item| json(key, item)).collect::<Result<_, _>>()?)
        }
        toml::Value::Table(members) => {
            let member = |(name, value): (String, _)| json(&name, value).map(|value| (name, value));
            Value::Object(members.into_iter().map(member).collect::<Result<_, _>>()?)
        }
    })
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;
    use crate::sample::MANIFEST;

    #[track_caller]
    fn refuses(mapping: &[u8], reason: &str) {
        let error = tables(MANIFEST.as_bytes(), mapping).unwrap_err();
        assert_eq!(error.code(), "bundle.mapping");
        assert!(error.to_string().contains(reason), "{error}");
    }

    #[test]
    fn gives_the_mapping_beside_what_the_manifest_declares() {
        let tables = tables(MANIFEST.as_bytes(), b"get.row = 'find-person'\ncodes.sex.1 = true").unwrap();
        let names: Vec<_> = tables.keys().collect();
        assert_eq!(names, ["map.get", "map.codes", "sql.find-person"]);
        assert_eq!(tables["map.get"], json!({ "row": "find-person" }));
        assert_eq!(tables["sql.find-person"]["params"], json!({ "pin": "text" }));
    }

    #[test]
    fn refuses_what_is_not_toml_with_its_place() {
        refuses(b"\nget = ", "map.toml: 2:7: ");
    }

    #[test]
    fn refuses_text_of_another_encoding() {
        refuses(b"a = '\xff'", "not in UTF-8");
    }

    #[test]
    fn refuses_a_mapping_that_is_too_large() {
        refuses(&b" ".repeat(Manifest::BYTES_MAX + 1), "larger than 262144 bytes");
    }

    #[test]
    fn refuses_dates_of_toml() {
        refuses(b"get.answer.born = { value = 1999-12-31 }", "`value` is a date of TOML");
    }

    #[test]
    fn refuses_numbers_that_are_none() {
        refuses(b"get.answer.sum = nan", "`sum` is no number");
    }
}
