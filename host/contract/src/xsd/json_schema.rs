//! [`Types`] as schemas of an OpenAPI 3.1 document.

use std::collections::{BTreeMap, BTreeSet};

use serde_json::{Map, Value, json};

use super::builtin::JsonKind;
use super::facets::{Bound, Facets};
use super::lexical::{KEYWORD, Lexical};
use super::{Field, Form, Group, Max, Note, Object, Root, Simple, TEXT_MEMBER, Type, TypeId, Types};

/// Titles by language, in OpenAPI and JSON Schema.
pub(crate) const TITLES: &str = "x-titles";

/// The types of a contract with the names they have as components.
pub(crate) struct Components<'t> {
    types: &'t Types,
    names: BTreeMap<TypeId, String>,
}

impl<'t> Components<'t> {
    pub(crate) fn new(types: &'t Types) -> Self {
        let (mut names, mut taken) = (BTreeMap::new(), BTreeSet::new());
        for (id, Type { name, .. }) in types.iter() {
            let Some(name) = name else { continue };
            let is_plain = |character: char| character.is_ascii_alphanumeric() || "._-".contains(character);
            let plain: String = name
                .local
                .chars()
                .map(|character| if is_plain(character) { character } else { '_' })
                .collect();
            let numbered = (2..).map(|number| format!("{plain}-{number}"));
            let free = std::iter::once(plain.clone()).chain(numbered).find(|name| !taken.contains(name));
            let free = free.unwrap_or_default();
            taken.insert(free.clone());
            names.insert(id, free);
        }
        Self { types, names }
    }

    /// The components themselves.
    pub(crate) fn schemas(&self) -> Value {
        let schema = |(id, name): (&TypeId, &String)| (name.clone(), self.define(*id));
        Value::Object(self.names.iter().map(schema).collect())
    }

    /// The schema of what a message holds.
    pub(crate) fn root(&self, root: &Root) -> Value {
        self.value(root.type_id, root.nillable)
    }

    fn value(&self, id: TypeId, nillable: bool) -> Value {
        let schema = match self.names.get(&id) {
            Some(name) => json!({"$ref": format!("#/components/schemas/{name}")}),
            None => self.define(id),
        };
        // Null has no room for attributes.
        let needs_attributes = match &self.types.get(id).form {
            Form::Object(object) => object.attributes.iter().any(|attribute| attribute.required),
            _ => false,
        };
        if nillable && !needs_attributes { json!({"anyOf": [schema, {"type": "null"}]}) } else { schema }
    }

    fn define(&self, id: TypeId) -> Value {
        let Type { note, form, .. } = self.types.get(id);
        let mut schema = match form {
            Form::Simple(simple) => simple_schema(simple),
            Form::Array(item) => self.array(item),
            Form::Object(object) => self.object(object),
        };
        annotate(&mut schema, note);
        Value::Object(schema)
    }

    fn object(&self, object: &Object) -> Map<String, Value> {
        let mut properties = Map::new();
        let mut required: Vec<&str> = Vec::new();
        for attribute in &object.attributes {
            let mut schema = simple_schema(&attribute.simple);
            annotate(&mut schema, &attribute.note);
            properties.insert(attribute.member.clone(), Value::Object(schema));
            required.extend(attribute.required.then_some(attribute.member.as_str()));
        }
        if let Some(text) = &object.text {
            properties.insert(TEXT_MEMBER.to_owned(), Value::Object(simple_schema(text)));
            required.push(TEXT_MEMBER);
        }
        for field in &object.fields {
            properties.insert(field.member().to_owned(), self.field(field));
        }
        let presence = Presence::of(&object.group, &object.fields);
        required.extend(presence.required);
        let mut schema = Map::from_iter([
            ("type".to_owned(), "object".into()),
            ("additionalProperties".to_owned(), false.into()),
            ("required".to_owned(), required.into()),
            ("properties".to_owned(), Value::Object(properties)),
        ]);
        if !presence.choices.is_empty() {
            schema.insert("allOf".to_owned(), presence.choices.into());
        }
        schema
    }

    fn field(&self, field: &Field) -> Value {
        let schema = if field.is_repeated() {
            Value::Object(self.array(field))
        } else {
            self.value(field.type_id, field.nillable)
        };
        let Value::Object(mut schema) = schema else { return schema };
        annotate(&mut schema, &field.note);
        Value::Object(schema)
    }

    fn array(&self, item: &Field) -> Map<String, Value> {
        let mut schema = Map::from_iter([
            ("type".to_owned(), "array".into()),
            ("items".to_owned(), self.value(item.type_id, item.nillable)),
        ]);
        let min = item.min.max(item.conditional.into());
        if min > 0 {
            schema.insert("minItems".to_owned(), min.into());
        }
        if let Max::Times(max) = item.max {
            schema.insert("maxItems".to_owned(), max.into());
        }
        schema
    }
}

/// Which members must be there, and which only with each other.
#[derive(Default)]
struct Presence<'f> {
    required: Vec<&'f str>,
    /// One schema for each choice.
    choices: Vec<Value>,
}

impl<'f> Presence<'f> {
    fn of(group: &Group, fields: &'f [Field]) -> Self {
        match group {
            Group::Field(index) => {
                let must = |field: &&Field| field.min > 0 || (field.is_repeated() && !field.conditional);
                let required = fields.get(*index).filter(must).map(Field::member);
                Self { required: required.into_iter().collect(), choices: Vec::new() }
            }
            Group::All(groups) => {
                let mut all = Self::default();
                for Self { required, choices } in groups.iter().map(|group| Self::of(group, fields)) {
                    all.required.extend(required);
                    all.choices.extend(choices);
                }
                all
            }
            Group::OneOf(groups) => {
                let all = group.fields();
                let branches = groups.iter().map(|branch| {
                    let own = branch.fields();
                    let others = all.iter().filter(|index| !own.contains(index));
                    let absent: Map<String, Value> = others
                        .filter_map(|index| Some((fields.get(*index)?.member().to_owned(), false.into())))
                        .collect();
                    let Self { required, choices } = Self::of(branch, fields);
                    let mut schema = json!({"required": required, "properties": absent});
                    if let (Some(schema), false) = (schema.as_object_mut(), choices.is_empty()) {
                        schema.insert("allOf".to_owned(), choices.into());
                    }
                    schema
                });
                // A branch without required members may be satisfied by nothing, and so may another.
                let choice = json!({"anyOf": branches.collect::<Vec<_>>()});
                Self { required: Vec::new(), choices: vec![choice] }
            }
        }
    }
}

fn annotate(schema: &mut Map<String, Value>, note: &Note) {
    if let Some(title) = note.title() {
        schema.insert("title".to_owned(), title.into());
    }
    if note.titles.keys().any(|language| !language.is_empty()) {
        schema.insert(TITLES.to_owned(), json!(note.titles));
    }
    if let Some(text) = &note.text {
        schema.insert("description".to_owned(), text.as_str().into());
    }
}

fn simple_schema(simple: &Simple) -> Map<String, Value> {
    let Simple { builtin, facets } = simple;
    let mut schema = Map::new();
    let type_name = match simple.json_kind() {
        JsonKind::Boolean => "boolean",
        JsonKind::Integer => {
            integer_bounds(simple, &mut schema);
            "integer"
        }
        JsonKind::Number => {
            number_bounds(facets, &mut schema);
            "number"
        }
        JsonKind::Text => {
            if !builtin.is_binary() {
                let lengths = [("minLength", facets.length_min), ("maxLength", facets.length_max)];
                for (keyword, length) in
                    lengths.into_iter().filter_map(|(keyword, length)| Some((keyword, length?)))
                {
                    schema.insert(keyword.to_owned(), length.into());
                }
            }
            let mut patterns = facets.patterns.iter().map(|pattern| Value::from(pattern.regex.as_str()));
            if let Some(first) = patterns.next() {
                schema.insert("pattern".to_owned(), first);
            }
            let more: Vec<Value> = patterns.map(|pattern| json!({"pattern": pattern})).collect();
            if !more.is_empty() {
                schema.insert("allOf".to_owned(), more.into());
            }
            if let Some(keyword) = Lexical::keyword(simple) {
                schema.insert(KEYWORD.to_owned(), keyword);
            }
            "string"
        }
    };
    schema.insert("type".to_owned(), type_name.into());
    if let Some(values) = &facets.enumeration {
        let values = values.iter().filter_map(|value| simple.to_json(value));
        schema.insert("enum".to_owned(), values.collect());
    }
    schema
}

/// Integers of any size are held to 64 bits by the check of their type.
fn integer_bounds(simple: &Simple, schema: &mut Map<String, Value>) {
    let Simple { builtin, facets } = simple;
    let whole = |bound: &Bound, step: i64| {
        let value: i64 = bound.value.parse().ok()?;
        if bound.exclusive { value.checked_add(step) } else { Some(value) }
    };
    let (least, greatest) = builtin.integer_bounds();
    let digits = facets.total_digits.and_then(|digits| Some(10_i64.checked_pow(digits)? - 1));
    let lower = facets.lower.as_ref().and_then(|bound| whole(bound, 1));
    let upper = facets.upper.as_ref().and_then(|bound| whole(bound, -1));
    if let Some(minimum) = [least, lower, digits.map(|max| -max)].into_iter().flatten().max() {
        schema.insert("minimum".to_owned(), minimum.into());
    }
    if let Some(maximum) = [greatest, upper, digits].into_iter().flatten().min() {
        schema.insert("maximum".to_owned(), maximum.into());
    }
}

fn number_bounds(facets: &Facets, schema: &mut Map<String, Value>) {
    let bounds =
        [(&facets.lower, "minimum", "exclusiveMinimum"), (&facets.upper, "maximum", "exclusiveMaximum")];
    for (bound, inclusive, exclusive) in bounds {
        let Some(bound) = bound else { continue };
        if let Some(value) = bound.value.parse::<f64>().ok().and_then(serde_json::Number::from_f64) {
            let keyword = if bound.exclusive { exclusive } else { inclusive };
            schema.insert(keyword.to_owned(), Value::Number(value));
        }
    }
}

impl Simple {
    /// The JSON of a value, `text` with its white space treated. `None` if it is none of the type.
    pub(crate) fn to_json(&self, text: &str) -> Option<Value> {
        match self.json_kind() {
            JsonKind::Text => Some(text.into()),
            JsonKind::Boolean => match text {
                "true" | "1" => Some(true.into()),
                "false" | "0" => Some(false.into()),
                _ => None,
            },
            JsonKind::Integer => text.parse::<i64>().ok().map(Value::from),
            // JSON's own spelling keeps `1` an integer and `1.0` a fraction.
            JsonKind::Number if self.builtin.allows(text) => match serde_json::from_str(text) {
                Ok(number @ Value::Number(_)) => Some(number),
                _ => serde_json::Number::from_f64(text.parse().ok()?).map(Value::Number),
            },
            JsonKind::Number => None,
        }
    }
}

impl Types {
    fn iter(&self) -> impl Iterator<Item = (TypeId, &Type)> {
        self.types.iter().enumerate().map(|(index, declared)| (TypeId(index), declared))
    }
}
