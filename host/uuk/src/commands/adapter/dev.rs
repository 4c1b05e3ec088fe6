//! `uuk adapter dev`: builds, serves, and after every edit builds again and swaps.
//!
//! A version serves only if it was built, checked and probed; until then the one before goes on. Requests end on the version
//! that they began with. What the adapter reaches is what a server would give it: what plugin.toml asks for, and of that
//! only what is named here.

mod files;
mod version;

use std::net::{Ipv4Addr, SocketAddr};
use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use http::{Request, Response};
use http_body_util::{BodyExt, Full, Limited};
use hyper::body::Incoming;
use hyper::server::conn::http1;
use hyper::service::service_fn;
use hyper_util::rt::TokioIo;
use serde_json::json;
use tokio::net::TcpListener;
use tokio::sync::watch;
use tokio::task::JoinSet;

use self::files::{Files, Snapshot};
use self::version::{Asked, Version};
use super::project::{Project, ProjectOptions};
use super::record::Recorder;
use super::trial::{Bench, SourceOptions, block_on};
use crate::exit_code::ExitCode;
use crate::terminal::{Failure, Terminal};

/// How often the files are looked at.
const LOOK_EVERY: Duration = Duration::from_millis(150);
const BODY_BYTES_MAX: usize = 4 << 20;
/// Connections at once; more wait.
const CONNECTIONS_MAX: usize = 64;

/// Serve the adapter on this machine, and build it again after every edit
#[derive(Debug, clap::Args)]
pub(crate) struct DevOptions {
    /// Port on loopback [default: a free one]
    #[arg(long, default_value_t = 0)]
    port: u16,
    #[command(flatten)]
    sources: SourceOptions,
    #[command(flatten)]
    project: ProjectOptions,
}

/// The version that serves, once there is one.
type Serving = watch::Sender<Option<Arc<Version>>>;

pub(super) fn run(options: &DevOptions, terminal: &Terminal) -> Result<(), Failure> {
    // A folder without a project is a mistake of the call; all else an edit can mend.
    if let Err(failure) = Project::open(&options.project)
        && failure.code() == "adapter.no_project"
    {
        return Err(failure);
    }
    block_on(async {
        let (listener, address) = open_door(options.port).await?;
        let serving: Serving = watch::Sender::new(None);
        let developing = develop(options, terminal, address, &serving);
        tokio::select! {
            ended = developing => ended,
            () = serve(listener, &serving, terminal) => Ok(()),
            _ = tokio::signal::ctrl_c() => Ok(()),
        }
    })
}

/// Serves one version, and leaves each call to `recorder`.
pub(super) fn record(
    port: u16,
    project: &ProjectOptions,
    sources: &SourceOptions,
    recorder: Recorder,
    terminal: &Terminal,
) -> Result<(), Failure> {
    let version = Version::build(project, sources, Arc::new(Bench::new()?), terminal)?;
    let version = version.recorded_by(recorder);
    block_on(async {
        let (listener, address) = open_door(port).await?;
        let url = format!("http://{address}");
        let requests = version.requests(&url);
        let serving: Serving = watch::Sender::new(Some(Arc::new(version)));
        tell_ready(&url, &requests, "uuk.cli/adapter-record/v1", terminal);
        tokio::select! {
            () = serve(listener, &serving, terminal) => Ok(()),
            _ = tokio::signal::ctrl_c() => Ok(()),
        }
    })
}

async fn open_door(port: u16) -> Result<(TcpListener, SocketAddr), Failure> {
    let no_door = |error: std::io::Error| {
        let message = format!("cannot listen on port {port} of this machine");
        Failure::new(ExitCode::Environment, "adapter.port", message)
            .note(error)
            .help("choose another --port, or none")
    };
    let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, port)).await.map_err(no_door)?;
    let address = listener.local_addr().map_err(no_door)?;
    Ok((listener, address))
}

fn tell_ready(url: &str, requests: &[String], schema: &'static str, terminal: &Terminal) {
    terminal.step("ready", url);
    for request in requests {
        terminal.step("try", request);
    }
    terminal.result(schema, &json!({ "url": url, "requests": requests }), url);
}

/// Builds after every edit, for ever.
async fn develop(
    options: &DevOptions,
    terminal: &Terminal,
    address: SocketAddr,
    serving: &Serving,
) -> Result<(), Failure> {
    let bench = Arc::new(Bench::new()?);
    let base = format!("http://{address}");
    let (mut generation, mut built_itself) = (0_u32, Vec::new());
    loop {
        let files = watched(&options.project);
        // Before the build, so that what is edited meanwhile is built next.
        let before = files.look(&Snapshot::default())?;
        let built = build(options, &bench, terminal).await;
        // What changes from here on is an edit: the build has ended.
        let after = files.look(&before)?;
        match probed(built).await {
            Ok(version) => {
                let requests = version.requests(&base);
                serving.send_replace(Some(Arc::new(version)));
                generation += 1;
                if generation == 1 {
                    tell_ready(&base, &requests, "uuk.cli/adapter-dev/v1", terminal);
                } else {
                    terminal.step("swapped", format_args!("generation {generation} serves"));
                }
            }
            Err(failure) => {
                terminal.failure(&failure);
                let goes_on =
                    if generation == 0 { "nothing serves yet" } else { "the version before serves on" };
                terminal.step("waiting", format_args!("for an edit; {goes_on}"));
            }
        }
        let meanwhile = after.changed_since(&before);
        let is_edited = meanwhile.iter().any(|file| !built_itself.contains(file));
        built_itself = meanwhile;
        if is_edited {
            terminal.step("changed", format_args!("{} while it was built", built_itself.join(", ")));
            continue;
        }
        // What changed during this build as during the last, the build itself writes: it would never end.
        if !built_itself.is_empty() {
            let written = built_itself.join(", ");
            terminal
                .step("ignored", format_args!("{written}, which each build writes; save again to build it"));
        }
        let changed = edited(&files, after).await?;
        terminal.step("changed", changed.join(", "));
    }
}

/// The files to watch, even of a project that cannot be read.
fn watched(options: &ProjectOptions) -> Files {
    match Project::open(options) {
        Ok(project) => Files::of(&project),
        Err(_) => Files::all(options.folder()),
    }
}

/// Waits for an edit, and until nothing changes for one look more: editors write in several steps.
async fn edited(files: &Files, before: Snapshot) -> Result<Vec<String>, Failure> {
    let mut last = before.clone();
    loop {
        tokio::time::sleep(LOOK_EVERY).await;
        let now = files.look(&last)?;
        let changed = now.changed_since(&before);
        if !changed.is_empty() && now == last {
            return Ok(changed);
        }
        last = now;
    }
}

/// Builds a version aside.
async fn build(options: &DevOptions, bench: &Arc<Bench>, terminal: &Terminal) -> Result<Version, Failure> {
    let (project, sources) = (options.project.clone(), options.sources.clone());
    let (bench, teller) = (Arc::clone(bench), terminal.clone());
    let built = tokio::task::spawn_blocking(move || Version::build(&project, &sources, bench, &teller)).await;
    built.map_err(|error| {
        Failure::new(ExitCode::Environment, "adapter.build_failed", "the build was given up").note(error)
    })?
}

async fn probed(built: Result<Version, Failure>) -> Result<Version, Failure> {
    let version = built?;
    version.probe().await?;
    Ok(version)
}

/// Answers requests with the version that serves when they come.
async fn serve(listener: TcpListener, serving: &Serving, terminal: &Terminal) {
    let mut connections = JoinSet::new();
    loop {
        while connections.len() >= CONNECTIONS_MAX {
            connections.join_next().await;
        }
        while connections.try_join_next().is_some() {}
        let Ok((stream, _)) = listener.accept().await else {
            tokio::time::sleep(LOOK_EVERY).await;
            continue;
        };
        let (serving, terminal) = (serving.subscribe(), terminal.clone());
        let answer = service_fn(move |request| {
            let (version, terminal) = (serving.borrow().clone(), terminal.clone());
            async move { Ok::<_, std::convert::Infallible>(answer(version, request, &terminal).await) }
        });
        connections.spawn(http1::Builder::new().serve_connection(TokioIo::new(stream), answer));
    }
}

async fn answer(
    version: Option<Arc<Version>>,
    request: Request<Incoming>,
    terminal: &Terminal,
) -> Response<Full<Bytes>> {
    let (head, body) = request.into_parts();
    let body = Limited::new(body, BODY_BYTES_MAX).collect().await;
    let (Some(version), Ok(body)) = (version, body) else {
        let mut response = Response::new(Full::default());
        *response.status_mut() = http::StatusCode::SERVICE_UNAVAILABLE;
        return response;
    };
    let headers: Vec<(&str, &[u8])> =
        head.headers.iter().map(|(name, value)| (name.as_str(), value.as_bytes())).collect();
    let asked = Asked {
        method: head.method.as_str(),
        path: head.uri.path(),
        query: head.uri.query(),
        headers: &headers,
        body: &body.to_bytes(),
    };
    let answered = version.answer(&asked).await;
    let now = jiff::Timestamp::now().strftime("%H:%M:%S");
    terminal.step(&now.to_string(), answered.line);
    answered.response
}
