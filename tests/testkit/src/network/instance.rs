//! A whole instance: its authorities, its members and their security servers, and what it publishes about them.

use std::collections::BTreeMap;
use std::ops::Deref;
use std::sync::Arc;
use std::time::Duration;

use anyhow::{Context, Result};
use uuk_globalconf::{
    Anchor, ApprovedCa, ApprovedTsa, CaInfo, Cost, GlobalGroup, ManagementService, Member, MemberClass,
    OcspResponder, PrivateParameters, SecurityServer, SharedParameters, Subsystem, Version,
};
use uuk_identifiers::{ClientId, MemberId, ServerId, SubsystemId};
use uuk_pki::{Applicant, Certificate};
use uuk_process::Clock;

use super::certification_authority::{CertificationAuthority, CertificationOptions};
use super::configuration_source::{ConfigurationSource, Content, ExtraPart, SourceOptions};
use super::identity::{Identity, Use};
use super::time_stamping_authority::TimeStampingAuthority;
use crate::authority::KeyKind;

/// The member that runs the instance, `INSTANCE/GOV/10000001`, with the subsystem `management`.
const OPERATOR: &str = "GOV/10000001/management";
/// X-Road's schema of private parameters wants one. Nobody answers there: who registers does it through [`Instance`].
const REGISTRATION_URL: &str = "https://127.0.0.1:4001/managementservice/";

/// What an instance is like.
#[derive(Debug, Clone)]
pub struct InstanceOptions {
    /// The time of all its servers.
    pub clock: Clock,
    /// What the keys are that it makes for members and their servers.
    pub keys: KeyKind,
    /// Its certification authority.
    pub certification: CertificationOptions,
    /// Where its time-stamping authority listens; 0 lets the system choose.
    pub time_stamping_port: u16,
    /// Its configuration source.
    pub source: SourceOptions,
    /// How old an OCSP answer may be.
    pub ocsp_freshness: Duration,
    /// How long a message may wait for its time-stamp.
    pub time_stamping_interval: Duration,
}

impl Default for InstanceOptions {
    /// The system's clock, ports that the system chooses, P-256, the periods that are usual.
    fn default() -> Self {
        Self {
            clock: Clock::system(),
            keys: KeyKind::P256,
            certification: CertificationOptions::new("Test authority"),
            time_stamping_port: 0,
            source: SourceOptions::default(),
            ocsp_freshness: Duration::from_secs(3600),
            time_stamping_interval: Duration::from_secs(60),
        }
    }
}

/// A running instance. Clones are the same one; its servers stop with the last of them.
///
/// Members, subsystems and servers are named without the instance, as in `GOV/70000001/SS1`. What is changed is published
/// at once.
#[derive(Debug, Clone)]
pub struct Instance(Arc<Parts>);

/// What an instance consists of.
#[derive(Debug)]
pub struct Parts {
    name: String,
    clock: Clock,
    keys: KeyKind,
    /// Who issues certificates.
    pub authority: CertificationAuthority,
    /// Who stamps time.
    pub time_stamping: TimeStampingAuthority,
    /// Who publishes the global configuration.
    pub source: ConfigurationSource,
}

/// A registered security server.
#[derive(Debug, Clone)]
pub struct Server {
    instance: Instance,
    id: ServerId,
    authentication: Identity,
}

impl Instance {
    /// Starts an instance without members, except for the one that runs it.
    pub async fn start(name: &str) -> Result<Self> {
        Self::start_with(name, InstanceOptions::default()).await
    }

    /// As [`Instance::start`], not as usual.
    pub async fn start_with(name: &str, options: InstanceOptions) -> Result<Self> {
        let InstanceOptions { clock, keys, .. } = options.clone();
        let authority = CertificationAuthority::start(&options.certification, &clock).await?;
        let stamping = TimeStampingAuthority::start("Test stamper", keys, options.time_stamping_port, &clock);
        let time_stamping = stamping.await?;
        let content = content(name, &options, &authority, &time_stamping)?;
        let source = ConfigurationSource::start(options.source, content, &clock).await?;
        let parts = Parts { name: name.to_owned(), clock, keys, authority, time_stamping, source };
        let instance = Self(Arc::new(parts));
        instance.subsystem(OPERATOR)?;
        Ok(instance)
    }

    /// Its name.
    pub fn name(&self) -> &str {
        &self.name
    }

    /// The time of all its servers.
    pub fn clock(&self) -> &Clock {
        &self.clock
    }

    /// The anchor that its members are given.
    pub fn anchor(&self) -> Anchor {
        self.source.anchor()
    }

    /// Registers a member.
    pub fn member(&self, member: &str) -> Result<MemberId> {
        let id: MemberId = self.id(member)?;
        self.source.change(|content| add_member(&mut content.shared, &id))?;
        Ok(id)
    }

    /// Registers a subsystem, and its member if need be.
    pub fn subsystem(&self, subsystem: &str) -> Result<SubsystemId> {
        let id: SubsystemId = self.id(subsystem)?;
        self.source.change(|content| add_subsystem(&mut content.shared, &id))?;
        Ok(id)
    }

    /// Registers a security server at `address`, its owner if need be, and a new authentication certificate of it.
    pub fn server(&self, server: &str, address: &str) -> Result<Server> {
        let id: ServerId = self.id(server)?;
        let authentication = self.certify(Use::Authentication, &id.owner, &id, self.keys)?;
        let certificate = authentication.certificate().clone();
        self.source.change(|content| {
            add_member(&mut content.shared, &id.owner);
            content.shared.security_servers.push(SecurityServer {
                id: id.clone(),
                address: Some(address.to_owned()),
                certificate_hashes: Vec::new(),
                clients: Vec::new(),
                maintenance: None,
            });
            content.certificates.insert(id.clone(), vec![certificate]);
        })?;
        Ok(Server { instance: self.clone(), id, authentication })
    }

    /// Removes a security server.
    pub fn remove_server(&self, server: &ServerId) -> Result<()> {
        self.source.change(|content| {
            content.shared.security_servers.retain(|registered| registered.id != *server);
            content.certificates.remove(server);
        })
    }

    /// Sets who is in a global group, which comes to be if it is not there.
    pub fn group(&self, code: &str, members: &[&str]) -> Result<()> {
        let members = members.iter().map(|member| self.id(member)).collect::<Result<Vec<ClientId>>>()?;
        self.source.change(|content| {
            content.shared.global_groups.retain(|group| group.code != code);
            let group = GlobalGroup { code: code.to_owned(), description: format!("Group {code}"), members };
            content.shared.global_groups.push(group);
        })
    }

    /// Tells the members of this instance of the other. Twice, once each way, makes them know each other.
    pub fn federate(&self, other: &Self) -> Result<()> {
        let anchor = other.source.external_anchor();
        self.source.change(|content| {
            content.private.federated.retain(|known| known.instance != anchor.instance);
            content.private.federated.push(anchor);
        })
    }

    /// Ends what [`Instance::federate`] began.
    pub fn part_from(&self, other: &Self) -> Result<()> {
        self.source.change(|content| content.private.federated.retain(|known| known.instance != other.name))
    }

    /// Publishes a further file beside the parameters, such as `nextupdate-params.xml` or a catalog.
    pub fn publish(&self, identifier: &str, file_name: &str, bytes: &[u8]) -> Result<()> {
        let (identifier, file_name) = (identifier.to_owned(), file_name.to_owned());
        self.source.change(|content| {
            content.extra.retain(|part| part.file_name != file_name);
            content.extra.push(ExtraPart { identifier, file_name, content: bytes.to_vec() });
        })
    }

    /// A new key with a certificate: for `server`'s authentication, or for `member` to sign with there.
    fn certify(&self, usage: Use, member: &MemberId, server: &ServerId, kind: KeyKind) -> Result<Identity> {
        let name = format!("Member {}", member.code);
        let fields = self.authority.profile().fields(usage).into_iter().map(|field| {
            let value = match field {
                "country" => "KG".to_owned(),
                "dns" => format!("{}.example", server.code.to_lowercase()),
                _ => name.clone(),
            };
            (field.to_owned(), value)
        });
        let fields = fields.collect::<BTreeMap<_, _>>();
        self.authority.identity(usage, &Applicant { member, member_name: &name, server, fields }, kind)
    }

    fn id<T>(&self, text: &str) -> Result<T>
    where
        T: std::str::FromStr<Err: std::error::Error + Send + Sync + 'static>,
    {
        format!("{}/{text}", self.name).parse().with_context(|| format!("`{text}` is no name"))
    }
}

impl Deref for Instance {
    type Target = Parts;

    fn deref(&self) -> &Parts {
        &self.0
    }
}

impl Server {
    /// Its name.
    pub fn id(&self) -> &ServerId {
        &self.id
    }

    /// Registers a member or subsystem as its client, and with the instance if need be.
    pub fn client(self, client: &str) -> Result<Self> {
        let client: ClientId = self.instance.id(client)?;
        self.change(|content, position| {
            match &client {
                ClientId::Member(member) => add_member(&mut content.shared, member),
                ClientId::Subsystem(subsystem) => add_subsystem(&mut content.shared, subsystem),
            }
            if let Some(server) = content.shared.security_servers.get_mut(position) {
                server.clients.push(client);
            }
        })?;
        Ok(self)
    }

    /// Moves it.
    pub fn set_address(&self, address: Option<&str>) -> Result<()> {
        self.change(|content, position| {
            if let Some(server) = content.shared.security_servers.get_mut(position) {
                server.address = address.map(str::to_owned);
            }
        })
    }

    /// Its newest authentication certificate with key.
    pub fn authentication(&self) -> &Identity {
        &self.authentication
    }

    /// Registers one more authentication certificate, which is the one it has from now on.
    pub fn renew_authentication(&mut self) -> Result<()> {
        let renewed =
            self.instance.certify(Use::Authentication, &self.id.owner, &self.id, self.instance.keys)?;
        self.register_authentication(renewed.certificate().clone())?;
        self.authentication = renewed;
        Ok(())
    }

    /// Registers an authentication certificate of a key that lives elsewhere.
    pub fn register_authentication(&self, certificate: Certificate) -> Result<()> {
        self.change(|content, _| {
            content.certificates.entry(self.id.clone()).or_default().push(certificate);
        })
    }

    /// Leaves only the newest authentication certificate registered.
    pub fn deregister_old_authentication(&self) -> Result<()> {
        self.change(|content, _| {
            let certificates = content.certificates.entry(self.id.clone()).or_default();
            certificates.drain(..certificates.len().saturating_sub(1));
        })
    }

    /// A new key and certificate with which `member` signs here.
    pub fn signing(&self, member: &str) -> Result<Identity> {
        self.signing_with(member, self.instance.keys)
    }

    /// As [`Server::signing`], with a key of this kind.
    pub fn signing_with(&self, member: &str, kind: KeyKind) -> Result<Identity> {
        self.instance.certify(Use::Signing, &self.instance.id(member)?, &self.id, kind)
    }

    fn change(&self, change: impl FnOnce(&mut Content, usize)) -> Result<()> {
        let is_this = |server: &SecurityServer| server.id == self.id;
        let mut found = true;
        self.instance.source.change(|content| {
            match content.shared.security_servers.iter().position(is_this) {
                Some(position) => change(content, position),
                None => found = false,
            }
        })?;
        anyhow::ensure!(found, "the security server {} is not registered", self.id);
        Ok(())
    }
}

fn content(
    name: &str,
    options: &InstanceOptions,
    authority: &CertificationAuthority,
    time_stamping: &TimeStampingAuthority,
) -> Result<Content> {
    let info = |certificate: &Certificate| CaInfo {
        certificate: certificate.der().to_vec(),
        ocsp: vec![OcspResponder { url: authority.ocsp().url(), certificate: None, cost: Cost::Free }],
    };
    let shared = SharedParameters {
        version: Version::V6,
        instance: name.to_owned(),
        sources: Vec::new(),
        approved_cas: vec![ApprovedCa {
            name: options.certification.name.clone(),
            authentication_only: false,
            top: info(authority.top()),
            intermediates: authority.intermediate().map(info).into_iter().collect(),
            certificate_profile: authority.profile().name().to_owned(),
            csr_format: Some("PEM".to_owned()),
            acme_server: None,
        }],
        approved_tsas: vec![ApprovedTsa {
            name: "Test stamper".to_owned(),
            url: time_stamping.url(),
            certificate: time_stamping.certificate().der().to_vec(),
            cost: Cost::Free,
        }],
        members: Vec::new(),
        security_servers: Vec::new(),
        global_groups: Vec::new(),
        member_classes: Vec::new(),
        ocsp_freshness: options.ocsp_freshness,
    };
    let private = PrivateParameters {
        instance: name.to_owned(),
        federated: Vec::new(),
        management_service: ManagementService {
            registration_url: Some(REGISTRATION_URL.to_owned()),
            registration_certificate: None,
            provider: format!("{name}/{OPERATOR}").parse()?,
        },
        time_stamping_interval: options.time_stamping_interval,
    };
    Ok(Content { shared, private, certificates: BTreeMap::new(), extra: Vec::new() })
}

fn add_member(shared: &mut SharedParameters, id: &MemberId) {
    if shared.members.iter().any(|member| member.id == *id) {
        return;
    }
    let class_description = format!("Class {}", id.class);
    if shared.member_classes.iter().all(|class| class.code != id.class) {
        let description = class_description.clone();
        shared.member_classes.push(MemberClass { code: id.class.clone(), description });
    }
    let name = format!("Member {}", id.code);
    shared.members.push(Member { id: id.clone(), class_description, name, subsystems: Vec::new() });
}

fn add_subsystem(shared: &mut SharedParameters, id: &SubsystemId) {
    add_member(shared, &id.member);
    let member = shared.members.iter_mut().find(|member| member.id == id.member);
    let Some(Member { subsystems, .. }) = member else { return };
    if subsystems.iter().all(|subsystem| subsystem.id != *id) {
        subsystems.push(Subsystem { id: id.clone(), name: Some(format!("Subsystem {}", id.code)) });
    }
}
