//! Public keys and the signatures they check.

use aws_lc_rs::signature::{self, UnparsedPublicKey, VerificationAlgorithm};

use crate::digest::{Digest, DigestAlgorithm};

/// How a signature is made from a digest.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, strum::Display)]
pub enum SignatureScheme {
    /// RSASSA-PKCS1-v1_5.
    #[strum(serialize = "RSA PKCS#1 v1.5")]
    RsaPkcs1,
    /// ECDSA; the signature is r‖s, each as long as the field.
    #[strum(serialize = "ECDSA")]
    Ecdsa,
}

/// A scheme and the digest it signs.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub struct SignatureAlgorithm {
    /// How the digest is signed.
    pub scheme: SignatureScheme,
    /// How the message is digested.
    pub digest: DigestAlgorithm,
}

impl std::fmt::Display for SignatureAlgorithm {
    fn fmt(&self, formatter: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(formatter, "{} with {}", self.scheme, self.digest)
    }
}

/// The key a certificate certifies, of a kind and strength that may sign.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum PublicKey {
    /// RSA of 2048 to 8192 bits, as a DER `RSAPublicKey`.
    Rsa(Vec<u8>),
    /// A point of P-256, uncompressed.
    EcP256(Vec<u8>),
    /// A point of P-384, uncompressed.
    EcP384(Vec<u8>),
}

/// The signature was not made with this key over this digest.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("the signature value does not fit the signed data and the certificate's key")]
pub struct WrongSignature;

impl PublicKey {
    /// Checks that this key signed `digest` with `scheme`.
    ///
    /// # Errors
    /// [`WrongSignature`], also when `scheme` does not belong to this kind of key.
    pub fn verify(
        &self,
        scheme: SignatureScheme,
        digest: &Digest,
        signature: &[u8],
    ) -> Result<(), WrongSignature> {
        let (algorithm, bytes, digest): (&'static dyn VerificationAlgorithm, _, _) = match (self, scheme) {
            (Self::Rsa(key), SignatureScheme::RsaPkcs1) => {
                let algorithm = match digest.algorithm() {
                    DigestAlgorithm::Sha256 => &signature::RSA_PKCS1_2048_8192_SHA256,
                    DigestAlgorithm::Sha384 => &signature::RSA_PKCS1_2048_8192_SHA384,
                    DigestAlgorithm::Sha512 => &signature::RSA_PKCS1_2048_8192_SHA512,
                };
                (algorithm, key, digest.for_signing())
            }
            (Self::EcP256(point), SignatureScheme::Ecdsa) => {
                (&signature::ECDSA_P256_SHA256_FIXED, point, digest.for_curve(DigestAlgorithm::Sha256))
            }
            (Self::EcP384(point), SignatureScheme::Ecdsa) => {
                (&signature::ECDSA_P384_SHA384_FIXED, point, digest.for_curve(DigestAlgorithm::Sha384))
            }
            _ => return Err(WrongSignature),
        };
        let digest = digest.ok_or(WrongSignature)?;
        UnparsedPublicKey::new(algorithm, bytes).verify_digest(&digest, signature).map_err(|_| WrongSignature)
    }
}
