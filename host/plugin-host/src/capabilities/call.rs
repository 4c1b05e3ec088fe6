//! Capability `call`: notes that an adapter leaves beside the record of the message.

use crate::component::bounded;

/// Notes of one call.
const NOTES_MAX: usize = 16;

/// Keeps a note, bounded; later ones than [`NOTES_MAX`] are dropped, because a note is never worth a failed call.
pub(crate) fn annotate(notes: &mut Vec<(String, String)>, key: &str, value: &str) {
    if notes.len() < NOTES_MAX {
        notes.push((bounded(key), bounded(value)));
    }
}
