use std::collections::{HashMap, HashSet};
use std::sync::Arc;

use serde::Deserialize;
use toml::Spanned;
use uuk_globalconf::{GrantedAccesses, Malformed, from_toml};
use uuk_identifiers::{ClientId, GlobalGroupId, LocalGroupId, ServiceId, SubsystemId};
use uuk_process::Clock;

use crate::access_rights::{AccessRights, Group, Rights, Scope, Subject};
use crate::endpoint::Endpoint;

/// The registered clients of this server, and who may call what.
///
/// The two are apart: who has a right may be a client of another server, and is not let in here as one of this server's.
#[derive(Debug, Clone, Default)]
pub struct Clients {
    /// SHA-256 of the certificates of each client's information systems.
    certificates: HashMap<ClientId, HashSet<[u8; 32]>>,
    access_rights: AccessRights,
}

/// Why the file of clients is refused; the one in force stays. Lines are counted from 1.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum ClientsError {
    /// Not TOML of the right shape.
    #[error("list of clients is not readable")]
    Malformed(#[source] Malformed),
    /// A client stands in it twice.
    #[error("line {line}: client `{client}` is listed twice")]
    Duplicate {
        /// Where for the second time.
        line: usize,
        /// The client.
        client: Box<ClientId>,
    },
    /// A certificate that it names can not be read.
    #[error("line {line}: certificate `{file}` of client `{client}` is not usable: {reason}")]
    Certificate {
        /// Where its client stands.
        line: usize,
        /// The client.
        client: Box<ClientId>,
        /// As named in the file.
        file: String,
        /// Why.
        reason: String,
    },
    /// A local group stands in it twice.
    #[error("line {line}: local group `{code}` of `{provider}` is listed twice")]
    DuplicateGroup {
        /// Where for the second time.
        line: usize,
        /// Whose group it is.
        provider: Box<SubsystemId>,
        /// Its code.
        code: LocalGroupId,
    },
    /// A right is given to a local group that the provider of the service does not have.
    #[error("line {line}: `{provider}` has no local group `{code}`")]
    UnknownGroup {
        /// Where the right stands.
        line: usize,
        /// Whose service it is for.
        provider: Box<SubsystemId>,
        /// The group's code.
        code: LocalGroupId,
    },
    /// A right is given to nobody, or to several.
    #[error("line {line}: an access right names one of `client`, `global_group` and `local_group`")]
    Subject {
        /// Where the right stands.
        line: usize,
    },
    /// A right is for nothing. Whoever empties a list may mean that, or the opposite.
    #[error("line {line}: `{key}` of an access right is empty")]
    Empty {
        /// Where the right stands.
        line: usize,
        /// The list.
        key: &'static str,
    },
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct File {
    #[serde(default)]
    client: Vec<Spanned<ClientEntry>>,
    #[serde(default)]
    local_group: Vec<Spanned<LocalGroupEntry>>,
    #[serde(default)]
    access_right: Vec<Spanned<AccessRightEntry>>,
}

/// `[[client]]`
#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct ClientEntry {
    id: ClientId,
    #[serde(default)]
    certificates: Vec<String>,
    #[serde(default)]
    services: Vec<ServiceId>,
}

/// `[[local_group]]`
#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct LocalGroupEntry {
    provider: SubsystemId,
    code: LocalGroupId,
    members: Vec<ClientId>,
}

/// `[[access_right]]`
#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct AccessRightEntry {
    client: Option<ClientId>,
    global_group: Option<GlobalGroupId>,
    local_group: Option<LocalGroupId>,
    services: Vec<ServiceId>,
    endpoints: Option<Vec<Endpoint>>,
}

type LocalGroups = HashMap<(SubsystemId, LocalGroupId), Arc<HashSet<ClientId>>>;

impl Clients {
    /// Reads the list; `certificate` gives the SHA-256 of a certificate by the file that the list names.
    ///
    /// # Errors
    /// [`ClientsError`] names the line and the entry.
    pub fn parse(
        text: &str,
        certificate: impl Fn(&str) -> Result<[u8; 32], String>,
    ) -> Result<Self, ClientsError> {
        let file: File = from_toml(text).map_err(ClientsError::Malformed)?;
        let mut clients = Self::default();
        for entry in file.client {
            let line = line_of(text, &entry);
            clients.register(line, entry.into_inner(), &certificate)?;
        }
        let mut local_groups = LocalGroups::new();
        for entry in file.local_group {
            let line = line_of(text, &entry);
            let LocalGroupEntry { provider, code, members } = entry.into_inner();
            let members = Arc::new(members.into_iter().collect());
            if local_groups.insert((provider.clone(), code.clone()), members).is_some() {
                return Err(ClientsError::DuplicateGroup { line, provider: Box::new(provider), code });
            }
        }
        for entry in file.access_right {
            let line = line_of(text, &entry);
            clients.give(line, entry.into_inner(), &local_groups)?;
        }
        Ok(clients)
    }

    fn register(
        &mut self,
        line: usize,
        entry: ClientEntry,
        certificate: impl Fn(&str) -> Result<[u8; 32], String>,
    ) -> Result<(), ClientsError> {
        let ClientEntry { id, certificates, services } = entry;
        let read = |file: &String| {
            certificate(file).map_err(|reason| ClientsError::Certificate {
                line,
                client: Box::new(id.clone()),
                file: file.clone(),
                reason,
            })
        };
        let certificates = certificates.iter().map(read).collect::<Result<_, _>>()?;
        if self.certificates.insert(id.clone(), certificates).is_some() {
            return Err(ClientsError::Duplicate { line, client: Box::new(id) });
        }
        for service in services {
            self.access_rights.give(Subject::Client(id.clone()), service, Scope::Service);
        }
        Ok(())
    }

    fn give(
        &mut self,
        line: usize,
        entry: AccessRightEntry,
        local_groups: &LocalGroups,
    ) -> Result<(), ClientsError> {
        let AccessRightEntry { client, global_group, local_group, services, endpoints } = entry;
        if services.is_empty() {
            return Err(ClientsError::Empty { line, key: "services" });
        }
        let scope = match endpoints {
            None => Scope::Service,
            Some(endpoints) if endpoints.is_empty() => {
                return Err(ClientsError::Empty { line, key: "endpoints" });
            }
            Some(endpoints) => Scope::Endpoints(endpoints.into()),
        };
        for service in services {
            let subject = match (&client, &global_group, &local_group) {
                (Some(client), None, None) => Subject::Client(client.clone()),
                (None, Some(group), None) => Subject::Group(Group::Global(group.clone())),
                (None, None, Some(code)) => {
                    let key = (service.provider.clone(), code.clone());
                    let Some(members) = local_groups.get(&key) else {
                        let (provider, code) = key;
                        return Err(ClientsError::UnknownGroup { line, provider: Box::new(provider), code });
                    };
                    Subject::Group(Group::Local(Arc::clone(members)))
                }
                _ => return Err(ClientsError::Subject { line }),
            };
            self.access_rights.give(subject, service, scope.clone());
        }
        Ok(())
    }

    /// Lets what the catalog grants count as rights to whole services, each during its period by `clock`, in place of what
    /// was granted so before.
    pub fn grant(&mut self, accesses: Arc<GrantedAccesses>, clock: Clock) {
        self.access_rights.grant(accesses, clock);
    }

    /// Takes every right away that the list gives.
    pub fn clear_rights(&mut self) {
        self.access_rights.clear();
    }

    /// Whether `client` is registered with this server.
    pub fn is_registered(&self, client: &ClientId) -> bool {
        self.certificates.contains_key(client)
    }

    /// Whether a certificate with this SHA-256 belongs to an information system of `client`.
    pub fn has_certificate(&self, client: &ClientId, sha256: &[u8; 32]) -> bool {
        self.certificates.get(client).is_some_and(|certificates| certificates.contains(sha256))
    }

    /// What `client`, registered here or elsewhere, may call of `service`. `is_in_global_group` says of which global groups
    /// it is a member.
    pub fn rights(
        &self,
        client: &ClientId,
        service: &ServiceId,
        is_in_global_group: impl Fn(&GlobalGroupId) -> bool,
    ) -> Rights<'_> {
        self.access_rights.find(client, service, is_in_global_group)
    }

    /// All certificates of all clients: who may open a TLS connection.
    pub fn certificates(&self) -> impl Iterator<Item = &[u8; 32]> {
        self.certificates.values().flatten()
    }
}

/// The line at which an entry begins.
fn line_of<T>(text: &str, entry: &Spanned<T>) -> usize {
    text.get(..entry.span().start).unwrap_or_default().matches('\n').count() + 1
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use uuk_globalconf::GrantedAccess;

    use super::*;
    use crate::ServicePath;

    const FILE: &str = "[[client]]\nid = 'KG/GOV/70000002/portal'\ncertificates = ['portal.pem']\n\
        services = ['KG/GOV/70000001/registry/person']\n";
    const GROUP: &str = "[[local_group]]\nprovider = 'KG/GOV/70000001/registry'\ncode = 'clinics'\n\
        members = ['KG/COM/80000001/clinic']\n";

    fn parse(text: &str) -> Result<Clients, ClientsError> {
        Clients::parse(text, |file| match file {
            "portal.pem" => Ok([7; 32]),
            _ => Err("no such file".into()),
        })
    }

    /// A list with this right to the service `person`.
    fn right(lines: &str) -> String {
        format!("{GROUP}[[access_right]]\nservices = ['KG/GOV/70000001/registry/person']\n{lines}\n")
    }

    fn may_call(text: &str, client: &str, call: &str) -> bool {
        let (method, target) = call.split_once(' ').unwrap();
        let (service, path) = target.split_once('/').unwrap();
        let service = format!("KG/GOV/70000001/registry/{service}").parse().unwrap();
        let path = ServicePath::decode(&format!("/{path}")).unwrap();
        let health = "KG/health".parse().unwrap();
        let clients = parse(text).unwrap();
        clients.rights(&client.parse().unwrap(), &service, |group| *group == health).cover(method, &path)
    }

    fn refused(text: &str) -> String {
        parse(text).unwrap_err().to_string()
    }

    #[test]
    fn a_client_may_call_only_what_is_listed() {
        assert!(may_call(FILE, "KG/GOV/70000002/portal", "GET person/1"));
        assert!(!may_call(FILE, "KG/GOV/70000002/portal", "GET vehicle/1"));
        assert!(!may_call(FILE, "KG/GOV/70000002", "GET person/1"));
    }

    #[test]
    fn what_the_catalog_grants_adds_up_or_stands_alone_and_ends_by_the_clock() {
        let (portal, other) = ("KG/GOV/70000002/portal", "KG/GOV/70000005/other");
        let person = "KG/GOV/70000001/registry/person".parse().unwrap();
        let [from, until] = ["2026-01-01T00:00:00Z", "2026-02-01T00:00:00Z"].map(|at| at.parse().unwrap());
        let access = GrantedAccess { client: other.parse().unwrap(), from, until };
        let clock = Clock::set_to(from);
        let mut clients = parse(FILE).unwrap();
        clients.grant(Arc::new([(ServiceId::clone(&person), access)].into_iter().collect()), clock.clone());
        let may_call = |clients: &Clients, client: &str| {
            clients.rights(&client.parse().unwrap(), &person, |_| false).cover_service()
        };
        assert!(may_call(&clients, portal) && may_call(&clients, other), "both");
        clients.clear_rights();
        assert!(!may_call(&clients, portal) && may_call(&clients, other), "the catalog alone");
        clock.advance(Duration::from_hours(24 * 32));
        assert!(!may_call(&clients, other), "it is over");
    }

    #[test]
    fn a_right_of_a_client_does_not_register_it() {
        let text = right("client = 'KG/GOV/70000005/other'");
        assert!(may_call(&text, "KG/GOV/70000005/other", "GET person/1"));
        assert!(!parse(&text).unwrap().is_registered(&"KG/GOV/70000005/other".parse().unwrap()));
    }

    #[test]
    fn a_right_for_endpoints_is_for_no_others() {
        let text = right("client = 'KG/GOV/70000005/other'\nendpoints = ['GET /people/*', '* /visits/**']");
        let may_call = |call| may_call(&text, "KG/GOV/70000005/other", call);
        assert!(may_call("GET person/people/1") && may_call("POST person/visits/1/notes"));
        assert!(!may_call("POST person/people/1") && !may_call("GET person/people/1/address"));
    }

    #[test]
    fn only_a_right_for_the_service_is_for_all_of_it() {
        let service = "KG/GOV/70000001/registry/person".parse().unwrap();
        let all = |text: &str, client: &str| {
            parse(text).unwrap().rights(&client.parse().unwrap(), &service, |_| false).cover_service()
        };
        assert!(all(FILE, "KG/GOV/70000002/portal"));
        let text = right("client = 'KG/GOV/70000005/other'\nendpoints = ['* **']");
        assert!(!all(&text, "KG/GOV/70000005/other"));
    }

    #[test]
    fn a_right_of_a_global_group_is_for_its_members() {
        assert!(may_call(&right("global_group = 'KG/health'"), "KG/GOV/70000005/other", "GET person/1"));
        assert!(!may_call(&right("global_group = 'KG/police'"), "KG/GOV/70000005/other", "GET person/1"));
    }

    #[test]
    fn a_right_of_a_local_group_is_for_its_members() {
        let text = right("local_group = 'clinics'");
        assert!(may_call(&text, "KG/COM/80000001/clinic", "GET person/1"));
        assert!(!may_call(&text, "KG/COM/80000001", "GET person/1"));
    }

    #[test]
    fn rights_add_up() {
        let first = right("client = 'KG/COM/80000001/clinic'\nendpoints = ['GET /people/*']");
        let second = right("local_group = 'clinics'\nendpoints = ['GET /visits']").replace(GROUP, "");
        let text = first + &second;
        assert!(may_call(&text, "KG/COM/80000001/clinic", "GET person/people/1"));
        assert!(may_call(&text, "KG/COM/80000001/clinic", "GET person/visits"));
    }

    #[test]
    fn the_member_is_not_its_subsystem() {
        let clients = parse(FILE).unwrap();
        assert!(!clients.is_registered(&"KG/GOV/70000002".parse().unwrap()));
    }

    #[test]
    fn a_certificate_belongs_to_its_client_only() {
        let clients = parse(FILE).unwrap();
        assert!(clients.has_certificate(&"KG/GOV/70000002/portal".parse().unwrap(), &[7; 32]));
        assert!(!clients.has_certificate(&"KG/GOV/70000002/portal".parse().unwrap(), &[8; 32]));
        assert!(!clients.has_certificate(&"KG/GOV/70000003/portal".parse().unwrap(), &[7; 32]));
    }

    #[test]
    fn refuses_a_client_listed_twice() {
        assert_eq!(refused(&FILE.repeat(2)), "line 5: client `KG/GOV/70000002/portal` is listed twice");
    }

    #[test]
    fn refuses_a_certificate_that_can_not_be_read() {
        let said = refused(&FILE.replace("portal.pem", "other.pem"));
        assert!(
            said.starts_with("line 1: certificate `other.pem` of client `KG/GOV/70000002/portal`"),
            "{said}"
        );
    }

    #[test]
    fn refuses_a_local_group_listed_twice() {
        let said = "line 5: local group `clinics` of `KG/GOV/70000001/registry` is listed twice";
        assert_eq!(refused(&GROUP.repeat(2)), said);
    }

    #[test]
    fn refuses_a_right_of_a_local_group_of_another_provider() {
        let text = right("local_group = 'clinics'").replace("registry/person", "archive/person");
        assert_eq!(refused(&text), "line 5: `KG/GOV/70000001/archive` has no local group `clinics`");
    }

    #[test]
    fn refuses_a_right_of_nobody() {
        assert!(refused(&right("")).starts_with("line 5: an access right names one of"));
    }

    #[test]
    fn refuses_a_right_of_two() {
        let text = right("client = 'KG/GOV/70000005/other'\nglobal_group = 'KG/health'");
        assert!(refused(&text).starts_with("line 5: an access right names one of"));
    }

    #[test]
    fn refuses_a_right_for_no_service() {
        let text = "[[access_right]]\nclient = 'KG/GOV/70000005/other'\nservices = []";
        assert_eq!(refused(text), "line 1: `services` of an access right is empty");
    }

    #[test]
    fn refuses_a_right_for_no_endpoint() {
        let text = right("client = 'KG/GOV/70000005/other'\nendpoints = []");
        assert_eq!(refused(&text), "line 5: `endpoints` of an access right is empty");
    }

    #[test]
    fn refuses_an_endpoint_that_is_none_with_its_line() {
        let text = right("client = 'KG/GOV/70000005/other'\nendpoints = ['GET people']");
        let Err(ClientsError::Malformed(malformed)) = parse(&text) else { panic!("it is taken") };
        assert_eq!(malformed.line, 8);
        assert!(malformed.reason.contains("does not begin with `/`"), "{malformed}");
    }

    #[test]
    fn refuses_an_unknown_key() {
        assert!(matches!(parse(&right("group = 'KG/health'")), Err(ClientsError::Malformed(_))));
    }
}
