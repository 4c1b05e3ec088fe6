//! The console over real HTTP, with a registry, a clock that the test sets, and certificates of a test authority.

#![expect(
    clippy::expect_used,
    clippy::panic,
    clippy::unwrap_used,
    clippy::indexing_slicing,
    reason = "what a test's helpers cannot do, the test reports"
)]

mod api;
mod browser;
mod catalog;
mod editors;
mod joining;
mod pages;
mod roles;
mod vetting;
mod world;
