//! The author's signature.

use jiff::Timestamp;
use uuk_asic::{Entry, Signer};
use uuk_pki::Anchors;

use crate::contents::{Bundle, assemble};
use crate::error::{BundleError, Role};
use crate::signature::BundleSignature;

/// A bundle that an author trusted here signed.
#[derive(Debug, Clone)]
pub struct AuthoredBundle {
    bundle: Bundle,
    signature: BundleSignature,
}

impl AuthoredBundle {
    /// Checks the author's signature: it holds, covers every part, and its certificate leads to one of `anchors` at
    /// `time`, which is when the bundle was vetted, or now for one that is not.
    ///
    /// # Errors
    /// [`BundleError::AuthorSignatureMissing`], [`BundleError::Signature`], [`BundleError::UncoveredPart`],
    /// [`BundleError::ForeignReference`] or [`BundleError::Signer`].
    pub fn verify(bundle: Bundle, anchors: &Anchors, time: Timestamp) -> Result<Self, BundleError> {
        let signature = bundle.verify_signature(Role::Author)?;
        signature.check_signer(anchors, time)?;
        Ok(Self { bundle, signature })
    }

    /// The bundle.
    pub fn bundle(&self) -> &Bundle {
        &self.bundle
    }

    /// The author's signature.
    pub fn author(&self) -> &BundleSignature {
        &self.signature
    }
}

/// Signs a bundle as its author and returns the new file. An earlier signature is replaced, an earlier vetting
/// dropped.
///
/// # Errors
/// [`BundleError::Sign`].
pub fn sign_author(bundle: &Bundle, signer: &Signer<'_>, time: Timestamp) -> Result<Vec<u8>, BundleError> {
    let signature = bundle.sign(Role::Author, signer, time)?;
    let parts = bundle
        .authored_parts()
        .map(|part| Entry { name: part.name.clone(), bytes: part.bytes.clone() })
        .collect();
    assemble(parts, vec![signature])
}
