use serde::{Deserialize, Serialize};
use uuk_globalconf::Anchor;

use super::{Refusal, Registry, check_instance};

/// An anchor names a few sources and their certificates.
const ANCHOR_BYTES_MAX: usize = 64 << 10;

/// Another instance, whose members may exchange messages with those of this one; it is named by its identifier.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct FederatedInstance {
    /// Its anchor for other instances, as its operator handed it over.
    pub anchor: String,
}

impl Registry {
    /// Lets security servers follow another instance by its anchor, or a newer one, and gives its identifier. Each
    /// server's own operator decides, too.
    ///
    /// # Errors
    /// If that is no anchor, or that of this instance.
    pub fn federate(&mut self, anchor: &[u8]) -> Result<String, Refusal> {
        let text = std::str::from_utf8(anchor).ok().filter(|text| text.len() <= ANCHOR_BYTES_MAX);
        let text = text.ok_or(Refusal::AnchorTooLarge { bytes_max: ANCHOR_BYTES_MAX })?;
        let instance = Anchor::read(text.as_bytes())?.instance;
        if instance == self.settings.instance {
            return Err(Refusal::OwnAnchor { instance });
        }
        check_instance(&instance)?;
        let federated = FederatedInstance { anchor: text.to_owned() };
        self.federated.insert(instance.clone(), federated);
        Ok(instance)
    }

    /// Ends the federation with another instance: within one refresh, its members exist for nobody here.
    ///
    /// # Errors
    /// If there is none.
    pub fn end_federation(&mut self, instance: &str) -> Result<(), Refusal> {
        let removed = self.federated.remove(instance);
        removed.map(drop).ok_or_else(|| Refusal::unknown("federated instance", instance))
    }
}
