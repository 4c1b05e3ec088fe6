//! A whole agency in a folder: keys, catalog, trust, clients, grants, databases and bundles, as its operator would have
//! them, and the program that serves it. End-to-end tests, benchmarks and the demo stand on it.

mod central;
mod client;
mod guests;
mod network;
mod operator;
mod pair;
mod raw_peer;
mod server;
mod site;

pub use central::Central;
pub use client::{Client, Reply};
pub use guests::{Guest, project_root, target_folder};
pub use network::{Enrolled, Network};
pub use operator::{Listed, Operator};
pub use pair::Pair;
pub use raw_peer::{RawMessage, RawPeer};
pub use server::Server;
pub use site::{CLIENT, PROVIDER, Parts, Site};
