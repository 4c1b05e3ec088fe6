//! Catalog before service: what is not catalogued does not answer, and what answers does so as catalogued.

use std::sync::Arc;

use uuk_contract::Contract;
use uuk_globalconf::{Catalog, CataloguedService};
use uuk_identifiers::ServiceId;
use uuk_plugin_host::{Arm, Registry};

use crate::fault::Refusal;

/// The catalog's entry of `service`.
pub(crate) fn find<'a>(catalog: &'a Catalog, service: &ServiceId) -> Result<&'a CataloguedService, Refusal> {
    catalog.service(service).ok_or(Refusal::UnknownService)
}

/// The contract of a service whose plugin stands here and answers as catalogued.
pub(crate) fn contract(registry: &Registry, catalogued: &CataloguedService) -> Option<Arc<Contract>> {
    let route = registry.route(&catalogued.id)?;
    let contract = &route.active().contract;
    (contract.sha256() == catalogued.contract.0).then(|| Arc::clone(contract))
}

/// The plugin version that answers this call, by the catalogued contract.
pub(crate) fn arm(registry: &Registry, catalogued: &CataloguedService) -> Result<Arm, Refusal> {
    let route = registry.route(&catalogued.id).ok_or(Refusal::NoPlugin)?;
    let arm = route.pick().map_err(|retry_after| Refusal::Suspended { retry_after })?;
    if arm.contract.sha256() == catalogued.contract.0 {
        Ok(arm.clone())
    } else {
        Err(Refusal::ContractDiffers)
    }
}
