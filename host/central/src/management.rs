//! Management requests: what security servers ask of the central server, in X-Road's SOAP.
//!
//! Certificates are registered at one door, where any server may knock, since none is known yet: the request proves
//! itself by the keys of the server and of its owner. All else comes through the security server that serves the
//! instance, which has verified who asks; what would give someone more than they have is signed besides.
//!
//! Source: `certs.md` §6 of the reference notes.

mod error;
mod service;
mod verify;

pub use error::ManagementError;
pub use service::{ManagementConfig, ManagementService};
