//! `cargo xtask chaos`: two security servers under load while everything fails; what it is made of is in `tests/chaos`.

use std::ffi::OsString;

use anyhow::Result;

use crate::command::{become_command, run as run_command};
use crate::prepare;
use crate::project::Project;

/// Let servers, disk, database and authorities fail at random under load, and judge the evidence; `--help` tells more
#[derive(Debug, clap::Args)]
#[command(disable_help_flag = true)]
pub(crate) struct ChaosOptions {
    #[arg(trailing_var_arg = true, allow_hyphen_values = true, value_name = "OPTION")]
    arguments: Vec<OsString>,
}

pub(crate) fn run(options: &ChaosOptions, project: &Project) -> Result<()> {
    prepare::packages(&[prepare::FAKETIME, prepare::POSTGRESQL])?;
    prepare::toolchain(project)?;
    // Together: one after the other, what they share would be built twice, with other features.
    run_command(&mut project.cargo(&[
        "build",
        "--locked",
        "--workspace",
        "--bin",
        "uuk",
        "--bin",
        "uuk-chaos",
    ]))?;
    let mut chaos = project.command(project.target.join("debug/uuk-chaos"));
    chaos.arg("--program").arg(project.target.join("debug/uuk"));
    Err(become_command(chaos.args(&options.arguments)))
}
