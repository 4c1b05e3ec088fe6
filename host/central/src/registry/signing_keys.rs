use std::time::Duration;

use jiff::Timestamp;
use uuk_pki::{Der, Sha256};

use super::{Refusal, Registry, SigningKeyRecord};

impl Registry {
    /// Tells members of a key that will sign the configuration later.
    ///
    /// # Errors
    /// If it is announced already.
    pub fn announce_key(&mut self, certificate: Der, now: Timestamp) -> Result<(), Refusal> {
        let key = SigningKeyRecord { certificate, announced_at: now, active: false };
        if self.signing_keys.contains_key(&key.id()) {
            return Err(Refusal::already("signing key", key.id()));
        }
        self.signing_keys.insert(key.id(), key);
        Ok(())
    }

    /// Has a key sign the configuration from now on. `lifetime` is how long a configuration counts: who has one that
    /// counts has heard of the key if it was announced longer ago, and no one is left behind.
    ///
    /// # Errors
    /// If the key is not there, or was announced only now.
    pub fn activate_key(&mut self, id: &Sha256, lifetime: Duration, now: Timestamp) -> Result<(), Refusal> {
        let key = self.signing_keys.get(id).ok_or_else(|| Refusal::unknown("signing key", id))?;
        let known_at = key.announced_at.saturating_add(lifetime).unwrap_or(Timestamp::MAX);
        if !key.active && now < known_at {
            return Err(Refusal::SigningKeyNew { key: *id, known_at });
        }
        for (other, key) in &mut self.signing_keys {
            key.active = other == id;
        }
        Ok(())
    }

    /// Forgets a key that no longer signs, or never did.
    ///
    /// # Errors
    /// If it is not there, or signs.
    pub fn remove_key(&mut self, id: &Sha256) -> Result<(), Refusal> {
        match self.signing_keys.get(id) {
            None => Err(Refusal::unknown("signing key", id)),
            Some(key) if key.active => Err(Refusal::SigningKeyActive { key: *id }),
            Some(_) => {
                self.signing_keys.remove(id);
                Ok(())
            }
        }
    }

    /// The key that signs.
    pub(crate) fn active_key(&self) -> Option<&SigningKeyRecord> {
        self.signing_keys.values().find(|key| key.active)
    }
}
