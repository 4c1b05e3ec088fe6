//! The registry with its rules, its database, and the configuration that is made of it.

#![expect(
    clippy::unwrap_used,
    clippy::indexing_slicing,
    reason = "what a test's helpers cannot do, the test reports"
)]

mod catalog;
mod database;
mod management;
mod publication;
mod registry;
mod world;
