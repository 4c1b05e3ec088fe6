//! Which WSDLs are refused, and what their authors are told. Each differs from `testdata/accept/small.wsdl` in one way.

#![expect(clippy::unwrap_used, reason = "what a test's helpers cannot do, the test reports")]

use uuk_contract::{Contract, ContractError};

const SMALL: &str = include_str!("../testdata/accept/small.wsdl");
const MARK: &str = "<xsd:element name=\"mark\" type=\"xsd:int\" minOccurs=\"0\" maxOccurs=\"unbounded\"/>";
const KEY: &str = "<xsd:pattern value=\"[A-Z]{2}\"/>";

#[track_caller]
fn check(from: &str, to: &str, code: &str, message: &str) {
    assert!(SMALL.contains(from), "{from}");
    let error = Contract::from_wsdl(SMALL.replacen(from, to, 1).as_bytes()).unwrap_err();
    assert_eq!((error.code(), error.to_string().as_str()), (&*format!("contract.wsdl_{code}"), message));
}

/// What stands in place of the repeated element, and what of it is not supported.
#[track_caller]
fn check_unsupported(content: &str, construct: &str) {
    let error = Contract::from_wsdl(SMALL.replace(MARK, content).as_bytes()).unwrap_err();
    assert_eq!(error.code(), "contract.wsdl_unsupported", "{error}");
    assert!(error.to_string().starts_with(&format!("line 26: {construct} is not supported; ")), "{error}");
}

#[test]
fn refuses_a_part_with_a_type_in_document_style() {
    check(
        "<wsdl:message name=\"find\"><wsdl:part name=\"body\" element=\"tns:find\"/>",
        "<wsdl:message name=\"find\"><wsdl:part name=\"body\" type=\"tns:Found\"/>",
        "part_has_type",
        "line 31: part `body` names a type, and the binding is of style `document`; declare an element of that type in \
         the schema and name it instead, `element=\"tns:…\"`, or make the binding's style `rpc`",
    );
}

#[test]
fn refuses_an_element_of_a_schema_that_is_imported_from_nowhere() {
    let import = "<xsd:schema targetNamespace=\"http://small.example/other\"><xsd:import namespace=\"http://small.example/producer\"/>";
    check(
        "<xsd:schema targetNamespace=\"http://small.example/producer\" elementFormDefault=\"qualified\">",
        import,
        "unresolved",
        "line 31: there is no element `find` in namespace `http://small.example/producer`; its namespace is imported \
         from nowhere: put its schema into `wsdl:types`",
    );
}

#[test]
fn refuses_a_type_of_a_file_that_is_not_in_the_wsdl() {
    let import =
        "<xsd:import namespace=\"urn:a\" schemaLocation=\"http://a/a.xsd\"/><xsd:element name=\"find\">";
    let wsdl = SMALL.replacen("<xsd:element name=\"find\">", import, 1);
    let wsdl = wsdl.replacen(MARK, "<xsd:element xmlns:a=\"urn:a\" name=\"x\" type=\"a:T\"/>", 1);
    assert_eq!(
        Contract::from_wsdl(wsdl.as_bytes()).unwrap_err().to_string(),
        "line 26: there is no type `T` in namespace `urn:a`; files are not followed: put the schema at `http://a/a.xsd` \
         into `wsdl:types`"
    );
}

#[test]
fn refuses_a_misspelt_type() {
    check(
        "type=\"xsd:int\"",
        "type=\"xsd:integr\"",
        "unresolved",
        "line 26: there is no type `integr` in namespace `http://www.w3.org/2001/XMLSchema`; XML Schema has no such \
         type: correct the name, or the prefix if the type is yours",
    );
}

#[test]
fn refuses_a_prefix_that_nothing_declares() {
    check(
        "type=\"xsd:int\"",
        "type=\"xs:int\"",
        "prefix_undeclared",
        "line 26: nothing declares the prefix of `xs:int`; add `xmlns:…` for it to the root element",
    );
}

#[test]
fn refuses_a_message_that_is_not_there() {
    check(
        "<wsdl:input message=\"tns:find\"/>",
        "<wsdl:input message=\"tns:fnd\"/>",
        "unresolved",
        "line 39: there is no message `fnd` in namespace `http://small.example/producer`; declare it, or correct the \
         name or its prefix",
    );
}

#[test]
fn refuses_a_message_of_two_parts_in_document_style() {
    check(
        "<wsdl:part name=\"body\" element=\"tns:find\"/>",
        "<wsdl:part name=\"body\" element=\"tns:find\"/><wsdl:part name=\"more\" element=\"tns:find\"/>",
        "parts_ambiguous",
        "line 39: the body of message `find` has 2 parts, and style `document` has one; name it in `soap:body parts=\"…\"`",
    );
}

#[test]
fn refuses_an_operation_whose_name_no_service_can_have() {
    let error = Contract::from_wsdl(
        SMALL.replace("<wsdl:operation name=\"find\">", "<wsdl:operation name=\"find/../x\">").as_bytes(),
    );
    assert_eq!(
        error.unwrap_err().to_string(),
        "line 45: `find/../x` is no name of an operation; use a letter of ASCII, then letters, digits, `-` and `_`, at most 64"
    );
}

#[test]
fn refuses_an_operation_that_stands_twice() {
    check(
        "</wsdl:definitions>",
        "<wsdl:binding name=\"b\" type=\"tns:other\"><soap:binding/><wsdl:operation name=\"find\"/></wsdl:binding></wsdl:definitions>",
        "operation_duplicate",
        "line 52: the operation `find` stands twice; rename one, or give each version a WSDL of its own",
    );
}

#[test]
fn refuses_a_wsdl_without_a_binding_to_soap() {
    check(
        "<soap:binding style=\"document\" transport=\"http://schemas.xmlsoap.org/soap/http\"/>",
        "",
        "operations_missing",
        "the WSDL binds no operation to SOAP 1.1; add a `wsdl:binding` with `soap:binding` and its operations",
    );
}

#[test]
fn refuses_an_attribute_that_is_missing_or_wrong() {
    check(
        "<xsd:element name=\"name\" type",
        "<xsd:element type",
        "attribute_missing",
        "line 25: `element` lacks the attribute `name`; add it",
    );
    check(
        "maxOccurs=\"unbounded\"",
        "maxOccurs=\"many\"",
        "value_invalid",
        "line 26: `maxOccurs` must be a number, and `maxOccurs` one that is not less than `minOccurs`, or `unbounded`",
    );
    check(
        KEY,
        "<xsd:maxInclusive value=\"AB\"/>",
        "value_invalid",
        "line 20: `maxInclusive` must be a value of a type that is ordered: a number, a date or a time",
    );
}

#[test]
fn refuses_a_pattern_that_the_checks_cannot_use() {
    check(
        KEY,
        "<xsd:pattern value=\"(?=A)B\"/>",
        "pattern_unsupported",
        "line 20: the pattern cannot be used: XML Schema has no groups like `(?`; simplify it",
    );
}

#[test]
fn refuses_an_element_at_two_places() {
    check(
        MARK,
        "<xsd:choice><xsd:element name=\"name\" type=\"xsd:int\"/></xsd:choice>",
        "element_repeated",
        "line 26: `name` stands at two places among the same children, which one member in JSON cannot tell apart; let it \
         stand once, or rename one",
    );
}

#[test]
fn refuses_a_type_declared_twice() {
    check(
        "<xsd:complexType name=\"Found\">",
        "<xsd:complexType name=\"Key\">",
        "duplicate",
        "line 23: `Key` is declared twice; delete one",
    );
}

#[test]
fn refuses_a_type_derived_from_itself() {
    check(
        "<xsd:restriction base=\"xsd:string\">",
        "<xsd:restriction base=\"tns:Key\">",
        "endless",
        "line 18: `Key` is derived from itself, or from too long a line of others; break the circle",
    );
}

#[test]
fn refuses_groups_that_double_over_and_over() {
    let groups: String = (0..30)
        .map(|n| format!("<xsd:group name=\"g{n}\"><xsd:sequence><xsd:group ref=\"tns:g{0}\"/><xsd:group ref=\"tns:g{0}\"/></xsd:sequence></xsd:group>", n + 1))
        .collect();
    let last = "<xsd:group name=\"g30\"><xsd:sequence/></xsd:group><xsd:element name=\"findResponse\"";
    let wsdl = SMALL
        .replace("<xsd:element name=\"findResponse\"", &(groups + last))
        .replace(MARK, "<xsd:group ref=\"tns:g18\"/>");
    let error = Contract::from_wsdl(wsdl.as_bytes());
    assert!(error.is_ok(), "{error:?}");
    let wsdl = wsdl.replace("<xsd:group ref=\"tns:g18\"/></", "<xsd:group ref=\"tns:g5\"/></");
    let wsdl = wsdl.replace("<xsd:group ref=\"tns:g18\"/>\n", "<xsd:group ref=\"tns:g10\"/>\n");
    let error = Contract::from_wsdl(wsdl.as_bytes()).unwrap_err();
    assert!(matches!(error.code(), "contract.wsdl_too_large" | "contract.wsdl_endless"), "{error}");
}

#[test]
fn refuses_other_documents_and_says_what_they_are() {
    let refused = |text: &str| Contract::read(text.as_bytes()).unwrap_err().to_string();
    assert_eq!(
        refused("<html/>"),
        "line 1: the document is a `html`, not a `definitions` of WSDL 1.1; that is a web page, perhaps of a login or an \
         error: download the WSDL itself"
    );
    assert!(refused("<description xmlns='http://www.w3.org/ns/wsdl'/>").contains("WSDL 2.0"));
    assert!(refused("<a>").starts_with("line 1: the WSDL is not well-formed XML: "));
    assert!(Contract::read(b"<a>\xFF</a>").unwrap_err().to_string().contains("UTF-8"));
    assert!(refused(&"<a>".repeat(100)).contains("nested deeper than 64"));
    let large = format!("<a>{}</a>", " ".repeat(4 * 1024 * 1024));
    assert!(matches!(Contract::read(large.as_bytes()), Err(ContractError::TooLarge { .. })));
}

#[test]
fn names_each_construct_that_is_not_supported() {
    let simple = |content: &str| {
        format!("<xsd:element name=\"x\"><xsd:simpleType>{content}</xsd:simpleType></xsd:element>")
    };
    let complex = |content: &str| {
        format!("<xsd:element name=\"x\"><xsd:complexType>{content}</xsd:complexType></xsd:element>")
    };
    check_unsupported("<xsd:any/>", "content of any kind (`any`)");
    check_unsupported(&complex("<xsd:anyAttribute/>"), "content of any kind (`anyAttribute`)");
    check_unsupported("<xsd:element name=\"x\" type=\"xsd:anyType\"/>", "content of any kind (`anyType`)");
    check_unsupported(
        "<xsd:element name=\"x\"/>",
        "an element without a type, which may hold anything (`element`)",
    );
    check_unsupported(
        "<xsd:element name=\"x\"><xsd:complexType mixed=\"true\"/></xsd:element>",
        "text between elements (`complexType`)",
    );
    check_unsupported(
        &simple("<xsd:list itemType=\"xsd:int\"/>"),
        "a list or union of values (`simpleType`)",
    );
    check_unsupported(
        &simple("<xsd:union memberTypes=\"xsd:int xsd:date\"/>"),
        "a list or union of values (`simpleType`)",
    );
    check_unsupported("<xsd:element name=\"x\" type=\"xsd:QName\"/>", "the type `QName`");
    check_unsupported("<xsd:element name=\"x\" type=\"xsd:NMTOKENS\"/>", "the type `NMTOKENS`");
    check_unsupported(
        "<xsd:element name=\"x\"><xsd:complexType abstract=\"true\"/></xsd:element>",
        "a type that only others derive from (`complexType`)",
    );
    check_unsupported(
        "<xsd:sequence maxOccurs=\"2\"><xsd:element name=\"x\" type=\"xsd:int\"/><xsd:element name=\"y\" type=\"xsd:int\"/></xsd:sequence>",
        "a group of elements that repeats (`sequence`)",
    );
    check_unsupported(
        "<xsd:element name=\"x\" type=\"xsd:int\"><xsd:key name=\"k\"/></xsd:element>",
        "a constraint between elements (`key`)",
    );
    check_unsupported(
        &complex(
            "<xsd:complexContent><xsd:restriction xmlns:e=\"http://schemas.xmlsoap.org/soap/encoding/\" base=\"e:Array\"/></xsd:complexContent>",
        ),
        "an array of SOAP's encoding (`restriction`)",
    );
    let elsewhere = [
        ("<soap:body use=\"literal\"/>", "<soap:body use=\"encoded\"/>", "SOAP's own encoding (`body`)"),
        ("<wsdl:output message=\"tns:findResponse\"/>", "", "an operation in one direction (`operation`)"),
        (
            "<wsdl:types>",
            "<wsdl:import location=\"a.wsdl\"/><wsdl:types>",
            "importing another WSDL (`import`)",
        ),
        (
            "<xsd:element name=\"find\">",
            "<xsd:redefine schemaLocation=\"a\"/><xsd:element name=\"find\">",
            "redefining a schema (`redefine`)",
        ),
        (
            MARK,
            "<xsd:element ref=\"tns:head\"/></xsd:sequence></xsd:complexType><xsd:element name=\"head\" type=\"xsd:int\"/><xsd:element name=\"other\" substitutionGroup=\"tns:head\" type=\"xsd:int\"/><xsd:complexType name=\"Rest\"><xsd:sequence>",
            "an element that others stand in for (`element`)",
        ),
    ];
    for (from, to, construct) in elsewhere {
        let error = Contract::from_wsdl(SMALL.replacen(from, to, 1).as_bytes()).unwrap_err().to_string();
        assert!(error.contains(&format!(": {construct} is not supported; ")), "{error}");
    }
}

#[test]
fn reads_style_rpc_with_a_wrapper_for_the_parts() {
    let wsdl = SMALL
        .replace("style=\"document\"", "style=\"rpc\"")
        .replace("<soap:body use=\"literal\"/>", "<soap:body use=\"literal\" namespace=\"urn:rpc\"/>")
        .replace("element=\"tns:find\"", "type=\"tns:Key\"")
        .replace("element=\"tns:findResponse\"", "type=\"tns:Found\"");
    let contract = Contract::from_wsdl(wsdl.as_bytes()).unwrap();
    let body = "<soap:Envelope xmlns:soap='http://schemas.xmlsoap.org/soap/envelope/'><soap:Body><r:find xmlns:r='urn:rpc'><body>AB</body></r:find></soap:Body></soap:Envelope>";
    let call = uuk_contract::SoapCall { envelope: body, attachments: &[] };
    let (_, document) = contract.soap_document(&call, &uuk_contract::Limits::default()).unwrap();
    assert_eq!(document.as_bytes(), br#"{"body":{"body":"AB"}}"#);
}
