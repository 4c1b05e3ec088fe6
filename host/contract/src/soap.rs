//! SOAP bodies into request documents, and answers into SOAP bodies: the same operations that JSON calls.

pub(crate) mod decode;
pub(crate) mod encode;
mod outline;

pub use outline::{OutlineContent, OutlineElement, SoapOutline};
use serde_json::{Value, json};

use crate::answer::{Answer, AnswerProblem};
use crate::contract::Contract;
use crate::document::{self, Document};
use crate::json;
use crate::limits::Limits;
use crate::operation::Operation;
use crate::problem::{FieldProblem, Problem};
use crate::refusal::{Refusal, RequestPart};
use crate::xml::{self, Element, XmlLimits, escape};
use crate::xsd::from_json::{Converter, NotInXml};
use crate::xsd::{Note, Root, Types};

/// The namespace of SOAP 1.1's envelope.
const ENVELOPE: &str = "http://schemas.xmlsoap.org/soap/envelope/";

/// The namespace of what a fault tells.
pub(crate) const FAULT_NAMESPACE: &str = "urn:uuk:fault";

/// How deep the body's element stands in an envelope.
const ENVELOPE_DEPTH: usize = 2;

/// The operations that SOAP can call, with the types of their messages.
#[derive(Debug, Default)]
pub(crate) struct Soap {
    pub(crate) types: Types,
    pub(crate) operations: Vec<SoapOperation>,
    /// The operations that XML Schema has no words for.
    pub(crate) left_out: Vec<NotInXml>,
}

/// How SOAP carries an operation.
#[derive(Debug)]
pub(crate) struct SoapOperation {
    /// Its `operationId`.
    pub(crate) id: String,
    pub(crate) note: Note,
    /// Where the service listens, if its WSDL says so.
    pub(crate) address: Option<String>,
    /// Value of `SOAPAction`, which is empty in a contract given as OpenAPI.
    pub(crate) action: String,
    pub(crate) request: Root,
    pub(crate) response: Root,
    /// The member of the request document that the request's content is; nothing if it is the whole document.
    pub(crate) request_member: Option<&'static str>,
    /// The element of the response that the answer is; nothing if the answer is its whole content.
    pub(crate) response_member: Option<&'static str>,
}

/// A SOAP message as it arrived.
#[derive(Clone, Copy)]
pub struct SoapCall<'a> {
    /// The envelope.
    pub envelope: &'a str,
    /// Its attachments: the value of `Content-ID` without angle brackets, and the bytes.
    pub attachments: &'a [(&'a str, &'a [u8])],
}

impl Soap {
    /// What SOAP can carry of operations that OpenAPI declares, in elements of `namespace`.
    pub(crate) fn from_operations(operations: &[Operation], namespace: &str) -> Soap {
        let mut types = Types::default();
        let mut converter = Converter::new(namespace, &mut types);
        let (mut carried, mut left_out) = (Vec::new(), Vec::new());
        for operation in operations {
            match converter.operation(operation) {
                Ok(operation) => carried.push(operation),
                Err(reason) => left_out.push(reason),
            }
        }
        Soap { types, operations: carried, left_out }
    }

    fn operation(&self, id: &str) -> Option<&SoapOperation> {
        self.operations.iter().find(|operation| operation.id == id)
    }
}

impl Contract {
    /// Finds the operation that a SOAP message calls by the element in its body, and turns the body into the document its
    /// adapter receives: the same as that of a call in JSON.
    ///
    /// # Errors
    /// [`Refusal`]: everything about the body that does not fit the contract. Pointers are those of the document.
    pub fn soap_document(
        &self,
        call: &SoapCall<'_>,
        limits: &Limits,
    ) -> Result<(&Operation, Document), Refusal> {
        document::check_size(RequestPart::Body, call.envelope.len(), limits.body_bytes_max)?;
        let refused = |problem| Refusal::Invalid { problems: vec![problem] };
        let envelope = read(call.envelope, limits).map_err(refused)?;
        let body = body_element(&envelope).map_err(refused)?;
        let known = self.soap.operations.iter().find(|known| known.request.name == body.name);
        let soap = known.ok_or(Refusal::PathUnknown)?;
        let operation = self.operation(&soap.id).ok_or(Refusal::PathUnknown)?;
        let content = decode::read(&self.soap.types, &soap.request, body, call.attachments, limits)
            .map_err(|problems| Refusal::Invalid { problems: within(soap.request_member, problems) })?;
        let document = match soap.request_member {
            Some(member) => json!({member: content}),
            None => content,
        };
        Ok((operation, Document::checked(operation, &document)?))
    }

    /// The operation that a SOAP service of this code and version is, if SOAP can call it.
    pub fn soap_service(&self, code: &str, version: Option<&str>) -> Option<&Operation> {
        self.soap.operation(code)?;
        let is_meant = version.is_none_or(|version| version == self.soap_version());
        self.operation(code).filter(|_| is_meant)
    }

    /// The version that each operation has as a service of X-Road: `v1` of a contract of version 1.2.3, unless its WSDL
    /// says otherwise.
    pub fn soap_version(&self) -> String {
        match self.version.split('.').next().unwrap_or_default() {
            _ if self.openapi.is_some() => self.version.clone(),
            major if major.starts_with('v') => major.to_owned(),
            major => format!("v{major}"),
        }
    }

    /// The element that a SOAP response holds, from the body of an [`Answer`] of `operation`.
    ///
    /// # Errors
    /// [`AnswerProblem::NotInXml`] if the answer holds what XML cannot, such as a control character, or what the types of
    /// the message have no place for.
    pub fn soap_answer(&self, operation: &Operation, answer: &[u8]) -> Result<String, AnswerProblem> {
        let refused = |problem| AnswerProblem::NotInXml { problems: vec![problem] };
        let soap = self.soap.operation(operation.id());
        let soap = soap.ok_or_else(|| refused(FieldProblem::new("", "soap", "has no form in XML")))?;
        let content = match answer {
            [] => json!({}),
            body => serde_json::from_slice(body)
                .map_err(|_| refused(FieldProblem::new("", "syntax", "is not JSON")))?,
        };
        let content = match soap.response_member {
            Some(member) => json!({member: content}),
            None => content,
        };
        encode::write(&self.soap.types, &soap.response, &content).map_err(refused)
    }

    /// Whether SOAP can call `operation`; the error says what of it has no form in XML.
    ///
    /// # Errors
    /// [`NotInXml`] names the schema and what is in its way.
    pub fn soap_form(&self, operation: &Operation) -> Result<(), &NotInXml> {
        let left_out = self.soap.left_out.iter().find(|left_out| left_out.operation == operation.id());
        left_out.map_or(Ok(()), Err)
    }

    /// The local name of the element in the body of a SOAP request that calls `operation`, and of its response's.
    pub fn soap_elements(&self, operation: &Operation) -> Option<(&str, &str)> {
        let soap = self.soap.operation(operation.id())?;
        Some((&soap.request.name.local, &soap.response.name.local))
    }

    /// The element that a SOAP request holds, from a request document of `operation`: what a client sends.
    ///
    /// # Errors
    /// The field that XML cannot hold.
    pub fn soap_request(&self, operation: &Operation, document: &Document) -> Result<String, FieldProblem> {
        let none = || FieldProblem::new("", "soap", "has no form in XML");
        let soap = self.soap.operation(operation.id()).ok_or_else(none)?;
        let document: Value = serde_json::from_slice(document.as_bytes()).map_err(|_| none())?;
        let content = soap.request_member.map_or(Some(&document), |member| document.get(member));
        encode::write(&self.soap.types, &soap.request, content.ok_or_else(none)?)
    }

    /// The answer of `operation` in the envelope of a SOAP response: what a client receives.
    ///
    /// # Errors
    /// [`AnswerProblem`]: what of it does not fit the contract.
    pub fn soap_response(
        &self,
        operation: &Operation,
        response: &SoapCall<'_>,
        limits: &Limits,
    ) -> Result<Answer, AnswerProblem> {
        let refused = |problem| AnswerProblem::Invalid { problems: vec![problem] };
        let soap = self.soap.operation(operation.id());
        let soap = soap.ok_or_else(|| refused(FieldProblem::new("", "soap", "has no form in XML")))?;
        let envelope = read(response.envelope, limits).map_err(refused)?;
        let body = body_element(&envelope).map_err(refused)?;
        if body.name != soap.response.name {
            return Err(refused(FieldProblem::new("", "unknown", "is another element than the contract's")));
        }
        let content = decode::read(&self.soap.types, &soap.response, body, response.attachments, limits)
            .map_err(|problems| AnswerProblem::Invalid { problems })?;
        let content = match soap.response_member {
            Some(member) => content.get(member).cloned().unwrap_or_default(),
            None => content,
        };
        match operation.output_schema() {
            None => operation.answer("", Vec::new(), limits),
            Some(_) => operation.answer("application/json", content.to_string().into_bytes(), limits),
        }
    }
}

fn read(envelope: &str, limits: &Limits) -> Result<Element, FieldProblem> {
    let limits = XmlLimits {
        depth_max: limits.depth_max.saturating_add(ENVELOPE_DEPTH),
        elements_max: limits.elements_max,
        text_bytes_max: limits.string_bytes_max,
    };
    xml::read(envelope.trim_start_matches('\u{FEFF}'), &limits)
        .map_err(|fault| FieldProblem::new("", "xml", format!("{}, at line {}", fault.kind, fault.line)))
}

/// The one element in the body.
fn body_element(envelope: &Element) -> Result<&Element, FieldProblem> {
    let bodies = envelope.all(ENVELOPE, "Body").flat_map(|body| &body.children);
    let elements: Vec<&Element> = bodies.collect();
    match elements.as_slice() {
        [only] if envelope.is(ENVELOPE, "Envelope") => Ok(only),
        _ => Err(FieldProblem::new("", "xml", "is not a SOAP envelope with one element in its body")),
    }
}

/// Problems of the content as those of the document.
fn within(member: Option<&str>, problems: Vec<FieldProblem>) -> Vec<FieldProblem> {
    let Some(member) = member else { return problems };
    let outer = |problem: FieldProblem| FieldProblem {
        pointer: json::excerpt(&format!("/{member}{}", problem.pointer)).into_owned(),
        ..problem
    };
    problems.into_iter().map(outer).collect()
}

impl Problem {
    /// Reads a problem document that was checked by [`Operation::fault`], or that this server wrote.
    pub fn read(document: &[u8]) -> Option<Problem> {
        let document: Value = serde_json::from_slice(document).ok()?;
        let text = |value: &Value, member: &str| Some(value.get(member)?.as_str()?.to_owned());
        let status = document.get("status")?.as_u64()?.try_into().ok()?;
        let fields = document.get("problems").and_then(Value::as_array).into_iter().flatten();
        let fields = fields.filter_map(|field| {
            Some(FieldProblem::new(&text(field, "pointer")?, text(field, "code")?, text(field, "message")?))
        });
        let problem = Problem::new(status, text(&document, "code")?, text(&document, "detail")?);
        Some(problem.with_fields(fields.collect()))
    }

    /// Reads the problem in the `detail` of a SOAP fault, if [`Problem::to_xml`] wrote one there.
    pub fn of_fault(envelope: &str) -> Option<Problem> {
        let envelope = read(envelope, &Limits::default()).ok()?;
        let fault = envelope.first(ENVELOPE, "Body")?.first(ENVELOPE, "Fault")?;
        let problem = fault.first("", "detail")?.first(FAULT_NAMESPACE, "problem")?;
        let text = |node: &Element, local: &str| Some(node.first(FAULT_NAMESPACE, local)?.text.clone());
        let fields = problem.all(FAULT_NAMESPACE, "field").filter_map(|field| {
            let (pointer, code) = (text(field, "pointer")?, text(field, "code")?);
            Some(FieldProblem::new(&pointer, code, text(field, "message")?))
        });
        let fields = fields.collect();
        let status =
            text(problem, "status")?.trim().parse().ok().filter(|status| (400..600).contains(status))?;
        Some(Problem::new(status, text(problem, "code")?, text(problem, "detail")?).with_fields(fields))
    }

    /// The problem as the `detail` of a SOAP fault holds it.
    pub fn to_xml(&self) -> String {
        let mut xml = format!(
            "<problem xmlns=\"{FAULT_NAMESPACE}\"><status>{}</status><code>{}</code><detail>{}</detail>",
            self.status,
            holdable(&self.code),
            holdable(&self.detail)
        );
        for FieldProblem { pointer, code, message } in &self.problems {
            xml += &format!(
                "<field><pointer>{}</pointer><code>{}</code><message>{}</message></field>",
                holdable(pointer),
                holdable(code),
                holdable(message)
            );
        }
        xml + "</problem>"
    }
}

/// `text` escaped, without what XML cannot hold: a fault had better arrive than be exact.
fn holdable(text: &str) -> String {
    let mut xml = String::new();
    escape(&text.chars().filter(|character| xml::can_hold(*character)).collect::<String>(), &mut xml);
    xml
}
