//! The names of algorithms in XML signatures and signed directories; what has no name here is not accepted.

use crate::digest::DigestAlgorithm;
use crate::public_key::{SignatureAlgorithm, SignatureScheme};

const DIGESTS: [DigestAlgorithm; 3] =
    [DigestAlgorithm::Sha256, DigestAlgorithm::Sha384, DigestAlgorithm::Sha512];
const SCHEMES: [SignatureScheme; 3] =
    [SignatureScheme::RsaPkcs1, SignatureScheme::RsaPss, SignatureScheme::Ecdsa];

impl DigestAlgorithm {
    /// The algorithm called `uri`.
    pub fn from_uri(uri: &str) -> Option<Self> {
        DIGESTS.into_iter().find(|algorithm| algorithm.uri() == uri)
    }

    /// Its name.
    pub fn uri(self) -> &'static str {
        match self {
            Self::Sha256 => "http://www.w3.org/2001/04/xmlenc#sha256",
            Self::Sha384 => "http://www.w3.org/2001/04/xmldsig-more#sha384",
            Self::Sha512 => "http://www.w3.org/2001/04/xmlenc#sha512",
        }
    }
}

impl SignatureAlgorithm {
    /// The algorithm called `uri`.
    pub fn from_uri(uri: &str) -> Option<Self> {
        let all = SCHEMES.into_iter().flat_map(|scheme| DIGESTS.map(|digest| Self { scheme, digest }));
        all.into_iter().find(|algorithm| algorithm.uri() == uri)
    }

    /// Its name.
    pub fn uri(self) -> &'static str {
        use DigestAlgorithm::{Sha256, Sha384, Sha512};
        use SignatureScheme::{Ecdsa, RsaPkcs1, RsaPss};
        match (self.scheme, self.digest) {
            (RsaPkcs1, Sha256) => "http://www.w3.org/2001/04/xmldsig-more#rsa-sha256",
            (RsaPkcs1, Sha384) => "http://www.w3.org/2001/04/xmldsig-more#rsa-sha384",
            (RsaPkcs1, Sha512) => "http://www.w3.org/2001/04/xmldsig-more#rsa-sha512",
            (RsaPss, Sha256) => "http://www.w3.org/2007/05/xmldsig-more#sha256-rsa-MGF1",
            (RsaPss, Sha384) => "http://www.w3.org/2007/05/xmldsig-more#sha384-rsa-MGF1",
            (RsaPss, Sha512) => "http://www.w3.org/2007/05/xmldsig-more#sha512-rsa-MGF1",
            (Ecdsa, Sha256) => "http://www.w3.org/2001/04/xmldsig-more#ecdsa-sha256",
            (Ecdsa, Sha384) => "http://www.w3.org/2001/04/xmldsig-more#ecdsa-sha384",
            (Ecdsa, Sha512) => "http://www.w3.org/2001/04/xmldsig-more#ecdsa-sha512",
        }
    }
}
