//! Calls that name their operation and post one JSON document, and the way from a document back to a call in REST: what a
//! client needs that knows neither paths nor XML.

use std::collections::BTreeMap;

use serde_json::value::RawValue;

use crate::contract::Contract;
use crate::document::{Document, RestCall};
use crate::limits::Limits;
use crate::media_type;
use crate::operation::{Method, Operation, Parameter, Place, QueryList};
use crate::percent;
use crate::problem::FieldProblem;
use crate::refusal::Refusal;

/// A call in REST that was made of a document.
#[derive(Clone, PartialEq, Eq)]
pub struct ComposedCall {
    /// HTTP method.
    pub method: Method,
    /// Path below the service, and the query: percent-encoded.
    pub target: String,
    /// The headers that the contract declares, and the media type of the body.
    pub headers: Vec<(String, String)>,
    /// The body; empty if there is none.
    pub body: Vec<u8>,
}

impl Contract {
    /// Checks the call of a client that names the operation instead of its path. It posts the request document, or, to an
    /// operation without parameters, the body alone. Pointers of problems are those of the document.
    ///
    /// # Errors
    /// [`Refusal`]: everything about the call that does not fit the contract.
    pub fn posted_document(
        &self,
        operation: &str,
        call: &RestCall<'_>,
        limits: &Limits,
    ) -> Result<(&Operation, Document), Refusal> {
        let operation = self.operation(operation).ok_or(Refusal::PathUnknown)?;
        if call.method.parse() != Ok(Method::Post) {
            return Err(Refusal::MethodNotAllowed { allowed: vec![Method::Post] });
        }
        Ok((operation, Document::posted(operation, call, limits)?))
    }
}

impl Operation {
    /// The call in REST that [`Contract::document`] turns into `document`.
    ///
    /// # Errors
    /// The value that REST has no place for, such as an empty one in the path.
    pub fn rest_call(&self, document: &Document) -> Result<ComposedCall, FieldProblem> {
        let members: BTreeMap<String, &RawValue> = serde_json::from_slice(document.as_bytes())
            .map_err(|_| FieldProblem::new("", "syntax", "is not a request document"))?;
        let mut segments: Vec<String> = self.path().split('/').skip(1).map(str::to_owned).collect();
        let (mut query, mut headers) = (Vec::new(), Vec::new());
        for parameter in self.parameters() {
            let Some(value) = members.get(&parameter.name) else { continue };
            match parameter.place {
                Place::Path { segment } => {
                    let encoded = percent::encode(&text(value));
                    percent::path_segment(&encoded)
                        .map_err(|_| misplaced(parameter, "cannot stand in a path"))?;
                    if let Some(segment) = segments.get_mut(segment) {
                        *segment = encoded;
                    }
                }
                Place::Query { list } => query.extend(pairs(&parameter.name, value, list)),
                Place::Header if text(value).chars().any(char::is_control) => {
                    return Err(misplaced(parameter, "cannot stand in a header"));
                }
                Place::Header => headers.push((parameter.name.clone(), text(value))),
            }
        }
        let body = members.get("body").filter(|_| self.takes_body());
        if body.is_some() {
            headers.push(("content-type".to_owned(), media_type::JSON.to_owned()));
        }
        let mut target = format!("/{}", segments.join("/"));
        if !query.is_empty() {
            target = format!("{target}?{}", query.join("&"));
        }
        let body = body.map(|body| body.get().as_bytes().to_vec()).unwrap_or_default();
        Ok(ComposedCall { method: self.method(), target, headers, body })
    }

    fn takes_body(&self) -> bool {
        self.body() != crate::Body::None
    }
}

/// Without the content, which may be personal data.
impl std::fmt::Debug for ComposedCall {
    fn fmt(&self, formatter: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        formatter.debug_struct("ComposedCall").field("method", &self.method).finish_non_exhaustive()
    }
}

fn misplaced(parameter: &Parameter, message: &str) -> FieldProblem {
    FieldProblem::new(&format!("/{}", parameter.name), "place", message)
}

/// A value as a path, query or header says it: a text without its quotes, all else as JSON writes it.
fn text(value: &RawValue) -> String {
    serde_json::from_str(value.get()).unwrap_or_else(|_| value.get().to_owned())
}

fn pairs(name: &str, value: &RawValue, list: QueryList) -> Vec<String> {
    let items: Vec<&RawValue> = match list {
        QueryList::No => vec![value],
        QueryList::Repeated | QueryList::Commas => serde_json::from_str(value.get()).unwrap_or_default(),
    };
    let (name, values) = (percent::encode(name), items.into_iter().map(|item| percent::encode(&text(item))));
    match list {
        QueryList::Commas => vec![format!("{name}={}", values.collect::<Vec<_>>().join(","))],
        QueryList::No | QueryList::Repeated => values.map(|value| format!("{name}={value}")).collect(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const CONTRACT: &str = "
openapi: 3.1.0
info: {title: t, version: 1.0.0}
paths:
  /people/{pin}/notes:
    post:
      operationId: note
      parameters:
        - {name: pin, in: path, required: true, schema: {type: string}}
        - {name: tag, in: query, schema: {type: array, items: {type: string}}}
        - {name: year, in: query, explode: false, schema: {type: array, items: {type: integer}}}
        - {name: X-Reason, in: header, schema: {type: string}}
      requestBody: {content: {application/json: {schema: {type: object}}}}
      responses: {'204': {description: done}}
  /state:
    get: {operationId: state, responses: {'204': {description: fine}}}
    put:
      operationId: set
      requestBody: {required: true, content: {application/json: {schema: {type: array}}}}
      responses: {'204': {description: done}}
";

    fn posted(operation: &str, body: &str) -> Result<Document, Refusal> {
        let contract = Contract::read(CONTRACT.as_bytes()).unwrap();
        let headers: [(&str, &[u8]); 1] = [("content-type", b"application/json")];
        let call =
            RestCall { method: "POST", path: "", query: None, headers: &headers, body: body.as_bytes() };
        contract.posted_document(operation, &call, &Limits::default()).map(|(_, document)| document)
    }

    #[track_caller]
    fn comes_back(operation: &str, body: &str, target: &str) {
        let contract = Contract::read(CONTRACT.as_bytes()).unwrap();
        let document = posted(operation, body).unwrap();
        let composed = contract.operation(operation).unwrap().rest_call(&document).unwrap();
        assert_eq!(composed.target, target);
        let headers: Vec<(&str, &[u8])> =
            composed.headers.iter().map(|(name, value)| (name.as_str(), value.as_bytes())).collect();
        let (path, query) = match composed.target.split_once('?') {
            Some((path, query)) => (path, Some(query)),
            None => (composed.target.as_str(), None),
        };
        let call =
            RestCall { method: composed.method.into(), path, query, headers: &headers, body: &composed.body };
        let (called, read) = contract.document(&call, &Limits::default()).unwrap();
        assert_eq!(called.id(), operation);
        let value = |document: &Document| serde_json::from_slice::<serde_json::Value>(document.as_bytes());
        assert_eq!(value(&read).unwrap(), value(&document).unwrap());
    }

    #[test]
    fn a_document_becomes_the_call_that_gives_it() {
        comes_back(
            "note",
            r#"{"pin":"Ас 1&?","tag":["a,b","c"],"year":[1990,2000],"X-Reason":"why","body":{"n":1.50}}"#,
            "/people/%D0%90%D1%81%201%26%3F/notes?tag=a%2Cb&tag=c&year=1990,2000",
        );
        comes_back("note", r#"{"pin":"1"}"#, "/people/1/notes");
    }

    #[test]
    fn an_operation_without_parameters_takes_its_body_alone() {
        assert_eq!(posted("set", "[1.50]").unwrap().as_bytes(), br#"{"body":[1.50]}"#);
        comes_back("set", "[1]", "/state");
        comes_back("state", "", "/state");
        comes_back("state", "{}", "/state");
    }

    #[test]
    fn refuses_a_value_that_no_path_can_hold() {
        let contract = Contract::read(CONTRACT.as_bytes()).unwrap();
        for pin in ["", "..", "a/b"] {
            let document = posted("note", &format!(r#"{{"pin":"{pin}"}}"#)).unwrap();
            let refused = contract.operation("note").unwrap().rest_call(&document).unwrap_err();
            assert_eq!((refused.pointer.as_str(), &*refused.code), ("/pin", "place"), "{pin}");
        }
    }

    #[test]
    fn refuses_what_the_contract_refuses_and_says_where() {
        let pointers = |refusal| match refusal {
            Refusal::Invalid { problems } => problems.into_iter().map(|problem| problem.pointer).collect(),
            other => vec![other.code().to_owned()],
        };
        for (operation, body, pointer) in [
            ("note", r#"{"pin":1}"#, "/pin"),
            ("note", r#"{"pin":"1","else":1}"#, "/else"),
            ("note", r#"{"pin":"1","pin":"2"}"#, "/pin"),
            ("set", "{}", "/body"),
            ("state", "[]", ""),
            ("nothing", "{}", "contract.request_path_unknown"),
        ] {
            assert_eq!(pointers(posted(operation, body).unwrap_err()), [pointer], "{operation} {body}");
        }
    }
}
