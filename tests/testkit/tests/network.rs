//! OpenSSL accepts what the servers of an instance give.

#![expect(
    clippy::unwrap_used,
    clippy::indexing_slicing,
    reason = "what a test's helpers cannot do, the test reports"
)]

use std::fs;
use std::path::Path;
use std::time::Duration;

use bytes::Bytes;
use http::{Request, StatusCode};
use http_body_util::{BodyExt, Full};
use hyper_util::client::legacy::Client;
use hyper_util::rt::TokioExecutor;
use jiff::Timestamp;
use tempfile::TempDir;
use uuk_globalconf::{
    Anchor, Dated, Extensions, GlobalConfiguration, InstanceParameters, PrivateParameters, SHARED_PARAMETERS,
    SharedParameters, SignedDirectory, Version, file_url,
};
use uuk_pki::{
    Certificate, CertificateId, CertificateProfiles, DigestAlgorithm, OcspRequest, OcspResponse,
    ResponseStatus, TimeStampRequest, TimeStampToken,
};
use uuk_testkit::authority::KeyKind;
use uuk_testkit::network::{
    Answering, CertificationOptions, Fault, Instance, InstanceOptions, Server, SourceFault, Stamping, Use,
    certificate_pem,
};
use uuk_testkit::openssl::{self, Outcome};

/// An instance with two servers, and a folder with the certificates of its authorities.
struct World {
    instance: Instance,
    servers: [Server; 2],
    folder: TempDir,
}

impl World {
    async fn start() -> Self {
        Self::start_with(InstanceOptions::default()).await
    }

    async fn start_with(options: InstanceOptions) -> Self {
        let instance = Instance::start_with("KG", options).await.unwrap();
        let ss1 = instance.server("GOV/70000001/SS1", "127.0.0.1").unwrap();
        let ss2 = instance.server("GOV/70000002/SS2", "127.0.0.2").unwrap();
        let servers = [
            ss1.client("GOV/70000001/registry").unwrap(),
            ss2.client("GOV/70000002/portal").unwrap().client("COM/5/shop").unwrap(),
        ];
        let folder = tempfile::tempdir().unwrap();
        let world = Self { instance, servers, folder };
        let authority = &world.instance.authority;
        world.write_certificate("top.pem", authority.top());
        world.write_certificate("issuer.pem", authority.intermediate().unwrap_or(authority.top()));
        world.write_certificate("stamper.pem", world.instance.time_stamping.certificate());
        world.write_certificate("stamper-top.pem", world.instance.time_stamping.top());
        world
    }

    fn write_certificate(&self, name: &str, certificate: &Certificate) {
        fs::write(self.path(name), certificate_pem(certificate).unwrap()).unwrap();
    }

    fn path(&self, name: &str) -> std::path::PathBuf {
        self.folder.path().join(name)
    }

    fn openssl(&self, arguments: &str) -> Option<Outcome> {
        run(self.folder.path(), arguments)
    }

    /// What OpenSSL says that the responder says of a certificate.
    fn ocsp(&self, certificate: &Certificate) -> Option<String> {
        self.write_certificate("certificate.pem", certificate);
        let ask = format!(
            "ocsp -issuer issuer.pem -cert certificate.pem -url {} -CAfile top.pem",
            self.instance.authority.ocsp().url()
        );
        self.openssl(&ask).map(|outcome| outcome.said)
    }
}

fn run(folder: &Path, arguments: &str) -> Option<Outcome> {
    openssl::run(folder, arguments).unwrap()
}

async fn fetch(request: Request<Full<Bytes>>) -> Result<(StatusCode, Bytes), ()> {
    let client = Client::builder(TokioExecutor::new()).build_http();
    let response = client.request(request).await.map_err(drop)?;
    let status = response.status();
    Ok((status, response.into_body().collect().await.map_err(drop)?.to_bytes()))
}

async fn get(url: &str) -> (StatusCode, Bytes) {
    fetch(Request::get(url).body(Full::default()).unwrap()).await.unwrap()
}

async fn post(url: &str, body: impl Into<Bytes>) -> (StatusCode, Bytes) {
    fetch(Request::post(url).body(Full::new(body.into())).unwrap()).await.unwrap()
}

#[tokio::test(flavor = "multi_thread")]
async fn openssl_believes_the_certificates_and_the_responder() {
    for intermediate in [false, true] {
        for kind in [KeyKind::P256, KeyKind::Rsa2048] {
            let certification = CertificationOptions { intermediate, ..CertificationOptions::new("CA") };
            let options = InstanceOptions { certification, keys: kind, ..InstanceOptions::default() };
            let world = World::start_with(options).await;
            let authority = &world.instance.authority;
            let signing = world.servers[0].signing("GOV/70000001").unwrap();
            let signing = signing.certificate();
            assert!(signing.is_for_signing() && !signing.is_for_authentication());
            let member = authority.profile().member(signing, "KG").unwrap();
            assert_eq!(member.to_string(), "KG/GOV/70000001");
            assert_eq!(signing.ocsp_urls(), [authority.ocsp().url()]);

            let authentication = world.servers[0].authentication().certificate();
            assert!(authentication.is_for_authentication() && !authentication.is_for_signing());
            for certificate in [signing, authentication] {
                let Some(said) = world.ocsp(certificate) else { return };
                assert!(said.contains("Response verify OK"), "{said}");
                assert!(said.contains("certificate.pem: good"), "{said}");
                let verify = "verify -CAfile top.pem -untrusted issuer.pem certificate.pem";
                let verified = world.openssl(verify).unwrap();
                assert!(verified.success, "{}", verified.said);
            }
        }
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn the_responder_knows_what_was_revoked_and_what_it_never_knew() {
    let world = World::start().await;
    let authority = &world.instance.authority;
    let certificate = world.servers[0].authentication().certificate();
    authority.revoke(certificate).unwrap();
    let Some(said) = world.ocsp(certificate) else { return };
    assert!(said.contains("certificate.pem: revoked"), "{said}");
    authority.forget(certificate).unwrap();
    assert!(world.ocsp(certificate).unwrap().contains("certificate.pem: unknown"));
    authority.reinstate(certificate).unwrap();
    assert!(world.ocsp(certificate).unwrap().contains("certificate.pem: good"));
    let other = Instance::start("KZ").await.unwrap().server("GOV/1/SS", "localhost").unwrap();
    assert!(authority.revoke(other.authentication().certificate()).is_err());
}

#[tokio::test(flavor = "multi_thread")]
async fn the_responder_fails_as_it_is_told() {
    let world = World::start().await;
    let ocsp = world.instance.authority.ocsp();
    let certificate = world.servers[0].authentication().certificate();
    for (answering, expected) in [
        (Answering::Stale(Duration::from_secs(2 * 3600)), "status expired"),
        (Answering::Refusing(ResponseStatus::TryLater), "trylater"),
        (Answering::AsStranger, "Response Verify Failure"),
        (Answering::Honestly, "certificate.pem: good"),
    ] {
        ocsp.answer(answering);
        let Some(said) = world.ocsp(certificate) else { return };
        assert!(said.to_lowercase().contains(&expected.to_lowercase()), "{answering:?}: {said}");
    }
    for fault in [Fault::Down, Fault::Unavailable, Fault::Garbage] {
        ocsp.fail(fault);
        assert!(!world.ocsp(certificate).unwrap().contains("good"), "{fault:?}");
    }
    ocsp.fail(Fault::None);
    assert!(world.ocsp(certificate).unwrap().contains("good"));
    assert_eq!(post(&ocsp.url(), "hello").await.1, Bytes::from_static(&[0x30, 3, 0x0a, 1, 1]));
}

#[tokio::test(flavor = "multi_thread")]
async fn takes_certificate_requests_from_openssl() {
    let world = World::start().await;
    let make = "req -new -newkey ec -pkeyopt ec_paramgen_curve:P-256 -nodes -keyout key.pem -out request.pem \
                -subj /C=KG/O=Ministry/businessCategory=GOV/serialNumber=70000001/CN=Ministry";
    let Some(made) = world.openssl(make) else { return };
    assert!(made.success, "{}", made.said);
    world.openssl("req -in request.pem -outform der -out request.der");
    let url = world.instance.authority.url();
    let (status, pem) = post(&format!("{url}/signing"), fs::read(world.path("request.pem")).unwrap()).await;
    assert_eq!(status, StatusCode::OK, "{pem:?}");
    let certificate = Certificate::chain_from_pem(&pem).unwrap().remove(0);
    let member = world.instance.authority.profile().member(&certificate, "KG").unwrap();
    assert_eq!(member.to_string(), "KG/GOV/70000001");

    let (_, der) = post(&format!("{url}/authentication"), fs::read(world.path("request.der")).unwrap()).await;
    let other = Certificate::from_der(&der).unwrap();
    assert!(other.is_for_authentication());
    assert_ne!(other.serial(), certificate.serial(), "one key, two certificates");
    assert!(world.ocsp(&other).unwrap().contains("good"));

    let (status, _) = post(&format!("{url}/signing"), "hello").await;
    assert_eq!(status, StatusCode::BAD_REQUEST);
    assert_eq!(get(&url).await.0, StatusCode::NOT_FOUND);
}

#[tokio::test(flavor = "multi_thread")]
async fn names_members_by_each_profile() {
    for profile in ["Basic", "BasicACME", "Ejbca", "FiVRK", "Is", "Fo"] {
        let certification =
            CertificationOptions { profile: profile.into(), ..CertificationOptions::new("CA") };
        let options = InstanceOptions { certification, ..InstanceOptions::default() };
        let instance = Instance::start_with("KG", options).await.unwrap();
        let server = instance.server("GOV/70000001/SS1", "127.0.0.1").unwrap();
        let signing = server.signing("GOV/70000001").unwrap();
        let member = instance.authority.profile().member(signing.certificate(), "KG").unwrap();
        assert_eq!(member.to_string(), "KG/GOV/70000001", "{profile}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn openssl_believes_the_time_stamps() {
    for keys in [KeyKind::P256, KeyKind::Rsa2048] {
        let world = World::start_with(InstanceOptions { keys, ..InstanceOptions::default() }).await;
        fs::write(world.path("data"), "message").unwrap();
        if world.openssl("ts -query -data data -sha512 -out query.tsq").is_none() {
            return;
        }
        let verify =
            "ts -verify -queryfile query.tsq -in reply.tsr -CAfile stamper-top.pem -untrusted stamper.pem";
        for (stamping, accepted) in
            [(Stamping::Granting, true), (Stamping::Refusing, false), (Stamping::AsStranger, false)]
        {
            world.instance.time_stamping.stamp(stamping);
            let query = fs::read(world.path("query.tsq")).unwrap();
            let (_, reply) = post(&world.instance.time_stamping.url(), query).await;
            fs::write(world.path("reply.tsr"), reply).unwrap();
            let verified = world.openssl(verify).unwrap();
            assert_eq!(verified.success, accepted, "{stamping:?}: {}", verified.said);
        }
    }
}

/// The directory at the anchor's address.
async fn directory(anchor: &Anchor, version: &str) -> (StatusCode, Bytes) {
    get(&format!("{}{version}", anchor.sources[0].url)).await
}

fn verify(anchor: &Anchor, directory: &[u8]) -> Result<SignedDirectory, String> {
    let verified = SignedDirectory::verify(directory, &anchor.sources[0].certificates, Timestamp::now());
    verified.map_err(|error| error.code().to_owned())
}

#[tokio::test]
async fn publishes_every_version() {
    let world = World::start().await;
    world.instance.group("all", &["GOV/70000001/registry", "COM/5/shop"]).unwrap();
    let anchor = world.instance.anchor();
    assert_eq!(Anchor::read(anchor.write().as_bytes()).unwrap(), anchor);
    for version in Version::NEWEST_FIRST {
        let (_, bytes) = directory(&anchor, &format!("?version={version}")).await;
        let listed = verify(&anchor, &bytes).unwrap();
        assert_eq!(listed.version(), version);
        let [shared, private] = listed.files() else { panic!("{listed:?}") };
        let (_, file) = get(&file_url(&anchor.sources[0].url, shared.location())).await;
        shared.check(&file).unwrap();
        let shared = SharedParameters::read(&file, version).unwrap();
        assert_eq!(shared.security_servers.len(), 2);
        assert_eq!(shared.security_servers[0].certificate_hashes.len(), 1);
        assert_eq!(shared.members.len(), 4);
        assert_eq!(shared.global_groups[0].members.len(), 2);
        assert_eq!(shared.sources.is_empty(), version == Version::V2);
        let (_, file) = get(&file_url(&anchor.sources[0].url, private.location())).await;
        let private = PrivateParameters::read(&file).unwrap();
        assert_eq!(private.instance, "KG");
        assert!(private.management_service.registration_url.is_some(), "X-Road's schema wants it");
    }
    assert_eq!(verify(&anchor, &directory(&anchor, "").await.1).unwrap().version(), Version::V2);
    assert_eq!(directory(&anchor, "?version=7").await.0, StatusCode::NOT_FOUND);
    let external = world.instance.source.external_anchor();
    let listed = verify(&external, &directory(&external, "?version=6").await.1).unwrap();
    assert_eq!(listed.files().len(), 1);
    assert_eq!(listed.files()[0].identifier(), SHARED_PARAMETERS);
}

/// What is published about the authorities is what they do: everything else in the project rests on it.
#[tokio::test]
async fn who_believes_the_configuration_believes_the_authorities() {
    for intermediate in [false, true] {
        let certification = CertificationOptions { intermediate, ..CertificationOptions::new("CA") };
        let options = InstanceOptions { certification, ..InstanceOptions::default() };
        let world = World::start_with(options).await;
        let (configuration, now) = (configuration(&world.instance).await, Timestamp::now());
        assert_eq!(configuration.left_out().len(), 0, "{:?}", configuration.left_out());
        let authorities = configuration.instance("KG", now).unwrap().authorities();

        let signing = world.servers[0].signing("GOV/70000001").unwrap();
        let path = authorities.path(signing.certificate(), Use::Signing, now).unwrap();
        assert_eq!(path.steps().len(), 1 + usize::from(intermediate));
        let mut answers = Vec::new();
        for step in path.steps() {
            let certificate = CertificateId::new(step.certificate, &step.issuer.certificate).unwrap();
            let request = OcspRequest { certificate }.to_der().unwrap();
            let (_, answer) = post(&world.instance.authority.ocsp().url(), request).await;
            answers.push(OcspResponse::from_der(&answer).unwrap());
        }
        path.verify_status(&answers, authorities).unwrap();

        let imprint = DigestAlgorithm::Sha512.digest(b"message");
        let request = TimeStampRequest::new(imprint.clone()).to_der().unwrap();
        let (_, response) = post(&world.instance.time_stamping.url(), request).await;
        let token = TimeStampToken::from_response(&response).unwrap();
        token.verify(&imprint, authorities).unwrap();

        let authentication = world.servers[1].authentication().certificate();
        authorities.path(authentication, Use::Authentication, now).unwrap();
        let client = "KG/GOV/70000002/portal".parse().unwrap();
        assert!(configuration.certificate_serves(authentication, &client, now));
        assert!(!configuration.certificate_serves(signing.certificate(), &client, now));
    }
}

/// What the source publishes, read as a client does.
async fn configuration(instance: &Instance) -> GlobalConfiguration {
    let anchor = instance.anchor();
    let listed = verify(&anchor, &directory(&anchor, "?version=6").await.1).unwrap();
    let (_, file) = get(&file_url(&anchor.sources[0].url, listed.files()[0].location())).await;
    let shared = Dated { content: SharedParameters::read(&file, Version::V6).unwrap(), expires: None };
    let parameters = vec![InstanceParameters { shared, private: None }];
    let profiles = CertificateProfiles::default();
    GlobalConfiguration::new(instance.name(), parameters, Extensions::default(), &profiles).unwrap()
}

#[tokio::test]
async fn the_source_fails_as_it_is_told() {
    let world = World::start().await;
    let anchor = world.instance.anchor();
    for (fault, code) in [
        (SourceFault::Expired, "signed_directory.expired"),
        (SourceFault::ForeignSignature, "signed_directory.wrong_signature"),
        (SourceFault::AlteredDirectory, "signed_directory.wrong_signature"),
        (SourceFault::TruncatedDirectory, "signed_directory.missing_signature"),
        (SourceFault::OversizedDirectory, "signed_directory.too_large"),
    ] {
        world.instance.source.publish(fault).unwrap();
        let (_, bytes) = directory(&anchor, "?version=6").await;
        assert_eq!(verify(&anchor, &bytes).unwrap_err(), code, "{fault:?}");
    }
    for fault in [SourceFault::AlteredFiles, SourceFault::TruncatedFiles, SourceFault::MissingFiles] {
        world.instance.source.publish(fault).unwrap();
        let listed = verify(&anchor, &directory(&anchor, "?version=6").await.1).unwrap();
        let file = &listed.files()[0];
        let (_, bytes) = get(&file_url(&anchor.sources[0].url, file.location())).await;
        assert!(file.check(&bytes).is_err(), "{fault:?}");
    }
    world.instance.source.publish(SourceFault::None).unwrap();
    world.instance.source.fail(Fault::Down);
    let request = Request::get(&anchor.sources[0].url).body(Full::default()).unwrap();
    assert!(fetch(request).await.is_err());
    world.instance.source.fail(Fault::None);
    assert!(verify(&anchor, &directory(&anchor, "?version=6").await.1).is_ok());
}

#[tokio::test]
async fn a_key_is_announced_before_it_signs() {
    let world = World::start().await;
    let old = world.instance.anchor();
    world.instance.source.announce_key().unwrap();
    let (_, bytes) = directory(&old, "?version=6").await;
    assert!(verify(&old, &bytes).is_ok());
    world.instance.source.use_newest_key().unwrap();
    let (_, bytes) = directory(&old, "?version=6").await;
    assert_eq!(verify(&old, &bytes).unwrap_err(), "signed_directory.unknown_certificate");
    assert!(verify(&world.instance.anchor(), &bytes).is_ok());
}

#[tokio::test]
async fn directories_move_with_the_clock() {
    let clock = uuk_process::Clock::set_to("2026-11-22T12:00:00Z".parse().unwrap());
    let options = InstanceOptions { clock: clock.clone(), ..InstanceOptions::default() };
    let world = World::start_with(options).await;
    let anchor = world.instance.anchor();
    for (later, expires) in [(59, "2026-11-22T12:10:00Z"), (1, "2026-11-22T12:11:00Z")] {
        clock.advance(Duration::from_secs(later));
        let (_, bytes) = directory(&anchor, "?version=6").await;
        let certificates = &anchor.sources[0].certificates;
        let listed = SignedDirectory::verify(&bytes, certificates, clock.now()).unwrap();
        assert_eq!(listed.expires().to_string(), expires);
    }
}

#[tokio::test]
async fn servers_come_change_and_go() {
    let mut world = World::start().await;
    let count = |world: &World| world.instance.source.content().shared.security_servers.len();
    assert_eq!(count(&world), 2);
    let [ss1, ss2] = &mut world.servers;
    let first = ss1.authentication().certificate().clone();
    ss1.renew_authentication().unwrap();
    let registered =
        |server: &Server, instance: &Instance| instance.source.content().certificates[server.id()].clone();
    assert_eq!(registered(ss1, &world.instance).len(), 2);
    ss1.deregister_old_authentication().unwrap();
    assert_ne!(registered(ss1, &world.instance), [first]);
    world.instance.remove_server(ss2.id()).unwrap();
    assert!(ss2.set_address(None).is_err());
    assert_eq!(count(&world), 1);
}

#[tokio::test]
async fn instances_know_each_other() {
    let [kg, kz] = [Instance::start("KG").await.unwrap(), Instance::start("KZ").await.unwrap()];
    kg.federate(&kz).unwrap();
    assert_eq!(kg.source.content().private.federated, [kz.source.external_anchor()]);
    kg.part_from(&kz).unwrap();
    assert_eq!(kg.source.content().private.federated, []);
}

#[tokio::test]
async fn writes_keys_that_openssl_reads() {
    let world = World::start().await;
    world.servers[0].authentication().write(world.folder.path(), "server").unwrap();
    let Some(read) = world.openssl("pkey -in server.key -noout -check") else { return };
    assert!(read.success, "{}", read.said);
    let matches = world.openssl("x509 -in server.pem -noout -subject").unwrap();
    assert!(matches.said.contains("ss1.example"), "{}", matches.said);
    assert_eq!(Use::Signing.to_string(), "signing");
}
