//! Where and in which version to download a configuration, decided from what was said and answered so far.

use crate::anchor::{Source, VerificationCertificate};
use crate::{Anchor, SharedParameters, Version};

/// The places to download from in groups, best first. Inside a group any will do: whoever downloads shuffles them, so
/// that not all members ask the same central server.
///
/// First come the central servers that the configuration in force names, then those of the `anchor`; of each, `https`
/// before `http`, and an `http` address is tried with `https` too. `in_force` is the configuration in force, if any.
///
/// # Source
/// X-Road's configuration client; unlike it, an anchor that has only `https` addresses is accepted.
pub fn download_sources(anchor: &Anchor, in_force: Option<&SharedParameters>) -> Vec<Vec<Source>> {
    let mirrors = mirrors(anchor, in_force);
    let anchored = anchor.sources.iter().map(|source| (source.url.as_str(), source.certificates.clone()));
    let mirrors = mirrors.iter().map(|(url, certificates)| (url.as_str(), certificates.clone()));
    let mut groups: Vec<Vec<Source>> = Vec::new();
    for group in [by_scheme(mirrors), by_scheme(anchored)].into_iter().flatten() {
        let known = |source: &Source| groups.iter().flatten().any(|other| other == source);
        let new: Vec<_> = group.into_iter().filter(|source| !known(source)).collect();
        groups.push(new);
    }
    groups.retain(|group| !group.is_empty());
    groups
}

/// The central servers of the configuration in force, at the path that the anchor's first address has.
fn mirrors(
    anchor: &Anchor,
    in_force: Option<&SharedParameters>,
) -> Vec<(String, Vec<VerificationCertificate>)> {
    let path = anchor.sources.iter().find_map(|source| path(&source.url));
    let (Some(path), Some(in_force)) = (path, in_force) else { return Vec::new() };
    let mirror = |source: &crate::MirrorSource| {
        let (internal, external) = (&source.internal_certificates, &source.external_certificates);
        let certificates = match path {
            "internalconf" => internal.clone(),
            "externalconf" => external.clone(),
            // A central server of another make: either may have signed.
            _ => internal.iter().chain(external).cloned().collect(),
        };
        (format!("http://{}/{path}", source.address), certificates)
    };
    in_force.sources.iter().map(mirror).filter(|(_, certificates)| !certificates.is_empty()).collect()
}

/// What follows the host, without the slash.
fn path(url: &str) -> Option<&str> {
    let (_, rest) = url.split_once("://")?;
    let (_, path) = rest.split_once('/')?;
    Some(path).filter(|path| !path.is_empty())
}

/// The same sources with `https`, then those with `http`.
fn by_scheme<'a>(sources: impl Iterator<Item = (&'a str, Vec<VerificationCertificate>)>) -> [Vec<Source>; 2] {
    let (mut secure, mut plain) = (Vec::new(), Vec::new());
    for (url, certificates) in sources {
        if let Some(rest) = url.strip_prefix("http://") {
            secure.push(Source { url: format!("https://{rest}"), certificates: certificates.clone() });
            plain.push(Source { url: url.to_owned(), certificates });
        } else {
            secure.push(Source { url: url.to_owned(), certificates });
        }
    }
    [secure, plain]
}

/// The next address to try for the directory of a source.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum DirectoryUrl {
    /// Ask whether it is there. If it is not (404), go on to the next.
    Ask(String),
    /// Use it without asking.
    Use(String),
}

/// The next address to try at `source_url`, after `not_found` newer versions were not there. What was found is best
/// remembered, so that a source is not asked each minute.
pub fn directory_url(source_url: &str, not_found: usize) -> DirectoryUrl {
    let query = source_url.split_once('?').map(|(_, query)| query);
    if query.is_some_and(|query| query.split('&').any(|pair| pair.split('=').next() == Some("version"))) {
        return DirectoryUrl::Use(source_url.to_owned());
    }
    let separator = if query.is_some() { '&' } else { '?' };
    let url = |version: Version| format!("{source_url}{separator}version={version}");
    match Version::NEWEST_FIRST.get(not_found) {
        None | Some(Version::V2) => DirectoryUrl::Use(url(Version::V2)),
        Some(version) => DirectoryUrl::Ask(url(*version)),
    }
}

/// Where a file that a directory lists is: its location on the server that the directory came from.
pub fn file_url(directory_url: &str, location: &str) -> String {
    let (scheme, rest) = directory_url.split_once("://").unwrap_or(("http", directory_url));
    let host = rest.split(['/', '?', '#']).next().unwrap_or_default();
    format!("{scheme}://{host}{location}")
}

#[cfg(test)]
mod tests {
    use super::*;

    fn anchor(urls: &[&str]) -> Anchor {
        let certificates = vec![VerificationCertificate(b"anchor".to_vec())];
        let sources =
            urls.iter().map(|url| Source { url: (*url).into(), certificates: certificates.clone() });
        Anchor { generated_at: None, instance: "EE".into(), sources: sources.collect() }
    }

    fn urls(groups: &[Vec<Source>]) -> Vec<Vec<&str>> {
        groups.iter().map(|group| group.iter().map(|source| source.url.as_str()).collect()).collect()
    }

    #[test]
    fn prefers_https_and_accepts_an_anchor_with_nothing_else() {
        let groups = download_sources(&anchor(&["http://a/conf", "https://b/conf"]), None);
        assert_eq!(urls(&groups), [vec!["https://a/conf", "https://b/conf"], vec!["http://a/conf"]]);
        assert_eq!(urls(&download_sources(&anchor(&["https://b/conf"]), None)), [["https://b/conf"]]);
    }

    #[test]
    fn tries_nothing_twice() {
        let groups = download_sources(&anchor(&["http://a/conf", "https://a/conf"]), None);
        assert_eq!(urls(&groups).concat().len(), 3);
    }

    #[test]
    fn asks_for_the_newest_version_and_takes_the_oldest_unasked() {
        let url = "http://cs/internalconf";
        assert_eq!(directory_url(url, 0), DirectoryUrl::Ask("http://cs/internalconf?version=6".into()));
        assert_eq!(directory_url(url, 3), DirectoryUrl::Ask("http://cs/internalconf?version=3".into()));
        for not_found in [4, 5] {
            assert_eq!(
                directory_url(url, not_found),
                DirectoryUrl::Use("http://cs/internalconf?version=2".into())
            );
        }
    }

    #[test]
    fn leaves_a_version_in_the_address_alone() {
        for url in ["http://cs?version=1", "http://cs/conf?a=b&version=3"] {
            assert_eq!(directory_url(url, 0), DirectoryUrl::Use(url.into()));
        }
        let url = "http://cs/conf?versions=1";
        assert_eq!(directory_url(url, 0), DirectoryUrl::Ask(format!("{url}&version=6")));
    }

    #[test]
    fn finds_files_on_the_server_of_the_directory() {
        for directory in
            ["https://cs:8443/internalconf?version=6", "https://cs:8443", "https://cs:8443?version=2"]
        {
            assert_eq!(
                file_url(directory, "/V6/1/shared-params.xml"),
                "https://cs:8443/V6/1/shared-params.xml"
            );
        }
    }
}
