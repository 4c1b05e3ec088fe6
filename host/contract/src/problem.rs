//! What a caller is told: `application/problem+json` of RFC 9457.

use std::borrow::Cow;

use serde::Serialize;
use serde_json::Value;

use crate::json;

/// Media type of a rendered [`Problem`].
pub const PROBLEM_MEDIA_TYPE: &str = "application/problem+json";

/// One value at fault. Never quotes the value: it may be personal data.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct FieldProblem {
    /// JSON Pointer into the request or answer document, such as `/body/surname`. For a missing or an unknown
    /// member it names that member. Cut to 512 bytes.
    pub pointer: String,
    /// The keyword of JSON Schema that refused the value (`required`, `type`, `minLength`), or a word of this
    /// crate's where no schema was involved (`duplicate`, `unknown`, `encoding`, `syntax`).
    pub code: Cow<'static, str>,
    /// One clause that continues the name of the field: `must be an integer`.
    pub message: String,
}

impl FieldProblem {
    /// A problem at `pointer`.
    pub fn new(
        pointer: &str,
        code: impl Into<Cow<'static, str>>,
        message: impl Into<String>,
    ) -> FieldProblem {
        FieldProblem {
            pointer: json::excerpt(pointer).into_owned(),
            code: code.into(),
            message: message.into(),
        }
    }
}

/// A refusal or fault as the caller sees it.
///
/// `type` is always `about:blank`, so `title` is the phrase of the status; what programs act on is `code`.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Problem {
    r#type: &'static str,
    title: &'static str,
    /// HTTP status.
    pub status: u16,
    /// One sentence for people.
    pub detail: String,
    /// Stable code: a server's own (`contract.request_invalid`), or one an adapter chose.
    pub code: Cow<'static, str>,
    /// The fields at fault, possibly none.
    pub problems: Vec<FieldProblem>,
}

impl Problem {
    /// A problem without fields.
    pub fn new(status: u16, code: impl Into<Cow<'static, str>>, detail: impl Into<String>) -> Problem {
        Problem {
            r#type: "about:blank",
            title: title(status),
            status,
            detail: detail.into(),
            code: code.into(),
            problems: Vec::new(),
        }
    }

    /// The same problem with the fields at fault.
    #[must_use]
    pub fn with_fields(self, problems: Vec<FieldProblem>) -> Problem {
        Problem { problems, ..self }
    }

    /// The document to send, of [`PROBLEM_MEDIA_TYPE`].
    pub fn to_json(&self) -> Vec<u8> {
        #[expect(clippy::expect_used, reason = "strings and numbers only, written to memory")]
        serde_json::to_vec(self).expect("a problem is JSON")
    }

    pub(crate) fn to_value(&self) -> Value {
        #[expect(clippy::expect_used, reason = "strings and numbers only, kept in memory")]
        serde_json::to_value(self).expect("a problem is JSON")
    }
}

/// The phrases of RFC 9110 §15 for the statuses this server sends.
fn title(status: u16) -> &'static str {
    match status {
        400 => "Bad Request",
        401 => "Unauthorized",
        403 => "Forbidden",
        404 => "Not Found",
        405 => "Method Not Allowed",
        409 => "Conflict",
        413 => "Content Too Large",
        414 => "URI Too Long",
        415 => "Unsupported Media Type",
        422 => "Unprocessable Content",
        429 => "Too Many Requests",
        500 => "Internal Server Error",
        502 => "Bad Gateway",
        503 => "Service Unavailable",
        504 => "Gateway Timeout",
        _ => "Error",
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn renders_the_members_of_rfc_9457_and_ours() {
        let problem = Problem::new(400, "contract.request_invalid", "the request does not fit the contract")
            .with_fields(vec![FieldProblem::new("/pin", "pattern", "must match ^\\d{14}$")]);
        assert_eq!(
            String::from_utf8(problem.to_json()).unwrap(),
            concat!(
                r#"{"type":"about:blank","title":"Bad Request","status":400,"#,
                r#""detail":"the request does not fit the contract","code":"contract.request_invalid","#,
                r#""problems":[{"pointer":"/pin","code":"pattern","message":"must match ^\\d{14}$"}]}"#
            )
        );
    }

    #[test]
    fn cuts_a_pointer_of_any_length() {
        let problem = FieldProblem::new(&format!("/{}", "ы".repeat(10_000)), "unknown", "is unknown");
        assert!(problem.pointer.len() < 520 && problem.pointer.ends_with('…'));
    }
}
