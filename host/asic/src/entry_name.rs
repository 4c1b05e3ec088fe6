//! Names of entries: relative paths that mean the same on every system.

use crate::container::ContainerError;

/// Longest name; longer ones do not fit common file systems.
const NAME_BYTES_MAX: usize = 255;

/// The name of an entry: ASCII letters, digits and `. _ -`, in segments parted by `/`, none of them `.` or `..`.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct EntryName(String);

impl EntryName {
    /// Checks a name.
    ///
    /// # Errors
    /// The variant of [`ContainerError`] that begins with `Name` and says what is wrong.
    pub fn new(name: &str) -> Result<Self, ContainerError> {
        Self::from_bytes(name.as_bytes())
    }

    pub(crate) fn from_bytes(bytes: &[u8]) -> Result<Self, ContainerError> {
        Self::of(bytes, is_name_byte)
    }

    /// Checks a name that may be percent-encoded as HTML forms do it.
    pub(crate) fn encoded(bytes: &[u8]) -> Result<Self, ContainerError> {
        Self::of(bytes, |byte| is_name_byte(byte) || matches!(byte, b'%' | b'+' | b'*'))
    }

    fn of(bytes: &[u8], is_name_byte: fn(u8) -> bool) -> Result<Self, ContainerError> {
        let quoted = || quote(bytes);
        if !bytes.is_ascii() {
            // With them come encodings and normalisation forms that make two names look or be stored alike.
            return Err(ContainerError::NameNotAscii { name: quoted() });
        }
        if bytes.contains(&b'\\') {
            return Err(ContainerError::NameBackslash { name: quoted() });
        }
        if bytes.starts_with(b"/") || bytes.get(1) == Some(&b':') {
            return Err(ContainerError::NameAbsolute { name: quoted() });
        }
        for segment in bytes.split(|byte| *byte == b'/') {
            if segment == b".." || segment == b"." {
                return Err(ContainerError::NameTraversal { name: quoted() });
            }
            // Windows drops trailing dots, so that `a.` and `a` would be one file.
            if segment.is_empty() || segment.ends_with(b".") || !segment.iter().copied().all(is_name_byte) {
                return Err(ContainerError::NameInvalid { name: quoted() });
            }
        }
        if bytes.len() > NAME_BYTES_MAX {
            return Err(ContainerError::NameInvalid { name: quoted() });
        }
        match std::str::from_utf8(bytes) {
            Ok(name) => Ok(Self(name.to_owned())),
            Err(_) => Err(ContainerError::NameNotAscii { name: quoted() }),
        }
    }

    /// The name as it stands in the container.
    pub fn as_str(&self) -> &str {
        &self.0
    }

    /// Whether it stands in the folder of signatures and manifests.
    pub fn is_meta(&self) -> bool {
        self.0.split('/').next().is_some_and(|first| first.eq_ignore_ascii_case("META-INF"))
    }
}

impl std::fmt::Display for EntryName {
    fn fmt(&self, formatter: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        formatter.write_str(&self.0)
    }
}

fn is_name_byte(byte: u8) -> bool {
    byte.is_ascii_alphanumeric() || matches!(byte, b'.' | b'_' | b'-')
}

/// A hostile name made fit to be shown: escaped and short.
pub(crate) fn quote(bytes: &[u8]) -> String {
    const SHOWN_BYTES_MAX: usize = 64;
    let shown: String = bytes
        .iter()
        .take(SHOWN_BYTES_MAX)
        .copied()
        .map(std::ascii::escape_default)
        .map(|c| c.to_string())
        .collect();
    if bytes.len() > SHOWN_BYTES_MAX { format!("{shown}…") } else { shown }
}
