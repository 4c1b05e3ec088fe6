use std::collections::{BTreeMap, HashMap};
use std::hash::{BuildHasher, RandomState};
use std::path::PathBuf;
use std::sync::{Mutex, PoisonError};
use std::time::{Duration, Instant};

use bytes::Bytes;
use tracing::debug;
use uuk_globalconf::{
    Anchor, Courier, DirectoryUrl, FileEntry, FileMetadata, SHARED_PARAMETERS, SignedDirectory, Source,
    directory_url, download_sources, file_url,
};
use uuk_process::{Clock, ErrorChain};

use crate::error::{RefreshError, SourceError};
use crate::fetch::Fetcher;
use crate::instance_files::{FILE_BYTES_MAX, FILES_MAX, InstanceFiles, KeptFile};

const DIRECTORY_BYTES_MAX: usize = 256 << 10;
/// For all files of one source.
const SOURCE_TIME_MAX: Duration = Duration::from_secs(120);
/// How long it is remembered which version a source has. A central server is upgraded some time.
const VERSION_TIME_MAX: Duration = Duration::from_secs(3600);

/// Which files of an instance are wanted.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Wanted {
    /// Whatever its directory lists: our own instance.
    All,
    /// Its shared parameters: another instance.
    Shared,
}

/// Downloads configurations, and believes only what is signed.
#[derive(Debug)]
pub(crate) struct Downloader {
    fetcher: Fetcher,
    clock: Clock,
    /// How many newer versions a source was found not to have, and when.
    not_found: Mutex<HashMap<String, (usize, Instant)>>,
}

impl Downloader {
    pub(crate) fn new(authorities: PathBuf, clock: Clock) -> Self {
        Self { fetcher: Fetcher::new(authorities), clock, not_found: Mutex::default() }
    }

    /// Downloads from the first source that gives a configuration; `kept` is what is in force.
    pub(crate) async fn download(
        &self,
        anchor: &Anchor,
        kept: Option<&InstanceFiles>,
        wanted: Wanted,
    ) -> Result<InstanceFiles, RefreshError> {
        let in_force = kept.map(|kept| &kept.parameters().shared.content);
        let mut furthest: Option<(String, SourceError)> = None;
        let mut tried = 0;
        for mut group in download_sources(anchor, in_force) {
            // Hashes are keyed anew each time, so that not all members ask the same central server.
            let order = RandomState::new();
            group.sort_by_cached_key(|source| order.hash_one(&source.url));
            for source in group {
                tried += 1;
                let error = match self.download_from(&source, &anchor.instance, kept, wanted).await {
                    Ok(files) => return Ok(files),
                    Err(error) => error,
                };
                debug!(error = %ErrorChain(&error), "{} gives no configuration", source.url);
                if furthest.as_ref().is_none_or(|(_, before)| before.is_silence() || !error.is_silence()) {
                    furthest = Some((source.url, error));
                }
            }
        }
        // An anchor has at least one source.
        let (url, source) = furthest.unwrap_or((String::new(), SourceError::NoSharedParameters));
        let instance = anchor.instance.clone();
        Err(RefreshError::Unavailable { instance, url, tried, source: Box::new(source) })
    }

    /// The configuration that a courier has brought.
    pub(crate) fn unpack(
        &self,
        courier: &Courier,
        anchor: &Anchor,
        kept: Option<&InstanceFiles>,
    ) -> Result<InstanceFiles, SourceError> {
        let certificates: Vec<_> =
            anchor.sources.iter().flat_map(|source| &source.certificates).cloned().collect();
        let directory = SignedDirectory::verify(&courier.directory, &certificates, self.clock.now())?;
        let mut files = BTreeMap::new();
        for entry in wanted(&directory, &anchor.instance, Wanted::All)? {
            let content = courier.files.get(entry.location()).map(Vec::as_slice).unwrap_or_default();
            entry.check(content)?;
            keep(&mut files, entry, &directory, Bytes::copy_from_slice(content));
        }
        InstanceFiles::read(&anchor.instance, files, kept)
    }

    async fn download_from(
        &self,
        source: &Source,
        instance: &str,
        kept: Option<&InstanceFiles>,
        wanted: Wanted,
    ) -> Result<InstanceFiles, SourceError> {
        let deadline = Instant::now() + SOURCE_TIME_MAX;
        let (url, directory) = self.directory(&source.url, deadline).await?;
        let directory = SignedDirectory::verify(&directory, &source.certificates, self.clock.now())?;
        let mut files = BTreeMap::new();
        for entry in self::wanted(&directory, instance, wanted)? {
            let known = kept.and_then(|kept| kept.files().get(entry.file_name()));
            let content = match known.filter(|known| entry.check(&known.content).is_ok()) {
                Some(known) => known.content.clone(),
                None => {
                    let file = file_url(&url, entry.location());
                    let content = self.fetcher.get(&file, FILE_BYTES_MAX, deadline).await?;
                    entry.check(&content)?;
                    content
                }
            };
            keep(&mut files, entry, &directory, content);
        }
        InstanceFiles::read(instance, files, kept)
    }

    /// The newest directory that the source has, and its address.
    async fn directory(&self, source: &str, deadline: Instant) -> Result<(String, Bytes), SourceError> {
        let mut not_found = self.remembered(source);
        let (url, directory) = loop {
            match directory_url(source, not_found) {
                DirectoryUrl::Use(url) => {
                    let directory = self.fetcher.get(&url, DIRECTORY_BYTES_MAX, deadline).await?;
                    break (url, directory);
                }
                DirectoryUrl::Ask(url) => match self.fetcher.find(&url, DIRECTORY_BYTES_MAX, deadline).await?
                {
                    Some(directory) => break (url, directory),
                    None => not_found += 1,
                },
            }
        };
        self.remember(source, not_found);
        Ok((url, directory))
    }

    fn remembered(&self, source: &str) -> usize {
        let mut remembered = self.not_found.lock().unwrap_or_else(PoisonError::into_inner);
        remembered.retain(|_, (_, since)| since.elapsed() < VERSION_TIME_MAX);
        remembered.get(source).map_or(0, |(not_found, _)| *not_found)
    }

    fn remember(&self, source: &str, not_found: usize) {
        let mut remembered = self.not_found.lock().unwrap_or_else(PoisonError::into_inner);
        let known = remembered.entry(source.to_owned()).or_insert((not_found, Instant::now()));
        known.0 = not_found;
    }
}

/// The files of `instance` that a directory lists and that are wanted.
fn wanted<'d>(
    directory: &'d SignedDirectory,
    instance: &str,
    wanted: Wanted,
) -> Result<Vec<&'d FileEntry>, SourceError> {
    let entries = directory.files().iter();
    let entries: Vec<_> =
        entries.filter(|entry| wanted == Wanted::All || entry.identifier() == SHARED_PARAMETERS).collect();
    if entries.len() > FILES_MAX {
        return Err(SourceError::TooManyFiles { files_max: FILES_MAX });
    }
    // Optional parts need not say whose they are.
    let mut named = entries.iter().filter(|entry| !entry.instance().is_empty());
    named.try_for_each(|entry| entry.check_instance(instance))?;
    Ok(entries)
}

fn keep(
    files: &mut BTreeMap<String, KeptFile>,
    entry: &FileEntry,
    directory: &SignedDirectory,
    content: Bytes,
) {
    let (metadata, version) = (FileMetadata::of(entry, directory), directory.version());
    files.insert(entry.file_name().to_owned(), KeptFile { content, metadata, version });
}
