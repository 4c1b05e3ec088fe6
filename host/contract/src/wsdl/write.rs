//! The WSDL of a contract that was given as OpenAPI: document/literal, one wrapper element for each message.

use crate::soap::{FAULT_NAMESPACE, Soap};
use crate::xml::escaped;
use crate::xsd;

/// What X-Road's messages carry in their headers, and what a fault says; both are the same in every WSDL.
const COMMON_SCHEMAS: &str = include_str!("common_schemas.xml");

/// The fields of X-Road's header.
const HEADERS: [&str; 6] = ["client", "service", "userId", "id", "issue", "protocolVersion"];

/// What a WSDL says beside its operations.
pub(crate) struct Described<'a> {
    pub(crate) namespace: &'a str,
    pub(crate) title: &'a str,
    /// X-Road's version of each service, such as `v1`.
    pub(crate) version: &'a str,
    /// Where clients send messages to.
    pub(crate) address: &'a str,
}

/// Writes the WSDL.
pub(crate) fn write(soap: &Soap, described: &Described<'_>) -> String {
    let namespace = escaped(described.namespace);
    let roots = soap.operations.iter().flat_map(|operation| [&operation.request, &operation.response]);
    let elements = xsd::write::write(&soap.types, roots);
    let parts: String =
        HEADERS.iter().map(|name| format!("<wsdl:part name=\"{name}\" element=\"xrd:{name}\"/>\n")).collect();
    let headers: String = HEADERS
        .iter()
        .map(|name| format!("<soap:header message=\"tns:xroadHeader\" part=\"{name}\" use=\"literal\"/>\n"))
        .collect();
    let (mut messages, mut port, mut binding) = (String::new(), String::new(), String::new());
    for operation in &soap.operations {
        let id = &operation.id;
        let (request, response) = (&operation.request.name.local, &operation.response.name.local);
        for name in [request, response] {
            messages += &format!(
                "<wsdl:message name=\"{name}\"><wsdl:part name=\"body\" element=\"tns:{name}\"/></wsdl:message>\n"
            );
        }
        let titles = xsd::write::titles(&operation.note);
        port += &format!(
            "<wsdl:operation name=\"{id}\">\n<wsdl:documentation>{titles}</wsdl:documentation>\n\
             <wsdl:input message=\"tns:{request}\"/>\n<wsdl:output message=\"tns:{response}\"/>\n\
             <wsdl:fault name=\"problem\" message=\"tns:problem\"/>\n</wsdl:operation>\n"
        );
        let version = escaped(described.version);
        binding += &format!(
            "<wsdl:operation name=\"{id}\">\n<soap:operation soapAction=\"\" style=\"document\"/>\n\
             <xrd:version>{version}</xrd:version>\n\
             <wsdl:input><soap:body parts=\"body\" use=\"literal\"/>\n{headers}</wsdl:input>\n\
             <wsdl:output><soap:body parts=\"body\" use=\"literal\"/>\n{headers}</wsdl:output>\n\
             <wsdl:fault name=\"problem\"><soap:fault name=\"problem\" use=\"literal\"/></wsdl:fault>\n\
             </wsdl:operation>\n"
        );
    }
    format!(
        "<?xml version=\"1.0\" encoding=\"UTF-8\"?>\n\
         <wsdl:definitions xmlns:wsdl=\"http://schemas.xmlsoap.org/wsdl/\" \
         xmlns:soap=\"http://schemas.xmlsoap.org/wsdl/soap/\" xmlns:xsd=\"http://www.w3.org/2001/XMLSchema\" \
         xmlns:xrd=\"http://x-road.eu/xsd/xroad.xsd\" xmlns:fault=\"{FAULT_NAMESPACE}\" xmlns:tns=\"{namespace}\" \
         targetNamespace=\"{namespace}\">\n\
         <wsdl:documentation>{title}</wsdl:documentation>\n\
         <wsdl:types>\n{COMMON_SCHEMAS}\
         <xsd:schema targetNamespace=\"{namespace}\" elementFormDefault=\"qualified\">\n{elements}</xsd:schema>\n\
         </wsdl:types>\n\
         <wsdl:message name=\"xroadHeader\">\n{parts}</wsdl:message>\n\
         <wsdl:message name=\"problem\"><wsdl:part name=\"problem\" element=\"fault:problem\"/></wsdl:message>\n\
         {messages}\
         <wsdl:portType name=\"port\">\n{port}</wsdl:portType>\n\
         <wsdl:binding name=\"binding\" type=\"tns:port\">\n\
         <soap:binding style=\"document\" transport=\"http://schemas.xmlsoap.org/soap/http\"/>\n{binding}</wsdl:binding>\n\
         <wsdl:service name=\"service\"><wsdl:port name=\"port\" binding=\"tns:binding\">\
         <soap:address location=\"{address}\"/></wsdl:port></wsdl:service>\n\
         </wsdl:definitions>\n",
        title = escaped(described.title),
        address = escaped(described.address),
    )
}
