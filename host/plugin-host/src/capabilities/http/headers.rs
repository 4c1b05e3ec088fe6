//! Headers that pass between adapters and upstreams.

use http::{HeaderMap, HeaderName, HeaderValue};

use super::HttpError;

/// More headers are refused.
const HEADERS_MAX: usize = 64;

/// Names and values together; more is refused.
const HEADERS_BYTES_MAX: usize = 16 * 1024;

/// What concerns one connection and not the message (RFC 9110 §7.6.1), and framing, which is hyper's.
const OF_THE_CONNECTION: [&str; 10] = [
    "connection",
    "content-length",
    "expect",
    "keep-alive",
    "te",
    "trailer",
    "trailers",
    "transfer-encoding",
    "upgrade",
    "proxy-connection",
];

/// What the host alone says: where a request goes, who sends it, and on whose behalf.
const OF_THE_HOST: [&str; 12] = [
    "authorization",
    "cookie",
    "cookie2",
    "forwarded",
    "host",
    "traceparent",
    "tracestate",
    "via",
    "x-original-uri",
    "x-original-url",
    "x-real-ip",
    "x-rewrite-url",
];

/// Ways around the method that was granted.
const OF_ANOTHER_METHOD: [&str; 3] = ["x-http-method", "x-http-method-override", "x-method-override"];

/// Families of which every member is the host's.
const PREFIXES_OF_THE_HOST: [&str; 3] = ["proxy-", "x-forwarded-", "x-road-"];

/// What an upstream says to the host and not to the adapter: sessions and demands for credentials.
const TO_THE_HOST: [&str; 4] = ["authentication-info", "set-cookie", "set-cookie2", "www-authenticate"];

/// The headers an adapter sends, or the first that is refused.
pub(super) fn outgoing(headers: &[(String, String)]) -> Result<HeaderMap, HttpError> {
    let size_bytes: usize = headers.iter().map(|(name, value)| name.len() + value.len()).sum();
    if headers.len() > HEADERS_MAX || size_bytes > HEADERS_BYTES_MAX {
        return Err(HttpError::HeaderRefused("too many or too long".into()));
    }
    let mut sent = HeaderMap::with_capacity(headers.len());
    for (name, value) in headers {
        let name = HeaderName::from_bytes(name.as_bytes())
            .map_err(|_| HttpError::HeaderRefused("not a header name".into()))?;
        if is_the_hosts(&name) {
            return Err(HttpError::HeaderRefused(name.to_string()));
        }
        // What is not ASCII has no agreed meaning in a header (RFC 9110 §5.5).
        let value = HeaderValue::from_str(value).ok().filter(|_| value.is_ascii());
        let value = value.ok_or_else(|| HttpError::HeaderRefused(name.to_string()))?;
        sent.append(name, value);
    }
    Ok(sent)
}

/// The headers an adapter gets to see. Values that are not text cannot be told in the WIT, and are left out.
pub(super) fn incoming(headers: &HeaderMap) -> Vec<(String, String)> {
    headers
        .iter()
        .filter(|(name, _)| {
            let name = name.as_str();
            !OF_THE_CONNECTION.contains(&name) && !TO_THE_HOST.contains(&name) && !name.starts_with("proxy-")
        })
        .filter_map(|(name, value)| Some((name.to_string(), value.to_str().ok()?.to_owned())))
        .collect()
}

fn is_the_hosts(name: &HeaderName) -> bool {
    // To servers of the CGI family `x_road_id` and `x-road-id` are the same.
    let name = name.as_str().replace('_', "-");
    let listed = |names: &[&str]| names.contains(&name.as_str());
    listed(&OF_THE_CONNECTION)
        || listed(&OF_THE_HOST)
        || listed(&OF_ANOTHER_METHOD)
        || PREFIXES_OF_THE_HOST.iter().any(|prefix| name.starts_with(prefix))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn refused(name: &str, value: &str) -> String {
        match outgoing(&[("accept".into(), "*/*".into()), (name.into(), value.into())]) {
            Err(HttpError::HeaderRefused(what)) => what,
            other => panic!("{name}: {other:?}"),
        }
    }

    #[test]
    fn refuses_headers_that_are_the_hosts() {
        for name in [
            "Host",
            "Authorization",
            "Cookie",
            "Connection",
            "Transfer-Encoding",
            "Content-Length",
            "TE",
            "Upgrade",
            "Expect",
            "Proxy-Authorization",
            "Proxy-Connection",
            "X-Road-Client",
            "X-Road-UserId",
            "Forwarded",
            "X-Forwarded-For",
            "X-Real-IP",
            "X-HTTP-Method-Override",
            "X-Original-URL",
            "Traceparent",
            "Via",
            "X_Road_Client",
            "content_length",
        ] {
            assert_eq!(refused(name, "x"), name.to_lowercase());
        }
    }

    #[test]
    fn refuses_headers_that_would_begin_another_line() {
        for value in ["a\r\nHost: b", "a\nb", "a\rb", "a\0b", "ж"] {
            assert_eq!(refused("x-note", value), "x-note", "{value:?}");
        }
        for name in ["x-note\r\nhost", "x note", "", "x:note", "ж"] {
            assert_eq!(refused(name, "x"), "not a header name", "{name:?}");
        }
    }

    #[test]
    fn refuses_too_many_or_too_long_headers() {
        let many: Vec<_> = (0..=HEADERS_MAX).map(|n| (format!("x-{n}"), String::new())).collect();
        assert!(outgoing(&many).is_err());
        assert!(outgoing(&[("x".into(), "y".repeat(HEADERS_BYTES_MAX))]).is_err());
    }

    #[test]
    fn keeps_sessions_and_demands_for_credentials_from_the_adapter() {
        let mut headers = HeaderMap::new();
        for name in
            ["set-cookie", "www-authenticate", "connection", "proxy-authenticate", "content-type", "etag"]
        {
            headers.insert(name, HeaderValue::from_static("x"));
        }
        headers.insert("x-binary", HeaderValue::from_bytes(b"\xff").unwrap());
        let seen: Vec<_> = incoming(&headers).into_iter().map(|(name, _)| name).collect();
        assert_eq!(seen, ["content-type", "etag"]);
    }
}
