//! A contract as people read it: its operations, and what goes in and comes out of each.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};
use serde_json::Value;
use uuk_contract::Contract;

use super::description::{Classification, Edition};
use super::fields::{Field, TooManyFields, fields};
use crate::central::{Central, CentralError, Recorded};

/// A contract's operations and their fields.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Outline {
    /// Of the contract's bytes.
    pub media_type: String,
    /// In the order of the contract.
    pub operations: Vec<OutlinedOperation>,
}

/// What can be asked for.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct OutlinedOperation {
    /// `operationId`.
    pub id: String,
    /// Of HTTP.
    pub method: String,
    /// Beneath the service.
    pub path: String,
    /// What the contract calls it.
    pub summary: Option<String>,
    /// What is sent.
    pub request: Vec<OutlinedField>,
    /// What comes back.
    pub answer: Vec<OutlinedField>,
}

/// What a field is.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct OutlinedField {
    /// Its JSON Pointer in the contract: `/get/answer/surname`.
    pub pointer: String,
    /// What its values are, and whether it is always there.
    #[serde(flatten)]
    pub field: Field,
    /// What the law says about it; nothing until it is classified.
    pub class: Option<Classification>,
}

impl Recorded for Outline {
    const KIND: &'static str = "contract_outline";

    fn told(&self) -> Value {
        Value::Null
    }
}

impl Outline {
    pub(super) fn of(contract: &Contract) -> Result<Self, TooManyFields> {
        let fields = fields(contract)?;
        let side = |prefix: String| {
            let inside = format!("{prefix}/");
            let here =
                fields.iter().filter(|(pointer, _)| **pointer == prefix || pointer.starts_with(&inside));
            here.map(|(pointer, field)| OutlinedField {
                pointer: pointer.clone(),
                field: field.clone(),
                class: None,
            })
            .collect()
        };
        let operations = contract.operations().iter().map(|operation| OutlinedOperation {
            id: operation.id().to_owned(),
            method: operation.method().to_string(),
            path: operation.path().to_owned(),
            summary: operation.summary().map(str::to_owned),
            request: side(format!("/{}/request", operation.id())),
            answer: side(format!("/{}/answer", operation.id())),
        });
        Ok(Self { media_type: contract.media_type().to_owned(), operations: operations.collect() })
    }

    fn classify(&mut self, classification: &BTreeMap<String, Classification>) {
        for operation in &mut self.operations {
            for field in operation.request.iter_mut().chain(&mut operation.answer) {
                field.class = classification.get(&field.pointer).copied();
            }
        }
    }
}

impl Central {
    /// The contract of an edition as people read it, with what its description says of each field; of a contract that
    /// cannot be read, nothing.
    ///
    /// # Errors
    /// If the database cannot be used.
    pub async fn outline(&self, edition: &Edition) -> Result<Outline, CentralError> {
        let id = edition.contract.to_string();
        let mut outline = match self.record::<Outline>(&id).await? {
            Some(outline) => outline,
            None => {
                // Contracts never change, and reading one takes long enough to be done once.
                let contract = Contract::read(self.contract(edition).await?.as_bytes()).ok();
                let outline = contract.and_then(|contract| Outline::of(&contract).ok()).unwrap_or_default();
                self.keep(&id, Some(&outline)).await?;
                outline
            }
        };
        outline.classify(&edition.description.classification);
        Ok(outline)
    }
}
