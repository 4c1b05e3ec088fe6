//! What an HTTP component may do wrong, chosen by the message: it keeps silent, leaves its response open, answers too
//! much, traps, or takes the message for the name of an upstream and sends a request there.
#![cfg(target_family = "wasm")]

use std::io::{Read, Write};

use serde_json::{Value, json};
use wasip2::exports::http::incoming_handler::Guest;
use wasip2::http::outgoing_handler;
use wasip2::http::types::{
    ErrorCode, Fields, IncomingRequest, IncomingResponse, OutgoingBody, OutgoingRequest, OutgoingResponse,
    ResponseOutparam, Scheme,
};

wasip2::http::proxy::export!(Component);

struct Component;

impl Guest for Component {
    fn handle(request: IncomingRequest, response_out: ResponseOutparam) {
        match message(&request).as_deref().unwrap_or_default() {
            // Not even the place for a response is given back.
            "keeps-silent" => std::mem::forget(response_out),
            "leaves-open" => std::mem::forget(respond(response_out)),
            "answers-too-much" => answer(response_out, &vec![b' '; 2 << 20]),
            "traps" => std::process::abort(),
            upstream => {
                let outcome = match send(upstream) {
                    Ok(response) => format!("status {}", response.status()),
                    Err(error) => format!("{error:?}"),
                };
                let document = json!({ "message": outcome, "version": "wasi-http" });
                answer(response_out, document.to_string().as_bytes());
            }
        }
    }
}

fn message(request: &IncomingRequest) -> Option<String> {
    let body = request.consume().ok()?;
    let mut bytes = Vec::new();
    body.stream().ok()?.read_to_end(&mut bytes).ok()?;
    let document: Value = serde_json::from_slice(&bytes).ok()?;
    Some(document.get("message")?.as_str()?.to_owned())
}

/// `GET http://{upstream}/v1/x` with a length that nobody needs, as some HTTP libraries set it.
fn send(upstream: &str) -> Result<IncomingResponse, ErrorCode> {
    let length = ("content-length".to_owned(), b"0".to_vec());
    let headers = Fields::from_list(&[length]).map_err(|error| other(format!("{error:?}")))?;
    let request = OutgoingRequest::new(headers);
    let is_set = request.set_scheme(Some(&Scheme::Http)).is_ok()
        && request.set_authority(Some(upstream)).is_ok()
        && request.set_path_with_query(Some("/v1/x")).is_ok();
    if !is_set {
        return Err(other("the request is malformed".to_owned()));
    }
    let response = outgoing_handler::handle(request, None)?;
    response.subscribe().block();
    match response.get() {
        Some(Ok(response)) => response,
        Some(Err(())) | None => Err(other("no response".to_owned())),
    }
}

fn other(what: String) -> ErrorCode {
    ErrorCode::InternalError(Some(what))
}

fn answer(response_out: ResponseOutparam, document: &[u8]) {
    let Some(body) = respond(response_out) else { return };
    if let Ok(mut stream) = body.write() {
        // The host may stop listening, which is its right.
        let _ = stream.write_all(document);
    }
    let _ = OutgoingBody::finish(body, None);
}

/// Begins a response of status 200, and gives its body.
fn respond(response_out: ResponseOutparam) -> Option<OutgoingBody> {
    let headers = Fields::from_list(&[("content-type".to_owned(), b"application/json".to_vec())]).ok()?;
    let response = OutgoingResponse::new(headers);
    let body = response.body().ok()?;
    ResponseOutparam::set(response_out, Ok(response));
    Some(body)
}
