//! The operator's side of an instance: who takes part in it, and the signed global configuration that says so.
//!
//! The [`Registry`] is a value with all the rules about what may be registered; [`Central`] keeps it in a database,
//! where each change stands in an audit log whose entries are bound to each other; the [`Publisher`] makes the global
//! configuration of it and gives that out, with the catalog of services and whose signatures on plugins count.
//! [`joining`] is the way of an institution until it is ready, within the law's working days; [`vetting`] that of a plugin
//! bundle until two people have approved it and it is signed.
//!
//! It does not know who may change what: whoever calls says who asked, and has looked at their rights.

#![warn(missing_docs)]

mod audit;
mod calendars;
mod catalog;
mod central;
mod config;
pub mod joining;
mod joining_desk;
mod key_folder;
mod letters;
mod management;
mod parameters;
mod people;
mod publication;
mod publisher;
mod registry;
mod store;
pub mod vetting;

pub use audit::{Actor, AuditEntry, AuditError, AuditPage, NoActor};
pub use calendars::{CalendarChangeError, Calendars};
pub use catalog::{
    Access, AccessRequest, Breakage, CatalogRegister, CatalogService, Classification, Contact, Decision,
    Drift, DriftKind, Edition, Field, Flaw, InformationSystem, LANGUAGES, Outline, OutlinedField,
    OutlinedOperation, PublicMember, PublicService, PublicSystem, Published, PublishingError, Resource,
    ServiceDescription, ServiceLevel, Survey, SurveyConfig, Surveyor, Texts, lint,
};
pub use central::{Central, CentralError, Snapshot, read_password};
pub use config::{DatabaseConfig, KeysConfig, PublicationConfig};
pub use joining_desk::{Case, CertificateFinding, JoiningError, Step, StepName};
pub use key_folder::{KeyFolder, KeyFolderError};
pub use letters::{Delivery, Letter, Notice, UnsentLetter};
pub use management::{ManagementConfig, ManagementError, ManagementService};
pub use people::{Invited, MailAddress, NoMailAddress, OpenIdIdentity, Passed, PeopleError, Person, Role};
pub use publication::{Audience, PublicationError};
pub use publisher::{Publisher, PublisherError, courier};
pub use registry::{
    Authority, CertificationService, ClientState, DamagedRow, Edit, FederatedInstance, Group, Maintenance,
    Member, MemberClass, PendingRequest, Refusal, Registry, Responder, Server, Settings, SigningKeyRecord,
    Subsystem, TimeStampingService,
};
pub use store::StoreError;
pub use vetting::{BundleSigner, BundleTrust, MinimumVersion, Revocation};
