//! Capability `config`: values the agency set, checked against the manifest's schema before the plugin runs; or the
//! mapping that the bundle brings.

use std::collections::BTreeMap;

use serde_json::{Map, Value};

/// A configuration that fits its schema.
#[derive(Debug, Clone)]
pub struct Configuration {
    document: String,
    texts: BTreeMap<String, String>,
}

/// Why a configuration is refused.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum ConfigurationError {
    /// The schema in the bundle is not JSON Schema.
    #[error("the bundle's configuration schema is not valid: {reason}")]
    Schema {
        /// Why.
        reason: String,
    },
    /// A value does not fit.
    #[error("configuration does not fit the schema at `{pointer}`")]
    Value {
        /// JSON Pointer of the first bad value.
        pointer: String,
    },
    /// Values are given and the bundle has no schema for them.
    #[error("configuration is given, but the bundle declares none")]
    Undeclared,
}

impl Configuration {
    /// Checks `values` against `schema`.
    ///
    /// # Errors
    /// [`ConfigurationError`] names the first value that does not fit.
    pub fn new(schema: Option<&[u8]>, values: Value) -> Result<Self, ConfigurationError> {
        let values = if values.is_null() { Value::Object(Map::new()) } else { values };
        match schema {
            None if values.as_object().is_some_and(Map::is_empty) => {}
            None => return Err(ConfigurationError::Undeclared),
            Some(schema) => check(schema, &values)?,
        }
        Ok(Self { document: values.to_string(), texts: texts(values.as_object().into_iter().flatten()) })
    }

    /// The tables of a bundle's mapping: signed with it, and nobody's to set.
    pub(crate) fn of_mapping(tables: &Map<String, Value>) -> Self {
        Self { document: Value::Object(tables.clone()).to_string(), texts: texts(tables) }
    }

    /// One value: text as it is, anything else as JSON.
    pub(crate) fn get(&self, key: &str) -> Option<String> {
        self.texts.get(key).cloned()
    }

    /// Everything, as one JSON object.
    pub(crate) fn document(&self) -> &str {
        &self.document
    }
}

fn texts<'a>(values: impl IntoIterator<Item = (&'a String, &'a Value)>) -> BTreeMap<String, String> {
    let text = |value: &Value| value.as_str().map_or_else(|| value.to_string(), str::to_owned);
    values.into_iter().map(|(key, value)| (key.clone(), text(value))).collect()
}

fn check(schema: &[u8], values: &Value) -> Result<(), ConfigurationError> {
    let invalid = |reason: String| ConfigurationError::Schema { reason };
    let schema: Value = serde_json::from_slice(schema).map_err(|error| invalid(error.to_string()))?;
    let validator = jsonschema::validator_for(&schema).map_err(|error| invalid(error.to_string()))?;
    match validator.iter_errors(values).next() {
        None => Ok(()),
        Some(error) => Err(ConfigurationError::Value { pointer: error.instance_path().as_str().to_owned() }),
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    const SCHEMA: &[u8] =
        br#"{"type":"object","properties":{"region":{"type":"string"}},"additionalProperties":false}"#;

    #[test]
    fn gives_text_as_it_is() {
        let configuration = Configuration::new(Some(SCHEMA), json!({ "region": "Osh" })).unwrap();
        assert_eq!(configuration.get("region").as_deref(), Some("Osh"));
        assert_eq!(configuration.get("other"), None);
    }

    #[test]
    fn refuses_a_value_outside_the_schema() {
        let error = Configuration::new(Some(SCHEMA), json!({ "region": 7 })).unwrap_err();
        assert!(matches!(error, ConfigurationError::Value { pointer } if pointer == "/region"));
    }

    #[test]
    fn refuses_values_that_the_bundle_does_not_declare() {
        let error = Configuration::new(None, json!({ "region": "Osh" })).unwrap_err();
        assert!(matches!(error, ConfigurationError::Undeclared));
    }
}
