use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use jiff::{SignedDuration, Timestamp};
use serde::Serialize;
use uuk_globalconf::{ACCESSES_MAX, Catalog, CataloguedService, GrantedAccess, GrantedAccesses};
use uuk_identifiers::{ServiceId, SubsystemId};
use uuk_pki::Sha256;

use super::description::{
    Access, AccessRequest, CatalogService, Decision, Edition, InformationSystem, Published,
};
use super::lint::texts_flaws;
use super::privacy::system_privacy_flaws;
use crate::letters::{Notice, Readers, Telling};
use crate::people::Role;
use crate::registry::{Edit, Refusal, Registry, check_text, compare, put};

const SYSTEM: &str = "information_system";
pub(crate) const SERVICE: &str = "catalog_service";
const ACCESS: &str = "access";
/// As many requests for access of one consumer's member are kept, of all as many as servers take in.
const ACCESSES_OF_MEMBER_MAX: usize = 2_000;
/// A reminder is written in that time.
const REMINDED_TIME: SignedDuration = SignedDuration::from_hours(30 * 24);

/// The catalog as the operator keeps it.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize)]
pub struct CatalogRegister {
    /// Information systems, by the subsystem as which they exchange messages.
    pub systems: BTreeMap<SubsystemId, InformationSystem>,
    /// Services, by name.
    pub services: BTreeMap<ServiceId, Arc<CatalogService>>,
    /// Requests for access, by number.
    pub accesses: BTreeMap<u64, Access>,
}

impl Registry {
    /// The catalog.
    pub fn catalog(&self) -> &CatalogRegister {
        &self.catalog
    }

    /// Describes an information system, or describes it anew.
    ///
    /// # Errors
    /// If its subsystem is not registered, or a text is missing or tells of people.
    pub fn set_information_system(
        &mut self,
        id: &SubsystemId,
        system: InformationSystem,
    ) -> Result<(), Refusal> {
        if !self.subsystems.contains_key(id) {
            return Err(Refusal::unknown("subsystem", id));
        }
        let mut flaws = texts_flaws("title", &system.title);
        flaws.extend(texts_flaws("description", &system.description));
        for (code, resource) in &system.resources {
            flaws.extend(texts_flaws(&format!("resources.{code}.title"), &resource.title));
        }
        flaws.extend(system_privacy_flaws(&system));
        if let Some(flaw) = flaws.first() {
            return Err(Refusal::Text { reason: flaw.to_string() });
        }
        self.catalog.systems.insert(id.clone(), system);
        Ok(())
    }

    /// Refuses to replace an information system of which something else was read; one without a description counts as
    /// blank.
    ///
    /// # Errors
    /// [`Refusal::ChangedMeanwhile`].
    pub fn check_system_read(&self, id: &SubsystemId, read: &Sha256) -> Result<(), Refusal> {
        let now = self.catalog.systems.get(id).cloned().unwrap_or_default();
        match now.digest() == *read {
            true => Ok(()),
            false => Err(Refusal::ChangedMeanwhile { what: "information system", name: id.to_string() }),
        }
    }

    /// Refuses to replace an edition of a service of which something else was read.
    ///
    /// # Errors
    /// [`Refusal::ChangedMeanwhile`].
    pub fn check_service_read(&self, id: &ServiceId, read: &Sha256) -> Result<(), Refusal> {
        let now = self.catalog.services.get(id).and_then(|service| service.current());
        match now.is_some_and(|now| now.digest() == *read) {
            true => Ok(()),
            false => Err(Refusal::ChangedMeanwhile { what: "service", name: id.to_string() }),
        }
    }

    /// Keeps an edition of a service as its draft.
    ///
    /// # Errors
    /// If its information system, or the resource in it, is not described.
    pub fn draft_service(&mut self, edition: Edition) -> Result<(), Refusal> {
        let id = edition.description.service.clone();
        let system = self.catalog.systems.get(&id.provider);
        let system = system.ok_or_else(|| Refusal::unknown("information system", &id.provider))?;
        if let Some(resource) = &edition.description.resource
            && !system.resources.contains_key(resource)
        {
            return Err(Refusal::unknown("resource of the information system", resource));
        }
        let mut service = self.catalog.services.get(&id).map(|known| (**known).clone()).unwrap_or_default();
        service.draft = Some(edition);
        self.catalog.services.insert(id, Arc::new(service));
        Ok(())
    }

    /// Lets an edition count, which was found fit; it must still be the draft.
    pub(super) fn publish_service(&mut self, edition: &Edition, now: Timestamp) -> Result<u32, Refusal> {
        let id = &edition.description.service;
        let known = self.catalog.services.get(id).filter(|known| known.draft.as_ref() == Some(edition));
        let known = known.ok_or_else(|| Refusal::unknown("draft of the service", id))?;
        let number = known.published.as_ref().map_or(0, |published| published.number) + 1;
        let published = Published { number, at: now, confirmed_at: None, edition: edition.clone() };
        let service = CatalogService { draft: None, published: Some(published) };
        self.catalog.services.insert(id.clone(), Arc::new(service));
        Ok(number)
    }

    /// Notes that the provider has looked through the edition of a service that counts, and found all of it still so.
    ///
    /// # Errors
    /// [`Refusal::ChangedMeanwhile`] if another edition counts, or if none does.
    pub fn confirm_service(&mut self, id: &ServiceId, edition: u32, now: Timestamp) -> Result<(), Refusal> {
        let known = self.catalog.services.get(id);
        let mut published = known.and_then(|known| known.published.clone());
        let counts = published.as_mut().ok_or_else(|| Refusal::unknown("published service", id))?;
        if counts.number != edition {
            return Err(Refusal::ChangedMeanwhile { what: "service", name: id.to_string() });
        }
        counts.confirmed_at = Some(now);
        let draft = known.and_then(|known| known.draft.clone());
        self.catalog.services.insert(id.clone(), Arc::new(CatalogService { draft, published }));
        Ok(())
    }

    /// Takes a service out of the catalog: within one refresh it does not exist for anybody.
    ///
    /// # Errors
    /// If it is not in it.
    pub fn withdraw_service(&mut self, id: &ServiceId) -> Result<(), Refusal> {
        let removed = self.catalog.services.remove(id);
        removed.map(drop).ok_or_else(|| Refusal::unknown("service", id))
    }

    /// Takes in a consumer's request for access, and gives its number.
    ///
    /// # Errors
    /// If one of the parties is not there, a text is none, or the time is over.
    pub fn request_access(&mut self, request: AccessRequest, now: Timestamp) -> Result<u64, Refusal> {
        self.check_client(&request.consumer)?;
        let service = self.catalog.services.get(&request.service);
        let published = service.and_then(|service| service.published.as_ref());
        let published = published.ok_or_else(|| Refusal::unknown("published service", &request.service))?;
        check_text("purpose", &request.purpose)?;
        check_text("legal basis", &request.legal_basis)?;
        let known = &published.edition.description.classification;
        if let Some(field) = request.fields.iter().find(|field| !known.contains_key(*field)) {
            return Err(Refusal::unknown("field of the service", field));
        }
        if request.until <= now {
            return Err(Refusal::Over { until: request.until });
        }
        let accesses = &self.catalog.accesses;
        let own = accesses.values().filter(|one| one.request.consumer.member() == request.consumer.member());
        for (count, count_max) in [(own.count(), ACCESSES_OF_MEMBER_MAX), (accesses.len(), ACCESSES_MAX)] {
            if count >= count_max {
                return Err(Refusal::TooManyAccesses { count_max });
            }
        }
        let number = self.catalog.accesses.keys().next_back().map_or(1, |last| last + 1);
        let days = i64::from(published.edition.description.service_level.decision_days);
        let due = now.saturating_add(SignedDuration::from_hours(24 * days)).ok();
        self.catalog.accesses.insert(number, Access { request, asked_at: now, due, decision: None });
        Ok(number)
    }

    /// Notes what the provider says to a request, once; a grant can be taken back.
    ///
    /// # Errors
    /// If there is no such request that waits, the note is no text, or the time that would be granted is over.
    pub fn decide_access(
        &mut self,
        number: u64,
        granted: bool,
        note: &str,
        now: Timestamp,
    ) -> Result<(), Refusal> {
        check_text("note", note)?;
        let access = self.catalog.accesses.get_mut(&number);
        let is_open = |access: &&mut Access| match &access.decision {
            None => true,
            Some(decision) => decision.granted && !granted,
        };
        let access = access.filter(is_open);
        let access = access.ok_or_else(|| Refusal::unknown("request for access that waits", number))?;
        let until = access.request.until;
        if granted && until <= now {
            return Err(Refusal::Over { until });
        }
        access.decision = Some(Decision { granted, note: note.to_owned(), at: now });
        Ok(())
    }
}

impl CatalogRegister {
    /// What servers obey: the services that count, with their contracts.
    pub(crate) fn published(&self) -> Catalog {
        let published = self.services.iter().filter_map(|(id, service)| {
            let published = service.published.as_ref()?;
            let Edition { description, contract } = &published.edition;
            let (title, personal) = (description.title.get("en").cloned(), description.is_personal());
            Some(CataloguedService { id: id.clone(), contract: *contract, title, personal })
        });
        // A map has each name once.
        Catalog::new(published).unwrap_or_default()
    }

    /// What servers obey: who may call what counts. The past is told too, so that all central servers tell the same.
    pub(crate) fn granted(&self) -> GrantedAccesses {
        let granted = self.accesses.values().filter_map(|Access { request, decision, .. }| {
            let decision = decision.as_ref().filter(|decision| decision.granted)?;
            self.services.get(&request.service)?.published.as_ref()?;
            let access =
                GrantedAccess { client: request.consumer.clone(), from: decision.at, until: request.until };
            Some((request.service.clone(), access))
        });
        granted.collect()
    }

    /// What consumers and providers are told of what makes `self` of `before`.
    pub(crate) fn tellings_since(&self, before: &Self, now: Timestamp) -> Vec<Telling> {
        let mut tellings = Vec::new();
        for (number, access) in &self.accesses {
            tellings.extend(access_telling(*number, access, before.accesses.get(number)));
        }
        for (id, was) in before.services.iter() {
            let is = self.services.get(id);
            if is.is_some_and(|is| Arc::ptr_eq(is, was)) {
                continue;
            }
            let published = is.and_then(|is| is.published.as_ref());
            let (what, notice) = match (was.published.as_ref(), published) {
                (Some(was), Some(is)) if was.number != is.number => {
                    let edition = is.number;
                    (format!("edition {edition}"), Notice::Edition { service: id.clone(), edition })
                }
                (Some(_), None) => (format!("withdrawn {now}"), Notice::Withdrawn { service: id.clone() }),
                _ => continue,
            };
            let consumers =
                before.accesses.values().filter(|one| one.request.service == *id && one.counts(now));
            let members: BTreeSet<_> = consumers.map(|one| one.request.consumer.member()).collect();
            tellings.extend(members.into_iter().map(|member| Telling {
                name: format!("service {id} {what} for {member}"),
                notice: notice.clone(),
                readers: Readers::of_calls(member),
            }));
        }
        tellings
    }

    /// What providers are told of services that nobody has looked through for too long, and they and the operator of
    /// requests that wait for too long. What they overlook for a month they see where they work.
    pub(crate) fn reminders(&self, now: Timestamp) -> impl Iterator<Item = Telling> {
        self.unconfirmed(now).chain(self.overdue(now))
    }

    fn overdue(&self, now: Timestamp) -> impl Iterator<Item = Telling> {
        let is_due =
            move |access: &Access| access.is_overdue(now) && access.due.is_some_and(|due| is_told(due, now));
        self.accesses.iter().filter(move |(_, access)| is_due(access)).flat_map(|(number, access)| {
            let AccessRequest { consumer, service, .. } = &access.request;
            let (service, consumer) = (service.clone(), consumer.clone());
            let notice = Notice::AccessOverdue { access: *number, service, consumer };
            let provider = Readers::of_catalog(&access.request.service.provider.member);
            let operator = Readers::Operator(&[Role::Operator, Role::Auditor]);
            [(provider, "provider"), (operator, "operator")].map(|(readers, whom)| Telling {
                name: format!("access {number} overdue for the {whom}"),
                notice: notice.clone(),
                readers,
            })
        })
    }

    fn unconfirmed(&self, now: Timestamp) -> impl Iterator<Item = Telling> {
        let published =
            self.services.iter().filter_map(|(id, service)| Some((id, service.published.as_ref()?)));
        published.filter(move |(_, published)| is_told(published.stale_at(), now)).map(|(id, published)| {
            Telling {
                name: format!("service {id} unconfirmed since {}", published.fresh_at()),
                notice: Notice::Unconfirmed { service: id.clone(), since: published.fresh_at() },
                readers: Readers::of_catalog(&id.provider.member),
            }
        })
    }

    /// Takes in a stored row, if it is of here.
    pub(crate) fn put(&mut self, kind: &str, id: &str, content: &str) -> Option<()> {
        match kind {
            SYSTEM => put(&mut self.systems, id, content),
            SERVICE => put(&mut self.services, id, content),
            ACCESS => put(&mut self.accesses, id, content),
            _ => None,
        }
    }

    /// Adds what makes `self` of `before`.
    pub(crate) fn compare(&self, before: &Self, edits: &mut Vec<Edit>) -> serde_json::Result<()> {
        compare(SYSTEM, &before.systems, &self.systems, edits)?;
        compare(SERVICE, &before.services, &self.services, edits)?;
        compare(ACCESS, &before.accesses, &self.accesses, edits)
    }
}

/// Whether what was due at `due` is worth a letter at `now`.
fn is_told(due: Timestamp, now: Timestamp) -> bool {
    due <= now && now < due.saturating_add(REMINDED_TIME).unwrap_or(Timestamp::MAX)
}

/// The provider learns of a new request, the consumer of what was decided.
fn access_telling(number: u64, access: &Access, before: Option<&Access>) -> Option<Telling> {
    let (service, consumer) = (access.request.service.clone(), access.request.consumer.clone());
    match (before, &access.decision) {
        (None, None) => Some(Telling {
            name: format!("access {number} asked"),
            readers: Readers::of_catalog(&service.provider.member),
            notice: Notice::AccessAsked { access: number, service, consumer },
        }),
        (Some(before), Some(decision)) if before.decision != access.decision => Some(Telling {
            name: format!("access {number} decided {}", decision.at),
            readers: Readers::of_calls(consumer.member()),
            notice: Notice::AccessDecided { access: number, service, granted: decision.granted },
        }),
        _ => None,
    }
}
