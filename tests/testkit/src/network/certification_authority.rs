//! A certification authority that issues certificates for requests, and tells its OCSP responder of them.

use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex};

use anyhow::{Context, Result, anyhow};
use bytes::Bytes;
use der::Encode;
use der::asn1::Ia5String;
use http::{Method, Request, StatusCode};
use jiff::tz::TimeZone;
use rcgen::{
    CertificateSigningRequestParams, CustomExtension, ExtendedKeyUsagePurpose, IsCa, KeyUsagePurpose,
    SerialNumber,
};
use uuk_pki::{
    Applicant, Certificate, CertificateId, CertificateProfile, CertificateProfiles, CertificateStatus,
    SoftwareKey,
};
use uuk_process::Clock;
use x509_cert::ext::pkix::name::GeneralName;
use x509_cert::ext::pkix::{AccessDescription, AuthorityInfoAccessSyntax};

use super::http_server::{Answer, BoundServer, Fault, HttpServer, refusal, success};
use super::identity::{Identity, Use, certificate_pem, new_key};
use super::lock;
use super::ocsp_responder::OcspResponder;
use crate::authority::{Authority, KeyKind};

const OCSP_ACCESS: der::oid::ObjectIdentifier = der::oid::ObjectIdentifier::new_unwrap("1.3.6.1.5.5.7.48.1");
const PKCS10: &str = "CERTIFICATE REQUEST";

/// What an authority is like.
#[derive(Debug, Clone)]
pub struct CertificationOptions {
    /// The common name of the top authority.
    pub name: String,
    /// How its certificates name members: X-Road's name of a profile without package and ending, such as `Basic`,
    /// `Ejbca` or `FiVRK`; or the whole name of one in `profiles`.
    pub profile: String,
    /// Profiles of a country's own, TOML.
    pub profiles: Option<String>,
    /// Whether an authority below the top one issues the certificates.
    pub intermediate: bool,
    /// Where it listens; 0 lets the system choose.
    pub port: u16,
    /// Where its OCSP responder listens; 0 lets the system choose.
    pub ocsp_port: u16,
}

impl CertificationOptions {
    /// An authority without intermediate that names members as X-Road's basic profile does.
    pub fn new(name: &str) -> Self {
        let profile = "Basic".into();
        Self { name: name.into(), profile, profiles: None, intermediate: false, port: 0, ocsp_port: 0 }
    }
}

/// An authority that takes PKCS#10 requests, PEM or DER, at `POST /authentication` and `POST /signing`, and answers with
/// the certificate in the same form. It issues whatever is asked.
#[derive(Debug)]
pub struct CertificationAuthority {
    register: Arc<Register>,
    ocsp: OcspResponder,
    server: HttpServer,
}

/// What the authority and its responder share.
#[derive(Debug)]
pub(super) struct Register {
    clock: Clock,
    profile: CertificateProfile,
    top: Issuer,
    intermediate: Option<Issuer>,
    ocsp_url: String,
    issued: Mutex<Vec<Issued>>,
    serial: AtomicU64,
}

/// An authority with the responder that answers in its place.
#[derive(Debug)]
pub(super) struct Issuer {
    authority: Authority,
    certificate: Certificate,
    pub(super) responder: Identity,
}

#[derive(Debug)]
struct Issued {
    id: CertificateId,
    certificate: Certificate,
    status: CertificateStatus,
    by_top: bool,
}

impl CertificationAuthority {
    /// Starts the authority and its responder.
    pub async fn start(options: &CertificationOptions, clock: &Clock) -> Result<Self> {
        let ocsp = BoundServer::bind(options.ocsp_port).await?;
        let register = Arc::new(Register::new(options, clock, ocsp.url())?);
        let issuing = register.clone();
        let server = BoundServer::bind(options.port).await?.serve(move |request| issuing.answer(request));
        Ok(Self { ocsp: OcspResponder::new(ocsp, register.clone()), register, server })
    }

    /// The root of its URLs.
    pub fn url(&self) -> String {
        self.server.url()
    }

    /// What it does with requests from now on.
    pub fn fail(&self, fault: Fault) {
        self.server.fail(fault);
    }

    /// The responder that answers about its certificates.
    pub fn ocsp(&self) -> &OcspResponder {
        &self.ocsp
    }

    /// How its certificates name members.
    pub fn profile(&self) -> &CertificateProfile {
        &self.register.profile
    }

    /// The top authority's certificate.
    pub fn top(&self) -> &Certificate {
        &self.register.top.certificate
    }

    /// The intermediate authority's certificate.
    pub fn intermediate(&self) -> Option<&Certificate> {
        self.register.intermediate.as_ref().map(|issuer| &issuer.certificate)
    }

    /// Issues a certificate for the PKCS#10 `request`, DER.
    pub fn issue(&self, request: &[u8], usage: Use) -> Result<Certificate> {
        self.register.issue(request, usage)
    }

    /// Makes a key and has it certified as any applicant would.
    pub fn identity(&self, usage: Use, applicant: &Applicant<'_>, kind: KeyKind) -> Result<Identity> {
        let (key_der, public) = new_key(kind)?;
        let subject = self.profile().requested_subject(usage, applicant)?;
        let request = subject.request(usage, &public, &SoftwareKey::from_pkcs8(&key_der)?)?;
        let certificate = self.issue(&request, usage)?;
        Ok(Identity::new(key_der, certificate, self.intermediate().cloned().into_iter().collect()))
    }

    /// Revokes a certificate from now on.
    pub fn revoke(&self, certificate: &Certificate) -> Result<()> {
        self.register.set_status(certificate, CertificateStatus::Revoked { time: self.register.clock.now() })
    }

    /// Takes a revocation back.
    pub fn reinstate(&self, certificate: &Certificate) -> Result<()> {
        self.register.set_status(certificate, CertificateStatus::Good)
    }

    /// Has the responder say that it does not know a certificate.
    pub fn forget(&self, certificate: &Certificate) -> Result<()> {
        self.register.set_status(certificate, CertificateStatus::Unknown)
    }
}

impl Register {
    fn new(options: &CertificationOptions, clock: &Clock, ocsp_url: String) -> Result<Self> {
        let class = format!(
            "ee.ria.xroad.common.certificateprofile.impl.{}CertificateProfileInfoProvider",
            options.profile
        );
        let profiles =
            CertificateProfiles::default().with(options.profiles.as_deref().unwrap_or("profile = []"))?;
        let profile = profiles.find(&options.profile).or_else(|_| profiles.find(&class))?.clone();
        let today = clock.now().to_zoned(TimeZone::UTC).date();
        let top = Authority::new(&options.name, today)?;
        let below = options.intermediate.then(|| top.intermediate(&format!("{} 1", options.name)));
        let register = Self {
            clock: clock.clone(),
            profile,
            intermediate: below.transpose()?.map(Issuer::new).transpose()?,
            top: Issuer::new(top)?,
            ocsp_url,
            issued: Mutex::default(),
            serial: AtomicU64::new(1),
        };
        if let Some(intermediate) = &register.intermediate {
            register.add(&intermediate.certificate, &register.top, true)?;
        }
        Ok(register)
    }

    fn answer(&self, request: &Request<Bytes>) -> Answer {
        let usage = match (request.method(), request.uri().path()) {
            (&Method::POST, "/authentication") => Use::Authentication,
            (&Method::POST, "/signing") => Use::Signing,
            _ => return refusal(StatusCode::NOT_FOUND, "POST /authentication or /signing"),
        };
        match self.answer_request(request.body(), usage) {
            Ok(answer) => answer,
            Err(error) => refusal(StatusCode::BAD_REQUEST, format!("{error:#}")),
        }
    }

    fn answer_request(&self, body: &[u8], usage: Use) -> Result<Answer> {
        if !body.starts_with(b"-----") {
            return Ok(success("application/pkix-cert", self.issue(body, usage)?.der().to_vec()));
        }
        let (label, request) = der::Document::from_pem(std::str::from_utf8(body)?)?;
        anyhow::ensure!(label == PKCS10, "the PEM file holds no {PKCS10}");
        let certificate = self.issue(request.as_bytes(), usage)?;
        Ok(success("application/x-pem-file", certificate_pem(&certificate)?))
    }

    /// Of the request, subject, names and key count; what the certificate is for is decided here.
    fn issue(&self, request: &[u8], usage: Use) -> Result<Certificate> {
        let request = CertificateSigningRequestParams::from_der(&request.to_vec().into());
        let mut request = request.context("the certificate request is not acceptable")?;
        let issuer = self.issuing();
        request.params.is_ca = IsCa::ExplicitNoCa;
        request.params.use_authority_key_identifier_extension = true;
        // One key may get several certificates.
        request.params.serial_number = Some(SerialNumber::from(self.serial.fetch_add(1, Ordering::SeqCst)));
        request.params.custom_extensions = vec![ocsp_access(&self.ocsp_url)?];
        (request.params.key_usages, request.params.extended_key_usages) = match usage {
            Use::Signing => (vec![KeyUsagePurpose::ContentCommitment], vec![]),
            Use::Authentication => (
                vec![
                    KeyUsagePurpose::DigitalSignature,
                    KeyUsagePurpose::KeyEncipherment,
                    KeyUsagePurpose::DataEncipherment,
                ],
                vec![ExtendedKeyUsagePurpose::ServerAuth, ExtendedKeyUsagePurpose::ClientAuth],
            ),
        };
        let certificate = Certificate::from_der(&issuer.authority.certify(request)?)?;
        self.add(&certificate, issuer, self.intermediate.is_none())?;
        Ok(certificate)
    }

    fn add(&self, certificate: &Certificate, issuer: &Issuer, by_top: bool) -> Result<()> {
        let id = CertificateId::new(certificate, &issuer.certificate)?;
        let certificate = certificate.clone();
        lock(&self.issued).push(Issued { id, certificate, status: CertificateStatus::Good, by_top });
        Ok(())
    }

    fn set_status(&self, certificate: &Certificate, status: CertificateStatus) -> Result<()> {
        let mut issued = lock(&self.issued);
        let found = issued.iter_mut().find(|issued| issued.certificate == *certificate);
        found.ok_or_else(|| anyhow!("{} was not issued here", certificate.subject()))?.status = status;
        Ok(())
    }

    /// What is known of a certificate, and who answers for that.
    pub(super) fn status(&self, id: &CertificateId) -> (CertificateStatus, &Issuer) {
        match lock(&self.issued).iter().find(|issued| issued.id == *id) {
            None => (CertificateStatus::Unknown, self.issuing()),
            Some(Issued { status, by_top: true, .. }) => (*status, &self.top),
            Some(Issued { status, .. }) => (*status, self.issuing()),
        }
    }

    pub(super) fn clock(&self) -> &Clock {
        &self.clock
    }

    fn issuing(&self) -> &Issuer {
        self.intermediate.as_ref().unwrap_or(&self.top)
    }
}

impl Issuer {
    fn new(authority: Authority) -> Result<Self> {
        let certificate = Certificate::from_der(&authority.der())?;
        let responder = authority.issue_for_ocsp("OCSP responder", KeyKind::P256)?.try_into()?;
        Ok(Self { authority, certificate, responder })
    }
}

/// RFC 5280 §4.2.2.1.
fn ocsp_access(url: &str) -> Result<CustomExtension> {
    let access_location = GeneralName::UniformResourceIdentifier(Ia5String::new(url)?);
    let access = AccessDescription { access_method: OCSP_ACCESS, access_location };
    let content = AuthorityInfoAccessSyntax(vec![access]).to_der()?;
    Ok(CustomExtension::from_oid_content(&[1, 3, 6, 1, 5, 5, 7, 1, 1], content))
}
