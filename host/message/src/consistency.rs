use crate::RequestHash;

/// Why a response is not the response to a request. X-Road's code for it is `inconsistent_response`.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error, strum::IntoStaticStr)]
#[strum(serialize_all = "snake_case", prefix = "response.")]
#[non_exhaustive]
pub enum InconsistentResponse {
    /// A field differs.
    #[error("`{field}` of the response is not that of the request")]
    Field {
        /// Its name in the message.
        field: &'static str,
    },
    /// The response does not say which request it answers.
    #[error("the response has no hash of the request")]
    NoRequestHash,
    /// The response answers another request.
    #[error("the response has the hash of another request")]
    RequestHash,
}

impl InconsistentResponse {
    /// The stable code.
    pub fn code(&self) -> &'static str {
        self.into()
    }

    /// X-Road's code.
    pub fn xroad_code(&self) -> &'static str {
        "inconsistent_response"
    }
}

pub(crate) fn check_field<T: PartialEq>(
    field: &'static str,
    request: &T,
    response: &T,
) -> Result<(), InconsistentResponse> {
    if request == response { Ok(()) } else { Err(InconsistentResponse::Field { field }) }
}

pub(crate) fn check_hash(
    request: RequestHash,
    response: Option<RequestHash>,
) -> Result<(), InconsistentResponse> {
    match response {
        Some(hash) if hash == request => Ok(()),
        Some(_) => Err(InconsistentResponse::RequestHash),
        None => Err(InconsistentResponse::NoRequestHash),
    }
}
