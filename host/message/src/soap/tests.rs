use super::*;

const HEADER: &str = r#"<x:client id:objectType="SUBSYSTEM"><id:xRoadInstance>KG</id:xRoadInstance><id:memberClass>GOV</id:memberClass><id:memberCode>8</id:memberCode><id:subsystemCode>clinic</id:subsystemCode></x:client>
  <x:service id:objectType="SERVICE"><id:xRoadInstance>KG</id:xRoadInstance><id:memberClass>GOV</id:memberClass><id:memberCode>7</id:memberCode><id:serviceCode>person</id:serviceCode><id:serviceVersion>v1</id:serviceVersion></x:service>
  <x:id>7</x:id>
  <x:protocolVersion>4.0</x:protocolVersion>"#;

/// A valid request; all others here differ from it in one way.
fn envelope() -> String {
    format!(
        r#"<e:Envelope xmlns:e="http://schemas.xmlsoap.org/soap/envelope/" xmlns:x="http://x-road.eu/xsd/xroad.xsd" xmlns:id="http://x-road.eu/xsd/identifiers" xmlns:r="http://x-road.eu/xsd/representation.xsd"><e:Header>
  {HEADER}
</e:Header><e:Body><p:person xmlns:p="urn:p">é</p:person></e:Body></e:Envelope>"#
    )
}

fn read(bytes: impl Into<Bytes>) -> Result<SoapMessage, SoapError> {
    read_as("text/xml", bytes)
}

fn read_as(content_type: &str, bytes: impl Into<Bytes>) -> Result<SoapMessage, SoapError> {
    match Soap::read(content_type, bytes)? {
        Soap::Message(message) => Ok(*message),
        Soap::Fault(fault) => panic!("{}", fault.string),
    }
}

fn with(from: &str, to: &str) -> String {
    assert!(envelope().contains(from), "{from}");
    envelope().replacen(from, to, 1)
}

#[track_caller]
fn refuses(from: &str, to: &str, code: &str, xroad_code: &str) {
    let error = read(with(from, to)).unwrap_err();
    assert_eq!((error.code(), error.xroad_code()), (code, xroad_code), "{error}");
}

/// Adds a field to the header.
#[track_caller]
fn refuses_field(field: &str, code: &str, xroad_code: &str) {
    refuses("</e:Header>", &format!("{field}</e:Header>"), code, xroad_code);
}

#[test]
fn reads_every_field() {
    let fields = "<x:userId>u</x:userId><x:issue><![CDATA[i]]>&amp;<!-- -->j</x:issue><r:representedParty>\
        <r:partyClass>COM</r:partyClass><r:partyCode>9</r:partyCode></r:representedParty>\
        <x:securityServer id:objectType='SERVER'><id:xRoadInstance>KG</id:xRoadInstance>\
        <id:memberClass>GOV</id:memberClass><id:memberCode>7</id:memberCode><id:serverCode>ss1</id:serverCode>\
        </x:securityServer><unknown><x:id>8</x:id></unknown></e:Header>";
    let message = read(with("</e:Header>", fields)).unwrap();
    let header = message.header();
    assert_eq!(header.client.titled().to_string(), "SUBSYSTEM:KG/GOV/8/clinic");
    assert_eq!(header.service.titled().to_string(), "SERVICE:KG/GOV/7/person/v1");
    assert_eq!(header.security_server.as_ref().unwrap().to_string(), "KG/GOV/7/ss1");
    assert_eq!(header.represented_party.as_ref().unwrap().to_string(), "COM/9");
    assert_eq!((header.user_id.as_deref(), header.issue.as_deref()), (Some("u"), Some("i&j")));
    assert_eq!((header.id.as_str(), header.protocol_version.as_str()), ("7", "4.0"));
    assert_eq!((message.body_element(), message.is_response()), ("person", false));
}

#[test]
fn tells_a_response_by_its_body() {
    let response = envelope().replace("p:person", "p:personResponse");
    assert!(read(response).unwrap().is_response());
}

#[test]
fn the_hash_follows_the_identifier_in_its_style() {
    let hash = RequestHash(sha512(b""));
    let element = |name: &str, namespace: &str| {
        format!("<{name}{namespace} algorithmId=\"{SHA512}\">{hash}</{}>", name.trim_start())
    };
    let default = "<id xmlns=\"http://x-road.eu/xsd/xroad.xsd\">7</id>";
    let own = "<o:id xmlns:o=\"http://x-road.eu/xsd/xroad.xsd\">7</o:id>";
    for (id, expected) in [
        ("<x:id>7</x:id>", element("x:requestHash", "")),
        ("<x:id/>", element("x:requestHash", "")),
        (default, element("requestHash", " xmlns=\"http://x-road.eu/xsd/xroad.xsd\"")),
        (own, element("o:requestHash", " xmlns:o=\"http://x-road.eu/xsd/xroad.xsd\"")),
    ] {
        let answer = read(with("<x:id>7</x:id>", id)).unwrap();
        let expected = with("<x:id>7</x:id>", &format!("{id}\n  {expected}"));
        let bytes = answer.with_request_hash(hash);
        assert_eq!(String::from_utf8(bytes.clone()).unwrap(), expected);
        assert_eq!(read(bytes).unwrap().header().request_hash, Some(hash));
    }
}

#[test]
fn the_hash_takes_the_place_of_a_pretended_one() {
    let expected = read(envelope()).unwrap().with_request_hash(RequestHash(sha512(b"")));
    let stale = "\r\n <x:requestHash algorithmId='a'>foo</x:requestHash>";
    for from in ["</x:client>", "</x:service>", "</x:id>", "</x:protocolVersion>"] {
        let answer = read(with(from, &format!("{from}{stale}"))).unwrap();
        assert_eq!(answer.header().request_hash, None);
        assert_eq!(answer.with_request_hash(RequestHash(sha512(b""))), expected, "after {from}");
    }
}

#[test]
fn the_hash_goes_where_it_should_in_any_encoding() {
    let hash = RequestHash(sha512(b""));
    let text = with("<x:client", "<x:userId>Айжан</x:userId><x:client");
    let declared = format!("<?xml version='1.0' encoding='windows-1251'?>{}", text.replace('é', "я"));
    let (bytes, encoding, _) = encoding_rs::WINDOWS_1251.encode(&declared);
    let with_hash = read(bytes.to_vec()).unwrap().with_request_hash(hash);
    let again = read_as("text/xml; charset=windows-1251", with_hash.clone()).unwrap();
    assert_eq!(again.header().user_id.as_deref(), Some("Айжан"));
    assert_eq!(again.header().request_hash, Some(hash));
    let decoded = encoding.decode(&with_hash).0;
    assert!(
        decoded.contains("</x:id>\n  <x:requestHash")
            && decoded.ends_with("я</p:person></e:Body></e:Envelope>")
    );

    let marked = format!("\u{FEFF}{text}");
    let with_hash = read(marked).unwrap().with_request_hash(hash);
    assert_eq!(read(with_hash).unwrap().header().request_hash, Some(hash));
}

#[test]
fn another_element_takes_the_place_of_the_body_in_any_encoding() {
    let text = with("<x:client", "<x:userId>Айжан</x:userId><x:client");
    let declared = format!("<?xml version='1.0' encoding='windows-1251'?>{}", text.replace('é', "я"));
    let (bytes, encoding, _) = encoding_rs::WINDOWS_1251.encode(&declared);
    let request = read(bytes.to_vec()).unwrap();
    let answer = request.with_body("<personResponse>Бакыт</personResponse>").unwrap();
    let decoded = encoding.decode(answer.bytes()).0.into_owned();
    assert!(decoded.ends_with("<personResponse>Бакыт</personResponse></e:Body></e:Envelope>"), "{decoded}");
    assert_eq!(answer.header().user_id.as_deref(), Some("Айжан"));
    assert!(answer.is_response());
    for wrong in ["<personResponse>", "<otherResponse/>", "<personResponse/><another/>"] {
        assert!(request.with_body(wrong).is_err(), "{wrong}");
    }
}

#[test]
fn a_metaservice_finds_what_it_is_asked() {
    let ask = |more: &str| {
        let body = format!("<personList xmlns:r='http://x-road.eu/xsd/xroad.xsd'>{more}</personList>");
        read(envelope()).unwrap().with_body(&body).unwrap().body_texts(["serviceCode", "serviceVersion"])
    };
    let asked = ask("<r:serviceCode>getPerson</r:serviceCode><other>1</other>").unwrap();
    assert_eq!(asked, [Some("getPerson".to_owned()), None]);
    assert_eq!(ask("<serviceCode>of no namespace</serviceCode>").unwrap(), [None, None]);
    for wrong in ["<r:serviceCode/><r:serviceCode/>", "<r:serviceCode><r:serviceCode/></r:serviceCode>"] {
        assert!(ask(wrong).is_err(), "{wrong}");
    }
}

#[test]
fn the_media_type_says_the_encoding() {
    let latin1: Vec<u8> = envelope().chars().map(|character| u8::try_from(character).unwrap()).collect();
    assert!(read_as("text/xml; charset=ISO-8859-1", latin1.clone()).is_ok());
    assert_eq!(read(latin1).unwrap_err().code(), "soap.encoding");
}

#[test]
fn refuses_two_encodings_where_it_matters() {
    let declared = format!("<?xml version=\"1.0\" encoding=\"ISO-8859-1\"?>{}", envelope());
    let error = read_as("text/xml; charset=UTF-8", declared.clone()).unwrap_err();
    assert_eq!((error.code(), error.xroad_code()), ("soap.conflicting_charsets", "invalid_soap"));
    assert!(read_as("text/xml; charset=UTF-8", declared.replace('é', "e")).is_ok());
}

#[test]
fn refuses_encodings_without_ascii() {
    for charset in ["UTF-16", "nonsense"] {
        let error = read_as(&format!("text/xml; charset={charset}"), envelope()).unwrap_err();
        assert_eq!((error.code(), error.xroad_code()), ("soap.unknown_charset", "invalid_soap"));
    }
}

#[test]
fn refuses_other_media_types() {
    for content_type in ["", "text/html", "application/soap+xml", "text/xml; charset=a; charset=b"] {
        let error = read_as(content_type, envelope()).unwrap_err();
        assert_eq!((error.code(), error.xroad_code()), ("soap.media_type", "invalid_content_type"));
    }
}

#[test]
fn refuses_a_document_type() {
    for document_type in ["<!DOCTYPE a>", "<!DOCTYPE a [<!ENTITY b SYSTEM 'file:///etc/passwd'>]>"] {
        refuses("<e:Envelope", &format!("{document_type}<e:Envelope"), "soap.document_type", "invalid_soap");
    }
    // As text it is harmless.
    assert!(read(with("é", "<![CDATA[<!DOCTYPE a>]]>")).is_ok());
}

#[test]
fn refuses_what_is_not_well_formed() {
    refuses("</e:Envelope>", "", "soap.malformed", "invalid_soap");
    refuses("</e:Envelope>", "</e:Envelope><a/>", "soap.malformed", "invalid_soap");
    refuses("é", "&unknown;", "soap.malformed", "invalid_soap");
    refuses("é", &"<a>".repeat(300), "soap.malformed", "invalid_soap");
}

#[test]
fn refuses_other_envelopes() {
    refuses("schemas.xmlsoap.org/soap", "www.w3.org/2003/05/soap", "soap.no_envelope", "invalid_soap");
    assert_eq!(read("<Envelope/>").unwrap_err().code(), "soap.no_envelope");
}

#[test]
fn refuses_a_missing_or_second_header() {
    let envelope = envelope();
    let start = envelope.find("<e:Header>").unwrap();
    let end = envelope.find("<e:Body>").unwrap();
    let header = &envelope[start..end];
    refuses(header, "", "soap.missing_header", "missing_header");
    refuses(header, &header.repeat(2), "soap.repeated_header", "duplicate_header_field");
}

#[test]
fn refuses_a_missing_field_or_part_of_one() {
    for field in [
        "<x:id>7</x:id>",
        "<x:protocolVersion>4.0</x:protocolVersion>",
        "<id:memberClass>GOV</id:memberClass>",
        "<id:serviceCode>person</id:serviceCode>",
    ] {
        refuses(field, "", "soap.missing_field", "missing_header_field");
    }
    refuses_field("<r:representedParty/>", "soap.missing_field", "missing_header_field");
}

#[test]
fn refuses_a_field_or_part_of_one_twice() {
    for field in
        ["<x:id>7</x:id>", "<id:memberCode>8</id:memberCode>", "<id:serviceCode>person</id:serviceCode>"]
    {
        refuses(field, &field.repeat(2), "soap.repeated_field", "duplicate_header_field");
    }
    for field in ["<x:userId/>", "<x:issue/>", "<x:requestHash/>"] {
        refuses_field(&field.repeat(2), "soap.repeated_field", "duplicate_header_field");
    }
}

#[test]
fn refuses_elements_in_the_text_of_a_field() {
    refuses("<x:id>7", "<x:id>7<a/>", "soap.field_content", "invalid_xml");
    refuses("<id:memberCode>8", "<id:memberCode>8<a>9</a>", "soap.field_content", "invalid_xml");
}

#[test]
fn refuses_other_types_of_identifiers() {
    refuses("\"SUBSYSTEM\"", "\"SERVICE\"", "soap.object_type", "invalid_xml");
    refuses("\"SERVICE\"", "\"MEMBER\"", "soap.object_type", "invalid_xml");
    refuses(" id:objectType=\"SERVICE\"", "", "soap.object_type", "invalid_xml");
    refuses_field("<x:securityServer id:objectType='MEMBER'/>", "soap.object_type", "invalid_xml");
}

#[test]
fn refuses_identifiers_with_forbidden_characters() {
    refuses("<id:memberCode>8", "<id:memberCode>8/9", "soap.identifier", "invalid_xml");
    refuses("<id:serviceCode>person", "<id:serviceCode>", "soap.identifier", "invalid_xml");
    refuses(">v1<", ">..%2f<", "soap.identifier", "invalid_xml");
}

#[test]
fn refuses_other_protocol_versions() {
    for version in ["5.0", "4", ""] {
        let version = format!("<x:protocolVersion>{version}<");
        refuses("<x:protocolVersion>4.0<", &version, "soap.protocol_version", "invalid_protocol_version");
    }
}

#[test]
fn refuses_a_missing_body_and_any_but_one_element_in_it() {
    let body = "<e:Body><p:person xmlns:p=\"urn:p\">é</p:person></e:Body>";
    let element = "<p:person xmlns:p=\"urn:p\">é</p:person>";
    refuses(body, "", "soap.missing_body", "missing_body");
    refuses(body, &body.repeat(2), "soap.invalid_body", "invalid_body");
    refuses(element, "", "soap.invalid_body", "invalid_body");
    refuses(element, &element.repeat(2), "soap.invalid_body", "invalid_body");
    refuses(element, &format!("{element}<e:Fault/>"), "soap.invalid_body", "invalid_body");
}

#[test]
fn refuses_another_body_than_the_header_says() {
    refuses("p:person xmlns", "p:Person xmlns", "soap.malformed", "invalid_soap");
    let other = envelope().replace("p:person", "p:people");
    let error = read(other).unwrap_err();
    assert_eq!((error.code(), error.xroad_code()), ("soap.inconsistent_headers", "inconsistent_headers"));
}

#[test]
fn refuses_an_action_that_is_no_quoted_uri() {
    for action in ["", "\"\"", "\"urn:person#get\"", "\"http://example.org/a?b\""] {
        assert!(Soap::check_action(action).is_ok(), "{action}");
    }
    for action in ["urn:person", "\"urn:person", "\"", "\"a b\"", "\"a\"b\"", "\"é\"", "\"a\r\nb\""] {
        let error = Soap::check_action(action).unwrap_err();
        assert_eq!((error.code(), error.xroad_code()), ("soap.action", "invalid_soap_action"), "{action}");
    }
}
