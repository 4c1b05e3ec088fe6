//! Hostile containers, each made byte by byte and wrong in one way.

use super::*;

/// A zip entry of which every field can be set, in both its headers.
#[derive(Clone)]
struct Raw {
    name: Vec<u8>,
    /// The name in the entry's own header, if it differs.
    local_name: Option<Vec<u8>>,
    data: Vec<u8>,
    method: u16,
    flags: u16,
    local_flags: Option<u16>,
    checksum: u32,
    local_checksum: Option<u32>,
    bytes: u32,
    made_by: u16,
    attributes: u32,
    extra: Vec<u8>,
    comment: Vec<u8>,
    /// What follows the data.
    descriptor: Vec<u8>,
}

impl Raw {
    fn stored(name: &str, content: &[u8]) -> Self {
        Self {
            name: name.into(),
            local_name: None,
            data: content.to_vec(),
            method: 0,
            flags: 0,
            local_flags: None,
            checksum: crc32fast::hash(content),
            local_checksum: None,
            bytes: content.len() as u32,
            made_by: 20,
            attributes: 0,
            extra: Vec::new(),
            comment: Vec::new(),
            descriptor: Vec::new(),
        }
    }

    fn deflated(name: &str, content: &[u8]) -> Self {
        let data = miniz_oxide::deflate::compress_to_vec(content, 6);
        Self { data, method: 8, ..Self::stored(name, content) }
    }

    /// The fields that both headers share, from flags to the length of the extra field.
    fn shared(&self, flags: u16, checksum: u32, sizes: (u32, u32), name: &[u8]) -> Vec<u8> {
        let mut fields = Vec::new();
        fields.extend(flags.to_le_bytes());
        fields.extend(self.method.to_le_bytes());
        fields.extend([0; 4]);
        fields.extend(checksum.to_le_bytes());
        fields.extend(sizes.0.to_le_bytes());
        fields.extend(sizes.1.to_le_bytes());
        fields.extend((name.len() as u16).to_le_bytes());
        fields.extend((self.extra.len() as u16).to_le_bytes());
        fields
    }
}

/// The four entries of a small valid bundle container.
fn sound() -> Vec<Raw> {
    vec![
        Raw::stored("mimetype", MIMETYPE.as_bytes()),
        Raw::deflated("plugin.toml", b"aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa"),
        Raw::stored("sql/find.sql", b"SELECT 1"),
        Raw::stored("META-INF/manifest.xml", b"<manifest/>"),
    ]
}

fn zip(entries: &[Raw]) -> Vec<u8> {
    zip_with_comment(entries, b"")
}

fn zip_with_comment(entries: &[Raw], comment: &[u8]) -> Vec<u8> {
    let mut file = Vec::new();
    let mut directory = Vec::new();
    for entry in entries {
        let position = file.len() as u32;
        let sizes = (entry.data.len() as u32, entry.bytes);
        let local_name = entry.local_name.as_ref().unwrap_or(&entry.name);
        let local_flags = entry.local_flags.unwrap_or(entry.flags);
        let has_descriptor = local_flags & 8 != 0;
        let (checksum, local_sizes) = if has_descriptor { (0, (0, 0)) } else { (entry.checksum, sizes) };
        file.extend(b"PK\x03\x04\x14\0");
        file.extend(entry.shared(
            local_flags,
            entry.local_checksum.unwrap_or(checksum),
            local_sizes,
            local_name,
        ));
        file.extend(local_name);
        file.extend(&entry.extra);
        file.extend(&entry.data);
        file.extend(&entry.descriptor);

        directory.extend(b"PK\x01\x02");
        directory.extend(entry.made_by.to_le_bytes());
        directory.extend(b"\x14\0");
        directory.extend(entry.shared(entry.flags, entry.checksum, sizes, &entry.name));
        directory.extend((entry.comment.len() as u16).to_le_bytes());
        directory.extend([0; 4]);
        directory.extend(entry.attributes.to_le_bytes());
        directory.extend(position.to_le_bytes());
        directory.extend(&entry.name);
        directory.extend(&entry.extra);
        directory.extend(&entry.comment);
    }
    let position = file.len() as u32;
    file.extend(&directory);
    file.extend(end_of_directory(entries.len() as u16, directory.len() as u32, position));
    let comment_length = file.len() - 2;
    file[comment_length..].copy_from_slice(&(comment.len() as u16).to_le_bytes());
    file.extend(comment);
    file
}

fn end_of_directory(entries: u16, bytes: u32, position: u32) -> Vec<u8> {
    let mut record = b"PK\x05\x06\0\0\0\0".to_vec();
    record.extend(entries.to_le_bytes());
    record.extend(entries.to_le_bytes());
    record.extend(bytes.to_le_bytes());
    record.extend(position.to_le_bytes());
    record.extend([0, 0]);
    record
}

/// The sound container with its last but one entry changed.
fn changed(change: impl FnOnce(&mut Raw)) -> Vec<u8> {
    let mut entries = sound();
    change(&mut entries[2]);
    zip(&entries)
}

fn with_entry(entry: Raw) -> Vec<u8> {
    let mut entries = sound();
    entries.push(entry);
    zip(&entries)
}

fn with_name(name: &str) -> Vec<u8> {
    with_entry(Raw::stored(name, b"x"))
}

#[track_caller]
fn refuses(bytes: &[u8], code: &str) {
    let error = Container::read(bytes, &Profile::bundle()).unwrap_err();
    assert_eq!(error.code(), format!("container.{code}"), "{error}");
}

/// A profile with room for little.
fn tight(limits: Limits) -> Profile {
    Profile { limits, ..Profile::bundle() }
}

#[test]
fn reads_a_sound_container() {
    let container = Container::read(&zip(&sound()), &Profile::bundle()).unwrap();
    let names: Vec<_> = container.entries().iter().map(|entry| entry.name.as_str()).collect();
    assert_eq!(names, ["mimetype", "plugin.toml", "sql/find.sql", "META-INF/manifest.xml"]);
    assert_eq!(&**container.entry("sql/find.sql").unwrap(), b"SELECT 1");
}

#[test]
fn another_zip_library_reads_what_is_written() {
    let container = Container::read(&zip(&sound()), &Profile::bundle()).unwrap();
    let mut archive = zip::ZipArchive::new(std::io::Cursor::new(container.write())).unwrap();
    for (index, entry) in container.entries().iter().enumerate() {
        let mut file = archive.by_index(index).unwrap();
        let mut content = Vec::new();
        std::io::copy(&mut file, &mut content).unwrap();
        assert_eq!((file.name().unwrap().as_ref(), content.as_slice()), (entry.name.as_str(), &*entry.bytes));
    }
}

#[test]
fn what_is_written_reads_back() {
    let container = Container::read(&zip(&sound()), &Profile::bundle()).unwrap();
    assert_eq!(Container::read(&container.write(), &Profile::bundle()).unwrap(), container);
}

#[test]
fn reads_data_descriptors_with_and_without_signature() {
    for signature in [&b"PK\x07\x08"[..], b""] {
        let bytes = changed(|entry| {
            entry.flags = 8;
            entry.descriptor = descriptor(signature, entry.checksum, entry.data.len() as u32);
        });
        assert!(Container::read(&bytes, &Profile::bundle()).is_ok());
    }
}

fn descriptor(signature: &[u8], checksum: u32, bytes: u32) -> Vec<u8> {
    [signature, &checksum.to_le_bytes(), &bytes.to_le_bytes(), &bytes.to_le_bytes()].concat()
}

#[test]
fn refuses_a_file_that_is_no_zip() {
    refuses(b"Hello world!", "not_a_container");
    refuses(b"", "not_a_container");
}

#[test]
fn refuses_a_name_that_climbs_out() {
    refuses(&with_name("../evil"), "name_traversal");
    refuses(&with_name("sql/../../evil"), "name_traversal");
    refuses(&with_name("sql/./evil"), "name_traversal");
}

#[test]
fn refuses_an_absolute_name() {
    refuses(&with_name("/etc/passwd"), "name_absolute");
    refuses(&with_name("C:evil"), "name_absolute");
}

#[test]
fn refuses_a_backslash() {
    refuses(&with_name("sql\\evil"), "name_backslash");
}

#[test]
fn refuses_names_beyond_ascii_where_normalisations_collide() {
    refuses(&with_name("caf\u{e9}"), "name_not_ascii");
    refuses(&with_name("cafe\u{301}"), "name_not_ascii");
}

#[test]
fn refuses_names_that_are_not_plain() {
    for name in ["", "a//b", "a b", "a\0b", "a.", "con\u{1b}[2J", &"a".repeat(256)] {
        refuses(&with_name(name), "name_invalid");
    }
}

#[test]
fn a_hostile_name_is_shown_escaped_and_short() {
    let name = format!("\u{1b}[2J{}", "a".repeat(1000));
    let error = Container::read(&with_name(&name), &Profile::bundle()).unwrap_err();
    assert!(error.to_string().len() < 200 && !error.to_string().contains('\u{1b}'), "{error}");
}

#[test]
fn refuses_a_duplicate_name() {
    refuses(&with_name("plugin.toml"), "duplicate_name");
}

#[test]
fn refuses_names_that_differ_in_case_only() {
    refuses(&with_name("Plugin.TOML"), "name_collision");
}

#[test]
fn refuses_a_file_that_is_another_ones_folder() {
    refuses(&with_name("plugin.toml/evil"), "name_collision");
    refuses(&with_name("SQL"), "name_collision");
}

#[test]
fn refuses_too_many_entries() {
    let profile = tight(Limits { entries_max: 3, ..Profile::bundle().limits });
    let error = Container::read(&zip(&sound()), &profile).unwrap_err();
    assert!(matches!(error, ContainerError::TooManyEntries { entries_max: 3 }), "{error}");
}

#[test]
fn refuses_an_entry_that_is_too_large() {
    let profile = tight(Limits { entry_bytes_max: 31, ..Profile::bundle().limits });
    assert!(Container::read(&zip(&sound()), &profile).is_ok());
    let profile = tight(Limits { entry_bytes_max: 30, ..Profile::bundle().limits });
    let error = Container::read(&zip(&sound()), &profile).unwrap_err();
    assert!(
        matches!(&error, ContainerError::EntryTooLarge { name, .. } if name.as_str() == "mimetype"),
        "{error}"
    );
}

#[test]
fn refuses_contents_that_are_too_large_together() {
    let profile = tight(Limits { content_bytes_max: 60, ..Profile::bundle().limits });
    let error = Container::read(&zip(&sound()), &profile).unwrap_err();
    assert!(matches!(error, ContainerError::ContentTooLarge { bytes_max: 60 }), "{error}");
}

#[test]
fn refuses_a_file_that_is_too_large() {
    let profile = tight(Limits { container_bytes_max: 100, ..Profile::bundle().limits });
    let error = Container::read(&zip(&sound()), &profile).unwrap_err();
    assert!(matches!(error, ContainerError::TooLarge { bytes_max: 100 }), "{error}");
}

#[test]
fn refuses_a_compression_bomb() {
    refuses(&with_entry(Raw::deflated("bomb", &vec![0; 16 << 20])), "compression_ratio");
}

#[test]
fn refuses_a_bomb_that_understates_its_size() {
    let bomb = Raw { bytes: 10, ..Raw::deflated("bomb", &vec![0; 1 << 20]) };
    refuses(&with_entry(bomb), "content_mismatch");
}

#[test]
fn refuses_data_after_the_end() {
    let mut bytes = zip(&sound());
    bytes.extend(b"#!/bin/sh");
    refuses(&bytes, "trailing_data");
}

#[test]
fn refuses_an_archive_comment() {
    refuses(&zip_with_comment(&sound(), b"hello"), "trailing_data");
}

#[test]
fn refuses_data_before_the_first_entry() {
    let polyglot = [b"%PDF-1.7 ".to_vec(), zip(&sound())].concat();
    refuses(&polyglot, "leading_data");
}

#[test]
fn refuses_data_before_the_first_entry_with_adjusted_offsets() {
    let mut entries = sound();
    entries.insert(0, Raw::stored("hidden", b"x"));
    // The directory lists all but the first entry, whose bytes are then unaccounted for.
    let bytes = drop_first_from_directory(&zip(&entries));
    refuses(&bytes, "leading_data");
}

/// Removes the first entry from the directory, but not its data.
fn drop_first_from_directory(bytes: &[u8]) -> Vec<u8> {
    let end = bytes.len() - 22;
    let number = |at: usize| u32::from_le_bytes(bytes[at..at + 4].try_into().unwrap()) as usize;
    let (size, start) = (number(end + 12), number(end + 16));
    let name_length = usize::from(u16::from_le_bytes(bytes[start + 28..start + 30].try_into().unwrap()));
    let first = 46 + name_length;
    let entries = u16::from_le_bytes(bytes[end + 8..end + 10].try_into().unwrap()) - 1;
    let mut changed = bytes[..start].to_vec();
    changed.extend(&bytes[start + first..end]);
    changed.extend(end_of_directory(entries, (size - first) as u32, start as u32));
    changed
}

#[test]
fn refuses_data_between_entries() {
    refuses(&changed(|entry| entry.descriptor = b"hidden".to_vec()), "hidden_data");
}

#[test]
fn refuses_a_second_archive_inside_the_directory() {
    let sound = zip(&sound());
    let end = sound.len() - 22;
    let mut bytes = sound[..end].to_vec();
    bytes.extend(b"hidden");
    bytes.extend(&sound[end..]);
    // The directory now ends before the record that ends it.
    refuses(&bytes, "leading_data");
}

#[test]
fn refuses_a_directory_that_lies_outside_the_file() {
    let mut bytes = zip(&sound());
    let end = bytes.len() - 22;
    bytes[end + 16..end + 20].copy_from_slice(&0x7fff_ffffu32.to_le_bytes());
    refuses(&bytes, "truncated");
}

#[test]
fn refuses_every_truncation() {
    let bytes = zip(&sound());
    for length in 0..bytes.len() {
        assert!(Container::read(&bytes[..length], &Profile::bundle()).is_err(), "{length}");
    }
}

#[test]
fn no_changed_byte_goes_unnoticed() {
    let bytes = zip(&sound());
    let read = Container::read(&bytes, &Profile::bundle()).unwrap();
    for position in 0..bytes.len() {
        let mut changed = bytes.clone();
        changed[position] ^= 0x41;
        // What may change without harm are times, versions and attributes that mean nothing.
        if let Ok(container) = Container::read(&changed, &Profile::bundle()) {
            assert_eq!(container, read, "byte {position}");
        }
    }
}

#[test]
fn refuses_a_symbolic_link() {
    refuses(&changed(|entry| (entry.made_by, entry.attributes) = (0x0314, 0o120_777 << 16)), "special_entry");
}

#[test]
fn refuses_a_device() {
    refuses(&changed(|entry| (entry.made_by, entry.attributes) = (0x0314, 0o060_600 << 16)), "special_entry");
}

#[test]
fn refuses_a_folder() {
    refuses(&with_entry(Raw::stored("folder/", b"")), "special_entry");
    refuses(&changed(|entry| entry.attributes = 0x10), "special_entry");
}

#[test]
fn refuses_an_encrypted_entry() {
    refuses(&changed(|entry| entry.flags = 1), "encrypted");
}

#[test]
fn refuses_an_unsupported_flag() {
    refuses(&changed(|entry| entry.flags = 1 << 5), "unsupported_flags");
}

#[test]
fn refuses_an_unsupported_compression() {
    // LZMA.
    refuses(&changed(|entry| entry.method = 14), "unsupported_compression");
}

#[test]
fn refuses_an_extra_field_that_may_rename_the_entry() {
    // Info-ZIP's Unicode path.
    refuses(&changed(|entry| entry.extra = b"\x75\x70\x01\0x".to_vec()), "unexpected_extra_field");
}

#[test]
fn refuses_another_name_in_the_entry() {
    refuses(&changed(|entry| entry.local_name = Some(b"sql/evil.sql".to_vec())), "header_mismatch");
}

#[test]
fn refuses_another_size_or_checksum_in_the_entry() {
    refuses(&changed(|entry| entry.local_checksum = Some(0)), "header_mismatch");
}

#[test]
fn refuses_other_flags_in_the_entry() {
    refuses(&changed(|entry| entry.local_flags = Some(1 << 11)), "header_mismatch");
}

#[test]
fn refuses_a_data_descriptor_that_differs() {
    let bytes = changed(|entry| {
        entry.flags = 8;
        entry.descriptor = descriptor(b"PK\x07\x08", 0, entry.data.len() as u32);
    });
    refuses(&bytes, "descriptor_mismatch");
}

#[test]
fn refuses_a_wrong_checksum() {
    refuses(&changed(|entry| entry.checksum ^= 1), "content_mismatch");
}

#[test]
fn refuses_bytes_after_compressed_data() {
    let mut entry = Raw::deflated("padded", b"aaaaaaaaaaaaaaaaaaaa");
    entry.data.push(0);
    refuses(&with_entry(entry), "content_mismatch");
}

#[test]
fn refuses_a_comment_on_an_entry() {
    refuses(&changed(|entry| entry.comment = b"hello".to_vec()), "entry_comment");
}

#[test]
fn refuses_the_64_bit_form() {
    refuses(&changed(|entry| entry.bytes = u32::MAX), "zip64");
}

#[test]
fn refuses_one_disk_of_several() {
    let mut bytes = zip(&sound());
    let end = bytes.len() - 22;
    bytes[end + 4] = 1;
    refuses(&bytes, "multiple_disks");
}

#[test]
fn refuses_a_missing_mimetype() {
    refuses(&zip(&sound()[1..]), "missing_mimetype");
}

#[test]
fn refuses_a_wrong_mimetype() {
    let mut entries = sound();
    entries[0] = Raw::stored("mimetype", b"application/zip");
    refuses(&zip(&entries), "wrong_mimetype");
}

#[test]
fn refuses_a_mimetype_that_is_not_first_or_compressed() {
    let mut entries = sound();
    entries.swap(0, 1);
    refuses(&zip(&entries), "mimetype_not_first");
    let mut entries = sound();
    entries[0] = Raw::deflated("mimetype", MIMETYPE.as_bytes());
    refuses(&zip(&entries), "mimetype_not_first");
}

#[test]
fn refuses_a_signature_that_bundles_do_not_have() {
    refuses(&with_name("META-INF/signatures.xml"), "unexpected_entry");
    refuses(&with_name("meta-inf/evil"), "unexpected_entry");
}

#[test]
fn refuses_a_missing_container_manifest() {
    refuses(&zip(&sound()[..3]), "missing_entry");
}

#[test]
fn cannot_put_together_what_could_not_be_read() {
    let entry = |name| Entry { name: EntryName::new(name).unwrap(), bytes: Arc::from(*b"") };
    assert!(matches!(Container::new([entry("a"), entry("a")]), Err(ContainerError::DuplicateName { .. })));
    assert!(matches!(Container::new([entry("a"), entry("A")]), Err(ContainerError::NameCollision { .. })));
    assert!(matches!(Container::new([entry("mimetype")]), Err(ContainerError::DuplicateName { .. })));
}
