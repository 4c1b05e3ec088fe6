//! Who may call what: clients, global groups and local groups, a whole service or some of its endpoints. The agency gives
//! the rights; the instance's catalog may add to them, or stand in their place.

use std::collections::{HashMap, HashSet};
use std::sync::Arc;

use uuk_globalconf::GrantedAccesses;
use uuk_identifiers::{ClientId, GlobalGroupId, ServiceId};
use uuk_process::Clock;

use crate::endpoint::{Endpoint, ServicePath};

/// All rights to all services, found by service, then by client.
#[derive(Debug, Clone, Default)]
pub(crate) struct AccessRights {
    services: HashMap<ServiceId, ServiceRights>,
    granted: Option<Granted>,
}

/// What the catalog grants: it begins and ends by the clock.
#[derive(Debug, Clone)]
struct Granted {
    accesses: Arc<GrantedAccesses>,
    clock: Clock,
}

#[derive(Debug, Clone, Default)]
struct ServiceRights {
    clients: HashMap<ClientId, Vec<Scope>>,
    groups: Vec<(Group, Scope)>,
}

/// Who has a right.
#[derive(Debug, Clone)]
pub(crate) enum Subject {
    Client(ClientId),
    Group(Group),
}

/// A group of clients.
#[derive(Debug, Clone)]
pub(crate) enum Group {
    /// Its members stand in the global configuration in force.
    Global(GlobalGroupId),
    Local(Arc<HashSet<ClientId>>),
}

/// How much of a service a right is for.
#[derive(Debug, Clone)]
pub(crate) enum Scope {
    Service,
    Endpoints(Arc<[Endpoint]>),
}

impl AccessRights {
    pub(crate) fn give(&mut self, subject: Subject, service: ServiceId, scope: Scope) {
        let rights = self.services.entry(service).or_default();
        match subject {
            Subject::Client(client) => rights.clients.entry(client).or_default().push(scope),
            Subject::Group(group) => rights.groups.push((group, scope)),
        }
    }

    /// Lets these accesses count as rights, in place of earlier ones.
    pub(crate) fn grant(&mut self, accesses: Arc<GrantedAccesses>, clock: Clock) {
        self.granted = Some(Granted { accesses, clock });
    }

    /// Forgets what the agency gave.
    pub(crate) fn clear(&mut self) {
        self.services.clear();
    }

    pub(crate) fn find(
        &self,
        client: &ClientId,
        service: &ServiceId,
        is_in_global_group: impl Fn(&GlobalGroupId) -> bool,
    ) -> Rights<'_> {
        let granted = self.granted.as_ref().filter(|granted| granted.cover(client, service));
        let granted = granted.map(|_| &Scope::Service);
        let Some(rights) = self.services.get(service) else { return Rights(granted.into_iter().collect()) };
        let is_in = |group: &Group| match group {
            Group::Global(group) => is_in_global_group(group),
            Group::Local(members) => members.contains(client),
        };
        let own = rights.clients.get(client).into_iter().flatten();
        let by_group = rights.groups.iter().filter(|(group, _)| is_in(group)).map(|(_, scope)| scope);
        Rights(own.chain(by_group).chain(granted).collect())
    }
}

impl Granted {
    fn cover(&self, client: &ClientId, service: &ServiceId) -> bool {
        self.accesses.cover(client, service, self.clock.now())
    }
}

/// All rights of one client to one service, its own and those of its groups.
#[derive(Debug)]
pub struct Rights<'c>(Vec<&'c Scope>);

impl Rights<'_> {
    /// Whether there is none.
    pub fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    /// Whether they are for the whole service, as SOAP needs them.
    pub fn cover_service(&self) -> bool {
        self.0.iter().any(|scope| matches!(scope, Scope::Service))
    }

    /// Whether they are for a call with this method and path, or for all.
    pub fn cover(&self, method: &str, path: &ServicePath) -> bool {
        self.0.iter().any(|scope| match scope {
            Scope::Service => true,
            Scope::Endpoints(endpoints) => endpoints.iter().any(|endpoint| endpoint.covers(method, path)),
        })
    }
}
