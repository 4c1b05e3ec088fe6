//! The container: a zip file in which nothing can hide.
//!
//! Zip says everything twice, in the central directory and before each entry, and lets data lie anywhere. Tools
//! that believe different halves see different contents. The reader accepts a file only if both halves agree and
//! every byte of the file belongs to exactly one of them.

mod reader;
pub(crate) mod writer;

use std::sync::Arc;

use uuk_pki::{Digest, DigestAlgorithm};

use crate::entry_name::EntryName;
use crate::message_container::is_signature;

/// Content of the entry `mimetype`, without line end.
pub const MIMETYPE: &str = "application/vnd.etsi.asic-e+zip";

/// The entries of a container, in its order. Names are unique, also on file systems that ignore case.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Container {
    entries: Vec<Entry>,
}

/// A named part of a container.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Entry {
    /// Its name.
    pub name: EntryName,
    /// Its content, decompressed.
    pub bytes: Arc<[u8]>,
}

/// What may be in a container of one kind.
#[derive(Debug, Clone, Copy)]
pub struct Profile {
    /// How large it may be.
    pub limits: Limits,
    /// The archive comment that may stand at the end; without one, none may.
    pub comment: Option<&'static str>,
    /// What must be said by an entry `mimetype`.
    pub mimetype: Mimetype,
    /// Whether entries for folders are passed over instead of refused.
    pub folders: bool,
    /// Whether names may be percent-encoded as HTML forms do it, and be any text that way.
    pub encoded_names: bool,
    /// Identifiers of the zip extra fields that are passed over; others are refused, since some rename the entry.
    pub extra_fields: &'static [u16],
    /// Whether an entry of this name may be there.
    pub admits: fn(&EntryName) -> bool,
    /// Entries that must be there, besides `mimetype`.
    pub required: &'static [Required],
}

/// What a container says about its kind.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Mimetype {
    /// Nothing: it is a zip file and no ASiC container.
    Absent,
    /// An entry `mimetype`, wherever it stands.
    Anywhere,
    /// An entry `mimetype` that is the first and uncompressed, as ASiC recommends.
    First,
}

/// An entry that must be in a container.
#[derive(Debug, Clone, Copy)]
pub struct Required {
    /// How the refusal calls it.
    pub what: &'static str,
    /// Whether this is the one.
    pub is: fn(&EntryName) -> bool,
}

/// Sizes that a container may reach.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Limits {
    /// The file.
    pub container_bytes_max: usize,
    /// Number of entries, folders included.
    pub entries_max: usize,
    /// One entry, decompressed.
    pub entry_bytes_max: usize,
    /// All entries together, decompressed.
    pub content_bytes_max: usize,
    /// How many times larger than its compressed form an entry may be, beyond its first 64 KiB.
    pub compression_ratio_max: usize,
}

impl Profile {
    /// Containers of messages, as X-Road's servers and tools write them.
    pub const fn message() -> Self {
        /// Info-ZIP's and Java's time-stamp, and Info-ZIP's owner.
        const TIMESTAMP_AND_OWNER: &[u16] = &[0x5455, 0x7875];
        Self {
            limits: Limits {
                container_bytes_max: 64 << 20,
                entries_max: 128,
                entry_bytes_max: 64 << 20,
                content_bytes_max: 128 << 20,
                compression_ratio_max: 200,
            },
            comment: Some("mimetype=application/vnd.etsi.asic-e+zip"),
            mimetype: Mimetype::Anywhere,
            folders: true,
            encoded_names: false,
            extra_fields: TIMESTAMP_AND_OWNER,
            admits: |_| true,
            required: &[
                Required { what: "message.xml", is: |name| name.as_str() == "message.xml" },
                Required { what: "META-INF/signatures.xml", is: is_signature },
            ],
        }
    }

    /// Containers of plugins, as this project writes them.
    pub const fn bundle() -> Self {
        Self {
            limits: Limits {
                container_bytes_max: 32 << 20,
                entries_max: 1024,
                entry_bytes_max: 32 << 20,
                content_bytes_max: 64 << 20,
                compression_ratio_max: 200,
            },
            comment: None,
            mimetype: Mimetype::First,
            folders: false,
            encoded_names: false,
            extra_fields: &[],
            admits: |name| {
                !name.is_meta()
                    || matches!(
                        name.as_str(),
                        "META-INF/manifest.xml"
                            | "META-INF/signatures-author.xml"
                            | "META-INF/signatures-vetting.xml"
                    )
            },
            required: &[Required {
                what: "META-INF/manifest.xml",
                is: |name| name.as_str() == "META-INF/manifest.xml",
            }],
        }
    }
}

impl Container {
    /// Puts entries together; `mimetype` is added in front.
    ///
    /// # Errors
    /// [`ContainerError::DuplicateName`] or [`ContainerError::NameCollision`].
    pub fn new(entries: impl IntoIterator<Item = Entry>) -> Result<Self, ContainerError> {
        let mimetype = Entry { name: EntryName::new("mimetype")?, bytes: Arc::from(MIMETYPE.as_bytes()) };
        let entries: Vec<Entry> = std::iter::once(mimetype).chain(entries).collect();
        reader::check_unique(entries.iter().map(|entry| &entry.name))?;
        Ok(Self { entries })
    }

    /// Reads the container of exactly these bytes.
    ///
    /// # Errors
    /// As [`ContainerError`] says; nothing is decompressed before all headers are found sound.
    ///
    /// # Source
    /// APPNOTE.TXT 6.3.10; ETSI EN 319 162-1 §4.4 and annex A.
    pub fn read(bytes: &[u8], profile: &Profile) -> Result<Self, ContainerError> {
        reader::read(bytes, profile).map(|entries| Self { entries })
    }

    /// Writes the container. The same entries in the same order give the same bytes everywhere.
    pub fn write(&self) -> Vec<u8> {
        writer::write(&self.entries, "")
    }

    /// Writes the container with the archive comment of `profile`.
    pub(crate) fn write_as(&self, profile: &Profile) -> Vec<u8> {
        writer::write(&self.entries, profile.comment.unwrap_or_default())
    }

    /// All entries, `mimetype` included.
    pub fn entries(&self) -> &[Entry] {
        &self.entries
    }

    /// The content of the entry called `name`.
    pub fn entry(&self, name: &str) -> Option<&Arc<[u8]>> {
        self.entries.iter().find(|entry| entry.name.as_str() == name).map(|entry| &entry.bytes)
    }

    /// The digest of the entry that a signature reference's URI means: a path relative to the container's root, with
    /// or without a leading slash, percent-encoded.
    pub fn digest(&self, uri: &str, algorithm: DigestAlgorithm) -> Option<Digest> {
        let name = crate::reference_uri::entry_name(uri)?;
        self.entry(name.as_str()).map(|bytes| algorithm.digest(bytes))
    }
}

/// Why a container was refused.
#[derive(Debug, thiserror::Error, strum::IntoStaticStr)]
#[strum(serialize_all = "snake_case", prefix = "container.")]
#[non_exhaustive]
pub enum ContainerError {
    /// The file exceeds [`Limits::container_bytes_max`].
    #[error("the container is larger than {bytes_max} bytes")]
    TooLarge {
        /// The limit.
        bytes_max: usize,
    },
    /// Not a zip file.
    #[error("the file is not a zip container")]
    NotAContainer,
    /// Bytes before the first entry.
    #[error("{bytes} bytes lie before the container")]
    LeadingData {
        /// How many.
        bytes: usize,
    },
    /// Bytes after the end, or a comment that the profile does not know.
    #[error("{bytes} bytes lie after the container")]
    TrailingData {
        /// How many.
        bytes: usize,
    },
    /// Bytes that belong to no entry, or to two.
    #[error("the container's entries do not follow one another at byte {position}")]
    HiddenData {
        /// Where the next entry was expected.
        position: usize,
    },
    /// Spans disks.
    #[error("the container is one part of several")]
    MultipleDisks,
    /// The 64-bit form of the format.
    #[error("the container uses the 64-bit form of zip")]
    Zip64,
    /// Ends in the middle of a header or entry.
    #[error("the container ends too early, at byte {position}")]
    Truncated {
        /// Where it should have gone on.
        position: usize,
    },
    /// More entries than [`Limits::entries_max`].
    #[error("the container has more than {entries_max} entries")]
    TooManyEntries {
        /// The limit.
        entries_max: usize,
    },
    /// An entry exceeds [`Limits::entry_bytes_max`].
    #[error("entry `{name}` is larger than {bytes_max} bytes")]
    EntryTooLarge {
        /// Which.
        name: EntryName,
        /// The limit.
        bytes_max: usize,
    },
    /// The entries exceed [`Limits::content_bytes_max`].
    #[error("the entries together are larger than {bytes_max} bytes")]
    ContentTooLarge {
        /// The limit.
        bytes_max: usize,
    },
    /// A bomb.
    #[error("entry `{name}` is compressed more than {ratio_max} times")]
    CompressionRatio {
        /// Which.
        name: EntryName,
        /// The limit.
        ratio_max: usize,
    },
    /// A segment is `.` or `..`.
    #[error("entry name `{name}` climbs out of the container")]
    NameTraversal {
        /// The name, escaped and shortened.
        name: String,
    },
    /// Starts at a root or a drive.
    #[error("entry name `{name}` is absolute")]
    NameAbsolute {
        /// The name, escaped and shortened.
        name: String,
    },
    /// Contains a backslash, which some systems take for a separator.
    #[error("entry name `{name}` contains a backslash")]
    NameBackslash {
        /// The name, escaped and shortened.
        name: String,
    },
    /// Contains bytes beyond ASCII, where normalisation forms collide.
    #[error("entry name `{name}` is not ASCII")]
    NameNotAscii {
        /// The name, escaped and shortened.
        name: String,
    },
    /// Empty, too long, or with other characters.
    #[error("entry name `{name}` is not a plain relative path")]
    NameInvalid {
        /// The name, escaped and shortened.
        name: String,
    },
    /// Two entries of one name.
    #[error("entry `{name}` occurs twice")]
    DuplicateName {
        /// Which.
        name: EntryName,
    },
    /// Two names that are one file where case is ignored, or a file that is another's folder.
    #[error("entries `{name}` and `{other}` cannot both be stored")]
    NameCollision {
        /// The later one.
        name: EntryName,
        /// The earlier one.
        other: EntryName,
    },
    /// A symbolic link, device or, where the profile refuses them, folder.
    #[error("entry `{name}` is not a regular file")]
    SpecialEntry {
        /// The name, escaped and shortened.
        name: String,
    },
    /// Encrypted.
    #[error("entry `{name}` is encrypted")]
    Encrypted {
        /// Which.
        name: EntryName,
    },
    /// Neither stored nor deflated.
    #[error("entry `{name}` uses compression method {method}; only 0 and 8 are known")]
    UnsupportedCompression {
        /// Which.
        name: EntryName,
        /// The method's number.
        method: u16,
    },
    /// A flag whose meaning is not supported.
    #[error("entry `{name}` uses flags {flags:#06x}")]
    UnsupportedFlags {
        /// Which.
        name: EntryName,
        /// All its flags.
        flags: u16,
    },
    /// An extra field outside the profile.
    #[error("entry `{name}` has an extra field {id:#06x}")]
    UnexpectedExtraField {
        /// Which.
        name: EntryName,
        /// The field's identifier.
        id: u16,
    },
    /// The header before the entry and the directory disagree.
    #[error("entry `{name}` has another {field} in its own header than in the directory")]
    HeaderMismatch {
        /// Which.
        name: EntryName,
        /// What differs.
        field: &'static str,
    },
    /// The descriptor after the entry and the directory disagree.
    #[error("the data descriptor of entry `{name}` differs from the directory")]
    DescriptorMismatch {
        /// Which.
        name: EntryName,
    },
    /// Size or checksum are not those of the content, or it does not decompress.
    #[error("the content of entry `{name}` does not fit its size and checksum")]
    ContentMismatch {
        /// Which.
        name: EntryName,
    },
    /// A comment on an entry.
    #[error("entry `{name}` has a comment")]
    EntryComment {
        /// Which.
        name: EntryName,
    },
    /// No entry `mimetype`.
    #[error("the entry `mimetype` is missing")]
    MissingMimetype,
    /// `mimetype` says something else.
    #[error("the entry `mimetype` does not say `{MIMETYPE}`")]
    WrongMimetype,
    /// `mimetype` is compressed or not the first.
    #[error("the entry `mimetype` is not first and uncompressed")]
    MimetypeNotFirst,
    /// An entry the profile does not admit.
    #[error("entry `{name}` is not allowed in this kind of container")]
    UnexpectedEntry {
        /// Which.
        name: EntryName,
    },
    /// An entry the profile requires.
    #[error("the entry `{what}` is missing")]
    MissingEntry {
        /// Which.
        what: &'static str,
    },
}

impl ContainerError {
    /// The stable code of the reason.
    pub fn code(&self) -> &'static str {
        self.into()
    }

    /// The code that X-Road 7.8 has for it in a container of a message, if any.
    pub fn xroad_code(&self) -> Option<&'static str> {
        match self {
            // It reads whatever entries it can find, and then misses the first.
            Self::NotAContainer | Self::MissingMimetype => Some("asic_mime_type_not_found"),
            Self::WrongMimetype => Some("asic_invalid_mime_type"),
            Self::MissingEntry { what } => match *what {
                "message.xml" => Some("asic_message_not_found"),
                "META-INF/signatures.xml" => Some("asic_signature_not_found"),
                "META-INF/timestamp.tst" => Some("asic_timestamp_not_found"),
                chain if chain.ends_with("-hashchain.xml") => Some("asic_hash_chain_not_found"),
                result if result.ends_with("-hashchainresult.xml") => {
                    Some("asic_hash_chain_result_not_found")
                }
                _ => None,
            },
            _ => None,
        }
    }
}

#[cfg(test)]
mod tests;
