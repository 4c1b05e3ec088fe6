//! What a path leads to, whether in a row, a request or a document.

use std::borrow::Cow;
use std::fmt::Write;

use serde_json::value::RawValue;
use uuk_adapter::sql;

use crate::decimal::is_decimal;
use crate::node::{Node, Text};

/// A value that was found. Numbers keep their digits.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Found<'a> {
    /// Null, or nothing at all.
    Nothing,
    /// True or false.
    Boolean(bool),
    /// A number, as it was written.
    Number(Cow<'a, str>),
    /// A text.
    Text(Cow<'a, str>),
    /// An object or a list, as JSON.
    Json(Cow<'a, str>),
}

impl Found<'static> {
    pub(crate) fn in_mapping(node: &Node<'_>) -> Self {
        match node {
            Node::Boolean(boolean) => Self::Boolean(*boolean),
            Node::Number(number) => Self::Number(number.to_string().into()),
            Node::Text(text) => Self::Text(text.to_string().into()),
            Node::List(_) | Node::Table(_) => Self::Json(node.to_string().into()),
        }
    }
}

impl<'a> Found<'a> {
    pub(crate) fn in_document(node: Option<&'a RawValue>) -> Self {
        let Some(text) = node.map(RawValue::get) else { return Self::Nothing };
        match text.bytes().next() {
            Some(b'"') => serde_json::from_str(text).map_or(Self::Nothing, |Text(text)| Self::Text(text)),
            Some(b'{' | b'[') => Self::Json(text.into()),
            Some(b't' | b'f') => Self::Boolean(text == "true"),
            Some(b'-' | b'0'..=b'9') => Self::Number(text.into()),
            _ => Self::Nothing,
        }
    }

    /// Nothing if the value has no place in a document: octets, and what is no number.
    pub(crate) fn in_row(value: &'a sql::Value) -> Option<Self> {
        Some(match value {
            sql::Value::Null => Self::Nothing,
            sql::Value::Boolean(boolean) => Self::Boolean(*boolean),
            sql::Value::Integer(integer) => Self::Number(integer.to_string().into()),
            sql::Value::Float(float) => {
                Self::Number(serde_json::Number::from_f64(*float)?.to_string().into())
            }
            sql::Value::Decimal(number) => Self::Number(is_decimal(number).then_some(number)?.into()),
            sql::Value::Text(text)
            | sql::Value::Date(text)
            | sql::Value::Time(text)
            | sql::Value::Timestamp(text)
            | sql::Value::Uuid(text) => Self::Text(text.into()),
            sql::Value::Json(text) => Self::in_document(serde_json::from_str(text).ok()?),
            sql::Value::Bytes(_) | sql::Value::Other(_) => return None,
        })
    }

    /// The same value.
    pub(crate) fn borrowed(&self) -> Found<'_> {
        match self {
            Self::Nothing => Found::Nothing,
            Self::Boolean(boolean) => Found::Boolean(*boolean),
            Self::Number(text) => Found::Number(Cow::Borrowed(text)),
            Self::Text(text) => Found::Text(Cow::Borrowed(text)),
            Self::Json(text) => Found::Json(Cow::Borrowed(text)),
        }
    }

    /// The value by itself, whatever it was read from.
    pub(crate) fn into_owned(self) -> Found<'static> {
        let owned = |text: Cow<'a, str>| Cow::Owned(text.into_owned());
        match self {
            Self::Nothing => Found::Nothing,
            Self::Boolean(boolean) => Found::Boolean(boolean),
            Self::Number(text) => Found::Number(owned(text)),
            Self::Text(text) => Found::Text(owned(text)),
            Self::Json(text) => Found::Json(owned(text)),
        }
    }

    /// The text of a scalar, by which codes are looked up.
    pub(crate) fn as_text(&self) -> Option<&str> {
        match self {
            Self::Nothing | Self::Json(_) => None,
            Self::Boolean(true) => Some("true"),
            Self::Boolean(false) => Some("false"),
            Self::Number(text) | Self::Text(text) => Some(text),
        }
    }

    /// Adds the value to a document.
    pub(crate) fn write(&self, document: &mut String) {
        match self {
            Self::Nothing => document.push_str("null"),
            Self::Boolean(boolean) => {
                // Writing to a text cannot fail.
                let _ = write!(document, "{boolean}");
            }
            Self::Number(text) | Self::Json(text) => document.push_str(text),
            Self::Text(text) => write_text(text, document),
        }
    }
}

/// Adds a text, quoted and escaped.
pub(crate) fn write_text(text: &str, document: &mut String) {
    let is_plain = |byte: u8| byte >= b' ' && byte != b'"' && byte != b'\\';
    if text.bytes().all(is_plain) {
        document.push('"');
        document.push_str(text);
        document.push('"');
    } else {
        document.push_str(&serde_json::to_string(text).unwrap_or_default());
    }
}
