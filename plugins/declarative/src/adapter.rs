//! The component: a call by the mapping, and the probe that checks it.

use std::collections::BTreeMap;

use serde_json::value::RawValue;
use uuk_adapter::http::Request as HttpRequest;
use uuk_adapter::probe::{Depth, Finding};
use uuk_adapter::sql::{self, SqlError};
use uuk_adapter::{Context, Fault, config, handler, not_answered, probe, types};

use crate::answer::{Row, Scope, Unfit, look_up, value_of, write_answer, write_fields};
use crate::check::{CODES, check};
use crate::declared::{Declared, ParamTypes, typed};
use crate::expression::{CodeTables, Fields};
use crate::found::Found;
use crate::node::Members;
use crate::operation::{Faults, Operation, Page, Request, Segment, Source};
use crate::pointer::Pointer;
use crate::soap::{self, Said};
use crate::table::Key;

struct Declarative;

uuk_adapter::export!(Declarative);

impl handler::Guest for Declarative {
    fn handle(context: Context, request: handler::Request) -> Result<handler::Response, Fault> {
        let name = &context.service.operation;
        let operation = operation(name)?;
        let request: &RawValue = serde_json::from_slice(&request.body.data)?;
        let document = answer(name, &operation, request)?;
        let media_type = "application/json".to_owned();
        let body = types::Payload { media_type, data: document.into_bytes() };
        Ok(handler::Response { body, attachments: Vec::new() })
    }
}

impl probe::Guest for Declarative {
    fn run(_: Depth) -> Vec<Finding> {
        let document = config::document();
        let checked = tables(&document).map_err(|error| error.to_string());
        let checked = checked.and_then(|(mapping, declared)| {
            check(&mapping, &declared).map_err(|refusal| refusal.to_string())
        });
        vec![Finding {
            check: "mapping".to_owned(),
            ok: checked.is_ok(),
            detail: checked.err().unwrap_or_else(|| "map.toml can be run".to_owned()),
        }]
    }
}

/// The operation `name`, from what the host gives as configuration.
fn operation(name: &str) -> Result<Operation, Fault> {
    let table = config::get(&format!("map.{name}")).ok_or_else(|| not_answered(name))?;
    // Code tables may be long, and most operations need none.
    let codes = table.contains("\"codes\"").then(|| config::get(&format!("map.{CODES}"))).flatten();
    let codes = match codes {
        Some(codes) => CodeTables::parse(&serde_json::from_str(&codes)?),
        None => Ok(CodeTables::default()),
    };
    let table = serde_json::from_str(&table)?;
    let parsed = codes.and_then(|codes| Operation::parse(name, &table, &codes));
    parsed.map_err(|refusal| Fault::internal("MAPPING_REFUSED", refusal))
}

/// All of `map.toml`, and what the manifest declares.
fn tables(document: &str) -> Result<(Members<'_>, Declared), serde_json::Error> {
    let (mut mapping, mut declared) = (Members::new(), Declared::default());
    for (key, table) in serde_json::from_str::<BTreeMap<String, &RawValue>>(document)? {
        match key.split_once('.') {
            Some(("map", name)) => {
                mapping.push((name.to_owned().into(), serde_json::from_str(table.get())?));
            }
            Some(("sql", name)) => {
                declared.statements.insert(name.to_owned(), serde_json::from_str(table.get())?);
            }
            Some(("upstream", name)) => {
                declared.upstreams.insert(name.to_owned(), serde_json::from_str(table.get())?);
            }
            _ => {}
        }
    }
    Ok((mapping, declared))
}

/// A call: asks the one thing that the operation asks, and writes the answer.
fn answer(name: &str, operation: &Operation, request: &RawValue) -> Result<String, Fault> {
    let faults = &operation.faults;
    let written = |scope| match &operation.answer {
        Some(fields) => Ok(write_answer(fields, scope, request, name)?),
        None => Ok(String::new()),
    };
    match &operation.source {
        Source::Row { statement, params } => {
            let rows = run(name, statement, params, None, request, faults)?;
            match (rows.rows.as_slice(), &faults.none) {
                ([values], _) => written(Scope::Row(Row { columns: &rows.columns, values })),
                ([], Some(none)) => Err(none.fault()),
                _ => Err(SqlError::TooManyRows(1).into()),
            }
        }
        Source::Rows { statement, params, page } => {
            let wanted = page.as_ref().map(|page| page.rows_wanted(name, request)).transpose()?;
            let mut rows = run(name, statement, params, wanted.as_ref(), request, faults)?;
            let next = match (page, wanted) {
                (Some(page), Some((_, wanted))) => page.cut(name, &mut rows, wanted, request)?,
                _ => None,
            };
            if let ([], Some(none)) = (rows.rows.as_slice(), &faults.none) {
                return Err(none.fault());
            }
            written(Scope::Rows { columns: &rows.columns, rows: &rows.rows, next: next.as_ref() })
        }
        Source::Upstream(upstream) => {
            let response = upstream.of(name, request)?.send(&upstream.upstream)?;
            if let Some(line) = faults.status.get(&response.status.to_string()) {
                return Err(line.fault());
            }
            let document = match upstream.soap {
                None => response.found_json::<Box<RawValue>>()?,
                Some(_) => match soap::said(&response)? {
                    Said::Document(document) => Some(document),
                    Said::Fault(code) => return Err(soap::fault(&code, faults.soap.get(&code))),
                },
            };
            if let Some(document) = &document {
                refuse_by_outcome(operation.outcome.as_ref(), document, faults)?;
            }
            match (document.filter(|document| operation.is_answered_by(document)), &faults.none) {
                (Some(document), _) => written(Scope::Document(&document)),
                (None, Some(none)) => Err(none.fault()),
                (None, None) => {
                    Err(Fault::internal("MAPPING_UNFIT", "map.toml has no `faults.none` for status 404"))
                }
            }
        }
    }
}

/// Runs a statement; with pages, `wanted` is the parameter of that name and its value.
fn run(
    operation: &str,
    statement: &str,
    params: &Fields,
    wanted: Option<&(String, i64)>,
    request: &RawValue,
    faults: &Faults,
) -> Result<sql::RowSet, Fault> {
    let declaration = config::get(&format!("sql.{statement}")).ok_or(SqlError::UnknownStatement)?;
    let ParamTypes { params: types } = serde_json::from_str(&declaration)?;
    let key = Key::new(operation);
    let key = key.child("params");
    let mut values = Vec::with_capacity(types.len());
    for (name, expression) in &params.0 {
        let key = key.child(name);
        let found = value_of(expression, Scope::Document(request), request, &key)?;
        let value = typed(types.get(name), found).map_err(|reason| Unfit::new(&key, reason))?;
        values.push((name.clone(), value));
    }
    values.extend(wanted.map(|(name, rows)| (name.clone(), sql::Value::Integer(*rows))));
    for name in types.into_keys() {
        if !values.iter().any(|(given, _)| *given == name) {
            values.push((name, sql::Value::Null));
        }
    }
    sql::run(statement, &values).map_err(|error| match &error {
        SqlError::Rejected(rejected) => match faults.sqlstate.get(&rejected.sqlstate) {
            Some(line) => line.fault().diagnostic(error),
            None => error.into(),
        },
        _ => error.into(),
    })
}

fn refuse_by_outcome(outcome: Option<&Pointer>, document: &RawValue, faults: &Faults) -> Result<(), Fault> {
    let outcome = Found::in_document(outcome.and_then(|outcome| outcome.find(document)));
    match outcome.as_text().and_then(|outcome| faults.outcome.get(outcome)) {
        Some(line) => Err(line.fault()),
        None => Ok(()),
    }
}

impl Operation {
    /// Whether what it needs is in the document.
    fn is_answered_by(&self, document: &RawValue) -> bool {
        let needed = |needs: &Pointer| Found::in_document(needs.find(document)) != Found::Nothing;
        self.needs.as_ref().is_none_or(needed)
    }
}

impl Page {
    /// The parameter for the number of rows, and one row more than the page holds.
    fn rows_wanted(&self, operation: &str, request: &RawValue) -> Result<(String, i64), Unfit> {
        let key = Key::new(operation);
        let key = key.child("page");
        let key = key.child("size");
        let size = look_up(&self.size, Scope::Document(request), request, &key)?;
        let size = size.as_text().and_then(|size| size.parse::<i64>().ok()).filter(|size| *size > 0);
        let size = size.ok_or_else(|| Unfit::new(&key, "is no number of rows"))?;
        Ok((self.param.clone(), size.saturating_add(1)))
    }

    /// Takes away the row that the page does not hold, and says where the next page begins.
    fn cut(
        &self,
        operation: &str,
        rows: &mut sql::RowSet,
        wanted: i64,
        request: &RawValue,
    ) -> Result<Option<Found<'static>>, Unfit> {
        let held = usize::try_from(wanted).unwrap_or(usize::MAX).saturating_sub(1);
        if rows.rows.len() <= held {
            return Ok(None);
        }
        rows.rows.truncate(held);
        let Some(values) = rows.rows.last() else { return Ok(None) };
        let key = Key::new(operation);
        let key = key.child("page");
        let last = Scope::Row(Row { columns: &rows.columns, values });
        let next = look_up(&self.next, last, request, &key.child("next"))?;
        Ok(Some(next.into_owned()))
    }
}

impl Request {
    /// The request to be sent.
    fn of(&self, operation: &str, request: &RawValue) -> Result<HttpRequest, Unfit> {
        let key = Key::new(operation);
        let mut segments = Vec::new();
        for segment in &self.path {
            segments.push(match segment {
                Segment::Literal(text) => text.clone(),
                Segment::Value(pointer) => {
                    let value = Found::in_document(pointer.find(request));
                    let text = value.as_text().filter(|text| !text.is_empty());
                    text.ok_or_else(|| Unfit::new(&key.child("path"), "is no text for a segment"))?.to_owned()
                }
            });
        }
        let segments: Vec<_> = segments.iter().map(String::as_str).collect();
        let mut http = HttpRequest::new(&self.method, &segments);
        let query = key.child("query");
        for (name, expression) in &self.query.0 {
            let found = value_of(expression, Scope::Document(request), request, &query.child(name))?;
            if let Some(value) = found.as_text() {
                http = http.query(name, value);
            }
        }
        if let Some(soap) = &self.soap {
            soap.put(&mut http, self.body.as_ref(), request, &key.child("body"))?;
        } else if let Some(fields) = &self.body {
            let mut body = String::new();
            write_fields(fields, Scope::Document(request), request, &key.child("body"), &mut body)?;
            http = http.header("content-type", "application/json");
            http.body = Some(body.into_bytes());
        }
        Ok(http)
    }
}

impl From<Unfit> for Fault {
    fn from(unfit: Unfit) -> Self {
        Self::internal("MAPPING_UNFIT", unfit)
    }
}
