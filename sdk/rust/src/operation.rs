//! Operations: what the generated request types say about themselves, and the dispatch to an adapter's functions.

use serde::Serialize;
use serde::de::DeserializeOwned;

use crate::bindings::uuk::adapter::types::Payload;
use crate::handler::{Request, Response};
use crate::{Context, Fault};

/// An operation of the contract, told by its request type. Written by `uuk adapter typegen`.
pub trait Operation: DeserializeOwned {
    /// The contract's `operationId`.
    const ID: &'static str;
    /// Whether the contract declares a document for the answer; nothing is sent if it does not.
    const ANSWERS_DOCUMENT: bool = true;
    /// The document answered.
    type Response: Serialize;
}

/// How this adapter answers an operation. Written by `#[operation]`.
#[diagnostic::on_unimplemented(
    message = "no function marked `#[operation]` takes `{Self}`",
    note = "write `#[operation] fn name(request: {Self}) -> Result<…, Fault>`"
)]
pub trait Answer: Operation {
    /// Answers one request.
    ///
    /// # Errors
    /// Whatever the function says.
    fn answer(self, context: &Context) -> Result<Self::Response, Fault>;
}

/// Makes a component of the operations named: `adapter!(get, search)`.
///
/// Each name is a generated module, whose `Request` a function marked [`operation`](macro@crate::operation) takes.
/// `adapter!(get, search; probe = FUNCTION)` has the host's probe answered by FUNCTION, which has the signature
/// of [`probe::nothing`](crate::probe::nothing), the default.
#[macro_export]
macro_rules! adapter {
    ($($operation:ident),+ $(,)?) => {
        $crate::adapter!($($operation),+; probe = $crate::probe::nothing);
    };
    ($($operation:ident),+; probe = $probe:path) => {
        const _: () = {
            struct Adapter;

            impl $crate::handler::Guest for Adapter {
                fn handle(
                    context: $crate::Context,
                    request: $crate::handler::Request,
                ) -> Result<$crate::handler::Response, $crate::Fault> {
                    match context.service.operation.as_str() {
                        $(<$operation::Request as $crate::Operation>::ID => {
                            $crate::answer::<$operation::Request>(&context, &request)
                        })+
                        operation => Err($crate::not_answered(operation)),
                    }
                }
            }

            impl $crate::probe::Guest for Adapter {
                fn run(depth: $crate::probe::Depth) -> Vec<$crate::probe::Finding> {
                    $probe(depth)
                }
            }

            $crate::export!(Adapter);
        };
    };
}

/// Makes a component of a type that implements [`handler::Guest`](crate::handler::Guest) and
/// [`probe::Guest`](crate::probe::Guest), for adapters that do without [`adapter!`].
#[macro_export]
macro_rules! export {
    ($adapter:ident) => {
        // Native linkers refuse the names of these exports, and only tests are linked natively.
        #[cfg(target_family = "wasm")]
        $crate::bindings::export!($adapter with_types_in $crate::bindings);

        const _: () = {
            const fn is_adapter<A: $crate::handler::Guest + $crate::probe::Guest>() {}
            is_adapter::<$adapter>();
        };
    };
}

/// Reads the document, has it answered, writes the answer. Called by [`adapter!`].
///
/// # Errors
/// The operation's fault, or an internal one if a document does not fit the generated types.
pub fn answer<O: Answer>(context: &Context, request: &Request) -> Result<Response, Fault> {
    let document: O = serde_json::from_slice(&request.body.data)?;
    let answer = document.answer(context)?;
    let data = if O::ANSWERS_DOCUMENT { serde_json::to_vec(&answer)? } else { Vec::new() };
    Ok(Response {
        body: Payload { media_type: "application/json".to_owned(), data },
        attachments: Vec::new(),
    })
}

/// The fault for an operation that the contract has and the adapter has not. Called by [`adapter!`].
pub fn not_answered(operation: &str) -> Fault {
    Fault::internal(
        "OPERATION_NOT_ANSWERED",
        format_args!("`adapter!` does not list operation `{operation}`"),
    )
}
