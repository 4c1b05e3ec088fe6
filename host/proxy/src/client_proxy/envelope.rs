//! Envelopes of this server's own making.

use uuk_identifiers::ClientId;
use uuk_message::{PartHeaders, Soap, SoapError, SoapHeader};

use crate::metaservices::{XML_NAMESPACES, client_elements, element};
use crate::related::Related;

/// The media type of an envelope.
pub(super) const MEDIA_TYPE: &str = "text/xml; charset=utf-8";

/// A request with `header` and `body`, the element in its body.
pub(super) fn write(header: &SoapHeader, body: &str) -> Result<Related, SoapError> {
    let SoapHeader { client, service, .. } = header;
    let object_type = match client {
        ClientId::Member(_) => "MEMBER",
        ClientId::Subsystem(_) => "SUBSYSTEM",
    };
    let mut xml = format!(
        "<?xml version=\"1.0\" encoding=\"UTF-8\"?>\n\
         <soap:Envelope xmlns:soap=\"http://schemas.xmlsoap.org/soap/envelope/\" {XML_NAMESPACES}>\n<soap:Header>\n\
         <xroad:client id:objectType=\"{object_type}\">"
    );
    client_elements(&mut xml, client);
    xml += "</xroad:client>\n<xroad:service id:objectType=\"SERVICE\">";
    client_elements(&mut xml, &service.provider);
    element(&mut xml, "id:serviceCode", &service.code);
    if let Some(version) = &service.version {
        element(&mut xml, "id:serviceVersion", version);
    }
    xml += "</xroad:service>\n";
    if let Some(server) = &header.security_server {
        xml += "<xroad:securityServer id:objectType=\"SERVER\">";
        client_elements(&mut xml, &ClientId::Member(server.owner.clone()));
        element(&mut xml, "id:serverCode", &server.code);
        xml += "</xroad:securityServer>\n";
    }
    if let Some(party) = &header.represented_party {
        xml += "<party:representedParty xmlns:party=\"http://x-road.eu/xsd/representation.xsd\">";
        if let Some(class) = &party.class {
            element(&mut xml, "party:partyClass", class);
        }
        element(&mut xml, "party:partyCode", &party.code);
        xml += "</party:representedParty>\n";
    }
    for (name, text) in [("userId", &header.user_id), ("issue", &header.issue)] {
        if let Some(text) = text {
            element(&mut xml, &format!("xroad:{name}"), text);
        }
    }
    element(&mut xml, "xroad:id", &header.id);
    element(&mut xml, "xroad:protocolVersion", &header.protocol_version);
    xml += &format!("\n</soap:Header>\n<soap:Body>{body}</soap:Body>\n</soap:Envelope>");
    match Soap::read(MEDIA_TYPE, xml)? {
        Soap::Message(message) => {
            Ok(Related { headers: PartHeaders::of_type(MEDIA_TYPE), message, attachments: Vec::new() })
        }
        Soap::Fault(_) => Err(SoapError::InvalidBody),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn says_all_that_the_header_says() {
        let header = SoapHeader {
            client: "KG/GOV/70000002/a<b&c".parse().unwrap(),
            service: uuk_identifiers::SoapServiceId {
                provider: "KG/GOV/70000001".parse().unwrap(),
                code: "get".to_owned(),
                version: Some("v1".to_owned()),
            },
            id: "7 > 6".to_owned(),
            protocol_version: "4.0".to_owned(),
            security_server: Some("KG/GOV/70000001/ss1".parse().unwrap()),
            user_id: Some("KG<1".to_owned()),
            issue: Some("9".to_owned()),
            represented_party: Some("COM/70000003".parse().unwrap()),
            request_hash: None,
        };
        let written = write(&header, "<get/>").unwrap();
        assert_eq!(*written.message.header(), header);
    }

    #[test]
    fn refuses_an_element_that_is_not_called_as_the_service() {
        let service = uuk_identifiers::SoapServiceId {
            provider: "KG/GOV/70000001/registry".parse().unwrap(),
            code: "get".to_owned(),
            version: None,
        };
        let header = SoapHeader::new("KG/GOV/70000002/portal".parse().unwrap(), service, "7".to_owned());
        assert!(matches!(write(&header, "<find/>"), Err(SoapError::InconsistentHeaders)));
    }
}
