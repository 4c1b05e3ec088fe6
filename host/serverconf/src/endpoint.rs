//! Methods and paths of a service, as rights are given for them.

use std::fmt;
use std::str::FromStr;

use serde::Deserialize;
use uuk_contract::{Method, percent};

/// Longest pattern, in characters: matching takes as many steps per character of a path, at most.
const PATTERN_CHARACTERS_MAX: usize = 255;

/// A method and a pattern of paths, such as `GET /people/*`: the part of a service that a right is about.
#[derive(Debug, Clone, PartialEq, Eq, Deserialize)]
#[serde(try_from = "String")]
pub(crate) struct Endpoint {
    /// None stands for all.
    method: Option<Method>,
    path: Vec<Token>,
}

/// One step of a pattern of paths, with X-Road's wildcards.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Token {
    Character(char),
    /// `*`: anything within a segment, also nothing.
    InSegment,
    /// `**`: anything, also nothing.
    Anything,
}

/// Why a text is not an endpoint.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub(crate) enum EndpointError {
    /// It is not two words.
    #[error("an endpoint is a method or `*`, a space, and a pattern of paths: `GET /people/*`")]
    Form,
    /// The method is none that a contract may use.
    #[error("the method of an endpoint is GET, HEAD, POST, PUT, PATCH, DELETE, OPTIONS or `*`")]
    Method,
    /// The pattern could not match any path, or not the one that was meant.
    #[error("the pattern of an endpoint {reason}")]
    Path {
        /// What is wrong with it.
        reason: &'static str,
    },
}

impl FromStr for Endpoint {
    type Err = EndpointError;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        let (method, path) = text.split_once(' ').ok_or(EndpointError::Form)?;
        let method = match method {
            "*" => None,
            method => Some(method.parse().map_err(|_| EndpointError::Method)?),
        };
        let path = pattern(path).map_err(|reason| EndpointError::Path { reason })?;
        Ok(Self { method, path })
    }
}

impl TryFrom<String> for Endpoint {
    type Error = EndpointError;

    fn try_from(text: String) -> Result<Self, Self::Error> {
        text.parse()
    }
}

impl Endpoint {
    /// Whether a call with this method and path is one of those meant.
    pub(crate) fn covers(&self, method: &str, path: &ServicePath) -> bool {
        self.method.is_none_or(|own| <&str>::from(own) == method) && matches(&self.path, path.as_str())
    }
}

fn pattern(text: &str) -> Result<Vec<Token>, &'static str> {
    if !text.starts_with('/') && !text.starts_with("**") {
        return Err("does not begin with `/` or `**`");
    }
    if text.chars().count() > PATTERN_CHARACTERS_MAX {
        return Err("is longer than 255 characters");
    }
    if text.chars().any(|character| character.is_control() || "%?#".contains(character)) {
        return Err("has `%`, `?`, `#` or a control character: it is written decoded, and without a query");
    }
    if text.split('/').any(|segment| [".", ".."].contains(&segment)) {
        return Err("has a dot segment, which no path has that is let in");
    }
    let mut tokens = Vec::new();
    let mut rest = text.chars().peekable();
    while let Some(character) = rest.next() {
        tokens.push(match character {
            '\\' => match rest.next() {
                Some(escaped @ ('*' | '\\')) => Token::Character(escaped),
                _ => return Err("has a `\\` that neither `*` nor `\\` follows"),
            },
            '*' if rest.next_if_eq(&'*').is_some() => {
                while rest.next_if_eq(&'*').is_some() {}
                Token::Anything
            }
            '*' => Token::InSegment,
            character => Token::Character(character),
        });
    }
    Ok(tokens)
}

/// Follows the pattern token by token and keeps all places of the path at which the tokens so far may end, instead of trying
/// them one by one: no path makes it take longer than its length times the pattern's.
fn matches(pattern: &[Token], path: &str) -> bool {
    let mut ends: Vec<bool> = std::iter::once(true).chain(path.chars().map(|_| false)).collect();
    for token in pattern {
        // Whether the token takes the character before this place.
        let mut is_taken = false;
        for (end, next) in ends.iter_mut().zip(path.chars().map(Some).chain([None])) {
            let is_here = match token {
                Token::Character(_) => std::mem::replace(end, is_taken),
                Token::InSegment | Token::Anything => {
                    *end |= is_taken;
                    *end
                }
            };
            is_taken = is_here
                && match token {
                    Token::Character(expected) => next == Some(*expected),
                    Token::InSegment => next != Some('/'),
                    Token::Anything => true,
                };
        }
    }
    ends.last().is_some_and(|end| *end)
}

/// The path of a call below its service, decoded once: rights are about what the service will see.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ServicePath(String);

impl ServicePath {
    /// Decodes a path as it was received: empty, or beginning with `/`. The empty path is `/`, as in contracts.
    ///
    /// # Errors
    /// One clause that says why the path could mean different things here and at the service: a dot segment, an encoded
    /// `/` or `\`, or an encoding that is none.
    pub fn decode(raw: &str) -> Result<Self, &'static str> {
        let Some(relative) = raw.strip_prefix('/') else {
            return if raw.is_empty() { Ok(Self("/".to_owned())) } else { Err("does not begin with `/`") };
        };
        let mut decoded = String::with_capacity(raw.len());
        for segment in relative.split('/') {
            decoded.push('/');
            // Services may tell `/people/` from `/people`; nothing hides in a segment of no characters.
            if !segment.is_empty() {
                decoded.push_str(&percent::path_segment(segment)?);
            }
        }
        Ok(Self(decoded))
    }

    /// The paths of an operation as X-Road lists them: `/people/{pin}` is `/people/*`.
    pub fn of_operation(template: &str) -> Self {
        let segment =
            |segment: &str| if segment.starts_with('{') { "*".to_owned() } else { segment.to_owned() };
        Self(template.split('/').map(segment).collect::<Vec<_>>().join("/"))
    }

    /// The decoded path, beginning with `/`.
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl fmt::Display for ServicePath {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[track_caller]
    fn check(endpoint: &str, call: &str, expected: bool) {
        let (method, path) = call.split_once(' ').unwrap();
        let path = ServicePath::decode(path).unwrap();
        assert_eq!(
            endpoint.parse::<Endpoint>().unwrap().covers(method, &path),
            expected,
            "{endpoint}: {call}"
        );
    }

    #[track_caller]
    fn check_refused(endpoint: &str, reason: &str) {
        let error = endpoint.parse::<Endpoint>().unwrap_err().to_string();
        assert!(error.contains(reason), "{endpoint}: {error}");
    }

    #[test]
    fn a_star_stays_within_its_segment() {
        check("GET /people/*", "GET /people/1", true);
        check("GET /people/*", "GET /people/1/address", false);
        check("GET /people/*", "GET /people/", true);
        check("GET /people/*", "GET /people", false);
        check("GET /*/address", "GET /1/address", true);
        check("GET /people/p-*-x", "GET /people/p-1-x", true);
        check("GET /people/p-*-x", "GET /people/p-1-y", false);
    }

    #[test]
    fn two_stars_are_any_rest() {
        check("GET /people/**", "GET /people/1/address", true);
        check("GET **", "GET ", true);
        check("GET **/bar/**", "GET /a/b/bar/c", true);
        check("GET **/bar/**", "GET /a/b/foo/c", false);
        check("GET **/*/**", "GET /bar/", true);
        check("GET /a/**/b", "GET /a/x//b", true);
        check("GET /***", "GET /a/b", true);
    }

    #[test]
    fn characters_of_regular_expressions_are_themselves() {
        check("GET /.$+()|[", "GET /.$+()%7C%5B", true);
        check("GET /a.c", "GET /abc", false);
    }

    #[test]
    fn an_escaped_star_is_a_star() {
        check(r"GET /\*", "GET /*", true);
        check(r"GET /\*", "GET /x", false);
    }

    #[test]
    fn the_method_is_the_one_named_or_any() {
        check("GET /people", "POST /people", false);
        check("* /people", "POST /people", true);
        check("GET /people", "get /people", false);
    }

    #[test]
    fn the_path_is_matched_decoded() {
        check("GET /люди/*", "GET /%D0%BB%D1%8E%D0%B4%D0%B8/1", true);
        check("GET /people", "GET /%70eople", true);
    }

    #[test]
    fn no_path_and_a_slash_are_the_same() {
        check("GET /", "GET ", true);
        check("GET /", "GET /", true);
    }

    #[test]
    fn a_hostile_path_takes_no_longer_than_its_length() {
        let pattern = format!("GET {}b", "**a".repeat(80));
        check(&pattern, &format!("GET /{}", "a".repeat(8_000)), false);
    }

    #[test]
    fn operations_are_listed_with_stars() {
        assert_eq!(ServicePath::of_operation("/people/{pin}/address").as_str(), "/people/*/address");
    }

    #[test]
    fn refuses_an_encoded_slash() {
        for path in ["/people%2F1", "/people%2f1", "/people%5C1"] {
            assert_eq!(ServicePath::decode(path).unwrap_err(), "has an encoded `/` or `\\`", "{path}");
        }
    }

    #[test]
    fn refuses_traversal_in_any_spelling() {
        for path in ["/people/../x", "/people/%2e%2e/x", "/people/.%2E", "/./x"] {
            assert_eq!(ServicePath::decode(path).unwrap_err(), "has a dot segment", "{path}");
        }
    }

    #[test]
    fn refuses_what_would_decode_twice_or_not_at_all() {
        assert_eq!(ServicePath::decode("/%252e%252e").unwrap().as_str(), "/%2e%2e");
        assert!(ServicePath::decode("/%2").is_err());
        assert!(ServicePath::decode("/%FF").is_err());
        assert!(ServicePath::decode("people").is_err());
    }

    #[test]
    fn refuses_an_endpoint_without_path() {
        check_refused("GET", "a space, and a pattern");
    }

    #[test]
    fn refuses_a_method_that_contracts_do_not_have() {
        check_refused("TRACE /", "the method of an endpoint");
        check_refused("get /", "the method of an endpoint");
    }

    #[test]
    fn refuses_a_pattern_that_begins_elsewhere() {
        check_refused("GET people", "does not begin with");
        check_refused("GET  /people", "does not begin with");
    }

    #[test]
    fn refuses_a_pattern_that_is_encoded_or_has_a_query() {
        check_refused("GET /a%20b", "written decoded");
        check_refused("GET /a?b=*", "written decoded");
    }

    #[test]
    fn refuses_a_pattern_with_a_dot_segment() {
        check_refused("GET /a/../b", "dot segment");
    }

    #[test]
    fn refuses_a_stray_escape() {
        check_refused(r"GET /\a", "neither");
        check_refused(r"GET /\", "neither");
    }

    #[test]
    fn refuses_a_pattern_that_is_too_long() {
        check_refused(&format!("GET /{}", "x".repeat(255)), "longer than 255");
    }

    proptest! {
        #![proptest_config(ProptestConfig { failure_persistence: None, ..ProptestConfig::default() })]

        /// X-Road makes regular expressions of its patterns.
        #[test]
        fn matches_as_a_regular_expression_would(pattern in "/[a/*]{0,8}", path in "/[ab/]{0,8}") {
            let mut expression = String::new();
            let mut rest = pattern.as_str();
            while let Some(first) = rest.chars().next() {
                let stars = rest.len() - rest.trim_start_matches('*').len();
                expression += match stars {
                    0 => rest.get(..first.len_utf8()).unwrap(),
                    1 => "[^/]*",
                    _ => ".*",
                };
                rest = &rest[stars.max(1)..];
            }
            let expected = regex::Regex::new(&format!("^{expression}$")).unwrap().is_match(&path);
            let endpoint: Endpoint = format!("GET {pattern}").parse().unwrap();
            prop_assert_eq!(endpoint.covers("GET", &ServicePath::decode(&path).unwrap()), expected);
        }

        #[test]
        fn decoding_adds_no_separators_and_no_dot_segments(raw in "/([a./]|%2e|%2E|%2f|%5C|%25|%)*") {
            if let Ok(path) = ServicePath::decode(&raw) {
                prop_assert_eq!(path.as_str().matches('/').count(), raw.matches('/').count());
                prop_assert!(!path.as_str().split('/').any(|segment| [".", ".."].contains(&segment)));
                prop_assert!(!path.as_str().contains('\\'));
            }
        }
    }
}
