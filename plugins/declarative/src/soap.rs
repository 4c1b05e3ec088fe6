//! Upstreams that speak SOAP 1.1, document/literal: a body is written as XML, and what comes is read as a document.

use std::fmt::Write;

use serde_json::value::RawValue;
use serde_json::{Map, Value};
use uppsala::{PullEvent, PullParser};
use uuk_adapter::Fault;
use uuk_adapter::http::{Request as HttpRequest, Response};

use crate::answer::{Scope, Unfit, look_up};
use crate::expression::{Expression, Fields};
use crate::found::Found;
use crate::node::Node;
use crate::operation::FaultLine;
use crate::table::{Key, Reason, Refusal, Table};

const ENVELOPE: &str = "http://schemas.xmlsoap.org/soap/envelope/";
const INSTANCE: &str = "http://www.w3.org/2001/XMLSchema-instance";
/// Deeper than any answer, and shallow enough for the stack.
const DEPTH_MAX: u32 = 64;

/// `soap = { element = "carCheckFree", namespace = "http://example.org/producer" }`
#[derive(Debug, Clone)]
pub(crate) struct Soap {
    element: String,
    namespace: String,
    action: String,
    /// Whether elements within have the namespace, too: `elementFormDefault` of the schema.
    qualified: bool,
}

/// What stood in the envelope.
pub(crate) enum Said {
    /// What the element in the body holds.
    Document(Box<RawValue>),
    /// A fault, by the local name of its code.
    Fault(String),
}

impl Soap {
    /// Reads the table `soap` of an operation.
    pub(crate) fn parse(key: Key<'_>, node: &Node<'_>) -> Result<Self, Refusal> {
        let mut table = Table::read(key, node)?;
        let element = table.required_text("element")?.to_owned();
        if !is_name(&element) {
            return Err(key.child("element").refuse(Reason::NotA("a name of XML, without a prefix")));
        }
        let namespace = table.text("namespace")?.unwrap_or_default().to_owned();
        let action = table.text("action")?.unwrap_or_default().to_owned();
        // It stands in a header, within quotes.
        if action.chars().any(|character| character == '"' || !(' '..='~').contains(&character)) {
            return Err(key.child("action").refuse(Reason::NotA("an address")));
        }
        let qualified = match table.take("qualified") {
            None => true,
            Some(Node::Boolean(qualified)) => *qualified,
            Some(_) => return Err(key.child("qualified").refuse(Reason::NotA("true or false"))),
        };
        table.end()?;
        Ok(Self { element, namespace, action, qualified })
    }

    /// Makes `http` a call with `body`.
    pub(crate) fn put(
        &self,
        http: &mut HttpRequest,
        body: Option<&Fields>,
        request: &RawValue,
        key: &Key<'_>,
    ) -> Result<(), Unfit> {
        let mut xml = format!("<s:Envelope xmlns:s=\"{ENVELOPE}\"><s:Body>");
        // With a prefix, the names within can have the namespace or have none.
        let (prefix, within) = match (self.namespace.is_empty(), self.qualified) {
            (true, _) => ("", ""),
            (false, true) => ("b:", "b:"),
            (false, false) => ("b:", ""),
        };
        let _ = write!(xml, "<{prefix}{}", self.element);
        if !self.namespace.is_empty() {
            xml.push_str(" xmlns:b=\"");
            escape(&self.namespace, &mut xml);
            xml.push('"');
        }
        xml.push('>');
        if let Some(fields) = body {
            write_elements(fields, within, Scope::Document(request), request, key, &mut xml)?;
        }
        let _ = write!(xml, "</{prefix}{}></s:Body></s:Envelope>", self.element);
        http.headers = vec![
            ("content-type".to_owned(), "text/xml; charset=utf-8".to_owned()),
            ("soapaction".to_owned(), format!("\"{}\"", self.action)),
        ];
        http.body = Some(xml.into_bytes());
        Ok(())
    }
}

/// What an upstream said. A fault comes with status 500.
///
/// # Errors
/// As for a document of JSON that cannot be used.
pub(crate) fn said(response: &Response) -> Result<Said, Fault> {
    if !matches!(response.status, 200..=299 | 500) {
        return Err(unusable(format_args!("the upstream answered with status {}", response.status)));
    }
    read(&response.body).map_err(unusable)
}

/// The fault that the mapping has for the code of the upstream's, or that its answer cannot be used.
pub(crate) fn fault(code: &str, line: Option<&FaultLine>) -> Fault {
    let code: String = code.chars().take(100).collect();
    match line {
        Some(line) => line.fault(),
        None => unusable(format_args!("the upstream answered with the fault {code:?}")),
    }
}

fn unusable(diagnostic: impl std::fmt::Display) -> Fault {
    let kind = uuk_adapter::FaultKind::UpstreamUnavailable;
    Fault::new(kind, "UPSTREAM_UNUSABLE", "the upstream's answer cannot be used").diagnostic(diagnostic)
}

/// Writes the fields as elements, a list as one for each item. What leads to nothing is left out, unless it may be null.
fn write_elements(
    fields: &Fields,
    prefix: &str,
    scope: Scope<'_>,
    request: &RawValue,
    key: &Key<'_>,
    xml: &mut String,
) -> Result<(), Unfit> {
    for (name, expression) in &fields.0 {
        let key = &key.child(name);
        if !is_name(name) {
            return Err(Unfit::new(key, "has a name that no element can have"));
        }
        let found = match expression {
            Expression::Object(fields) => {
                let _ = write!(xml, "<{prefix}{name}>");
                write_elements(fields, prefix, scope, request, key, xml)?;
                let _ = write!(xml, "</{prefix}{name}>");
                continue;
            }
            Expression::Each(list, item) => {
                for scope in scope.items(list) {
                    let _ = write!(xml, "<{prefix}{name}>");
                    write_elements(item, prefix, scope, request, key, xml)?;
                    let _ = write!(xml, "</{prefix}{name}>");
                }
                continue;
            }
            Expression::Constant(value) => value.borrowed(),
            Expression::Lookup(lookup) => {
                let found = look_up(lookup, scope, request, key)?;
                if found == Found::Nothing {
                    if lookup.nullable {
                        let _ = write!(xml, "<{prefix}{name} xmlns:i=\"{INSTANCE}\" i:nil=\"true\"/>");
                    }
                    continue;
                }
                found
            }
        };
        let text = found.as_text().ok_or_else(|| Unfit::new(key, "is no single value"))?;
        if !text.chars().all(is_character) {
            return Err(Unfit::new(key, "has characters that XML has not"));
        }
        let _ = write!(xml, "<{prefix}{name}>");
        escape(text, xml);
        let _ = write!(xml, "</{prefix}{name}>");
    }
    Ok(())
}

fn escape(text: &str, xml: &mut String) {
    for character in text.chars() {
        match character {
            '&' => xml.push_str("&amp;"),
            '<' => xml.push_str("&lt;"),
            '>' => xml.push_str("&gt;"),
            '"' => xml.push_str("&quot;"),
            // A reader would make a line feed of it.
            '\r' => xml.push_str("&#13;"),
            _ => xml.push(character),
        }
    }
}

fn is_name(name: &str) -> bool {
    name.starts_with(|first: char| first.is_alphabetic() || first == '_')
        && name.chars().all(|character| character.is_alphanumeric() || "-._".contains(character))
}

fn is_character(character: char) -> bool {
    matches!(character, '\t' | '\n' | '\r' | ' '..='\u{D7FF}' | '\u{E000}'..='\u{FFFD}' | '\u{10000}'..)
}

/// An element that is open.
struct Open {
    name: String,
    namespace: String,
    is_nil: bool,
    text: String,
    members: Map<String, Value>,
}

impl Open {
    /// An element with others within is an object by their local names, any other is its text. What stands several times is
    /// a list. Attributes are left out.
    fn value(self) -> Value {
        match (self.is_nil, self.members.is_empty()) {
            (true, _) => Value::Null,
            (false, true) => Value::String(self.text),
            (false, false) => Value::Object(self.members),
        }
    }

    fn add(&mut self, name: String, value: Value) {
        match self.members.get_mut(&name) {
            None => {
                self.members.insert(name, value);
            }
            Some(Value::Array(items)) => items.push(value),
            Some(first) => *first = Value::Array(vec![first.take(), value]),
        }
    }

    fn is(&self, namespace: &str, name: &str) -> bool {
        self.namespace == namespace && self.name == name
    }
}

/// What stands in the envelope that `bytes` are.
fn read(bytes: &[u8]) -> Result<Said, String> {
    let text = std::str::from_utf8(bytes).map_err(|_| "the upstream's document is not UTF-8")?;
    let text = text.trim_start_matches('\u{FEFF}');
    let mut parser = PullParser::new(text).with_max_depth(DEPTH_MAX).with_forbid_dtd(true);
    let mut open: Vec<Open> = Vec::new();
    let malformed = |error: uppsala::XmlError| {
        // It may quote the document, of which little is told.
        let reason: String = error.to_string().chars().take(100).collect();
        format!("the upstream's document is not XML: {reason:?}")
    };
    while let Some(event) = parser.next_event().map_err(malformed)? {
        match event {
            PullEvent::StartElement { name, attributes, .. } => {
                let namespace =
                    |name: &uppsala::QName<'_>| name.namespace_uri.as_deref().unwrap_or_default().to_owned();
                let is_nil = attributes.iter().any(|attribute| {
                    attribute.name.local_name == "nil"
                        && namespace(&attribute.name) == INSTANCE
                        && matches!(attribute.value.trim(), "true" | "1")
                });
                let (namespace, name) = (namespace(&name), name.local_name.into_owned());
                open.push(Open { name, namespace, is_nil, text: String::new(), members: Map::new() });
            }
            PullEvent::Text { content, .. } | PullEvent::CData { content, .. } => {
                if let Some(element) = open.last_mut() {
                    element.text.push_str(&content);
                }
            }
            PullEvent::EndElement { .. } => {
                let Some(element) = open.pop() else { continue };
                if let [envelope, body] = open.as_slice()
                    && envelope.is(ENVELOPE, "Envelope")
                    && body.is(ENVELOPE, "Body")
                {
                    return said_by(element);
                }
                if let Some(parent) = open.last_mut() {
                    parent.add(element.name.clone(), element.value());
                }
            }
            _ => {}
        }
    }
    Err("the upstream's document is no envelope of SOAP 1.1 with a body".to_owned())
}

fn said_by(element: Open) -> Result<Said, String> {
    if !element.is(ENVELOPE, "Fault") {
        let document =
            serde_json::value::to_raw_value(&element.value()).map_err(|error| error.to_string())?;
        return Ok(Said::Document(document));
    }
    let code = element.members.get("faultcode").and_then(Value::as_str).unwrap_or_default().trim();
    Ok(Said::Fault(code.rsplit(':').next().unwrap_or_default().to_owned()))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn envelope(body: &str) -> String {
        format!(
            "\u{FEFF}<?xml version=\"1.0\"?><S:Envelope xmlns:S=\"{ENVELOPE}\"><S:Header><a/></S:Header><S:Body>{body}</S:Body></S:Envelope>"
        )
    }

    #[track_caller]
    fn check(body: &str, expected: &str) {
        match read(envelope(body).as_bytes()) {
            Ok(Said::Document(document)) => assert_eq!(document.get(), expected, "{body}"),
            Ok(Said::Fault(code)) => panic!("fault {code}"),
            Err(reason) => panic!("{reason}"),
        }
    }

    #[test]
    fn elements_are_members_by_their_local_names() {
        check("<p:r xmlns:p='urn:p'><p:a>1</p:a><b> x&amp;y </b></p:r>", r#"{"a":"1","b":" x&y "}"#);
        check("<r> <a><b>1</b></a> </r>", r#"{"a":{"b":"1"}}"#);
        check("<r/>", r#""""#);
    }

    #[test]
    fn what_stands_several_times_is_a_list() {
        check("<r><a>1</a><b>2</b><a>3</a><a/></r>", r#"{"a":["1","3",""],"b":"2"}"#);
    }

    #[test]
    fn nil_is_null() {
        let body = format!("<r xmlns:x='{INSTANCE}'><a x:nil='1'/><b x:nil='false'>1</b></r>");
        check(&body, r#"{"a":null,"b":"1"}"#);
    }

    #[test]
    fn a_fault_is_told_by_its_code() {
        let body =
            "<S:Fault><faultcode>S:Client.NotFound</faultcode><faultstring>none</faultstring></S:Fault>";
        assert!(
            matches!(read(envelope(body).as_bytes()), Ok(Said::Fault(code)) if code == "Client.NotFound")
        );
    }

    #[track_caller]
    fn refuses(document: &str, expected: &str) {
        let Err(reason) = read(document.as_bytes()) else { panic!("{document} was read") };
        assert!(reason.contains(expected), "{reason}");
    }

    #[test]
    fn refuses_a_document_type() {
        refuses("<!DOCTYPE a [<!ENTITY b 'c'>]><a>&b;</a>", "is not XML");
    }

    #[test]
    fn refuses_an_answer_without_an_envelope() {
        refuses("<html><body>sorry</body></html>", "no envelope");
        refuses("{}", "is not XML");
    }

    #[test]
    fn refuses_an_answer_that_is_nested_too_deep() {
        refuses(&envelope(&"<a>".repeat(100)), "is not XML");
    }
}
