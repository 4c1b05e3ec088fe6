//! The global configuration at one moment: everything the message path asks of it.

#[cfg(test)]
mod tests;

use std::collections::BTreeMap;

use jiff::Timestamp;
use uuk_identifiers::{ClientId, GlobalGroupId};
use uuk_pki::{
    Authorities, Certificate, CertificateError, CertificateProfiles, CertificationAuthority, ProfileError,
};

use crate::instance::{Dated, Instance};
use crate::shared_params::{ApprovedCa, ApprovedTsa, CaInfo, SecurityServer, SharedParameters};
use crate::{Extensions, PrivateParameters};

/// The configurations of the main instance and of those it is federated with, as they were downloaded last.
///
/// A federated instance that has expired does not exist. The main one goes on answering, so that a server can say who
/// calls it; but no message may pass unless [`check`](Self::check) says that it counts.
#[derive(Debug)]
pub struct GlobalConfiguration {
    main: String,
    instances: BTreeMap<String, Instance>,
    extensions: Extensions,
    left_out: Vec<LeftOut>,
}

/// The parameters of one instance.
#[derive(Debug, Clone)]
pub struct InstanceParameters {
    /// What every server knows about it.
    pub shared: Dated<SharedParameters>,
    /// What only its own servers know.
    pub private: Option<Dated<PrivateParameters>>,
}

/// Why there is no configuration, or none that counts.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error, strum::IntoStaticStr)]
#[strum(serialize_all = "snake_case", prefix = "global_configuration.")]
#[non_exhaustive]
pub enum GlobalConfigurationError {
    /// Nothing is known about the main instance.
    #[error("there are no shared parameters of the instance `{instance}`")]
    MissingMainInstance {
        /// The main instance.
        instance: String,
    },
    /// Two files are about the same instance.
    #[error("there are two files of parameters of the instance `{instance}`")]
    InstanceTwice {
        /// The instance.
        instance: String,
    },
    /// Shared and private parameters are about different instances.
    #[error("the private parameters of the instance `{instance}` are about `{other}`")]
    WrongInstance {
        /// The instance of the shared parameters.
        instance: String,
        /// That of the private ones.
        other: String,
    },
    /// The main instance has no private parameters.
    #[error("there are no private parameters of the instance `{instance}`")]
    MissingPrivateParameters {
        /// The main instance.
        instance: String,
    },
    /// The main instance's parameters no longer count.
    #[error("the global configuration expired at {expires}")]
    Outdated {
        /// Their last instant.
        expires: Timestamp,
    },
}

impl GlobalConfigurationError {
    /// The stable code: `global_configuration.outdated`.
    pub fn code(&self) -> &'static str {
        self.into()
    }

    /// What X-Road 7.8 calls it.
    pub fn xroad_code(&self) -> &'static str {
        match self {
            Self::Outdated { .. } => "global_conf_outdated",
            Self::WrongInstance { .. } => "global_conf_part_invalid_instance_identifier",
            _ => "malformed_global_conf",
        }
    }
}

/// An authority of the parameters that is not trusted, because something about it cannot be read. The others are: one
/// wrong certificate must not stop a country's exchange.
#[derive(Debug, thiserror::Error)]
#[error("`{name}` of the instance `{instance}` is not trusted")]
pub struct LeftOut {
    /// The instance.
    pub instance: String,
    /// The authority's name in the parameters.
    pub name: String,
    /// What is wrong with it.
    #[source]
    pub reason: LeftOutReason,
}

/// Why an authority is not trusted.
#[derive(Debug, thiserror::Error, strum::IntoStaticStr)]
#[strum(serialize_all = "snake_case", prefix = "global_configuration.unusable_")]
#[non_exhaustive]
pub enum LeftOutReason {
    /// Its certificate, or that of its OCSP responder, is not one.
    #[error("a certificate of it cannot be read")]
    Certificate(#[from] CertificateError),
    /// No profile says which members its certificates name.
    #[error("its certificate profile is not known")]
    Profile(#[from] ProfileError),
}

impl LeftOut {
    /// The stable code: `global_configuration.unusable_certificate`.
    pub fn code(&self) -> &'static str {
        (&self.reason).into()
    }
}

impl GlobalConfiguration {
    /// Puts together what was downloaded. `extensions` are the main instance's; `profiles` are those that approved
    /// authorities may name.
    ///
    /// # Errors
    /// [`GlobalConfigurationError`] if the files do not fit together. Whether they count is not asked.
    pub fn new(
        main: &str,
        parameters: Vec<InstanceParameters>,
        extensions: Extensions,
        profiles: &CertificateProfiles,
    ) -> Result<Self, GlobalConfigurationError> {
        let missing = || GlobalConfigurationError::MissingMainInstance { instance: main.to_owned() };
        let is_main = |one: &&InstanceParameters| one.shared.content.instance == main;
        let main_shared = &parameters.iter().find(is_main).ok_or_else(missing)?.shared.content;
        let (main_tsas, ocsp_freshness) = (main_shared.approved_tsas.clone(), main_shared.ocsp_freshness);
        let mut left_out = Vec::new();
        let mut instances = BTreeMap::new();
        for InstanceParameters { shared, private } in parameters {
            let instance = shared.content.instance.clone();
            if let Some(private) = private.as_ref().filter(|private| private.content.instance != instance) {
                let other = private.content.instance.clone();
                return Err(GlobalConfigurationError::WrongInstance { instance, other });
            }
            let mut reader = AuthorityReader { instance: &instance, profiles, left_out: &mut left_out };
            // A message is stamped where it was sent from or where it is kept: the time-stamping services of third
            // instances do not count here, unlike with X-Road.
            let main_tsas = main_tsas.iter().filter(|_| instance != main);
            let authorities = Authorities {
                certification: reader.certification(&shared.content),
                time_stamping: reader.time_stamping(shared.content.approved_tsas.iter().chain(main_tsas)),
                ocsp_freshness,
                verify_next_update: extensions.verify_next_update,
            };
            let indexed = Instance::new(shared, private, authorities);
            if instances.insert(instance.clone(), indexed).is_some() {
                return Err(GlobalConfigurationError::InstanceTwice { instance });
            }
        }
        Ok(Self { main: main.to_owned(), instances, extensions, left_out })
    }

    /// Whether messages may pass at `now`: both files of the main instance count.
    ///
    /// # Errors
    /// [`GlobalConfigurationError::Outdated`] or [`GlobalConfigurationError::MissingPrivateParameters`].
    pub fn check(&self, now: Timestamp) -> Result<(), GlobalConfigurationError> {
        let instance = || self.main.clone();
        let missing = || GlobalConfigurationError::MissingMainInstance { instance: instance() };
        let main = self.instances.get(&self.main).ok_or_else(missing)?;
        let missing = || GlobalConfigurationError::MissingPrivateParameters { instance: instance() };
        let private = main.private.as_ref().ok_or_else(missing)?;
        match private.expired(now).or(main.shared.expired(now)) {
            Some(expires) => Err(GlobalConfigurationError::Outdated { expires }),
            None => Ok(()),
        }
    }

    /// The instance that this server belongs to.
    pub fn main(&self) -> &str {
        &self.main
    }

    /// What the optional parts of the main instance say.
    pub fn extensions(&self) -> &Extensions {
        &self.extensions
    }

    /// The authorities that are not trusted although they are approved, for whoever runs the server.
    pub fn left_out(&self) -> &[LeftOut] {
        &self.left_out
    }

    /// An instance: the main one, or a federated one that counts at `now`.
    pub fn instance(&self, name: &str, now: Timestamp) -> Option<&Instance> {
        self.instances.get(name).filter(|instance| self.counts(instance, now))
    }

    /// The main instance and all others that count at `now`, by name.
    pub fn instances(&self, now: Timestamp) -> impl Iterator<Item = &Instance> {
        self.instances.values().filter(move |instance| self.counts(instance, now))
    }

    fn counts(&self, instance: &Instance, now: Timestamp) -> bool {
        instance.shared().instance == self.main || instance.shared.expired(now).is_none()
    }

    /// Whether this member or subsystem exists.
    pub fn is_registered(&self, client: &ClientId, now: Timestamp) -> bool {
        self.instance(&client.member().instance, now).is_some_and(|instance| instance.is_registered(client))
    }

    /// Whether `client`, exactly, is in a global group.
    pub fn is_in_global_group(&self, client: &ClientId, group: &GlobalGroupId, now: Timestamp) -> bool {
        let instance = self.instance(&group.instance, now);
        instance.is_some_and(|instance| instance.is_in_global_group(client, &group.code))
    }

    /// The security servers through which `client`, exactly, exchanges messages.
    pub fn servers_of<'s>(
        &'s self,
        client: &ClientId,
        now: Timestamp,
    ) -> impl Iterator<Item = &'s SecurityServer> + use<'s> {
        let instance = self.instance(&client.member().instance, now);
        let client = client.clone();
        instance.into_iter().flat_map(move |instance| instance.servers_of(&client))
    }

    /// The security server, of whichever instance, that registered this authentication certificate.
    pub fn server_of_certificate(
        &self,
        certificate: &Certificate,
        now: Timestamp,
    ) -> Option<&SecurityServer> {
        self.instances(now).find_map(|instance| instance.server_of_certificate(certificate))
    }

    /// Whether this authentication certificate is that of a server through which `client`, exactly, exchanges messages.
    pub fn certificate_serves(&self, certificate: &Certificate, client: &ClientId, now: Timestamp) -> bool {
        let instance = self.instance(&client.member().instance, now);
        instance.is_some_and(|instance| instance.certificate_serves(certificate, client))
    }
}

/// Reads the authorities of an instance, leaving out those that cannot be.
struct AuthorityReader<'a> {
    instance: &'a str,
    profiles: &'a CertificateProfiles,
    left_out: &'a mut Vec<LeftOut>,
}

impl AuthorityReader<'_> {
    fn certification(&mut self, shared: &SharedParameters) -> Vec<CertificationAuthority> {
        let mut authorities = Vec::new();
        for approved in &shared.approved_cas {
            for info in std::iter::once(&approved.top).chain(&approved.intermediates) {
                authorities.extend(self.authority(approved, info));
            }
        }
        authorities
    }

    fn authority(&mut self, approved: &ApprovedCa, info: &CaInfo) -> Option<CertificationAuthority> {
        let profile = self.profiles.find(&approved.certificate_profile).cloned();
        let profile = self.keep(&approved.name, profile.map_err(LeftOutReason::from))?;
        let certificate = self.certificate(&approved.name, &info.certificate)?;
        let responders = info.ocsp.iter().filter_map(|responder| responder.certificate.as_ref());
        let ocsp_responders = responders.filter_map(|der| self.certificate(&approved.name, der)).collect();
        let authentication_only = approved.authentication_only;
        Some(CertificationAuthority { certificate, ocsp_responders, profile, authentication_only })
    }

    fn time_stamping<'t>(&mut self, approved: impl Iterator<Item = &'t ApprovedTsa>) -> Vec<Certificate> {
        approved.filter_map(|tsa| self.certificate(&tsa.name, &tsa.certificate)).collect()
    }

    fn certificate(&mut self, name: &str, der: &[u8]) -> Option<Certificate> {
        self.keep(name, Certificate::from_der(der).map_err(LeftOutReason::from))
    }

    fn keep<T>(&mut self, name: &str, read: Result<T, LeftOutReason>) -> Option<T> {
        let (instance, name) = (self.instance.to_owned(), name.to_owned());
        read.map_err(|reason| self.left_out.push(LeftOut { instance, name, reason })).ok()
    }
}
