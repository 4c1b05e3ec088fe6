//! From the JSON Schemas of an OpenAPI contract to [`Types`], as far as XML Schema has words for them.
//!
//! An object is a sequence of its members, an array a type `ArrayOf…` with the element `item`. What only restricts values
//! further, such as `not`, is left to the check in JSON. A text may say by `x-xsd` which type of XML Schema it is.

use std::collections::{BTreeMap, BTreeSet};

use serde_json::{Map, Value, json};

use super::builtin::{Builtin, JsonKind};
use super::facets::{Bound, Facets, Pattern};
use super::json_schema::TITLES;
use super::lexical::KEYWORD;
use super::{Field, Form, Group, Max, Note, Object, Root, Simple, Type, TypeId, Types, pattern};
use crate::json::{excerpt, push_step};
use crate::operation::Operation;
use crate::soap::SoapOperation;
use crate::xml::{Name, is_name};

/// Deepest nesting of schemas that are not components.
const DEPTH_MAX: usize = 32;

/// The element of an array's items.
const ITEM: &str = "item";

/// The element of an answer that is no object.
const ANSWER: &str = "value";

/// The keywords that say more of what an object or array holds than is read here.
const STRUCTURE: [&str; 8] = [
    "patternProperties",
    "prefixItems",
    "dependentSchemas",
    "allOf",
    "anyOf",
    "oneOf",
    "if",
    "unevaluatedProperties",
];

/// Why SOAP cannot call an operation.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("operation `{operation}` has no form in XML: the schema at `{pointer}` {reason}")]
pub struct NotInXml {
    /// Its `operationId`.
    pub operation: String,
    /// JSON Pointer into its input or output schema.
    pub pointer: String,
    /// What is in the way: a clause that continues the pointer.
    pub reason: &'static str,
}

/// Gives operations of one contract their XML.
pub(crate) struct Converter<'t> {
    namespace: &'t str,
    types: &'t mut Types,
    /// Components, with whether they may be null.
    known: BTreeMap<String, (TypeId, bool)>,
    names: BTreeSet<String>,
}

impl<'t> Converter<'t> {
    pub(crate) fn new(namespace: &'t str, types: &'t mut Types) -> Self {
        Self { namespace, types, known: BTreeMap::new(), names: BTreeSet::new() }
    }

    /// The elements that carry an operation.
    pub(crate) fn operation(&mut self, operation: &Operation) -> Result<SoapOperation, NotInXml> {
        let refused = |Refused { pointer, reason }| NotInXml {
            operation: operation.id().to_owned(),
            pointer: excerpt(&pointer).into_owned(),
            reason,
        };
        let (request, _) = self.root(operation.id(), Some(operation.input_schema())).map_err(refused)?;
        let response_name = format!("{}Response", operation.id());
        let (response, response_member) =
            self.root(&response_name, operation.output_schema()).map_err(refused)?;
        let title = operation.summary().map(|summary| (String::new(), summary.to_owned()));
        let titles = match operation.titles() {
            titles if titles.is_empty() => title.into_iter().collect(),
            titles => titles.clone(),
        };
        Ok(SoapOperation {
            id: operation.id().to_owned(),
            note: Note { titles, text: None },
            address: None,
            action: String::new(),
            request,
            response,
            request_member: None,
            response_member,
        })
    }

    fn root(&mut self, local: &str, schema: Option<&Value>) -> Result<(Root, Option<&'static str>), Refused> {
        let name = Name::new(self.namespace, local);
        let empty = json!({"type": "object"});
        let schema = schema.unwrap_or(&empty);
        let mut reading =
            Reading { definitions: schema.get("$defs"), pointer: String::new(), converter: self };
        let (type_id, nillable) = reading.schema(schema, 0)?;
        if matches!(self.types.get(type_id).form, Form::Object(_)) && !nillable {
            return Ok((Root { name, type_id, nillable: false }, None));
        }
        let field = self.field(ANSWER, type_id, nillable, true, Note::default());
        let object =
            Object { fields: vec![field], group: Group::All(vec![Group::Field(0)]), ..Object::default() };
        let type_id = self.types.add(Type { name: None, note: Note::default(), form: Form::Object(object) });
        Ok((Root { name, type_id, nillable: false }, Some(ANSWER)))
    }

    fn field(&self, member: &str, type_id: TypeId, nillable: bool, required: bool, note: Note) -> Field {
        Field {
            name: Name::new(self.namespace, member),
            type_id,
            min: required.into(),
            max: Max::Once,
            nillable,
            conditional: false,
            note,
        }
    }

    /// A name that no other type has.
    fn free_name(&mut self, wanted: &str) -> Name {
        let numbered = (2..).map(|number| format!("{wanted}-{number}"));
        let free = std::iter::once(wanted.to_owned()).chain(numbered).find(|name| !self.names.contains(name));
        let free = free.unwrap_or_default();
        self.names.insert(free.clone());
        Name::new(self.namespace, &free)
    }
}

/// A schema with components, and where it is being read.
struct Reading<'s, 'c, 't> {
    definitions: Option<&'s Value>,
    pointer: String,
    converter: &'c mut Converter<'t>,
}

struct Refused {
    pointer: String,
    reason: &'static str,
}

impl<'s> Reading<'s, '_, '_> {
    /// The type of a schema's values, and whether they may be null.
    fn schema(&mut self, schema: &'s Value, depth: usize) -> Result<(TypeId, bool), Refused> {
        if depth > DEPTH_MAX {
            return Err(self.refused("is nested too deep"));
        }
        let Some(object) = schema.as_object() else { return Err(self.refused("says no type")) };
        if let Some(reference) = object.get("$ref").and_then(Value::as_str) {
            return self.component(reference.rsplit('/').next().unwrap_or_default());
        }
        if let Some((forms, only)) = null_or_other(object) {
            let (type_id, _) = self.enter(forms, |reading| reading.schema(only, depth + 1))?;
            return Ok((type_id, true));
        }
        let form = self.form(object, depth)?;
        let id = match &form {
            Form::Array(item) => {
                let items = self.converter.types.get(item.type_id);
                let wanted = match (&items.name, &items.form) {
                    (Some(name), _) => format!("ArrayOf{}", capitalised(&name.local)),
                    (None, Form::Simple(simple)) => format!("ArrayOf{}", capitalised(simple.builtin.name())),
                    (None, _) => "ArrayOfItems".to_owned(),
                };
                let name = Some(self.converter.free_name(&wanted));
                self.converter.types.add(Type { name, note: Note::default(), form })
            }
            _ => self.converter.types.add(Type { name: None, note: Note::default(), form }),
        };
        Ok((id, may_be_null(object)))
    }

    /// A component, which may lead back to itself.
    fn component(&mut self, name: &str) -> Result<(TypeId, bool), Refused> {
        if let Some(known) = self.converter.known.get(name) {
            return Ok(*known);
        }
        let Some(Value::Object(schema)) = self.definitions.and_then(|all| all.get(name)) else {
            return Err(self.refused("says no type"));
        };
        if schema.contains_key("$ref") || null_or_other(schema).is_some() {
            let definition = self.definitions.and_then(|all| all.get(name));
            return self.enter(name, |reading| reading.schema(definition.unwrap_or(&Value::Null), 1));
        }
        let is_array = schema.get("type").is_some_and(|named| named == "array");
        let wanted =
            if is_array && !name.starts_with("ArrayOf") { format!("ArrayOf{name}") } else { name.to_owned() };
        let wanted = if is_name(&wanted) { wanted } else { format!("_{wanted}") };
        let name_in_xml = Some(self.converter.free_name(&wanted));
        let form = Form::Object(Object::default());
        let id = self.converter.types.add(Type { name: name_in_xml, note: note(schema), form });
        let known = (id, may_be_null(schema));
        self.converter.known.insert(name.to_owned(), known);
        let outer = std::mem::replace(&mut self.pointer, format!("/$defs/{name}"));
        match self.form(schema, 0) {
            Ok(form) => self.converter.types.finish(id, form),
            Err(refused) => {
                // The next operation that needs it is refused for the same reason.
                self.converter.known.remove(name);
                return Err(refused);
            }
        }
        self.pointer = outer;
        Ok(known)
    }

    fn form(&mut self, schema: &'s Map<String, Value>, depth: usize) -> Result<Form, Refused> {
        let type_name = match schema.get("type") {
            Some(Value::String(one)) => one.as_str(),
            Some(Value::Array(several)) => {
                let mut others = several.iter().filter_map(Value::as_str).filter(|name| *name != "null");
                match (others.next(), others.next()) {
                    (Some(only), None) => only,
                    _ => return Err(self.refused("allows several types")),
                }
            }
            _ if allowed_values(schema).is_some_and(|values| values.iter().all(Value::is_string)) => "string",
            _ if schema.contains_key("properties") => "object",
            _ => return Err(self.refused("says no type")),
        };
        match type_name {
            "object" => self.object(schema, depth).map(Form::Object),
            "array" => self.array(schema, depth).map(Form::Array),
            "null" => Err(self.refused("allows nothing but null")),
            scalar => Ok(Form::Simple(simple(scalar, schema))),
        }
    }

    fn object(&mut self, schema: &'s Map<String, Value>, depth: usize) -> Result<Object, Refused> {
        self.refuse_structure(schema)?;
        if schema.get("additionalProperties").is_some_and(Value::is_object) {
            return Err(self.refused("allows members of any name"));
        }
        let required = schema.get("required").and_then(Value::as_array);
        let mut object = Object::default();
        for (member, part) in schema.get("properties").and_then(Value::as_object).into_iter().flatten() {
            let field = self.enter(&format!("properties/{member}"), |reading| {
                if !is_name(member) {
                    return Err(reading.refused("is of a member whose name no element can have"));
                }
                let (type_id, nillable) = reading.schema(part, depth + 1)?;
                let is_required = required.is_some_and(|names| names.iter().any(|name| name == member));
                let note = part.as_object().map(note).unwrap_or_default();
                Ok(reading.converter.field(member, type_id, nillable, is_required, note))
            })?;
            object.fields.push(field);
        }
        object.group = Group::All((0..object.fields.len()).map(Group::Field).collect());
        Ok(object)
    }

    fn array(&mut self, schema: &'s Map<String, Value>, depth: usize) -> Result<Field, Refused> {
        self.refuse_structure(schema)?;
        let Some(items) = schema.get("items") else { return Err(self.refused("says nothing of its items")) };
        let (type_id, nillable) = self.enter("items", |reading| reading.schema(items, depth + 1))?;
        let size =
            |keyword: &str| schema.get(keyword).and_then(Value::as_u64).and_then(|size| size.try_into().ok());
        // One item at most is still a list.
        let max = match size("maxItems") {
            Some(max) if max > 1 => Max::Times(max),
            _ => Max::Unbounded,
        };
        let min = size("minItems").unwrap_or_default();
        Ok(Field { min, max, ..self.converter.field(ITEM, type_id, nillable, false, Note::default()) })
    }

    /// Forms that only ask for members add nothing to the structure.
    fn refuse_structure(&self, schema: &Map<String, Value>) -> Result<(), Refused> {
        let only_restricts = |form: &Value| {
            form.as_object()
                .is_some_and(|form| form.keys().all(|keyword| matches!(keyword.as_str(), "required" | "not")))
        };
        for keyword in STRUCTURE {
            match schema.get(keyword) {
                None => {}
                Some(Value::Array(forms)) if forms.iter().all(only_restricts) => {}
                Some(_) => return Err(self.refused("combines schemas, or allows members by pattern")),
            }
        }
        Ok(())
    }

    fn enter<R>(
        &mut self,
        step: &str,
        read: impl FnOnce(&mut Self) -> Result<R, Refused>,
    ) -> Result<R, Refused> {
        let outer = self.pointer.len();
        for step in step.splitn(2, '/') {
            push_step(&mut self.pointer, step);
        }
        let result = read(self)?;
        self.pointer.truncate(outer);
        Ok(result)
    }

    fn refused(&self, reason: &'static str) -> Refused {
        Refused { pointer: self.pointer.clone(), reason }
    }
}

/// The schema that `anyOf` or `oneOf` puts beside null.
fn null_or_other(schema: &Map<String, Value>) -> Option<(&'static str, &Value)> {
    let is_null = |form: &&Value| form.get("type").is_some_and(|name| name == "null");
    ["anyOf", "oneOf"].into_iter().find_map(|keyword| match schema.get(keyword)?.as_array()?.as_slice() {
        [null, other] | [other, null]
            if is_null(&null) && !is_null(&other) && !schema.contains_key("type") =>
        {
            Some((keyword, other))
        }
        _ => None,
    })
}

fn may_be_null(schema: &Map<String, Value>) -> bool {
    let by_type =
        |named: &Value| named.as_array().is_some_and(|names| names.iter().any(|name| name == "null"));
    schema.get("type").is_some_and(by_type)
}

fn allowed_values(schema: &Map<String, Value>) -> Option<&[Value]> {
    match (schema.get("enum"), schema.get("const")) {
        (Some(Value::Array(values)), _) => Some(values),
        (_, Some(value)) => Some(std::slice::from_ref(value)),
        _ => None,
    }
}

fn simple(type_name: &str, schema: &Map<String, Value>) -> Simple {
    let text = |keyword: &str| schema.get(keyword).and_then(Value::as_str);
    let length = |keyword: &str| schema.get(keyword).and_then(Value::as_u64);
    let bound = |inclusive: &str, exclusive: &str| match (schema.get(inclusive), schema.get(exclusive)) {
        (Some(value), _) => Some(Bound { value: value.to_string(), exclusive: false }),
        (_, Some(value)) => Some(Bound { value: value.to_string(), exclusive: true }),
        _ => None,
    };
    let enumeration = allowed_values(schema).map(|values| {
        let texts = values.iter().filter(|value| !value.is_null());
        texts.map(|value| value.as_str().map_or_else(|| value.to_string(), str::to_owned)).collect()
    });
    let numeric = Facets {
        enumeration: enumeration.clone(),
        lower: bound("minimum", "exclusiveMinimum"),
        upper: bound("maximum", "exclusiveMaximum"),
        ..Facets::default()
    };
    match type_name {
        "boolean" => Simple::of(Builtin::Boolean),
        "integer" => Simple { builtin: Builtin::Long, facets: numeric },
        "number" => Simple { builtin: Builtin::Double, facets: numeric },
        _ => {
            let builtin = schema.get(KEYWORD).and_then(|keyword| keyword.get("type")?.as_str()?.parse().ok());
            let (builtin, in_json) = match (builtin, text("format")) {
                (Some(builtin), _) => (builtin, None),
                // JSON's dates have no time zone, and its times must have one.
                (None, Some("date")) => (Builtin::Date, Some(r"\d{4}-\d{2}-\d{2}")),
                (None, Some("date-time")) => (Builtin::DateTime, Some(r"\d{4}-.*(Z|[+\-]\d{2}:\d{2})")),
                (None, _) => (Builtin::String, None),
            };
            let in_json = in_json.map(|xsd| Pattern { xsd: xsd.to_owned(), regex: String::new() });
            let facets = Facets {
                enumeration,
                patterns: in_json.into_iter().chain(text("pattern").and_then(pattern::to_xsd)).collect(),
                length_min: length("minLength"),
                length_max: length("maxLength"),
                ..Facets::default()
            };
            match (Simple { builtin, facets }) {
                simple if simple.json_kind() == JsonKind::Text => simple,
                other => Simple { builtin: Builtin::Token, ..other },
            }
        }
    }
}

fn note(schema: &Map<String, Value>) -> Note {
    let text = |keyword: &str| schema.get(keyword).and_then(Value::as_str).map(str::to_owned);
    let by_language = schema.get(TITLES).and_then(Value::as_object).into_iter().flatten();
    let mut titles: BTreeMap<String, String> = by_language
        .filter_map(|(language, title)| Some((language.clone(), title.as_str()?.to_owned())))
        .collect();
    if titles.is_empty() {
        titles.extend(text("title").map(|title| (String::new(), title)));
    }
    Note { titles, text: text("description") }
}

fn capitalised(name: &str) -> String {
    let mut characters = name.chars();
    characters.next().map_or_else(String::new, |first| first.to_uppercase().chain(characters).collect())
}
