//! Fixtures: a call, the answer expected, and the host calls that lead from one to the other.

use std::path::{Path, PathBuf};

use serde::{Deserialize, Serialize};
use serde_json::{Map, Value};
use uuk_bundle::Manifest;
use uuk_contract::{Contract, Document, Limits, Operation, RestCall};
use uuk_plugin_host::{CallError, Outcome};

use super::project::{Project, read_text, unreadable};
use crate::exit_code::ExitCode;
use crate::terminal::Failure;

/// A file of `fixtures/`.
#[derive(Debug, Clone, Deserialize, Serialize)]
pub(super) struct Fixture {
    /// Path of the file, for messages.
    #[serde(skip)]
    pub(super) path: PathBuf,
    /// The contract's operationId.
    pub(super) operation: String,
    /// The request document.
    pub(super) request: Value,
    /// What came of the statements that the adapter runs.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub(super) sql: Vec<StatementCall>,
    /// What came of the requests that the adapter sends.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub(super) http: Vec<UpstreamCall>,
    /// When the request came, as the adapter is told. Default: a time that is always the same.
    #[serde(default = "Fixture::any_time", skip_serializing_if = "Fixture::is_any_time")]
    pub(super) received_at: String,
    /// Whether databases have no row and upstreams no document, instead of a complaint that nothing is recorded.
    #[serde(skip)]
    pub(super) is_empty_world: bool,
    #[serde(flatten)]
    pub(super) expected: Expected,
}

/// A statement that was run.
#[derive(Debug, Clone, Deserialize, Serialize)]
#[serde(deny_unknown_fields)]
pub(super) struct StatementCall {
    /// Its name in the manifest.
    pub(super) statement: String,
    /// Its parameters; one that is missing was null.
    #[serde(default)]
    pub(super) params: Map<String, Value>,
    /// The rows it gave, by column; a column that is missing was null. Bytes are written in hexadecimal.
    #[serde(default)]
    pub(super) rows: Vec<Map<String, Value>>,
}

/// A request that was sent.
#[derive(Debug, Clone, Deserialize, Serialize)]
#[serde(deny_unknown_fields)]
pub(super) struct UpstreamCall {
    /// The upstream's name in the manifest.
    pub(super) upstream: String,
    pub(super) method: String,
    /// Path and query below the upstream's base.
    pub(super) path: String,
    /// Status of the response.
    pub(super) status: u16,
    /// The response's document; nothing for no body.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(super) body: Option<Value>,
}

/// What a call should come to: written in the fixture's file as `"response": …` or as `"fault": …`.
#[derive(Debug, Clone, PartialEq, Deserialize, Serialize)]
#[serde(rename_all = "lowercase")]
pub(super) enum Expected {
    /// The document answered; null for an operation without content.
    Response(Value),
    /// A fault of this kind and code.
    Fault { kind: String, code: String },
    /// Nothing in particular: the call is made to see what comes.
    #[serde(skip)]
    Anything,
}

impl Fixture {
    /// Reads one fixture and checks that what it names is there.
    pub(super) fn read(path: &Path, project: &Project) -> Result<Self, Failure> {
        let wrong = |reason: &dyn std::fmt::Display| {
            let message = format!("fixture `{}` is not usable: {reason}", path.display());
            Failure::new(ExitCode::CheckFailed, "adapter.fixture_unusable", message)
        };
        let fixture: Self = serde_json::from_str(&read_text(path)?).map_err(|error| wrong(&error))?;
        fixture.check(&project.manifest, &project.contracts).map_err(|reason| wrong(&reason))?;
        Ok(Self { path: path.to_owned(), ..fixture })
    }

    /// A call for which nothing is recorded.
    pub(super) fn unrecorded(operation: String, request: Value, project: &Project) -> Result<Self, Failure> {
        let received_at = jiff::Timestamp::now().to_string();
        let call = Self { operation, request, received_at, ..Self::nothing() };
        match call.check(&project.manifest, &project.contracts) {
            Ok(()) => Ok(call),
            Err(reason) => Err(Failure::new(ExitCode::Usage, "adapter.operation_unknown", reason)),
        }
    }

    /// No call at all.
    pub(super) fn nothing() -> Self {
        Self {
            path: PathBuf::new(),
            operation: String::new(),
            request: Value::Null,
            sql: Vec::new(),
            http: Vec::new(),
            received_at: Self::any_time(),
            is_empty_world: false,
            expected: Expected::Anything,
        }
    }

    fn any_time() -> String {
        "2026-01-01T00:00:00Z".to_owned()
    }

    fn is_any_time(time: &str) -> bool {
        time == Self::any_time()
    }

    /// Every fixture of a project, by name.
    pub(super) fn read_all(project: &Project) -> Result<Vec<Self>, Failure> {
        let folder = project.path("fixtures");
        if !folder.is_dir() {
            return Ok(Vec::new());
        }
        let entries = std::fs::read_dir(&folder).map_err(|error| unreadable(&folder, error))?;
        let mut paths: Vec<_> = entries.filter_map(|entry| Some(entry.ok()?.path())).collect();
        paths.retain(|path| path.extension().is_some_and(|extension| extension == "json"));
        paths.sort();
        paths.iter().map(|path| Self::read(path, project)).collect()
    }

    /// The fixture's name: its file's, without `.json`.
    pub(super) fn name(&self) -> String {
        self.path.file_stem().map(|name| name.to_string_lossy().into_owned()).unwrap_or_default()
    }

    fn check(&self, manifest: &Manifest, contracts: &[Contract]) -> Result<(), String> {
        if !contracts.iter().any(|contract| contract.operation(&self.operation).is_some()) {
            return Err(format!("no contract has operation `{}`", self.operation));
        }
        for call in &self.sql {
            let Some(statement) = manifest.statements.get(&call.statement) else {
                return Err(format!("the manifest has no statement `{}`", call.statement));
            };
            known(call.params.keys(), &statement.params, "parameter", &call.statement)?;
            for row in &call.rows {
                known(row.keys(), &statement.row, "column", &call.statement)?;
            }
        }
        match self.http.iter().find(|call| !manifest.upstreams.contains_key(&call.upstream)) {
            Some(call) => Err(format!("the manifest has no upstream `{}`", call.upstream)),
            None => Ok(()),
        }
    }
}

/// A request of a fixture as a server would hand it to the adapter, if it fits the contract.
pub(super) fn document(contract: &Contract, operation: &Operation, request: &Value) -> Option<Document> {
    let posted = if operation.parameters().is_empty() { request.get("body") } else { Some(request) };
    let posted = posted.map(Value::to_string).unwrap_or_default();
    let headers: [(&str, &[u8]); 1] = [("content-type", b"application/json")];
    let call = RestCall { method: "POST", path: "", query: None, headers: &headers, body: posted.as_bytes() };
    contract.posted_document(operation.id(), &call, &Limits::default()).ok().map(|(_, document)| document)
}

fn known<'a, T>(
    mut names: impl Iterator<Item = &'a String>,
    declared: &[(String, T)],
    what: &str,
    statement: &str,
) -> Result<(), String> {
    match names.find(|name| declared.iter().all(|(declared, _)| declared != *name)) {
        Some(name) => Err(format!("statement `{statement}` has no {what} `{name}`")),
        None => Ok(()),
    }
}

impl Expected {
    /// What a call came to, in the words of a fixture; a call without an outcome is told as the host's fault.
    pub(super) fn of(outcome: &Result<Outcome, CallError>) -> Self {
        match outcome {
            Ok(Outcome::Answer(payload)) if payload.data.is_empty() => Self::Response(Value::Null),
            Ok(Outcome::Answer(payload)) => {
                let text = || Value::String(String::from_utf8_lossy(&payload.data).into_owned());
                Self::Response(serde_json::from_slice(&payload.data).unwrap_or_else(|_| text()))
            }
            Ok(Outcome::Fault(fault)) => {
                Self::Fault { kind: fault.kind.to_string(), code: fault.code.clone() }
            }
            Err(error) => Self::Fault { kind: "host".to_owned(), code: error.code().to_owned() },
        }
    }
}

#[cfg(test)]
mod tests {
    use super::super::project::ProjectOptions;
    use super::*;

    #[track_caller]
    fn check(fixture: &str, reason: &str) {
        let folder = format!("{}/../../examples/people", env!("CARGO_MANIFEST_DIR"));
        let project = Project::open(&ProjectOptions::at(folder)).expect("the example is sound");
        let file = tempfile::NamedTempFile::new().expect("a file");
        std::fs::write(file.path(), fixture).expect("it can be written");
        let failure = Fixture::read(file.path(), &project).expect_err("it names what is not there");
        assert!(format!("{failure:?}").contains(reason), "{failure:?}");
    }

    #[test]
    fn refuses_an_operation_that_no_contract_has() {
        check(r#"{"operation":"nothing","request":{},"response":{}}"#, "no contract has operation `nothing`");
    }

    #[test]
    fn refuses_a_statement_that_the_manifest_lacks() {
        check(
            r#"{"operation":"get","request":{},"response":{},"sql":[{"statement":"x"}]}"#,
            "the manifest has no statement `x`",
        );
    }

    #[test]
    fn refuses_a_parameter_that_the_statement_lacks() {
        check(
            r#"{"operation":"get","request":{},"response":{},"sql":[{"statement":"find-person","params":{"x":1}}]}"#,
            "statement `find-person` has no parameter `x`",
        );
    }

    #[test]
    fn refuses_a_column_that_the_statement_lacks() {
        check(
            r#"{"operation":"get","request":{},"response":{},"sql":[{"statement":"find-person","rows":[{"x":1}]}]}"#,
            "statement `find-person` has no column `x`",
        );
    }

    #[test]
    fn refuses_an_upstream_that_the_manifest_lacks() {
        check(
            r#"{"operation":"get","request":{},"response":{},
                "http":[{"upstream":"x","method":"GET","path":"/","status":200}]}"#,
            "the manifest has no upstream `x`",
        );
    }

    #[test]
    fn refuses_a_fixture_that_expects_nothing() {
        check(r#"{"operation":"get","request":{}}"#, "no variant");
    }
}
