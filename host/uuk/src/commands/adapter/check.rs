//! `uuk adapter check`: everything a server would refuse, before a server sees it.

use std::collections::BTreeMap;

use uuk_bundle::MAPPING;
use uuk_contract::Contract;
use uuk_plugin_host::capabilities::sql::Statements;

use super::component::Component;
use super::fixture::Fixture;
use super::language::Language;
use super::project::{Project, ProjectOptions, read_text};
use super::trial::{Bench, block_on};
use super::typegen;
use crate::exit_code::ExitCode;
use crate::terminal::{Failure, Terminal};

/// Check manifest, contracts, statements, generated types, fixtures, component and mapping
#[derive(Debug, clap::Args)]
pub(crate) struct CheckOptions {
    #[command(flatten)]
    project: ProjectOptions,
}

pub(super) fn run(options: &CheckOptions, terminal: &Terminal) -> Result<(), Failure> {
    // Without these two there is nothing to check the rest against.
    let project = Project::open(&options.project)?;
    let operations: usize = project.contracts.iter().map(|contract| contract.operations().len()).sum();
    let component = || Component::read(&project)?.check(&project);
    let checks = [
        ("contracts", Ok(format!("{operations} operations"))),
        ("statements", check_statements(&project)),
        ("types", check_generated(&project)),
        ("fixtures", Fixture::read_all(&project).map(|fixtures| format!("{} calls", fixtures.len()))),
        ("component", component().map(|findings| findings.to_string())),
        ("mapping", check_mapping(&project)),
        ("probe", check_probe(&project)),
    ];
    conclude(checks, terminal)
}

/// Each statement is one, and its parameters are those the manifest declares.
fn check_statements(project: &Project) -> Result<String, Failure> {
    let statements = &project.manifest.statements;
    let mut texts = BTreeMap::new();
    for statement in statements.values() {
        texts.insert(statement.file.as_str(), read_text(&project.path(&statement.file))?);
    }
    Statements::compile(&project.manifest, |file| texts.get(file).map(String::as_str)).map_err(|error| {
        Failure::new(ExitCode::CheckFailed, error.code(), format!("a statement is not usable: {error}"))
            .causes(&error)
    })?;
    Ok(format!("{} statements", statements.len()))
}

fn check_generated(project: &Project) -> Result<String, Failure> {
    let generated = Language::of(project).and_then(Language::generated);
    match generated.filter(|path| project.path(path).is_file()) {
        None => Ok("none generated".to_owned()),
        Some(_) => typegen::check(project).map(|()| "current".to_owned()),
    }
}

/// Every operation of the contracts stands in map.toml; what else it says, its component checks itself.
fn check_mapping(project: &Project) -> Result<String, Failure> {
    if !project.is_mapped() {
        return Ok("none: it is code".to_owned());
    }
    let path = project.path(MAPPING);
    let mapping: toml::Table = read_text(&path)?.parse().map_err(|error| {
        let message = format!("`{}` is not TOML", path.display());
        Failure::new(ExitCode::CheckFailed, "bundle.mapping", message).note(error)
    })?;
    let operations: Vec<_> = project.contracts.iter().flat_map(Contract::operations).collect();
    match operations.iter().find(|operation| !mapping.contains_key(operation.id())) {
        None => Ok(format!("{} operations", operations.len())),
        Some(operation) => {
            let message = format!("map.toml: there is no [{}], which the contract has", operation.id());
            Err(Failure::new(ExitCode::CheckFailed, "adapter.operation_unmapped", message))
        }
    }
}

/// What the adapter says of itself, as a server asks before the first call.
fn check_probe(project: &Project) -> Result<String, Failure> {
    let component = Component::read(project)?;
    let findings = block_on(async { Bench::new()?.probe(project, &component).await })?;
    match findings.iter().find(|finding| !finding.ok) {
        None => Ok(format!("{} findings", findings.len())),
        Some(finding) => {
            let failure = Failure::new(ExitCode::CheckFailed, "adapter.probe_failed", &finding.detail);
            Err(failure.note(format_args!("the adapter's own check `{}` failed", finding.check)))
        }
    }
}

/// Says how each check went; the first that failed is the failure, the others stand beside it.
fn conclude(
    checks: impl IntoIterator<Item = (&'static str, Result<String, Failure>)>,
    terminal: &Terminal,
) -> Result<(), Failure> {
    let mut passed = serde_json::Map::new();
    let mut failed = Vec::new();
    for (name, result) in checks {
        match result {
            Ok(detail) => {
                terminal.step("ok", format_args!("{name:<11} {detail}"));
                passed.insert(name.to_owned(), detail.into());
            }
            Err(failure) => {
                terminal.step("failed", name);
                failed.push((name, failure));
            }
        }
    }
    let mut failed = failed.into_iter();
    let Some((_, first)) = failed.next() else {
        terminal.result("uuk.cli/adapter-check/v1", &passed, "a server would load this adapter");
        return Ok(());
    };
    Err(failed.fold(first, |first, (name, _)| first.note(format_args!("the check of {name} failed, too"))))
}
