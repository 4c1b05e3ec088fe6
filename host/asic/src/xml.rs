//! Reading XML from strangers: bounded, without document types, and with nothing that canonicalisation drops.

use std::collections::HashSet;

use uppsala::{Document, NodeId, NodeKind};
use uuk_pki::{Digest, DigestAlgorithm};

use crate::entry_name::quote;
use crate::verify::{DS, VerifyError};

/// Signatures with OCSP answers and time-stamps take some 20 KiB; each covered part adds half a KiB.
const DOCUMENT_BYTES_MAX: usize = 2 << 20;
/// XAdES nests about ten levels.
const DEPTH_MAX: u32 = 32;

/// Parses a document, refusing what a signature document never needs.
///
/// Comments, processing instructions and CDATA are refused because canonicalisation drops or rewrites them: with
/// them, what was signed and what is read could differ.
pub(crate) fn parse(bytes: &[u8]) -> Result<Document<'_>, VerifyError> {
    if bytes.len() > DOCUMENT_BYTES_MAX {
        return Err(VerifyError::TooLarge { bytes_max: DOCUMENT_BYTES_MAX });
    }
    let text = std::str::from_utf8(bytes).map_err(|_| VerifyError::NotUtf8)?;
    if text.contains("<!DOCTYPE") {
        return Err(VerifyError::DocumentType);
    }
    let document = uppsala::Parser::new()
        .with_max_depth(DEPTH_MAX)
        .with_forbid_dtd(true)
        .parse(text)
        .map_err(|error| malformed(&error))?;
    let encoding = document.xml_declaration.as_ref().and_then(|declaration| declaration.encoding.as_deref());
    if encoding.is_some_and(|encoding| !encoding.eq_ignore_ascii_case("utf-8")) {
        return Err(VerifyError::NotUtf8);
    }
    check_nodes(&document)?;
    Ok(document)
}

fn malformed(error: &uppsala::XmlError) -> VerifyError {
    let text = error.to_string();
    if text.contains("depth") {
        return VerifyError::TooDeep { depth_max: DEPTH_MAX };
    }
    VerifyError::Malformed { reason: quote(text.as_bytes()) }
}

fn check_nodes(document: &Document<'_>) -> Result<(), VerifyError> {
    let mut ids = HashSet::new();
    for node in document.descendants(document.root()) {
        match document.node_kind(node) {
            Some(NodeKind::Comment(_) | NodeKind::ProcessingInstruction(_) | NodeKind::CData(_)) => {
                return Err(VerifyError::UnexpectedNode { line: document.node_line(node) });
            }
            Some(NodeKind::Element(element)) => {
                // Whatever any processor might take for an identifier: `Id`, `ID`, `id`, `xml:id`.
                let identifiers = element
                    .attributes
                    .iter()
                    .filter(|attribute| attribute.name.local_name.eq_ignore_ascii_case("id"));
                for identifier in identifiers {
                    if !ids.insert(&*identifier.value) {
                        return Err(VerifyError::DuplicateId { id: quote(identifier.value.as_bytes()) });
                    }
                }
            }
            _ => {}
        }
    }
    Ok(())
}

/// An element, to be read strictly: what is asked for must be there exactly once.
#[derive(Clone, Copy)]
pub(crate) struct Element<'d> {
    pub(crate) document: &'d Document<'d>,
    pub(crate) node: NodeId,
}

impl<'d> Element<'d> {
    pub(crate) fn root(document: &'d Document<'d>) -> Result<Self, VerifyError> {
        let node = document.document_element().ok_or(VerifyError::NoSignature)?;
        Ok(Self { document, node })
    }

    pub(crate) fn is(&self, namespace: &str, name: &str) -> bool {
        self.document.element(self.node).is_some_and(|element| element.matches_name_ns(namespace, name))
    }

    /// The elements right below.
    pub(crate) fn children(&self) -> impl Iterator<Item = Element<'d>> + use<'d> {
        let document = self.document;
        document
            .children_iter(self.node)
            .filter(|node| document.element(*node).is_some())
            .map(move |node| Element { document, node })
    }

    /// The elements right below with this name.
    pub(crate) fn children_named(
        &self,
        namespace: &'static str,
        name: &'static str,
    ) -> impl Iterator<Item = Element<'d>> + use<'d> {
        self.children().filter(move |child| child.is(namespace, name))
    }

    /// The one element right below with this name.
    pub(crate) fn child(
        &self,
        namespace: &'static str,
        name: &'static str,
    ) -> Result<Element<'d>, VerifyError> {
        let mut found = self.children_named(namespace, name);
        match (found.next(), found.next()) {
            (Some(child), None) => Ok(child),
            _ => Err(VerifyError::Structure { element: name }),
        }
    }

    /// The attribute without namespace called `name`.
    pub(crate) fn attribute(&self, name: &str) -> Option<&'d str> {
        let element = self.document.element(self.node)?;
        element.attributes.iter().find(|attribute| attribute.name.matches(None, name)).map(|a| &*a.value)
    }

    /// The attribute `Algorithm` of the one element right below called `name`, which has no parameters.
    pub(crate) fn algorithm(
        &self,
        namespace: &'static str,
        name: &'static str,
    ) -> Result<&'d str, VerifyError> {
        let method = self.child(namespace, name)?;
        if method.children().next().is_some() {
            return Err(VerifyError::Structure { element: name });
        }
        method.attribute("Algorithm").ok_or(VerifyError::Structure { element: name })
    }

    /// The text of an element that has nothing but text.
    pub(crate) fn text(&self) -> Result<String, VerifyError> {
        if self.children().next().is_some() {
            return Err(VerifyError::Structure { element: "text" });
        }
        Ok(self.document.text_content_deep(self.node))
    }

    /// The digest in `DigestMethod` and `DigestValue` right below.
    pub(crate) fn digest(&self) -> Result<Digest, VerifyError> {
        let method = self.algorithm(DS, "DigestMethod")?;
        let algorithm = DigestAlgorithm::from_uri(method)
            .ok_or_else(|| VerifyError::AlgorithmNotAccepted { uri: quote(method.as_bytes()) })?;
        self.digest_value(algorithm)
    }

    /// The digest in `DigestValue` right below, which `algorithm` made.
    pub(crate) fn digest_value(&self, algorithm: DigestAlgorithm) -> Result<Digest, VerifyError> {
        Digest::new(algorithm, self.child(DS, "DigestValue")?.base64()?)
            .ok_or(VerifyError::Structure { element: "DigestValue" })
    }

    /// The decoded base64 text.
    pub(crate) fn base64(&self) -> Result<Vec<u8>, VerifyError> {
        use base64::Engine;
        let mut text = self.text()?;
        text.retain(|character| !matches!(character, ' ' | '\t' | '\r' | '\n'));
        base64::engine::general_purpose::STANDARD.decode(text).map_err(|_| VerifyError::Base64)
    }
}
