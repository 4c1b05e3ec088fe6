//! Write adapters for uuk in Rust.
//!
//! An adapter answers the operations of a contract: one function each, marked [`macro@operation`], and one line,
//! [`adapter!`], that makes a component of them. `uuk adapter typegen` writes what they speak in: a module per
//! operation with its `Request`, `Response` and `FaultCode`, and a module `statements` with a function per SQL
//! statement of `plugin.toml`.
//!
//! ```ignore
//! mod generated;
//!
//! use generated::{get, statements};
//! use uuk_adapter::{Fault, OrNotFound, operation};
//!
//! uuk_adapter::adapter!(get);
//!
//! #[operation]
//! fn get(request: get::Request) -> Result<get::Response, Fault> {
//!     let person = statements::find_person(&request.pin)?
//!         .or_not_found(get::FaultCode::PersonNotFound, "nobody bears this number")?;
//!     Ok(get::Response { pin: person.pin, name: person.name })
//! }
//! ```
//!
//! An error of SQL or HTTP becomes a fault by its kind (`?` does it), with the details kept for the plugin's
//! log. The interfaces of the contract stand under their own names: [`blobs`], [`call`], [`config`], [`http`],
//! [`log`], [`sql`], [`sql_adhoc`]. A component imports only those it calls.
//!
//! Operations answer documents. An adapter that moves attachments implements [`handler::Guest`] itself and ends
//! with [`export!`].

#![warn(missing_docs)]

pub mod bindings;
mod fault;
pub mod http;
#[cfg(target_os = "wasi")]
mod machine;
mod operation;
pub mod probe;
pub mod sql;

pub use bindings::exports::uuk::adapter::handler;
pub use bindings::uuk::adapter::types::{Context, Fault, FaultKind, FieldProblem};
pub use bindings::uuk::adapter::{blobs, call, config, exchange, log, sql_adhoc, types};
pub use fault::{OrNotFound, UnknownValue};
pub use operation::{Answer, Operation, answer, not_answered};
pub use uuk_adapter_macros::operation;

// Generated code names these, so that an adapter's own dependencies need not.
pub use serde;
pub use serde_json;
