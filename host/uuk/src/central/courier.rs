use std::path::PathBuf;

use clap::Subcommand;
use jiff::{SignedDuration, Timestamp};
use serde_json::json;
use uuk_central::PublisherError;

use super::{Operator, failure, unusable};
use crate::exit_code::ExitCode;
use crate::terminal::Failure;

#[derive(Debug, Subcommand)]
pub(crate) enum CourierCommand {
    /// Write the configuration as members get it, signed, into one file
    Write {
        /// Where to write it
        file: PathBuf,
        /// How long it counts: as long, a server may not know what was revoked since
        #[arg(long, value_name = "DAYS", default_value_t = 7, value_parser = clap::value_parser!(u32).range(1..=90))]
        days: u32,
    },
}

pub(super) fn run(command: &CourierCommand, operator: &Operator<'_>) -> Result<(), Failure> {
    let CourierCommand::Write { file, days } = command;
    // Whoever looks for what a server could know finds it in the audit log.
    operator.note("write-courier")?;
    let snapshot = operator.runtime.block_on(operator.central.snapshot()).map_err(|error| failure(&error))?;
    let lifetime = SignedDuration::from_hours(24 * i64::from(*days));
    let expires = operator.central.clock().now().checked_add(lifetime).unwrap_or(Timestamp::MAX);
    let keys = operator.config.keys()?;
    let bytes =
        uuk_central::courier(&snapshot.registry, &keys, expires).map_err(unusable(PublisherError::code))?;
    std::fs::write(file, bytes).map_err(|error| {
        let message = format!("cannot write `{}`", file.display());
        Failure::new(ExitCode::Remote, "central.file_unwritable", message).note(error)
    })?;
    let result = json!({ "file": file, "expires": expires });
    operator.terminal.result(
        "uuk.cli/central-courier/v1",
        &result,
        format_args!("counts until {expires:.0}"),
    );
    Ok(())
}
