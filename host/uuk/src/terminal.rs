//! How commands speak: results to standard output, talk and failures to standard error, JSON on request.

use std::fmt::Display;
use std::io::{IsTerminal, Write};

use serde::Serialize;

use crate::exit_code::ExitCode;
use crate::finding::Finding;

/// Options every command takes.
#[derive(Debug, Clone, clap::Args)]
pub(crate) struct OutputOptions {
    /// Print the result, or the failure, as one JSON object
    #[arg(long, global = true)]
    pub(crate) json: bool,
    /// Say only what was asked for
    #[arg(short, long, global = true)]
    pub(crate) quiet: bool,
    /// Do not colour (also: environment variable NO_COLOR)
    #[arg(long, global = true)]
    pub(crate) no_color: bool,
}

/// Why a command did not do what was asked, and what the reader can do about it.
#[derive(Debug)]
pub(crate) struct Failure {
    exit_code: ExitCode,
    /// The code `uuk explain` knows: `bundle.too_large`.
    code: String,
    message: String,
    notes: Vec<String>,
    help: Option<String>,
}

impl Failure {
    /// A failure with its code and one sentence in the user's nouns.
    pub(crate) fn new(exit_code: ExitCode, code: impl Into<String>, message: impl Display) -> Self {
        Self { exit_code, code: code.into(), message: message.to_string(), notes: Vec::new(), help: None }
    }

    /// Adds a fact: the other side of a mismatch, a path, a cause.
    pub(crate) fn note(mut self, note: impl Display) -> Self {
        self.notes.push(note.to_string());
        self
    }

    /// Adds the chain of causes below `error`, one note each.
    pub(crate) fn causes(mut self, error: &dyn std::error::Error) -> Self {
        let mut cause = error.source();
        while let Some(error) = cause {
            self.notes.push(error.to_string());
            cause = error.source();
        }
        self
    }

    /// Says the one thing to do next.
    pub(crate) fn help(mut self, help: impl Display) -> Self {
        self.help = Some(help.to_string());
        self
    }

    pub(crate) fn code(&self) -> &str {
        &self.code
    }

    pub(crate) fn message(&self) -> &str {
        &self.message
    }

    pub(crate) fn exit_code(&self) -> ExitCode {
        self.exit_code
    }
}

/// Where results, talk and failures go.
#[derive(Debug, Clone)]
pub(crate) struct Terminal {
    json: bool,
    quiet: bool,
    colour: bool,
}

impl Terminal {
    pub(crate) fn new(options: &OutputOptions) -> Self {
        let colour = !options.no_color
            && !options.json
            && std::env::var_os("NO_COLOR").is_none()
            && std::io::stderr().is_terminal();
        Self { json: options.json, quiet: options.quiet, colour }
    }

    /// Prints a result: `text` for people, or `value` as JSON with its schema, such as `uuk.cli/check/v1`.
    pub(crate) fn result(&self, schema: &'static str, value: &impl Serialize, text: impl Display) {
        let printed = if self.json {
            let mut object = serde_json::json!({ "schema": schema });
            if let (Some(object), Ok(serde_json::Value::Object(fields))) =
                (object.as_object_mut(), serde_json::to_value(value))
            {
                object.extend(fields);
            }
            object.to_string()
        } else {
            text.to_string()
        };
        // A closed pipe (`uuk … | head`) is the reader's choice, not a failure.
        let _ = writeln!(std::io::stdout(), "{}", printed.trim_end());
    }

    /// Says a line of progress, in the form `  verb      what`.
    pub(crate) fn step(&self, verb: &str, what: impl Display) {
        if !self.quiet && !self.json {
            let (bold, plain) = if self.colour { ("\x1b[32m", "\x1b[0m") } else { ("", "") };
            let _ = writeln!(std::io::stderr(), "  {bold}{verb:<9}{plain} {what}");
        }
    }

    /// Says several lines that belong together.
    pub(crate) fn table(&self, lines: &impl Display) {
        if !self.quiet && !self.json {
            let _ = lines.to_string().lines().try_for_each(|line| writeln!(std::io::stderr(), "  {line}"));
        }
    }

    /// Says what was found about one thing, and what to do about it.
    pub(crate) fn finding(&self, Finding { state, what, detail, remedy }: &Finding) {
        self.step(&state.to_string(), format_args!("{what:<20} {detail}"));
        if let Some(remedy) = remedy {
            self.step("", format_args!("{:<20} → {remedy}", ""));
        }
    }

    /// Shows on standard error that something takes its time, until the bar is dropped; hidden where nobody looks.
    pub(crate) fn waiting(&self, what: &'static str) -> indicatif::ProgressBar {
        if self.quiet || self.json || !std::io::stderr().is_terminal() {
            return indicatif::ProgressBar::hidden();
        }
        let bar = indicatif::ProgressBar::new_spinner()
            .with_finish(indicatif::ProgressFinish::AndClear)
            .with_message(what);
        bar.enable_steady_tick(std::time::Duration::from_millis(100));
        bar
    }

    /// Prints why the command failed.
    pub(crate) fn failure(&self, failure: &Failure) {
        if self.json {
            let object = serde_json::json!({
                "schema": "uuk.cli/failure/v1",
                "code": failure.code,
                "message": failure.message,
                "notes": failure.notes,
                "help": failure.help,
                "exit_code": failure.exit_code as u8,
            });
            let _ = writeln!(std::io::stdout(), "{object}");
            return;
        }
        let (red, plain) = if self.colour { ("\x1b[1;31m", "\x1b[0m") } else { ("", "") };
        let mut text = format!("{red}error[{}]{plain}: {}\n", failure.code, failure.message);
        for note in &failure.notes {
            text.push_str(&format!("  = note: {note}\n"));
        }
        if let Some(help) = &failure.help {
            text.push_str(&format!("  = help: {help}\n"));
        }
        text.push_str(&format!("  = explain: uuk explain {}\n", failure.code));
        let _ = std::io::stderr().write_all(text.as_bytes());
    }
}
