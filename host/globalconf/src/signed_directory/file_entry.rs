use uuk_pki::{Digest, DigestAlgorithm};

use super::{
    CONTENT_FILE_NAME, CONTENT_IDENTIFIER, CONTENT_LOCATION, DirectoryError, HASH_ALGORITHM,
    PRIVATE_PARAMETERS, SHA_2, SHARED_PARAMETERS, base64, check_base64_headers, malformed, required, wrong,
};
use crate::multipart::{Part, Value};
use crate::xml::cut;

/// A file that counts.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct FileEntry {
    identifier: String,
    instance: String,
    location: String,
    file_name: String,
    digest: Digest,
}

impl FileEntry {
    pub(super) fn read(part: &Part<'_>) -> Result<Self, DirectoryError> {
        check_base64_headers(part)?;
        let (identifier, instance) = content_identifier(part)?;
        let location = required(part, CONTENT_LOCATION)?;
        let name = match identifier {
            SHARED_PARAMETERS => "shared-params.xml",
            PRIVATE_PARAMETERS => "private-params.xml",
            _ => part
                .header(CONTENT_FILE_NAME)
                .or_else(|| location.rsplit('/').next())
                .filter(|name| is_file_name(name))
                .ok_or_else(|| DirectoryError::Location { location: cut(location) })?,
        };
        if !is_path(location) {
            return Err(DirectoryError::Location { location: cut(location) });
        }
        let algorithm = DigestAlgorithm::from_uri(required(part, HASH_ALGORITHM)?)
            .ok_or_else(|| wrong(HASH_ALGORITHM, SHA_2))?;
        let digest = base64(part.body).and_then(|value| Digest::new(algorithm, value));
        Ok(Self {
            identifier: identifier.to_owned(),
            instance: instance.to_owned(),
            location: location.to_owned(),
            file_name: name.to_owned(),
            digest: digest.ok_or(malformed("a file's digest is not base64 of its length"))?,
        })
    }

    /// What it is, such as [`SHARED_PARAMETERS`]; empty if the directory does not say.
    pub fn identifier(&self) -> &str {
        &self.identifier
    }

    /// The instance it is about; empty if the directory does not say.
    pub fn instance(&self) -> &str {
        &self.instance
    }

    /// The absolute path at which it is, on the server that the directory came from.
    pub fn location(&self) -> &str {
        &self.location
    }

    /// What it is called when kept in a folder of its instance: never a path.
    pub fn file_name(&self) -> &str {
        &self.file_name
    }

    /// Whether `content` is the file that is listed: then it need not be downloaded again.
    ///
    /// # Errors
    /// [`DirectoryError::WrongFile`] if it is not.
    pub fn check(&self, content: &[u8]) -> Result<(), DirectoryError> {
        if self.digest.algorithm().digest(content) == self.digest {
            return Ok(());
        }
        Err(DirectoryError::WrongFile { identifier: cut(&self.identifier) })
    }

    /// Whether it is about `instance`: the one asked for, and the one that the file itself says.
    ///
    /// # Errors
    /// [`DirectoryError::WrongInstance`] if it is not.
    pub fn check_instance(&self, instance: &str) -> Result<(), DirectoryError> {
        if self.instance == instance {
            return Ok(());
        }
        Err(DirectoryError::WrongInstance {
            identifier: cut(&self.identifier),
            instance: instance.to_owned(),
        })
    }
}

/// `SHARED-PARAMETERS; instance='DEV'`; the two known ones must name their instance.
fn content_identifier<'a>(part: &Part<'a>) -> Result<(&'a str, &'a str), DirectoryError> {
    let value = Value::parse(part.header(CONTENT_IDENTIFIER).unwrap_or_default());
    let parameter = "instance";
    match value.parameter(parameter) {
        None if [SHARED_PARAMETERS, PRIVATE_PARAMETERS].contains(&value.main) => {
            Err(DirectoryError::MissingParameter { header: CONTENT_IDENTIFIER, parameter })
        }
        instance => Ok((value.main, instance.unwrap_or_default())),
    }
}

/// A path from the root of the server, so that a directory cannot send a reader to another one.
pub(super) fn is_path(location: &str) -> bool {
    location.starts_with('/')
        && !location.starts_with("//")
        && location.bytes().all(|byte| byte.is_ascii_graphic() && byte != b'\\')
}

fn is_file_name(name: &str) -> bool {
    let plain = |byte: u8| byte.is_ascii_alphanumeric() || b"-_.".contains(&byte);
    name.len() <= 100
        && name.starts_with(|first: char| first.is_ascii_alphanumeric())
        && name.bytes().all(plain)
}
