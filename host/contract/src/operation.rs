//! One operation of a contract: what it takes, what it answers, and the check of both.

use std::collections::BTreeMap;
use std::fmt;

use serde_json::Value;

use crate::answer::{Answer, AnswerProblem};
use crate::check::Schema;
use crate::json;
use crate::limits::Limits;
use crate::media_type;
use crate::problem::{PROBLEM_MEDIA_TYPE, Problem};

/// An operation that the contract declares, compiled.
#[derive(Debug)]
pub struct Operation {
    pub(crate) id: String,
    pub(crate) method: Method,
    pub(crate) path: String,
    pub(crate) summary: Option<String>,
    /// By language.
    pub(crate) titles: BTreeMap<String, String>,
    pub(crate) parameters: Vec<Parameter>,
    pub(crate) body: Body,
    pub(crate) input: Schema,
    pub(crate) success: Success,
    /// Every declared response outside 2xx, in the order of the contract.
    pub(crate) faults: Vec<DeclaredFault>,
}

/// The HTTP methods a contract may use. `TRACE` is not among them.
#[derive(Debug, Clone, Copy, PartialEq, Eq, strum::Display, strum::EnumString, strum::IntoStaticStr)]
#[strum(serialize_all = "UPPERCASE")]
pub enum Method {
    /// `GET`
    Get,
    /// `HEAD`
    Head,
    /// `POST`
    Post,
    /// `PUT`
    Put,
    /// `PATCH`
    Patch,
    /// `DELETE`
    Delete,
    /// `OPTIONS`
    Options,
}

/// Whether a call may change something, and so whether it may be repeated without asking.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Semantics {
    /// Reads only: `GET` and `HEAD` (RFC 9110 §9.2.1).
    Safe,
    /// May change something.
    Unsafe,
}

impl Method {
    /// `GET` and `HEAD` are safe.
    pub fn semantics(self) -> Semantics {
        match self {
            Method::Get | Method::Head => Semantics::Safe,
            _ => Semantics::Unsafe,
        }
    }
}

/// A declared parameter: one member of the request document, under its own name.
#[derive(Debug, Clone, PartialEq)]
pub struct Parameter {
    /// As the contract spells it.
    pub name: String,
    /// Where a request carries it.
    pub place: Place,
    /// Type of the value, or of each item if it is a list.
    pub kind: ParameterKind,
    /// Whether a request without it is refused.
    pub required: bool,
    /// Its schema (JSON Schema 2020-12). References lead to `$defs` of [`Operation::input_schema`].
    pub schema: Value,
    /// What the contract says about it.
    pub description: Option<String>,
}

/// Where a request carries a parameter.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Place {
    /// Fills a segment of the path, counted from 0.
    Path {
        /// Number of the segment.
        segment: usize,
    },
    /// Stands in the query.
    Query {
        /// Whether and how it is a list.
        list: QueryList,
    },
    /// Is a header; the name is compared without regard to case.
    Header,
}

/// How a query parameter holds several values (style `form` of OpenAPI).
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum QueryList {
    /// One value, no list.
    No,
    /// `tag=a&tag=b`
    Repeated,
    /// `tag=a,b`; a comma inside an item comes percent-encoded.
    Commas,
}

/// Type of a parameter's value.
#[derive(Debug, Clone, Copy, PartialEq, Eq, strum::EnumString)]
#[strum(serialize_all = "lowercase")]
pub enum ParameterKind {
    /// Any text.
    String,
    /// A decimal integer of at most 64 bits, written as in JSON: no `+`, no leading zeros.
    Integer,
    /// A number written as in JSON.
    Number,
    /// `true` or `false`.
    Boolean,
}

/// What a request may carry as its body.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Body {
    /// Nothing.
    None,
    /// JSON, or nothing.
    Optional,
    /// JSON.
    Required,
}

/// The response an adapter's answer becomes: the first that the contract declares with a status of 2xx.
#[derive(Debug)]
pub(crate) struct Success {
    pub(crate) status: u16,
    /// Schema of the JSON sent, or nothing if the response has no content.
    pub(crate) content: Option<Schema>,
}

/// A response outside 2xx.
#[derive(Debug)]
pub(crate) struct DeclaredFault {
    pub(crate) status: StatusPattern,
    /// Schema of the problem document, or nothing if the contract does not restrict it.
    pub(crate) content: Option<Schema>,
}

/// For which statuses a response is declared.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum StatusPattern {
    /// One status, such as `404`.
    Exactly(u16),
    /// All of one class, such as `4XX`.
    Class(u16),
    /// All that are not declared otherwise: `default`.
    Default,
}

impl StatusPattern {
    fn covers(self, status: u16) -> bool {
        match self {
            Self::Exactly(exact) => exact == status,
            Self::Class(class) => class == status / 100,
            Self::Default => true,
        }
    }
}

impl fmt::Display for StatusPattern {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Exactly(status) => write!(formatter, "{status}"),
            Self::Class(class) => write!(formatter, "{class}XX"),
            Self::Default => formatter.write_str("default"),
        }
    }
}

impl Operation {
    /// `operationId`, as the contract spells it: a letter, then letters, digits, `-` and `_`.
    pub fn id(&self) -> &str {
        &self.id
    }

    /// HTTP method.
    pub fn method(&self) -> Method {
        self.method
    }

    /// Path template, such as `/people/{pin}`.
    pub fn path(&self) -> &str {
        &self.path
    }

    /// One line about it, if the contract has one.
    pub fn summary(&self) -> Option<&str> {
        self.summary.as_deref()
    }

    /// One line about it in each language that the contract has (`x-titles`).
    pub fn titles(&self) -> &BTreeMap<String, String> {
        &self.titles
    }

    /// Whether a call may change something.
    pub fn semantics(&self) -> Semantics {
        self.method.semantics()
    }

    /// Declared parameters, in the order of the request document.
    pub fn parameters(&self) -> &[Parameter] {
        &self.parameters
    }

    /// What a request may carry as its body.
    pub fn body(&self) -> Body {
        self.body
    }

    /// JSON Schema (2020-12) of the request document: an object with a member for each parameter and `body`.
    /// Self-contained: components of the contract stand under `$defs`, by their own names.
    pub fn input_schema(&self) -> &Value {
        self.input.source()
    }

    /// JSON Schema (2020-12) of the answer document, self-contained as [`Operation::input_schema`] is, or
    /// nothing if the answer has no content.
    pub fn output_schema(&self) -> Option<&Value> {
        self.success.content.as_ref().map(Schema::source)
    }

    /// Status of a successful answer.
    pub fn success_status(&self) -> u16 {
        self.success.status
    }

    /// The responses outside 2xx that the contract declares, with the schema of the problem document where
    /// there is one.
    pub fn declared_faults(&self) -> impl Iterator<Item = (StatusPattern, Option<&Value>)> {
        self.faults.iter().map(|fault| (fault.status, fault.content.as_ref().map(Schema::source)))
    }

    /// Checks what an adapter answered. An operation without content answers with no bytes at all.
    ///
    /// # Errors
    /// Why the answer may not leave.
    pub fn answer(&self, media_type: &str, data: Vec<u8>, limits: &Limits) -> Result<Answer, AnswerProblem> {
        let status = self.success.status;
        let Some(schema) = &self.success.content else {
            return match data.is_empty() {
                true => Ok(Answer::empty(status)),
                false => Err(AnswerProblem::ContentUndeclared),
            };
        };
        if data.len() > limits.body_bytes_max {
            return Err(AnswerProblem::TooLarge { bytes_max: limits.body_bytes_max });
        }
        if !media_type::is_json(media_type) {
            return Err(AnswerProblem::MediaType);
        }
        let value = json::read(&data, limits).map_err(|fault| AnswerProblem::Malformed(fault.into()))?;
        match schema.problems(&value) {
            problems if problems.is_empty() => Ok(Answer::new(status, media_type::JSON, data)),
            problems => Err(AnswerProblem::Invalid { problems }),
        }
    }

    /// Checks a fault that an adapter chose. The contract must declare its status, and what the contract says
    /// about the problem document, such as which values `code` has, must hold.
    ///
    /// # Errors
    /// [`AnswerProblem::FaultUndeclared`] or [`AnswerProblem::FaultInvalid`].
    pub fn fault(&self, problem: &Problem) -> Result<Answer, AnswerProblem> {
        let status = problem.status;
        let declared = self
            .faults
            .iter()
            .filter(|fault| fault.status.covers(status))
            // An exact status goes before its class, and both before `default`.
            .min_by_key(|fault| fault.status)
            .ok_or(AnswerProblem::FaultUndeclared { status })?;
        if let Some(schema) = &declared.content {
            let problems = schema.problems(&problem.to_value());
            if !problems.is_empty() {
                return Err(AnswerProblem::FaultInvalid { status, problems });
            }
        }
        Ok(Answer::new(status, PROBLEM_MEDIA_TYPE, problem.to_json()))
    }
}
