//! Keeps the global configuration fresh: downloads it from where the anchor and the configuration in force say, verifies
//! it, keeps it on disk in X-Road's layout, and publishes what is in force.
//!
//! Knows nothing of messages or of who asks the configuration what. Whatever goes wrong, the last good configuration
//! stays; whether it still counts is for its readers to ask, with
//! [`GlobalConfiguration::check`](uuk_globalconf::GlobalConfiguration::check). Start with [`ConfigurationClient`].

#![warn(missing_docs)]

mod config;
mod download;
mod error;
mod fetch;
mod instance_files;
mod refresh;
mod store;

pub use config::{AllowedFederations, ConfigurationClientConfig};
pub use error::{RefreshError, SourceError, StoreError};
pub use refresh::{ConfigurationClient, ConfigurationProblem, ConfigurationStatus};
