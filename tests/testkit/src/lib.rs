//! Builders and doubles for tests: authorities, databases, servers.

pub mod tls_authority;
pub mod upstream;
