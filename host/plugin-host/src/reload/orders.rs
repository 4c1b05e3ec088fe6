use std::sync::Arc;

use tokio::sync::{mpsc, oneshot, watch};
use uuk_bundle::BundleDigest;

use super::store::Pin;
use super::{PluginStatus, Reload};
use crate::registry::Registry;

/// What an operator asks for.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Order {
    /// Let this bundle serve, where approval is asked for.
    Approve(BundleDigest),
    /// Let this bundle serve, without a trial, until a version comes that is newer than all there are now.
    Activate(BundleDigest),
    /// Go back to the version that served before, and stay there as after [`Order::Activate`].
    Rollback {
        /// The plugin's identifier.
        plugin: String,
    },
    /// Take this bundle out of service.
    Quarantine {
        /// The bundle.
        digest: BundleDigest,
        /// Why, for the ledger.
        reason: String,
    },
    /// Let a quarantined bundle serve again.
    Release(BundleDigest),
}

/// Why an order was not carried out.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum OrderError {
    /// No bundle that verifies has this digest.
    #[error("no usable bundle has the digest {0}")]
    UnknownBundle(BundleDigest),
    /// The bundle is quarantined.
    #[error("bundle {0} is quarantined; release it first")]
    Quarantined(BundleDigest),
    /// The bundle is not quarantined.
    #[error("bundle {0} is not quarantined")]
    NotQuarantined(BundleDigest),
    /// Nothing to go back to.
    #[error("plugin `{0}` has no earlier version that could serve")]
    NoEarlierVersion(String),
    /// The server is stopping.
    #[error("the server is stopping")]
    Stopping,
}

/// An order, and where its end is told.
pub(super) type Asked = (Order, oneshot::Sender<Result<(), OrderError>>);

/// A hold on the running reload: its state, and orders to it.
#[derive(Debug, Clone)]
pub struct ReloadHandle {
    pub(super) orders: mpsc::Sender<Asked>,
    pub(super) status: watch::Receiver<Arc<Vec<PluginStatus>>>,
    pub(super) registry: Registry,
}

impl ReloadHandle {
    /// All bundles known, by plugin and version.
    pub fn status(&self) -> Arc<Vec<PluginStatus>> {
        self.status.borrow().clone()
    }

    /// Changes of [`ReloadHandle::status`].
    pub fn watch(&self) -> watch::Receiver<Arc<Vec<PluginStatus>>> {
        self.status.clone()
    }

    /// The routes.
    pub fn registry(&self) -> &Registry {
        &self.registry
    }

    /// Carries out `order`. What it changes at once is in force when this returns; a bundle that is not loaded is
    /// prepared first, which [`ReloadHandle::watch`] shows.
    ///
    /// # Errors
    /// [`OrderError`] if it can not be.
    pub async fn order(&self, order: Order) -> Result<(), OrderError> {
        let (answer, answered) = oneshot::channel();
        self.orders.send((order, answer)).await.map_err(|_| OrderError::Stopping)?;
        answered.await.map_err(|_| OrderError::Stopping)?
    }
}

impl Reload {
    pub(super) fn carry_out(&mut self, order: Order) -> Result<(), OrderError> {
        match order {
            Order::Approve(digest) => {
                let id = self.plugin_of(digest)?;
                self.ledger.approved.insert(digest, id);
            }
            Order::Activate(digest) => {
                let id = self.plugin_of(digest)?;
                if self.ledger.quarantined.contains_key(&digest) {
                    return Err(OrderError::Quarantined(digest));
                }
                self.bundles.forgive(digest);
                self.ledger.approved.insert(digest, id.clone());
                self.pin(&id, digest);
                if let Some(plugin) = self.plugins.get(&id).and_then(|installed| installed.on_trial(digest)) {
                    self.take_over(&id, plugin);
                }
            }
            Order::Rollback { plugin: id } => {
                let previous = self.plugins.get(&id).and_then(|installed| installed.previous.clone());
                let previous = previous.ok_or_else(|| OrderError::NoEarlierVersion(id.clone()))?;
                self.pin(&id, previous.digest());
                self.take_over(&id, previous);
            }
            Order::Quarantine { digest, reason } => {
                let id = self.plugin_of(digest)?;
                self.quarantine(&id, digest, reason);
            }
            Order::Release(digest) => {
                let released = self.ledger.quarantined.remove(&digest);
                released.ok_or(OrderError::NotQuarantined(digest))?;
                self.bundles.forgive(digest);
            }
        }
        Ok(())
    }

    fn plugin_of(&self, digest: BundleDigest) -> Result<String, OrderError> {
        let known = self.bundles.get(&digest);
        known.map(|known| known.plugin.clone()).ok_or(OrderError::UnknownBundle(digest))
    }

    /// Holds the plugin at `digest`: no version known now replaces it.
    fn pin(&mut self, id: &str, digest: BundleDigest) {
        let newest = self.bundles.of(id).map(|(_, known)| known.version.clone()).max();
        let Some(newest) = newest else { return };
        self.ledger.pinned.insert(id.to_owned(), Pin { digest, newest });
    }
}
