//! Which plugin bundles may serve in the instance: whose signatures count, and what was revoked.

mod trust;

pub use trust::{BundleSigner, BundleTrust, MinimumVersion, Revocation};
