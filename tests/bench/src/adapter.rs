//! An adapter's call through the whole server against a native handler in the same process; activation; memory.

use std::time::{Duration, Instant};

use anyhow::Result;
use uuk_bundle::BundleDigest;
use uuk_e2e::{Guest, PROVIDER, Parts, Server, Site, target_folder};

use crate::load::{Load, Measured};
use crate::native::Native;
use crate::place::{self, KNOWN, Place};
use crate::report::{Goal, Report};

const ROUNDS: usize = 21;
const ROUND_TIME: Duration = Duration::from_millis(700);
const ACTIVATIONS: usize = 40;

pub(crate) fn run() -> Result<Report> {
    let metrics = place::observe()?;
    let mut report = Report::new("adapter");
    tokio::runtime::Runtime::new()?.block_on(async {
        let (place, native) = both(metrics.clone()).await?;
        calls(&mut report, &place, &native).await?;
        native.end().await?;
        place.end().await?;
        activation(&mut report, &metrics).await
    })?;
    memory(&mut report)?;
    Ok(report)
}

/// Serves both until interrupted; `uuk-bench load` sends to the addresses that it prints.
pub(crate) fn hold() -> Result<()> {
    let metrics = place::observe()?;
    tokio::runtime::Runtime::new()?.block_on(async {
        let (place, native) = both(metrics).await?;
        println!("adapter {}, native {}, path {}", place.address, native.address, path());
        tokio::signal::ctrl_c().await?;
        native.end().await?;
        place.end().await
    })
}

/// The server with the adapter, and the native handler on the same database.
async fn both(metrics: metrics_exporter_prometheus::PrometheusHandle) -> Result<(Place, Native)> {
    let place = Place::serve(metrics, async |site: &mut Site| site.people().await).await?;
    place.install("people.asice", Guest::People, "1.0.0").await?;
    let database = place.site.folder().join("grants/people.db");
    let native = Native::serve(&database, &Guest::People.folder().join("sql/find-person.sql")).await?;
    Ok((place, native))
}

fn path() -> String {
    format!("/r1/{PROVIDER}/person/people/{KNOWN}")
}

async fn calls(report: &mut Report, place: &Place, native: &Native) -> Result<()> {
    let path = path();
    for connections in [1, 32] {
        let load =
            |address| Load { address, path: &path, connections, time: ROUND_TIME, rate: None, strict: true };
        // Each alternately and for a short time, so that a slow moment of the machine falls on both.
        let (mut adapter, mut by_hand) = (Vec::new(), Vec::new());
        for _ in 0..ROUNDS {
            by_hand.push(load(&native.address).measure().await?);
            adapter.push(load(&place.address).measure().await?);
        }
        let ratio = median(adapter.iter().zip(&by_hand).map(|(one, other)| one.rate / other.rate));
        let added = median(adapter.iter().zip(&by_hand).map(|(one, other)| one.p50_ms - other.p50_ms));
        for (name, measured) in [("native", &by_hand), ("adapter", &adapter)] {
            let mut figure = |of: &str, value: fn(&Measured) -> f64, unit| {
                let value = median(measured.iter().map(value));
                report.figure(format!("{name}, {connections} connections: {of}"), value, unit);
            };
            figure("calls", |round| round.rate, "1/s");
            figure("p50", |round| round.p50_ms, "ms");
            figure("p99", |round| round.p99_ms, "ms");
        }
        if connections == 1 {
            report.goal("added p50 at 1 connection", added, "ms", Goal::AtMost(0.15));
        } else {
            report.goal("adapter / native rate at 32 connections", ratio, "", Goal::AtLeast(0.6));
        }
    }
    Ok(())
}

/// The middle one. NaN if there is none.
fn median(values: impl Iterator<Item = f64>) -> f64 {
    let mut values: Vec<f64> = values.collect();
    values.sort_by(f64::total_cmp);
    values.get(values.len() / 2).copied().unwrap_or(f64::NAN)
}

/// From the rename of a bundle to the first call that its version answers.
async fn activation(
    report: &mut Report,
    metrics: &metrics_exporter_prometheus::PrometheusHandle,
) -> Result<()> {
    let place = Place::serve(metrics.clone(), async |site: &mut Site| {
        site.catalogue(ECHO)?;
        site.grant("kg.example.echo", "")
    })
    .await?;
    place.install("echo.asice", ECHO, "0.0.1").await?;

    let mut cached = Vec::new();
    for round in 1..=ACTIVATIONS {
        cached.push(activate(&place, &place.site.bundle(ECHO, Some(&format!("1.0.{round}")))?).await?);
    }
    let mut compiled = Vec::new();
    for round in 1..=ACTIVATIONS / 2 {
        // Another component to the cache: the same code with a custom section of its own.
        let parts = Parts::of(ECHO)?.with_version(&format!("2.0.{round}"))?;
        let bundle = place.site.sign(parts.with_custom_section(&format!("round {round}"))?)?;
        compiled.push(activate(&place, &bundle).await?);
    }
    report.goal("activation, compiled form cached: p95", p95(cached), "ms", Goal::AtMost(300.0));
    report.goal("activation, to be compiled: p95", p95(compiled), "ms", Goal::AtMost(1_000.0));
    place.end().await
}

const ECHO: Guest = Guest::Component { name: "echo_v1", folder: "echo" };

async fn activate(place: &Place, bundle: &[u8]) -> Result<Duration> {
    let client = place.client();
    let renamed = Instant::now();
    place.site.drop_bundle("echo.asice", bundle)?;
    place.active(BundleDigest::of(bundle)).await?;
    let reply = client.get("echo", "/echo/hello").await?;
    anyhow::ensure!(reply.status == 200, "{}", reply.status);
    Ok(renamed.elapsed())
}

fn p95(mut times: Vec<Duration>) -> f64 {
    times.sort();
    let index = (times.len() * 95).div_ceil(100).saturating_sub(1);
    times.get(index).map_or(f64::NAN, |time| time.as_secs_f64() * 1_000.0)
}

/// Resident memory of the program itself, idle, after each adapter has answered once.
fn memory(report: &mut Report) -> Result<()> {
    for (adapters, most) in [(1, 60.0), (100, 300.0)] {
        let resident = tokio::runtime::Runtime::new()?.block_on(resident(adapters))?;
        let name = format!("resident memory, idle, {adapters} adapters");
        report.goal(name, resident, "MiB", Goal::AtMost(most));
    }
    Ok(())
}

async fn resident(adapters: usize) -> Result<f64> {
    let folder = tempfile::tempdir()?;
    let mut site = Site::new(folder.path(), "127.0.0.1:0", "127.0.0.1:0", "")?;
    let script = Guest::People.folder().join("data/sqlite.sql");
    site.sqlite("people.db", &script).await?;
    for number in 0..adapters {
        let name = format!("{number:03}");
        let plugin = format!("kg.example.people{name}");
        let parts = Parts::of(Guest::People)?.with_names(&plugin, &format!("person{name}"))?;
        site.catalogue_parts(&parts)?;
        site.grant(&plugin, "[datasource.registry]\nengine = \"sqlite\"\nurl = \"sqlite:people.db\"\n")?;
        let bundle = site.sign(parts)?;
        site.drop_bundle(&format!("{name}.asice"), &bundle)?;
    }
    let program = target_folder().join("release/uuk");
    let mut server = Server::start_program(&program, &site, std::process::Stdio::null())?;
    let client = uuk_e2e::Client::new(server.address());
    for number in 0..adapters {
        let service = format!("person{number:03}");
        let path = format!("/people/{KNOWN}");
        server
            .until("the adapter answers", Duration::from_secs(120), || async {
                client.get(&service, &path).await.is_ok_and(|reply| reply.status == 200)
            })
            .await?;
    }
    tokio::time::sleep(Duration::from_secs(2)).await;
    place::resident_mib(&mut server)
}
