//! The sections `[database]`, `[keys]` and `[publication]` of central.toml.

use std::net::SocketAddr;
use std::path::{Path, PathBuf};
use std::time::Duration;

use serde::Deserialize;
use uuk_transport::{ClientAuthentication, ListenerConfig, ListenerLimits};

/// Section `[database]`: where the registry is.
#[derive(Debug, Clone, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct DatabaseConfig {
    /// `sqlite:PATH`, or `postgres://USER@HOST/DATABASE` for several central servers of one instance. A server that is
    /// not on this machine must prove who it is by its certificate. Default: `sqlite:central.db`.
    pub url: String,
    /// File of the database user's password. Default: none.
    pub password_file: Option<PathBuf>,
}

impl Default for DatabaseConfig {
    fn default() -> Self {
        Self { url: "sqlite:central.db".to_owned(), password_file: None }
    }
}

/// Section `[keys]`: where the keys are that sign the configuration.
#[derive(Debug, Clone, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct KeysConfig {
    /// Folder of encrypted keys; all central servers of an instance have the same. Default: `signing-keys`.
    pub folder: PathBuf,
    /// File of the password that encrypts them. Default: `signing-keys-password`.
    pub password_file: PathBuf,
}

impl Default for KeysConfig {
    fn default() -> Self {
        Self { folder: "signing-keys".into(), password_file: "signing-keys-password".into() }
    }
}

/// Section `[publication]`: where and how often the configuration is published.
#[derive(Debug, Clone, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct PublicationConfig {
    /// Address and port for members, over plain HTTP: what they get is signed. Port 0 lets the system choose. Default:
    /// `127.0.0.1:8080`.
    pub address: SocketAddr,
    /// Bounds on what members may hold.
    pub limits: ListenerLimits,
    /// Likewise with TLS, with `authentication = "tls"`. Default: none.
    pub https: Option<ListenerConfig>,
    /// How often the configuration is signed anew, even if nothing has changed. Default: 1 min.
    #[serde(with = "jiff::fmt::serde::unsigned_duration::friendly::compact::required")]
    pub interval: Duration,
    /// How long what was signed counts. Security servers stop that get nothing newer for so long. Default: 10 min.
    #[serde(with = "jiff::fmt::serde::unsigned_duration::friendly::compact::required")]
    pub lifetime: Duration,
}

impl Default for PublicationConfig {
    fn default() -> Self {
        Self {
            address: SocketAddr::from(([127, 0, 0, 1], 8080)),
            limits: ListenerLimits::default(),
            https: None,
            interval: Duration::from_secs(60),
            lifetime: Duration::from_secs(600),
        }
    }
}

impl DatabaseConfig {
    /// Makes the files it names relative to `folder`, where it was read.
    pub fn resolve(&mut self, folder: &Path) {
        if let Some(path) = self.url.strip_prefix("sqlite:") {
            let path = path.strip_prefix("//").unwrap_or(path);
            self.url = format!("sqlite:{}", folder.join(path).display());
        }
        if let Some(file) = &mut self.password_file {
            *file = folder.join(&*file);
        }
    }
}

impl KeysConfig {
    /// Makes the files it names relative to `folder`, where it was read.
    pub fn resolve(&mut self, folder: &Path) {
        self.folder = folder.join(&self.folder);
        self.password_file = folder.join(&self.password_file);
    }
}

impl PublicationConfig {
    /// What the types cannot say.
    pub fn problems(&self) -> Vec<String> {
        let mut problems = Vec::new();
        if self.interval < Duration::from_secs(1) {
            problems.push("publication.interval: at least 1s".to_owned());
        }
        if self.lifetime < 2 * self.interval {
            problems.push(
                "publication.lifetime: at least twice the interval, so that members survive one that is missed"
                    .to_owned(),
            );
        }
        if self.https.as_ref().is_some_and(|https| https.authentication != ClientAuthentication::Tls) {
            problems.push(
                "publication.https.authentication: members show no certificate when they download; use `tls`"
                    .to_owned(),
            );
        }
        problems
    }

    /// Makes the files it names relative to `folder`, where it was read.
    pub fn resolve(&mut self, folder: &Path) {
        if let Some(https) = &mut self.https {
            https.resolve(folder);
        }
    }
}
