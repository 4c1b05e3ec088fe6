//! Hash chains: one signature or one time-stamp for many documents.
//!
//! A step is a list of digests; its value is their digest. Steps refer to steps, so that one *result* stands for a tree
//! whose leaves are parts of messages. Everyone gets the result and the steps from there to their own parts; what
//! others sent appears as bare digests only.
//!
//! Two documents travel: the result, which is what gets signed or stamped, and the chain.

mod build;
mod document;
mod written;

use std::collections::HashSet;

use uuk_pki::{Digest, DigestAlgorithm};

pub use build::{ChainNames, HashChains};
use document::{ChainDocument, ResultDocument, Value};

use crate::entry_name::quote;
use crate::verify::VerifyError;

/// A tree over as many messages as there can be is not deeper.
const DEPTH_MAX: usize = 64;

/// A part of a message that a signature covers, itself or through a hash chain.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct CoveredPart {
    /// As signature or chain has it: `/message.xml`, `/attachment1`.
    pub uri: String,
    /// Its digest, which was signed.
    pub digest: Digest,
    /// Whether the part was at hand, so that it is known to have that digest.
    pub seen: bool,
}

/// Why a hash chain does not prove what it should.
#[derive(Debug, thiserror::Error, strum::IntoStaticStr)]
#[strum(serialize_all = "snake_case", prefix = "hash_chain.")]
#[non_exhaustive]
pub enum HashChainError {
    /// The result or the chain is not of the form it should have.
    #[error("the hash chain document `{uri}` cannot be read")]
    Malformed {
        /// Which, escaped and shortened.
        uri: String,
        /// What is wrong with it.
        #[source]
        source: VerifyError,
    },
    /// A step is referred to that no document has.
    #[error("the hash chain refers to the step `{uri}`, which is not there")]
    MissingStep {
        /// Its URI, escaped and shortened.
        uri: String,
    },
    /// A step is used twice: a cycle, or a tree that unfolds without end.
    #[error("the hash chain refers to the step `{uri}` more than once")]
    RepeatedStep {
        /// Its URI, escaped and shortened.
        uri: String,
    },
    /// More steps below one another than any tree needs.
    #[error("the hash chain is more than {DEPTH_MAX} steps deep")]
    TooDeep,
    /// A part has another digest than the chain says.
    #[error("`{uri}` is not what the hash chain was made over")]
    PartModified {
        /// Its URI, escaped and shortened.
        uri: String,
    },
    /// The steps do not add up to the result.
    #[error("the hash chain does not lead to its result")]
    WrongResult,
    /// A part that should be covered is not.
    #[error("the hash chain does not cover `{uri}`")]
    PartNotCovered {
        /// Its URI, escaped and shortened.
        uri: String,
    },
}

impl HashChainError {
    /// The stable code of the reason.
    pub fn code(&self) -> &'static str {
        self.into()
    }

    /// The code that X-Road 7.8 has for it, without the prefix of the document the chain belongs to.
    pub fn xroad_code(&self) -> &'static str {
        match self {
            Self::Malformed { .. } | Self::MissingStep { .. } | Self::RepeatedStep { .. } | Self::TooDeep => {
                "malformed_hash_chain"
            }
            Self::PartModified { .. } => "invalid_hash_chain_ref",
            Self::WrongResult => "invalid_hash_chain",
            Self::PartNotCovered { .. } => "hashchain_unused_inputs",
        }
    }
}

/// Verifies that `result` stands for the parts named `required`, and returns all parts it stands for.
///
/// `chains` are the chain documents by their URIs. `part_digest` gives the digest of a part that is at hand; the
/// required ones must be. Of other parts the chain's own word is taken, and [`CoveredPart::seen`] says so.
///
/// Parts with transforms are refused, although X-Road would follow them: the digest of something derived from a
/// message does not cover the message.
///
/// # Errors
/// As the variants of [`HashChainError`] say.
pub fn verify_hash_chain(
    result: &[u8],
    chains: &[(&str, &[u8])],
    required: &[&str],
    part_digest: impl Fn(&str, DigestAlgorithm) -> Option<Digest>,
) -> Result<Vec<CoveredPart>, HashChainError> {
    let result = ResultDocument::read(result)
        .map_err(|source| HashChainError::Malformed { uri: "hash chain result".to_owned(), source })?;
    let chains = chains
        .iter()
        .map(|(uri, bytes)| match ChainDocument::read(bytes) {
            Ok(chain) => Ok((*uri, chain)),
            Err(source) => Err(HashChainError::Malformed { uri: quote(uri.as_bytes()), source }),
        })
        .collect::<Result<Vec<_>, _>>()?;

    let mut walk =
        Walk { chains: &chains, part_digest: &part_digest, used: HashSet::new(), parts: Vec::new() };
    if walk.step(&result.uri, "", result.digest.algorithm(), 0)? != result.digest {
        return Err(HashChainError::WrongResult);
    }
    let parts = walk.parts;
    match required.iter().find(|uri| !parts.iter().any(|part| part.seen && part.uri == **uri)) {
        Some(uri) => Err(HashChainError::PartNotCovered { uri: quote(uri.as_bytes()) }),
        None => Ok(parts),
    }
}

/// The way down from the result.
struct Walk<'c, F> {
    chains: &'c [(&'c str, ChainDocument)],
    part_digest: &'c F,
    /// Steps met so far, by document and identifier.
    used: HashSet<(&'c str, &'c str)>,
    parts: Vec<CoveredPart>,
}

impl<'c, F: Fn(&str, DigestAlgorithm) -> Option<Digest>> Walk<'c, F> {
    /// The value of the step that `uri` means in the document `here`.
    fn step(
        &mut self,
        uri: &str,
        here: &str,
        algorithm: DigestAlgorithm,
        depth: usize,
    ) -> Result<Digest, HashChainError> {
        if depth == DEPTH_MAX {
            return Err(HashChainError::TooDeep);
        }
        let missing = || HashChainError::MissingStep { uri: quote(uri.as_bytes()) };
        let (document, id) = uri.split_once('#').ok_or_else(missing)?;
        let document = if document.is_empty() { here } else { document };
        let chains = self.chains;
        let (document, chain) = chains.iter().find(|(uri, _)| *uri == document).ok_or_else(missing)?;
        let (id, values) = chain.steps.iter().find(|(known, _)| known == id).ok_or_else(missing)?;
        if !self.used.insert((document, id)) {
            return Err(HashChainError::RepeatedStep { uri: quote(uri.as_bytes()) });
        }

        let digests = values
            .iter()
            .map(|value| match value {
                Value::Digest(digest) => Ok(digest.clone()),
                Value::Part { uri, digest } => self.part(uri, digest),
                Value::Step { uri, algorithm } => self.step(uri, document, *algorithm, depth + 1),
            })
            .collect::<Result<Vec<_>, _>>()?;
        Ok(step_value(algorithm, &digests))
    }

    fn part(&mut self, uri: &str, digest: &Digest) -> Result<Digest, HashChainError> {
        let at_hand = (self.part_digest)(uri, digest.algorithm());
        if at_hand.as_ref().is_some_and(|at_hand| at_hand != digest) {
            return Err(HashChainError::PartModified { uri: quote(uri.as_bytes()) });
        }
        self.parts.push(CoveredPart { uri: uri.to_owned(), digest: digest.clone(), seen: at_hand.is_some() });
        Ok(digest.clone())
    }
}

/// The digest over a list of digests: of the DER `SEQUENCE OF SEQUENCE { digest OCTET STRING, method UTF8String,
/// transforms SEQUENCE OF … }`, the transforms always none.
fn step_value<'d>(algorithm: DigestAlgorithm, digests: impl IntoIterator<Item = &'d Digest>) -> Digest {
    const SEQUENCE: u8 = 0x30;
    const OCTET_STRING: u8 = 0x04;
    const UTF8_STRING: u8 = 0x0c;
    let items: Vec<u8> = digests
        .into_iter()
        .flat_map(|digest| {
            let digest_value = der(OCTET_STRING, digest.as_bytes());
            let method = der(UTF8_STRING, digest.algorithm().uri().as_bytes());
            der(SEQUENCE, &[digest_value, method, der(SEQUENCE, &[])].concat())
        })
        .collect();
    algorithm.digest(&der(SEQUENCE, &items))
}

/// One DER value. The content is a document's at most, so that its length fits four bytes.
fn der(tag: u8, content: &[u8]) -> Vec<u8> {
    let length = u32::try_from(content.len()).unwrap_or(u32::MAX).to_be_bytes();
    let significant: Vec<u8> = length.into_iter().skip_while(|byte| *byte == 0).collect();
    let mut value = vec![tag];
    match significant.as_slice() {
        [] => value.push(0),
        [short] if *short < 0x80 => value.push(*short),
        long => {
            value.push(0x80 | long.len() as u8);
            value.extend(long);
        }
    }
    value.extend(content);
    value
}

#[cfg(test)]
mod tests;
