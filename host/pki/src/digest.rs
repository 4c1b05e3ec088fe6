//! Digests of the SHA-2 family, the only ones that anything here accepts or makes.

use aws_lc_rs::digest;

/// A digest algorithm. MD5 and SHA-1 are absent on purpose.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, strum::Display)]
pub enum DigestAlgorithm {
    /// SHA-256.
    #[strum(serialize = "SHA-256")]
    Sha256,
    /// SHA-384.
    #[strum(serialize = "SHA-384")]
    Sha384,
    /// SHA-512.
    #[strum(serialize = "SHA-512")]
    Sha512,
}

impl DigestAlgorithm {
    /// The digest of `message`.
    pub fn digest(self, message: &[u8]) -> Digest {
        Digest { algorithm: self, value: digest::digest(self.implementation(), message).as_ref().to_vec() }
    }

    /// The digest of a message that comes in pieces.
    pub fn start(self) -> RunningDigest {
        RunningDigest { algorithm: self, context: digest::Context::new(self.implementation()) }
    }

    fn implementation(self) -> &'static digest::Algorithm {
        match self {
            Self::Sha256 => &digest::SHA256,
            Self::Sha384 => &digest::SHA384,
            Self::Sha512 => &digest::SHA512,
        }
    }
}

/// A digest of what has come so far.
#[derive(Clone)]
pub struct RunningDigest {
    algorithm: DigestAlgorithm,
    context: digest::Context,
}

impl RunningDigest {
    /// Takes the next piece.
    pub fn update(&mut self, piece: &[u8]) {
        self.context.update(piece);
    }

    /// All pieces have come.
    pub fn finish(self) -> Digest {
        Digest { algorithm: self.algorithm, value: self.context.finish().as_ref().to_vec() }
    }
}

/// A digest and the algorithm that made it; the length always fits the algorithm.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub struct Digest {
    algorithm: DigestAlgorithm,
    value: Vec<u8>,
}

impl Digest {
    /// Takes a digest computed elsewhere, `None` if its length is not that of `algorithm`.
    pub fn new(algorithm: DigestAlgorithm, value: Vec<u8>) -> Option<Self> {
        (value.len() == algorithm.implementation().output_len()).then_some(Self { algorithm, value })
    }

    /// Takes a SHA-512 digest computed elsewhere.
    pub fn sha512(value: [u8; 64]) -> Self {
        Self { algorithm: DigestAlgorithm::Sha512, value: value.to_vec() }
    }

    /// What made it.
    pub fn algorithm(&self) -> DigestAlgorithm {
        self.algorithm
    }

    /// Its 32, 48 or 64 bytes.
    pub fn as_bytes(&self) -> &[u8] {
        &self.value
    }

    /// The same for the library that signs and verifies.
    pub(crate) fn for_signing(&self) -> Option<digest::Digest> {
        digest::Digest::import_less_safe(&self.value, self.algorithm.implementation()).ok()
    }

    /// The digest as ECDSA takes it, under the name of an algorithm of exactly `field_bytes` output.
    ///
    /// ECDSA uses the leftmost bits of a longer digest, and the whole of a shorter one as a number
    /// (FIPS 186-5 §6.4.1); the library only pairs P-256 with SHA-256 and P-384 with SHA-384, while X-Road signs
    /// SHA-512 with P-256. Cutting, or padding with zeros in front, gives the very same number.
    pub(crate) fn for_curve(&self, field: DigestAlgorithm) -> Option<digest::Digest> {
        let field_bytes = field.implementation().output_len();
        let mut number = vec![0; field_bytes.saturating_sub(self.value.len())];
        number.extend(self.value.iter().take(field_bytes));
        digest::Digest::import_less_safe(&number, field.implementation()).ok()
    }
}
