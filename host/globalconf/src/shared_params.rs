//! Shared parameters: the members of an instance, their security servers, and whom the instance trusts.

mod read;
#[cfg(test)]
mod tests;
mod write;

pub use write::Unregistered;

use std::time::Duration;

use uuk_identifiers::{ClientId, MemberId, ServerId, SubsystemId};

use crate::Version;
use crate::anchor::VerificationCertificate;

/// `shared-params.xml` of an instance, in whichever version. Files of older versions leave some of it empty.
///
/// Certificates stay DER as they are in the file: one that cannot be read must not keep the rest from being used.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct SharedParameters {
    /// The version, which decides how certificates of servers are digested.
    pub version: Version,
    /// The instance it is about.
    pub instance: String,
    /// Central servers to download from, since V3.
    pub sources: Vec<MirrorSource>,
    /// Whose certificates count.
    pub approved_cas: Vec<ApprovedCa>,
    /// Whose time-stamps count.
    pub approved_tsas: Vec<ApprovedTsa>,
    /// The members with their subsystems.
    pub members: Vec<Member>,
    /// The registered security servers.
    pub security_servers: Vec<SecurityServer>,
    /// Groups of members and subsystems that rights can be given to.
    pub global_groups: Vec<GlobalGroup>,
    /// The classes that members are divided into.
    pub member_classes: Vec<MemberClass>,
    /// How old an OCSP answer may be.
    pub ocsp_freshness: Duration,
}

/// A central server that publishes the configuration.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct MirrorSource {
    /// Host name or address, perhaps with port.
    pub address: String,
    /// Whose signature counts on what members download.
    pub internal_certificates: Vec<VerificationCertificate>,
    /// Whose signature counts on what other instances download.
    pub external_certificates: Vec<VerificationCertificate>,
}

/// An approved certification service.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ApprovedCa {
    /// For people.
    pub name: String,
    /// Its certificates are for TLS only.
    pub authentication_only: bool,
    /// The top authority.
    pub top: CaInfo,
    /// The authorities below it.
    pub intermediates: Vec<CaInfo>,
    /// How subjects name members: the name of a Java class.
    pub certificate_profile: String,
    /// The form of certificate request it wants, `PEM` or `DER`, since V6.
    pub csr_format: Option<String>,
    /// How to order certificates automatically, since V3.
    pub acme_server: Option<AcmeServer>,
}

/// An authority's certificate and who answers about its certificates.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct CaInfo {
    /// DER.
    pub certificate: Vec<u8>,
    /// Its OCSP responders.
    pub ocsp: Vec<OcspResponder>,
}

/// An OCSP responder.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct OcspResponder {
    /// Where to ask.
    pub url: String,
    /// DER of the certificate that may sign its answers.
    pub certificate: Option<Vec<u8>>,
    /// What asking costs.
    pub cost: Cost,
}

/// What a service costs, since V6.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, strum::EnumString, strum::IntoStaticStr)]
#[strum(serialize_all = "SCREAMING_SNAKE_CASE")]
pub enum Cost {
    /// Nothing.
    Free,
    /// Something.
    Paid,
    /// Not said.
    #[default]
    Undefined,
}

/// An ACME server of a certification service.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct AcmeServer {
    /// Where its directory is.
    pub directory_url: String,
    /// From where it asks back, separated by commas.
    pub ip_address: Option<String>,
    /// What it calls certificates for TLS, since V4.
    pub authentication_profile: Option<String>,
    /// What it calls certificates for signing, since V4.
    pub signing_profile: Option<String>,
}

/// An approved time-stamping service.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ApprovedTsa {
    /// For people.
    pub name: String,
    /// Where to ask.
    pub url: String,
    /// DER of the certificate that signs its time-stamps.
    pub certificate: Vec<u8>,
    /// What asking costs.
    pub cost: Cost,
}

/// A member of the instance.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Member {
    /// Who it is.
    pub id: MemberId,
    /// What its class is called.
    pub class_description: String,
    /// For people.
    pub name: String,
    /// Its subsystems.
    pub subsystems: Vec<Subsystem>,
}

/// A subsystem of a member.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Subsystem {
    /// What it is called in messages.
    pub id: SubsystemId,
    /// For people, since V5.
    pub name: Option<String>,
}

/// A registered security server.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct SecurityServer {
    /// Owner and code.
    pub id: ServerId,
    /// Host name or address; without one, no one can reach it.
    pub address: Option<String>,
    /// Digests of its authentication certificates: SHA-1 in V2, SHA-256 since V3.
    pub certificate_hashes: Vec<Vec<u8>>,
    /// The members and subsystems that exchange through it, as listed: the owner is one even if it is not here.
    pub clients: Vec<ClientId>,
    /// If it is to be left alone for now, why; since V5.
    pub maintenance: Option<Maintenance>,
}

/// A server is being maintained.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Maintenance {
    /// What its operator says about it.
    pub message: Option<String>,
}

/// A group of members and subsystems.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct GlobalGroup {
    /// What rights name it by.
    pub code: String,
    /// For people.
    pub description: String,
    /// Who is in it, perhaps of other instances.
    pub members: Vec<ClientId>,
}

/// A class of members.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct MemberClass {
    /// The code, such as `GOV`.
    pub code: String,
    /// For people.
    pub description: String,
}

impl SecurityServer {
    /// Whether `client` is registered here. The owner always is.
    pub fn has_client(&self, client: &ClientId) -> bool {
        matches!(client, ClientId::Member(member) if *member == self.id.owner)
            || self.clients.contains(client)
    }
}
