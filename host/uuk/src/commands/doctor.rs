//! `uuk doctor`: whether a machine and a configuration are fit to serve, and what to do where they are not.

mod configuration;
mod machine;

use std::path::{Path, PathBuf};

use crate::exit_code::ExitCode;
use crate::finding::{Finding, State};
use crate::terminal::{Failure, Terminal};

/// Check this machine and a server's configuration
///
/// Says `ok`, `warn` or `fail` for each thing checked, and what to do. Nothing is changed. Ends with 3 if something
/// would keep the server from working.
#[derive(Debug, clap::Args)]
pub(crate) struct DoctorArguments {
    /// Configuration of a server [default: uuk.toml, if it is there]
    #[arg(short, long)]
    config: Option<PathBuf>,
    /// Also check what the authors of adapters need
    #[arg(long)]
    author: bool,
}

pub(crate) fn run(arguments: &DoctorArguments, terminal: &Terminal) -> Result<(), Failure> {
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().map_err(|error| {
        Failure::new(ExitCode::Environment, "serve.runtime", "cannot start the runtime").note(error)
    })?;
    let mut report = Report { terminal, findings: Vec::new() };
    let default = Path::new("uuk.toml");
    let config = arguments.config.as_deref().or_else(|| default.is_file().then_some(default));

    machine::check(&mut report, config.and_then(Path::parent).unwrap_or(Path::new(".")));
    if arguments.author {
        machine::check_author(&mut report);
    }
    if let Some(config) = config {
        runtime.block_on(configuration::check(&mut report, config));
    }
    report.conclude()
}

/// All findings, told as they come.
struct Report<'a> {
    terminal: &'a Terminal,
    findings: Vec<Finding>,
}

impl Report<'_> {
    fn ok(&mut self, what: &str, detail: impl Into<String>) {
        self.add(Finding::ok(what, detail));
    }

    fn warn(&mut self, what: &str, detail: impl Into<String>, remedy: impl Into<String>) {
        self.add(Finding::warn(what, detail, remedy));
    }

    fn fail(&mut self, what: &str, detail: impl Into<String>, remedy: impl Into<String>) {
        self.add(Finding::fail(what, detail, remedy));
    }

    fn add(&mut self, finding: Finding) {
        self.terminal.finding(&finding);
        self.findings.push(finding);
    }

    fn conclude(self) -> Result<(), Failure> {
        let count = |state| self.findings.iter().filter(|finding| finding.state == state).count();
        let (ok, warnings, failed) = (count(State::Ok), count(State::Warn), count(State::Fail));
        if failed == 0 {
            let value = serde_json::json!({ "findings": self.findings });
            let text = format!("{ok} ok, {warnings} to look at");
            self.terminal.result("uuk.cli/doctor/v1", &value, text);
            return Ok(());
        }
        let message = format!("{failed} of {} checks failed", self.findings.len());
        let mut failure = Failure::new(ExitCode::Environment, "doctor.failed", message);
        for finding in self.findings.iter().filter(|finding| finding.state == State::Fail) {
            failure = failure.note(format_args!("{}: {}", finding.what, finding.detail));
        }
        Err(failure)
    }
}
