//! The OpenDocument manifest `META-INF/manifest.xml`: the parts and their media types.

use crate::container::MIMETYPE;
use crate::entry_name::EntryName;

/// Writes the manifest that lists `parts` with their media types, in that order.
///
/// # Source
/// OpenDocument 1.2 part 3 §4; the same lines as X-Road writes.
pub fn opendocument_manifest<'a>(parts: impl IntoIterator<Item = (&'a EntryName, &'a str)>) -> String {
    let line = |path: &str, media_type: &str| {
        format!(
            "    <manifest:file-entry manifest:media-type=\"{media_type}\" manifest:full-path=\"{path}\"/>\n"
        )
    };
    let mut manifest = String::from(
        "<?xml version=\"1.0\" encoding=\"UTF-8\"?>\n<manifest:manifest \
         xmlns:manifest=\"urn:oasis:names:tc:opendocument:xmlns:manifest:1.0\" manifest:version=\"1.2\">\n",
    );
    manifest.push_str(&line("/", MIMETYPE));
    for (name, media_type) in parts {
        // Names are plain ASCII and media types come from the program, so nothing needs escaping.
        manifest.push_str(&line(name.as_str(), media_type));
    }
    manifest.push_str("</manifest:manifest>\n");
    manifest
}
