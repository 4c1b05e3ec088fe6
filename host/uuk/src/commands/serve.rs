use std::path::PathBuf;
use std::time::Duration;

use metrics_exporter_prometheus::PrometheusBuilder;
use tokio::signal::unix::{SignalKind, signal};
use tokio_util::sync::CancellationToken;
use tracing::info;
use uuk_process::Clock;
use uuk_process::telemetry::{Telemetry, TraceExport};

use crate::assemble::{Server, StartError};
use crate::config::{Config, Log, LogFormat};
use crate::exit_code::ExitCode;
use crate::finding::{State, any_fails};
use crate::governance::{ACCESS_RIGHTS, CATALOG, TRUST};
use crate::terminal::{Failure, Terminal};

/// Requests in progress at a stop may take this long before the process ends anyway.
const DRAIN_TIME_MAX: Duration = Duration::from_secs(60);

/// Run the security server until it is told to stop
#[derive(Debug, clap::Args)]
pub(crate) struct ServeArguments {
    /// Configuration file
    #[arg(short, long, default_value = "uuk.toml")]
    config: PathBuf,
    /// Read configuration, catalog, trust, clients and grants, look at anchor and tokens, then end; a running server is
    /// not disturbed, and no device is given a PIN
    #[arg(long)]
    check: bool,
}

pub(crate) fn run(arguments: &ServeArguments, terminal: &Terminal) -> Result<(), Failure> {
    let config = Config::load(&arguments.config).map_err(|error| {
        Failure::new(ExitCode::Usage, "config.invalid", &error)
            .causes(&error)
            .help("every section and key is described in host/docs/operating/configuration.md")
    })?;
    if arguments.check {
        return check(&config, arguments, terminal);
    }
    let environment = |error: std::io::Error| {
        Failure::new(ExitCode::Environment, "serve.runtime", "cannot start").note(error)
    };
    let runtime = tokio::runtime::Builder::new_multi_thread().enable_all().build().map_err(environment)?;
    let metrics = PrometheusBuilder::new().install_recorder().map_err(|error| {
        Failure::new(ExitCode::Environment, "serve.metrics", "cannot collect metrics").note(error)
    })?;
    runtime.block_on(async {
        let telemetry = start_telemetry(&config.log)?;
        let id = config.server.id.clone();
        let server = Server::build(config, Clock::system(), super::compile::apart()).await;
        let server = server.map_err(|error| start_failure(&error))?;
        let stop = CancellationToken::new();
        let signals = wait_for_signal(stop.clone()).map_err(environment)?;
        terminal.step("ready", format!("{}/r1/…", server.base()));
        if let Some(base) = server.behind_base() {
            terminal.step("behind", format!("{base}/…"));
        }
        if let (Some(peers), Some(answers)) = (server.exchange_address(), server.answers_address()) {
            terminal.step("exchange", format_args!("{peers} for other security servers, by TLS"));
            terminal.step("ocsp", format_args!("http://{answers} for other security servers"));
        }
        terminal.step("watch", format!("http://{}/ready and /metrics", server.operations_address()));
        info!(listener.address = %server.address(), "Serving as {id} on {}", server.address());
        let mut serving = tokio::spawn(server.run(metrics, stop.clone()));
        let ended = tokio::select! {
            ended = &mut serving => ended,
            _ = signals => {
                info!("Stopping: requests in progress are finished, new ones are refused");
                tokio::time::timeout(DRAIN_TIME_MAX, serving).await.unwrap_or_else(|_| {
                    tracing::warn!("Stopped with requests still in progress after {DRAIN_TIME_MAX:?}");
                    Ok(())
                })
            }
        };
        telemetry.shut_down().await;
        ended.map_err(|error| {
            Failure::new(ExitCode::Environment, "serve.died", "the server ended by a fault of its own")
                .note(error)
        })
    })
}

fn check(config: &Config, arguments: &ServeArguments, terminal: &Terminal) -> Result<(), Failure> {
    let findings = crate::assemble::check(config).map_err(|error| start_failure(&error))?;
    let mut failure = Failure::new(ExitCode::CheckFailed, "serve.check_failed", "the server could not serve")
        .help("`uuk doctor` looks at more");
    for finding in &findings {
        // Who governs is said in any case.
        if finding.state != State::Ok || [CATALOG, ACCESS_RIGHTS, TRUST].contains(&finding.what.as_str()) {
            terminal.finding(finding);
        }
        if finding.state == State::Fail {
            failure = failure.note(format_args!("{}: {}", finding.what, finding.detail));
        }
    }
    if any_fails(&findings) {
        return Err(failure);
    }
    terminal.step("checked", arguments.config.display());
    Ok(())
}

/// A task that ends at SIGINT or SIGTERM, having cancelled `stop`.
pub(crate) fn wait_for_signal(stop: CancellationToken) -> std::io::Result<tokio::task::JoinHandle<()>> {
    let (mut interrupt, mut terminate) = (signal(SignalKind::interrupt())?, signal(SignalKind::terminate())?);
    Ok(tokio::spawn(async move {
        tokio::select! {
            _ = interrupt.recv() => {}
            _ = terminate.recv() => {}
        }
        stop.cancel();
    }))
}

/// Starts logging, and traces if the standard variables of OpenTelemetry ask for them.
pub(crate) fn start_telemetry(log: &Log) -> Result<Telemetry, Failure> {
    let export = TraceExport::from_variables(|name| std::env::var(name).ok())
        .map_err(|error| Failure::new(ExitCode::Usage, error.code(), &error).causes(&error))?;
    let json = log.format == LogFormat::Json;
    let started = Telemetry::build(json, &log.filter, export.as_ref())
        .and_then(|telemetry| telemetry.install().map(|()| telemetry));
    started.map_err(|error| Failure::new(ExitCode::Usage, error.code(), &error).causes(&error))
}

fn start_failure(error: &StartError) -> Failure {
    let (exit_code, code) = match error {
        StartError::Governance(_) => (ExitCode::Usage, "config.governance"),
        StartError::Engine(_) => (ExitCode::Environment, "serve.engine"),
        StartError::Cache(_) => (ExitCode::Environment, "serve.cache"),
        StartError::Reload(_) | StartError::State { .. } => (ExitCode::Environment, "serve.folders"),
        StartError::Listener(error) => (ExitCode::Environment, error.code()),
        StartError::Administration(_) => (ExitCode::Environment, "serve.administration"),
        StartError::Exchange(error) => (ExitCode::Environment, error.code()),
    };
    Failure::new(exit_code, code, error).causes(error)
}
