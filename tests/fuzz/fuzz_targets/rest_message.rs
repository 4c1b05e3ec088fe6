//! Whatever the bytes, reading a REST message ends, and what was read is what peers and services will see of it.
//!
//! Seeds: `tests/fuzz/seeds/rest_message`.

#![no_main]

use libfuzzer_sys::fuzz_target;
use uuk_message::{RestError, RestRequest, RestResponse};

const ERROR_BYTES_MAX: usize = 1024;

fuzz_target!(|bytes: &[u8]| {
    match RestRequest::read(bytes.to_vec()) {
        Ok(request) => check_request(&request, bytes),
        Err(error) => check_error(&error),
    }
    match RestResponse::read(bytes.to_vec()) {
        Ok(response) => {
            assert_eq!(response.bytes(), bytes);
            assert!(!response.head().id.is_empty());
        }
        Err(error) => check_error(&error),
    }
});

fn check_request(request: &RestRequest, bytes: &[u8]) {
    assert_eq!(request.bytes(), bytes);
    let head = request.head();
    assert!(head.path.starts_with("/r1/") && head.path.ends_with(&head.service_path));
    assert!(head.service_path.is_empty() || head.service_path.starts_with('/'));
    let target = match &head.query {
        Some(query) => format!("{}?{query}", head.path),
        None => head.path.clone(),
    };
    // What a client could have sent to get here leads here, but for the place of two headers.
    let request_id = head.request_id.as_deref().unwrap_or_default();
    let again = RestRequest::compose(head.method, &target, &head.headers, request_id, "unused");
    let again = again.expect("what was read can be composed");
    assert_eq!(again.head().client, head.client);
    assert_eq!(again.head().service, head.service);
    assert_eq!(again.head().id, head.id);
}

fn check_error(error: &RestError) {
    assert!(error.to_string().len() <= ERROR_BYTES_MAX, "{}", error.code());
}
