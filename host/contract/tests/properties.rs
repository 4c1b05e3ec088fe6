//! What holds for every call, valid or hostile.

#![expect(clippy::unwrap_used, reason = "what a test's helpers cannot do, the test reports")]

use std::sync::LazyLock;

use proptest::prelude::*;
use serde_json::{Value, json};
use uuk_contract::{Contract, Limits, RestCall};

static PEOPLE: LazyLock<Contract> =
    LazyLock::new(|| Contract::from_openapi(include_bytes!("../testdata/accept/people.yaml")).unwrap());

fn percent_encoded(text: &str) -> String {
    text.bytes().map(|byte| format!("%{byte:02X}")).collect()
}

proptest! {
    // A failure found here becomes a test of its own, not a seed in a file.
    #![proptest_config(ProptestConfig { failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn any_call_is_answered_or_refused(
        method in "GET|PATCH|[A-Z]{0,6}",
        path in "(/people)?(/[0-9]{14}|/mine|/.{0,8}|)",
        query in proptest::option::of("((surname|page|status|district|.{0,4})=?.{0,6}&?){0,5}"),
        header in "(X-Purpose|content-type|.{0,4})",
        value in proptest::collection::vec(any::<u8>(), 0..8),
        body in prop_oneof![
            proptest::collection::vec(any::<u8>(), 0..32),
            r#"\{("(surname|height|children|a)":("a"|1|[0-9.e-]{1,4}|null|\[\]),?){0,4}\}?"#.prop_map(String::into_bytes),
        ],
    ) {
        let headers: &[(&str, &[u8])] = &[("Content-Type", b"application/json"), (&header, &value)];
        let call = RestCall { method: &method, path: &path, query: query.as_deref(), headers, body: &body };
        match PEOPLE.document(&call, &Limits::default()) {
            Ok((_, document)) => {
                prop_assert!(serde_json::from_slice::<Value>(document.as_bytes()).unwrap().is_object());
            }
            Err(refusal) => {
                prop_assert!(serde_json::from_slice::<Value>(&refusal.problem().to_json()).is_ok());
            }
        }
    }

    #[test]
    fn a_valid_call_becomes_the_document_that_was_meant(
        surname in "[^\\p{Cc}]{2,40}",
        districts in proptest::collection::vec("[^\\p{Cc}]{0,8}", 1..4),
        statuses in proptest::collection::vec("ALIVE|DEAD", 1..4),
        page in 1..=i32::MAX,
        exact in any::<bool>(),
        // Few digits, for the JSON reader may miss the nearest value of a long fraction by one unit; and no
        // whole number, which would come back as an integer: the text is `1`, as it was sent.
        share in (1..1000_u32).prop_map(|thousandths| f64::from(thousandths) / 1000.0),
    ) {
        let mut query = format!("surname={}&page={page}&exact={exact}&share={share}", percent_encoded(&surname));
        for district in &districts {
            query.push_str(&format!("&district={}", percent_encoded(district)));
        }
        query.push_str(&format!("&status={}", statuses.join(",")));
        let call = RestCall { method: "GET", path: "/people", query: Some(&query), headers: &[], body: b"" };

        let (operation, document) = PEOPLE.document(&call, &Limits::default()).unwrap();
        prop_assert_eq!(operation.id(), "search");
        let meant = json!({
            "surname": surname, "district": districts, "status": statuses,
            "page": page, "exact": exact, "share": share,
        });
        prop_assert_eq!(serde_json::from_slice::<Value>(document.as_bytes()).unwrap(), meant);
    }

    #[test]
    fn a_valid_body_keeps_its_text(
        surname in "[^\\p{Cc}]{1,40}",
        height in any::<f64>().prop_filter("finite", |height| height.is_finite()),
        children in proptest::collection::vec("[0-9]{14}", 0..5),
    ) {
        let body = json!({"surname": surname, "height": height, "children": children}).to_string();
        let headers: &[(&str, &[u8])] = &[("content-type", b"application/json")];
        let path = "/people/12345678901234";
        let call = RestCall { method: "PATCH", path, query: None, headers, body: body.as_bytes() };

        let (_, document) = PEOPLE.document(&call, &Limits::default()).unwrap();
        let expected = format!(r#"{{"pin":"12345678901234","body":{body}}}"#);
        prop_assert_eq!(document.as_bytes(), expected.as_bytes());
    }
}
