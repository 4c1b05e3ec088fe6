//! Whether a mapping can be run at all: what the host's probe asks before the first call.

use crate::declared::{Declared, StatementDeclaration};
use crate::expression::{CodeTables, Expression, Fields, Origin};
use crate::node::Members;
use crate::operation::{Operation, Page, Source};
use crate::table::{Key, Reason, Refusal};

/// The table of code tables; no operation can have its name.
pub(crate) const CODES: &str = "codes";

/// Checks every table of `map.toml`, and that what it names is declared in the manifest.
///
/// # Errors
/// [`Refusal`] with the key of the first thing that is wrong.
pub fn check(mapping: &Members<'_>, declared: &Declared) -> Result<(), Refusal> {
    let (codes, operations): (Vec<_>, Vec<_>) = mapping.iter().partition(|(name, _)| name == CODES);
    let codes = codes.first().map(|(_, codes)| CodeTables::parse(codes)).transpose()?.unwrap_or_default();
    for (name, table) in operations {
        let operation = Operation::parse(name, table, &codes)?;
        let key = Key::new(name);
        match &operation.source {
            Source::Row { statement, params } => {
                let declaration = statement_of(key.child("row"), statement, declared)?;
                if declaration.max_rows != Some(1) {
                    return Err(key.child("row").refuse(Reason::SeveralRows));
                }
                check_params(key.child("params"), params, None, declaration)?;
                check_columns(key.child("answer"), operation.answer.as_ref(), declaration)?;
            }
            Source::Rows { statement, params, page } => {
                let declaration = statement_of(key.child("rows"), statement, declared)?;
                check_params(key.child("params"), params, page.as_deref(), declaration)?;
                for (name, expression) in operation.answer.iter().flat_map(|fields| &fields.0) {
                    if let Expression::Each(_, item) = expression {
                        let key = key.child("answer");
                        check_columns(key.child(name).child("item"), Some(item), declaration)?;
                    }
                }
            }
            Source::Upstream(request) => {
                let undeclared = |what, name: &str| Reason::Undeclared { what, name: name.to_owned() };
                let Some(upstream) = declared.upstreams.get(&request.upstream) else {
                    return Err(key.child("upstream").refuse(undeclared("upstream", &request.upstream)));
                };
                if !upstream.methods.contains(&request.method) {
                    return Err(key.child("method").refuse(undeclared("method", &request.method)));
                }
            }
        }
    }
    Ok(())
}

fn statement_of<'d>(
    key: Key<'_>,
    name: &str,
    declared: &'d Declared,
) -> Result<&'d StatementDeclaration, Refusal> {
    let undeclared = || key.refuse(Reason::Undeclared { what: "statement", name: name.to_owned() });
    declared.statements.get(name).ok_or_else(undeclared)
}

/// Every parameter is declared; one that is left out is null, if it may be.
fn check_params(
    key: Key<'_>,
    params: &Fields,
    page: Option<&Page>,
    declaration: &StatementDeclaration,
) -> Result<(), Refusal> {
    let names = params.0.iter().map(|(name, _)| name).chain(page.map(|page| &page.param));
    let names: Vec<_> = names.collect();
    if let Some(name) = names.iter().find(|name| !declaration.params.contains_key(name.as_str())) {
        return Err(key.child(name).refuse(undeclared_part("parameter", name)));
    }
    let is_missing = |(name, r#type): &(&String, &String)| !r#type.ends_with('?') && !names.contains(name);
    match declaration.params.iter().find(is_missing) {
        Some((name, _)) => Err(key.refuse(Reason::ParameterMissing(name.clone()))),
        None => Ok(()),
    }
}

/// Every path into a row is a column, and one that a document can hold.
fn check_columns(
    key: Key<'_>,
    fields: Option<&Fields>,
    declaration: &StatementDeclaration,
) -> Result<(), Refusal> {
    for (name, expression) in fields.iter().flat_map(|fields| &fields.0) {
        let key = key.child(name);
        match expression {
            Expression::Constant(_) => {}
            Expression::Object(fields) => {
                check_columns(key.child("object"), Some(fields), declaration)?;
            }
            Expression::Each(..) => return Err(key.refuse(Reason::NotA("a column: a row has no lists"))),
            Expression::Lookup(lookup) if lookup.origin == Origin::Request => {}
            Expression::Lookup(lookup) => {
                let column = lookup.pointer.name().unwrap_or_default();
                match declaration.row.get(column).map(|r#type| r#type.trim_end_matches('?')) {
                    Some("bytes") => return Err(key.refuse(Reason::Bytes(column.to_owned()))),
                    Some(_) => {}
                    None => return Err(key.refuse(undeclared_part("column", column))),
                }
            }
        }
    }
    Ok(())
}

fn undeclared_part(what: &'static str, name: &str) -> Reason {
    Reason::Undeclared { what, name: name.to_owned() }
}
