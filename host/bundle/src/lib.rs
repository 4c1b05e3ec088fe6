//! Plugin bundles: manifest, contents, author's and vetting signatures.
//!
//! A bundle is one signed container with everything a plugin is made of. What is known of it is its type: a
//! [`Bundle`] is complete and well-formed, an [`AuthoredBundle`] is what an author trusted here signed, a
//! [`VettedBundle`] was also vetted, and only that may be run. Pure: bytes, trust and the time come in as arguments.
//! It does not know what the component does, nor what an agency grants it.
//!
//! Start with [`verify()`], which goes the whole way.

#![warn(missing_docs)]

mod author;
mod contents;
mod error;
mod manifest;
mod mapping;
mod pack;
#[cfg(test)]
mod sample;
mod signature;
mod trust;
mod vetting;

pub use author::{AuthoredBundle, sign_author};
pub use contents::{Bundle, COMPONENT, MANIFEST, Part, VETTING_STATEMENT};
pub use error::{BundleError, Role};
pub use manifest::{
    Access, Build, Datasource, Engine, Limits, Location, Manifest, ManifestError, Plugin, Reuse, Scalar,
    Service, Statement, Upstream, ValueType,
};
pub use mapping::MAPPING;
pub use pack::pack;
pub use signature::{BundleSignature, Signatures};
pub use trust::Trust;
pub use uuk_asic::{Limits as SizeLimits, SignatureTimeStamp};
pub use vetting::{
    PendingVetting, Step, VettedBundle, VettingStatement, prepare_vetting, verify, verify_in_steps, vet,
};

/// The digest that names a bundle, or a part of it.
pub type BundleDigest = uuk_pki::Sha256;
