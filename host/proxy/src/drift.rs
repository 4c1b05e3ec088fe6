use uuk_globalconf::Catalog;
use uuk_identifiers::ServiceId;
use uuk_plugin_host::RoutingTable;

/// Where the catalog and the running plugins disagree.
#[derive(Debug, Clone, Default, PartialEq, Eq, serde::Serialize)]
pub struct Drift {
    /// Services with a plugin that the catalog does not list: they do not answer.
    pub not_catalogued: Vec<ServiceId>,
    /// Services in the catalog that no plugin answers.
    pub not_answered: Vec<ServiceId>,
    /// Services whose plugin has another contract than the catalog: they do not answer.
    pub contract_differs: Vec<ServiceId>,
}

/// Compares the catalog with the routes, in the order of names.
pub fn drift(catalog: &Catalog, routes: &RoutingTable) -> Drift {
    let mut drift = Drift::default();
    for (service, route) in routes.services() {
        match catalog.service(service) {
            None => drift.not_catalogued.push(service.clone()),
            Some(entry) if entry.contract.0 != route.active().contract.sha256() => {
                drift.contract_differs.push(service.clone());
            }
            Some(_) => {}
        }
    }
    let answered = |service: &ServiceId| routes.services().any(|(routed, _)| routed == service);
    drift.not_answered =
        catalog.services().map(|entry| &entry.id).filter(|service| !answered(service)).cloned().collect();
    for list in [&mut drift.not_catalogued, &mut drift.not_answered, &mut drift.contract_differs] {
        list.sort();
    }
    drift
}
