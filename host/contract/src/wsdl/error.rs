//! Why a WSDL is refused: the line, what is wrong there, and what to do about it.

use crate::json;
use crate::xml::{Element, XmlFault, XmlFaultKind};

/// Why a WSDL, or a schema in it, is refused. Lines count from 1.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error, strum::IntoStaticStr)]
#[strum(serialize_all = "snake_case", prefix = "contract.wsdl_")]
#[non_exhaustive]
pub enum WsdlError {
    /// Not UTF-8.
    #[error("the WSDL is not in UTF-8; save it so, and let its first line say nothing else")]
    Encoding,
    /// Not XML.
    #[error("line {line}: the WSDL is not well-formed XML: {reason}")]
    Syntax {
        /// Where.
        line: u64,
        /// What the parser says, in bounds.
        reason: String,
    },
    /// A document type, which could pull in any file.
    #[error("line {line}: the WSDL has a document type (`<!DOCTYPE`); delete it, and write out its entities")]
    DocumentType {
        /// Where.
        line: u64,
    },
    /// Too deep, too many or too long.
    #[error("line {line}: the WSDL {reason}")]
    Unreadable {
        /// Where.
        line: u64,
        /// What is too much.
        reason: String,
    },
    /// Another document.
    #[error("line {line}: the document is a `{found}`, not a `definitions` of WSDL 1.1{}", hint(.found))]
    NotWsdl {
        /// Where.
        line: u64,
        /// The name of its root.
        found: String,
    },
    /// An attribute that must be there.
    #[error("line {line}: `{element}` lacks the attribute `{attribute}`; add it")]
    AttributeMissing {
        /// Where.
        line: u64,
        /// The element.
        element: String,
        /// The attribute.
        attribute: &'static str,
    },
    /// An attribute with a value that it cannot have.
    #[error("line {line}: `{place}` must be {expected}")]
    ValueInvalid {
        /// Where.
        line: u64,
        /// The attribute or facet.
        place: String,
        /// What it must be.
        expected: &'static str,
    },
    /// A prefix without a namespace.
    #[error("line {line}: nothing declares the prefix of `{name}`; add `xmlns:…` for it to the root element")]
    PrefixUndeclared {
        /// Where.
        line: u64,
        /// The name with the prefix.
        name: String,
    },
    /// A name that leads nowhere.
    #[error("line {line}: there is no {what} `{name}` in namespace `{namespace}`; {remedy}")]
    Unresolved {
        /// Where it is used.
        line: u64,
        /// What it should be: `element`, `type`, `message`, …
        what: &'static str,
        /// Its local name.
        name: String,
        /// Its namespace.
        namespace: String,
        /// What to do.
        remedy: String,
    },
    /// A part of a message names a type where it must name an element.
    #[error(
        "line {line}: part `{part}` names a type, and the binding is of style `document`; declare an element of that \
         type in the schema and name it instead, `element=\"tns:…\"`, or make the binding's style `rpc`"
    )]
    PartHasType {
        /// Where.
        line: u64,
        /// The part.
        part: String,
    },
    /// A message whose body is not one element.
    #[error(
        "line {line}: the body of message `{message}` has {parts} parts, and style `document` has one; name it in \
         `soap:body parts=\"…\"`"
    )]
    PartsAmbiguous {
        /// Where.
        line: u64,
        /// The message.
        message: String,
        /// How many.
        parts: usize,
    },
    /// Something that WSDL or XML Schema allows and this server does not do.
    #[error("line {line}: {construct} is not supported; {remedy}")]
    Unsupported {
        /// Where.
        line: u64,
        /// What.
        construct: String,
        /// What to do instead.
        remedy: &'static str,
    },
    /// A name that cannot be one of an operation or element.
    #[error("line {line}: `{name}` is no name of {what}; use {allowed}")]
    NameMalformed {
        /// Where.
        line: u64,
        /// The name.
        name: String,
        /// What it should name.
        what: &'static str,
        /// What it may be made of.
        allowed: &'static str,
    },
    /// Two operations of one name.
    #[error(
        "line {line}: the operation `{name}` stands twice; rename one, or give each version a WSDL of its own"
    )]
    OperationDuplicate {
        /// The second.
        line: u64,
        /// The name.
        name: String,
    },
    /// No operation that SOAP could call.
    #[error(
        "the WSDL binds no operation to SOAP 1.1; add a `wsdl:binding` with `soap:binding` and its operations"
    )]
    OperationsMissing,
    /// Something declared twice.
    #[error("line {line}: `{name}` is declared twice; delete one")]
    Duplicate {
        /// The second.
        line: u64,
        /// The name.
        name: String,
    },
    /// An element at two places of one content.
    #[error(
        "line {line}: `{name}` stands at two places among the same children, which one member in JSON cannot tell \
         apart; let it stand once, or rename one"
    )]
    ElementRepeated {
        /// The second.
        line: u64,
        /// The element.
        name: String,
    },
    /// A pattern that the checks cannot use.
    #[error("line {line}: the pattern cannot be used: {reason}; simplify it")]
    PatternUnsupported {
        /// Where.
        line: u64,
        /// Why.
        reason: String,
    },
    /// A definition that leads back to itself.
    #[error(
        "line {line}: `{name}` is derived from itself, or from too long a line of others; break the circle"
    )]
    Endless {
        /// Where.
        line: u64,
        /// The type or group.
        name: String,
    },
    /// More than a contract should need.
    #[error("the WSDL needs more than {max} {what}; split it")]
    TooLarge {
        /// What there is too much of.
        what: &'static str,
        /// The limit.
        max: usize,
    },
}

fn hint(found: &str) -> &'static str {
    match found {
        "description" => "; that is WSDL 2.0, export it as 1.1",
        "schema" => "; that is a schema: put it into `wsdl:types` of a WSDL",
        "Envelope" => "; that is a message",
        "html" => "; that is a web page, perhaps of a login or an error: download the WSDL itself",
        _ => "",
    }
}

impl WsdlError {
    /// Stable code, such as `contract.wsdl_part_has_type`.
    pub fn code(&self) -> &'static str {
        self.into()
    }

    pub(crate) fn unsupported(element: &Element, what: &str, remedy: &'static str) -> WsdlError {
        let name = json::excerpt(&element.name.local);
        WsdlError::Unsupported { line: element.line, construct: format!("{what} (`{name}`)"), remedy }
    }
}

impl From<XmlFault> for WsdlError {
    fn from(XmlFault { line, kind }: XmlFault) -> Self {
        match kind {
            XmlFaultKind::DocumentType => Self::DocumentType { line },
            XmlFaultKind::Syntax { reason } => Self::Syntax { line, reason },
            kind => Self::Unreadable { line, reason: kind.to_string() },
        }
    }
}
