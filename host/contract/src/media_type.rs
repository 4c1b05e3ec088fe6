//! The one media type of bodies and answers, and those of contracts.

/// What bodies and answers are.
pub(crate) const JSON: &str = "application/json";

/// What a WSDL is.
pub(crate) const XML: &str = "text/xml";

/// What a contract may be instead (X-Road PR-MREST, annex A).
pub(crate) const YAML: &str = "text/yaml";

/// Whether `text` is `application/json`, with no parameter but `charset=utf-8` (RFC 9110 §8.3.1).
pub(crate) fn is_json(text: &str) -> bool {
    let (media_type, parameter) = match text.split_once(';') {
        Some((media_type, parameter)) => (media_type, Some(parameter.trim())),
        None => (text, None),
    };
    media_type.trim().eq_ignore_ascii_case(JSON)
        && parameter.is_none_or(|parameter| {
            parameter.eq_ignore_ascii_case("charset=utf-8")
                || parameter.eq_ignore_ascii_case("charset=\"utf-8\"")
        })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn knows_json_in_its_spellings() {
        for text in
            ["application/json", "Application/JSON; charset=UTF-8", "application/json;charset=\"utf-8\""]
        {
            assert!(is_json(text), "{text}");
        }
    }

    #[test]
    fn knows_what_is_not_json_in_utf_8() {
        for text in [
            "",
            "text/json",
            "application/json; charset=windows-1251",
            "application/json; charset=utf-8; version=1",
            "application/json, text/plain",
            "application/problem+json",
        ] {
            assert!(!is_json(text), "{text}");
        }
    }
}
