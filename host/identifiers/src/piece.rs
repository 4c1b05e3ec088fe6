use std::{fmt, iter};

use percent_encoding::{AsciiSet, NON_ALPHANUMERIC, percent_decode_str, utf8_percent_encode};

/// The longest piece of an identifier, in bytes of UTF-8 (X-Road's database columns hold 255 characters).
pub const PIECE_BYTES_MAX: usize = 255;

/// Why a text is not an identifier.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum IdentifierError {
    /// The wrong number of pieces.
    #[error("expected {expected} pieces separated by `/`, found {found}")]
    Pieces {
        /// How many there should be, in words.
        expected: &'static str,
        /// How many there are.
        found: usize,
    },
    /// A piece is empty.
    #[error("piece {position} is empty")]
    Empty {
        /// Counted from 1.
        position: usize,
    },
    /// A piece is too long.
    #[error("piece {position} is longer than {PIECE_BYTES_MAX} bytes")]
    TooLong {
        /// Counted from 1.
        position: usize,
    },
    /// A piece is not valid percent-encoded UTF-8.
    #[error("piece {position} is not percent-encoded UTF-8")]
    Encoding {
        /// Counted from 1.
        position: usize,
    },
    /// A piece has a character that identifiers may not have.
    #[error("piece {position} has the forbidden character U+{:04X}", u32::from(*character))]
    Forbidden {
        /// Counted from 1.
        position: usize,
        /// The character.
        character: char,
    },
}

/// Characters shown as they are: those of `pchar` in RFC 3986 that a piece may have, which is what X-Road's proxies show.
const ENCODED: &AsciiSet = &NON_ALPHANUMERIC
    .remove(b'-')
    .remove(b'.')
    .remove(b'_')
    .remove(b'~')
    .remove(b'!')
    .remove(b'$')
    .remove(b'&')
    .remove(b'\'')
    .remove(b'(')
    .remove(b')')
    .remove(b'*')
    .remove(b'+')
    .remove(b',')
    .remove(b'=')
    .remove(b'@');

/// Splits `text` at `/`, decodes and checks each piece.
pub(crate) fn parse(text: &str) -> Result<Vec<String>, IdentifierError> {
    // An identifier has at most six pieces; a longer text is refused by its count, without decoding it.
    let found = text.split('/').count();
    if found > 6 {
        return Err(IdentifierError::Pieces { expected: "at most 6", found });
    }
    let pieces: Vec<String> = text
        .split('/')
        .enumerate()
        .map(|(index, piece)| decode(index + 1, piece))
        .collect::<Result<_, _>>()?;
    check_all(pieces.iter().map(String::as_str))?;
    Ok(pieces)
}

/// Whether a piece is the same written, read and checked, as almost all are: nothing in it is encoded or forbidden.
fn is_plain(piece: &str) -> bool {
    piece.bytes().all(|byte| byte.is_ascii_alphanumeric() || matches!(byte, b'-' | b'.' | b'_'))
}

/// Decodes one piece, once.
pub(crate) fn decode(position: usize, piece: &str) -> Result<String, IdentifierError> {
    if piece.len() > 3 * PIECE_BYTES_MAX {
        return Err(IdentifierError::TooLong { position });
    }
    if is_plain(piece) {
        return Ok(piece.to_owned());
    }
    if !escapes_are_whole(piece) {
        return Err(IdentifierError::Encoding { position });
    }
    let decoded =
        percent_decode_str(piece).decode_utf8().map_err(|_| IdentifierError::Encoding { position })?;
    Ok(decoded.into_owned())
}

/// `percent_decode` passes a stray `%` through; an identifier that decodes in two ways is refused instead.
fn escapes_are_whole(piece: &str) -> bool {
    let mut rest = piece.bytes();
    while let Some(byte) = rest.next() {
        if byte == b'%' {
            let hex = [rest.next(), rest.next()];
            if !hex.iter().all(|digit| digit.is_some_and(|digit| digit.is_ascii_hexdigit())) {
                return false;
            }
        }
    }
    true
}

/// Checks pieces that were never encoded, such as those of an XML message.
pub(crate) fn check_all<'p>(pieces: impl IntoIterator<Item = &'p str>) -> Result<(), IdentifierError> {
    pieces.into_iter().enumerate().try_for_each(|(index, piece)| check(index + 1, piece))
}

fn check(position: usize, piece: &str) -> Result<(), IdentifierError> {
    check_text(position, piece)?;
    if is_plain(piece) {
        return Ok(());
    }
    match piece.chars().find(|c| matches!(c, '%' | ':' | ';' | '/' | '\\' | '\u{200B}' | '\u{FEFF}')) {
        Some(character) => Err(IdentifierError::Forbidden { position, character }),
        None => Ok(()),
    }
}

/// Checks a piece that nobody registered, so that X-Road's rules for names do not hold for it.
pub(crate) fn check_text(position: usize, piece: &str) -> Result<(), IdentifierError> {
    if piece.is_empty() {
        return Err(IdentifierError::Empty { position });
    }
    if piece.len() > PIECE_BYTES_MAX {
        return Err(IdentifierError::TooLong { position });
    }
    match piece.chars().find(|c| c.is_control()) {
        Some(character) => Err(IdentifierError::Forbidden { position, character }),
        None => Ok(()),
    }
}

/// Writes pieces joined by `/`, percent-encoded.
pub(crate) fn write<'p>(
    f: &mut fmt::Formatter<'_>,
    pieces: impl IntoIterator<Item = &'p str>,
) -> fmt::Result {
    for (index, piece) in pieces.into_iter().enumerate() {
        if index > 0 {
            f.write_str("/")?;
        }
        match is_plain(piece) {
            true => f.write_str(piece)?,
            false => utf8_percent_encode(piece, ENCODED).try_for_each(|text| f.write_str(text))?,
        }
    }
    Ok(())
}

/// Writes the form for people, such as `SERVICE:KG/GOV/70000001/registry/person`. Nothing is encoded in it.
pub(crate) fn write_titled<'p>(
    f: &mut fmt::Formatter<'_>,
    object_type: &str,
    pieces: impl IntoIterator<Item = &'p str>,
) -> fmt::Result {
    f.write_str(object_type)?;
    let before = iter::once(":").chain(iter::repeat("/"));
    before.zip(pieces).try_for_each(|(before, piece)| {
        f.write_str(before)?;
        f.write_str(piece)
    })
}

/// `checked` and `titled` for an identifier that has `pieces` and `object_type`.
macro_rules! spoken_form {
    ($name:ty) => {
        impl $name {
            /// This identifier, if its pieces, which came from elsewhere than a text, are such as identifiers have.
            ///
            /// # Errors
            /// If a piece is empty, too long or has a forbidden character; positions count from 1.
            pub fn checked(self) -> Result<Self, crate::IdentifierError> {
                crate::piece::check_all(self.pieces())?;
                Ok(self)
            }

            /// The form for people, `TYPE:a/b/c`, as X-Road writes it in its messages. It cannot be read back.
            pub fn titled(&self) -> impl std::fmt::Display {
                std::fmt::from_fn(|f| crate::piece::write_titled(f, self.object_type(), self.pieces()))
            }
        }
    };
}
pub(crate) use spoken_form;

/// `FromStr`, `Display` and serde for an identifier that has `from_pieces` and `pieces`.
macro_rules! text_form {
    ($name:ty) => {
        impl std::str::FromStr for $name {
            type Err = crate::IdentifierError;

            fn from_str(text: &str) -> Result<Self, Self::Err> {
                Self::from_pieces(crate::piece::parse(text)?)
            }
        }

        impl std::fmt::Display for $name {
            fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
                crate::piece::write(f, self.pieces())
            }
        }

        impl<'de> serde::Deserialize<'de> for $name {
            fn deserialize<D: serde::Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
                let text = std::borrow::Cow::<'de, str>::deserialize(deserializer)?;
                text.parse().map_err(serde::de::Error::custom)
            }
        }

        impl serde::Serialize for $name {
            fn serialize<S: serde::Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
                serializer.collect_str(self)
            }
        }
    };
}
pub(crate) use text_form;

#[cfg(test)]
mod tests {
    use super::*;

    fn check_refused(text: &str, expected: &IdentifierError) {
        assert_eq!(&parse(text).unwrap_err(), expected, "{text:?}");
    }

    #[test]
    fn refuses_an_empty_piece() {
        check_refused("KG//7", &IdentifierError::Empty { position: 2 });
    }

    #[test]
    fn refuses_an_encoded_slash() {
        check_refused("KG/G%2FV", &IdentifierError::Forbidden { position: 2, character: '/' });
    }

    #[test]
    fn refuses_a_double_encoded_percent() {
        check_refused("KG/%2541", &IdentifierError::Forbidden { position: 2, character: '%' });
    }

    #[test]
    fn refuses_a_broken_escape() {
        for text in ["%", "%4", "%zz", "a%2"] {
            check_refused(text, &IdentifierError::Encoding { position: 1 });
        }
    }

    #[test]
    fn refuses_bytes_that_are_not_utf8() {
        check_refused("%ff", &IdentifierError::Encoding { position: 1 });
    }

    #[test]
    fn refuses_control_and_invisible_characters() {
        check_refused("a%00", &IdentifierError::Forbidden { position: 1, character: '\0' });
        check_refused("a\u{FEFF}", &IdentifierError::Forbidden { position: 1, character: '\u{FEFF}' });
    }

    #[test]
    fn refuses_a_long_piece_and_too_many_pieces() {
        check_refused(&"a".repeat(256), &IdentifierError::TooLong { position: 1 });
        check_refused("a/a/a/a/a/a/a", &IdentifierError::Pieces { expected: "at most 6", found: 7 });
    }
}
