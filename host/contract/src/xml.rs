//! XML from strangers as a tree: no document types and so no entities, everything bounded, every element with its line.

use std::rc::Rc;

use uppsala::{PullEvent, PullParser, QName};

/// Longest name of an element or attribute, in bytes.
const NAME_BYTES_MAX: usize = 256;

/// Most attributes and namespace declarations of one element. The parser compares each with each.
const ATTRIBUTES_MAX: usize = 256;

/// What is shown of what the parser says, in characters.
const REASON_CHARACTERS_MAX: usize = 120;

/// How large and how deep a document may be.
#[derive(Debug, Clone, Copy)]
pub(crate) struct XmlLimits {
    pub(crate) depth_max: usize,
    pub(crate) elements_max: usize,
    /// Longest text of one element or attribute, in bytes.
    pub(crate) text_bytes_max: usize,
}

/// Why a text is not XML that may be read, and in which line.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct XmlFault {
    /// From 1.
    pub(crate) line: u64,
    pub(crate) kind: XmlFaultKind,
}

#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub(crate) enum XmlFaultKind {
    #[error("is not XML: {reason}")]
    Syntax { reason: String },
    #[error("has a document type, which could make any text of it")]
    DocumentType,
    #[error("is nested deeper than {depth_max} levels")]
    Depth { depth_max: usize },
    #[error("has more than {elements_max} elements")]
    Elements { elements_max: usize },
    #[error("has an element with more than {ATTRIBUTES_MAX} attributes")]
    Attributes,
    #[error("has a text longer than {bytes_max} bytes")]
    Text { bytes_max: usize },
    #[error("has a name longer than {NAME_BYTES_MAX} bytes")]
    Name,
}

/// The name of an element, attribute or type: a namespace, empty for none, and a local name.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub(crate) struct Name {
    pub(crate) namespace: String,
    pub(crate) local: String,
}

impl Name {
    pub(crate) fn new(namespace: &str, local: &str) -> Name {
        Name { namespace: namespace.to_owned(), local: local.to_owned() }
    }
}

/// An element with all it holds.
#[derive(Debug)]
pub(crate) struct Element {
    pub(crate) name: Name,
    pub(crate) attributes: Vec<(Name, String)>,
    pub(crate) children: Vec<Element>,
    /// The text directly in it, all pieces together.
    pub(crate) text: String,
    pub(crate) line: u64,
    scope: Rc<Scope>,
}

/// The prefixes that an element declares, on top of those of its parent.
#[derive(Debug)]
struct Scope {
    outer: Option<Rc<Scope>>,
    declared: Vec<(String, String)>,
}

impl Element {
    pub(crate) fn is(&self, namespace: &str, local: &str) -> bool {
        self.name.local == local && self.name.namespace == namespace
    }

    /// The attribute of this name without a namespace.
    pub(crate) fn attribute(&self, local: &str) -> Option<&str> {
        self.attribute_of("", local)
    }

    pub(crate) fn attribute_of(&self, namespace: &str, local: &str) -> Option<&str> {
        let found =
            self.attributes.iter().find(|(name, _)| name.local == local && name.namespace == namespace);
        found.map(|(_, value)| value.as_str())
    }

    /// The children of one name.
    pub(crate) fn all<'e>(&'e self, namespace: &'e str, local: &'e str) -> impl Iterator<Item = &'e Element> {
        self.children.iter().filter(move |child| child.is(namespace, local))
    }

    /// The first child of one name.
    pub(crate) fn first(&self, namespace: &str, local: &str) -> Option<&Element> {
        self.children.iter().find(|child| child.is(namespace, local))
    }

    /// The name that `text`, such as `xsd:string`, means here. `None` if its prefix is not declared.
    pub(crate) fn resolve(&self, text: &str) -> Option<Name> {
        let (prefix, local) = text.trim().split_once(':').unwrap_or(("", text.trim()));
        let mut scope = Some(&self.scope);
        while let Some(Scope { outer, declared }) = scope.map(Rc::as_ref) {
            if let Some((_, namespace)) = declared.iter().find(|(name, _)| name == prefix) {
                return Some(Name::new(namespace, local));
            }
            scope = outer.as_ref();
        }
        prefix.is_empty().then(|| Name::new("", local))
    }
}

/// Reads a document.
pub(crate) fn read(text: &str, limits: &XmlLimits) -> Result<Element, XmlFault> {
    if let Some(line) = line_with_too_many_attributes(text) {
        return Err(XmlFault { line, kind: XmlFaultKind::Attributes });
    }
    // One level more than ours, which says where.
    let depth_max = u32::try_from(limits.depth_max).unwrap_or(u32::MAX).saturating_add(1);
    let mut parser = PullParser::new(text).with_max_depth(depth_max).with_forbid_dtd(true);
    let mut tree = Tree { limits, elements: 0, open: Vec::new(), root: None };
    let mut lines = Lines { text, line: 1, at: 0 };
    loop {
        match parser.next_event() {
            Ok(Some(event)) => {
                tree.add(event, &mut lines).map_err(|kind| XmlFault { line: lines.line, kind })?;
            }
            Ok(None) => break,
            Err(error) => return Err(fault(&error, lines.line)),
        }
    }
    let no_root = XmlFaultKind::Syntax { reason: "there is no element".to_owned() };
    tree.root.ok_or(XmlFault { line: lines.line, kind: no_root })
}

fn fault(error: &uppsala::XmlError, line: u64) -> XmlFault {
    use uppsala::XmlError;
    let line = match error {
        XmlError::Parse(error) => error.line as u64,
        XmlError::WellFormedness(error) => error.line as u64,
        XmlError::Namespace(error) => error.line as u64,
        _ => line,
    };
    let reason = error.to_string();
    // The parser has no variant for it.
    let kind = if reason.contains("forbid_dtd") {
        XmlFaultKind::DocumentType
    } else {
        let reason = reason.chars().take(REASON_CHARACTERS_MAX).flat_map(char::escape_debug).collect();
        XmlFaultKind::Syntax { reason }
    };
    XmlFault { line: line.max(1), kind }
}

/// The tree as far as it has come.
struct Tree<'l> {
    limits: &'l XmlLimits,
    elements: usize,
    open: Vec<Element>,
    root: Option<Element>,
}

impl Tree<'_> {
    fn add(&mut self, event: PullEvent<'_>, lines: &mut Lines<'_>) -> Result<(), XmlFaultKind> {
        match event {
            PullEvent::StartElement { name, attributes, namespace_declarations, byte_start, .. } => {
                lines.advance(byte_start);
                let XmlLimits { depth_max, elements_max, .. } = *self.limits;
                self.elements += 1;
                if self.elements > elements_max {
                    return Err(XmlFaultKind::Elements { elements_max });
                }
                if self.open.len() >= depth_max {
                    return Err(XmlFaultKind::Depth { depth_max });
                }
                let attributes = attributes.into_iter().map(|attribute| {
                    self.check_length(&attribute.value)?;
                    Ok((owned(&attribute.name)?, attribute.value.into_owned()))
                });
                let element = Element {
                    name: owned(&name)?,
                    attributes: attributes.collect::<Result<_, XmlFaultKind>>()?,
                    children: Vec::new(),
                    text: String::new(),
                    line: lines.line,
                    scope: self.scope(&namespace_declarations),
                };
                self.open.push(element);
            }
            PullEvent::EndElement { .. } => {
                let Some(element) = self.open.pop() else { return Ok(()) };
                match self.open.last_mut() {
                    Some(parent) => parent.children.push(element),
                    None => self.root = Some(element),
                }
            }
            PullEvent::Text { content, .. } | PullEvent::CData { content, .. } => {
                let Some(element) = self.open.last_mut() else { return Ok(()) };
                element.text.push_str(&content);
                let size_bytes = element.text.len();
                if size_bytes > self.limits.text_bytes_max {
                    return Err(XmlFaultKind::Text { bytes_max: self.limits.text_bytes_max });
                }
            }
            _ => {}
        }
        Ok(())
    }

    fn check_length(&self, text: &str) -> Result<(), XmlFaultKind> {
        let bytes_max = self.limits.text_bytes_max;
        if text.len() > bytes_max { Err(XmlFaultKind::Text { bytes_max }) } else { Ok(()) }
    }

    fn scope(&self, declarations: &[(impl AsRef<str>, impl AsRef<str>)]) -> Rc<Scope> {
        let outer = self.open.last().map(|parent| Rc::clone(&parent.scope));
        match outer {
            Some(outer) if declarations.is_empty() => outer,
            outer => {
                let owned = |(prefix, namespace): &(_, _)| {
                    (AsRef::<str>::as_ref(prefix).to_owned(), AsRef::<str>::as_ref(namespace).to_owned())
                };
                Rc::new(Scope { outer, declared: declarations.iter().map(owned).collect() })
            }
        }
    }
}

fn owned(name: &QName<'_>) -> Result<Name, XmlFaultKind> {
    if name.local_name.len() > NAME_BYTES_MAX {
        return Err(XmlFaultKind::Name);
    }
    Ok(Name::new(name.namespace_uri.as_deref().unwrap_or_default(), &name.local_name))
}

/// Counts lines while the parser goes on.
struct Lines<'t> {
    text: &'t str,
    line: u64,
    at: usize,
}

impl Lines<'_> {
    fn advance(&mut self, to: usize) {
        let passed = self.text.as_bytes().get(self.at..to).unwrap_or_default();
        self.line += passed.iter().filter(|byte| **byte == b'\n').count() as u64;
        self.at = self.at.max(to);
    }
}

/// Looks at the tags before the parser does, whose time grows with the square of the attributes of one.
fn line_with_too_many_attributes(text: &str) -> Option<u64> {
    let mut rest = text;
    while let Some(start) = rest.find('<') {
        let tag = rest.get(start..)?;
        let skipped = [("<!--", "-->"), ("<![CDATA[", "]]>"), ("<?", "?>")];
        if let Some((_, end)) = skipped.iter().find(|(begin, _)| tag.starts_with(begin)) {
            rest = tag.get(tag.find(end)? + end.len()..)?;
            continue;
        }
        let (mut values, mut quote, mut size_bytes) = (0, None, tag.len());
        for (at, byte) in tag.bytes().enumerate() {
            match (quote, byte) {
                (None, b'>') => {
                    size_bytes = at + 1;
                    break;
                }
                (None, b'"' | b'\'') => {
                    quote = Some(byte);
                    values += 1;
                }
                (Some(open), byte) if open == byte => quote = None,
                _ => {}
            }
        }
        if values > ATTRIBUTES_MAX {
            let before = text.len() - tag.len();
            return Some(1 + text.bytes().take(before).filter(|byte| *byte == b'\n').count() as u64);
        }
        rest = tag.get(size_bytes..)?;
    }
    None
}

/// Whether XML can hold this character (XML 1.0 §2.2).
pub(crate) fn can_hold(character: char) -> bool {
    matches!(character, '\t' | '\n' | '\r' | '\u{20}'..='\u{D7FF}' | '\u{E000}'..='\u{FFFD}' | '\u{1_0000}'..)
}

/// Appends `text` as it stands between tags or in an attribute. White space that a reader would change is written as
/// references. Every character must be one that XML [can hold](can_hold).
pub(crate) fn escape(text: &str, xml: &mut String) {
    for character in text.chars() {
        match character {
            '&' => xml.push_str("&amp;"),
            '<' => xml.push_str("&lt;"),
            '>' => xml.push_str("&gt;"),
            '"' => xml.push_str("&quot;"),
            '\t' => xml.push_str("&#9;"),
            '\n' => xml.push_str("&#10;"),
            '\r' => xml.push_str("&#13;"),
            _ => xml.push(character),
        }
    }
}

/// `text` escaped.
pub(crate) fn escaped(text: &str) -> String {
    let mut xml = String::with_capacity(text.len());
    escape(text, &mut xml);
    xml
}

/// Whether `text` may be the name of an element: a letter or `_`, then letters, digits, `.`, `-`, `_` (Namespaces in XML §3).
pub(crate) fn is_name(text: &str) -> bool {
    text.len() <= NAME_BYTES_MAX
        && text.starts_with(|first: char| first.is_alphabetic() || first == '_')
        && text.chars().all(|character| character.is_alphanumeric() || "._-".contains(character))
}

#[cfg(test)]
mod tests {
    use super::*;

    const LIMITS: XmlLimits = XmlLimits { depth_max: 3, elements_max: 6, text_bytes_max: 300 };

    #[track_caller]
    fn check_refused(text: &str, line: u64, reason: &str) {
        let fault = read(text, &LIMITS).unwrap_err();
        assert!(fault.line == line && fault.kind.to_string().contains(reason), "{fault:?}");
    }

    #[test]
    fn reads_names_attributes_text_and_lines() {
        let root =
            read("<a xmlns='u' xmlns:p='v'\n p:x='1'>\n<p:b>&lt;<![CDATA[<]]></p:b></a>", &LIMITS).unwrap();
        assert!(root.is("u", "a") && root.line == 1);
        assert_eq!(root.attribute_of("v", "x"), Some("1"));
        let child = root.first("v", "b").unwrap();
        assert_eq!((child.text.as_str(), child.line), ("<<", 3));
        assert_eq!(child.resolve("p:c"), Some(Name::new("v", "c")));
        assert_eq!(child.resolve("c"), Some(Name::new("u", "c")));
        assert_eq!(child.resolve("q:c"), None);
    }

    #[test]
    fn refuses_a_document_type() {
        check_refused("<!DOCTYPE a [<!ENTITY b SYSTEM 'file:/etc/passwd'>]><a>&b;</a>", 1, "document type");
    }

    #[test]
    fn refuses_an_entity_that_nobody_declared() {
        check_refused("<a>\n&b;</a>", 2, "is not XML");
    }

    #[test]
    fn refuses_what_is_not_xml() {
        for text in ["", "FooBar!", "<a>", "<a></b>", "<a/><b/>", "<p:a/>", "<a b='1' b='2'/>"] {
            check_refused(text, 1, "is not XML");
        }
    }

    #[test]
    fn refuses_a_document_that_is_too_deep() {
        check_refused("<a>\n<a>\n<a>\n<a/></a></a></a>", 4, "deeper than 3");
    }

    #[test]
    fn refuses_too_many_elements() {
        check_refused(&format!("<a>{}</a>", "<b/>".repeat(6)), 1, "more than 6 elements");
    }

    #[test]
    fn refuses_a_long_text() {
        check_refused(&format!("<a>{}</a>", "x".repeat(301)), 1, "longer than 300");
        check_refused(&format!("<a b='{}'/>", "x".repeat(301)), 1, "longer than 300");
    }

    #[test]
    fn refuses_a_long_name() {
        check_refused(&format!("<{}/>", "x".repeat(257)), 1, "name longer");
    }

    #[test]
    fn refuses_too_many_attributes_at_once() {
        let attributes: String = (0..200_000).map(|index| format!(" a{index}=''")).collect();
        check_refused(&format!("<a>\n<!-- <b c='' --><b{attributes}/></a>"), 2, "256 attributes");
    }
}
