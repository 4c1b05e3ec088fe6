use std::fmt;
use std::fs::File;
use std::io::Read;
use std::path::Path;

use serde::{Deserialize, Serialize, Serializer};
use uuk_process::Secret;

use crate::error::TokenError;

/// Longer ones are refused; PKCS#11 devices take less.
const PIN_BYTES_MAX: usize = 256;

/// What opens a token. It does not print.
#[derive(Clone, Deserialize)]
#[serde(try_from = "String")]
pub struct Pin(Secret<String>);

/// Why a text is no PIN. It is not repeated.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("a PIN has 1 to {PIN_BYTES_MAX} bytes, none of them a control character")]
pub struct MalformedPin;

impl Pin {
    /// Reads the first line of a file.
    pub(crate) fn read(path: &Path) -> Result<Self, TokenError> {
        let failed = |source| TokenError::Read { path: path.to_owned(), source };
        let mut text = String::new();
        let file = File::open(path).map_err(failed)?;
        file.take(4096).read_to_string(&mut text).map_err(failed)?;
        let line = text.lines().next().unwrap_or_default().to_owned();
        Self::try_from(line).map_err(|_| TokenError::NoPin { path: path.to_owned() })
    }

    pub(crate) fn expose(&self) -> &str {
        self.0.expose()
    }
}

impl TryFrom<String> for Pin {
    type Error = MalformedPin;

    fn try_from(text: String) -> Result<Self, Self::Error> {
        if (1..=PIN_BYTES_MAX).contains(&text.len()) && !text.chars().any(char::is_control) {
            Ok(Self(Secret::new(text)))
        } else {
            Err(MalformedPin)
        }
    }
}

impl fmt::Debug for Pin {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Pin(…)")
    }
}

/// For the socket between command and server, which only their user can open; nothing else writes it.
impl Serialize for Pin {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.serialize_str(self.expose())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn read(content: &str) -> Result<Pin, TokenError> {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("pin");
        std::fs::write(&path, content).unwrap();
        Pin::read(&path)
    }

    #[test]
    fn is_the_first_line_of_its_file() {
        assert_eq!(read("пин 12\nrest").unwrap().expose(), "пин 12");
    }

    #[test]
    fn refuses_an_empty_file_and_one_too_long() {
        for content in ["", "\n1234", &"1".repeat(PIN_BYTES_MAX + 1), "12\u{7}34"] {
            let error = read(content).unwrap_err();
            assert!(matches!(error, TokenError::NoPin { .. }), "{error}");
        }
    }

    #[test]
    fn does_not_print() {
        assert_eq!(format!("{:?}", Pin::try_from("1234".to_owned()).unwrap()), "Pin(…)");
    }
}
