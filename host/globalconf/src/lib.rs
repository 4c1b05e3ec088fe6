//! What the governing authority distributes: the catalog of services, and whose signatures on bundles count.
//!
//! For now both are files that the operator hands to each server; they will travel as a part of the signed global
//! configuration. Pure: the caller reads the files. Start with [`Catalog`].

#![warn(missing_docs)]

mod catalog;
mod malformed;
mod trust;

pub use catalog::{Catalog, CatalogError, CataloguedService};
pub use malformed::{Malformed, from_toml};
pub use trust::{TrustError, TrustList};
