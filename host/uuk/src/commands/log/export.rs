//! `uuk log export`: the containers that prove messages.

use std::path::{Path, PathBuf};

use serde::Serialize;
use uuk_messagelog::{ExportError, LogReader, Query, RecordId};
use uuk_process::harmless;

use super::{Opened, Server, Trust, counted};
use crate::exit_code::ExitCode;
use crate::terminal::{Failure, Terminal};

/// As many records of one message identifier are exported at most; an exchange has two on each side.
const RECORDS_MAX: u32 = 1000;

/// Write the evidence of messages, one ASiC-E container per record
///
/// What is not time-stamped yet is refused with exit code 1, unless it is to be stamped now.
#[derive(Debug, clap::Args)]
pub(crate) struct ExportOptions {
    #[command(flatten)]
    server: Server,
    /// Records, by their numbers as `uuk log find` shows them
    #[arg(value_name = "RECORD", required_unless_present = "id")]
    records: Vec<i64>,
    /// All records of this message identifier
    #[arg(long, value_name = "ID", conflicts_with = "records")]
    id: Option<String>,
    /// Folder to write to, which is made if it is not there
    #[arg(short, long, value_name = "FOLDER", default_value = ".")]
    out: PathBuf,
    /// Time-stamp now what is not; needs `--configuration`
    #[arg(long, requires = "configuration")]
    stamp_now: bool,
    /// Global configuration: a folder, or a zip file as X-Road hands out at `verificationconf`
    #[arg(long, value_name = "PATH")]
    configuration: Option<PathBuf>,
}

#[derive(Serialize)]
struct Exported {
    files: Vec<PathBuf>,
}

pub(super) fn run(options: &ExportOptions, terminal: &Terminal) -> Result<(), Failure> {
    let trust = options.configuration.clone().map(|configuration| Trust { configuration, profiles: None });
    let configuration = trust.as_ref().map(Trust::read).transpose()?;
    let reader = options.server.read()?;
    let stamper = options.stamp_now.then(|| options.server.open(configuration)).transpose()?;
    std::fs::create_dir_all(&options.out).map_err(|error| unwritable(&options.out, &error))?;
    let mut files = Vec::new();
    for record in records(options, &reader)? {
        let exported = match &stamper {
            Some(Opened { runtime, log }) => runtime.block_on(log.export(record, true)),
            None => reader.runtime.block_on(reader.log.export(record)),
        };
        let exported = exported.map_err(|error| refusal(&error))?;
        let path = options.out.join(exported.file_name);
        write_new(&path, &exported.bytes)?;
        terminal.step("written", path.display());
        files.push(path);
    }
    let text = counted(files.len(), "container");
    terminal.result("uuk.cli/log-export/v1", &Exported { files }, text);
    Ok(())
}

fn records(options: &ExportOptions, reader: &Opened<LogReader>) -> Result<Vec<RecordId>, Failure> {
    let Some(id) = &options.id else {
        return Ok(options.records.iter().copied().map(RecordId).collect());
    };
    let query = Query { query_id: Some(id.clone()), ..Query::default() };
    let found = reader
        .runtime
        .block_on(reader.log.find(&query, RECORDS_MAX))
        .map_err(|error| Failure::new(ExitCode::Remote, error.code(), &error).causes(&error))?;
    if found.is_empty() {
        let message = format!("no record has the message identifier `{}`", harmless(id));
        return Err(Failure::new(ExitCode::CheckFailed, "message_log.not_found", message));
    }
    Ok(found.into_iter().map(|found| found.id).collect())
}

fn refusal(error: &ExportError) -> Failure {
    let exit_code = match error {
        ExportError::NotFound { .. } | ExportError::NotStampedYet { .. } => ExitCode::CheckFailed,
        ExportError::Encryption { .. } => ExitCode::Environment,
        _ => ExitCode::Remote,
    };
    let failure = Failure::new(exit_code, error.code(), error).causes(error);
    match error {
        ExportError::NotStampedYet { .. } => failure.help("wait for the next round, or add --stamp-now"),
        _ => failure,
    }
}

/// Writes a file that is not there: evidence is not overwritten.
fn write_new(path: &Path, bytes: &[u8]) -> Result<(), Failure> {
    use std::io::Write;
    let written = std::fs::File::create_new(path).and_then(|mut file| file.write_all(bytes));
    written.map_err(|error| unwritable(path, &error))
}

fn unwritable(path: &Path, error: &std::io::Error) -> Failure {
    let message = format!("cannot write `{}`", path.display());
    Failure::new(ExitCode::Remote, "log.file_unwritable", message).note(error)
}
