use std::collections::BTreeSet;
use std::path::{Path, PathBuf};
use std::time::Duration;

use serde::Deserialize;

/// Where the global configuration comes from.
#[derive(Debug, Clone, Deserialize)]
#[serde(try_from = "Section")]
pub struct ConfigurationClientConfig {
    /// The anchor by which it is downloaded; without one, what someone else puts into `folder` counts.
    pub anchor: Option<PathBuf>,
    /// File in which it is brought where there is no network, in place of downloading. The anchor decides over it, too.
    pub courier: Option<PathBuf>,
    /// Folder in which what was downloaded is kept, in the layout of X-Road's configuration client.
    pub folder: PathBuf,
    /// Time between two downloads. After a failure it is 2 s at first, twice as long each time, and never longer than
    /// this.
    pub update_interval: Duration,
    /// Other instances whose configuration is followed if ours names them.
    pub allowed_federations: AllowedFederations,
    /// PEM file of the authorities that may vouch for sources with `https`.
    pub authorities: PathBuf,
}

/// What the configuration file says: either `anchor` or `read_from`.
#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Section {
    /// The anchor file that the governing authority handed over; a new one counts without a restart.
    anchor: Option<PathBuf>,
    /// File in which someone brings the configuration to where there is no network: nothing is downloaded then. It is
    /// verified by `anchor` all the same, looked for every `update_interval`, and may be put there at any time.
    courier: Option<PathBuf>,
    /// Folder in which what was downloaded by `anchor` is kept, in the layout of X-Road's configuration client. Default:
    /// `global-configuration`.
    folder: Option<PathBuf>,
    /// In place of `anchor`: a folder in the same layout, which someone else keeps fresh. Nothing is downloaded, and nothing
    /// written to it.
    read_from: Option<PathBuf>,
    /// Time between two downloads. After a failure it is 2 s at first, twice as long each time, and never longer than
    /// this. Default: 60 s.
    #[serde(
        default = "ConfigurationClientConfig::default_update_interval",
        with = "jiff::fmt::serde::unsigned_duration::friendly::compact::required"
    )]
    update_interval: Duration,
    /// Other instances whose configuration is followed if ours names them: `"none"`, `"all"`, or a list of their names.
    /// Default: `"none"`.
    #[serde(default)]
    allowed_federations: AllowedFederations,
    /// PEM file of the authorities that may vouch for sources with `https`. What is downloaded is signed in any case,
    /// and a source that cannot be reached so is asked with `http`. Default:
    /// `/etc/ssl/certs/ca-certificates.crt`.
    #[serde(default = "ConfigurationClientConfig::default_authorities")]
    authorities: PathBuf,
}

/// Which other instances are followed.
#[derive(Debug, Clone, Default, PartialEq, Eq, Deserialize)]
#[serde(try_from = "FederationsText")]
pub enum AllowedFederations {
    /// None.
    #[default]
    None,
    /// All that our instance names.
    All,
    /// These, as they are spelt.
    Listed(BTreeSet<String>),
}

#[derive(Deserialize)]
#[serde(untagged)]
enum FederationsText {
    Word(String),
    Names(BTreeSet<String>),
}

impl ConfigurationClientConfig {
    /// The defaults, with this anchor and folder.
    pub fn new(anchor: impl Into<PathBuf>, folder: impl Into<PathBuf>) -> Self {
        Self {
            anchor: Some(anchor.into()),
            courier: None,
            folder: folder.into(),
            update_interval: Self::default_update_interval(),
            allowed_federations: AllowedFederations::None,
            authorities: Self::default_authorities(),
        }
    }

    /// Makes the files it names relative to `folder`, where it was read.
    pub fn resolve(&mut self, folder: &Path) {
        let Self { anchor, courier, folder: kept, authorities, .. } = self;
        for path in anchor.iter_mut().chain(courier).chain([kept, authorities]) {
            *path = folder.join(&*path);
        }
    }

    fn default_update_interval() -> Duration {
        Duration::from_secs(60)
    }

    fn default_authorities() -> PathBuf {
        "/etc/ssl/certs/ca-certificates.crt".into()
    }
}

impl TryFrom<Section> for ConfigurationClientConfig {
    type Error = &'static str;

    fn try_from(section: Section) -> Result<Self, Self::Error> {
        let Section { anchor, courier, folder, read_from, update_interval, allowed_federations, authorities } =
            section;
        if courier.is_some() && anchor.is_none() {
            return Err("a `courier` is verified by an `anchor`: give that, too");
        }
        let (anchor, folder) = match (anchor, folder, read_from) {
            (Some(anchor), folder, None) => {
                (Some(anchor), folder.unwrap_or_else(|| "global-configuration".into()))
            }
            (None, None, Some(read_from)) => (None, read_from),
            (Some(_), _, Some(_)) => {
                return Err("give `anchor`, to download, or `read_from`, where someone else does; not both");
            }
            (None, Some(_), Some(_)) => return Err("with `read_from` nothing is kept: leave `folder` out"),
            (None, _, None) => {
                return Err(
                    "give `anchor`, the file by which it is downloaded, or `read_from`, the folder in which \
                            someone else keeps it",
                );
            }
        };
        Ok(Self { anchor, courier, folder, update_interval, allowed_federations, authorities })
    }
}

impl AllowedFederations {
    /// Whether this instance is followed.
    pub fn allow(&self, instance: &str) -> bool {
        match self {
            Self::None => false,
            Self::All => true,
            Self::Listed(names) => names.contains(instance),
        }
    }
}

impl TryFrom<FederationsText> for AllowedFederations {
    type Error = &'static str;

    fn try_from(text: FederationsText) -> Result<Self, Self::Error> {
        match text {
            FederationsText::Names(names) => Ok(Self::Listed(names)),
            FederationsText::Word(word) if word == "none" => Ok(Self::None),
            FederationsText::Word(word) if word == "all" => Ok(Self::All),
            FederationsText::Word(_) => Err("neither \"none\", \"all\" nor a list of instances"),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn read(settings: &str) -> Result<ConfigurationClientConfig, toml::de::Error> {
        toml::from_str(&format!("anchor = \"anchor.xml\"\n{settings}"))
    }

    #[test]
    fn follows_no_other_instance_unless_told() {
        let federations = |settings| read(settings).unwrap().allowed_federations;
        assert_eq!(federations(""), AllowedFederations::None);
        assert_eq!(federations("allowed_federations = \"none\""), AllowedFederations::None);
        assert_eq!(federations("allowed_federations = \"all\""), AllowedFederations::All);
        let listed = federations("allowed_federations = [\"KZ\"]");
        assert!(listed.allow("KZ") && !listed.allow("kz") && !listed.allow("UZ"));
        assert!(read("allowed_federations = \"some\"").is_err());
    }

    #[test]
    fn finds_files_beside_its_own() {
        let mut config = read("folder = \"globalconf\"\nupdate_interval = \"30s\"").unwrap();
        config.resolve(Path::new("/etc/uuk"));
        assert_eq!(config.anchor.unwrap(), Path::new("/etc/uuk/anchor.xml"));
        assert_eq!(config.folder, Path::new("/etc/uuk/globalconf"));
        assert_eq!(config.authorities, Path::new("/etc/ssl/certs/ca-certificates.crt"));
        assert_eq!(config.update_interval, Duration::from_secs(30));
    }

    #[test]
    fn is_downloaded_or_read_from_where_someone_else_keeps_it() {
        let config: ConfigurationClientConfig = toml::from_str("read_from = \"globalconf\"").unwrap();
        assert_eq!((config.anchor, config.folder), (None, "globalconf".into()));
        assert_eq!(read("").unwrap().folder, Path::new("global-configuration"));
    }

    #[test]
    fn refuses_neither_and_both() {
        let refused =
            |settings: &str| toml::from_str::<ConfigurationClientConfig>(settings).unwrap_err().to_string();
        assert!(refused("").contains("`anchor`, the file by which it is downloaded"));
        assert!(refused("folder = \"kept\"").contains("`anchor`, the file by which it is downloaded"));
        assert!(refused("anchor = \"anchor.xml\"\nread_from = \"other\"").contains("not both"));
        assert!(refused("courier = \"courier\"\nread_from = \"other\"").contains("verified by an `anchor`"));
        assert!(refused("folder = \"kept\"\nread_from = \"other\"").contains("leave `folder` out"));
    }

    #[test]
    fn refuses_settings_it_does_not_know() {
        assert!(read("interval = \"30s\"").is_err());
    }
}
