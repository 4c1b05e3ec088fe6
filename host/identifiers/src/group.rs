use std::iter;

use crate::IdentifierError;
use crate::piece::{spoken_form, text_form};

/// A group of an instance's members, kept by its operator: `instance/code`.
#[derive(Debug, Clone, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct GlobalGroupId {
    /// The X-Road instance.
    pub instance: String,
    /// The group code.
    pub code: String,
}

impl GlobalGroupId {
    fn from_pieces(pieces: Vec<String>) -> Result<Self, IdentifierError> {
        let [instance, code] = <[String; 2]>::try_from(pieces)
            .map_err(|pieces| IdentifierError::Pieces { expected: "2", found: pieces.len() })?;
        Ok(Self { instance, code })
    }

    fn pieces(&self) -> impl Iterator<Item = &str> {
        [&self.instance, &self.code].into_iter().map(String::as_str)
    }

    fn object_type(&self) -> &'static str {
        "GLOBALGROUP"
    }
}

text_form!(GlobalGroupId);
spoken_form!(GlobalGroupId);

/// A group of clients that a subsystem keeps for its own services: `code`.
#[derive(Debug, Clone, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct LocalGroupId {
    /// The group code.
    pub code: String,
}

impl LocalGroupId {
    fn from_pieces(pieces: Vec<String>) -> Result<Self, IdentifierError> {
        let [code] = <[String; 1]>::try_from(pieces)
            .map_err(|pieces| IdentifierError::Pieces { expected: "1", found: pieces.len() })?;
        Ok(Self { code })
    }

    fn pieces(&self) -> impl Iterator<Item = &str> {
        iter::once(self.code.as_str())
    }

    fn object_type(&self) -> &'static str {
        "LOCALGROUP"
    }
}

text_form!(LocalGroupId);
spoken_form!(LocalGroupId);

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn both_forms_of_groups() {
        let global: GlobalGroupId = "KG/security%20server%20owners".parse().unwrap();
        assert_eq!(global.to_string(), "KG/security%20server%20owners");
        assert_eq!(global.titled().to_string(), "GLOBALGROUP:KG/security server owners");
        let local: LocalGroupId = "clinics".parse().unwrap();
        assert_eq!(local.titled().to_string(), "LOCALGROUP:clinics");
    }

    #[test]
    fn refuses_a_local_group_of_an_instance() {
        let error = "KG/clinics".parse::<LocalGroupId>().unwrap_err();
        assert_eq!(error, IdentifierError::Pieces { expected: "1", found: 2 });
    }
}
