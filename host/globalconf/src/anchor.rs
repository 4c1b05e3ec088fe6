//! The configuration anchor: where an instance publishes its configuration, and whose signature counts on it.

use aws_lc_rs::digest;
use jiff::Timestamp;
use uuk_pki::Digest;

use crate::xml::{self, Element, ParametersError, Writer};

/// Where an instance's configuration comes from. Handed over out of band, or carried in private parameters for a
/// federated instance.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Anchor {
    /// When it was made.
    pub generated_at: Option<Timestamp>,
    /// The instance it leads to.
    pub instance: String,
    /// Where to download from, at least one.
    pub sources: Vec<Source>,
}

/// One place to download from.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Source {
    /// `http` or `https`.
    pub url: String,
    /// Whose signature counts, at least one.
    pub certificates: Vec<VerificationCertificate>,
}

/// A certificate, DER, of which only the key is used: neither its validity nor its issuer matters.
///
/// Kept as bytes until a directory asks for it by digest, because a source may list some that no one uses any more.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct VerificationCertificate(pub Vec<u8>);

impl VerificationCertificate {
    /// Whether `digest` names this certificate.
    pub(crate) fn has(&self, digest: &Digest) -> bool {
        digest.algorithm().digest(&self.0) == *digest
    }
}

impl Anchor {
    /// Reads an anchor file.
    ///
    /// # Errors
    /// [`ParametersError`] names the line and what is wrong there.
    ///
    /// # Source
    /// `configurationAnchor` of X-Road's private-parameters.xsd.
    pub fn read(file: &[u8]) -> Result<Self, ParametersError> {
        Self::from_element(Element::root(&xml::parse(file)?, "configurationAnchor")?)
    }

    pub(crate) fn from_element(anchor: Element<'_>) -> Result<Self, ParametersError> {
        let generated_at = anchor.optional("generatedAt")?;
        let sources: Vec<_> = anchor.all("source").map(Source::from_element).collect::<Result<_, _>>()?;
        if sources.is_empty() {
            return Err(ParametersError::Missing { line: anchor.line(), element: "source" });
        }
        Ok(Self {
            generated_at: generated_at.map(|time| time.date_time()).transpose()?,
            instance: anchor.required_text("instanceIdentifier")?,
            sources,
        })
    }

    /// The anchor as a file.
    pub fn write(&self) -> String {
        let mut writer = Writer::new("configurationAnchor");
        self.write_content(&mut writer);
        writer.finish()
    }

    pub(crate) fn write_content(&self, writer: &mut Writer) {
        writer.optional_text("generatedAt", self.generated_at.map(|time| time.to_string()).as_deref());
        writer.text("instanceIdentifier", &self.instance);
        for source in &self.sources {
            writer.element("source", |writer| {
                writer.text("downloadURL", &source.url);
                for certificate in &source.certificates {
                    writer.base64("verificationCert", &certificate.0);
                }
            });
        }
    }

    /// The digest by which people compare an anchor file with what the governing authority published: SHA-224 in
    /// capital hexadecimal digits with colons, as X-Road shows it.
    pub fn displayed_hash(file: &[u8]) -> String {
        let digest = digest::digest(&digest::SHA224, file);
        let bytes: Vec<_> = digest.as_ref().iter().map(|byte| format!("{byte:02X}")).collect();
        bytes.join(":")
    }
}

impl Source {
    fn from_element(source: Element<'_>) -> Result<Self, ParametersError> {
        let url = source.required("downloadURL")?;
        let text = url.filled()?.trim().to_owned();
        if !text.starts_with("http://") && !text.starts_with("https://") {
            return Err(url.wrong("a URL of http or https"));
        }
        let certificates = source.all_base64("verificationCert")?;
        if certificates.is_empty() {
            return Err(ParametersError::Missing { line: source.line(), element: "verificationCert" });
        }
        let certificates = certificates.into_iter().map(VerificationCertificate).collect();
        Ok(Self { url: text, certificates })
    }
}
