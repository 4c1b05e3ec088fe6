//! What stands in `map.toml`, which the host gives as JSON.

use std::borrow::Cow;
use std::fmt;

use serde::de::{Error, MapAccess, SeqAccess, Visitor};
use serde::{Deserialize, Deserializer};
use serde_json::Number;

use crate::found::write_text;

/// A value of `map.toml`.
///
/// Tables are lists of members, in the author's order: they are short, and a map that is hashed would ask the host for
/// random numbers in every call.
#[derive(Debug, Clone, PartialEq)]
pub enum Node<'t> {
    /// `true`
    Boolean(bool),
    /// `7`, `0.5`
    Number(Number),
    /// `"/pin"`
    Text(Cow<'t, str>),
    /// `[1, 2]`
    List(Vec<Self>),
    /// `{ from = "/sex" }`
    Table(Members<'t>),
}

/// The members of a table.
pub type Members<'t> = Vec<(Cow<'t, str>, Node<'t>)>;

/// A text that is not copied out of what is read, if nothing in it is escaped.
#[derive(Deserialize)]
pub(crate) struct Text<'t>(#[serde(borrow)] pub(crate) Cow<'t, str>);

impl<'de> Deserialize<'de> for Node<'de> {
    fn deserialize<D: Deserializer<'de>>(input: D) -> Result<Self, D::Error> {
        input.deserialize_any(Reader)
    }
}

struct Reader;

impl<'de> Visitor<'de> for Reader {
    type Value = Node<'de>;

    fn expecting(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str("a value of TOML")
    }

    fn visit_bool<E>(self, boolean: bool) -> Result<Self::Value, E> {
        Ok(Node::Boolean(boolean))
    }

    fn visit_i64<E>(self, number: i64) -> Result<Self::Value, E> {
        Ok(Node::Number(number.into()))
    }

    fn visit_u64<E>(self, number: u64) -> Result<Self::Value, E> {
        Ok(Node::Number(number.into()))
    }

    fn visit_f64<E: Error>(self, number: f64) -> Result<Self::Value, E> {
        Number::from_f64(number).map(Node::Number).ok_or_else(|| E::custom("no number that JSON has"))
    }

    fn visit_borrowed_str<E>(self, text: &'de str) -> Result<Self::Value, E> {
        Ok(Node::Text(text.into()))
    }

    fn visit_str<E>(self, text: &str) -> Result<Self::Value, E> {
        Ok(Node::Text(text.to_owned().into()))
    }

    fn visit_seq<A: SeqAccess<'de>>(self, mut items: A) -> Result<Self::Value, A::Error> {
        let mut list = Vec::new();
        while let Some(item) = items.next_element()? {
            list.push(item);
        }
        Ok(Node::List(list))
    }

    fn visit_map<A: MapAccess<'de>>(self, mut members: A) -> Result<Self::Value, A::Error> {
        let mut table = Vec::new();
        while let Some((Text(name), value)) = members.next_entry()? {
            table.push((name, value));
        }
        Ok(Node::Table(table))
    }
}

/// As JSON.
impl fmt::Display for Node<'_> {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        let quoted = |text: &str| {
            let mut quoted = String::new();
            write_text(text, &mut quoted);
            quoted
        };
        match self {
            Self::Boolean(boolean) => write!(formatter, "{boolean}"),
            Self::Number(number) => write!(formatter, "{number}"),
            Self::Text(text) => formatter.write_str(&quoted(text)),
            Self::List(items) => {
                formatter.write_str("[")?;
                for (index, item) in items.iter().enumerate() {
                    let comma = if index > 0 { "," } else { "" };
                    write!(formatter, "{comma}{item}")?;
                }
                formatter.write_str("]")
            }
            Self::Table(members) => {
                formatter.write_str("{")?;
                for (index, (name, value)) in members.iter().enumerate() {
                    let comma = if index > 0 { "," } else { "" };
                    write!(formatter, "{comma}{}:{value}", quoted(name))?;
                }
                formatter.write_str("}")
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn is_read_and_written_in_its_order() {
        let text = r#"{"b":[1,-2,0.5,true,"\"ä"],"a":{},"é\n":[]}"#;
        let node: Node<'_> = serde_json::from_str(text).unwrap();
        assert_eq!(node.to_string(), text);
    }

    #[test]
    fn copies_no_text_that_is_not_escaped() {
        let Node::Table(members) = serde_json::from_str(r#"{"a":"/b"}"#).unwrap() else { panic!("a table") };
        assert!(matches!(members.as_slice(), [(Cow::Borrowed("a"), Node::Text(Cow::Borrowed("/b")))]));
    }
}
