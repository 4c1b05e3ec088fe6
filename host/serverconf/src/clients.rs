use std::collections::{HashMap, HashSet};

use serde::Deserialize;
use uuk_globalconf::{Malformed, from_toml};
use uuk_identifiers::{ClientId, ServiceId};

/// The registered clients of this server, and what each may call.
#[derive(Debug, Clone, Default)]
pub struct Clients {
    clients: HashMap<ClientId, Client>,
}

#[derive(Debug, Clone, Default)]
struct Client {
    /// SHA-256 of the certificates of its information systems.
    certificates: HashSet<[u8; 32]>,
    services: HashSet<ServiceId>,
}

/// Why the file of clients is refused; the one in force stays.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum ClientsError {
    /// Not TOML of the right shape.
    #[error("list of clients is not readable")]
    Malformed(#[source] Malformed),
    /// A client stands in it twice.
    #[error("client `{client}` is listed twice")]
    Duplicate {
        /// The client.
        client: Box<ClientId>,
    },
    /// A certificate that it names can not be read.
    #[error("certificate `{file}` of client `{client}` is not usable: {reason}")]
    Certificate {
        /// The client.
        client: Box<ClientId>,
        /// As named in the file.
        file: String,
        /// Why.
        reason: String,
    },
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct File {
    #[serde(default)]
    client: Vec<Entry>,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Entry {
    id: ClientId,
    #[serde(default)]
    certificates: Vec<String>,
    #[serde(default)]
    services: Vec<ServiceId>,
}

impl Clients {
    /// Reads the list; `certificate` gives the SHA-256 of a certificate by the file that the list names.
    ///
    /// # Errors
    /// [`ClientsError`] names the line, the client or the file.
    pub fn parse(
        text: &str,
        certificate: impl Fn(&str) -> Result<[u8; 32], String>,
    ) -> Result<Self, ClientsError> {
        let file: File = from_toml(text).map_err(ClientsError::Malformed)?;
        let mut clients = HashMap::new();
        for Entry { id, certificates, services } in file.client {
            let read = |file: &String| {
                certificate(file).map_err(|reason| ClientsError::Certificate {
                    client: Box::new(id.clone()),
                    file: file.clone(),
                    reason,
                })
            };
            let certificates = certificates.iter().map(read).collect::<Result<_, _>>()?;
            let client = Client { certificates, services: services.into_iter().collect() };
            if clients.insert(id.clone(), client).is_some() {
                return Err(ClientsError::Duplicate { client: Box::new(id) });
            }
        }
        Ok(Self { clients })
    }

    /// Whether `client` is registered with this server.
    pub fn is_registered(&self, client: &ClientId) -> bool {
        self.clients.contains_key(client)
    }

    /// Whether a certificate with this SHA-256 belongs to an information system of `client`.
    pub fn has_certificate(&self, client: &ClientId, sha256: &[u8; 32]) -> bool {
        self.clients.get(client).is_some_and(|client| client.certificates.contains(sha256))
    }

    /// Whether `client` may call `service`.
    pub fn may_call(&self, client: &ClientId, service: &ServiceId) -> bool {
        self.clients.get(client).is_some_and(|client| client.services.contains(service))
    }

    /// All certificates of all clients: who may open a TLS connection.
    pub fn certificates(&self) -> impl Iterator<Item = &[u8; 32]> {
        self.clients.values().flat_map(|client| &client.certificates)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const FILE: &str = "[[client]]\nid = 'KG/GOV/70000002/portal'\ncertificates = ['portal.pem']\n\
        services = ['KG/GOV/70000001/registry/person']\n";

    fn parse(text: &str) -> Result<Clients, ClientsError> {
        Clients::parse(text, |file| match file {
            "portal.pem" => Ok([7; 32]),
            _ => Err("no such file".into()),
        })
    }

    #[test]
    fn a_client_may_call_only_what_is_listed() {
        let clients = parse(FILE).unwrap();
        let portal = "KG/GOV/70000002/portal".parse().unwrap();
        assert!(clients.may_call(&portal, &"KG/GOV/70000001/registry/person".parse().unwrap()));
        assert!(!clients.may_call(&portal, &"KG/GOV/70000001/registry/vehicle".parse().unwrap()));
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
        assert!(matches!(parse(&FILE.repeat(2)), Err(ClientsError::Duplicate { .. })));
    }

    #[test]
    fn refuses_a_certificate_that_can_not_be_read() {
        let error = parse(&FILE.replace("portal.pem", "other.pem")).unwrap_err();
        assert!(matches!(error, ClientsError::Certificate { file, .. } if file == "other.pem"));
    }
}
