//! `uuk log find`: which messages were recorded.

use std::fmt::Write;

use jiff::Timestamp;
use serde::Serialize;
use uuk_identifiers::ClientId;
use uuk_messagelog::{Direction, FoundRecord, Query, RecordId};
use uuk_process::harmless;

use super::Server;
use crate::exit_code::ExitCode;
use crate::terminal::{Failure, Terminal};

/// Find records by message identifier, party, time and direction
///
/// Without any condition, all are found, the oldest first.
#[derive(Debug, clap::Args)]
pub(crate) struct FindOptions {
    #[command(flatten)]
    server: Server,
    /// Identifier of the message (`x-road-id`)
    #[arg(long, value_name = "ID")]
    id: Option<String>,
    /// Local party, exactly: KG/GOV/70000001/registry
    #[arg(long, value_name = "PARTY")]
    party: Option<ClientId>,
    /// `request` or `response`
    #[arg(long, value_name = "WHICH")]
    direction: Option<Direction>,
    /// Recorded at this time or later: 2026-11-22T08:00:00Z
    #[arg(long, value_name = "TIME")]
    from: Option<Timestamp>,
    /// Recorded before this time
    #[arg(long, value_name = "TIME")]
    until: Option<Timestamp>,
    /// Only those not time-stamped yet
    #[arg(long)]
    unstamped: bool,
    /// Only those after this record: the last one shown, to see more
    #[arg(long, value_name = "RECORD")]
    after: Option<i64>,
    /// How many at most
    #[arg(long, default_value_t = 100, value_parser = clap::value_parser!(u32).range(1..=10_000))]
    limit: u32,
}

#[derive(Serialize)]
struct Found {
    records: Vec<Record>,
    /// Whether there may be more, after the last one.
    more: bool,
}

#[derive(Serialize)]
struct Record {
    record: i64,
    recorded_at: Timestamp,
    direction: String,
    party: String,
    id: String,
    request_id: String,
    stamped_at: Option<Timestamp>,
    archive: Option<String>,
}

pub(super) fn run(options: &FindOptions, terminal: &Terminal) -> Result<(), Failure> {
    let opened = options.server.read()?;
    let query = Query {
        query_id: options.id.clone(),
        party: options.party.clone(),
        direction: options.direction,
        from: options.from,
        until: options.until,
        after: options.after.map(RecordId),
        unstamped_only: options.unstamped,
    };
    let found = opened
        .runtime
        .block_on(opened.log.find(&query, options.limit))
        .map_err(|error| Failure::new(ExitCode::Remote, error.code(), &error).causes(&error))?;
    let found = Found {
        more: found.len() == options.limit as usize,
        records: found.into_iter().map(Record::from).collect(),
    };
    terminal.result("uuk.cli/log-find/v1", &found, found.text());
    Ok(())
}

impl From<FoundRecord> for Record {
    fn from(found: FoundRecord) -> Self {
        Self {
            record: found.id.0,
            recorded_at: found.recorded_at,
            direction: found.direction.to_string(),
            party: found.party.to_string(),
            id: found.query_id,
            request_id: found.request_id,
            stamped_at: found.stamped_at,
            archive: found.archive,
        }
    }
}

impl Found {
    fn text(&self) -> String {
        let mut text = String::new();
        for record in &self.records {
            let state = match (&record.archive, record.stamped_at) {
                (Some(archive), _) => format!("in {archive}"),
                (None, Some(time)) => format!("stamped at {time}"),
                (None, None) => "not stamped yet".to_owned(),
            };
            let id = harmless(&record.id);
            let Record { record, recorded_at, direction, party, .. } = record;
            // Writing into a string does not fail.
            let _ = writeln!(text, "{record:>8}  {recorded_at}  {direction:<8}  {party}  {id}  {state}");
        }
        match (self.records.last(), self.more) {
            (None, _) => text.push_str("no record fits\n"),
            (Some(last), true) => {
                let _ = writeln!(text, "there may be more: --after {}", last.record);
            }
            (Some(_), false) => {}
        }
        text
    }
}
