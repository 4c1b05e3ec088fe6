//! Writing a zip file that has nothing in it but its entries.

use miniz_oxide::deflate::compress_to_vec;

use super::Entry;
use super::reader::{DEFLATED, DIRECTORY_HEADER, END_OF_DIRECTORY, LOCAL_HEADER, STORED};

/// 1980-01-01 00:00, the earliest time the format can state: a container does not tell when it was made.
const TIME_AND_DATE: u32 = 0x0021_0000;
/// Version 2.0 of the format, which brought deflate.
const VERSION: u16 = 20;
/// miniz's usual balance of speed and size. Changing it changes the bytes of every container.
const DEFLATE_LEVEL: u8 = 6;

/// Writes `entries` in their order, and `comment`, which is ASCII and short, at the end.
///
/// The compressor is miniz_oxide, whose output depends neither on the processor nor on other crates' features, as
/// that of zlib-rs does.
pub(super) fn write(entries: &[Entry], comment: &str) -> Vec<u8> {
    let mut zip = ZipWriter::default();
    for (index, entry) in entries.iter().enumerate() {
        // The first entry is `mimetype`, which stays readable at its fixed place (EN 319 162-1 annex A).
        let deflated = (index > 0).then(|| compress_to_vec(&entry.bytes, DEFLATE_LEVEL));
        match &deflated {
            Some(deflated) if deflated.len() < entry.bytes.len() => {
                zip.push(entry.name.as_str(), &entry.bytes, DEFLATED, deflated);
            }
            _ => zip.push(entry.name.as_str(), &entry.bytes, STORED, &entry.bytes),
        }
    }
    zip.finish(comment)
}

/// A zip file in the making.
#[derive(Debug, Default)]
pub(crate) struct ZipWriter {
    file: Vec<u8>,
    directory: Vec<u8>,
    entries: u16,
}

impl ZipWriter {
    /// Adds an entry of any content without making it smaller, yet as a deflated one: what X-Road's archives have.
    pub(crate) fn push_level_0(&mut self, name: &str, bytes: &[u8]) {
        self.push(name, bytes, DEFLATED, &compress_to_vec(bytes, 0));
    }

    /// How many entries there are.
    pub(crate) fn entries(&self) -> usize {
        usize::from(self.entries)
    }

    /// The size so far, without the directory.
    pub(crate) fn bytes(&self) -> usize {
        self.file.len()
    }

    fn push(&mut self, name: &str, bytes: &[u8], method: u16, data: &[u8]) {
        let position = self.file.len();
        let description = describe(name, bytes, method, data.len());

        self.file.extend(LOCAL_HEADER);
        self.file.extend(&description);
        self.file.extend(name.as_bytes());
        self.file.extend(data);

        self.directory.extend(DIRECTORY_HEADER);
        self.directory.extend(VERSION.to_le_bytes());
        self.directory.extend(&description);
        // Comment length, disk, internal attributes, external attributes: none.
        self.directory.extend([0; 2 + 2 + 2 + 4]);
        self.directory.extend(number(position).to_le_bytes());
        self.directory.extend(name.as_bytes());
        self.entries += 1;
    }

    /// The file, with `comment` at its end.
    pub(crate) fn finish(self, comment: &str) -> Vec<u8> {
        let Self { mut file, directory, entries } = self;
        let directory_position = file.len();
        file.extend(&directory);
        file.extend(END_OF_DIRECTORY);
        file.extend([0; 4]);
        file.extend(entries.to_le_bytes());
        file.extend(entries.to_le_bytes());
        file.extend(number(directory.len()).to_le_bytes());
        file.extend(number(directory_position).to_le_bytes());
        file.extend((comment.len() as u16).to_le_bytes());
        file.extend(comment.as_bytes());
        file
    }
}

/// The fields that both headers share, from the version needed to the length of the extra field.
fn describe(name: &str, bytes: &[u8], method: u16, compressed_bytes: usize) -> Vec<u8> {
    let mut fields = Vec::with_capacity(26);
    fields.extend(VERSION.to_le_bytes());
    fields.extend(0u16.to_le_bytes());
    fields.extend(method.to_le_bytes());
    fields.extend(TIME_AND_DATE.to_le_bytes());
    fields.extend(crc32fast::hash(bytes).to_le_bytes());
    fields.extend(number(compressed_bytes).to_le_bytes());
    fields.extend(number(bytes.len()).to_le_bytes());
    fields.extend((name.len() as u16).to_le_bytes());
    fields.extend(0u16.to_le_bytes());
    fields
}

/// A size of the 32-bit format; profiles keep containers far below its limit, and their readers refuse others.
fn number(size: usize) -> u32 {
    u32::try_from(size).unwrap_or(u32::MAX)
}
