//! Reading X-Road's XML files by local name: bounded, without document types, and naming the line of every fault.

#[cfg(test)]
mod tests;

use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use jiff::Timestamp;
use jiff::civil::DateTime;
use jiff::tz::TimeZone;
use uppsala::{Document, NodeId};
use uuk_identifiers::{ClientId, MemberId, SubsystemId};

/// The namespace of the root elements.
pub(crate) const XROAD: &str = "http://x-road.eu/xsd/xroad.xsd";
/// The namespace of what is inside an identifier.
pub(crate) const IDENTIFIERS: &str = "http://x-road.eu/xsd/identifiers";

/// The shared parameters of the largest instances are some 5 MiB.
const FILE_BYTES_MAX: usize = 32 << 20;
/// The files nest six levels.
const DEPTH_MAX: u32 = 16;
/// As much of a name or a reason as an error quotes.
const QUOTED_CHARS_MAX: usize = 100;

/// Why a file of the global configuration is refused; the one in force stays.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error, strum::IntoStaticStr)]
#[strum(serialize_all = "snake_case", prefix = "parameters.")]
#[non_exhaustive]
pub enum ParametersError {
    /// Larger than any configuration.
    #[error("the file is larger than {bytes_max} bytes")]
    TooLarge {
        /// The limit.
        bytes_max: usize,
    },
    /// Not UTF-8, or said to be something else.
    #[error("the file is not in UTF-8")]
    NotUtf8,
    /// Documents with a type can pull in others; none here has one.
    #[error("the file has a document type")]
    DocumentType,
    /// Not well-formed XML, or nested deeper than any configuration.
    #[error("the file is not well-formed: {reason}")]
    Malformed {
        /// In the words of the parser.
        reason: String,
    },
    /// The file is of another kind.
    #[error("the file is not `{expected}` of X-Road")]
    WrongRoot {
        /// The element it should begin with.
        expected: &'static str,
    },
    /// Something is not there.
    #[error("line {line}: `{element}` is missing")]
    Missing {
        /// Where its parent begins.
        line: usize,
        /// What is missing.
        element: &'static str,
    },
    /// Something stands twice, and readers could take different ones.
    #[error("line {line}: `{element}` stands twice")]
    Twice {
        /// Where its parent begins.
        line: usize,
        /// What stands twice.
        element: &'static str,
    },
    /// An element that has no place here.
    #[error("line {line}: `{element}` has no place here")]
    Unexpected {
        /// Where it begins.
        line: usize,
        /// Its name, cut.
        element: String,
    },
    /// A value of the wrong form.
    #[error("line {line}: expected {expected}")]
    WrongValue {
        /// Where it stands.
        line: usize,
        /// What should be there, in words.
        expected: &'static str,
    },
    /// A server names an owner or client that is no member or subsystem in the file.
    #[error("line {line}: no member or subsystem has the id `{id}`")]
    UnknownReference {
        /// Where the reference stands.
        line: usize,
        /// What it refers to, cut.
        id: String,
    },
    /// Two members or subsystems with the same `id`.
    #[error("line {line}: the id `{id}` stands twice")]
    DuplicateId {
        /// Where the second stands.
        line: usize,
        /// The id, cut.
        id: String,
    },
}

impl ParametersError {
    /// The stable code: `parameters.missing`.
    pub fn code(&self) -> &'static str {
        self.into()
    }

    /// What X-Road calls all of these.
    pub fn xroad_code(&self) -> &'static str {
        "malformed_global_conf"
    }
}

pub(crate) fn parse(bytes: &[u8]) -> Result<Document<'_>, ParametersError> {
    if bytes.len() > FILE_BYTES_MAX {
        return Err(ParametersError::TooLarge { bytes_max: FILE_BYTES_MAX });
    }
    let text = std::str::from_utf8(bytes).map_err(|_| ParametersError::NotUtf8)?;
    if text.contains("<!DOCTYPE") {
        return Err(ParametersError::DocumentType);
    }
    let document = uppsala::Parser::new()
        .with_max_depth(DEPTH_MAX)
        .with_forbid_dtd(true)
        .parse(text)
        .map_err(|error| ParametersError::Malformed { reason: cut(&error.to_string()) })?;
    let encoding = document.xml_declaration.as_ref().and_then(|declaration| declaration.encoding.as_deref());
    if encoding.is_some_and(|encoding| !encoding.eq_ignore_ascii_case("utf-8")) {
        return Err(ParametersError::NotUtf8);
    }
    Ok(document)
}

pub(crate) fn cut(text: &str) -> String {
    text.chars().take(QUOTED_CHARS_MAX).collect()
}

/// An element. What is asked for is looked up by local name among its children, in any order.
#[derive(Clone, Copy)]
pub(crate) struct Element<'d> {
    document: &'d Document<'d>,
    node: NodeId,
}

impl<'d> Element<'d> {
    /// The root, if it is `name` of X-Road.
    pub(crate) fn root(document: &'d Document<'d>, name: &'static str) -> Result<Self, ParametersError> {
        let node = document.document_element().filter(|node| {
            document.element(*node).is_some_and(|element| element.matches_name_ns(XROAD, name))
        });
        let node = node.ok_or(ParametersError::WrongRoot { expected: name })?;
        Ok(Self { document, node })
    }

    pub(crate) fn line(&self) -> usize {
        self.document.node_line(self.node)
    }

    fn name(&self) -> &'d str {
        self.document.element(self.node).map_or("", |element| &*element.name.local_name)
    }

    fn children(&self) -> impl Iterator<Item = Element<'d>> + use<'d> {
        let document = self.document;
        let elements = document.children_iter(self.node).filter(|node| document.element(*node).is_some());
        elements.map(move |node| Element { document, node })
    }

    /// All children called `name`.
    pub(crate) fn all(&self, name: &'static str) -> impl Iterator<Item = Element<'d>> + use<'d> {
        self.children().filter(move |child| child.name() == name)
    }

    /// The child called `name`, if there is one, and only one.
    pub(crate) fn optional(&self, name: &'static str) -> Result<Option<Element<'d>>, ParametersError> {
        let mut found = self.all(name);
        match (found.next(), found.next()) {
            (child, None) => Ok(child),
            (_, Some(_)) => Err(ParametersError::Twice { line: self.line(), element: name }),
        }
    }

    /// The one child called `name`.
    pub(crate) fn required(&self, name: &'static str) -> Result<Element<'d>, ParametersError> {
        self.optional(name)?.ok_or(ParametersError::Missing { line: self.line(), element: name })
    }

    /// Refuses children that are not called one of `names`.
    pub(crate) fn only(&self, names: &[&str]) -> Result<(), ParametersError> {
        match self.children().find(|child| !names.contains(&child.name())) {
            None => Ok(()),
            Some(child) => {
                Err(ParametersError::Unexpected { line: child.line(), element: cut(child.name()) })
            }
        }
    }

    /// The attribute with this local name.
    pub(crate) fn attribute(&self, name: &str) -> Option<&'d str> {
        let element = self.document.element(self.node)?;
        let mut attributes = element.attributes.iter();
        attributes.find(|attribute| attribute.name.local_name == name).map(|attribute| &*attribute.value)
    }

    /// The text of this element, exactly.
    pub(crate) fn text(&self) -> String {
        self.document.text_content_deep(self.node)
    }

    /// The text, which may not be blank.
    pub(crate) fn filled(&self) -> Result<String, ParametersError> {
        let text = self.text();
        if text.trim().is_empty() { Err(self.wrong("a text that is not blank")) } else { Ok(text) }
    }

    /// The text of the child called `name`, which may not be blank.
    pub(crate) fn required_text(&self, name: &'static str) -> Result<String, ParametersError> {
        self.required(name)?.filled()
    }

    /// The text of the child called `name`; `None` if it is missing or blank.
    pub(crate) fn optional_text(&self, name: &'static str) -> Result<Option<String>, ParametersError> {
        let text = self.optional(name)?.map(|child| child.text());
        Ok(text.filter(|text| !text.trim().is_empty()))
    }

    /// `xs:base64Binary`.
    pub(crate) fn base64(&self) -> Result<Vec<u8>, ParametersError> {
        let mut text = self.text();
        text.retain(|character| !character.is_ascii_whitespace());
        STANDARD.decode(text).map_err(|_| self.wrong("base64"))
    }

    /// Each child called `name`, as base64.
    pub(crate) fn all_base64(&self, name: &'static str) -> Result<Vec<Vec<u8>>, ParametersError> {
        self.all(name).map(|child| child.base64()).collect()
    }

    /// `xs:boolean`.
    pub(crate) fn boolean(&self) -> Result<bool, ParametersError> {
        match self.text().trim() {
            "true" | "1" => Ok(true),
            "false" | "0" => Ok(false),
            _ => Err(self.wrong("`true` or `false`")),
        }
    }

    /// A number of seconds.
    pub(crate) fn seconds(&self) -> Result<u32, ParametersError> {
        self.text().trim().parse().map_err(|_| self.wrong("a number of seconds"))
    }

    /// `xs:dateTime`; without time zone it is taken for UTC.
    pub(crate) fn date_time(&self) -> Result<Timestamp, ParametersError> {
        let text = self.text();
        let zoned = text.trim().parse::<Timestamp>();
        let civil = || text.trim().parse::<DateTime>().and_then(|time| time.to_zoned(TimeZone::UTC));
        zoned.or_else(|_| civil().map(|time| time.timestamp())).map_err(|_| self.wrong("a date with time"))
    }

    /// An `XRoadClientIdentifierType`. Some files call a subsystem a `MEMBER`: its code says what it is.
    pub(crate) fn client_id(&self) -> Result<ClientId, ParametersError> {
        self.only(&["xRoadInstance", "memberClass", "memberCode", "subsystemCode"])?;
        let member = MemberId {
            instance: self.required_text("xRoadInstance")?,
            class: self.required_text("memberClass")?,
            code: self.required_text("memberCode")?,
        };
        match (self.attribute("objectType"), self.optional_text("subsystemCode")?) {
            (Some("MEMBER"), None) => Ok(ClientId::Member(member)),
            (Some("MEMBER" | "SUBSYSTEM"), Some(code)) => {
                Ok(ClientId::Subsystem(SubsystemId { member, code }))
            }
            _ => Err(self.wrong("an identifier of a member or subsystem")),
        }
    }

    pub(crate) fn wrong(&self, expected: &'static str) -> ParametersError {
        ParametersError::WrongValue { line: self.line(), expected }
    }
}

/// Builds an X-Road file: a root in its namespace, unqualified children.
pub(crate) struct Writer {
    text: String,
    root: &'static str,
}

impl Writer {
    pub(crate) fn new(root: &'static str) -> Self {
        let head = r#"<?xml version="1.0" encoding="UTF-8" standalone="yes"?>"#;
        let text = format!("{head}\n<x:{root} xmlns:x=\"{XROAD}\" xmlns:id=\"{IDENTIFIERS}\">");
        Self { text, root }
    }

    /// An element around what `content` writes. `start` may carry attributes, already escaped.
    pub(crate) fn element(&mut self, start: &str, content: impl FnOnce(&mut Self)) {
        let name = start.split_once(' ').map_or(start, |(name, _)| name);
        self.text.push_str(&format!("<{start}>"));
        content(self);
        self.text.push_str(&format!("</{name}>"));
    }

    pub(crate) fn text(&mut self, name: &str, value: &str) {
        self.element(name, |writer| writer.text.push_str(&escape(value)));
    }

    pub(crate) fn optional_text(&mut self, name: &str, value: Option<&str>) {
        if let Some(value) = value {
            self.text(name, value);
        }
    }

    pub(crate) fn base64(&mut self, name: &str, value: &[u8]) {
        self.text(name, &STANDARD.encode(value));
    }

    pub(crate) fn client_id(&mut self, name: &str, id: &ClientId) {
        let (object_type, subsystem) = match id {
            ClientId::Member(_) => ("MEMBER", None),
            ClientId::Subsystem(subsystem) => ("SUBSYSTEM", Some(subsystem.code.as_str())),
        };
        self.element(&format!("{name} id:objectType=\"{object_type}\""), |writer| {
            writer.text("id:xRoadInstance", &id.member().instance);
            writer.text("id:memberClass", &id.member().class);
            writer.text("id:memberCode", &id.member().code);
            writer.optional_text("id:subsystemCode", subsystem);
        });
    }

    pub(crate) fn finish(mut self) -> String {
        self.text.push_str(&format!("</x:{}>\n", self.root));
        self.text
    }
}

fn escape(value: &str) -> String {
    // A carriage return would be read back as a line feed (XML 1.0 §2.11).
    value.replace('&', "&amp;").replace('<', "&lt;").replace('>', "&gt;").replace('\r', "&#13;")
}
