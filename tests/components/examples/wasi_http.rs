//! The honest adapter as an HTTP component that knows nothing of uuk: it is sent the request document and adds its
//! version to it.
#![cfg(target_family = "wasm")]

use std::io::{Read, Write};

use serde_json::{Map, Value};
use wasip2::exports::http::incoming_handler::Guest;
use wasip2::http::types::{Fields, IncomingRequest, OutgoingBody, OutgoingResponse, ResponseOutparam};

wasip2::http::proxy::export!(Component);

struct Component;

impl Guest for Component {
    fn handle(request: IncomingRequest, response_out: ResponseOutparam) {
        let document = document(&request);
        let (status, answer) = match document {
            Some(mut document) => {
                document.insert("version".to_owned(), "wasi-http".into());
                (200, Value::Object(document).to_string())
            }
            None => (400, String::new()),
        };
        let answered = respond(response_out, status, answer.as_bytes());
        assert!(answered.is_some(), "the host takes one response of a few bytes");
    }
}

fn document(request: &IncomingRequest) -> Option<Map<String, Value>> {
    let body = request.consume().ok()?;
    let mut bytes = Vec::new();
    body.stream().ok()?.read_to_end(&mut bytes).ok()?;
    serde_json::from_slice(&bytes).ok()
}

fn respond(response_out: ResponseOutparam, status: u16, document: &[u8]) -> Option<()> {
    let headers = Fields::from_list(&[("content-type".to_owned(), b"application/json".to_vec())]).ok()?;
    let response = OutgoingResponse::new(headers);
    response.set_status_code(status).ok()?;
    let body = response.body().ok()?;
    ResponseOutparam::set(response_out, Ok(response));
    let mut stream = body.write().ok()?;
    stream.write_all(document).ok()?;
    stream.flush().ok()?;
    drop(stream);
    OutgoingBody::finish(body, None).ok()
}
