//! Verifying a XAdES signature: which certificate's key signed which parts.

use std::collections::BTreeSet;

use jiff::Timestamp;
use uuk_pki::{CHAIN_LENGTH_MAX, Certificate, CertificateError, Digest, DigestAlgorithm, SignatureAlgorithm};

use crate::algorithm;
use crate::c14n::{Canonicalization, canonicalize};
use crate::entry_name::quote;
use crate::xades::SIGNED_PROPERTIES_TYPE;
use crate::xml::{self, Element};

pub(crate) const DS: &str = "http://www.w3.org/2000/09/xmldsig#";
const XADES: &str = "http://uri.etsi.org/01903/v1.3.2#";
/// The current namespace of ASiC's root element and the one that older X-Road servers wrote.
const ASIC: [&str; 2] = ["http://uri.etsi.org/02918/v1.2.1#", "http://uri.etsi.org/02918/v1.1.1#"];

/// More references than any container has entries.
const REFERENCES_MAX: usize = 1100;

/// What a signature proves by itself: the holder of this certificate's key signed these parts.
///
/// It says nothing about whether the certificate is trusted, valid or revoked, nor whether all parts that matter are
/// covered; both are the caller's to decide.
#[derive(Debug, Clone)]
pub struct VerifiedSignature {
    /// The signer's certificate, as found in the signature.
    pub signer: Certificate,
    /// Other certificates found in the signature, unchecked.
    pub intermediates: Vec<Certificate>,
    /// The parts covered, each with the digest that was signed and that the part has; at least one.
    pub parts: Vec<SignedPart>,
    /// When the signer says it signed.
    pub claimed_time: Timestamp,
}

/// A part covered by a signature.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct SignedPart {
    /// As the reference has it: `plugin.toml`, `/message.xml`.
    pub uri: String,
    /// The digest of the part.
    pub digest: Digest,
}

/// Why a signature was refused.
#[derive(Debug, thiserror::Error, strum::IntoStaticStr)]
#[strum(serialize_all = "snake_case", prefix = "signature.")]
#[non_exhaustive]
pub enum VerifyError {
    /// The document is too large.
    #[error("the document is larger than {bytes_max} bytes")]
    TooLarge {
        /// The limit.
        bytes_max: usize,
    },
    /// Not UTF-8, or declared to be something else.
    #[error("the document is not in UTF-8")]
    NotUtf8,
    /// Has a document type, which could define entities and defaults.
    #[error("the document has a document type")]
    DocumentType,
    /// Elements are nested too deeply.
    #[error("the document is nested more than {depth_max} levels deep")]
    TooDeep {
        /// The limit.
        depth_max: u32,
    },
    /// Not well-formed.
    #[error("the document is not well-formed XML: {reason}")]
    Malformed {
        /// What the parser said, shortened.
        reason: String,
    },
    /// A comment, processing instruction or CDATA section.
    #[error("the document has a comment, processing instruction or CDATA section in line {line}")]
    UnexpectedNode {
        /// Where.
        line: usize,
    },
    /// One identifier for two elements, the ground of wrapping.
    #[error("the identifier `{id}` occurs twice")]
    DuplicateId {
        /// Which, escaped and shortened.
        id: String,
    },
    /// No `ds:Signature` as root or right below `asic:XAdESSignatures`.
    #[error("there is no signature in the document")]
    NoSignature,
    /// More than one `ds:Signature`, anywhere.
    #[error("there is more than one signature in the document")]
    SeveralSignatures,
    /// An element is missing, repeated or has the wrong content.
    #[error("the element `{element}` is missing, repeated or has unexpected content")]
    Structure {
        /// Which.
        element: &'static str,
    },
    /// Text that should be base64 is not.
    #[error("a value is not base64")]
    Base64,
    /// MD5, SHA-1 or something unknown.
    #[error("the algorithm `{uri}` is not accepted")]
    AlgorithmNotAccepted {
        /// Its identifier, escaped and shortened.
        uri: String,
    },
    /// A part is transformed before it is digested, so that other bytes than the part's are signed.
    #[error("the reference to `{uri}` transforms what it refers to")]
    TransformedPart {
        /// Its URI, escaped and shortened.
        uri: String,
    },
    /// Neither a part nor this signature's signed properties.
    #[error("the signature refers to `{uri}`, which is neither a part nor its own signed properties")]
    UnexpectedReference {
        /// Its URI, escaped and shortened.
        uri: String,
    },
    /// Two references to one part.
    #[error("the signature refers to `{uri}` twice")]
    DuplicateReference {
        /// Its URI, escaped and shortened.
        uri: String,
    },
    /// More references than supported.
    #[error("the signature has more than {REFERENCES_MAX} references")]
    TooManyReferences,
    /// Only its own properties are signed.
    #[error("the signature covers no part")]
    NoPartCovered,
    /// The signed properties are not signed, or others than this signature's are.
    #[error("the signature does not cover its own signed properties")]
    PropertiesNotCovered,
    /// `Target` names something else than this signature.
    #[error("the signature's properties are about another signature")]
    ForeignProperties,
    /// A part that is covered is not there.
    #[error("the signature covers `{uri}`, which is missing")]
    MissingPart {
        /// Its URI, escaped and shortened.
        uri: String,
    },
    /// A part is not what was signed.
    #[error("`{uri}` was changed after it was signed")]
    PartModified {
        /// Its URI, escaped and shortened.
        uri: String,
    },
    /// The signed properties are not what was signed.
    #[error("the signature's properties were changed after signing")]
    PropertiesModified,
    /// The certificate that the signed properties name is not in the signature.
    #[error("the signature does not contain the certificate that it says it was made with")]
    CertificateMismatch,
    /// A certificate in the signature cannot be used.
    #[error("a certificate in the signature cannot be used")]
    Certificate(#[from] CertificateError),
    /// The signing time is missing its zone or is no time.
    #[error("the signing time is not a date and time with zone")]
    SigningTime,
    /// The signature value was not made with the certificate's key over this `SignedInfo`.
    #[error("the signature value does not fit what is signed and the certificate's key")]
    WrongSignature,
}

impl VerifyError {
    /// The stable code of the reason.
    pub fn code(&self) -> &'static str {
        self.into()
    }
}

/// Verifies the one signature of a document; `part_digest` gives the digest of the part that a URI means.
///
/// The document is UTF-8 XML, `ds:Signature` or, as X-Road writes it, `asic:XAdESSignatures` around it. Every
/// reference must be to a part as it is, or to this signature's own signed properties; the signed properties must
/// name the certificate by its digest.
///
/// # Errors
/// As the variants of [`VerifyError`] say.
///
/// # Source
/// XML Signature Syntax and Processing §3.2; ETSI TS 101 903 v1.3.2.
pub fn verify(
    document: &[u8],
    part_digest: impl Fn(&str, DigestAlgorithm) -> Option<Digest>,
) -> Result<VerifiedSignature, VerifyError> {
    let document = xml::parse(document)?;
    let signature = SignatureDocument::read(find_signature(Element::root(&document)?)?)?;

    let digest = signature.algorithm.digest.digest(&signature.signed_info);
    signature
        .signer
        .public_key()?
        .verify(signature.algorithm.scheme, &digest, &signature.value)
        .map_err(|_| VerifyError::WrongSignature)?;
    if signature.properties.is != signature.properties.signed {
        return Err(VerifyError::PropertiesModified);
    }
    for part in &signature.parts {
        let uri = || quote(part.uri.as_bytes());
        match part_digest(&part.uri, part.digest.algorithm()) {
            None => return Err(VerifyError::MissingPart { uri: uri() }),
            Some(digest) if digest != part.digest => return Err(VerifyError::PartModified { uri: uri() }),
            Some(_) => {}
        }
    }

    Ok(VerifiedSignature {
        signer: signature.signer,
        intermediates: signature.intermediates,
        parts: signature.parts,
        claimed_time: signature.claimed_time,
    })
}

/// The signature at one of the two places where it may stand, if there is no other anywhere.
fn find_signature(root: Element<'_>) -> Result<Element<'_>, VerifyError> {
    let wrapped = ASIC.iter().any(|namespace| root.is(namespace, "XAdESSignatures"));
    let signature = if wrapped { root.children_named(DS, "Signature").next() } else { Some(root) };
    let all = root.document.get_elements_by_tag_name_ns(DS, "Signature");
    match (signature, all.len()) {
        (Some(signature), 1) if all.contains(&signature.node) => Ok(signature),
        (_, 0 | 1) => Err(VerifyError::NoSignature),
        _ => Err(VerifyError::SeveralSignatures),
    }
}

/// A signature as it was read; nothing in it is verified yet.
struct SignatureDocument {
    /// Canonical form of `ds:SignedInfo`.
    signed_info: Vec<u8>,
    algorithm: SignatureAlgorithm,
    value: Vec<u8>,
    parts: Vec<SignedPart>,
    properties: Properties,
    signer: Certificate,
    intermediates: Vec<Certificate>,
    claimed_time: Timestamp,
}

/// Digests of the signed properties: of what is in the document, and of what was signed.
struct Properties {
    is: Digest,
    signed: Digest,
}

impl SignatureDocument {
    fn read(signature: Element<'_>) -> Result<Self, VerifyError> {
        let signed_info = signature.child(DS, "SignedInfo")?;
        let canonicalization =
            Canonicalization::from_uri(signed_info.algorithm(DS, "CanonicalizationMethod")?)?;
        let method = signed_info.algorithm(DS, "SignatureMethod")?;
        let algorithm = algorithm::signature(method)
            .ok_or_else(|| VerifyError::AlgorithmNotAccepted { uri: quote(method.as_bytes()) })?;
        let qualifying = signature.child(DS, "Object")?.child(XADES, "QualifyingProperties")?;
        let signed_properties = qualifying.child(XADES, "SignedProperties")?;
        let of_signature = signed_properties.child(XADES, "SignedSignatureProperties")?;

        let id = signature.attribute("Id").ok_or(VerifyError::ForeignProperties)?;
        if qualifying.attribute("Target").and_then(|target| target.strip_prefix('#')) != Some(id) {
            return Err(VerifyError::ForeignProperties);
        }
        let (parts, properties) = read_references(signed_info, signed_properties)?;
        let (signer, intermediates) = read_certificates(signature, qualifying, of_signature)?;
        Ok(Self {
            signed_info: canonicalize(signed_info, canonicalization)?,
            algorithm,
            value: signature.child(DS, "SignatureValue")?.base64()?,
            parts,
            properties,
            signer,
            intermediates,
            claimed_time: read_time(of_signature)?,
        })
    }
}

/// Sorts the references into parts and the one to `signed_properties`.
fn read_references(
    signed_info: Element<'_>,
    signed_properties: Element<'_>,
) -> Result<(Vec<SignedPart>, Properties), VerifyError> {
    let mut parts = Vec::new();
    let mut seen = BTreeSet::new();
    let mut properties = None;
    for reference in signed_info.children_named(DS, "Reference") {
        let uri = reference.attribute("URI").ok_or(VerifyError::Structure { element: "Reference" })?;
        let quoted = || quote(uri.as_bytes());
        let digest = reference.digest()?;
        if !seen.insert(uri) {
            return Err(VerifyError::DuplicateReference { uri: quoted() });
        }
        if seen.len() > REFERENCES_MAX {
            return Err(VerifyError::TooManyReferences);
        }

        let is_properties = reference.attribute("Type") == Some(SIGNED_PROPERTIES_TYPE);
        match uri.strip_prefix('#') {
            Some(id) if is_properties && signed_properties.attribute("Id") == Some(id) => {
                let canonical = canonicalize(signed_properties, read_transform(reference)?)?;
                properties = Some(Properties { is: digest.algorithm().digest(&canonical), signed: digest });
            }
            None if !is_properties && !uri.is_empty() => {
                if reference.children_named(DS, "Transforms").next().is_some() {
                    return Err(VerifyError::TransformedPart { uri: quoted() });
                }
                parts.push(SignedPart { uri: uri.to_owned(), digest });
            }
            _ => return Err(VerifyError::UnexpectedReference { uri: quoted() }),
        }
    }
    let properties = properties.ok_or(VerifyError::PropertiesNotCovered)?;
    if parts.is_empty() {
        return Err(VerifyError::NoPartCovered);
    }
    Ok((parts, properties))
}

/// The canonicalisation of a reference into the document: the one transform it has, or the default.
fn read_transform(reference: Element<'_>) -> Result<Canonicalization, VerifyError> {
    if reference.children_named(DS, "Transforms").next().is_none() {
        return Ok(Canonicalization::Inclusive);
    }
    Canonicalization::from_uri(reference.child(DS, "Transforms")?.algorithm(DS, "Transform")?)
}

/// The signer's certificate, which is the one whose digest is among the signed properties, and all others.
fn read_certificates(
    signature: Element<'_>,
    qualifying: Element<'_>,
    of_signature: Element<'_>,
) -> Result<(Certificate, Vec<Certificate>), VerifyError> {
    let in_key_info = signature
        .child(DS, "KeyInfo")?
        .children_named(DS, "X509Data")
        .flat_map(|data| data.children_named(DS, "X509Certificate"));
    let encapsulated = qualifying
        .children_named(XADES, "UnsignedProperties")
        .flat_map(|properties| properties.children_named(XADES, "UnsignedSignatureProperties"))
        .flat_map(|properties| properties.children_named(XADES, "CertificateValues"))
        .flat_map(|values| values.children_named(XADES, "EncapsulatedX509Certificate"));
    let mut certificates = Vec::new();
    for element in in_key_info.chain(encapsulated) {
        if certificates.len() == CHAIN_LENGTH_MAX {
            return Err(CertificateError::TooMany.into());
        }
        certificates.push(Certificate::from_der(&element.base64()?)?);
    }

    let signed = read_certificate_digest(of_signature)?;
    let signer = certificates
        .iter()
        .position(|certificate| certificate.digest(signed.algorithm()) == signed)
        .ok_or(VerifyError::CertificateMismatch)?;
    let signer = certificates.swap_remove(signer);
    Ok((signer, certificates))
}

/// The digest of the signer's certificate, from either version of the property.
fn read_certificate_digest(of_signature: Element<'_>) -> Result<Digest, VerifyError> {
    let structure = || VerifyError::Structure { element: "SigningCertificate" };
    let mut properties = of_signature
        .children_named(XADES, "SigningCertificate")
        .chain(of_signature.children_named(XADES, "SigningCertificateV2"));
    let (Some(property), None) = (properties.next(), properties.next()) else {
        return Err(structure());
    };
    // The signer's own certificate comes first; the path may follow.
    let first = property.children_named(XADES, "Cert").next().ok_or_else(structure)?;
    first.child(XADES, "CertDigest")?.digest()
}

fn read_time(of_signature: Element<'_>) -> Result<Timestamp, VerifyError> {
    let text = of_signature.child(XADES, "SigningTime")?.text()?;
    text.trim().parse().map_err(|_| VerifyError::SigningTime)
}

#[cfg(test)]
mod tests;
