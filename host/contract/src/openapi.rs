//! OpenAPI 3.0 and 3.1: from a document to operations, refusing what could only be guessed at.

mod error;
mod node;
mod parameter;
mod schema;
mod source;

use std::collections::BTreeMap;

use aws_lc_rs::digest;
use serde_json::{Map, Value, json};

pub use error::ContractError;
pub use source::parse;
pub(crate) use source::{DOCUMENT_BYTES_MAX, is_json};

use self::node::Node;
use self::schema::{Dialect, Schemas, Uses};
use crate::check::Schema;
use crate::contract::Contract;
use crate::media_type;
use crate::operation::{
    Body, DeclaredFault, Method, Operation, Parameter, Semantics, StatusPattern, Success,
};
use crate::problem::PROBLEM_MEDIA_TYPE;
use crate::routes::{PathTemplate, Routes};
use crate::soap::Soap;
use crate::xsd::json_schema::TITLES;

const OPERATIONS_MAX: usize = 1_000;

/// Longest `operationId`, in bytes: it becomes a name in code, logs and metrics.
const OPERATION_ID_BYTES_MAX: usize = 64;

const ROOT_FIELDS: &[&str] = &[
    "openapi",
    "info",
    "servers",
    "paths",
    "components",
    "security",
    "tags",
    "externalDocs",
    "jsonSchemaDialect",
    "webhooks",
];
const INFO_FIELDS: &[&str] =
    &["title", "summary", "description", "termsOfService", "contact", "license", "version"];
const PATH_ITEM_FIELDS: &[&str] = &[
    "summary",
    "description",
    "servers",
    "parameters",
    "get",
    "put",
    "post",
    "delete",
    "options",
    "head",
    "patch",
    "trace",
];
const OPERATION_FIELDS: &[&str] = &[
    "tags",
    "summary",
    "description",
    "externalDocs",
    "operationId",
    "parameters",
    "requestBody",
    "responses",
    "callbacks",
    "deprecated",
    "security",
    "servers",
];
const REQUEST_BODY_FIELDS: &[&str] = &["description", "content", "required"];
const RESPONSE_FIELDS: &[&str] = &["description", "headers", "content", "links"];
const MEDIA_TYPE_FIELDS: &[&str] = &["schema", "example", "examples", "encoding"];

/// The dialects of OpenAPI 3.1 that mean JSON Schema 2020-12.
const KNOWN_DIALECTS: [&str; 2] =
    ["https://spec.openapis.org/oas/3.1/dialect/base", "https://json-schema.org/draft/2020-12/schema"];

/// Reads a document.
pub(crate) fn read(bytes: &[u8]) -> Result<Contract, ContractError> {
    let document = source::parse(bytes)?;
    let contract = from_value(&document, bytes)?;
    let soap = Soap::from_operations(&contract.operations, &contract.namespace);
    Ok(Contract { soap, ..contract })
}

/// Reads the operations of a document, whether `source` is its text or that of a WSDL it was made from.
pub(crate) fn from_value(document: &Value, source: &[u8]) -> Result<Contract, ContractError> {
    let root = Node::root(document);
    let dialect = dialect(&root)?;
    root.allow_only(ROOT_FIELDS)?;
    let info = root.require("info")?;
    info.allow_only(INFO_FIELDS)?;

    let mut reading = Reading {
        schemas: Schemas::new(root.clone(), dialect),
        operations: Vec::new(),
        templates: Vec::new(),
        routes: Routes::default(),
    };
    if let Some(paths) = root.get("paths") {
        for (path, item) in paths.members()?.filter(|(path, _)| !path.starts_with("x-")) {
            reading.path_item(path, &item.resolve()?)?;
        }
    }
    if reading.operations.is_empty() {
        return Err(ContractError::OperationsMissing);
    }

    let mut sha256 = [0; 32];
    sha256.copy_from_slice(digest::digest(&digest::SHA256, source).as_ref());
    let title = info.require("title")?.text()?;
    let namespace = match info.optional_text("x-namespace")? {
        Some(namespace) => namespace.to_owned(),
        None => default_namespace(title),
    };
    Ok(Contract {
        title: title.to_owned(),
        namespace,
        version: info.require("version")?.text()?.to_owned(),
        sha256,
        source: source.into(),
        operations: reading.operations,
        routes: reading.routes,
        openapi: None,
        soap: Soap::default(),
    })
}

/// The namespace of the contract's elements in XML, unless it names one itself.
fn default_namespace(title: &str) -> String {
    let words = title.split(|character: char| !character.is_alphanumeric()).filter(|word| !word.is_empty());
    format!("urn:uuk:{}", words.map(str::to_lowercase).collect::<Vec<_>>().join("-"))
}

fn dialect(root: &Node<'_>) -> Result<Dialect, ContractError> {
    let version = root.require("openapi")?.text()?;
    if version.starts_with("3.0.") {
        return Ok(Dialect::OpenApi30);
    }
    if !version.starts_with("3.1.") {
        let version = crate::json::excerpt(version).into_owned();
        return Err(ContractError::VersionUnsupported { version });
    }
    match root.get("jsonSchemaDialect") {
        Some(dialect) if !KNOWN_DIALECTS.contains(&dialect.text()?) => {
            Err(dialect.unsupported("a dialect of JSON Schema other than 2020-12"))
        }
        _ => Ok(Dialect::JsonSchema2020),
    }
}

/// What has been read so far.
struct Reading<'d> {
    schemas: Schemas<'d>,
    operations: Vec<Operation>,
    templates: Vec<PathTemplate>,
    routes: Routes,
}

impl<'d> Reading<'d> {
    fn path_item(&mut self, path: &str, item: &Node<'d>) -> Result<(), ContractError> {
        item.allow_only(PATH_ITEM_FIELDS)?;
        let template = PathTemplate::parse(path)
            .map_err(|reason| ContractError::PathMalformed { path: path.to_owned(), reason })?;
        if let Some(other) = self.templates.iter().find(|other| other.is_ambiguous_with(&template)) {
            return Err(ContractError::PathsAmbiguous {
                first: other.as_str().to_owned(),
                second: path.to_owned(),
            });
        }
        let mut methods = Vec::new();
        for (name, node) in item.members()? {
            let method = match name {
                "trace" => return Err(node.unsupported("the method TRACE")),
                name => match name.to_ascii_uppercase().parse::<Method>() {
                    Ok(method) => method,
                    Err(_) => continue,
                },
            };
            if self.operations.len() >= OPERATIONS_MAX {
                return Err(ContractError::OperationsTooMany { operations_max: OPERATIONS_MAX });
            }
            let operation = self.operation(method, &template, item, &node)?;
            methods.push((method, self.operations.len()));
            self.operations.push(operation);
        }
        self.routes.insert(&template, methods);
        self.templates.push(template);
        Ok(())
    }

    fn operation(
        &mut self,
        method: Method,
        template: &PathTemplate,
        item: &Node<'d>,
        node: &Node<'d>,
    ) -> Result<Operation, ContractError> {
        node.allow_only(OPERATION_FIELDS)?;
        if let Some(callbacks) = node.get("callbacks") {
            return Err(callbacks.unsupported("a callback"));
        }
        let id = self.operation_id(node)?;
        let mut uses = Uses::default();
        let parameters = parameter::read_all(item, node, template, &self.schemas, &mut uses)?;
        let (body, body_schema) = self.request_body(method, node, &mut uses)?;
        let input = self.schemas.bundle(input_schema(&parameters, body, body_schema), &uses, node)?;
        let responses = node.require("responses")?;
        Ok(Operation {
            id,
            method,
            path: template.as_str().to_owned(),
            summary: node.optional_text("summary")?.map(str::to_owned),
            titles: titles(node)?,
            parameters,
            body,
            input,
            success: self.success(&responses)?,
            faults: self.faults(&responses)?,
        })
    }

    fn operation_id(&self, node: &Node<'d>) -> Result<String, ContractError> {
        let place = node.require("operationId")?;
        let id = place.text()?;
        let is_name = id.len() <= OPERATION_ID_BYTES_MAX
            && id.starts_with(|first: char| first.is_ascii_alphabetic())
            && id.bytes().all(|byte| byte.is_ascii_alphanumeric() || b"-_".contains(&byte));
        if !is_name {
            return Err(ContractError::OperationIdMalformed { pointer: place.pointer() });
        }
        if self.operations.iter().any(|other| other.id == id) {
            return Err(ContractError::OperationIdDuplicate { pointer: place.pointer(), id: id.to_owned() });
        }
        Ok(id.to_owned())
    }

    fn request_body(
        &self,
        method: Method,
        operation: &Node<'d>,
        uses: &mut Uses,
    ) -> Result<(Body, Option<Value>), ContractError> {
        let Some(declared) = operation.get("requestBody") else { return Ok((Body::None, None)) };
        if method.semantics() == Semantics::Safe {
            return Err(ContractError::BodyMeaningless { pointer: declared.pointer() });
        }
        let node = declared.resolve()?;
        node.allow_only(REQUEST_BODY_FIELDS)?;
        let schema = content_schema(&node.require("content")?, media_type::JSON)?;
        let body = if node.flag("required")? { Body::Required } else { Body::Optional };
        Ok((body, Some(self.schemas.convert_part(&schema, uses)?)))
    }

    /// The first declared status of 2xx, and what it sends.
    fn success(&mut self, responses: &Node<'d>) -> Result<Success, ContractError> {
        for (key, node) in declared_responses(responses)? {
            if let StatusPattern::Exactly(status @ 200..=299) = key {
                let node = node.resolve()?;
                return Ok(Success { status, content: self.content(&node, media_type::JSON)? });
            }
        }
        Err(ContractError::SuccessMissing { pointer: responses.pointer() })
    }

    fn faults(&mut self, responses: &Node<'d>) -> Result<Vec<DeclaredFault>, ContractError> {
        let mut faults = Vec::new();
        for (status, node) in declared_responses(responses)? {
            if matches!(status, StatusPattern::Exactly(200..=299) | StatusPattern::Class(2)) {
                continue;
            }
            let node = node.resolve()?;
            faults.push(DeclaredFault { status, content: self.content(&node, PROBLEM_MEDIA_TYPE)? });
        }
        Ok(faults)
    }

    fn content(
        &mut self,
        response: &Node<'d>,
        media_type: &'static str,
    ) -> Result<Option<Schema>, ContractError> {
        response.allow_only(RESPONSE_FIELDS)?;
        match response.get("content") {
            Some(content) => self.schemas.compile(&content_schema(&content, media_type)?).map(Some),
            None => Ok(None),
        }
    }
}

/// The titles of an operation by language.
fn titles(operation: &Node<'_>) -> Result<BTreeMap<String, String>, ContractError> {
    let Some(titles) = operation.get(TITLES) else { return Ok(BTreeMap::new()) };
    titles.members()?.map(|(language, title)| Ok((language.to_owned(), title.text()?.to_owned()))).collect()
}

/// The schema of a `content` that declares `expected` and nothing else.
fn content_schema<'d>(content: &Node<'d>, expected: &'static str) -> Result<Node<'d>, ContractError> {
    let mut declared = content.members()?;
    match (declared.next(), declared.next()) {
        (Some((media_type, node)), None) if media_type.eq_ignore_ascii_case(expected) => {
            node.allow_only(MEDIA_TYPE_FIELDS)?;
            node.require("schema")
        }
        _ => Err(ContractError::MediaTypeUnsupported { pointer: content.pointer(), expected }),
    }
}

fn declared_responses<'d>(responses: &Node<'d>) -> Result<Vec<(StatusPattern, Node<'d>)>, ContractError> {
    responses
        .members()?
        .filter(|(key, _)| !key.starts_with("x-"))
        .map(|(key, node)| match status_pattern(key) {
            Some(pattern) => Ok((pattern, node)),
            None => Err(ContractError::StatusMalformed { pointer: node.pointer() }),
        })
        .collect()
}

fn status_pattern(key: &str) -> Option<StatusPattern> {
    if key == "default" {
        return Some(StatusPattern::Default);
    }
    if let Some(class) = key.strip_suffix("XX") {
        return class.parse().ok().filter(|class| (1..=5).contains(class)).map(StatusPattern::Class);
    }
    key.parse().ok().filter(|status| (100..=599).contains(status)).map(StatusPattern::Exactly)
}

/// The schema of the request document: a member for each parameter, and `body`.
fn input_schema(parameters: &[Parameter], body: Body, body_schema: Option<Value>) -> Value {
    let mut required: Vec<&str> = parameters
        .iter()
        .filter(|parameter| parameter.required)
        .map(|parameter| parameter.name.as_str())
        .collect();
    if body == Body::Required {
        required.push("body");
    }
    let properties: Map<String, Value> = parameters
        .iter()
        .map(|parameter| (parameter.name.clone(), parameter.schema.clone()))
        .chain(body_schema.map(|schema| ("body".to_owned(), schema)))
        .collect();
    json!({
        "type": "object",
        "properties": properties,
        "required": required,
        "additionalProperties": false,
    })
}
