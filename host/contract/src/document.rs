//! From a REST call to the one JSON document an adapter receives.

use std::borrow::Cow;
use std::fmt;

use serde_json::{Map, Number, Value};

use crate::check::PROBLEMS_MAX;
use crate::json;
use crate::limits::Limits;
use crate::media_type;
use crate::operation::{Body, Operation, Parameter, ParameterKind, Place, QueryList};
use crate::percent;
use crate::problem::FieldProblem;
use crate::refusal::{Refusal, RequestPart};

/// A REST call as it arrived: nothing decoded, nothing left out.
#[derive(Clone, Copy)]
pub struct RestCall<'a> {
    /// HTTP method, in capitals.
    pub method: &'a str,
    /// Path after the service code, still percent-encoded: empty, or beginning with `/`.
    pub path: &'a str,
    /// What follows `?`, still percent-encoded.
    pub query: Option<&'a str>,
    /// Every header line, names in any case.
    pub headers: &'a [(&'a str, &'a [u8])],
    /// The body; empty if there is none.
    pub body: &'a [u8],
}

/// A request document that fits its operation's schema. It can only come from [`crate::Contract::document`]
/// and its kin.
///
/// One JSON object: each declared parameter the client sent under its own name, and a JSON body under `body`.
/// Defaults of the contract are not filled in: the document holds what the client sent. Numbers and the whole
/// body keep the exact text the client wrote.
#[derive(Clone, PartialEq, Eq)]
pub struct Document(Vec<u8>);

impl Document {
    /// Checks a document that did not come from a REST call.
    pub(crate) fn checked(operation: &Operation, value: &Value) -> Result<Document, Refusal> {
        match operation.input.problems(value) {
            problems if problems.is_empty() => Ok(Document(value.to_string().into_bytes())),
            problems => Err(Refusal::Invalid { problems }),
        }
    }

    /// Reads and checks a document that a client posted: of an operation without parameters, its body alone.
    pub(crate) fn posted(
        operation: &Operation,
        call: &RestCall<'_>,
        limits: &Limits,
    ) -> Result<Document, Refusal> {
        let refused = |problem| Refusal::Invalid { problems: vec![problem] };
        check_size(RequestPart::Body, call.body.len(), limits.body_bytes_max)?;
        if call.query.is_some_and(|query| !query.is_empty()) {
            return Err(refused(FieldProblem::new("", "unknown", "takes no query: it is all in the body")));
        }
        if !call.body.is_empty() {
            check_media_type(call)?;
        }
        let posted = call.body.trim_ascii();
        let text = match operation.body {
            _ if posted.is_empty() => b"{}".to_vec(),
            Body::Optional | Body::Required if operation.parameters.is_empty() => {
                [b"{\"body\":", posted, b"}"].concat()
            }
            _ => posted.to_vec(),
        };
        let value = json::read(&text, limits).map_err(|fault| refused(fault.into()))?;
        match operation.input.problems(&value) {
            problems if problems.is_empty() => Ok(Document(text)),
            problems => Err(Refusal::Invalid { problems }),
        }
    }

    /// The JSON text, UTF-8.
    pub fn as_bytes(&self) -> &[u8] {
        &self.0
    }

    /// The JSON text, UTF-8.
    pub fn into_bytes(self) -> Vec<u8> {
        self.0
    }
}

/// Without the content, which may be personal data.
impl fmt::Debug for Document {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.debug_struct("Document").field("size_bytes", &self.0.len()).finish()
    }
}

/// Assembles the document of a call and checks it.
///
/// `segments` are those of the call's path, decoded; they fit the template of `operation`.
pub(crate) fn assemble(
    operation: &Operation,
    segments: &[Cow<'_, str>],
    call: &RestCall<'_>,
    limits: &Limits,
) -> Result<Document, Refusal> {
    let query = call.query.unwrap_or_default();
    check_size(RequestPart::Query, query.len(), limits.query_bytes_max)?;
    check_size(RequestPart::Body, call.body.len(), limits.body_bytes_max)?;
    if operation.body != Body::None && !call.body.is_empty() {
        check_media_type(call)?;
    }

    let mut draft = Draft::with_capacity(call);
    let pairs = draft.query_pairs(operation, query);
    for (index, parameter) in operation.parameters.iter().enumerate() {
        match parameter.place {
            Place::Path { segment } => {
                draft.one(parameter, segments.get(segment).map(|text| Ok(text.clone())));
            }
            Place::Query { list } => {
                let given = pairs.iter().filter(|pair| pair.parameter == index).map(|pair| pair.raw_value);
                match list {
                    QueryList::No => draft.at_most_one(parameter, given, percent::decode),
                    QueryList::Repeated => draft.list(parameter, given),
                    QueryList::Commas => draft.comma_list(parameter, given),
                }
            }
            Place::Header => draft.at_most_one(parameter, call.header(&parameter.name), header_text),
        }
    }
    draft.body(operation.body, call.body, limits);
    draft.finish(operation)
}

pub(crate) fn check_size(part: RequestPart, size_bytes: usize, bytes_max: usize) -> Result<(), Refusal> {
    if size_bytes > bytes_max { Err(Refusal::TooLarge { part, bytes_max }) } else { Ok(()) }
}

/// A body is JSON, says so once, and is not compressed: what is checked must be what was sent.
fn check_media_type(call: &RestCall<'_>) -> Result<(), Refusal> {
    let mut declared = call.header("content-type");
    let is_json = match (declared.next(), declared.next()) {
        (Some(only), None) => std::str::from_utf8(only).is_ok_and(media_type::is_json),
        _ => false,
    };
    if is_json && call.header("content-encoding").next().is_none() {
        Ok(())
    } else {
        Err(Refusal::MediaTypeUnsupported)
    }
}

impl<'a> RestCall<'a> {
    fn header(&self, name: &str) -> impl Iterator<Item = &'a [u8]> {
        self.headers
            .iter()
            .filter(move |(given, _)| given.eq_ignore_ascii_case(name))
            .map(|(_, value)| *value)
    }
}

/// A header as text. It is not percent-decoded: OpenAPI leaves that to the parties, and most send plain text.
fn header_text(value: &[u8]) -> Result<Cow<'_, str>, &'static str> {
    match std::str::from_utf8(value) {
        Ok(text) if text.chars().any(char::is_control) => Err("has a control character"),
        Ok(text) => Ok(Cow::Borrowed(text)),
        Err(_) => Err("is not UTF-8"),
    }
}

/// One `name=value` of the query that belongs to a declared parameter.
struct QueryPair<'a> {
    /// Index of the parameter.
    parameter: usize,
    raw_value: &'a str,
}

/// The document in the making: its text, its value for the check, and what is wrong so far.
struct Draft {
    text: Vec<u8>,
    members: Map<String, Value>,
    problems: Vec<FieldProblem>,
}

impl Draft {
    fn with_capacity(call: &RestCall<'_>) -> Draft {
        // Room for the values as they came, and for the names and punctuation around them.
        let size_bytes = call.path.len() + call.query.map_or(0, str::len) + call.body.len() + 128;
        Draft { text: Vec::with_capacity(size_bytes), members: Map::new(), problems: Vec::new() }
    }

    fn refuse(&mut self, pointer: &str, code: &'static str, message: &str) {
        if self.problems.len() < PROBLEMS_MAX {
            self.problems.push(FieldProblem::new(pointer, code, message));
        }
    }

    /// Splits the query and finds the parameter of each pair.
    fn query_pairs<'a>(&mut self, operation: &Operation, query: &'a str) -> Vec<QueryPair<'a>> {
        let mut pairs = Vec::new();
        for pair in query.split('&').filter(|_| !query.is_empty()) {
            let (raw_name, raw_value) = match pair.split_once('=') {
                Some((name, value)) => (name, Some(value)),
                None => (pair, None),
            };
            let name = match percent::decode(raw_name) {
                Ok(name) => name,
                Err(reason) => {
                    self.refuse("", "encoding", &format!("has a query parameter whose name {reason}"));
                    continue;
                }
            };
            let declared = operation.parameters.iter().position(|parameter| {
                matches!(parameter.place, Place::Query { .. }) && parameter.name == name
            });
            match (declared, raw_value) {
                (Some(parameter), Some(raw_value)) => pairs.push(QueryPair { parameter, raw_value }),
                (Some(_), None) => self.refuse(&pointer_to(&name), "syntax", "is given without a value"),
                (None, _) => self.refuse(&pointer_to(&name), "unknown", "is not in the contract"),
            }
        }
        pairs
    }

    /// Adds a parameter that may be given once.
    fn at_most_one<'a, R: ?Sized + 'a>(
        &mut self,
        parameter: &Parameter,
        mut given: impl Iterator<Item = &'a R>,
        decode: impl FnOnce(&'a R) -> Result<Cow<'a, str>, &'static str>,
    ) {
        match (given.next(), given.next()) {
            (first, None) => self.one(parameter, first.map(decode)),
            (_, Some(_)) => self.refuse(&pointer_to(&parameter.name), "duplicate", "is given more than once"),
        }
    }

    fn one(&mut self, parameter: &Parameter, given: Option<Result<Cow<'_, str>, &'static str>>) {
        let Some(decoded) = given else { return };
        match scalar(parameter.kind, decoded) {
            Ok(scalar) => {
                self.begin_member(&parameter.name);
                self.text.extend_from_slice(scalar.text.as_bytes());
                self.members.insert(parameter.name.clone(), scalar.value);
            }
            Err((code, message)) => self.refuse(&pointer_to(&parameter.name), code, message),
        }
    }

    fn comma_list<'a>(&mut self, parameter: &Parameter, mut given: impl Iterator<Item = &'a str>) {
        match (given.next(), given.next()) {
            (None, _) => {}
            (Some(only), None) => self.list(parameter, only.split(',')),
            (Some(_), Some(_)) => {
                self.refuse(&pointer_to(&parameter.name), "duplicate", "is given more than once");
            }
        }
    }

    fn list<'a>(&mut self, parameter: &Parameter, given: impl Iterator<Item = &'a str>) {
        let (mut texts, mut values) = (Vec::new(), Vec::new());
        for (index, raw) in given.enumerate() {
            match scalar(parameter.kind, percent::decode(raw)) {
                Ok(scalar) => {
                    texts.push(scalar.text);
                    values.push(scalar.value);
                }
                Err((code, message)) => {
                    let pointer = format!("{}/{index}", pointer_to(&parameter.name));
                    self.refuse(&pointer, code, message);
                }
            }
        }
        if values.is_empty() {
            return;
        }
        self.begin_member(&parameter.name);
        self.text.push(b'[');
        self.text.extend_from_slice(texts.join(",").as_bytes());
        self.text.push(b']');
        self.members.insert(parameter.name.clone(), Value::Array(values));
    }

    fn body(&mut self, declared: Body, bytes: &[u8], limits: &Limits) {
        if bytes.is_empty() {
            return;
        }
        if declared == Body::None {
            return self.refuse("/body", "unknown", "is not in the contract");
        }
        match json::read(bytes, limits) {
            Ok(value) => {
                self.begin_member("body");
                self.text.extend_from_slice(bytes.trim_ascii());
                self.members.insert("body".to_owned(), value);
            }
            Err(fault) => {
                let pointer = format!("/body{}", fault.pointer);
                self.refuse(&pointer, fault.kind.into(), &fault.kind.to_string());
            }
        }
    }

    fn begin_member(&mut self, name: &str) {
        self.text.push(if self.text.is_empty() { b'{' } else { b',' });
        self.text.extend_from_slice(quoted(name).as_bytes());
        self.text.push(b':');
    }

    fn finish(mut self, operation: &Operation) -> Result<Document, Refusal> {
        let mut problems = operation.input.problems(&Value::Object(self.members));
        // What could not be read is missing from the value too; once is enough.
        problems
            .retain(|problem| !self.problems.iter().any(|known| is_within(&known.pointer, &problem.pointer)));
        self.problems.append(&mut problems);
        self.problems.truncate(PROBLEMS_MAX);
        if !self.problems.is_empty() {
            return Err(Refusal::Invalid { problems: self.problems });
        }
        if self.text.is_empty() {
            self.text.push(b'{');
        }
        self.text.push(b'}');
        Ok(Document(self.text))
    }
}

fn is_within(pointer: &str, outer: &str) -> bool {
    pointer.strip_prefix(outer).is_some_and(|rest| rest.is_empty() || rest.starts_with('/'))
}

fn pointer_to(name: &str) -> String {
    let mut pointer = String::with_capacity(name.len() + 1);
    json::push_step(&mut pointer, name);
    pointer
}

/// A parameter's value as JSON text and as the same value for the check.
struct Scalar {
    text: String,
    value: Value,
}

/// Reads a decoded parameter as its type demands; the error is a code and a message.
fn scalar(
    kind: ParameterKind,
    decoded: Result<Cow<'_, str>, &'static str>,
) -> Result<Scalar, (&'static str, &'static str)> {
    let text = decoded.map_err(|reason| ("encoding", reason))?.into_owned();
    match kind {
        ParameterKind::String => Ok(Scalar { text: quoted(&text), value: Value::String(text) }),
        ParameterKind::Boolean => match text.parse() {
            Ok(value) => Ok(Scalar { text, value: Value::Bool(value) }),
            Err(_) => Err(("type", "must be `true` or `false`")),
        },
        ParameterKind::Integer => match number(&text) {
            Some(value) if value.is_i64() => Ok(Scalar { text, value: Value::Number(value) }),
            _ => Err(("type", "must be an integer of at most 64 bits")),
        },
        ParameterKind::Number => match number(&text) {
            Some(value) => Ok(Scalar { text, value: Value::Number(value) }),
            None => Err(("type", "must be a number")),
        },
    }
}

/// A number in the grammar of JSON, which has no `+`, no leading zeros and no `NaN`.
fn number(text: &str) -> Option<Number> {
    // The JSON reader skips white space, which is no part of a number.
    if text.contains(|character: char| character.is_ascii_whitespace()) {
        return None;
    }
    serde_json::from_str(text).ok()
}

fn quoted(text: &str) -> String {
    #[expect(clippy::expect_used, reason = "a string, written to memory")]
    serde_json::to_string(text).expect("a string is JSON")
}
