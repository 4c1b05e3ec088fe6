//! The honest adapter as an HTTP component that knows nothing of uuk: `GET …/echo/MESSAGE`.
#![cfg(target_family = "wasm")]

use std::io::Write;

use wasip2::exports::http::incoming_handler::Guest;
use wasip2::http::types::{Fields, IncomingRequest, OutgoingBody, OutgoingResponse, ResponseOutparam};

wasip2::http::proxy::export!(Component);

struct Component;

impl Guest for Component {
    fn handle(request: IncomingRequest, response_out: ResponseOutparam) {
        let path = request.path_with_query().unwrap_or_default();
        let message = path.rsplit('/').next().unwrap_or_default();
        let document = format!(r#"{{"message":"{message}","version":"wasi-http"}}"#);
        let answered = answer(response_out, document.as_bytes());
        assert!(answered.is_some(), "the host takes one response of a few bytes");
    }
}

fn answer(response_out: ResponseOutparam, document: &[u8]) -> Option<()> {
    let headers = Fields::from_list(&[("content-type".to_owned(), b"application/json".to_vec())]).ok()?;
    let response = OutgoingResponse::new(headers);
    let body = response.body().ok()?;
    ResponseOutparam::set(response_out, Ok(response));
    let mut stream = body.write().ok()?;
    stream.write_all(document).ok()?;
    stream.flush().ok()?;
    drop(stream);
    OutgoingBody::finish(body, None).ok()
}
