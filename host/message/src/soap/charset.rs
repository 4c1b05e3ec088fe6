use std::borrow::Cow;

use encoding_rs::{Encoding, UTF_8};

use crate::soap::SoapError;

const BOM: &[u8] = b"\xEF\xBB\xBF";
/// An XML declaration is shorter.
const DECLARATION_BYTES_MAX: usize = 256;

/// How the bytes of a message are characters.
///
/// Only encodings in which ASCII is ASCII, and from whose text the place in the bytes can be told.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Charset {
    Utf8 { bom_bytes: usize },
    SingleByte(&'static Encoding),
}

impl Charset {
    /// Decodes `bytes`. The encoding is what the media type says, else the XML declaration, else UTF-8.
    ///
    /// X-Road's reader goes by the declaration and most others by the media type. So where the two differ, and there is
    /// a character for which it matters, the message is refused.
    pub(super) fn decode<'b>(
        labelled: Option<&str>,
        bytes: &'b [u8],
    ) -> Result<(Self, Cow<'b, str>), SoapError> {
        let named = |label: &str| Encoding::for_label(label.as_bytes()).ok_or(SoapError::UnknownCharset);
        let labelled = labelled.map(named).transpose()?;
        let content = bytes.strip_prefix(BOM);
        let declared = match content {
            Some(_) => Some(UTF_8),
            None => declared_encoding(bytes).map(named).transpose()?,
        };
        if let (Some(labelled), Some(declared)) = (labelled, declared)
            && labelled != declared
            && !bytes.is_ascii()
        {
            return Err(SoapError::ConflictingCharsets);
        }
        let encoding = labelled.or(declared).unwrap_or(UTF_8);
        let charset = if encoding == UTF_8 {
            Self::Utf8 { bom_bytes: bytes.len() - content.unwrap_or(bytes).len() }
        } else if encoding.is_single_byte() {
            Self::SingleByte(encoding)
        } else {
            return Err(SoapError::UnknownCharset);
        };
        let text = encoding.decode_without_bom_handling_and_without_replacement(content.unwrap_or(bytes));
        Ok((charset, text.ok_or(SoapError::Encoding)?))
    }

    /// How many bytes of the message stand before `offset`, which counts the bytes of `text`.
    pub(super) fn bytes_before(self, text: &str, offset: usize) -> usize {
        match self {
            Self::Utf8 { bom_bytes } => bom_bytes + offset,
            Self::SingleByte(_) => text.get(..offset).map_or(0, |before| before.chars().count()),
        }
    }

    pub(super) fn name(self) -> &'static str {
        match self {
            Self::Utf8 { .. } => UTF_8.name(),
            Self::SingleByte(encoding) => encoding.name(),
        }
    }

    pub(super) fn encode(self, text: &str) -> Vec<u8> {
        match self {
            Self::Utf8 { .. } => text.as_bytes().to_vec(),
            Self::SingleByte(encoding) => encoding.encode(text).0.into_owned(),
        }
    }
}

/// The encoding that the XML declaration names.
fn declared_encoding(bytes: &[u8]) -> Option<&str> {
    let head = bytes.get(..DECLARATION_BYTES_MAX).unwrap_or(bytes);
    let head = head.strip_prefix(b"<?xml")?;
    let end = memchr::memmem::find(head, b"?>")?;
    let declaration = std::str::from_utf8(head.get(..end)?).ok()?;
    let value =
        declaration.split_once("encoding")?.1.trim_ascii_start().strip_prefix('=')?.trim_ascii_start();
    let quote = value.chars().next().filter(|quote| matches!(quote, '"' | '\''))?;
    value.get(1..)?.split(quote).next()
}
