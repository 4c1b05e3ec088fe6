//! The fields of a contract: what is classified, and what a change of breaks its consumers.

use std::collections::{BTreeMap, BTreeSet};

use serde::{Deserialize, Serialize};
use serde_json::Value;
use uuk_contract::Contract;

/// A contract with more is refused: nobody could classify them.
const FIELDS_MAX: usize = 5_000;
/// A schema that leads on and on ends here.
const DEPTH_MAX: usize = 24;

/// Fields by their JSON Pointers: `/get/request/pin`, `/search/answer/people/*/surname`. `*` stands for every item of a
/// list, or every name that is not declared. Where a schema comes back to itself, the field that does is the last.
pub(super) type Fields = BTreeMap<String, Field>;

/// What consumers rely on about a field.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Field {
    /// Its types in JSON; none if any may come.
    pub types: BTreeSet<String>,
    /// Its values, if they are listed.
    pub values: Option<BTreeSet<String>>,
    /// Whether it is there in every document.
    pub required: bool,
}

/// A contract has too many fields, or they nest too deep.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct TooManyFields;

/// All fields of all operations.
pub(super) fn fields(contract: &Contract) -> Result<Fields, TooManyFields> {
    let mut fields = Fields::new();
    for operation in contract.operations() {
        let sides = [("request", Some(operation.input_schema())), ("answer", operation.output_schema())];
        for (side, schema) in sides {
            let Some(root) = schema else { continue };
            let pointer = format!("/{}/{side}", operation.id());
            Walk { root, fields: &mut fields, within: Vec::new() }.visit(root, &pointer, true, 0)?;
        }
    }
    Ok(fields)
}

struct Walk<'s, 'f> {
    root: &'s Value,
    fields: &'f mut Fields,
    /// The references that have been followed to here.
    within: Vec<&'s str>,
}

impl<'s> Walk<'s, '_> {
    fn visit(
        &mut self,
        schema: &'s Value,
        pointer: &str,
        required: bool,
        depth: usize,
    ) -> Result<(), TooManyFields> {
        if depth > DEPTH_MAX || self.fields.len() >= FIELDS_MAX {
            return Err(TooManyFields);
        }
        if let Some(reference) = schema.get("$ref").and_then(Value::as_str) {
            let target = reference.strip_prefix('#').and_then(|pointer| self.root.pointer(pointer));
            let (false, Some(target)) = (self.within.contains(&reference), target) else {
                self.leaf(schema, pointer, required);
                return Ok(());
            };
            self.within.push(reference);
            let visited = self.visit(target, pointer, required, depth + 1);
            self.within.pop();
            return visited;
        }
        let mut has_parts = false;
        for choice in ["allOf", "anyOf", "oneOf"] {
            for part in schema.get(choice).and_then(Value::as_array).into_iter().flatten() {
                has_parts = true;
                self.visit(part, pointer, required && choice == "allOf", depth + 1)?;
            }
        }
        let listed = |name: &str| {
            let names = schema.get("required").and_then(Value::as_array);
            names.is_some_and(|names| names.iter().any(|one| one == name))
        };
        for (name, part) in schema.get("properties").and_then(Value::as_object).into_iter().flatten() {
            has_parts = true;
            let pointer = format!("{pointer}/{}", name.replace('~', "~0").replace('/', "~1"));
            self.visit(part, &pointer, required && listed(name), depth + 1)?;
        }
        for every in ["items", "additionalProperties"] {
            if let Some(part) = schema.get(every).filter(|part| part.is_object()) {
                has_parts = true;
                self.visit(part, &format!("{pointer}/*"), false, depth + 1)?;
            }
        }
        let is_closed_object = schema.get("type").is_some_and(|of| of == "object")
            && schema.get("additionalProperties") == Some(&Value::Bool(false));
        if !has_parts && !is_closed_object {
            self.leaf(schema, pointer, required);
        }
        Ok(())
    }

    /// Alternatives of one field are one field.
    fn leaf(&mut self, schema: &Value, pointer: &str, required: bool) {
        let types = match schema.get("type") {
            Some(Value::String(one)) => BTreeSet::from([one.clone()]),
            Some(Value::Array(several)) => {
                several.iter().filter_map(Value::as_str).map(str::to_owned).collect()
            }
            _ => BTreeSet::new(),
        };
        let constant = schema.get("const").map(std::slice::from_ref);
        let values = schema.get("enum").and_then(Value::as_array).map(Vec::as_slice).or(constant);
        let values = values.map(|values| values.iter().map(Value::to_string).collect());
        let field = self.fields.entry(pointer.to_owned()).or_insert_with(|| Field {
            required,
            types: types.clone(),
            values: values.clone(),
        });
        if field.types != types {
            field.types.extend(types);
        }
        field.values = match (field.values.take(), values) {
            (Some(one), Some(other)) => Some(one.into_iter().chain(other).collect()),
            _ => None,
        };
        field.required |= required;
    }
}
