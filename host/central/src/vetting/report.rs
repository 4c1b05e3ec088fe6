use jiff::Timestamp;
use semver::Version;
use serde::{Deserialize, Serialize};
use uuk_bundle::BundleDigest;

/// What a program finds in a bundle before people look: `uuk bundle review --report` writes it.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Report {
    /// The plugin's id.
    pub plugin: String,
    /// Its version.
    pub version: Version,
    /// The digest of the file.
    pub digest: BundleDigest,
    /// Whom the author's certificate names.
    pub author: String,
    /// The version that it is compared with: the one approved last.
    pub against: Option<Version>,
    /// What became of the program, if it did not look to the end: nothing is known of the bundle then.
    #[serde(default)]
    pub unexamined: Option<String>,
    /// What to look at; without an approved version, everything.
    pub differences: Vec<Difference>,
    /// What the adapter did, if it was tried.
    pub trial: Option<Trial>,
    /// What it is made of, by its own bill of materials.
    pub components: Vec<Component>,
    /// What of that is known to be vulnerable; nothing if nobody looked it up.
    #[serde(default)]
    pub advisories: Option<Advisories>,
}

/// Something that gives a plugin power, or decides what it answers, and is not as it was approved.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
pub struct Difference {
    /// `import`, `sql`, `upstream`, …
    pub what: String,
    /// Which one.
    pub name: String,
    /// Since the version that was approved.
    pub change: Change,
    /// What it is now, or was if it is gone.
    pub detail: String,
}

/// How something differs from what was approved.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize, strum::Display)]
#[serde(rename_all = "lowercase")]
#[strum(serialize_all = "lowercase")]
pub enum Change {
    /// It was not there.
    New,
    /// It was otherwise.
    Changed,
    /// It is not there any more.
    Gone,
}

/// What an adapter did in a plugin host, with nothing behind it but what its fixtures record.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Trial {
    /// Why it could not be tried to the end.
    pub problem: Option<String>,
    /// Its own examples, called again.
    pub fixtures: Vec<Replay>,
    /// How many odd requests it was called with.
    pub odd_requests: usize,
    /// Those that it did not stand, in words.
    pub wrong_answers: Vec<String>,
}

/// A fixture that was called again, and what the call took.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Replay {
    /// The fixture.
    pub name: String,
    /// How the answer differs, in words.
    pub problems: Vec<String>,
    /// Time of the whole call, in microseconds.
    pub wall_us: u64,
    /// Largest linear memory, in bytes.
    pub memory_bytes: u64,
    /// SQL and HTTP calls.
    pub host_calls: u32,
    /// Bytes of the answer.
    pub response_bytes: u64,
}

/// An entry of a bill of materials.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Component {
    /// Its name.
    pub name: String,
    /// Its version, if it has one.
    #[serde(default)]
    pub version: String,
    /// What it is and where it comes from: `pkg:cargo/serde@1.0.200`.
    #[serde(default)]
    pub purl: Option<String>,
}

/// Advisories that were looked through, and what they say of a bill of materials.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Advisories {
    /// When the newest of them was written or changed.
    pub as_of: Timestamp,
    /// How many there are.
    pub records: usize,
    /// Components that some of them are about.
    pub found: Vec<Vulnerability>,
}

/// A component that an advisory is about.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
pub struct Vulnerability {
    /// The component's name.
    pub component: String,
    /// Its version.
    pub version: String,
    /// The advisory: `RUSTSEC-2021-0003`.
    pub advisory: String,
    /// What is wrong, in the words of the advisory.
    pub summary: String,
    /// The first later version in which it is mended, if there is one.
    pub fixed_in: Option<String>,
}

impl Trial {
    /// Whether everything went as the fixtures, of which there are some, and the contract say.
    pub fn passed(&self) -> bool {
        self.problem.is_none()
            && !self.fixtures.is_empty()
            && self.wrong_answers.is_empty()
            && self.fixtures.iter().all(|fixture| fixture.problems.is_empty())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_trial_without_fixtures_has_shown_nothing() {
        assert!(!Trial::default().passed());
        let fixture = Replay {
            name: "found".into(),
            problems: Vec::new(),
            wall_us: 1,
            memory_bytes: 1,
            host_calls: 0,
            response_bytes: 1,
        };
        assert!(Trial { fixtures: vec![fixture], ..Trial::default() }.passed());
    }
}
