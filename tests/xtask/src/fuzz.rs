//! The fuzz targets of `tests/fuzz`, for as long as a check may take.

use std::env;
use std::path::PathBuf;
use std::process::Command;

use anyhow::{Context, Result};
use cargo_metadata::{MetadataCommand, Package, TargetKind};

use crate::command::{capture_both, run as run_command};
use crate::prepare::{self, CARGO_FUZZ, NIGHTLY};
use crate::project::Project;

const SECONDS: u32 = 10;

/// Where the mutations begin: one and the same, so that a check says twice the same of the same code. `cargo fuzz run`
/// begins elsewhere each time, and is for searching.
const SEED: u32 = 1;

/// Builds every target, then runs each for [`SECONDS`].
pub(crate) fn run(project: &Project) -> Result<()> {
    prepare::nightly()?;
    prepare::tool(CARGO_FUZZ, project)?;
    run_command(&mut cargo_fuzz("build", project)?)?;

    let workspace = MetadataCommand::new()
        .manifest_path(project.root.join("tests/fuzz/Cargo.toml"))
        .no_deps()
        .exec()
        .context("cannot list the fuzz targets")?;
    for package in &workspace.packages {
        for target in package.targets.iter().filter(|target| target.is_kind(TargetKind::Bin)) {
            fuzz(&target.name, package, project)?;
        }
    }
    Ok(())
}

fn fuzz(target: &str, package: &Package, project: &Project) -> Result<()> {
    let folder = project.root.join("tests/fuzz");
    let findings = folder.join("corpus").join(target);
    std::fs::create_dir_all(&findings)?;
    let seeds: PathBuf =
        match package.metadata.pointer(&format!("/seeds/{target}")).and_then(|seeds| seeds.as_str()) {
            Some(test_data) => project.root.join(test_data),
            None => folder.join("seeds").join(target),
        };
    let mut command = cargo_fuzz("run", project)?;
    command.arg(target).args([findings, seeds]).args([
        "--",
        &format!("-max_total_time={SECONDS}"),
        &format!("-seed={SEED}"),
    ]);
    let (_, said) = capture_both(&mut command)?;
    println!("{target}: {}", said.lines().last().unwrap_or_default());
    Ok(())
}

/// Our code has no `unsafe` for the address sanitizer to watch; without it there is time for twice as many inputs.
fn cargo_fuzz(action: &str, project: &Project) -> Result<Command> {
    let tools = project.tools().join("bin");
    let path = env::var_os("PATH").unwrap_or_default();
    let path = env::join_paths(std::iter::once(tools).chain(env::split_paths(&path)))?;
    let mut command = project.cargo(&[&format!("+{NIGHTLY}"), "fuzz", action]);
    command.args(["--fuzz-dir", "tests/fuzz", "--sanitizer", "none"]).env("PATH", path);
    Ok(command)
}
