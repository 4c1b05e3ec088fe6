//! What X-Road's configuration client writes beside each file it keeps, as `NAME.metadata`.

use jiff::Timestamp;
use serde::{Deserialize, Serialize};

use crate::{FileEntry, SignedDirectory, Version};

/// Where a file came from and until when it counts. Absent fields are not known; without a date it counts for ever.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct FileMetadata {
    /// What it is, such as [`SHARED_PARAMETERS`](crate::SHARED_PARAMETERS).
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub content_identifier: Option<String>,
    /// The instance it is about.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub instance_identifier: Option<String>,
    /// The last instant at which it counts.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub expiration_date: Option<Timestamp>,
    /// Its name, if the directory gave one.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub content_file_name: Option<String>,
    /// Where it was downloaded from.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub content_location: Option<String>,
    /// The number of its version.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub configuration_version: Option<String>,
}

impl FileMetadata {
    /// The metadata of a file that `directory` lists.
    pub fn of(file: &FileEntry, directory: &SignedDirectory) -> Self {
        let some = |text: &str| Some(text.to_owned()).filter(|text| !text.is_empty());
        Self {
            content_identifier: some(file.identifier()),
            instance_identifier: some(file.instance()),
            expiration_date: Some(directory.expires()),
            content_file_name: None,
            content_location: some(file.location()),
            configuration_version: Some(directory.version().to_string()),
        }
    }

    /// The version of the file: V2 if none is said, `None` if the one said is unknown.
    pub fn version(&self) -> Option<Version> {
        match &self.configuration_version {
            None => Some(Version::V2),
            Some(number) => Version::from_number(number.parse().ok()?),
        }
    }

    /// Reads a metadata file.
    ///
    /// # Errors
    /// What is wrong with the JSON.
    pub fn read(file: &[u8]) -> Result<Self, serde_json::Error> {
        serde_json::from_slice(file)
    }

    /// The metadata as a file.
    ///
    /// # Errors
    /// None that its fields could cause.
    pub fn write(&self) -> Result<String, serde_json::Error> {
        serde_json::to_string(self)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn is_x_roads_json() {
        let text = r#"{"contentIdentifier":"SHARED-PARAMETERS","expirationDate":"2124-05-20T17:42:55Z","configurationVersion":"6"}"#;
        let metadata = FileMetadata::read(text.as_bytes()).unwrap();
        assert_eq!(metadata.version(), Some(Version::V6));
        assert_eq!(metadata.write().unwrap(), text);
    }

    #[test]
    fn without_version_it_is_the_second_and_an_unknown_one_is_none() {
        assert_eq!(FileMetadata::read(b"{}").unwrap().version(), Some(Version::V2));
        for version in ["7", "", "x"] {
            let metadata =
                FileMetadata { configuration_version: Some(version.into()), ..FileMetadata::default() };
            assert_eq!(metadata.version(), None);
        }
        assert!(FileMetadata::read(b"{").is_err());
    }
}
