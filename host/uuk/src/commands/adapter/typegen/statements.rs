//! A function per statement of the manifest, with its parameters and its row as types.

use std::collections::BTreeMap;

use uuk_bundle::{Scalar, Statement, ValueType};

use super::names::{pascal_case, snake_case};
use super::source::Source;

/// With more parameters than this, calls read better with their names.
const POSITIONAL_MAX: usize = 3;

pub(super) fn write_statements(source: &mut Source, statements: &BTreeMap<String, Statement>) {
    source.blank();
    source.line("/// The statements of `plugin.toml`.");
    source.block("pub(crate) mod statements", |source| {
        source.line("use uuk_adapter::sql::{self, SqlError, Value};");
        for (name, statement) in statements {
            write_statement(source, name, statement);
        }
    });
}

fn write_statement(source: &mut Source, name: &str, statement: &Statement) {
    let type_name = pascal_case(name);
    let is_positional = statement.params.len() <= POSITIONAL_MAX;
    write_function(source, name, statement, is_positional);
    if !is_positional {
        write_params(source, &type_name, &statement.params);
    }
    if !statement.row.is_empty() {
        write_row(source, &type_name, &statement.row);
    }
}

fn write_function(source: &mut Source, name: &str, statement: &Statement, is_positional: bool) {
    let type_name = pascal_case(name);
    let parameters = match (is_positional, borrows(&statement.params)) {
        (true, _) => {
            let parameter = |(name, r#type): &(String, ValueType)| {
                format!("{}: {}", snake_case(name), param_type(*r#type, ""))
            };
            statement.params.iter().map(parameter).collect::<Vec<_>>().join(", ")
        }
        (false, true) => format!("params: &{type_name}<'_>"),
        (false, false) => format!("params: &{type_name}"),
    };
    let (call, result) = match (statement.row.is_empty(), statement.rows_max) {
        (true, _) => ("execute", "()".to_owned()),
        (false, 1) => ("optional_row", format!("Option<{type_name}Row>")),
        (false, _) => ("rows", format!("Vec<{type_name}Row>")),
    };
    source.blank();
    source.line(format_args!(
        "/// `{}`, a {} of datasource `{}`.",
        statement.file, statement.mode, statement.datasource
    ));
    let signature = format!("pub(crate) fn {}({parameters}) -> Result<{result}, SqlError>", snake_case(name));
    source.block(signature, |source| {
        if statement.params.is_empty() {
            source.line(format_args!("sql::{call}({name:?}, &[])"));
            return;
        }
        source.lines("let params = [", "];", |source| {
            for (name, r#type) in &statement.params {
                let value =
                    if is_positional { snake_case(name) } else { format!("params.{}", snake_case(name)) };
                source.line(format_args!("sql::param({name:?}, {}),", param_value(&value, *r#type)));
            }
        });
        source.line(format_args!("sql::{call}({name:?}, &params)"));
    });
}

fn write_params(source: &mut Source, type_name: &str, params: &[(String, ValueType)]) {
    let (generics, lifetime) = if borrows(params) { ("<'a>", "'a ") } else { ("", "") };
    source.blank();
    source.line("#[derive(Debug, Clone, Default)]");
    source.block(format_args!("pub(crate) struct {type_name}{generics}"), |source| {
        for (name, r#type) in params {
            source.line(format_args!("pub(crate) {}: {},", snake_case(name), param_type(*r#type, lifetime)));
        }
    });
}

fn write_row(source: &mut Source, type_name: &str, row: &[(String, ValueType)]) {
    source.blank();
    source.line("#[derive(Debug, Clone, PartialEq)]");
    source.block(format_args!("pub(crate) struct {type_name}Row"), |source| {
        for (name, r#type) in row {
            source.line(format_args!("pub(crate) {}: {},", snake_case(name), column_type(*r#type)));
        }
    });
    source.blank();
    source.block(format_args!("impl sql::FromRow for {type_name}Row"), |source| {
        source.block("fn from_row(mut values: sql::Values) -> Result<Self, SqlError>", |source| {
            source.lines("Ok(Self {", "})", |source| {
                for (name, _) in row {
                    source.line(format_args!("{}: values.take({name:?})?,", snake_case(name)));
                }
            });
        });
    });
}

/// Whether the struct of parameters holds references.
fn borrows(params: &[(String, ValueType)]) -> bool {
    params.iter().any(|(_, r#type)| is_borrowed(r#type.scalar))
}

fn is_borrowed(scalar: Scalar) -> bool {
    !matches!(scalar, Scalar::Boolean | Scalar::Integer | Scalar::Float)
}

fn param_type(ValueType { scalar, nullable }: ValueType, lifetime: &str) -> String {
    let name = match scalar {
        Scalar::Boolean => "bool".to_owned(),
        Scalar::Integer => "i64".to_owned(),
        Scalar::Float => "f64".to_owned(),
        Scalar::Bytes => format!("&{lifetime}[u8]"),
        _ => format!("&{lifetime}str"),
    };
    if nullable { format!("Option<{name}>") } else { name }
}

fn param_value(value: &str, ValueType { scalar, nullable }: ValueType) -> String {
    let variant = variant(scalar);
    match (nullable, is_borrowed(scalar)) {
        (true, _) => format!("sql::nullable({value}, Value::{variant})"),
        (false, true) => format!("Value::{variant}({value}.to_owned())"),
        (false, false) => format!("Value::{variant}({value})"),
    }
}

fn column_type(ValueType { scalar, nullable }: ValueType) -> String {
    let name = match scalar {
        Scalar::Boolean => "bool",
        Scalar::Integer => "i64",
        Scalar::Float => "f64",
        Scalar::Bytes => "Vec<u8>",
        _ => "String",
    };
    if nullable { format!("Option<{name}>") } else { name.to_owned() }
}

/// The case of the contract's `value`.
fn variant(scalar: Scalar) -> &'static str {
    match scalar {
        Scalar::Boolean => "Boolean",
        Scalar::Integer => "Integer",
        Scalar::Float => "Float",
        Scalar::Decimal => "Decimal",
        Scalar::Text => "Text",
        Scalar::Bytes => "Bytes",
        Scalar::Date => "Date",
        Scalar::Time => "Time",
        Scalar::Timestamp => "Timestamp",
        Scalar::Uuid => "Uuid",
        Scalar::Json => "Json",
    }
}
