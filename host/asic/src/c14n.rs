//! Canonical XML of one element, as digests and signatures are made over it.

use bergshamra_c14n::{C14nMode, canonicalize_doc};
use bergshamra_xml::NodeSet;

use crate::entry_name::quote;
use crate::verify::VerifyError;
use crate::xml::Element;

/// The name of inclusive canonicalisation, without comments.
pub(crate) const C14N: &str = "http://www.w3.org/TR/2001/REC-xml-c14n-20010315";
/// The name of exclusive canonicalisation, without comments.
const EXCLUSIVE_C14N: &str = "http://www.w3.org/2001/10/xml-exc-c14n#";

/// The canonicalisations accepted, both without comments.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Canonicalization {
    /// Canonical XML 1.0, with the namespaces in scope.
    Inclusive,
    /// Exclusive Canonical XML 1.0, with the namespaces in use.
    Exclusive,
}

impl Canonicalization {
    pub(crate) fn from_uri(uri: &str) -> Result<Self, VerifyError> {
        match uri {
            C14N => Ok(Self::Inclusive),
            EXCLUSIVE_C14N => Ok(Self::Exclusive),
            _ => Err(VerifyError::AlgorithmNotAccepted { uri: quote(uri.as_bytes()) }),
        }
    }
}

/// The canonical form of `element` with all it contains, as a document subset.
///
/// # Source
/// <https://www.w3.org/TR/2001/REC-xml-c14n-20010315>, <https://www.w3.org/TR/xml-exc-c14n/>
pub(crate) fn canonicalize(element: Element<'_>, method: Canonicalization) -> Result<Vec<u8>, VerifyError> {
    let mode = match method {
        Canonicalization::Inclusive => C14nMode::Inclusive,
        Canonicalization::Exclusive => C14nMode::Exclusive,
    };
    let subset = NodeSet::tree_without_comments(element.node, element.document);
    canonicalize_doc::<&str>(element.document, mode, Some(&subset), &[])
        .map_err(|error| VerifyError::Malformed { reason: quote(error.to_string().as_bytes()) })
}
