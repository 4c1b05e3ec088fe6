//! A thousand swaps between two versions at full load: no call may fail, be mixed, or be answered by a version that was
//! replaced before the call began.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::time::{Duration, Instant};

use anyhow::Result;
use uuk_bundle::BundleDigest;
use uuk_e2e::{Client, Guest, Site};

use crate::place::{self, Place};
use crate::report::{Goal, Report};

const SWAPS: u64 = 1_000;
const CALLERS: usize = 16;
/// How long a version is left alone, so that calls begin and end under it alone.
const REST: Duration = Duration::from_millis(5);

const VERSIONS: [(Guest, &str); 2] = [
    (Guest::Component { name: "echo_v1", folder: "echo" }, "1.0.0"),
    (Guest::Component { name: "echo_v2", folder: "echo" }, "2.0.0"),
];

/// An answer of the echo adapter.
#[derive(Debug, serde::Deserialize)]
struct Echo {
    message: String,
    version: String,
}

/// What the callers saw.
#[derive(Debug, Default)]
struct Seen {
    calls: AtomicU64,
    failed: AtomicU64,
    mixed: AtomicU64,
    late: AtomicU64,
    /// Even while one version is known to serve, odd while a swap is under way.
    epoch: AtomicU64,
    ended: AtomicBool,
}

pub(crate) fn run() -> Result<Report> {
    let metrics = place::observe()?;
    tokio::runtime::Runtime::new()?.block_on(async {
        let place = Place::serve(metrics, async |site: &mut Site| {
            site.catalogue(VERSIONS[0].0)?;
            site.grant("kg.example.echo", "")
        })
        .await?;
        let bundles = [
            place.site.bundle(VERSIONS[0].0, Some(VERSIONS[0].1))?,
            place.site.bundle(VERSIONS[1].0, Some(VERSIONS[1].1))?,
        ];
        let [first, second] = &bundles;
        swap(&place, first).await?;

        let seen = Arc::new(Seen::default());
        let mut callers = tokio::task::JoinSet::new();
        for caller in 0..CALLERS {
            callers.spawn(call(place.client(), Arc::clone(&seen), caller));
        }
        let started = Instant::now();
        for number in 1..=SWAPS {
            tokio::time::sleep(REST).await;
            seen.epoch.fetch_add(1, Ordering::SeqCst);
            swap(&place, if number % 2 == 0 { first } else { second }).await?;
            seen.epoch.fetch_add(1, Ordering::SeqCst);
        }
        let seconds = started.elapsed().as_secs_f64();
        seen.ended.store(true, Ordering::SeqCst);
        while callers.join_next().await.transpose()?.is_some() {}
        place.end().await?;
        Ok(report(&seen, seconds))
    })
}

fn report(seen: &Seen, seconds: f64) -> Report {
    let count = |counter: &AtomicU64| counter.load(Ordering::SeqCst) as f64;
    let mut report = Report::new("reload");
    report.figure("swaps", SWAPS as f64, "");
    report.figure("swaps per second", SWAPS as f64 / seconds, "1/s");
    report.goal("calls meanwhile", count(&seen.calls), "", Goal::AtLeast(SWAPS as f64));
    report.figure("calls per second", count(&seen.calls) / seconds, "1/s");
    report.goal("failed calls", count(&seen.failed), "", Goal::AtMost(0.0));
    report.goal("mixed answers", count(&seen.mixed), "", Goal::AtMost(0.0));
    report.goal("answers of a version replaced before the call", count(&seen.late), "", Goal::AtMost(0.0));
    report
}

async fn swap(place: &Place, bundle: &[u8]) -> Result<()> {
    place.site.drop_bundle("echo.asice", bundle)?;
    place.active(BundleDigest::of(bundle)).await
}

async fn call(client: Client, seen: Arc<Seen>, caller: usize) {
    let mut number = 0u64;
    while !seen.ended.load(Ordering::SeqCst) {
        number += 1;
        let message = format!("caller-{caller}-{number}");
        let before = seen.epoch.load(Ordering::SeqCst);
        let answer = client.get("echo", &format!("/echo/{message}")).await;
        let after = seen.epoch.load(Ordering::SeqCst);
        seen.calls.fetch_add(1, Ordering::SeqCst);
        let Ok(Echo { message: echoed, version }) =
            answer.and_then(|reply| Ok(serde_json::from_slice(&reply.body)?))
        else {
            seen.failed.fetch_add(1, Ordering::SeqCst);
            continue;
        };
        if echoed != message || !VERSIONS.iter().any(|(_, known)| *known == version) {
            seen.mixed.fetch_add(1, Ordering::SeqCst);
        }
        // The call lay wholly within one version's rest: that version must have answered it.
        let rested = before == after && before.is_multiple_of(2);
        let serving = VERSIONS.get((before / 2 % 2) as usize).map(|(_, version)| *version);
        if rested && serving != Some(version.as_str()) {
            seen.late.fetch_add(1, Ordering::SeqCst);
        }
    }
}
