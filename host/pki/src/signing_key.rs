//! A key that signs, wherever it lives.

use crate::digest::Digest;
use crate::public_key::SignatureScheme;

/// A private key in software or in a token.
///
/// It signs digests, not messages, because tokens do: `CKM_RSA_PKCS` takes a DigestInfo and `CKM_ECDSA` a digest,
/// and a message never has to travel to the device. Its certificate is kept apart, since one key may have several.
pub trait SigningKey: Send + Sync {
    /// The scheme of every signature of this key.
    fn scheme(&self) -> SignatureScheme;

    /// Signs `digest`; the signature has the form that [`SignatureScheme`] states.
    ///
    /// # Errors
    /// [`KeyError::Signing`] if the key or its device refused.
    fn sign_digest(&self, digest: &Digest) -> Result<Vec<u8>, KeyError>;

    /// Whether the key is in this process's memory: it cannot be exchanged behind its certificate's back, nor fail
    /// without a word, as a device can.
    fn is_in_memory(&self) -> bool {
        false
    }
}

/// Why a key could not be read or used.
#[derive(Debug, thiserror::Error, strum::IntoStaticStr)]
#[strum(serialize_all = "snake_case", prefix = "key.")]
#[non_exhaustive]
pub enum KeyError {
    /// Neither PEM nor PKCS#12.
    #[error("the key file is neither an encrypted PKCS#8 key in PEM nor PKCS#12")]
    UnknownFormat,
    /// More bytes than any key file has.
    #[error("the key file is larger than {bytes_max} bytes")]
    TooLarge {
        /// The limit.
        bytes_max: usize,
    },
    /// A private key without password.
    #[error("the private key is not encrypted")]
    NotEncrypted,
    /// Decryption or its integrity check failed.
    #[error("the password does not open the key file, or the file is damaged or of a kind not supported")]
    Locked,
    /// Not exactly one private key in the file.
    #[error("the key file holds no private key with a certificate")]
    NoKey,
    /// Not RSA or P-256, or RSA shorter than 2048 bits.
    #[error("the key is neither RSA of 2048 to 8192 bits nor ECDSA on P-256")]
    Unsupported,
    /// The device or library refused to sign.
    #[error("the key could not sign")]
    Signing,
}

impl KeyError {
    /// The stable code of the reason.
    pub fn code(&self) -> &'static str {
        self.into()
    }
}
