//! The configuration of a server: one TOML file. Every problem is reported at once, with key and remedy.

use std::net::SocketAddr;
use std::path::{Path, PathBuf};
use std::time::Duration;

use ipnet::IpNet;
use serde::Deserialize;
use uuk_globalconf::from_toml;
use uuk_identifiers::ServerId;
use uuk_messagelog::MessageLogConfig;
use uuk_plugin_host::reload::Approval;
use uuk_plugin_host::{Share, WaitingLimits};
use uuk_signer::SignerConfig;
use uuk_transport::{ClientAuthentication, ListenerConfig};

use crate::exchange::Exchange;
use crate::governance::GovernanceConfig;

/// The whole file, `uuk.toml`.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Config {
    /// Who this server is.
    pub(crate) server: Server,
    /// Where the information systems of clients connect.
    pub(crate) listener: ListenerConfig,
    /// Where an X-Road security server connects that uses this one as its information system.
    #[serde(default)]
    pub(crate) behind: Option<ListenerConfig>,
    /// Where orchestrators and Prometheus ask; loopback unless an address is given.
    #[serde(default)]
    pub(crate) operations: Operations,
    /// Files and folders, relative to the configuration's own folder.
    #[serde(default)]
    pub(crate) files: Files,
    /// Who says which services there are, and whose signatures on bundles count.
    #[serde(default)]
    pub(crate) governance: GovernanceConfig,
    /// How plugins are taken into service.
    #[serde(default)]
    pub(crate) plugins: Plugins,
    /// Bounds on one request.
    #[serde(default)]
    pub(crate) requests: Requests,
    /// How messages are exchanged with other security servers.
    #[serde(default)]
    pub(crate) exchange: Option<Exchange>,
    /// Where keys are, and how they sign; in an exchange only.
    #[serde(default)]
    pub(crate) signer: Option<SignerConfig>,
    /// What is kept of messages, where, and for how long; in an exchange only.
    #[serde(default)]
    pub(crate) message_log: Option<MessageLogConfig>,
    /// What is logged, and how.
    #[serde(default)]
    pub(crate) log: Log,
}

/// Section `[server]`.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct Server {
    /// `instance/class/member/server`.
    pub(crate) id: ServerId,
    /// The only networks in which anything of it listens, this machine aside. Default: wherever addresses say.
    #[serde(default)]
    pub(crate) networks: Vec<IpNet>,
}

/// Section `[operations]`: liveness, readiness and metrics over plain HTTP.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub(crate) struct Operations {
    /// Default: `127.0.0.1:8081`.
    pub(crate) address: SocketAddr,
}

impl Default for Operations {
    fn default() -> Self {
        Self { address: SocketAddr::from(([127, 0, 0, 1], 8081)) }
    }
}

/// Section `[files]`.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub(crate) struct Files {
    /// Folder that bundles are dropped into. Default: `plugins`.
    pub(crate) plugins: PathBuf,
    /// Folder of grants, one file per plugin. Default: `grants`.
    pub(crate) grants: PathBuf,
    /// The catalog. Default: `catalog.toml`.
    pub(crate) catalog: PathBuf,
    /// Whose signatures on bundles count. Default: `trust.toml`.
    pub(crate) trust: PathBuf,
    /// Clients and their rights. Default: `clients.toml`.
    pub(crate) clients: PathBuf,
    /// Information systems that answer services over HTTP themselves; there need be none. Default: `backends.toml`.
    pub(crate) backends: PathBuf,
    /// The server's own folder. Default: `state`.
    pub(crate) state: PathBuf,
}

impl Default for Files {
    fn default() -> Self {
        Self {
            plugins: "plugins".into(),
            grants: "grants".into(),
            catalog: "catalog.toml".into(),
            trust: "trust.toml".into(),
            clients: "clients.toml".into(),
            backends: "backends.toml".into(),
            state: "state".into(),
        }
    }
}

/// Section `[plugins]`.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub(crate) struct Plugins {
    /// `automatic` (vetting and grant suffice) or `manual` (`uuk plugin approve`). Default: `automatic`.
    pub(crate) approval: Approval,
    /// Share of calls, in percent, that a new version answers at first; 0: it takes over at once. Default: 10.
    pub(crate) canary_percent: u8,
    /// How long a new version must do well before it takes over. Default: 60 s.
    #[serde(with = "jiff::fmt::serde::unsigned_duration::friendly::compact::required")]
    pub(crate) canary_time: Duration,
    /// How often the folder is scanned without a hint of the file system. Default: 2 s.
    #[serde(with = "jiff::fmt::serde::unsigned_duration::friendly::compact::required")]
    pub(crate) rescan_every: Duration,
    /// A plugin whose bundles are gone from the folder this long is retired; shorter absences are swaps. Default: 10 s.
    #[serde(with = "jiff::fmt::serde::unsigned_duration::friendly::compact::required")]
    pub(crate) removal_grace: Duration,
    /// How often what serves is verified again: a vetting or a certificate may have expired. Default: 1 h.
    #[serde(with = "jiff::fmt::serde::unsigned_duration::friendly::compact::required")]
    pub(crate) verify_every: Duration,
    /// Instances that may live at once, over all plugins. Default: 256.
    pub(crate) instances_max: u32,
    /// Calls that wait at one plugin because it has as many in progress as its manifest says; further ones are refused at
    /// once. Default: 512.
    pub(crate) waiting_max: u32,
    /// How long a call waits there before it is refused. Default: 5 s.
    #[serde(with = "jiff::fmt::serde::unsigned_duration::friendly::compact::required")]
    pub(crate) waiting_time_max: Duration,
}

impl Default for Plugins {
    fn default() -> Self {
        let waiting = WaitingLimits::default();
        Self {
            approval: Approval::Automatic,
            canary_percent: 10,
            canary_time: Duration::from_secs(60),
            rescan_every: Duration::from_secs(2),
            removal_grace: Duration::from_secs(10),
            verify_every: Duration::from_secs(3600),
            instances_max: 256,
            waiting_max: waiting.count_max,
            waiting_time_max: waiting.time_max,
        }
    }
}

impl Plugins {
    pub(crate) fn canary_share(&self) -> Share {
        Share::thousandths(u16::from(self.canary_percent) * 10)
    }
}

/// Section `[requests]`.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub(crate) struct Requests {
    /// A request is given up after this. Default: 30 s.
    #[serde(with = "jiff::fmt::serde::unsigned_duration::friendly::compact::required")]
    pub(crate) time_max: Duration,
    /// Longest request body. Default: 1 MiB.
    pub(crate) body_bytes_max: u64,
}

impl Default for Requests {
    fn default() -> Self {
        Self { time_max: Duration::from_secs(30), body_bytes_max: 1 << 20 }
    }
}

/// Section `[log]`.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub(crate) struct Log {
    /// `text` or `json`. Default: `text`.
    pub(crate) format: LogFormat,
    /// Levels, such as `info` or `info,uuk::plugin=debug`. Default: `info`.
    pub(crate) filter: String,
}

/// How a log line looks.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Deserialize)]
#[serde(rename_all = "lowercase")]
pub(crate) enum LogFormat {
    /// For people.
    #[default]
    Text,
    /// One JSON object per line.
    Json,
}

impl Default for Log {
    fn default() -> Self {
        Self { format: LogFormat::Text, filter: "info".into() }
    }
}

/// Why a configuration is not usable.
#[derive(Debug, thiserror::Error)]
pub enum ConfigError {
    #[error("cannot read configuration {}", path.display())]
    Read {
        path: PathBuf,
        #[source]
        source: std::io::Error,
    },
    #[error("configuration {} is not usable:\n{}", path.display(), problems.join("\n"))]
    Invalid { path: PathBuf, problems: Vec<String> },
}

impl Config {
    /// Reads `path` and makes every file name absolute.
    pub fn load(path: &Path) -> Result<Self, ConfigError> {
        let text = std::fs::read_to_string(path)
            .map_err(|source| ConfigError::Read { path: path.to_owned(), source })?;
        let invalid = |problems| ConfigError::Invalid { path: path.to_owned(), problems };
        let mut config: Self = from_toml(&text).map_err(|error| invalid(vec![error.to_string()]))?;
        let problems = config.problems();
        if !problems.is_empty() {
            return Err(invalid(problems));
        }
        config.resolve(path.parent().unwrap_or(Path::new("")));
        Ok(config)
    }

    /// What spans sections, or what types can not say.
    fn problems(&self) -> Vec<String> {
        let mut problems = Vec::new();
        if self.listener.authentication == ClientAuthentication::Tls {
            problems.push(
                "listener.authentication: with `tls` anyone could call in the name of any client; use `certificate`, \
                 or `none` on a loopback address"
                    .to_owned(),
            );
        }
        if !self.listener.client_authorities.is_empty() {
            problems.push(
                "listener.client_authorities: whom an authority vouches for is still no client; name each client's \
                 certificate in clients.toml"
                    .to_owned(),
            );
        }
        if self.plugins.canary_percent > 100 {
            problems.push("plugins.canary_percent: a share is at most 100".to_owned());
        }
        if self.plugins.rescan_every < Duration::from_millis(100) {
            problems.push("plugins.rescan_every: at least 100ms".to_owned());
        }
        if self.plugins.verify_every < Duration::from_secs(1) {
            problems.push("plugins.verify_every: at least 1s".to_owned());
        }
        if !(1..=4096).contains(&self.plugins.instances_max) {
            problems.push("plugins.instances_max: from 1 to 4096".to_owned());
        }
        if !self.operations.address.ip().is_loopback() {
            problems.push(
                "operations.address: metrics are served on a loopback address only; let an agent on this machine \
                 forward them"
                    .to_owned(),
            );
        }
        problems.extend(self.stray_addresses());
        let of_exchange = [("signer", self.signer.is_some()), ("message_log", self.message_log.is_some())];
        for (section, _) in of_exchange.iter().filter(|(_, is_there)| *is_there && self.exchange.is_none()) {
            problems.push(format!(
                "{section}: nothing is signed or recorded without an exchange; add the section `exchange`, or take this \
                 one away"
            ));
        }
        problems.extend(self.governance.problems(self.exchange.is_some()));
        problems.extend(self.signer.iter().flat_map(SignerConfig::problems));
        problems
    }

    /// Where this server listens, by key.
    pub(crate) fn addresses(&self) -> impl Iterator<Item = (String, SocketAddr)> {
        let listeners = [("listener", Some(&self.listener)), ("behind", self.behind.as_ref())];
        let listeners = listeners.into_iter().filter_map(|(section, one)| Some((section, one?.address)));
        let operations = [("operations", self.operations.address)];
        let of_sections = listeners.chain(operations);
        let of_sections = of_sections.map(|(section, address)| (format!("{section}.address"), address));
        let of_exchange = self.exchange.iter().flat_map(Exchange::addresses);
        of_sections.chain(of_exchange.map(|(key, address)| (key.to_owned(), address)))
    }

    /// What would listen outside the networks that the operator names.
    fn stray_addresses(&self) -> impl Iterator<Item = String> {
        let networks = &self.server.networks;
        let is_stray = |address: &SocketAddr| {
            let within = networks.iter().any(|network| network.contains(&address.ip()));
            !networks.is_empty() && !address.ip().is_loopback() && !within
        };
        self.addresses().filter(move |(_, address)| is_stray(address)).map(|(key, address)| {
            let why = match address.ip().is_unspecified() {
                true => "would listen in every network; give an address of this machine",
                false => "is in none of them",
            };
            format!("{key}: only `server.networks` are allowed, and {address} {why}")
        })
    }

    fn resolve(&mut self, base: &Path) {
        let Files { plugins, grants, catalog, trust, clients, backends, state } = &mut self.files;
        for file in [plugins, grants, catalog, trust, clients, backends, state] {
            *file = base.join(&*file);
        }
        for listener in [Some(&mut self.listener), self.behind.as_mut()].into_iter().flatten() {
            listener.resolve(base);
        }
        if let Some(section) = &mut self.governance.global_configuration {
            section.resolve(base);
        }
        if let Some(exchange) = &mut self.exchange {
            exchange.resolve(base);
            // Both have defaults, with folders of their own.
            self.signer.get_or_insert_default().resolve(base);
            self.message_log.get_or_insert_default().resolve(base);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const LEAST: &str = "[server]\nid = 'KG/GOV/70000001/ss1'\n[listener]\naddress = '127.0.0.1:0'\n";

    fn load(text: &str) -> Result<Config, ConfigError> {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("uuk.toml");
        std::fs::write(&path, text).unwrap();
        Config::load(&path)
    }

    #[test]
    fn the_least_is_a_name_and_an_address() {
        let config = load(LEAST).unwrap();
        assert_eq!(config.listener.authentication, ClientAuthentication::Certificate);
        assert!(config.files.plugins.ends_with("plugins") && config.files.plugins.is_absolute());
    }

    #[test]
    fn every_problem_is_reported_at_once() {
        let text = format!(
            "{LEAST}[plugins]\ncanary_percent = 200\ninstances_max = 0\n[operations]\naddress = '0.0.0.0:1'"
        );
        let Err(ConfigError::Invalid { problems, .. }) = load(&text) else { panic!("accepted") };
        assert_eq!(problems.len(), 3, "{problems:?}");
    }

    #[test]
    fn refuses_clients_that_do_not_show_who_they_are() {
        let door = "[behind]\naddress = '127.0.0.1:0'\n";
        for key in ["authentication = 'tls'\n", "client_authorities = ['ca.pem']\n"] {
            let Err(ConfigError::Invalid { problems, .. }) = load(&format!("{LEAST}{key}")) else {
                panic!("accepted {key}")
            };
            assert_eq!(problems.len(), 1, "{problems:?}");
            assert!(load(&format!("{LEAST}{door}{key}")).is_ok(), "{key} behind a security server");
        }
    }

    #[test]
    fn refuses_keys_and_message_log_without_an_exchange() {
        let exchange = "[exchange.global_configuration]\nanchor = 'anchor.xml'\n";
        for section in ["signer", "message_log"] {
            let text = format!("{LEAST}[{section}]\n");
            let Err(ConfigError::Invalid { problems, .. }) = load(&text) else {
                panic!("accepted {section}")
            };
            assert!(matches!(&*problems, [one] if one.starts_with(section)), "{problems:?}");
            assert!(load(&format!("{text}{exchange}")).is_ok());
        }
        assert!(load(&format!("{LEAST}{exchange}")).unwrap().signer.unwrap().folder.is_absolute());
    }

    #[test]
    fn refuses_an_exchange_that_does_not_say_where_the_global_configuration_comes_from() {
        for (section, said) in [
            ("[exchange]\n", "missing field `global_configuration`"),
            ("[exchange.global_configuration]\nfolder = 'kept'\n", "give `anchor`"),
        ] {
            let Err(error) = load(&format!("{LEAST}{section}")) else { panic!("accepted {section}") };
            assert!(error.to_string().contains(said), "{error}");
        }
    }

    #[test]
    fn refuses_to_listen_outside_the_networks_that_are_named() {
        let with = |networks: &str, address: &str| {
            let text = format!(
                "[server]\nid = 'KG/GOV/70000001/ss1'\nnetworks = [{networks}]\n[listener]\naddress = '{address}:1'\n\
                 [exchange.global_configuration]\nanchor = 'anchor.xml'\n[exchange.listener]\n\
                 address = '10.0.0.5:5500'\n[exchange.certificate_answers]\naddress = '10.0.0.5:5577'\n"
            );
            match load(&text) {
                Ok(_) => String::new(),
                Err(error) => error.to_string(),
            }
        };
        assert_eq!(with("", "0.0.0.0"), "");
        assert_eq!(with("'10.0.0.0/8'", "127.0.0.1"), "", "this machine is always allowed");
        assert_eq!(with("'10.0.0.0/8'", "10.0.0.5"), "");
        assert!(with("'10.0.0.0/8'", "0.0.0.0").contains("listener.address: "), "every network");
        let stray = with("'192.168.0.0/16'", "192.168.0.5");
        let keys = ["exchange.listener.address", "exchange.certificate_answers.address"];
        assert!(keys.iter().all(|key| stray.contains(key)), "{stray}");
        assert_ne!(with("'anywhere'", "10.0.0.5"), "");
    }

    #[test]
    fn refuses_a_misspelt_key() {
        assert!(load(&format!("{LEAST}[plugin]\n")).is_err());
    }
}
