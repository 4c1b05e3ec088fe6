//! `uuk adapter replay`, `test` and `call`, as an integrator uses them before anything is deployed.

use std::fs;
use std::path::Path;
use std::process::{Command, Output};

use anyhow::{Context, Result, ensure};
use serde_json::Value;
use uuk_e2e::{Server, project_root};

fn uuk(folder: &Path, arguments: &[&str]) -> Result<Output> {
    Ok(Command::new(Server::program()?).arg("adapter").args(arguments).arg("-C").arg(folder).output()?)
}

/// The people adapter as a mapping, built, in a folder of its own.
fn project() -> Result<tempfile::TempDir> {
    let folder = tempfile::tempdir()?;
    let example = project_root().join("examples/people-mapping");
    // It shares files with the other examples, by links.
    let copied = Command::new("cp").arg("-rL").arg(example.join(".")).arg(folder.path()).status()?;
    ensure!(copied.success());
    let built = uuk(folder.path(), &["build"])?;
    ensure!(built.status.success(), "{}", String::from_utf8_lossy(&built.stderr));
    Ok(folder)
}

#[test]
fn an_answer_that_changed_is_shown_and_can_be_blessed() -> Result<()> {
    let project = project()?;
    let same = uuk(project.path(), &["replay"])?;
    ensure!(same.status.success(), "{}", String::from_utf8_lossy(&same.stderr));

    let fixture = project.path().join("fixtures/get-found.json");
    let recorded = fs::read_to_string(&fixture)?;
    let (before, after) = recorded.split_once("\"response\"").context("an answer")?;
    fs::write(&fixture, format!("{before}\"response\"{}", after.replacen("Асанова", "Асанов", 1)))?;
    let different = uuk(project.path(), &["replay", "--diff"])?;
    let said = String::from_utf8_lossy(&different.stderr).into_owned();
    assert_eq!(different.status.code(), Some(1));
    for line in ["differs at /response/surname", "- \"Асанов\"", "+ \"Асанова\"", "--bless"] {
        ensure!(said.contains(line), "{line} is not in {said}");
    }
    ensure!(uuk(project.path(), &["replay", "--bless"])?.status.success());
    let blessed: Value = serde_json::from_str(&fs::read_to_string(&fixture)?)?;
    assert_eq!(blessed, serde_json::from_str::<Value>(&recorded)?, "nothing else in it is another");
    Ok(())
}

#[test]
fn odd_requests_are_made_of_the_fixtures_and_an_answer_outside_the_contract_fails() -> Result<()> {
    let project = project()?;
    let tested = uuk(project.path(), &["test", "--json"])?;
    ensure!(tested.status.success(), "{}", String::from_utf8_lossy(&tested.stdout));
    let result: Value = serde_json::from_slice(&tested.stdout)?;
    ensure!(result.get("generated").and_then(Value::as_u64).is_some_and(|made| made > 50), "{result}");

    // A fault that the contract does not declare: only a person whom no fixture names would have shown it.
    let map = project.path().join("map.toml");
    fs::write(&map, fs::read_to_string(&map)?.replace("PERSON_NOT_FOUND", "NOBODY"))?;
    fs::remove_file(project.path().join("fixtures/get-not-found.json"))?;
    let tested = uuk(project.path(), &["test"])?;
    let said = String::from_utf8_lossy(&tested.stderr);
    assert_eq!(tested.status.code(), Some(1));
    ensure!(said.contains("error[adapter.odd_request]"), "{said}");
    ensure!(uuk(project.path(), &["test", "--fixtures-only"])?.status.success());
    Ok(())
}

#[test]
fn a_call_shows_its_budget_to_people_and_to_programs() -> Result<()> {
    let project = project()?;
    let fixture = project.path().join("fixtures/get-found.json");
    let fixture = fixture.to_str().context("a path")?;
    let told = uuk(project.path(), &["call", fixture])?;
    let said = String::from_utf8_lossy(&told.stderr).into_owned();
    for row in ["guest", "database", "host calls", "memory", "answer"] {
        ensure!(said.lines().any(|line| line.trim_start().starts_with(row)), "{row} is not in {said}");
    }
    let told = uuk(project.path(), &["call", fixture, "--json"])?;
    let result: Value = serde_json::from_slice(&told.stdout)?;
    let lines = result.get("budget").and_then(Value::as_array).context("a budget")?;
    let memory = lines.iter().find(|line| line.get("what") == Some(&"memory".into())).context("memory")?;
    assert_eq!(memory.get("limit").and_then(Value::as_f64), Some(16.0));
    Ok(())
}
