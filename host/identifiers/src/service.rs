use crate::piece::{spoken_form, text_form};
use crate::{ClientId, IdentifierError, MemberId, SubsystemId};

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

    fn pieces(&self) -> impl Iterator<Item = &str> {
        self.provider.pieces().chain([self.code.as_str()])
    }

    fn object_type(&self) -> &'static str {
        "SERVICE"
    }
}

text_form!(ServiceId);
spoken_form!(ServiceId);

/// A service as SOAP names it: of a member or a subsystem, with a version or without.
///
/// It has no text form: in `a/b/c/d/e`, `d` could be a subsystem or a service.
#[derive(Debug, Clone, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct SoapServiceId {
    /// Who answers.
    pub provider: ClientId,
    /// The service code.
    pub code: String,
    /// The version of the service, which is no part of access rights.
    pub version: Option<String>,
}

impl SoapServiceId {
    fn pieces(&self) -> impl Iterator<Item = &str> {
        self.provider.pieces().chain([self.code.as_str()]).chain(self.version.as_deref())
    }

    fn object_type(&self) -> &'static str {
        "SERVICE"
    }

    /// The same service without its version, if a subsystem offers it.
    pub fn unversioned(&self) -> Option<ServiceId> {
        match &self.provider {
            ClientId::Subsystem(provider) => {
                Some(ServiceId { provider: provider.clone(), code: self.code.clone() })
            }
            ClientId::Member(_) => None,
        }
    }
}

spoken_form!(SoapServiceId);

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn text_form_round_trips() {
        let id: ServiceId = "KG/GOV/70000001/registry/person".parse().unwrap();
        assert_eq!(id.to_string(), "KG/GOV/70000001/registry/person");
    }

    #[test]
    fn form_for_people_ends_with_the_version() {
        let provider: ClientId = "KG/GOV/70000001".parse().unwrap();
        let service = SoapServiceId { provider, code: "person".into(), version: Some("v1".into()) };
        assert_eq!(service.titled().to_string(), "SERVICE:KG/GOV/70000001/person/v1");
        assert_eq!(service.unversioned(), None);
    }
}
