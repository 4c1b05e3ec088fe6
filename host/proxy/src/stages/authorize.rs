//! Whether this is the client, and whether it may call this service.

use uuk_identifiers::{ClientId, GlobalGroupId};
use uuk_serverconf::{Clients, ServicePath};
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

/// Checks the client's right to what it calls: the service, or this endpoint of it. `is_in_global_group` says of which global
/// groups the client is a member.
pub(crate) fn client(
    clients: &Clients,
    head: &Head,
    is_in_global_group: impl Fn(&GlobalGroupId) -> bool,
) -> Result<(), Refusal> {
    // Before matching, and whatever the right: no service gets a path that others could read differently.
    let path = ServicePath::decode(head.path()).map_err(|reason| Refusal::AmbiguousPath { reason })?;
    let rights = clients.rights(&head.client, &head.service, is_in_global_group);
    if rights.cover(head.method(), &path) { Ok(()) } else { Err(Refusal::AccessDenied) }
}
