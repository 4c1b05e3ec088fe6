//! One instance as the message path asks about it.

use std::collections::{HashMap, HashSet};
use std::sync::Arc;

use aws_lc_rs::digest;
use jiff::Timestamp;
use uuk_identifiers::{ClientId, ServerId};
use uuk_pki::{Authorities, Certificate};

use crate::shared_params::{CaInfo, OcspResponder, SecurityServer, SharedParameters};
use crate::{PrivateParameters, Version};

/// A file and the last instant at which it counts; without one it counts for ever.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Dated<T> {
    /// What was read.
    pub content: T,
    /// From the directory that listed the file.
    pub expires: Option<Timestamp>,
}

impl<T> Dated<T> {
    pub(crate) fn expired(&self, now: Timestamp) -> Option<Timestamp> {
        self.expires.filter(|expires| now > *expires)
    }
}

/// An instance: its parameters, and look-ups that take the same time however many servers there are.
#[derive(Debug)]
pub struct Instance {
    pub(crate) shared: Dated<SharedParameters>,
    pub(crate) private: Option<Dated<PrivateParameters>>,
    authorities: Arc<Authorities>,
    registered: HashSet<ClientId>,
    groups: HashMap<String, HashSet<ClientId>>,
    servers: HashMap<ServerId, usize>,
    servers_by_client: HashMap<ClientId, Vec<usize>>,
    servers_by_certificate: HashMap<Vec<u8>, usize>,
}

impl Instance {
    pub(crate) fn new(
        shared: Dated<SharedParameters>,
        private: Option<Dated<PrivateParameters>>,
        authorities: Authorities,
    ) -> Self {
        let mut instance = Self {
            authorities: Arc::new(authorities),
            registered: HashSet::new(),
            groups: HashMap::new(),
            servers: HashMap::new(),
            servers_by_client: HashMap::new(),
            servers_by_certificate: HashMap::new(),
            private,
            shared,
        };
        for member in &instance.shared.content.members {
            instance.registered.insert(ClientId::Member(member.id.clone()));
            let subsystems = member.subsystems.iter().map(|one| ClientId::Subsystem(one.id.clone()));
            instance.registered.extend(subsystems);
        }
        for group in &instance.shared.content.global_groups {
            let members = instance.groups.entry(group.code.clone()).or_default();
            members.extend(group.members.iter().cloned());
        }
        for (position, server) in instance.shared.content.security_servers.iter().enumerate() {
            instance.servers.insert(server.id.clone(), position);
            for hash in &server.certificate_hashes {
                instance.servers_by_certificate.insert(hash.clone(), position);
            }
            // The owner is a client of its server without being listed.
            let owner = ClientId::Member(server.id.owner.clone());
            let clients: HashSet<_> = server.clients.iter().chain([&owner]).collect();
            for client in clients {
                instance.servers_by_client.entry(client.clone()).or_default().push(position);
            }
        }
        instance
    }

    /// Its shared parameters.
    pub fn shared(&self) -> &SharedParameters {
        &self.shared.content
    }

    /// Its private parameters, which only its own members have.
    pub fn private(&self) -> Option<&PrivateParameters> {
        self.private.as_ref().map(|private| &private.content)
    }

    /// Whom it trusts for certificates and time.
    pub fn authorities(&self) -> &Arc<Authorities> {
        &self.authorities
    }

    /// Whether this member or subsystem exists.
    pub fn is_registered(&self, client: &ClientId) -> bool {
        self.registered.contains(client)
    }

    /// Whether `client`, exactly, is in the global group `code`: a member's subsystems are not in it with the member.
    pub fn is_in_global_group(&self, client: &ClientId, code: &str) -> bool {
        self.groups.get(code).is_some_and(|members| members.contains(client))
    }

    /// The registered security server.
    pub fn server(&self, id: &ServerId) -> Option<&SecurityServer> {
        self.at(*self.servers.get(id)?)
    }

    /// The security servers through which `client`, exactly, exchanges messages, in the file's order. Some may have
    /// no address or be under maintenance.
    pub fn servers_of<'s>(&'s self, client: &ClientId) -> impl Iterator<Item = &'s SecurityServer> + use<'s> {
        let positions = self.servers_by_client.get(client).map(Vec::as_slice).unwrap_or_default();
        positions.iter().filter_map(|position| self.at(*position))
    }

    /// The security server that registered this authentication certificate.
    pub fn server_of_certificate(&self, certificate: &Certificate) -> Option<&SecurityServer> {
        self.at(*self.servers_by_certificate.get(&self.certificate_hash(certificate))?)
    }

    /// Whether this authentication certificate is that of a server through which `client`, exactly, exchanges messages.
    pub fn certificate_serves(&self, certificate: &Certificate, client: &ClientId) -> bool {
        let hash = self.certificate_hash(certificate);
        self.servers_of(client).any(|server| server.certificate_hashes.contains(&hash))
    }

    /// The OCSP responders of the authority that issued `certificate`, in the order of the parameters. None if no
    /// approved authority did; names are compared as RFC 4514 strings.
    pub fn ocsp_responders<'s>(
        &'s self,
        certificate: &Certificate,
    ) -> impl Iterator<Item = &'s OcspResponder> + use<'s> {
        let issuer = certificate.issuer().to_owned();
        self.authority_infos()
            .filter(move |info| {
                Certificate::from_der(&info.certificate).is_ok_and(|ca| ca.subject() == issuer)
            })
            .flat_map(|info| &info.ocsp)
    }

    fn authority_infos(&self) -> impl Iterator<Item = &CaInfo> {
        let approved = self.shared.content.approved_cas.iter();
        approved.flat_map(|ca| std::iter::once(&ca.top).chain(&ca.intermediates))
    }

    fn at(&self, position: usize) -> Option<&SecurityServer> {
        self.shared.content.security_servers.get(position)
    }

    /// The digest under which servers register certificates: SHA-1 in V2, SHA-256 since.
    fn certificate_hash(&self, certificate: &Certificate) -> Vec<u8> {
        let algorithm = match self.shared.content.version {
            Version::V2 => &digest::SHA1_FOR_LEGACY_USE_ONLY,
            _ => &digest::SHA256,
        };
        digest::digest(algorithm, certificate.der()).as_ref().to_vec()
    }
}
