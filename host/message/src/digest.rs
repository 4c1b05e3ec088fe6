use aws_lc_rs::digest::{Context, SHA512, digest};
use base64::Engine;
use base64::engine::general_purpose::STANDARD;

/// A SHA-512 digest. X-Road hashes the parts of messages with nothing else.
pub type Sha512 = [u8; 64];

/// The SHA-512 digest of `bytes`.
pub fn sha512(bytes: &[u8]) -> Sha512 {
    finished(digest(&SHA512, bytes).as_ref())
}

fn finished(digest: &[u8]) -> Sha512 {
    let mut sha512 = [0; 64];
    // Both are 64 bytes long; `copy_from_slice` would have to say so by a panic.
    sha512.iter_mut().zip(digest).for_each(|(to, from)| *to = *from);
    sha512
}

/// Hashes a body while it streams by.
pub(crate) struct StreamedDigest {
    context: Context,
    pub(crate) size_bytes: u64,
}

impl StreamedDigest {
    pub(crate) fn new() -> Self {
        Self { context: Context::new(&SHA512), size_bytes: 0 }
    }

    pub(crate) fn update(&mut self, bytes: &[u8]) {
        self.context.update(bytes);
        self.size_bytes += bytes.len() as u64;
    }

    pub(crate) fn finish(self) -> Sha512 {
        finished(self.context.finish().as_ref())
    }
}

/// What a response says of its request: which bytes it answers.
///
/// REST: of the digests of both request parts, or of the one part. SOAP: of the envelope.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct RequestHash(pub Sha512);

impl RequestHash {
    pub(crate) fn parse(text: &str) -> Option<Self> {
        let decoded = STANDARD.decode(text.trim_ascii()).ok()?;
        decoded.try_into().ok().map(Self)
    }
}

impl std::fmt::Display for RequestHash {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(&STANDARD.encode(self.0))
    }
}
