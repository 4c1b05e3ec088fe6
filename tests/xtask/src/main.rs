//! `cargo xtask`: the project's tasks. `demo` and `test` do all the set-up themselves; start reading at `test.rs`.

mod bench;
mod chaos;
mod command;
mod demo;
mod fuzz;
mod interop;
mod layers;
mod pages;
mod plugins;
mod prepare;
mod project;
mod test;

use std::process::ExitCode;

use anyhow::Result;
use clap::Parser;

use crate::prepare::Lacking;
use crate::project::Project;

/// Tasks of this project
#[derive(Debug, Parser)]
#[command(name = "cargo xtask", bin_name = "cargo xtask")]
enum Task {
    Demo(demo::DemoOptions),
    Test(test::TestOptions),
    Bench(bench::BenchOptions),
    Chaos(chaos::ChaosOptions),
    Interop(interop::InteropOptions),
    Layers(layers::LayersOptions),
    Plugins(plugins::PluginsOptions),
}

fn main() -> ExitCode {
    let Err(error) = run(&Task::parse()) else { return ExitCode::SUCCESS };
    eprintln!("error: {error:#}");
    // As those of `uuk`: 3 if the machine lacks something, 1 if a check failed.
    ExitCode::from(if error.is::<Lacking>() { 3 } else { 1 })
}

fn run(task: &Task) -> Result<()> {
    let project = Project::open()?;
    match task {
        Task::Demo(options) => demo::run(options, &project),
        Task::Test(options) => test::run(options, &project),
        Task::Bench(options) => bench::run(options, &project),
        Task::Chaos(options) => chaos::run(options, &project),
        Task::Interop(_) => interop::run(&project),
        Task::Layers(options) => layers::run(options, &project),
        Task::Plugins(_) => plugins::run(&project),
    }
}
