//! Why a bundle was refused.

use jiff::Timestamp;
use semver::Version;
use uuk_asic::{ContainerError, EntryName, SignError, VerifyError};
use uuk_pki::ChainError;

use crate::BundleDigest;
use crate::manifest::ManifestError;

/// Whose signature.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, strum::Display, serde::Serialize)]
#[strum(serialize_all = "lowercase")]
#[serde(rename_all = "lowercase")]
pub enum Role {
    /// Who wrote the plugin.
    Author,
    /// Who reviewed it for the operator.
    Vetting,
}

/// Why a bundle was refused, could not be made or may not run.
#[derive(Debug, thiserror::Error, strum::IntoStaticStr)]
#[strum(serialize_all = "snake_case", prefix = "bundle.")]
#[non_exhaustive]
pub enum BundleError {
    /// The container is unsound.
    #[error("the container is unsound")]
    Container(#[from] ContainerError),
    /// The manifest is wrong.
    #[error("the manifest is wrong")]
    Manifest(#[from] ManifestError),
    /// A file that every bundle has, or that the manifest refers to, is not there.
    #[error("the part `{name}` is missing")]
    MissingPart {
        /// Which.
        name: String,
    },
    /// A file that nothing refers to.
    #[error("nothing refers to the part `{name}`")]
    StrayPart {
        /// Which.
        name: EntryName,
    },
    /// A SQL text is not text.
    #[error("the part `{name}` is not in UTF-8")]
    NotText {
        /// Which.
        name: String,
    },
    /// The mapping is not a TOML document that JSON could hold.
    #[error("map.toml: {reason}")]
    Mapping {
        /// Where, and what is wrong.
        reason: String,
    },
    /// A mapping is its component's configuration, and a schema asks the agency for another.
    #[error("a bundle with a mapping has no configuration: remove [config] or map.toml")]
    MappingAndConfiguration,
    /// `META-INF/manifest.xml` does not list the parts as this program does.
    #[error("META-INF/manifest.xml does not list exactly the parts of the bundle")]
    ContainerManifest,
    /// Not signed by its author.
    #[error("the author's signature is missing")]
    AuthorSignatureMissing,
    /// No vetting statement or no signature on it.
    #[error("the vetting is missing: there is no `{name}`")]
    VettingMissing {
        /// What is missing.
        name: &'static str,
    },
    /// A signature does not hold.
    #[error("the {role} signature does not hold")]
    Signature {
        /// Whose.
        role: Role,
        /// Why.
        #[source]
        source: VerifyError,
    },
    /// A part that the signature should cover is not covered.
    #[error("the {role} signature does not cover `{name}`")]
    UncoveredPart {
        /// Whose.
        role: Role,
        /// Which part.
        name: EntryName,
    },
    /// The signature covers something that is not its to cover.
    #[error("the {role} signature covers `{uri}`, which it should not")]
    ForeignReference {
        /// Whose.
        role: Role,
        /// What, escaped and shortened.
        uri: String,
    },
    /// The signer is not trusted, or not at that time.
    #[error("the {role} signature was made with a certificate that is not accepted")]
    Signer {
        /// Whose.
        role: Role,
        /// Why.
        #[source]
        source: ChainError,
    },
    /// Author and vetter are one.
    #[error("`{subject}` vetted its own bundle")]
    SelfVetted {
        /// Who.
        subject: String,
    },
    /// The vetting statement cannot be read.
    #[error("the vetting statement is wrong: {reason}")]
    VettingStatement {
        /// Why.
        reason: String,
    },
    /// The vetting statement is about another plugin or version.
    #[error("the vetting statement is about `{plugin}` {version}, not about this bundle")]
    VettingForOther {
        /// Which plugin.
        plugin: String,
        /// Which version.
        version: Version,
    },
    /// Fewer than two different reviewers.
    #[error("a vetting needs two different reviewers")]
    TooFewReviewers,
    /// The vetting has run out.
    #[error("the vetting expired at {expires}")]
    VettingExpired {
        /// When.
        expires: Timestamp,
    },
    /// The vetting claims to be made later than now.
    #[error("the vetting was made at {claimed}, which is not yet")]
    VettingInFuture {
        /// When.
        claimed: Timestamp,
    },
    /// Revoked.
    #[error("the bundle is revoked: {digest}")]
    Revoked {
        /// The digest that is listed, of the file or of its contents.
        digest: BundleDigest,
    },
    /// An older version than may run.
    #[error("version {version} of `{plugin}` may not run: the lowest allowed is {minimum}")]
    BelowMinimumVersion {
        /// Which plugin.
        plugin: String,
        /// Its version.
        version: Version,
        /// The lowest allowed.
        minimum: Version,
    },
    /// No signature could be made.
    #[error("the bundle could not be signed")]
    Sign(#[from] SignError),
}

impl BundleError {
    /// The stable code of the reason: that of the cause, where the cause says more.
    pub fn code(&self) -> &'static str {
        match self {
            Self::Container(error) => error.code(),
            Self::Manifest(error) => error.code(),
            Self::Signature { source, .. } => source.code(),
            Self::Signer { source, .. } => source.code(),
            Self::Sign(error) => error.code(),
            other => other.into(),
        }
    }
}
