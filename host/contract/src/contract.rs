//! A contract: its operations, and the way of a call to one of them.

use crate::document::{self, Document, RestCall};
use crate::limits::Limits;
use crate::media_type;
use crate::openapi::{self, ContractError};
use crate::operation::{Method, Operation};
use crate::percent;
use crate::problem::FieldProblem;
use crate::refusal::{Refusal, RequestPart};
use crate::routes::Routes;

/// A service contract with everything compiled that a call needs.
#[derive(Debug)]
pub struct Contract {
    pub(crate) title: String,
    pub(crate) version: String,
    pub(crate) sha256: [u8; 32],
    pub(crate) source: Box<[u8]>,
    pub(crate) operations: Vec<Operation>,
    pub(crate) routes: Routes,
}

impl Contract {
    /// Reads an OpenAPI 3.0 or 3.1 document, in YAML or JSON.
    ///
    /// # Errors
    /// [`ContractError`]: the first thing in the document that is wrong, or that could only be guessed at.
    pub fn from_openapi(bytes: &[u8]) -> Result<Contract, ContractError> {
        openapi::read(bytes)
    }

    /// `info.title`.
    pub fn title(&self) -> &str {
        &self.title
    }

    /// `info.version`.
    pub fn version(&self) -> &str {
        &self.version
    }

    /// SHA-256 of the exact bytes the contract was read from.
    pub fn sha256(&self) -> [u8; 32] {
        self.sha256
    }

    /// The exact bytes the contract was read from.
    pub fn source(&self) -> &[u8] {
        &self.source
    }

    /// The media type of [`Contract::source`].
    pub fn media_type(&self) -> &'static str {
        if openapi::is_json(&self.source) { media_type::JSON } else { media_type::YAML }
    }

    /// Every operation, in the order of the document.
    pub fn operations(&self) -> &[Operation] {
        &self.operations
    }

    /// The operation of this `operationId`.
    pub fn operation(&self, id: &str) -> Option<&Operation> {
        self.operations.iter().find(|operation| operation.id == id)
    }

    /// Finds the operation of a call and turns the call into the document its adapter receives.
    ///
    /// # Errors
    /// [`Refusal`]: everything about the call that does not fit the contract.
    pub fn document(&self, call: &RestCall<'_>, limits: &Limits) -> Result<(&Operation, Document), Refusal> {
        document::check_size(RequestPart::Path, call.path.len(), limits.path_bytes_max)?;
        let segments = percent::path_segments(call.path).map_err(|reason| Refusal::Invalid {
            problems: vec![FieldProblem::new("", "path", format!("has a path that {reason}"))],
        })?;
        let methods = self.routes.find(&segments).ok_or(Refusal::PathUnknown)?;
        let method = call.method.parse::<Method>().ok();
        let operation = methods
            .iter()
            .find(|(declared, _)| Some(*declared) == method)
            .and_then(|(_, index)| self.operations.get(*index))
            .ok_or_else(|| Refusal::MethodNotAllowed {
                allowed: methods.iter().map(|(declared, _)| *declared).collect(),
            })?;
        let document = document::assemble(operation, &segments, call, limits)?;
        Ok((operation, document))
    }
}
