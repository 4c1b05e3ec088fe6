//! From bytes to a tree of values: YAML or JSON, nothing twice, everything bounded.

use serde_json::Value;
use serde_saphyr::options::{DuplicateKeyPolicy, MergeKeyPolicy};

use super::ContractError;
use crate::json::{self, JsonFault, JsonFaultKind, Reader};
use crate::limits::Limits;

/// Largest document, in bytes.
pub(crate) const DOCUMENT_BYTES_MAX: usize = 4 * 1024 * 1024;

/// A real contract of 500 operations has some 50,000 values. The bound counts YAML aliases as often as they
/// are used, so that a few of them cannot unfold into a bomb.
const LIMITS: Limits = Limits {
    path_bytes_max: 0,
    query_bytes_max: 0,
    body_bytes_max: DOCUMENT_BYTES_MAX,
    depth_max: 64,
    elements_max: 200_000,
    string_bytes_max: 64 * 1024,
};

/// Reads an OpenAPI document, or what calls itself one, as a tree of values: as JSON if it begins with `{`, otherwise as
/// YAML 1.2. What it says is not looked at.
///
/// # Errors
/// [`ContractError`], if it is neither, or exceeds a bound.
pub fn parse(bytes: &[u8]) -> Result<Value, ContractError> {
    if bytes.len() > DOCUMENT_BYTES_MAX {
        return Err(ContractError::TooLarge { bytes_max: DOCUMENT_BYTES_MAX });
    }
    if is_json(bytes) {
        return json::read(bytes, &LIMITS).map_err(|fault| refusal(&fault, "JSON"));
    }
    let Ok(text) = std::str::from_utf8(bytes) else {
        let fault = JsonFault { pointer: String::new(), kind: JsonFaultKind::Encoding };
        return Err(refusal(&fault, "YAML"));
    };
    let options = serde_saphyr::options! {
        // Duplicates reach our reader, which names them.
        duplicate_keys: DuplicateKeyPolicy::PassThrough,
        merge_keys: MergeKeyPolicy::Error,
        strict_booleans: true,
        reject_unsupported_tags: true,
        // One more than ours, which says where.
        budget: serde_saphyr::budget! { max_depth: LIMITS.depth_max + 1 },
        with_snippet: false,
    };
    let mut reader = Reader::new(&LIMITS);
    serde_saphyr::with_deserializer_from_str_with_options(text, options, |source| reader.read(source))
        .map_err(|error| {
            let (line, column) = error.location().map_or((0, 0), |at| (at.line(), at.column()));
            let syntax = JsonFaultKind::Syntax { line: line as usize, column: column as usize };
            refusal(&reader.fault(syntax), "YAML")
        })
}

/// Whether a document is read as JSON.
pub(crate) fn is_json(bytes: &[u8]) -> bool {
    bytes.trim_ascii_start().starts_with(b"{")
}

fn refusal(fault: &JsonFault, format: &'static str) -> ContractError {
    let pointer = json::excerpt(&fault.pointer).into_owned();
    match fault.kind {
        JsonFaultKind::Syntax { line, column } => {
            ContractError::Syntax { format, line: line as u64, column: column as u64 }
        }
        JsonFaultKind::Duplicate => ContractError::DuplicateKey { pointer },
        kind => ContractError::Unreadable { pointer, reason: kind.to_string() },
    }
}
