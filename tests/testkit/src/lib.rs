//! Builders and doubles for tests: authorities, databases, servers.

pub mod authority;
pub mod browser;
pub mod databases;
pub mod disk;
pub mod fixtures;
pub mod joining;
pub mod mail;
#[cfg(feature = "network")]
pub mod network;
pub mod openid_provider;
pub mod openssl;
pub mod ports;
pub mod tls_authority;
pub mod upstream;
pub mod xmlsec;
