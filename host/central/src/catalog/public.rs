use std::collections::{BTreeMap, BTreeSet};

use jiff::Timestamp;
use serde::Serialize;
use uuk_identifiers::ServiceId;
use uuk_pki::Sha256;

use super::description::{Classification, Published, ServiceDescription, ServiceLevel, Texts};

/// What the public is told of a service. Every field is named here, so that nothing gets out by being added elsewhere:
/// who helps are people, and sample answers may look like some.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct PublicService {
    /// Which service.
    pub service: ServiceId,
    /// The number of the edition.
    pub edition: u32,
    /// Since when it counts.
    pub published_at: Timestamp,
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
    /// The classes of what it gives out, with the fields of each.
    pub fields: BTreeMap<Classification, BTreeSet<String>>,
}

impl PublicService {
    /// What may be told of it.
    pub fn of(published: &Published) -> Self {
        let ServiceDescription { service, title, description, legal_basis, tariff, service_level, .. } =
            &published.edition.description;
        let mut fields: BTreeMap<_, BTreeSet<_>> = BTreeMap::new();
        for (field, class) in &published.edition.description.classification {
            fields.entry(*class).or_default().insert(field.clone());
        }
        Self {
            service: service.clone(),
            edition: published.number,
            published_at: published.at,
            title: title.clone(),
            description: description.clone(),
            legal_basis: legal_basis.clone(),
            tariff: tariff.clone(),
            service_level: service_level.clone(),
            contract: published.edition.contract,
            fields,
        }
    }
}
