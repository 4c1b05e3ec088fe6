//! The macros as an author meets them, with the types that `uuk adapter typegen` would write.

use uuk_adapter::handler::Request;
use uuk_adapter::{Context, Fault, FaultKind, Operation, answer, operation, types};

mod get {
    use uuk_adapter::serde::{Deserialize, Serialize};

    #[derive(Deserialize)]
    #[serde(crate = "uuk_adapter::serde")]
    pub(crate) struct Request {
        pub(crate) pin: String,
    }

    #[derive(Serialize)]
    #[serde(crate = "uuk_adapter::serde")]
    pub(crate) struct Response {
        pub(crate) asked_by: String,
    }

    impl uuk_adapter::Operation for Request {
        const ID: &'static str = "get";
        type Response = Response;
    }
}

#[operation]
fn get(request: get::Request, context: &Context) -> Result<get::Response, Fault> {
    if request.pin.is_empty() {
        return Err(Fault::not_found("PERSON_NOT_FOUND", "nobody bears this number"));
    }
    Ok(get::Response { asked_by: context.client.clone() })
}

#[test]
fn a_function_answers_the_operation_whose_request_it_takes() {
    let answer = answer::<get::Request>(&context(), &request(r#"{"pin":"1"}"#)).unwrap();
    assert_eq!(get::Request::ID, "get");
    assert_eq!(answer.body.media_type, "application/json");
    assert_eq!(answer.body.data, br#"{"asked_by":"KG/GOV/70000001/portal"}"#);
}

#[test]
fn the_functions_fault_is_the_answer() {
    let fault = answer::<get::Request>(&context(), &request(r#"{"pin":""}"#)).unwrap_err();
    assert_eq!((fault.kind, fault.code.as_str()), (FaultKind::NotFound, "PERSON_NOT_FOUND"));
}

#[test]
fn a_document_of_another_shape_is_an_internal_fault() {
    let fault = answer::<get::Request>(&context(), &request("{}")).unwrap_err();
    assert_eq!((fault.kind, fault.code.as_str()), (FaultKind::Internal, "UNREADABLE_DOCUMENT"));
}

fn request(document: &str) -> Request {
    let media_type = "application/json".to_owned();
    let body = types::Payload { media_type, data: document.into() };
    Request { body, attachments: Vec::new() }
}

fn context() -> Context {
    let service = types::ServiceId {
        provider: "KG/GOV/70000005/registry".into(),
        code: "person".into(),
        version: String::new(),
        operation: "get".into(),
    };
    Context {
        exchange_id: "1".into(),
        client: "KG/GOV/70000001/portal".into(),
        user: None,
        represented_party: None,
        issue: None,
        purpose: None,
        service,
        traceparent: None,
        idempotency_key: None,
        attempt: 1,
        received_at: "2026-01-01T00:00:00Z".into(),
        deadline_ms: 1000,
        locale: None,
        extensions: Vec::new(),
    }
}
