//! The path of a message: one function per side that calls its stages in order.
//!
//! For now only the answering side is here ([`ServerProxy`]): clients of this server reach its local services. It knows
//! nothing of files, databases or sockets; handles of the services come in, and values pass between them here.
//! Start with `server_proxy.rs`; `fault.rs` is all that clients see when something goes wrong.

#![warn(missing_docs)]

mod drift;
mod fault;
mod server_proxy;
mod stages;

pub use drift::{Drift, drift};
pub use fault::Refusal;
pub use server_proxy::{Conditions, Door, ServerProxy, ServerProxyConfig};
