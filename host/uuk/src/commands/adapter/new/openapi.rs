//! What an OpenAPI document tells of a service. The contract offers the same operations, with faults in place of the
//! service's own errors, and without what a mapping cannot send.

use std::collections::BTreeSet;

use serde_json::{Map, Value, json};
use uuk_contract::{Body, Contract, ContractError, Method, Operation, Place, parse_openapi};

use super::service::{Service, is_plain_segment, lines, pointer, table, text};

const JSON: &str = "application/json";
const METHODS: [&str; 5] = ["get", "post", "put", "patch", "delete"];
/// References that lead to references are followed so far.
const REFERENCES_MAX: usize = 8;

/// What an answer of a service with this status is as a fault: status, kind, code, message.
const FAULTS: [(&str, &str, &str, &str); 5] = [
    ("400", "bad-input", "BAD_REQUEST", "the service refuses the request"),
    ("403", "forbidden", "FORBIDDEN", "the service does not allow this"),
    ("404", "not-found", "NOT_FOUND", "there is none"),
    ("409", "conflict", "CONFLICT", "the service is in another state"),
    ("422", "precondition", "UNPROCESSABLE", "the service cannot do this"),
];

pub(super) fn read(document: &[u8]) -> Result<Service, ContractError> {
    let mut document = parse_openapi(document)?;
    let address = document.pointer("/servers/0/url").and_then(Value::as_str).map(str::to_owned);
    let mut service = Service { extension: "json", address, ..Service::default() };
    let lists = adapt(&mut document, &mut service.left_out);
    if !has_operations(&document) {
        return Ok(service);
    }
    let contract = Contract::from_openapi(document.to_string().as_bytes())?;
    service.mapping = "# What goes to the service, and what may leave.\n".to_owned();
    for operation in contract.operations() {
        let (method, path) = (operation.method().to_string(), operation.path());
        match mapped(operation, lists.contains(operation.id())) {
            Ok(map) => {
                service.mapping += &map;
                let segment = |segment: &str| {
                    if segment.starts_with('{') { "*".to_owned() } else { segment.to_owned() }
                };
                let path = path.split('/').map(segment).collect::<Vec<_>>().join("/");
                service.requests.insert((method, path));
            }
            Err(reason) => {
                service.left_out.push(format!("{}: {reason}", operation.id()));
                let item = document.get_mut("paths").and_then(|paths| paths.get_mut(path));
                item.and_then(Value::as_object_mut).map(|item| item.shift_remove(&method.to_lowercase()));
            }
        }
    }
    service.contract = format!("{document:#}\n");
    Ok(service)
}

fn has_operations(document: &Value) -> bool {
    let items = document.get("paths").and_then(Value::as_object).into_iter().flatten();
    items.filter_map(|(_, item)| item.as_object()).any(|item| !item.is_empty())
}

/// Makes of a service's description the contract of its adapter. Returns the operations that answer a list, which stands
/// in the member `items`, since the answer of a mapping is an object.
fn adapt(document: &mut Value, left_out: &mut Vec<String>) -> BTreeSet<String> {
    let source = document.clone();
    let mut lists = BTreeSet::new();
    let Some(root) = document.as_object_mut() else { return lists };
    for field in ["servers", "security", "tags", "webhooks"] {
        root.shift_remove(field);
    }
    let items = root.get_mut("paths").and_then(Value::as_object_mut).into_iter().flatten();
    for (path, item) in items {
        let Some(item) = item.as_object_mut() else { continue };
        item.retain(|field, _| METHODS.contains(&field.as_str()) || field == "parameters");
        let shared = item.shift_remove("parameters");
        item.retain(|method, operation| {
            let Some(operation) = operation.as_object_mut() else { return true };
            let id = operation_id(operation, method, path);
            operation.insert("operationId".to_owned(), id.as_str().into());
            let adapted = Adapting { source: &source, operation, id: &id, left_out }.adapt(shared.as_ref());
            match adapted {
                Ok(is_list) => {
                    lists.extend(is_list.then_some(id));
                    true
                }
                Err(reason) => {
                    left_out.push(format!("{id}: {reason}"));
                    false
                }
            }
        });
    }
    lists
}

/// The operation's own name as a contract can have it, or one made of method and path.
fn operation_id(operation: &Map<String, Value>, method: &str, path: &str) -> String {
    let own = operation.get("operationId").and_then(Value::as_str).map(str::to_owned);
    let id = own.unwrap_or_else(|| format!("{method}{path}"));
    let plain = |letter: char| if letter.is_ascii_alphanumeric() || letter == '-' { letter } else { '_' };
    let words: String = id.chars().map(plain).collect();
    let words: Vec<_> = words.split('_').filter(|word| !word.is_empty()).collect();
    words.join("_").chars().take(64).collect()
}

/// An operation on its way from the service's description to the contract.
struct Adapting<'a> {
    source: &'a Value,
    operation: &'a mut Map<String, Value>,
    id: &'a str,
    left_out: &'a mut Vec<String>,
}

impl Adapting<'_> {
    /// Whether it answers a list; or why it has no place in a mapping.
    fn adapt(mut self, shared: Option<&Value>) -> Result<bool, String> {
        self.operation
            .retain(|field, _| !matches!(field.as_str(), "callbacks" | "security" | "servers" | "tags"));
        self.parameters(shared)?;
        self.body()?;
        self.responses()
    }

    /// Keeps what can stand in a path or query as a single value.
    fn parameters(&mut self, shared: Option<&Value>) -> Result<(), String> {
        let own = self.operation.shift_remove("parameters");
        let declared = [own.as_ref(), shared].into_iter().flatten().filter_map(Value::as_array).flatten();
        let mut kept: Vec<Value> = Vec::new();
        for parameter in declared.map(|parameter| resolve(self.source, parameter)) {
            let of = |field: &str| parameter.get(field).and_then(Value::as_str).unwrap_or_default();
            let schema = parameter.get("schema").map(|schema| resolve(self.source, schema));
            let is_single = schema.is_some_and(|schema| {
                !matches!(schema.get("type").and_then(Value::as_str), Some("array" | "object"))
            });
            let is_same = |other: &Value| {
                other.get("name") == parameter.get("name") && other.get("in") == parameter.get("in")
            };
            if kept.iter().any(is_same) {
                // What the operation says goes before what its path says.
                continue;
            }
            if is_single && matches!(of("in"), "path" | "query") {
                kept.push(parameter.clone());
                continue;
            }
            let (name, place) = (of("name"), of("in"));
            let unsendable = format!("`{name}`, which a mapping cannot send in its {place}");
            if parameter.get("required") == Some(&Value::Bool(true)) {
                return Err(format!("needs {unsendable}"));
            }
            self.left_out.push(format!("{}: {unsendable}", self.id));
        }
        if !kept.is_empty() {
            self.operation.insert("parameters".to_owned(), kept.into());
        }
        Ok(())
    }

    fn body(&mut self) -> Result<(), String> {
        let Some(body) = self.operation.get("requestBody") else { return Ok(()) };
        let body = resolve(self.source, body);
        let schema = json_schema(body).ok_or("its request is not JSON")?;
        let required = body.get("required").cloned().unwrap_or(Value::Bool(false));
        let body = json!({ "required": required, "content": { JSON: { "schema": schema } } });
        self.operation.insert("requestBody".to_owned(), body);
        Ok(())
    }

    /// Keeps the first success, and has a fault for each refusal that has a kind.
    fn responses(&mut self) -> Result<bool, String> {
        let declared =
            self.operation.get("responses").and_then(Value::as_object).cloned().unwrap_or_default();
        let is_success = |(status, _): &(&String, &Value)| status.starts_with('2');
        let success = declared
            .iter()
            .find(is_success)
            .or_else(|| declared.iter().find(|(status, _)| *status == "default"));
        let (status, success) = success.ok_or("declares no success")?;
        let success = resolve(self.source, success);
        let status = if status.parse::<u16>().is_ok() { status.as_str() } else { "200" };
        let description = success.get("description").cloned().unwrap_or_else(|| "The answer".into());
        if success.get("content").and_then(Value::as_object).is_none_or(Map::is_empty) {
            return Err("answers without a document, which a mapping waits for".to_owned());
        }
        let mut schema = json_schema(success).ok_or("its answer is not JSON")?.clone();
        let is_list = resolve(self.source, &schema).get("type").and_then(Value::as_str) == Some("array");
        if is_list {
            schema = json!({
                "type": "object",
                "additionalProperties": false,
                "required": ["items"],
                "properties": { "items": schema },
            });
        }
        let response = json!({ "description": description, "content": { JSON: { "schema": schema } } });
        let mut responses = Map::from_iter([(status.to_owned(), response)]);
        let may_be_missing = |status: &str| status == "404" && self.operation.contains_key("parameters");
        for (status, _, code, message) in FAULTS {
            if declared.contains_key(status) || may_be_missing(status) {
                let schema = json!({
                    "type": "object",
                    "required": ["code"],
                    "properties": { "code": { "type": "string", "enum": [code] } },
                });
                let content = json!({ "application/problem+json": { "schema": schema } });
                responses.insert(status.to_owned(), json!({ "description": message, "content": content }));
            }
        }
        self.operation.insert("responses".to_owned(), responses.into());
        Ok(is_list)
    }
}

/// What a reference within the document leads to; anything else is itself.
fn resolve<'v>(source: &'v Value, value: &'v Value) -> &'v Value {
    let follow = |value: &&'v Value| {
        let reference = value.get("$ref")?.as_str()?;
        source.pointer(reference.strip_prefix('#')?)
    };
    std::iter::successors(Some(value), follow).take(REFERENCES_MAX).last().unwrap_or(value)
}

/// The schema of the JSON that a request or response holds.
fn json_schema(message: &Value) -> Option<&Value> {
    let is_json =
        |(media_type, _): &(&String, &Value)| media_type.split(';').next().map(str::trim) == Some(JSON);
    message.get("content")?.as_object()?.iter().find(is_json)?.1.get("schema")
}

/// The table of an operation; or why it has none.
fn mapped(operation: &Operation, is_list: bool) -> Result<String, String> {
    let mut head = vec![("upstream".to_owned(), text("service"))];
    if operation.method() != Method::Get {
        head.push(("method".to_owned(), text(operation.method().into())));
    }
    let segment = |segment: &str| match segment.strip_prefix('{').and_then(|rest| rest.strip_suffix('}')) {
        Some(name) => Ok(format!("{{{}}}", pointer("", name))),
        None if is_plain_segment(segment) => Ok(segment.to_owned()),
        None => Err(format!("a mapping cannot write `{segment}` in a path")),
    };
    let path = operation.path().split('/').skip(1).map(segment).collect::<Result<Vec<_>, _>>()?;
    head.push(("path".to_owned(), text(&format!("/{}", path.join("/")))));
    let query =
        operation.parameters().iter().filter(|parameter| matches!(parameter.place, Place::Query { .. }));
    let query = query.map(|parameter| (parameter.name.clone(), text(&pointer("", &parameter.name))));
    let query = query.collect::<Vec<_>>();
    if !query.is_empty() {
        head.push(("query".to_owned(), table(&query)));
    }
    let mut map = format!("\n[{}]\n{}{}", operation.id(), lines(&head), faults(operation));
    if operation.body() != Body::None {
        let body = operation.input_schema().pointer("/properties/body");
        let body = members(body.unwrap_or(&Value::Null), operation.input_schema(), "/body");
        map += &format!(
            "\n[{}.body]\n{}",
            operation.id(),
            lines(&body.ok_or("its request has no named fields")?)
        );
    }
    if let Some(schema) = operation.output_schema() {
        let answer = match is_list {
            true => vec![("items".to_owned(), text(""))],
            false => members(schema, schema, "").ok_or("its answer has no named fields")?,
        };
        map += &format!("\n[{}.answer]\n{}", operation.id(), lines(&answer));
    }
    Ok(map)
}

fn faults(operation: &Operation) -> String {
    let statuses: Vec<_> = operation.declared_faults().map(|(status, _)| status.to_string()).collect();
    let declared = FAULTS.iter().filter(|(status, ..)| statuses.iter().any(|other| other == status));
    let line = |(status, kind, code, message): &(&str, &str, &str, &str)| {
        let fault = [("kind", kind), ("code", code), ("message", message)];
        let fault = fault.map(|(name, value)| (name.to_owned(), text(value)));
        match (*status, fault.as_slice()) {
            ("404", [_, fault @ ..]) => format!("faults.none = {}\n", table(fault)),
            (status, fault) => format!("faults.status.{status} = {}\n", table(fault)),
        }
    };
    declared.map(line).collect()
}

/// The members of an object by their paths; nothing if its schema names none.
fn members(schema: &Value, root: &Value, parent: &str) -> Option<Vec<(String, String)>> {
    let schema = resolve(root, schema);
    let required = schema.get("required").and_then(Value::as_array);
    let is_required =
        |name: &String| required.is_some_and(|required| required.iter().any(|other| other == name));
    let member = |(name, schema): (&String, &Value)| {
        let path = text(&pointer(parent, name));
        let may_be_null = is_required(name) && allows_null(resolve(root, schema));
        let expression = if may_be_null { format!("{{ from = {path}, nullable = true }}") } else { path };
        (name.clone(), expression)
    };
    let properties = schema.get("properties")?.as_object()?;
    Some(properties.iter().map(member).collect())
}

fn allows_null(schema: &Value) -> bool {
    let is_null = |name: &Value| name == "null";
    match schema.get("type") {
        Some(Value::Array(names)) => names.iter().any(is_null),
        Some(name) => is_null(name),
        None => {
            let forms = ["anyOf", "oneOf"].into_iter().filter_map(|form| schema.get(form)?.as_array());
            forms.flatten().any(allows_null)
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[track_caller]
    fn leaves_out(operation: Value, reason: &str) {
        let document = json!({
            "openapi": "3.1.0",
            "info": { "title": "t", "version": "1" },
            "paths": { "/a": { "post": operation } },
        });
        let service = read(document.to_string().as_bytes()).unwrap();
        assert_eq!(service.left_out, [format!("post_a: {reason}")]);
        assert!(service.requests.is_empty());
    }

    fn answered(schema: Value) -> Value {
        json!({ "200": { "description": "", "content": { JSON: { "schema": schema } } } })
    }

    #[test]
    fn leaves_out_what_needs_a_header() {
        let header =
            json!({ "name": "X-Key", "in": "header", "required": true, "schema": { "type": "string" } });
        let operation = json!({ "parameters": [header], "responses": answered(json!({})) });
        leaves_out(operation, "needs `X-Key`, which a mapping cannot send in its header");
    }

    #[test]
    fn leaves_out_what_takes_no_json() {
        let body = json!({ "content": { "text/plain": { "schema": {} } } });
        leaves_out(
            json!({ "requestBody": body, "responses": answered(json!({})) }),
            "its request is not JSON",
        );
    }

    #[test]
    fn leaves_out_what_takes_no_fields() {
        let body = json!({ "content": { JSON: { "schema": { "type": "string" } } } });
        let responses = answered(json!({ "type": "object", "properties": {} }));
        leaves_out(json!({ "requestBody": body, "responses": responses }), "its request has no named fields");
    }

    #[test]
    fn leaves_out_what_answers_no_fields() {
        let operation = json!({ "responses": answered(json!({ "type": "string" })) });
        leaves_out(operation, "its answer has no named fields");
    }

    #[test]
    fn leaves_out_what_never_succeeds() {
        leaves_out(json!({ "responses": { "500": { "description": "" } } }), "declares no success");
    }
}
