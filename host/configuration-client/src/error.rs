use std::io;
use std::path::PathBuf;

use http::StatusCode;
use uuk_globalconf::{CourierError, DirectoryError, GlobalConfigurationError, ParametersError};
use uuk_transport::{UpstreamBuildError, UpstreamError};

/// Why the configuration was not refreshed. What was in force stays.
#[derive(Debug, thiserror::Error, strum::IntoStaticStr)]
#[strum(serialize_all = "snake_case", prefix = "configuration_client.")]
#[non_exhaustive]
pub enum RefreshError {
    /// The anchor file cannot be read.
    #[error("cannot read the anchor `{}`", path.display())]
    AnchorUnreadable {
        /// The file.
        path: PathBuf,
        /// Why.
        #[source]
        source: io::Error,
    },
    /// The anchor file is no anchor.
    #[error("`{}` is no anchor", path.display())]
    AnchorMalformed {
        /// The file.
        path: PathBuf,
        /// What is wrong with it.
        #[source]
        source: ParametersError,
    },
    /// The file of a courier is not there, or cannot be read.
    #[error("cannot read the courier's file `{}`", path.display())]
    CourierUnreadable {
        /// The file.
        path: PathBuf,
        /// Why.
        #[source]
        source: io::Error,
    },
    /// The file of a courier is none.
    #[error("`{}` is no courier's file", path.display())]
    CourierMalformed {
        /// The file.
        path: PathBuf,
        /// What is wrong with it.
        #[source]
        source: CourierError,
    },
    /// What a courier brought does not count.
    #[error("what is in `{}` does not count", path.display())]
    Courier {
        /// The file.
        path: PathBuf,
        /// Why.
        #[source]
        source: Box<SourceError>,
    },
    /// No source gave a configuration.
    #[error("no source gives the configuration of `{instance}`; one of {tried} is {url}")]
    Unavailable {
        /// The instance.
        instance: String,
        /// The source that came furthest, or the last one.
        url: String,
        /// How many were asked.
        tried: usize,
        /// What went wrong there.
        #[source]
        source: Box<SourceError>,
    },
    /// The folder cannot be read or written.
    #[error(transparent)]
    Store(#[from] StoreError),
    /// What was downloaded does not fit together, or what is in the folder no longer counts.
    #[error(transparent)]
    Configuration(#[from] GlobalConfigurationError),
}

impl RefreshError {
    /// The stable code: that of the reason, where one is known.
    pub fn code(&self) -> &'static str {
        match self {
            Self::Unavailable { source, .. } | Self::Courier { source, .. } => source.code(),
            Self::Store(error) => error.code(),
            Self::Configuration(error) => error.code(),
            other => other.into(),
        }
    }
}

/// Why a source gives no configuration.
#[derive(Debug, thiserror::Error, strum::IntoStaticStr)]
#[strum(serialize_all = "snake_case", prefix = "configuration_source.")]
#[non_exhaustive]
pub enum SourceError {
    /// Its address cannot be used.
    #[error("the address cannot be used")]
    Address(#[source] UpstreamBuildError),
    /// It does not answer, or not fully, or not in time.
    #[error("the source does not answer")]
    Unreachable(#[source] UpstreamError),
    /// Its answer is not the file.
    #[error("the source answers {status} for `{path}`")]
    Status {
        /// Its status.
        status: StatusCode,
        /// The file that was asked for.
        path: String,
    },
    /// A file is larger than any that is wanted.
    #[error("`{path}` is larger than {bytes_max} bytes")]
    TooLarge {
        /// The file that was asked for.
        path: String,
        /// The limit.
        bytes_max: usize,
    },
    /// The directory, or a file that it lists, is refused.
    #[error(transparent)]
    Directory(#[from] DirectoryError),
    /// The directory lists more files than any does.
    #[error("the directory lists more than {files_max} files")]
    TooManyFiles {
        /// The limit.
        files_max: usize,
    },
    /// The directory does not list the shared parameters.
    #[error("the directory lists no shared parameters")]
    NoSharedParameters,
    /// Parameters cannot be read.
    #[error("`{file}` cannot be read")]
    Parameters {
        /// The file.
        file: String,
        /// What is wrong with it.
        #[source]
        source: ParametersError,
    },
}

impl SourceError {
    /// The stable code: that of the directory, where that is refused.
    pub fn code(&self) -> &'static str {
        match self {
            Self::Directory(error) => error.code(),
            other => other.into(),
        }
    }

    /// Whether the source could not even be asked, which says less than an answer that is refused.
    pub(crate) fn is_silence(&self) -> bool {
        matches!(self, Self::Address(_) | Self::Unreachable(_))
    }
}

/// Why what is kept cannot be read or written.
#[derive(Debug, thiserror::Error, strum::IntoStaticStr)]
#[strum(serialize_all = "snake_case", prefix = "configuration_store.")]
#[non_exhaustive]
pub enum StoreError {
    /// A file or folder cannot be read.
    #[error("cannot read `{}`", path.display())]
    Read {
        /// Which.
        path: PathBuf,
        /// Why.
        #[source]
        source: io::Error,
    },
    /// A file cannot be written, so that it would be missing after a restart.
    #[error("cannot write `{}`", path.display())]
    Write {
        /// Which.
        path: PathBuf,
        /// Why.
        #[source]
        source: io::Error,
    },
    /// What stands beside a file about where it came from is not readable.
    #[error("`{}` is no metadata", path.display())]
    Metadata {
        /// The file.
        path: PathBuf,
        /// What is wrong with it.
        #[source]
        source: serde_json::Error,
    },
    /// A file says that it has a version which is not known.
    #[error("`{}` is of an unknown version", path.display())]
    Version {
        /// The metadata of the file.
        path: PathBuf,
    },
    /// Parameters on disk cannot be read.
    #[error("the files of the instance `{instance}` are not usable")]
    Unusable {
        /// The instance.
        instance: String,
        /// What is wrong with them.
        #[source]
        source: Box<SourceError>,
    },
}

impl StoreError {
    /// The stable code: `configuration_store.write`.
    pub fn code(&self) -> &'static str {
        self.into()
    }
}
