//! Writing a document from what came.

use serde_json::value::RawValue;
use uuk_adapter::sql::{Column, Value};

use crate::expression::{Expression, Fields, Lookup, Origin};
use crate::found::{Found, write_text};
use crate::pointer::Pointer;
use crate::table::Key;

/// A value that does not fit what the mapping says of it, by the field's key. The value is not quoted: it may be
/// personal data.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("map.toml: {key}: what came {reason}")]
pub struct Unfit {
    key: String,
    reason: &'static str,
}

impl Unfit {
    pub(crate) fn new(key: &Key<'_>, reason: &'static str) -> Self {
        Self { key: key.to_string(), reason }
    }
}

/// What is being read.
#[derive(Debug, Clone, Copy)]
pub enum Scope<'a> {
    /// A row: a path is a column's name.
    Row(Row<'a>),
    /// Rows: `/rows` and `/next`.
    Rows {
        /// The columns of each.
        columns: &'a [Column],
        /// The rows of the page.
        rows: &'a [Vec<Value>],
        /// Where the next page begins, if there is one.
        next: Option<&'a Found<'a>>,
    },
    /// A document.
    Document(&'a RawValue),
}

/// One row.
#[derive(Debug, Clone, Copy)]
pub struct Row<'a> {
    /// Its columns.
    pub columns: &'a [Column],
    /// Its values, in their order.
    pub values: &'a [Value],
}

/// Reads a value in `scope`, or in the request if it is looked up there.
pub(crate) fn value_of<'a>(
    expression: &'a Expression,
    scope: Scope<'a>,
    request: &'a RawValue,
    key: &Key<'_>,
) -> Result<Found<'a>, Unfit> {
    match expression {
        Expression::Constant(value) => Ok(value.borrowed()),
        Expression::Lookup(lookup) => look_up(lookup, scope, request, key),
        Expression::Object(_) | Expression::Each(..) => {
            let mut document = String::new();
            write_expression(expression, scope, request, key, &mut document)?;
            Ok(Found::Json(document.into()))
        }
    }
}

pub(crate) fn look_up<'a>(
    lookup: &'a Lookup,
    scope: Scope<'a>,
    request: &'a RawValue,
    key: &Key<'_>,
) -> Result<Found<'a>, Unfit> {
    let scope = if lookup.origin == Origin::Request { Scope::Document(request) } else { scope };
    let unfit = |reason| Unfit::new(key, reason);
    let found = scope.find(&lookup.pointer).ok_or_else(|| unfit("has no place in a document"))?;
    lookup.convert(found).map_err(unfit)
}

/// Writes the fields as an object. What leads to nothing is left out, unless it may be null.
///
/// # Errors
/// [`Unfit`] for the first value that is not as the mapping says.
pub fn write_answer(
    fields: &Fields,
    scope: Scope<'_>,
    request: &RawValue,
    operation: &str,
) -> Result<String, Unfit> {
    let mut document = String::new();
    write_fields(fields, scope, request, &Key::new(operation).child("answer"), &mut document)?;
    Ok(document)
}

pub(crate) fn write_fields(
    fields: &Fields,
    scope: Scope<'_>,
    request: &RawValue,
    key: &Key<'_>,
    document: &mut String,
) -> Result<(), Unfit> {
    document.push('{');
    let empty = document.len();
    for (name, expression) in &fields.0 {
        let before = document.len();
        if before > empty {
            document.push(',');
        }
        write_text(name, document);
        document.push(':');
        if !write_expression(expression, scope, request, &key.child(name), document)? {
            document.truncate(before);
        }
    }
    document.push('}');
    Ok(())
}

/// Writes a value; false if there is none to write.
fn write_expression(
    expression: &Expression,
    scope: Scope<'_>,
    request: &RawValue,
    key: &Key<'_>,
    document: &mut String,
) -> Result<bool, Unfit> {
    match expression {
        Expression::Object(fields) => write_fields(fields, scope, request, key, document)?,
        Expression::Each(list, item) => {
            document.push('[');
            for (index, scope) in scope.items(list).into_iter().enumerate() {
                if index > 0 {
                    document.push(',');
                }
                write_fields(item, scope, request, &key.child("item"), document)?;
            }
            document.push(']');
        }
        Expression::Constant(value) => value.write(document),
        Expression::Lookup(lookup) => {
            let found = look_up(lookup, scope, request, key)?;
            if found == Found::Nothing && !lookup.nullable {
                return Ok(false);
            }
            found.write(document);
        }
    }
    Ok(true)
}

impl<'a> Scope<'a> {
    /// What `pointer` leads to; nothing at all if that has no place in a document.
    fn find(self, pointer: &Pointer) -> Option<Found<'a>> {
        match self {
            Self::Row(row) => {
                let column =
                    row.columns.iter().position(|column| Some(column.name.as_str()) == pointer.name());
                match column.and_then(|index| row.values.get(index)) {
                    Some(value) => Found::in_row(value),
                    None => Some(Found::Nothing),
                }
            }
            Self::Rows { next, .. } => Some(match (pointer.name(), next) {
                (Some("next"), Some(next)) => next.clone(),
                _ => Found::Nothing,
            }),
            Self::Document(document) => Some(Found::in_document(pointer.find(document))),
        }
    }

    /// The items of a list. One thing that is no list is a list of one, as documents that were made from XML have it.
    pub(crate) fn items(self, list: &Pointer) -> Vec<Self> {
        match self {
            Self::Row(_) => Vec::new(),
            Self::Rows { columns, rows, .. } if list.name() == Some("rows") => {
                rows.iter().map(|values| Self::Row(Row { columns, values })).collect()
            }
            Self::Rows { .. } => Vec::new(),
            Self::Document(document) => match list.find(document) {
                None => Vec::new(),
                Some(node) if node.get() == "null" => Vec::new(),
                Some(node) => match serde_json::from_str::<Vec<&RawValue>>(node.get()) {
                    Ok(items) => items.into_iter().map(Self::Document).collect(),
                    Err(_) => vec![Self::Document(node)],
                },
            },
        }
    }
}
