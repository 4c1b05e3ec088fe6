//! Algorithm identifiers of XML signatures that are accepted; all others are refused by name.

use uuk_pki::{DigestAlgorithm, SignatureAlgorithm, SignatureScheme};

/// Canonicalisations: inclusive and exclusive, without comments.
pub(crate) const C14N: &str = "http://www.w3.org/TR/2001/REC-xml-c14n-20010315";
pub(crate) const EXCLUSIVE_C14N: &str = "http://www.w3.org/2001/10/xml-exc-c14n#";

const DIGESTS: [(&str, DigestAlgorithm); 3] = [
    ("http://www.w3.org/2001/04/xmlenc#sha256", DigestAlgorithm::Sha256),
    ("http://www.w3.org/2001/04/xmldsig-more#sha384", DigestAlgorithm::Sha384),
    ("http://www.w3.org/2001/04/xmlenc#sha512", DigestAlgorithm::Sha512),
];

const SIGNATURES: [(&str, SignatureScheme, DigestAlgorithm); 9] = {
    use DigestAlgorithm::{Sha256, Sha384, Sha512};
    use SignatureScheme::{Ecdsa, RsaPkcs1, RsaPss};
    [
        ("http://www.w3.org/2001/04/xmldsig-more#rsa-sha256", RsaPkcs1, Sha256),
        ("http://www.w3.org/2001/04/xmldsig-more#rsa-sha384", RsaPkcs1, Sha384),
        ("http://www.w3.org/2001/04/xmldsig-more#rsa-sha512", RsaPkcs1, Sha512),
        ("http://www.w3.org/2007/05/xmldsig-more#sha256-rsa-MGF1", RsaPss, Sha256),
        ("http://www.w3.org/2007/05/xmldsig-more#sha384-rsa-MGF1", RsaPss, Sha384),
        ("http://www.w3.org/2007/05/xmldsig-more#sha512-rsa-MGF1", RsaPss, Sha512),
        ("http://www.w3.org/2001/04/xmldsig-more#ecdsa-sha256", Ecdsa, Sha256),
        ("http://www.w3.org/2001/04/xmldsig-more#ecdsa-sha384", Ecdsa, Sha384),
        ("http://www.w3.org/2001/04/xmldsig-more#ecdsa-sha512", Ecdsa, Sha512),
    ]
};

/// The digest algorithm called `uri`.
pub(crate) fn digest(uri: &str) -> Option<DigestAlgorithm> {
    DIGESTS.iter().find(|(known, _)| *known == uri).map(|(_, algorithm)| *algorithm)
}

/// The name of a digest algorithm.
pub(crate) fn digest_uri(algorithm: DigestAlgorithm) -> &'static str {
    match algorithm {
        DigestAlgorithm::Sha256 => DIGESTS[0].0,
        DigestAlgorithm::Sha384 => DIGESTS[1].0,
        DigestAlgorithm::Sha512 => DIGESTS[2].0,
    }
}

/// The signature algorithm called `uri`.
pub(crate) fn signature(uri: &str) -> Option<SignatureAlgorithm> {
    SIGNATURES
        .iter()
        .find(|(known, _, _)| *known == uri)
        .map(|(_, scheme, digest)| SignatureAlgorithm { scheme: *scheme, digest: *digest })
}

/// The name of the signature algorithm that signs SHA-512, the only digest signed here.
pub(crate) fn sha512_signature_uri(scheme: SignatureScheme) -> &'static str {
    match scheme {
        SignatureScheme::RsaPkcs1 => SIGNATURES[2].0,
        SignatureScheme::RsaPss => SIGNATURES[5].0,
        SignatureScheme::Ecdsa => SIGNATURES[8].0,
    }
}
