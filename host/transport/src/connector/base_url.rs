use std::net::IpAddr;

use http::uri::PathAndQuery;
use http::{HeaderValue, Uri};

/// Where an upstream is: scheme, host, port and the path under which everything lies.
#[derive(Debug, Clone)]
pub(super) struct BaseUrl {
    pub(super) secure: bool,
    /// A name, or an IP address without brackets.
    pub(super) host: String,
    pub(super) port: u16,
    /// Value of the `Host` header: as written, port included if it is.
    pub(super) host_header: HeaderValue,
    /// Without a slash at its end; empty for the root.
    path: String,
}

impl BaseUrl {
    /// Reads `http[s]://host[:port][/path]`; answers with what is wrong, in words that follow "the URL".
    pub(super) fn parse(text: &str) -> Result<Self, &'static str> {
        // The parser would take a fragment and drop it.
        if text.contains('#') {
            return Err("has a fragment");
        }
        let url: Uri = text.parse().map_err(|_| "is not a URL")?;
        let (secure, port) = match url.scheme_str() {
            Some("https") => (true, 443),
            Some("http") => (false, 80),
            _ => return Err("begins with neither `https://` nor `http://`"),
        };
        let authority = url.authority().ok_or("names no host")?;
        if authority.as_str().contains('@') {
            return Err("holds a user or password");
        }
        if url.query().is_some() {
            return Err("has a query");
        }
        let path = url.path().trim_end_matches('/');
        if path.split('/').any(|segment| segment == "." || segment == "..") {
            return Err("has a path with dots");
        }
        let host = authority.host().trim_start_matches('[').trim_end_matches(']');
        if host.is_empty() {
            return Err("names no host");
        }
        Ok(Self {
            secure,
            host: host.to_owned(),
            port: authority.port_u16().unwrap_or(port),
            host_header: HeaderValue::from_str(authority.as_str()).map_err(|_| "is not a URL")?,
            path: path.to_owned(),
        })
    }

    /// The host, if it is an address and not a name.
    pub(super) fn literal(&self) -> Option<IpAddr> {
        self.host.parse().ok()
    }

    /// Whether what is sent there leaves this machine.
    pub(super) fn is_loopback(&self) -> bool {
        self.literal().is_some_and(|address| address.to_canonical().is_loopback())
    }

    /// The target of a request for `path_and_query`, below the base path.
    pub(super) fn target(&self, path_and_query: &PathAndQuery) -> Result<Uri, http::Error> {
        if self.path.is_empty() {
            return Ok(Uri::from(path_and_query.clone()));
        }
        self.followed_by(path_and_query.as_str())
    }

    /// The base path with `text` behind it: a path, a query, both or nothing.
    pub(super) fn followed_by(&self, text: &str) -> Result<Uri, http::Error> {
        let joined = format!("{}{text}", self.path);
        let root = if joined.starts_with('/') { "" } else { "/" };
        Ok(Uri::from(PathAndQuery::try_from(format!("{root}{joined}"))?))
    }

    /// The base path itself, for a URL that is called as it stands.
    pub(super) fn own_target(&self) -> Result<Uri, http::Error> {
        let path = if self.path.is_empty() { "/" } else { &self.path };
        Ok(Uri::from(PathAndQuery::try_from(path)?))
    }
}

/// A URL in two: scheme, host and port; and the path and query behind them, as they are written.
pub fn split_url(url: &str) -> (&str, &str) {
    let host = url.find("://").map_or(0, |scheme| scheme + 3);
    let path = url.get(host..).and_then(|rest| rest.find(['/', '?'])).map_or(url.len(), |path| host + path);
    url.split_at_checked(path).unwrap_or((url, ""))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn tells_the_path_from_the_server() {
        for (url, split) in [
            ("http://cs/internalconf?version=6", ("http://cs", "/internalconf?version=6")),
            ("https://cs:4000", ("https://cs:4000", "")),
            ("https://cs?version=2", ("https://cs", "?version=2")),
        ] {
            assert_eq!(split_url(url), split);
        }
    }

    fn refused(url: &str, why: &str) {
        assert_eq!(BaseUrl::parse(url).unwrap_err(), why, "{url}");
    }

    #[test]
    fn refuses_what_is_no_plain_base() {
        refused("ftp://a", "begins with neither `https://` nor `http://`");
        refused("/v1", "begins with neither `https://` nor `http://`");
        refused("https://user:secret@a", "holds a user or password");
        refused("https://a/?q=1", "has a query");
        refused("https://a/#x", "has a fragment");
        refused("https://a/v1/../v2", "has a path with dots");
        refused("https://a b", "is not a URL");
    }

    #[test]
    fn puts_requests_below_its_path() {
        let base = BaseUrl::parse("https://api.example.kg:8443/v1/").unwrap();
        let target = base.target(&PathAndQuery::from_static("/vehicles?x=1")).unwrap();
        assert_eq!(target, "/v1/vehicles?x=1");
        assert_eq!((base.host.as_str(), base.port), ("api.example.kg", 8443));
    }

    #[test]
    fn what_follows_the_base_may_be_a_query_or_nothing() {
        for (base, text, target) in [
            ("http://a/v1", "", "/v1"),
            ("http://a/v1/", "/", "/v1/"),
            ("http://a/v1", "?x=1", "/v1?x=1"),
            ("http://a", "", "/"),
            ("http://a", "?x=1", "/?x=1"),
            ("http://a", "/b%2Fc?x=1", "/b%2Fc?x=1"),
        ] {
            assert_eq!(BaseUrl::parse(base).unwrap().followed_by(text).unwrap(), target, "{base} {text}");
        }
    }

    #[test]
    fn reads_an_ipv6_address_out_of_its_brackets() {
        let base = BaseUrl::parse("http://[::1]:8080").unwrap();
        assert!(base.is_loopback());
        assert_eq!(base.host_header, "[::1]:8080");
    }
}
