//! Whether this is the client, and whether it may call this service.

use uuk_globalconf::Catalog;
use uuk_identifiers::{ClientId, GlobalGroupId, ServiceId, SoapServiceId};
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

/// As [`client`], for SOAP: there is a right to the whole service, whatever its version, or none.
pub(crate) fn soap_client(
    clients: &Clients,
    client: &ClientId,
    service: &SoapServiceId,
    is_in_global_group: impl Fn(&GlobalGroupId) -> bool,
) -> Result<(), Refusal> {
    let service = service.unversioned().ok_or(Refusal::AccessDenied)?;
    let rights = clients.rights(client, &service, is_in_global_group);
    if rights.cover_service() { Ok(()) } else { Err(Refusal::AccessDenied) }
}

/// Checks that a call of a service that gives out data about people says what for.
pub(crate) fn purpose(catalog: &Catalog, service: &ServiceId, is_said: bool) -> Result<(), Refusal> {
    match catalog.service(service).is_some_and(|service| service.personal) && !is_said {
        true => Err(Refusal::NoPurpose),
        false => Ok(()),
    }
}

#[cfg(test)]
mod tests {
    use http::Request;

    use super::*;
    use crate::provider::Door;
    use crate::stages::receive;

    /// What becomes of a call by a client who may call everything, or only `GET /people/*`.
    fn refused(path: &str, endpoints: &str) -> Option<&'static str> {
        let text = format!(
            "[[access_right]]\nclient = 'KG/GOV/70000002/portal'\n\
             services = ['KG/GOV/70000001/registry/person']\n{endpoints}"
        );
        let clients = Clients::parse(&text, |_| Err("no certificates".into())).unwrap();
        let request = Request::get(format!("/r1/KG/GOV/70000001/registry/person{path}"))
            .header("x-road-client", "KG/GOV/70000002/portal");
        let (head, ()) = receive::head(Door::Client, request.body(()).unwrap()).ok().unwrap();
        client(&clients, &head, |_| false).err().map(|refusal| refusal.code())
    }

    #[test]
    fn the_path_that_is_authorised_is_the_one_the_service_gets() {
        assert_eq!(refused("/people/%31", "endpoints = ['GET /people/1']"), None);
        assert_eq!(refused("/people/%2531", "endpoints = ['GET /people/1']"), Some("proxy.access_denied"));
    }

    #[test]
    fn refuses_an_encoded_slash_whatever_the_right() {
        for endpoints in ["", "endpoints = ['* **']"] {
            assert_eq!(refused("/people%2f1", endpoints), Some("proxy.ambiguous_path"));
            assert_eq!(refused("/people/a%5Cb", endpoints), Some("proxy.ambiguous_path"));
        }
    }

    #[test]
    fn refuses_encoded_traversal_whatever_the_right() {
        for endpoints in ["", "endpoints = ['* **']"] {
            assert_eq!(refused("/people/%2e%2e/secrets", endpoints), Some("proxy.ambiguous_path"));
            assert_eq!(refused("/people/.%2E/secrets", endpoints), Some("proxy.ambiguous_path"));
        }
    }
}
