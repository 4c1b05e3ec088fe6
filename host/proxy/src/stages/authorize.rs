//! Whether this is the client, and whether it may call this service.

use uuk_identifiers::ClientId;
use uuk_serverconf::Clients;
use uuk_transport::Peer;

use crate::fault::Refusal;
use crate::stages::receive::Head;

/// Checks that `client` is registered here, and that the connection is one of its information systems', where they have to
/// show a certificate.
pub(crate) fn system(
    clients: &Clients,
    client: &ClientId,
    by_certificate: Option<&Peer>,
) -> Result<(), Refusal> {
    if !clients.is_registered(client) {
        return Err(Refusal::UnknownClient);
    }
    if let Some(peer) = by_certificate {
        let certificate = peer.certificate.as_ref().ok_or(Refusal::ClientCertificate)?;
        if !clients.has_certificate(client, certificate.sha256()) {
            return Err(Refusal::ClientCertificate);
        }
    }
    Ok(())
}

/// Checks the client's right to the service.
pub(crate) fn client(clients: &Clients, head: &Head) -> Result<(), Refusal> {
    if clients.may_call(&head.client, &head.service) { Ok(()) } else { Err(Refusal::AccessDenied) }
}
