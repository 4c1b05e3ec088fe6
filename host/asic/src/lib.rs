//! Signed containers (ASiC-E with XAdES): making, reading, verifying.
//!
//! A container is a zip file read so strictly that every tool sees the same entries in it, and a XAdES signature
//! over some of them. Pure: bytes and the time come in as arguments. It does not know what the entries mean, nor
//! whom to trust: [`verify()`] proves which certificate's key signed what, and `uuk-pki` decides about the certificate.
//!
//! Start with [`Container`] and [`Profile`], then [`sign`] and [`verify()`]; those are all that bundles need.
//!
//! Messages add hash chains, by which one signature or time-stamp stands for many ([`HashChains`],
//! [`verify_hash_chain`]). A message is signed through [`PendingSignature`] and verified by [`verify_message`]; its
//! evidence is stamped through [`PendingTimeStamp`], kept in a [`MessageContainer`], listed in the [`LinkingInfo`] of an
//! [`Archive`], and, years later, judged by [`examine`].

#![warn(missing_docs)]

mod archive;
mod c14n;
mod container;
mod entry_name;
mod evidence;
mod hash_chain;
mod linking_info;
mod manifest;
mod message_container;
mod message_signature;
mod reference_uri;
mod time_stamp;
mod verify;
mod xades;
mod xml;

pub use archive::{ARCHIVE_BYTES_MAX, Archive, ArchiveWriter};
pub use container::{Container, ContainerError, Entry, Limits, MIMETYPE, Mimetype, Profile, Required};
pub use entry_name::EntryName;
pub use evidence::{Check, Evidence, EvidenceError, Examination, Outcome, STAMPED_WITHIN, Step, examine};
pub use hash_chain::{ChainNames, CoveredPart, HashChainError, HashChains, verify_hash_chain};
pub use linking_info::{
    ArchiveError, ContainedMessage, LINKING_INFO, LinkedEntry, LinkingInfo, PreviousArchive,
    archive_file_name, container_file_name,
};
pub use manifest::opendocument_manifest;
pub use message_container::MessageContainer;
pub use message_signature::{
    ChainDocuments, KnownSignatures, MessagePart, MessageSignatureError, MessageSigner, PartContent,
    PendingSignature, SignatureDocuments, VerifiedMessage, check_signer, verify_message, verify_message_by,
};
pub use time_stamp::{DetachedTimeStamp, PendingTimeStamp, Stamped};
pub use verify::{SignatureTimeStamp, SignedPart, VerifiedSignature, VerifyError, verify};
pub use xades::{PartReference, SignError, Signer, sign};
