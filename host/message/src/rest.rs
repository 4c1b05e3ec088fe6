use bytes::Bytes;
use uuk_identifiers::{ClientId, IdentifierError, RepresentedParty, ServerId, ServiceId};

use crate::consistency::{check_field, check_hash};
use crate::{Header, InconsistentResponse, RequestHash, Sha512, sha512};

/// Why a REST message is refused.
#[derive(Debug, thiserror::Error, strum::IntoStaticStr)]
#[strum(serialize_all = "snake_case", prefix = "rest.")]
#[non_exhaustive]
pub enum RestError {
    /// A line does not end with CR LF, so that two readers could divide the message differently.
    #[error("line {line} is not UTF-8 text that ends with CR LF")]
    Line {
        /// Counted from 1.
        line: usize,
    },
    /// The method is none that X-Road carries.
    #[error("the method is not one of DELETE, GET, HEAD, OPTIONS, PATCH, POST, PUT, TRACE")]
    Method,
    /// The target is not a path with an optional query.
    #[error("the request target is not a path of `/r1/instance/class/member/subsystem/service`")]
    Target,
    /// The path names no service.
    #[error("the path does not name a service")]
    Service(#[source] IdentifierError),
    /// The status is not a number of three digits.
    #[error("the status code is not one of HTTP")]
    Status,
    /// A header has no colon, no name, or a control character.
    #[error("header {position} is malformed")]
    Header {
        /// Counted from 1.
        position: usize,
    },
    /// A header is there that belongs to one connection, and not to the message.
    #[error("header `{name}` may not be part of a message")]
    ConnectionHeader {
        /// Its name.
        name: &'static str,
    },
    /// A header that may stand once stands twice, so that two readers could take different ones.
    #[error("header `{name}` stands more than once")]
    RepeatedHeader {
        /// Its name.
        name: &'static str,
    },
    /// A header is missing or empty.
    #[error("header `{name}` is missing")]
    MissingHeader {
        /// Its name.
        name: &'static str,
    },
    /// The header that names the client is missing or names none.
    #[error("header `x-road-client` does not name a client")]
    Client(#[source] Option<IdentifierError>),
    /// A header does not name what it should.
    #[error("header `{name}` does not hold an identifier")]
    Identifier {
        /// Its name.
        name: &'static str,
        /// What is wrong with it.
        #[source]
        source: IdentifierError,
    },
    /// The hash of the request is not one.
    #[error("header `x-road-request-hash` does not hold a SHA-512 digest in base64")]
    RequestHash,
}

impl RestError {
    /// The stable code.
    pub fn code(&self) -> &'static str {
        self.into()
    }

    /// X-Road's code. Its proxies call any malformed message an internal error.
    pub fn xroad_code(&self) -> &'static str {
        match self {
            Self::Client(_) => "invalid_client_identifier",
            _ => "internal_error",
        }
    }
}

/// The HTTP methods that X-Road carries.
#[derive(Debug, Clone, Copy, PartialEq, Eq, strum::EnumString, strum::IntoStaticStr, strum::Display)]
#[strum(serialize_all = "UPPERCASE")]
#[expect(missing_docs, reason = "RFC 9110 says what they are")]
pub enum RestMethod {
    Delete,
    Get,
    Head,
    Options,
    Patch,
    Post,
    Put,
    Trace,
}

/// Headers that belong to a connection. X-Road's list, which is more than HTTP's.
const CONNECTION_HEADERS: [&str; 13] = [
    "transfer-encoding",
    "keep-alive",
    "proxy-authenticate",
    "proxy-authorization",
    "te",
    "trailer",
    "upgrade",
    "connection",
    "user-agent",
    "host",
    "content-length",
    "server",
    "expect",
];

const CLIENT: &str = "x-road-client";
const SERVICE: &str = "x-road-service";
const ID: &str = "x-road-id";
const REQUEST_ID: &str = "x-road-request-id";
const REQUEST_HASH: &str = "x-road-request-hash";
const SECURITY_SERVER: &str = "x-road-security-server";
const REPRESENTED_PARTY: &str = "x-road-represented-party";
const USER_ID: &str = "x-road-userid";
const ISSUE: &str = "x-road-issue";

/// The header part of a REST request, as it is signed: its bytes, and what they say.
///
/// Source: X-Road PR-REST 4, `transport.md` §4 of the reference notes.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct RestRequest {
    bytes: Bytes,
    head: RestRequestHead,
}

/// What the header part of a REST request says.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct RestRequestHead {
    /// The method.
    pub method: RestMethod,
    /// The whole path, still percent-encoded, beginning with `/r1/`.
    pub path: String,
    /// What follows the first `?`, still percent-encoded.
    pub query: Option<String>,
    /// All headers in their order.
    pub headers: Vec<Header>,
    /// Whose service is called.
    pub service: ServiceId,
    /// The end of `path` that belongs to the service: empty or beginning with `/`, still percent-encoded.
    pub service_path: String,
    /// Who calls.
    pub client: ClientId,
    /// The identifier of the message, chosen by the client.
    pub id: String,
    /// The identifier of the exchange, chosen by its security server. X-Road 6 sends none.
    pub request_id: Option<String>,
    /// The only security server that may answer.
    pub security_server: Option<ServerId>,
    /// On whose behalf the client calls.
    pub represented_party: Option<RepresentedParty>,
    /// Who started the call.
    pub user_id: Option<String>,
    /// What the call belongs to at the client.
    pub issue: Option<String>,
}

impl RestRequest {
    /// Makes the header part from what a client sent: `target` is path and query as they came, `headers` as they came.
    ///
    /// Headers of the connection are left out; `request_id` is added, and `id`, if the client chose none.
    ///
    /// # Errors
    /// If the request is not one that a peer would take.
    pub fn compose(
        method: RestMethod,
        target: &str,
        headers: &[Header],
        request_id: &str,
        id: &str,
    ) -> Result<Self, RestError> {
        let kept = |header: &&Header| {
            connection_header(&header.name).is_none() && !header.is(REQUEST_ID) && !header.is(REQUEST_HASH)
        };
        let request_id = Header::new(REQUEST_ID, request_id);
        let id = headers.iter().all(|header| !header.is(ID)).then(|| Header::new(ID, id));
        let headers = headers.iter().filter(kept).chain([&request_id]).chain(&id);
        Self::read(write_lines([method.into(), target], headers)?)
    }

    /// Reads the header part.
    ///
    /// # Errors
    /// If it is malformed or names no client or service, and if it says twice what it should say once.
    pub fn read(bytes: impl Into<Bytes>) -> Result<Self, RestError> {
        let bytes = bytes.into();
        let ([method, target], headers) = read_lines(&bytes)?;
        let (path, query) = match target.split_once('?') {
            Some((path, query)) => (path, Some(query.to_owned())),
            None => (target, None),
        };
        if !is_target(target) {
            return Err(RestError::Target);
        }
        let (service, service_path) = service_of(path)?;
        let client = match single(&headers, CLIENT)? {
            Some(client) => identifier(client).map_err(|error| RestError::Client(Some(error)))?,
            None => return Err(RestError::Client(None)),
        };
        let head = RestRequestHead {
            method: method.parse().map_err(|_| RestError::Method)?,
            path: path.to_owned(),
            query,
            service,
            service_path: service_path.to_owned(),
            client,
            id: required(&headers, ID)?,
            request_id: single(&headers, REQUEST_ID)?.map(str::to_owned),
            security_server: optional_identifier(&headers, SECURITY_SERVER)?,
            represented_party: optional_identifier(&headers, REPRESENTED_PARTY)?,
            user_id: single(&headers, USER_ID)?.map(str::to_owned),
            issue: single(&headers, ISSUE)?.map(str::to_owned),
            headers,
        };
        Ok(Self { bytes, head })
    }

    /// The bytes of the part, which are what is signed.
    pub fn bytes(&self) -> &Bytes {
        &self.bytes
    }

    /// What they say.
    pub fn head(&self) -> &RestRequestHead {
        &self.head
    }

    /// The hash by which the response names this request. `body` is the digest of the body part, if there is one.
    pub fn hash(&self, body: Option<&Sha512>) -> RequestHash {
        let head = sha512(&self.bytes);
        RequestHash(match body {
            Some(body) => sha512(&[head, *body].concat()),
            None => head,
        })
    }
}

/// The header part of a REST response, as it is signed: its bytes, and what they say.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct RestResponse {
    bytes: Bytes,
    head: RestResponseHead,
}

/// What the header part of a REST response says.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct RestResponseHead {
    /// The HTTP status.
    pub status: u16,
    /// What follows it in HTTP/1.1; often empty.
    pub reason: String,
    /// All headers in their order.
    pub headers: Vec<Header>,
    /// Who called.
    pub client: Option<ClientId>,
    /// What was called.
    pub service: Option<ServiceId>,
    /// The identifier of the message.
    pub id: String,
    /// The identifier of the exchange.
    pub request_id: Option<String>,
    /// Which request it answers.
    pub request_hash: RequestHash,
}

impl RestResponse {
    /// Makes the header part of the response to `request` from what the provider answered.
    ///
    /// # Errors
    /// If the answer is not one that a peer would take.
    pub fn compose(
        request: &RestRequest,
        request_hash: RequestHash,
        status: u16,
        reason: &str,
        headers: &[Header],
    ) -> Result<Self, RestError> {
        let asked = request.head();
        // X-Road lets the provider's own `x-road-service` pass; then there are two.
        let own = [ID, CLIENT, SERVICE, REQUEST_ID, REQUEST_HASH];
        let kept = |header: &&Header| {
            connection_header(&header.name).is_none() && !own.iter().any(|name| header.is(name))
        };
        let added = [
            Some(Header::new(ID, &asked.id)),
            Some(Header::new(CLIENT, asked.client.to_string())),
            Some(Header::new(SERVICE, asked.service.to_string())),
            asked.request_id.as_ref().map(|id| Header::new(REQUEST_ID, id)),
            Some(Header::new(REQUEST_HASH, request_hash.to_string())),
        ];
        let headers = headers.iter().filter(kept).chain(added.iter().flatten());
        Self::read(write_lines([&status.to_string(), reason], headers)?)
    }

    /// Reads the header part.
    ///
    /// # Errors
    /// If it is malformed, or does not say which request it answers, and if it says twice what it should say once.
    pub fn read(bytes: impl Into<Bytes>) -> Result<Self, RestError> {
        let bytes = bytes.into();
        let ([status, reason], headers) = read_lines(&bytes)?;
        let is_status = status.len() == 3 && status.bytes().all(|byte| byte.is_ascii_digit());
        let status = status.parse().ok().filter(|status| is_status && *status >= 100);
        let hash = required(&headers, REQUEST_HASH)?;
        let head = RestResponseHead {
            status: status.ok_or(RestError::Status)?,
            reason: reason.to_owned(),
            client: optional_identifier(&headers, CLIENT)?,
            service: optional_identifier(&headers, SERVICE)?,
            id: required(&headers, ID)?,
            request_id: single(&headers, REQUEST_ID)?.map(str::to_owned),
            request_hash: RequestHash::parse(&hash).ok_or(RestError::RequestHash)?,
            headers,
        };
        Ok(Self { bytes, head })
    }

    /// The bytes of the part, which are what is signed.
    pub fn bytes(&self) -> &Bytes {
        &self.bytes
    }

    /// What they say.
    pub fn head(&self) -> &RestResponseHead {
        &self.head
    }

    /// Checks that this is the response to `request`. `request_body` is the digest of its body part, if there was one.
    ///
    /// # Errors
    /// Names the first field that differs.
    pub fn check(
        &self,
        request: &RestRequest,
        request_body: Option<&Sha512>,
    ) -> Result<(), InconsistentResponse> {
        let (asked, answered) = (request.head(), self.head());
        check_field(CLIENT, &Some(&asked.client), &answered.client.as_ref())?;
        check_field(ID, &asked.id, &answered.id)?;
        check_field(SERVICE, &Some(&asked.service), &answered.service.as_ref())?;
        check_field(REQUEST_ID, &asked.request_id, &answered.request_id)?;
        check_hash(request.hash(request_body), Some(answered.request_hash))
    }
}

fn connection_header(name: &str) -> Option<&'static str> {
    CONNECTION_HEADERS.into_iter().find(|other| name.eq_ignore_ascii_case(other))
}

/// The first two lines of a header part, and its headers.
fn read_lines(bytes: &[u8]) -> Result<([&str; 2], Vec<Header>), RestError> {
    let mut lines = Vec::new();
    let mut rest = bytes;
    while !rest.is_empty() {
        let error = || RestError::Line { line: lines.len() + 1 };
        let end = memchr::memmem::find(rest, b"\r\n").ok_or_else(error)?;
        let (line, after) = rest.split_at_checked(end).ok_or_else(error)?;
        let line = std::str::from_utf8(line).map_err(|_| error())?;
        if line.contains(['\r', '\n', '\0']) {
            return Err(error());
        }
        lines.push(line);
        rest = after.get(2..).unwrap_or_default();
    }
    let Some(([first, second], headers)) = lines.split_first_chunk() else {
        return Err(RestError::Line { line: lines.len() + 1 });
    };
    let headers = headers.iter().enumerate().map(|(index, line)| read_header(index + 1, line));
    Ok(([first, second], headers.collect::<Result<_, _>>()?))
}

fn read_header(position: usize, line: &str) -> Result<Header, RestError> {
    let (name, value) = line.split_once(':').ok_or(RestError::Header { position })?;
    if !is_header_name(name) {
        return Err(RestError::Header { position });
    }
    match connection_header(name) {
        Some(name) => Err(RestError::ConnectionHeader { name }),
        None => Ok(Header::new(name, value)),
    }
}

fn write_lines<'h>(
    first: [&str; 2],
    headers: impl Iterator<Item = &'h Header>,
) -> Result<Vec<u8>, RestError> {
    let mut out = Vec::new();
    for line in first {
        out.extend_from_slice(line.as_bytes());
        out.extend_from_slice(b"\r\n");
    }
    for (index, header) in headers.enumerate() {
        // What would not be read back as this one header.
        if !is_header_name(&header.name) || header.value.contains(['\r', '\n', '\0']) {
            return Err(RestError::Header { position: index + 1 });
        }
        for text in [&header.name, ":", &header.value, "\r\n"] {
            out.extend_from_slice(text.as_bytes());
        }
    }
    Ok(out)
}

/// RFC 9110 §5.6.2.
fn is_header_name(name: &str) -> bool {
    !name.is_empty()
        && name.bytes().all(|byte| byte.is_ascii_alphanumeric() || b"!#$%&'*+-.^_`|~".contains(&byte))
}

/// The header called `name`, which may stand once.
fn single<'h>(headers: &'h [Header], name: &'static str) -> Result<Option<&'h str>, RestError> {
    let mut found = headers.iter().filter(|header| header.is(name));
    match (found.next(), found.next()) {
        (first, None) => Ok(first.map(|header| header.value.as_str())),
        _ => Err(RestError::RepeatedHeader { name }),
    }
}

fn required(headers: &[Header], name: &'static str) -> Result<String, RestError> {
    let value = single(headers, name)?.filter(|value| !value.is_empty());
    value.map(str::to_owned).ok_or(RestError::MissingHeader { name })
}

fn optional_identifier<T>(headers: &[Header], name: &'static str) -> Result<Option<T>, RestError>
where
    T: std::str::FromStr<Err = IdentifierError>,
{
    let value = single(headers, name)?;
    value.map(identifier).transpose().map_err(|source| RestError::Identifier { name, source })
}

/// Reads an identifier as it stands in a header or path: what is not `pchar` is percent-encoded there.
fn identifier<T: std::str::FromStr<Err = IdentifierError>>(text: &str) -> Result<T, IdentifierError> {
    let position =
        text.split('/').position(|piece| !piece.bytes().all(|byte| is_pchar(byte) || byte == b'%'));
    match position {
        Some(index) => Err(IdentifierError::Encoding { position: index + 1 }),
        None => text.parse(),
    }
}

/// The service that a path names, and the rest of the path.
fn service_of(path: &str) -> Result<(ServiceId, &str), RestError> {
    const SERVICE_PIECES: usize = 5;
    let pieces = path.strip_prefix("/r1/").ok_or(RestError::Target)?;
    let end = pieces.match_indices('/').nth(SERVICE_PIECES - 1).map_or(pieces.len(), |(index, _)| index);
    let (service, service_path) = pieces.split_at_checked(end).ok_or(RestError::Target)?;
    Ok((identifier(service).map_err(RestError::Service)?, service_path))
}

/// A path with an optional query, of the characters that RFC 3986 allows, each escape whole.
fn is_target(target: &str) -> bool {
    let allowed = |byte: u8| is_pchar(byte) || b"/?%".contains(&byte);
    // Brackets stand in the queries of many clients, and X-Road lets them pass.
    let query_start = target.find('?').unwrap_or(target.len());
    let in_query = |index: usize, byte: u8| index > query_start && b"[]".contains(&byte);
    let escapes_whole = target.split('%').skip(1).all(|after| {
        let hex = after.as_bytes().first_chunk::<2>();
        hex.is_some_and(|hex| hex.iter().all(u8::is_ascii_hexdigit))
    });
    escapes_whole && target.bytes().enumerate().all(|(index, byte)| allowed(byte) || in_query(index, byte))
}

/// RFC 3986 §3.3, escapes aside.
fn is_pchar(byte: u8) -> bool {
    byte.is_ascii_alphanumeric() || b"-._~!$&'()*+,;=:@".contains(&byte)
}

#[cfg(test)]
mod tests;
