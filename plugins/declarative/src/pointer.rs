//! JSON Pointers (RFC 6901) into documents whose text is kept.

use std::fmt;

use serde::de::{DeserializeSeed, IgnoredAny, MapAccess, SeqAccess, Visitor};
use serde_json::value::RawValue;

use crate::node::Text;

const SEGMENTS_MAX: usize = 16;

/// A path into a document: `/address/region`. The empty one is the document itself.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Pointer {
    segments: Vec<String>,
}

impl Pointer {
    /// Reads a pointer; nothing if `text` is none, or longer than any document is deep.
    pub fn parse(text: &str) -> Option<Self> {
        if text.is_empty() {
            return Some(Self { segments: Vec::new() });
        }
        let segments = text.strip_prefix('/')?.split('/').map(unescaped).collect::<Option<Vec<_>>>()?;
        (segments.len() <= SEGMENTS_MAX).then_some(Self { segments })
    }

    /// The one segment of a pointer that has one: a column of a row.
    pub fn name(&self) -> Option<&str> {
        match self.segments.as_slice() {
            [name] => Some(name),
            _ => None,
        }
    }

    /// What is in `document` where this leads; nothing if it leads nowhere.
    pub(crate) fn find<'a>(&self, document: &'a RawValue) -> Option<&'a RawValue> {
        self.segments.iter().try_fold(document, |node, segment| {
            let mut reader = serde_json::Deserializer::from_str(node.get());
            Member(segment).deserialize(&mut reader).ok().flatten()
        })
    }
}

/// `~1` stands for a slash and `~0` for a tilde.
fn unescaped(segment: &str) -> Option<String> {
    if !segment.contains('~') {
        return Some(segment.to_owned());
    }
    let stray = segment.split('~').skip(1).any(|rest| !rest.starts_with(['0', '1']));
    (!stray).then(|| segment.replace("~1", "/").replace("~0", "~"))
}

/// Reads one member of an object, or one item of a list, and skips the others. Numbers keep their digits.
struct Member<'s>(&'s str);

impl<'de> DeserializeSeed<'de> for Member<'_> {
    type Value = Option<&'de RawValue>;

    fn deserialize<D: serde::Deserializer<'de>>(self, input: D) -> Result<Self::Value, D::Error> {
        input.deserialize_any(self)
    }
}

impl<'de> Visitor<'de> for Member<'_> {
    type Value = Option<&'de RawValue>;

    fn expecting(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str("an object or a list")
    }

    fn visit_map<A: MapAccess<'de>>(self, mut members: A) -> Result<Self::Value, A::Error> {
        let mut found = None;
        while let Some(Text(name)) = members.next_key()? {
            if name == self.0 {
                found = Some(members.next_value()?);
            } else {
                members.next_value::<IgnoredAny>()?;
            }
        }
        Ok(found)
    }

    fn visit_seq<A: SeqAccess<'de>>(self, mut items: A) -> Result<Self::Value, A::Error> {
        let mut found = None;
        let mut index = 0_usize;
        while let Some(item) = items.next_element::<&RawValue>()? {
            if index.to_string() == self.0 {
                found = Some(item);
            }
            index += 1;
        }
        Ok(found)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn found(pointer: &str, document: &str) -> Option<String> {
        let document: &RawValue = serde_json::from_str(document).unwrap();
        Pointer::parse(pointer).unwrap().find(document).map(|found| found.get().to_owned())
    }

    #[test]
    fn leads_through_objects_and_lists() {
        let document = r#"{"a":{"b/c":[1,{"d~":12.500}]},"e":null}"#;
        assert_eq!(found("/a/b~1c/1/d~0", document).as_deref(), Some("12.500"));
        assert_eq!(found("/e", document).as_deref(), Some("null"));
        assert_eq!(found("", "7").as_deref(), Some("7"));
    }

    #[test]
    fn leads_nowhere_without_complaint() {
        for pointer in ["/x", "/a/b", "/a/0", "/list/2", "/list/x", "/list/00"] {
            assert_eq!(found(pointer, r#"{"a":7,"list":[1,2]}"#), None, "{pointer}");
        }
    }

    #[test]
    fn refuses_what_is_no_pointer() {
        for text in ["a", "a/b", "/~", "/a~2b", &"/a".repeat(SEGMENTS_MAX + 1)] {
            assert_eq!(Pointer::parse(text), None, "{text}");
        }
    }
}
