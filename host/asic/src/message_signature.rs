//! Signatures of messages, as security servers exchange and keep them.
//!
//! A message is `/message.xml` and its attachments. Its signature is one XAdES document, which refers to the message
//! itself if it is alone, or to the result of a hash chain if there are attachments or other messages beside it.

use bytes::Bytes;
use jiff::Timestamp;

use crate::verify::{SignatureDocument, VerifyError};

mod sign;
mod verify;

pub use sign::{MessageSigner, PendingSignature};
pub(crate) use verify::{AbsentAttachments, MessageSignature};
pub use verify::{
    KnownSignatures, MessagePart, MessageSignatureError, PartContent, VerifiedMessage, check_signer,
    verify_message, verify_message_by,
};

/// The URI of a message.
pub(crate) const MESSAGE: &str = "/message.xml";
/// The URI of the result of the hash chain under a signature.
pub(crate) const RESULT: &str = "/sig-hashchainresult.xml";

/// The documents that make up a message's signature.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct SignatureDocuments {
    /// The XAdES signature, UTF-8 XML; messages that were signed together share it.
    pub signatures: Bytes,
    /// The hash chain from what is signed to this message.
    pub hash_chain: Option<ChainDocuments>,
}

impl SignatureDocuments {
    /// When the signature says that it was made. Whether it holds is not said.
    ///
    /// # Errors
    /// [`VerifyError`] if the document is not a signature.
    pub fn claimed_time(&self) -> Result<Timestamp, VerifyError> {
        Ok(SignatureDocument::parse(&self.signatures)?.claimed_time)
    }
}

/// The two documents of a hash chain.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ChainDocuments {
    /// `HashChainResult`, which is signed or stamped.
    pub result: Vec<u8>,
    /// `HashChain`, the steps to one message.
    pub chain: Vec<u8>,
}

#[cfg(test)]
mod tests;
