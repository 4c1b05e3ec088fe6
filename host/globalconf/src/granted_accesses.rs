use std::collections::BTreeMap;

use jiff::Timestamp;
use serde::{Deserialize, Serialize};
use uuk_identifiers::{ClientId, ServiceId};

/// As many accesses an instance grants at most: with names of 30 characters, half of what a downloaded file may have.
pub const ACCESSES_MAX: usize = 100_000;

/// Who may call what and when, as providers granted it in the catalog.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct GrantedAccesses {
    /// Sorted, and each access once.
    services: BTreeMap<ServiceId, Vec<GrantedAccess>>,
}

/// One client's access to the whole of a service. Both instants belong to it.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
pub struct GrantedAccess {
    /// Who may call.
    pub client: ClientId,
    /// The first instant at which it may.
    pub from: Timestamp,
    /// The last.
    pub until: Timestamp,
}

/// Why a list of accesses is refused.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum GrantedAccessesError {
    /// More than a server keeps.
    #[error("more than {ACCESSES_MAX} accesses are granted")]
    TooMany,
    /// A service stands in it twice.
    #[error("accesses to service `{service}` are listed twice")]
    DuplicateService {
        /// The service.
        service: Box<ServiceId>,
    },
    /// The same access stands in it twice.
    #[error("an access of `{client}` to service `{service}` is listed twice")]
    Duplicate {
        /// The service.
        service: Box<ServiceId>,
        /// The client.
        client: Box<ClientId>,
    },
    /// It ends before it begins.
    #[error("an access of `{client}` to service `{service}` ends before it begins")]
    Period {
        /// The service.
        service: Box<ServiceId>,
        /// The client.
        client: Box<ClientId>,
    },
}

/// The accesses to one service, as the file lists them.
#[derive(Serialize, Deserialize)]
pub(crate) struct ListedAccesses {
    service: ServiceId,
    clients: Vec<GrantedAccess>,
}

impl GrantedAccesses {
    /// Whether `client` may call `service` at `now`.
    pub fn cover(&self, client: &ClientId, service: &ServiceId, now: Timestamp) -> bool {
        let Some(accesses) = self.services.get(service) else { return false };
        let first = accesses.partition_point(|access| access.client < *client);
        let mut own = accesses.iter().skip(first).take_while(|access| access.client == *client);
        own.any(|access| (access.from..=access.until).contains(&now))
    }

    /// How many there are.
    pub fn count(&self) -> usize {
        self.services.values().map(Vec::len).sum()
    }

    pub(crate) fn read(listed: Vec<ListedAccesses>) -> Result<Self, GrantedAccessesError> {
        if listed.iter().map(|one| one.clients.len()).sum::<usize>() > ACCESSES_MAX {
            return Err(GrantedAccessesError::TooMany);
        }
        let mut services = BTreeMap::new();
        for ListedAccesses { service, mut clients } in listed {
            let client = |access: &GrantedAccess| Box::new(access.client.clone());
            if let Some(access) = clients.iter().find(|access| access.until < access.from) {
                return Err(GrantedAccessesError::Period { client: client(access), service: service.into() });
            }
            clients.sort_unstable();
            if let Some([access, _]) = clients.array_windows().find(|[one, next]| one == next) {
                return Err(GrantedAccessesError::Duplicate {
                    client: client(access),
                    service: service.into(),
                });
            }
            if services.insert(service.clone(), clients).is_some() {
                return Err(GrantedAccessesError::DuplicateService { service: service.into() });
            }
        }
        Ok(Self { services })
    }

    pub(crate) fn list(&self) -> Vec<ListedAccesses> {
        let services = self.services.iter();
        let listed = services
            .map(|(service, clients)| ListedAccesses { service: service.clone(), clients: clients.clone() });
        listed.collect()
    }
}

/// What is granted twice counts once; what ends before it begins is left out.
impl FromIterator<(ServiceId, GrantedAccess)> for GrantedAccesses {
    fn from_iter<T: IntoIterator<Item = (ServiceId, GrantedAccess)>>(granted: T) -> Self {
        let mut services: BTreeMap<_, Vec<_>> = BTreeMap::new();
        for (service, access) in granted.into_iter().filter(|(_, access)| access.from <= access.until) {
            services.entry(service).or_default().push(access);
        }
        for accesses in services.values_mut() {
            accesses.sort_unstable();
            accesses.dedup();
        }
        Self { services }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const SERVICE: &str = "KG/GOV/70000001/registry/person";

    fn access(client: &str, from: &str, until: &str) -> GrantedAccess {
        GrantedAccess {
            client: client.parse().unwrap(),
            from: from.parse().unwrap(),
            until: until.parse().unwrap(),
        }
    }

    fn portal(from: &str, until: &str) -> GrantedAccess {
        access("KG/GOV/70000002/portal", from, until)
    }

    fn listed(clients: Vec<GrantedAccess>) -> ListedAccesses {
        ListedAccesses { service: SERVICE.parse().unwrap(), clients }
    }

    fn refused(clients: Vec<GrantedAccess>) -> GrantedAccessesError {
        GrantedAccesses::read(vec![listed(clients)]).unwrap_err()
    }

    #[test]
    fn an_access_counts_in_its_periods_and_for_its_client_only() {
        let granted = GrantedAccesses::read(vec![listed(vec![
            portal("2026-06-01T00:00:00Z", "2026-07-01T00:00:00Z"),
            access("KG/GOV/70000001/other", "2026-01-01T00:00:00Z", "2027-01-01T00:00:00Z"),
            portal("2026-01-01T00:00:00Z", "2026-02-01T00:00:00Z"),
        ])])
        .unwrap();
        let may_call = |client: &str, service: &str, now: &str| {
            granted.cover(&client.parse().unwrap(), &service.parse().unwrap(), now.parse().unwrap())
        };
        for (now, expected) in [
            ("2025-12-31T23:59:59Z", false),
            ("2026-01-01T00:00:00Z", true),
            ("2026-02-01T00:00:00Z", true),
            ("2026-02-01T00:00:00.001Z", false),
            ("2026-06-15T00:00:00Z", true),
            ("2026-07-02T00:00:00Z", false),
        ] {
            assert_eq!(may_call("KG/GOV/70000002/portal", SERVICE, now), expected, "{now}");
        }
        assert!(!may_call("KG/GOV/70000003/portal", SERVICE, "2026-06-15T00:00:00Z"));
        let other = "KG/GOV/70000001/registry/vehicle";
        assert!(!may_call("KG/GOV/70000002/portal", other, "2026-06-15T00:00:00Z"));
    }

    #[test]
    fn what_is_collected_can_be_read_whatever_was_granted() {
        let year = portal("2026-01-01T00:00:00Z", "2027-01-01T00:00:00Z");
        let over = portal("2026-01-01T00:00:00Z", "2025-01-01T00:00:00Z");
        let granted = [year.clone(), over, year].map(|access| (SERVICE.parse().unwrap(), access));
        let granted: GrantedAccesses = granted.into_iter().collect();
        assert_eq!(granted.count(), 1);
        assert_eq!(GrantedAccesses::read(granted.list()).unwrap(), granted);
    }

    #[test]
    fn refuses_an_access_that_ends_before_it_begins() {
        let error = refused(vec![portal("2026-01-02T00:00:00Z", "2026-01-01T00:00:00Z")]);
        assert!(matches!(error, GrantedAccessesError::Period { .. }));
    }

    #[test]
    fn refuses_an_access_listed_twice() {
        let year = portal("2026-01-01T00:00:00Z", "2027-01-01T00:00:00Z");
        let error = refused(vec![year.clone(), year]);
        assert!(matches!(error, GrantedAccessesError::Duplicate { .. }));
    }

    #[test]
    fn refuses_a_service_listed_twice() {
        let twice = vec![listed(Vec::new()), listed(Vec::new())];
        let error = GrantedAccesses::read(twice).unwrap_err();
        assert!(matches!(error, GrantedAccessesError::DuplicateService { .. }));
    }

    #[test]
    fn as_many_as_there_may_be_leave_half_of_a_file_for_the_rest() {
        let count = 1_000;
        let granted = (0..count).map(|number| {
            let client = format!("KG/GOV/7{number:07}/information");
            let access = access(&client, "2026-01-01T00:00:00.123456789Z", "2027-01-01T00:00:00Z");
            (format!("KG/GOV/70000001/registry/{}", number / 10).parse().unwrap(), access)
        });
        let granted: GrantedAccesses = granted.collect();
        let file = serde_json::to_vec(&granted.list()).unwrap();
        assert!(file.len() / count * ACCESSES_MAX < 16 << 20, "{count} take {} bytes", file.len());
        assert_eq!(GrantedAccesses::read(serde_json::from_slice(&file).unwrap()).unwrap(), granted);
    }

    #[test]
    fn refuses_more_accesses_than_a_server_keeps() {
        let year = portal("2026-01-01T00:00:00Z", "2027-01-01T00:00:00Z");
        let error = refused(vec![year; ACCESSES_MAX + 1]);
        assert!(matches!(error, GrantedAccessesError::TooMany));
    }
}
