//! `uuk adapter build`: runs the project's own build command and looks at what it leaves.

use std::process::Command;

use super::component::Component;
use super::project::{Project, ProjectOptions};
use crate::exit_code::ExitCode;
use crate::terminal::{Failure, Terminal};

/// Of what a failed command said, this much is shown.
const LINES_SHOWN: usize = 20;

/// Build the component with `[build].command` and check its imports
#[derive(Debug, clap::Args)]
pub(crate) struct BuildOptions {
    #[command(flatten)]
    project: ProjectOptions,
}

pub(super) fn run(options: &BuildOptions, terminal: &Terminal) -> Result<(), Failure> {
    let project = Project::open(&options.project)?;
    let Some(build) = &project.manifest.build else {
        let message = "plugin.toml does not say how the component is built";
        return Err(Failure::new(ExitCode::Usage, "adapter.no_build", message)
            .help("add `[build]` with `command` and `artifact`"));
    };
    terminal.step("build", &build.command);
    let waiting = terminal.waiting("the compiler is at work");
    run_command(&build.command, &project)?;
    drop(waiting);
    let findings = Component::read(&project)?.check(&project.manifest)?;
    terminal.result("uuk.cli/adapter-build/v1", &findings, &findings);
    Ok(())
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
    Err(failure.help("make the command succeed in the project's folder, then build again"))
}
