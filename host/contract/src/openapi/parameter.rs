//! Parameters: only those whose meaning is plain.

use serde_json::Value;

use super::ContractError;
use super::node::Node;
use super::schema::{Schemas, Uses};
use crate::json;
use crate::operation::{Parameter, ParameterKind, Place, QueryList};
use crate::routes::PathTemplate;

const PARAMETER_FIELDS: &[&str] = &[
    "name",
    "in",
    "description",
    "required",
    "deprecated",
    "allowEmptyValue",
    "style",
    "explode",
    "allowReserved",
    "schema",
    "example",
    "examples",
    "content",
];

/// Headers that OpenAPI describes elsewhere: as parameters they are ignored (OpenAPI 3.1 §4.8.12.2.1).
const IGNORED_HEADERS: [&str; 3] = ["Accept", "Content-Type", "Authorization"];

/// Longest chain of references to the schema of a parameter.
const REFERENCES_MAX: usize = 8;

/// Reads the parameters of an operation: those of its path item, unless it declares them anew, then its own.
///
/// `uses` learns which components their schemas refer to.
pub(super) fn read_all<'d>(
    path_item: &Node<'d>,
    operation: &Node<'d>,
    template: &PathTemplate,
    schemas: &Schemas<'d>,
    uses: &mut Uses,
) -> Result<Vec<Parameter>, ContractError> {
    let own = declared(operation)?;
    let mut nodes = declared(path_item)?;
    nodes.retain(|inherited| !own.iter().any(|declared| declared.identity == inherited.identity));
    nodes.extend(own);

    let mut parameters: Vec<Parameter> = Vec::new();
    for Declared { node, identity: (name, place) } in nodes {
        if place == "header" && IGNORED_HEADERS.iter().any(|ignored| ignored.eq_ignore_ascii_case(name)) {
            continue;
        }
        if name == "body" || parameters.iter().any(|other| clashes(other, name)) {
            return Err(ContractError::ParameterNameTaken { pointer: node.pointer(), name: name.to_owned() });
        }
        parameters.push(read(&node, name, place, template, schemas, uses)?);
    }
    for (segment, name) in template.variables() {
        if !parameters.iter().any(|parameter| parameter.place == (Place::Path { segment })) {
            return Err(mismatch(operation, name, "is in the path and not declared"));
        }
    }
    Ok(parameters)
}

/// A parameter and what identifies it: its name and place.
struct Declared<'d> {
    node: Node<'d>,
    identity: (&'d str, &'d str),
}

fn declared<'d>(owner: &Node<'d>) -> Result<Vec<Declared<'d>>, ContractError> {
    let Some(list) = owner.get("parameters") else { return Ok(Vec::new()) };
    list.items()?
        .map(|item| {
            let node = item.resolve()?;
            node.allow_only(PARAMETER_FIELDS)?;
            let identity = (node.require("name")?.text()?, node.require("in")?.text()?);
            Ok(Declared { node, identity })
        })
        .collect()
}

/// Names share one document; and two headers differ by more than case.
fn clashes(parameter: &Parameter, name: &str) -> bool {
    parameter.name == name || (parameter.place == Place::Header && parameter.name.eq_ignore_ascii_case(name))
}

fn read<'d>(
    node: &Node<'d>,
    name: &str,
    place: &str,
    template: &PathTemplate,
    schemas: &Schemas<'d>,
    uses: &mut Uses,
) -> Result<Parameter, ContractError> {
    if node.get("content").is_some() {
        return Err(node.unsupported("a parameter with `content`"));
    }
    if node.flag("allowEmptyValue")? {
        return Err(node.unsupported("`allowEmptyValue`"));
    }
    if node.flag("allowReserved")? {
        return Err(node.unsupported("`allowReserved`"));
    }
    let required = node.flag("required")?;
    let default_style = if place == "query" { "form" } else { "simple" };
    if node.optional_text("style")?.is_some_and(|style| style != default_style) {
        return Err(node.unsupported("a style other than `form` in the query and `simple` elsewhere"));
    }
    let schema = node.require("schema")?;
    let (kind, is_list) = kind(&schema)?;
    let place = match place {
        "path" => {
            let Some((segment, _)) = template.variables().find(|(_, variable)| *variable == name) else {
                return Err(mismatch(node, name, "is declared and not in the path"));
            };
            if !required {
                return Err(mismatch(node, name, "must be `required: true`"));
            }
            Place::Path { segment }
        }
        "query" => {
            // OpenAPI's default for the style `form` is to repeat the parameter.
            let is_repeated = node.get("explode").is_none() || node.flag("explode")?;
            let list = match (is_list, is_repeated) {
                (false, _) => QueryList::No,
                (true, true) => QueryList::Repeated,
                (true, false) => QueryList::Commas,
            };
            Place::Query { list }
        }
        "header" => Place::Header,
        "cookie" => return Err(node.unsupported("a parameter in a cookie")),
        _ => return Err(node.must_be("`in: path`, `in: query` or `in: header`")),
    };
    if is_list && !matches!(place, Place::Query { .. }) {
        return Err(schema.unsupported("a list outside the query"));
    }
    Ok(Parameter {
        name: name.to_owned(),
        place,
        kind,
        required,
        schema: schemas.convert_part(&schema, uses)?,
        description: node.optional_text("description")?.map(str::to_owned),
    })
}

/// The one type a parameter has, and whether it is a list of them.
fn kind(schema: &Node<'_>) -> Result<(ParameterKind, bool), ContractError> {
    let unclear = || ContractError::ParameterTypeUnclear { pointer: schema.pointer() };
    let described = referred(schema)?;
    if described.flag("nullable")? {
        return Err(unclear());
    }
    if described.get("type").and_then(|name| name.value().as_str()) == Some("array") {
        let items = referred(&described.require("items")?)?;
        return Ok((scalar_kind(&items).ok_or_else(unclear)?, true));
    }
    Ok((scalar_kind(&described).ok_or_else(unclear)?, false))
}

fn scalar_kind(schema: &Node<'_>) -> Option<ParameterKind> {
    if schema.value().get("nullable") == Some(&Value::Bool(true)) {
        return None;
    }
    schema.value().get("type")?.as_str()?.parse().ok()
}

/// The schema itself, or the one it refers to.
fn referred<'d>(schema: &Node<'d>) -> Result<Node<'d>, ContractError> {
    let mut node = schema.clone();
    for _ in 0..REFERENCES_MAX {
        match node.optional_text("$ref")? {
            Some(reference) => node = node.target(reference)?,
            None => return Ok(node),
        }
    }
    Err(node.unresolved("", "is one of a chain of too many references"))
}

fn mismatch(node: &Node<'_>, name: &str, reason: &'static str) -> ContractError {
    ContractError::PathParameterMismatch {
        pointer: node.pointer(),
        name: json::excerpt(name).into_owned(),
        reason,
    }
}
