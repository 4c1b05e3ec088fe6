//! Names of members, subsystems, services and servers.
