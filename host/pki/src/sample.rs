//! A small world of authorities that several tests share.

use std::time::Duration;

use jiff::Timestamp;
use jiff::civil::date;
use uuk_testkit::authority::{Authority, KeyKind, SigningIdentity};

use crate::{
    Authorities, Certificate, CertificateId, CertificateProfiles, CertificateStatus, CertificationAuthority,
    OcspAnswer, OcspResponse, SoftwareKey,
};

const PROFILE: &str = "ee.ria.xroad.common.certificateprofile.impl.EjbcaCertificateProfileInfoProvider";

pub(crate) fn now() -> Timestamp {
    "2026-11-22T08:00:00Z".parse().unwrap()
}

pub(crate) fn authority(name: &str) -> Authority {
    Authority::new(name, date(2026, 11, 22)).unwrap()
}

pub(crate) fn certificate(der: &[u8]) -> Certificate {
    Certificate::from_der(der).unwrap()
}

pub(crate) fn signer(authority: &Authority) -> Certificate {
    certificate(&authority.issue("Signer", KeyKind::P256).unwrap().der())
}

pub(crate) fn approved(authority: &Authority) -> CertificationAuthority {
    CertificationAuthority {
        certificate: certificate(&authority.der()),
        ocsp_responders: Vec::new(),
        profile: CertificateProfiles::default().find(PROFILE).unwrap().clone(),
        authentication_only: false,
    }
}

pub(crate) fn authorities(certification: Vec<CertificationAuthority>) -> Authorities {
    Authorities {
        certification,
        time_stamping: Vec::new(),
        ocsp_freshness: Duration::from_secs(3600),
        verify_next_update: true,
    }
}

/// A certificate with its key.
pub(crate) struct Identity {
    pub(crate) certificate: Certificate,
    pub(crate) key: SoftwareKey,
}

impl From<SigningIdentity> for Identity {
    fn from(identity: SigningIdentity) -> Self {
        let key = SoftwareKey::from_pkcs8(&identity.key_der()).unwrap();
        Self { certificate: certificate(&identity.der()), key }
    }
}

/// That `subject` is good, by the word of its issuer itself, a minute ago.
pub(crate) fn good(subject: &Certificate, issuer: &Authority) -> OcspAnswer {
    let minute_ago = now() - Duration::from_secs(60);
    OcspAnswer {
        certificate: CertificateId::new(subject, &certificate(&issuer.der())).unwrap(),
        status: CertificateStatus::Good,
        this_update: minute_ago,
        next_update: None,
    }
}

pub(crate) fn signed(answer: &OcspAnswer, responder: &Identity) -> OcspResponse {
    let der = answer.sign(&responder.certificate, &responder.key).unwrap();
    OcspResponse::from_der(&der).unwrap()
}

pub(crate) fn itself(authority: &Authority) -> Identity {
    authority.identity().unwrap().into()
}
