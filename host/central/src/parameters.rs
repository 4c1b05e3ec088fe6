//! What the registry says, as the files of a global configuration say it.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;
use std::time::Duration;

use aws_lc_rs::digest::{SHA1_FOR_LEGACY_USE_ONLY, digest};
use jiff::Timestamp;
use uuk_globalconf::{
    Anchor, ApprovedCa, ApprovedTsa, CaInfo, Cost, GlobalGroup, InstanceGovernance, Maintenance,
    ManagementService, Member, MemberClass, MirrorSource, OcspResponder, PrivateParameters, SecurityServer,
    SharedParameters, Source, Subsystem, VerificationCertificate, Version,
};
use uuk_identifiers::{ClientId, MemberId, SubsystemId};
use uuk_pki::{CertificateError, Der};

use crate::publication::Audience;
use crate::registry::{self, Authority, ClientState, OWNERS, Registry};
use crate::vetting::{BundleSigner, BundleTrust};

impl Registry {
    /// The shared parameters as a file of `version` has them.
    pub(crate) fn shared_parameters(&self, version: Version) -> SharedParameters {
        let certification = self.certification.iter();
        let time_stamping = self.time_stamping.iter();
        let classes = self.member_classes.iter();
        SharedParameters {
            version,
            instance: self.settings.instance.clone(),
            sources: self.mirrors(),
            approved_cas: certification.filter_map(|(name, service)| approved_ca(name, service)).collect(),
            approved_tsas: time_stamping
                .map(|(name, service)| ApprovedTsa {
                    name: name.clone(),
                    url: service.url.clone(),
                    certificate: service.certificate.as_bytes().to_vec(),
                    cost: Cost::Undefined,
                })
                .collect(),
            members: self.members.iter().map(|(id, member)| self.member(id, member)).collect(),
            security_servers: self.security_servers(version),
            global_groups: self.global_groups(),
            member_classes: classes
                .map(|(code, class)| MemberClass {
                    code: code.clone(),
                    description: class.description.clone(),
                })
                .collect(),
            ocsp_freshness: Duration::from_secs(self.settings.ocsp_freshness_seconds.into()),
        }
    }

    /// The private parameters, which are the same in all versions.
    pub(crate) fn private_parameters(&self) -> PrivateParameters {
        let certificate = self.settings.registration_certificate.as_ref();
        PrivateParameters {
            instance: self.settings.instance.clone(),
            // Each was read when it was taken in.
            federated: self
                .federated
                .values()
                .filter_map(|one| Anchor::read(one.anchor.as_bytes()).ok())
                .collect(),
            management_service: ManagementService {
                registration_url: Some(self.settings.registration_url.clone()),
                registration_certificate: certificate.map(|der| der.as_bytes().to_vec()),
                provider: self.settings.management_provider.clone(),
            },
            time_stamping_interval: Duration::from_secs(self.settings.time_stamping_interval_seconds.into()),
        }
    }

    /// Catalog and trust for servers that obey them.
    pub(crate) fn governance(&self) -> Result<InstanceGovernance, CertificateError> {
        let BundleTrust { authors, vetters, revoked, minimum_versions, .. } = &self.bundle_trust;
        let certificates = |signers: &BTreeMap<_, BundleSigner>| {
            signers.values().map(|signer| signer.certificate.certificate()).collect::<Result<_, _>>()
        };
        let minimum = minimum_versions.iter();
        Ok(InstanceGovernance {
            instance: self.settings.instance.clone(),
            catalog: self.catalog.published(),
            accesses: Arc::new(self.catalog.granted()),
            author_certificates: certificates(authors)?,
            vetting_certificates: certificates(vetters)?,
            revoked: revoked.keys().copied().collect(),
            minimum_versions: minimum.map(|(plugin, one)| (plugin.clone(), one.version.clone())).collect(),
        })
    }

    /// What members, or other instances, are handed to begin with. It names every key that signs or will.
    pub fn anchor(&self, audience: Audience, generated_at: Timestamp) -> Anchor {
        let sources = self.settings.sources.iter().map(|address| Source {
            url: format!("http://{address}{}", audience.path()),
            certificates: self.verification_certificates(),
        });
        Anchor {
            generated_at: Some(generated_at),
            instance: self.settings.instance.clone(),
            sources: sources.collect(),
        }
    }

    fn mirrors(&self) -> Vec<MirrorSource> {
        let sources = self.settings.sources.iter().map(|address| MirrorSource {
            address: address.clone(),
            internal_certificates: self.verification_certificates(),
            external_certificates: self.verification_certificates(),
        });
        sources.collect()
    }

    fn verification_certificates(&self) -> Vec<VerificationCertificate> {
        let keys = self.signing_keys.values();
        keys.map(|key| VerificationCertificate(key.certificate.as_bytes().to_vec())).collect()
    }

    fn member(&self, id: &MemberId, member: &registry::Member) -> Member {
        // A member's subsystems stand together: looking through all of them for each member would take seconds.
        let first = SubsystemId { member: id.clone(), code: String::new() };
        let subsystems = self.subsystems.range(first..).take_while(|(subsystem, _)| subsystem.member == *id);
        let class = self.member_classes.get(&id.class);
        Member {
            id: id.clone(),
            class_description: class.map(|class| class.description.clone()).unwrap_or_default(),
            name: member.name.clone(),
            subsystems: subsystems
                .map(|(id, subsystem)| Subsystem { id: id.clone(), name: subsystem.name.clone() })
                .collect(),
        }
    }

    fn security_servers(&self, version: Version) -> Vec<SecurityServer> {
        let hash = |certificate: &Der| match version {
            Version::V2 => digest(&SHA1_FOR_LEGACY_USE_ONLY, certificate.as_bytes()).as_ref().to_vec(),
            _ => certificate.sha256().as_bytes().to_vec(),
        };
        let servers = self.servers.iter().map(|(id, server)| {
            let maintenance = server.maintenance.as_ref();
            let enabled = server.clients.iter().filter(|(_, state)| **state == ClientState::Enabled);
            SecurityServer {
                id: id.clone(),
                address: server.address.clone(),
                certificate_hashes: server.certificates.iter().map(hash).collect(),
                clients: enabled.map(|(client, _)| client.clone()).collect(),
                maintenance: maintenance.map(|one| Maintenance { message: one.message.clone() }),
            }
        });
        servers.collect()
    }

    fn global_groups(&self) -> Vec<GlobalGroup> {
        let kept = self.groups.iter().filter(|(code, _)| *code != OWNERS).map(|(code, group)| GlobalGroup {
            code: code.clone(),
            description: group.description.clone(),
            members: group.members.iter().cloned().collect(),
        });
        let owners: BTreeSet<_> = self.servers.keys().map(|server| &server.owner).collect();
        let owners = GlobalGroup {
            code: OWNERS.to_owned(),
            description: "Owners of security servers".to_owned(),
            members: owners.into_iter().cloned().map(ClientId::Member).collect(),
        };
        kept.chain([owners]).collect()
    }
}

fn approved_ca(name: &str, service: &registry::CertificationService) -> Option<ApprovedCa> {
    let (top, below) = service.authorities.split_first()?;
    Some(ApprovedCa {
        name: name.to_owned(),
        authentication_only: service.authentication_only,
        top: ca_info(top),
        intermediates: below.iter().map(ca_info).collect(),
        certificate_profile: service.certificate_profile.clone(),
        csr_format: None,
        acme_server: None,
    })
}

fn ca_info(authority: &Authority) -> CaInfo {
    let responders = authority.responders.iter().map(|responder| OcspResponder {
        url: responder.url.clone(),
        certificate: responder.certificate.as_ref().map(|der| der.as_bytes().to_vec()),
        cost: Cost::Undefined,
    });
    CaInfo { certificate: authority.certificate.as_bytes().to_vec(), ocsp: responders.collect() }
}
