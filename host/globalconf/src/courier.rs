//! A global configuration in one file, for where there is no network: someone carries it.

use std::collections::BTreeMap;

use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use serde::{Deserialize, Serialize};

/// A directory and the files that it lists, as they would have been downloaded. Nothing of it is believed for being
/// here: the directory's signature decides, and its digests.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Courier {
    /// The signed directory.
    pub directory: Vec<u8>,
    /// The files, by the location that the directory gives them.
    pub files: BTreeMap<String, Vec<u8>>,
}

/// Why a courier's file is refused.
#[derive(Debug, thiserror::Error)]
#[error("not the file of a courier")]
pub struct CourierError(#[source] serde_json::Error);

#[derive(Serialize, Deserialize)]
struct File {
    directory: String,
    files: BTreeMap<String, String>,
}

impl Courier {
    /// Reads the file.
    ///
    /// # Errors
    /// [`CourierError`] if it is not JSON of the right shape. What is no base64 is left empty, and no digest fits it.
    pub fn read(file: &[u8]) -> Result<Self, CourierError> {
        let file: File = serde_json::from_slice(file).map_err(CourierError)?;
        let decode = |text: String| STANDARD.decode(text).unwrap_or_default();
        let files = file.files.into_iter().map(|(location, text)| (location, decode(text)));
        Ok(Self { files: files.collect(), directory: decode(file.directory) })
    }

    /// The file.
    ///
    /// # Errors
    /// None that its fields could cause.
    pub fn write(&self) -> Result<Vec<u8>, serde_json::Error> {
        let files = self.files.iter().map(|(location, bytes)| (location.clone(), STANDARD.encode(bytes)));
        serde_json::to_vec(&File { directory: STANDARD.encode(&self.directory), files: files.collect() })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn carries_every_byte() {
        let files = [("/V6/1/shared-params.xml".to_owned(), vec![0, 13, 10, 255])];
        let courier = Courier { directory: b"--a\r\n".to_vec(), files: files.into() };
        assert_eq!(Courier::read(&courier.write().unwrap()).unwrap(), courier);
    }

    #[test]
    fn refuses_what_is_none() {
        for file in ["", "<xml/>", "{\"directory\":\"\"}"] {
            assert!(Courier::read(file.as_bytes()).is_err(), "{file}");
        }
    }
}
