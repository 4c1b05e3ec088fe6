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
    let mut file = Vec::new();
    let mut directory = Vec::new();
    for (index, entry) in entries.iter().enumerate() {
        // The first entry is `mimetype`, which stays readable at its fixed place (EN 319 162-1 annex A).
        let deflated = (index > 0).then(|| compress_to_vec(&entry.bytes, DEFLATE_LEVEL));
        let (method, data) = match &deflated {
            Some(deflated) if deflated.len() < entry.bytes.len() => (DEFLATED, deflated.as_slice()),
            _ => (STORED, &*entry.bytes),
        };
        let position = file.len();
        let description = describe(entry, method, data.len());

        file.extend(LOCAL_HEADER);
        file.extend(&description);
        file.extend(entry.name.as_str().as_bytes());
        file.extend(data);

        directory.extend(DIRECTORY_HEADER);
        directory.extend(VERSION.to_le_bytes());
        directory.extend(&description);
        // Comment length, disk, internal attributes, external attributes: none.
        directory.extend([0; 2 + 2 + 2 + 4]);
        directory.extend(number(position).to_le_bytes());
        directory.extend(entry.name.as_str().as_bytes());
    }
    let directory_position = file.len();
    let count = (entries.len() as u16).to_le_bytes();
    file.extend(&directory);
    file.extend(END_OF_DIRECTORY);
    file.extend([0; 4]);
    file.extend(count);
    file.extend(count);
    file.extend(number(directory.len()).to_le_bytes());
    file.extend(number(directory_position).to_le_bytes());
    file.extend((comment.len() as u16).to_le_bytes());
    file.extend(comment.as_bytes());
    file
}

/// The fields that both headers share, from the version needed to the length of the extra field.
fn describe(entry: &Entry, method: u16, compressed_bytes: usize) -> Vec<u8> {
    let mut fields = Vec::with_capacity(26);
    fields.extend(VERSION.to_le_bytes());
    fields.extend(0u16.to_le_bytes());
    fields.extend(method.to_le_bytes());
    fields.extend(TIME_AND_DATE.to_le_bytes());
    fields.extend(crc32fast::hash(&entry.bytes).to_le_bytes());
    fields.extend(number(compressed_bytes).to_le_bytes());
    fields.extend(number(entry.bytes.len()).to_le_bytes());
    fields.extend((entry.name.as_str().len() as u16).to_le_bytes());
    fields.extend(0u16.to_le_bytes());
    fields
}

/// A size of the 32-bit format; profiles keep containers far below its limit, and their readers refuse others.
fn number(size: usize) -> u32 {
    u32::try_from(size).unwrap_or(u32::MAX)
}
