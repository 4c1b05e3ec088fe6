//! Listeners and connectors, TLS with peers and clients.
