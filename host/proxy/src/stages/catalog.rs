//! Catalog before service: what is not catalogued does not answer, and what answers does so as catalogued.

use std::sync::Arc;

use uuk_globalconf::{Catalog, CataloguedService};
use uuk_identifiers::ServiceId;
use uuk_plugin_host::{Registry, Route};

use crate::fault::Refusal;

/// The catalog's entry of `service`.
pub(crate) fn find<'a>(catalog: &'a Catalog, service: &ServiceId) -> Result<&'a CataloguedService, Refusal> {
    catalog.service(service).ok_or(Refusal::UnknownService)
}

/// The plugins that answer it, if they answer by the catalogued contract.
pub(crate) fn plugin(registry: &Registry, catalogued: &CataloguedService) -> Result<Arc<Route>, Refusal> {
    let route = registry.route(&catalogued.id).ok_or(Refusal::NoPlugin)?;
    if route.active().contract.sha256() != catalogued.contract.0 {
        return Err(Refusal::ContractDiffers);
    }
    Ok(route)
}
