//! The section `[message_log]` of the configuration.

use std::path::{Path, PathBuf};
use std::time::Duration;

use serde::Deserialize;
use uuk_transport::UpstreamConfig;

use crate::archive_place::BucketConfig;
use crate::encryption::EncryptionKey;

/// Section `[message_log]`: what is kept of messages, where, and for how long.
#[derive(Debug, Clone, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct MessageLogConfig {
    /// `sqlite:PATH`, or `postgres://USER@HOST/DATABASE` for several servers of one identity. A server that is not on
    /// this machine must prove who it is by its certificate. Default: `sqlite:state/messages.db`.
    pub database: String,
    /// File of the database user's password. Default: none.
    pub password_file: Option<PathBuf>,
    /// Keys that encrypt message bodies in the database: the first encrypts, all decrypt. Default: none, and bodies are
    /// stored as they are.
    pub encryption_keys: Vec<EncryptionKey>,
    /// Longer attachments are not kept whole, in bytes; a REST body is one. Of one message, 48 MiB are kept at most.
    /// Default: 10 MiB.
    pub attachment_bytes_max: usize,
    /// What happens to longer ones: `leave-out` keeps their digest, `refuse` refuses the message. Default: `leave-out`.
    pub larger_attachments: LargerAttachments,
    /// When records are time-stamped, and by whom.
    pub time_stamping: TimeStampingConfig,
    /// Where records are archived.
    pub archive: ArchiveConfig,
}

/// What happens to attachments that are too large to keep.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum LargerAttachments {
    /// Their digest is kept, which the signature covers.
    #[default]
    LeaveOut,
    /// The message is refused.
    Refuse,
}

impl Default for MessageLogConfig {
    fn default() -> Self {
        Self {
            database: "sqlite:state/messages.db".to_owned(),
            password_file: None,
            encryption_keys: Vec::new(),
            attachment_bytes_max: 10 << 20,
            larger_attachments: LargerAttachments::LeaveOut,
            time_stamping: TimeStampingConfig::default(),
            archive: ArchiveConfig::default(),
        }
    }
}

impl MessageLogConfig {
    /// Makes the files it names relative to `folder`, where it was read.
    pub fn resolve(&mut self, folder: &Path) {
        if let Some(path) = self.database.strip_prefix("sqlite:") {
            let path = path.strip_prefix("//").unwrap_or(path);
            self.database = format!("sqlite:{}", folder.join(path).display());
        }
        let keys = self.encryption_keys.iter_mut().map(|key| &mut key.file);
        for file in keys.chain(&mut self.password_file) {
            *file = folder.join(&*file);
        }
        for authority in &mut self.time_stamping.authorities {
            authority.resolve(folder);
        }
        self.archive.resolve(folder);
    }
}

/// Section `[message_log.time_stamping]`.
#[derive(Debug, Clone, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct TimeStampingConfig {
    /// Time-stamping authorities, asked in this order until one stamps; the global configuration must approve of them.
    /// Without any, every message is refused.
    pub authorities: Vec<UpstreamConfig>,
    /// How often. Default: what the private parameters of the instance say, between a minute and a day.
    #[serde(with = "jiff::fmt::serde::unsigned_duration::friendly::compact::optional")]
    pub interval: Option<Duration>,
    /// Whether each message is stamped before it leaves. Default: false.
    pub immediately: bool,
    /// After a failure, one record is tried after this time. Default: 1 min.
    #[serde(with = "jiff::fmt::serde::unsigned_duration::friendly::compact::required")]
    pub retry_delay: Duration,
    /// Messages are refused when time-stamping has failed for this long; 0: never. Of those accepted meanwhile, a
    /// verifier has to believe when they were signed: for up to 4 h it does unasked. Default: 4 h.
    #[serde(with = "jiff::fmt::serde::unsigned_duration::friendly::compact::required")]
    pub acceptable_failure_period: Duration,
    /// Records that share a time-stamp at most. What each keeps of it grows with the logarithm of their number, and what
    /// making it takes of memory with their number: 4096 take some 20 MiB. Default: 4096.
    pub records_max: u32,
}

impl Default for TimeStampingConfig {
    fn default() -> Self {
        Self {
            authorities: Vec::new(),
            interval: None,
            immediately: false,
            retry_delay: Duration::from_secs(60),
            acceptable_failure_period: Duration::from_secs(4 * 3600),
            records_max: 4096,
        }
    }
}

/// Section `[message_log.archive]`.
#[derive(Debug, Clone, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct ArchiveConfig {
    /// Folder of the archives. Default: `archive`.
    pub folder: PathBuf,
    /// Bucket of the archives, in place of the folder. Default: none.
    pub bucket: Option<BucketConfig>,
    /// How often time-stamped records are archived. Default: 6 h.
    #[serde(with = "jiff::fmt::serde::unsigned_duration::friendly::compact::required")]
    pub interval: Duration,
    /// An archive that has reached this many bytes is closed, and another is begun. Default: 32 MiB.
    pub bytes_max: usize,
    /// Which records share archives: those of `none` (all), of one `member`, or of one `subsystem`. Default: `none`.
    pub grouping: Grouping,
    /// Archived records stay in the database this many days. Default: 30.
    pub keep_days: u32,
}

/// Which records share archives.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Grouping {
    /// All.
    #[default]
    None,
    /// Those of one member.
    Member,
    /// Those of one subsystem.
    Subsystem,
}

impl Default for ArchiveConfig {
    fn default() -> Self {
        Self {
            folder: "archive".into(),
            bucket: None,
            interval: Duration::from_secs(6 * 3600),
            bytes_max: 32 << 20,
            grouping: Grouping::None,
            keep_days: 30,
        }
    }
}

impl ArchiveConfig {
    fn resolve(&mut self, folder: &Path) {
        self.folder = folder.join(&self.folder);
        if let Some(bucket) = &mut self.bucket {
            bucket.resolve(folder);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn reads_what_an_operator_writes() {
        let mut config: MessageLogConfig = toml::from_str(
            "database = 'sqlite:log/messages.db'\n\
             larger_attachments = 'refuse'\n\
             encryption_keys = [{ id = 'k1', file = 'k1.key' }]\n\
             [time_stamping]\n\
             authorities = [{ base = 'http://tsa.example.kg/stamp', networks = ['10.0.0.0/8'] }]\n\
             acceptable_failure_period = '48h'\n\
             interval = '5m'\n\
             [archive]\n\
             folder = '/srv/archive'\n\
             grouping = 'member'\n\
             keep_days = 90\n",
        )
        .unwrap();
        config.resolve(Path::new("/etc/uuk"));
        assert_eq!(config.database, "sqlite:/etc/uuk/log/messages.db");
        assert_eq!(config.encryption_keys[0].file, Path::new("/etc/uuk/k1.key"));
        assert_eq!(config.larger_attachments, LargerAttachments::Refuse);
        assert_eq!(config.time_stamping.interval, Some(Duration::from_secs(300)));
        assert_eq!(config.time_stamping.acceptable_failure_period, Duration::from_secs(2 * 24 * 3600));
        assert_eq!(
            (config.archive.folder.as_path(), config.archive.grouping),
            (Path::new("/srv/archive"), Grouping::Member)
        );
    }

    #[test]
    fn a_server_elsewhere_is_no_file() {
        let mut config =
            MessageLogConfig { database: "postgres://db/log".to_owned(), ..MessageLogConfig::default() };
        config.resolve(Path::new("/etc/uuk"));
        assert_eq!(config.database, "postgres://db/log");
    }

    #[test]
    fn refuses_a_misspelt_key() {
        assert!(toml::from_str::<MessageLogConfig>("data_base = 'sqlite:a.db'").is_err());
        assert!(toml::from_str::<MessageLogConfig>("[archive]\ngroup = 'none'").is_err());
    }
}
