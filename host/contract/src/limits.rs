//! Bounds on what a peer or an adapter sends.

/// How large and how deep one request or answer may be.
///
/// The defaults suit records, not files: a larger body is refused before anything of it is read.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Limits {
    /// Longest path of a request, in bytes as received.
    pub path_bytes_max: usize,
    /// Longest query of a request, in bytes as received.
    pub query_bytes_max: usize,
    /// Longest body, in bytes as received.
    pub body_bytes_max: usize,
    /// Deepest nesting of objects and arrays, the outermost counting as one. At most 100 is useful: beyond
    /// that the JSON reader itself gives up, which counts as a syntax error.
    pub depth_max: usize,
    /// Most members and items in one document, all levels together.
    pub elements_max: usize,
    /// Longest string, in bytes of UTF-8 after unescaping.
    pub string_bytes_max: usize,
}

impl Default for Limits {
    fn default() -> Self {
        Self {
            path_bytes_max: 4 * 1024,
            query_bytes_max: 8 * 1024,
            body_bytes_max: 1024 * 1024,
            depth_max: 32,
            elements_max: 20_000,
            string_bytes_max: 256 * 1024,
        }
    }
}
