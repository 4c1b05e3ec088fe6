//! `uuk adapter …`: what an integrator does to write an adapter.

mod build;
mod call;
mod check;
mod component;
mod core_module;
mod fixture;
mod language;
mod new;
mod project;
mod recorded;
mod test;
mod trial;
mod typegen;

use clap::Subcommand;

pub(super) use component::capabilities;

use crate::terminal::{Failure, Terminal};

/// Write an adapter: start, generate, build, check, call, test
#[derive(Debug, Subcommand)]
pub(crate) enum AdapterCommand {
    New(new::NewOptions),
    Typegen(typegen::TypegenOptions),
    Build(build::BuildOptions),
    Check(check::CheckOptions),
    Call(call::CallOptions),
    Test(test::TestOptions),
}

pub(crate) fn run(command: &AdapterCommand, terminal: &Terminal) -> Result<(), Failure> {
    match command {
        AdapterCommand::New(options) => new::run(options, terminal),
        AdapterCommand::Typegen(options) => typegen::run(options, terminal),
        AdapterCommand::Build(options) => build::run(options, terminal),
        AdapterCommand::Check(options) => check::run(options, terminal),
        AdapterCommand::Call(options) => call::run(options, terminal),
        AdapterCommand::Test(options) => test::run(options, terminal),
    }
}
