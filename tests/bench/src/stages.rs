//! Where the time of a call goes: the stages alone, one after another on one thread.

use std::sync::Arc;
use std::time::{Duration, Instant};

use anyhow::{Context, Result, ensure};
use uuk_e2e::{Guest, PROVIDER, Site};
use uuk_plugin_host::{Arm, Call, CallContext, Outcome};

use crate::place::{self, KNOWN, Place};
use crate::report::Report;

const CALLS: u32 = 20_000;
const ECHO: Guest = Guest::Component { name: "echo_v1", folder: "echo" };

pub(crate) fn run() -> Result<Report> {
    let metrics = place::observe()?;
    let mut report = Report::new("stages");
    tokio::runtime::Runtime::new()?.block_on(async {
        let place = Place::serve(metrics, async |site: &mut Site| {
            site.people().await?;
            site.catalogue(ECHO)?;
            site.grant("kg.example.echo", "")
        })
        .await?;
        place.install("people.asice", Guest::People, "1.0.0").await?;
        place.install("echo.asice", ECHO, "1.0.0").await?;
        for (service, operation, document) in [
            ("echo", "echo", r#"{"message":"hello"}"#.to_owned()),
            ("person", "get", format!("{{\"pin\":\"{KNOWN}\"}}")),
        ] {
            let route = place.plugins.registry().route(&format!("{PROVIDER}/{service}").parse()?);
            let route = route.context("no route")?;
            let each = calls(route.active(), service, operation, &document).await?;
            report.figure(
                format!("{service} {operation}: the adapter alone"),
                each.as_nanos() as f64 / 1e3,
                "µs",
            );
        }
        place.end().await
    })?;
    Ok(report)
}

/// The mean time of a call of the plugin, without anything around it.
async fn calls(arm: &Arm, service: &str, operation: &str, document: &str) -> Result<Duration> {
    let context = Arc::new(CallContext {
        exchange_id: "5c6e7f00-0000-4000-8000-000000000000".into(),
        client: uuk_e2e::CLIENT.into(),
        provider: PROVIDER.into(),
        service_code: service.into(),
        service_version: "1".into(),
        operation: operation.into(),
        received_at: "2026-11-22T08:00:00Z".into(),
        ..CallContext::default()
    });
    let started = Instant::now();
    for _ in 0..CALLS {
        let call = Call {
            context: Arc::clone(&context),
            document: document.to_owned().into(),
            deadline: Instant::now() + Duration::from_secs(10),
        };
        let (outcome, _) = arm.plugin.call(call).await;
        ensure!(matches!(outcome, Ok(Outcome::Answer(_))), "{outcome:?}");
    }
    Ok(started.elapsed() / CALLS)
}
