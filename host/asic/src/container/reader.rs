//! Reading a zip file from both its halves at once.

use std::collections::BTreeMap;
use std::sync::Arc;

use miniz_oxide::inflate::TINFLStatus;
use miniz_oxide::inflate::core::{DecompressorOxide, decompress, inflate_flags};

use super::{ContainerError, Entry, MIMETYPE, Mimetype, Profile};
use crate::entry_name::{EntryName, quote};

/// Signatures and sizes of the fixed parts of the headers, from APPNOTE.TXT 6.3.10 §4.3.
pub(super) const LOCAL_HEADER: [u8; 4] = *b"PK\x03\x04";
pub(super) const DIRECTORY_HEADER: [u8; 4] = *b"PK\x01\x02";
pub(super) const END_OF_DIRECTORY: [u8; 4] = *b"PK\x05\x06";
const DESCRIPTOR: [u8; 4] = *b"PK\x07\x08";
const END_OF_DIRECTORY_BYTES: usize = 22;

pub(super) const STORED: u16 = 0;
pub(super) const DEFLATED: u16 = 8;

const FLAGS_ENCRYPTED: u16 = 1 << 0 | 1 << 6 | 1 << 13;
const FLAG_DESCRIPTOR: u16 = 1 << 3;
/// Deflate effort, descriptor, UTF-8: they change nothing for ASCII names.
const FLAGS_KNOWN: u16 = 1 << 1 | 1 << 2 | FLAG_DESCRIPTOR | 1 << 11;

/// A bomb needs room to unfold: what is this small may be compressed at will.
const RATIO_FREE_BYTES: usize = 64 << 10;

/// One entry as the directory describes it.
struct Listed {
    name: EntryName,
    folder: bool,
    flags: u16,
    method: u16,
    checksum: u32,
    compressed_bytes: usize,
    bytes: usize,
    position: usize,
}

pub(super) fn read(bytes: &[u8], profile: &Profile) -> Result<Vec<Entry>, ContainerError> {
    let limits = &profile.limits;
    if bytes.len() > limits.container_bytes_max {
        return Err(ContainerError::TooLarge { bytes_max: limits.container_bytes_max });
    }
    let (directory, entries) = find_directory(bytes, profile)?;
    let listed = read_directory(bytes, directory.clone(), entries, profile)?;
    check_unique(listed.iter().filter(|entry| !entry.folder).map(|entry| &entry.name))?;
    check_sizes(&listed, profile)?;
    check_presence(&listed, profile)?;

    let mut position = 0;
    let mut located = Vec::with_capacity(listed.len());
    for entry in &listed {
        let (data, next) = locate(bytes, entry, position, directory.start, profile)?;
        position = next;
        located.push((entry, data));
    }
    if position != directory.start {
        return Err(ContainerError::HiddenData { position });
    }

    let files = located.into_iter().filter(|(entry, _)| !entry.folder);
    let contents = files
        .map(|(entry, data)| Ok(Entry { name: entry.name.clone(), bytes: unpack(data, entry)? }))
        .collect::<Result<Vec<_>, ContainerError>>()?;
    check_mimetype(&contents, &listed, profile)?;
    Ok(contents)
}

/// Finds the directory from the record at the very end, and how many entries it lists.
fn find_directory(
    bytes: &[u8],
    profile: &Profile,
) -> Result<(std::ops::Range<usize>, usize), ContainerError> {
    let comments = [Some(""), profile.comment];
    let end = comments.into_iter().flatten().find_map(|comment| {
        let start = bytes.len().checked_sub(END_OF_DIRECTORY_BYTES + comment.len())?;
        let record = bytes.get(start..)?;
        let length = u16::try_from(comment.len()).ok()?.to_le_bytes();
        let fits = record.starts_with(&END_OF_DIRECTORY)
            && record.get(20..22) == Some(&length)
            && record.ends_with(comment.as_bytes());
        fits.then_some(start)
    });
    let Some(end) = end else {
        // Only to say what is wrong: an end record further up means that something follows it.
        let record = bytes.windows(END_OF_DIRECTORY.len()).rposition(|window| window == END_OF_DIRECTORY);
        return Err(match record {
            Some(start) => ContainerError::TrailingData {
                bytes: bytes.len().saturating_sub(start + END_OF_DIRECTORY_BYTES),
            },
            None => ContainerError::NotAContainer,
        });
    };

    let mut record = Cursor { bytes, position: end + END_OF_DIRECTORY.len() };
    let disks = [record.u16()?, record.u16()?];
    let entries_here = record.u16()?;
    let entries = record.u16()?;
    let size = record.u32()?;
    let start = record.u32()?;
    if entries == u16::MAX || size == u32::MAX || start == u32::MAX {
        return Err(ContainerError::Zip64);
    }
    if disks != [0, 0] || entries_here != entries {
        return Err(ContainerError::MultipleDisks);
    }
    let (start, size) = (start as usize, size as usize);
    match end.checked_sub(start.saturating_add(size)) {
        Some(0) => Ok((start..end, usize::from(entries))),
        Some(shift) => Err(ContainerError::LeadingData { bytes: shift }),
        None => Err(ContainerError::Truncated { position: end }),
    }
}

fn read_directory(
    bytes: &[u8],
    directory: std::ops::Range<usize>,
    entries: usize,
    profile: &Profile,
) -> Result<Vec<Listed>, ContainerError> {
    if entries > profile.limits.entries_max {
        return Err(ContainerError::TooManyEntries { entries_max: profile.limits.entries_max });
    }
    let mut cursor = Cursor { bytes, position: directory.start };
    let mut listed = Vec::with_capacity(entries);
    for _ in 0..entries {
        listed.push(read_listed(&mut cursor, profile)?);
    }
    if cursor.position != directory.end {
        return Err(ContainerError::HiddenData { position: cursor.position });
    }
    Ok(listed)
}

fn read_listed(cursor: &mut Cursor<'_>, profile: &Profile) -> Result<Listed, ContainerError> {
    if cursor.take(4)? != DIRECTORY_HEADER {
        return Err(ContainerError::HiddenData { position: cursor.position - 4 });
    }
    let made_by = cursor.u16()?;
    let _needed = cursor.u16()?;
    let flags = cursor.u16()?;
    let method = cursor.u16()?;
    let _time_and_date = cursor.u32()?;
    let checksum = cursor.u32()?;
    let compressed_bytes = cursor.u32()?;
    let size = cursor.u32()?;
    let name_length = cursor.u16()?;
    let extra_length = cursor.u16()?;
    let comment_length = cursor.u16()?;
    let disk = cursor.u16()?;
    let _internal = cursor.u16()?;
    let attributes = cursor.u32()?;
    let position = cursor.u32()?;
    let raw_name = cursor.take(usize::from(name_length))?;
    let extra = cursor.take(usize::from(extra_length))?;

    let (file_name, folder) = match raw_name.strip_suffix(b"/") {
        Some(folder) if profile.folders && size == 0 => (folder, true),
        Some(_) => return Err(ContainerError::SpecialEntry { name: quote(raw_name) }),
        None => (raw_name, false),
    };
    let name = match profile.encoded_names {
        true => EntryName::encoded(file_name)?,
        false => EntryName::from_bytes(file_name)?,
    };
    if !is_plain(made_by, attributes, folder) {
        return Err(ContainerError::SpecialEntry { name: quote(raw_name) });
    }
    if flags & FLAGS_ENCRYPTED != 0 {
        return Err(ContainerError::Encrypted { name });
    }
    if flags & !FLAGS_KNOWN != 0 {
        return Err(ContainerError::UnsupportedFlags { name, flags });
    }
    if method != STORED && method != DEFLATED {
        return Err(ContainerError::UnsupportedCompression { name, method });
    }
    if compressed_bytes == u32::MAX || size == u32::MAX || position == u32::MAX {
        return Err(ContainerError::Zip64);
    }
    if disk != 0 {
        return Err(ContainerError::MultipleDisks);
    }
    if comment_length != 0 {
        return Err(ContainerError::EntryComment { name });
    }
    check_extra(&name, extra, profile)?;
    Ok(Listed {
        name,
        folder,
        flags,
        method,
        checksum,
        compressed_bytes: compressed_bytes as usize,
        bytes: size as usize,
        position: position as usize,
    })
}

/// Whether the attributes are those of a regular file or, for a folder's entry, of a folder.
fn is_plain(made_by: u16, attributes: u32, folder: bool) -> bool {
    const MADE_ON_UNIX: u16 = 3;
    const MADE_ON_MACOS: u16 = 19;
    const DOS_FOLDER: u32 = 0x10;
    const DOS_VOLUME: u32 = 0x08;
    if !folder && attributes & (DOS_FOLDER | DOS_VOLUME) != 0 {
        return false;
    }
    let system = made_by >> 8;
    if system != MADE_ON_UNIX && system != MADE_ON_MACOS {
        return true;
    }
    let kind = (attributes >> 16) & 0o170_000;
    kind == 0 || kind == if folder { 0o040_000 } else { 0o100_000 }
}

fn check_extra(name: &EntryName, extra: &[u8], profile: &Profile) -> Result<(), ContainerError> {
    let mut cursor = Cursor { bytes: extra, position: 0 };
    while cursor.position < extra.len() {
        let id = cursor.u16()?;
        let length = cursor.u16()?;
        cursor.take(usize::from(length))?;
        if !profile.extra_fields.contains(&id) {
            return Err(ContainerError::UnexpectedExtraField { name: name.clone(), id });
        }
    }
    Ok(())
}

pub(super) fn check_unique<'a>(names: impl Iterator<Item = &'a EntryName>) -> Result<(), ContainerError> {
    let mut stored: BTreeMap<String, &EntryName> = BTreeMap::new();
    for name in names {
        match stored.insert(name.as_str().to_ascii_lowercase(), name) {
            Some(other) if other == name => return Err(ContainerError::DuplicateName { name: name.clone() }),
            Some(other) => {
                return Err(ContainerError::NameCollision { name: name.clone(), other: other.clone() });
            }
            None => {}
        }
    }
    // A file that is another's folder: `a` beside `a/b`.
    for (path, name) in &stored {
        for (slash, _) in path.match_indices('/') {
            let parent = path.get(..slash).and_then(|parent| stored.get(parent));
            if let Some(other) = parent {
                return Err(ContainerError::NameCollision { name: (*name).clone(), other: (*other).clone() });
            }
        }
    }
    Ok(())
}

fn check_sizes(listed: &[Listed], profile: &Profile) -> Result<(), ContainerError> {
    let limits = &profile.limits;
    let mut content_bytes = 0usize;
    for entry in listed {
        let name = || entry.name.clone();
        if entry.bytes > limits.entry_bytes_max {
            return Err(ContainerError::EntryTooLarge { name: name(), bytes_max: limits.entry_bytes_max });
        }
        let ratio_max = limits.compression_ratio_max;
        if entry.bytes > RATIO_FREE_BYTES + entry.compressed_bytes.saturating_mul(ratio_max) {
            return Err(ContainerError::CompressionRatio { name: name(), ratio_max });
        }
        content_bytes = content_bytes.saturating_add(entry.bytes);
    }
    if content_bytes > limits.content_bytes_max {
        return Err(ContainerError::ContentTooLarge { bytes_max: limits.content_bytes_max });
    }
    Ok(())
}

fn check_presence(listed: &[Listed], profile: &Profile) -> Result<(), ContainerError> {
    let mut files = listed.iter().filter(|entry| !entry.folder);
    if let Some(entry) = files.clone().find(|entry| !(profile.admits)(&entry.name)) {
        return Err(ContainerError::UnexpectedEntry { name: entry.name.clone() });
    }
    if profile.mimetype != Mimetype::Absent && !files.any(|entry| entry.name.as_str() == "mimetype") {
        return Err(ContainerError::MissingMimetype);
    }
    for required in profile.required {
        if !listed.iter().any(|entry| !entry.folder && (required.is)(&entry.name)) {
            return Err(ContainerError::MissingEntry { what: required.what });
        }
    }
    Ok(())
}

/// The raw data of `entry`, whose header must stand at `expected`, and the position after it.
fn locate<'a>(
    bytes: &'a [u8],
    entry: &Listed,
    expected: usize,
    end: usize,
    profile: &Profile,
) -> Result<(&'a [u8], usize), ContainerError> {
    if entry.position != expected {
        return Err(match expected {
            0 => ContainerError::LeadingData { bytes: entry.position },
            _ => ContainerError::HiddenData { position: expected },
        });
    }
    let Some(before_directory) = bytes.get(..end) else {
        return Err(ContainerError::Truncated { position: expected });
    };
    let mut cursor = Cursor { bytes: before_directory, position: expected };
    if cursor.take(4)? != LOCAL_HEADER {
        return Err(ContainerError::HiddenData { position: expected });
    }
    let differs = |field| Err(ContainerError::HeaderMismatch { name: entry.name.clone(), field });
    let _needed = cursor.u16()?;
    let flags = cursor.u16()?;
    let method = cursor.u16()?;
    let _time_and_date = cursor.u32()?;
    let sums = (cursor.u32()?, cursor.u32()? as usize, cursor.u32()? as usize);
    let name_length = cursor.u16()?;
    let extra_length = cursor.u16()?;
    let raw_name = cursor.take(usize::from(name_length))?;
    let extra = cursor.take(usize::from(extra_length))?;

    if raw_name.strip_suffix(b"/").unwrap_or(raw_name) != entry.name.as_str().as_bytes()
        || raw_name.ends_with(b"/") != entry.folder
    {
        return differs("name");
    }
    if flags != entry.flags {
        return differs("flags");
    }
    if method != entry.method {
        return differs("compression method");
    }
    let has_descriptor = flags & FLAG_DESCRIPTOR != 0;
    let listed_sums = (entry.checksum, entry.compressed_bytes, entry.bytes);
    if sums != listed_sums && !(has_descriptor && sums == (0, 0, 0)) {
        return differs("size or checksum");
    }
    check_extra(&entry.name, extra, profile)?;

    let data = cursor.take(entry.compressed_bytes)?;
    if has_descriptor {
        // The signature in front of a descriptor is optional.
        let unsigned = cursor.position;
        if cursor.take(4)? != DESCRIPTOR {
            cursor.position = unsigned;
        }
        let sums = (cursor.u32()?, cursor.u32()? as usize, cursor.u32()? as usize);
        if sums != listed_sums {
            return Err(ContainerError::DescriptorMismatch { name: entry.name.clone() });
        }
    }
    Ok((data, cursor.position))
}

fn unpack(data: &[u8], entry: &Listed) -> Result<Arc<[u8]>, ContainerError> {
    let mismatch = || ContainerError::ContentMismatch { name: entry.name.clone() };
    let content = if entry.method == STORED {
        data.to_vec()
    } else {
        inflate(data, entry.bytes).ok_or_else(mismatch)?
    };
    if content.len() != entry.bytes || crc32fast::hash(&content) != entry.checksum {
        return Err(mismatch());
    }
    Ok(Arc::from(content))
}

/// Decompresses `data` if it gives exactly `size` bytes and nothing of it is left over.
fn inflate(data: &[u8], size: usize) -> Option<Vec<u8>> {
    let mut content = vec![0; size];
    let flags = inflate_flags::TINFL_FLAG_USING_NON_WRAPPING_OUTPUT_BUF;
    let (status, consumed, written) = decompress(&mut DecompressorOxide::new(), data, &mut content, 0, flags);
    (status == TINFLStatus::Done && consumed == data.len() && written == size).then_some(content)
}

fn check_mimetype(contents: &[Entry], listed: &[Listed], profile: &Profile) -> Result<(), ContainerError> {
    if profile.mimetype == Mimetype::Absent {
        return Ok(());
    }
    let mimetype = contents.iter().find(|entry| entry.name.as_str() == "mimetype");
    if mimetype.is_none_or(|entry| *entry.bytes != *MIMETYPE.as_bytes()) {
        return Err(ContainerError::WrongMimetype);
    }
    let leads =
        listed.first().is_some_and(|first| first.name.as_str() == "mimetype" && first.method == STORED);
    if profile.mimetype == Mimetype::First && !leads {
        return Err(ContainerError::MimetypeNotFirst);
    }
    Ok(())
}

/// Reads little-endian numbers and slices without ever leaving `bytes`.
struct Cursor<'a> {
    bytes: &'a [u8],
    position: usize,
}

impl<'a> Cursor<'a> {
    fn take(&mut self, length: usize) -> Result<&'a [u8], ContainerError> {
        let end = self.position.saturating_add(length);
        let taken = self
            .bytes
            .get(self.position..end)
            .ok_or(ContainerError::Truncated { position: self.position })?;
        self.position = end;
        Ok(taken)
    }

    fn u16(&mut self) -> Result<u16, ContainerError> {
        self.take(2).map(|bytes| bytes.iter().rev().fold(0, |number, byte| number << 8 | u16::from(*byte)))
    }

    fn u32(&mut self) -> Result<u32, ContainerError> {
        self.take(4).map(|bytes| bytes.iter().rev().fold(0, |number, byte| number << 8 | u32::from(*byte)))
    }
}
