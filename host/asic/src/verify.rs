//! Verifying a XAdES signature: which certificate's key signed which parts.

use std::collections::BTreeSet;

use jiff::Timestamp;
use uuk_pki::{CHAIN_LENGTH_MAX, Certificate, CertificateError, Digest, DigestAlgorithm, SignatureAlgorithm};

use crate::c14n::{Canonicalization, canonicalize};
use crate::entry_name::quote;
use crate::time_stamp::signature_imprint;
use crate::xades::SIGNED_PROPERTIES_TYPE;
use crate::xml::{self, Element};

pub(crate) const DS: &str = "http://www.w3.org/2000/09/xmldsig#";
pub(crate) const XADES: &str = "http://uri.etsi.org/01903/v1.3.2#";
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
    /// The time-stamp in it, unchecked.
    pub time_stamp: Option<SignatureTimeStamp>,
}

/// A time-stamp that stands in a signature. Nothing is said about whether to believe it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct SignatureTimeStamp {
    /// DER `TimeStampToken`.
    pub token: Vec<u8>,
    /// What it should stamp.
    pub imprint: Digest,
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
    /// A reference to an intermediate certificate does not fit the certificate it names, or names none.
    #[error("the signature refers to an intermediate certificate that it does not contain")]
    IntermediateMismatch,
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

    /// The code that X-Road 7.8 has for it in a message's signature.
    pub fn xroad_code(&self) -> &'static str {
        match self {
            Self::WrongSignature | Self::PropertiesModified | Self::PartModified { .. } => {
                "invalid_signature_value"
            }
            _ => "malformed_signature",
        }
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
    let signature = SignatureDocument::parse(document)?;
    signature.verify_value()?;
    signature.verify_parts(part_digest)?;
    let imprint = signature_imprint(&signature);
    Ok(VerifiedSignature {
        time_stamp: signature.time_stamp.map(|token| SignatureTimeStamp { token, imprint }),
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
#[derive(Debug)]
pub(crate) struct SignatureDocument {
    /// Canonical form of `ds:SignedInfo`.
    signed_info: Vec<u8>,
    algorithm: SignatureAlgorithm,
    pub(crate) value: Vec<u8>,
    pub(crate) parts: Vec<SignedPart>,
    properties: Properties,
    pub(crate) signer: Certificate,
    pub(crate) intermediates: Vec<Certificate>,
    pub(crate) claimed_time: Timestamp,
    /// DER `OCSPResponse`s.
    pub(crate) ocsp_answers: Vec<Vec<u8>>,
    /// A DER `TimeStampToken` over the value.
    pub(crate) time_stamp: Option<Vec<u8>>,
}

/// Digests of the signed properties: of what is in the document, and of what was signed.
#[derive(Debug)]
struct Properties {
    is: Digest,
    signed: Digest,
}

impl SignatureDocument {
    pub(crate) fn parse(document: &[u8]) -> Result<Self, VerifyError> {
        let document = xml::parse(document)?;
        Self::read(find_signature(Element::root(&document)?)?)
    }

    fn read(signature: Element<'_>) -> Result<Self, VerifyError> {
        let signed_info = signature.child(DS, "SignedInfo")?;
        let canonicalization =
            Canonicalization::from_uri(signed_info.algorithm(DS, "CanonicalizationMethod")?)?;
        let method = signed_info.algorithm(DS, "SignatureMethod")?;
        let algorithm = SignatureAlgorithm::from_uri(method)
            .ok_or_else(|| VerifyError::AlgorithmNotAccepted { uri: quote(method.as_bytes()) })?;
        let qualifying = signature.child(DS, "Object")?.child(XADES, "QualifyingProperties")?;
        let signed_properties = qualifying.child(XADES, "SignedProperties")?;
        let of_signature = signed_properties.child(XADES, "SignedSignatureProperties")?;

        let id = signature.attribute("Id").ok_or(VerifyError::ForeignProperties)?;
        if qualifying.attribute("Target").and_then(|target| target.strip_prefix('#')) != Some(id) {
            return Err(VerifyError::ForeignProperties);
        }
        let (parts, properties) = read_references(signed_info, signed_properties)?;
        let unsigned = UnsignedProperties::read(qualifying)?;
        let (signer, intermediates) = read_certificates(signature, unsigned.certificates, of_signature)?;
        Ok(Self {
            signed_info: canonicalize(signed_info, canonicalization)?,
            algorithm,
            value: signature.child(DS, "SignatureValue")?.base64()?,
            parts,
            properties,
            signer,
            intermediates,
            claimed_time: read_time(of_signature)?,
            ocsp_answers: unsigned.ocsp_answers,
            time_stamp: unsigned.time_stamp,
        })
    }

    /// Checks that the signer's key signed this signature's references and properties.
    pub(crate) fn verify_value(&self) -> Result<(), VerifyError> {
        let digest = self.algorithm.digest.digest(&self.signed_info);
        self.signer
            .public_key()?
            .verify(self.algorithm.scheme, &digest, &self.value)
            .map_err(|_| VerifyError::WrongSignature)?;
        match self.properties.is == self.properties.signed {
            true => Ok(()),
            false => Err(VerifyError::PropertiesModified),
        }
    }

    /// Checks that every part referred to is there and is what was signed.
    pub(crate) fn verify_parts(
        &self,
        part_digest: impl Fn(&str, DigestAlgorithm) -> Option<Digest>,
    ) -> Result<(), VerifyError> {
        for part in &self.parts {
            let uri = || quote(part.uri.as_bytes());
            match part_digest(&part.uri, part.digest.algorithm()) {
                None => return Err(VerifyError::MissingPart { uri: uri() }),
                Some(digest) if digest != part.digest => {
                    return Err(VerifyError::PartModified { uri: uri() });
                }
                Some(_) => {}
            }
        }
        Ok(())
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

/// What stands beside the signed properties and can be changed by anyone: each piece proves itself.
struct UnsignedProperties {
    certificates: Vec<Certificate>,
    ocsp_answers: Vec<Vec<u8>>,
    time_stamp: Option<Vec<u8>>,
}

impl UnsignedProperties {
    fn read(qualifying: Element<'_>) -> Result<Self, VerifyError> {
        let properties: Vec<_> = qualifying
            .children_named(XADES, "UnsignedProperties")
            .flat_map(|properties| properties.children_named(XADES, "UnsignedSignatureProperties"))
            .collect();
        let named = |name| properties.iter().flat_map(move |all| all.children_named(XADES, name));

        let mut certificates = Vec::new();
        for element in encapsulated(named("CertificateValues"), "EncapsulatedX509Certificate") {
            let element = element?;
            certificates.push((element.attribute("Id"), Certificate::from_der(&element.base64()?)?));
        }
        let references = named("CompleteCertificateRefs")
            .flat_map(|references| references.children_named(XADES, "CertRefs"))
            .flat_map(|references| references.children_named(XADES, "Cert"));
        for reference in references {
            // X-Road finds its intermediates through these, so that one which fits nothing means a damaged signature.
            let id = reference.attribute("URI").and_then(|uri| uri.strip_prefix('#'));
            let digest = reference.child(XADES, "CertDigest")?.digest()?;
            let found = certificates.iter().find(|(known, _)| id.is_some() && *known == id);
            if found.is_none_or(|(_, certificate)| certificate.digest(digest.algorithm()) != digest) {
                return Err(VerifyError::IntermediateMismatch);
            }
        }

        let answers = named("RevocationValues").flat_map(|values| values.children_named(XADES, "OCSPValues"));
        let ocsp_answers = encapsulated(answers, "EncapsulatedOCSPValue")
            .map(|answer| answer?.base64())
            .collect::<Result<_, _>>()?;
        let mut stamps = named("SignatureTimeStamp").map(|stamp| {
            // Older servers left out the inner element.
            match stamp.children_named(XADES, "EncapsulatedTimeStamp").next() {
                Some(_) => stamp.child(XADES, "EncapsulatedTimeStamp")?.base64(),
                None => stamp.base64(),
            }
        });
        let time_stamp = stamps.next().transpose()?;
        if stamps.next().is_some() {
            return Err(VerifyError::Structure { element: "SignatureTimeStamp" });
        }
        let certificates = certificates.into_iter().map(|(_, certificate)| certificate).collect();
        Ok(Self { certificates, ocsp_answers, time_stamp })
    }
}

/// The elements called `name` below `parents`, as many as there are certificates in a chain.
fn encapsulated<'d>(
    parents: impl Iterator<Item = Element<'d>>,
    name: &'static str,
) -> impl Iterator<Item = Result<Element<'d>, VerifyError>> {
    let elements = parents.flat_map(move |parent| parent.children_named(XADES, name));
    elements.enumerate().map(move |(index, element)| match index < CHAIN_LENGTH_MAX {
        true => Ok(element),
        false => Err(VerifyError::Structure { element: name }),
    })
}

/// The signer's certificate, which is the one whose digest is among the signed properties, and all others.
fn read_certificates(
    signature: Element<'_>,
    encapsulated: Vec<Certificate>,
    of_signature: Element<'_>,
) -> Result<(Certificate, Vec<Certificate>), VerifyError> {
    let in_key_info = signature
        .child(DS, "KeyInfo")?
        .children_named(DS, "X509Data")
        .flat_map(|data| data.children_named(DS, "X509Certificate"));
    let mut certificates = encapsulated;
    for element in in_key_info {
        if certificates.len() >= 2 * CHAIN_LENGTH_MAX {
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
