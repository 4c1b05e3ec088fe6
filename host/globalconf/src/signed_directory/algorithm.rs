//! The algorithms that a directory names by URI; all others are refused.

use aws_lc_rs::error::Unspecified;
use aws_lc_rs::signature::{self, UnparsedPublicKey, VerificationAlgorithm};
use uuk_pki::{DigestAlgorithm, PublicKey, SignatureScheme};

const DIGESTS: [(&str, DigestAlgorithm); 3] = [
    ("http://www.w3.org/2001/04/xmlenc#sha256", DigestAlgorithm::Sha256),
    ("http://www.w3.org/2001/04/xmldsig-more#sha384", DigestAlgorithm::Sha384),
    (SHA512, DigestAlgorithm::Sha512),
];

/// The digest that is made here.
pub(super) const SHA512: &str = "http://www.w3.org/2001/04/xmlenc#sha512";

const RSA_SHA256: &str = "http://www.w3.org/2001/04/xmldsig-more#rsa-sha256";
const RSA_SHA384: &str = "http://www.w3.org/2001/04/xmldsig-more#rsa-sha384";
const RSA_SHA512: &str = "http://www.w3.org/2001/04/xmldsig-more#rsa-sha512";
const RSA_PSS_SHA256: &str = "http://www.w3.org/2007/05/xmldsig-more#sha256-rsa-MGF1";
const RSA_PSS_SHA384: &str = "http://www.w3.org/2007/05/xmldsig-more#sha384-rsa-MGF1";
const RSA_PSS_SHA512: &str = "http://www.w3.org/2007/05/xmldsig-more#sha512-rsa-MGF1";
const ECDSA_SHA256: &str = "http://www.w3.org/2001/04/xmldsig-more#ecdsa-sha256";
const ECDSA_SHA384: &str = "http://www.w3.org/2001/04/xmldsig-more#ecdsa-sha384";
const ECDSA_SHA512: &str = "http://www.w3.org/2001/04/xmldsig-more#ecdsa-sha512";

pub(super) fn digest(uri: &str) -> Option<DigestAlgorithm> {
    DIGESTS.iter().find(|(known, _)| *known == uri).map(|(_, algorithm)| *algorithm)
}

/// The name of the signature over SHA-512 by a key of `scheme`.
pub(super) fn sha512_signature(scheme: SignatureScheme) -> &'static str {
    match scheme {
        SignatureScheme::RsaPkcs1 => RSA_SHA512,
        SignatureScheme::RsaPss => RSA_PSS_SHA512,
        SignatureScheme::Ecdsa => ECDSA_SHA512,
    }
}

/// A key and the way in which it signed.
pub(super) struct Verifier<'k> {
    algorithm: &'static dyn VerificationAlgorithm,
    key: &'k [u8],
}

impl Verifier<'_> {
    pub(super) fn verify(&self, message: &[u8], signature: &[u8]) -> Result<(), Unspecified> {
        UnparsedPublicKey::new(self.algorithm, self.key).verify(message, signature)
    }
}

/// How `key` makes signatures of the name `uri`, `None` if it does not. Other than in XML signatures, ECDSA is in DER.
pub(super) fn signature<'k>(uri: &str, key: &'k PublicKey) -> Option<Verifier<'k>> {
    let (algorithm, key): (&'static dyn VerificationAlgorithm, _) = match (key, uri) {
        (PublicKey::Rsa(key), RSA_SHA256) => (&signature::RSA_PKCS1_2048_8192_SHA256, key),
        (PublicKey::Rsa(key), RSA_SHA384) => (&signature::RSA_PKCS1_2048_8192_SHA384, key),
        (PublicKey::Rsa(key), RSA_SHA512) => (&signature::RSA_PKCS1_2048_8192_SHA512, key),
        (PublicKey::Rsa(key), RSA_PSS_SHA256) => (&signature::RSA_PSS_2048_8192_SHA256, key),
        (PublicKey::Rsa(key), RSA_PSS_SHA384) => (&signature::RSA_PSS_2048_8192_SHA384, key),
        (PublicKey::Rsa(key), RSA_PSS_SHA512) => (&signature::RSA_PSS_2048_8192_SHA512, key),
        (PublicKey::EcP256(key), ECDSA_SHA256) => (&signature::ECDSA_P256_SHA256_ASN1, key),
        (PublicKey::EcP256(key), ECDSA_SHA384) => (&signature::ECDSA_P256_SHA384_ASN1, key),
        (PublicKey::EcP256(key), ECDSA_SHA512) => (&signature::ECDSA_P256_SHA512_ASN1, key),
        (PublicKey::EcP384(key), ECDSA_SHA256) => (&signature::ECDSA_P384_SHA256_ASN1, key),
        (PublicKey::EcP384(key), ECDSA_SHA384) => (&signature::ECDSA_P384_SHA384_ASN1, key),
        (PublicKey::EcP384(key), ECDSA_SHA512) => (&signature::ECDSA_P384_SHA512_ASN1, key),
        _ => return None,
    };
    Some(Verifier { algorithm, key })
}
