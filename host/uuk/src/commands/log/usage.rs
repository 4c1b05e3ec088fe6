//! `uuk log usage`: who called what, and how often.

use std::collections::BTreeMap;
use std::fmt::Write;

use jiff::civil::Date;
use jiff::tz::TimeZone;
use jiff::{Timestamp, ToSpan};
use serde::Serialize;
use uuk_identifiers::{ClientId, SoapServiceId};
use uuk_message::{RestRequest, Soap, SoapHeader};
use uuk_messagelog::{Direction, FoundRecord, Query};

use super::Server;
use crate::exit_code::ExitCode;
use crate::terminal::{Failure, Terminal};

/// Count calls by service and client
///
/// Counts the requests in the log: those that this server's services were asked, and those of its own clients. What is deleted
/// from the database, by default thirty days after it was archived, is not counted.
#[derive(Debug, clap::Args)]
pub(crate) struct UsageOptions {
    #[command(flatten)]
    server: Server,
    /// A month of this machine's time zone: 2026-11
    #[arg(long, value_name = "MONTH", value_parser = month, conflicts_with_all = ["from", "until"])]
    month: Option<(Timestamp, Timestamp)>,
    /// Recorded at this time or later: 2026-11-22T08:00:00Z
    #[arg(long, value_name = "TIME")]
    from: Option<Timestamp>,
    /// Recorded before this time
    #[arg(long, value_name = "TIME")]
    until: Option<Timestamp>,
    /// Local party, exactly: KG/GOV/70000001/registry
    #[arg(long, value_name = "PARTY")]
    party: Option<ClientId>,
}

/// Which side of a call this server was on.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Serialize)]
#[serde(rename_all = "snake_case")]
enum Side {
    /// The service is here.
    Answered,
    /// The client is here.
    Called,
}

#[derive(Debug, Serialize)]
struct Usage {
    from: Option<Timestamp>,
    until: Option<Timestamp>,
    /// Requests in the log.
    calls: u64,
    /// The most used first.
    services: Vec<ServiceUsage>,
}

#[derive(Debug, Serialize)]
struct ServiceUsage {
    side: Side,
    service: String,
    client: String,
    calls: u64,
    first_at: Timestamp,
    last_at: Timestamp,
}

pub(super) fn run(options: &UsageOptions, terminal: &Terminal) -> Result<(), Failure> {
    let opened = options.server.read()?;
    let (from, until) = match options.month {
        Some((from, until)) => (Some(from), Some(until)),
        None => (options.from, options.until),
    };
    let party = options.party.clone();
    let query = Query { party, direction: Some(Direction::Request), from, until, ..Query::default() };
    let mut counted = BTreeMap::new();
    let seen = opened.log.messages(&query, |record, message| count(&mut counted, &record, message));
    opened
        .runtime
        .block_on(seen)
        .map_err(|error| Failure::new(ExitCode::Remote, error.code(), &error).causes(&error))?;
    let mut services: Vec<ServiceUsage> = counted.into_values().collect();
    // The sort is stable: of those used alike, the names decide.
    services.sort_by_key(|one| std::cmp::Reverse(one.calls));
    let calls = services.iter().map(|one| one.calls).sum();
    let usage = Usage { from, until, calls, services };
    terminal.result("uuk.cli/log-usage/v1", &usage, usage.text());
    Ok(())
}

type Counted = BTreeMap<(Side, String, String), ServiceUsage>;

fn count(counted: &mut Counted, record: &FoundRecord, message: Vec<u8>) {
    let (client, service) = names(message);
    // A call to a service of this very server is in the log twice: its client's request, and the one that came.
    let side = if record.party.to_string() == client { Side::Called } else { Side::Answered };
    let at = record.recorded_at;
    let new = || ServiceUsage {
        side,
        service: service.clone(),
        client: client.clone(),
        calls: 0,
        first_at: at,
        last_at: at,
    };
    let usage = counted.entry((side, service.clone(), client.clone())).or_insert_with(new);
    usage.calls += 1;
    (usage.first_at, usage.last_at) = (usage.first_at.min(at), usage.last_at.max(at));
}

/// Who calls what, as the message that was signed says.
fn names(message: Vec<u8>) -> (String, String) {
    if let Ok(request) = RestRequest::read(message.clone()) {
        let head = request.head();
        return (head.client.to_string(), head.service.to_string());
    }
    match Soap::read("text/xml", message) {
        Ok(Soap::Message(request)) => {
            let SoapHeader { client, service, .. } = request.header();
            let SoapServiceId { provider, code, version } = service;
            let version = version.as_ref().map(|version| format!("/{version}")).unwrap_or_default();
            (client.to_string(), format!("{provider}/{code}{version}"))
        }
        // It was read before it was recorded, by this release or an older one.
        _ => ("unreadable".to_owned(), "unreadable".to_owned()),
    }
}

/// The instants between which a month lies.
fn month(text: &str) -> Result<(Timestamp, Timestamp), String> {
    let wrong = |_| format!("`{text}` is not a month such as 2026-11");
    let first: Date = format!("{text}-01").parse().map_err(wrong)?;
    let next = first.checked_add(1.month()).map_err(wrong)?;
    let start = |day: Date| day.to_zoned(TimeZone::system()).map(|start| start.timestamp());
    Ok((start(first).map_err(wrong)?, start(next).map_err(wrong)?))
}

impl Usage {
    fn text(&self) -> String {
        let mut text = String::new();
        for ServiceUsage { side, service, client, calls, first_at, last_at } in &self.services {
            let side = match side {
                Side::Answered => "answered",
                Side::Called => "called",
            };
            // Writing into a string does not fail.
            let _ = writeln!(
                text,
                "{calls:>10}  {side:<8}  {service}  for {client}  {first_at:.0} to {last_at:.0}"
            );
        }
        let _ = writeln!(text, "{:>10}  in all", self.calls);
        text
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_month_ends_where_the_next_begins() {
        let (_, until) = month("2026-11").unwrap();
        let (from, _) = month("2026-12").unwrap();
        assert_eq!(until, from);
        assert!(month("2026-12").unwrap().0 < month("2027-01").unwrap().0);
        for wrong in ["2026-13", "2026", "november", "2026-11-01", ""] {
            assert!(month(wrong).is_err(), "{wrong}");
        }
    }
}
