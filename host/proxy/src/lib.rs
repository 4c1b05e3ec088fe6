//! The path of a message: one function per side that calls its stages in order.
//!
//! [`ClientProxy`] takes requests of this server's clients to the servers of other members, [`ServerProxy`] answers those of
//! others, and what answers in the end is an adapter ([`Provider`]) or an information system ([`Backends`]). Nothing here
//! knows of files, databases or sockets; handles of the services come in, and values pass between them here.
//!
//! Start with `provider.rs`, then read the two walks in `client_proxy.rs` and `server_proxy.rs`; `exchange.rs` is what both
//! do with a message, `trust.rs` whom they believe, and `fault.rs` all that clients see when something goes wrong.

#![warn(missing_docs)]

mod client_proxy;
mod provider;
mod server_proxy;

mod backend;
mod exchange;
mod frames;
mod incoming;
mod metaservices;
mod outgoing;
mod related;
mod replays;
mod spool;
mod stages;
mod trust;

pub mod certificate_answers;
mod drift;
mod fault;

pub use backend::{BackendError, Backends, BackendsError};
pub use client_proxy::{ClientProxy, RegistrationError};
pub use drift::{Drift, drift};
pub use exchange::{ExchangeConfig, ExchangeError, Services};
pub use fault::Refusal;
pub use incoming::IncomingError;
pub use outgoing::TransportBody;
pub use provider::{Conditions, Door, Provider, ProviderConfig};
pub use server_proxy::ServerProxy;
pub use stages::answer::problem as problem_of_fault;
pub use trust::TrustError;
