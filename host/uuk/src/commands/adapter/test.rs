//! `uuk adapter test`: the fixtures, each called in the plugin host and compared.

use serde_json::{Value, json};
use uuk_central::vetting::Replay;
use uuk_plugin_host::{CallError, Outcome};

use super::component::Component;
use super::fixture::{Expected, Fixture};
use super::generated::{Generated, generate};
use super::project::{Project, ProjectOptions};
use super::recorded::Recorded;
use super::trial::{Bench, SourceOptions, block_on, call_of, contradiction};
use crate::exit_code::ExitCode;
use crate::terminal::{Failure, Terminal};

/// Wrong answers shown, and how much of the request of each.
const REASONS_MAX: usize = 10;
const REQUEST_CHARS_MAX: usize = 200;

/// Call the adapter with every fixture, and with odd requests made of them
///
/// The fixtures' answers are compared. Then each value of their requests is exchanged for odd ones that the contract allows,
/// where databases have no row and upstreams no document: the adapter may answer or refuse as its contract says, and may
/// neither fail nor exceed its limits.
#[derive(Debug, clap::Args)]
pub(crate) struct TestOptions {
    /// Only fixtures whose name contains this
    #[arg(long, value_name = "TEXT", default_value = "")]
    filter: String,
    #[command(flatten)]
    sources: SourceOptions,
    /// Leave out the requests that are made of the fixtures'
    #[arg(long)]
    fixtures_only: bool,
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
    let bench = Bench::new()?;
    let replays = block_on(replay(&bench, &project, &component, &fixtures, &options.sources))?;
    for Replay { name, problems, wall_us, .. } in &replays {
        match problems.is_empty() {
            true => terminal.step("✓", format_args!("{name:<24} {:.1} ms", *wall_us as f64 / 1000.0)),
            false => terminal.step("✗", name),
        }
    }
    let failed = replays.iter().filter(|replay| !replay.problems.is_empty()).count();
    let passed = fixtures.len() - failed;
    if failed > 0 {
        let message = format!("{failed} of {} fixtures are answered otherwise", fixtures.len());
        let failure = Failure::new(ExitCode::CheckFailed, "adapter.test_failed", message);
        return Err(replays.into_iter().flat_map(|replay| replay.problems).fold(failure, Failure::note));
    }
    let generated = match options.fixtures_only {
        true => 0,
        false => {
            let Generated { requests, refused } = generate(&project, &fixtures);
            block_on(endure(&bench, &project, &component, &requests))?;
            let called = requests.len();
            terminal
                .step("✓", format_args!("{called} odd requests, and {refused} that the contract refuses"));
            called
        }
    };
    let result = json!({ "passed": passed, "failed": failed, "generated": generated });
    terminal.result("uuk.cli/adapter-test/v1", &result, format_args!("{passed} passed"));
    Ok(())
}

/// Refuses an adapter that does not stand requests that nobody recorded.
async fn endure(
    bench: &Bench,
    project: &Project,
    component: &Component,
    requests: &[(String, Value)],
) -> Result<(), Failure> {
    let reasons = wrong_answers(bench, project, component, requests).await?;
    if reasons.is_empty() {
        return Ok(());
    }
    let message =
        format!("{} of {} odd requests that the contract allows went wrong", reasons.len(), requests.len());
    let more = reasons.len().saturating_sub(REASONS_MAX);
    let failure = Failure::new(ExitCode::CheckFailed, "adapter.odd_request", message);
    let failure = reasons.into_iter().take(REASONS_MAX).fold(failure, Failure::note);
    Err(if more > 0 { failure.note(format_args!("and {more} more like these")) } else { failure })
}

/// Calls the adapter with requests that nobody recorded: it may say no, and may neither fail nor break its contract.
pub(super) async fn wrong_answers(
    bench: &Bench,
    project: &Project,
    component: &Component,
    requests: &[(String, Value)],
) -> Result<Vec<String>, Failure> {
    let outcomes = bench.call_in_empty_world(project, component, requests).await?;
    let mut reasons = Vec::new();
    for ((operation, request), outcome) in requests.iter().zip(outcomes) {
        let blamed = outcome.as_ref().err().filter(|error| error.blames_plugin()).map(ToString::to_string);
        let broken = || contradiction(project, operation, &outcome).map(|problem| problem.to_string());
        if let Some(reason) = blamed.or_else(broken) {
            let request: String = request.to_string().chars().take(REQUEST_CHARS_MAX).collect();
            reasons.push(format!("{operation} {request}: {reason}"));
        }
    }
    Ok(reasons)
}

/// Calls the adapter with each fixture.
pub(super) async fn replay(
    bench: &Bench,
    project: &Project,
    component: &Component,
    fixtures: &[Fixture],
    sources: &SourceOptions,
) -> Result<Vec<Replay>, Failure> {
    let mut replays = Vec::new();
    for fixture in fixtures {
        let recorded = Recorded::new(fixture, project).await?;
        let call = call_of(project, fixture);
        let (outcome, usage) = bench.call(project, component, call, sources, &recorded).await?;
        replays.push(Replay {
            name: fixture.name(),
            problems: differences_of(project, fixture, &outcome, &recorded.unrecorded_requests()),
            wall_us: usage.wall_us,
            memory_bytes: usage.memory_bytes,
            host_calls: usage.host_calls,
            response_bytes: usage.response_bytes,
        });
    }
    Ok(replays)
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
