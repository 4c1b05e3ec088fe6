//! Reading XML from strangers element by element: bounded in depth, without document types.

use std::borrow::Cow;

use uppsala::{Attribute, PullEvent, PullParser, QName, XmlError};

/// What SOAP bodies hold may nest; a stack of elements is all that depth costs.
const DEPTH_MAX: u32 = 256;
/// What is shown of what the parser says.
const REASON_CHARACTERS_MAX: usize = 120;

/// Why a text is not XML as messages have it.
#[derive(Debug, PartialEq, Eq)]
pub(crate) enum Malformed {
    DocumentType,
    Other { reason: String },
}

impl From<XmlError> for Malformed {
    fn from(error: XmlError) -> Self {
        let reason = error.to_string();
        // The parser has no variant for it.
        if reason.contains("forbid_dtd") {
            return Self::DocumentType;
        }
        Self::Other {
            reason: reason.chars().take(REASON_CHARACTERS_MAX).flat_map(char::escape_debug).collect(),
        }
    }
}

/// A start tag.
pub(crate) struct Tag<'t> {
    pub(crate) name: QName<'t>,
    pub(crate) namespaces: Vec<(Cow<'t, str>, Cow<'t, str>)>,
    attributes: Vec<Attribute<'t>>,
    /// Where its `<` stands.
    pub(crate) start: usize,
}

impl Tag<'_> {
    pub(crate) fn is(&self, namespace: &str, local_name: &str) -> bool {
        self.name.matches(Some(namespace), local_name)
    }

    pub(crate) fn attribute(&self, namespace: &str, local_name: &str) -> Option<&str> {
        let found =
            self.attributes.iter().find(|attribute| attribute.name.matches(Some(namespace), local_name));
        found.map(|attribute| &*attribute.value)
    }
}

/// Walks a document in its order. Offsets are of bytes in the text.
///
/// Whoever was given a child reads or skips it to its end before asking for the next.
pub(crate) struct XmlReader<'t> {
    parser: PullParser<'t>,
    /// The text before the child given last.
    pub(crate) text_before: Cow<'t, str>,
}

impl<'t> XmlReader<'t> {
    /// Enters the root element of a document.
    pub(crate) fn open(text: &'t str) -> Result<(Self, Tag<'t>), Malformed> {
        let parser = PullParser::new(text).with_max_depth(DEPTH_MAX).with_forbid_dtd(true);
        let mut reader = Self { parser, text_before: Cow::Borrowed("") };
        match reader.child()? {
            Some(root) => Ok((reader, root)),
            None => Err(no_end()),
        }
    }

    /// The next child of the current element, or of the document; `None` at its end.
    pub(crate) fn child(&mut self) -> Result<Option<Tag<'t>>, Malformed> {
        self.text_before = Cow::Borrowed("");
        loop {
            match self.parser.next_event()? {
                Some(PullEvent::StartElement {
                    name,
                    attributes,
                    namespace_declarations: namespaces,
                    byte_start: start,
                    ..
                }) => return Ok(Some(Tag { name, namespaces, attributes, start })),
                Some(PullEvent::Text { content, .. }) => self.text_before = content,
                Some(PullEvent::EndElement { .. }) | None => return Ok(None),
                Some(_) => {}
            }
        }
    }

    /// Leaves the current element: its own text, whether it had children, and where it ends.
    pub(crate) fn text(&mut self) -> Result<Text, Malformed> {
        let mut text = Text { own: String::new(), has_children: false, end: 0 };
        let mut depth = 0_usize;
        loop {
            match self.parser.next_event()?.ok_or_else(no_end)? {
                PullEvent::StartElement { .. } => {
                    text.has_children = true;
                    depth += 1;
                }
                PullEvent::EndElement { byte_end, .. } => {
                    text.end = byte_end;
                    match depth.checked_sub(1) {
                        Some(outer) => depth = outer,
                        None => return Ok(text),
                    }
                }
                PullEvent::Text { content, .. } | PullEvent::CData { content, .. } if depth == 0 => {
                    text.own.push_str(&content);
                }
                _ => {}
            }
        }
    }

    /// Leaves the current element: where it ends.
    pub(crate) fn skip(&mut self) -> Result<usize, Malformed> {
        let mut depth = 0_usize;
        loop {
            match self.parser.next_event()?.ok_or_else(no_end)? {
                PullEvent::StartElement { .. } => depth += 1,
                PullEvent::EndElement { byte_end, .. } => match depth.checked_sub(1) {
                    Some(outer) => depth = outer,
                    None => return Ok(byte_end),
                },
                _ => {}
            }
        }
    }

    /// Reads what follows the root element, where nothing may stand but comments and the like.
    pub(crate) fn close(mut self) -> Result<(), Malformed> {
        match self.child()? {
            None => Ok(()),
            Some(_) => Err(Malformed::Other { reason: "a second root element".into() }),
        }
    }
}

/// What an element held.
pub(crate) struct Text {
    pub(crate) own: String,
    pub(crate) has_children: bool,
    pub(crate) end: usize,
}

fn no_end() -> Malformed {
    Malformed::Other { reason: "the document ends early".into() }
}

/// `text` as it may stand between tags and in attributes. What XML cannot hold is left out.
pub(crate) fn escape(text: &str) -> String {
    let mut escaped = String::with_capacity(text.len());
    for character in text.chars() {
        match character {
            '&' => escaped.push_str("&amp;"),
            '<' => escaped.push_str("&lt;"),
            '>' => escaped.push_str("&gt;"),
            '"' => escaped.push_str("&quot;"),
            '\'' => escaped.push_str("&apos;"),
            '\t' | '\n' | '\r' => escaped.push(character),
            '\u{0}'..='\u{1F}' | '\u{FFFE}' | '\u{FFFF}' => {}
            _ => escaped.push(character),
        }
    }
    escaped
}
