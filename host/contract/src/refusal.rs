//! Why a call is not passed to an adapter.

use crate::operation::Method;
use crate::problem::{FieldProblem, Problem};

/// Why a call is refused before any adapter sees it.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error, strum::IntoStaticStr)]
#[strum(serialize_all = "snake_case", prefix = "contract.request_")]
#[non_exhaustive]
pub enum Refusal {
    /// No path template of the contract fits.
    #[error("the contract has no such path")]
    PathUnknown,
    /// The path exists, the method is not declared for it.
    #[error("the contract does not declare this method for this path")]
    MethodNotAllowed {
        /// The methods it declares, for the header `Allow`.
        allowed: Vec<Method>,
    },
    /// The body is not what the contract says it must be: `application/json` in UTF-8, not compressed.
    #[error("the body must be application/json in UTF-8, without a content encoding")]
    MediaTypeUnsupported,
    /// Path, query, headers or body do not fit the contract.
    #[error("the request does not fit the contract")]
    Invalid {
        /// Every field at fault, at most 64.
        problems: Vec<FieldProblem>,
    },
    /// The path, query or body is longer than the limits allow.
    #[error("the {part} is longer than {bytes_max} bytes")]
    TooLarge {
        /// Which part.
        part: RequestPart,
        /// The limit it exceeds.
        bytes_max: usize,
    },
}

/// A part of a request that has a limit of its own.
#[derive(Debug, Clone, Copy, PartialEq, Eq, strum::Display)]
#[strum(serialize_all = "lowercase")]
pub enum RequestPart {
    /// The path after the service code.
    Path,
    /// What follows `?`.
    Query,
    /// The body.
    Body,
}

impl Refusal {
    /// Stable code, such as `contract.request_invalid`.
    pub fn code(&self) -> &'static str {
        self.into()
    }

    /// HTTP status.
    pub fn status(&self) -> u16 {
        match self {
            Self::PathUnknown => 404,
            Self::MethodNotAllowed { .. } => 405,
            Self::MediaTypeUnsupported => 415,
            Self::Invalid { .. } => 400,
            Self::TooLarge { part: RequestPart::Body, .. } => 413,
            Self::TooLarge { .. } => 414,
        }
    }

    /// What the caller is told.
    pub fn problem(&self) -> Problem {
        let problem = Problem::new(self.status(), self.code(), self.to_string());
        match self {
            Self::Invalid { problems } => problem.with_fields(problems.clone()),
            _ => problem,
        }
    }
}
