//! What every running part needs of its process: the time, secrets that do not print, errors told to the end, text of
//! strangers made safe to show, files replaced whole, log and traces.
//!
//! Knows nothing of messages, plugins or configuration. Start with [`Clock`].

#![warn(missing_docs)]

mod clock;
mod error_chain;
mod harmless;
mod secret;
pub mod telemetry;
mod whole_file;

pub use clock::Clock;
pub use error_chain::ErrorChain;
pub use harmless::harmless;
pub use secret::Secret;
pub use whole_file::write_whole;
