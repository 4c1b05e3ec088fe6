//! One version of the adapter under development: built, checked, probed, and called as a server would call it.

use std::sync::Arc;
use std::time::Instant;

use bytes::Bytes;
use http::{HeaderValue, Response, StatusCode, header};
use http_body_util::Full;
use serde_json::Value;
use uuk_contract::{Document, Limits, Operation, PROBLEM_MEDIA_TYPE, Problem, RestCall, percent};
use uuk_plugin_host::{CallError, Outcome};
use uuk_proxy::problem_of_fault;

use crate::commands::adapter::budget::Budget;
use crate::commands::adapter::build;
use crate::commands::adapter::component::Component;
use crate::commands::adapter::fixture::{self, Expected, Fixture};
use crate::commands::adapter::project::{Project, ProjectOptions};
use crate::commands::adapter::record::Recorder;
use crate::commands::adapter::recorded::Recorded;
use crate::commands::adapter::trial::{Bench, SourceOptions, call_of};
use crate::exit_code::ExitCode;
use crate::terminal::{Failure, Terminal};

/// A version that may serve. It holds all that it was made of, so that later edits do not show in it.
pub(super) struct Version {
    bench: Arc<Bench>,
    project: Project,
    component: Component,
    fixtures: Vec<Fixture>,
    sources: SourceOptions,
    recorder: Option<Recorder>,
}

/// A request as it came to the door.
pub(super) struct Asked<'a> {
    pub(super) method: &'a str,
    pub(super) path: &'a str,
    pub(super) query: Option<&'a str>,
    pub(super) headers: &'a [(&'a str, &'a [u8])],
    pub(super) body: &'a [u8],
}

/// What was answered, and a line about it.
pub(super) struct Answered {
    pub(super) response: Response<Full<Bytes>>,
    pub(super) line: String,
}

impl Version {
    /// Builds and checks what the folder holds; blocks while the compiler is at work.
    pub(super) fn build(
        options: &ProjectOptions,
        sources: &SourceOptions,
        bench: Arc<Bench>,
        terminal: &Terminal,
    ) -> Result<Self, Failure> {
        let mut project = Project::open(options)?;
        sources.check(&project.manifest)?;
        let started = Instant::now();
        let findings = build::build(&project, terminal)?;
        terminal.step("check", format_args!("{findings} · {:.1} s", started.elapsed().as_secs_f64()));
        let component = Component::read(&project)?;
        let fixtures = Fixture::read_all(&project)?;
        project.hold()?;
        Ok(Self { bench, project, component, fixtures, sources: sources.clone(), recorder: None })
    }

    /// This version, with each call left to `recorder`. Host calls are then answered by the sources alone.
    pub(super) fn recorded_by(self, recorder: Recorder) -> Self {
        Self { recorder: Some(recorder), ..self }
    }

    /// Asks the adapter what it says of itself; what fails here does not serve.
    pub(super) async fn probe(&self) -> Result<(), Failure> {
        let findings = self.bench.probe(&self.project, &self.component).await?;
        match findings.iter().find(|finding| !finding.ok) {
            None => Ok(()),
            Some(finding) => {
                let failure = Failure::new(ExitCode::CheckFailed, "adapter.probe_failed", &finding.detail);
                Err(failure.note(format_args!("the adapter's own check `{}` failed", finding.check)))
            }
        }
    }

    /// A request to paste for each operation that a fixture calls.
    pub(super) fn requests(&self, base: &str) -> Vec<String> {
        let mut seen = Vec::new();
        let first = self.fixtures.iter().filter(|fixture| {
            let is_first = !seen.contains(&&fixture.operation);
            seen.push(&fixture.operation);
            is_first
        });
        first.filter_map(|fixture| self.request(base, fixture)).collect()
    }

    fn request(&self, base: &str, fixture: &Fixture) -> Option<String> {
        let services = self.project.manifest.services.iter().zip(&self.project.contracts);
        let mut operations = services.filter_map(|(service, contract)| {
            contract.operation(&fixture.operation).map(|operation| (service, contract, operation))
        });
        let (service, contract, operation) = operations.next()?;
        let call = operation.rest_call(&fixture::document(contract, operation, &fixture.request)?).ok()?;
        let address = quoted(&format!("{base}/{}{}", percent::encode(&service.code), call.target));
        let method: &str = call.method.into();
        let mut line = format!("curl -X {method}");
        for (name, value) in &call.headers {
            line += &format!(" -H {}", quoted(&format!("{name}: {value}")));
        }
        if !call.body.is_empty() {
            line += &format!(" -d {}", quoted(&String::from_utf8_lossy(&call.body)));
        }
        // What curl does anyway need not be said.
        Some(format!("{line} {address}").replacen("curl -X GET ", "curl ", 1))
    }

    /// Answers a request to `/{service}/…` as a server would, from the contract to the checked answer.
    pub(super) async fn answer(&self, asked: &Asked<'_>) -> Answered {
        let started = Instant::now();
        let services = self.project.manifest.services.iter().zip(&self.project.contracts);
        let mut services = services.filter_map(|(service, contract)| {
            let below = asked.path.strip_prefix('/')?.strip_prefix(&*percent::encode(&service.code))?;
            (below.is_empty() || below.starts_with('/')).then_some((contract, below))
        });
        let Some((contract, path)) = services.next() else {
            let detail = "the path does not begin with a service code of plugin.toml";
            return told(asked.path, started, Problem::new(404, "proxy.unknown_service", detail), None);
        };
        let call = RestCall {
            method: asked.method,
            path,
            query: asked.query,
            headers: asked.headers,
            body: asked.body,
        };
        let (operation, document) = match contract.document(&call, &Limits::default()) {
            Ok(called) => called,
            Err(refusal) => return told(asked.path, started, refusal.problem(), None),
        };
        match self.call(operation, &document).await {
            Ok((outcome, budget)) => self.respond(operation, outcome, started, &budget),
            Err(failure) => {
                let problem = Problem::new(500, failure.code().to_owned(), failure.message());
                told(operation.id(), started, problem, None)
            }
        }
    }

    async fn call(
        &self,
        operation: &Operation,
        document: &Document,
    ) -> Result<(Result<Outcome, CallError>, Budget), Failure> {
        let request: Value = serde_json::from_slice(document.as_bytes()).unwrap_or_default();
        let is_this = |fixture: &&Fixture| fixture.operation == operation.id() && fixture.request == request;
        // Host calls that no source answers are answered by the fixture of the same request.
        let unrecorded = Fixture::unrecorded(operation.id().to_owned(), request.clone(), &self.project)?;
        let mut known = self.fixtures.iter().filter(|_| self.recorder.is_none());
        let fixture = known.find(is_this).unwrap_or(&unrecorded);
        let recorded = Recorded::new(fixture, &self.project).await?;
        let call = call_of(&self.project, fixture);
        let (outcome, usage, host_calls) =
            self.bench.observe(&self.project, &self.component, call, &self.sources, &recorded).await?;
        if let Some(recorder) = &self.recorder {
            let (operation, expected) = (operation.id().to_owned(), Expected::of(&outcome));
            let answered = Fixture { operation, request, expected, ..Fixture::nothing() };
            recorder.keep(&self.bench, &self.project, &self.component, answered, &host_calls).await;
        }
        Ok((outcome, Budget::new(&usage, &self.project)))
    }

    fn respond(
        &self,
        operation: &Operation,
        outcome: Result<Outcome, CallError>,
        started: Instant,
        budget: &Budget,
    ) -> Answered {
        let brief = Some(budget.brief());
        let checked = match outcome {
            Ok(Outcome::Answer(payload)) => {
                operation.answer(&payload.media_type, payload.data, &Limits::default())
            }
            Ok(Outcome::Fault(fault)) if fault.kind.is_technical() => {
                let problem = problem_of_fault(&fault);
                let detail = format!("{} {}", problem.detail, fault.diagnostic.unwrap_or_default());
                let problem = Problem::new(problem.status, problem.code, detail);
                return told(operation.id(), started, problem, brief);
            }
            Ok(Outcome::Fault(fault)) => operation.fault(&problem_of_fault(&fault)),
            Err(error) => {
                return told(
                    operation.id(),
                    started,
                    Problem::new(502, error.code(), error.to_string()),
                    brief,
                );
            }
        };
        match checked {
            Ok(answer) => {
                let status = StatusCode::from_u16(answer.status()).unwrap_or(StatusCode::OK);
                let media_type = answer.media_type();
                let code = Problem::read(answer.body()).filter(|_| answer.status() >= 400);
                let code = code.map(|problem| format!("fault {}   ", problem.code)).unwrap_or_default();
                let line = line(operation.id(), status, started, &format!("{code}{}", budget.brief()));
                Answered { response: response(status, media_type, answer.into_body()), line }
            }
            Err(problem) => {
                told(operation.id(), started, Problem::new(502, problem.code(), problem.to_string()), brief)
            }
        }
    }
}

fn told(what: &str, started: Instant, problem: Problem, brief: Option<String>) -> Answered {
    let status = StatusCode::from_u16(problem.status).unwrap_or(StatusCode::INTERNAL_SERVER_ERROR);
    let brief = brief.unwrap_or_default();
    let line = line(what, status, started, &format!("fault {}: {}   {brief}", problem.code, problem.detail));
    Answered { response: response(status, Some(PROBLEM_MEDIA_TYPE), problem.to_json()), line }
}

fn line(what: &str, status: StatusCode, started: Instant, more: &str) -> String {
    let took_ms = started.elapsed().as_millis();
    format!("{what:<10} {}  {took_ms} ms   {}", status.as_u16(), more.trim_end())
}

fn response(status: StatusCode, media_type: Option<&'static str>, body: Vec<u8>) -> Response<Full<Bytes>> {
    let mut response = Response::new(Full::from(body));
    *response.status_mut() = status;
    if let Some(media_type) = media_type {
        response.headers_mut().insert(header::CONTENT_TYPE, HeaderValue::from_static(media_type));
    }
    response
}

/// As a shell takes it for one word.
fn quoted(text: &str) -> String {
    format!("'{}'", text.replace('\'', "'\\''"))
}
