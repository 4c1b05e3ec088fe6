//! Making a XAdES signature.
//!
//! The document is written in canonical form, so that what is digested and signed is what is written, but for the
//! namespaces that canonicalisation repeats on the outermost element of each part.

use base64::Engine;
use base64::engine::general_purpose::STANDARD as BASE64;
use jiff::Timestamp;
use uuk_pki::{
    Certificate, CertificateError, Digest, DigestAlgorithm, KeyError, SignatureAlgorithm, SignatureScheme,
    SigningKey,
};

use crate::c14n::C14N;

/// In the order of canonical XML, which is also X-Road's.
const NAMESPACES: &str = concat!(
    r#" xmlns:asic="http://uri.etsi.org/02918/v1.2.1#""#,
    r#" xmlns:ds="http://www.w3.org/2000/09/xmldsig#""#,
    r#" xmlns:xades="http://uri.etsi.org/01903/v1.3.2#""#,
    r#" xmlns:xsi="http://www.w3.org/2001/XMLSchema-instance""#,
);

/// Who signs: a key and the certificate that goes with it.
#[derive(Clone, Copy)]
pub struct Signer<'a> {
    /// The private key.
    pub key: &'a dyn SigningKey,
    /// The certificate of that key.
    pub certificate: &'a Certificate,
    /// Certificates between it and an authority that verifiers know.
    pub intermediates: &'a [Certificate],
}

/// A part to be covered by a signature.
#[derive(Debug, Clone)]
pub struct PartReference<'a> {
    /// What verifiers resolve: `plugin.toml` in a bundle, `/message.xml` in X-Road.
    pub uri: &'a str,
    /// Digest of the part's bytes.
    pub digest: Digest,
    /// Media type of the part.
    pub media_type: &'a str,
}

/// Why no signature was made.
#[derive(Debug, thiserror::Error, strum::IntoStaticStr)]
#[strum(serialize_all = "snake_case", prefix = "signing.")]
#[non_exhaustive]
pub enum SignError {
    /// Nothing to sign.
    #[error("there is no part to sign")]
    NoParts,
    /// A part's digest is of a kind that X-Road's servers do not verify.
    #[error("a part has a digest by {algorithm}; only SHA-512 can be signed")]
    DigestNotAccepted {
        /// What made the digest.
        algorithm: DigestAlgorithm,
    },
    /// No OCSP answer for the certificate.
    #[error("there is no OCSP answer for the certificate of `{subject}`")]
    NoOcspAnswer {
        /// Whose certificate it is.
        subject: String,
    },
    /// The certificate's key usage does not allow it.
    #[error("the certificate of `{subject}` is not for signing: its key usage lacks non-repudiation")]
    NotForSigning {
        /// Whose certificate it is.
        subject: String,
    },
    /// The certificate's key cannot be used.
    #[error("the certificate cannot be used")]
    Certificate(#[source] CertificateError),
    /// The key did not sign.
    #[error("the key did not sign")]
    Key(#[source] KeyError),
    /// The signature does not fit the certificate.
    #[error("the key does not belong to the certificate of `{subject}`")]
    KeyMismatch {
        /// Whose certificate it is.
        subject: String,
    },
}

impl SignError {
    /// The stable code of the reason.
    pub fn code(&self) -> &'static str {
        self.into()
    }
}

/// Signs `parts` and returns the signature document, UTF-8 XML in X-Road's shape (`asic:XAdESSignatures`).
///
/// `time` is what the signer claims. The signature is checked with the certificate before it is returned, so that a
/// mistaken certificate or a failing token shows here and not at a peer.
///
/// # Errors
/// As the variants of [`SignError`] say.
///
/// # Source
/// XML Signature Syntax and Processing; ETSI TS 101 903 v1.3.2.
pub fn sign(signer: &Signer<'_>, parts: &[PartReference<'_>], time: Timestamp) -> Result<Vec<u8>, SignError> {
    let certificate = signer.certificate;
    if parts.is_empty() {
        return Err(SignError::NoParts);
    }
    if !certificate.may_sign() {
        return Err(SignError::NotForSigning { subject: certificate.subject().to_owned() });
    }

    let draft = Draft::new(&Contents {
        parts,
        certificate,
        scheme: signer.key.scheme(),
        time,
        policy: "",
        unsigned: certificate_values(signer.intermediates),
    });
    let value = signer.key.sign_digest(draft.digest()).map_err(SignError::Key)?;
    draft.check(&value)?;
    Ok(draft.complete(&value))
}

/// What goes into a signature document.
pub(crate) struct Contents<'a> {
    pub(crate) parts: &'a [PartReference<'a>],
    pub(crate) certificate: &'a Certificate,
    pub(crate) scheme: SignatureScheme,
    pub(crate) time: Timestamp,
    /// A `xades:SignaturePolicyIdentifier` in canonical form, or nothing.
    pub(crate) policy: &'a str,
    /// The content of `xades:UnsignedSignatureProperties`: what may change without breaking the signature.
    pub(crate) unsigned: String,
}

/// A signature document that lacks its signature value.
#[derive(Debug)]
pub(crate) struct Draft {
    certificate: Certificate,
    scheme: SignatureScheme,
    signed_info: Apex,
    properties: Apex,
    unsigned: String,
    digest: Digest,
}

impl Draft {
    pub(crate) fn new(contents: &Contents<'_>) -> Self {
        let properties =
            Apex::new("xades:SignedProperties", r#" Id="signed-properties""#, signed_properties(contents));
        let properties_digest = DigestAlgorithm::Sha512.digest(properties.canonical().as_bytes());
        let signed_info =
            Apex::new("ds:SignedInfo", "", signed_info(contents.scheme, contents.parts, &properties_digest));
        Self {
            certificate: contents.certificate.clone(),
            scheme: contents.scheme,
            digest: DigestAlgorithm::Sha512.digest(signed_info.canonical().as_bytes()),
            signed_info,
            properties,
            unsigned: contents.unsigned.clone(),
        }
    }

    /// What the key signs.
    pub(crate) fn digest(&self) -> &Digest {
        &self.digest
    }

    /// Checks that `value` was made by the certificate's key.
    pub(crate) fn check(&self, value: &[u8]) -> Result<(), SignError> {
        self.certificate
            .public_key()
            .map_err(SignError::Certificate)?
            .verify(self.scheme, &self.digest, value)
            .map_err(|_| SignError::KeyMismatch { subject: self.certificate.subject().to_owned() })
    }

    /// The document with `value` in it.
    pub(crate) fn complete(&self, value: &[u8]) -> Vec<u8> {
        let unsigned = match self.unsigned.as_str() {
            "" => String::new(),
            unsigned => format!(
                "<xades:UnsignedProperties><xades:UnsignedSignatureProperties>{unsigned}\
                 </xades:UnsignedSignatureProperties></xades:UnsignedProperties>"
            ),
        };
        // No white space between the elements: X-Road's verifier takes first children, whatever they are.
        let document = format!(
            concat!(
                r#"<?xml version="1.0" encoding="UTF-8" standalone="no"?>"#,
                "\n<asic:XAdESSignatures{namespaces}>",
                r#"<ds:Signature Id="signature">{signed_info}"#,
                r#"<ds:SignatureValue Id="signature-value">{value}</ds:SignatureValue>"#,
                "<ds:KeyInfo><ds:X509Data><ds:X509Certificate>{certificate}</ds:X509Certificate></ds:X509Data></ds:KeyInfo>",
                r##"<ds:Object><xades:QualifyingProperties Target="#signature">{properties}{unsigned}"##,
                "</xades:QualifyingProperties></ds:Object></ds:Signature></asic:XAdESSignatures>",
            ),
            namespaces = NAMESPACES,
            signed_info = self.signed_info.in_document(),
            value = BASE64.encode(value),
            certificate = BASE64.encode(self.certificate.der()),
            properties = self.properties.in_document(),
            unsigned = unsigned,
        );
        document.into_bytes()
    }
}

/// An element that is canonicalised by itself.
#[derive(Debug)]
struct Apex {
    name: &'static str,
    attributes: &'static str,
    content: String,
}

impl Apex {
    fn new(name: &'static str, attributes: &'static str, content: String) -> Self {
        Self { name, attributes, content }
    }

    /// As it stands in the document, where the root declares the namespaces.
    fn in_document(&self) -> String {
        let Self { name, attributes, content } = self;
        format!("<{name}{attributes}>{content}</{name}>")
    }

    /// Its canonical form as a subset: all namespaces in scope, then the attributes.
    fn canonical(&self) -> String {
        let Self { name, attributes, content } = self;
        format!("<{name}{NAMESPACES}{attributes}>{content}</{name}>")
    }
}

fn signed_info(scheme: SignatureScheme, parts: &[PartReference<'_>], properties: &Digest) -> String {
    let mut xml = empty_method("ds:CanonicalizationMethod", C14N);
    let algorithm = SignatureAlgorithm { scheme, digest: DigestAlgorithm::Sha512 };
    xml.push_str(&empty_method("ds:SignatureMethod", algorithm.uri()));
    for (index, part) in parts.iter().enumerate() {
        xml.push_str(&format!(
            r#"<ds:Reference Id="signature-reference-{index}" URI="{uri}">{digest}</ds:Reference>"#,
            uri = escape(part.uri),
            digest = digest_elements(&part.digest),
        ));
    }
    xml.push_str(&format!(
        r##"<ds:Reference Id="signature-reference-{index}" Type="{SIGNED_PROPERTIES_TYPE}" URI="#signed-properties">{digest}</ds:Reference>"##,
        index = parts.len(),
        digest = digest_elements(properties),
    ));
    xml
}

/// The `Type` of the reference to the signed properties.
pub(crate) const SIGNED_PROPERTIES_TYPE: &str = "http://uri.etsi.org/01903#SignedProperties";

fn signed_properties(contents: &Contents<'_>) -> String {
    let formats: String = contents
        .parts
        .iter()
        .enumerate()
        .map(|(index, part)| {
            format!(
                r##"<xades:DataObjectFormat ObjectReference="#signature-reference-{index}"><xades:MimeType>{}</xades:MimeType></xades:DataObjectFormat>"##,
                escape(part.media_type),
            )
        })
        .collect();
    format!(
        concat!(
            "<xades:SignedSignatureProperties>",
            "<xades:SigningTime>{time}</xades:SigningTime>",
            "<xades:SigningCertificate><xades:Cert>{certificate}</xades:Cert></xades:SigningCertificate>{policy}",
            "</xades:SignedSignatureProperties>",
            "<xades:SignedDataObjectProperties>{formats}</xades:SignedDataObjectProperties>",
        ),
        time = contents.time.strftime("%Y-%m-%dT%H:%M:%S.%3fZ"),
        certificate = certificate_reference(contents.certificate),
        policy = contents.policy,
        formats = formats,
    )
}

/// The content of `xades:Cert`: which certificate is meant.
pub(crate) fn certificate_reference(certificate: &Certificate) -> String {
    format!(
        concat!(
            "<xades:CertDigest>{digest}</xades:CertDigest>",
            "<xades:IssuerSerial><ds:X509IssuerName>{issuer}</ds:X509IssuerName>",
            "<ds:X509SerialNumber>{serial}</ds:X509SerialNumber></xades:IssuerSerial>",
        ),
        digest = digest_elements(&certificate.digest(DigestAlgorithm::Sha512)),
        issuer = escape(certificate.issuer()),
        serial = certificate.serial(),
    )
}

/// The certificates themselves, in `xades:CertificateValues`; nothing if there are none.
pub(crate) fn certificate_values(intermediates: &[Certificate]) -> String {
    let certificates: String = intermediates
        .iter()
        .enumerate()
        .map(|(index, certificate)| {
            format!(
                r#"<xades:EncapsulatedX509Certificate Id="encapsulated-cert-{index}">{}</xades:EncapsulatedX509Certificate>"#,
                BASE64.encode(certificate.der()),
            )
        })
        .collect();
    match certificates.is_empty() {
        true => certificates,
        false => format!("<xades:CertificateValues>{certificates}</xades:CertificateValues>"),
    }
}

pub(crate) fn digest_elements(digest: &Digest) -> String {
    let method = empty_method("ds:DigestMethod", digest.algorithm().uri());
    format!("{method}<ds:DigestValue>{}</ds:DigestValue>", BASE64.encode(digest.as_bytes()))
}

/// Canonical XML has no empty-element tags.
fn empty_method(name: &str, algorithm: &str) -> String {
    format!(r#"<{name} Algorithm="{algorithm}"></{name}>"#)
}

/// Escapes text so that canonicalisation leaves it alone, in elements as well as in attributes: names, URIs and media
/// types have no white space but blanks, and quotes do not occur in attributes.
fn escape(text: &str) -> String {
    text.replace('&', "&amp;").replace('<', "&lt;").replace('>', "&gt;")
}
