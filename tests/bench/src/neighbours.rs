//! What a fifth of hostile traffic does to everyone else.
//!
//! At a fixed rate, four fifths of the requests go to people and one fifth to five other plugins: first honest ones, then
//! hostile ones, with the server's own settings. Rounds alternate, so that a slow moment of the machine falls on both.
//! A hostile plugin is suspended after a few failures; so that each round begins with plugins that still run, it brings
//! new versions of them.

use std::time::Duration;

use anyhow::{Context, Result};
use futures_util::future::try_join_all;
use uuk_e2e::{Guest, PROVIDER, Parts, Site};

use crate::load::{Load, Measured};
use crate::place::{self, KNOWN, Place};
use crate::report::{Goal, Report};

const ROUNDS: usize = 7;
const ROUND_TIME: Duration = Duration::from_secs(4);
/// Requests per second in all: about a third of what two cores do with their senders.
const RATE: f64 = 4_000.0;

const ECHO: Guest = Guest::Component { name: "echo_v1", folder: "echo" };
const HOSTILE: Guest = Guest::Component { name: "hostile", folder: "hostile" };
/// Each burns what it can: time, memory, stack, log, answer.
const MISDEEDS: [&str; 5] = ["loop-forever", "grow-memory", "recurse", "flood-log", "answer-gigabyte"];

const GRANTS: &str = "[datasource.registry]\nengine = \"sqlite\"\nurl = \"sqlite:people.db\"\n\n\
                      [upstream.api]\nbase = \"http://127.0.0.1:9\"\n";

pub(crate) fn run() -> Result<Report> {
    let metrics = place::observe()?;
    tokio::runtime::Runtime::new()?.block_on(async {
        let place = Place::serve(metrics, async |site: &mut Site| {
            site.people().await?;
            site.catalogue(ECHO)?;
            site.grant("kg.example.echo", "")?;
            for misdeed in MISDEEDS {
                site.catalogue_parts(&hostile(misdeed)?)?;
                site.grant(&plugin(misdeed), GRANTS)?;
            }
            Ok(())
        })
        .await?;
        place.install("people.asice", Guest::People, "1.0.0").await?;
        place.install("echo.asice", ECHO, "1.0.0").await?;

        let honest_paths = MISDEEDS.map(|misdeed| format!("echo/echo/{misdeed}"));
        let hostile_paths = MISDEEDS.map(|misdeed| format!("{misdeed}/{misdeed}"));
        let (mut honest, mut beside_hostile, mut others) = (Vec::new(), Vec::new(), Vec::new());
        for round in 1..=ROUNDS {
            honest.push(beside(&place, &honest_paths).await?.0);
            for misdeed in MISDEEDS {
                let parts = hostile(misdeed)?.with_version(&format!("1.0.{round}"))?;
                place.install_parts(&format!("{misdeed}.asice"), parts).await?;
            }
            let (people, hostile) = beside(&place, &hostile_paths).await?;
            beside_hostile.push(people);
            others.extend(hostile);
        }
        place.end().await?;
        Ok(report(&honest, &beside_hostile, &others))
    })
}

fn report(honest: &[Measured], beside_hostile: &[Measured], hostile: &[Measured]) -> Report {
    let answers = |statuses: &[u16]| -> u64 {
        let counts = hostile.iter().flat_map(|one| &one.statuses);
        counts.filter(|(status, _)| statuses.contains(status)).map(|(_, count)| count).sum()
    };
    let all: u64 = hostile.iter().flat_map(|one| one.statuses.values()).sum();
    let (before, after) = (median_p99(honest), median_p99(beside_hostile));
    let mut report = Report::new("neighbours");
    report.figure("neighbours' p99 beside honest adapters", before, "ms");
    report.figure("neighbours' p99 beside hostile adapters", after, "ms");
    report.goal("rise of the neighbours' p99", after / before, "times", Goal::AtMost(1.2));
    // What ran and was stopped answers 502 or 504; what found no place or a suspended plugin, 503.
    let (ran, refused) = (answers(&[502, 504]), answers(&[503]));
    let each = (MISDEEDS.len() * ROUNDS) as f64;
    report.goal("hostile calls that ran and were stopped", ran as f64, "", Goal::AtLeast(5.0 * each));
    report.figure("hostile calls refused while suspended or full", refused as f64, "");
    // Writing a log beyond its budget is no failure: the lines are dropped and counted.
    report.figure("hostile calls answered within their limits", answers(&[200]) as f64, "");
    let others = all - ran - refused - answers(&[200]);
    report.goal("hostile calls without a clear answer", others as f64, "", Goal::AtMost(0.0));
    report
}

fn plugin(misdeed: &str) -> String {
    format!("kg.example.{misdeed}")
}

/// The hostile adapter as a plugin of its own for one misdeed.
fn hostile(misdeed: &str) -> Result<Parts> {
    Parts::of(HOSTILE)?.with_names(&plugin(misdeed), misdeed)
}

/// Four fifths of the rate to people, one fifth to `others`. An error of a neighbour ends the bench: so does a restart.
async fn beside(place: &Place, others: &[String]) -> Result<(Measured, Vec<Measured>)> {
    let people = format!("/r1/{PROVIDER}/person/people/{KNOWN}");
    let load = |path, connections, rate, strict| Load {
        address: &place.address,
        path,
        connections,
        time: ROUND_TIME,
        rate: Some(rate),
        strict,
    };
    let paths: Vec<String> = others.iter().map(|path| format!("/r1/{PROVIDER}/{path}")).collect();
    let loads = std::iter::once(load(people.as_str(), 16, RATE * 0.8, true))
        .chain(paths.iter().map(|path| load(path, 2, RATE * 0.2 / paths.len() as f64, false)));
    let loads: Vec<_> = loads.collect();
    let mut measured = try_join_all(loads.iter().map(Load::measure)).await?.into_iter();
    let neighbours = measured.next().context("nothing was measured")?;
    Ok((neighbours, measured.collect()))
}

fn median_p99(rounds: &[Measured]) -> f64 {
    let mut values: Vec<f64> = rounds.iter().map(|round| round.p99_ms).collect();
    values.sort_by(f64::total_cmp);
    values.get(values.len() / 2).copied().unwrap_or(f64::NAN)
}
