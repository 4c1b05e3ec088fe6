//! Whether this client may call this service.

use uuk_serverconf::Clients;
use uuk_transport::Peer;

use crate::fault::Refusal;
use crate::stages::receive::Head;

/// Checks registration, certificate (where clients have to show one) and access right, in X-Road's order.
pub(crate) fn client(clients: &Clients, head: &Head, by_certificate: Option<&Peer>) -> Result<(), Refusal> {
    if !clients.is_registered(&head.client) {
        return Err(Refusal::UnknownClient);
    }
    if let Some(peer) = by_certificate {
        let certificate = peer.certificate.as_ref().ok_or(Refusal::ClientCertificate)?;
        if !clients.has_certificate(&head.client, certificate.sha256()) {
            return Err(Refusal::ClientCertificate);
        }
    }
    if !clients.may_call(&head.client, &head.service) {
        return Err(Refusal::AccessDenied);
    }
    Ok(())
}
