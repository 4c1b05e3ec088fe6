//! A server's configuration: files, permissions, certificates, addresses, databases and upstreams.

use std::net::{IpAddr, SocketAddr, TcpListener};
use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};

use jiff::{Timestamp, ToSpan};
use tokio_util::task::TaskTracker;
use uuk_globalconf::TrustList;
use uuk_pki::Certificate;
use uuk_plugin_host::capabilities::sql::{Database, DatabaseGrant};
use uuk_plugin_host::reload::Deployment;
use uuk_process::ErrorChain;
use uuk_transport::{Listener, ListenerConfig, ListenerError, Upstream};

use super::{Report, machine};
use crate::administration::{self, Answer, Request};
use crate::assemble::read_kept;
use crate::config::{Config, ConfigError};
use crate::exchange::Exchange;
use crate::governance::Governor;

const DATABASE_TIME_MAX: Duration = Duration::from_secs(2);
const EXPIRY_WARNING_DAYS: i64 = 30;

pub(super) async fn check(report: &mut Report<'_>, path: &Path) {
    let config = match Config::load(path) {
        Ok(config) => config,
        Err(ConfigError::Invalid { problems, .. }) => {
            for problem in problems {
                report.fail(
                    "configuration",
                    problem.trim_end(),
                    "correct it; see host/docs/operating/configuration.md",
                );
            }
            return;
        }
        Err(error) => {
            return report.fail(
                "configuration",
                ErrorChain(&error).to_string(),
                "name the file with --config",
            );
        }
    };
    report.ok("configuration", path.display().to_string());
    folders(report, &config);
    let governance = read_kept(&config);
    // Clients are admitted by the certificates of both.
    let mut listener = config.listener.clone();
    listener.client_certificates.extend(governance.iter().flat_map(|read| read.client_certificates.clone()));
    let is_running = administration::ask(&config.files.state, &Request::List).is_ok();
    addresses(report, &config, &listener, is_running);
    networks(report, &config);
    exchange(report, &config).await;
    let mut certificates = certificates_of(&listener);
    certificates.extend(config.behind.iter().flat_map(certificates_of));
    if config.governance.trust == Governor::File {
        certificates.extend(trusted_certificates(&config.files.trust));
    }
    for file in certificates {
        expiry(report, &file);
    }
    match governance {
        Err(error) => {
            report.fail(
                "governance",
                ErrorChain(&error).to_string(),
                "correct the file named; what was in force stays",
            );
        }
        Ok(governance) => {
            report.ok("governance", "catalog, trust, clients and grants are readable");
            governance.sources(&config).into_iter().for_each(|finding| report.add(finding));
            for deployment in &governance.policy.deployments {
                sources(report, deployment).await;
            }
        }
    }
}

fn folders(report: &mut Report<'_>, config: &Config) {
    let plugins = &config.files.plugins;
    match tempfile::Builder::new().prefix(".uuk-doctor-").tempfile_in(plugins) {
        Ok(_) => report.ok("plugin folder", plugins.display().to_string()),
        Err(error) => report.warn(
            "plugin folder",
            format!("{}: {error}", plugins.display()),
            "make it, or run this as the user who drops bundles",
        ),
    }
    let state = &config.files.state;
    match std::fs::metadata(state).map(|metadata| metadata.permissions().mode() & 0o777) {
        Ok(mode) if mode & 0o077 == 0 => report.ok("state folder", state.display().to_string()),
        Ok(mode) => report.warn(
            "state folder",
            format!("{} may be entered by others (mode {mode:o})", state.display()),
            format!("chmod 700 '{}'", state.display()),
        ),
        Err(_) => report.ok("state folder", format!("{} will be made", state.display())),
    }
}

/// A listener that can be set up has its TLS files and a free port.
fn addresses(report: &mut Report<'_>, config: &Config, listener: &ListenerConfig, is_running: bool) {
    bind(report, "listener", listener, is_running);
    if let Some(behind) = &config.behind {
        bind(report, "behind", behind, is_running);
    }
    let exchange = config.exchange.iter().flat_map(Exchange::addresses);
    for (what, address) in exchange.chain([("operations", config.operations.address)]) {
        match TcpListener::bind(address) {
            Ok(_) => report.ok(what, address.to_string()),
            Err(error) => {
                taken(report, what, address, &format!("cannot listen on {address}: {error}"), is_running);
            }
        }
    }
}

/// Whether anything listens where nobody meant it to.
fn networks(report: &mut Report<'_>, config: &Config) {
    let named = &config.server.networks;
    if !named.is_empty() {
        let named: Vec<_> = named.iter().map(ToString::to_string).collect();
        return report.ok("networks", format!("listens in {} only, and on this machine", named.join(", ")));
    }
    let exposed: Vec<_> = config.addresses().filter(|(_, address)| is_exposed(address.ip())).collect();
    if exposed.is_empty() {
        return report.ok("networks", "listens on private addresses only");
    }
    let exposed: Vec<_> = exposed.iter().map(|(key, address)| format!("{key} {address}")).collect();
    report.warn(
        "networks",
        format!("can be reached from anywhere: {}", exposed.join(", ")),
        "say in uuk.toml where it may listen: `networks` in [server]",
    );
}

/// In every network, or in that of everyone.
fn is_exposed(address: IpAddr) -> bool {
    address.is_unspecified()
        || match address {
            IpAddr::V4(address) => {
                !address.is_private() && !address.is_loopback() && !address.is_link_local()
            }
            IpAddr::V6(address) => {
                !address.is_unique_local() && !address.is_loopback() && !address.is_unicast_link_local()
            }
        }
}

/// A running server knows how it stands; otherwise there are only files.
async fn exchange(report: &mut Report<'_>, config: &Config) {
    let Some(exchange) = &config.exchange else { return };
    machine::check_address(report);
    if let Ok(Answer::Exchange { findings }) = administration::ask(&config.files.state, &Request::Exchange) {
        return findings.into_iter().for_each(|finding| report.add(finding));
    }
    exchange.inspect(config).into_iter().for_each(|finding| report.add(finding));
    report.add(Exchange::inspect_message_log(config).await);
}

fn bind(report: &mut Report<'_>, what: &str, config: &ListenerConfig, is_running: bool) {
    if let Some(identity) = &config.identity {
        private(report, what, &identity.key);
    }
    match Listener::bind(config.clone()) {
        Ok(listener) => report.ok(what, listener.address().to_string()),
        Err(error @ ListenerError::Bind { .. }) => {
            taken(report, what, config.address, &ErrorChain(&error).to_string(), is_running);
        }
        Err(error) => {
            report.fail(what, ErrorChain(&error).to_string(), format!("uuk explain {}", error.code()));
        }
    }
}

fn taken(report: &mut Report<'_>, what: &str, address: SocketAddr, error: &str, is_running: bool) {
    if is_running {
        report.ok(what, format!("{address}, in use by this server, which runs"));
    } else {
        report.fail(what, error, format!("end what uses {address}, or choose another address"));
    }
}

/// A key that others can read is not a secret.
fn private(report: &mut Report<'_>, what: &str, file: &Path) {
    let Ok(metadata) = std::fs::metadata(file) else { return };
    if metadata.permissions().mode() & 0o077 != 0 {
        let detail = format!("{} may be read by others", file.display());
        report.warn(what, detail, format!("chmod 600 '{}'", file.display()));
    }
}

fn certificates_of(listener: &ListenerConfig) -> Vec<PathBuf> {
    let identity = listener.identity.iter().map(|identity| &identity.certificate);
    identity.chain(&listener.client_certificates).chain(&listener.client_authorities).cloned().collect()
}

fn trusted_certificates(trust: &Path) -> Vec<PathBuf> {
    let list = std::fs::read_to_string(trust).ok().and_then(|text| TrustList::parse(&text).ok());
    let list = list.unwrap_or_default();
    let folder = trust.parent().unwrap_or(Path::new(""));
    list.author_certificates.iter().chain(&list.vetting_certificates).map(|file| folder.join(file)).collect()
}

/// Files that cannot be read are what other checks report.
fn expiry(report: &mut Report<'_>, file: &Path) {
    let certificates = std::fs::read(file).ok().and_then(|pem| Certificate::chain_from_pem(&pem).ok());
    let Some(until) = certificates.iter().flatten().map(|certificate| certificate.validity().1).min() else {
        return;
    };
    let now = Timestamp::now();
    let soon = now.checked_add((EXPIRY_WARNING_DAYS * 24).hours()).unwrap_or(now);
    let day = until.strftime("%Y-%m-%d");
    let detail = format!("{}, until {day}", file.display());
    if until < now {
        report.fail("certificate", format!("{}, expired on {day}", file.display()), "renew it");
    } else if until < soon {
        report.warn("certificate", detail, "renew it in time");
    } else {
        report.ok("certificate", detail);
    }
}

/// The databases of a grant answer, and its upstreams can be set up.
async fn sources(report: &mut Report<'_>, deployment: &Deployment) {
    let tasks = TaskTracker::new();
    for (name, granted) in &deployment.grant.datasources {
        let what = format!("`{name}` of {}", deployment.plugin);
        match answers(granted, tasks.clone()).await {
            Ok(took) => report.ok("database", format!("{what} answers in {} ms", took.as_millis())),
            Err((code, reason)) => {
                report.fail("database", format!("{what}: {reason}"), format!("uuk explain {code}"));
            }
        }
    }
    for (name, granted) in &deployment.grant.upstreams {
        let what = format!("`{name}` of {}", deployment.plugin);
        match Upstream::build(granted) {
            Ok(_) => report.ok("upstream", format!("{what} is set up for {}", granted.base)),
            Err(error) => report.fail(
                "upstream",
                format!("{what}: {}", ErrorChain(&error)),
                format!("uuk explain {}", error.code()),
            ),
        }
    }
    tasks.close();
    tasks.wait().await;
}

async fn answers(granted: &DatabaseGrant, tasks: TaskTracker) -> Result<Duration, (&'static str, String)> {
    let database = Database::connect(granted.clone(), tasks)
        .map_err(|error| (error.code(), ErrorChain(&error).to_string()))?;
    let started = Instant::now();
    let answered = database.answers(started + DATABASE_TIME_MAX).await;
    answered.map_err(|error| (error.code(), ErrorChain(&error).to_string()))?;
    Ok(started.elapsed())
}
