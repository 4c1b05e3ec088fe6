//! Contract before adapter: parameters and body become one document, or a refusal that names every bad field.

use uuk_contract::{Contract, Document, Limits, Operation, RestCall, SoapCall};

use crate::fault::Refusal;
use crate::stages::receive::Head;

/// Turns the request into the document of its operation.
pub(crate) fn request<'a>(
    contract: &'a Contract,
    head: &Head,
    body: &[u8],
    body_bytes_max: u64,
) -> Result<(&'a Operation, Document), Refusal> {
    let headers: Vec<(&str, &[u8])> =
        head.headers().iter().map(|(name, value)| (name.as_str(), value.as_bytes())).collect();
    let call =
        RestCall { method: head.method(), path: head.path(), query: head.query(), headers: &headers, body };
    contract.document(&call, &limits(body_bytes_max)).map_err(Refusal::Contract)
}

/// Turns the body of a SOAP message into the document of its operation.
pub(crate) fn soap_request<'a>(
    contract: &'a Contract,
    message: &SoapCall<'_>,
    body_bytes_max: u64,
) -> Result<(&'a Operation, Document), Refusal> {
    contract.soap_document(message, &limits(body_bytes_max)).map_err(Refusal::Contract)
}

fn limits(body_bytes_max: u64) -> Limits {
    let body_bytes_max = usize::try_from(body_bytes_max).unwrap_or(usize::MAX);
    Limits { body_bytes_max, ..Limits::default() }
}
