//! A module per operation: what it is asked, what it answers, and the codes of its faults.

use uuk_contract::Operation;

use super::names::snake_case;
use super::schema::{Declaration, Field, Kind, Shape, Variant, texts_listed_for, types_of, variants_of};
use super::source::Source;

pub(super) fn write_operation(source: &mut Source, operation: &Operation) {
    let declarations = types_of(operation.input_schema(), operation.output_schema());
    let fault_schemas = operation.declared_faults().filter_map(|(_, schema)| schema);
    let fault_codes = texts_listed_for("code", fault_schemas);
    source.blank();
    source.line(format_args!("/// `{} {}`", operation.method(), operation.path()));
    if let Some(summary) = operation.summary().and_then(|summary| summary.lines().next()) {
        source.line("///");
        source.line(format_args!("/// {summary}"));
    }
    source.block(format_args!("pub(crate) mod {}", snake_case(operation.id())), |source| {
        source.line("use uuk_adapter::serde::{Deserialize, Serialize};");
        for declaration in &declarations {
            write_declaration(source, declaration);
            if declaration.name == "Request" {
                write_operation_trait(source, operation);
            }
        }
        if !fault_codes.is_empty() {
            write_fault_codes(source, &fault_codes);
        }
    });
}

fn write_operation_trait(source: &mut Source, operation: &Operation) {
    source.blank();
    source.block("impl uuk_adapter::Operation for Request", |source| {
        source.line(format_args!("const ID: &'static str = {:?};", operation.id()));
        if operation.output_schema().is_none() {
            source.line("const ANSWERS_DOCUMENT: bool = false;");
        }
        source.line("type Response = Response;");
    });
}

fn write_declaration(source: &mut Source, Declaration { name, doc, kind }: &Declaration) {
    source.blank();
    source.doc(doc.as_deref());
    match kind {
        Kind::Object(fields) => {
            source.line("#[derive(Debug, Clone, PartialEq, Deserialize, Serialize)]");
            source.line(r#"#[serde(crate = "uuk_adapter::serde")]"#);
            source.block(format_args!("pub(crate) struct {name}"), |source| {
                fields.iter().for_each(|field| write_field(source, field));
            });
        }
        Kind::Choice(variants) => {
            source.line("#[derive(Debug, Clone, Copy, PartialEq, Eq, Deserialize, Serialize)]");
            source.line(r#"#[serde(crate = "uuk_adapter::serde")]"#);
            source.block(format_args!("pub(crate) enum {name}"), |source| {
                for variant in variants {
                    source.line(format_args!("#[serde(rename = {:?})]", variant.value));
                    source.line(format_args!("{},", variant.name));
                }
            });
            write_texts(source, name, variants);
            write_parsing(source, name, variants);
        }
        Kind::Alias(shape) => {
            source.line(format_args!("pub(crate) type {name} = {};", rust_type(shape)));
        }
    }
}

fn write_field(source: &mut Source, field: &Field) {
    source.doc(field.doc.as_deref());
    if let Shape::Any(reason) = field.shape {
        source.line(format_args!("// Any value: {reason}."));
    }
    if field.name.trim_start_matches("r#") != field.json_name {
        source.line(format_args!("#[serde(rename = {:?})]", field.json_name));
    }
    if field.optional {
        source.line(r#"#[serde(skip_serializing_if = "Option::is_none")]"#);
    }
    let type_name = rust_type(&field.shape);
    // A value that may be anything may be null, too.
    let is_option = field.optional || (field.nullable && !matches!(field.shape, Shape::Any(_)));
    let type_name = if is_option { format!("Option<{type_name}>") } else { type_name };
    source.line(format_args!("pub(crate) {}: {type_name},", field.name));
}

/// The texts of a choice, for statements and upstreams.
fn write_texts(source: &mut Source, name: &str, variants: &[Variant]) {
    source.blank();
    source.block(format_args!("impl {name}"), |source| {
        source.block("pub(crate) fn as_str(self) -> &'static str", |source| {
            source.block("match self", |source| {
                for Variant { name, value } in variants {
                    source.line(format_args!("Self::{name} => {value:?},"));
                }
            });
        });
    });
}

/// A choice read from a row.
fn write_parsing(source: &mut Source, name: &str, variants: &[Variant]) {
    source.blank();
    source.block(format_args!("impl std::str::FromStr for {name}"), |source| {
        source.line("type Err = uuk_adapter::UnknownValue;");
        source.blank();
        source.block("fn from_str(value: &str) -> Result<Self, Self::Err>", |source| {
            source.block("match value", |source| {
                for Variant { name, value } in variants {
                    source.line(format_args!("{value:?} => Ok(Self::{name}),"));
                }
                source.line(format_args!("_ => Err(uuk_adapter::UnknownValue::new({name:?}, value)),"));
            });
        });
    });
}

fn write_fault_codes(source: &mut Source, codes: &[String]) {
    let variants = variants_of(codes.iter().map(String::as_str));
    source.blank();
    source.line("/// The codes that the contract lists for this operation's faults.");
    source.line("#[derive(Debug, Clone, Copy, PartialEq, Eq)]");
    source.block("pub(crate) enum FaultCode", |source| {
        for Variant { name, .. } in &variants {
            source.line(format_args!("{name},"));
        }
    });
    write_texts(source, "FaultCode", &variants);
    source.blank();
    source.block("impl From<FaultCode> for String", |source| {
        source.block("fn from(code: FaultCode) -> Self", |source| source.line("code.as_str().to_owned()"));
    });
}

fn rust_type(shape: &Shape) -> String {
    match shape {
        Shape::Text => "String".to_owned(),
        Shape::Integer => "i64".to_owned(),
        Shape::Number => "f64".to_owned(),
        Shape::Boolean => "bool".to_owned(),
        Shape::List(items) => format!("Vec<{}>", rust_type(items)),
        Shape::Map(values) => format!("std::collections::BTreeMap<String, {}>", rust_type(values)),
        Shape::Named(name) => name.clone(),
        Shape::Boxed(name) => format!("Box<{name}>"),
        Shape::Nothing => "()".to_owned(),
        Shape::Any(_) => "uuk_adapter::serde_json::Value".to_owned(),
    }
}
