//! The catalog: which information systems there are, what their services answer, who may use them, and what the law says
//! about each field.
//!
//! A service is described as a draft. It is published once [`lint()`] finds nothing missing and, of a later edition, nothing
//! that consumers rely on is lost, unless the provider wants that. What is published counts at every server that takes
//! its catalog from the instance, and can be searched by anyone; [`PublicService`] is all that the public is told.

mod compatibility;
mod description;
mod fields;
mod lint;
mod outline;
mod privacy;
mod public;
mod register;
mod search;
mod survey;
#[cfg(test)]
mod tests;

use serde::{Deserialize, Serialize};
use serde_json::Value;
use uuk_contract::Contract;
use uuk_identifiers::ServiceId;
use uuk_pki::Sha256;

pub use compatibility::Breakage;
pub use description::{
    Access, AccessRequest, CatalogService, Classification, Contact, Decision, Edition, InformationSystem,
    LANGUAGES, Published, Resource, ServiceDescription, ServiceLevel, Texts,
};
pub use fields::Field;
pub use lint::{Flaw, lint};
pub use outline::{Outline, OutlinedField, OutlinedOperation};
pub use public::{PublicMember, PublicService, PublicSystem};
pub use register::CatalogRegister;
pub(crate) use register::SERVICE;
pub(crate) use search::words_of_service;
pub use survey::{Drift, DriftKind, Survey, SurveyConfig, Surveyor};

use self::compatibility::breakages;
use crate::audit::Actor;
use crate::central::{Central, CentralError, Recorded};
use crate::registry::Refusal;

/// Larger contracts are refused.
const CONTRACT_BYTES_MAX: usize = 2 << 20;
/// More services are not found at once.
const FOUND_MAX: u32 = 50;

/// Why a service is not described or published.
#[derive(Debug, thiserror::Error, strum::IntoStaticStr)]
#[strum(serialize_all = "snake_case", prefix = "catalog_publishing.")]
#[non_exhaustive]
pub enum PublishingError {
    /// The registry or its database refuses.
    #[error(transparent)]
    Central(#[from] CentralError),
    /// The contract is larger than any, or no text.
    #[error("a contract is a text of at most {CONTRACT_BYTES_MAX} bytes")]
    NoContract,
    /// The description is not fit.
    #[error("the description of `{service}` is not fit to be published")]
    Unfit {
        /// Of which service.
        service: Box<ServiceId>,
        /// Everything that is wrong with it.
        flaws: Vec<Flaw>,
    },
    /// Consumers would no longer be understood, or no longer understand.
    #[error("the new edition of `{service}` breaks its consumers")]
    Breaks {
        /// Of which service.
        service: Box<ServiceId>,
        /// What they rely on and would lose.
        breakages: Vec<Breakage>,
    },
}

impl PublishingError {
    /// The stable code: of the cause, if there is one.
    pub fn code(&self) -> &'static str {
        match self {
            Self::Central(error) => error.code(),
            other => other.into(),
        }
    }
}

/// A contract as it was uploaded.
#[derive(Serialize, Deserialize)]
struct ContractText(String);

impl Recorded for ContractText {
    const KIND: &'static str = "contract";

    fn told(&self) -> Value {
        Value::Null
    }
}

impl Central {
    /// Keeps a description and its contract as the draft of a service, whatever it was before.
    ///
    /// # Errors
    /// [`PublishingError::NoContract`], or if the provider or what it names is not described.
    pub async fn draft_service(
        &self,
        actor: &Actor,
        description: ServiceDescription,
        contract: &[u8],
    ) -> Result<(), PublishingError> {
        self.redraft_service(actor, description, contract, None).await
    }

    /// The same, unless the service is no longer what was read of it, by [`Edition::digest`].
    ///
    /// # Errors
    /// As [`Central::draft_service`], or [`Refusal::ChangedMeanwhile`].
    pub async fn redraft_service(
        &self,
        actor: &Actor,
        description: ServiceDescription,
        contract: &[u8],
        read: Option<Sha256>,
    ) -> Result<(), PublishingError> {
        let text = std::str::from_utf8(contract).ok().filter(|text| text.len() <= CONTRACT_BYTES_MAX);
        let text = ContractText(text.ok_or(PublishingError::NoContract)?.to_owned());
        let edition = Edition { description, contract: Sha256::of(contract) };
        // By its digest it can only be itself, whoever else writes it.
        self.keep(&edition.contract.to_string(), Some(&text)).await?;
        let draft = self.change(actor, "draft-service", |registry| {
            read.iter()
                .try_for_each(|read| registry.check_service_read(&edition.description.service, read))?;
            registry.draft_service(edition.clone())
        });
        Ok(draft.await?)
    }

    /// What keeps the draft of a service from being published, and what its consumers would lose by it.
    ///
    /// # Errors
    /// If there is no draft, or the database cannot be used.
    pub async fn review_draft(
        &self,
        service: &ServiceId,
    ) -> Result<(Edition, Vec<Flaw>, Vec<Breakage>), PublishingError> {
        let snapshot = self.snapshot().await?;
        let known = snapshot.registry.catalog().services.get(service);
        let none = || CentralError::from(Refusal::unknown("draft of the service", service));
        let draft = known.and_then(|known| known.draft.clone()).ok_or_else(none)?;
        let (mut flaws, contract) = lint(&draft.description, self.contract(&draft).await?.as_bytes());
        let mut found = Vec::new();
        if let (Some(published), Some(contract)) =
            (known.and_then(|known| known.published.as_ref()), contract)
        {
            let last = Contract::read(self.contract(&published.edition).await?.as_bytes());
            match last.map(|last| breakages(&last, &contract)) {
                Ok(Ok(breakages)) => found = breakages,
                Ok(Err(_)) => flaws.push(Flaw::TooManyFields),
                // What no release reads any more has no consumers left.
                Err(_) => {}
            }
        }
        Ok((draft, flaws, found))
    }

    /// Lets the draft of a service count, and gives the number of the edition. With `may_break`, its consumers may lose
    /// what they rely on.
    ///
    /// # Errors
    /// [`PublishingError::Unfit`], [`PublishingError::Breaks`], or if there is no draft.
    pub async fn publish_service(
        &self,
        actor: &Actor,
        service: &ServiceId,
        may_break: bool,
    ) -> Result<u32, PublishingError> {
        let (draft, flaws, breakages) = self.review_draft(service).await?;
        let service = Box::new(service.clone());
        if !flaws.is_empty() {
            return Err(PublishingError::Unfit { service, flaws });
        }
        if !may_break && !breakages.is_empty() {
            return Err(PublishingError::Breaks { service, breakages });
        }
        let now = self.clock().now();
        let publish = self.change(actor, "publish-service", |registry| registry.publish_service(&draft, now));
        Ok(publish.await?)
    }

    /// The published services that have, for each word of `text`, a word that begins with it; none for no words.
    ///
    /// # Errors
    /// If the database cannot be used.
    pub async fn search_catalog(&self, text: &str) -> Result<Vec<PublicService>, CentralError> {
        let words = search::words_of_question(text);
        if words.is_empty() {
            return Ok(Vec::new());
        }
        let found = self.store().search_catalog(&words, FOUND_MAX).await?;
        let snapshot = self.snapshot().await?;
        let services = &snapshot.registry.catalog().services;
        let found = found.iter().filter_map(|id| services.get(&id.parse::<ServiceId>().ok()?));
        Ok(found.filter_map(|service| service.published.as_ref().map(PublicService::of)).collect())
    }

    /// The exact bytes of an edition's contract.
    ///
    /// # Errors
    /// If the database cannot be used.
    pub async fn contract(&self, edition: &Edition) -> Result<String, CentralError> {
        let text: Option<ContractText> = self.record(&edition.contract.to_string()).await?;
        Ok(text.map(|text| text.0).unwrap_or_default())
    }
}
