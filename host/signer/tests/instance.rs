//! A signer in a running instance: its certificates are issued, registered, kept good, renewed and revoked.

#![expect(clippy::unwrap_used, clippy::panic, reason = "helpers of tests may fail as tests do")]

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::{Duration, Instant};

use jiff::Timestamp;
use tempfile::TempDir;
use tokio::sync::watch;
use tokio_util::sync::CancellationToken;
use uuk_asic::{MessagePart, PartContent, verify_message};
use uuk_globalconf::{Dated, Extensions, GlobalConfiguration, InstanceParameters};
use uuk_identifiers::MemberId;
use uuk_pki::{Certificate, CertificateProfiles, CertificateUse, DigestAlgorithm, Sha256};
use uuk_process::Clock;
use uuk_signer::{
    AuthenticationIdentity, KeyAlgorithm, Order, Outcome, Pin, Signer, SignerConfig, SignerDependencies,
    SignerError,
};
use uuk_testkit::network::{CertificationOptions, Fault, Instance, InstanceOptions, Server};

/// More than any machine takes for a few requests on its own loopback.
const PATIENCE: Duration = Duration::from_secs(60);
const MINUTE: Duration = Duration::from_secs(60);

/// An instance, and a server of it whose signer runs.
struct Site {
    instance: Instance,
    server: Server,
    member: MemberId,
    signer: Signer,
    configuration: watch::Sender<Option<Arc<GlobalConfiguration>>>,
    stop: CancellationToken,
    _folder: TempDir,
}

impl Site {
    async fn new() -> Self {
        let clock = Clock::set_to("2026-11-22T08:00:00Z".parse::<Timestamp>().unwrap());
        let certification = CertificationOptions {
            profile: "Ejbca".into(),
            intermediate: true,
            ..CertificationOptions::new("Authority")
        };
        let options = InstanceOptions { clock: clock.clone(), certification, ..InstanceOptions::default() };
        let instance = Instance::start_with("KG", options).await.unwrap();
        let server = instance.server("GOV/70000001/ss1", "127.0.0.1").unwrap();
        let member = server.id().owner.clone();
        let (configuration, current) = watch::channel(None);
        let folder = tempfile::tempdir().unwrap();
        let config = SignerConfig { folder: folder.path().to_owned(), ..SignerConfig::default() };
        let dependencies = SignerDependencies { server: server.id().clone(), clock, configuration: current };
        let signer = Signer::build(config, dependencies).unwrap();
        let stop = CancellationToken::new();
        tokio::spawn(signer.clone().run(stop.clone()));
        let site = Self { instance, server, member, signer, configuration, stop, _folder: folder };
        site.publish();
        let pin = Pin::try_from("1234".to_owned()).unwrap();
        site.signer.order(Order::Login { token: "software".into(), pin }).await.unwrap();
        site
    }

    /// Lets the signer see what the instance says now.
    fn publish(&self) {
        let content = self.instance.source.content();
        let mut shared = content.shared;
        for server in &mut shared.security_servers {
            let certificates = content.certificates.get(&server.id).into_iter().flatten();
            let hash = |one: &Certificate| one.digest(DigestAlgorithm::Sha256).as_bytes().to_vec();
            server.certificate_hashes = certificates.map(hash).collect();
        }
        let parameters =
            InstanceParameters { shared: Dated { content: shared, expires: None }, private: None };
        let profiles = CertificateProfiles::default();
        let new = GlobalConfiguration::new("KG", vec![parameters], Extensions::default(), &profiles).unwrap();
        self.configuration.send_replace(Some(Arc::new(new)));
    }

    /// A new key, certified, imported and activated, as an operator does it.
    async fn enrol(&self, usage: CertificateUse, algorithm: KeyAlgorithm) -> Certificate {
        let (token, label) = ("software".to_owned(), String::new());
        let generate = Order::Generate { token, label, usage, algorithm };
        let Outcome::Generated { key } = self.signer.order(generate).await.unwrap() else { panic!() };
        let member = (usage == CertificateUse::Signing).then(|| self.member.clone());
        let request = Order::Request { key, member, authority: None, fields: BTreeMap::new() };
        let Outcome::Requested { request } = self.signer.order(request).await.unwrap() else { panic!() };
        let certificate = self.instance.authority.issue(&request, usage).unwrap();
        self.signer.order(Order::Import { certificate: certificate.der().to_vec() }).await.unwrap();
        let activate = Order::Activate { certificate: Sha256::of(certificate.der()) };
        self.signer.order(activate).await.unwrap();
        certificate
    }

    /// Signs a message, and tells whose certificate a peer finds in the signature.
    async fn sign(&self) -> Result<Certificate, SignerError> {
        let digest = DigestAlgorithm::Sha512.digest(b"message");
        let documents = self.signer.sign(&self.member, vec![digest.clone()]).await?;
        let configuration = self.configuration.borrow().clone().unwrap();
        let now = self.instance.clock().now();
        let authorities = configuration.instance("KG", now).unwrap().authorities();
        let parts = [MessagePart::message(PartContent::Digest(&digest))];
        Ok(verify_message(&documents, &parts, &self.member, authorities, now).unwrap().certificate().clone())
    }

    async fn until_signed_by(&self, certificate: &Certificate) {
        until("another certificate signs", async || {
            self.sign().await.is_ok_and(|signer| signer == *certificate)
        })
        .await;
    }

    async fn until_refused(&self, code: &str) {
        until(code, async || self.sign().await.is_err_and(|error| error.code() == code)).await;
    }

    async fn until_proven(&self, certificate: &Certificate) -> Arc<AuthenticationIdentity> {
        let mut authentication = self.signer.authentication();
        let proven = authentication.wait_for(|identity| {
            identity.as_ref().is_some_and(|identity| identity.certificate == *certificate)
        });
        let proven = tokio::time::timeout(PATIENCE, proven).await.unwrap();
        proven.unwrap().clone().unwrap()
    }
}

impl Drop for Site {
    fn drop(&mut self) {
        self.stop.cancel();
    }
}

async fn until(what: &str, condition: impl AsyncFn() -> bool) {
    let started = Instant::now();
    while !condition().await {
        assert!(started.elapsed() < PATIENCE, "waited in vain: {what}");
        tokio::time::sleep(Duration::from_millis(20)).await;
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn certificates_count_as_soon_as_responders_say_that_they_are_good() {
    let site = Site::new().await;
    let signing = site.enrol(CertificateUse::Signing, KeyAlgorithm::EcP256).await;
    site.until_signed_by(&signing).await;

    let authentication = site.enrol(CertificateUse::Authentication, KeyAlgorithm::Rsa2048).await;
    site.server.register_authentication(authentication.clone()).unwrap();
    site.publish();
    let identity = site.until_proven(&authentication).await;
    assert_eq!(identity.intermediates, [site.instance.authority.intermediate().unwrap().clone()]);
    assert_eq!(identity.ocsp_answers.len(), 2);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_renewed_authentication_certificate_takes_over() {
    let site = Site::new().await;
    let mut certificates = Vec::new();
    for _ in 0..2 {
        let certificate = site.enrol(CertificateUse::Authentication, KeyAlgorithm::EcP256).await;
        site.server.register_authentication(certificate.clone()).unwrap();
        site.publish();
        site.until_proven(&certificate).await;
        site.instance.clock().advance(MINUTE);
        certificates.push(certificate);
    }
    let old = Sha256::of(certificates[0].der());
    site.signer.order(Order::Deactivate { certificate: old }).await.unwrap();
    site.until_proven(&certificates[1]).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn answers_are_renewed_before_they_are_stale() {
    let site = Site::new().await;
    let certificate = site.enrol(CertificateUse::Signing, KeyAlgorithm::EcP256).await;
    site.until_signed_by(&certificate).await;
    let responder = site.instance.authority.ocsp();
    for _ in 0..6 {
        let asked = responder.requests();
        site.instance.clock().advance(20 * MINUTE);
        until("asked about both certificates", async || responder.requests() >= asked + 2).await;
        site.until_signed_by(&certificate).await;
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_certificate_signs_through_an_outage_until_its_answer_is_stale() {
    let site = Site::new().await;
    let certificate = site.enrol(CertificateUse::Signing, KeyAlgorithm::EcP256).await;
    site.until_signed_by(&certificate).await;
    site.instance.authority.ocsp().fail(Fault::Unavailable);
    site.instance.clock().advance(59 * MINUTE);
    assert!(site.sign().await.is_ok());
    site.instance.clock().advance(2 * MINUTE);
    site.until_refused("ocsp.stale").await;
    site.instance.authority.ocsp().fail(Fault::None);
    // The longest pause after failures.
    site.instance.clock().advance(20 * MINUTE);
    site.until_signed_by(&certificate).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_revoked_certificate_no_longer_signs() {
    let site = Site::new().await;
    let certificate = site.enrol(CertificateUse::Signing, KeyAlgorithm::EcP256).await;
    site.until_signed_by(&certificate).await;
    site.instance.clock().advance(MINUTE);
    site.instance.authority.revoke(&certificate).unwrap();
    site.instance.clock().advance(20 * MINUTE);
    site.until_refused("ocsp.revoked").await;
}
