//! A small bundle and its signers, for tests.

use std::collections::BTreeMap;

use jiff::Timestamp;
use jiff::civil::{Date, date};
use uuk_asic::{Profile, Signer};
use uuk_pki::{Anchors, Certificate, SoftwareKey};
use uuk_testkit::authority::{Authority, KeyKind};

use crate::contents::Bundle;
use crate::pack::pack;
use crate::vetting::VettingStatement;

pub(crate) const MANIFEST: &str = r#"
[plugin]
id = "kg.example.people"
version = "1.2.0"
api = "0.1"

[[service]]
code = "person"
contract = "contracts/person.yaml"

[datasource.registry]
engine = ["sqlite"]

[sql.find-person]
datasource = "registry"
file = "sql/find-person.sql"
params = { pin = "text" }
row = { pin = "text", surname = "text" }

[config]
schema = "config.schema.json"
"#;

/// Every kind of part there is.
pub(crate) fn parts() -> BTreeMap<String, Vec<u8>> {
    [
        ("plugin.toml", MANIFEST),
        ("adapter.wasm", "\0asm\x0d\0\x01\0"),
        ("contracts/person.yaml", "openapi: 3.1.0\n"),
        ("sql/find-person.sql", "SELECT pin, surname FROM person WHERE pin = :pin\n"),
        ("config.schema.json", "{}\n"),
        ("fixtures/get-ok.json", "{\"operation\": \"get\"}\n"),
        ("sbom.json", "{}\n"),
    ]
    .into_iter()
    .map(|(name, text)| (name.to_owned(), text.as_bytes().to_vec()))
    .collect()
}

pub(crate) fn read(bytes: &[u8]) -> Bundle {
    Bundle::read(bytes, &Profile::bundle().limits).unwrap()
}

pub(crate) fn unsigned() -> Bundle {
    read(&pack(parts()).unwrap())
}

/// The day on which certificates are issued unless a test says otherwise; they are valid for a year.
pub(crate) const TODAY: Date = date(2026, 11, 22);

/// Some hours into [`TODAY`].
pub(crate) fn now() -> Timestamp {
    "2026-11-22T08:00:00Z".parse().unwrap()
}

/// Someone with a key and a certificate.
pub(crate) struct Person {
    /// An authority that verifiers know, and one below it.
    pub(crate) authorities: [Authority; 2],
    key: SoftwareKey,
    pub(crate) certificate: Certificate,
    intermediates: Vec<Certificate>,
}

impl Person {
    pub(crate) fn new(name: &str, kind: KeyKind) -> Self {
        Self::certified_on(TODAY, name, kind)
    }

    pub(crate) fn certified_on(day: Date, name: &str, kind: KeyKind) -> Self {
        let authority = Authority::new(&format!("Authority of {name}"), day).unwrap();
        let below = authority.intermediate(&format!("Intermediate of {name}")).unwrap();
        let identity = below.issue(name, kind).unwrap();
        Self {
            key: SoftwareKey::from_pkcs8(&identity.key_der()).unwrap(),
            certificate: Certificate::from_der(&identity.der()).unwrap(),
            intermediates: vec![Certificate::from_der(&below.der()).unwrap()],
            authorities: [authority, below],
        }
    }

    pub(crate) fn signer(&self) -> Signer<'_> {
        Signer { key: &self.key, certificate: &self.certificate, intermediates: &self.intermediates }
    }

    /// The authority that this person's certificate leads to.
    pub(crate) fn anchors(&self) -> Anchors {
        Anchors::new(vec![Certificate::from_der(&self.authorities[0].der()).unwrap()])
    }
}

pub(crate) fn statement() -> VettingStatement {
    VettingStatement {
        plugin: "kg.example.people".to_owned(),
        version: semver::Version::new(1, 2, 0),
        reviewers: vec!["Айгуль".to_owned(), "Бакыт".to_owned()],
        tier: "standard".to_owned(),
        grants: "reads the register of people".to_owned(),
        expires: "2027-06-30T23:59:59Z".parse().unwrap(),
    }
}
