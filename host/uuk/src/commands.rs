//! The commands, one file each. A command takes what was typed and the [`Terminal`], and answers with a
//! [`Failure`] that names its exit code.

mod adapter;
pub(crate) mod bundle;
mod call;
mod client;
mod compile;
mod completion;
mod doctor;
mod explain;
mod keys;
mod log;
mod plugin;
mod registration;
pub(crate) mod serve;

use clap::{Parser, Subcommand};

use crate::central::{self, CentralArguments};
use crate::terminal::{Failure, OutputOptions, Terminal};

/// A security server whose adapters are WebAssembly plugins
#[derive(Debug, Parser)]
#[command(name = "uuk", version, propagate_version = true, arg_required_else_help = true)]
pub(crate) struct CommandLine {
    #[command(flatten)]
    pub(crate) output: OutputOptions,
    #[command(subcommand)]
    pub(crate) command: Command,
}

#[derive(Debug, Subcommand)]
pub(crate) enum Command {
    Serve(serve::ServeArguments),
    Plugin(plugin::PluginArguments),
    #[command(subcommand)]
    Adapter(adapter::AdapterCommand),
    #[command(subcommand)]
    Bundle(bundle::BundleCommand),
    #[command(subcommand)]
    Log(log::LogCommand),
    Call(call::CallArguments),
    #[command(subcommand)]
    Client(client::ClientCommand),
    Doctor(doctor::DoctorArguments),
    Explain(explain::ExplainArguments),
    Keys(keys::KeysArguments),
    Registration(registration::RegistrationArguments),
    Central(CentralArguments),
    #[command(hide = true)]
    Compile(compile::CompileArguments),
    Completion(completion::CompletionArguments),
    Man(completion::ManArguments),
}

/// Runs `command`.
pub(crate) fn run(command: Command, terminal: &Terminal) -> Result<(), Failure> {
    match command {
        Command::Serve(arguments) => serve::run(&arguments, terminal),
        Command::Plugin(arguments) => plugin::run(&arguments, terminal),
        Command::Adapter(command) => adapter::run(&command, terminal),
        Command::Bundle(command) => bundle::run(&command, terminal),
        Command::Log(command) => log::run(&command, terminal),
        Command::Call(arguments) => call::run(&arguments, terminal),
        Command::Client(command) => client::run(&command, terminal),
        Command::Doctor(arguments) => doctor::run(&arguments, terminal),
        Command::Explain(arguments) => explain::run(&arguments, terminal),
        Command::Keys(arguments) => keys::run(&arguments, terminal),
        Command::Registration(arguments) => registration::run(&arguments, terminal),
        Command::Central(arguments) => central::run(&arguments, terminal),
        Command::Compile(_) => compile::run(),
        Command::Completion(arguments) => completion::completion(&arguments),
        Command::Man(arguments) => completion::man(&arguments),
    }
}
