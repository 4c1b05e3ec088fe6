//! `cargo xtask bench`: the whole-path benchmarks of `tests/bench`, in release mode.

use std::ffi::OsString;

use anyhow::Result;

use crate::command::{become_command, run as run_command};
use crate::project::Project;
use crate::{plugins, prepare};

/// Measure and print figures beside their goals; `cargo xtask bench help` names what there is
#[derive(Debug, clap::Args)]
#[command(disable_help_flag = true)]
pub(crate) struct BenchOptions {
    #[arg(trailing_var_arg = true, allow_hyphen_values = true, value_name = "NAME")]
    arguments: Vec<OsString>,
}

pub(crate) fn run(options: &BenchOptions, project: &Project) -> Result<()> {
    prepare::toolchain(project)?;
    // Together: one after the other, what they share would be built twice, with other features.
    run_command(&mut project.cargo(&[
        "build",
        "--quiet",
        "--release",
        "--locked",
        "--workspace",
        "--bin",
        "uuk",
        "--bin",
        "uuk-bench",
    ]))?;
    if options.arguments.first().is_some_and(|name| name == "languages") {
        plugins::run(project)?;
        plugins::build_others(project, "release")?;
    }
    let mut bench = project.command(project.target.join("release/uuk-bench"));
    Err(become_command(bench.args(&options.arguments)))
}
