//! The network that security servers live in, as small real servers on 127.0.0.1: a certification authority with its
//! OCSP responder, a time-stamping authority, and the source of the global configuration.
//!
//! Start with [`Instance`], which puts them together. Each server can be made to fail in the ways that the real ones do,
//! and takes the time from a clock that a test sets. All stop when dropped.

mod certification_authority;
mod configuration_source;
mod http_server;
mod identity;
mod instance;
mod ocsp_responder;
mod time_stamping_authority;

use std::sync::{Mutex, MutexGuard, PoisonError};

pub use certification_authority::{CertificationAuthority, CertificationOptions};
pub use configuration_source::{ConfigurationSource, Content, ExtraPart, SourceFault, SourceOptions};
pub use http_server::Fault;
pub use identity::{Identity, Use, certificate_pem};
pub use instance::{Instance, InstanceOptions, Parts, Server};
pub use ocsp_responder::{Answering, OcspResponder};
pub use time_stamping_authority::{Stamping, TimeStampingAuthority};

fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}
