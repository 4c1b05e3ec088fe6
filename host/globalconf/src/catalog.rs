use std::collections::HashMap;

use serde::Deserialize;
use uuk_identifiers::ServiceId;
use uuk_pki::Sha256;

use crate::{Malformed, from_toml};

/// The services that may answer, each with its contract. A service that is not here does not exist.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Catalog {
    services: HashMap<ServiceId, CataloguedService>,
}

/// One `[[service]]`.
#[derive(Debug, Clone, PartialEq, Eq, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct CataloguedService {
    /// `instance/class/member/subsystem/service`.
    pub id: ServiceId,
    /// Digest of the contract's exact bytes.
    pub contract: Sha256,
    /// For people.
    #[serde(default)]
    pub title: Option<String>,
    /// Whether it gives out data about people: then each call says what for.
    #[serde(default)]
    pub personal: bool,
}

/// Why a catalog is refused; the catalog in force stays.
#[derive(Debug, thiserror::Error, strum::IntoStaticStr)]
#[strum(serialize_all = "snake_case", prefix = "catalog.")]
#[non_exhaustive]
pub enum CatalogError {
    /// Not TOML of the right shape.
    #[error("catalog is not readable")]
    Malformed(#[source] Malformed),
    /// A service stands in it twice.
    #[error("service `{service}` is listed twice")]
    Duplicate {
        /// The service.
        service: Box<ServiceId>,
    },
}

impl CatalogError {
    /// The stable code: `catalog.duplicate`.
    pub fn code(&self) -> &'static str {
        self.into()
    }
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct File {
    #[serde(default)]
    service: Vec<CataloguedService>,
}

impl Catalog {
    /// Reads a catalog.
    ///
    /// # Errors
    /// [`CatalogError`] names the line or the service.
    pub fn parse(text: &str) -> Result<Self, CatalogError> {
        let file: File = from_toml(text).map_err(CatalogError::Malformed)?;
        Self::new(file.service)
    }

    /// A catalog of these services.
    ///
    /// # Errors
    /// [`CatalogError::Duplicate`].
    pub fn new(listed: impl IntoIterator<Item = CataloguedService>) -> Result<Self, CatalogError> {
        let mut services = HashMap::new();
        for service in listed {
            if let Some(twice) = services.insert(service.id.clone(), service) {
                return Err(CatalogError::Duplicate { service: Box::new(twice.id) });
            }
        }
        Ok(Self { services })
    }

    /// The entry of `service`.
    pub fn service(&self, service: &ServiceId) -> Option<&CataloguedService> {
        self.services.get(service)
    }

    /// The same services, none of which asks what a call is for.
    #[must_use]
    pub fn without_purposes(mut self) -> Self {
        self.services.values_mut().for_each(|service| service.personal = false);
        self
    }

    /// All entries, in no particular order.
    pub fn services(&self) -> impl Iterator<Item = &CataloguedService> {
        self.services.values()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const ENTRY: &str = "[[service]]\nid = 'KG/GOV/70000001/registry/person'\ncontract = 'sha256:\
        0000000000000000000000000000000000000000000000000000000000000000'\n";

    #[test]
    fn finds_a_service_by_its_identifier() {
        let catalog = Catalog::parse(ENTRY).unwrap();
        assert!(catalog.service(&"KG/GOV/70000001/registry/person".parse().unwrap()).is_some());
        assert!(catalog.service(&"KG/GOV/70000001/registry/Person".parse().unwrap()).is_none());
    }

    #[test]
    fn refuses_a_service_listed_twice() {
        let error = Catalog::parse(&ENTRY.repeat(2)).unwrap_err();
        assert_eq!(error.code(), "catalog.duplicate");
    }

    #[test]
    fn refuses_an_unknown_key_and_a_bad_digest() {
        for text in ["[[service]]\nname = 'x'", "[[service]]\nid = 'a/b/c/d/e'\ncontract = 'sha256:12'"] {
            assert_eq!(Catalog::parse(text).unwrap_err().code(), "catalog.malformed");
        }
    }
}
