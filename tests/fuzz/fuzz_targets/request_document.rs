//! Whatever the call, it becomes a JSON object that fits its operation, or a refusal that is JSON too.
//!
//! The input is text: `METHOD PATH?QUERY`, a line with the value of the one header that is a parameter, the body.
//! Seeds: `tests/fuzz/seeds/request_document`.

#![no_main]

use std::sync::LazyLock;

use libfuzzer_sys::fuzz_target;
use serde_json::Value;
use uuk_contract::{Contract, Limits, RestCall};

static PEOPLE: LazyLock<Contract> = LazyLock::new(|| {
    Contract::from_openapi(include_bytes!("../../../host/contract/testdata/accept/people.yaml"))
        .expect("the contract is among the accepted ones")
});

fuzz_target!(|input: &[u8]| {
    let mut lines = input.splitn(3, |byte| *byte == b'\n');
    let Some(Ok(request_line)) = lines.next().map(std::str::from_utf8) else { return };
    let (method, target) = request_line.split_once(' ').unwrap_or(("GET", request_line));
    let (path, query) = match target.split_once('?') {
        Some((path, query)) => (path, Some(query)),
        None => (target, None),
    };
    let purpose = lines.next().unwrap_or_default();
    let body = lines.next().unwrap_or_default();
    let headers: &[(&str, &[u8])] = &[("content-type", b"application/json"), ("x-purpose", purpose)];
    let call = RestCall { method, path, query, headers, body };

    match PEOPLE.document(&call, &Limits::default()) {
        Ok((_, document)) => {
            let value: Value = serde_json::from_slice(document.as_bytes()).expect("a document is JSON");
            assert!(value.is_object());
            let body_as_sent = [body.trim_ascii(), b"}"].concat();
            assert!(body.is_empty() || document.as_bytes().ends_with(&body_as_sent));
        }
        Err(refusal) => {
            let problem = refusal.problem().to_json();
            serde_json::from_slice::<Value>(&problem).expect("a refusal is JSON");
            assert!(problem.len() <= 64 * 1024, "{}", refusal.code());
        }
    }
});
