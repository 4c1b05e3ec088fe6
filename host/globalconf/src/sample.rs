//! Parameters with one of everything, for tests.

use std::sync::LazyLock;
use std::time::Duration;

use jiff::civil::date;
use uuk_identifiers::{ClientId, MemberId, ServerId, SubsystemId};
use uuk_pki::{Certificate, DigestAlgorithm};
use uuk_testkit::authority::{Authority, KeyKind};

use crate::{
    AcmeServer, ApprovedCa, ApprovedTsa, CaInfo, Cost, GlobalGroup, Maintenance, ManagementService, Member,
    MemberClass, MirrorSource, OcspResponder, PrivateParameters, SecurityServer, SharedParameters, Subsystem,
    VerificationCertificate, Version,
};

pub(crate) const PROFILE: &str =
    "ee.ria.xroad.common.certificateprofile.impl.EjbcaCertificateProfileInfoProvider";

/// The one certificate in all samples.
static CERTIFICATE: LazyLock<Certificate> = LazyLock::new(certificate);

/// A new certificate.
pub(crate) fn certificate() -> Certificate {
    let authority = Authority::new("Authority", date(2026, 11, 22)).unwrap();
    Certificate::from_der(&authority.issue("Server", KeyKind::P256).unwrap().der()).unwrap()
}

pub(crate) fn member(instance: &str) -> MemberId {
    MemberId { instance: instance.into(), class: "GOV".into(), code: "1 & <2>".into() }
}

pub(crate) fn subsystem(instance: &str) -> SubsystemId {
    SubsystemId { member: member(instance), code: "registry".into() }
}

pub(crate) fn server(instance: &str) -> ServerId {
    ServerId { owner: member(instance), code: "ss1".into() }
}

/// What a file of `version` can say, and nothing more.
pub(crate) fn shared(instance: &str, version: Version) -> SharedParameters {
    let der = CERTIFICATE.der().to_vec();
    let since = |first: Version| version >= first;
    let text = |text: &str| text.to_owned();
    let cost = |cost| if since(Version::V6) { cost } else { Cost::Undefined };
    let responder =
        OcspResponder { url: text("http://ocsp"), certificate: Some(der.clone()), cost: cost(Cost::Free) };
    let acme_server = AcmeServer {
        directory_url: text("https://acme"),
        ip_address: Some(text("192.0.2.1")),
        authentication_profile: since(Version::V4).then(|| text("5")),
        signing_profile: since(Version::V4).then(|| text("6")),
    };
    let mirror = MirrorSource {
        address: text("cs1.example"),
        internal_certificates: vec![VerificationCertificate(der.clone())],
        external_certificates: vec![],
    };
    SharedParameters {
        version,
        instance: text(instance),
        sources: if since(Version::V3) { vec![mirror] } else { vec![] },
        approved_cas: vec![ApprovedCa {
            name: text("CA"),
            authentication_only: false,
            top: CaInfo { certificate: der.clone(), ocsp: vec![responder] },
            intermediates: vec![CaInfo { certificate: der.clone(), ocsp: vec![] }],
            certificate_profile: text(PROFILE),
            csr_format: since(Version::V6).then(|| text("PEM")),
            acme_server: since(Version::V3).then_some(acme_server),
        }],
        approved_tsas: vec![ApprovedTsa {
            name: text("TSA"),
            url: text("http://tsa"),
            certificate: der,
            cost: cost(Cost::Paid),
        }],
        members: vec![Member {
            id: member(instance),
            class_description: text("Government"),
            name: text("Ministry"),
            subsystems: vec![Subsystem {
                id: subsystem(instance),
                name: since(Version::V5).then(|| text("Registry")),
            }],
        }],
        security_servers: vec![SecurityServer {
            id: server(instance),
            address: Some(text("ss1.example")),
            certificate_hashes: vec![CERTIFICATE.digest(DigestAlgorithm::Sha256).as_bytes().to_vec()],
            clients: vec![ClientId::Subsystem(subsystem(instance))],
            maintenance: since(Version::V5).then(|| Maintenance { message: Some(text("until noon")) }),
        }],
        global_groups: vec![GlobalGroup {
            code: text("all"),
            description: text("Everyone"),
            members: vec![ClientId::Member(member(instance)), ClientId::Subsystem(subsystem(instance))],
        }],
        member_classes: vec![MemberClass { code: text("GOV"), description: text("Government") }],
        ocsp_freshness: Duration::from_secs(3600),
    }
}

pub(crate) fn private(instance: &str) -> PrivateParameters {
    PrivateParameters {
        instance: instance.to_owned(),
        federated: vec![],
        management_service: ManagementService {
            registration_url: Some("https://cs1.example:4001/managementservice/".to_owned()),
            registration_certificate: Some(CERTIFICATE.der().to_vec()),
            provider: ClientId::Subsystem(subsystem(instance)),
        },
        time_stamping_interval: Duration::from_secs(60),
    }
}
