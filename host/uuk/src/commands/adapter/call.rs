//! `uuk adapter call`: one call, with what it used.

use std::io::Read;
use std::path::PathBuf;

use serde_json::{Value, json};
use uuk_plugin_host::{CallError, Outcome};

use super::budget::Budget;
use super::component::Component;
use super::fixture::{Expected, Fixture};
use super::project::{Project, ProjectOptions, read_text, unreadable};
use super::recorded::Recorded;
use super::trial::{Bench, SourceOptions, block_on, call_of, contradiction};
use crate::exit_code::ExitCode;
use crate::terminal::{Failure, Terminal};

/// Longer documents than this are no requests.
const INPUT_BYTES_MAX: u64 = 4 << 20;

/// Call the adapter once and show the answer and what it used
#[derive(Debug, clap::Args)]
pub(crate) struct CallOptions {
    /// Fixture with the operation, the request and the host calls
    #[arg(required_unless_present = "operation")]
    fixture: Option<PathBuf>,
    /// Operation to call, if there is no fixture
    #[arg(long = "op", value_name = "ID", conflicts_with = "fixture")]
    operation: Option<String>,
    /// File with the request document, `-` for standard input
    #[arg(short, long, value_name = "FILE", conflicts_with = "fixture", default_value = "-")]
    input: PathBuf,
    #[command(flatten)]
    sources: SourceOptions,
    #[command(flatten)]
    project: ProjectOptions,
}

pub(super) fn run(options: &CallOptions, terminal: &Terminal) -> Result<(), Failure> {
    let project = Project::open(&options.project)?;
    let component = Component::read(&project)?;
    component.check(&project)?;
    let fixture = match (&options.fixture, &options.operation) {
        (Some(path), _) => Fixture::read(path, &project)?,
        (None, operation) => {
            let operation = operation.clone().unwrap_or_default();
            Fixture::unrecorded(operation, read_document(&options.input)?, &project)?
        }
    };
    let (outcome, usage) = block_on(async {
        let recorded = Recorded::new(&fixture, &project).await?;
        let call = call_of(&project, &fixture);
        let called = Bench::new()?.call(&project, &component, call, &options.sources, &recorded).await;
        for request in recorded.unrecorded_requests() {
            terminal.step(
                "unknown",
                format_args!("{request} is not recorded; name the upstream with --upstream"),
            );
        }
        called
    })?;

    let budget = Budget::new(&usage, &project);
    terminal.table(&budget);
    if let Some(problem) = contradiction(&project, &fixture.operation, &outcome) {
        return Err(Failure::new(ExitCode::CheckFailed, problem.code(), problem)
            .note("a server would answer with a fault instead"));
    }
    let answer = shown(&outcome)?;
    let text = serde_json::to_string_pretty(&answer).unwrap_or_default();
    terminal.result(
        "uuk.cli/adapter-call/v1",
        &json!({ "outcome": answer, "usage": usage, "budget": budget }),
        text,
    );
    Ok(())
}

fn read_document(path: &std::path::Path) -> Result<Value, Failure> {
    let text = if path.as_os_str() == "-" {
        let mut text = String::new();
        let read = std::io::stdin().take(INPUT_BYTES_MAX).read_to_string(&mut text);
        read.map_err(|error| unreadable(path, error))?;
        text
    } else {
        read_text(path)?
    };
    serde_json::from_str(&text).map_err(|error| {
        let message = format!("the request in `{}` is not JSON: {error}", path.display());
        Failure::new(ExitCode::Usage, "adapter.request_unreadable", message)
    })
}

/// The answer or the fault; a call without either is a failure of the adapter.
fn shown(outcome: &Result<Outcome, CallError>) -> Result<Value, Failure> {
    match outcome {
        Ok(Outcome::Answer(_)) => Ok(json!(Expected::of(outcome))),
        Ok(Outcome::Fault(fault)) => Ok(json!({ "fault": {
            "kind": fault.kind.to_string(),
            "code": fault.code,
            "message": fault.message,
            "problems": fault.problems,
            "diagnostic": fault.diagnostic,
        } })),
        Err(error) => Err(Failure::new(ExitCode::CheckFailed, error.code(), error)),
    }
}
