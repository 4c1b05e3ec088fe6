//! Decoding paths and queries, once and strictly, and encoding them (RFC 3986 §2.1, §3.3, §3.4).

use std::borrow::Cow;

/// Decodes one path segment, or one name or value of a query.
///
/// A `+` is a plus: RFC 3986 knows no other meaning. Characters that need encoding must come encoded, and
/// no control character may hide behind the encoding.
///
/// # Errors
/// One clause that says what is wrong.
pub fn decode(raw: &str) -> Result<Cow<'_, str>, &'static str> {
    if raw.bytes().all(is_plain) {
        return Ok(Cow::Borrowed(raw));
    }
    let mut decoded = Vec::with_capacity(raw.len());
    let mut bytes = raw.bytes();
    while let Some(byte) = bytes.next() {
        match byte {
            b'%' => match (bytes.next().and_then(hex_digit), bytes.next().and_then(hex_digit)) {
                (Some(high), Some(low)) => decoded.push(high << 4 | low),
                _ => return Err("has a `%` that two hexadecimal digits do not follow"),
            },
            plain if is_plain(plain) => decoded.push(plain),
            _ => return Err("has a character that must be percent-encoded"),
        }
    }
    let text = String::from_utf8(decoded).map_err(|_| "is not UTF-8 once decoded")?;
    if text.chars().any(char::is_control) {
        return Err("has a control character");
    }
    Ok(Cow::Owned(text))
}

/// `text` as one path segment, or one name or value of a query, holds it: only what RFC 3986 calls unreserved stays.
pub fn encode(text: &str) -> String {
    let mut encoded = String::with_capacity(text.len());
    for byte in text.bytes() {
        match byte {
            _ if byte.is_ascii_alphanumeric() || b"-._~".contains(&byte) => encoded.push(byte.into()),
            _ => encoded += &format!("%{byte:02X}"),
        }
    }
    encoded
}

/// Splits a path into decoded segments. The empty path and `/` are the same and have none.
///
/// # Errors
/// One clause that says what is wrong with the path.
pub(crate) fn path_segments(path: &str) -> Result<Vec<Cow<'_, str>>, &'static str> {
    if path.is_empty() || path == "/" {
        return Ok(Vec::new());
    }
    let Some(relative) = path.strip_prefix('/') else {
        return Err("does not begin with `/`");
    };
    relative.split('/').map(path_segment).collect()
}

/// Decodes one segment of a path, once.
///
/// # Errors
/// One clause that says what is wrong: an encoded separator or a dot segment would mean one thing here and another to
/// whoever decodes again.
pub fn path_segment(raw: &str) -> Result<Cow<'_, str>, &'static str> {
    let segment = decode(raw)?;
    match &*segment {
        "" => Err("has an empty segment or ends with `/`"),
        "." | ".." => Err("has a dot segment"),
        text if text.contains(['/', '\\']) => Err("has an encoded `/` or `\\`"),
        _ => Ok(segment),
    }
}

/// Whether a byte stands for itself in a path segment: `pchar` of RFC 3986 §3.3, plus `/` and `?`, which a
/// query may hold too and a path is split at.
pub(crate) fn is_plain(byte: u8) -> bool {
    byte.is_ascii_alphanumeric() || b"-._~!$&'()*+,;=:@/?".contains(&byte)
}

fn hex_digit(byte: u8) -> Option<u8> {
    char::from(byte).to_digit(16).and_then(|digit| u8::try_from(digit).ok())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[track_caller]
    fn check_segments(path: &str, expected: &[&str]) {
        assert_eq!(path_segments(path).unwrap(), expected);
    }

    #[track_caller]
    fn check_refused(path: &str, reason: &str) {
        let error = path_segments(path).unwrap_err();
        assert!(error.contains(reason), "{path}: {error}");
    }

    #[test]
    fn decodes_each_segment_once() {
        check_segments("", &[]);
        check_segments("/", &[]);
        check_segments("/people/%D0%90%D1%81", &["people", "Ас"]);
        check_segments("/100%2525", &["100%25"]);
    }

    #[test]
    fn takes_a_plus_for_a_plus() {
        assert_eq!(decode("a+b%20c").unwrap(), "a+b c");
    }

    #[test]
    fn refuses_a_path_without_leading_slash() {
        check_refused("people", "does not begin with");
    }

    #[test]
    fn refuses_an_empty_segment() {
        check_refused("/people//1", "empty segment");
    }

    #[test]
    fn refuses_a_trailing_slash() {
        check_refused("/people/", "ends with `/`");
    }

    #[test]
    fn refuses_dot_segments_in_any_spelling() {
        for path in ["/a/../b", "/a/./b", "/a/%2e%2E/b", "/%2E"] {
            check_refused(path, "dot segment");
        }
    }

    #[test]
    fn refuses_an_encoded_separator() {
        for path in ["/a%2Fb", "/a%2fb", "/a%5Cb", "/a%5cb"] {
            check_refused(path, "an encoded");
        }
    }

    #[test]
    fn refuses_control_characters() {
        for path in ["/a%00", "/a%0Ab", "/%7F", "/%C2%85"] {
            check_refused(path, "control character");
        }
    }

    #[test]
    fn refuses_broken_encoding() {
        for path in ["/%", "/%2", "/%zz", "/%+1"] {
            check_refused(path, "hexadecimal");
        }
    }

    #[test]
    fn refuses_what_is_not_utf_8_once_decoded() {
        check_refused("/%FF", "UTF-8");
        check_refused("/%C0%AF", "UTF-8");
    }

    #[test]
    fn refuses_characters_that_must_be_encoded() {
        for path in ["/a\\b", "/a b", "/Ас", "/a{b}", "/a\u{0}", "/a#b"] {
            check_refused(path, "must be percent-encoded");
        }
    }
}
