use crate::IdentifierError;
use crate::piece::text_form;

/// A member: `instance/class/code`.
#[derive(Debug, Clone, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct MemberId {
    /// The X-Road instance.
    pub instance: String,
    /// The member class, such as `GOV`.
    pub class: String,
    /// The member code.
    pub code: String,
}

impl MemberId {
    fn from_pieces(pieces: Vec<String>) -> Result<Self, IdentifierError> {
        let [instance, class, code] = <[String; 3]>::try_from(pieces)
            .map_err(|pieces| IdentifierError::Pieces { expected: "3", found: pieces.len() })?;
        Ok(Self { instance, class, code })
    }

    fn pieces(&self) -> Vec<&str> {
        vec![&self.instance, &self.class, &self.code]
    }
}

text_form!(MemberId);

/// A subsystem of a member: `instance/class/code/subsystem`.
#[derive(Debug, Clone, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct SubsystemId {
    /// Its member.
    pub member: MemberId,
    /// The subsystem code.
    pub code: String,
}

impl SubsystemId {
    fn from_pieces(pieces: Vec<String>) -> Result<Self, IdentifierError> {
        let [instance, class, member, code] = <[String; 4]>::try_from(pieces)
            .map_err(|pieces| IdentifierError::Pieces { expected: "4", found: pieces.len() })?;
        Ok(Self { member: MemberId { instance, class, code: member }, code })
    }

    fn pieces(&self) -> Vec<&str> {
        let mut pieces = self.member.pieces();
        pieces.push(&self.code);
        pieces
    }
}

text_form!(SubsystemId);

/// Who sends a request: a member or one of its subsystems, three or four pieces.
#[derive(Debug, Clone, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum ClientId {
    /// A member itself.
    Member(MemberId),
    /// A subsystem.
    Subsystem(SubsystemId),
}

impl ClientId {
    fn from_pieces(pieces: Vec<String>) -> Result<Self, IdentifierError> {
        match pieces.len() {
            3 => MemberId::from_pieces(pieces).map(Self::Member),
            4 => SubsystemId::from_pieces(pieces).map(Self::Subsystem),
            found => Err(IdentifierError::Pieces { expected: "3 or 4", found }),
        }
    }

    fn pieces(&self) -> Vec<&str> {
        match self {
            Self::Member(member) => member.pieces(),
            Self::Subsystem(subsystem) => subsystem.pieces(),
        }
    }

    /// The member it is or belongs to.
    pub fn member(&self) -> &MemberId {
        match self {
            Self::Member(member) => member,
            Self::Subsystem(subsystem) => &subsystem.member,
        }
    }
}

text_form!(ClientId);

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn text_form_round_trips_with_encoding() {
        let id: ClientId = "KG/GOV/70000001/b%C3%A9%20x".parse().unwrap();
        assert_eq!(id.to_string(), "KG/GOV/70000001/b%C3%A9%20x");
    }

    #[test]
    fn comparison_is_case_sensitive() {
        assert_ne!("KG/GOV/1".parse::<ClientId>().unwrap(), "kg/GOV/1".parse::<ClientId>().unwrap());
    }

    #[test]
    fn refuses_two_pieces() {
        assert_eq!(
            "KG/GOV".parse::<ClientId>().unwrap_err(),
            IdentifierError::Pieces { expected: "3 or 4", found: 2 }
        );
    }
}
