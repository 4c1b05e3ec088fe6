//! From JSON Schema to the types that Rust will have: what a document is made of, with every name decided.
//!
//! The host has checked a document before an adapter reads it, and checks the answer again. So a type here may
//! allow more than the schema does (any text for a date), and where a schema says something that Rust's types do
//! not, the member is a `Value`.

use std::collections::HashSet;

use serde_json::Value;

use super::names::{Given, pascal_case, snake_case};

/// Deeper than this, a member is a `Value`: a list may contain itself.
const DEPTH_MAX: usize = 32;

/// A type with a name of its own.
#[derive(Debug, PartialEq)]
pub(super) struct Declaration {
    pub(super) name: String,
    pub(super) doc: Option<String>,
    pub(super) kind: Kind,
}

/// What a named type is.
#[derive(Debug, PartialEq)]
pub(super) enum Kind {
    Object(Vec<Field>),
    Choice(Vec<Variant>),
    /// Another name for a shape: a whole document that is no object.
    Alias(Shape),
}

/// A member of an object.
#[derive(Debug, PartialEq)]
pub(super) struct Field {
    pub(super) name: String,
    pub(super) json_name: String,
    pub(super) doc: Option<String>,
    pub(super) shape: Shape,
    /// May be left out.
    pub(super) optional: bool,
    /// May be null.
    pub(super) nullable: bool,
}

/// A value of a choice.
#[derive(Debug, PartialEq)]
pub(super) struct Variant {
    pub(super) name: String,
    pub(super) value: String,
}

/// What a value is.
#[derive(Debug, Clone, PartialEq)]
pub(super) enum Shape {
    Text,
    Integer,
    Number,
    Boolean,
    List(Box<Shape>),
    Map(Box<Shape>),
    Named(String),
    /// A named type directly within itself.
    Boxed(String),
    /// No document at all.
    Nothing,
    /// What Rust's types do not say, and why.
    Any(&'static str),
}

/// The types of an operation: `Request`, `Response` and those they are made of, in the order in which they are met.
///
/// Each schema is self-contained: a `$ref` in it points into it.
pub(super) fn types_of(input: &Value, output: Option<&Value>) -> Vec<Declaration> {
    let mut reader = Reader::new(input);
    reader.declare_document("Request");
    match output {
        Some(output) => {
            reader.root = output;
            reader.declare_document("Response");
        }
        None => reader.declare("Response", None, Kind::Alias(Shape::Nothing)),
    }
    reader.declarations
}

/// The texts that any of `schemas` lists for its member `name`, each once.
pub(super) fn texts_listed_for<'a>(name: &str, schemas: impl Iterator<Item = &'a Value>) -> Vec<String> {
    let mut texts = Vec::new();
    for root in schemas {
        let reader = Reader::new(root);
        let members = reader.members(root).unwrap_or_default();
        let listed = members.iter().filter(|member| member.name == name).filter_map(|member| {
            let (schema, _) = reader.resolved(member.schema);
            listed_texts(schema)
        });
        for text in listed.flatten() {
            if !texts.iter().any(|known| known == text) {
                texts.push(text.to_owned());
            }
        }
    }
    texts
}

/// The `values` as the variants of a choice.
pub(super) fn variants_of<'a>(values: impl IntoIterator<Item = &'a str>) -> Vec<Variant> {
    let mut given = Given::default();
    let variant =
        |value: &'a str| Variant { name: given.give(pascal_case(value), ""), value: value.to_owned() };
    values.into_iter().map(variant).collect()
}

struct Reader<'a> {
    /// The document being read.
    root: &'a Value,
    declarations: Vec<Declaration>,
    given: Given,
    /// Schemas that have a type already: the name wanted, the schema, the name given.
    met: Vec<(String, &'a Value, String)>,
    /// Names of the types being read, outermost first.
    within: Vec<String>,
    depth: usize,
}

impl<'a> Reader<'a> {
    fn new(root: &'a Value) -> Self {
        let mut given = Given::default();
        for reserved in ["Request", "Response", "FaultCode", "String", "Option", "Vec", "Box", "Result"] {
            given.give(reserved.to_owned(), "");
        }
        let (declarations, met, within) = (Vec::new(), Vec::new(), Vec::new());
        Self { root, declarations, given, met, within, depth: 0 }
    }

    fn declare_document(&mut self, name: &str) {
        let (schema, referenced) = self.resolved(self.root);
        let wanted = referenced.unwrap_or_else(|| name.to_owned());
        match self.members(schema) {
            Some(members) if self.met_as(&wanted, schema).is_none() => {
                self.met.push((wanted, schema, name.to_owned()));
                self.declare_object(name, schema, &members);
            }
            _ => {
                let (shape, _) = self.shape(self.root, name);
                self.declare(name, doc_of(schema), Kind::Alias(shape));
            }
        }
    }

    fn declare_object(&mut self, name: &str, schema: &'a Value, members: &[Member<'a>]) {
        self.within.push(name.to_owned());
        // The place of the type is kept, so that it stands before those it is made of.
        let place = self.declarations.len();
        self.declare(name, doc_of(schema), Kind::Object(Vec::new()));
        // `Request` and `Response` are the module's own: their members' types need no such prefix.
        let prefix = if matches!(name, "Request" | "Response") { "" } else { name };
        let mut names = Given::default();
        let mut fields = Vec::new();
        for member in members {
            let (shape, nullable) =
                self.shape(member.schema, &format!("{prefix}{}", pascal_case(member.name)));
            fields.push(Field {
                name: names.give(snake_case(member.name), "_"),
                json_name: member.name.to_owned(),
                doc: doc_of(member.schema),
                shape,
                optional: !member.required,
                nullable,
            });
        }
        if let Some(declaration) = self.declarations.get_mut(place) {
            declaration.kind = Kind::Object(fields);
        }
        self.within.pop();
    }

    fn declare(&mut self, name: &str, doc: Option<String>, kind: Kind) {
        self.declarations.push(Declaration { name: name.to_owned(), doc, kind });
    }

    /// What `schema` describes and whether it may be null; `path` names its type if the contract does not.
    fn shape(&mut self, schema: &'a Value, path: &str) -> (Shape, bool) {
        if self.depth > DEPTH_MAX {
            return (Shape::Any("nested too deeply"), false);
        }
        self.depth += 1;
        let (schema, referenced) = self.resolved(schema);
        let shape = match alternative_to_null(schema) {
            Some(schema) => (self.shape(schema, path).0, true),
            None => {
                let nullable = types(schema).contains(&"null") || listed(schema).contains(&&Value::Null);
                (self.shape_of_value(schema, &referenced.unwrap_or_else(|| path.to_owned())), nullable)
            }
        };
        self.depth -= 1;
        shape
    }

    fn shape_of_value(&mut self, schema: &'a Value, name: &str) -> Shape {
        if let Some(given) = self.met_as(name, schema) {
            let is_within_itself = self.within.contains(&given);
            return if is_within_itself { Shape::Boxed(given) } else { Shape::Named(given) };
        }
        if let Some(values) = listed_texts(schema) {
            let given = self.meet(name, schema);
            self.declare(&given, doc_of(schema), Kind::Choice(variants_of(values)));
            return Shape::Named(given);
        }
        if let Some(members) = self.members(schema) {
            let given = self.meet(name, schema);
            self.declare_object(&given, schema, &members);
            return Shape::Named(given);
        }
        let types: Vec<_> = types(schema).into_iter().filter(|name| *name != "null").collect();
        match types.as_slice() {
            ["string"] => Shape::Text,
            ["integer"] => Shape::Integer,
            ["number"] => Shape::Number,
            ["boolean"] => Shape::Boolean,
            ["array"] => self.list(schema, name),
            ["object"] => self.map(schema, name),
            [] => Shape::Any("the contract names no single type"),
            _ => Shape::Any("the contract allows several types"),
        }
    }

    fn list(&mut self, schema: &'a Value, name: &str) -> Shape {
        let Some(items) = schema.get("items") else {
            return Shape::Any("the contract does not say a list of what");
        };
        match self.shape(items, &format!("{name}Item")) {
            (_, true) => Shape::Any("a list whose items may be null"),
            (shape, false) => Shape::List(Box::new(unboxed(shape))),
        }
    }

    fn map(&mut self, schema: &'a Value, name: &str) -> Shape {
        let values = schema.get("additionalProperties").filter(|values| values.is_object());
        let Some(values) = values else { return Shape::Any("an object of any members") };
        match self.shape(values, &format!("{name}Value")) {
            (_, true) => Shape::Any("a map whose values may be null"),
            (shape, false) => Shape::Map(Box::new(unboxed(shape))),
        }
    }

    /// The name given to `schema` if it was met under the name `wanted`.
    fn met_as(&self, wanted: &str, schema: &Value) -> Option<String> {
        let met = self.met.iter().find(|(name, met, _)| name == wanted && *met == schema);
        met.map(|(_, _, given)| given.clone())
    }

    fn meet(&mut self, wanted: &str, schema: &'a Value) -> String {
        let given = self.given.give(wanted.to_owned(), "");
        self.met.push((wanted.to_owned(), schema, given.clone()));
        given
    }

    /// Follows `$ref`, and `allOf` of one, to the schema itself, with the name by which it was last referenced.
    fn resolved(&self, mut schema: &'a Value) -> (&'a Value, Option<String>) {
        let mut name = None;
        for _ in 0..DEPTH_MAX {
            let reference = schema.get("$ref").and_then(Value::as_str);
            let parts = schema.get("allOf").and_then(Value::as_array).map(Vec::as_slice);
            if let Some(pointer) = reference.and_then(|reference| reference.strip_prefix('#')) {
                let Some(target) = self.root.pointer(pointer) else { break };
                name = pointer.rsplit('/').next().map(pascal_case);
                schema = target;
            } else if let (Some([part]), None) = (parts, schema.get("properties")) {
                schema = part;
            } else {
                break;
            }
        }
        (schema, name)
    }

    /// The members of an object, those that `allOf` adds included; nothing for any other schema.
    fn members(&self, schema: &'a Value) -> Option<Vec<Member<'a>>> {
        let mut parts = vec![schema];
        let mut properties = Vec::new();
        let mut required = HashSet::new();
        let mut parts_read = 0;
        while let Some(part) = parts.pop() {
            let (part, _) = self.resolved(part);
            parts_read += 1;
            if parts_read > DEPTH_MAX || has_alternatives(part) {
                return None;
            }
            properties.extend(part.get("properties").and_then(Value::as_object).into_iter().flatten());
            required.extend(texts(part.get("required")));
            parts.extend(part.get("allOf").and_then(Value::as_array).into_iter().flatten().rev());
        }
        let mut seen = HashSet::new();
        properties.retain(|(name, _)| seen.insert(name.as_str()));
        let member = |(name, schema): (&'a String, &'a Value)| Member {
            name,
            schema,
            required: required.contains(name.as_str()),
        };
        let members: Vec<_> = properties.into_iter().map(member).collect();
        let is_object = !members.is_empty() || schema.get("properties").is_some();
        is_object.then_some(members)
    }
}

struct Member<'a> {
    name: &'a str,
    schema: &'a Value,
    required: bool,
}

/// Whether an object is one of several: alternatives that only say what is required are no such.
fn has_alternatives(schema: &Value) -> bool {
    let alternatives =
        ["oneOf", "anyOf"].iter().filter_map(|keyword| schema.get(keyword)?.as_array()).flatten();
    alternatives.into_iter().any(|schema| schema.get("properties").is_some() || schema.get("$ref").is_some())
}

/// The other schema, if `schema` says "this or null" by alternatives.
fn alternative_to_null(schema: &Value) -> Option<&Value> {
    let alternatives = schema.get("oneOf").or_else(|| schema.get("anyOf"))?.as_array()?;
    let is_null = |schema: &&Value| types(schema) == ["null"];
    match alternatives.iter().partition::<Vec<_>, _>(is_null) {
        (nulls, others) if !nulls.is_empty() && others.len() == 1 => others.first().copied(),
        _ => None,
    }
}

/// The texts that a schema lists, if all it lists are texts.
fn listed_texts(schema: &Value) -> Option<Vec<&str>> {
    let values: Vec<_> = listed(schema).into_iter().filter(|value| !value.is_null()).collect();
    let texts: Vec<_> = values.iter().filter_map(|value| value.as_str()).collect();
    (!texts.is_empty() && texts.len() == values.len()).then_some(texts)
}

fn listed(schema: &Value) -> Vec<&Value> {
    let values = schema.get("enum").and_then(Value::as_array).into_iter().flatten();
    values.chain(schema.get("const")).collect()
}

/// The names under `type`: one or several.
fn types(schema: &Value) -> Vec<&str> {
    match schema.get("type") {
        Some(Value::String(name)) => vec![name],
        names => texts(names).collect(),
    }
}

fn texts(list: Option<&Value>) -> impl Iterator<Item = &str> {
    list.and_then(Value::as_array).into_iter().flatten().filter_map(Value::as_str)
}

/// A list or map holds its items at a distance: no box is needed.
fn unboxed(shape: Shape) -> Shape {
    match shape {
        Shape::Boxed(name) => Shape::Named(name),
        shape => shape,
    }
}

/// The first line of what the contract says about a schema.
fn doc_of(schema: &Value) -> Option<String> {
    let text = schema.get("description").or_else(|| schema.get("title"))?.as_str()?;
    text.lines().next().map(|line| line.trim().to_owned()).filter(|line| !line.is_empty())
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    fn field(schema: Value) -> (Field, Vec<Declaration>) {
        let root = json!({ "type": "object", "properties": { "x": schema }, "required": ["x"], "$defs": {
            "Person": { "type": "object", "properties": { "name": { "type": "string" } } },
            "Node": { "type": "object", "properties": {
                "next": { "$ref": "#/$defs/Node" },
                "children": { "type": "array", "items": { "$ref": "#/$defs/Node" } },
            } },
            "Lists": { "type": "array", "items": { "$ref": "#/$defs/Lists" } },
        } });
        let mut declarations = types_of(&root, None);
        let Kind::Object(fields) = declarations.remove(0).kind else { panic!("the request is an object") };
        (fields.into_iter().next().unwrap(), declarations)
    }

    fn check(schema: Value, expected: Shape) {
        let (field, _) = field(schema.clone());
        assert_eq!(field.shape, expected, "{schema}");
    }

    #[test]
    fn scalars_and_lists_have_types_of_rust() {
        check(json!({ "type": "string", "format": "date" }), Shape::Text);
        check(json!({ "type": "integer" }), Shape::Integer);
        check(json!({ "type": "number" }), Shape::Number);
        check(
            json!({ "type": "array", "items": { "type": "boolean" } }),
            Shape::List(Box::new(Shape::Boolean)),
        );
        check(
            json!({ "type": "object", "additionalProperties": { "type": "integer" } }),
            Shape::Map(Box::new(Shape::Integer)),
        );
    }

    #[test]
    fn null_may_be_said_in_three_ways() {
        for schema in [
            json!({ "type": ["string", "null"] }),
            json!({ "oneOf": [{ "type": "string" }, { "type": "null" }] }),
            json!({ "anyOf": [{ "type": "null" }, { "type": "string" }] }),
        ] {
            let (field, _) = field(schema.clone());
            assert_eq!((field.shape, field.nullable), (Shape::Text, true), "{schema}");
        }
    }

    #[test]
    fn what_is_not_expressed_is_any_value() {
        check(json!({}), Shape::Any("the contract names no single type"));
        check(json!({ "type": ["string", "integer"] }), Shape::Any("the contract allows several types"));
        check(
            json!({ "oneOf": [{ "$ref": "#/$defs/Person" }, { "type": "string" }] }),
            Shape::Any("the contract names no single type"),
        );
    }

    #[test]
    fn a_type_is_named_by_its_reference_or_by_its_path() {
        check(json!({ "$ref": "#/$defs/Person" }), Shape::Named("Person".into()));
        check(json!({ "allOf": [{ "$ref": "#/$defs/Person" }] }), Shape::Named("Person".into()));
        check(json!({ "enum": ["a", "b"] }), Shape::Named("X".into()));
        let nested = json!({ "type": "object", "properties": { "kind": { "enum": ["a"] } } });
        let (_, declarations) = field(nested);
        assert_eq!(
            declarations.iter().map(|one| one.name.as_str()).collect::<Vec<_>>(),
            ["X", "XKind", "Response"]
        );
    }

    #[test]
    fn all_of_several_objects_is_one_object() {
        let schema = json!({ "allOf": [
            { "$ref": "#/$defs/Person" },
            { "type": "object", "properties": { "age": { "type": "integer" } }, "required": ["age"] },
        ] });
        let (_, declarations) = field(schema);
        let Some(Kind::Object(fields)) = declarations.first().map(|one| &one.kind) else {
            panic!("an object")
        };
        let described: Vec<_> = fields.iter().map(|field| (field.name.as_str(), field.optional)).collect();
        assert_eq!(described, [("name", true), ("age", false)]);
    }

    #[test]
    fn a_type_directly_within_itself_is_boxed() {
        let (_, declarations) = field(json!({ "$ref": "#/$defs/Node" }));
        let Some(Kind::Object(fields)) = declarations.first().map(|one| &one.kind) else {
            panic!("an object")
        };
        let shapes: Vec<_> = fields.iter().map(|field| field.shape.clone()).collect();
        assert_eq!(shapes, [Shape::Boxed("Node".into()), Shape::List(Box::new(Shape::Named("Node".into())))]);
    }

    #[test]
    fn a_list_of_itself_ends() {
        let (mut field, _) = field(json!({ "$ref": "#/$defs/Lists" }));
        while let Shape::List(items) = field.shape {
            field.shape = *items;
        }
        assert_eq!(field.shape, Shape::Any("nested too deeply"));
    }

    #[test]
    fn fault_codes_are_collected_from_every_response() {
        let response =
            |codes: &[&str]| json!({ "type": "object", "properties": { "code": { "enum": codes } } });
        let responses = [response(&["NOT_FOUND"]), response(&["AMBIGUOUS", "NOT_FOUND"]), json!({})];
        assert_eq!(texts_listed_for("code", responses.iter()), ["NOT_FOUND", "AMBIGUOUS"]);
    }

    #[test]
    fn a_type_of_both_documents_is_declared_once() {
        let definitions = json!({ "Sex": { "enum": ["female", "male"] } });
        let document = json!({ "type": "object", "properties": { "sex": { "$ref": "#/$defs/Sex" } }, "$defs": definitions });
        let names: Vec<_> = types_of(&document, Some(&document)).into_iter().map(|one| one.name).collect();
        assert_eq!(names, ["Request", "Sex", "Response"]);
    }
}
