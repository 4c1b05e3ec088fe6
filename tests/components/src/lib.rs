//! What the test components share: answers in one line, and the honest adapter.
//!
//! The components themselves are in `examples/`, one file each; `README.md` says how they are built and what
//! each does.

use uuk_adapter::handler::{Request, Response};
use uuk_adapter::types::Payload;

/// An answer whose document is `{"outcome": outcome}`.
#[must_use]
pub fn outcome(outcome: &str) -> Response {
    raw(uuk_adapter::serde_json::json!({ "outcome": outcome }).to_string().into_bytes())
}

/// An answer of these bytes, JSON or not.
#[must_use]
pub fn raw(data: Vec<u8>) -> Response {
    Response { body: Payload { media_type: "application/json".to_owned(), data }, attachments: Vec::new() }
}

/// The whole number under `name` in the request document, 0 if there is none.
#[must_use]
pub fn integer(request: &Request, name: &str) -> i64 {
    let document: Result<uuk_adapter::serde_json::Value, _> =
        uuk_adapter::serde_json::from_slice(&request.body.data);
    document.ok().and_then(|document| document.get(name)?.as_i64()).unwrap_or_default()
}

/// An honest adapter: operation `echo` answers with its message and this version.
#[macro_export]
macro_rules! echo {
    ($version:literal) => {
        mod echo {
            use uuk_adapter::serde::{Deserialize, Serialize};

            #[derive(Deserialize)]
            #[serde(crate = "uuk_adapter::serde")]
            pub(crate) struct Request {
                pub(crate) message: String,
            }

            #[derive(Serialize)]
            #[serde(crate = "uuk_adapter::serde")]
            pub(crate) struct Response {
                pub(crate) message: String,
                pub(crate) version: &'static str,
            }

            impl uuk_adapter::Operation for Request {
                const ID: &'static str = "echo";
                type Response = Response;
            }
        }

        uuk_adapter::adapter!(echo);

        #[uuk_adapter::operation]
        fn echo(request: echo::Request) -> Result<echo::Response, uuk_adapter::Fault> {
            Ok(echo::Response { message: request.message, version: $version })
        }
    };
}

/// A component that answers every operation with its name, so that what it does besides can be seen to matter.
#[macro_export]
macro_rules! component {
    (probe = $probe:path) => {
        struct Component;

        impl uuk_adapter::handler::Guest for Component {
            fn handle(
                context: uuk_adapter::Context,
                _request: uuk_adapter::handler::Request,
            ) -> Result<uuk_adapter::handler::Response, uuk_adapter::Fault> {
                Ok($crate::outcome(&context.service.operation))
            }
        }

        impl uuk_adapter::probe::Guest for Component {
            fn run(depth: uuk_adapter::probe::Depth) -> Vec<uuk_adapter::probe::Finding> {
                $probe(depth)
            }
        }

        uuk_adapter::export!(Component);
    };
}
