use std::sync::Arc;
use std::time::{Duration, Instant};

use base64::Engine;
use base64::prelude::BASE64_STANDARD;
use bytes::Bytes;
use http::header::{ACCEPT, AUTHORIZATION, CONTENT_TYPE};
use http::{HeaderValue, Method, Request};
use http_body_util::{BodyExt, Full};
use percent_encoding::{AsciiSet, NON_ALPHANUMERIC, utf8_percent_encode};
use serde::Deserialize;
use tokio::sync::Mutex;
use uuk_process::Secret;

use super::pool::Pool;
use super::{RequestBody, UpstreamError};
use crate::body;

/// A token endpoint answers with a token and little else.
const RESPONSE_BYTES_MAX: u64 = 64 * 1024;

/// Lifetime of a token whose endpoint names none: short, because a wrong guess costs a refused request.
const LIFETIME_DEFAULT: Duration = Duration::from_secs(60);

/// A token is renewed this long before it expires, or after nine tenths of a short life.
const RENEWAL_MARGIN_MAX: Duration = Duration::from_secs(30);

/// What `application/x-www-form-urlencoded` leaves as it is.
const FORM: &AsciiSet = &NON_ALPHANUMERIC.remove(b'-').remove(b'.').remove(b'_').remove(b'*');

/// Access tokens by OAuth 2 client credentials (RFC 6749 §4.4), one in force at a time.
#[derive(Debug)]
pub(super) struct TokenSource {
    endpoint: Arc<Pool>,
    credentials: HeaderValue,
    form: Bytes,
    /// Held while a token is fetched: whoever comes meanwhile waits for that one instead of asking again.
    current: Mutex<Option<Token>>,
}

/// A token in the form it is sent.
#[derive(Debug, Clone)]
pub(super) struct Token {
    authorization: HeaderValue,
    renew_at: Instant,
}

impl Token {
    /// Value of the `Authorization` header, marked as sensitive.
    pub(super) fn authorization(&self) -> HeaderValue {
        self.authorization.clone()
    }
}

impl TokenSource {
    pub(super) fn new(
        endpoint: Arc<Pool>,
        client_id: &str,
        client_secret: &Secret<String>,
        parameters: &[(&str, Option<&str>)],
    ) -> Self {
        let credentials = of_client(client_id, client_secret);
        let mut form = String::from("grant_type=client_credentials");
        for (name, value) in parameters {
            if let Some(value) = value {
                form.extend(["&", name, "=", &encode(value)]);
            }
        }
        Self { endpoint, credentials, form: form.into(), current: Mutex::new(None) }
    }

    /// The token in force, fetched if there is none or it is about to expire.
    pub(super) async fn token(&self) -> Result<Token, UpstreamError> {
        self.token_other_than(None).await
    }

    /// A token other than `refused`, which the upstream no longer takes.
    pub(super) async fn fresh_token(&self, refused: &Token) -> Result<Token, UpstreamError> {
        self.token_other_than(Some(&refused.authorization)).await
    }

    async fn token_other_than(&self, refused: Option<&HeaderValue>) -> Result<Token, UpstreamError> {
        let mut current = self.current.lock().await;
        if let Some(token) = current.as_ref()
            && Some(&token.authorization) != refused
            && Instant::now() < token.renew_at
        {
            return Ok(token.clone());
        }
        let token = self.fetch().await?;
        *current = Some(token.clone());
        Ok(token)
    }

    async fn fetch(&self) -> Result<Token, UpstreamError> {
        let request = Request::builder()
            .method(Method::POST)
            .uri(self.endpoint.base().own_target().map_err(|source| UpstreamError::Request { source })?)
            .header(CONTENT_TYPE, "application/x-www-form-urlencoded")
            .header(ACCEPT, "application/json")
            .header(AUTHORIZATION, self.credentials.clone())
            .body(RequestBody::new(Full::new(self.form.clone()).map_err(|never| match never {})))
            .map_err(|source| UpstreamError::Request { source })?;
        let asked_at = Instant::now();
        let unreachable = |source| UpstreamError::Token { source: Box::new(source) };
        let response = self.endpoint.send(request).await.map_err(unreachable)?;
        let status = response.status();
        let response = body::collect(response.into_body(), RESPONSE_BYTES_MAX).await;
        let response = response.map_err(|error| unreachable(error.into()))?;
        if !status.is_success() {
            return Err(UpstreamError::TokenRefused { status });
        }
        Token::parse(&response, asked_at).ok_or(UpstreamError::TokenMalformed)
    }
}

impl Token {
    /// Reads a token response (RFC 6749 §5.1) to a request made at `asked_at`.
    fn parse(response: &[u8], asked_at: Instant) -> Option<Self> {
        #[derive(Deserialize)]
        struct TokenResponse {
            access_token: String,
            token_type: String,
            expires_in: Option<u32>,
        }
        let response: TokenResponse = serde_json::from_slice(response).ok()?;
        if !response.token_type.eq_ignore_ascii_case("bearer") || response.access_token.is_empty() {
            return None;
        }
        let lifetime = response.expires_in.map_or(LIFETIME_DEFAULT, |s| Duration::from_secs(s.into()));
        let renew_at = asked_at + lifetime - RENEWAL_MARGIN_MAX.min(lifetime / 10);
        Some(Self { authorization: sensitive(&format!("Bearer {}", response.access_token))?, renew_at })
    }
}

/// Value of `Authorization` for a client of OAuth 2. RFC 6749 §2.3.1 encodes both before joining them, so that either may
/// hold a colon.
pub(super) fn of_client(id: &str, secret: &Secret<String>) -> HeaderValue {
    basic(&encode(id), &Secret::new(encode(secret.expose())))
}

/// Value of `Authorization` for user and password (RFC 7617).
#[expect(clippy::expect_used, reason = "base64 is visible ASCII")]
pub(super) fn basic(user: &str, password: &Secret<String>) -> HeaderValue {
    let credentials = BASE64_STANDARD.encode(format!("{user}:{}", password.expose()));
    sensitive(&format!("Basic {credentials}")).expect("a header value")
}

/// A header value that hyper and `Debug` do not print; absent if the text cannot be one.
fn sensitive(text: &str) -> Option<HeaderValue> {
    let mut value = HeaderValue::from_str(text).ok()?;
    value.set_sensitive(true);
    Some(value)
}

fn encode(text: &str) -> String {
    utf8_percent_encode(text, FORM).to_string()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn lifetime(response: &str) -> Option<Duration> {
        let now = Instant::now();
        Token::parse(response.as_bytes(), now).map(|token| token.renew_at - now)
    }

    #[test]
    fn renews_before_the_token_expires() {
        let response = |expires_in| {
            format!(r#"{{"access_token": "t", "token_type": "Bearer", "expires_in": {expires_in}}}"#)
        };
        assert_eq!(lifetime(&response(3600)), Some(Duration::from_secs(3570)));
        assert_eq!(lifetime(&response(10)), Some(Duration::from_secs(9)));
        assert_eq!(lifetime(&response(0)), Some(Duration::ZERO));
    }

    #[test]
    fn refuses_tokens_it_cannot_send() {
        assert_eq!(lifetime(r#"{"access_token": "t", "token_type": "mac"}"#), None);
        assert_eq!(lifetime(r#"{"access_token": "", "token_type": "bearer"}"#), None);
        assert_eq!(lifetime(r#"{"access_token": "a\nb", "token_type": "bearer"}"#), None);
        assert_eq!(lifetime("<html>"), None);
    }

    #[test]
    fn neither_token_nor_password_prints() {
        let basic = basic("user", &Secret::new("hunter2".into()));
        assert_eq!(basic, "Basic dXNlcjpodW50ZXIy");
        assert_eq!(format!("{basic:?}"), "Sensitive");
        let token =
            Token::parse(br#"{"access_token": "t0ken", "token_type": "bearer"}"#, Instant::now()).unwrap();
        assert!(!format!("{token:?}").contains("t0ken"));
    }
}
