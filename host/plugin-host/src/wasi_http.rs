//! The second door: components that export `wasi:http/incoming-handler` instead of `uuk:adapter/handler`.
//!
//! A call becomes `POST http://adapter/{operation}` with the request document as its body and the names of the exchange
//! as headers. Status 2xx is the answer; any other status is a fault, whose code the header `x-fault-code` may state.
//! Requests that such a component sends go through the same grants: the authority of the URL is the upstream's name.

use std::sync::Arc;
use std::time::Instant;

use bytes::Bytes;
use http::header::{CONTENT_LENGTH, HOST};
use http::{Request, Response};
use http_body_util::{BodyExt, Full, LengthLimitError, Limited};
use tokio::sync::{Semaphore, oneshot};
use wasmtime::Store;
use wasmtime_wasi_http::p2::bindings::Proxy;
use wasmtime_wasi_http::p2::bindings::http::types::Scheme;
use wasmtime_wasi_http::{
    Error, RequestOptions, WasiBody, WasiHttpCtx, WasiHttpCtxView, WasiHttpHooks, WasiHttpView,
};

use crate::call::{Call, CallContext, Fault, FaultKind, Outcome, Payload};
use crate::capabilities::http::{HttpError, HttpRequest, HttpResponse};
use crate::component::bounded;
use crate::engine::resource_table;
use crate::environment::Environment;
use crate::host_calls::{self, HELD_BYTES_MAX, HostCalls};
use crate::instance::CallState;

/// What the door needs besides the state that both doors share. Made when a component first uses it.
pub(crate) struct HttpDoor {
    context: WasiHttpCtx,
    hooks: Hooks,
}

impl HttpDoor {
    /// Requests sent so far.
    pub(crate) fn host_calls(&self) -> u32 {
        self.hooks.host_calls.made
    }
}

/// The component wrote a longer response than its plugin may.
#[derive(Debug, thiserror::Error)]
#[error("response is too long")]
pub(crate) struct ResponseTooLong;

impl WasiHttpView for CallState {
    fn http(&mut self) -> WasiHttpCtxView<'_> {
        let door = self.http_door.get_or_insert_with(|| HttpDoor {
            context: WasiHttpCtx::new(),
            hooks: Hooks {
                environment: Arc::clone(&self.environment),
                context: Arc::clone(&self.context),
                deadline: self.deadline,
                host_calls: self.host_calls.share(),
                sends: Arc::new(Semaphore::new(SENDS_MAX)),
            },
        });
        WasiHttpCtxView { ctx: &mut door.context, table: &mut self.table, hooks: &mut door.hooks }
    }
}

/// Sends a component's requests to the upstreams that its plugin was granted, and nowhere else.
struct Hooks {
    environment: Arc<Environment>,
    context: Arc<CallContext>,
    deadline: Instant,
    host_calls: HostCalls,
    sends: Arc<Semaphore>,
}

/// Requests of one call on their way at once: each may bring a whole answer into memory before it is counted.
const SENDS_MAX: usize = 8;

type Exchange = (Response<WasiBody>, Box<dyn Future<Output = Result<(), Error>> + Send>);

impl WasiHttpHooks for Hooks {
    fn send_request(
        &mut self,
        request: Request<WasiBody>,
        options: Option<RequestOptions>,
        _: Box<dyn Future<Output = Result<(), Error>> + Send>,
    ) -> Box<dyn Future<Output = Result<Exchange, Error>> + Send> {
        let allowed = self.host_calls.take();
        let place = Arc::clone(&self.sends).try_acquire_owned();
        let held = self.host_calls.share();
        let (environment, context, deadline) =
            (Arc::clone(&self.environment), Arc::clone(&self.context), self.deadline);
        Box::new(async move {
            if !allowed {
                return Err(Error::HttpRequestDenied);
            }
            let _place = place.map_err(|_| Error::ConnectionLimitReached)?;
            let (upstream, request) = request_of(request, options).await?;
            let response = host_calls::send(&environment, &upstream, request, &context, deadline)
                .await
                .map_err(|refused| error(&refused))
                .and_then(|response| response_of(response, &held))?;
            let ended: Box<dyn Future<Output = _> + Send> = Box::new(async { Ok(()) });
            Ok((response, ended))
        })
    }

    fn set_host_header(&mut self) -> bool {
        false
    }
}

/// The largest request body, as for the other door.
const REQUEST_BODY_BYTES_MAX: usize = 1 << 20;

async fn request_of(
    request: Request<WasiBody>,
    options: Option<RequestOptions>,
) -> Result<(String, HttpRequest), Error> {
    let (parts, body) = request.into_parts();
    let too_large = Error::HttpRequestBodySize(Some(REQUEST_BODY_BYTES_MAX as u64));
    let body = Limited::new(body, REQUEST_BODY_BYTES_MAX).collect().await.map_err(|_| too_large)?;
    let upstream = parts.uri.host().unwrap_or_default().to_owned();
    let text = |value: &http::HeaderValue| String::from_utf8_lossy(value.as_bytes()).into_owned();
    // HTTP libraries set these two by themselves; the host has its own for them.
    let headers = parts.headers.iter().filter(|(name, _)| !matches!(*name, &HOST | &CONTENT_LENGTH));
    let request = HttpRequest {
        method: parts.method.to_string(),
        path_and_query: parts.uri.path_and_query().map_or("/", |path| path.as_str()).to_owned(),
        headers: headers.map(|(name, value)| (name.to_string(), text(value))).collect(),
        body: Some(body.to_bytes().to_vec()),
        timeout: options.and_then(|options| options.first_byte_timeout),
    };
    Ok((upstream, request))
}

/// The response waits with the host until the component reads it, and whether it ever does is its own affair: so its
/// bytes are counted as held.
fn response_of(response: HttpResponse, held: &HostCalls) -> Result<Response<WasiBody>, Error> {
    let headers = response.headers.iter().map(|(name, value)| name.len() + value.len());
    if !held.hold(response.body.len() + headers.sum::<usize>()) {
        return Err(Error::HttpResponseBodySize(Some(HELD_BYTES_MAX)));
    }
    let mut builder = Response::builder().status(response.status);
    for (name, value) in response.headers {
        builder = builder.header(name, value);
    }
    let body = Full::new(response.body).map_err(|never| match never {}).boxed_unsync();
    builder.body(body).map_err(|_| Error::HttpProtocolError)
}

fn error(error: &HttpError) -> Error {
    match error {
        HttpError::UnknownUpstream | HttpError::NotGranted(_) | HttpError::HeaderRefused(_) => {
            Error::HttpRequestDenied
        }
        HttpError::TooLarge(bytes_max) => Error::HttpResponseBodySize(Some(*bytes_max)),
        HttpError::Deadline => Error::HttpResponseTimeout,
        HttpError::Busy => Error::ConnectionLimitReached,
        HttpError::Dns => Error::DnsError { rcode: None, info_code: None },
        HttpError::Connect => Error::ConnectionRefused,
        HttpError::Tls(_) => Error::TlsProtocolError,
        HttpError::Protocol(_) | HttpError::Other(_) => Error::HttpProtocolError,
    }
}

/// Asks the component to answer `call`.
pub(crate) async fn handle(
    store: &mut Store<CallState>,
    proxy: &Proxy,
    call: &Call,
) -> wasmtime::Result<Outcome> {
    let (sender, receiver) = oneshot::channel();
    let request = store.data_mut().http().new_incoming_request(Scheme::Http, incoming(call)?)?;
    let outparam = store.data_mut().http().new_response_outparam(sender)?;
    let response_bytes_max = usize::try_from(store.data().limits.response_bytes_max).unwrap_or(usize::MAX);

    // The component may go on writing its body after it has handed over the head, so both ends run side by side.
    let answered = async {
        let Ok(Ok(response)) = receiver.await else {
            return Err(wasmtime::Error::msg("the component gave no response"));
        };
        let (head, body) = response.into_parts();
        match Limited::new(body, response_bytes_max).collect().await {
            Ok(body) => Ok(outcome(&head, &body.to_bytes())),
            Err(error) if error.is::<LengthLimitError>() => Err(ResponseTooLong.into()),
            Err(_) => Err(wasmtime::Error::msg("response body broke off")),
        }
    };
    let handled = async {
        let handled = proxy.wasi_http_incoming_handler().call_handle(&mut *store, request, outparam).await;
        // What the component left open ends with its call; nobody waits for it.
        store.data_mut().table = resource_table();
        handled
    };
    let (handled, answered) = tokio::join!(handled, answered);
    handled?;
    answered
}

fn incoming(call: &Call) -> wasmtime::Result<Request<Full<Bytes>>> {
    let context = &call.context;
    let mut builder = Request::post(format!("http://adapter/{}", context.operation))
        .header("host", "adapter")
        .header("content-type", "application/json")
        .header("x-road-id", &context.exchange_id)
        .header("x-road-client", &context.client)
        .header("x-road-service", format!("{}/{}", context.provider, context.service_code));
    let optional = [
        ("x-road-userid", &context.user),
        ("x-road-issue", &context.issue),
        ("x-road-represented-party", &context.represented_party),
        ("x-road-purpose", &context.purpose),
        ("traceparent", &context.traceparent),
    ];
    for (name, value) in optional {
        if let Some(value) = value {
            builder = builder.header(name, value);
        }
    }
    Ok(builder.body(Full::new(call.document.clone()))?)
}

fn outcome(head: &http::response::Parts, body: &Bytes) -> Outcome {
    let header = |name: &str| head.headers.get(name).and_then(|value| value.to_str().ok());
    if head.status.is_success() {
        let media_type = header("content-type").unwrap_or("application/octet-stream").to_owned();
        return Outcome::Answer(Payload { media_type, data: body.to_vec() });
    }
    let kind = match head.status.as_u16() {
        400 => FaultKind::BadInput,
        403 => FaultKind::Forbidden,
        404 => FaultKind::NotFound,
        409 => FaultKind::Conflict,
        422 => FaultKind::Precondition,
        429 => FaultKind::RateLimited,
        503 => FaultKind::UpstreamUnavailable,
        504 => FaultKind::UpstreamTimeout,
        _ => FaultKind::Internal,
    };
    let code = header("x-fault-code").map_or_else(|| kind.to_string(), bounded);
    let message = bounded(&String::from_utf8_lossy(body));
    Outcome::Fault(Fault { kind, code, message, problems: Vec::new(), retry_after: None, diagnostic: None })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn refuses_responses_that_together_are_more_than_one_call_may_hold() {
        let held = HostCalls::new(0);
        let body = Bytes::from(vec![0; HELD_BYTES_MAX as usize / 2]);
        let headers = vec![("content-type".to_owned(), "text/plain".to_owned())];
        let response = HttpResponse { status: 200, headers, body };
        assert!(response_of(response.clone(), &held).is_ok());
        let refused = response_of(response, &held).err().unwrap();
        assert!(matches!(refused, Error::HttpResponseBodySize(Some(HELD_BYTES_MAX))), "{refused:?}");
    }
}
