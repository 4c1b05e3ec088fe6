//! Reading the two documents of a hash chain.

use uuk_pki::{Digest, DigestAlgorithm};

use crate::entry_name::quote;
use crate::verify::{DS, VerifyError};
use crate::xml::{self, Element};

/// The namespace of both documents.
pub(super) const HASH_CHAIN: &str = "http://cyber.ee/hashchain";

/// `HashChainResult`: where the chain starts and the value it has there.
pub(super) struct ResultDocument {
    pub(super) uri: String,
    pub(super) digest: Digest,
}

/// `HashChain`: steps by their identifiers.
pub(super) struct ChainDocument {
    pub(super) steps: Vec<(String, Vec<Value>)>,
}

/// One value in a step.
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
