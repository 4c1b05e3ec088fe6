//! JSON as an element of a message, by its type.

use serde_json::Value;

use crate::json;
use crate::problem::FieldProblem;
use crate::xml::{Name, can_hold, escape};
use crate::xsd::{Field, Form, Object, Root, TEXT_MEMBER, TypeId, Types, XSI};

/// Writes `value`, which fits the JSON Schema of its type, as the element `root`.
///
/// # Errors
/// The first field that XML cannot hold, or that has no place in the type.
pub(crate) fn write(types: &Types, root: &Root, value: &Value) -> Result<String, FieldProblem> {
    let mut encoder =
        Encoder { types, namespaces: Vec::new(), xml: String::new(), pointer: String::new(), root: true };
    encoder.element(&root.name, root.type_id, value)?;
    Ok(encoder.xml)
}

struct Encoder<'t> {
    types: &'t Types,
    /// Namespaces with a prefix, `n0`, `n1`, …, each declared where it is first used and in force there.
    namespaces: Vec<&'t str>,
    xml: String,
    pointer: String,
    root: bool,
}

impl<'t> Encoder<'t> {
    fn element(&mut self, name: &'t Name, type_id: TypeId, value: &Value) -> Result<(), FieldProblem> {
        let known = self.namespaces.len();
        let (tag, declaration) = self.tag(name);
        self.xml += &format!("<{tag}{declaration}");
        if std::mem::take(&mut self.root) {
            // Whatever default the envelope declares: elements without a namespace have none.
            self.xml += " xmlns=\"\"";
        }
        if value.is_null() {
            self.xml += &format!(" xmlns:xsi=\"{XSI}\" xsi:nil=\"true\"/>");
        } else {
            match &self.types.get(type_id).form {
                Form::Simple(_) => {
                    self.xml.push('>');
                    self.text(value)?;
                }
                Form::Array(item) => {
                    self.xml.push('>');
                    self.items(item, value)?;
                }
                Form::Object(object) => self.object(object, value)?,
            }
            self.xml += &format!("</{tag}>");
        }
        self.namespaces.truncate(known);
        Ok(())
    }

    fn object(&mut self, object: &'t Object, value: &Value) -> Result<(), FieldProblem> {
        let Some(members) = value.as_object() else { return Err(self.problem("type", "must be an object")) };
        let known = |name: &str| {
            object.fields.iter().any(|field| field.member() == name)
                || object.attributes.iter().any(|attribute| attribute.member == name)
                || (object.text.is_some() && name == TEXT_MEMBER)
        };
        if let Some(unknown) = members.keys().find(|name| !known(name)) {
            return self.enter(unknown, |encoder| Err(encoder.problem("unknown", "has no place in the XML")));
        }
        for attribute in &object.attributes {
            let Some(value) = members.get(&attribute.member) else { continue };
            let name = match attribute.name.namespace.as_str() {
                "http://www.w3.org/XML/1998/namespace" => format!(" xml:{}", attribute.name.local),
                _ => {
                    let (tag, declaration) = self.tag(&attribute.name);
                    format!("{declaration} {tag}")
                }
            };
            self.xml += &format!("{name}=\"");
            self.enter(&attribute.member, |encoder| encoder.text(value))?;
            self.xml.push('"');
        }
        self.xml.push('>');
        if let (Some(_), Some(value)) = (&object.text, members.get(TEXT_MEMBER)) {
            return self.enter(TEXT_MEMBER, |encoder| encoder.text(value));
        }
        for field in &object.fields {
            let Some(value) = members.get(field.member()) else { continue };
            self.enter(field.member(), |encoder| {
                if field.is_repeated() {
                    encoder.items(field, value)
                } else {
                    encoder.element(&field.name, field.type_id, value)
                }
            })?;
        }
        Ok(())
    }

    fn items(&mut self, item: &'t Field, value: &Value) -> Result<(), FieldProblem> {
        let Some(values) = value.as_array() else { return Err(self.problem("type", "must be an array")) };
        for (index, value) in values.iter().enumerate() {
            self.enter(&index.to_string(), |encoder| encoder.element(&item.name, item.type_id, value))?;
        }
        Ok(())
    }

    fn text(&mut self, value: &Value) -> Result<(), FieldProblem> {
        match value {
            Value::String(text) if text.chars().all(can_hold) => escape(text, &mut self.xml),
            Value::String(_) => return Err(self.problem("character", "has a character that XML cannot hold")),
            Value::Bool(_) | Value::Number(_) => self.xml += &value.to_string(),
            _ => return Err(self.problem("type", "must be a value")),
        }
        Ok(())
    }

    /// A name with its prefix, and the declaration of that if it is new.
    fn tag(&mut self, name: &'t Name) -> (String, String) {
        let Name { namespace, local } = name;
        if namespace.is_empty() {
            return (local.clone(), String::new());
        }
        if let Some(number) = self.namespaces.iter().position(|known| known == namespace) {
            return (format!("n{number}:{local}"), String::new());
        }
        let number = self.namespaces.len();
        self.namespaces.push(namespace);
        let mut declaration = format!(" xmlns:n{number}=\"");
        escape(namespace, &mut declaration);
        (format!("n{number}:{local}"), declaration + "\"")
    }

    fn enter<R>(&mut self, step: &str, write: impl FnOnce(&mut Self) -> R) -> R {
        let outer = self.pointer.len();
        json::push_step(&mut self.pointer, step);
        let result = write(self);
        self.pointer.truncate(outer);
        result
    }

    fn problem(&self, code: &'static str, message: &str) -> FieldProblem {
        FieldProblem::new(&self.pointer, code, message)
    }
}
