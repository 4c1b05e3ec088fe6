//! All that the public is told. Every field is named here, so that nothing gets out by being added elsewhere: who helps
//! are people, and sample answers may look like some.

use std::collections::{BTreeMap, BTreeSet};

use jiff::Timestamp;
use serde::Serialize;
use uuk_identifiers::{MemberId, ServiceId, SubsystemId};
use uuk_pki::Sha256;

use super::description::{
    CatalogService, Classification, InformationSystem, Published, Resource, ServiceDescription, ServiceLevel,
    Texts,
};
use super::outline::Outline;
use crate::central::{Central, CentralError};

/// What the public is told of a member that serves others.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct PublicMember {
    /// Which member.
    pub member: MemberId,
    /// As the institution is called.
    pub name: String,
    /// How many services it has published.
    pub services: usize,
}

/// What the public is told of an information system.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct PublicSystem {
    /// The subsystem as which it exchanges messages.
    pub system: SubsystemId,
    /// What it is called.
    pub title: Texts,
    /// What it is for.
    pub description: Texts,
    /// Its registers and databases, by code.
    pub resources: BTreeMap<String, Resource>,
    /// What it has published.
    pub services: Vec<PublicService>,
}

/// What the public is told of a service.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct PublicService {
    /// Which service.
    pub service: ServiceId,
    /// The register that it answers from, by its code in the system.
    pub resource: Option<String>,
    /// The number of the edition.
    pub edition: u32,
    /// Since when it counts.
    pub published_at: Timestamp,
    /// When its provider last stood by the description.
    pub confirmed_at: Timestamp,
    /// What it is called.
    pub title: Texts,
    /// What it answers.
    pub description: Texts,
    /// The law by which it may.
    pub legal_basis: String,
    /// What a call costs.
    pub tariff: String,
    /// What consumers can rely on.
    pub service_level: ServiceLevel,
    /// The contract's digest.
    pub contract: Sha256,
    /// What kinds of data its fields are.
    pub classes: BTreeSet<Classification>,
}

impl PublicService {
    /// What may be told of it.
    pub fn of(published: &Published) -> Self {
        let ServiceDescription { service, resource, title, description, .. } = &published.edition.description;
        let ServiceDescription { legal_basis, tariff, service_level, classification, .. } =
            &published.edition.description;
        Self {
            service: service.clone(),
            resource: resource.clone(),
            edition: published.number,
            published_at: published.at,
            confirmed_at: published.fresh_at(),
            title: title.clone(),
            description: description.clone(),
            legal_basis: legal_basis.clone(),
            tariff: tariff.clone(),
            service_level: service_level.clone(),
            contract: published.edition.contract,
            classes: classification.values().copied().collect(),
        }
    }
}

/// Everything here is for anybody to ask.
impl Central {
    /// The members that have described an information system, by identifier.
    ///
    /// # Errors
    /// If the database cannot be used.
    pub async fn public_members(&self) -> Result<Vec<PublicMember>, CentralError> {
        let registry = self.snapshot().await?.registry;
        let catalog = registry.catalog();
        let mut services: BTreeMap<&MemberId, usize> =
            catalog.systems.keys().map(|system| (&system.member, 0)).collect();
        for (service, _) in published(&catalog.services) {
            *services.entry(&service.provider.member).or_default() += 1;
        }
        let told = services.into_iter().filter_map(|(member, services)| {
            let name = registry.members.get(member)?.name.clone();
            Some(PublicMember { member: member.clone(), name, services })
        });
        Ok(told.collect())
    }

    /// A member with its information systems and what they have published; `None` if it has described none.
    ///
    /// # Errors
    /// If the database cannot be used.
    pub async fn public_member(
        &self,
        member: &MemberId,
    ) -> Result<Option<(PublicMember, Vec<PublicSystem>)>, CentralError> {
        let registry = self.snapshot().await?.registry;
        let catalog = registry.catalog();
        let systems = catalog.systems.iter().filter(|(system, _)| system.member == *member);
        let mut systems: BTreeMap<&SubsystemId, PublicSystem> =
            systems.map(|(id, system)| (id, PublicSystem::of(id, system))).collect();
        for (service, published) in published(&catalog.services) {
            if let Some(system) = systems.get_mut(&service.provider) {
                system.services.push(PublicService::of(published));
            }
        }
        let Some(known) = registry.members.get(member).filter(|_| !systems.is_empty()) else {
            return Ok(None);
        };
        let services = systems.values().map(|system| system.services.len()).sum();
        let member = PublicMember { member: member.clone(), name: known.name.clone(), services };
        Ok(Some((member, systems.into_values().collect())))
    }

    /// A published service with its contract as people read it.
    ///
    /// # Errors
    /// If the database cannot be used.
    pub async fn public_service(
        &self,
        service: &ServiceId,
    ) -> Result<Option<(PublicService, Outline)>, CentralError> {
        let registry = self.snapshot().await?.registry;
        let Some(published) = find(&registry.catalog().services, service) else { return Ok(None) };
        let outline = self.outline(&published.edition).await?;
        Ok(Some((PublicService::of(published), outline)))
    }

    /// The exact bytes of a published service's contract, and their media type.
    ///
    /// # Errors
    /// If the database cannot be used.
    pub async fn public_contract(
        &self,
        service: &ServiceId,
    ) -> Result<Option<(String, String)>, CentralError> {
        let registry = self.snapshot().await?.registry;
        let Some(published) = find(&registry.catalog().services, service) else { return Ok(None) };
        let media_type = self.outline(&published.edition).await?.media_type;
        Ok(Some((media_type, self.contract(&published.edition).await?)))
    }
}

impl PublicSystem {
    fn of(id: &SubsystemId, system: &InformationSystem) -> Self {
        let InformationSystem { title, description, resources } = system.clone();
        Self { system: id.clone(), title, description, resources, services: Vec::new() }
    }
}

type Services = BTreeMap<ServiceId, std::sync::Arc<CatalogService>>;

fn published(services: &Services) -> impl Iterator<Item = (&ServiceId, &Published)> {
    services.iter().filter_map(|(id, service)| Some((id, service.published.as_ref()?)))
}

fn find<'c>(services: &'c Services, id: &ServiceId) -> Option<&'c Published> {
    services.get(id)?.published.as_ref()
}
