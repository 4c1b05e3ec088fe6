//! What was found about one thing, and what to do about it: `uuk doctor` prints it, `/ready` answers with it.

use serde::{Deserialize, Serialize};

/// What was found about one thing.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct Finding {
    pub(crate) state: State,
    pub(crate) what: String,
    pub(crate) detail: String,
    /// What to do about it: a command where one does it.
    pub(crate) remedy: Option<String>,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, strum::Display)]
#[serde(rename_all = "lowercase")]
#[strum(serialize_all = "lowercase")]
pub(crate) enum State {
    Ok,
    /// Works, and may not for long or not well.
    Warn,
    /// Keeps the server from working.
    Fail,
}

impl Finding {
    pub(crate) fn ok(what: &str, detail: impl Into<String>) -> Self {
        Self { state: State::Ok, what: what.to_owned(), detail: detail.into(), remedy: None }
    }

    pub(crate) fn warn(what: &str, detail: impl Into<String>, remedy: impl Into<String>) -> Self {
        Self { remedy: Some(remedy.into()), state: State::Warn, ..Self::ok(what, detail) }
    }

    pub(crate) fn fail(what: &str, detail: impl Into<String>, remedy: impl Into<String>) -> Self {
        Self { state: State::Fail, ..Self::warn(what, detail, remedy) }
    }
}

/// Whether any of these keeps the server from working.
pub(crate) fn any_fails(findings: &[Finding]) -> bool {
    findings.iter().any(|finding| finding.state == State::Fail)
}
