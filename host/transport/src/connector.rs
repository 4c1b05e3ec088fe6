use std::error::Error;
use std::io;
use std::net::IpAddr;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::{Duration, Instant};

use bytes::Bytes;
use http::header::AUTHORIZATION;
use http::uri::PathAndQuery;
use http::{HeaderValue, Request, Response, StatusCode, Uri};
use http_body_util::combinators::UnsyncBoxBody;
use http_body_util::{BodyExt, Full};
use hyper::body::Body;
use ipnet::IpNet;
use rustls_pki_types::ServerName;
use serde::Deserialize;
use uuk_process::Secret;

use crate::body::{self, BodyError};
use crate::received_body::ReceivedBody;
use crate::tls::{self, IdentityFiles, TlsError};
use base_url::BaseUrl;
pub use base_url::split_url;
use networks::Networks;
use pool::{Pool, Tls};
use token::TokenSource;

mod base_url;
mod networks;
mod pool;
mod token;

/// An answer that refuses a token is read up to this, so that its connection can be used again.
const REFUSAL_BYTES_MAX: u64 = 64 * 1024;

/// The body of a request that streams.
type RequestBody = UnsyncBoxBody<Bytes, Box<dyn Error + Send + Sync>>;

/// An HTTP API that this server may call, as an operator describes it.
#[derive(Debug, Clone, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct UpstreamConfig {
    /// `https://host[:port][/path]`; every request goes below it. `http` carries credentials to loopback addresses
    /// only.
    pub base: String,
    /// How we say who we are. Default: not at all.
    #[serde(default)]
    pub authentication: Authentication,
    /// The client certificate we show, and its key.
    #[serde(default)]
    pub identity: Option<IdentityFiles>,
    /// PEM file of the authorities that may vouch for the upstream; `https` needs it. A Debian system keeps the
    /// public ones in `/etc/ssl/certs/ca-certificates.crt`.
    #[serde(default)]
    pub authorities: Option<PathBuf>,
    /// Name the upstream's certificate must carry. Default: the host of `base`.
    #[serde(default)]
    pub server_name: Option<String>,
    /// DER of the only certificate that the upstream may show, in place of authorities and names: for what is known
    /// from elsewhere than a file. Default: any that the authorities vouch for.
    #[serde(skip)]
    pub only: Option<Vec<u8>>,
    /// The only networks the upstream may lie in, such as `10.20.0.0/16`. Default: any public address, and the
    /// one that `base` spells out.
    #[serde(default)]
    pub networks: Vec<IpNet>,
    /// Finding a free connection, and opening one, take no longer each. Default: 5 s.
    #[serde(
        default = "UpstreamConfig::default_connect_timeout",
        with = "jiff::fmt::serde::unsigned_duration::friendly::compact::required"
    )]
    pub connect_timeout: Duration,
    /// Requests in progress at once. Default: 16.
    #[serde(default = "UpstreamConfig::default_connections_max")]
    pub connections_max: usize,
    /// Larger answers are refused, in bytes. Default: 4 MiB.
    #[serde(default = "UpstreamConfig::default_response_bytes_max")]
    pub response_bytes_max: u64,
}

/// How we say who we are to an upstream, beside a client certificate. Secrets are named, not written.
#[derive(Debug, Clone, Default, Deserialize)]
#[serde(tag = "kind", rename_all = "lowercase", deny_unknown_fields)]
pub enum Authentication {
    /// Not at all.
    #[default]
    None,
    /// User and password in every request.
    Basic {
        /// The user, without a colon.
        user: String,
        /// File of the password; a line end after it is ignored.
        password_file: PathBuf,
    },
    /// OAuth 2 client credentials: a token is fetched, kept until shortly before it expires, and fetched anew if
    /// the upstream answers 401.
    OAuth2 {
        /// Where tokens are given out; same authorities, networks and client certificate as the upstream.
        token_url: String,
        /// Who we are to the token endpoint.
        client_id: String,
        /// File of the client's secret; a line end after it is ignored.
        client_secret_file: PathBuf,
        /// Parameter `scope`, if the endpoint wants one.
        #[serde(default)]
        scope: Option<String>,
        /// Parameter `audience`, if the endpoint wants one.
        #[serde(default)]
        audience: Option<String>,
    },
}

impl UpstreamConfig {
    /// `base` with the defaults.
    pub fn new(base: impl Into<String>) -> Self {
        Self {
            base: base.into(),
            authentication: Authentication::None,
            identity: None,
            authorities: None,
            server_name: None,
            only: None,
            networks: Vec::new(),
            connect_timeout: Self::default_connect_timeout(),
            connections_max: Self::default_connections_max(),
            response_bytes_max: Self::default_response_bytes_max(),
        }
    }

    /// Makes the files it names relative to `folder`, where it was read.
    pub fn resolve(&mut self, folder: &Path) {
        let Self { authentication, identity, authorities, .. } = self;
        if let Some(identity) = identity {
            identity.resolve(folder);
        }
        let secret = match authentication {
            Authentication::None => None,
            Authentication::Basic { password_file, .. } => Some(password_file),
            Authentication::OAuth2 { client_secret_file, .. } => Some(client_secret_file),
        };
        for file in secret.into_iter().chain(authorities) {
            *file = folder.join(&*file);
        }
    }

    fn default_connect_timeout() -> Duration {
        Duration::from_secs(5)
    }

    fn default_connections_max() -> usize {
        16
    }

    fn default_response_bytes_max() -> u64 {
        4 * 1024 * 1024
    }

    /// A pool for one of our URLs; `setting` is where it was written.
    fn pool(&self, setting: &'static str, url: &str) -> Result<Arc<Pool>, UpstreamBuildError> {
        let base = BaseUrl::parse(url).map_err(|problem| UpstreamBuildError::Url { setting, problem })?;
        let networks = Networks::new(self.networks.clone(), base.literal());
        if let Some(address) = base.literal().filter(|address| !networks.permit(*address)) {
            return Err(UpstreamBuildError::AddressRefused { setting, address });
        }
        let anonymous = matches!(self.authentication, Authentication::None);
        if !base.secure && !anonymous && !base.is_loopback() {
            return Err(UpstreamBuildError::PlainCredentials { setting });
        }
        if !base.secure && self.only.is_some() {
            return Err(UpstreamBuildError::Url { setting, problem: "does not begin with `https://`" });
        }
        let tls = if base.secure { Some(self.tls(&base)?) } else { None };
        Ok(Arc::new(Pool::new(base, networks, tls, self.connect_timeout, self.connections_max)))
    }

    fn tls(&self, base: &BaseUrl) -> Result<Tls, UpstreamBuildError> {
        let config = match (&self.only, &self.authorities) {
            (Some(certificate), _) => tls::client_config_for(certificate),
            (None, Some(authorities)) => tls::client_config(authorities, self.identity.as_ref()),
            (None, None) => return Err(UpstreamBuildError::NoAuthorities),
        };
        let config = config.map_err(UpstreamBuildError::Tls)?;
        let name = self.server_name.as_ref().unwrap_or(&base.host);
        let server_name = ServerName::try_from(name.clone())
            .map_err(|_| UpstreamBuildError::ServerName { name: name.clone() })?;
        Ok(Tls { config: Arc::new(config), server_name })
    }
}

/// Why an upstream cannot be used as described.
#[derive(Debug, thiserror::Error, strum::IntoStaticStr)]
#[strum(serialize_all = "snake_case", prefix = "upstream_setting.")]
#[non_exhaustive]
pub enum UpstreamBuildError {
    /// Not the URL of an upstream. The text is not repeated, as it may hold a password.
    #[error("`{setting}` {problem}")]
    Url {
        /// `base` or `token_url`.
        setting: &'static str,
        /// What is wrong with it.
        problem: &'static str,
    },
    /// A special address, or one outside `networks`.
    #[error("`{setting}` is at {address}, where no upstream may be")]
    AddressRefused {
        /// `base` or `token_url`.
        setting: &'static str,
        /// The address it spells out.
        address: IpAddr,
    },
    /// Whoever listens would learn them.
    #[error("`{setting}` would carry credentials over plain HTTP")]
    PlainCredentials {
        /// `base` or `token_url`.
        setting: &'static str,
    },
    /// A client certificate can be shown over TLS only.
    #[error("`identity` needs a `base` that begins with `https://`")]
    PlainIdentity,
    /// Without authorities any server could pose as the upstream.
    #[error("`https` needs `authorities`")]
    NoAuthorities,
    /// Not a name that a certificate can carry.
    #[error("`{name}` is not a server name")]
    ServerName {
        /// The name.
        name: String,
    },
    /// A certificate or key cannot be used.
    #[error("cannot set up TLS")]
    Tls(#[source] TlsError),
    /// RFC 7617 has no way to write it.
    #[error("`user` contains a colon")]
    UserWithColon,
    /// The file of a secret cannot be read.
    #[error("cannot read secret `{}`", path.display())]
    Secret {
        /// The file.
        path: PathBuf,
        /// Why.
        #[source]
        source: io::Error,
    },
    /// The file of a secret is empty.
    #[error("secret `{}` is empty", path.display())]
    EmptySecret {
        /// The file.
        path: PathBuf,
    },
    /// Nothing could ever be sent.
    #[error("`connections_max` is 0")]
    NoConnections,
}

impl UpstreamBuildError {
    /// Stable code, such as `upstream_setting.plain_credentials`.
    pub fn code(&self) -> &'static str {
        self.into()
    }
}

/// Why a request to an upstream brought no answer.
#[derive(Debug, thiserror::Error, strum::IntoStaticStr)]
#[strum(serialize_all = "snake_case", prefix = "upstream.")]
#[non_exhaustive]
pub enum UpstreamError {
    /// The answer is larger than the caller takes.
    #[error("answer is larger than {bytes_max} bytes")]
    TooLarge {
        /// What the caller takes.
        bytes_max: u64,
    },
    /// The deadline passed.
    #[error("no answer in time")]
    Deadline,
    /// All connections were in use for `connect_timeout`.
    #[error("all connections are in use")]
    Busy,
    /// The name does not resolve.
    #[error("cannot resolve the name")]
    Dns {
        /// Why.
        #[source]
        source: io::Error,
    },
    /// The name resolves to an address where no upstream may be.
    #[error("the name resolves to {address}, where no upstream may be")]
    AddressRefused {
        /// The address.
        address: IpAddr,
    },
    /// Nobody answers at the address.
    #[error("cannot connect")]
    Connect {
        /// Why.
        #[source]
        source: io::Error,
    },
    /// The handshake failed: a certificate of theirs or of ours was refused, or there is no common version.
    #[error("cannot agree on TLS")]
    Tls {
        /// Why.
        #[source]
        source: Box<dyn Error + Send + Sync>,
    },
    /// The answer broke off or is not HTTP.
    #[error("the exchange broke off")]
    Protocol {
        /// Why.
        #[source]
        source: hyper::Error,
    },
    /// The path does not fit below that of the upstream.
    #[error("cannot form the request")]
    Request {
        /// Why.
        #[source]
        source: http::Error,
    },
    /// The token endpoint cannot be reached.
    #[error("cannot fetch an access token")]
    Token {
        /// Why.
        #[source]
        source: Box<UpstreamError>,
    },
    /// The token endpoint gives us no token.
    #[error("token endpoint answered {status}")]
    TokenRefused {
        /// Its status.
        status: StatusCode,
    },
    /// The token endpoint's answer is not a bearer token.
    #[error("token endpoint gave no bearer token")]
    TokenMalformed,
}

impl UpstreamError {
    /// Stable code, such as `upstream.connect`.
    pub fn code(&self) -> &'static str {
        self.into()
    }

    /// In TLS 1.3 a server refuses our certificate only after the handshake has ended for us.
    fn broken_off(source: hyper::Error) -> Self {
        let io = source.source().and_then(|cause| cause.downcast_ref::<io::Error>());
        match io.and_then(io::Error::get_ref) {
            Some(cause) if cause.is::<rustls::Error>() => Self::Tls { source: source.into() },
            _ => Self::Protocol { source },
        }
    }
}

impl From<BodyError> for UpstreamError {
    fn from(error: BodyError) -> Self {
        match error {
            BodyError::TooLarge { bytes_max } => Self::TooLarge { bytes_max },
            BodyError::Slow => Self::Deadline,
            BodyError::Broken(source) => Self::broken_off(source),
        }
    }
}

/// One upstream, with its connections and credentials.
///
/// It follows no redirect and no proxy of the environment, resolves names itself and dials only what it judged.
#[derive(Debug)]
pub struct Upstream {
    pool: Arc<Pool>,
    credentials: Credentials,
    response_bytes_max: u64,
}

#[derive(Debug)]
enum Credentials {
    None,
    Basic(HeaderValue),
    OAuth2(Box<TokenSource>),
}

impl Upstream {
    /// Reads certificates and secrets; connects to nobody yet.
    ///
    /// # Errors
    /// [`UpstreamBuildError`].
    pub fn build(config: &UpstreamConfig) -> Result<Self, UpstreamBuildError> {
        if config.connections_max == 0 {
            return Err(UpstreamBuildError::NoConnections);
        }
        let pool = config.pool("base", &config.base)?;
        if config.identity.is_some() && !pool.base().secure {
            return Err(UpstreamBuildError::PlainIdentity);
        }
        let credentials = match &config.authentication {
            Authentication::None => Credentials::None,
            Authentication::Basic { user, .. } if user.contains(':') => {
                return Err(UpstreamBuildError::UserWithColon);
            }
            Authentication::Basic { user, password_file } => {
                Credentials::Basic(token::basic(user, &read_secret(password_file)?))
            }
            Authentication::OAuth2 { token_url, client_id, client_secret_file, scope, audience } => {
                // A certificate is expected of the token endpoint under its own name.
                let endpoint =
                    UpstreamConfig { server_name: None, ..config.clone() }.pool("token_url", token_url)?;
                let secret = read_secret(client_secret_file)?;
                let parameters = [("scope", scope.as_deref()), ("audience", audience.as_deref())];
                Credentials::OAuth2(Box::new(TokenSource::new(endpoint, client_id, &secret, &parameters)))
            }
        };
        Ok(Self { pool, credentials, response_bytes_max: config.response_bytes_max })
    }

    /// Likewise for something at the very URL `config.base`, query included; with the target of requests for it.
    ///
    /// # Errors
    /// [`UpstreamBuildError`].
    pub fn build_at(config: &UpstreamConfig) -> Result<(Self, Uri), UpstreamBuildError> {
        let (origin, target) = split_url(&config.base);
        let upstream = Self::build(&UpstreamConfig { base: origin.to_owned(), ..config.clone() })?;
        let root = if target.starts_with('/') { "" } else { "/" };
        let malformed = |_| UpstreamBuildError::Url { setting: "base", problem: "is not a URL" };
        Ok((upstream, format!("{root}{target}").parse().map_err(malformed)?))
    }

    /// As a client of OAuth 2 that says who it is at a token endpoint (RFC 6749 §2.3.1), whatever was configured. Whoever
    /// calls this has seen to it that nobody listens.
    #[must_use]
    pub fn as_client(self, id: &str, secret: &Secret<String>) -> Self {
        Self { credentials: Credentials::Basic(token::of_client(id, secret)), ..self }
    }

    /// Sends `request` and reads the whole answer until `deadline`: at most `response_bytes_max` bytes, and no more than
    /// the operator set.
    ///
    /// Of the request's URI only path and query count. Its `Host` and `Authorization` are replaced by ours. Any status
    /// is an answer, redirects included.
    ///
    /// # Errors
    /// [`UpstreamError`]. A request may have been acted upon unless the error says that there was no connection.
    ///
    /// # Cancellation
    /// Dropping the future closes its connection.
    pub async fn send(
        &self,
        request: Request<Bytes>,
        deadline: Instant,
        response_bytes_max: u64,
    ) -> Result<Response<Bytes>, UpstreamError> {
        let bytes_max = response_bytes_max.min(self.response_bytes_max);
        let (mut head, sent) = request.into_parts();
        head.headers.remove(AUTHORIZATION);
        let exchange = async {
            let root = PathAndQuery::from_static("/");
            let target = self.pool.base().target(head.uri.path_and_query().unwrap_or(&root));
            let response =
                self.exchange(target, Request::from_parts(head, ()), || Full::new(sent.clone())).await?;
            let (head, body) = response.into_parts();
            Ok(Response::from_parts(head, body::collect(body, bytes_max).await?))
        };
        tokio::time::timeout_at(deadline.into(), exchange).await.unwrap_or(Err(UpstreamError::Deadline))
    }

    /// Sends `head` with the body that `body` makes, as fast as the upstream reads it, and returns the answer as soon as
    /// it begins, which has to be until `deadline`. The caller bounds what it reads of that.
    ///
    /// `target` is what follows the base in the URL: a path, a query, both or nothing; the URI of `head` does not count.
    /// `Host` is replaced by ours, and so is `Authorization` if the operator set credentials. `body` is asked once more
    /// if an access token was revoked meanwhile.
    ///
    /// # Errors
    /// [`UpstreamError`], as [`Upstream::send`].
    ///
    /// # Cancellation
    /// Dropping the future, or the body of the answer before its end, closes the connection.
    pub async fn stream<B>(
        &self,
        target: &str,
        head: Request<()>,
        body: impl Fn() -> B,
        deadline: Instant,
    ) -> Result<Response<ReceivedBody>, UpstreamError>
    where
        B: Body<Data = Bytes, Error: Into<Box<dyn Error + Send + Sync>>> + Send + 'static,
    {
        let exchange = self.exchange(self.pool.base().followed_by(target), head, body);
        tokio::time::timeout_at(deadline.into(), exchange).await.unwrap_or(Err(UpstreamError::Deadline))
    }

    async fn exchange<B>(
        &self,
        target: Result<Uri, http::Error>,
        mut head: Request<()>,
        body: impl Fn() -> B,
    ) -> Result<Response<ReceivedBody>, UpstreamError>
    where
        B: Body<Data = Bytes, Error: Into<Box<dyn Error + Send + Sync>>> + Send + 'static,
    {
        *head.uri_mut() = target.map_err(|source| UpstreamError::Request { source })?;
        let request = |authorization: Option<HeaderValue>| {
            let mut request = head.clone().map(|()| RequestBody::new(body().map_err(Into::into)));
            if let Some(authorization) = authorization {
                request.headers_mut().insert(AUTHORIZATION, authorization);
            }
            request
        };
        match &self.credentials {
            Credentials::None => self.pool.send(request(None)).await,
            Credentials::Basic(authorization) => self.pool.send(request(Some(authorization.clone()))).await,
            Credentials::OAuth2(tokens) => {
                let token = tokens.token().await?;
                let response = self.pool.send(request(Some(token.authorization()))).await?;
                if response.status() != StatusCode::UNAUTHORIZED {
                    return Ok(response);
                }
                let _ = body::collect(response.into_body(), REFUSAL_BYTES_MAX).await;
                // The token was revoked before its time. Whatever refuses a fresh one too means what it says.
                let token = tokens.fresh_token(&token).await?;
                self.pool.send(request(Some(token.authorization()))).await
            }
        }
    }
}

fn read_secret(path: &Path) -> Result<Secret<String>, UpstreamBuildError> {
    let text = std::fs::read_to_string(path)
        .map_err(|source| UpstreamBuildError::Secret { path: path.to_owned(), source })?;
    let secret = text.trim_end_matches(['\r', '\n']);
    if secret.is_empty() {
        return Err(UpstreamBuildError::EmptySecret { path: path.to_owned() });
    }
    Ok(Secret::new(secret.to_owned()))
}
