use crate::piece::text_form;
use crate::{IdentifierError, MemberId, SubsystemId};

/// A service of a subsystem: `instance/class/code/subsystem/service`. Over REST it carries no version.
#[derive(Debug, Clone, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct ServiceId {
    /// Who answers.
    pub provider: SubsystemId,
    /// The service code.
    pub code: String,
}

impl ServiceId {
    fn from_pieces(pieces: Vec<String>) -> Result<Self, IdentifierError> {
        let [instance, class, member, subsystem, code] = <[String; 5]>::try_from(pieces)
            .map_err(|pieces| IdentifierError::Pieces { expected: "5", found: pieces.len() })?;
        let member = MemberId { instance, class, code: member };
        Ok(Self { provider: SubsystemId { member, code: subsystem }, code })
    }

    fn pieces(&self) -> Vec<&str> {
        let SubsystemId { member, code: subsystem } = &self.provider;
        vec![&member.instance, &member.class, &member.code, subsystem, &self.code]
    }
}

text_form!(ServiceId);

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

    fn pieces(&self) -> Vec<&str> {
        vec![&self.owner.instance, &self.owner.class, &self.owner.code, &self.code]
    }
}

text_form!(ServerId);

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn text_form_round_trips() {
        let id: ServiceId = "KG/GOV/70000001/registry/person".parse().unwrap();
        assert_eq!(id.to_string(), "KG/GOV/70000001/registry/person");
    }
}
