//! What a WSDL tells of a service. It stays the contract as it is: who called the service calls the adapter alike.

use uuk_contract::{Contract, ContractError, OutlineContent, OutlineElement, SoapOutline};

use super::service::{Service, is_plain_segment, lines, pointer, table, text};

/// Deeper elements than these have no place in a mapping.
const DEPTH_MAX: usize = 6;
/// Booleans of XML Schema as those of JSON.
const BOOLEANS: &str = "[codes.boolean]\ntrue  = true\n1     = true\nfalse = false\n0     = false\n";

pub(super) fn read(document: &[u8]) -> Result<Service, ContractError> {
    let contract = Contract::from_wsdl(document)?;
    let mut service = Service {
        extension: "wsdl",
        contract: String::from_utf8_lossy(document).into_owned(),
        mapping:
            "# What goes to the service, and what may leave. Elements within each other stand on one line.\n"
                .to_owned(),
        ..Service::default()
    };
    for operation in contract.operations() {
        let Some(outline) = contract.soap_outline(operation, DEPTH_MAX) else { continue };
        let (address, path) = split(outline.address.as_deref().unwrap_or_default());
        service.mapping += &mapped(operation.id(), path, &outline);
        service.requests.insert(("POST".to_owned(), path.to_owned()));
        service.address =
            service.address.or_else(|| Some(address.to_owned()).filter(|address| !address.is_empty()));
        let left_out = outline.left_out.iter().map(|reason| format!("{}: {reason}", operation.id()));
        service.left_out.extend(left_out);
    }
    if service.mapping.contains("codes = \"boolean\"") {
        service.mapping += &format!("\n{BOOLEANS}");
    }
    Ok(service)
}

/// The address as an agency grants it, and the path below.
fn split(address: &str) -> (&str, &str) {
    let host = address.find("://").map_or(0, |scheme| scheme + "://".len());
    let path = address.get(host..).and_then(|rest| rest.find('/')).map_or(address.len(), |path| host + path);
    let (base, path) = address.split_at_checked(path).unwrap_or((address, ""));
    let is_plain = path.split('/').skip(1).all(is_plain_segment);
    if !path.is_empty() && is_plain { (base, path) } else { (address.trim_end_matches('/'), "/") }
}

fn mapped(operation: &str, path: &str, outline: &SoapOutline) -> String {
    let SoapOutline { action, element, namespace, is_qualified, request, response, .. } = outline;
    let mut soap = vec![("element".to_owned(), text(element)), ("namespace".to_owned(), text(namespace))];
    if !action.is_empty() {
        soap.push(("action".to_owned(), text(action)));
    }
    if !is_qualified {
        soap.push(("qualified".to_owned(), "false".to_owned()));
    }
    let head = [
        ("upstream".to_owned(), text("service")),
        ("path".to_owned(), text(path)),
        ("soap".to_owned(), table(&soap)),
    ];
    let (body, answer) = (fields(request, "/body", sent), fields(response, "", answered));
    let mut map = format!("\n[{operation}]\n{}", lines(&head));
    if !body.is_empty() {
        map += &format!("\n[{operation}.body]\n{}", lines(&body));
    }
    map + &format!("\n[{operation}.answer]\n{}", lines(&answer))
}

type Expression = fn(&OutlineElement, &str) -> String;

fn fields(elements: &[OutlineElement], parent: &str, expression: Expression) -> Vec<(String, String)> {
    let field = |element: &OutlineElement| {
        (element.name.clone(), expression(element, &pointer(parent, &element.name)))
    };
    elements.iter().map(field).collect()
}

/// An element of a request from the document at `path`.
fn sent(element: &OutlineElement, path: &str) -> String {
    match &element.content {
        OutlineContent::Elements(within) if element.is_optional || element.is_repeated => {
            each(path, &fields(within, "", sent))
        }
        OutlineContent::Elements(within) => object(&fields(within, path, sent)),
        OutlineContent::Array(item) => object(&[(item.name.clone(), sent(item, path))]),
        _ => text(path),
    }
}

/// A member of the answer from the element at `path`.
fn answered(element: &OutlineElement, path: &str) -> String {
    match &element.content {
        OutlineContent::Elements(within) if element.is_repeated => each(path, &fields(within, "", answered)),
        OutlineContent::Elements(within) => object(&fields(within, path, answered)),
        OutlineContent::Array(item) => answered(item, &pointer(path, &item.name)),
        OutlineContent::Text => text(path),
        OutlineContent::Boolean => format!("{{ from = {}, codes = \"boolean\" }}", text(path)),
        OutlineContent::Integer => format!("{{ from = {}, as = \"integer\" }}", text(path)),
        OutlineContent::Number => format!("{{ from = {}, as = \"decimal\" }}", text(path)),
    }
}

fn each(path: &str, fields: &[(String, String)]) -> String {
    format!("{{ each = {}, item = {} }}", text(path), table(fields))
}

fn object(fields: &[(String, String)]) -> String {
    format!("{{ object = {} }}", table(fields))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_address_is_granted_without_its_path() {
        assert_eq!(split("http://registry:8080/ws/v1"), ("http://registry:8080", "/ws/v1"));
        assert_eq!(split("http://registry"), ("http://registry", "/"));
        assert_eq!(split("http://registry/"), ("http://registry", "/"));
        assert_eq!(split("http://registry/a?b"), ("http://registry/a?b", "/"));
        assert_eq!(split(""), ("", "/"));
    }
}
