//! What is known to be vulnerable: advisories in OSV's format, in a folder that somebody keeps up to date.
//!
//! Source: <https://ossf.github.io/osv-schema/>.

use std::collections::HashMap;
use std::fs::{self, File};
use std::io::{self, Read};
use std::path::{Path, PathBuf};

use jiff::Timestamp;
use packageurl::PackageUrl;
use semver::Version;
use serde::Deserialize;
use uuk_central::vetting::{Advisories, Component, Vulnerability};

/// All that OSV collects are fewer.
const FILES_MAX: usize = 2_000_000;
const FILE_BYTES_MAX: u64 = 16 << 20;
/// More are not told.
const FOUND_MAX: usize = 500;
const SUMMARY_CHARS_MAX: usize = 200;

/// Why advisories cannot be looked through.
#[derive(Debug, thiserror::Error)]
pub(super) enum AdvisoriesError {
    #[error("cannot read {}", path.display())]
    Read { path: PathBuf, source: io::Error },
    #[error("{} is no advisory in OSV's format", path.display())]
    Malformed { path: PathBuf, source: serde_json::Error },
    #[error("there is no advisory in {}", folder.display())]
    None { folder: PathBuf },
    #[error("there are more than {FILES_MAX} files in {}", folder.display())]
    TooMany { folder: PathBuf },
}

#[derive(Debug, Deserialize)]
struct Advisory {
    id: String,
    modified: Timestamp,
    #[serde(default)]
    withdrawn: Option<Timestamp>,
    #[serde(default)]
    summary: String,
    #[serde(default)]
    affected: Vec<Affected>,
}

#[derive(Debug, Deserialize)]
struct Affected {
    #[serde(default)]
    package: Option<Package>,
    #[serde(default)]
    ranges: Vec<Range>,
    #[serde(default)]
    versions: Vec<String>,
}

#[derive(Debug, Deserialize)]
struct Package {
    ecosystem: String,
    name: String,
}

#[derive(Debug, Deserialize)]
struct Range {
    #[serde(rename = "type")]
    kind: String,
    #[serde(default)]
    events: Vec<Event>,
}

#[derive(Debug, Deserialize)]
#[serde(rename_all = "snake_case")]
enum Event {
    Introduced(String),
    Fixed(String),
    LastAffected(String),
    Limit(String),
}

/// Components by the name under which advisories are about them.
struct Wanted<'a> {
    by_name: HashMap<String, Vec<(Option<&'static str>, &'a Component)>>,
}

/// Looks all components up in the advisories of `folder` and the folders in it.
pub(super) fn look_up(folder: &Path, components: &[Component]) -> Result<Advisories, AdvisoriesError> {
    let wanted = Wanted::new(components);
    let mut looked_up = Advisories { as_of: Timestamp::MIN, records: 0, found: Vec::new() };
    for path in files(folder)? {
        let advisory = read(&path)?;
        looked_up.records += 1;
        looked_up.as_of = looked_up.as_of.max(advisory.modified);
        if advisory.withdrawn.is_none() {
            looked_up.found.extend(wanted.hit_by(&advisory));
        }
    }
    if looked_up.records == 0 {
        return Err(AdvisoriesError::None { folder: folder.to_owned() });
    }
    looked_up.found.sort();
    looked_up.found.dedup();
    looked_up.found.truncate(FOUND_MAX);
    Ok(looked_up)
}

fn files(folder: &Path) -> Result<Vec<PathBuf>, AdvisoriesError> {
    let mut folders = vec![folder.to_owned()];
    let mut files = Vec::new();
    while let Some(path) = folders.pop() {
        let unreadable = |source| AdvisoriesError::Read { path: path.clone(), source };
        for entry in fs::read_dir(&path).map_err(unreadable)? {
            let entry = entry.map_err(unreadable)?;
            let kind = entry.file_type().map_err(unreadable)?;
            if kind.is_dir() {
                folders.push(entry.path());
            } else if entry.path().extension().is_some_and(|extension| extension == "json") {
                files.push(entry.path());
            }
            if files.len() + folders.len() > FILES_MAX {
                return Err(AdvisoriesError::TooMany { folder: folder.to_owned() });
            }
        }
    }
    Ok(files)
}

fn read(path: &Path) -> Result<Advisory, AdvisoriesError> {
    let mut bytes = Vec::new();
    let read = File::open(path).and_then(|file| file.take(FILE_BYTES_MAX).read_to_end(&mut bytes));
    read.map_err(|source| AdvisoriesError::Read { path: path.to_owned(), source })?;
    serde_json::from_slice(&bytes)
        .map_err(|source| AdvisoriesError::Malformed { path: path.to_owned(), source })
}

impl<'a> Wanted<'a> {
    fn new(components: &'a [Component]) -> Self {
        let mut by_name: HashMap<_, Vec<_>> = HashMap::new();
        for component in components {
            let (ecosystem, name) = match component.purl.as_deref().and_then(package) {
                Some((ecosystem, name)) => (Some(ecosystem), name),
                // Of what it is, nothing is said: any of that name may be meant.
                None => (None, component.name.clone()),
            };
            by_name.entry(name).or_default().push((ecosystem, component));
        }
        Self { by_name }
    }

    fn hit_by(&self, advisory: &Advisory) -> impl Iterator<Item = Vulnerability> {
        let affected = advisory.affected.iter().filter_map(|one| Some((one, one.package.as_ref()?)));
        affected.flat_map(move |(affected, package)| {
            let name = named(&package.ecosystem, &package.name);
            let wanted = self.by_name.get(&name).into_iter().flatten();
            let of_kind = wanted.filter(move |(ecosystem, _)| {
                ecosystem.is_none_or(|ecosystem| ecosystem == package.ecosystem)
            });
            let hit = of_kind.filter(|(_, component)| affected.has(&component.version));
            hit.map(|(_, component)| Vulnerability {
                component: component.name.clone(),
                version: component.version.clone(),
                advisory: advisory.id.clone(),
                summary: advisory.summary.chars().take(SUMMARY_CHARS_MAX).collect(),
                fixed_in: affected.fixed_in(&component.version),
            })
        })
    }
}

impl Affected {
    /// Whether a version is one of those affected. One that cannot be compared, and is in no list, may be.
    fn has(&self, version: &str) -> bool {
        if self.versions.iter().any(|one| one == version) {
            return true;
        }
        let ranges = || self.ranges.iter().filter(|range| range.kind != "GIT");
        match comparable(version) {
            Some(version) => ranges().any(|range| range.has(&version)),
            None => self.versions.is_empty() && ranges().next().is_some(),
        }
    }

    /// The first version after this one in which it is mended.
    fn fixed_in(&self, version: &str) -> Option<String> {
        let version = comparable(version)?;
        let events = self.ranges.iter().filter(|range| range.kind != "GIT").flat_map(|range| &range.events);
        let fixed = events.filter_map(|event| match event {
            Event::Fixed(text) => comparable(text).map(|fixed| (fixed, text)),
            _ => None,
        });
        fixed.filter(|(fixed, _)| *fixed > version).min().map(|(_, text)| text.clone())
    }
}

impl Range {
    fn has(&self, version: &Version) -> bool {
        let mut events: Vec<_> = self.events.iter().map(|event| (event.at(), event)).collect();
        events.sort_by(|(one, _), (other, _)| one.cmp(other));
        let mut is_affected = false;
        for (at, event) in events {
            // What cannot be compared is taken for the beginning: better one look too many.
            let is_past = at.as_ref().is_none_or(|at| version >= at);
            match event {
                Event::Introduced(_) if is_past => is_affected = true,
                Event::Fixed(_) | Event::Limit(_) if at.is_some() && is_past => is_affected = false,
                Event::LastAffected(_) if at.as_ref().is_some_and(|at| version > at) => is_affected = false,
                _ => {}
            }
        }
        is_affected
    }
}

impl Event {
    fn at(&self) -> Option<Version> {
        let (Self::Introduced(at) | Self::Fixed(at) | Self::LastAffected(at) | Self::Limit(at)) = self;
        comparable(at)
    }
}

/// `v1.2` is `1.2.0`; what is no such version has no place among others.
fn comparable(text: &str) -> Option<Version> {
    let text = text.trim_start_matches('v');
    let end = text.find(['-', '+']).unwrap_or(text.len());
    let (numbers, rest) = text.split_at(end);
    let missing = 2_usize.checked_sub(numbers.matches('.').count())?;
    Version::parse(&format!("{numbers}{}{rest}", ".0".repeat(missing))).ok()
}

/// What OSV calls the ecosystem and the name of a package URL.
fn package(purl: &str) -> Option<(&'static str, String)> {
    let purl: PackageUrl<'_> = purl.parse().ok()?;
    let (ecosystem, separator) = match purl.ty() {
        "cargo" => ("crates.io", "/"),
        "npm" => ("npm", "/"),
        "pypi" => ("PyPI", "/"),
        "golang" => ("Go", "/"),
        "maven" => ("Maven", ":"),
        "nuget" => ("NuGet", "/"),
        "gem" => ("RubyGems", "/"),
        "composer" => ("Packagist", "/"),
        _ => return None,
    };
    let name = match purl.namespace() {
        Some(namespace) => format!("{namespace}{separator}{}", purl.name()),
        None => purl.name().to_owned(),
    };
    Some((ecosystem, named(ecosystem, &name)))
}

/// A name as it is compared: PyPI takes `Zope_Interface` for `zope-interface`.
fn named(ecosystem: &str, name: &str) -> String {
    match ecosystem {
        "PyPI" => name.to_lowercase().replace(['_', '.'], "-"),
        _ => name.to_owned(),
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    fn component(name: &str, version: &str, purl: &str) -> Component {
        let purl = (!purl.is_empty()).then(|| purl.to_owned());
        Component { name: name.to_owned(), version: version.to_owned(), purl }
    }

    /// The advisories that a component is found in, of one about `package` with these ranges and versions.
    fn hits(component: &Component, affected: serde_json::Value) -> Vec<Vulnerability> {
        let folder = tempfile::tempdir().unwrap();
        let advisory = json!({
            "id": "RUSTSEC-2026-0001", "modified": "2026-11-20T00:00:00Z", "summary": "It breaks", "affected": [affected],
        });
        fs::create_dir(folder.path().join("crates.io")).unwrap();
        fs::write(folder.path().join("crates.io/one.json"), advisory.to_string()).unwrap();
        fs::write(folder.path().join("README.md"), "no advisory").unwrap();
        let looked_up = look_up(folder.path(), std::slice::from_ref(component)).unwrap();
        assert_eq!((looked_up.records, looked_up.as_of.to_string().as_str()), (1, "2026-11-20T00:00:00Z"));
        looked_up.found
    }

    #[test]
    fn a_version_is_affected_from_where_it_came_in_to_where_it_was_mended() {
        let range = |events| {
            json!({
                "package": { "ecosystem": "crates.io", "name": "smallvec" },
                "ranges": [{ "type": "SEMVER", "events": events }],
            })
        };
        let mended = range(json!([
            { "introduced": "1.6.1-0" }, { "fixed": "1.10.2" }, { "introduced": "0" }, { "fixed": "0.6.14" },
        ]));
        for (version, expected) in [
            ("0.6.13", Some("0.6.14")),
            ("0.6.14", None),
            ("1.6.0", None),
            ("1.6.1", Some("1.10.2")),
            ("1.9", Some("1.10.2")),
            ("1.10.2-rc.1", Some("1.10.2")),
            ("1.10.2", None),
        ] {
            let found = hits(&component("smallvec", version, "pkg:cargo/smallvec"), mended.clone());
            let fixed_in = found.first().map(|one| one.fixed_in.as_deref().unwrap());
            assert_eq!(fixed_in, expected, "{version}");
        }
        let last = range(json!([{ "introduced": "0" }, { "last_affected": "1.2.0" }]));
        for (version, count) in [("1.2.0", 1), ("1.2.1", 0), ("two", 1), ("", 1)] {
            let found = hits(&component("smallvec", version, "pkg:cargo/smallvec"), last.clone());
            assert_eq!(found.len(), count, "{version}");
        }
    }

    #[test]
    fn a_package_is_found_by_what_its_url_says_it_is() {
        for (purl, name, ecosystem, package, is_found) in [
            ("pkg:cargo/time@0.1.0", "time", "crates.io", "time", true),
            ("pkg:npm/time@0.1.0", "time", "crates.io", "time", false),
            ("pkg:npm/%40scope/time@0.1.0", "time", "npm", "@scope/time", true),
            ("pkg:pypi/zope-interface@0.1.0", "x", "PyPI", "Zope.Interface", true),
            ("pkg:golang/github.com/a/b@v0.1.0", "b", "Go", "github.com/a/b", true),
            ("pkg:maven/org.a/b@0.1.0", "b", "Maven", "org.a:b", true),
            // Whose ecosystem is not known is looked for by its name.
            ("", "time", "crates.io", "time", true),
            ("no url", "time", "npm", "time", true),
            ("", "times", "npm", "time", false),
        ] {
            let affected = json!({
                "package": { "ecosystem": ecosystem, "name": package }, "versions": ["0.1.0"],
                "ranges": [{ "type": "GIT", "events": [{ "introduced": "0" }] }],
            });
            let found = hits(&component(name, "0.1.0", purl), affected);
            assert_eq!(!found.is_empty(), is_found, "{purl} {name} {ecosystem} {package}");
        }
    }

    #[test]
    fn what_was_withdrawn_is_none_and_what_is_none_is_refused() {
        let folder = tempfile::tempdir().unwrap();
        let file = folder.path().join("one.json");
        let components = [component("time", "0.1.0", "")];
        let look_up = || look_up(folder.path(), &components);
        assert!(matches!(look_up(), Err(AdvisoriesError::None { .. })));
        let advisory = json!({
            "id": "X", "modified": "2026-11-20T00:00:00Z", "withdrawn": "2026-11-21T00:00:00Z",
            "affected": [{ "package": { "ecosystem": "npm", "name": "time" }, "versions": ["0.1.0"] }],
        });
        fs::write(&file, advisory.to_string()).unwrap();
        assert_eq!(look_up().unwrap().found, []);
        fs::write(&file, "{}").unwrap();
        assert!(matches!(look_up(), Err(AdvisoriesError::Malformed { .. })));
        fs::remove_dir_all(folder.path()).unwrap();
        assert!(matches!(look_up(), Err(AdvisoriesError::Read { .. })));
    }
}
