//! `uuk log archive`: archives what is due or not.

use serde::Serialize;

use super::{Server, counted};
use crate::exit_code::ExitCode;
use crate::terminal::{Failure, Terminal};

/// Archive all time-stamped records now, and delete those that were kept long enough
#[derive(Debug, clap::Args)]
pub(crate) struct ArchiveOptions {
    #[command(flatten)]
    server: Server,
}

#[derive(Serialize)]
struct Archived {
    archives: Vec<Archive>,
}

#[derive(Serialize)]
struct Archive {
    file: String,
    records: usize,
    bytes: usize,
}

pub(super) fn run(options: &ArchiveOptions, terminal: &Terminal) -> Result<(), Failure> {
    let opened = options.server.open(None)?;
    let waiting = terminal.waiting("archiving");
    let written = opened.runtime.block_on(opened.log.archive());
    drop(waiting);
    let written =
        written.map_err(|error| Failure::new(ExitCode::Remote, error.code(), &error).causes(&error))?;
    let archives: Vec<_> = written
        .into_iter()
        .map(|archive| Archive { file: archive.file_name, records: archive.records, bytes: archive.bytes })
        .collect();
    for archive in &archives {
        terminal
            .step("written", format_args!("{} with {}", archive.file, counted(archive.records, "record")));
    }
    let text = match archives.len() {
        0 => "nothing to archive".to_owned(),
        count => counted(count, "archive"),
    };
    terminal.result("uuk.cli/log-archive/v1", &Archived { archives }, text);
    Ok(())
}
