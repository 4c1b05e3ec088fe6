//! Signatures as X.509, OCSP and CMS write them: an algorithm identifier beside the value, ECDSA in DER.

use der::asn1::{Any, Null, ObjectIdentifier, Uint};
use der::{Decode, Encode};
use x509_cert::spki::AlgorithmIdentifierOwned;

use crate::certificate::{Certificate, CertificateError};
use crate::digest::DigestAlgorithm;
use crate::public_key::{PublicKey, SignatureAlgorithm, SignatureScheme, WrongSignature};
use crate::signing_key::{KeyError, SigningKey};

const SIGNATURES: [(ObjectIdentifier, SignatureScheme, DigestAlgorithm); 6] = {
    use DigestAlgorithm::{Sha256, Sha384, Sha512};
    use SignatureScheme::{Ecdsa, RsaPkcs1};
    [
        (ObjectIdentifier::new_unwrap("1.2.840.113549.1.1.11"), RsaPkcs1, Sha256),
        (ObjectIdentifier::new_unwrap("1.2.840.113549.1.1.12"), RsaPkcs1, Sha384),
        (ObjectIdentifier::new_unwrap("1.2.840.113549.1.1.13"), RsaPkcs1, Sha512),
        (ObjectIdentifier::new_unwrap("1.2.840.10045.4.3.2"), Ecdsa, Sha256),
        (ObjectIdentifier::new_unwrap("1.2.840.10045.4.3.3"), Ecdsa, Sha384),
        (ObjectIdentifier::new_unwrap("1.2.840.10045.4.3.4"), Ecdsa, Sha512),
    ]
};

const SHA256: ObjectIdentifier = ObjectIdentifier::new_unwrap("2.16.840.1.101.3.4.2.1");
const SHA384: ObjectIdentifier = ObjectIdentifier::new_unwrap("2.16.840.1.101.3.4.2.2");
const SHA512: ObjectIdentifier = ObjectIdentifier::new_unwrap("2.16.840.1.101.3.4.2.3");

/// Why a signature over a certificate, an OCSP answer or a time-stamp is not accepted.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum SignatureError {
    /// MD5, SHA-1, or something unknown.
    #[error("the signature algorithm {oid} is too weak or not supported")]
    Algorithm {
        /// Its object identifier.
        oid: String,
    },
    /// The signer's key is too short or of a kind not supported.
    #[error("the signer's key cannot be used")]
    Key(#[source] CertificateError),
    /// Made with another key or over other bytes.
    #[error(transparent)]
    Wrong(#[from] WrongSignature),
}

/// Checks that `signer`'s key made `signature` over `message` by `algorithm`.
pub(crate) fn check_signature(
    signer: &Certificate,
    algorithm: &AlgorithmIdentifierOwned,
    message: &[u8],
    signature: &[u8],
) -> Result<(), SignatureError> {
    let known = SIGNATURES.iter().find(|(oid, ..)| *oid == algorithm.oid);
    let Some((_, scheme, digest)) = known else {
        return Err(SignatureError::Algorithm { oid: algorithm.oid.to_string() });
    };
    check_signature_by(signer, *scheme, *digest, message, signature)
}

pub(crate) fn check_signature_by(
    signer: &Certificate,
    scheme: SignatureScheme,
    digest: DigestAlgorithm,
    message: &[u8],
    signature: &[u8],
) -> Result<(), SignatureError> {
    let key = signer.public_key().map_err(SignatureError::Key)?;
    Ok(key.verify_der(SignatureAlgorithm { scheme, digest }, message, signature)?)
}

impl PublicKey {
    /// Checks that this key signed `message` by `algorithm`, the signature being in the form of [`sign_der`].
    ///
    /// # Errors
    /// [`WrongSignature`], also when the scheme does not belong to this kind of key.
    pub fn verify_der(
        &self,
        algorithm: SignatureAlgorithm,
        message: &[u8],
        signature: &[u8],
    ) -> Result<(), WrongSignature> {
        let fixed;
        let signature = match algorithm.scheme {
            SignatureScheme::RsaPkcs1 | SignatureScheme::RsaPss => signature,
            SignatureScheme::Ecdsa => {
                fixed = fixed_form(self, signature).ok_or(WrongSignature)?;
                &fixed
            }
        };
        self.verify(algorithm.scheme, &algorithm.digest.digest(message), signature)
    }
}

/// Signs `message` in the form that X.509, OCSP, CMS and signed directories have: ECDSA as `SEQUENCE { r, s }`.
///
/// # Errors
/// [`KeyError`] of the key.
pub fn sign_der(key: &dyn SigningKey, digest: DigestAlgorithm, message: &[u8]) -> Result<Vec<u8>, KeyError> {
    let value = key.sign_digest(&digest.digest(message))?;
    match key.scheme() {
        SignatureScheme::RsaPkcs1 | SignatureScheme::RsaPss => Ok(value),
        SignatureScheme::Ecdsa => der_form(&value).map_err(|_| KeyError::Signing),
    }
}

/// Signs `message`, and says how in an algorithm identifier.
pub(crate) fn sign(
    key: &dyn SigningKey,
    digest: DigestAlgorithm,
    message: &[u8],
) -> Result<(AlgorithmIdentifierOwned, Vec<u8>), KeyError> {
    let scheme = key.scheme();
    let known =
        SIGNATURES.iter().find(|(_, its_scheme, its_digest)| (*its_scheme, *its_digest) == (scheme, digest));
    let (oid, ..) = known.ok_or(KeyError::Signing)?;
    let parameters = match scheme {
        // PSS has parameters, and none of its names is in the table.
        SignatureScheme::RsaPss => return Err(KeyError::Signing),
        SignatureScheme::RsaPkcs1 => Some(null()),
        SignatureScheme::Ecdsa => None,
    };
    Ok((AlgorithmIdentifierOwned { oid: *oid, parameters }, sign_der(key, digest, message)?))
}

/// The digest algorithm that `identifier` names, `None` for MD5, SHA-1 and what is unknown.
pub(crate) fn digest_algorithm(identifier: &AlgorithmIdentifierOwned) -> Option<DigestAlgorithm> {
    match identifier.oid {
        SHA256 => Some(DigestAlgorithm::Sha256),
        SHA384 => Some(DigestAlgorithm::Sha384),
        SHA512 => Some(DigestAlgorithm::Sha512),
        _ => None,
    }
}

/// How CMS and RFC 3161 name a digest algorithm: without parameters (RFC 5754 §2).
pub(crate) fn digest_identifier(algorithm: DigestAlgorithm) -> AlgorithmIdentifierOwned {
    let oid = match algorithm {
        DigestAlgorithm::Sha256 => SHA256,
        DigestAlgorithm::Sha384 => SHA384,
        DigestAlgorithm::Sha512 => SHA512,
    };
    AlgorithmIdentifierOwned { oid, parameters: None }
}

pub(crate) fn null() -> Any {
    Any::from(Null)
}

/// r‖s, each as long as the curve's field, of `SEQUENCE { r, s }`.
fn fixed_form(key: &PublicKey, signature: &[u8]) -> Option<Vec<u8>> {
    let field_bytes = match key {
        PublicKey::EcP256(_) => 32,
        PublicKey::EcP384(_) => 48,
        PublicKey::Rsa(_) => return None,
    };
    let numbers = Vec::<Uint>::from_der(signature).ok()?;
    let [r, s] = numbers.as_slice() else { return None };
    let mut fixed = Vec::with_capacity(2 * field_bytes);
    for number in [r, s] {
        let padding = field_bytes.checked_sub(number.as_bytes().len())?;
        fixed.resize(fixed.len() + padding, 0);
        fixed.extend_from_slice(number.as_bytes());
    }
    Some(fixed)
}

fn der_form(signature: &[u8]) -> der::Result<Vec<u8>> {
    let (r, s) = signature.split_at(signature.len() / 2);
    vec![Uint::new(r)?, Uint::new(s)?].to_der()
}
