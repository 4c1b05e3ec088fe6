//! The program `uuk`: a security server whose adapters are WebAssembly plugins, and the tools of their authors.
//!
//! `commands.rs` lists the commands, one file each in `commands/`; `assemble.rs` wires a server from its configuration;
//! `terminal.rs` is how commands speak to people and programs; `exit_code.rs` lists what the shell sees. A library only
//! so that benchmarks can run the very server beside a native handler.

mod administration;
mod assemble;
mod central;
mod commands;
mod config;
mod exchange;
mod exit_code;
mod finding;
mod governance;
mod operations;
mod terminal;

use clap::Parser;

pub use assemble::{Server, StartError};
pub use config::{Config, ConfigError};

/// Does what the command line says.
pub fn main() -> std::process::ExitCode {
    let command_line = commands::CommandLine::parse();
    let terminal = terminal::Terminal::new(&command_line.output);
    match commands::run(command_line.command, &terminal) {
        Ok(()) => exit_code::ExitCode::Ok.into(),
        Err(failure) => {
            terminal.failure(&failure);
            failure.exit_code().into()
        }
    }
}
