//! Contract before adapter: parameters and body become one document, or a refusal that names every bad field.

use uuk_contract::{Contract, Document, Limits, Operation, RestCall};

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
    let body_bytes_max = usize::try_from(body_bytes_max).unwrap_or(usize::MAX);
    let limits = Limits { body_bytes_max, ..Limits::default() };
    contract.document(&call, &limits).map_err(Refusal::Contract)
}
