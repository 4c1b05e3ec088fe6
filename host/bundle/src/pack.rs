//! Making a bundle from files.

use std::collections::BTreeMap;
use std::sync::Arc;

use uuk_asic::{Entry, EntryName, Profile};

use crate::contents::{Bundle, COMPONENT, MANIFEST, assemble};
use crate::error::BundleError;

/// Packs `parts`, by their names in the bundle, into an unsigned bundle.
///
/// The same parts give the same bytes: manifest and component come first, the others in the order of their names.
///
/// # Errors
/// As [`Bundle::read`], which reads what was packed.
pub fn pack(parts: BTreeMap<String, Vec<u8>>) -> Result<Vec<u8>, BundleError> {
    let mut entries = Vec::with_capacity(parts.len());
    for (name, bytes) in parts {
        entries.push(Entry { name: EntryName::new(&name)?, bytes: Arc::from(bytes) });
    }
    // The sort is stable, so the others keep the order of the map.
    entries.sort_by_key(|entry| match entry.name.as_str() {
        MANIFEST => 0,
        COMPONENT => 1,
        _ => 2,
    });
    let packed = assemble(entries, Vec::new())?;
    Bundle::read(&packed, &Profile::bundle().limits)?;
    Ok(packed)
}
