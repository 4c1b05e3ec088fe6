//! What people of a member do with its part of the catalog, and with access to services.

use jiff::Timestamp;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use uuk_central::{
    Access, AccessRequest, Breakage, Contact, Edition, Flaw, InformationSystem, Outline, Person, Published,
    ServiceDescription, ServiceLevel, Survey, Texts,
};
use uuk_identifiers::{ClientId, MemberId, ServiceId, SubsystemId};
use uuk_pki::Sha256;

use crate::authorize::Action;
use crate::desk::Desk;
use crate::problem::Problem;

/// A draft to keep.
#[derive(Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub(crate) struct Draft {
    pub(crate) description: ServiceDescription,
    /// OpenAPI or WSDL.
    pub(crate) contract: String,
    /// The `sha256` that the service had when it was read; if it has another one now, the draft is refused. Without this,
    /// it replaces whatever there is.
    #[serde(default)]
    #[schemars(with = "Option<String>")]
    pub(crate) replaces: Option<Sha256>,
}

/// How an information system is described.
#[derive(Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub(crate) struct SystemDraft {
    pub(crate) description: InformationSystem,
    /// The `sha256` that the system had when it was read, likewise.
    #[serde(default)]
    #[schemars(with = "Option<String>")]
    pub(crate) replaces: Option<Sha256>,
}

/// What is published.
#[derive(Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub(crate) struct Publishing {
    /// Whether consumers may lose what they rely on.
    #[serde(default)]
    pub(crate) may_break: bool,
}

/// What somebody has looked through, and found still so.
#[derive(Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub(crate) struct Confirming {
    /// The number of the edition.
    pub(crate) edition: u32,
}

/// What a provider says to a request for access.
#[derive(Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub(crate) struct Deciding {
    pub(crate) granted: bool,
    /// Why not, or on what conditions.
    pub(crate) note: String,
}

/// A subsystem with what the catalog has of it.
#[derive(Debug, Serialize)]
pub(crate) struct OwnSystem {
    pub(crate) system: SubsystemId,
    /// Nothing until it is described.
    pub(crate) description: Option<InformationSystem>,
    /// By which a change says what it replaces.
    pub(crate) sha256: Sha256,
    pub(crate) services: Vec<OwnService>,
    /// What its security server was last found to offer, if it was asked.
    pub(crate) survey: Option<Survey>,
}

/// A service as its member sees it in a list.
#[derive(Debug, Serialize)]
pub(crate) struct OwnService {
    pub(crate) service: ServiceId,
    pub(crate) title: Texts,
    pub(crate) has_draft: bool,
    /// The number of the edition that counts.
    pub(crate) edition: Option<u32>,
    /// When its provider last stood by that.
    pub(crate) confirmed_at: Option<Timestamp>,
    /// Whether that was too long ago.
    pub(crate) is_stale: bool,
}

/// A service as its member sees it.
#[derive(Debug, Serialize)]
pub(crate) struct ServiceView {
    /// Of the draft, or of the edition that counts.
    pub(crate) description: ServiceDescription,
    pub(crate) contract: String,
    /// Of both: by which a change says what it replaces.
    pub(crate) sha256: Sha256,
    #[serde(flatten)]
    pub(crate) outline: Outline,
    pub(crate) has_draft: bool,
    /// The number of the edition that counts.
    pub(crate) edition: Option<u32>,
    /// When its provider last stood by that.
    pub(crate) confirmed_at: Option<Timestamp>,
    /// Whether that was too long ago.
    pub(crate) is_stale: bool,
    /// What keeps the draft from being published.
    #[serde(serialize_with = "as_texts")]
    pub(crate) flaws: Vec<Flaw>,
    /// What consumers would lose by it.
    pub(crate) breakages: Vec<Breakage>,
}

/// A request for access, and what the person is to it.
#[derive(Debug, Serialize)]
pub(crate) struct AccessView {
    pub(crate) number: u64,
    #[serde(flatten)]
    pub(crate) access: Access,
    /// Whether the consumer may call now.
    pub(crate) counts: bool,
    /// Whether it is for the person's member to decide.
    pub(crate) is_provider: bool,
    /// Whether the provider should have decided by now.
    pub(crate) is_overdue: bool,
    /// Who helps, as long as the consumer may call.
    pub(crate) support: Vec<Contact>,
}

impl Desk {
    /// The subsystems of the person's member, or of all, with what the catalog has of them.
    pub(crate) async fn own_systems(&self, person: &Person) -> Result<Vec<OwnSystem>, Problem> {
        self.check(person, Action::SeeCatalog, "catalog").await?;
        let registry = self.central.snapshot().await?.registry;
        let (catalog, now) = (registry.catalog(), self.central.clock().now());
        let surveys = self.central.surveys().await?;
        let is_own = |member: &MemberId| person.member.as_ref().is_none_or(|own| own == member);
        let systems = registry.subsystems().keys().filter(|system| is_own(&system.member));
        Ok(systems
            .map(|system| {
                let services = catalog.services.iter().filter(|(id, _)| id.provider == *system);
                let services = services.map(|(id, service)| OwnService {
                    service: id.clone(),
                    title: service
                        .current()
                        .map(|edition| edition.description.title.clone())
                        .unwrap_or_default(),
                    has_draft: service.draft.is_some(),
                    edition: service.published.as_ref().map(|published| published.number),
                    confirmed_at: service.published.as_ref().map(Published::fresh_at),
                    is_stale: service.published.as_ref().is_some_and(|it| it.stale_at() <= now),
                });
                let description = catalog.systems.get(system).cloned();
                let sha256 = description.clone().unwrap_or_default().digest();
                OwnSystem {
                    survey: surveys.iter().find(|survey| survey.system == *system).cloned(),
                    system: system.clone(),
                    description,
                    sha256,
                    services: services.collect(),
                }
            })
            .collect())
    }

    pub(crate) async fn describe_system(
        &self,
        person: &Person,
        system: &SubsystemId,
        SystemDraft { description, replaces }: SystemDraft,
    ) -> Result<(), Problem> {
        let actor = self.check_for(person, Action::EditCatalog, &system.member, system).await?;
        let describe = |registry: &mut uuk_central::Registry| {
            replaces.iter().try_for_each(|read| registry.check_system_read(system, read))?;
            registry.set_information_system(system, description.clone())
        };
        Ok(self.central.change(&actor, "set-information-system", describe).await?)
    }

    pub(crate) async fn own_service(&self, person: &Person, id: &ServiceId) -> Result<ServiceView, Problem> {
        self.check_for(person, Action::SeeCatalog, &id.provider.member, id).await?;
        let registry = self.central.snapshot().await?.registry;
        let service = registry.catalog().services.get(id).ok_or(Problem::NoSuchPage)?;
        let edition = service.current().ok_or(Problem::NoSuchPage)?;
        let (flaws, breakages) = match &service.draft {
            Some(_) => {
                let (_, flaws, breakages) = self.central.review_draft(id).await?;
                (flaws, breakages)
            }
            None => (Vec::new(), Vec::new()),
        };
        Ok(ServiceView {
            description: edition.description.clone(),
            contract: self.central.contract(edition).await?,
            sha256: edition.digest(),
            outline: self.central.outline(edition).await?,
            has_draft: service.draft.is_some(),
            edition: service.published.as_ref().map(|published| published.number),
            confirmed_at: service.published.as_ref().map(Published::fresh_at),
            is_stale: service
                .published
                .as_ref()
                .is_some_and(|it| it.stale_at() <= self.central.clock().now()),
            flaws,
            breakages,
        })
    }

    /// Begins a service of which nothing is said yet; one that is there stays as it is.
    pub(crate) async fn begin_service(&self, person: &Person, id: &ServiceId) -> Result<(), Problem> {
        let actor = self.check_for(person, Action::EditCatalog, &id.provider.member, id).await?;
        let edition = Edition { description: blank(id.clone()), contract: Sha256::of(b"") };
        let begin = |registry: &mut uuk_central::Registry| match registry.catalog().services.contains_key(id)
        {
            true => Ok(()),
            false => registry.draft_service(edition.clone()),
        };
        Ok(self.central.change(&actor, "draft-service", begin).await?)
    }

    pub(crate) async fn draft(&self, person: &Person, draft: Draft) -> Result<(), Problem> {
        let id = &draft.description.service;
        let actor = self.check_for(person, Action::EditCatalog, &id.provider.member, id).await?;
        let Draft { description, contract, replaces } = draft;
        Ok(self.central.redraft_service(&actor, description, contract.as_bytes(), replaces).await?)
    }

    /// Lets the draft count, and gives the number of the edition.
    pub(crate) async fn publish(
        &self,
        person: &Person,
        id: &ServiceId,
        publishing: &Publishing,
    ) -> Result<u32, Problem> {
        let actor = self.check_for(person, Action::EditCatalog, &id.provider.member, id).await?;
        Ok(self.central.publish_service(&actor, id, publishing.may_break).await?)
    }

    /// Says that all of the edition that counts is still so.
    pub(crate) async fn confirm(
        &self,
        person: &Person,
        id: &ServiceId,
        &Confirming { edition }: &Confirming,
    ) -> Result<(), Problem> {
        let actor = self.check_for(person, Action::EditCatalog, &id.provider.member, id).await?;
        let now = self.central.clock().now();
        let confirm = |registry: &mut uuk_central::Registry| registry.confirm_service(id, edition, now);
        Ok(self.central.change(&actor, "confirm-service", confirm).await?)
    }

    pub(crate) async fn withdraw(&self, person: &Person, id: &ServiceId) -> Result<(), Problem> {
        let actor = self.check_for(person, Action::EditCatalog, &id.provider.member, id).await?;
        let withdraw = |registry: &mut uuk_central::Registry| registry.withdraw_service(id);
        Ok(self.central.change(&actor, "withdraw-service", withdraw).await?)
    }

    /// The requests in which the person's member is consumer or provider, the last first.
    pub(crate) async fn accesses(&self, person: &Person) -> Result<Vec<AccessView>, Problem> {
        self.check(person, Action::SeeCatalog, "requests for access").await?;
        let registry = self.central.snapshot().await?.registry;
        let now = self.central.clock().now();
        let views = registry.catalog().accesses.iter().rev().filter_map(|(number, access)| {
            let parties = [access.request.consumer.member(), &access.request.service.provider.member];
            let own = person.member.as_ref();
            let is_seen = own.is_none_or(|own| parties.contains(&own));
            let counts = access.counts(now);
            let service = registry.catalog().services.get(&access.request.service).filter(|_| counts);
            let published = service.and_then(|service| service.published.as_ref());
            is_seen.then(|| AccessView {
                number: *number,
                is_overdue: access.is_overdue(now),
                counts,
                support: published.map(|it| it.edition.description.support.clone()).unwrap_or_default(),
                is_provider: own == Some(&access.request.service.provider.member),
                access: access.clone(),
            })
        });
        // Those that wait for too long first, then the newest.
        let mut views: Vec<_> = views.collect();
        views.sort_by_key(|view| !view.is_overdue);
        Ok(views)
    }

    /// Asks a provider for access in the name of the person's member, and gives the number of the request.
    pub(crate) async fn ask_access(&self, person: &Person, request: &AccessRequest) -> Result<u64, Problem> {
        let consumer: &ClientId = &request.consumer;
        let actor = self.check_for(person, Action::AskAccess, consumer.member(), consumer).await?;
        let now = self.central.clock().now();
        let ask = |registry: &mut uuk_central::Registry| registry.request_access(request.clone(), now);
        Ok(self.central.change(&actor, "request-access", ask).await?)
    }

    pub(crate) async fn decide_access(
        &self,
        person: &Person,
        number: u64,
        deciding: &Deciding,
    ) -> Result<(), Problem> {
        let object = format!("request for access {number}");
        let known = self.central.snapshot().await?.registry.catalog().accesses.get(&number).cloned();
        let Some(access) = known else {
            self.check(person, Action::DecideAccess, &object).await?;
            return Err(Problem::NoSuchPage);
        };
        let provider = &access.request.service.provider.member;
        let actor = self.check_for(person, Action::DecideAccess, provider, &object).await?;
        let (act, now) =
            (if deciding.granted { "grant-access" } else { "refuse-access" }, self.central.clock().now());
        let decide = |registry: &mut uuk_central::Registry| {
            registry.decide_access(number, deciding.granted, &deciding.note, now)
        };
        Ok(self.central.change(&actor, act, decide).await?)
    }

    /// Whether a person may do this for `member`.
    async fn check_for(
        &self,
        person: &Person,
        action: Action,
        member: &MemberId,
        object: &impl ToString,
    ) -> Result<uuk_central::Actor, Problem> {
        let object = object.to_string();
        let actor = self.check(person, action, &object).await?;
        match &person.member {
            Some(own) if own != member => Err(self.denied(person, action, &object).await?),
            _ => Ok(actor),
        }
    }
}

/// A description to begin with.
fn blank(service: ServiceId) -> ServiceDescription {
    ServiceDescription {
        service,
        resource: None,
        title: Texts::new(),
        description: Texts::new(),
        legal_basis: String::new(),
        tariff: String::new(),
        service_level: ServiceLevel::default(),
        support: Vec::new(),
        classification: Default::default(),
        samples: Default::default(),
    }
}

pub(crate) fn as_texts<S: serde::Serializer>(flaws: &[Flaw], serializer: S) -> Result<S::Ok, S::Error> {
    #[derive(Serialize)]
    struct Told {
        code: &'static str,
        text: String,
    }
    serializer.collect_seq(flaws.iter().map(|flaw| Told { code: flaw.code(), text: flaw.to_string() }))
}
