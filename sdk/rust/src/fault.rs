//! Faults: how to make them, and what the errors of capabilities become.

use std::fmt;

use crate::bindings::uuk::adapter::{http::HttpError, sql::SqlError};
use crate::{Fault, FaultKind, FieldProblem};

impl Fault {
    /// A fault with its code, which the contract declares, and words for the caller.
    pub fn new(kind: FaultKind, code: impl Into<String>, message: impl Into<String>) -> Self {
        Self {
            kind,
            code: code.into(),
            message: message.into(),
            problems: Vec::new(),
            retry_after_ms: None,
            diagnostic: None,
        }
    }

    /// What was asked about does not exist.
    pub fn not_found(code: impl Into<String>, message: impl Into<String>) -> Self {
        Self::new(FaultKind::NotFound, code, message)
    }

    /// The request is well-formed but wrong in itself.
    pub fn bad_input(code: impl Into<String>, message: impl Into<String>) -> Self {
        Self::new(FaultKind::BadInput, code, message)
    }

    /// The request contradicts what is recorded.
    pub fn conflict(code: impl Into<String>, message: impl Into<String>) -> Self {
        Self::new(FaultKind::Conflict, code, message)
    }

    /// The adapter itself failed; `diagnostic` goes to the plugin's log, never to the caller.
    pub fn internal(code: impl Into<String>, diagnostic: impl fmt::Display) -> Self {
        Self::new(FaultKind::Internal, code, "the service failed to answer").diagnostic(diagnostic)
    }

    /// Adds a field of the request that is wrong; `pointer` is a JSON Pointer into the request document.
    #[must_use]
    pub fn problem(
        mut self,
        pointer: impl Into<String>,
        code: impl Into<String>,
        message: impl Into<String>,
    ) -> Self {
        self.problems.push(FieldProblem {
            pointer: pointer.into(),
            code: code.into(),
            message: message.into(),
        });
        self
    }

    /// Adds what only the plugin's log may say.
    #[must_use]
    pub fn diagnostic(mut self, diagnostic: impl fmt::Display) -> Self {
        self.diagnostic = Some(diagnostic.to_string());
        self
    }
}

/// Turns the absence of something into a fault.
pub trait OrNotFound<T> {
    /// The value, or a fault of kind not-found.
    ///
    /// # Errors
    /// The fault, if there is no value.
    fn or_not_found(self, code: impl Into<String>, message: impl Into<String>) -> Result<T, Fault>;
}

impl<T> OrNotFound<T> for Option<T> {
    fn or_not_found(self, code: impl Into<String>, message: impl Into<String>) -> Result<T, Fault> {
        self.ok_or_else(|| Fault::not_found(code, message))
    }
}

/// A value that is none of those the contract lists.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct UnknownValue {
    expected: &'static str,
    value: String,
}

impl UnknownValue {
    /// `value` is none of those that type `expected` lists.
    #[must_use]
    pub fn new(expected: &'static str, value: &str) -> Self {
        Self { expected, value: value.to_owned() }
    }
}

impl fmt::Display for UnknownValue {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(formatter, "`{}` is no {}", self.value, self.expected)
    }
}

impl std::error::Error for UnknownValue {}

impl From<UnknownValue> for Fault {
    fn from(error: UnknownValue) -> Self {
        Self::internal("UNKNOWN_VALUE", error)
    }
}

impl From<serde_json::Error> for Fault {
    fn from(error: serde_json::Error) -> Self {
        Self::internal("UNREADABLE_DOCUMENT", error)
    }
}

impl From<SqlError> for Fault {
    fn from(error: SqlError) -> Self {
        let (kind, code, message) = match &error {
            SqlError::Deadline => {
                (FaultKind::UpstreamTimeout, "DATABASE_TIMEOUT", "the database did not answer in time")
            }
            SqlError::Busy | SqlError::Unavailable(_) => {
                (FaultKind::UpstreamUnavailable, "DATABASE_UNAVAILABLE", "the database cannot be reached")
            }
            _ => return Self::internal("DATABASE_ERROR", error),
        };
        Self::new(kind, code, message).diagnostic(error)
    }
}

impl From<HttpError> for Fault {
    fn from(error: HttpError) -> Self {
        let (kind, code, message) = match &error {
            HttpError::Deadline => {
                (FaultKind::UpstreamTimeout, "UPSTREAM_TIMEOUT", "the upstream did not answer in time")
            }
            HttpError::Busy
            | HttpError::Dns
            | HttpError::Connect
            | HttpError::Tls(_)
            | HttpError::Protocol(_) => {
                (FaultKind::UpstreamUnavailable, "UPSTREAM_UNAVAILABLE", "the upstream cannot be reached")
            }
            _ => return Self::internal("UPSTREAM_ERROR", error),
        };
        Self::new(kind, code, message).diagnostic(error)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn absence_becomes_not_found() {
        let fault = None::<u8>.or_not_found("PERSON_NOT_FOUND", "nobody").unwrap_err();
        assert_eq!((fault.kind, fault.code.as_str()), (FaultKind::NotFound, "PERSON_NOT_FOUND"));
    }

    #[test]
    fn what_went_wrong_in_the_database_stays_out_of_the_message() {
        let fault = Fault::from(SqlError::Unavailable("cannot connect to 10.0.0.7".into()));
        assert_eq!(fault.kind, FaultKind::UpstreamUnavailable);
        assert!(!fault.message.contains("10.0.0.7"));
        assert!(fault.diagnostic.is_some_and(|diagnostic| diagnostic.contains("10.0.0.7")));
    }

    #[test]
    fn a_slow_upstream_is_a_timeout_and_a_refused_one_an_internal_fault() {
        assert_eq!(Fault::from(HttpError::Deadline).kind, FaultKind::UpstreamTimeout);
        assert_eq!(Fault::from(HttpError::NotGranted("POST".into())).kind, FaultKind::Internal);
    }
}
