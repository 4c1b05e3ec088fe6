//! Catalog before service: what is not catalogued does not answer, and what answers does so as catalogued.

use std::sync::Arc;

use uuk_globalconf::{Catalog, CataloguedService};
use uuk_identifiers::ServiceId;
use uuk_plugin_host::{Arm, Registry, Route};

use crate::fault::Refusal;

/// The catalog's entry of `service`.
pub(crate) fn find<'a>(catalog: &'a Catalog, service: &ServiceId) -> Result<&'a CataloguedService, Refusal> {
    catalog.service(service).ok_or(Refusal::UnknownService)
}

/// The plugin versions that stand for it.
pub(crate) fn route(registry: &Registry, catalogued: &CataloguedService) -> Result<Arc<Route>, Refusal> {
    registry.route(&catalogued.id).ok_or(Refusal::NoPlugin)
}

/// Whether the version chosen for this call answers by the catalogued contract.
pub(crate) fn answers_as_catalogued(arm: &Arm, catalogued: &CataloguedService) -> Result<(), Refusal> {
    if arm.contract.sha256() == catalogued.contract.0 { Ok(()) } else { Err(Refusal::ContractDiffers) }
}
