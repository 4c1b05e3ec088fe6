//! Which calls become documents, and what the others are told.

#![expect(clippy::unwrap_used, reason = "what a test's helpers cannot do, the test reports")]

use uuk_contract::{Contract, FieldProblem, Limits, Method, Refusal, RequestPart, RestCall};

const PEOPLE: &[u8] = include_bytes!("../testdata/accept/people.yaml");
const RECURRING: &[u8] = include_bytes!("../testdata/accept/choice-that-recurs.yaml");
const JSON: &[(&str, &[u8])] = &[("Content-Type", b"application/json")];

fn people() -> Contract {
    Contract::from_openapi(PEOPLE).unwrap()
}

fn get<'a>(path: &'a str, query: &'a str) -> RestCall<'a> {
    RestCall { method: "GET", path, query: Some(query), headers: &[], body: b"" }
}

fn patch(body: &[u8]) -> RestCall<'_> {
    RestCall { method: "PATCH", path: "/people/12345678901234", query: None, headers: JSON, body }
}

fn document(call: &RestCall<'_>) -> Result<String, Refusal> {
    let contract = people();
    let (_, document) = contract.document(call, &Limits::default())?;
    Ok(String::from_utf8(document.into_bytes()).unwrap())
}

#[track_caller]
fn check_document(call: RestCall<'_>, expected: &str) {
    assert_eq!(document(&call).unwrap(), expected);
}

/// `expected` is each problem's pointer and code.
#[track_caller]
fn check_invalid(call: RestCall<'_>, expected: &[(&str, &str)]) {
    let refusal = document(&call).unwrap_err();
    assert_eq!((refusal.code(), refusal.status()), ("contract.request_invalid", 400));
    let told = refusal.problem();
    let found: Vec<_> = told.problems.iter().map(|problem| (&*problem.pointer, &*problem.code)).collect();
    assert_eq!(found, expected);
}

#[test]
fn puts_each_parameter_under_its_own_name() {
    let call = RestCall {
        headers: &[("x-purpose", b"credit"), ("Accept", b"*/*")],
        ..get("/people/12345678901234", "")
    };
    check_document(call, r#"{"pin":"12345678901234","X-Purpose":"credit"}"#);
}

#[test]
fn types_parameters_as_the_contract_says() {
    check_document(
        get("/people", "surname=%D0%90%22+b&page=2&exact=false&share=0.10"),
        r#"{"surname":"А\"+b","page":2,"exact":false,"share":0.10}"#,
    );
}

#[test]
fn reads_lists_in_both_forms() {
    check_document(
        get("/people", "surname=As&district=Osh&district=a%2Cb&status=ALIVE,DEAD"),
        r#"{"surname":"As","district":["Osh","a,b"],"status":["ALIVE","DEAD"]}"#,
    );
}

#[test]
fn splices_the_body_as_it_was_sent() {
    check_document(
        patch(b" {\"height\": 1.80, \"surname\":\"\\u0410\"}\n"),
        r#"{"pin":"12345678901234","body":{"height": 1.80, "surname":"\u0410"}}"#,
    );
}

#[test]
fn fills_in_no_defaults() {
    check_document(get("/people", "surname=As"), r#"{"surname":"As"}"#);
}

#[test]
fn finds_the_operation_by_path_and_method() {
    let contract = people();
    let limits = Limits::default();
    let (operation, document) = contract.document(&get("/people/mine", ""), &limits).unwrap();
    assert_eq!((operation.id(), document.as_bytes()), ("get-mine", b"{}".as_slice()));
}

#[test]
fn refuses_a_path_the_contract_lacks() {
    assert_eq!(document(&get("/cars", "")), Err(Refusal::PathUnknown));
}

#[test]
fn refuses_a_method_the_path_lacks() {
    for method in ["POST", "HEAD", "get", "TRACE"] {
        let call = RestCall { method, ..get("/people/12345678901234", "") };
        let allowed = vec![Method::Get, Method::Patch];
        assert_eq!(document(&call), Err(Refusal::MethodNotAllowed { allowed }), "{method}");
    }
}

#[test]
fn refuses_a_path_that_could_mean_another() {
    for path in
        ["/people/", "//people", "/people/..", "/people/a%2Fb", "/people/a%5cb", "/people/%00", "people"]
    {
        check_invalid(get(path, ""), &[("", "path")]);
    }
}

#[test]
fn refuses_an_unknown_query_parameter() {
    check_invalid(get("/people", "surname=As&sort=age&"), &[("/sort", "unknown"), ("/", "unknown")]);
}

#[test]
fn refuses_a_query_where_none_is_declared() {
    check_invalid(get("/people/12345678901234", "pin=1"), &[("/pin", "unknown")]);
}

#[test]
fn refuses_a_query_parameter_given_twice() {
    check_invalid(get("/people", "surname=As&s%75rname=As"), &[("/surname", "duplicate")]);
    check_invalid(get("/people", "surname=As&status=ALIVE&status=DEAD"), &[("/status", "duplicate")]);
}

#[test]
fn refuses_a_query_parameter_without_a_value() {
    check_invalid(get("/people", "surname=As&exact"), &[("/exact", "syntax")]);
}

#[test]
fn refuses_a_header_parameter_given_twice() {
    let headers: &[(&str, &[u8])] = &[("X-Purpose", b"credit"), ("x-purpose", b"credit")];
    check_invalid(RestCall { headers, ..get("/people/12345678901234", "") }, &[("/X-Purpose", "duplicate")]);
}

#[test]
fn refuses_a_header_parameter_that_is_not_text() {
    for value in [b"\xff\xfe".as_slice(), b"a\tb"] {
        let headers: &[(&str, &[u8])] = &[("X-Purpose", value)];
        check_invalid(
            RestCall { headers, ..get("/people/12345678901234", "") },
            &[("/X-Purpose", "encoding")],
        );
    }
}

#[test]
fn refuses_numbers_and_booleans_in_other_spellings() {
    for page in ["+1", "01", "1.0", "1e2", "-0", "0x1", "%201", "1%20", "", "NaN", "99999999999999999999"] {
        check_invalid(get("/people", &format!("surname=As&page={page}")), &[("/page", "type")]);
    }
    for share in ["NaN", "Infinity", "+0.5", ".5", "1e999", "00.5", "0,5"] {
        check_invalid(get("/people", &format!("surname=As&share={share}")), &[("/share", "type")]);
    }
    for exact in ["1", "yes", "True", "", "%20true"] {
        check_invalid(get("/people", &format!("surname=As&exact={exact}")), &[("/exact", "type")]);
    }
}

#[test]
fn refuses_an_integer_beyond_its_format() {
    check_invalid(get("/people", "surname=As&page=2147483648"), &[("/page", "maximum")]);
}

#[test]
fn refuses_broken_encoding_in_the_query() {
    check_invalid(get("/people", "surname=%D0"), &[("/surname", "encoding")]);
    check_invalid(get("/people", "surname=a%0Ab"), &[("/surname", "encoding")]);
    check_invalid(get("/people", "surname=As&%zz=1"), &[("", "encoding")]);
}

#[test]
fn names_every_field_at_fault_at_once() {
    check_invalid(
        get("/people", "district=a&district=%ff&status=GONE&page=x&share=2"),
        &[
            ("/district/1", "encoding"),
            ("/page", "type"),
            ("/status/0", "enum"),
            ("/share", "maximum"),
            ("/surname", "required"),
        ],
    );
}

#[test]
fn refuses_a_missing_body() {
    check_invalid(patch(b""), &[("/body", "required")]);
}

#[test]
fn refuses_a_body_where_none_is_declared() {
    let call = RestCall { headers: JSON, body: b"{}", ..get("/people/12345678901234", "") };
    check_invalid(call, &[("/body", "unknown")]);
}

#[test]
fn refuses_a_body_with_a_member_given_twice() {
    check_invalid(patch(br#"{"surname":"a","surname":"b"}"#), &[("/body/surname", "duplicate")]);
}

#[test]
fn refuses_a_body_with_an_unknown_member() {
    check_invalid(patch(br#"{"surname":"a","name":"b"}"#), &[("/body/name", "additionalProperties")]);
}

#[test]
fn refuses_a_body_that_is_not_json() {
    check_invalid(patch(br#"{"children":[tru]}"#), &[("/body/children/0", "syntax")]);
    check_invalid(patch(b"{} {}"), &[("/body", "syntax")]);
    check_invalid(patch(b"\xff"), &[("/body", "encoding")]);
    check_invalid(patch(b"\xef\xbb\xbf{}"), &[("/body", "syntax")]);
    check_invalid(patch(br#"{"surname":"\ud800"}"#), &[("/body/surname", "syntax")]);
}

#[test]
fn refuses_a_body_that_is_too_deep() {
    let body = format!("{}{}", "[".repeat(33), "]".repeat(33));
    check_invalid(patch(body.as_bytes()), &[(&format!("/body{}", "/0".repeat(32)), "depth")]);
    let bomb = "[".repeat(100_000);
    check_invalid(patch(bomb.as_bytes()), &[(&format!("/body{}", "/0".repeat(32)), "depth")]);
}

#[test]
fn refuses_a_body_with_too_many_elements() {
    let body = format!("[{}1]", "1,".repeat(20_000));
    check_invalid(patch(body.as_bytes()), &[("/body", "elements")]);
}

#[test]
fn refuses_a_body_with_a_string_too_long() {
    let body = format!(r#"{{"surname":"{}"}}"#, "a".repeat(256 * 1024 + 1));
    check_invalid(patch(body.as_bytes()), &[("/body/surname", "length")]);
}

#[test]
fn refuses_a_body_of_another_media_type() {
    let refused: [&[(&str, &[u8])]; 6] = [
        &[],
        &[("Content-Type", b"text/plain")],
        &[("Content-Type", b"application/json; charset=windows-1251")],
        &[("Content-Type", b"application/json"), ("content-type", b"application/json")],
        &[("Content-Type", b"application/json"), ("Content-Encoding", b"gzip")],
        &[("Content-Type", b"\xff")],
    ];
    for headers in refused {
        let call = RestCall { headers, ..patch(b"{}") };
        assert_eq!(document(&call), Err(Refusal::MediaTypeUnsupported), "{headers:?}");
    }
}

#[test]
fn refuses_what_is_longer_than_the_limits() {
    let contract = people();
    let limits = Limits { path_bytes_max: 30, query_bytes_max: 10, body_bytes_max: 20, ..Limits::default() };
    let cases = [
        (get("/people/1234567890123412345678901234", ""), RequestPart::Path, 30, 414),
        (get("/people", "surname=Asa"), RequestPart::Query, 10, 414),
        (patch(br#"{"surname":"Asanova"}"#), RequestPart::Body, 20, 413),
    ];
    for (call, part, bytes_max, status) in cases {
        let refusal = contract.document(&call, &limits).unwrap_err();
        assert_eq!(refusal, Refusal::TooLarge { part, bytes_max });
        assert_eq!((refusal.code(), refusal.status()), ("contract.request_too_large", status));
    }
}

#[test]
fn reports_a_bounded_number_of_problems() {
    let Refusal::Invalid { problems } = document(&get("/people", &"a=1&".repeat(500))).unwrap_err() else {
        panic!("refused otherwise")
    };
    assert_eq!(problems.len(), 64);
}

#[test]
fn bounds_what_a_hostile_request_costs_where_a_choice_recurs() {
    let contract = Contract::from_openapi(RECURRING).unwrap();
    let body = format!("{}1{}", r#"{"all":["#.repeat(15), "]}".repeat(15));
    let call =
        RestCall { method: "POST", path: "/search", query: None, headers: JSON, body: body.as_bytes() };
    let refusal = contract.document(&call, &Limits::default()).unwrap_err();
    let problems = vec![FieldProblem::new("", "schema", "does not fit the contract")];
    assert_eq!(refusal, Refusal::Invalid { problems });
}

#[test]
fn tells_the_caller_without_quoting_values() {
    let refusal = document(&patch(br#"{"surname":1234567}"#)).unwrap_err();
    assert_eq!(
        String::from_utf8(refusal.problem().to_json()).unwrap(),
        concat!(
            r#"{"type":"about:blank","title":"Bad Request","status":400,"#,
            r#""detail":"the request does not fit the contract","code":"contract.request_invalid","#,
            r#""problems":[{"pointer":"/body/surname","code":"type","message":"must be a string"}]}"#
        )
    );
}

#[test]
fn prints_no_content_of_a_document() {
    let contract = people();
    let call = get("/people", "surname=Asanova");
    let (_, document) = contract.document(&call, &Limits::default()).unwrap();
    assert_eq!(format!("{document:?}"), "Document { size_bytes: 21 }");
}
