//! `uuk adapter build`: runs the project's own build command, or puts the component there that runs mappings, and looks
//! at what is left.

use std::process::Command;

use super::component::{Component, Findings};
use super::core_module;
use super::language::{Language, narrowed};
use super::project::{Project, ProjectOptions, write_file};
use crate::exit_code::ExitCode;
use crate::terminal::{Failure, Terminal};

/// Of what a failed command said, this much is shown.
const LINES_SHOWN: usize = 20;

/// The component of every mapping: `cargo xtask plugins` makes it of plugins/declarative.
const DECLARATIVE: &[u8] = include_bytes!("../../../../../plugins/declarative/declarative.wasm");

/// Build the component and check its imports
///
/// Runs `[build].command`. A mapping has none: its component comes with this program.
#[derive(Debug, clap::Args)]
pub(crate) struct BuildOptions {
    #[command(flatten)]
    project: ProjectOptions,
}

pub(super) fn run(options: &BuildOptions, terminal: &Terminal) -> Result<(), Failure> {
    let findings = build(&Project::open(&options.project)?, terminal)?;
    terminal.result("uuk.cli/adapter-build/v1", &findings, &findings);
    Ok(())
}

/// Builds the component and says what it is made of.
pub(super) fn build(project: &Project, terminal: &Terminal) -> Result<Findings, Failure> {
    let artifact = project.artifact()?;
    match &project.manifest.build {
        Some(build) => {
            terminal.step("build", &build.command);
            if let Some(language) = Language::of(project) {
                language.write_kit(project)?;
            }
            let _waiting = terminal.waiting("the compiler is at work");
            run_command(&build.command, project)?;
            make_component(project)?;
        }
        None => write_file(&artifact, DECLARATIVE)?,
    }
    Component::read(project)?.check(project)
}

/// Puts the component in the place of the core module that some compilers leave.
fn make_component(project: &Project) -> Result<(), Failure> {
    let Component { path, bytes } = Component::read(project)?;
    if !core_module::is_core_module(&bytes) {
        return Ok(());
    }
    write_file(&path, core_module::component(bytes, &narrowed(&project.manifest))?)
}

/// Runs `command` by the shell in the project's folder. Its output matters only if it fails.
fn run_command(command: &str, project: &Project) -> Result<(), Failure> {
    let failed = |message: String| Failure::new(ExitCode::CheckFailed, "adapter.build_failed", message);
    let output = Command::new("sh")
        .args(["-c", command])
        .current_dir(project.folder())
        .output()
        .map_err(|error| failed(format!("cannot run `{command}`")).note(error))?;
    if output.status.success() {
        return Ok(());
    }
    let mut failure = failed(format!("`{command}` failed: {}", output.status));
    let said = [output.stdout, output.stderr].concat();
    let said = String::from_utf8_lossy(&said);
    let lines: Vec<_> = said.lines().collect();
    for line in lines.iter().skip(lines.len().saturating_sub(LINES_SHOWN)) {
        failure = failure.note(line);
    }
    // So a shell says that there is no such program.
    let help = match output.status.code() {
        Some(127) => "install what builds adapters in this language; `uuk doctor --author` says how",
        _ => "make the command succeed in the project's folder, then build again",
    };
    Err(failure.help(help))
}
