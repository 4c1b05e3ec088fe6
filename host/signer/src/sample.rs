//! A small instance for tests: an authority with one below it, two members, this server.

use std::path::Path;
use std::sync::{Arc, Mutex};
use std::time::Duration;

use jiff::Timestamp;
use rcgen::{
    BasicConstraints, CertificateParams, CertifiedIssuer, CustomExtension, DnType, IsCa, KeyPair,
    KeyUsagePurpose, PublicKeyData, SignatureAlgorithm, date_time_ymd,
};
use tokio::sync::watch;
use uuk_asic::{MessagePart, PartContent, SignatureDocuments, verify_message};
use uuk_globalconf::{
    ApprovedCa, CaInfo, Cost, Dated, Extensions, GlobalConfiguration, InstanceParameters, Member,
    OcspResponder, SecurityServer, SharedParameters, Version,
};
use uuk_identifiers::{MemberId, ServerId};
use uuk_pki::{
    Certificate, CertificateId, CertificateProfiles, CertificateStatus, CertificateUse, Digest,
    DigestAlgorithm, OcspAnswer, OcspResponse, PublicKey, Sha256, SoftwareKey,
};
use uuk_process::Clock;

use crate::config::{SignerConfig, TokenConfig};
use crate::order::{Order, Outcome};
use crate::pin::Pin;
use crate::signer::{Signer, SignerDependencies};
use crate::token::{KeyAlgorithm, KeyId};

pub(crate) const FRESHNESS: Duration = Duration::from_secs(3600);
const PROFILE: &str = "ee.ria.xroad.common.certificateprofile.impl.EjbcaCertificateProfileInfoProvider";

pub(crate) fn now() -> Timestamp {
    "2026-11-22T08:00:00Z".parse().unwrap()
}

pub(crate) fn member(code: &str) -> MemberId {
    MemberId { instance: "KG".into(), class: "GOV".into(), code: code.into() }
}

pub(crate) fn server() -> ServerId {
    ServerId { owner: member("1"), code: "ss1".into() }
}

pub(crate) fn pin(text: &str) -> Pin {
    Pin::try_from(text.to_owned()).unwrap()
}

pub(crate) fn digests(parts: &[&str]) -> Vec<Digest> {
    parts.iter().map(|part| DigestAlgorithm::Sha512.digest(part.as_bytes())).collect()
}

/// What the instance's operator and its authority do.
pub(crate) struct World {
    pub(crate) clock: Clock,
    root: CertifiedIssuer<'static, KeyPair>,
    below: CertifiedIssuer<'static, KeyPair>,
    configuration: watch::Sender<Option<Arc<GlobalConfiguration>>>,
    registered: Mutex<Vec<Certificate>>,
    /// The responders that the instance names for both authorities.
    pub(crate) responders: Mutex<Vec<String>>,
    /// The responder that certificates name.
    pub(crate) access: Mutex<Option<String>>,
}

impl World {
    pub(crate) fn new() -> Self {
        let root = CertifiedIssuer::self_signed(authority("Root"), KeyPair::generate().unwrap()).unwrap();
        let below =
            CertifiedIssuer::signed_by(authority("Below"), KeyPair::generate().unwrap(), &root).unwrap();
        let world = Self {
            clock: Clock::set_to(now()),
            root,
            below,
            configuration: watch::Sender::new(None),
            registered: Mutex::default(),
            responders: Mutex::default(),
            access: Mutex::default(),
        };
        world.publish();
        world
    }

    pub(crate) fn dependencies(&self) -> SignerDependencies {
        let (clock, configuration) = (self.clock.clone(), self.configuration.subscribe());
        SignerDependencies { server: server(), clock, configuration }
    }

    /// A signer with one software token, which nobody has opened.
    pub(crate) fn signer(&self, folder: &Path) -> Signer {
        self.signer_with(folder, TokenConfig::default())
    }

    pub(crate) fn signer_with(&self, folder: &Path, token: TokenConfig) -> Signer {
        Signer::build(self.config_with(folder, token), self.dependencies()).unwrap()
    }

    pub(crate) fn config_with(&self, folder: &Path, token: TokenConfig) -> SignerConfig {
        let tokens = [("software".to_owned(), token)].into();
        SignerConfig { folder: folder.to_owned(), tokens, ..SignerConfig::default() }
    }

    /// A key with a certificate in use for `member`, good by OCSP.
    pub(crate) async fn enrol(
        &self,
        signer: &Signer,
        token: &str,
        member: &MemberId,
        algorithm: KeyAlgorithm,
    ) -> Sha256 {
        let key = generate(signer, token, CertificateUse::Signing, algorithm).await;
        let certificate = self.issue_to(signer, &key, CertificateUse::Signing, member);
        self.take_into_use(signer, &certificate).await
    }

    /// Imports and activates a certificate, good by OCSP.
    pub(crate) async fn take_into_use(&self, signer: &Signer, certificate: &Certificate) -> Sha256 {
        self.say_good(signer, certificate);
        let sha256 = Sha256::of(certificate.der());
        signer.order(Order::Import { certificate: certificate.der().to_vec() }).await.unwrap();
        signer.order(Order::Activate { certificate: sha256 }).await.unwrap();
        sha256
    }

    /// The certificate that the lower authority gives for a key of `signer`.
    pub(crate) fn issue_to(
        &self,
        signer: &Signer,
        key: &KeyId,
        usage: CertificateUse,
        member: &MemberId,
    ) -> Certificate {
        let public = signer.shared.key(key).unwrap().1.public();
        self.issue(&public, usage, member)
    }

    pub(crate) fn issue(&self, public: &PublicKey, usage: CertificateUse, member: &MemberId) -> Certificate {
        let mut params = named(&match usage {
            CertificateUse::Signing => vec![
                (DnType::CountryName, member.instance.as_str()),
                (DnType::OrganizationName, &member.class),
                (DnType::CommonName, &member.code),
            ],
            CertificateUse::Authentication => vec![(DnType::CountryName, "KG"), (DnType::CommonName, "ss1")],
        });
        params.is_ca = IsCa::ExplicitNoCa;
        params.key_usages = vec![match usage {
            CertificateUse::Signing => KeyUsagePurpose::ContentCommitment,
            CertificateUse::Authentication => KeyUsagePurpose::DigitalSignature,
        }];
        params.custom_extensions = self.access.lock().unwrap().iter().map(|url| ocsp_access(url)).collect();
        let issued = params.signed_by(&Bits(public.clone()), &self.below).unwrap();
        Certificate::from_der(issued.der()).unwrap()
    }

    /// Gives the signer fresh answers about a certificate and the authority that issued it.
    pub(crate) fn say_good(&self, signer: &Signer, certificate: &Certificate) {
        self.say(signer, certificate, CertificateStatus::Good);
        let below = Certificate::from_der(self.below.der()).unwrap();
        signer
            .shared
            .answers
            .keep(&below, answer(&below, &self.root, CertificateStatus::Good, self.clock.now()));
    }

    pub(crate) fn say(&self, signer: &Signer, certificate: &Certificate, status: CertificateStatus) {
        signer.shared.answers.keep(certificate, self.answer(certificate, status));
    }

    /// What the lower authority says of a certificate.
    pub(crate) fn answer(&self, certificate: &Certificate, status: CertificateStatus) -> OcspResponse {
        answer(certificate, &self.below, status, self.clock.now())
    }

    /// Registers an authentication certificate for this server.
    pub(crate) fn register(&self, certificate: &Certificate) {
        self.registered.lock().unwrap().push(certificate.clone());
        self.publish();
    }

    pub(crate) fn unregister_all(&self) {
        self.registered.lock().unwrap().clear();
        self.publish();
    }

    pub(crate) fn withdraw_configuration(&self) {
        self.configuration.send_replace(None);
    }

    /// Checks a signature as a peer does, and tells whose certificate made it.
    pub(crate) fn verify(&self, signer: &MemberId, documents: &SignatureDocuments, parts: &[&str]) -> Sha256 {
        let digests = digests(parts);
        let parts: Vec<_> = (0..)
            .zip(&digests)
            .map(|(number, digest)| match number {
                0 => MessagePart::message(PartContent::Digest(digest)),
                number => MessagePart::attachment(number, PartContent::Digest(digest)),
            })
            .collect();
        let (configuration, now) = (self.configuration(), self.clock.now());
        let authorities = configuration.instance("KG", now).unwrap().authorities();
        let verified = verify_message(documents, &parts, signer, authorities, now).unwrap();
        Sha256::of(verified.certificate().der())
    }

    pub(crate) fn configuration(&self) -> Arc<GlobalConfiguration> {
        self.configuration.borrow().clone().unwrap()
    }

    pub(crate) fn publish(&self) {
        let registered = self.registered.lock().unwrap();
        let hash = |one: &Certificate| one.digest(DigestAlgorithm::Sha256).as_bytes().to_vec();
        let responder =
            |url: &String| OcspResponder { url: url.clone(), certificate: None, cost: Cost::Undefined };
        let responders = self.responders.lock().unwrap();
        let info = |der: &[u8]| CaInfo {
            certificate: der.to_vec(),
            ocsp: responders.iter().map(responder).collect(),
        };
        let known = |code: &str| Member {
            id: member(code),
            class_description: "Government".into(),
            name: format!("Member {code}"),
            subsystems: Vec::new(),
        };
        let shared = SharedParameters {
            version: Version::V6,
            instance: "KG".into(),
            sources: Vec::new(),
            approved_cas: vec![ApprovedCa {
                name: "Authority".into(),
                authentication_only: false,
                top: info(self.root.der()),
                intermediates: vec![info(self.below.der())],
                certificate_profile: PROFILE.into(),
                csr_format: None,
                acme_server: None,
            }],
            approved_tsas: Vec::new(),
            members: vec![known("1"), known("2")],
            security_servers: vec![SecurityServer {
                id: server(),
                address: None,
                certificate_hashes: registered.iter().map(hash).collect(),
                clients: Vec::new(),
                maintenance: None,
            }],
            global_groups: Vec::new(),
            member_classes: Vec::new(),
            ocsp_freshness: FRESHNESS,
        };
        let parameters =
            InstanceParameters { shared: Dated { content: shared, expires: None }, private: None };
        let profiles = CertificateProfiles::default();
        let new = GlobalConfiguration::new("KG", vec![parameters], Extensions::default(), &profiles).unwrap();
        self.configuration.send_replace(Some(Arc::new(new)));
    }
}

pub(crate) async fn generate(
    signer: &Signer,
    token: &str,
    usage: CertificateUse,
    algorithm: KeyAlgorithm,
) -> KeyId {
    let order = Order::Generate { token: token.to_owned(), label: "A key".into(), usage, algorithm };
    match signer.order(order).await.unwrap() {
        Outcome::Generated { key } => key,
        other => panic!("{other:?}"),
    }
}

pub(crate) async fn login(signer: &Signer) {
    signer.order(Order::Login { token: "software".into(), pin: pin("1234") }).await.unwrap();
}

fn answer(
    certificate: &Certificate,
    issuer: &CertifiedIssuer<'static, KeyPair>,
    status: CertificateStatus,
    this_update: Timestamp,
) -> OcspResponse {
    let responder = Certificate::from_der(issuer.der()).unwrap();
    let key = SoftwareKey::from_pkcs8(&issuer.key().serialize_der()).unwrap();
    let id = CertificateId::new(certificate, &responder).unwrap();
    let answer = OcspAnswer { certificate: id, status, this_update, next_update: None };
    OcspResponse::from_der(&answer.sign(&responder, &key).unwrap()).unwrap()
}

fn authority(name: &str) -> CertificateParams {
    let mut params = named(&[(DnType::CommonName, name)]);
    params.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
    params.key_usages = vec![KeyUsagePurpose::KeyCertSign];
    params
}

fn named(subject: &[(DnType, &str)]) -> CertificateParams {
    let mut params = CertificateParams::default();
    for (kind, value) in subject {
        params.distinguished_name.push(kind.clone(), *value);
    }
    params.not_before = date_time_ymd(2026, 11, 1);
    params.not_after = date_time_ymd(2027, 11, 1);
    params
}

/// RFC 5280 §4.2.2.1: SEQUENCE { SEQUENCE { OBJECT IDENTIFIER id-ad-ocsp, [6] url } }.
fn ocsp_access(url: &str) -> CustomExtension {
    const OCSP: [u8; 10] = [0x06, 0x08, 0x2b, 0x06, 0x01, 0x05, 0x05, 0x07, 0x30, 0x01];
    let tagged = |tag: u8, content: &[u8]| [&[tag, content.len().try_into().unwrap()], content].concat();
    let description = [&OCSP[..], &tagged(0x86, url.as_bytes())].concat();
    let content = tagged(0x30, &tagged(0x30, &description));
    CustomExtension::from_oid_content(&[1, 3, 6, 1, 5, 5, 7, 1, 1], content)
}

/// A public key as the authority's library takes it.
struct Bits(PublicKey);

impl PublicKeyData for Bits {
    fn der_bytes(&self) -> &[u8] {
        let (PublicKey::Rsa(bits) | PublicKey::EcP256(bits) | PublicKey::EcP384(bits)) = &self.0;
        bits
    }

    fn algorithm(&self) -> &'static SignatureAlgorithm {
        match self.0 {
            PublicKey::Rsa(_) => &rcgen::PKCS_RSA_SHA256,
            _ => &rcgen::PKCS_ECDSA_P256_SHA256,
        }
    }
}
