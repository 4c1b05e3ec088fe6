//! Reading JSON strictly: nothing twice, nothing too deep, too long or too many, and every refusal says where.

use std::borrow::Cow;
use std::fmt;

use serde::de::{DeserializeSeed, Deserializer, MapAccess, SeqAccess, Visitor};
use serde_json::{Map, Number, Value, map::Entry};

use crate::limits::Limits;
use crate::problem::FieldProblem;

/// Longest name of a member, in bytes. Names end up in pointers, and pointers in answers and logs.
const NAME_BYTES_MAX: usize = 256;

/// Longest text quoted in an error or shown in a pointer, in bytes.
const EXCERPT_BYTES_MAX: usize = 512;

/// Why a text is not JSON that may be read, and where.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct JsonFault {
    /// JSON Pointer of the value at fault.
    pub(crate) pointer: String,
    pub(crate) kind: JsonFaultKind,
}

/// What is wrong at the pointer of a [`JsonFault`].
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error, strum::IntoStaticStr)]
#[strum(serialize_all = "camelCase")]
pub(crate) enum JsonFaultKind {
    #[error("is not UTF-8")]
    Encoding,
    #[error("is not JSON, at line {line}, column {column}")]
    Syntax { line: usize, column: usize },
    #[error("is given twice")]
    Duplicate,
    #[error("is nested deeper than {depth_max} levels")]
    Depth { depth_max: usize },
    #[error("exceeds the {elements_max} members and items of one document")]
    Elements { elements_max: usize },
    #[error("is longer than {bytes_max} bytes")]
    Length { bytes_max: usize },
    #[error("has a name longer than {NAME_BYTES_MAX} bytes")]
    Name,
    #[error("is not a finite number")]
    Number,
}

impl From<JsonFault> for FieldProblem {
    fn from(fault: JsonFault) -> FieldProblem {
        let code: &'static str = fault.kind.into();
        FieldProblem::new(&fault.pointer, code, fault.kind.to_string())
    }
}

/// Reads one JSON value that fills `bytes`.
pub(crate) fn read(bytes: &[u8], limits: &Limits) -> Result<Value, JsonFault> {
    let mut reader = Reader::new(limits);
    let Ok(text) = std::str::from_utf8(bytes) else {
        return Err(reader.fault(JsonFaultKind::Encoding));
    };
    let mut source = serde_json::Deserializer::from_str(text);
    reader
        .read(&mut source)
        .and_then(|value| source.end().map(|()| value))
        .map_err(|error| reader.fault(JsonFaultKind::Syntax { line: error.line(), column: error.column() }))
}

/// Reads a value from any self-describing source, and remembers what was wrong and where.
pub(crate) struct Reader<'l> {
    limits: &'l Limits,
    elements: usize,
    /// Steps to the value at fault, innermost first. They are collected while an error unwinds, so that a
    /// document without fault pays nothing for them.
    path: Vec<String>,
    kind: Option<JsonFaultKind>,
}

impl<'l> Reader<'l> {
    pub(crate) fn new(limits: &'l Limits) -> Self {
        Self { limits, elements: 0, path: Vec::new(), kind: None }
    }

    /// Reads one value. After an error, [`Reader::fault`] says what and where.
    pub(crate) fn read<'de, D: Deserializer<'de>>(&mut self, source: D) -> Result<Value, D::Error> {
        Level { reader: self, depth: 0 }.deserialize(source)
    }

    /// What was wrong: a bound or rule of ours if one was broken, otherwise `syntax`.
    pub(crate) fn fault(&self, syntax: JsonFaultKind) -> JsonFault {
        let pointer = self.path.iter().rev().fold(String::new(), |mut pointer, step| {
            push_step(&mut pointer, step);
            pointer
        });
        JsonFault { pointer, kind: self.kind.unwrap_or(syntax) }
    }

    fn refuse<E: serde::de::Error>(&mut self, kind: JsonFaultKind) -> E {
        self.kind = Some(kind);
        E::custom(kind)
    }

    fn count_element<E: serde::de::Error>(&mut self) -> Result<(), E> {
        self.elements += 1;
        let elements_max = self.limits.elements_max;
        if self.elements > elements_max {
            return Err(self.refuse(JsonFaultKind::Elements { elements_max }));
        }
        Ok(())
    }

    fn check_length<E: serde::de::Error>(&mut self, text: &str) -> Result<(), E> {
        let bytes_max = self.limits.string_bytes_max;
        if text.len() > bytes_max {
            return Err(self.refuse(JsonFaultKind::Length { bytes_max }));
        }
        Ok(())
    }
}

/// One value about to be read, inside `depth` objects and arrays.
struct Level<'r, 'l> {
    reader: &'r mut Reader<'l>,
    depth: usize,
}

impl<'r, 'l> Level<'r, 'l> {
    fn enter<E: serde::de::Error>(self) -> Result<(&'r mut Reader<'l>, usize), E> {
        let depth_max = self.reader.limits.depth_max;
        if self.depth >= depth_max {
            return Err(self.reader.refuse(JsonFaultKind::Depth { depth_max }));
        }
        Ok((self.reader, self.depth + 1))
    }
}

impl<'de> DeserializeSeed<'de> for Level<'_, '_> {
    type Value = Value;

    fn deserialize<D: Deserializer<'de>>(self, source: D) -> Result<Value, D::Error> {
        source.deserialize_any(self)
    }
}

impl<'de> Visitor<'de> for Level<'_, '_> {
    type Value = Value;

    fn expecting(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str("a JSON value")
    }

    fn visit_unit<E>(self) -> Result<Value, E> {
        Ok(Value::Null)
    }

    fn visit_none<E>(self) -> Result<Value, E> {
        Ok(Value::Null)
    }

    fn visit_some<D: Deserializer<'de>>(self, source: D) -> Result<Value, D::Error> {
        self.deserialize(source)
    }

    fn visit_bool<E>(self, value: bool) -> Result<Value, E> {
        Ok(Value::Bool(value))
    }

    fn visit_i64<E>(self, value: i64) -> Result<Value, E> {
        Ok(Value::Number(value.into()))
    }

    fn visit_u64<E>(self, value: u64) -> Result<Value, E> {
        Ok(Value::Number(value.into()))
    }

    fn visit_f64<E: serde::de::Error>(self, value: f64) -> Result<Value, E> {
        match Number::from_f64(value) {
            Some(number) => Ok(Value::Number(number)),
            None => Err(self.reader.refuse(JsonFaultKind::Number)),
        }
    }

    fn visit_str<E: serde::de::Error>(self, text: &str) -> Result<Value, E> {
        self.reader.check_length(text)?;
        Ok(Value::String(text.to_owned()))
    }

    fn visit_string<E: serde::de::Error>(self, text: String) -> Result<Value, E> {
        self.reader.check_length(&text)?;
        Ok(Value::String(text))
    }

    fn visit_seq<A: SeqAccess<'de>>(self, mut source: A) -> Result<Value, A::Error> {
        let (reader, depth) = self.enter()?;
        let mut items = Vec::new();
        loop {
            match source.next_element_seed(Level { reader, depth }) {
                Ok(Some(item)) => items.push(item),
                Ok(None) => return Ok(Value::Array(items)),
                Err(error) => {
                    reader.path.push(items.len().to_string());
                    return Err(error);
                }
            }
            reader.count_element()?;
        }
    }

    fn visit_map<A: MapAccess<'de>>(self, mut source: A) -> Result<Value, A::Error> {
        let (reader, depth) = self.enter()?;
        let mut members = Map::new();
        while let Some(name) = source.next_key::<String>()? {
            if name.len() > NAME_BYTES_MAX {
                return Err(reader.refuse(JsonFaultKind::Name));
            }
            reader.count_element()?;
            match members.entry(name) {
                Entry::Occupied(entry) => {
                    reader.path.push(entry.key().clone());
                    return Err(reader.refuse(JsonFaultKind::Duplicate));
                }
                Entry::Vacant(entry) => match source.next_value_seed(Level { reader, depth }) {
                    Ok(value) => {
                        entry.insert(value);
                    }
                    Err(error) => {
                        reader.path.push(entry.key().clone());
                        return Err(error);
                    }
                },
            }
        }
        Ok(Value::Object(members))
    }
}

/// Appends one step to a JSON Pointer (RFC 6901 §3).
pub(crate) fn push_step(pointer: &mut String, step: &str) {
    pointer.push('/');
    for character in step.chars() {
        match character {
            '~' => pointer.push_str("~0"),
            '/' => pointer.push_str("~1"),
            other => pointer.push(other),
        }
    }
}

/// `text`, cut to a length fit for messages and logs.
pub(crate) fn excerpt(text: &str) -> Cow<'_, str> {
    if text.len() <= EXCERPT_BYTES_MAX {
        return Cow::Borrowed(text);
    }
    let cut = text.floor_char_boundary(EXCERPT_BYTES_MAX);
    Cow::Owned(format!("{}…", text.get(..cut).unwrap_or_default()))
}

#[cfg(test)]
mod tests {
    use super::*;

    const LIMITS: Limits = Limits {
        path_bytes_max: 0,
        query_bytes_max: 0,
        body_bytes_max: 0,
        depth_max: 3,
        elements_max: 6,
        string_bytes_max: 8,
    };

    #[track_caller]
    fn check_refused(text: &[u8], pointer: &str, kind: JsonFaultKind) {
        assert_eq!(read(text, &LIMITS), Err(JsonFault { pointer: pointer.to_owned(), kind }));
    }

    #[test]
    fn reads_what_the_ordinary_reader_reads() {
        let text = r#"{"a":[1,-2,2.5],"b":{"c":null}}"#;
        assert_eq!(read(text.as_bytes(), &LIMITS), Ok(serde_json::from_str(text).unwrap()));
    }

    #[test]
    fn refuses_a_member_given_twice() {
        check_refused(br#"{"a":{"b":1,"b":1}}"#, "/a/b", JsonFaultKind::Duplicate);
    }

    #[test]
    fn sees_through_escapes_of_a_member_given_twice() {
        check_refused(br#"{"b":1,"\u0062":1}"#, "/b", JsonFaultKind::Duplicate);
    }

    #[test]
    fn refuses_nesting_beyond_the_limit() {
        assert!(read(b"[[[1]]]", &LIMITS).is_ok());
        check_refused(b"[[[[1]]]]", "/0/0/0", JsonFaultKind::Depth { depth_max: 3 });
    }

    #[test]
    fn refuses_more_elements_than_the_limit() {
        assert!(read(b"[1,2,3,4,5,6]", &LIMITS).is_ok());
        check_refused(b"[1,2,3,4,5,6,7]", "", JsonFaultKind::Elements { elements_max: 6 });
    }

    #[test]
    fn refuses_a_string_beyond_the_limit() {
        check_refused(br#"{"a":"123456789"}"#, "/a", JsonFaultKind::Length { bytes_max: 8 });
    }

    #[test]
    fn refuses_a_name_beyond_the_limit() {
        let text = format!(r#"{{"{}":1}}"#, "n".repeat(NAME_BYTES_MAX + 1));
        check_refused(text.as_bytes(), "", JsonFaultKind::Name);
    }

    #[test]
    fn refuses_what_is_not_utf_8() {
        check_refused(b"\"\xff\"", "", JsonFaultKind::Encoding);
    }

    #[test]
    fn names_the_member_with_the_syntax_error() {
        check_refused(br#"{"a":{"b":tru}}"#, "/a/b", JsonFaultKind::Syntax { line: 1, column: 14 });
    }

    #[test]
    fn refuses_what_follows_the_value() {
        check_refused(b"1 2", "", JsonFaultKind::Syntax { line: 1, column: 3 });
    }

    #[test]
    fn refuses_numbers_json_does_not_have() {
        for text in ["NaN", "+1", "01", "1.", ".5", "0x1", "Infinity", "1e999"] {
            let fault = read(text.as_bytes(), &LIMITS).unwrap_err();
            assert!(matches!(fault.kind, JsonFaultKind::Syntax { .. }), "{text}: {fault:?}");
        }
    }

    #[test]
    fn escapes_the_steps_of_a_pointer() {
        check_refused(br#"{"a/b~c":nul}"#, "/a~1b~0c", JsonFaultKind::Syntax { line: 1, column: 13 });
    }
}
