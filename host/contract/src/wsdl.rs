//! WSDL 1.1: from a document to the same operations as OpenAPI gives.
//!
//! What is bound to SOAP 1.1 becomes an OpenAPI document, where each operation is a POST of its request's content; that is
//! what the operations are read from. The way between the two stays with the contract as its [`Soap`].

mod error;
mod write;

use serde_json::{Map, Value, json};

pub use error::WsdlError;
pub(crate) use write::{Described, write};

use crate::contract::Contract;
use crate::json;
use crate::media_type;
use crate::openapi::{self, ContractError};
use crate::problem::PROBLEM_MEDIA_TYPE;
use crate::soap::{Soap, SoapOperation};
use crate::xml::{self, Element, Name, XmlLimits};
use crate::xsd::json_schema::{Components, TITLES};
use crate::xsd::read::{SchemaReader, XROAD, note, resolve};
use crate::xsd::{Root, XSD};

/// The namespace of WSDL 1.1.
pub(crate) const WSDL: &str = "http://schemas.xmlsoap.org/wsdl/";
/// The namespace of its binding to SOAP 1.1.
pub(crate) const SOAP_BINDING: &str = "http://schemas.xmlsoap.org/wsdl/soap/";
const MIME_BINDING: &str = "http://schemas.xmlsoap.org/wsdl/mime/";

/// Longest name of an operation or version, in bytes.
const NAME_BYTES_MAX: usize = 64;

const LIMITS: XmlLimits = XmlLimits { depth_max: 64, elements_max: 100_000, text_bytes_max: 64 * 1024 };

/// Whether a contract is read as WSDL.
pub(crate) fn is_wsdl(bytes: &[u8]) -> bool {
    let text = bytes.strip_prefix(b"\xEF\xBB\xBF").unwrap_or(bytes);
    text.trim_ascii_start().starts_with(b"<")
}

/// Reads a document.
pub(crate) fn read(bytes: &[u8]) -> Result<Contract, ContractError> {
    if bytes.len() > openapi::DOCUMENT_BYTES_MAX {
        return Err(ContractError::TooLarge { bytes_max: openapi::DOCUMENT_BYTES_MAX });
    }
    let text = std::str::from_utf8(bytes).map_err(|_| WsdlError::Encoding)?;
    let text = text.strip_prefix('\u{FEFF}').unwrap_or(text);
    let root = xml::read(text, &LIMITS).map_err(WsdlError::from)?;
    if !root.is(WSDL, "definitions") {
        let found = json::excerpt(&root.name.local).into_owned();
        return Err(WsdlError::NotWsdl { line: root.line, found }.into());
    }
    let soap = Reading::new(&root)?.read()?;
    let document = document(&root, version(&root)?, &soap);
    let contract = openapi::from_value(&document, bytes)?;
    Ok(Contract { openapi: Some(document), soap, ..contract })
}

struct Reading<'d> {
    root: &'d Element,
    schemas: SchemaReader<'d>,
    /// The port type that each operation is of.
    port_types: Vec<Name>,
    operations: Vec<SoapOperation>,
}

impl<'d> Reading<'d> {
    fn new(root: &'d Element) -> Result<Self, WsdlError> {
        if let Some(import) = root.first(WSDL, "import") {
            let remedy = "files are not followed: put everything into one WSDL";
            return Err(WsdlError::unsupported(import, "importing another WSDL", remedy));
        }
        let types = root.all(WSDL, "types").flat_map(|types| types.all(XSD, "schema"));
        let schemas = SchemaReader::new(types)?;
        Ok(Self { root, schemas, port_types: Vec::new(), operations: Vec::new() })
    }

    fn read(mut self) -> Result<Soap, WsdlError> {
        for binding in self.root.all(WSDL, "binding") {
            if binding.first(SOAP_BINDING, "binding").is_none() {
                continue;
            }
            let port_type = resolve(binding, required(binding, "type")?)?;
            for bound in binding.all(WSDL, "operation") {
                self.operation(binding, bound, &port_type)?;
            }
        }
        if self.operations.is_empty() {
            return Err(WsdlError::OperationsMissing);
        }
        let types = self.schemas.finish()?;
        Ok(Soap { types, operations: self.operations, left_out: Vec::new() })
    }

    fn operation(
        &mut self,
        binding: &Element,
        bound: &'d Element,
        port_type: &Name,
    ) -> Result<(), WsdlError> {
        let name = required(bound, "name")?;
        let is_name = name.len() <= NAME_BYTES_MAX
            && name.starts_with(|first: char| first.is_ascii_alphabetic())
            && name.bytes().all(|byte| byte.is_ascii_alphanumeric() || b"-_".contains(&byte));
        if !is_name {
            return Err(WsdlError::NameMalformed {
                line: bound.line,
                name: json::excerpt(name).into_owned(),
                what: "an operation",
                allowed: "a letter of ASCII, then letters, digits, `-` and `_`, at most 64",
            });
        }
        if let Some(known) = self.operations.iter().position(|known| known.id == name) {
            // One binding for HTTP and one for HTTPS, of one port type, say the same.
            return match self.port_types.get(known) {
                Some(other) if other == port_type => Ok(()),
                _ => Err(WsdlError::OperationDuplicate { line: bound.line, name: name.to_owned() }),
            };
        }
        let declared = self.port_operation(port_type, name, bound)?;
        let soap = bound.first(SOAP_BINDING, "operation");
        let style = soap.and_then(|soap| soap.attribute("style")).or_else(|| {
            let binding = binding.first(SOAP_BINDING, "binding");
            binding.and_then(|binding| binding.attribute("style"))
        });
        let is_rpc = style == Some("rpc");
        let request = self.message(declared, bound, "input", is_rpc.then(|| name.to_owned()))?;
        let response = self.message(declared, bound, "output", is_rpc.then(|| format!("{name}Response")))?;
        if self.operations.iter().any(|other| other.request.name == request.name) {
            return Err(WsdlError::Duplicate { line: bound.line, name: request.name.local });
        }
        self.port_types.push(port_type.clone());
        self.operations.push(SoapOperation {
            id: name.to_owned(),
            note: note(declared),
            address: self.address(binding),
            action: soap.and_then(|soap| soap.attribute("soapAction")).unwrap_or_default().to_owned(),
            request,
            response,
            request_member: Some("body"),
            response_member: None,
        });
        Ok(())
    }

    /// Where the first port of a binding listens.
    fn address(&self, binding: &Element) -> Option<String> {
        let ports = self.root.all(WSDL, "service").flat_map(|service| service.all(WSDL, "port"));
        let is_bound = |port: &&Element| {
            let bound = port.attribute("binding").and_then(|name| port.resolve(name));
            bound.is_some_and(|name| Some(name.local.as_str()) == binding.attribute("name"))
        };
        let address = ports.into_iter().find(is_bound)?.first(SOAP_BINDING, "address")?;
        address.attribute("location").map(str::to_owned)
    }

    fn port_operation(
        &self,
        port_type: &Name,
        name: &str,
        bound: &Element,
    ) -> Result<&'d Element, WsdlError> {
        let port = self.named("portType", port_type, bound.line)?;
        let named = port.all(WSDL, "operation").find(|operation| operation.attribute("name") == Some(name));
        named.ok_or_else(|| {
            unresolved(bound.line, "operation of the port type", &Name::new(&port_type.namespace, name))
        })
    }

    /// The element that the body of one direction holds.
    fn message(
        &mut self,
        declared: &'d Element,
        bound: &'d Element,
        direction: &'static str,
        rpc_wrapper: Option<String>,
    ) -> Result<Root, WsdlError> {
        let Some(reference) = declared.first(WSDL, direction) else {
            let remedy = "give it an output, if only an empty one: every request is answered";
            return Err(WsdlError::unsupported(declared, "an operation in one direction", remedy));
        };
        let name = resolve(reference, required(reference, "message")?)?;
        let message = self.named("message", &name, reference.line)?;
        let bound = bound.first(WSDL, direction);
        let body = bound.and_then(|bound| find(bound, SOAP_BINDING, "body"));
        if let Some(encoded) = body.filter(|body| body.attribute("use") == Some("encoded")) {
            let remedy = "make it `use=\"literal\"`";
            return Err(WsdlError::unsupported(encoded, "SOAP's own encoding", remedy));
        }
        let in_body = body.and_then(|body| body.attribute("parts"));
        let is_elsewhere = |part: &str| {
            let Some(bound) = bound else { return false };
            let header = bound.all(SOAP_BINDING, "header").any(|header| {
                header.attribute("part") == Some(part)
                    && header.attribute("message").and_then(|text| header.resolve(text)).as_ref()
                        == Some(&name)
            });
            header || is_attached(bound, part)
        };
        let parts = message.all(WSDL, "part").filter(|part| {
            let part = part.attribute("name").unwrap_or_default();
            match in_body {
                Some(listed) => listed.split_ascii_whitespace().any(|listed| listed == part),
                None => !is_elsewhere(part),
            }
        });
        let parts: Vec<&Element> = parts.collect();

        if let Some(wrapper) = rpc_wrapper {
            let namespace = body.and_then(|body| body.attribute("namespace")).unwrap_or_default();
            let typed = parts.iter().map(|part| Ok((*part, required(part, "type")?)));
            let typed = typed.collect::<Result<Vec<_>, WsdlError>>()?;
            return self.schemas.wrapper(Name::new(namespace, &wrapper), &typed);
        }
        let [part] = parts.as_slice() else {
            let message = json::excerpt(&name.local).into_owned();
            return Err(WsdlError::PartsAmbiguous { line: reference.line, message, parts: parts.len() });
        };
        match (part.attribute("element"), part.attribute("type")) {
            (Some(element), _) => self.schemas.root(&resolve(part, element)?, part.line),
            (None, Some(_)) => {
                let part_name = part.attribute("name").unwrap_or_default();
                Err(WsdlError::PartHasType { line: part.line, part: json::excerpt(part_name).into_owned() })
            }
            (None, None) => Err(missing(part, "element")),
        }
    }

    /// A definition of the WSDL.
    fn named(&self, kind: &'static str, name: &Name, line: u64) -> Result<&'d Element, WsdlError> {
        let is_own = self.root.attribute("targetNamespace").unwrap_or_default() == name.namespace;
        let named = self.root.all(WSDL, kind).find(|node| node.attribute("name") == Some(&name.local));
        named.filter(|_| is_own).ok_or_else(|| unresolved(line, kind, name))
    }
}

/// The first descendant of a name, for `soap:body` stands inside parts of MIME, too.
fn find<'e>(node: &'e Element, namespace: &str, local: &str) -> Option<&'e Element> {
    let mut inner = node.children.iter();
    inner.find_map(
        |child| if child.is(namespace, local) { Some(child) } else { find(child, namespace, local) },
    )
}

/// Whether a part of the message is an attachment.
fn is_attached(node: &Element, part: &str) -> bool {
    node.children.iter().any(|child| {
        (child.is(MIME_BINDING, "content") && child.attribute("part") == Some(part))
            || is_attached(child, part)
    })
}

fn required<'e>(node: &'e Element, attribute: &'static str) -> Result<&'e str, WsdlError> {
    node.attribute(attribute).ok_or_else(|| missing(node, attribute))
}

fn missing(node: &Element, attribute: &'static str) -> WsdlError {
    WsdlError::AttributeMissing { line: node.line, element: node.name.local.clone(), attribute }
}

fn unresolved(line: u64, what: &'static str, name: &Name) -> WsdlError {
    WsdlError::Unresolved {
        line,
        what,
        name: json::excerpt(&name.local).into_owned(),
        namespace: json::excerpt(&name.namespace).into_owned(),
        remedy: "declare it, or correct the name or its prefix".to_owned(),
    }
}

/// X-Road's version of the services, which all of one WSDL share.
fn version(root: &Element) -> Result<&str, WsdlError> {
    let Some(node) = XROAD.iter().find_map(|namespace| find(root, namespace, "version")) else {
        return Ok("v1");
    };
    let version = node.text.trim();
    let is_plain = |byte: u8| byte.is_ascii_alphanumeric() || b"._-".contains(&byte);
    if (1..=NAME_BYTES_MAX).contains(&version.len()) && version.bytes().all(is_plain) {
        return Ok(version);
    }
    Err(WsdlError::NameMalformed {
        line: node.line,
        name: json::excerpt(version).into_owned(),
        what: "a version",
        allowed: "letters of ASCII, digits, `.`, `-` and `_`, at most 64",
    })
}

/// The OpenAPI document that says the same.
fn document(root: &Element, version: &str, soap: &Soap) -> Value {
    let components = Components::new(&soap.types);
    let content = |media_type: &str, schema: Value| json!({media_type: {"schema": schema}});
    let paths = soap.operations.iter().map(|SoapOperation { id, note, request, response, .. }| {
        let mut operation = Map::from_iter([("operationId".to_owned(), id.as_str().into())]);
        if let Some(title) = note.title() {
            operation.insert("summary".to_owned(), title.into());
        }
        if note.titles.keys().any(|language| !language.is_empty()) {
            operation.insert(TITLES.to_owned(), json!(note.titles));
        }
        if let Some(text) = &note.text {
            operation.insert("description".to_owned(), text.as_str().into());
        }
        let request = content(media_type::JSON, components.root(request));
        operation.insert("requestBody".to_owned(), json!({"required": true, "content": request}));
        let answer = content(media_type::JSON, components.root(response));
        let fault = content(PROBLEM_MEDIA_TYPE, json!({"type": "object"}));
        let responses = json!({
            "200": {"description": "The answer", "content": answer},
            "default": {"description": "A fault", "content": fault},
        });
        operation.insert("responses".to_owned(), responses);
        (format!("/{id}"), json!({"post": operation}))
    });
    let first = soap.operations.first().map(|first| first.id.as_str());
    let title = root.attribute("name").or(first).unwrap_or_default();
    json!({
        "openapi": "3.1.0",
        "info": {"title": title, "version": version},
        "paths": paths.collect::<Map<_, _>>(),
        "components": {"schemas": components.schemas()},
    })
}
