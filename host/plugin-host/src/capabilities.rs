//! What an adapter may reach, one file each. Every check of authority is here, below all versions of the contract.

pub mod blobs;
pub(crate) mod call;
pub mod config;
pub mod http;
pub mod log;
pub mod sql;
