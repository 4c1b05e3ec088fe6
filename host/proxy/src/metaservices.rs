//! What security servers say of an instance and of their services, to whoever asks: no right is needed for it.
//!
//! Source: X-Road PR-META and PR-MREST, `messages.md` section 6 of the reference notes.

use std::sync::Arc;

use bytes::Bytes;
use http::{HeaderMap, HeaderValue, Method, Request, Response, header};
use http_body_util::Full;
use serde::Serialize;
use uuid::Uuid;
use uuk_contract::{Contract, percent};
use uuk_identifiers::{ClientId, GlobalGroupId, MemberId, ServiceId, SoapServiceId, SubsystemId};
use uuk_message::{Header, PartHeaders, SoapError, SoapHeader, SoapMessage};
use uuk_serverconf::ServicePath;

use crate::exchange::Attachment;
use crate::fault::Refusal;
use crate::provider::{Conditions, Provider};
use crate::related::Related;
use crate::spool::Spooled;
use crate::stages::catalog;
use crate::stages::receive::Head;
use crate::trust::Trust;

/// The address in a generated WSDL: each client has its own server, and puts that in its place.
const CLIENTS_OWN_SERVER: &str = "http://localhost/";

/// The members and subsystems of an instance, which a client proxy tells by itself.
pub(crate) const LIST_CLIENTS: &str = "/listClients";

/// The namespaces of X-Road's messages and identifiers, by the prefixes that it uses itself.
pub(crate) const XML_NAMESPACES: &str = "xmlns:xroad=\"http://x-road.eu/xsd/xroad.xsd\" \
                              xmlns:id=\"http://x-road.eu/xsd/identifiers\"";

/// A service that every provider's server answers by itself, called with GET like one of its own.
#[derive(Debug, Clone, Copy, PartialEq, Eq, strum::EnumString)]
#[strum(serialize_all = "camelCase")]
pub(crate) enum Metaservice {
    /// What the provider offers.
    ListMethods,
    /// What of it the client may call.
    AllowedMethods,
    /// The contract of one of its services.
    #[strum(serialize = "getOpenAPI")]
    GetOpenApi,
}

/// The answer of `listMethods` and `allowedMethods`.
#[derive(Debug, Serialize)]
struct ServiceList<'a> {
    service: Vec<ListedService<'a>>,
}

#[derive(Debug, Serialize)]
struct ListedService<'a> {
    member_class: &'a str,
    member_code: &'a str,
    object_type: &'static str,
    service_code: &'a str,
    service_type: &'static str,
    subsystem_code: &'a str,
    xroad_instance: &'a str,
    endpoint_list: Vec<ListedEndpoint>,
}

#[derive(Debug, Serialize)]
struct ListedEndpoint {
    method: &'static str,
    path: String,
}

/// The answer of `listClients`.
#[derive(Debug, Serialize)]
struct ClientList<'a> {
    member: Vec<ListedClient<'a>>,
}

#[derive(Debug, Serialize)]
struct ListedClient<'a> {
    id: ListedId<'a>,
    name: &'a str,
    #[serde(skip_serializing_if = "Option::is_none")]
    subsystem_name: Option<&'a str>,
}

#[derive(Debug, Serialize)]
struct ListedId<'a> {
    member_class: &'a str,
    member_code: &'a str,
    object_type: &'static str,
    #[serde(skip_serializing_if = "Option::is_none")]
    subsystem_code: Option<&'a str>,
    xroad_instance: &'a str,
}

impl Metaservice {
    /// The one that a request calls, if it calls one.
    pub(crate) fn called_by(head: &Head) -> Option<Self> {
        if head.method() == Method::GET.as_str() { head.service.code.parse().ok() } else { None }
    }

    /// Answers from catalog, contracts and rights. `is_in_global_group` says of which global groups the client is a member.
    pub(crate) fn answer(
        self,
        provider: &Provider,
        conditions: &Conditions,
        head: &Head,
        is_in_global_group: impl Fn(&GlobalGroupId) -> bool,
    ) -> Result<Response<Full<Bytes>>, Refusal> {
        if self == Self::GetOpenApi {
            return contract(provider, conditions, head);
        }
        let lists_all = self == Self::ListMethods;
        let mut service: Vec<_> = offered(provider, conditions, &head.service.provider)
            .filter_map(|(id, contract)| {
                let rights = conditions.clients.rights(&head.client, id, &is_in_global_group);
                let is_listed = |method: &str, path: &_| lists_all || rights.cover(method, path);
                (lists_all || !rights.is_empty())
                    .then(|| ListedService::new(id, contract.as_deref(), is_listed))
            })
            .collect();
        service.sort_unstable_by_key(|listed| listed.service_code);
        Ok(respond("application/json", json(&ServiceList { service })))
    }
}

/// A metaservice that every provider's server answers by itself in SOAP. What it lists are services of SOAP.
#[derive(Debug, Clone, Copy, PartialEq, Eq, strum::EnumString)]
#[strum(serialize_all = "camelCase")]
pub(crate) enum SoapMetaservice {
    /// What the provider offers.
    ListMethods,
    /// What of it the client may call.
    AllowedMethods,
    /// The description of one of its services.
    GetWsdl,
}

/// What a metaservice answers in SOAP, and the media type of that.
pub(crate) type SoapAnswer = (String, Related);

impl SoapMetaservice {
    /// The one that a request calls, if it calls one.
    pub(crate) fn called_by(request: &SoapMessage) -> Option<Self> {
        request.header().service.code.parse().ok()
    }

    /// Answers `request` with an envelope like its own. `is_in_global_group` says of which global groups the client is a member.
    pub(crate) fn answer(
        self,
        provider: &Provider,
        conditions: &Conditions,
        (headers, request): (&PartHeaders, &SoapMessage),
        is_in_global_group: impl Fn(&GlobalGroupId) -> bool,
    ) -> Result<SoapAnswer, Refusal> {
        let content_type = headers.content_type.clone().unwrap_or_else(|| "text/xml".to_owned());
        let headers = PartHeaders::of_type(content_type.as_str());
        if self == Self::GetWsdl {
            let (message, wsdl) = description(provider, conditions, request)?;
            let related = format!("multipart/related; type=\"text/xml\"; boundary=\"{}\"", Uuid::new_v4());
            let attachments = vec![wsdl];
            return Ok((related, Related { headers, message: message.into(), attachments }));
        }
        let message = self.list(conditions, request, is_in_global_group).map_err(of_request)?;
        Ok((content_type, Related { headers, message: message.into(), attachments: Vec::new() }))
    }

    fn list(
        self,
        conditions: &Conditions,
        request: &SoapMessage,
        is_in_global_group: impl Fn(&GlobalGroupId) -> bool,
    ) -> Result<SoapMessage, SoapError> {
        let SoapHeader { client, service, .. } = request.header();
        let may_call =
            |id: &ServiceId| conditions.clients.rights(client, id, &is_in_global_group).cover_service();
        let mut listed: Vec<_> = conditions
            .backends
            .soap_services()
            .filter(|id| id.provider == service.provider)
            .filter(|id| self == Self::ListMethods || id.unversioned().is_some_and(|id| may_call(&id)))
            .collect();
        listed.sort_unstable();

        let name = format!("xroad:{}Response", service.code);
        let mut xml = format!("<{name} {XML_NAMESPACES}>");
        for SoapServiceId { provider, code, version } in listed {
            xml += "<xroad:service id:objectType=\"SERVICE\">";
            client_elements(&mut xml, provider);
            element(&mut xml, "id:serviceCode", code);
            if let Some(version) = version {
                element(&mut xml, "id:serviceVersion", version);
            }
            xml += "</xroad:service>";
        }
        request.with_body(&format!("{xml}</{name}>"))
    }
}

/// Answers `getWsdl`: the request again, and the description beside it. X-Road rewrites the addresses in it; here it is what
/// the operator wants given out.
fn description(
    provider: &Provider,
    conditions: &Conditions,
    request: &SoapMessage,
) -> Result<(SoapMessage, Attachment), Refusal> {
    let [code, version] = request.body_texts(["serviceCode", "serviceVersion"]).map_err(of_request)?;
    let code = code.ok_or(Refusal::NoServiceCode)?;
    let mut xml = format!("<xroad:getWsdlResponse {XML_NAMESPACES}>");
    element(&mut xml, "xroad:serviceCode", &code);
    if let Some(version) = &version {
        element(&mut xml, "xroad:serviceVersion", version);
    }
    let message = request.with_body(&format!("{xml}</xroad:getWsdlResponse>")).map_err(of_request)?;

    let service = SoapServiceId { provider: request.header().service.provider.clone(), code, version };
    let wsdl = match conditions.backends.find_soap(&service) {
        Ok(backend) => backend.wsdl.clone().ok_or(Refusal::UnknownService)?,
        Err(unknown) => {
            let (_, contract) = provider.soap_service(conditions, &service).ok_or(unknown)?;
            contract.wsdl(CLIENTS_OWN_SERVER).into_owned().into()
        }
    };
    let id = Header::new("Content-ID", format!("<wsdl={}@x-road.eu>", Uuid::new_v4()));
    let headers = PartHeaders { others: vec![id], ..PartHeaders::of_type("text/xml") };
    Ok((message, Attachment { headers, content: Spooled::of(wsdl) }))
}

fn of_request(error: SoapError) -> Refusal {
    Refusal::Soap(Box::new(error.into()))
}

/// The services of `subsystem` that answer here: those of information systems, which have no contract, and those of adapters,
/// if they answer as catalogued.
fn offered<'c>(
    provider: &Provider,
    conditions: &'c Conditions,
    subsystem: &SubsystemId,
) -> impl Iterator<Item = (&'c ServiceId, Option<Arc<Contract>>)> {
    let is_own = |id: &ServiceId| id.provider == *subsystem;
    let by_systems = conditions.backends.rest_services().filter(move |id| is_own(id)).map(|id| (id, None));
    let catalogued = conditions
        .catalog
        .services()
        .filter(move |service| is_own(&service.id) && conditions.backends.find(&service.id).is_none());
    by_systems.chain(catalogued.filter_map(|service| Some((&service.id, Some(provider.contract(service)?)))))
}

/// The catalogued bytes as they are, so that the client can compare their digest with the catalog's. X-Road rewrites the
/// addresses in them; here they name no server, or one that the author wanted named.
fn contract(
    provider: &Provider,
    conditions: &Conditions,
    head: &Head,
) -> Result<Response<Full<Bytes>>, Refusal> {
    let code = parameter(head.query(), "serviceCode").ok_or(Refusal::NoServiceCode)?;
    let id = ServiceId { provider: head.service.provider.clone(), code };
    let contract = provider.contract(catalog::find(&conditions.catalog, &id)?).ok_or(Refusal::NoPlugin)?;
    let (media_type, document) = contract.openapi();
    Ok(respond(media_type, document.into_owned().into()))
}

impl<'a> ListedService<'a> {
    fn new(
        id: &'a ServiceId,
        contract: Option<&Contract>,
        is_listed: impl Fn(&str, &ServicePath) -> bool,
    ) -> Self {
        let operations = contract.map(Contract::operations).unwrap_or_default();
        let endpoints = operations.iter().filter_map(|operation| {
            let (method, path) = (operation.method().into(), ServicePath::of_operation(operation.path()));
            is_listed(method, &path).then(|| ListedEndpoint { method, path: path.to_string() })
        });
        let MemberId { instance, class, code } = &id.provider.member;
        Self {
            member_class: class,
            member_code: code,
            object_type: "SERVICE",
            service_code: &id.code,
            service_type: if contract.is_some() { "OPENAPI" } else { "REST" },
            subsystem_code: &id.provider.code,
            xroad_instance: instance,
            endpoint_list: endpoints.collect(),
        }
    }
}

/// Whether a request to a client proxy is for the list of clients.
pub(crate) fn asks_for_clients<B>(request: &Request<B>) -> bool {
    request.method() == Method::GET && request.uri().path() == LIST_CLIENTS
}

/// The members and subsystems of this instance, or of the federated one that the request names.
pub(crate) fn list_clients<B>(request: &Request<B>, trust: &Trust) -> Result<Response<Full<Bytes>>, Refusal> {
    let instance = trust.instance(parameter(request.uri().query(), "xRoadInstance").as_deref());
    let instance = instance.ok_or(Refusal::UnknownInstance)?;
    let members = instance.shared().members.iter().flat_map(|member| {
        let subsystems = member.subsystems.iter().map(|subsystem| {
            ListedClient::new(&member.id, &member.name, Some((&subsystem.id.code, subsystem.name.as_deref())))
        });
        std::iter::once(ListedClient::new(&member.id, &member.name, None)).chain(subsystems)
    });
    let list = ClientList { member: members.collect() };
    Ok(match accepts_json(request.headers()) {
        true => respond("application/json; charset=utf-8", json(&list)),
        false => respond("text/xml; charset=UTF-8", list.to_xml().into()),
    })
}

impl<'a> ListedClient<'a> {
    fn new(member: &'a MemberId, name: &'a str, subsystem: Option<(&'a str, Option<&'a str>)>) -> Self {
        let id = ListedId {
            member_class: &member.class,
            member_code: &member.code,
            object_type: if subsystem.is_some() { "SUBSYSTEM" } else { "MEMBER" },
            subsystem_code: subsystem.map(|(code, _)| code),
            xroad_instance: &member.instance,
        };
        Self { id, name, subsystem_name: subsystem.and_then(|(_, name)| name) }
    }
}

impl ClientList<'_> {
    fn to_xml(&self) -> String {
        let declaration = "<?xml version=\"1.0\" encoding=\"UTF-8\"?>\n";
        let mut xml = format!("{declaration}<xroad:clientList {XML_NAMESPACES}>");
        for ListedClient { id, name, subsystem_name } in &self.member {
            let object_type = id.object_type;
            xml += &format!("<xroad:member><xroad:id id:objectType=\"{object_type}\">");
            identifier_elements(
                &mut xml,
                [id.xroad_instance, id.member_class, id.member_code],
                id.subsystem_code,
            );
            xml += "</xroad:id>";
            element(&mut xml, "xroad:name", name);
            if let Some(name) = subsystem_name {
                element(&mut xml, "xroad:subsystemName", name);
            }
            xml += "</xroad:member>";
        }
        xml + "</xroad:clientList>"
    }
}

/// The pieces of a client's identifier, as elements.
pub(crate) fn client_elements(xml: &mut String, client: &ClientId) {
    let MemberId { instance, class, code } = client.member();
    let subsystem = match client {
        ClientId::Subsystem(subsystem) => Some(subsystem.code.as_str()),
        ClientId::Member(_) => None,
    };
    identifier_elements(xml, [instance, class, code], subsystem);
}

fn identifier_elements(xml: &mut String, [instance, class, member]: [&str; 3], subsystem: Option<&str>) {
    element(xml, "id:xRoadInstance", instance);
    element(xml, "id:memberClass", class);
    element(xml, "id:memberCode", member);
    if let Some(subsystem) = subsystem {
        element(xml, "id:subsystemCode", subsystem);
    }
}

/// Names come from the global configuration, which is XML: characters that XML cannot hold are not in them.
pub(crate) fn element(xml: &mut String, name: &str, text: &str) {
    let text = text.replace('&', "&amp;").replace('<', "&lt;").replace('>', "&gt;");
    *xml += &format!("<{name}>{text}</{name}>");
}

/// Whether JSON is among what the client takes. How much it likes it does not count, as in X-Road.
fn accepts_json(headers: &HeaderMap) -> bool {
    let values = headers.get_all(header::ACCEPT).iter().filter_map(|value| value.to_str().ok());
    values.flat_map(|value| value.split(',')).any(|media_type| {
        let essence = media_type.split(';').next().unwrap_or_default();
        essence.trim().eq_ignore_ascii_case("application/json")
    })
}

/// The value of a parameter of the query, unless it is empty or badly encoded.
fn parameter(query: Option<&str>, name: &str) -> Option<String> {
    let pairs = query?.split('&').filter_map(|pair| pair.split_once('='));
    let (_, value) = pairs.into_iter().find(|(key, _)| key.eq_ignore_ascii_case(name))?;
    percent::decode(value).ok().filter(|value| !value.is_empty()).map(Into::into)
}

fn json(list: &impl Serialize) -> Bytes {
    // Maps of texts and lists of them: there is nothing that JSON could not hold.
    serde_json::to_vec(list).unwrap_or_default().into()
}

fn respond(media_type: &'static str, body: Bytes) -> Response<Full<Bytes>> {
    let mut response = Response::new(Full::new(body));
    response.headers_mut().insert(header::CONTENT_TYPE, HeaderValue::from_static(media_type));
    response
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::provider::Door;
    use crate::stages::receive;

    fn called_by(method: Method, service: &str) -> Option<Metaservice> {
        let request = Request::builder()
            .method(method)
            .uri(format!("/r1/KG/GOV/70000001/registry/{service}"))
            .header("x-road-client", "KG/GOV/70000002/portal")
            .body(());
        let (head, ()) = receive::head(Door::Client, request.unwrap()).ok().unwrap();
        Metaservice::called_by(&head)
    }

    #[test]
    fn metaservices_have_their_names_and_are_asked_with_get() {
        assert_eq!(called_by(Method::GET, "listMethods"), Some(Metaservice::ListMethods));
        assert_eq!(called_by(Method::GET, "allowedMethods"), Some(Metaservice::AllowedMethods));
        assert_eq!(called_by(Method::GET, "getOpenAPI/x?serviceCode=person"), Some(Metaservice::GetOpenApi));
        assert_eq!(called_by(Method::POST, "listMethods"), None);
        assert_eq!(called_by(Method::GET, "person"), None);
    }

    #[test]
    fn clients_take_json_if_they_say_so() {
        let accepts = |values: &[&'static str]| {
            let value = |value: &&'static str| (header::ACCEPT, HeaderValue::from_static(value));
            accepts_json(&values.iter().map(value).collect())
        };
        assert!(accepts(&["text/xml, Application/JSON;q=0.9"]) && accepts(&["text/xml", "application/json"]));
        assert!(!accepts(&["*/*"]) && !accepts(&[]) && !accepts(&["application/jsonp"]));
    }

    #[test]
    fn a_parameter_is_decoded_once() {
        assert_eq!(parameter(Some("a=1&ServiceCode=p%252F%20x"), "serviceCode").as_deref(), Some("p%2F x"));
        for query in [None, Some(""), Some("serviceCode"), Some("serviceCode="), Some("serviceCode=%2")] {
            assert_eq!(parameter(query, "serviceCode"), None, "{query:?}");
        }
    }

    #[test]
    fn the_list_as_xml_escapes_names() {
        let member: MemberId = "KG/GOV/7&8".parse().unwrap();
        let list =
            ClientList { member: vec![ListedClient::new(&member, "A <b>", Some(("reg", Some("R & D"))))] };
        assert!(list.to_xml().ends_with(
            "<xroad:member><xroad:id id:objectType=\"SUBSYSTEM\"><id:xRoadInstance>KG</id:xRoadInstance>\
             <id:memberClass>GOV</id:memberClass><id:memberCode>7&amp;8</id:memberCode>\
             <id:subsystemCode>reg</id:subsystemCode></xroad:id><xroad:name>A &lt;b&gt;</xroad:name>\
             <xroad:subsystemName>R &amp; D</xroad:subsystemName></xroad:member></xroad:clientList>"
        ));
    }
}
