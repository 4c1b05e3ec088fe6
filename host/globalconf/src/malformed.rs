use serde::de::DeserializeOwned;

/// A TOML file that does not have its shape: where and why, and never the line itself, which may hold a password.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("line {line}: {reason}")]
pub struct Malformed {
    /// Counted from 1.
    pub line: usize,
    /// What was expected there.
    pub reason: String,
}

/// Reads a TOML file of ours.
///
/// # Errors
/// [`Malformed`], which quotes nothing of the file but names of keys.
pub fn from_toml<T: DeserializeOwned>(text: &str) -> Result<T, Malformed> {
    toml::from_str(text).map_err(|error: toml::de::Error| {
        let before = error.span().and_then(|span| text.get(..span.start)).unwrap_or_default();
        let line = before.matches('\n').count() + 1;
        Malformed { line, reason: error.message().to_owned() }
    })
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeMap;

    use super::*;

    #[test]
    fn names_the_line_and_does_not_quote_it() {
        let error = from_toml::<BTreeMap<String, String>>("user = 'x'\npassword = hunter2").unwrap_err();
        assert_eq!(error.line, 2);
        assert!(!error.to_string().contains("hunter2"), "{error}");
    }
}
