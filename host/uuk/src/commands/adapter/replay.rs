//! `uuk adapter replay`: fixtures called again, with what differs shown, and taken over if it is meant.

use std::path::PathBuf;

use serde_json::{Value, json};

use super::component::Component;
use super::fixture::{Expected, Fixture};
use super::project::{Project, ProjectOptions, read_text, write_file};
use super::recorded::Recorded;
use super::trial::{Bench, SourceOptions, block_on, call_of, contradiction};
use crate::exit_code::ExitCode;
use crate::terminal::{Failure, Terminal};

/// Differences shown of one answer.
const DIFFERENCES_MAX: usize = 20;

/// Call the adapter with fixtures again and show how the answers differ
///
/// Host calls are answered from the fixture, and the clock stands where it stood, so that the same adapter gives the same.
#[derive(Debug, clap::Args)]
pub(crate) struct ReplayOptions {
    /// Fixtures [default: all of the project]
    fixtures: Vec<PathBuf>,
    /// Show every value that differs
    #[arg(long)]
    diff: bool,
    /// Write what the adapter answers now into the fixtures
    #[arg(long)]
    bless: bool,
    #[command(flatten)]
    project: ProjectOptions,
}

pub(super) fn run(options: &ReplayOptions, terminal: &Terminal) -> Result<(), Failure> {
    let project = Project::open(&options.project)?;
    let component = Component::read(&project)?;
    component.check(&project)?;
    let fixtures = match options.fixtures.as_slice() {
        [] => Fixture::read_all(&project)?,
        named => named.iter().map(|path| Fixture::read(path, &project)).collect::<Result<_, _>>()?,
    };
    if fixtures.is_empty() {
        let message = "there is no fixture to replay";
        return Err(Failure::new(ExitCode::Usage, "adapter.no_fixtures", message)
            .help("write one in fixtures/: the operation, the request, the host calls and the answer"));
    }
    let (mut same, mut blessed, mut different) = (0, 0, Vec::new());
    let bench = Bench::new()?;
    for fixture in &fixtures {
        let found = block_on(replay(&bench, &project, &component, fixture))?;
        let name = fixture.name();
        if found == fixture.expected {
            same += 1;
            terminal.step("✓", &name);
            continue;
        }
        terminal.step("✗", &name);
        let differences = differences(&json!(fixture.expected), &json!(found));
        if options.diff {
            for Difference { pointer, expected, found } in differences.iter().take(DIFFERENCES_MAX) {
                terminal.step("", format_args!("differs at {pointer}"));
                expected.iter().for_each(|value| terminal.step("", format_args!("  - {value}")));
                found.iter().for_each(|value| terminal.step("", format_args!("  + {value}")));
            }
        }
        if options.bless {
            bless(fixture, &found)?;
            blessed += 1;
        } else {
            different.push(json!({ "fixture": name, "differences": differences }));
        }
    }
    let counts = json!({ "same": same, "blessed": blessed, "different": different });
    if different.is_empty() {
        let text = format!("{same} as recorded, {blessed} blessed");
        terminal.result("uuk.cli/adapter-replay/v1", &counts, text);
        return Ok(());
    }
    let message = format!("{} of {} fixtures are answered otherwise", different.len(), fixtures.len());
    let help = if options.diff { "accept the answers with --bless" } else { "see how with --diff" };
    let failure = Failure::new(ExitCode::CheckFailed, "adapter.replay_differs", message).help(help);
    Err(different
        .iter()
        .filter_map(|different| different.get("fixture")?.as_str())
        .fold(failure, Failure::note))
}

/// What the adapter answers to a fixture now. What a server would not let out is the host's fault.
async fn replay(
    bench: &Bench,
    project: &Project,
    component: &Component,
    fixture: &Fixture,
) -> Result<Expected, Failure> {
    let recorded = Recorded::new(fixture, project).await?;
    let call = call_of(project, fixture);
    let (outcome, _) = bench.call(project, component, call, &SourceOptions::default(), &recorded).await?;
    Ok(match contradiction(project, &fixture.operation, &outcome) {
        Some(problem) => Expected::Fault { kind: "host".to_owned(), code: problem.code().to_owned() },
        None => Expected::of(&outcome),
    })
}

/// Puts `found` into the fixture's file in the place of what it expected; all else in it stays.
fn bless(fixture: &Fixture, found: &Expected) -> Result<(), Failure> {
    let mut document: Value = serde_json::from_str(&read_text(&fixture.path)?).unwrap_or_default();
    if let (Some(document), Value::Object(found)) = (document.as_object_mut(), json!(found)) {
        document.shift_remove("response");
        document.shift_remove("fault");
        document.extend(found);
    }
    write_file(&fixture.path, format!("{document:#}\n"))
}

/// A value that is another than expected; nothing on the side where it is missing.
#[derive(Debug, PartialEq, serde::Serialize)]
struct Difference {
    pointer: String,
    expected: Option<Value>,
    found: Option<Value>,
}

/// The innermost values that differ.
fn differences(expected: &Value, found: &Value) -> Vec<Difference> {
    let mut differences = Vec::new();
    compare(String::new(), Some(expected), Some(found), &mut differences);
    differences
}

fn compare(
    pointer: String,
    expected: Option<&Value>,
    found: Option<&Value>,
    differences: &mut Vec<Difference>,
) {
    let below = |step: &str| format!("{pointer}/{}", step.replace('~', "~0").replace('/', "~1"));
    match (expected, found) {
        (expected, found) if expected == found => {}
        (Some(Value::Object(expected)), Some(Value::Object(found))) => {
            let added = found.keys().filter(|name| !expected.contains_key(*name));
            for name in expected.keys().chain(added) {
                compare(below(name), expected.get(name), found.get(name), differences);
            }
        }
        (Some(Value::Array(expected)), Some(Value::Array(found))) => {
            for index in 0..expected.len().max(found.len()) {
                compare(below(&index.to_string()), expected.get(index), found.get(index), differences);
            }
        }
        _ => {
            let (expected, found) = (expected.cloned(), found.cloned());
            differences.push(Difference { pointer, expected, found });
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_the_innermost_values_that_differ() {
        let expected = json!({"response": {"a/b": [1, 2], "c": "x", "d": null}});
        let found = json!({"response": {"a/b": [1, 3, 4], "c": "x", "e": 1}});
        let difference = |pointer: &str, expected: Option<Value>, found: Option<Value>| Difference {
            pointer: format!("/response{pointer}"),
            expected,
            found,
        };
        assert_eq!(
            differences(&expected, &found),
            [
                difference("/a~1b/1", Some(json!(2)), Some(json!(3))),
                difference("/a~1b/2", None, Some(json!(4))),
                difference("/d", Some(Value::Null), None),
                difference("/e", None, Some(json!(1))),
            ]
        );
    }
}
