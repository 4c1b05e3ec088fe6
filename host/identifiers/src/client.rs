use crate::IdentifierError;
use crate::piece::{spoken_form, text_form};

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

    pub(crate) fn pieces(&self) -> impl Iterator<Item = &str> {
        [&self.instance, &self.class, &self.code].into_iter().map(String::as_str)
    }

    fn object_type(&self) -> &'static str {
        "MEMBER"
    }
}

text_form!(MemberId);
spoken_form!(MemberId);

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

    pub(crate) fn pieces(&self) -> impl Iterator<Item = &str> {
        self.member.pieces().chain([self.code.as_str()])
    }

    fn object_type(&self) -> &'static str {
        "SUBSYSTEM"
    }
}

text_form!(SubsystemId);
spoken_form!(SubsystemId);

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

    pub(crate) fn pieces(&self) -> impl Iterator<Item = &str> {
        let subsystem = match self {
            Self::Member(_) => None,
            Self::Subsystem(subsystem) => Some(subsystem.code.as_str()),
        };
        self.member().pieces().chain(subsystem)
    }

    fn object_type(&self) -> &'static str {
        match self {
            Self::Member(member) => member.object_type(),
            Self::Subsystem(subsystem) => subsystem.object_type(),
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
spoken_form!(ClientId);

impl From<MemberId> for ClientId {
    fn from(member: MemberId) -> Self {
        Self::Member(member)
    }
}

impl From<SubsystemId> for ClientId {
    fn from(subsystem: SubsystemId) -> Self {
        Self::Subsystem(subsystem)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn form_for_people_names_the_type_and_encodes_nothing() {
        for (text, expected) in [
            ("KG/GOV/70000001", "MEMBER:KG/GOV/70000001"),
            ("KG/GOV/70000001/b%C3%A9%20x", "SUBSYSTEM:KG/GOV/70000001/bé x"),
        ] {
            assert_eq!(text.parse::<ClientId>().unwrap().titled().to_string(), expected);
        }
    }

    #[test]
    fn checks_pieces_that_were_never_text() {
        let member = |code: &str| MemberId { instance: "KG".into(), class: "GOV".into(), code: code.into() };
        assert_eq!(member("7").checked(), Ok(member("7")));
        assert_eq!(member("").checked(), Err(IdentifierError::Empty { position: 3 }));
        assert_eq!(member("a/b").checked(), Err(IdentifierError::Forbidden { position: 3, character: '/' }));
    }

    #[test]
    fn shows_what_a_path_segment_may_show() {
        let id: ClientId = "KG/GOV/(a+b)%2C%40'*".parse().unwrap();
        assert_eq!(id.to_string(), "KG/GOV/(a+b),@'*");
    }

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
