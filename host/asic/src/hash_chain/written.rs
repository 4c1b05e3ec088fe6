//! Reading hash chains that are, to the byte, of the form in which X-Road's servers and [`super::build`] write them.
//!
//! Nearly all are, and this takes a tenth of what a tree takes. What differs in any way is `None`, and left to the tree.

use base64::Engine;
use base64::engine::general_purpose::STANDARD as BASE64;
use uuk_pki::Digest;

use super::build::{ALGORITHM, HEADER};
use super::document::{ChainDocument, HASH_CHAIN, ResultDocument, Value};
use crate::verify::DS;

/// Far more than a chain to one message takes.
const BYTES_MAX: usize = 64 << 10;

pub(super) fn result(bytes: &[u8]) -> Option<ResultDocument> {
    let mut text = Text::new(bytes)?;
    text.skip("<ns2:HashChainResult URI=\"")?;
    let uri = text.uri()?;
    text.skip_namespaces()?;
    text.skip("    <DigestMethod Algorithm=\"")?;
    text.skip(ALGORITHM.uri())?;
    text.skip("\"/>\n    ")?;
    let digest = text.digest()?;
    text.skip("</ns2:HashChainResult>\n")?;
    text.0.is_empty().then(|| ResultDocument { uri: uri.to_owned(), digest })
}

pub(super) fn chain(bytes: &[u8]) -> Option<ChainDocument> {
    let mut text = Text::new(bytes)?;
    text.skip("<ns2:HashChain")?;
    text.skip_namespaces()?;
    text.skip("    <ns2:DefaultDigestMethod Algorithm=\"")?;
    text.skip(ALGORITHM.uri())?;
    text.skip("\"/>\n")?;
    let mut steps = Vec::new();
    while text.skip("    <ns2:HashStep id=\"").is_some() {
        // Numbered, so that no two have one identifier.
        let id = format!("STEP{}", steps.len());
        text.skip(&id)?;
        text.skip("\">\n")?;
        let mut values = Vec::new();
        while text.skip("        ").is_some() {
            values.push(text.value()?);
        }
        text.skip("    </ns2:HashStep>\n")?;
        steps.push((id, values));
    }
    text.skip("</ns2:HashChain>\n")?;
    text.0.is_empty().then_some(ChainDocument { steps })
}

/// What is still to be read.
struct Text<'t>(&'t str);

impl<'t> Text<'t> {
    /// What follows the XML declaration.
    fn new(bytes: &'t [u8]) -> Option<Self> {
        let text = std::str::from_utf8(bytes).ok().filter(|text| text.len() <= BYTES_MAX)?;
        text.strip_prefix(HEADER).map(Self)
    }

    fn skip(&mut self, expected: &str) -> Option<()> {
        self.0 = self.0.strip_prefix(expected)?;
        Some(())
    }

    fn skip_namespaces(&mut self) -> Option<()> {
        self.skip(" xmlns=\"")?;
        self.skip(DS)?;
        self.skip("\" xmlns:ns2=\"")?;
        self.skip(HASH_CHAIN)?;
        self.skip("\">\n")
    }

    /// Up to the end of an attribute, without anything that stands for something else there.
    fn uri(&mut self) -> Option<&'t str> {
        let (uri, rest) = self.0.split_once('"')?;
        self.0 = rest;
        let is_plain = |byte: u8| byte.is_ascii_alphanumeric() || b"/#._-".contains(&byte);
        uri.bytes().all(is_plain).then_some(uri)
    }

    fn digest(&mut self) -> Option<Digest> {
        self.skip("<DigestValue>")?;
        let (value, rest) = self.0.split_once("</DigestValue>\n")?;
        self.0 = rest;
        Digest::new(ALGORITHM, BASE64.decode(value).ok()?)
    }

    /// A value of a step.
    fn value(&mut self) -> Option<Value> {
        if self.skip("<ns2:StepRef URI=\"").is_some() {
            let uri = self.uri()?.to_owned();
            self.skip("/>\n")?;
            return Some(Value::Step { uri, algorithm: ALGORITHM });
        }
        if self.skip("<ns2:DataRef URI=\"").is_some() {
            let uri = self.uri()?.to_owned();
            self.skip(">\n            ")?;
            let digest = self.digest()?;
            self.skip("        </ns2:DataRef>\n")?;
            return Some(Value::Part { uri, digest });
        }
        self.skip("<ns2:HashValue>\n            ")?;
        let digest = self.digest()?;
        self.skip("        </ns2:HashValue>\n")?;
        Some(Value::Digest(digest))
    }
}
