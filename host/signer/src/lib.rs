//! Tokens, the keys in them, the certificates in use, and the signatures of messages.
//!
//! A token is a folder of encrypted keys or a PKCS#11 device. [`Signer`] knows which certificates count now, keeps
//! their OCSP answers fresh, signs messages for members, and says what proves this server to its peers. Operators' work
//! on keys comes as [`Order`]s, over a socket of its own ([`Control`]), since the server alone writes its tokens.
//!
//! It does not know what messages mean, who may send them, or how TLS is spoken. Start with [`Signer`].

#![warn(missing_docs)]

mod batch;
mod config;
mod control;
mod device;
mod device_key;
mod error;
mod identity;
mod inspection;
mod ocsp;
mod order;
mod pin;
mod pkcs11;
mod refused_pin;
#[cfg(test)]
mod sample;
mod signer;
mod software;
mod token;

pub use config::{Pkcs11Config, SignerConfig, TokenConfig};
pub use control::{Control, ControlError};
pub use device_key::open_device_key;
pub use error::{OrderError, SignerError, TokenError, Unusable};
pub use identity::AuthenticationIdentity;
pub use inspection::inspect;
pub use order::{CertificateSummary, KeySummary, Order, Outcome, Problem, TokenSummary};
pub use pin::{MalformedPin, Pin};
pub use signer::{Proof, Signer, SignerDependencies};
pub use token::{CertificateStatus, KeyAlgorithm, KeyId, MalformedKeyId};
