//! Making hash chains for messages that are signed or stamped together.

use base64::Engine;
use base64::engine::general_purpose::STANDARD as BASE64;
use uuk_pki::{Digest, DigestAlgorithm};

use super::document::HASH_CHAIN;
use super::step_value;
use crate::message_signature::ChainDocuments;
use crate::verify::DS;

/// X-Road hashes parts with SHA-512, and chains that declare anything else are not verified by its servers.
pub(super) const ALGORITHM: DigestAlgorithm = DigestAlgorithm::Sha512;

/// What the documents of a hash chain call each other and the parts.
#[derive(Debug, Clone, Copy)]
pub struct ChainNames {
    /// URI of the chain document, to which the result refers.
    pub chain: &'static str,
    /// URI of the first part of each message. The others are `/attachment1` and so on.
    pub first_part: &'static str,
}

impl ChainNames {
    /// Under a signature of messages.
    pub const SIGNATURE: Self = Self { chain: "/sig-hashchain.xml", first_part: "/message.xml" };
    /// Under a time-stamp of signatures.
    pub const TIMESTAMP: Self = Self { chain: "/ts-hashchain.xml", first_part: "/META-INF/signatures.xml" };
}

/// The result for all messages and each message's way to it. The documents are, to the byte, those of X-Road's servers.
#[derive(Debug)]
pub struct HashChains {
    names: ChainNames,
    /// The digests of each one's parts.
    messages: Vec<Vec<Digest>>,
    tree: Tree,
    result: Vec<u8>,
}

impl HashChains {
    /// Chains `messages`, each a list of its parts' SHA-512 digests, in a binary tree. `None` if there is none, or one
    /// is without parts.
    pub fn new(names: ChainNames, messages: Vec<Vec<Digest>>) -> Option<Self> {
        let leaves = messages.iter().map(|parts| match parts.as_slice() {
            [] => None,
            [only] if messages.len() > 1 => Some(only.clone()),
            parts => Some(step_value(ALGORITHM, parts)),
        });
        let tree = Tree::new(leaves.collect::<Option<_>>()?)?;
        let result = write_result(names, &tree.root);
        Some(Self { names, messages, tree, result })
    }

    /// The result document, to be signed or stamped.
    pub fn result(&self) -> &[u8] {
        &self.result
    }

    /// What goes with the message `index`, counted from zero.
    pub fn documents_of(&self, index: usize) -> Option<ChainDocuments> {
        let chain = write_chain(self.names, &self.tree.path(index), self.messages.get(index)?);
        Some(ChainDocuments { result: self.result.clone(), chain })
    }

    /// What goes with each message, in their order.
    pub fn documents(&self) -> impl Iterator<Item = ChainDocuments> {
        (0..self.messages.len()).filter_map(|index| self.documents_of(index))
    }
}

/// The values of a binary tree. What has no right neighbour moves up as it is.
#[derive(Debug)]
struct Tree {
    /// Below the root, the leaves first.
    levels: Vec<Vec<Digest>>,
    root: Digest,
}

/// The other half of a step on the way from the root to a leaf.
enum Sibling<'t> {
    Left(&'t Digest),
    Right(&'t Digest),
}

impl Tree {
    /// `None` without leaves.
    fn new(leaves: Vec<Digest>) -> Option<Self> {
        let mut levels = Vec::new();
        let mut level = leaves;
        while level.len() > 1 {
            let above = level.chunks(2).map(|pair| match pair {
                [alone] => alone.clone(),
                pair => step_value(ALGORITHM, pair),
            });
            let above = above.collect();
            levels.push(std::mem::replace(&mut level, above));
        }
        Some(Self { levels, root: level.pop()? })
    }

    /// The siblings beside the way from the root to the leaf `index`.
    fn path(&self, index: usize) -> Vec<Sibling<'_>> {
        let upwards = self.levels.iter().enumerate().filter_map(|(height, level)| {
            let here = index >> height;
            match here % 2 {
                0 => level.get(here + 1).map(Sibling::Right),
                _ => level.get(here - 1).map(Sibling::Left),
            }
        });
        let mut path: Vec<_> = upwards.collect();
        path.reverse();
        path
    }
}

/// What a chain document takes without its steps, and with each: its sibling's digest above all.
const CHAIN_BYTES: usize = 512;
const STEP_BYTES: usize = 256;

pub(super) const HEADER: &str = "<?xml version=\"1.0\" encoding=\"UTF-8\" standalone=\"yes\"?>\n";

fn write_result(names: ChainNames, root: &Digest) -> Vec<u8> {
    format!(
        "{HEADER}<ns2:HashChainResult URI=\"{chain}#STEP0\" xmlns=\"{DS}\" xmlns:ns2=\"{HASH_CHAIN}\">\n    \
         <DigestMethod Algorithm=\"{algorithm}\"/>\n    {value}\n</ns2:HashChainResult>\n",
        chain = names.chain,
        algorithm = ALGORITHM.uri(),
        value = digest_value(root),
    )
    .into_bytes()
}

fn write_chain(names: ChainNames, path: &[Sibling<'_>], parts: &[Digest]) -> Vec<u8> {
    let mut chain = String::with_capacity(CHAIN_BYTES + (path.len() + parts.len()) * STEP_BYTES);
    chain.push_str(&format!(
        "{HEADER}<ns2:HashChain xmlns=\"{DS}\" xmlns:ns2=\"{HASH_CHAIN}\">\n    \
         <ns2:DefaultDigestMethod Algorithm=\"{}\"/>\n",
        ALGORITHM.uri(),
    ));
    let mut steps = 0;
    let mut write_step = |values: &[&str]| {
        chain.push_str(&format!("    <ns2:HashStep id=\"STEP{steps}\">\n"));
        for value in values {
            chain.extend(["        ", value, "\n"]);
        }
        chain.push_str("    </ns2:HashStep>\n");
        steps += 1;
    };
    // A message of several parts ends in a step of its own, to which the one above refers.
    let parts: Vec<_> =
        parts.iter().enumerate().map(|(index, digest)| data_ref(names, index, digest)).collect();
    let parts: Vec<_> = parts.iter().map(String::as_str).collect();
    let own_step = parts.len() > 1 || path.is_empty();
    for (index, sibling) in path.iter().enumerate() {
        let next = format!("<ns2:StepRef URI=\"#STEP{}\"/>", index + 1);
        let below = match parts.as_slice() {
            [part] if index + 1 == path.len() => part,
            _ => next.as_str(),
        };
        match sibling {
            Sibling::Left(left) => write_step(&[&hash_value(left), below]),
            Sibling::Right(right) => write_step(&[below, &hash_value(right)]),
        }
    }
    if own_step {
        write_step(&parts);
    }
    chain.push_str("</ns2:HashChain>\n");
    chain.into_bytes()
}

fn hash_value(value: &Digest) -> String {
    format!("<ns2:HashValue>\n            {}\n        </ns2:HashValue>", digest_value(value))
}

fn data_ref(names: ChainNames, index: usize, digest: &Digest) -> String {
    let uri = match index {
        0 => names.first_part.to_owned(),
        index => format!("/attachment{index}"),
    };
    format!("<ns2:DataRef URI=\"{uri}\">\n            {}\n        </ns2:DataRef>", digest_value(digest))
}

fn digest_value(digest: &Digest) -> String {
    format!("<DigestValue>{}</DigestValue>", BASE64.encode(digest.as_bytes()))
}
