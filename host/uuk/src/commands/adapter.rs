//! `uuk adapter …`: what an integrator does to write an adapter.

mod budget;
mod build;
mod call;
mod check;
mod component;
mod core_module;
mod dev;
mod examination;
mod fixture;
mod generated;
mod language;
mod new;
mod project;
mod record;
mod recorded;
mod replay;
mod test;
mod trial;
mod typegen;

use clap::Subcommand;

pub(super) use component::capabilities;
pub(super) use examination::examine;

use crate::terminal::{Failure, Terminal};

/// Write an adapter: start, generate, build, check, develop, call, test
#[derive(Debug, Subcommand)]
pub(crate) enum AdapterCommand {
    New(new::NewOptions),
    Typegen(typegen::TypegenOptions),
    Build(build::BuildOptions),
    Check(check::CheckOptions),
    Dev(dev::DevOptions),
    Call(call::CallOptions),
    Test(test::TestOptions),
    Replay(replay::ReplayOptions),
    Record(record::RecordOptions),
}

pub(crate) fn run(command: &AdapterCommand, terminal: &Terminal) -> Result<(), Failure> {
    match command {
        AdapterCommand::New(options) => new::run(options, terminal),
        AdapterCommand::Typegen(options) => typegen::run(options, terminal),
        AdapterCommand::Build(options) => build::run(options, terminal),
        AdapterCommand::Check(options) => check::run(options, terminal),
        AdapterCommand::Dev(options) => dev::run(options, terminal),
        AdapterCommand::Call(options) => call::run(options, terminal),
        AdapterCommand::Test(options) => test::run(options, terminal),
        AdapterCommand::Replay(options) => replay::run(options, terminal),
        AdapterCommand::Record(options) => record::run(options, terminal),
    }
}
