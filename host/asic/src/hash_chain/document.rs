//! Reading the two documents of a hash chain.

use uuk_pki::{Digest, DigestAlgorithm};

use super::written;
use crate::entry_name::quote;
use crate::verify::{DS, VerifyError};
use crate::xml::{self, Element};

/// The namespace of both documents.
pub(super) const HASH_CHAIN: &str = "http://cyber.ee/hashchain";

/// `HashChainResult`: where the chain starts and the value it has there.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct ResultDocument {
    pub(super) uri: String,
    pub(super) digest: Digest,
}

/// `HashChain`: steps by their identifiers.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct ChainDocument {
    pub(super) steps: Vec<(String, Vec<Value>)>,
}

/// One value in a step.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum Value {
    /// `HashValue`: of someone else's branch.
    Digest(Digest),
    /// `StepRef`: the value of another step.
    Step { uri: String, algorithm: DigestAlgorithm },
    /// `DataRef`: of a part.
    Part { uri: String, digest: Digest },
}

impl ResultDocument {
    pub(super) fn read(bytes: &[u8]) -> Result<Self, VerifyError> {
        written::result(bytes).map_or_else(|| Self::read_xml(bytes), Ok)
    }

    fn read_xml(bytes: &[u8]) -> Result<Self, VerifyError> {
        let document = xml::parse(bytes)?;
        let root = Element::root(&document)?;
        if !root.is(HASH_CHAIN, "HashChainResult") {
            return Err(VerifyError::Structure { element: "HashChainResult" });
        }
        Ok(Self { uri: read_uri(root)?, digest: root.digest()? })
    }
}

impl ChainDocument {
    pub(super) fn read(bytes: &[u8]) -> Result<Self, VerifyError> {
        written::chain(bytes).map_or_else(|| Self::read_xml(bytes), Ok)
    }

    fn read_xml(bytes: &[u8]) -> Result<Self, VerifyError> {
        let document = xml::parse(bytes)?;
        let root = Element::root(&document)?;
        if !root.is(HASH_CHAIN, "HashChain") {
            return Err(VerifyError::Structure { element: "HashChain" });
        }
        let default = match root.children_named(HASH_CHAIN, "DefaultDigestMethod").next() {
            Some(_) => Some(digest_algorithm(root.algorithm(HASH_CHAIN, "DefaultDigestMethod")?)?),
            None => None,
        };
        let steps = root
            .children_named(HASH_CHAIN, "HashStep")
            .map(|step| {
                let id = step.attribute("id").unwrap_or_default().to_owned();
                let values = step.children().map(|value| Value::read(value, default));
                Ok((id, values.collect::<Result<_, _>>()?))
            })
            .collect::<Result<_, VerifyError>>()?;
        Ok(Self { steps })
    }
}

impl Value {
    fn read(element: Element<'_>, default: Option<DigestAlgorithm>) -> Result<Self, VerifyError> {
        let known = |child: Element<'_>| child.is(DS, "DigestMethod") || child.is(DS, "DigestValue");
        if element.children_named(DS, "Transforms").next().is_some() {
            let uri = element.attribute("URI").unwrap_or_default();
            return Err(VerifyError::TransformedPart { uri: quote(uri.as_bytes()) });
        }
        if !element.children().all(known) {
            return Err(VerifyError::Structure { element: "HashStep" });
        }
        let algorithm = match element.children_named(DS, "DigestMethod").next() {
            Some(_) => digest_algorithm(element.algorithm(DS, "DigestMethod")?)?,
            None => default.ok_or(VerifyError::Structure { element: "DefaultDigestMethod" })?,
        };
        let digest = || element.digest_value(algorithm);
        if element.is(HASH_CHAIN, "HashValue") {
            Ok(Self::Digest(digest()?))
        } else if element.is(HASH_CHAIN, "DataRef") {
            Ok(Self::Part { uri: read_uri(element)?, digest: digest()? })
        } else if element.is(HASH_CHAIN, "StepRef") {
            Ok(Self::Step { uri: read_uri(element)?, algorithm })
        } else {
            Err(VerifyError::Structure { element: "HashStep" })
        }
    }
}

fn read_uri(element: Element<'_>) -> Result<String, VerifyError> {
    element.attribute("URI").map(str::to_owned).ok_or(VerifyError::Structure { element: "URI" })
}

fn digest_algorithm(uri: &str) -> Result<DigestAlgorithm, VerifyError> {
    DigestAlgorithm::from_uri(uri)
        .ok_or_else(|| VerifyError::AlgorithmNotAccepted { uri: quote(uri.as_bytes()) })
}

#[cfg(test)]
mod tests {
    use uuk_testkit::fixtures;

    use super::*;
    use crate::hash_chain::{ChainNames, HashChains};
    use crate::{Container, Profile};

    /// Each way to spoil a document in one place.
    fn spoiled(sound: &[u8]) -> impl Iterator<Item = Vec<u8>> {
        (0..sound.len()).flat_map(|at| {
            let (before, rest) = sound.split_at(at);
            let after = &rest[1..];
            let other: &[&[u8]] =
                &[b"", b" ", b"A", b"0", b"=", b"&", b"<", b"\"", b"\n", b"\x80", b"#", b"/"];
            other.iter().map(|other| [before, other, after].concat()).collect::<Vec<_>>()
        })
    }

    #[test]
    fn what_is_read_without_a_tree_is_read_with_one_alike() {
        let digest = |content: &[u8]| DigestAlgorithm::Sha512.digest(content);
        let messages = [vec![digest(b"0")], vec![digest(b"1"), digest(b"2")], vec![digest(b"3")]];
        for count in 1..=messages.len() {
            let chains = HashChains::new(ChainNames::SIGNATURE, messages[..count].to_vec()).unwrap();
            for documents in chains.documents() {
                assert!(written::result(&documents.result).is_some(), "the usual one is read so");
                assert!(written::chain(&documents.chain).is_some(), "the usual one is read so");
                for result in spoiled(&documents.result).chain([documents.result.clone()]) {
                    if let Some(read) = written::result(&result) {
                        let xml = ResultDocument::read_xml(&result);
                        assert_eq!(xml.unwrap(), read, "{}", String::from_utf8_lossy(&result));
                    }
                }
                for chain in spoiled(&documents.chain).chain([documents.chain.clone()]) {
                    if let Some(read) = written::chain(&chain) {
                        let xml = ChainDocument::read_xml(&chain);
                        assert_eq!(xml.unwrap(), read, "{}", String::from_utf8_lossy(&chain));
                    }
                }
            }
        }
    }

    #[test]
    fn documents_of_xroads_servers_are_read_without_a_tree() {
        let Some(folder) = fixtures::folder() else { return };
        let folder = folder.join("xroad/asic/verifier");
        for (file, prefix) in [("valid-signed-hashchain.asice", "sig"), ("valid-batch-ts.asice", "ts")] {
            let bytes = std::fs::read(folder.join(file)).unwrap();
            let container = Container::read(&bytes, &Profile::message()).unwrap();
            let [result, chain] = ["result", ""]
                .map(|which| container.entry(&format!("{prefix}-hashchain{which}.xml")).unwrap());
            assert!(written::result(result).is_some(), "{file}");
            assert!(written::chain(chain).is_some(), "{file}");
        }
    }
}
