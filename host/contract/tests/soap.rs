//! Messages of SOAP by the same contracts as JSON.

#![expect(clippy::unwrap_used, clippy::panic, reason = "what a test's helpers cannot do, the test reports")]

use std::fs;

use serde_json::{Value, json};
use uuk_contract::{Contract, FieldProblem, Limits, Operation, Problem, Refusal, SoapCall};
use uuk_testkit::fixtures;

fn small() -> Contract {
    Contract::read(include_bytes!("../testdata/accept/small.wsdl")).unwrap()
}

/// The contract of an element `call` with this content.
fn call_with(content: &str) -> Contract {
    let wsdl = include_str!("../testdata/accept/small.wsdl");
    let content = format!("<xsd:element name=\"key\" minOccurs=\"0\" type=\"xsd:string\"/>{content}");
    let wsdl = wsdl.replace("<xsd:element name=\"key\" type=\"tns:Key\"/>", &content);
    Contract::read(wsdl.as_bytes()).unwrap()
}

fn find(content: &str) -> String {
    format!("<find xmlns='http://small.example/producer'>{content}</find>")
}

fn envelope(body: &str) -> String {
    format!(
        "<soap:Envelope xmlns:soap='http://schemas.xmlsoap.org/soap/envelope/'><soap:Body>{body}</soap:Body></soap:Envelope>"
    )
}

fn document(contract: &Contract, body: &str) -> Result<(String, Value), Vec<FieldProblem>> {
    let envelope = envelope(body);
    let call = SoapCall { envelope: &envelope, attachments: &[] };
    match contract.soap_document(&call, &Limits::default()) {
        Ok((operation, document)) => {
            Ok((operation.id().to_owned(), serde_json::from_slice(document.as_bytes()).unwrap()))
        }
        Err(Refusal::Invalid { problems }) => Err(problems),
        Err(other) => panic!("{other}"),
    }
}

#[test]
fn reads_a_service_of_the_field_end_to_end() {
    let Some(fixtures) = fixtures::folder() else { return };
    let wsdl = fs::read(fixtures.join("xroad/services/wsdl/valid.wsdl")).unwrap();
    let contract = Contract::read(&wsdl).unwrap();
    let ids: Vec<_> = contract.operations().iter().map(Operation::id).collect();
    assert_eq!(ids, ["xroadGetRandom", "xroadSmallAttachment", "xroadBigAttachment"]);

    let tns = "http://xroad-andmekogu.x-road.ee/producer";
    let body =
        format!("<p:xroadGetRandom xmlns:p='{tns}'><request><in>a &lt; b</in></request></p:xroadGetRandom>");
    let expected = json!({"body": {"request": {"in": "a < b"}}});
    assert_eq!(document(&contract, &body).unwrap(), ("xroadGetRandom".to_owned(), expected));

    let operation = contract.operation("xroadGetRandom").unwrap();
    let answer = operation
        .answer("application/json", br#"{"response":"4 & 2"}"#.to_vec(), &Limits::default())
        .unwrap();
    assert_eq!(
        contract.soap_answer(operation, answer.body()).unwrap(),
        format!(
            "<n0:xroadGetRandomResponse xmlns:n0=\"{tns}\" xmlns=\"\"><response>4 &amp; 2</response></n0:xroadGetRandomResponse>"
        )
    );
}

#[track_caller]
fn check_body(contract: &Contract, content: &str, expected: Value) {
    assert_eq!(document(contract, &find(content)).unwrap().1, json!({"body": expected}));
}

#[track_caller]
fn check_refused(contract: &Contract, content: &str, pointer: &str, code: &str) {
    let problems = document(contract, &find(content)).unwrap_err();
    let found: Vec<_> = problems.iter().map(|problem| (&*problem.pointer, &*problem.code)).collect();
    assert_eq!(found, [(pointer, code)], "{problems:?}");
}

#[test]
fn an_array_is_one_whether_it_has_0_1_or_n_items() {
    let contract = call_with("<xsd:element name='n' type='xsd:int' minOccurs='0' maxOccurs='3'/>");
    check_body(&contract, "", json!({"n": []}));
    check_body(&contract, "<n>1</n>", json!({"n": [1]}));
    check_body(&contract, "<n> 1 </n><n>+2</n>", json!({"n": [1, 2]}));
    check_refused(&contract, "<n>1</n><n>1</n><n>1</n><n>1</n>", "/body/n", "maxItems");
}

#[test]
fn decimals_keep_every_digit() {
    let decimal = "<xsd:simpleType><xsd:restriction base='xsd:decimal'><xsd:maxInclusive value='1E0'/></xsd:restriction></xsd:simpleType>";
    let decimal = decimal.replace("1E0", "100000000000000000000000000000.00");
    let contract = call_with(&format!("<xsd:element name='d'>{decimal}</xsd:element>"));
    let exact = "99999999999999999999999999999.9999999999999999999990";
    check_body(&contract, &format!("<d>{exact}</d>"), json!({"d": exact}));
    check_refused(&contract, "<d>100000000000000000000000000000.001</d>", "/body/d", "x-xsd");
    check_refused(&contract, "<d>1e3</d>", "/body/d", "x-xsd");
}

#[test]
fn nil_is_null_where_the_contract_allows_it() {
    let contract = call_with("<xsd:element name='n' type='xsd:int' nillable='true'/>");
    let nil = "xsi:nil='true' xmlns:xsi='http://www.w3.org/2001/XMLSchema-instance'";
    check_body(&contract, &format!("<n {nil}/>"), json!({"n": null}));
    check_refused(&contract, &format!("<n {nil}>1</n>"), "/body/n", "nillable");
    check_refused(&contract, &format!("<key {nil}/><n>1</n>"), "/body/key", "nillable");
}

#[test]
fn an_attachment_stands_for_its_bytes() {
    let contract = call_with("<xsd:element name='photo' type='xsd:base64Binary'/>");
    let include = |id: &str| {
        find(&format!(
            "<photo><i:Include xmlns:i='http://www.w3.org/2004/08/xop/include' href='cid:{id}'/></photo>"
        ))
    };
    let envelope = envelope(&include("a%40b"));
    let with = |attachments| {
        let call = SoapCall { envelope: &envelope, attachments };
        contract.soap_document(&call, &Limits::default()).map(|(_, document)| document.into_bytes())
    };
    assert_eq!(with(&[("a@b", b"hello")]).unwrap(), br#"{"body":{"photo":"aGVsbG8="}}"#);
    assert!(with(&[("other", b"hello")]).is_err());
    assert!(with(&[("a@b", &[0; 300_000])]).is_err());
}

#[test]
fn only_one_branch_of_a_choice_may_stand() {
    let contract = call_with(
        "<xsd:choice><xsd:element name='a' type='xsd:int'/><xsd:element name='b' type='xsd:int'/></xsd:choice>",
    );
    check_body(&contract, "<b>1</b>", json!({"b": 1}));
    check_refused(&contract, "<a>1</a><b>1</b>", "/body", "anyOf");
    check_refused(&contract, "", "/body", "anyOf");
}

#[test]
fn refuses_elements_in_another_order() {
    let contract = call_with("<xsd:element name='n' type='xsd:int'/>");
    check_refused(&contract, "<n>1</n><key>a</key>", "/body/key", "order");
}

#[test]
fn refuses_an_element_that_stands_twice() {
    check_refused(&small(), "<key>AB</key><key>AB</key>", "/body/key", "duplicate");
}

#[test]
fn refuses_an_unknown_element_and_one_of_another_namespace() {
    check_refused(&small(), "<key>AB</key><other/>", "/body/other", "unknown");
    check_refused(&small(), "<key xmlns=''>AB</key>", "/body/key", "namespace");
}

#[test]
fn refuses_an_unknown_attribute() {
    check_refused(&small(), "<key a='1'>AB</key>", "/body/key/a", "unknown");
}

#[test]
fn refuses_text_between_elements_and_elements_in_text() {
    check_refused(&small(), "text<key>AB</key>", "/body", "type");
    check_refused(&small(), "<key><b/></key>", "/body/key", "type");
}

#[test]
fn refuses_another_type_than_the_contract_says() {
    let typed = "xmlns:xsi='http://www.w3.org/2001/XMLSchema-instance' xsi:type";
    check_body(&small(), &format!("<key {typed}='x:Key'>AB</key>"), json!({"key": "AB"}));
    check_refused(&small(), &format!("<key {typed}='x:Other'>AB</key>"), "/body/key", "type");
}

#[test]
fn refuses_a_value_against_the_pattern() {
    check_refused(&small(), "<key>ABC</key>", "/body/key", "pattern");
}

#[test]
fn refuses_numbers_that_json_does_not_have() {
    let contract = call_with("<xsd:element name='n' type='xsd:double'/>");
    for text in ["INF", "NaN", "1e999", "", "0x1"] {
        check_refused(&contract, &format!("<n>{text}</n>"), "/body/n", "type");
    }
}

#[test]
fn refuses_an_operation_that_the_contract_does_not_have() {
    let envelope = envelope("<other/>");
    let call = SoapCall { envelope: &envelope, attachments: &[] };
    assert_eq!(small().soap_document(&call, &Limits::default()).unwrap_err(), Refusal::PathUnknown);
}

#[test]
fn refuses_what_is_no_envelope() {
    for text in ["<find/>", "", "<a><b></a>", "<!DOCTYPE a []><a/>"] {
        let call = SoapCall { envelope: text, attachments: &[] };
        let refusal = small().soap_document(&call, &Limits::default()).unwrap_err();
        assert!(matches!(&refusal, Refusal::Invalid { problems } if problems[0].code == "xml"), "{text}");
    }
}

#[test]
fn refuses_a_character_that_xml_cannot_hold() {
    let contract = small();
    let operation = contract.operation("find").unwrap();
    let data = br#"{"name":"a\u0001","mark":[]}"#.to_vec();
    let answer = operation.answer("application/json", data, &Limits::default()).unwrap();
    let problem = contract.soap_answer(operation, answer.body()).unwrap_err();
    assert_eq!(
        problem.to_string(),
        "the answer has no form in XML: `/name` has a character that XML cannot hold"
    );
}

#[test]
fn a_contract_given_as_wsdl_has_an_openapi_document_with_titles() {
    let contract = small();
    let (media_type, document) = contract.openapi();
    assert_eq!(media_type, "application/json");
    let document: Value = serde_json::from_slice(&document).unwrap();
    let operation = &document["paths"]["/find"]["post"];
    assert_eq!(operation["summary"], "Find");
    assert_eq!(operation["x-titles"], json!({"en": "Find", "ky": "Табуу"}));
    assert_eq!(document["info"]["version"], "v1");
}

#[test]
fn a_contract_given_as_openapi_has_a_wsdl_with_titles_and_a_namespace() {
    let contract = Contract::from_openapi(
        br##"{"openapi": "3.1.0", "info": {"title": "People & Co", "version": "2.1.0"}, "paths": {"/p": {"get": {
            "operationId": "get", "x-titles": {"ky": "\u0422\u0430\u0431\u0443\u0443"},
            "responses": {"200": {"description": "", "content": {"application/json": {"schema": {"type": "array", "items": {"type": "integer"}}}}}}}}}}"##,
    )
    .unwrap();
    let wsdl = String::from_utf8(contract.wsdl("https://server/").into_owned()).unwrap();
    for part in [
        "targetNamespace=\"urn:uuk:people-co\"",
        "<xrd:title xml:lang=\"ky\">Табуу</xrd:title>",
        "<xrd:version>v2</xrd:version>",
        "<xsd:complexType name=\"ArrayOfLong\">",
        "location=\"https://server/\"",
    ] {
        assert!(wsdl.contains(part), "{part} {wsdl}");
    }
}

#[test]
fn says_why_an_operation_has_no_form_in_xml() {
    let check = |schema: Value, expected: &str| {
        let answer = json!({"200": {"description": "", "content": {"application/json": {"schema": schema}}}});
        let paths = json!({"/p": {"get": {"operationId": "get", "responses": answer}}});
        let document = json!({"openapi": "3.1.0", "info": {"title": "t", "version": "1"}, "paths": paths});
        let contract = Contract::from_openapi(document.to_string().as_bytes()).unwrap();
        let reason = contract.soap_form(&contract.operations()[0]).unwrap_err().to_string();
        assert_eq!(reason, format!("operation `get` has no form in XML: the schema at `{expected}"));
    };
    check(json!({}), "` says no type");
    check(json!({"type": ["string", "integer"]}), "` allows several types");
    check(json!({"type": "array"}), "` says nothing of its items");
    check(
        json!({"type": "object", "properties": {"a b": {"type": "string"}}}),
        "/properties/a b` is of a member whose name no element can have",
    );
    check(
        json!({"type": "object", "additionalProperties": {"type": "string"}}),
        "` allows members of any name",
    );
    check(
        json!({"type": "object", "oneOf": [{"properties": {"a": {}}}]}),
        "` combines schemas, or allows members by pattern",
    );
}

#[test]
fn a_fault_tells_the_problem_with_its_fields() {
    let mut problem = Problem::new(400, "contract.request_invalid", "a < b\u{1}")
        .with_fields(vec![FieldProblem::new("/pin", "pattern", "must match")]);
    assert_eq!(Problem::read(&problem.to_json()), Some(problem.clone()));
    assert_eq!(
        problem.to_xml(),
        "<problem xmlns=\"urn:uuk:fault\"><status>400</status><code>contract.request_invalid</code><detail>a &lt; b</detail>\
         <field><pointer>/pin</pointer><code>pattern</code><message>must match</message></field></problem>"
    );
    let fault = |detail: &str| {
        format!(
            "<e:Envelope xmlns:e=\"http://schemas.xmlsoap.org/soap/envelope/\"><e:Body><e:Fault>\
             <faultcode>e:Client</faultcode><detail>{detail}</detail></e:Fault></e:Body></e:Envelope>"
        )
    };
    let read = Problem::of_fault(&fault(&problem.to_xml()));
    problem.detail = "a < b".to_owned();
    assert_eq!(read, Some(problem), "all but what XML cannot hold");
    for strange in ["", "<why/>", "<problem xmlns=\"urn:uuk:fault\"><status>200</status></problem>"] {
        assert_eq!(Problem::of_fault(&fault(strange)), None, "{strange}");
    }
}
