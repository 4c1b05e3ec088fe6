use std::sync::Arc;

use uuk_pki::{PublicKey, SigningKey};
use uuk_process::Secret;

use crate::error::TokenError;
use crate::pin::Pin;
use crate::token::{KeyAlgorithm, KeyId, KeyRecord};

/// Where private keys live: files, or a PKCS#11 device. Everything here may block.
pub(crate) trait Device: Send + Sync {
    /// Opens the token for the keys known of it. A new token takes the PIN it is first opened with.
    fn open(&self, pin: &Pin, keys: &[KeyRecord]) -> Result<(), TokenError>;

    /// Forgets the PIN and, where they are in memory, the keys.
    fn close(&self);

    fn is_open(&self) -> bool;

    /// Whether the token can be reached, and is not blocked as far as it tells.
    fn check(&self) -> Result<(), TokenError> {
        Ok(())
    }

    /// Whether one more wrong PIN blocks the token, as far as it tells.
    fn is_at_last_try(&self) -> bool {
        false
    }

    /// Makes a key that the device knows as `id`.
    fn generate(&self, id: &KeyId, algorithm: KeyAlgorithm) -> Result<PublicKey, TokenError>;

    /// A key that signs, whenever the device is there.
    fn key(&self, key: &KeyRecord) -> Result<Arc<dyn SigningKey>, TokenError>;

    /// The private key itself, PKCS#8 DER; `None` where it cannot leave the device.
    fn private_key(&self, id: &KeyId) -> Option<Secret<Vec<u8>>>;

    /// Destroys a key; one that is gone already is no error.
    fn destroy(&self, id: &KeyId) -> Result<(), TokenError>;
}
