//! An element of a message as JSON, by its type.

use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use serde_json::{Map, Value};

use crate::check::PROBLEMS_MAX;
use crate::json;
use crate::limits::Limits;
use crate::percent;
use crate::problem::FieldProblem;
use crate::xml::{Element, Name};
use crate::xsd::builtin::{Builtin, JsonKind};
use crate::xsd::{Field, Form, Max, Object, Root, Simple, TEXT_MEMBER, TypeId, Types, XSI};

/// The namespace of references to attachments (XOP §2.1).
const XOP: &str = "http://www.w3.org/2004/08/xop/include";

/// Reads the content of `element`, whose name is that of `root`. What its schema says of values is left to that.
///
/// # Errors
/// Everything that is at no place of the type, or no value of it; pointers are those of the JSON.
pub(crate) fn read(
    types: &Types,
    root: &Root,
    element: &Element,
    attachments: &[(&str, &[u8])],
    limits: &Limits,
) -> Result<Value, Vec<FieldProblem>> {
    let mut decoder = Decoder { types, attachments, limits, pointer: String::new(), problems: Vec::new() };
    let value = decoder.value(root.type_id, root.nillable, element);
    if decoder.problems.is_empty() { Ok(value) } else { Err(decoder.problems) }
}

struct Decoder<'d> {
    types: &'d Types,
    attachments: &'d [(&'d str, &'d [u8])],
    limits: &'d Limits,
    pointer: String,
    problems: Vec<FieldProblem>,
}

impl Decoder<'_> {
    fn value(&mut self, type_id: TypeId, nillable: bool, element: &Element) -> Value {
        if matches!(element.attribute_of(XSI, "nil").map(str::trim), Some("true" | "1")) {
            match nillable {
                false => self.refuse("nillable", "must not be nil"),
                true if !element.children.is_empty() || !element.text.trim().is_empty() => {
                    self.refuse("nillable", "is nil and has content");
                }
                true => {}
            }
            return Value::Null;
        }
        let declared = self.types.get(type_id);
        let named = element.attribute_of(XSI, "type");
        if named.is_some_and(|named| {
            let named = named.trim().rsplit(':').next().unwrap_or_default();
            declared.name.as_ref().is_none_or(|name| name.local != named)
                && !matches!(&declared.form, Form::Simple(simple) if simple.builtin.name() == named)
        }) {
            self.refuse("type", "is of another type than the contract says");
        }
        match &declared.form {
            Form::Simple(simple) => {
                self.allow_attributes(element, &[]);
                self.simple(simple, element)
            }
            Form::Array(item) => {
                self.allow_attributes(element, &[]);
                self.no_text(element);
                let mut members = Map::new();
                self.fields(std::slice::from_ref(item), false, element, &mut members);
                members.remove(item.member()).unwrap_or_else(|| Value::Array(Vec::new()))
            }
            Form::Object(object) => self.object(object, element),
        }
    }

    fn object(&mut self, object: &Object, element: &Element) -> Value {
        let names: Vec<&Name> = object.attributes.iter().map(|attribute| &attribute.name).collect();
        self.allow_attributes(element, &names);
        let mut members = Map::new();
        for attribute in &object.attributes {
            let Some(text) = element.attribute_of(&attribute.name.namespace, &attribute.name.local) else {
                continue;
            };
            let value = self.enter(&attribute.member, |decoder| decoder.text(&attribute.simple, text));
            members.insert(attribute.member.clone(), value);
        }
        match &object.text {
            Some(simple) => {
                let value = self.enter(TEXT_MEMBER, |decoder| decoder.simple(simple, element));
                members.insert(TEXT_MEMBER.to_owned(), value);
            }
            None => {
                self.no_text(element);
                self.fields(&object.fields, object.any_order, element, &mut members);
            }
        }
        Value::Object(members)
    }

    /// Reads children, in the order that the type has them in.
    fn fields(
        &mut self,
        fields: &[Field],
        any_order: bool,
        element: &Element,
        members: &mut Map<String, Value>,
    ) {
        for field in fields.iter().filter(|field| field.is_repeated() && !field.conditional) {
            members.insert(field.member().to_owned(), Value::Array(Vec::new()));
        }
        let mut reached = 0;
        for child in &element.children {
            if self.problems.len() >= PROBLEMS_MAX {
                return;
            }
            let Some((index, field)) = self.find(fields, child, reached) else { continue };
            if index < reached && !any_order {
                self.enter(field.member(), |decoder| {
                    decoder.refuse("order", "stands after what must follow it");
                });
            }
            reached = reached.max(index);
            if !field.is_repeated() {
                let value = self.enter(field.member(), |decoder| {
                    if members.contains_key(field.member()) {
                        decoder.refuse("duplicate", "is given more than once");
                    }
                    decoder.value(field.type_id, field.nillable, child)
                });
                members.insert(field.member().to_owned(), value);
                continue;
            }
            let items = members.entry(field.member()).or_insert_with(|| Value::Array(Vec::new()));
            let Value::Array(items) = items else { continue };
            if matches!(field.max, Max::Times(max) if items.len() >= max as usize) {
                self.enter(field.member(), |decoder| decoder.refuse("maxItems", "is given too often"));
                continue;
            }
            let step = items.len().to_string();
            let value = self.enter(field.member(), |decoder| {
                decoder.enter(&step, |decoder| decoder.value(field.type_id, field.nillable, child))
            });
            items.push(value);
        }
    }

    /// The field that a child is, with its number; most often the one reached or the next.
    fn find<'f>(
        &mut self,
        fields: &'f [Field],
        child: &Element,
        reached: usize,
    ) -> Option<(usize, &'f Field)> {
        let numbered = || fields.iter().enumerate();
        let ahead = numbered().skip(reached).find(|(_, field)| field.name == child.name);
        let found = ahead.or_else(|| numbered().find(|(_, field)| field.name == child.name));
        if found.is_some() {
            return found;
        }
        let namesake = fields.iter().find(|field| field.name.local == child.name.local);
        self.enter(&child.name.local, |decoder| match namesake.map(|field| field.name.namespace.as_str()) {
            Some("") => decoder.refuse("namespace", "must be in no namespace"),
            Some(namespace) => {
                decoder.refuse("namespace", &format!("must be in the namespace `{namespace}`"));
            }
            None => decoder.refuse("unknown", "is not in the contract"),
        });
        None
    }

    /// Reads a value, or the attachment that stands for it.
    fn simple(&mut self, simple: &Simple, element: &Element) -> Value {
        match element.children.as_slice() {
            [] => self.text(simple, &element.text),
            [include] if include.is(XOP, "Include") && simple.builtin == Builtin::Base64Binary => {
                let id = include.attribute("href").and_then(|href| href.strip_prefix("cid:"));
                let id = id.and_then(|id| percent::decode(id).ok());
                let attached = self.attachments.iter().find(|(known, _)| Some(*known) == id.as_deref());
                let Some((_, bytes)) = attached else {
                    self.refuse("attachment", "names an attachment that the message does not have");
                    return Value::Null;
                };
                let bytes_max = self.limits.string_bytes_max;
                if bytes.len() / 3 * 4 > bytes_max {
                    self.refuse("length", &format!("is longer than {bytes_max} bytes in base64"));
                    return Value::Null;
                }
                STANDARD.encode(bytes).into()
            }
            _ => {
                self.refuse("type", "must be a value without elements in it");
                Value::Null
            }
        }
    }

    fn text(&mut self, simple: &Simple, text: &str) -> Value {
        let text = simple.builtin.white_space().apply(text);
        let value = simple.to_json(&text);
        if value.is_none() {
            let expected = match simple.json_kind() {
                JsonKind::Boolean => "must be `true` or `false`",
                JsonKind::Integer => "must be an integer of at most 64 bits",
                JsonKind::Number => "must be a finite number",
                JsonKind::Text => "must be text",
            };
            self.refuse("type", expected);
        }
        value.unwrap_or_default()
    }

    fn no_text(&mut self, element: &Element) {
        if !element.text.trim().is_empty() {
            self.refuse("type", "has text between its elements");
        }
    }

    /// Refuses attributes that are not the type's. Those that XML Schema has in every message say nothing new.
    fn allow_attributes(&mut self, element: &Element, names: &[&Name]) {
        for (name, _) in &element.attributes {
            if name.namespace != XSI && !names.contains(&name) {
                self.enter(&name.local, |decoder| decoder.refuse("unknown", "is not in the contract"));
            }
        }
    }

    fn enter<R>(&mut self, step: &str, read: impl FnOnce(&mut Self) -> R) -> R {
        let outer = self.pointer.len();
        json::push_step(&mut self.pointer, step);
        let result = read(self);
        self.pointer.truncate(outer);
        result
    }

    fn refuse(&mut self, code: &'static str, message: &str) {
        if self.problems.len() < PROBLEMS_MAX {
            self.problems.push(FieldProblem::new(&self.pointer, code, message));
        }
    }
}
