//! As much of MIME as a signed directory needs: headers of one line, parts between delimiters.

/// A directory has a few parts; a server of the future may list more files.
const PARTS_MAX: usize = 100;
const HEADERS_MAX: usize = 32;

/// Why bytes are not the parts they should be, in words.
pub(crate) type Fault = &'static str;

/// Headers and what follows them.
#[derive(Debug)]
pub(crate) struct Part<'a> {
    headers: Vec<(&'a str, &'a str)>,
    pub(crate) body: &'a [u8],
}

impl<'a> Part<'a> {
    /// Reads header lines up to a blank line, or to the end: a part may have headers only.
    pub(crate) fn read(mut bytes: &'a [u8]) -> Result<Self, Fault> {
        let mut headers: Vec<(&str, &str)> = Vec::new();
        while let Some((line, rest)) = next_line(bytes) {
            bytes = rest;
            if line.is_empty() {
                break;
            }
            let line = std::str::from_utf8(line).map_err(|_| "a header is not UTF-8")?;
            let (name, value) = line.split_once(':').ok_or("a header has no colon")?;
            if name.is_empty() || name.contains([' ', '\t']) {
                return Err("a header's name has blanks");
            }
            if headers.iter().any(|(known, _)| known.eq_ignore_ascii_case(name)) {
                return Err("a header stands twice");
            }
            if headers.len() == HEADERS_MAX {
                return Err("a part has too many headers");
            }
            headers.push((name, value.trim()));
        }
        Ok(Self { headers, body: bytes })
    }

    /// The value of a header that is not blank; names are compared without case.
    pub(crate) fn header(&self, name: &str) -> Option<&'a str> {
        let named = self.headers.iter().find(|(known, _)| known.eq_ignore_ascii_case(name));
        named.map(|(_, value)| *value).filter(|value| !value.is_empty())
    }

    /// The parts of this part's body, by the boundary in its content type. The second value says whether the last
    /// one was closed.
    pub(crate) fn parts(&self) -> Result<(Vec<&'a [u8]>, bool), Fault> {
        let content_type = self.header("Content-Type").ok_or("a multipart has no content type")?;
        let value = Value::parse(content_type);
        if !value.main.to_ascii_lowercase().starts_with("multipart/") {
            return Err("the content type is not multipart");
        }
        let boundary = value.parameter("boundary").ok_or("a multipart has no boundary")?;
        split(self.body, &format!("--{boundary}"))
    }
}

/// A header's value with parameters: `main; name="value"`.
pub(crate) struct Value<'a> {
    pub(crate) main: &'a str,
    parameters: Vec<(&'a str, &'a str)>,
}

impl<'a> Value<'a> {
    pub(crate) fn parse(value: &'a str) -> Self {
        let mut pieces = value.split(';').map(str::trim);
        let main = pieces.next().unwrap_or_default();
        let parameters = pieces.filter_map(|piece| piece.split_once('='));
        Self { main, parameters: parameters.collect() }
    }

    /// A parameter that is not empty, without its quotes: central servers use either kind.
    pub(crate) fn parameter(&self, name: &str) -> Option<&'a str> {
        let named = self.parameters.iter().find(|(known, _)| known.trim().eq_ignore_ascii_case(name));
        let value = named?.1.trim();
        let unquoted = ['"', '\''].iter().find_map(|quote| value.strip_prefix(*quote)?.strip_suffix(*quote));
        Some(unquoted.unwrap_or(value)).filter(|value| !value.is_empty())
    }
}

/// The bytes between lines that begin with `delimiter`. The end of the line before a delimiter belongs to it
/// (RFC 2046 §5.1.1).
fn split<'a>(body: &'a [u8], delimiter: &str) -> Result<(Vec<&'a [u8]>, bool), Fault> {
    let mut parts = Vec::new();
    let mut part_start = None;
    let mut rest = body;
    while let Some((line, after)) = next_line(rest) {
        let line_start = body.len() - rest.len();
        rest = after;
        let Some(tail) = line.strip_prefix(delimiter.as_bytes()) else { continue };
        let closing = match tail.trim_ascii_end() {
            b"" => false,
            b"--" => true,
            _ => continue,
        };
        if let Some(start) = part_start {
            let part = body.get(start..line_start).unwrap_or_default();
            parts.push(without_line_end(part));
        }
        if closing {
            return Ok((parts, true));
        }
        if parts.len() == PARTS_MAX {
            return Err("there are too many parts");
        }
        part_start = Some(body.len() - rest.len());
    }
    let last = part_start.and_then(|start| body.get(start..));
    parts.extend(last);
    Ok((parts, false))
}

/// The line at the beginning, without its end, and what follows. `None` if nothing is left.
fn next_line(bytes: &[u8]) -> Option<(&[u8], &[u8])> {
    if bytes.is_empty() {
        return None;
    }
    match bytes.iter().position(|byte| *byte == b'\n') {
        Some(end) => {
            let (line, rest) = bytes.split_at(end + 1);
            Some((without_line_end(line), rest))
        }
        None => Some((bytes, &[])),
    }
}

fn without_line_end(bytes: &[u8]) -> &[u8] {
    let bytes = bytes.strip_suffix(b"\n").unwrap_or(bytes);
    bytes.strip_suffix(b"\r").unwrap_or(bytes)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn check_parts(body: &str, expected: &[&str], closed: bool) {
        let (parts, found_closed) = split(body.as_bytes(), "--b").unwrap();
        let parts: Vec<_> = parts.into_iter().map(|part| std::str::from_utf8(part).unwrap()).collect();
        assert_eq!((parts.as_slice(), found_closed), (expected, closed), "{body:?}");
    }

    #[test]
    fn the_line_end_before_a_delimiter_belongs_to_it() {
        check_parts("--b\r\none\r\n\r\n--b\r\ntwo\r\n--b--\r\nepilogue", &["one\r\n", "two"], true);
        check_parts("preamble\n--b\none\n--b--", &["one"], true);
    }

    #[test]
    fn parts_may_be_empty_and_the_last_one_open() {
        check_parts("--b\n--b\n--b--", &["", ""], true);
        check_parts("--b\none\n", &["one\n"], false);
        check_parts("", &[], false);
    }

    #[test]
    fn a_longer_delimiter_is_another_one() {
        check_parts("--b\n--bb\n--b--x\n--b--", &["--bb\n--b--x"], true);
    }

    #[test]
    fn refuses_more_parts_than_any_directory_has() {
        assert_eq!(split("--b\n".repeat(PARTS_MAX + 2).as_bytes(), "--b"), Err("there are too many parts"));
    }

    #[test]
    fn takes_either_quotes_from_parameters() {
        let value = Value::parse("X; instance='EE'; other=\"a b\"; none=");
        assert_eq!((value.main, value.parameter("Instance")), ("X", Some("EE")));
        assert_eq!((value.parameter("other"), value.parameter("none")), (Some("a b"), None));
    }

    #[test]
    fn refuses_headers_that_readers_could_take_differently() {
        for (headers, fault) in [
            ("a: 1\nA: 2\n", "a header stands twice"),
            ("a: 1\n b\n", "a header has no colon"),
            ("a : 1\n", "a header's name has blanks"),
            ("a\n", "a header has no colon"),
        ] {
            assert_eq!(Part::read(headers.as_bytes()).unwrap_err(), fault, "{headers:?}");
        }
        let many: String = (0..=HEADERS_MAX).map(|number| format!("a{number}: 1\n")).collect();
        assert_eq!(Part::read(many.as_bytes()).unwrap_err(), "a part has too many headers");
        assert_eq!(Part::read(b"\xff: 1").unwrap_err(), "a header is not UTF-8");
    }
}
