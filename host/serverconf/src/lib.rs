//! This server's clients, access rights and the grants of its plugins.
