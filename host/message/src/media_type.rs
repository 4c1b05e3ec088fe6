/// A media type with its parameters, read from a `Content-Type`.
///
/// Source: RFC 9110 §8.3.1, RFC 2046 §5.1.1 for boundaries.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct MediaType {
    /// Type and subtype in lower case, such as `text/xml`.
    pub essence: String,
    parameters: Vec<(String, String)>,
}

/// RFC 2046 §5.1.1.
const BOUNDARY_BYTES_MAX: usize = 70;

impl MediaType {
    /// Reads `type/subtype; name=value; name="value"`. `None` if it is something else, or names a parameter twice.
    pub fn parse(text: &str) -> Option<Self> {
        let (essence, mut rest) = text.split_once(';').unwrap_or((text, ""));
        let essence = essence.trim_ascii();
        let (kind, subtype) = essence.split_once('/')?;
        // X-Road has a subtype of two words, `signature/bdoc-1.0/ts`.
        if !is_token(kind) || !subtype.split('/').all(is_token) {
            return None;
        }
        let mut parameters: Vec<(String, String)> = Vec::new();
        loop {
            rest = rest.trim_ascii_start();
            if let Some(after) = rest.strip_prefix(';') {
                // Some writers end the parameters with a semicolon.
                rest = after;
                continue;
            }
            if rest.is_empty() {
                break;
            }
            let (name, value, after) = parameter(rest)?;
            if parameters.iter().any(|(other, _)| *other == name) {
                return None;
            }
            parameters.push((name, value));
            rest = after;
        }
        Some(Self { essence: essence.to_ascii_lowercase(), parameters })
    }

    /// The parameter called `name`, which is in lower case.
    pub fn parameter(&self, name: &str) -> Option<&str> {
        self.parameters.iter().find(|(other, _)| other == name).map(|(_, value)| value.as_str())
    }

    /// The boundary of a multipart type, if it has one that may be one.
    pub fn boundary(&self) -> Option<&str> {
        let boundary = self.parameter("boundary")?;
        let allowed = (1..=BOUNDARY_BYTES_MAX).contains(&boundary.len())
            && boundary.bytes().all(|byte| matches!(byte, b' '..=b'~'))
            && !boundary.ends_with(' ');
        allowed.then_some(boundary)
    }
}

/// One parameter, and what follows it up to and without its semicolon.
fn parameter(text: &str) -> Option<(String, String, &str)> {
    let (name, rest) = text.split_once('=')?;
    let name = name.trim_ascii();
    if !is_token(name) {
        return None;
    }
    let rest = rest.trim_ascii_start();
    let (value, rest) = match rest.strip_prefix('"') {
        Some(quoted) => quoted_string(quoted)?,
        None => {
            let (value, rest) = rest.split_at(rest.find(';').unwrap_or(rest.len()));
            (value.trim_ascii_end().to_owned(), rest)
        }
    };
    let rest = rest.trim_ascii_start();
    if rest.is_empty() || rest.starts_with(';') {
        Some((name.to_ascii_lowercase(), value, rest))
    } else {
        None
    }
}

fn quoted_string(text: &str) -> Option<(String, &str)> {
    let mut value = String::new();
    let mut characters = text.chars();
    loop {
        match characters.next()? {
            '"' => return Some((value, characters.as_str())),
            '\\' => value.push(characters.next()?),
            character => value.push(character),
        }
    }
}

fn is_token(text: &str) -> bool {
    !text.is_empty()
        && text.bytes().all(|byte| byte.is_ascii_alphanumeric() || b"!#$%&'*+-.^_`|~".contains(&byte))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn reads_parameters_plain_and_quoted() {
        let text =
            r#"Multipart/Related; start-info="application/soap+xml"; Boundary="a \"b\""; charset=UTF-8;"#;
        let media_type = MediaType::parse(text).unwrap();
        assert_eq!(media_type.essence, "multipart/related");
        assert_eq!(media_type.boundary(), Some(r#"a "b""#));
        assert_eq!(media_type.parameter("charset"), Some("UTF-8"));
    }

    #[test]
    fn refuses_what_is_no_media_type() {
        for text in
            ["", "blah", "text/", "/xml", "text xml/a", "text/xml; charset", "a/b; c=\"d", "a/b; c=\"d\"e"]
        {
            assert_eq!(MediaType::parse(text), None, "{text:?}");
        }
    }

    #[test]
    fn refuses_a_second_boundary() {
        assert_eq!(MediaType::parse("multipart/mixed; boundary=a; BOUNDARY=b"), None);
    }

    #[test]
    fn refuses_an_impossible_boundary() {
        for boundary in [String::new(), "a".repeat(71), "a\u{e9}".into(), "\"a \"".into()] {
            let media_type = MediaType::parse(&format!("multipart/mixed; boundary={boundary}")).unwrap();
            assert_eq!(media_type.boundary(), None, "{boundary:?}");
        }
    }
}
