//! `uuk adapter …`: what an integrator does to write an adapter.

mod new;
mod project;
mod typegen;

use clap::Subcommand;

use crate::terminal::{Failure, Terminal};

/// Write an adapter: start, generate, build, check, call, test
#[derive(Debug, Subcommand)]
pub(crate) enum AdapterCommand {
    New(new::NewOptions),
    Typegen(typegen::TypegenOptions),
}

pub(crate) fn run(command: &AdapterCommand, terminal: &Terminal) -> Result<(), Failure> {
    match command {
        AdapterCommand::New(options) => new::run(options, terminal),
        AdapterCommand::Typegen(options) => typegen::run(options, terminal),
    }
}
