//! Signing in with an OpenID provider: the authorization code flow of OpenID Connect Core 1.0, with PKCE (RFC 7636).
//!
//! A browser leaves for the provider with an [`Attempt`] in a cookie, and comes back with a code that only this program
//! can turn into an ID token. Who the token names is signed by the provider for this program and this attempt.

use std::net::IpAddr;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::{Duration, Instant};

use base64::Engine;
use base64::prelude::BASE64_URL_SAFE_NO_PAD;
use bytes::Bytes;
use form_urlencoded::Serializer;
use http::header::{ACCEPT, CONTENT_TYPE};
use http::{HeaderValue, Request, Response, StatusCode, Uri};
use ipnet::IpNet;
use jiff::Timestamp;
use jsonwebtoken::errors::{Error as TokenError, ErrorKind as TokenProblem};
use jsonwebtoken::jwk::{Jwk, PublicKeyUse};
use jsonwebtoken::{Algorithm, DecodingKey, Validation};
use serde::Deserialize;
use serde::de::DeserializeOwned;
use tokio::sync::{Mutex, Semaphore};
use uuk_central::{CentralError, OpenIdIdentity, read_password};
use uuk_pki::Sha256;
use uuk_process::Secret;
use uuk_transport::{Upstream, UpstreamBuildError, UpstreamConfig, UpstreamError};

/// What the provider says of itself, and its keys, are read anew after this.
const PROVIDER_AGE_MAX: Duration = Duration::from_secs(3600);
/// After this already, if a token is signed with a key that was not there.
const KEYS_AGE_MIN: Duration = Duration::from_secs(10);
/// After this, if it did not answer.
const RETRY_AFTER: Duration = Duration::from_secs(5);
/// Codes that are looked at in the same moment: anybody may bring one.
const TOKENS_MAX: usize = 8;
const ANSWER_TIME_MAX: Duration = Duration::from_secs(10);
const ANSWER_BYTES_MAX: u64 = 256 << 10;
/// By how much the provider's clock may differ, in seconds.
const LEEWAY: i64 = 60;
/// How long an attempt may take, in seconds.
pub(crate) const ATTEMPT_TIME: i64 = 600;
/// Signed with a key of the provider's that this program does not have. Of those with a shared secret there is none.
const ALGORITHMS: [Algorithm; 9] = [
    Algorithm::RS256,
    Algorithm::RS384,
    Algorithm::RS512,
    Algorithm::PS256,
    Algorithm::PS384,
    Algorithm::PS512,
    Algorithm::ES256,
    Algorithm::ES384,
    Algorithm::EdDSA,
];
/// What a provider may say when it refuses (RFC 6749 §4.1.2.1) is shown up to here.
const REFUSAL_CHARS_MAX: usize = 64;
const INVITATION_BYTES_MAX: usize = 256;

/// Section `[console.openid]`: the provider with which people may sign in.
#[derive(Debug, Clone, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct OpenIdConfig {
    /// The provider's address: `https://login.example.kg`. Plain HTTP for one on this machine only.
    pub issuer: String,
    /// What people call it.
    pub name: String,
    /// As what the provider knows this program.
    pub client: String,
    /// File of the secret that goes with it. Default: none, if the provider takes PKCE for enough.
    pub client_secret_file: Option<PathBuf>,
    /// Where people find the pages: `https://central.example.kg`. The provider lets them return to
    /// `/openid/return` there.
    pub pages: String,
    /// PEM file of the authorities that may vouch for the provider. Default: `/etc/ssl/certs/ca-certificates.crt`.
    #[serde(default = "OpenIdConfig::default_authorities")]
    pub authorities: PathBuf,
    /// The only networks the provider may lie in. Default: any public address, and the one that its address spells out.
    #[serde(default)]
    pub networks: Vec<IpNet>,
}

impl OpenIdConfig {
    /// Makes the files it names relative to `folder`, where it was read.
    pub(crate) fn resolve(&mut self, folder: &Path) {
        for file in self.client_secret_file.iter_mut().chain([&mut self.authorities]) {
            *file = folder.join(&*file);
        }
    }

    /// What the types cannot say.
    pub(crate) fn problems(&self) -> Vec<String> {
        let mut problems = Vec::new();
        if !is_secret_on_the_way(&self.issuer) {
            problems.push(
                "console.openid.issuer: an address such as `https://login.example.kg`; `http://` only for this machine"
                    .to_owned(),
            );
        }
        let pages: Option<Uri> = self.pages.parse().ok();
        let is_root = |uri: &Uri| uri.authority().is_some() && uri.path() == "/" && uri.query().is_none();
        if !pages.as_ref().is_some_and(is_root) {
            problems.push("console.openid.pages: an address such as `https://central.example.kg`".to_owned());
        }
        problems
    }

    fn default_authorities() -> PathBuf {
        "/etc/ssl/certs/ca-certificates.crt".into()
    }
}

/// Why somebody does not come in by an OpenID provider.
#[derive(Debug, thiserror::Error, strum::IntoStaticStr)]
#[strum(serialize_all = "snake_case", prefix = "openid.")]
#[non_exhaustive]
pub enum OpenIdError {
    /// One of its addresses cannot be used.
    #[error("the OpenID provider's address {url} cannot be used")]
    Address {
        /// Which.
        url: String,
        /// Why.
        #[source]
        source: UpstreamBuildError,
    },
    /// One of its addresses would be asked without TLS.
    #[error("the OpenID provider's address {url} is not secret on the way")]
    Plain {
        /// Which.
        url: String,
    },
    /// It cannot be asked.
    #[error("the OpenID provider does not answer at {url}")]
    Unreachable {
        /// Where.
        url: String,
        /// Why.
        #[source]
        source: UpstreamError,
    },
    /// It answers, and not with what was asked for.
    #[error("the OpenID provider answers {status} at {url}")]
    Status {
        /// Where.
        url: String,
        /// What.
        status: StatusCode,
    },
    /// Its answer is not what OpenID Connect says.
    #[error("the OpenID provider's answer at {url} {problem}")]
    Answer {
        /// Where.
        url: String,
        /// What is wrong, after "the answer".
        problem: &'static str,
    },
    /// It does not let the person in, or not to here.
    #[error("the OpenID provider refuses: {error}")]
    Refused {
        /// Its code.
        error: String,
    },
    /// Too many are on their way from it, or it did not answer a moment ago.
    #[error("the OpenID provider is busy; try again in a few seconds")]
    Busy,
    /// No such attempt was begun in this browser, or too long ago.
    #[error("this is not where this browser left off, or it took too long; begin again")]
    Stale,
    /// The token does not prove who the person is.
    #[error("the OpenID provider's token proves nothing: {problem}")]
    Token {
        /// What is wrong with it.
        problem: String,
    },
    /// The client's secret cannot be read.
    #[error(transparent)]
    Secret(#[from] CentralError),
    /// Without, an attempt could be guessed.
    #[error("this machine gives no random numbers")]
    NoRandomness,
}

impl OpenIdError {
    /// The stable code: of the cause, if there is one.
    pub fn code(&self) -> &'static str {
        match self {
            Self::Secret(error) => error.code(),
            other => other.into(),
        }
    }
}

/// The provider, as far as it is known.
#[derive(Debug)]
pub(crate) struct OpenId {
    config: OpenIdConfig,
    secret: Option<Secret<String>>,
    /// Held while the provider is asked about itself, so that whoever comes meanwhile waits for the same answer.
    known: Mutex<Known>,
    /// Codes that are looked at.
    tokens: Semaphore,
}

/// What is known of the provider.
#[derive(Debug, Default)]
struct Known {
    provider: Option<Arc<Provider>>,
    /// When it did not say what it is.
    failed: Option<Instant>,
}

/// What a browser keeps while its person is at the provider.
#[derive(Debug, PartialEq, Eq)]
struct Attempt {
    /// By which the provider's answer is known to belong to this browser.
    state: String,
    /// By which the token is known to belong to this attempt.
    nonce: String,
    /// By which the provider knows that who asks for the token began the attempt.
    verifier: String,
    /// What will be accepted, unless the person has done so before.
    invitation: String,
}

/// A browser on its way to the provider.
#[derive(Debug)]
pub(crate) struct Departure {
    /// Where to.
    pub(crate) location: String,
    /// What it takes along.
    pub(crate) attempt: Secret<String>,
}

/// Somebody of whom the provider has made sure.
#[derive(Debug)]
pub(crate) struct Arrival {
    pub(crate) identity: OpenIdIdentity,
    /// What they want to accept, if anything.
    pub(crate) invitation: Option<Secret<String>>,
}

/// What a provider says of itself, and its keys.
#[derive(Debug)]
struct Provider {
    /// Where it asks people who they are.
    authorization: String,
    token: Endpoint,
    keys: Vec<Jwk>,
    read: Instant,
}

/// Where a provider is asked by this program.
#[derive(Debug)]
struct Endpoint {
    url: String,
    upstream: Upstream,
    target: Uri,
}

#[derive(Debug, Deserialize)]
struct Claims {
    sub: String,
    aud: Audience,
    azp: Option<String>,
    exp: i64,
    nonce: Option<String>,
    /// When the person last proved to the provider who they are.
    auth_time: Option<i64>,
}

/// For whom a token is: that this program is among them, the library sees to.
#[derive(Debug, Deserialize)]
#[serde(untagged)]
enum Audience {
    One(#[expect(dead_code, reason = "the library compares it")] String),
    Many(Vec<String>),
}

impl OpenId {
    /// Reads the secret; asks nobody yet, so that a provider that is down keeps nobody else out.
    ///
    /// # Errors
    /// If the secret cannot be read.
    pub(crate) fn build(config: OpenIdConfig) -> Result<Self, OpenIdError> {
        let secret = config.client_secret_file.as_deref().map(read_password).transpose()?;
        Ok(Self { config, secret, known: Mutex::default(), tokens: Semaphore::new(TOKENS_MAX) })
    }

    /// What people call the provider.
    pub(crate) fn name(&self) -> &str {
        &self.config.name
    }

    /// Begins an attempt to sign in, or to accept an invitation.
    ///
    /// # Errors
    /// [`OpenIdError`], if the provider does not say where it asks people who they are.
    pub(crate) async fn begin(&self, invitation: &str) -> Result<Departure, OpenIdError> {
        let attempt = Attempt::new(invitation)?;
        let provider = self.provider(PROVIDER_AGE_MAX).await?;
        let endpoint = &provider.authorization;
        let mark = if endpoint.contains('?') { '&' } else { '?' };
        let mut question = Serializer::new(String::new());
        question
            .append_pair("response_type", "code")
            .append_pair("scope", "openid")
            .append_pair("client_id", &self.config.client)
            .append_pair("redirect_uri", &self.return_address())
            .append_pair("state", &attempt.state)
            .append_pair("nonce", &attempt.nonce)
            .append_pair("code_challenge", &attempt.challenge())
            .append_pair("code_challenge_method", "S256");
        if attempt.is_to_accept() {
            // Who accepts is to be who sits there, not who signed in at this machine before.
            question.append_pair("prompt", "login").append_pair("max_age", "0");
        }
        let question = question.finish();
        Ok(Departure { location: format!("{endpoint}{mark}{question}"), attempt: attempt.write() })
    }

    /// Ends the attempt that a browser kept, by the query with which it comes back at `now`.
    ///
    /// # Errors
    /// [`OpenIdError`]
    pub(crate) async fn finish(
        &self,
        attempt: &str,
        query: &str,
        now: Timestamp,
    ) -> Result<Arrival, OpenIdError> {
        let attempt = Attempt::read(attempt).ok_or(OpenIdError::Stale)?;
        let told = |wanted: &str| {
            let mut pairs = form_urlencoded::parse(query.as_bytes());
            pairs.find(|(name, _)| name == wanted).map(|(_, value)| value.into_owned())
        };
        // RFC 9207: of which provider the answer is, if it says so.
        let is_ours = told("iss").is_none_or(|issuer| issuer == self.config.issuer);
        if told("state").as_ref() != Some(&attempt.state) || !is_ours {
            return Err(OpenIdError::Stale);
        }
        if let Some(error) = told("error") {
            return Err(OpenIdError::Refused { error: harmless(&error) });
        }
        let code = told("code").ok_or(OpenIdError::Stale)?;
        let token = self.token(&code, &attempt.verifier).await?;
        let subject = self.subject(&token, &attempt, now).await?;
        let Attempt { invitation, .. } = attempt;
        Ok(Arrival {
            identity: OpenIdIdentity::new(&self.config.issuer, &subject),
            invitation: (!invitation.is_empty()).then(|| Secret::new(invitation)),
        })
    }

    /// The ID token for a code (OpenID Connect Core 1.0 §3.1.3).
    async fn token(&self, code: &str, verifier: &str) -> Result<String, OpenIdError> {
        #[derive(Deserialize)]
        struct Tokens {
            id_token: String,
        }
        #[derive(Deserialize)]
        struct Refused {
            error: String,
        }
        let provider = self.provider(PROVIDER_AGE_MAX).await?;
        let _one_of_few = self.tokens.try_acquire().map_err(|_| OpenIdError::Busy)?;
        let request = self.token_request(code, verifier);
        let response = provider.token.send(request).await?;
        // What anybody could bring back is no fault of the provider's.
        if response.status() == StatusCode::BAD_REQUEST
            && let Ok(Refused { error }) = serde_json::from_slice(response.body())
        {
            return Err(OpenIdError::Refused { error: harmless(&error) });
        }
        let tokens: Tokens = provider.token.read(&response)?;
        Ok(tokens.id_token)
    }

    fn token_request(&self, code: &str, verifier: &str) -> http::Result<Request<Bytes>> {
        let mut form = Serializer::new(String::new());
        form.append_pair("grant_type", "authorization_code")
            .append_pair("code", code)
            .append_pair("redirect_uri", &self.return_address())
            .append_pair("code_verifier", verifier);
        if self.secret.is_none() {
            form.append_pair("client_id", &self.config.client);
        }
        let request = Request::post("/").header(CONTENT_TYPE, "application/x-www-form-urlencoded");
        request.body(Bytes::from(form.finish()))
    }

    /// Whom a token names, if the provider signed it for this program and this attempt, and it counts at `now`.
    async fn subject(&self, token: &str, attempt: &Attempt, now: Timestamp) -> Result<String, OpenIdError> {
        let wrong = |problem: &str| OpenIdError::Token { problem: problem.to_owned() };
        let unreadable = |error: TokenError| match error.kind() {
            // It would repeat what the token says of the person.
            TokenProblem::Json(_) => wrong("it does not say what a token has to"),
            _ => OpenIdError::Token { problem: error.to_string() },
        };
        let header = jsonwebtoken::decode_header(token).map_err(unreadable)?;
        if !ALGORITHMS.contains(&header.alg) {
            return Err(wrong("it is signed in a way that proves nothing"));
        }
        let mut validation = Validation::new(header.alg);
        validation.set_issuer(&[&self.config.issuer]);
        validation.set_audience(&[&self.config.client]);
        validation.set_required_spec_claims(&["iss", "aud", "sub", "exp"]);
        // By this program's clock, below.
        validation.validate_exp = false;

        let mut provider = self.provider(PROVIDER_AGE_MAX).await?;
        if provider.keys_for(header.kid.as_deref()).next().is_none() {
            provider = self.provider(KEYS_AGE_MIN).await?;
        }
        let mut outcome = Err(wrong("none of the provider's keys is the one it names"));
        for key in provider.keys_for(header.kid.as_deref()) {
            let key = DecodingKey::from_jwk(key).map_err(unreadable);
            outcome = key
                .and_then(|key| jsonwebtoken::decode::<Claims>(token, &key, &validation).map_err(unreadable));
            if outcome.is_ok() {
                break;
            }
        }
        let claims = outcome?.claims;
        let is_for_others = matches!(&claims.aud, Audience::Many(many) if many.len() > 1);
        if claims.azp.as_ref().map_or(is_for_others, |azp| *azp != self.config.client) {
            return Err(wrong("it is for another program"));
        }
        if now.as_second() > claims.exp.saturating_add(LEEWAY) {
            return Err(wrong("it is too old"));
        }
        if claims.nonce.as_deref() != Some(&attempt.nonce) {
            return Err(wrong("it is of another attempt"));
        }
        let is_fresh = |at: i64| now.as_second() <= at.saturating_add(ATTEMPT_TIME + LEEWAY);
        if attempt.is_to_accept() && !claims.auth_time.is_some_and(is_fresh) {
            return Err(wrong("it does not say that the person has proven just now who they are"));
        }
        Ok(claims.sub)
    }

    /// What the provider says of itself, read no longer ago than `age_max`.
    async fn provider(&self, age_max: Duration) -> Result<Arc<Provider>, OpenIdError> {
        let mut known = self.known.lock().await;
        if let Some(provider) = known.provider.as_ref().filter(|provider| provider.read.elapsed() < age_max) {
            return Ok(Arc::clone(provider));
        }
        if known.failed.is_some_and(|at| at.elapsed() < RETRY_AFTER) {
            return Err(OpenIdError::Busy);
        }
        let discovered = self.discover().await;
        known.failed = discovered.is_err().then(Instant::now);
        let provider = Arc::new(discovered?);
        known.provider = Some(Arc::clone(&provider));
        Ok(provider)
    }

    async fn discover(&self) -> Result<Provider, OpenIdError> {
        /// OpenID Connect Discovery 1.0 §3.
        #[derive(Deserialize)]
        struct Metadata {
            issuer: String,
            authorization_endpoint: String,
            token_endpoint: String,
            jwks_uri: String,
        }
        #[derive(Deserialize)]
        struct Keys {
            keys: Vec<serde_json::Value>,
        }
        let get = || Request::get("/").body(Bytes::new());
        let url = format!("{}/.well-known/openid-configuration", self.config.issuer.trim_end_matches('/'));
        let endpoint = self.endpoint(url)?;
        let metadata: Metadata = endpoint.read(&endpoint.send(get()).await?)?;
        if metadata.issuer != self.config.issuer {
            return Err(OpenIdError::Answer { url: endpoint.url, problem: "is of another issuer" });
        }
        if !is_secret_on_the_way(&metadata.authorization_endpoint) {
            return Err(OpenIdError::Plain { url: metadata.authorization_endpoint });
        }
        let endpoint = self.endpoint(metadata.jwks_uri)?;
        let keys: Keys = endpoint.read(&endpoint.send(get()).await?)?;
        // A key of a kind that is not known here keeps nobody from using the others.
        let keys = keys.keys.into_iter().filter_map(|key| serde_json::from_value(key).ok()).collect();
        let mut token = self.endpoint(metadata.token_endpoint)?;
        if let Some(secret) = &self.secret {
            token.upstream = token.upstream.as_client(&self.config.client, secret);
        }
        Ok(Provider { authorization: metadata.authorization_endpoint, token, keys, read: Instant::now() })
    }

    /// Where something is asked, if that is a place to be asked.
    fn endpoint(&self, url: String) -> Result<Endpoint, OpenIdError> {
        if !is_secret_on_the_way(&url) {
            return Err(OpenIdError::Plain { url });
        }
        if !self.may_be_at(&url) {
            return Err(OpenIdError::Answer {
                url,
                problem: "would be at an address that only its issuer may have",
            });
        }
        let config = UpstreamConfig {
            authorities: Some(self.config.authorities.clone()),
            networks: self.config.networks.clone(),
            ..UpstreamConfig::new(&url)
        };
        match Upstream::build_at(&config) {
            Ok((upstream, target)) => Ok(Endpoint { url, upstream, target }),
            Err(source) => Err(OpenIdError::Address { url, source }),
        }
    }

    /// Whether a URL names a host, or an address that the operator has named: what a provider says of itself is not to
    /// open what lies beside this server.
    fn may_be_at(&self, url: &str) -> bool {
        let host = |url: &str| url.parse::<Uri>().ok().and_then(|uri| uri.host().map(str::to_owned));
        let Some(named) = host(url) else { return false };
        let Ok(address) = named.trim_start_matches('[').trim_end_matches(']').parse::<IpAddr>() else {
            return true;
        };
        host(&self.config.issuer) == Some(named)
            || self.config.networks.iter().any(|network| network.contains(&address))
    }

    fn return_address(&self) -> String {
        format!("{}/openid/return", self.config.pages.trim_end_matches('/'))
    }
}

impl Endpoint {
    async fn send(&self, request: http::Result<Request<Bytes>>) -> Result<Response<Bytes>, OpenIdError> {
        let unreachable = |source| OpenIdError::Unreachable { url: self.url.clone(), source };
        let mut request = request.map_err(|source| unreachable(UpstreamError::Request { source }))?;
        *request.uri_mut() = self.target.clone();
        request.headers_mut().insert(ACCEPT, HeaderValue::from_static("application/json"));
        let sent = self.upstream.send(request, Instant::now() + ANSWER_TIME_MAX, ANSWER_BYTES_MAX).await;
        sent.map_err(unreachable)
    }

    fn read<T: DeserializeOwned>(&self, response: &Response<Bytes>) -> Result<T, OpenIdError> {
        let url = || self.url.clone();
        if response.status() != StatusCode::OK {
            return Err(OpenIdError::Status { url: url(), status: response.status() });
        }
        let problem = "lacks what OpenID Connect asks for";
        serde_json::from_slice(response.body()).map_err(|_| OpenIdError::Answer { url: url(), problem })
    }
}

impl Provider {
    /// The keys that may have signed a token which names `id`, or none.
    fn keys_for(&self, id: Option<&str>) -> impl Iterator<Item = &Jwk> {
        self.keys.iter().filter(move |key| {
            let common = &key.common;
            let is_named = id.is_none() || common.key_id.as_deref() == id;
            is_named && common.public_key_use.as_ref().is_none_or(|it| *it == PublicKeyUse::Signature)
        })
    }
}

impl Attempt {
    fn new(invitation: &str) -> Result<Self, OpenIdError> {
        let random = || -> Result<String, OpenIdError> {
            let mut bits = [0; 32];
            aws_lc_rs::rand::fill(&mut bits).map_err(|_| OpenIdError::NoRandomness)?;
            Ok(BASE64_URL_SAFE_NO_PAD.encode(bits))
        };
        Ok(Self {
            state: random()?,
            nonce: random()?,
            verifier: random()?,
            invitation: invitation.to_owned(),
        })
    }

    /// Whether an invitation is to be accepted.
    fn is_to_accept(&self) -> bool {
        !self.invitation.is_empty()
    }

    /// As the value of a cookie.
    fn write(&self) -> Secret<String> {
        let Self { state, nonce, verifier, invitation } = self;
        Secret::new(format!("{state}.{nonce}.{verifier}.{invitation}"))
    }

    fn read(text: &str) -> Option<Self> {
        let [state, nonce, verifier, invitation] = text.splitn(4, '.').collect::<Vec<_>>().try_into().ok()?;
        let [state, nonce, verifier, invitation] = [state, nonce, verifier, invitation].map(str::to_owned);
        (!state.is_empty()).then_some(Self { state, nonce, verifier, invitation })
    }

    /// What the provider is told of the verifier beforehand (RFC 7636 §4.2).
    fn challenge(&self) -> String {
        BASE64_URL_SAFE_NO_PAD.encode(Sha256::of(self.verifier.as_bytes()).0)
    }
}

/// Whether a text can stand in a cookie, as every invitation can.
pub(crate) fn may_be_invitation(text: &str) -> bool {
    let may_stand = |byte: u8| byte.is_ascii_alphanumeric() || matches!(byte, b'-' | b'.');
    (1..=INVITATION_BYTES_MAX).contains(&text.len()) && text.bytes().all(may_stand)
}

/// A provider's code of an error, whatever it has sent.
fn harmless(error: &str) -> String {
    let may_stand = |it: &char| it.is_ascii_alphanumeric() || matches!(it, '_' | '-' | '.');
    error.chars().filter(may_stand).take(REFUSAL_CHARS_MAX).collect()
}

/// Over TLS, or not leaving this machine.
fn is_secret_on_the_way(url: &str) -> bool {
    let Ok(uri) = url.parse::<Uri>() else { return false };
    let host = uri.host().unwrap_or_default().trim_start_matches('[').trim_end_matches(']');
    match uri.scheme_str() {
        Some("https") => !host.is_empty(),
        Some("http") => host.parse().is_ok_and(|address: IpAddr| address.is_loopback()),
        _ => false,
    }
}

#[cfg(test)]
mod tests {
    use aws_lc_rs::signature::{ECDSA_P256_SHA256_FIXED_SIGNING, EcdsaKeyPair, KeyPair};
    use jsonwebtoken::{EncodingKey, Header};
    use serde_json::{Value, json};

    use super::*;

    #[test]
    fn an_attempt_survives_the_cookie() {
        for invitation in ["", "asanova.0123456789abcdef"] {
            let attempt = Attempt::new(invitation).unwrap();
            assert_eq!(Attempt::read(attempt.write().expose()), Some(attempt));
        }
        for odd in ["", "...", "a.b.c", "abc"] {
            assert_eq!(Attempt::read(odd), None, "{odd}");
        }
    }

    #[test]
    fn the_challenge_is_that_of_the_standard() {
        // RFC 7636, appendix B.
        let verifier = "dBjftJeZ4CVP-mB92K27uhbUJU1p1r_wW1gFWFOEjXk".to_owned();
        let attempt = Attempt { verifier, ..Attempt::new("").unwrap() };
        assert_eq!(attempt.challenge(), "E9Melhoa2OwvFrEMTJguCHaoeK1t8URWbuGJSstw-cM");
    }

    #[test]
    fn nothing_is_asked_over_a_line_that_others_read() {
        for url in ["https://login.example.kg", "http://127.0.0.1:8000/token", "http://[::1]/"] {
            assert!(is_secret_on_the_way(url), "{url}");
        }
        for url in ["http://login.example.kg", "http://10.0.0.1/", "ftp://127.0.0.1/", "https://", "login"] {
            assert!(!is_secret_on_the_way(url), "{url}");
        }
    }

    const ISSUER: &str = "https://login.example.kg";
    const CLIENT: &str = "uuk-central";
    const NONCE: &str = "n-0S6_WzA2Mj";

    fn attempt(invitation: &str) -> Attempt {
        Attempt { nonce: NONCE.to_owned(), ..Attempt::new(invitation).unwrap() }
    }

    /// A key of a provider: what signs with it, and as the provider publishes it.
    fn key(id: &str) -> (EncodingKey, Jwk) {
        let pair = EcdsaKeyPair::generate(&ECDSA_P256_SHA256_FIXED_SIGNING).unwrap();
        let [x, y] =
            [1..33, 33..65].map(|range| BASE64_URL_SAFE_NO_PAD.encode(&pair.public_key().as_ref()[range]));
        let public = json!({ "kty": "EC", "crv": "P-256", "use": "sig", "kid": id, "x": x, "y": y });
        let private = EncodingKey::from_ec_der(pair.to_pkcs8v1().unwrap().as_ref());
        (private, serde_json::from_value(public).unwrap())
    }

    /// A provider that has published `keys` just now.
    fn provider(keys: Vec<Jwk>) -> OpenId {
        let config = OpenIdConfig {
            issuer: ISSUER.to_owned(),
            name: "ESI".to_owned(),
            client: CLIENT.to_owned(),
            client_secret_file: None,
            pages: "https://central.example.kg".to_owned(),
            authorities: OpenIdConfig::default_authorities(),
            networks: Vec::new(),
        };
        let mut openid = OpenId::build(config).unwrap();
        let token = openid.endpoint(format!("{ISSUER}/token")).unwrap();
        let provider =
            Provider { authorization: format!("{ISSUER}/auth"), token, keys, read: Instant::now() };
        openid.known.get_mut().provider = Some(Arc::new(provider));
        openid
    }

    #[test]
    fn a_provider_opens_nothing_that_lies_beside_this_server() {
        let mut openid = provider(Vec::new());
        for (url, may) in [
            ("https://login.example.kg/token", true),
            ("https://keys.example.kg/jwks", true),
            ("http://127.0.0.1:9000/x", false),
            ("https://10.0.0.5/", false),
            ("https://[::1]/", false),
        ] {
            assert_eq!(openid.endpoint(url.to_owned()).is_ok(), may, "{url}");
        }
        openid.config.networks = vec!["10.0.0.0/8".parse().unwrap()];
        assert!(openid.endpoint("https://10.0.0.5/".to_owned()).is_ok());
        openid.config.issuer = "http://127.0.0.1:8000".to_owned();
        openid.config.networks = Vec::new();
        assert!(openid.endpoint("http://127.0.0.1:8000/token".to_owned()).is_ok());
    }

    #[tokio::test]
    async fn a_token_counts_only_as_the_provider_signed_it_for_us_now() {
        let (own, published) = key("a");
        let (other, _) = key("a");
        let openid = provider(vec![published]);
        let now = Timestamp::from_second(1_700_000_000).unwrap();
        let claims = json!({ "iss": ISSUER, "sub": "10101194000000", "aud": CLIENT, "exp": 1_700_000_100, "nonce": NONCE });
        let header = |id: &str| Header { kid: Some(id.to_owned()), ..Header::new(Algorithm::ES256) };
        let sign = |header: &Header, key: &EncodingKey, changes: Value| {
            let mut claims = claims.clone();
            for (name, value) in changes.as_object().unwrap() {
                claims[name] = value.clone();
            }
            jsonwebtoken::encode(header, &claims, key).unwrap()
        };
        for changes in [
            json!({}),
            json!({ "aud": [CLIENT] }),
            json!({ "aud": [CLIENT, "other"], "azp": CLIENT }),
            json!({ "exp": 1_699_999_950 }),
        ] {
            let subject = openid.subject(&sign(&header("a"), &own, changes.clone()), &attempt(""), now).await;
            assert_eq!(subject.unwrap(), "10101194000000", "{changes}");
        }
        // Who accepts an invitation has proven who they are for it.
        let invited = attempt("asanova.0123456789abcdef");
        for (changes, counts) in [
            (json!({ "auth_time": 1_699_999_990 }), true),
            (json!({ "auth_time": 1_699_999_000 }), false),
            (json!({}), false),
        ] {
            let subject = openid.subject(&sign(&header("a"), &own, changes.clone()), &invited, now).await;
            assert_eq!(subject.is_ok(), counts, "{changes}");
        }
        let number = sign(&header("a"), &own, json!({ "sub": 10_101_194_000_000_u64 }));
        let error = openid.subject(&number, &attempt(""), now).await.unwrap_err();
        assert!(!error.to_string().contains("10101194000000"), "{error}");

        let refused = [
            (sign(&header("a"), &own, json!({ "iss": "https://other.example" })), "InvalidIssuer"),
            (sign(&header("a"), &own, json!({ "aud": "other" })), "InvalidAudience"),
            (sign(&header("a"), &own, json!({ "aud": [CLIENT, "other"] })), "it is for another program"),
            (sign(&header("a"), &own, json!({ "azp": "other" })), "it is for another program"),
            (sign(&header("a"), &own, json!({ "exp": 1_699_999_930 })), "it is too old"),
            (sign(&header("a"), &own, json!({ "nonce": "other" })), "it is of another attempt"),
            (sign(&header("a"), &own, json!({ "nonce": null })), "it is of another attempt"),
            (sign(&header("a"), &other, json!({})), "InvalidSignature"),
            (
                sign(&Header::new(Algorithm::HS256), &EncodingKey::from_secret(b"guessed"), json!({})),
                "it is signed in a way that proves nothing",
            ),
        ];
        for (token, why) in refused {
            let error = openid.subject(&token, &attempt(""), now).await.unwrap_err();
            assert!(error.to_string().ends_with(why), "{why}: {error}");
            assert_eq!(error.code(), "openid.token");
        }
        let unsigned = BASE64_URL_SAFE_NO_PAD.encode(r#"{"alg":"none"}"#);
        let claims = BASE64_URL_SAFE_NO_PAD.encode(claims.to_string());
        for odd in [format!("{unsigned}.{claims}."), "odd".to_owned(), String::new()] {
            assert_eq!(
                openid.subject(&odd, &attempt(""), now).await.unwrap_err().code(),
                "openid.token",
                "{odd}"
            );
        }
    }
}
