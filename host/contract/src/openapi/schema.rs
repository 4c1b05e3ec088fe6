//! From the schemas of an OpenAPI document to self-contained JSON Schemas of draft 2020-12.

use std::collections::{BTreeMap, BTreeSet};

use serde_json::{Map, Value, json};

use super::ContractError;
use super::node::Node;
use crate::check::{Report, Schema};
use crate::xsd::json_schema::TITLES;
use crate::xsd::lexical::KEYWORD;

/// Where a `$ref` of a schema may lead.
const COMPONENTS: &str = "#/components/schemas/";

/// Most values in all compiled schemas together, a component counting for each schema that needs it.
const NODES_MAX: usize = 250_000;

/// Most components that one schema may need.
const COMPONENTS_MAX: usize = 500;

/// Most schemas one value may be checked against without descending into it.
const STEPS_MAX: usize = 1_000;

/// Which language the document's schemas are written in.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Dialect {
    /// The one of OpenAPI 3.0: its own subset of an early draft, with `nullable`.
    OpenApi30,
    /// The one of OpenAPI 3.1: JSON Schema 2020-12.
    JsonSchema2020,
}

/// What the value of a keyword is.
#[derive(Clone, Copy)]
enum Keyword {
    /// A plain value that is kept.
    Kept,
    /// An annotation, or a rule for others than this server, that is left out.
    Ignored,
    /// A schema of a part of the value.
    Part,
    /// Schemas of parts of the value, in an array.
    Parts,
    /// Schemas of parts of the value, by name.
    PartsByName,
    /// A schema of the same value.
    Same,
    /// Schemas of the same value, in an array.
    SameEach,
    /// Schemas of the same value, by name.
    SameByName,
}

impl Keyword {
    fn find(name: &str, dialect: Dialect) -> Option<Keyword> {
        let keyword = match name {
            "title" | "description" | "default" | "deprecated" | "enum" | "type" | "format"
            | "multipleOf" | "maximum" | "exclusiveMaximum" | "minimum" | "exclusiveMinimum"
            | "maxLength" | "minLength" | "pattern" | "maxItems" | "minItems" | "uniqueItems"
            | "maxProperties" | "minProperties" | "required" => Keyword::Kept,
            "readOnly" | "writeOnly" | "xml" | "externalDocs" | "example" | "discriminator" => {
                Keyword::Ignored
            }
            "items" | "additionalProperties" => Keyword::Part,
            "properties" => Keyword::PartsByName,
            "not" => Keyword::Same,
            "allOf" | "anyOf" | "oneOf" => Keyword::SameEach,
            KEYWORD | TITLES => Keyword::Kept,
            extension if extension.starts_with("x-") => Keyword::Ignored,
            "nullable" if dialect == Dialect::OpenApi30 => Keyword::Ignored,
            _ if dialect == Dialect::OpenApi30 => return None,
            "const" | "minContains" | "maxContains" | "dependentRequired" => Keyword::Kept,
            "examples" | "$comment" | "contentEncoding" | "contentMediaType" | "contentSchema" => {
                Keyword::Ignored
            }
            "contains" | "propertyNames" | "unevaluatedItems" | "unevaluatedProperties" => Keyword::Part,
            "prefixItems" => Keyword::Parts,
            "patternProperties" => Keyword::PartsByName,
            "if" | "then" | "else" => Keyword::Same,
            "dependentSchemas" => Keyword::SameByName,
            _ => return None,
        };
        Some(keyword)
    }
}

/// Which components a schema refers to, and how.
#[derive(Debug, Default, Clone)]
pub(super) struct Uses {
    all: BTreeSet<String>,
    /// Those the same value is checked against.
    same_value: Vec<String>,
    /// For each choice, what each of its forms refers to.
    choices: Vec<Vec<BTreeSet<String>>>,
}

/// A converted component.
#[derive(Debug)]
struct Definition {
    schema: Value,
    uses: Uses,
}

/// Converts the schemas of one document; components once each.
#[derive(Debug)]
pub(super) struct Schemas<'d> {
    root: Node<'d>,
    dialect: Dialect,
    definitions: BTreeMap<String, Definition>,
    nodes_compiled: usize,
}

impl<'d> Schemas<'d> {
    pub(super) fn new(root: Node<'d>, dialect: Dialect) -> Schemas<'d> {
        Schemas { root, dialect, definitions: BTreeMap::new(), nodes_compiled: 0 }
    }

    /// Compiles one schema of the document.
    pub(super) fn compile(&mut self, node: &Node<'d>) -> Result<Schema, ContractError> {
        let mut uses = Uses::default();
        let schema = self.convert(node, &mut uses, Position::SameValue)?;
        self.bundle(schema, &uses, node)
    }

    /// Compiles a schema put together from converted ones; `node` is the place to name in an error.
    pub(super) fn bundle(
        &mut self,
        schema: Value,
        uses: &Uses,
        node: &Node<'d>,
    ) -> Result<Schema, ContractError> {
        let used = self.define_all(&uses.all)?;
        let mut finished = BTreeMap::new();
        for name in &used {
            self.count_steps(name, &mut BTreeSet::new(), &mut finished)?;
        }
        let definitions: Map<String, Value> = used
            .iter()
            .filter_map(|name| Some((name.clone(), self.definitions.get(name)?.schema.clone())))
            .collect();
        // A schema that is `true` or `false` has no room for definitions, and no use for them.
        let mut source = schema;
        if let (Some(object), false) = (source.as_object_mut(), definitions.is_empty()) {
            object.insert("$defs".to_owned(), Value::Object(definitions));
        }
        self.nodes_compiled += count_nodes(&source);
        if self.nodes_compiled > NODES_MAX {
            return Err(ContractError::SchemasTooLarge { what: "values in its schemas", max: NODES_MAX });
        }
        let report = if self.any_chooses_itself(&used) { Report::Verdict } else { Report::Fields };
        Schema::compile(source, report)
            .map_err(|reason| ContractError::SchemaInvalid { pointer: node.pointer(), reason })
    }

    /// Converts one schema; references lead to `#/$defs/NAME` afterwards, and `uses` says which.
    pub(super) fn convert_part(&self, node: &Node<'d>, uses: &mut Uses) -> Result<Value, ContractError> {
        self.convert(node, uses, Position::Part)
    }

    /// Converts the components in `names` and all they lead to, and says which that are.
    fn define_all(&mut self, names: &BTreeSet<String>) -> Result<BTreeSet<String>, ContractError> {
        let mut reached = BTreeSet::new();
        let mut waiting: Vec<String> = names.iter().cloned().collect();
        while let Some(name) = waiting.pop() {
            if !reached.insert(name.clone()) {
                continue;
            }
            if reached.len() > COMPONENTS_MAX {
                let what = "components for one schema";
                return Err(ContractError::SchemasTooLarge { what, max: COMPONENTS_MAX });
            }
            if !self.definitions.contains_key(&name) {
                let mut uses = Uses::default();
                let node = self.root.target(&format!("{COMPONENTS}{name}"))?;
                let schema = self.convert(&node, &mut uses, Position::SameValue)?;
                self.definitions.insert(name.clone(), Definition { schema, uses });
            }
            if let Some(definition) = self.definitions.get(&name) {
                waiting.extend(definition.uses.all.iter().cloned());
            }
        }
        Ok(reached)
    }

    /// How many schemas one value is checked against because of component `name`, itself included.
    fn count_steps(
        &self,
        name: &str,
        entered: &mut BTreeSet<String>,
        finished: &mut BTreeMap<String, usize>,
    ) -> Result<usize, ContractError> {
        if let Some(steps) = finished.get(name) {
            return Ok(*steps);
        }
        let endless = || ContractError::SchemaEndless { name: name.to_owned(), steps_max: STEPS_MAX };
        if !entered.insert(name.to_owned()) {
            return Err(endless());
        }
        let mut steps = 1;
        for next in self.definitions.get(name).into_iter().flat_map(|definition| &definition.uses.same_value)
        {
            steps += self.count_steps(next, entered, finished)?;
            if steps > STEPS_MAX {
                return Err(endless());
            }
        }
        entered.remove(name);
        finished.insert(name.to_owned(), steps);
        Ok(steps)
    }

    /// Whether some component has a choice of which two forms or more lead back to that component.
    fn any_chooses_itself(&self, names: &BTreeSet<String>) -> bool {
        let reach: BTreeMap<&str, BTreeSet<&str>> =
            names.iter().map(|name| (name.as_str(), self.reach(name))).collect();
        let leads_back = |name: &str, form: &BTreeSet<String>| {
            form.iter().any(|next| reach.get(next.as_str()).is_some_and(|reached| reached.contains(name)))
        };
        names.iter().filter_map(|name| Some((name, self.definitions.get(name)?))).any(|(name, definition)| {
            let mut choices = definition.uses.choices.iter();
            choices.any(|forms| forms.iter().filter(|form| leads_back(name, form)).count() > 1)
        })
    }

    /// All components that `name` leads to, itself included.
    fn reach<'s>(&'s self, name: &'s str) -> BTreeSet<&'s str> {
        let mut reached = BTreeSet::new();
        let mut waiting = vec![name];
        while let Some(next) = waiting.pop() {
            if reached.insert(next) {
                let uses = self.definitions.get(next).into_iter().flat_map(|definition| &definition.uses.all);
                waiting.extend(uses.map(String::as_str));
            }
        }
        reached
    }

    fn convert(&self, node: &Node<'d>, uses: &mut Uses, position: Position) -> Result<Value, ContractError> {
        if node.value().is_boolean() {
            // OpenAPI 3.0 has these only for `additionalProperties`; they can mean nothing else elsewhere.
            return Ok(node.value().clone());
        }
        if self.dialect == Dialect::OpenApi30 && node.get("$ref").is_some() {
            node.allow_only(&["$ref", "title", "description", "default", "example", "deprecated"])?;
        }
        let mut converted = Map::new();
        for (name, part) in node.members()? {
            let value = match (name, Keyword::find(name, self.dialect)) {
                ("$ref", _) => self.reference(&part, uses, position)?,
                (_, Some(Keyword::Ignored)) => continue,
                (_, Some(Keyword::Kept)) => part.value().clone(),
                (_, Some(Keyword::Part)) => self.convert(&part, uses, Position::Part)?,
                (_, Some(Keyword::Parts)) => self.convert_each(&part, uses, Position::Part)?,
                (_, Some(Keyword::PartsByName)) => self.convert_by_name(&part, uses, Position::Part)?,
                (_, Some(Keyword::Same)) => self.convert(&part, uses, position)?,
                (_, Some(Keyword::SameEach)) => self.convert_choice(&part, uses, position)?,
                (_, Some(Keyword::SameByName)) => self.convert_by_name(&part, uses, position)?,
                (keyword, None) => {
                    return Err(ContractError::KeywordUnknown {
                        pointer: node.pointer(),
                        keyword: keyword.to_owned(),
                    });
                }
            };
            converted.insert(name.to_owned(), value);
        }
        if self.dialect == Dialect::OpenApi30 {
            modernise(node, &mut converted)?;
        }
        bound_integer(&mut converted);
        Ok(Value::Object(converted))
    }

    fn convert_each(
        &self,
        node: &Node<'d>,
        uses: &mut Uses,
        position: Position,
    ) -> Result<Value, ContractError> {
        node.items()?.map(|item| self.convert(&item, uses, position)).collect()
    }

    fn convert_by_name(
        &self,
        node: &Node<'d>,
        uses: &mut Uses,
        position: Position,
    ) -> Result<Value, ContractError> {
        let converted: Map<_, _> = node
            .members()?
            .map(|(name, part)| Ok((name.to_owned(), self.convert(&part, uses, position)?)))
            .collect::<Result<_, ContractError>>()?;
        Ok(Value::Object(converted))
    }

    /// `allOf`, `anyOf`, `oneOf`: notes what each form refers to.
    fn convert_choice(
        &self,
        node: &Node<'d>,
        uses: &mut Uses,
        position: Position,
    ) -> Result<Value, ContractError> {
        let (mut converted, mut forms) = (Vec::new(), Vec::new());
        for item in node.items()? {
            let mut form = Uses::default();
            converted.push(self.convert(&item, &mut form, position)?);
            forms.push(form.all.clone());
            uses.all.append(&mut form.all);
            uses.same_value.append(&mut form.same_value);
            uses.choices.append(&mut form.choices);
        }
        uses.choices.push(forms);
        Ok(Value::Array(converted))
    }

    fn reference(
        &self,
        node: &Node<'d>,
        uses: &mut Uses,
        position: Position,
    ) -> Result<Value, ContractError> {
        let reference = node.text()?;
        node.target(reference)?;
        let name = reference
            .strip_prefix(COMPONENTS)
            .filter(|name| name.bytes().all(|byte| byte.is_ascii_alphanumeric() || b"._-".contains(&byte)))
            .ok_or_else(|| node.unresolved(reference, "is no schema under `#/components/schemas`"))?;
        uses.all.insert(name.to_owned());
        if position == Position::SameValue {
            uses.same_value.push(name.to_owned());
        }
        Ok(Value::String(format!("#/$defs/{name}")))
    }
}

/// Whether a schema is applied to the value of the component it stands in, or to a part of it.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Position {
    SameValue,
    Part,
}

/// Rewrites what OpenAPI 3.0 says differently (OpenAPI 3.0.3 §4.7.24).
fn modernise(node: &Node<'_>, schema: &mut Map<String, Value>) -> Result<(), ContractError> {
    let invalid =
        |reason: &str| ContractError::SchemaInvalid { pointer: node.pointer(), reason: reason.to_owned() };
    for (exclusive, inclusive) in [("exclusiveMinimum", "minimum"), ("exclusiveMaximum", "maximum")] {
        let Some(value) = schema.remove(exclusive) else { continue };
        let Some(is_exclusive) = value.as_bool() else {
            return Err(invalid(
                "in OpenAPI 3.0 `exclusiveMinimum` and `exclusiveMaximum` are true or false",
            ));
        };
        if is_exclusive {
            let bound = schema
                .remove(inclusive)
                .ok_or_else(|| invalid("it excludes a bound that it does not state"))?;
            schema.insert(exclusive.to_owned(), bound);
        }
    }
    if schema.get("type").is_some_and(|name| !name.is_string() || name == "null") {
        return Err(invalid("in OpenAPI 3.0 `type` is one type, and null is said by `nullable`"));
    }
    if node.flag("nullable")? {
        let Some(type_name) = schema.get_mut("type") else {
            return Err(invalid("`nullable` has no meaning without `type` in the same schema"));
        };
        *type_name = json!([type_name.clone(), "null"]);
    }
    Ok(())
}

/// Makes `format: int32` a bound. `int64` needs none: every integer must fit 64 bits.
fn bound_integer(schema: &mut Map<String, Value>) {
    if schema.get("format").is_some_and(|format| format == "int32") {
        schema.entry("minimum").or_insert_with(|| i32::MIN.into());
        schema.entry("maximum").or_insert_with(|| i32::MAX.into());
    }
}

fn count_nodes(value: &Value) -> usize {
    match value {
        Value::Array(items) => 1 + items.iter().map(count_nodes).sum::<usize>(),
        Value::Object(members) => 1 + members.values().map(count_nodes).sum::<usize>(),
        _ => 1,
    }
}
