//! The console over real HTTP, with a registry, a clock that the test sets, and certificates of a test authority.

#![expect(
    clippy::panic,
    clippy::unwrap_used,
    clippy::indexing_slicing,
    reason = "what a test's helpers cannot do, the test reports"
)]

mod accessibility;
mod api;
mod audit;
mod calendars;
mod catalog;
mod editors;
mod generated;
mod joining;
mod letters;
mod openid;
mod pages;
mod roles;
mod second_factor;
mod surveys;
mod vetting;
mod vetting_bounds;
mod world;

use uuk_testkit::browser;
