//! Public keys and the signatures they check.

use aws_lc_rs::signature::{self, UnparsedPublicKey, VerificationAlgorithm};

use der::Any;
use der::asn1::{BitString, Null, ObjectIdentifier};
use x509_cert::spki::{AlgorithmIdentifierOwned, SubjectPublicKeyInfoOwned};

use crate::digest::{Digest, DigestAlgorithm};

pub(crate) const RSA: ObjectIdentifier = ObjectIdentifier::new_unwrap("1.2.840.113549.1.1.1");
pub(crate) const EC: ObjectIdentifier = ObjectIdentifier::new_unwrap("1.2.840.10045.2.1");
pub(crate) const P256: ObjectIdentifier = ObjectIdentifier::new_unwrap("1.2.840.10045.3.1.7");
pub(crate) const P384: ObjectIdentifier = ObjectIdentifier::new_unwrap("1.3.132.0.34");

/// How a signature is made from a digest.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, strum::Display)]
pub enum SignatureScheme {
    /// RSASSA-PKCS1-v1_5.
    #[strum(serialize = "RSA PKCS#1 v1.5")]
    RsaPkcs1,
    /// RSASSA-PSS with MGF1 of the same digest, and a salt as long as it.
    #[strum(serialize = "RSA PSS")]
    RsaPss,
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
    /// Whether keys of this kind sign by `scheme`.
    pub fn signs_by(&self, scheme: SignatureScheme) -> bool {
        match self {
            Self::Rsa(_) => matches!(scheme, SignatureScheme::RsaPkcs1 | SignatureScheme::RsaPss),
            Self::EcP256(_) | Self::EcP384(_) => scheme == SignatureScheme::Ecdsa,
        }
    }

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
            (Self::Rsa(key), SignatureScheme::RsaPss) => {
                let algorithm = match digest.algorithm() {
                    DigestAlgorithm::Sha256 => &signature::RSA_PSS_2048_8192_SHA256,
                    DigestAlgorithm::Sha384 => &signature::RSA_PSS_2048_8192_SHA384,
                    DigestAlgorithm::Sha512 => &signature::RSA_PSS_2048_8192_SHA512,
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

    /// The key as certificates and requests for them write it (RFC 3279 §2.3).
    pub(crate) fn to_spki(&self) -> Result<SubjectPublicKeyInfoOwned, der::Error> {
        let (oid, parameters, bits) = match self {
            Self::Rsa(key) => (RSA, Any::from(Null), key),
            Self::EcP256(point) => (EC, Any::from(P256), point),
            Self::EcP384(point) => (EC, Any::from(P384), point),
        };
        Ok(SubjectPublicKeyInfoOwned {
            algorithm: AlgorithmIdentifierOwned { oid, parameters: Some(parameters) },
            subject_public_key: BitString::from_bytes(bits)?,
        })
    }
}

#[cfg(test)]
mod tests {
    use aws_lc_rs::rsa::KeySize;
    use aws_lc_rs::signature::{
        EcdsaKeyPair, EcdsaSigningAlgorithm, KeyPair, RsaKeyPair, RsaSignatureEncoding,
    };
    use der::Encode;
    use der::asn1::Uint;
    use rustls_pki_types::SignatureVerificationAlgorithm;

    use super::*;

    const MESSAGE: &[u8] = b"message";

    fn pair(algorithm: &'static EcdsaSigningAlgorithm) -> EcdsaKeyPair {
        EcdsaKeyPair::generate(algorithm).unwrap()
    }

    /// The DER form that other libraries take of r‖s.
    fn asn1(signature: &[u8]) -> Vec<u8> {
        let (r, s) = signature.split_at(signature.len() / 2);
        vec![Uint::new(r).unwrap(), Uint::new(s).unwrap()].to_der().unwrap()
    }

    #[test]
    fn curves_take_longer_and_shorter_digests_as_other_libraries_do() {
        use webpki::aws_lc_rs as other;
        let p256 = pair(&signature::ECDSA_P256_SHA256_FIXED_SIGNING);
        let p384 = pair(&signature::ECDSA_P384_SHA384_FIXED_SIGNING);
        let cases: [(&EcdsaKeyPair, DigestAlgorithm, DigestAlgorithm, &dyn SignatureVerificationAlgorithm);
            6] = [
            (&p256, DigestAlgorithm::Sha256, DigestAlgorithm::Sha256, other::ECDSA_P256_SHA256),
            (&p256, DigestAlgorithm::Sha256, DigestAlgorithm::Sha384, other::ECDSA_P256_SHA384),
            (&p256, DigestAlgorithm::Sha256, DigestAlgorithm::Sha512, other::ECDSA_P256_SHA512),
            (&p384, DigestAlgorithm::Sha384, DigestAlgorithm::Sha256, other::ECDSA_P384_SHA256),
            (&p384, DigestAlgorithm::Sha384, DigestAlgorithm::Sha384, other::ECDSA_P384_SHA384),
            (&p384, DigestAlgorithm::Sha384, DigestAlgorithm::Sha512, other::ECDSA_P384_SHA512),
        ];
        for (pair, field, algorithm, other) in cases {
            let point = pair.public_key().as_ref().to_vec();
            let digest = algorithm.digest(MESSAGE);
            let signed = pair.sign_digest(&digest.for_curve(field).unwrap()).unwrap();
            assert!(
                other.verify_signature(&point, MESSAGE, &asn1(signed.as_ref())).is_ok(),
                "{field} {algorithm}"
            );
            let key = match field {
                DigestAlgorithm::Sha256 => PublicKey::EcP256(point),
                _ => PublicKey::EcP384(point),
            };
            assert!(
                key.verify(SignatureScheme::Ecdsa, &digest, signed.as_ref()).is_ok(),
                "{field} {algorithm}"
            );
        }
    }

    #[test]
    fn takes_both_paddings_of_rsa_for_what_they_are() {
        let pair = RsaKeyPair::generate(KeySize::Rsa2048).unwrap();
        let key = PublicKey::Rsa(pair.public_key().as_ref().to_vec());
        let cases: [(DigestAlgorithm, &RsaSignatureEncoding); 3] = [
            (DigestAlgorithm::Sha256, &signature::RSA_PSS_SHA256),
            (DigestAlgorithm::Sha384, &signature::RSA_PSS_SHA384),
            (DigestAlgorithm::Sha512, &signature::RSA_PSS_SHA512),
        ];
        for (algorithm, encoding) in cases {
            let digest = algorithm.digest(MESSAGE);
            let mut signed = vec![0; pair.public_modulus_len()];
            pair.sign_digest(encoding, &digest.for_signing().unwrap(), &mut signed).unwrap();
            assert_eq!(key.verify(SignatureScheme::RsaPss, &digest, &signed), Ok(()), "{algorithm}");
            assert_eq!(key.verify(SignatureScheme::RsaPkcs1, &digest, &signed), Err(WrongSignature));
        }
    }

    #[test]
    fn refuses_a_scheme_that_is_not_the_keys() {
        let pair = pair(&signature::ECDSA_P256_SHA256_FIXED_SIGNING);
        let key = PublicKey::EcP256(pair.public_key().as_ref().to_vec());
        let digest = DigestAlgorithm::Sha256.digest(MESSAGE);
        let signed = pair.sign_digest(&digest.for_signing().unwrap()).unwrap();
        assert_eq!(key.verify(SignatureScheme::RsaPkcs1, &digest, signed.as_ref()), Err(WrongSignature));
    }

    #[test]
    fn refuses_a_signature_in_der() {
        let pair = pair(&signature::ECDSA_P256_SHA256_FIXED_SIGNING);
        let key = PublicKey::EcP256(pair.public_key().as_ref().to_vec());
        let digest = DigestAlgorithm::Sha256.digest(MESSAGE);
        let signed = pair.sign_digest(&digest.for_signing().unwrap()).unwrap();
        assert_eq!(key.verify(SignatureScheme::Ecdsa, &digest, &asn1(signed.as_ref())), Err(WrongSignature));
    }
}
