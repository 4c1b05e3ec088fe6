use std::collections::{BTreeMap, BTreeSet};
use std::error::Error;
use std::fs::File;
use std::io::{self, Read};
use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

use futures_util::future::join_all;
use jiff::Timestamp;
use metrics::{counter, gauge};
use tokio::sync::{Mutex, watch};
use tokio_util::sync::CancellationToken;
use tracing::{info, warn};
use uuk_globalconf::{Anchor, Courier, Extensions, GlobalConfiguration, GlobalConfigurationError};
use uuk_pki::CertificateProfiles;
use uuk_process::{Clock, ErrorChain};

use crate::config::ConfigurationClientConfig;
use crate::download::{Downloader, Wanted};
use crate::error::{RefreshError, StoreError};
use crate::instance_files::InstanceFiles;
use crate::store::{Store, Stored, folder_name};

/// An anchor has some kilobytes.
const ANCHOR_BYTES_MAX: u64 = 1 << 20;
/// All files of a country, in base64.
const COURIER_BYTES_MAX: u64 = 64 << 20;
/// More other instances are not followed.
const FEDERATED_MAX: usize = 32;
/// The wait after a first failure.
const RETRY_TIME: Duration = Duration::from_secs(2);

/// Keeps the global configuration fresh. Cheap to clone: clones are the same client.
#[derive(Debug, Clone)]
pub struct ConfigurationClient {
    refresher: Arc<Mutex<Refresher>>,
    update_interval: Duration,
    configuration: watch::Sender<Option<Arc<GlobalConfiguration>>>,
    status: watch::Sender<ConfigurationStatus>,
}

/// How it stands with the configuration, for operators.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct ConfigurationStatus {
    /// The last instant at which what is in force counts; absent if nothing is, or if it counts for ever.
    pub expires: Option<Timestamp>,
    /// When it was last found to be fresh.
    pub refreshed: Option<Timestamp>,
    /// What has gone wrong since then.
    pub problem: Option<ConfigurationProblem>,
    /// Why what is in force is not on disk, so that it would be missing after a restart.
    pub not_kept: Option<ConfigurationProblem>,
}

/// What has gone wrong.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ConfigurationProblem {
    /// The stable code.
    pub code: &'static str,
    /// The reason, to the end.
    pub text: String,
}

type Instances = BTreeMap<String, Arc<InstanceFiles>>;

/// A configuration and the last instant at which it counts.
#[derive(Debug)]
struct Assembled {
    configuration: GlobalConfiguration,
    expires: Option<Timestamp>,
}

#[derive(Debug)]
struct Refresher {
    config: ConfigurationClientConfig,
    profiles: CertificateProfiles,
    clock: Clock,
    store: Store,
    downloader: Downloader,
    instances: Instances,
    /// Which other instances fail, as was logged once.
    failing: BTreeSet<String>,
}

impl ConfigurationClient {
    /// Begins with what the folder holds, if that still counts. `profiles` are those that approved authorities may name.
    ///
    /// # Errors
    /// [`RefreshError::AnchorUnreadable`] or [`RefreshError::AnchorMalformed`]: without an anchor nothing will ever be
    /// downloaded. What is wrong with the folder is logged; downloading mends it.
    pub fn build(
        config: ConfigurationClientConfig,
        profiles: CertificateProfiles,
        clock: Clock,
    ) -> Result<Self, RefreshError> {
        let anchor = config.anchor.as_deref().map(read_anchor).transpose()?;
        let update_interval = config.update_interval;
        let mut refresher = Refresher {
            store: Store::new(config.folder.clone()),
            downloader: Downloader::new(config.authorities.clone(), clock.clone()),
            instances: Instances::new(),
            failing: BTreeSet::new(),
            config,
            profiles,
            clock,
        };
        let main = anchor.map(|anchor| anchor.instance);
        let stored = refresher.store.read().map_err(RefreshError::from);
        let kept = stored.and_then(|stored| refresher.adopt(stored, main));
        let client = Self {
            refresher: Arc::new(Mutex::new(refresher)),
            update_interval,
            configuration: watch::Sender::new(None),
            status: watch::Sender::default(),
        };
        match kept {
            Ok(kept) => client.put_in_force(kept),
            // Nothing was downloaded yet.
            Err(RefreshError::Configuration(GlobalConfigurationError::MissingMainInstance { .. })) => {}
            Err(error) => warn!(error = %ErrorChain(&error), "The global configuration on disk is not used"),
        }
        Ok(client)
    }

    /// The configuration in force; nothing until one was downloaded or found on disk.
    pub fn configuration(&self) -> watch::Receiver<Option<Arc<GlobalConfiguration>>> {
        self.configuration.subscribe()
    }

    /// How it stands.
    pub fn status(&self) -> watch::Receiver<ConfigurationStatus> {
        self.status.subscribe()
    }

    /// Refreshes until `stop`. Failures are logged and shown by [`ConfigurationClient::status`].
    pub async fn run(self, stop: CancellationToken) {
        let mut failures = 0;
        while let Some(refreshed) = stop.run_until_cancelled(self.refresh_once()).await {
            failures = if refreshed.is_ok() { 0 } else { failures + 1 };
            let pause = tokio::time::sleep(pause(self.update_interval, failures));
            if stop.run_until_cancelled(pause).await.is_none() {
                break;
            }
        }
    }

    /// Refreshes now.
    ///
    /// Other instances are followed after our own is in force, and whatever happens to them is only logged. The same
    /// holds for what cannot be written to disk: it is in force nevertheless.
    ///
    /// # Errors
    /// [`RefreshError`]; what was in force stays.
    ///
    /// # Cancellation
    /// Leaves each file on disk whole.
    pub async fn refresh_once(&self) -> Result<(), RefreshError> {
        let mut refresher = self.refresher.lock().await;
        let refreshed = self.refresh(&mut refresher).await;
        let outcome = if refreshed.is_ok() { "success" } else { "failure" };
        counter!("uuk_configuration_refreshes_total", "outcome" => outcome).increment(1);
        match &refreshed {
            Ok(()) => self.tell_success(refresher.clock.now()),
            Err(error) => self.tell_failure(error),
        }
        refreshed
    }

    async fn refresh(&self, refresher: &mut Refresher) -> Result<(), RefreshError> {
        let Some(path) = refresher.config.anchor.clone() else {
            let stored = refresher.read_store().await?;
            self.put_in_force(refresher.adopt(stored, None)?);
            return Ok(());
        };
        let anchor = read_anchor(&path)?;
        let (main, assembled) = refresher.download_main(&anchor).await?;
        self.put_in_force(assembled);
        if refresher.follow_federated(&main).await {
            self.put_in_force(refresher.assemble(&anchor.instance, &refresher.instances)?);
        }
        self.tell_kept(refresher.keep(anchor.instance).await.err());
        Ok(())
    }

    fn put_in_force(&self, Assembled { configuration, expires }: Assembled) {
        if let Some(expires) = expires {
            gauge!("uuk_configuration_expires_seconds").set(expires.as_second() as f64);
        }
        self.status.send_modify(|status| status.expires = expires);
        let configuration = Arc::new(configuration);
        let before = self.configuration.send_replace(Some(configuration.clone()));
        // Each once, not each minute.
        let texts = |one: &GlobalConfiguration| -> BTreeSet<_> {
            one.left_out().iter().map(|left_out| ErrorChain(left_out).to_string()).collect()
        };
        let known = before.as_deref().map(texts).unwrap_or_default();
        for error in texts(&configuration).difference(&known) {
            warn!(error, "An authority of the global configuration is not trusted");
        }
    }

    fn tell_success(&self, now: Timestamp) {
        self.status.send_modify(|status| {
            if status.problem.take().is_some() || status.refreshed.is_none() {
                info!("The global configuration is fresh");
            }
            status.refreshed = Some(now);
        });
    }

    /// A failure that goes on is logged once.
    fn tell_failure(&self, error: &RefreshError) {
        let problem = Some(ConfigurationProblem::new(error.code(), error));
        self.status.send_modify(|status| {
            if status.problem != problem {
                warn!(error = %ErrorChain(error), "The global configuration is not refreshed, the last one stays");
            }
            status.problem = problem;
        });
    }

    fn tell_kept(&self, error: Option<StoreError>) {
        let problem = error.as_ref().map(|error| ConfigurationProblem::new(error.code(), error));
        self.status.send_modify(|status| {
            if let Some(error) = error.filter(|_| status.not_kept != problem) {
                warn!(error = %ErrorChain(&error), "The global configuration is in force and not on disk");
            }
            status.not_kept = problem;
        });
    }
}

impl ConfigurationProblem {
    fn new(code: &'static str, error: &dyn Error) -> Self {
        Self { code, text: ErrorChain(error).to_string() }
    }
}

impl Refresher {
    /// Takes what is on disk. `main` is the instance of the anchor; without an anchor the folder says it.
    fn adopt(&mut self, stored: Stored, main: Option<String>) -> Result<Assembled, RefreshError> {
        let Stored { main: stored_main, instances, problems } = stored;
        let main = main.or(stored_main).unwrap_or_default();
        for problem in problems {
            if !instances.contains_key(&main) {
                return Err(problem.into());
            }
            if self.failing.insert(problem.to_string()) {
                warn!(error = %ErrorChain(&problem), "An instance on disk is not used");
            }
        }
        let allowed = &self.config.allowed_federations;
        let instances = instances.into_iter().filter(|(name, _)| *name == main || allowed.allow(name));
        let instances = instances.map(|(name, files)| (name, Arc::new(files))).collect();
        let assembled = self.assemble(&main, &instances)?;
        // What has expired still tells where to download from.
        self.instances = instances;
        assembled.configuration.check(self.clock.now())?;
        Ok(assembled)
    }

    /// Downloads our own instance. What does not fit together does not replace what does.
    async fn download_main(
        &mut self,
        anchor: &Anchor,
    ) -> Result<(Arc<InstanceFiles>, Assembled), RefreshError> {
        let kept = self.instances.get(&anchor.instance).map(Arc::as_ref);
        let main = match &self.config.courier {
            Some(courier) => self.unpack(courier, anchor, kept)?,
            None => self.downloader.download(anchor, kept, Wanted::All).await?,
        };
        let main = Arc::new(main);
        let mut instances = self.instances.clone();
        instances.insert(anchor.instance.clone(), main.clone());
        let assembled = self.assemble(&anchor.instance, &instances)?;
        self.instances = instances;
        Ok((main, assembled))
    }

    fn unpack(
        &self,
        path: &Path,
        anchor: &Anchor,
        kept: Option<&InstanceFiles>,
    ) -> Result<InstanceFiles, RefreshError> {
        let file = read_file(path, COURIER_BYTES_MAX);
        let file =
            file.map_err(|source| RefreshError::CourierUnreadable { path: path.to_owned(), source })?;
        let courier = Courier::read(&file)
            .map_err(|source| RefreshError::CourierMalformed { path: path.to_owned(), source })?;
        self.downloader
            .unpack(&courier, anchor, kept)
            .map_err(|source| RefreshError::Courier { path: path.to_owned(), source: Box::new(source) })
    }

    /// Downloads the configurations of other instances that `main` names, and drops those that it no longer names. One
    /// that cannot be downloaded stays as it was, until it expires. Tells whether anything came or went.
    async fn follow_federated(&mut self, main: &InstanceFiles) -> bool {
        let named = main.parameters().private.iter().flat_map(|private| &private.content.federated);
        let mut folders = vec![folder_name(main.instance())];
        let mut followed = Vec::new();
        for anchor in named.filter(|anchor| self.config.allowed_federations.allow(&anchor.instance)) {
            let folder = folder_name(&anchor.instance);
            if !folders.contains(&folder) && followed.len() < FEDERATED_MAX {
                folders.push(folder);
                followed.push(anchor);
            }
        }
        let downloads = followed.iter().map(|anchor| {
            let kept = self.instances.get(&anchor.instance).map(Arc::as_ref);
            self.downloader.download(anchor, kept, Wanted::Shared)
        });
        let downloads = join_all(downloads).await;
        let before = self.instances.len();
        let is_named = |name: &str| followed.iter().any(|anchor| anchor.instance == name);
        self.instances.retain(|name, _| name == main.instance() || is_named(name));
        let mut changed = self.instances.len() != before;
        for (anchor, downloaded) in followed.into_iter().zip(downloads) {
            let instance = &anchor.instance;
            match downloaded {
                Ok(files) => {
                    changed = true;
                    self.failing.remove(instance);
                    self.instances.insert(instance.clone(), Arc::new(files));
                }
                Err(error) => {
                    counter!("uuk_configuration_federation_failures_total").increment(1);
                    if self.failing.insert(instance.clone()) {
                        warn!(error = %ErrorChain(&error), "The instance {instance} is not refreshed");
                    }
                }
            }
        }
        changed
    }

    fn assemble(&self, main: &str, instances: &Instances) -> Result<Assembled, GlobalConfigurationError> {
        let main_files = instances.get(main);
        let extensions = main_files.map_or_else(Extensions::default, |files| files.extensions().clone());
        let parameters = instances.values().map(|files| files.parameters().clone()).collect();
        let configuration = GlobalConfiguration::new(main, parameters, extensions, &self.profiles)?;
        Ok(Assembled { configuration, expires: main_files.and_then(|files| files.expires()) })
    }

    async fn read_store(&self) -> Result<Stored, StoreError> {
        let store = self.store.clone();
        let read = tokio::task::spawn_blocking(move || store.read()).await;
        read.unwrap_or_else(|error| {
            Err(StoreError::Read { path: self.config.folder.clone(), source: io::Error::other(error) })
        })
    }

    /// Writes what is in force to disk.
    async fn keep(&self, main: String) -> Result<(), StoreError> {
        let (store, instances) = (self.store.clone(), self.instances.clone());
        let write = tokio::task::spawn_blocking(move || {
            for files in instances.values() {
                store.write(files)?;
            }
            store.write_main(&main)?;
            store.retain(instances.keys().map(String::as_str))
        });
        write.await.unwrap_or_else(|error| {
            Err(StoreError::Write { path: self.config.folder.clone(), source: io::Error::other(error) })
        })
    }
}

fn read_anchor(path: &Path) -> Result<Anchor, RefreshError> {
    let unreadable = |source| RefreshError::AnchorUnreadable { path: path.to_owned(), source };
    let bytes = read_file(path, ANCHOR_BYTES_MAX).map_err(unreadable)?;
    let malformed = |source| RefreshError::AnchorMalformed { path: path.to_owned(), source };
    Anchor::read(&bytes).map_err(malformed)
}

/// As much of a file as may be there; one that is longer is not what it should be.
fn read_file(path: &Path, bytes_max: u64) -> io::Result<Vec<u8>> {
    let mut bytes = Vec::new();
    File::open(path)?.take(bytes_max).read_to_end(&mut bytes)?;
    Ok(bytes)
}

/// The wait before the next refresh.
fn pause(update_interval: Duration, failures: u32) -> Duration {
    match failures {
        0 => update_interval,
        _ => RETRY_TIME.saturating_mul(2_u32.saturating_pow(failures - 1)).min(update_interval),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn waits_longer_after_each_failure_and_never_longer_than_without() {
        let interval = Duration::from_secs(60);
        for (failures, seconds) in [(0, 60), (1, 2), (2, 4), (5, 32), (6, 60), (u32::MAX, 60)] {
            assert_eq!(pause(interval, failures), Duration::from_secs(seconds));
        }
    }
}
