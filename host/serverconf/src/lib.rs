//! This server's clients with their certificates, who may call what, and what each plugin is granted.
//!
//! Files of the agency, read whole and checked; what they name (databases, upstreams) is opened by others. Start with
//! [`Clients`] and [`GrantFile`].

#![warn(missing_docs)]

mod access_rights;
mod clients;
mod endpoint;
mod grants;

pub use access_rights::Rights;
pub use clients::{Clients, ClientsError};
pub use endpoint::ServicePath;
pub use grants::{DatasourceGrant, GrantError, GrantFile};
