//! What the manifest declares of the statements and upstreams that a mapping names.

use std::collections::BTreeMap;

use serde::Deserialize;
use uuk_adapter::sql::Value;

use crate::found::Found;

/// The manifest's `[sql.NAME]`, as far as a mapping needs it.
#[derive(Debug, Clone, Deserialize)]
pub struct StatementDeclaration {
    /// Types of the parameters, `text?` if they may be null.
    #[serde(default)]
    pub params: BTreeMap<String, String>,
    /// Types of the columns.
    #[serde(default)]
    pub row: BTreeMap<String, String>,
    /// How many rows there may be.
    #[serde(default)]
    pub max_rows: Option<u32>,
}

/// The manifest's `[upstream.NAME]`, as far as a mapping needs it.
#[derive(Debug, Clone, Deserialize)]
pub struct UpstreamDeclaration {
    /// The methods asked for.
    pub methods: Vec<String>,
}

/// All that the manifest declares.
#[derive(Debug, Clone, Default)]
pub struct Declared {
    /// Statements by name.
    pub statements: BTreeMap<String, StatementDeclaration>,
    /// Upstreams by name.
    pub upstreams: BTreeMap<String, UpstreamDeclaration>,
}

/// What a call needs to know of a statement.
#[derive(Deserialize)]
pub(crate) struct ParamTypes {
    #[serde(default)]
    pub(crate) params: BTreeMap<String, String>,
}

/// `found` as a parameter of the type `declared` takes it; or what is wrong with it.
pub(crate) fn typed(declared: Option<&String>, found: Found<'_>) -> Result<Value, &'static str> {
    let declared = declared.ok_or("is no parameter of the statement")?;
    let text = |found| match found {
        Found::Text(text) => Ok(text.into_owned()),
        _ => Err("is no text, as the parameter is"),
    };
    Ok(match (declared.trim_end_matches('?'), found) {
        (_, Found::Nothing) => Value::Null,
        ("boolean", Found::Boolean(boolean)) => Value::Boolean(boolean),
        ("integer", Found::Number(number)) => {
            Value::Integer(number.parse().map_err(|_| "is no whole number of 64 bits")?)
        }
        ("float", Found::Number(number)) => Value::Float(number.parse().map_err(|_| "is no number")?),
        ("decimal", Found::Number(number)) => Value::Decimal(number.into_owned()),
        ("json", Found::Json(json)) => Value::Json(json.into_owned()),
        ("text", found) => Value::Text(text(found)?),
        ("date", found) => Value::Date(text(found)?),
        ("time", found) => Value::Time(text(found)?),
        ("timestamp", found) => Value::Timestamp(text(found)?),
        ("uuid", found) => Value::Uuid(text(found)?),
        _ => return Err("is not of the parameter's type"),
    })
}
