use std::time::Duration;

use uuk_pki::{Authorities, CertificateProfiles, CertificationAuthority, Der};

use super::{CertificationService, Refusal, Registry, TimeStampingService, check_text, check_url};

impl Registry {
    /// Approves a certification service, or what it has become.
    ///
    /// # Errors
    /// If its name is no text, a certificate or URL is none, or nobody knows its profile.
    pub fn set_certification_service(
        &mut self,
        name: &str,
        service: CertificationService,
    ) -> Result<(), Refusal> {
        check_text("name", name)?;
        if service.authorities.is_empty() {
            return Err(Refusal::NoAuthority);
        }
        for authority in &service.authorities {
            authority.certificate.certificate()?;
            for responder in &authority.responders {
                check_url(&responder.url)?;
                responder.certificate.as_ref().map(Der::certificate).transpose()?;
            }
        }
        CertificateProfiles::default().find(&service.certificate_profile)?;
        self.certification.insert(name.to_owned(), service);
        Ok(())
    }

    /// No longer approves a certification service: none of its certificates counts any more.
    ///
    /// # Errors
    /// If it is not there.
    pub fn remove_certification_service(&mut self, name: &str) -> Result<(), Refusal> {
        let removed = self.certification.remove(name);
        removed.map(drop).ok_or_else(|| Refusal::unknown("certification service", name))
    }

    /// Approves a time-stamping service, or what it has become.
    ///
    /// # Errors
    /// If its name is no text, or certificate or URL is none.
    pub fn set_time_stamping_service(
        &mut self,
        name: &str,
        service: TimeStampingService,
    ) -> Result<(), Refusal> {
        check_text("name", name)?;
        check_url(&service.url)?;
        service.certificate.certificate()?;
        self.time_stamping.insert(name.to_owned(), service);
        Ok(())
    }

    /// No longer approves a time-stamping service.
    ///
    /// # Errors
    /// If it is not there.
    pub fn remove_time_stamping_service(&mut self, name: &str) -> Result<(), Refusal> {
        let removed = self.time_stamping.remove(name);
        removed.map(drop).ok_or_else(|| Refusal::unknown("time-stamping service", name))
    }

    /// Whom the instance trusts, as its security servers will see it.
    pub(crate) fn authorities(&self) -> Authorities {
        let profiles = CertificateProfiles::default();
        let certificate = |der: &Der| der.certificate().ok();
        let certification = self.certification.values().flat_map(|service| {
            let profile = profiles.find(&service.certificate_profile).ok();
            service.authorities.iter().filter_map(move |authority| {
                let responders = authority.responders.iter();
                Some(CertificationAuthority {
                    certificate: certificate(&authority.certificate)?,
                    ocsp_responders: responders
                        .filter_map(|one| certificate(one.certificate.as_ref()?))
                        .collect(),
                    profile: profile?.clone(),
                    authentication_only: service.authentication_only,
                })
            })
        });
        let time_stamping = self.time_stamping.values();
        Authorities {
            certification: certification.collect(),
            time_stamping: time_stamping.filter_map(|service| certificate(&service.certificate)).collect(),
            ocsp_freshness: Duration::from_secs(self.settings.ocsp_freshness_seconds.into()),
            verify_next_update: true,
        }
    }
}
