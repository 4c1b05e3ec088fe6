//! `cargo xtask demo`: the server with its examples, from a clean clone to requests that are answered.

use anyhow::Result;

use crate::command::{become_command, run as run_command};
use crate::prepare;
use crate::project::Project;

/// Start the server with the examples and print requests to paste; Ctrl-C ends it and leaves nothing behind
#[derive(Debug, clap::Args)]
pub(crate) struct DemoOptions {
    /// Keep the register of people in PostgreSQL instead of SQLite
    #[arg(long)]
    postgres: bool,
}

pub(crate) fn run(options: &DemoOptions, project: &Project) -> Result<()> {
    prepare::toolchain(project)?;
    if options.postgres {
        prepare::packages(&[prepare::POSTGRESQL])?;
    }
    // Together: one after the other, what they share would be built twice, with other features.
    run_command(&mut project.cargo(&[
        "build",
        "--locked",
        "--workspace",
        "--bin",
        "uuk",
        "--example",
        "demo",
    ]))?;
    let mut demo = project.command(project.target.join("debug/examples/demo"));
    if options.postgres {
        demo.arg("--postgres");
    }
    Err(become_command(&mut demo))
}
