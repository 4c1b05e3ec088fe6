use jiff::Timestamp;
use uuk_identifiers::{ClientId, MemberId};
use uuk_message::ManagementRequest;

use super::{ClientState, Maintenance, PendingRequest, Refusal, Registry};

/// More wait for no operator.
const PENDING_MAX: usize = 10_000;

impl Registry {
    /// Takes a request: does at once what needs no operator, keeps the rest until one decides. Answers with the number
    /// under which it is known.
    ///
    /// # Errors
    /// If it could not be approved either, or waits already.
    pub fn receive_request(&mut self, request: &ManagementRequest, now: Timestamp) -> Result<u64, Refusal> {
        if request.needs_approval() {
            self.clone().perform(request, now)?;
            if self.requests.values().any(|pending| pending.request == *request) {
                return Err(Refusal::already("pending request", request.service()));
            }
            if self.requests.len() >= PENDING_MAX {
                return Err(Refusal::TooManyRequests { count_max: PENDING_MAX });
            }
        } else {
            self.perform(request, now)?;
        }
        self.requests_received += 1;
        let number = self.requests_received;
        if request.needs_approval() {
            let pending = PendingRequest { request: request.clone(), received_at: now };
            self.requests.insert(number, pending);
        }
        Ok(number)
    }

    /// Does what a request asks for.
    ///
    /// # Errors
    /// If it does not wait, or can no longer be done.
    pub fn approve_request(&mut self, number: u64, now: Timestamp) -> Result<(), Refusal> {
        let pending = self.requests.get(&number).cloned();
        let pending = pending.ok_or_else(|| Refusal::unknown("pending request", number))?;
        self.perform(&pending.request, now)?;
        self.requests.remove(&number);
        Ok(())
    }

    /// Lets a request come to nothing.
    ///
    /// # Errors
    /// If it does not wait.
    pub fn decline_request(&mut self, number: u64) -> Result<(), Refusal> {
        let removed = self.requests.remove(&number);
        removed.map(drop).ok_or_else(|| Refusal::unknown("pending request", number))
    }

    pub(crate) fn has_requests_before(&self, before: Timestamp) -> bool {
        self.requests.values().any(|pending| pending.received_at < before)
    }

    /// Lets the requests come to nothing that came before a time.
    pub(crate) fn expire_requests(&mut self, before: Timestamp) {
        self.requests.retain(|_, pending| pending.received_at >= before);
    }

    fn perform(&mut self, request: &ManagementRequest, now: Timestamp) -> Result<(), Refusal> {
        use ManagementRequest as Request;

        match request {
            Request::AuthCertReg { server, address, certificate } => {
                match (self.servers.contains_key(server), address) {
                    (false, address) => self.add_server(server, address.as_deref())?,
                    (true, Some(address)) => self.set_server_address(server, address)?,
                    (true, None) => {}
                }
                self.add_certificate(server, certificate, now)
            }
            // Whoever deletes what is not registered yet takes the request back.
            Request::AuthCertDeletion { server, certificate } => {
                let is_same = |pending: &Request| match pending {
                    Request::AuthCertReg { server: one, certificate: other, .. } => {
                        one == server && other == certificate
                    }
                    _ => false,
                };
                match self.cancel(is_same) {
                    true => Ok(()),
                    false => self.remove_certificate(server, &certificate.sha256()),
                }
            }
            Request::ClientReg { server, client, name } => {
                if let ClientId::Subsystem(subsystem) = client
                    && !self.subsystems.contains_key(subsystem)
                {
                    self.add_subsystem(subsystem, name.as_deref())?;
                }
                self.add_client(server, client)
            }
            Request::ClientDeletion { server, client } => {
                let is_same = |pending: &Request| match pending {
                    Request::ClientReg { server: one, client: other, .. } => one == server && other == client,
                    _ => false,
                };
                match self.cancel(is_same) {
                    true => Ok(()),
                    false => self.remove_client(server, client),
                }
            }
            Request::ClientDisable { server, client } => {
                self.set_client_state(server, client, ClientState::Disabled)
            }
            Request::ClientEnable { server, client } => {
                self.set_client_state(server, client, ClientState::Enabled)
            }
            Request::ClientRename { server, client, name } => match client {
                ClientId::Subsystem(subsystem) if self.is_client(server, client) => {
                    self.rename_subsystem(subsystem, name)
                }
                _ => Err(Refusal::no_client(server, client)),
            },
            Request::OwnerChange { server, client } => self.change_owner(server, member_of(client)?),
            Request::AddressChange { server, address } => self.set_server_address(server, address),
            Request::MaintenanceModeEnable { server, message } => {
                self.set_maintenance(server, Some(Maintenance { message: message.clone() }))
            }
            Request::MaintenanceModeDisable { server } => self.set_maintenance(server, None),
        }
    }

    /// Whether a request was pending, and is no longer.
    fn cancel(&mut self, is_meant: impl Fn(&ManagementRequest) -> bool) -> bool {
        let before = self.requests.len();
        self.requests.retain(|_, pending| !is_meant(&pending.request));
        self.requests.len() < before
    }
}

/// Only a member owns servers, not its subsystem.
fn member_of(client: &ClientId) -> Result<&MemberId, Refusal> {
    match client {
        ClientId::Member(member) => Ok(member),
        ClientId::Subsystem(_) => Err(Refusal::unknown("member", client)),
    }
}
