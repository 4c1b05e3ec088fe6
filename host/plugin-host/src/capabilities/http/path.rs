//! Paths of requests to upstreams, and the patterns they are matched with.

use std::borrow::Cow;

use http::Uri;
use percent_encoding::percent_decode_str;

/// Longer paths are refused, and so are longer queries.
const PATH_BYTES_MAX: usize = 4096;

/// A path that means the same to everyone who reads it, and a query.
///
/// It is decoded once, to be matched, and sent as it was written. What another reader could decode, shorten or cut
/// differently, and thus take for another path than the one that was matched, is refused.
#[derive(Debug)]
pub(super) struct RequestPath<'a> {
    uri: Uri,
    segments: Vec<Cow<'a, str>>,
}

impl<'a> RequestPath<'a> {
    /// Reads `/path?query`; answers with what is wrong, in words that follow "path".
    pub(super) fn parse(text: &'a str) -> Result<Self, &'static str> {
        let (path, query) = text.split_once('?').unwrap_or((text, ""));
        if path.len() > PATH_BYTES_MAX || query.len() > PATH_BYTES_MAX {
            return Err("is too long");
        }
        if !text.bytes().all(|byte| byte.is_ascii_graphic()) {
            return Err("has a character that must be encoded");
        }
        if text.contains(['\\', '#']) {
            return Err("has a character that must be encoded");
        }
        let segments = path.strip_prefix('/').ok_or("does not begin with `/`")?;
        let segments = segments.split('/').map(decode_segment).collect::<Result<Vec<_>, _>>()?;
        // A slash at the end leaves one empty segment; any other would be `//`.
        if segments.iter().rev().skip(1).any(|segment| segment.is_empty()) {
            return Err("has an empty segment");
        }
        let uri = text.parse().map_err(|_| "has a character that must be encoded")?;
        Ok(Self { uri, segments })
    }

    pub(super) fn into_uri(self) -> Uri {
        self.uri
    }
}

fn decode_segment(segment: &str) -> Result<Cow<'_, str>, &'static str> {
    let is_encoded = |rest: &str| rest.bytes().take(2).filter(u8::is_ascii_hexdigit).count() == 2;
    if !segment.split('%').skip(1).all(is_encoded) {
        return Err("has a broken encoding");
    }
    let decoded =
        percent_decode_str(segment).decode_utf8().map_err(|_| "is encoded as something else than UTF-8")?;
    // `%2f`, `%5c` and `%25` become one thing here and another where paths are decoded later, or twice.
    if decoded.contains(['/', '\\', '%']) || decoded.chars().any(char::is_control) {
        return Err("has an encoded character that must not be");
    }
    // Some servers cut parameters off before they look for dots: `..;x` is `..` to them.
    let name = decoded.split(';').next().unwrap_or_default();
    if name == "." || name == ".." {
        return Err("has a segment of dots");
    }
    Ok(decoded)
}

/// A path pattern of a manifest: `*` stands for one segment, `**` at the end for all the rest.
#[derive(Debug)]
pub(super) struct PathPattern {
    segments: Vec<Segment>,
    /// Whether anything may follow the segments.
    open: bool,
}

#[derive(Debug)]
enum Segment {
    Name(String),
    Any,
}

impl PathPattern {
    /// Reads a pattern as the manifest has checked it, such as `/vehicles/*`.
    pub(super) fn new(text: &str) -> Self {
        let path = text.strip_prefix('/').unwrap_or(text);
        let (named, open) = match path.strip_suffix("**") {
            Some(named) => (named.strip_suffix('/'), true),
            None => (Some(path), false),
        };
        let segments = named.into_iter().flat_map(|named| named.split('/')).map(|segment| match segment {
            "*" => Segment::Any,
            name => Segment::Name(name.to_owned()),
        });
        Self { segments: segments.collect(), open }
    }

    /// Whether `path` is one of those meant. `*` stands for no empty segment; `**` for any, even one empty one.
    pub(super) fn matches(&self, path: &RequestPath<'_>) -> bool {
        let fits_length = if self.open {
            path.segments.len() > self.segments.len()
        } else {
            path.segments.len() == self.segments.len()
        };
        fits_length
            && self.segments.iter().zip(&path.segments).all(|(pattern, segment)| match pattern {
                Segment::Any => !segment.is_empty(),
                Segment::Name(name) => segment == name,
            })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn refused(path: &str, problem: &str) {
        assert_eq!(RequestPath::parse(path).unwrap_err(), problem, "{path}");
    }

    fn matches(pattern: &str, path: &str) -> bool {
        PathPattern::new(pattern).matches(&RequestPath::parse(path).unwrap())
    }

    #[test]
    fn refuses_paths_that_climb() {
        for path in
            ["/..", "/a/../b", "/a/./b", "/a/%2e%2e/b", "/a/.%2E", "/a/..;x/b", "/a/%2e%2e%3bx/b", "/a/.."]
        {
            refused(path, "has a segment of dots");
        }
    }

    #[test]
    fn refuses_paths_that_others_decode_differently() {
        for path in
            ["/a%2fb", "/a%2Fb", "/a%5cb", "/a%252e", "/a%00", "/a%0d%0aHost:%20b", "/a%09", "/%c2%85"]
        {
            refused(path, "has an encoded character that must not be");
        }
        for path in ["/a%", "/a%2", "/a%zz", "/a%+1", "/%%32%65"] {
            refused(path, "has a broken encoding");
        }
        refused("/%ff", "is encoded as something else than UTF-8");
        refused("/%c0%ae%c0%ae", "is encoded as something else than UTF-8");
    }

    #[test]
    fn refuses_characters_that_split_requests_or_paths() {
        for path in
            ["/a\r\nHost: b", "/a\tb", "/a\0", "/a b", "/a\\b", "/a#b", "/машина", "/a?q=\n", "/a?q=\\"]
        {
            refused(path, "has a character that must be encoded");
        }
    }

    #[test]
    fn refuses_what_is_no_path() {
        for path in ["", "a", "http://evil/", "@evil/", "*", "?a"] {
            refused(path, "does not begin with `/`");
        }
        for path in ["//evil/a", "/a//b", "/a//", "//"] {
            refused(path, "has an empty segment");
        }
        refused(&format!("/{}", "a".repeat(PATH_BYTES_MAX)), "is too long");
        refused(&format!("/?{}", "a".repeat(PATH_BYTES_MAX + 1)), "is too long");
    }

    #[test]
    fn sends_what_was_written_and_matches_what_it_means() {
        let path = RequestPath::parse("/v1/%D0%BC%D0%B0%D1%88%D0%B8%D0%BD%D0%B0?a=%2F..%2F").unwrap();
        assert!(PathPattern::new("/v1/машина").matches(&path));
        assert_eq!(path.into_uri(), "/v1/%D0%BC%D0%B0%D1%88%D0%B8%D0%BD%D0%B0?a=%2F..%2F");
    }

    #[test]
    fn a_star_stands_for_one_segment() {
        assert!(matches("/v1/vehicles/*", "/v1/vehicles/01KG042AAA"));
        assert!(matches("/v1/*/owner", "/v1/01KG042AAA/owner?full=1"));
        assert!(!matches("/v1/vehicles/*", "/v1/vehicles"));
        assert!(!matches("/v1/vehicles/*", "/v1/vehicles/"));
        assert!(!matches("/v1/vehicles/*", "/v1/vehicles/01KG042AAA/owner"));
        assert!(!matches("/v1/vehicles/*", "/v1/Vehicles/01KG042AAA"));
    }

    #[test]
    fn two_stars_stand_for_the_rest() {
        assert!(matches("/v1/**", "/v1/a/b"));
        assert!(matches("/v1/**", "/v1/"));
        assert!(!matches("/v1/**", "/v1"));
        assert!(!matches("/v1/**", "/v2/a"));
        assert!(matches("/**", "/"));
        assert!(matches("/v1/", "/v1/"));
    }
}
