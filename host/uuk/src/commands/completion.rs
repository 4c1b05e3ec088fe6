use std::path::{Path, PathBuf};

use clap::CommandFactory;
use clap_complete::Shell;

use crate::commands::CommandLine;
use crate::exit_code::ExitCode;
use crate::terminal::Failure;

/// Print a completion script for a shell
#[derive(Debug, clap::Args)]
pub(crate) struct CompletionArguments {
    /// The shell
    shell: Shell,
}

/// Write the manual pages
#[derive(Debug, clap::Args)]
pub(crate) struct ManArguments {
    /// Folder to write them into
    #[arg(default_value = ".")]
    folder: PathBuf,
}

pub(crate) fn completion(arguments: &CompletionArguments) -> Result<(), Failure> {
    clap_complete::generate(arguments.shell, &mut CommandLine::command(), "uuk", &mut std::io::stdout());
    Ok(())
}

pub(crate) fn man(arguments: &ManArguments) -> Result<(), Failure> {
    write_pages(&arguments.folder).map_err(|error| {
        let folder = arguments.folder.display();
        Failure::new(ExitCode::Remote, "man.write", format!("cannot write to {folder}")).note(error)
    })
}

fn write_pages(folder: &Path) -> std::io::Result<()> {
    std::fs::create_dir_all(folder)?;
    clap_mangen::generate_to(CommandLine::command(), folder)
}
