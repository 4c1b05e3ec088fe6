//! The two signatures of a bundle: where they lie and what each covers.

use std::collections::BTreeSet;
use std::sync::Arc;

use jiff::Timestamp;
use uuk_asic::{Entry, EntryName, PartReference, SignatureTimeStamp, Signer, VerifiedSignature};
use uuk_pki::{Anchors, Certificate, DigestAlgorithm};

use crate::contents::{Bundle, Part};
use crate::error::{BundleError, Role};

/// A signature that holds: its value fits its certificate, its digests fit the parts, and it covers all it should.
/// Whether the certificate is trusted is another question.
#[derive(Debug, Clone)]
pub struct BundleSignature {
    /// Whose it is.
    pub role: Role,
    /// The signer's certificate.
    pub signer: Certificate,
    /// Other certificates that came with it.
    pub intermediates: Vec<Certificate>,
    /// When the signer says it signed.
    pub claimed_time: Timestamp,
    /// The time-stamp in it, unchecked.
    pub time_stamp: Option<SignatureTimeStamp>,
}

/// What can be said about a bundle's signatures without trusting anyone.
#[derive(Debug)]
pub struct Signatures {
    /// The author's, `None` if there is none.
    pub author: Option<Result<BundleSignature, BundleError>>,
    /// The vetters', `None` if there is none.
    pub vetting: Option<Result<BundleSignature, BundleError>>,
}

impl Role {
    /// The entry that holds the signature.
    pub fn entry(self) -> &'static str {
        match self {
            Self::Author => "META-INF/signatures-author.xml",
            Self::Vetting => "META-INF/signatures-vetting.xml",
        }
    }

    /// The parts that the signature must cover, and no others.
    fn covered<'a>(self, bundle: &'a Bundle) -> Vec<Part<'a>> {
        match self {
            Self::Author => bundle.authored_parts().collect(),
            Self::Vetting => {
                let author =
                    bundle.container().entries().iter().filter(|e| e.name.as_str() == Self::Author.entry());
                bundle.parts().chain(author.map(|entry| Part::new(&entry.name, &entry.bytes))).collect()
            }
        }
    }
}

impl Bundle {
    /// Looks at both signatures, trusting nobody.
    pub fn signatures(&self) -> Signatures {
        let look = |role: Role| self.part(role.entry()).is_some().then(|| self.verify_signature(role));
        Signatures { author: look(Role::Author), vetting: look(Role::Vetting) }
    }

    /// Checks that a signature holds and covers every part it should.
    pub(crate) fn verify_signature(&self, role: Role) -> Result<BundleSignature, BundleError> {
        let document = self.part(role.entry()).ok_or(match role {
            Role::Author => BundleError::AuthorSignatureMissing,
            Role::Vetting => BundleError::VettingMissing { name: Role::Vetting.entry() },
        })?;
        let signature = uuk_asic::verify(document, |uri, algorithm| self.container().digest(uri, algorithm))
            .map_err(|source| BundleError::Signature { role, source })?;
        check_coverage(role, &role.covered(self), &signature)?;
        let VerifiedSignature { signer, intermediates, claimed_time, time_stamp, .. } = signature;
        Ok(BundleSignature { role, signer, intermediates, claimed_time, time_stamp })
    }

    /// Makes the entry with the signature over what `role` covers in this bundle.
    pub(crate) fn sign(
        &self,
        role: Role,
        signer: &Signer<'_>,
        time: Timestamp,
    ) -> Result<Entry, BundleError> {
        let parts = role.covered(self);
        let references: Vec<_> = parts
            .iter()
            .map(|part| PartReference {
                uri: part.name.as_str(),
                digest: DigestAlgorithm::Sha512.digest(part.bytes),
                media_type: part.media_type,
            })
            .collect();
        let document = uuk_asic::sign(signer, &references, time)?;
        Ok(Entry { name: EntryName::new(role.entry())?, bytes: Arc::from(document) })
    }
}

fn check_coverage(role: Role, parts: &[Part<'_>], signature: &VerifiedSignature) -> Result<(), BundleError> {
    let references: BTreeSet<&str> = signature.parts.iter().map(|part| part.uri.as_str()).collect();
    if let Some(part) = parts.iter().find(|part| !references.contains(part.name.as_str())) {
        return Err(BundleError::UncoveredPart { role, name: part.name.clone() });
    }
    let names: BTreeSet<&str> = parts.iter().map(|part| part.name.as_str()).collect();
    if let Some(uri) = references.difference(&names).next() {
        const SHOWN_CHARS_MAX: usize = 64;
        let uri = uri.escape_debug().take(SHOWN_CHARS_MAX).collect();
        return Err(BundleError::ForeignReference { role, uri });
    }
    Ok(())
}

impl BundleSignature {
    /// Checks that the signer's certificate leads to one of `anchors` at `time`.
    pub(crate) fn check_signer(&self, anchors: &Anchors, time: Timestamp) -> Result<(), BundleError> {
        anchors
            .verify_signer(&self.signer, &self.intermediates, time)
            .map(|_| ())
            .map_err(|source| BundleError::Signer { role: self.role, source })
    }
}
