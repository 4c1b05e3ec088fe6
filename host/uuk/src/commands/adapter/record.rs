//! `uuk adapter record`: real calls become fixtures in which nobody is named.
//!
//! Each call is answered from the agency's own sources. Then request, rows and upstreams' documents get stand-ins for all
//! that is personal, and the adapter is called with these: what it asks and answers then is what the fixture says. So no
//! personal value has to be followed through the adapter, and what is written is known to replay.

mod pseudonyms;

use std::collections::BTreeMap;
use std::path::PathBuf;

use serde_json::{Map, Value};
use uuk_central::{Classification, ServiceDescription};
use uuk_contract::{Limits, Operation};
use uuk_plugin_host::HostCall;
use uuk_plugin_host::capabilities::sql;

use self::pseudonyms::Pseudonyms;
use super::component::Component;
use super::dev;
use super::fixture::{self, Expected, Fixture, StatementCall, UpstreamCall};
use super::project::{Project, ProjectOptions, read_text, write_file};
use super::recorded::Recorded;
use super::trial::{Bench, SourceOptions, call_of, contradiction};
use crate::exit_code::ExitCode;
use crate::terminal::{Failure, Terminal};

/// Stand-ins are at random: others may do where some did not.
const ATTEMPTS: usize = 3;
/// Fixtures that were recorded of one operation.
const FIXTURES_MAX: usize = 1000;

/// Serve the adapter on this machine, and make a fixture of each call
///
/// The adapter answers from the sources named. The fixture has stand-ins of the same shape for all that is personal: what the
/// service's description does not classify as `none`, and what databases and upstreams gave beyond that.
#[derive(Debug, clap::Args)]
pub(crate) struct RecordOptions {
    /// The service's description, as the catalog has it: what each field of the contract is
    #[arg(long, value_name = "FILE", required_unless_present = "keep_personal_data")]
    description: Option<PathBuf>,
    /// Write everything as it is. Only for sources of invented people
    #[arg(long, conflicts_with = "description")]
    keep_personal_data: bool,
    /// Port on loopback [default: a free one]
    #[arg(long, default_value_t = 0)]
    port: u16,
    #[command(flatten)]
    sources: SourceOptions,
    #[command(flatten)]
    project: ProjectOptions,
}

pub(super) fn run(options: &RecordOptions, terminal: &Terminal) -> Result<(), Failure> {
    let classification = options.description.as_ref().map(|path| {
        let description = toml::from_str::<ServiceDescription>(&read_text(path)?).map_err(|error| {
            let message = format!("`{}` is no service description", path.display());
            Failure::new(ExitCode::Usage, "adapter.description_unusable", message).note(error)
        })?;
        Ok::<_, Failure>(description.classification)
    });
    let recorder = Recorder { classification: classification.transpose()?, terminal: terminal.clone() };
    dev::record(options.port, &options.project, &options.sources, recorder, terminal)
}

/// Makes fixtures of calls.
pub(super) struct Recorder {
    /// What each field is; nothing to write everything as it is.
    classification: Option<BTreeMap<String, Classification>>,
    terminal: Terminal,
}

impl Recorder {
    /// Makes a fixture of a call, or says why there is none; nothing of the call is said.
    pub(super) async fn keep(
        &self,
        bench: &Bench,
        project: &Project,
        component: &Component,
        answered: Fixture,
        calls: &[HostCall],
    ) {
        match self.fixture(bench, project, component, answered, calls).await {
            Ok(path) => self.terminal.step("recorded", path.display()),
            Err(failure) => self.terminal.failure(&failure),
        }
    }

    async fn fixture(
        &self,
        bench: &Bench,
        project: &Project,
        component: &Component,
        answered: Fixture,
        calls: &[HostCall],
    ) -> Result<PathBuf, Failure> {
        let original = with_calls(answered, calls)?;
        let Some(classification) = &self.classification else {
            let settled = settle(bench, project, component, &original, original.clone()).await?;
            return write(project, &settled, &text(&settled)?);
        };
        let mut betrayed =
            unrecordable("a personal value is left in it: the adapter takes it from elsewhere");
        for _ in 0..ATTEMPTS {
            let (replaced, pseudonyms) = replaced(project, &original, classification)?;
            match settle(bench, project, component, &original, replaced).await {
                Ok(settled) => {
                    let text = text(&settled)?;
                    if !pseudonyms.is_betrayed_by(&text) {
                        return write(project, &settled, &text);
                    }
                }
                Err(failure) => betrayed = failure,
            }
        }
        Err(betrayed)
    }
}

fn unrecordable(reason: impl std::fmt::Display) -> Failure {
    let message = format!("this call becomes no fixture: {reason}");
    Failure::new(ExitCode::CheckFailed, "adapter.not_recordable", message)
}

/// The fixture of a call with the host calls that were made.
fn with_calls(answered: Fixture, calls: &[HostCall]) -> Result<Fixture, Failure> {
    let mut fixture = answered;
    for call in calls {
        match call {
            HostCall::Statement { name, rows: None, .. } => {
                return Err(unrecordable(format_args!("statement `{name}` failed")));
            }
            HostCall::Statement { name, parameters, rows: Some(rows) } => {
                let names = rows.columns.iter().map(|column| column.name.clone());
                let row = |row: &sql::Row| names.clone().zip(row.iter().map(json_of)).collect();
                let (params, rows) = (params_of(parameters), rows.rows.iter().map(row).collect());
                fixture.sql.push(StatementCall { statement: name.clone(), params, rows });
            }
            HostCall::Upstream { upstream, response: None, .. } => {
                return Err(unrecordable(format_args!("upstream `{upstream}` did not answer")));
            }
            HostCall::Upstream { upstream, method, path_and_query, response: Some((status, body)) } => {
                let parsed = (!body.is_empty()).then(|| serde_json::from_slice(body)).transpose();
                let body = parsed.map_err(|_| {
                    unrecordable(format_args!("upstream `{upstream}` gave something other than JSON"))
                })?;
                let (upstream, method) = (upstream.clone(), method.clone());
                let path = path_and_query.clone();
                fixture.http.push(UpstreamCall { upstream, method, path, status: *status, body });
            }
            HostCall::InParts(what) => {
                return Err(unrecordable(format_args!(
                    "the adapter used {what}, which a fixture cannot tell"
                )));
            }
        }
    }
    Ok(fixture)
}

/// A parameter that is missing was null.
fn params_of(parameters: &[(String, sql::Value)]) -> Map<String, Value> {
    let given = parameters.iter().filter(|(_, value)| *value != sql::Value::Null);
    given.map(|(name, value)| (name.clone(), json_of(value))).collect()
}

fn json_of(value: &sql::Value) -> Value {
    match value {
        sql::Value::Null => Value::Null,
        sql::Value::Boolean(value) => (*value).into(),
        sql::Value::Integer(value) => (*value).into(),
        sql::Value::Float(value) => (*value).into(),
        sql::Value::Bytes(bytes) => hex::encode(bytes).into(),
        sql::Value::Json(text) => match serde_json::from_str(text) {
            Ok(parsed @ (Value::Object(_) | Value::Array(_))) => parsed,
            _ => text.as_str().into(),
        },
        sql::Value::Decimal(text)
        | sql::Value::Text(text)
        | sql::Value::Date(text)
        | sql::Value::Time(text)
        | sql::Value::Timestamp(text)
        | sql::Value::Uuid(text)
        | sql::Value::Other(_, text) => text.as_str().into(),
    }
}

/// The fixture with stand-ins in what comes to the adapter. What comes from it is still the original.
fn replaced(
    project: &Project,
    original: &Fixture,
    classification: &BTreeMap<String, Classification>,
) -> Result<(Fixture, Pseudonyms), Failure> {
    let id = &original.operation;
    let mut operations =
        project.contracts.iter().filter_map(|contract| Some((contract, contract.operation(id)?)));
    let (contract, operation) =
        operations.next().ok_or_else(|| unrecordable("no contract has the operation"))?;
    let no_stand_in = |pointer: &str| {
        unrecordable(format_args!("the contract leaves no stand-in for the value at {pointer}"))
            .help("if it says nothing of a person, classify it as `none`")
    };
    let mut pseudonyms = Pseudonyms::new(lists(operation));
    let fits = |request: &Value| fixture::document(contract, operation, request).is_some();
    let is_personal = |pointer: &str| is_personal(classification, &format!("/{id}/request{pointer}"));
    pseudonyms
        .learn(&original.request, is_personal, fits)
        .map_err(|pointer| no_stand_in(&format!("/{id}/request{pointer}")))?;
    if let Expected::Response(answer) = &original.expected {
        let fits = |answer: &Value| {
            operation.answer("application/json", answer.to_string().into_bytes(), &Limits::default()).is_ok()
        };
        let is_personal =
            |pointer: &str| self::is_personal(classification, &format!("/{id}/answer{pointer}"));
        pseudonyms
            .learn(answer, is_personal, fits)
            .map_err(|pointer| no_stand_in(&format!("/{id}/answer{pointer}")))?;
    }
    let mut fixture = original.clone();
    fixture.request = pseudonyms.replace(&original.request).ok_or_else(|| no_stand_in("/request"))?;
    if !fits(&fixture.request) {
        return Err(unrecordable("with stand-ins, the request no longer fits the contract"));
    }
    for call in &mut fixture.sql {
        for (column, value) in call.rows.iter_mut().flatten() {
            let place = || no_stand_in(&format!("column `{column}` of {}", call.statement));
            *value = pseudonyms.replace(value).ok_or_else(place)?;
        }
    }
    for call in &mut fixture.http {
        let place = || no_stand_in(&format!("the document of {}", call.upstream));
        call.body = call.body.take().map(|body| pseudonyms.replace(&body).ok_or_else(place)).transpose()?;
    }
    Ok((fixture, pseudonyms))
}

/// A field that the description does not know is personal.
fn is_personal(classification: &BTreeMap<String, Classification>, pointer: &str) -> bool {
    let is_at = |pattern: &str| {
        let (mut steps, mut patterns) = (pointer.split('/'), pattern.split('/'));
        steps.by_ref().zip(patterns.by_ref()).all(|(step, pattern)| pattern == "*" || pattern == step)
            && pattern.split('/').count() == pointer.split('/').count()
    };
    let mut classes = classification.iter().filter(|(pattern, _)| is_at(pattern)).peekable();
    classes.peek().is_none() || classes.any(|(_, class)| *class > Classification::None)
}

/// The lists of texts in the schemas of an operation.
fn lists(operation: &Operation) -> Vec<Vec<String>> {
    fn visit(schema: &Value, lists: &mut Vec<Vec<String>>) {
        match schema {
            Value::Array(parts) => parts.iter().for_each(|part| visit(part, lists)),
            Value::Object(members) => {
                let listed = members.get("enum").and_then(Value::as_array);
                let texts = listed.into_iter().flatten().filter_map(Value::as_str).map(str::to_owned);
                lists.extend(Some(texts.collect::<Vec<_>>()).filter(|texts| !texts.is_empty()));
                members.values().for_each(|part| visit(part, lists));
            }
            _ => {}
        }
    }
    let mut lists = Vec::new();
    visit(operation.input_schema(), &mut lists);
    operation.output_schema().into_iter().for_each(|schema| visit(schema, &mut lists));
    lists
}

/// Calls the adapter until the fixture says what it asks and answers, twice alike. Each round, one host call more is asked
/// with what the fixture gives.
async fn settle(
    bench: &Bench,
    project: &Project,
    component: &Component,
    original: &Fixture,
    mut fixture: Fixture,
) -> Result<Fixture, Failure> {
    let calls_count = fixture.sql.len() + fixture.http.len();
    for _ in 0..calls_count + 3 {
        let distinct = distinct(&fixture)?;
        let recorded = Recorded::new(&distinct, project).await?;
        let call = call_of(project, &distinct);
        let (outcome, _, calls) =
            bench.observe(project, component, call, &SourceOptions::default(), &recorded).await?;
        let found = Expected::of(&outcome);
        let is_settled = !follow(&mut fixture, &calls)? && found == fixture.expected;
        fixture.expected = found;
        if !is_settled {
            continue;
        }
        if calls.len() != calls_count || !is_alike(&original.expected, &fixture.expected) {
            break;
        }
        return match contradiction(project, &fixture.operation, &outcome) {
            Some(problem) => Err(unrecordable(format_args!("with stand-ins, {problem}"))),
            None => Ok(distinct),
        };
    }
    Err(unrecordable("with stand-ins, or called again, the adapter goes another way"))
}

/// Takes over what the adapter asked; whether that was something else than the fixture says.
fn follow(fixture: &mut Fixture, calls: &[HostCall]) -> Result<bool, Failure> {
    let (mut statements, mut requests) = (fixture.sql.iter_mut(), fixture.http.iter_mut());
    let mut is_other = false;
    let elsewhere = || unrecordable("with stand-ins, the adapter asks for something else");
    for call in calls {
        match call {
            HostCall::Statement { name, parameters, .. } => {
                let known = statements.next().filter(|known| known.statement == *name);
                let (known, params) = (known.ok_or_else(elsewhere)?, params_of(parameters));
                is_other |= known.params != params;
                known.params = params;
            }
            HostCall::Upstream { upstream, method, path_and_query, .. } => {
                let known = requests.next();
                let known = known.filter(|known| known.upstream == *upstream && known.method == *method);
                let known = known.ok_or_else(elsewhere)?;
                is_other |= known.path != *path_and_query;
                known.path.clone_from(path_and_query);
            }
            HostCall::InParts(_) => return Err(elsewhere()),
        }
    }
    Ok(is_other)
}

/// The fixture with each host call once.
fn distinct(fixture: &Fixture) -> Result<Fixture, Failure> {
    let mut distinct = Fixture { sql: Vec::new(), http: Vec::new(), ..fixture.clone() };
    for call in &fixture.sql {
        let is_same =
            |other: &&StatementCall| (&other.statement, &other.params) == (&call.statement, &call.params);
        match distinct.sql.iter().find(is_same) {
            None => distinct.sql.push(call.clone()),
            Some(other) if other.rows == call.rows => {}
            Some(_) => {
                let reason = format!("statement `{}` gives other rows the second time", call.statement);
                return Err(unrecordable(reason));
            }
        }
    }
    for call in &fixture.http {
        let asked = |call: &UpstreamCall| (call.upstream.clone(), call.method.clone(), call.path.clone());
        match distinct.http.iter().find(|other| asked(other) == asked(call)) {
            None => distinct.http.push(call.clone()),
            Some(other) if (other.status, &other.body) == (call.status, &call.body) => {}
            Some(_) => {
                let reason = format!("upstream `{}` answers otherwise the second time", call.upstream);
                return Err(unrecordable(reason));
            }
        }
    }
    Ok(distinct)
}

/// Whether two outcomes differ in values only.
fn is_alike(one: &Expected, other: &Expected) -> bool {
    fn shape(value: &Value) -> Value {
        match value {
            Value::Object(members) => {
                members.iter().map(|(name, value)| (name.clone(), shape(value))).collect()
            }
            Value::Array(items) => items.iter().map(shape).collect(),
            Value::String(_) => "".into(),
            Value::Number(_) => 0.into(),
            leaf => leaf.clone(),
        }
    }
    match (one, other) {
        (Expected::Response(one), Expected::Response(other)) => shape(one) == shape(other),
        (one, other) => one == other,
    }
}

fn text(fixture: &Fixture) -> Result<String, Failure> {
    serde_json::to_string_pretty(fixture).map(|text| text + "\n").map_err(unrecordable)
}

/// Writes a new file.
fn write(project: &Project, fixture: &Fixture, text: &str) -> Result<PathBuf, Failure> {
    let folder = project.path("fixtures");
    let mut paths =
        (1..=FIXTURES_MAX).map(|n| folder.join(format!("{}-recorded-{n}.json", fixture.operation)));
    let path = paths.find(|path| !path.exists());
    let path = path.ok_or_else(|| unrecordable("there are too many recorded fixtures of this operation"))?;
    write_file(&path, text)?;
    Ok(path)
}
