//! Archives of the message log that continue one another: `linkinginfo`, and the names of files.
//!
//! Each archive lists its containers with a digest that is computed over the one before, so that none can be taken
//! away, added or moved without all later ones telling.

use std::collections::BTreeMap;

use jiff::civil::DateTime;
use uuk_pki::{Digest, DigestAlgorithm};

use crate::entry_name::quote;

/// The entry of an archive that links it.
pub const LINKING_INFO: &str = "linkinginfo";

/// An archive of a hundred thousand containers takes some 40 MiB.
const BYTES_MAX: usize = 64 << 20;
/// SHA-512, in hexadecimal.
const DIGEST_LENGTH: usize = 128;
const ALGORITHM: &str = "SHA-512";
/// Stands for the previous archive where there is none.
const NONE: &str = "-";

/// What links an archive to the one before it, and its containers to one another.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct LinkingInfo {
    /// The archive before, unless this is the first.
    pub previous: Option<PreviousArchive>,
    /// The containers in the order in which they were archived.
    pub entries: Vec<LinkedEntry>,
}

/// The archive that another continues.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct PreviousArchive {
    /// Its last digest, SHA-512 in lower-case hexadecimal.
    pub last_digest: String,
    /// Its file name.
    pub file_name: String,
}

/// A container in an archive.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct LinkedEntry {
    /// The digest over the one before and the container's, SHA-512 in lower-case hexadecimal.
    pub digest: String,
    /// The container's file name.
    pub file_name: String,
}

/// Why an archive is not what its linking information says, or does not continue the one before.
#[derive(Debug, thiserror::Error, strum::IntoStaticStr)]
#[strum(serialize_all = "snake_case", prefix = "archive.")]
#[non_exhaustive]
pub enum ArchiveError {
    /// The linking information is too large.
    #[error("the linking information is larger than {BYTES_MAX} bytes")]
    TooLarge,
    /// A line is not of the form it should have.
    #[error("line {line} of the linking information is malformed")]
    Malformed {
        /// Counted from one.
        line: usize,
    },
    /// A digest algorithm other than SHA-512.
    #[error("the linking information is made with `{algorithm}`; only {ALGORITHM} is known")]
    Algorithm {
        /// Its name, escaped and shortened.
        algorithm: String,
    },
    /// The archive continues another than the one expected.
    #[error("the archive does not continue the one that ended with the digest `{expected}`")]
    NotLinked {
        /// The last digest of the archive expected before.
        expected: String,
    },
    /// A container differs from what was archived, or its place does.
    #[error("`{file_name}` is not what was archived in its place")]
    EntryModified {
        /// Which, escaped and shortened.
        file_name: String,
    },
    /// A container is listed and not there.
    #[error("`{file_name}` is missing from the archive")]
    EntryMissing {
        /// Which, escaped and shortened.
        file_name: String,
    },
    /// A container is there and not listed.
    #[error("`{file_name}` is not listed in the linking information")]
    EntryUnlisted {
        /// Which, escaped and shortened.
        file_name: String,
    },
}

impl ArchiveError {
    /// The stable code of the reason.
    pub fn code(&self) -> &'static str {
        self.into()
    }
}

impl LinkingInfo {
    /// Starts an archive that continues `previous`.
    pub fn new(previous: Option<PreviousArchive>) -> Self {
        Self { previous, entries: Vec::new() }
    }

    /// Adds a container, `container` being its SHA-512 digest.
    pub fn push(&mut self, file_name: String, container: &Digest) {
        let digest = link(self.last_digest(), container);
        self.entries.push(LinkedEntry { digest, file_name });
    }

    /// The digest that the next archive starts from; empty if there is nothing before it.
    pub fn last_digest(&self) -> &str {
        let previous = self.previous.as_ref().map(|previous| &previous.last_digest);
        self.entries.last().map(|entry| &entry.digest).or(previous).map_or("", String::as_str)
    }

    /// Reads the entry [`LINKING_INFO`] of an archive.
    ///
    /// # Errors
    /// [`ArchiveError::TooLarge`], [`ArchiveError::Malformed`] or [`ArchiveError::Algorithm`].
    pub fn read(bytes: &[u8]) -> Result<Self, ArchiveError> {
        if bytes.len() > BYTES_MAX {
            return Err(ArchiveError::TooLarge);
        }
        let malformed = |line| ArchiveError::Malformed { line };
        let text = std::str::from_utf8(bytes).map_err(|_| malformed(1))?;
        let mut lines = text.split_terminator('\n').zip(1..);
        // No file has a name with one, and readers differ in what ends a line.
        if let Some((_, line)) = lines.clone().find(|(line, _)| line.contains(char::is_control)) {
            return Err(malformed(line));
        }
        // Names of archives hold the names of members, which may have blanks.
        let header = lines.next().and_then(|(header, _)| header.split_once(' '));
        let header = header.and_then(|(digest, rest)| Some((digest, rest.rsplit_once(' ')?)));
        let (last_digest, (file_name, algorithm)) = header.ok_or(malformed(1))?;
        if algorithm != ALGORITHM {
            return Err(ArchiveError::Algorithm { algorithm: quote(algorithm.as_bytes()) });
        }
        let previous = match (last_digest, file_name) {
            (NONE, NONE) => None,
            (digest, name) if is_digest(digest) => {
                Some(PreviousArchive { last_digest: digest.to_owned(), file_name: name.to_owned() })
            }
            _ => return Err(malformed(1)),
        };
        let entries = lines.map(|(line, number)| match line.split_once(' ') {
            Some((digest, file_name)) if is_digest(digest) => {
                Ok(LinkedEntry { digest: digest.to_owned(), file_name: file_name.to_owned() })
            }
            _ => Err(malformed(number)),
        });
        Ok(Self { previous, entries: entries.collect::<Result<_, _>>()? })
    }

    /// Writes the entry [`LINKING_INFO`].
    pub fn write(&self) -> String {
        let (digest, name) = match &self.previous {
            Some(previous) => (previous.last_digest.as_str(), previous.file_name.as_str()),
            None => (NONE, NONE),
        };
        let mut text = format!("{digest} {name} {ALGORITHM}\n");
        for entry in &self.entries {
            text.push_str(&format!("{} {}\n", entry.digest, entry.file_name));
        }
        text
    }

    /// Verifies that the archive holds exactly the containers listed, as they were, and, if `previous` is given, that
    /// it continues the archive with that last digest. `files` are the names and SHA-512 digests of the archive's
    /// entries, all but [`LINKING_INFO`].
    ///
    /// # Errors
    /// [`ArchiveError::NotLinked`] and the variants that begin with `Entry`.
    pub fn verify<'f>(
        &self,
        previous: Option<&str>,
        files: impl IntoIterator<Item = (&'f str, Digest)>,
    ) -> Result<(), ArchiveError> {
        let mut last = self.previous.as_ref().map_or("", |previous| &previous.last_digest);
        if let Some(expected) = previous
            && expected != last
        {
            return Err(ArchiveError::NotLinked { expected: quote(expected.as_bytes()) });
        }
        let mut files: BTreeMap<&str, Digest> = files.into_iter().collect();
        for LinkedEntry { digest, file_name } in &self.entries {
            let quoted = || quote(file_name.as_bytes());
            let Some(container) = files.remove(file_name.as_str()) else {
                return Err(ArchiveError::EntryMissing { file_name: quoted() });
            };
            if link(last, &container) != *digest {
                return Err(ArchiveError::EntryModified { file_name: quoted() });
            }
            last = digest;
        }
        match files.first_key_value() {
            Some((name, _)) => Err(ArchiveError::EntryUnlisted { file_name: quote(name.as_bytes()) }),
            None => Ok(()),
        }
    }
}

/// The digest of an entry: over the text of the digest before and the text of the container's digest.
fn link(last: &str, container: &Digest) -> String {
    let linked = format!("{last}{}", hex(container.as_bytes()));
    hex(DigestAlgorithm::Sha512.digest(linked.as_bytes()).as_bytes())
}

fn hex(bytes: &[u8]) -> String {
    bytes.iter().map(|byte| format!("{byte:02x}")).collect()
}

fn is_digest(text: &str) -> bool {
    text.len() == DIGEST_LENGTH && text.bytes().all(|byte| matches!(byte, b'0'..=b'9' | b'a'..=b'f'))
}

/// Which message of an exchange a container is about.
#[derive(Debug, Clone, Copy, PartialEq, Eq, strum::Display)]
#[strum(serialize_all = "lowercase")]
pub enum ContainedMessage {
    /// The client's.
    Request,
    /// The service's.
    Response,
}

/// The file name of a container: the message's identifier, percent-encoded and cut, and the number of its record in
/// base 32.
pub fn container_file_name(message_id: &str, message: ContainedMessage, record: u64) -> String {
    const ID_LENGTH_MAX: usize = 226;
    let mut id: String = message_id.bytes().map(form_encode).collect();
    id.truncate(ID_LENGTH_MAX);
    format!("{id}-{message}-{}.asice", base_32(record))
}

/// The file name of an archive of records made from `first` to `last`, in the server's local time. `group` is the
/// member or subsystem whose records these are, if archives are kept apart.
pub fn archive_file_name(
    group: Option<&str>,
    first: DateTime,
    last: DateTime,
    last_digest: &str,
    encrypted: bool,
) -> String {
    const GROUP_LENGTH_MAX: usize = 200;
    const DIGEST_SHOWN: usize = 16;
    let group: String = group
        .into_iter()
        .flat_map(|group| group.chars().chain(['-']))
        .map(|character| match character {
            '\\' | '<' | '>' | '/' | ':' | '|' | '*' | '?' => '_',
            control if control.is_control() => '_',
            other => other,
        })
        .take(GROUP_LENGTH_MAX)
        .collect();
    let digest: String = last_digest.chars().take(DIGEST_SHOWN).collect();
    format!(
        "mlog-{group}{}-{}-{digest}.{}",
        first.strftime("%Y%m%d%H%M%S"),
        last.strftime("%Y%m%d%H%M%S"),
        if encrypted { "zip.gpg" } else { "zip" },
    )
}

/// As HTML forms encode, which is Java's notion of a URL.
fn form_encode(byte: u8) -> String {
    match byte {
        b'a'..=b'z' | b'A'..=b'Z' | b'0'..=b'9' | b'.' | b'-' | b'*' | b'_' => char::from(byte).to_string(),
        b' ' => "+".to_owned(),
        other => format!("%{other:02X}"),
    }
}

fn base_32(number: u64) -> String {
    let mut digits = Vec::new();
    let mut rest = number;
    loop {
        digits.extend(char::from_digit((rest % 32) as u32, 32));
        rest /= 32;
        if rest == 0 {
            return digits.iter().rev().collect();
        }
    }
}

#[cfg(test)]
mod tests {
    use jiff::civil::date;

    use super::*;

    fn digest(content: &str) -> Digest {
        DigestAlgorithm::Sha512.digest(content.as_bytes())
    }

    fn archive() -> LinkingInfo {
        let mut info = LinkingInfo::new(None);
        info.push("a.asice".to_owned(), &digest("a"));
        info.push("b.asice".to_owned(), &digest("b"));
        info
    }

    #[track_caller]
    fn refuses(info: &LinkingInfo, files: &[(&str, &str)], code: &str) {
        let files = files.iter().map(|(name, content)| (*name, digest(content)));
        let error = info.verify(None, files).unwrap_err();
        assert_eq!(error.code(), format!("archive.{code}"), "{error}");
    }

    #[track_caller]
    fn refuses_text(text: &str, code: &str) {
        let error = LinkingInfo::read(text.as_bytes()).unwrap_err();
        assert_eq!(error.code(), format!("archive.{code}"), "{error}");
    }

    #[test]
    fn reads_what_it_writes() {
        let first = archive();
        let mut second = LinkingInfo::new(Some(PreviousArchive {
            last_digest: first.last_digest().to_owned(),
            file_name: "mlog-Two words-1.zip".to_owned(),
        }));
        assert_eq!(second.last_digest(), first.last_digest());
        second.push("c.asice".to_owned(), &digest("c"));
        for info in [LinkingInfo::new(None), first, second] {
            assert_eq!(LinkingInfo::read(info.write().as_bytes()).unwrap(), info);
        }
    }

    #[test]
    fn refuses_a_changed_container() {
        refuses(&archive(), &[("a.asice", "a"), ("b.asice", "other")], "entry_modified");
    }

    #[test]
    fn refuses_containers_in_another_order() {
        let mut info = archive();
        info.entries.reverse();
        refuses(&info, &[("a.asice", "a"), ("b.asice", "b")], "entry_modified");
    }

    #[test]
    fn refuses_a_container_taken_away() {
        refuses(&archive(), &[("a.asice", "a")], "entry_missing");
        // Not even if the list is cut with it.
        let mut info = archive();
        info.entries.remove(0);
        refuses(&info, &[("b.asice", "b")], "entry_modified");
    }

    #[test]
    fn refuses_a_container_listed_twice() {
        let mut info = archive();
        info.push("b.asice".to_owned(), &digest("b"));
        refuses(&info, &[("a.asice", "a"), ("b.asice", "b")], "entry_missing");
    }

    #[test]
    fn refuses_a_container_that_is_not_listed() {
        refuses(&archive(), &[("a.asice", "a"), ("b.asice", "b"), ("c.asice", "c")], "entry_unlisted");
    }

    #[test]
    fn refuses_another_archive_before() {
        let files = [("a.asice", digest("a")), ("b.asice", digest("b"))];
        let error = archive().verify(Some(archive().last_digest()), files).unwrap_err();
        assert_eq!(error.code(), "archive.not_linked");
    }

    #[test]
    fn refuses_malformed_text() {
        refuses_text("", "malformed");
        refuses_text("- -\n", "malformed");
        refuses_text("- name SHA-512\n", "malformed");
        refuses_text("12 name SHA-512\n", "malformed");
        refuses_text("- - SHA-512\n12 a.asice\n", "malformed");
        refuses_text(&archive().write().replace(" a.asice", ""), "malformed");
        refuses_text(&archive().write().replace("a.asice\n", "a.asice\r\n"), "malformed");
        refuses_text(&archive().write().replace("a.asice", "a\0.asice"), "malformed");
        let error = LinkingInfo::read(b"- - SHA-512\n\xff").unwrap_err();
        assert_eq!(error.code(), "archive.malformed");
    }

    #[test]
    fn refuses_other_algorithms() {
        refuses_text("- - SHA-256\n", "algorithm");
    }

    #[test]
    fn refuses_what_is_too_large() {
        let large = vec![b'-'; BYTES_MAX + 1];
        assert_eq!(LinkingInfo::read(&large).unwrap_err().code(), "archive.too_large");
    }

    #[test]
    fn names_containers() {
        use ContainedMessage::{Request, Response};
        assert_eq!(container_file_name("ID1234", Response, 10), "ID1234-response-a.asice");
        assert_eq!(container_file_name("a/ü b~*", Request, 0), "a%2F%C3%BC+b%7E*-request-0.asice");
        assert_eq!(container_file_name("a", Request, u64::MAX), "a-request-fvvvvvvvvvvvv.asice");
        let long = container_file_name(&"x".repeat(300), Request, 32);
        assert_eq!(long, format!("{}-request-10.asice", "x".repeat(226)));
    }

    #[test]
    fn names_archives() {
        let time = |minute| date(2023, 10, 23).at(12, minute, 55, 0);
        let digest = "9011ab557706b5050584d688";
        assert_eq!(
            archive_file_name(None, time(12), time(12), digest, true),
            "mlog-20231023121255-20231023121255-9011ab557706b505.zip.gpg"
        );
        assert_eq!(
            archive_file_name(Some("DEV/COM/a:b"), time(1), time(2), digest, false),
            "mlog-DEV_COM_a_b-20231023120155-20231023120255-9011ab557706b505.zip"
        );
    }
}
