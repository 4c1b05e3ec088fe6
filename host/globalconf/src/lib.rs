//! What the governing authority of an instance distributes to its members.
//!
//! X-Road's global configuration: an [`Anchor`] says where to download from, a [`SignedDirectory`] lists the files
//! that count now, [`SharedParameters`] and [`PrivateParameters`] are the two that matter, and a
//! [`GlobalConfiguration`] answers what the transport asks of all of them together.
//!
//! Beside it stands uuk's own part, which X-Road's servers pass over: [`InstanceGovernance`], the catalog of services and
//! whose signatures on bundles count. Where no instance says that, a [`Catalog`] and a [`TrustList`] are files that the
//! operator hands to each server.
//!
//! Pure: bytes and the time come in as arguments, and nothing here downloads or stores.

#![warn(missing_docs)]

mod anchor;
mod catalog;
mod courier;
mod download;
mod extensions;
mod governance;
mod granted_accesses;
mod instance;
mod malformed;
mod metadata;
mod multipart;
mod private_params;
#[cfg(test)]
mod sample;
mod shared_params;
mod signed_directory;
mod snapshot;
mod trust;
mod version;
mod xml;

pub use anchor::{Anchor, Source, VerificationCertificate};
pub use catalog::{Catalog, CatalogError, CataloguedService};
pub use courier::{Courier, CourierError};
pub use download::{DirectoryUrl, directory_url, download_sources, file_url};
pub use extensions::Extensions;
pub use governance::{GOVERNANCE, GOVERNANCE_FILE, InstanceGovernance, InstanceGovernanceError};
pub use granted_accesses::{ACCESSES_MAX, GrantedAccess, GrantedAccesses, GrantedAccessesError};
pub use instance::{Dated, Instance};
pub use malformed::{Malformed, from_toml};
pub use metadata::FileMetadata;
pub use private_params::{ManagementService, PrivateParameters};
pub use shared_params::{
    AcmeServer, ApprovedCa, ApprovedTsa, CaInfo, Cost, GlobalGroup, Maintenance, Member, MemberClass,
    MirrorSource, OcspResponder, SecurityServer, SharedParameters, Subsystem, Unregistered,
};
pub use signed_directory::{
    DirectoryError, FileEntry, ListedFile, Listing, PRIVATE_PARAMETERS, SHARED_PARAMETERS,
    SignDirectoryError, SignedDirectory,
};
pub use snapshot::{
    GlobalConfiguration, GlobalConfigurationError, InstanceParameters, LeftOut, LeftOutReason,
};
pub use trust::{TrustError, TrustList};
pub use version::Version;
pub use xml::ParametersError;
