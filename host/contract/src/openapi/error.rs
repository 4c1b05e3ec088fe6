//! Why a contract is refused.

use crate::wsdl::WsdlError;

/// Why an OpenAPI document or a WSDL is refused. `pointer` is a JSON Pointer into the OpenAPI document, which for a WSDL is
/// the one made from it.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error, strum::IntoStaticStr)]
#[strum(serialize_all = "snake_case", prefix = "contract.")]
#[non_exhaustive]
pub enum ContractError {
    /// What only a WSDL can do wrong.
    #[error(transparent)]
    Wsdl(Box<WsdlError>),
    /// Larger than any contract should be.
    #[error("the contract is larger than {bytes_max} bytes")]
    TooLarge {
        /// The limit.
        bytes_max: usize,
    },
    /// Neither YAML nor JSON.
    #[error("the contract is not well-formed {format}, at line {line}, column {column}")]
    Syntax {
        /// `JSON` if the document begins with `{`, otherwise `YAML`.
        format: &'static str,
        /// Line, from 1; 0 if unknown.
        line: u64,
        /// Column, from 1; 0 if unknown.
        column: u64,
    },
    /// A member given twice.
    #[error("`{pointer}` is given twice")]
    DuplicateKey {
        /// The second.
        pointer: String,
    },
    /// Too deep, too many or too long values, not UTF-8, or a number without a value.
    #[error("`{pointer}` {reason}")]
    Unreadable {
        /// Where.
        pointer: String,
        /// What is too much.
        reason: String,
    },
    /// Neither OpenAPI 3.0 nor 3.1.
    #[error("OpenAPI {version} is not supported; 3.0 and 3.1 are")]
    VersionUnsupported {
        /// What the document says.
        version: String,
    },
    /// A member that must be there.
    #[error("`{pointer}` lacks `{field}`")]
    FieldMissing {
        /// The object.
        pointer: String,
        /// The member.
        field: &'static str,
    },
    /// A member that OpenAPI does not define. Extensions begin with `x-`.
    #[error("`{pointer}` has the unknown field `{field}`")]
    FieldUnknown {
        /// The object.
        pointer: String,
        /// The member.
        field: String,
    },
    /// A value of the wrong type.
    #[error("`{pointer}` must be {expected}")]
    WrongType {
        /// The value.
        pointer: String,
        /// What it must be.
        expected: &'static str,
    },
    /// A `$ref` that leaves the document.
    #[error("`{pointer}` refers to `{reference}`, outside this document")]
    ReferenceExternal {
        /// The object with the reference.
        pointer: String,
        /// The reference.
        reference: String,
    },
    /// A `$ref` to nothing, through a chain that is too long, or to a place that is not for it.
    #[error("`{pointer}` refers to `{reference}`, which {reason}")]
    ReferenceUnresolved {
        /// The object with the reference.
        pointer: String,
        /// The reference.
        reference: String,
        /// What is wrong with it.
        reason: &'static str,
    },
    /// No operation at all.
    #[error("the contract declares no operation")]
    OperationsMissing,
    /// More operations than one contract may have.
    #[error("the contract declares more than {operations_max} operations")]
    OperationsTooMany {
        /// The limit.
        operations_max: usize,
    },
    /// An `operationId` that is no name: a letter, then letters, digits, `-` and `_`, at most 64.
    #[error(
        "`{pointer}` is no name of an operation: a letter, then letters, digits, `-` and `_`, at most 64"
    )]
    OperationIdMalformed {
        /// The `operationId`.
        pointer: String,
    },
    /// Two operations of one name.
    #[error("`{pointer}` repeats the operation `{id}`")]
    OperationIdDuplicate {
        /// The second.
        pointer: String,
        /// The name.
        id: String,
    },
    /// Something that the OpenAPI specification allows and this server does not do.
    #[error("`{pointer}`: {feature} is not supported")]
    Unsupported {
        /// Where.
        pointer: String,
        /// What.
        feature: &'static str,
    },
    /// A path that could only be guessed at.
    #[error("the path `{path}` {reason}")]
    PathMalformed {
        /// The path template.
        path: String,
        /// What is wrong with it.
        reason: &'static str,
    },
    /// Two paths that fit one request, neither more concrete than the other.
    #[error("a request could fit both `{first}` and `{second}`")]
    PathsAmbiguous {
        /// One path template.
        first: String,
        /// The other.
        second: String,
    },
    /// Path parameters and path template disagree.
    #[error("`{pointer}`: the path parameter `{name}` {reason}")]
    PathParameterMismatch {
        /// The operation or parameter.
        pointer: String,
        /// Name of the parameter.
        name: String,
        /// What is wrong.
        reason: &'static str,
    },
    /// Two parameters of one name, or one called `body`.
    #[error("`{pointer}`: the name `{name}` is taken in the request document")]
    ParameterNameTaken {
        /// The parameter.
        pointer: String,
        /// Its name.
        name: String,
    },
    /// A parameter that is not plainly one string, number or boolean, or a list of them in the query.
    #[error(
        "`{pointer}` must plainly say one type: string, integer, number or boolean, or in the query an array of one"
    )]
    ParameterTypeUnclear {
        /// The schema.
        pointer: String,
    },
    /// A body or answer that is not JSON alone.
    #[error("`{pointer}` must declare {expected} and nothing else")]
    MediaTypeUnsupported {
        /// The `content`.
        pointer: String,
        /// The media type.
        expected: &'static str,
    },
    /// A body for `GET` or `HEAD`.
    #[error("`{pointer}`: a request body has no meaning for this method")]
    BodyMeaningless {
        /// The request body.
        pointer: String,
    },
    /// A response key that is no status.
    #[error("`{pointer}` is neither a status such as 404, a class such as 4XX, nor `default`")]
    StatusMalformed {
        /// The response.
        pointer: String,
    },
    /// No status to answer with.
    #[error("`{pointer}` declares no single status of success, such as 200")]
    SuccessMissing {
        /// The responses.
        pointer: String,
    },
    /// A keyword that JSON Schema, in the dialect of the document, does not have: likely a misspelling.
    #[error("`{pointer}` has the unknown keyword `{keyword}`")]
    KeywordUnknown {
        /// The schema.
        pointer: String,
        /// The keyword.
        keyword: String,
    },
    /// A schema that means nothing or contradicts its dialect.
    #[error("`{pointer}` is no valid schema: {reason}")]
    SchemaInvalid {
        /// The schema.
        pointer: String,
        /// What is wrong.
        reason: String,
    },
    /// A schema that refers to itself, or to too many others, without descending into the value.
    #[error("the schema `{name}` never ends, or takes more than {steps_max} steps for one value")]
    SchemaEndless {
        /// The component.
        name: String,
        /// The limit.
        steps_max: usize,
    },
    /// More schemas than a contract should need.
    #[error("the contract needs more than {max} {what}")]
    SchemasTooLarge {
        /// What there is too much of.
        what: &'static str,
        /// The limit.
        max: usize,
    },
}

impl From<WsdlError> for ContractError {
    fn from(error: WsdlError) -> Self {
        Self::Wsdl(Box::new(error))
    }
}

impl ContractError {
    /// Stable code, such as `contract.paths_ambiguous`.
    pub fn code(&self) -> &'static str {
        match self {
            Self::Wsdl(error) => error.code(),
            error => error.into(),
        }
    }
}
