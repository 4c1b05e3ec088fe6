//! A place in an OpenAPI document.

use serde_json::{Map, Value};

use super::ContractError;
use crate::json;

/// Longest chain of references from one place.
const REFERENCES_MAX: usize = 8;

/// A value of the document together with where it stands, so that every refusal can say so.
#[derive(Debug, Clone)]
pub(super) struct Node<'d> {
    root: &'d Value,
    value: &'d Value,
    pointer: String,
}

impl<'d> Node<'d> {
    pub(super) fn root(root: &'d Value) -> Node<'d> {
        Node { root, value: root, pointer: String::new() }
    }

    pub(super) fn value(&self) -> &'d Value {
        self.value
    }

    /// Pointer fit for an error.
    pub(super) fn pointer(&self) -> String {
        json::excerpt(&self.pointer).into_owned()
    }

    pub(super) fn object(&self) -> Result<&'d Map<String, Value>, ContractError> {
        self.value.as_object().ok_or_else(|| self.must_be("an object"))
    }

    /// The members of an object, as places.
    pub(super) fn members(&self) -> Result<impl Iterator<Item = (&'d str, Node<'d>)>, ContractError> {
        Ok(self.object()?.iter().map(|(name, value)| (name.as_str(), self.child(name, value))))
    }

    /// The items of an array, as places.
    pub(super) fn items(&self) -> Result<impl Iterator<Item = Node<'d>>, ContractError> {
        let items = self.value.as_array().ok_or_else(|| self.must_be("an array"))?;
        Ok(items.iter().enumerate().map(|(index, item)| self.child(&index.to_string(), item)))
    }

    pub(super) fn get(&self, field: &str) -> Option<Node<'d>> {
        Some(self.child(field, self.value.get(field)?))
    }

    pub(super) fn require(&self, field: &'static str) -> Result<Node<'d>, ContractError> {
        self.object()?;
        self.get(field).ok_or_else(|| ContractError::FieldMissing { pointer: self.pointer(), field })
    }

    pub(super) fn text(&self) -> Result<&'d str, ContractError> {
        self.value.as_str().ok_or_else(|| self.must_be("a string"))
    }

    /// The text of a member that may be missing.
    pub(super) fn optional_text(&self, field: &str) -> Result<Option<&'d str>, ContractError> {
        self.get(field).map(|node| node.text()).transpose()
    }

    /// The truth of a member, false if it is missing.
    pub(super) fn flag(&self, field: &str) -> Result<bool, ContractError> {
        self.get(field)
            .map_or(Ok(false), |node| node.value.as_bool().ok_or_else(|| node.must_be("`true` or `false`")))
    }

    /// Refuses members that are neither among `fields` nor extensions.
    pub(super) fn allow_only(&self, fields: &[&str]) -> Result<(), ContractError> {
        match self.object()?.keys().find(|name| !name.starts_with("x-") && !fields.contains(&name.as_str())) {
            Some(unknown) => {
                Err(ContractError::FieldUnknown { pointer: self.pointer(), field: unknown.clone() })
            }
            None => Ok(()),
        }
    }

    /// Follows `$ref` to the object that is meant.
    pub(super) fn resolve(&self) -> Result<Node<'d>, ContractError> {
        let mut node = self.clone();
        for _ in 0..REFERENCES_MAX {
            let Some(reference) = node.optional_text("$ref")? else { return Ok(node) };
            node.allow_only(&["$ref", "summary", "description"])?;
            node = node.target(reference)?;
        }
        Err(self.unresolved("", "is one of a chain of too many references"))
    }

    /// The place a reference leads to.
    pub(super) fn target(&self, reference: &str) -> Result<Node<'d>, ContractError> {
        let Some(pointer) = reference.strip_prefix('#') else {
            return Err(ContractError::ReferenceExternal {
                pointer: self.pointer(),
                reference: json::excerpt(reference).into_owned(),
            });
        };
        match self.root.pointer(pointer) {
            Some(value) => Ok(Node { root: self.root, value, pointer: pointer.to_owned() }),
            None => Err(self.unresolved(reference, "is not there")),
        }
    }

    pub(super) fn unresolved(&self, reference: &str, reason: &'static str) -> ContractError {
        ContractError::ReferenceUnresolved {
            pointer: self.pointer(),
            reference: json::excerpt(reference).into_owned(),
            reason,
        }
    }

    pub(super) fn must_be(&self, expected: &'static str) -> ContractError {
        ContractError::WrongType { pointer: self.pointer(), expected }
    }

    pub(super) fn unsupported(&self, feature: &'static str) -> ContractError {
        ContractError::Unsupported { pointer: self.pointer(), feature }
    }

    fn child(&self, step: &str, value: &'d Value) -> Node<'d> {
        let mut pointer = self.pointer.clone();
        json::push_step(&mut pointer, step);
        Node { root: self.root, value, pointer }
    }
}
