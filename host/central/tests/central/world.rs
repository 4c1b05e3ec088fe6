//! An instance with its authorities, and a registry of it.

use std::path::Path;
use std::sync::Arc;

use jiff::Timestamp;
use tempfile::TempDir;
use uuk_central::{
    Actor, Authority, Central, CertificationService, DatabaseConfig, KeyFolder, Registry, Responder,
    Settings, TimeStampingService,
};
use uuk_identifiers::{ClientId, MemberId, ServerId, SubsystemId};
use uuk_pki::{CertificateUse, Der, Sha256};
use uuk_process::{Clock, Secret};
use uuk_testkit::databases::{PASSWORD, PostgreSql, USER};
use uuk_testkit::network::{Instance, InstanceOptions};

pub(crate) const MEMBER: &str = "KG/GOV/70000001";
pub(crate) const SUBSYSTEM: &str = "KG/GOV/70000001/registry";
pub(crate) const SERVER: &str = "KG/GOV/70000001/ss1";

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Database {
    Sqlite,
    Postgres,
}

pub(crate) struct World {
    pub(crate) clock: Clock,
    pub(crate) instance: Instance,
    pub(crate) keys: KeyFolder,
    pub(crate) folder: TempDir,
}

impl World {
    pub(crate) async fn new() -> Self {
        let clock = Clock::set_to("2026-11-22T12:00:00Z".parse().unwrap());
        let options = InstanceOptions { clock: clock.clone(), ..InstanceOptions::default() };
        let instance = Instance::start_with("KG", options).await.unwrap();
        let folder = tempfile::tempdir().unwrap();
        let keys = KeyFolder::new(folder.path().join("keys"), Secret::new("long enough".to_owned()));
        Self { clock, instance, keys, folder }
    }

    pub(crate) fn now(&self) -> Timestamp {
        self.clock.now()
    }

    /// A registry with the authorities of the instance, a member, its subsystem, and its server.
    pub(crate) fn registry(&self) -> Registry {
        let certificate = self.keys.generate("KG", self.now()).unwrap();
        let mut registry = empty(certificate, self.now());
        let authority = Authority {
            certificate: Der::from(self.instance.authority.top().clone()),
            responders: vec![Responder { url: self.instance.authority.ocsp().url(), certificate: None }],
        };
        let service = CertificationService {
            authentication_only: false,
            authorities: vec![authority],
            certificate_profile: self.instance.authority.profile().name().to_owned(),
        };
        registry.set_certification_service("Test authority", service).unwrap();
        let certificate = Der::from(self.instance.time_stamping.certificate().clone());
        let stamper = TimeStampingService { url: self.instance.time_stamping.url(), certificate };
        registry.set_time_stamping_service("Test stamper", stamper).unwrap();
        registry.add_server(&server(SERVER), Some("ss1.example.kg")).unwrap();
        registry
    }

    /// A certificate for a server, or for a member to sign with.
    pub(crate) fn certificate(&self, usage: CertificateUse) -> Der {
        let server = self.instance.server("GOV/70000001/ss1", "ss1.example.kg").unwrap();
        match usage {
            CertificateUse::Authentication => Der::from(server.authentication().certificate().clone()),
            CertificateUse::Signing => {
                Der::from(server.signing("GOV/70000001").unwrap().certificate().clone())
            }
        }
    }

    /// The registry in a database; `None` if there is no such server here.
    pub(crate) async fn central(&self, database: &DatabaseConfig) -> Arc<Central> {
        Arc::new(Central::open(database, self.clock.clone()).await.unwrap())
    }
}

/// An instance with a member and its subsystem.
pub(crate) fn empty(certificate: Der, now: Timestamp) -> Registry {
    let management: ClientId = "KG/GOV/10000001/management".parse().unwrap();
    let mut registry =
        Registry::new(Settings::new("KG", "central.example.kg", management), certificate, now).unwrap();
    registry.set_member_class("GOV", "Government").unwrap();
    registry.add_member(&member(MEMBER), "Registry of people").unwrap();
    registry.add_subsystem(&subsystem(SUBSYSTEM), Some("The register")).unwrap();
    registry
}

/// A database of one's own, and the server that has it.
pub(crate) fn database(kind: Database, folder: &Path) -> Option<(DatabaseConfig, Option<Arc<PostgreSql>>)> {
    match kind {
        Database::Sqlite => {
            let url = format!("sqlite:{}", folder.join("central.db").display());
            Some((DatabaseConfig { url, password_file: None }, None))
        }
        Database::Postgres => {
            let server = PostgreSql::shared()?;
            let name = server.create_database("").unwrap();
            let file = folder.join("password");
            std::fs::write(&file, PASSWORD).unwrap();
            let url = server.url(&name).replacen("://", &format!("://{USER}@"), 1);
            Some((DatabaseConfig { url, password_file: Some(file) }, Some(server)))
        }
    }
}

pub(crate) fn actor() -> Actor {
    "uid:1000".parse().unwrap()
}

pub(crate) fn member(text: &str) -> MemberId {
    text.parse().unwrap()
}

pub(crate) fn subsystem(text: &str) -> SubsystemId {
    text.parse().unwrap()
}

pub(crate) fn server(text: &str) -> ServerId {
    text.parse().unwrap()
}

pub(crate) fn client(text: &str) -> ClientId {
    text.parse().unwrap()
}

pub(crate) fn no_such() -> Sha256 {
    Sha256::of(b"nothing that is registered")
}
