use uuk_plugin_host::Compiler;

use crate::exit_code::ExitCode;
use crate::terminal::Failure;

/// Compile a component from standard input to standard output; the server starts it as a process of its own
#[derive(Debug, clap::Args)]
pub(crate) struct CompileArguments {}

pub(crate) fn run() -> Result<(), Failure> {
    uuk_plugin_host::compile_standard_input().map_err(|error| {
        Failure::new(ExitCode::Remote, "component.compiler", "whoever asked to compile is gone").note(error)
    })
}

/// A process of this very program, even if its file has been replaced meanwhile: its machine code must fit.
pub(crate) fn apart() -> Compiler {
    Compiler::Apart { program: "/proc/self/exe".into(), arguments: vec!["compile".into()] }
}
