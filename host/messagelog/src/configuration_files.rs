//! The global configuration from files, for verifying without a server: a server's own folder, or what X-Road's servers
//! hand out as `verificationconf`.

use std::collections::BTreeMap;

use uuk_asic::{Container, ContainerError, Limits, Mimetype, Profile};
use uuk_globalconf::{
    Dated, Extensions, FileMetadata, GlobalConfiguration, GlobalConfigurationError, InstanceParameters,
    ParametersError, PrivateParameters, SharedParameters,
};
use uuk_pki::CertificateProfiles;

const IDENTIFIER: &str = "instance-identifier";
const SHARED: &str = "shared-params.xml";
const PRIVATE: &str = "private-params.xml";

/// The files of a global configuration: paths, with `/` between folders, and contents.
pub type ConfigurationFiles = BTreeMap<String, Vec<u8>>;

/// Why files are no global configuration.
#[derive(Debug, thiserror::Error, strum::IntoStaticStr)]
#[strum(serialize_all = "snake_case", prefix = "configuration_files.")]
#[non_exhaustive]
pub enum ConfigurationFilesError {
    /// The zip file cannot be read.
    #[error("the configuration cannot be unpacked")]
    Zip(#[from] ContainerError),
    /// No file says which instance is the main one.
    #[error("there is no file `{IDENTIFIER}`")]
    NoIdentifier,
    /// A metadata file says a version that is not known, or is malformed.
    #[error("`{path}.metadata` names no known version of the configuration")]
    Metadata {
        /// The file that it is about.
        path: String,
    },
    /// A file of parameters cannot be read.
    #[error("`{path}` cannot be read")]
    Parameters {
        /// Which.
        path: String,
        /// Why.
        #[source]
        source: ParametersError,
    },
    /// The files do not fit together.
    #[error("the files do not make a global configuration")]
    Configuration(#[from] GlobalConfigurationError),
}

impl ConfigurationFilesError {
    /// The stable code: `configuration_files.no_identifier`.
    pub fn code(&self) -> &'static str {
        match self {
            Self::Zip(error) => error.code(),
            Self::Configuration(error) => error.code(),
            other => other.into(),
        }
    }
}

/// Unpacks the files of a zip file.
///
/// # Errors
/// [`ContainerError`].
pub fn unpack_configuration(zip: &[u8]) -> Result<ConfigurationFiles, ContainerError> {
    let profile = Profile {
        limits: Limits {
            container_bytes_max: 64 << 20,
            entries_max: 1024,
            entry_bytes_max: 64 << 20,
            content_bytes_max: 128 << 20,
            compression_ratio_max: 200,
        },
        mimetype: Mimetype::Absent,
        comment: None,
        required: &[],
        ..Profile::message()
    };
    let container = Container::read(zip, &profile)?;
    let files = container.entries().iter();
    Ok(files.map(|entry| (entry.name.to_string(), entry.bytes.to_vec())).collect())
}

/// Reads a global configuration. Its files may all lie in one folder, whatever that is called.
///
/// # Errors
/// [`ConfigurationFilesError`].
pub fn read_configuration(
    files: &ConfigurationFiles,
    profiles: &CertificateProfiles,
) -> Result<GlobalConfiguration, ConfigurationFilesError> {
    let (root, main) = files
        .iter()
        .find_map(|(path, content)| Some((path.strip_suffix(IDENTIFIER)?, content)))
        .ok_or(ConfigurationFilesError::NoIdentifier)?;
    let main = String::from_utf8_lossy(main);
    let mut instances = Vec::new();
    for path in files.keys() {
        let folder = path.strip_prefix(root).and_then(|path| path.strip_suffix(SHARED));
        if folder.and_then(|folder| folder.strip_suffix('/')).is_some_and(|folder| !folder.contains('/')) {
            instances.push(read_instance(files, path)?);
        }
    }
    Ok(GlobalConfiguration::new(main.trim(), instances, Extensions::default(), profiles)?)
}

fn read_instance(
    files: &ConfigurationFiles,
    shared: &str,
) -> Result<InstanceParameters, ConfigurationFilesError> {
    let unreadable =
        |path: &str, source| ConfigurationFilesError::Parameters { path: path.to_owned(), source };
    let metadata = metadata(files, shared)?;
    let version =
        metadata.version().ok_or_else(|| ConfigurationFilesError::Metadata { path: shared.to_owned() })?;
    let content = files.get(shared).map(Vec::as_slice).unwrap_or_default();
    let content = SharedParameters::read(content, version).map_err(|source| unreadable(shared, source))?;
    let private = format!("{}{PRIVATE}", shared.strip_suffix(SHARED).unwrap_or_default());
    let private = match files.get(&private) {
        None => None,
        Some(content) => Some(Dated {
            content: PrivateParameters::read(content).map_err(|source| unreadable(&private, source))?,
            expires: self::metadata(files, &private)?.expiration_date,
        }),
    };
    Ok(InstanceParameters { shared: Dated { content, expires: metadata.expiration_date }, private })
}

fn metadata(files: &ConfigurationFiles, path: &str) -> Result<FileMetadata, ConfigurationFilesError> {
    match files.get(&format!("{path}.metadata")) {
        None => Ok(FileMetadata::default()),
        Some(metadata) => FileMetadata::read(metadata)
            .map_err(|_| ConfigurationFilesError::Metadata { path: path.to_owned() }),
    }
}
