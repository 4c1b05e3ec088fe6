use std::net::SocketAddr;
use std::path::Path;

use serde::Deserialize;
use uuk_central::MailAddress;
use uuk_transport::{ClientAuthentication, IdentityFiles, ListenerConfig, ListenerLimits};

use crate::openid::OpenIdConfig;

const TEXT_CHARS_MAX: usize = 200;

/// Section `[console]`: pages and API for people.
#[derive(Debug, Clone, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct ConsoleConfig {
    /// Address and port. Without `identity` on loopback only, for this machine or a reverse proxy with TLS. Port 0 lets
    /// the system choose. Default: `127.0.0.1:8090`.
    pub address: SocketAddr,
    /// Certificate and key, with which it is served over TLS. Default: none, plain HTTP.
    pub identity: Option<IdentityFiles>,
    /// Bounds on what visitors may hold.
    pub limits: ListenerLimits,
    /// The provider with which people may sign in. Default: none, passwords only.
    pub openid: Option<OpenIdConfig>,
    /// How the operator's people are reached for help; it stands below every page. Default: none.
    pub contact: Option<ContactConfig>,
}

/// Section `[console.contact]`.
#[derive(Debug, Clone, Default, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct ContactConfig {
    /// As people dial it: `+996 312 000000`. Default: none.
    pub phone: Option<String>,
    /// Default: none.
    pub mail: Option<MailAddress>,
    /// When somebody is there, in the operator's words. Default: none.
    pub hours: Option<String>,
}

impl Default for ConsoleConfig {
    fn default() -> Self {
        let address = SocketAddr::from(([127, 0, 0, 1], 8090));
        Self { address, identity: None, limits: ListenerLimits::default(), openid: None, contact: None }
    }
}

impl ConsoleConfig {
    /// Makes the files it names relative to `folder`, where it was read.
    pub fn resolve(&mut self, folder: &Path) {
        if let Some(identity) = &mut self.identity {
            identity.resolve(folder);
        }
        if let Some(openid) = &mut self.openid {
            openid.resolve(folder);
        }
    }

    /// What the types cannot say.
    pub fn problems(&self) -> Vec<String> {
        let openid = self.openid.as_ref().map(OpenIdConfig::problems).unwrap_or_default();
        let contact = self.contact.as_ref().and_then(ContactConfig::problem);
        openid.into_iter().chain(contact.map(str::to_owned)).collect()
    }

    pub(crate) fn listener(self) -> ListenerConfig {
        let Self { address, identity, limits, openid: _, contact: _ } = self;
        let authentication = match identity {
            Some(_) => ClientAuthentication::Tls,
            None => ClientAuthentication::None,
        };
        let (client_certificates, client_authorities) = Default::default();
        ListenerConfig { address, authentication, identity, client_certificates, client_authorities, limits }
    }
}

impl ContactConfig {
    /// What `tel:` links take (RFC 3966): digits and a leading plus.
    pub(crate) fn phone_digits(&self) -> Option<String> {
        let phone = self.phone.as_ref()?;
        Some(phone.chars().filter(|it| it.is_ascii_digit() || *it == '+').collect())
    }

    fn problem(&self) -> Option<&'static str> {
        let is_odd = |text: &String| {
            text.trim().is_empty() || text.chars().count() > TEXT_CHARS_MAX || text.contains(char::is_control)
        };
        if self.phone.is_none() && self.mail.is_none() {
            return Some("console.contact names neither phone nor mail");
        }
        if self.phone_digits().is_some_and(|digits| digits.len() < 3) {
            return Some("console.contact.phone is no number to dial");
        }
        let texts = [&self.phone, &self.hours];
        let odd = texts.into_iter().flatten().any(is_odd);
        odd.then_some("a text of console.contact is empty, of several lines, or of more than 200 characters")
    }
}

#[cfg(test)]
mod tests {
    use serde_json::{Value, json};

    use super::*;

    #[track_caller]
    fn check(contact: &Value, problem: Option<&str>) {
        let config: ConsoleConfig = serde_json::from_value(json!({ "contact": contact })).unwrap();
        let problems = config.problems();
        assert_eq!(problems.len(), usize::from(problem.is_some()), "{contact}: {problems:?}");
        assert!(problems.iter().all(|told| told.contains(problem.unwrap())), "{contact}: {problems:?}");
    }

    #[test]
    fn a_contact_is_one_that_people_reach() {
        check(&json!({ "phone": "+996 312 000000", "hours": "9–18" }), None);
        check(&json!({ "mail": "help@example.kg" }), None);
        check(&json!({ "hours": "9–18" }), Some("neither phone nor mail"));
        check(&json!({ "phone": "ask Aigul" }), Some("no number"));
        check(&json!({ "mail": "help@example.kg", "hours": " " }), Some("empty"));
        check(&json!({ "phone": "+996 312\n000000" }), Some("several lines"));
    }
}
