//! Orders to a running server, over a Unix socket in its state folder that only its user can open.
//!
//! One JSON object per connection in each direction. What may be said is [`Request`].

use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;

use serde::{Deserialize, Serialize};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{UnixListener, UnixStream};
use tokio::time::timeout;
use tokio_util::sync::CancellationToken;
use tokio_util::task::TaskTracker;
use uuk_bundle::BundleDigest;
use uuk_message::ManagementRequest;
use uuk_plugin_host::capabilities::log::LogLine;
use uuk_plugin_host::reload::{Order, PluginStatus, ReloadHandle};
use uuk_process::ErrorChain;
use uuk_proxy::ClientProxy;

use crate::exchange::Findings;
use crate::finding::Finding;

/// Name of the socket in the state folder.
const SOCKET: &str = "admin.sock";
/// A request fits easily; a longer one is not one of ours.
const REQUEST_BYTES_MAX: u64 = 64 << 10;
/// A client on the same machine that is slower than this is gone.
const EXCHANGE_TIME_MAX: Duration = Duration::from_secs(10);
/// A server may have to ask others first.
const ANSWER_TIME_MAX: Duration = Duration::from_secs(120);

/// Why a plugin stays as it is.
const PLUGIN_ORDER: &str = "plugin.order_refused";

/// What a command asks of the server.
#[derive(Debug, Serialize, Deserialize)]
#[serde(tag = "ask", rename_all = "snake_case")]
pub(crate) enum Request {
    /// All bundles known.
    List,
    /// How it stands with the exchange.
    Exchange,
    /// Last log lines of a plugin.
    Logs { plugin: String },
    /// Let a bundle serve, where approval is asked for.
    Approve { digest: BundleDigest },
    /// Let a bundle serve in place of the newest.
    Activate { digest: BundleDigest },
    /// Back to the version before.
    Rollback { plugin: String },
    /// Out of service.
    Quarantine { digest: BundleDigest, reason: String },
    /// Back into service.
    Release { digest: BundleDigest },
    /// Ask the central server; with `dry_run`, whether it would take the request.
    Register { request: ManagementRequest, dry_run: bool },
}

/// What the server says.
#[derive(Debug, Serialize, Deserialize)]
#[serde(tag = "answer", rename_all = "snake_case")]
pub(crate) enum Answer {
    Plugins {
        plugins: Vec<PluginStatus>,
    },
    Exchange {
        findings: Vec<Finding>,
    },
    Logs {
        lines: Vec<LogLine>,
    },
    Done,
    /// The central server knows the request by this number.
    Registered {
        number: u64,
    },
    Refused {
        code: String,
        reason: String,
    },
}

/// What orders and questions are about.
#[derive(Clone)]
pub(crate) struct Served {
    pub(crate) plugins: ReloadHandle,
    /// How it stands with the exchange, if there is one.
    pub(crate) exchange: Option<Findings>,
    /// Who asks the central server, likewise.
    pub(crate) client_proxy: Option<Arc<ClientProxy>>,
}

/// Why the socket can not be used.
#[derive(Debug, thiserror::Error)]
pub enum AdministrationError {
    #[error("cannot listen on {}", path.display())]
    Bind {
        path: PathBuf,
        #[source]
        source: std::io::Error,
    },
    #[error("another server uses the state folder {}", path.display())]
    InUse { path: PathBuf },
    #[error("no server answers at {}", path.display())]
    Unreachable {
        path: PathBuf,
        #[source]
        source: std::io::Error,
    },
    #[error("the server's answer is not readable")]
    Malformed(#[source] serde_json::Error),
}

/// The server's end.
pub(crate) struct Administration {
    socket: UnixListener,
    path: PathBuf,
}

impl Administration {
    /// Binds the socket; one that a killed server left behind is replaced.
    pub(crate) fn bind(state: &Path) -> Result<Self, AdministrationError> {
        let path = state.join(SOCKET);
        if std::os::unix::net::UnixStream::connect(&path).is_ok() {
            return Err(AdministrationError::InUse { path: state.to_owned() });
        }
        let _ = std::fs::remove_file(&path);
        let bind = |source| AdministrationError::Bind { path: path.clone(), source };
        let socket = UnixListener::bind(&path).map_err(bind)?;
        std::fs::set_permissions(&path, std::fs::Permissions::from_mode(0o600)).map_err(bind)?;
        Ok(Self { socket, path })
    }

    /// Answers until `stop`.
    pub(crate) async fn run(self, served: Served, stop: CancellationToken) {
        let connections = TaskTracker::new();
        while let Some(accepted) = stop.run_until_cancelled(self.socket.accept()).await {
            let Ok((stream, _)) = accepted else {
                tokio::time::sleep(Duration::from_millis(100)).await;
                continue;
            };
            let served = served.clone();
            connections.spawn(async move {
                if exchange(stream, &served).await.is_err() {
                    tracing::warn!("A connection to the administration socket broke off");
                }
            });
        }
        connections.close();
        connections.wait().await;
        let _ = std::fs::remove_file(&self.path);
    }
}

async fn exchange(mut stream: UnixStream, served: &Served) -> std::io::Result<()> {
    let mut request = Vec::new();
    let mut bounded = (&mut stream).take(REQUEST_BYTES_MAX);
    timeout(EXCHANGE_TIME_MAX, bounded.read_to_end(&mut request)).await??;
    let answer = match serde_json::from_slice(&request) {
        Ok(request) => answer(request, served).await,
        Err(error) => refused("administration.malformed", error),
    };
    let answer = serde_json::to_vec(&answer)?;
    timeout(EXCHANGE_TIME_MAX, stream.write_all(&answer)).await??;
    stream.shutdown().await
}

fn refused(code: &str, reason: impl std::fmt::Display) -> Answer {
    Answer::Refused { code: code.to_owned(), reason: reason.to_string() }
}

async fn answer(request: Request, Served { plugins, exchange, client_proxy }: &Served) -> Answer {
    let order = match request {
        Request::List => return Answer::Plugins { plugins: plugins.status().to_vec() },
        Request::Exchange => {
            let findings = exchange.as_ref().map(|findings| findings.borrow().to_vec());
            return Answer::Exchange { findings: findings.unwrap_or_default() };
        }
        Request::Logs { plugin } => {
            let routes = plugins.registry().snapshot();
            let mut found = routes.services().map(|(_, route)| &route.active().plugin);
            let found = found.find(|one| one.manifest().plugin.id == plugin);
            return match found {
                Some(found) => Answer::Logs { lines: found.log_lines() },
                None => refused(PLUGIN_ORDER, format_args!("plugin `{plugin}` does not serve")),
            };
        }
        Request::Approve { digest } => Order::Approve(digest),
        Request::Activate { digest } => Order::Activate(digest),
        Request::Rollback { plugin } => Order::Rollback { plugin },
        Request::Quarantine { digest, reason } => Order::Quarantine { digest, reason },
        Request::Release { digest } => Order::Release(digest),
        Request::Register { request, dry_run } => {
            let Some(client_proxy) = client_proxy else {
                return refused("registration.no_exchange", "this server takes part in no exchange");
            };
            let service = request.service();
            tracing::info!("An operator has the central server asked: {service}");
            return match client_proxy.ask_central(&request, dry_run).await {
                Ok(number) => Answer::Registered { number },
                Err(error) => refused(error.code(), ErrorChain(&error)),
            };
        }
    };
    tracing::info!(?order, "Order of an operator");
    match plugins.order(order).await {
        Ok(()) => Answer::Done,
        Err(reason) => refused(PLUGIN_ORDER, reason),
    }
}

/// Asks the server whose state folder is `state`.
pub(crate) fn ask(state: &Path, request: &Request) -> Result<Answer, AdministrationError> {
    use std::io::{Read, Write};

    let path = state.join(SOCKET);
    let exchanged = (|| {
        let mut stream = std::os::unix::net::UnixStream::connect(&path)?;
        stream.set_read_timeout(Some(ANSWER_TIME_MAX))?;
        stream.write_all(&serde_json::to_vec(request)?)?;
        stream.shutdown(std::net::Shutdown::Write)?;
        let mut answer = Vec::new();
        stream.read_to_end(&mut answer)?;
        Ok(answer)
    })();
    let answer = exchanged.map_err(|source| AdministrationError::Unreachable { path, source })?;
    serde_json::from_slice(&answer).map_err(AdministrationError::Malformed)
}
