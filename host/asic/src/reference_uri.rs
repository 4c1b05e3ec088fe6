//! URIs of signature references that mean an entry.

use crate::entry_name::EntryName;

/// The name of the entry that `uri` means, `None` if it means anything else.
///
/// The URI is relative to the container's root (ETSI EN 319 162-1 §A.6): bundles have `plugin.toml`, X-Road
/// `/message.xml`. Names need no percent-encoding, but other tools may have used it.
pub(crate) fn entry_name(uri: &str) -> Option<EntryName> {
    let path = uri.strip_prefix('/').unwrap_or(uri);
    let mut name = Vec::with_capacity(path.len());
    let mut bytes = path.bytes();
    while let Some(byte) = bytes.next() {
        if byte == b'%' {
            let digits = [bytes.next()?, bytes.next()?];
            name.push(u8::from_str_radix(std::str::from_utf8(&digits).ok()?, 16).ok()?);
        } else {
            name.push(byte);
        }
    }
    // Queries, fragments and schemes fail here: `?`, `#` and `:` are in no entry's name.
    EntryName::from_bytes(&name).ok()
}
