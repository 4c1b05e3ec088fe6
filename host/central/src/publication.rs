//! One edition of the global configuration, in all versions and for both audiences.

use std::collections::HashMap;

use bytes::Bytes;
use jiff::Timestamp;
use uuk_globalconf::{
    Courier, GOVERNANCE, GOVERNANCE_FILE, ListedFile, Listing, PRIVATE_PARAMETERS, SHARED_PARAMETERS,
    SignDirectoryError, Unregistered, VerificationCertificate, Version,
};
use uuk_pki::{CertificateError, Der, Sha256, SigningKey};

use crate::registry::Registry;

/// Whom a directory is for.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Audience {
    /// The instance's own members.
    Members,
    /// Other instances, which are told no private parameters.
    OtherInstances,
}

/// Why no configuration could be made.
#[derive(Debug, thiserror::Error, strum::IntoStaticStr)]
#[strum(serialize_all = "snake_case", prefix = "publication.")]
#[non_exhaustive]
pub enum PublicationError {
    /// The registry names someone who is not in it.
    #[error("the registry does not hold together")]
    Unregistered(#[from] Unregistered),
    /// A certificate of the registry is not one.
    #[error("a certificate of the registry is damaged")]
    Certificate(#[from] CertificateError),
    /// Catalog and trust, or the courier's file, could not be written.
    #[error("a file in JSON cannot be written")]
    Json(#[from] serde_json::Error),
    /// The directory could not be signed.
    #[error("the directory of the configuration cannot be made")]
    Directory(#[from] SignDirectoryError),
}

impl PublicationError {
    /// The stable code: `publication.directory`.
    pub fn code(&self) -> &'static str {
        self.into()
    }
}

/// The files that say what the registry says, by the paths at which they are published.
///
/// A path names the content, so that all central servers publish the same files at the same paths, and whoever read an
/// older directory still finds what it lists.
#[derive(Debug)]
pub(crate) struct Files {
    instance: String,
    files: Vec<File>,
}

#[derive(Debug)]
struct File {
    version: Version,
    identifier: &'static str,
    path: String,
    content: Bytes,
}

/// Directories that list such files until a time.
#[derive(Debug, Default)]
pub(crate) struct Directories(HashMap<(Audience, Version), Bytes>);

impl Audience {
    const ALL: [Self; 2] = [Self::Members, Self::OtherInstances];

    /// The path at which its directory is published.
    pub(crate) fn path(self) -> &'static str {
        match self {
            Self::Members => "/internalconf",
            Self::OtherInstances => "/externalconf",
        }
    }

    /// The audience whose directory is published at `path`.
    pub(crate) fn at(path: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|audience| audience.path() == path)
    }

    fn may_see(self, file: &File) -> bool {
        self == Self::Members || file.identifier == SHARED_PARAMETERS
    }
}

impl Files {
    /// Writes the files of all versions.
    pub(crate) fn of(registry: &Registry) -> Result<Self, PublicationError> {
        let private = Bytes::from(registry.private_parameters().write());
        let governance = Bytes::from(registry.governance()?.write()?);
        let mut files = Vec::new();
        for version in Version::NEWEST_FIRST {
            let shared = registry.shared_parameters(version).write()?;
            files.push(File::new(version, SHARED_PARAMETERS, "shared-params.xml", shared.into()));
            files.push(File::new(version, PRIVATE_PARAMETERS, "private-params.xml", private.clone()));
            files.push(File::new(version, GOVERNANCE, GOVERNANCE_FILE, governance.clone()));
        }
        Ok(Self { instance: registry.settings().instance.clone(), files })
    }

    /// Each path with what is published there.
    pub(crate) fn by_path(&self) -> impl Iterator<Item = (&str, &Bytes)> {
        self.files.iter().map(|file| (file.path.as_str(), &file.content))
    }

    /// Directories that list them until `expires`, signed by `key`.
    pub(crate) fn list(
        &self,
        key: &dyn SigningKey,
        certificate: &Der,
        expires: Timestamp,
    ) -> Result<Directories, PublicationError> {
        // Dates of central servers have no fractions of a second.
        let expires = Timestamp::from_second(expires.as_second()).unwrap_or(expires);
        let certificate = VerificationCertificate(certificate.as_bytes().to_vec());
        let mut directories = HashMap::new();
        for version in Version::NEWEST_FIRST {
            for audience in Audience::ALL {
                let listed = |file: &&File| file.version == version && audience.may_see(file);
                let files = self.files.iter().filter(listed).map(|file| ListedFile {
                    identifier: file.identifier,
                    instance: &self.instance,
                    location: &file.path,
                    content: &file.content,
                });
                let listing = Listing { version, expires, files: files.collect() };
                directories.insert((audience, version), listing.sign(key, &certificate)?.into());
            }
        }
        Ok(Directories(directories))
    }

    /// The newest version for members, its directory included, in one file.
    pub(crate) fn courier(
        &self,
        key: &dyn SigningKey,
        certificate: &Der,
        expires: Timestamp,
    ) -> Result<Vec<u8>, PublicationError> {
        let directories = self.list(key, certificate, expires)?;
        let directory = directories.get(Audience::Members, Version::V6).map(|bytes| bytes.to_vec());
        let listed = self.files.iter().filter(|file| file.version == Version::V6);
        let files = listed.map(|file| (file.path.clone(), file.content.to_vec())).collect();
        Ok(Courier { directory: directory.unwrap_or_default(), files }.write()?)
    }
}

impl File {
    fn new(version: Version, identifier: &'static str, name: &str, content: Bytes) -> Self {
        let digest = Sha256::of(&content).to_string();
        let digits = digest.trim_start_matches("sha256:");
        Self { version, identifier, path: format!("/V{version}/{digits}/{name}"), content }
    }
}

impl Directories {
    pub(crate) fn get(&self, audience: Audience, version: Version) -> Option<&Bytes> {
        self.0.get(&(audience, version))
    }
}
