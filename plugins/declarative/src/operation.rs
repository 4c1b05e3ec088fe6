//! An operation: what is asked where, and how the answer is made of what comes.

use std::collections::BTreeMap;

use uuk_adapter::{Fault, FaultKind};

use crate::expression::{CodeTables, Expression, Fields, Lookup, Reader, pointer};
use crate::node::Node;
use crate::pointer::Pointer;
use crate::soap::Soap;
use crate::table::{Key, Reason, Refusal, Table, members};

/// A table of `map.toml`, named by an operation of the contract.
#[derive(Debug, Clone)]
pub struct Operation {
    /// What it asks.
    pub source: Source,
    /// Where a document that came says how it went, for `faults.outcome`.
    pub outcome: Option<Pointer>,
    /// What a document that came has to have; without it, `faults.none` is the answer.
    pub needs: Option<Pointer>,
    /// The fields of the answer; none if the operation answers without a document.
    pub answer: Option<Fields>,
    /// What it says when there is no answer.
    pub faults: Faults,
}

/// What an operation asks.
#[derive(Debug, Clone)]
pub enum Source {
    /// `row = "find-person"`: a statement that gives one row or none.
    Row {
        /// The statement's name in the manifest.
        statement: String,
        /// Its parameters.
        params: Fields,
    },
    /// `rows = "search-people"`: a statement that gives any number of rows.
    Rows {
        /// The statement's name in the manifest.
        statement: String,
        /// Its parameters.
        params: Fields,
        /// How its rows make pages, if they do.
        page: Option<Box<Page>>,
    },
    /// `upstream = "registry-api"`: one request.
    Upstream(Box<Request>),
}

/// One page of rows. One row more than the page holds is asked for: whether it comes tells if there is a next page.
#[derive(Debug, Clone)]
pub struct Page {
    /// How many rows a page holds.
    pub(crate) size: Lookup,
    /// The parameter that says how many rows are wanted.
    pub(crate) param: String,
    /// What of a page's last row tells where the next begins: `/next` in the answer.
    pub(crate) next: Lookup,
}

/// A request to an upstream.
#[derive(Debug, Clone)]
pub struct Request {
    pub(crate) upstream: String,
    pub(crate) method: String,
    pub(crate) path: Vec<Segment>,
    pub(crate) query: Fields,
    pub(crate) body: Option<Fields>,
    /// The body is XML in an envelope, and so is the answer.
    pub(crate) soap: Option<Soap>,
}

/// A segment of a path.
#[derive(Debug, Clone)]
pub(crate) enum Segment {
    Literal(String),
    /// `{/plate}`: what the request says there.
    Value(Pointer),
}

/// What is said when there is no answer.
#[derive(Debug, Clone, Default)]
pub struct Faults {
    /// No row came, or status 404.
    pub none: Option<FaultLine>,
    /// By the SQLSTATE with which the database refused.
    pub sqlstate: BTreeMap<String, FaultLine>,
    /// By the status with which the upstream refused.
    pub status: BTreeMap<String, FaultLine>,
    /// By the code of the fault with which the upstream refused, without its prefix.
    pub soap: BTreeMap<String, FaultLine>,
    /// By what stands at `outcome`.
    pub outcome: BTreeMap<String, FaultLine>,
}

/// One fault of the contract.
#[derive(Debug, Clone)]
pub struct FaultLine {
    kind: FaultKind,
    code: String,
    message: String,
}

impl FaultLine {
    /// The fault.
    pub fn fault(&self) -> Fault {
        Fault::new(self.kind, &self.code, &self.message)
    }
}

impl Operation {
    /// Reads the table of an operation.
    ///
    /// # Errors
    /// [`Refusal`] with the key of the first thing that is wrong.
    pub fn parse(name: &str, table: &Node<'_>, codes: &CodeTables) -> Result<Self, Refusal> {
        let mut table = Table::read(Key::new(name), table)?;
        let mut reader = Reader::new(codes);
        let source = source(&mut table, &mut reader)?;
        let outcome = table.text("outcome")?;
        let outcome = outcome.map(|path| pointer(table.key.child("outcome"), path)).transpose()?;
        let needs = table.text("needs")?;
        let needs = needs.map(|path| pointer(table.key.child("needs"), path)).transpose()?;
        let answer = table.take("answer");
        let answer = answer.map(|fields| reader.fields(table.key.child("answer"), fields)).transpose()?;
        let faults = faults(&mut table)?;
        if faults.none.is_none() && (needs.is_some() || matches!(source, Source::Row { .. })) {
            return Err(table.key.child("faults").child("none").refuse(Reason::Missing));
        }
        table.end()?;
        Ok(Self { source, outcome, needs, answer, faults })
    }
}

fn source(table: &mut Table<'_>, reader: &mut Reader<'_>) -> Result<Source, Refusal> {
    let (row, rows, upstream) = (table.text("row")?, table.text("rows")?, table.text("upstream")?);
    let (statement, is_row) = match (row, rows, upstream) {
        (Some(statement), None, None) => (statement.to_owned(), true),
        (None, Some(statement), None) => (statement.to_owned(), false),
        (None, None, Some(upstream)) => {
            return Ok(Source::Upstream(Box::new(request(upstream, table, reader)?)));
        }
        _ => return Err(table.key.refuse(Reason::NotOneOf("`row`, `rows` and `upstream`"))),
    };
    let params = table.take("params");
    let params = params.map(|params| reader.scalars(table.key.child("params"), params));
    let params = params.transpose()?.unwrap_or_default();
    if is_row {
        return Ok(Source::Row { statement, params });
    }
    let page =
        table.take("page").map(|page| self::page(table.key.child("page"), page, reader)).transpose()?;
    Ok(Source::Rows { statement, params, page })
}

fn page(key: Key<'_>, node: &Node<'_>, reader: &mut Reader<'_>) -> Result<Box<Page>, Refusal> {
    let mut table = Table::read(key, node)?;
    let mut lookup = |name| {
        let key = key.child(name);
        match reader.expression(key, table.required(name)?)? {
            Expression::Lookup(lookup) => Ok(*lookup),
            _ => Err(key.refuse(Reason::Path)),
        }
    };
    let (size, next) = (lookup("size")?, lookup("next")?);
    let param = table.required_text("param")?.to_owned();
    table.end()?;
    Ok(Box::new(Page { size, param, next }))
}

fn request(upstream: &str, table: &mut Table<'_>, reader: &mut Reader<'_>) -> Result<Request, Refusal> {
    let key = table.key;
    let query = table.take("query").map(|query| reader.scalars(key.child("query"), query)).transpose()?;
    let body = table.take("body").map(|body| reader.fields(key.child("body"), body)).transpose()?;
    let soap = table.take("soap").map(|soap| Soap::parse(key.child("soap"), soap)).transpose()?;
    let path = table.required_text("path")?;
    let method = if soap.is_some() { "POST" } else { "GET" };
    Ok(Request {
        upstream: upstream.to_owned(),
        method: table.text("method")?.unwrap_or(method).to_owned(),
        path: segments(path).ok_or_else(|| key.child("path").refuse(Reason::NotA(
            "segments after `/`, each of letters, digits and `-._~`, or all of it a `{/path}` into the request",
        )))?,
        query: query.unwrap_or_default(),
        body,
        soap,
    })
}

/// `/v1/vehicles/{/plate}`. What is put in stays within its segment.
fn segments(path: &str) -> Option<Vec<Segment>> {
    let mut segments = Vec::new();
    let mut rest = path;
    while !rest.is_empty() {
        rest = rest.strip_prefix('/')?;
        let segment = match rest.strip_prefix('{') {
            Some(opened) => {
                let (pointer, after) = opened.split_once('}')?;
                rest = after;
                Segment::Value(Pointer::parse(pointer)?)
            }
            None => {
                let (literal, after) = rest.split_at(rest.find('/').unwrap_or(rest.len()));
                rest = after;
                let is_plain = |byte: u8| byte.is_ascii_alphanumeric() || b"-._~".contains(&byte);
                Segment::Literal(literal.bytes().all(is_plain).then(|| literal.to_owned())?)
            }
        };
        segments.push(segment);
    }
    (!segments.is_empty()).then_some(segments)
}

fn faults(table: &mut Table<'_>) -> Result<Faults, Refusal> {
    let Some(node) = table.take("faults") else { return Ok(Faults::default()) };
    let key = table.key.child("faults");
    let mut table = Table::read(key, node)?;
    let none = table.take("none");
    let none = none.map(|line| fault_line(key.child("none"), line, Some(FaultKind::NotFound)));
    let mut lines = |name| {
        let key = key.child(name);
        let Some(node) = table.take(name) else { return Ok(BTreeMap::new()) };
        let lines = members(key, node)?.iter();
        lines.map(|(said, line)| Ok((said.to_string(), fault_line(key.child(said), line, None)?))).collect()
    };
    let (sqlstate, status, outcome) = (lines("sqlstate")?, lines("status")?, lines("outcome")?);
    let soap = lines("soap")?;
    table.end()?;
    Ok(Faults { none: none.transpose()?, sqlstate, status, soap, outcome })
}

fn fault_line(key: Key<'_>, node: &Node<'_>, default: Option<FaultKind>) -> Result<FaultLine, Refusal> {
    let mut table = Table::read(key, node)?;
    let kind = match (table.text("kind")?, default) {
        (Some(name), _) => fault_kind(name).ok_or_else(|| key.child("kind").refuse(Reason::FaultKind))?,
        (None, Some(kind)) => kind,
        (None, None) => return Err(key.child("kind").refuse(Reason::Missing)),
    };
    let (code, message) =
        (table.required_text("code")?.to_owned(), table.required_text("message")?.to_owned());
    table.end()?;
    Ok(FaultLine { kind, code, message })
}

fn fault_kind(name: &str) -> Option<FaultKind> {
    Some(match name {
        "bad-input" => FaultKind::BadInput,
        "not-found" => FaultKind::NotFound,
        "forbidden" => FaultKind::Forbidden,
        "conflict" => FaultKind::Conflict,
        "precondition" => FaultKind::Precondition,
        "rate-limited" => FaultKind::RateLimited,
        "upstream-unavailable" => FaultKind::UpstreamUnavailable,
        "upstream-timeout" => FaultKind::UpstreamTimeout,
        "internal" => FaultKind::Internal,
        _ => return None,
    })
}
