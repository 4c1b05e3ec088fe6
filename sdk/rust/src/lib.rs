//! Write adapters for uuk in Rust.
