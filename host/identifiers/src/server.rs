use crate::piece::{spoken_form, text_form};
use crate::{IdentifierError, MemberId};

/// A security server: `instance/class/code/server`.
#[derive(Debug, Clone, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct ServerId {
    /// Who answers for it.
    pub owner: MemberId,
    /// The server code.
    pub code: String,
}

impl ServerId {
    fn from_pieces(pieces: Vec<String>) -> Result<Self, IdentifierError> {
        let [instance, class, member, code] = <[String; 4]>::try_from(pieces)
            .map_err(|pieces| IdentifierError::Pieces { expected: "4", found: pieces.len() })?;
        Ok(Self { owner: MemberId { instance, class, code: member }, code })
    }

    fn pieces(&self) -> impl Iterator<Item = &str> {
        self.owner.pieces().chain([self.code.as_str()])
    }

    fn object_type(&self) -> &'static str {
        "SERVER"
    }
}

text_form!(ServerId);
spoken_form!(ServerId);

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn both_forms_name_owner_and_server() {
        let id: ServerId = "KG/GOV/70000001/ss1".parse().unwrap();
        assert_eq!(id.to_string(), "KG/GOV/70000001/ss1");
        assert_eq!(id.titled().to_string(), "SERVER:KG/GOV/70000001/ss1");
    }
}
