use jiff::Timestamp;
use uuk_identifiers::{ClientId, MemberId, ServerId};
use uuk_pki::{CertificateUse, Der, Sha256};

use super::{ClientState, Maintenance, Refusal, Registry, Server, check_address, check_text};

/// A server has two while it changes from one to the next.
const CERTIFICATES_MAX: usize = 10;

impl Registry {
    /// Adds a security server, without certificates and clients yet.
    ///
    /// # Errors
    /// If it is there, or its owner is not, or the address is none.
    pub fn add_server(&mut self, id: &ServerId, address: Option<&str>) -> Result<(), Refusal> {
        let id = id.clone().checked()?;
        address.map_or(Ok(()), check_address)?;
        if !self.members.contains_key(&id.owner) {
            return Err(Refusal::unknown("member", &id.owner));
        }
        if self.servers.contains_key(&id) {
            return Err(Refusal::already("security server", &id));
        }
        self.servers.insert(id, Server { address: address.map(str::to_owned), ..Server::default() });
        Ok(())
    }

    /// Removes a security server with its certificates and registrations.
    ///
    /// # Errors
    /// If it is not there.
    pub fn remove_server(&mut self, id: &ServerId) -> Result<(), Refusal> {
        self.servers.remove(id).map(drop).ok_or_else(|| Refusal::unknown("security server", id))
    }

    /// Moves a security server.
    ///
    /// # Errors
    /// If it is not there, or the address is none.
    pub fn set_server_address(&mut self, id: &ServerId, address: &str) -> Result<(), Refusal> {
        check_address(address)?;
        self.server_mut(id)?.address = Some(address.to_owned());
        Ok(())
    }

    /// Says that a server is being maintained, or no longer.
    ///
    /// # Errors
    /// If it is not there, or the message is no text.
    pub fn set_maintenance(
        &mut self,
        id: &ServerId,
        maintenance: Option<Maintenance>,
    ) -> Result<(), Refusal> {
        if let Some(message) = maintenance.as_ref().and_then(|maintenance| maintenance.message.as_deref()) {
            check_text("message", message)?;
        }
        self.server_mut(id)?.maintenance = maintenance;
        Ok(())
    }

    /// Gives a security server to another member that is its client. The old owner stays a client.
    ///
    /// # Errors
    /// If the server is not there, the member is no client of it, or has a server of that code.
    pub fn change_owner(&mut self, id: &ServerId, owner: &MemberId) -> Result<(), Refusal> {
        let new = ServerId { owner: owner.clone(), code: id.code.clone() };
        if self.servers.contains_key(&new) {
            return Err(Refusal::already("security server", &new));
        }
        let client = ClientId::Member(owner.clone());
        let server = self.server(id)?;
        if !server.clients.contains_key(&client) {
            return Err(Refusal::no_client(id, &client));
        }
        let Some(mut server) = self.servers.remove(id) else { return Ok(()) };
        server.clients.remove(&client);
        server.clients.insert(ClientId::Member(id.owner.clone()), ClientState::Enabled);
        self.servers.insert(new, server);
        Ok(())
    }

    /// Registers an authentication certificate of a server.
    ///
    /// # Errors
    /// If the server is not there, the certificate does not lead at `now` to an approved authority, is not for
    /// authentication, or is a server's already.
    pub fn add_certificate(
        &mut self,
        id: &ServerId,
        certificate: &Der,
        now: Timestamp,
    ) -> Result<(), Refusal> {
        let server = self.server(id)?;
        if server.certificates.len() >= CERTIFICATES_MAX {
            let server = Box::new(id.clone());
            return Err(Refusal::TooManyCertificates { server, count_max: CERTIFICATES_MAX });
        }
        self.check_certificate(certificate, now)?;
        self.server_mut(id)?.certificates.insert(certificate.clone());
        Ok(())
    }

    /// Whether an authentication certificate could be registered.
    pub(crate) fn check_certificate(&self, certificate: &Der, now: Timestamp) -> Result<(), Refusal> {
        let registered = self.servers.iter().find(|(_, server)| server.certificates.contains(certificate));
        if let Some((server, _)) = registered {
            let (certificate, server) = (certificate.sha256(), Box::new(server.clone()));
            return Err(Refusal::CertificateTaken { certificate, server });
        }
        let parsed = certificate.certificate()?;
        self.authorities().path(&parsed, CertificateUse::Authentication, now)?;
        Ok(())
    }

    /// Removes an authentication certificate: no other server accepts it once it knows.
    ///
    /// # Errors
    /// If server or certificate is not there.
    pub fn remove_certificate(&mut self, id: &ServerId, certificate: &Sha256) -> Result<(), Refusal> {
        let server = self.server_mut(id)?;
        let before = server.certificates.len();
        server.certificates.retain(|registered| registered.sha256() != *certificate);
        match server.certificates.len() < before {
            true => Ok(()),
            false => Err(Refusal::unknown("certificate", certificate)),
        }
    }

    /// Lets a member or subsystem exchange messages through a server.
    ///
    /// # Errors
    /// If one of them is not there, or it does already.
    pub fn add_client(&mut self, id: &ServerId, client: &ClientId) -> Result<(), Refusal> {
        self.check_client(client)?;
        if matches!(client, ClientId::Member(member) if *member == id.owner) {
            let (server, client) = (Box::new(id.clone()), Box::new(client.clone()));
            return Err(Refusal::OwnerIsClient { server, client });
        }
        let server = self.server_mut(id)?;
        if server.clients.contains_key(client) {
            return Err(Refusal::already("client", client));
        }
        server.clients.insert(client.clone(), ClientState::Enabled);
        Ok(())
    }

    /// Ends what [`Registry::add_client`] began.
    ///
    /// # Errors
    /// If it is no client there.
    pub fn remove_client(&mut self, id: &ServerId, client: &ClientId) -> Result<(), Refusal> {
        let removed = self.server_mut(id)?.clients.remove(client);
        removed.map(drop).ok_or_else(|| Refusal::no_client(id, client))
    }

    /// Has a client rest, or go on.
    ///
    /// # Errors
    /// If it is no client there.
    pub fn set_client_state(
        &mut self,
        id: &ServerId,
        client: &ClientId,
        state: ClientState,
    ) -> Result<(), Refusal> {
        let found = self.server_mut(id)?.clients.get_mut(client);
        *found.ok_or_else(|| Refusal::no_client(id, client))? = state;
        Ok(())
    }

    pub(super) fn is_client(&self, id: &ServerId, client: &ClientId) -> bool {
        self.servers.get(id).is_some_and(|server| server.clients.contains_key(client))
    }

    fn server(&self, id: &ServerId) -> Result<&Server, Refusal> {
        self.servers.get(id).ok_or_else(|| Refusal::unknown("security server", id))
    }

    fn server_mut(&mut self, id: &ServerId) -> Result<&mut Server, Refusal> {
        self.servers.get_mut(id).ok_or_else(|| Refusal::unknown("security server", id))
    }
}
