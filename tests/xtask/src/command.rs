//! Running other programs.

use std::fmt::Write as _;
use std::os::unix::process::CommandExt;
use std::process::{Command, ExitStatus};

use anyhow::{Context, Error, Result, bail};

/// Of what a failed program said, this much is shown.
const LINES_SHOWN: usize = 40;

/// Runs `command` with our terminal; what it says is seen as it says it.
///
/// # Errors
/// If it cannot be started or does not succeed; with the command.
pub(crate) fn run(command: &mut Command) -> Result<()> {
    let status = command.status().with_context(|| cannot_start(command))?;
    if !status.success() {
        bail!("{}", failed(command, status));
    }
    Ok(())
}

/// Becomes `command`: signals reach it alone, and its exit status is ours. Returns only if it cannot be started.
pub(crate) fn become_command(command: &mut Command) -> Error {
    let error = command.exec();
    Error::new(error).context(cannot_start(command))
}

/// Runs `command` unseen and gives what it wrote to its standard output.
///
/// # Errors
/// If it cannot be started or does not succeed; with the command and the last lines of what it said.
pub(crate) fn capture(command: &mut Command) -> Result<String> {
    Ok(capture_both(command)?.0)
}

/// As [`capture`], with standard output and standard error.
pub(crate) fn capture_both(command: &mut Command) -> Result<(String, String)> {
    let output = command.output().with_context(|| cannot_start(command))?;
    let said = [output.stdout, output.stderr].map(|bytes| String::from_utf8_lossy(&bytes).into_owned());
    if !output.status.success() {
        let mut message = failed(command, output.status);
        let lines: Vec<&str> = said.iter().flat_map(|text| text.lines()).collect();
        for line in lines.iter().skip(lines.len().saturating_sub(LINES_SHOWN)) {
            write!(message, "\n  | {line}")?;
        }
        bail!(message);
    }
    let [stdout, stderr] = said;
    Ok((stdout, stderr))
}

fn cannot_start(command: &Command) -> String {
    format!("cannot run `{}`", shown(command))
}

fn failed(command: &Command, status: ExitStatus) -> String {
    format!("`{}` failed: {status}", shown(command))
}

/// The command as one would type it.
pub(crate) fn shown(command: &Command) -> String {
    let words = std::iter::once(command.get_program()).chain(command.get_args());
    let words = words.map(|word| {
        let word = word.to_string_lossy();
        if word.contains(char::is_whitespace) { format!("'{word}'") } else { word.into_owned() }
    });
    words.collect::<Vec<_>>().join(" ")
}
