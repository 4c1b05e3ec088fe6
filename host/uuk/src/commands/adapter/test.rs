//! `uuk adapter test`: the fixtures, each called in the plugin host and compared.

use serde_json::json;
use uuk_plugin_host::{CallError, Outcome};

use super::component::Component;
use super::fixture::{Expected, Fixture};
use super::project::{Project, ProjectOptions};
use super::recorded::Recorded;
use super::trial::{Bench, SourceOptions, block_on, call_of, contradiction};
use crate::exit_code::ExitCode;
use crate::terminal::{Failure, Terminal};

/// Call the adapter with every fixture and compare the answers
#[derive(Debug, clap::Args)]
pub(crate) struct TestOptions {
    /// Only fixtures whose name contains this
    #[arg(long, value_name = "TEXT", default_value = "")]
    filter: String,
    #[command(flatten)]
    sources: SourceOptions,
    #[command(flatten)]
    project: ProjectOptions,
}

pub(super) fn run(options: &TestOptions, terminal: &Terminal) -> Result<(), Failure> {
    let project = Project::open(&options.project)?;
    let component = Component::read(&project)?;
    component.check(&project)?;
    let mut fixtures = Fixture::read_all(&project)?;
    fixtures.retain(|fixture| fixture.name().contains(&options.filter));
    if fixtures.is_empty() {
        let message = "there is no fixture to test with";
        return Err(Failure::new(ExitCode::Usage, "adapter.no_fixtures", message)
            .help("write one in fixtures/, or name fewer with --filter"));
    }
    let differences = block_on(compare(&project, &component, &fixtures, &options.sources, terminal))?;
    let (passed, failed) = (fixtures.len() - differences.len(), differences.len());
    if differences.is_empty() {
        let result = json!({ "passed": passed, "failed": failed });
        terminal.result("uuk.cli/adapter-test/v1", &result, format_args!("{passed} passed"));
        return Ok(());
    }
    let message = format!("{failed} of {} fixtures are answered otherwise", fixtures.len());
    let failure = Failure::new(ExitCode::CheckFailed, "adapter.test_failed", message);
    Err(differences.into_iter().flatten().fold(failure, Failure::note))
}

/// Calls the adapter with each fixture; what differs, for each that does.
async fn compare(
    project: &Project,
    component: &Component,
    fixtures: &[Fixture],
    sources: &SourceOptions,
    terminal: &Terminal,
) -> Result<Vec<Vec<String>>, Failure> {
    let bench = Bench::new()?;
    let mut differences = Vec::new();
    for fixture in fixtures {
        let recorded = Recorded::new(fixture, project).await?;
        let call = call_of(project, &fixture.operation, &fixture.request);
        let (outcome, usage) = bench.call(project, component, call, sources, &recorded).await?;
        let different = differences_of(project, fixture, &outcome, &recorded.unrecorded_requests());
        let name = fixture.name();
        if different.is_empty() {
            terminal.step("✓", format_args!("{name:<24} {:.1} ms", usage.wall_us as f64 / 1000.0));
        } else {
            terminal.step("✗", &name);
            differences.push(different);
        }
    }
    Ok(differences)
}

/// How the outcome differs from what the fixture expects, in lines for people.
fn differences_of(
    project: &Project,
    fixture: &Fixture,
    outcome: &Result<Outcome, CallError>,
    unrecorded_requests: &[String],
) -> Vec<String> {
    let name = fixture.name();
    let found = Expected::of(outcome);
    let mut lines = Vec::new();
    if found != fixture.expected {
        lines.push(format!("{name}: expected {}", json!(fixture.expected)));
        lines.push(format!("{name}: came     {}", json!(found)));
        lines.extend(diagnostic(outcome).map(|diagnostic| format!("{name}: because {diagnostic}")));
    }
    let requests = unrecorded_requests.iter();
    lines.extend(requests.map(|request| format!("{name}: the fixture does not record {request}")));
    let contradiction = contradiction(project, &fixture.operation, outcome);
    lines.extend(contradiction.map(|problem| format!("{name}: {problem}")));
    lines
}

/// What the adapter says, for its own log, about a fault.
fn diagnostic(outcome: &Result<Outcome, CallError>) -> Option<String> {
    match outcome {
        Ok(Outcome::Answer(_)) => None,
        Ok(Outcome::Fault(fault)) => fault.diagnostic.clone(),
        Err(error) => Some(error.to_string()),
    }
}
