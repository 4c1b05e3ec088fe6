//! What an instance tells uuk's servers beside X-Road's parameters: its catalog, who may call what by it, and whose
//! signatures on bundles count.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use semver::Version;
use serde::{Deserialize, Serialize};
use uuk_identifiers::ServiceId;
use uuk_pki::{Certificate, CertificateError, Sha256};

use crate::granted_accesses::ListedAccesses;
use crate::{Catalog, CatalogError, CataloguedService, GrantedAccesses, GrantedAccessesError};

/// Its name in a directory. X-Road's servers keep a file whose name they do not know, and do not look into it.
pub const GOVERNANCE: &str = "UUK-GOVERNANCE";
/// Its name in a folder.
pub const GOVERNANCE_FILE: &str = "uuk-governance.json";

/// Catalog and trust of an instance.
///
/// The file only grows: what a reader does not know, it passes over, so that central server and security servers may be
/// of different releases.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct InstanceGovernance {
    /// The instance it is about.
    pub instance: String,
    /// The services that may answer.
    pub catalog: Catalog,
    /// Who may call them, and when. Access rights of a server may add to it.
    pub accesses: Arc<GrantedAccesses>,
    /// Authorities or certificates whose holders may sign as author.
    pub author_certificates: Vec<Certificate>,
    /// Authorities or certificates whose holders may vet.
    pub vetting_certificates: Vec<Certificate>,
    /// Bundles that may not serve any more.
    pub revoked: BTreeSet<Sha256>,
    /// Lowest version of a plugin that may serve.
    pub minimum_versions: BTreeMap<String, Version>,
}

/// Why the file is refused: then nothing of it counts, and no plugin that rests on it serves.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum InstanceGovernanceError {
    /// Not JSON of the right shape.
    #[error("not JSON of the right shape")]
    Malformed(#[from] serde_json::Error),
    /// What should be a certificate in base64 is none.
    #[error("certificate {position} of `{list}` cannot be read")]
    Certificate {
        /// In which list.
        list: &'static str,
        /// Its place there, from one.
        position: usize,
        /// What is wrong with it.
        #[source]
        source: CertificateError,
    },
    /// The catalog is none.
    #[error(transparent)]
    Catalog(#[from] CatalogError),
    /// The accesses are not granted so.
    #[error(transparent)]
    Accesses(#[from] GrantedAccessesError),
}

#[derive(Serialize, Deserialize)]
struct File {
    instance: String,
    author_certificates: Vec<String>,
    vetting_certificates: Vec<String>,
    revoked: BTreeSet<Sha256>,
    minimum_versions: BTreeMap<String, Version>,
    services: Vec<Service>,
    /// A central server of an older release knows none.
    #[serde(default)]
    accesses: Vec<ListedAccesses>,
}

#[derive(Serialize, Deserialize)]
struct Service {
    id: ServiceId,
    contract: Sha256,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    title: Option<String>,
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    personal: bool,
}

impl InstanceGovernance {
    /// Reads the file.
    ///
    /// # Errors
    /// [`InstanceGovernanceError`] says what is wrong with it.
    pub fn read(file: &[u8]) -> Result<Self, InstanceGovernanceError> {
        let file: File = serde_json::from_slice(file)?;
        let services = file.services.into_iter();
        let services = services.map(|Service { id, contract, title, personal }| CataloguedService {
            id,
            contract,
            title,
            personal,
        });
        Ok(Self {
            instance: file.instance,
            catalog: Catalog::new(services)?,
            accesses: Arc::new(GrantedAccesses::read(file.accesses)?),
            author_certificates: certificates("author_certificates", &file.author_certificates)?,
            vetting_certificates: certificates("vetting_certificates", &file.vetting_certificates)?,
            revoked: file.revoked,
            minimum_versions: file.minimum_versions,
        })
    }

    /// The file: of the same content, the same bytes.
    ///
    /// # Errors
    /// None that its fields could cause.
    pub fn write(&self) -> Result<Vec<u8>, serde_json::Error> {
        let base64 = |certificates: &[Certificate]| {
            certificates.iter().map(|certificate| STANDARD.encode(certificate.der())).collect()
        };
        let services = self.catalog.services().map(|service| {
            let CataloguedService { id, contract, title, personal } = service.clone();
            Service { id, contract, title, personal }
        });
        let mut services: Vec<_> = services.collect();
        services.sort_by(|one, other| one.id.cmp(&other.id));
        serde_json::to_vec(&File {
            instance: self.instance.clone(),
            author_certificates: base64(&self.author_certificates),
            vetting_certificates: base64(&self.vetting_certificates),
            revoked: self.revoked.clone(),
            minimum_versions: self.minimum_versions.clone(),
            services,
            accesses: self.accesses.list(),
        })
    }
}

fn certificates(list: &'static str, texts: &[String]) -> Result<Vec<Certificate>, InstanceGovernanceError> {
    let read = texts.iter().enumerate().map(|(index, text)| {
        // What is no base64 is no certificate either.
        let der = STANDARD.decode(text).unwrap_or_default();
        let unreadable = |source| InstanceGovernanceError::Certificate { list, position: index + 1, source };
        Certificate::from_der(&der).map_err(unreadable)
    });
    read.collect()
}

#[cfg(test)]
mod tests {
    use uuk_testkit::authority::{Authority, KeyKind};

    use super::*;
    use crate::GrantedAccess;

    fn governance() -> InstanceGovernance {
        let authority = Authority::new("Operator", jiff::civil::date(2026, 1, 1)).unwrap();
        let vetter = authority.issue("Vetting", KeyKind::P256).unwrap();
        let id = "KG/GOV/70000001/registry/person".parse().unwrap();
        let access = GrantedAccess {
            client: "KG/GOV/70000002/portal".parse().unwrap(),
            from: "2026-01-01T00:00:00Z".parse().unwrap(),
            until: "2027-01-01T00:00:00Z".parse().unwrap(),
        };
        let accesses = Arc::new([(ServiceId::clone(&id), access)].into_iter().collect());
        let service = CataloguedService {
            id,
            contract: Sha256::of(b"contract"),
            title: Some("Person".into()),
            personal: true,
        };
        InstanceGovernance {
            instance: "KG".into(),
            catalog: Catalog::new([service]).unwrap(),
            accesses,
            author_certificates: Vec::new(),
            vetting_certificates: vec![Certificate::from_der(&vetter.der()).unwrap()],
            revoked: [Sha256::of(b"bundle")].into(),
            minimum_versions: [("kg.example.people".into(), Version::new(1, 2, 0))].into(),
        }
    }

    fn refused(from: &str, to: &str) -> InstanceGovernanceError {
        let text = String::from_utf8(governance().write().unwrap()).unwrap();
        assert!(text.contains(from), "{text}");
        InstanceGovernance::read(text.replacen(from, to, 1).as_bytes()).unwrap_err()
    }

    #[test]
    fn is_read_as_it_was_written() {
        let governance = governance();
        assert_eq!(InstanceGovernance::read(&governance.write().unwrap()).unwrap(), governance);
    }

    #[test]
    fn passes_over_what_a_newer_central_server_adds() {
        let governance = governance();
        let text = String::from_utf8(governance.write().unwrap()).unwrap();
        let newer = text.replacen("{\"id\"", "{\"added\":1,\"id\"", 1).replacen('{', "{\"new\":[],", 1);
        assert_ne!(newer, text);
        assert_eq!(InstanceGovernance::read(newer.as_bytes()).unwrap(), governance);
    }

    #[test]
    fn reads_what_an_older_central_server_writes() {
        let governance = governance();
        let written = String::from_utf8(governance.write().unwrap()).unwrap();
        let older = written.replacen("\"accesses\"", "\"unknown\"", 1);
        let accesses = Arc::default();
        assert_eq!(
            InstanceGovernance::read(older.as_bytes()).unwrap(),
            InstanceGovernance { accesses, ..governance }
        );
    }

    #[test]
    fn refuses_an_access_that_ends_before_it_begins() {
        let error = refused("2027-01-01", "2025-01-01");
        assert!(matches!(error, InstanceGovernanceError::Accesses(GrantedAccessesError::Period { .. })));
    }

    #[test]
    fn refuses_a_file_without_revocations() {
        assert!(matches!(refused("\"revoked\"", "\"revoke\""), InstanceGovernanceError::Malformed(_)));
    }

    #[test]
    fn refuses_what_is_no_certificate_and_says_which() {
        let error = refused("\"vetting_certificates\":[\"", "\"vetting_certificates\":[\"AA");
        let list = "vetting_certificates";
        assert!(
            matches!(error, InstanceGovernanceError::Certificate { list: of, position: 1, .. } if of == list)
        );
    }

    #[test]
    fn refuses_a_service_listed_twice() {
        let id = "KG/GOV/70000001/registry/person";
        let twice = format!("\"services\":[{{\"id\":\"{id}\",\"contract\":\"{}\"}},", Sha256::of(b"x"));
        assert!(matches!(refused("\"services\":[", &twice), InstanceGovernanceError::Catalog(_)));
    }
}
