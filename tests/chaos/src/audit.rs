use std::collections::{BTreeSet, HashMap};
use std::path::Path;
use std::sync::Arc;

use anyhow::{Context, Result};
use uuk_configuration_client::{ConfigurationClient, ConfigurationClientConfig};
use uuk_e2e::Enrolled;
use uuk_globalconf::GlobalConfiguration;
use uuk_messagelog::{Direction, FoundRecord, Judge, MessageLog, MessageLogConfig, Query, verify};
use uuk_pki::CertificateProfiles;
use uuk_process::{Clock, ErrorChain};

use crate::load::{Call, Outcome};
use crate::report::Report;
use crate::scene::Remains;

/// Records found at once.
const PAGE: u32 = 1_000;

/// The messages that a log holds, by identifier and direction.
type Held = HashMap<(String, Direction), usize>;

/// Judges what the logs of both servers hold.
pub(crate) async fn audit(report: &mut Report, calls: &[Call], remains: &Remains) -> Result<()> {
    // Both are stamped before either is judged: an OCSP answer must not be old by the time of the stamp.
    let mut logs = Vec::new();
    for (name, side) in [("client's", &remains.pair.consumer), ("provider's", &remains.pair.provider)] {
        logs.push((name, stamped(side).await?));
    }
    let mut held = Vec::new();
    for (name, (log, configuration)) in logs {
        held.push(audit_log(report, name, &log, &configuration).await?);
    }
    if let [consumer, provider] = held.as_slice() {
        judge_together(report, calls, consumer, provider);
    }
    Ok(())
}

/// Judges what the logs hold by what they have in common, and by what clients were told.
fn judge_together(report: &mut Report, calls: &[Call], consumer: &Held, provider: &Held) {
    let of = |held: &Held, wanted: Direction| {
        let ids = held.keys().filter(|(_, direction)| *direction == wanted);
        ids.map(|(id, _)| id.clone()).collect::<BTreeSet<_>>()
    };
    // Each was on the disk before the next could come to be.
    let chain = [
        ("the request at the client's server", of(consumer, Direction::Request)),
        ("the request at the provider's", of(provider, Direction::Request)),
        ("the response at the provider's", of(provider, Direction::Response)),
        ("the response at the client's", of(consumer, Direction::Response)),
    ];
    for pair in chain.windows(2) {
        let [(earlier_name, earlier), (later_name, later)] = pair else { continue };
        for id in later.difference(earlier) {
            report.violation(format!("{id}: {later_name} is recorded, but not {earlier_name}"));
        }
    }
    for call in calls.iter().filter(|call| matches!(call.outcome, Outcome::Answered | Outcome::Fault(_))) {
        for (name, ids) in &chain {
            if !ids.contains(&call.id) {
                report.violation(format!("{}: answered, but {name} is not recorded", call.id));
            }
        }
    }
}

/// The log of a server that has ended, its last records stamped, and the configuration to judge it by.
async fn stamped(side: &Enrolled) -> Result<(MessageLog, Arc<GlobalConfiguration>)> {
    let folder = side.site.folder();
    let known = ConfigurationClientConfig::new(folder.join("anchor.xml"), folder.join("audit"));
    let known = ConfigurationClient::build(known, CertificateProfiles::default(), Clock::system())?;
    known.refresh_once().await?;
    let configuration = known.configuration();
    let log = MessageLog::build(log_config(folder)?, Clock::system(), configuration.clone()).await?;
    let configuration = configuration.borrow().clone().context("no global configuration")?;
    while log.time_stamp().await? > 0 {}
    Ok((log, configuration))
}

/// Judges every record of one log by itself.
async fn audit_log(
    report: &mut Report,
    name: &'static str,
    log: &MessageLog,
    configuration: &GlobalConfiguration,
) -> Result<Held> {
    let (mut held, mut after) = (Held::new(), None);
    loop {
        let page = log.find(&Query { after, ..Query::default() }, PAGE).await?;
        let Some(last) = page.last() else { break };
        after = Some(last.id);
        for record in page {
            let proven = match log.export(record.id, false).await {
                Ok(container) => prove(&container.bytes, &record, configuration),
                Err(error) => Err(ErrorChain(&error).to_string()),
            };
            report.record(name);
            if let Err(why) = proven {
                report.violation(format!("record {} of the {name} log: {why}", record.id));
            }
            *held.entry((record.query_id, record.direction)).or_default() += 1;
        }
    }
    judge_count(report, name, &held);
    Ok(held)
}

fn judge_count(report: &mut Report, name: &str, held: &Held) {
    for ((id, direction), count) in held.iter().filter(|(_, count)| **count > 1) {
        report.violation(format!("{id}: the {direction} is recorded {count} times in the {name} log"));
    }
}

/// Whether a container proves the message that the record says it is.
fn prove(container: &[u8], record: &FoundRecord, configuration: &GlobalConfiguration) -> Result<(), String> {
    let report = verify(container, &Judge::by(configuration)).map_err(|error| error.to_string())?;
    let [container] = report.containers.as_slice() else { return Err("no container".to_owned()) };
    if let Err(disproof) = &container.verdict {
        return Err(ErrorChain(disproof).to_string());
    }
    match &container.message {
        Some(names) if (&names.id, names.direction) == (&record.query_id, record.direction) => Ok(()),
        other => {
            Err(format!("it is recorded as {} of {} and is {other:?}", record.direction, record.query_id))
        }
    }
}

fn log_config(folder: &Path) -> Result<MessageLogConfig> {
    let mut config: toml::Table = std::fs::read_to_string(folder.join("uuk.toml"))?.parse()?;
    let section = config.remove("message_log").context("no section [message_log]")?;
    let mut config: MessageLogConfig = section.try_into()?;
    config.resolve(folder);
    Ok(config)
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeMap;
    use std::time::Instant;

    use super::*;
    use crate::plan::Plan;

    fn held(messages: &[(&str, Direction)]) -> Held {
        messages.iter().map(|(id, direction)| (((*id).to_owned(), *direction), 1)).collect()
    }

    fn judged(
        call: Option<&str>,
        consumer: &[(&str, Direction)],
        provider: &[(&str, Direction)],
    ) -> Vec<String> {
        let now = Instant::now();
        let answered =
            |id: &str| Call { id: id.to_owned(), started: now, ended: now, outcome: Outcome::Answered };
        let calls: Vec<_> = call.map(answered).into_iter().collect();
        let mut report = Report::new(&Plan::new(1, 1), &BTreeMap::new());
        judge_together(&mut report, &calls, &held(consumer), &held(provider));
        report.violations
    }

    #[test]
    fn an_answer_needs_its_four_records() {
        let both = [("a", Direction::Request), ("a", Direction::Response)];
        assert_eq!(judged(Some("a"), &both, &both), <[&str; 0]>::default());
        assert_eq!(judged(Some("b"), &both, &both).len(), 4);
        let missing = judged(Some("a"), &both[..1], &both);
        assert_eq!(missing, ["a: answered, but the response at the client's is not recorded"]);
    }

    #[test]
    fn an_exchange_may_end_anywhere_but_nothing_comes_before_what_it_follows_from() {
        let both = [("a", Direction::Request), ("a", Direction::Response)];
        assert_eq!(judged(None, &both[..1], &[]), <[&str; 0]>::default());
        assert_eq!(judged(None, &both[..1], &both), <[&str; 0]>::default());
        let ahead = judged(None, &[], &both[..1]);
        assert_eq!(
            ahead,
            ["a: the request at the provider's is recorded, but not the request at the client's server"]
        );
        assert_eq!(judged(None, &both, &both[..1]).len(), 1, "an answer that the provider does not know");
    }

    #[test]
    fn what_is_recorded_twice_is_wrong() {
        let mut report = Report::new(&Plan::new(1, 1), &BTreeMap::new());
        judge_count(&mut report, "client's", &Held::from([(("a".to_owned(), Direction::Request), 2)]));
        assert_eq!(report.violations, ["a: the request is recorded 2 times in the client's log"]);
    }
}
