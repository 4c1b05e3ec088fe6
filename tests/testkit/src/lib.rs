//! Builders and doubles for tests: authorities, databases, servers.
