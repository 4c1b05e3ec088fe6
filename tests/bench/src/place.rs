//! The whole server inside this process, so that a native handler can stand beside it.

use std::time::Duration;

use anyhow::{Context, Result};
use metrics_exporter_prometheus::{PrometheusBuilder, PrometheusHandle};
use tokio::task::JoinHandle;
use tokio_util::sync::CancellationToken;
use uuk_e2e::{Client, Guest, Parts, Server, Site, target_folder};
use uuk_plugin_host::Compiler;
use uuk_plugin_host::reload::{ReloadHandle, Stage};
use uuk_process::Clock;
use uuk_process::telemetry::Telemetry;

/// A new version takes over at once, and nothing waits for a rescan.
const SETTINGS: &str = "[plugins]\ncanary_percent = 0\nrescan_every = \"2s\"\n";

/// Turns on what a server has on in production: one log line per message (to nowhere) and metrics.
pub(crate) fn observe() -> Result<PrometheusHandle> {
    Telemetry::build_to(std::io::sink, false, "info", None)?.install()?;
    Ok(PrometheusBuilder::new().install_recorder()?)
}

/// A site with its server, in this process.
pub(crate) struct Place {
    pub(crate) site: Site,
    pub(crate) address: String,
    pub(crate) plugins: ReloadHandle,
    server: JoinHandle<()>,
    stop: CancellationToken,
    _folder: tempfile::TempDir,
}

impl Place {
    /// Serves a new site that `prepare` has furnished.
    pub(crate) async fn serve(
        metrics: PrometheusHandle,
        prepare: impl AsyncFnOnce(&mut Site) -> Result<()>,
    ) -> Result<Self> {
        let folder = tempfile::tempdir()?;
        let mut site = Site::new(folder.path(), "127.0.0.1:0", "127.0.0.1:0", SETTINGS)?;
        prepare(&mut site).await?;
        let config = uuk::Config::load(&folder.path().join("uuk.toml"))?;
        // As the program itself, which this process is not.
        let program = target_folder().join("release/uuk");
        let compiler = Compiler::Apart { program, arguments: vec!["compile".into()] };
        let server = uuk::Server::build(config, Clock::system(), compiler).await?;
        let (address, plugins) = (server.address().to_string(), server.plugins().clone());
        let stop = CancellationToken::new();
        let server = tokio::spawn(server.run(metrics, stop.clone()));
        Ok(Self { site, address, plugins, server, stop, _folder: folder })
    }

    /// Drops a bundle and waits until its version is the one that serves.
    pub(crate) async fn install(&self, file: &str, guest: Guest, version: &str) -> Result<()> {
        self.install_parts(file, Parts::of(guest)?.with_version(version)?).await
    }

    /// As [`Place::install`], with parts that are changed already.
    pub(crate) async fn install_parts(&self, file: &str, parts: Parts) -> Result<()> {
        let bundle = self.site.sign(parts)?;
        let digest = uuk_bundle::BundleDigest::of(&bundle);
        self.site.drop_bundle(file, &bundle)?;
        self.active(digest).await
    }

    /// Waits until the bundle with this digest serves.
    pub(crate) async fn active(&self, digest: uuk_bundle::BundleDigest) -> Result<()> {
        let mut status = self.plugins.watch();
        let serves = status.wait_for(|bundles| {
            bundles.iter().any(|one| one.digest == Some(digest) && one.stage == Stage::Active)
        });
        tokio::time::timeout(Duration::from_secs(60), serves)
            .await
            .with_context(|| format!("bundle {digest} does not serve: {:?}", self.plugins.status()))??;
        Ok(())
    }

    pub(crate) fn client(&self) -> Client {
        Client::new(&self.address)
    }

    pub(crate) async fn end(self) -> Result<()> {
        self.stop.cancel();
        Ok(self.server.await?)
    }
}

/// Resident memory of a server that runs as a process of its own, MiB.
pub(crate) fn resident_mib(server: &mut Server) -> Result<f64> {
    let status = std::fs::read_to_string(format!("/proc/{}/status", server.process().id()))?;
    let kib =
        status.lines().find_map(|line| line.strip_prefix("VmRSS:")?.split_whitespace().next()?.parse().ok());
    kib.map(|kib: f64| kib / 1024.0).context("no VmRSS")
}

/// A person that the generated register has.
pub(crate) const KNOWN: &str = "10101194000000";
