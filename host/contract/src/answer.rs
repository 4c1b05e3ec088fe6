//! What leaves: an adapter's answer or fault after the check.

use std::fmt;

use crate::problem::FieldProblem;

/// A response that the contract allows. It can only come from [`crate::Operation::answer`] or
/// [`crate::Operation::fault`].
#[derive(Clone, PartialEq, Eq)]
pub struct Answer {
    status: u16,
    media_type: Option<&'static str>,
    body: Vec<u8>,
}

impl Answer {
    pub(crate) fn new(status: u16, media_type: &'static str, body: Vec<u8>) -> Answer {
        Answer { status, media_type: Some(media_type), body }
    }

    pub(crate) fn empty(status: u16) -> Answer {
        Answer { status, media_type: None, body: Vec::new() }
    }

    /// HTTP status.
    pub fn status(&self) -> u16 {
        self.status
    }

    /// Media type of the body, or nothing if there is no content.
    pub fn media_type(&self) -> Option<&'static str> {
        self.media_type
    }

    /// The body, exactly as the adapter wrote it.
    pub fn body(&self) -> &[u8] {
        &self.body
    }

    /// The body, exactly as the adapter wrote it.
    pub fn into_body(self) -> Vec<u8> {
        self.body
    }
}

/// Without the body, which may hold personal data.
impl fmt::Debug for Answer {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter
            .debug_struct("Answer")
            .field("status", &self.status)
            .field("media_type", &self.media_type)
            .field("size_bytes", &self.body.len())
            .finish()
    }
}

/// Why an adapter's answer or fault may not leave.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error, strum::IntoStaticStr)]
#[strum(serialize_all = "snake_case", prefix = "contract.answer_")]
#[non_exhaustive]
pub enum AnswerProblem {
    /// Longer than the limits allow.
    #[error("the answer is longer than {bytes_max} bytes")]
    TooLarge {
        /// The limit.
        bytes_max: usize,
    },
    /// Not `application/json`.
    #[error("the answer is not application/json")]
    MediaType,
    /// Bytes where the contract declares no content.
    #[error("the answer has content, the contract declares none")]
    ContentUndeclared,
    /// Not JSON, or JSON beyond the limits.
    #[error("the answer at `{}` {}", .0.pointer, .0.message)]
    Malformed(FieldProblem),
    /// Does not fit the schema.
    #[error("the answer does not fit the contract{}", first(.problems))]
    Invalid {
        /// Every field at fault, at most 64.
        problems: Vec<FieldProblem>,
    },
    /// Holds what a SOAP message cannot.
    #[error("the answer has no form in XML{}", first(.problems))]
    NotInXml {
        /// The field at fault.
        problems: Vec<FieldProblem>,
    },
    /// A fault with a status the contract does not declare.
    #[error("the contract declares no response for a fault of status {status}")]
    FaultUndeclared {
        /// The status.
        status: u16,
    },
    /// A fault that does not fit what the contract says about its status.
    #[error("the fault does not fit the response the contract declares for status {status}{}", first(.problems))]
    FaultInvalid {
        /// The status.
        status: u16,
        /// Every field of the problem document at fault, at most 64.
        problems: Vec<FieldProblem>,
    },
}

impl AnswerProblem {
    /// Stable code, such as `contract.answer_invalid`.
    pub fn code(&self) -> &'static str {
        self.into()
    }
}

fn first(problems: &[FieldProblem]) -> String {
    match problems.first() {
        Some(problem) => format!(": `{}` {}", problem.pointer, problem.message),
        None => String::new(),
    }
}
