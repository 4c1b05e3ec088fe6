//! What a fifth of hostile traffic does to everyone else.
//!
//! At a fixed rate, four fifths of the requests go to people and one fifth to another plugin: first an honest one, then
//! hostile ones. Rounds alternate, so that a slow moment of the machine falls on both.

use std::time::Duration;

use anyhow::Result;
use uuk_e2e::{Guest, PROVIDER, Site};

use crate::load::{Load, Measured};
use crate::place::{self, KNOWN, Place};
use crate::report::{Goal, Report};

const ROUNDS: usize = 5;
const ROUND_TIME: Duration = Duration::from_secs(4);
/// Requests per second in all: about half of what two cores do.
const RATE: f64 = 2_500.0;

const ECHO: Guest = Guest::Component { name: "echo_v1", folder: "echo" };
const HOSTILE: Guest = Guest::Component { name: "hostile", folder: "hostile" };
/// Each burns what it can: time, memory, stack, log, answer.
const MISDEEDS: [&str; 5] = ["loop-forever", "grow-memory", "recurse", "flood-log", "answer-gigabyte"];

pub(crate) fn run() -> Result<Report> {
    let metrics = place::observe()?;
    tokio::runtime::Runtime::new()?.block_on(async {
        let place = Place::serve(metrics, async |site: &mut Site| {
            place::people(site).await?;
            for guest in [ECHO, HOSTILE] {
                site.catalogue(guest)?;
            }
            site.grant("kg.example.echo", "")?;
            hostile_grant(site)
        })
        .await?;
        place.install("people.asice", Guest::People, "1.0.0").await?;
        place.install("echo.asice", ECHO, "1.0.0").await?;
        place.install("hostile.asice", HOSTILE, "1.0.0").await?;

        let (mut honest, mut hostile) = (Vec::new(), Vec::new());
        let mut refused = 0;
        for round in 0..ROUNDS {
            honest.push(beside(&place, "echo/echo/hello").await?.0);
            let misdeed = MISDEEDS.get(round % MISDEEDS.len()).copied().unwrap_or("recurse");
            let (people, others) = beside(&place, &format!("hostile/{misdeed}")).await?;
            hostile.push(people);
            refused += others.others;
        }
        let (honest, hostile) = (median_p99(&honest), median_p99(&hostile));
        let mut report = Report::new("neighbours");
        report.figure("neighbours' p99 beside an honest adapter", honest, "ms");
        report.figure("neighbours' p99 beside hostile adapters", hostile, "ms");
        report.goal("rise of the neighbours' p99", hostile / honest, "times", Goal::AtMost(1.2));
        report.goal("hostile requests that got a clear refusal", refused as f64, "", Goal::AtLeast(1.0));
        // The server is this very process: that it reports is the proof that it did not restart.
        report.figure("restarts of the host", 0.0, "");
        place.end().await?;
        Ok(report)
    })
}

fn hostile_grant(site: &Site) -> Result<()> {
    site.grant(
        "kg.example.hostile",
        "[datasource.registry]\nengine = \"sqlite\"\nurl = \"sqlite:people.db\"\n\n\
         [upstream.api]\nbase = \"http://127.0.0.1:9\"\n",
    )
}

/// Four fifths of the rate to people, one fifth to `other`.
async fn beside(place: &Place, other: &str) -> Result<(Measured, Measured)> {
    let people = format!("/r1/{PROVIDER}/person/people/{KNOWN}");
    let other = format!("/r1/{PROVIDER}/{other}");
    let load = |path, connections, rate, strict| Load {
        address: &place.address,
        path,
        connections,
        time: ROUND_TIME,
        rate: Some(rate),
        strict,
    };
    let (people, other) = (load(&people, 16, RATE * 0.8, true), load(&other, 4, RATE * 0.2, false));
    tokio::try_join!(people.measure(), other.measure())
}

fn median_p99(rounds: &[Measured]) -> f64 {
    let mut values: Vec<f64> = rounds.iter().map(|round| round.p99_ms).collect();
    values.sort_by(f64::total_cmp);
    values.get(values.len() / 2).copied().unwrap_or(f64::NAN)
}
