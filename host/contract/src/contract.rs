//! A contract: its operations, and the way of a call to one of them.

use std::borrow::Cow;

use serde_json::Value;

use crate::document::{self, Document, RestCall};
use crate::limits::Limits;
use crate::media_type;
use crate::openapi::{self, ContractError};
use crate::operation::{Method, Operation};
use crate::percent;
use crate::problem::FieldProblem;
use crate::refusal::{Refusal, RequestPart};
use crate::routes::Routes;
use crate::soap::Soap;
use crate::wsdl;

/// A service contract with everything compiled that a call needs.
#[derive(Debug)]
pub struct Contract {
    pub(crate) title: String,
    pub(crate) version: String,
    /// Of its elements in XML.
    pub(crate) namespace: String,
    pub(crate) sha256: [u8; 32],
    pub(crate) source: Box<[u8]>,
    pub(crate) operations: Vec<Operation>,
    pub(crate) routes: Routes,
    /// The OpenAPI document that was made of it, if it was given as WSDL.
    pub(crate) openapi: Option<Value>,
    pub(crate) soap: Soap,
}

impl Contract {
    /// Reads a contract: a WSDL if it begins with `<`, otherwise OpenAPI.
    ///
    /// # Errors
    /// [`ContractError`]: the first thing in the document that is wrong, or that could only be guessed at.
    pub fn read(bytes: &[u8]) -> Result<Contract, ContractError> {
        if wsdl::is_wsdl(bytes) { wsdl::read(bytes) } else { openapi::read(bytes) }
    }

    /// Reads an OpenAPI 3.0 or 3.1 document, in YAML or JSON.
    ///
    /// # Errors
    /// [`ContractError`]: the first thing in the document that is wrong, or that could only be guessed at.
    pub fn from_openapi(bytes: &[u8]) -> Result<Contract, ContractError> {
        openapi::read(bytes)
    }

    /// Reads a WSDL 1.1 with the schemas in it, in UTF-8.
    ///
    /// # Errors
    /// [`ContractError::Wsdl`] names the line, what is wrong there, and what to do about it.
    pub fn from_wsdl(bytes: &[u8]) -> Result<Contract, ContractError> {
        wsdl::read(bytes)
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
        match self.openapi {
            Some(_) => media_type::XML,
            None if openapi::is_json(&self.source) => media_type::JSON,
            None => media_type::YAML,
        }
    }

    /// The contract as OpenAPI, and its media type: its source, or what was made from a WSDL.
    pub fn openapi(&self) -> (&'static str, Cow<'_, [u8]>) {
        match &self.openapi {
            Some(document) => (media_type::JSON, Cow::Owned(document.to_string().into_bytes())),
            None => (self.media_type(), Cow::Borrowed(&self.source)),
        }
    }

    /// [`Contract::openapi`] as a tree of values, with all that calls do not need.
    pub fn openapi_tree(&self) -> Value {
        match &self.openapi {
            Some(document) => document.clone(),
            // It was read from these bytes.
            None => openapi::parse(&self.source).unwrap_or_default(),
        }
    }

    /// The contract as WSDL: its source, or what was made from OpenAPI, which leaves out operations that
    /// [have no form in XML](Contract::soap_form). Clients send their messages to `address`.
    pub fn wsdl(&self, address: &str) -> Cow<'_, [u8]> {
        if self.openapi.is_some() {
            return Cow::Borrowed(&self.source);
        }
        let version = self.soap_version();
        let described =
            wsdl::Described { namespace: &self.namespace, title: &self.title, version: &version, address };
        Cow::Owned(wsdl::write(&self.soap, &described).into_bytes())
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
