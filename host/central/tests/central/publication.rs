use std::path::Path;
use std::process::Command;
use std::time::{Duration, Instant};

use bytes::Bytes;
use http::StatusCode;
use http_body_util::{BodyExt, Empty};
use hyper_util::client::legacy::Client;
use hyper_util::rt::TokioExecutor;
use tokio_util::sync::CancellationToken;
use tokio_util::task::TaskTracker;
use uuk_central::{Audience, Central, Maintenance, PublicationConfig, Publisher};
use uuk_globalconf::{
    Anchor, FileEntry, GOVERNANCE, InstanceGovernance, PRIVATE_PARAMETERS, PrivateParameters,
    SHARED_PARAMETERS, SharedParameters, SignedDirectory, Version,
};
use uuk_pki::{CertificateUse, DigestAlgorithm, Sha256};
use uuk_testkit::fixtures;
use uuk_testkit::tls_authority::{TlsAuthority, TlsFiles};
use uuk_transport::{Upstream, UpstreamConfig};

use crate::world::*;

/// What is published is asked for until it is there.
const PATIENCE: Duration = Duration::from_secs(20);

/// A central server that publishes, with one member and its server.
struct Published {
    world: World,
    central: std::sync::Arc<Central>,
    base: String,
    stop: CancellationToken,
    tasks: TaskTracker,
}

impl Published {
    async fn start() -> Self {
        let world = World::new().await;
        let mut registry = world.registry();
        let certificate = world.certificate(CertificateUse::Authentication);
        registry.add_certificate(&server(SERVER), &certificate, world.now()).unwrap();
        registry.add_client(&server(SERVER), &client(SUBSYSTEM)).unwrap();
        registry.set_group("all", "All & everyone").unwrap();
        registry.join_group("all", &client(SUBSYSTEM)).unwrap();
        let maintenance = Maintenance { message: Some("until noon".to_owned()) };
        registry.add_server(&server("KG/GOV/70000001/ss2"), None).unwrap();
        registry.set_maintenance(&server("KG/GOV/70000001/ss2"), Some(maintenance)).unwrap();
        let (config, _) = database(Database::Sqlite, world.folder.path()).unwrap();
        let central = world.central(&config).await;
        central.found(&actor(), registry).await.unwrap();
        let config = PublicationConfig { address: "127.0.0.1:0".parse().unwrap(), ..Default::default() };
        let publisher = Publisher::build(config, central.clone(), world.keys.clone()).await.unwrap();
        let base = format!("http://{}", publisher.address());
        let (stop, tasks) = (CancellationToken::new(), TaskTracker::new());
        tasks.spawn(publisher.run(stop.clone()));
        tasks.close();
        Self { world, central, base, stop, tasks }
    }

    async fn get(&self, path: &str) -> (StatusCode, Bytes) {
        let client = Client::builder(TokioExecutor::new()).build_http::<Empty<Bytes>>();
        let reply = client.get(format!("{}{path}", self.base).parse().unwrap()).await.unwrap();
        let status = reply.status();
        (status, reply.into_body().collect().await.unwrap().to_bytes())
    }

    async fn anchor(&self) -> Anchor {
        let registry = self.central.snapshot().await.unwrap().registry;
        Anchor::read(registry.anchor(Audience::Members, self.world.now()).write().as_bytes()).unwrap()
    }

    /// The directory of a version, verified by the anchor.
    async fn directory(&self, path: &str, version: Version) -> SignedDirectory {
        let (status, bytes) = self.get(&format!("{path}?version={version}")).await;
        assert_eq!(status, StatusCode::OK);
        let anchor = self.anchor().await;
        SignedDirectory::verify(&bytes, &anchor.sources[0].certificates, self.world.now()).unwrap()
    }

    /// The file that a directory calls so.
    async fn file(&self, directory: &SignedDirectory, identifier: &str) -> Bytes {
        let listed = directory.files().iter().find(|file| file.identifier() == identifier).unwrap();
        let (status, bytes) = self.get(listed.location()).await;
        assert_eq!(status, StatusCode::OK);
        listed.check(&bytes).unwrap();
        bytes
    }

    async fn until(&self, what: &str, mut condition: impl AsyncFnMut() -> bool) {
        let start = Instant::now();
        while !condition().await {
            assert!(start.elapsed() < PATIENCE, "{what}: not within {PATIENCE:?}");
            tokio::time::sleep(Duration::from_millis(20)).await;
        }
    }

    async fn stop(self) {
        self.stop.cancel();
        self.tasks.wait().await;
    }
}

#[tokio::test]
async fn the_configuration_is_given_out_with_tls_too_and_a_renewed_certificate_taken_up() {
    let published = Published::start().await;
    let authorities = [TlsAuthority::new().unwrap(), TlsAuthority::new().unwrap()];
    let identities = authorities.each_ref().map(|authority| authority.server("central").unwrap());
    let folder = published.world.folder.path();
    let install = |files: &TlsFiles| {
        // The key first: whoever reads in between keeps what was in force.
        std::fs::copy(&files.key, folder.join("https.key")).unwrap();
        std::fs::copy(&files.certificate, folder.join("https.pem")).unwrap();
    };
    install(&identities[0]);
    let config = "address = '127.0.0.1:0'\ninterval = '1s'\n[https]\naddress = '127.0.0.1:0'\n\
                  authentication = 'tls'\nidentity = { certificate = 'https.pem', key = 'https.key' }";
    let mut config: PublicationConfig = uuk_globalconf::from_toml(config).unwrap();
    assert_eq!(config.problems(), Vec::<String>::new());
    config.resolve(folder);
    let publisher = Publisher::build(config, published.central.clone(), published.world.keys.clone());
    let publisher = publisher.await.unwrap();
    let base = format!("https://{}", publisher.https_address().unwrap());
    published.tasks.spawn(publisher.run(published.stop.clone()));

    let get = async |authority: &TlsAuthority| {
        let mut config = UpstreamConfig::new(&base);
        config.authorities = Some(authority.certificate());
        config.networks = vec!["127.0.0.0/8".parse().unwrap()];
        let request = http::Request::get("/internalconf?version=6").body(Bytes::new()).unwrap();
        let upstream = Upstream::build(&config).unwrap();
        upstream.send(request, Instant::now() + PATIENCE, 1 << 20).await
    };
    let reply = get(&authorities[0]).await.unwrap();
    let anchor = published.anchor().await;
    let now = published.world.now();
    SignedDirectory::verify(reply.body(), &anchor.sources[0].certificates, now).unwrap();
    assert!(get(&authorities[1]).await.is_err());

    install(&identities[1]);
    published.until("renewed", async || get(&authorities[1]).await.is_ok()).await;
    assert!(get(&authorities[0]).await.is_err());
    published.stop().await;
}

#[test]
fn https_asks_members_for_no_certificate() {
    let config = "[https]\naddress = '127.0.0.1:0'";
    let config: PublicationConfig = uuk_globalconf::from_toml(config).unwrap();
    assert!(config.problems()[0].starts_with("publication.https.authentication"), "{:?}", config.problems());
}

#[tokio::test]
async fn every_version_says_what_is_registered() {
    let published = Published::start().await;
    let registry = published.central.snapshot().await.unwrap().registry;
    let registered = registry.servers()[&server(SERVER)].certificates.first().unwrap().certificate().unwrap();
    for version in Version::NEWEST_FIRST {
        let directory = published.directory("/internalconf", version).await;
        assert_eq!(directory.version(), version);
        assert_eq!(directory.expires(), published.world.now() + Duration::from_secs(600));
        let shared = published.file(&directory, SHARED_PARAMETERS).await;
        let shared = SharedParameters::read(&shared, version).unwrap();
        assert_eq!(shared.members[0].name, "Registry of people");
        let ss1 = shared.security_servers.iter().find(|one| one.id == server(SERVER)).unwrap();
        let sha1 = aws_lc_rs::digest::digest(&aws_lc_rs::digest::SHA1_FOR_LEGACY_USE_ONLY, registered.der());
        let expected = match version {
            Version::V2 => sha1.as_ref().to_vec(),
            _ => registered.digest(DigestAlgorithm::Sha256).as_bytes().to_vec(),
        };
        assert_eq!(ss1.certificate_hashes, [expected], "{version}");
        assert_eq!(ss1.clients, [client(SUBSYSTEM)]);
        assert_eq!(shared.sources.len(), usize::from(version > Version::V2));
        let private = published.file(&directory, PRIVATE_PARAMETERS).await;
        let private = PrivateParameters::read(&private).unwrap();
        assert_eq!(private.management_service.provider, client("KG/GOV/10000001/management"));
    }
    published.stop().await;
}

#[tokio::test]
async fn every_version_says_which_bundles_are_revoked() {
    let published = Published::start().await;
    let (bundle, now) = (Sha256::of(b"bundle"), published.world.now());
    let revoke = |registry: &mut uuk_central::Registry| registry.revoke_bundle(bundle, "wrong dates", now);
    published.central.change(&actor(), "revoke-bundle", revoke).await.unwrap();
    for version in Version::NEWEST_FIRST {
        published
            .until("the revocation", async || {
                let directory = published.directory("/internalconf", version).await;
                let governance = published.file(&directory, GOVERNANCE).await;
                InstanceGovernance::read(&governance).unwrap().revoked.contains(&bundle)
            })
            .await;
    }
    published.stop().await;
}

#[tokio::test]
async fn other_instances_are_told_no_private_parameters() {
    let published = Published::start().await;
    let directory = published.directory("/externalconf", Version::V6).await;
    let listed: Vec<_> = directory.files().iter().map(FileEntry::identifier).collect();
    assert_eq!(listed, [SHARED_PARAMETERS]);
    published.stop().await;
}

#[tokio::test]
async fn who_names_no_version_gets_the_second_and_unknown_ones_are_not_found() {
    let published = Published::start().await;
    let (_, second) = published.get("/internalconf").await;
    let (_, named) = published.get("/internalconf?version=2").await;
    assert_eq!(second, named);
    for path in ["/internalconf?version=7", "/internalconf?version=x", "/V6/shared-params.xml", "/"] {
        assert_eq!(published.get(path).await.0, StatusCode::NOT_FOUND, "{path}");
    }
    published.stop().await;
}

#[tokio::test]
async fn a_removed_certificate_is_gone_at_once_and_older_files_stay_while_they_count() {
    let published = Published::start().await;
    let before = published.directory("/internalconf", Version::V6).await;
    let registry = published.central.snapshot().await.unwrap().registry;
    let certificate = registry.servers()[&server(SERVER)].certificates.first().unwrap().sha256();
    let remove =
        |registry: &mut uuk_central::Registry| registry.remove_certificate(&server(SERVER), &certificate);
    published.central.change(&actor(), "remove-certificate", remove).await.unwrap();
    published
        .until("the new configuration", async || {
            let directory = published.directory("/internalconf", Version::V6).await;
            let shared = published.file(&directory, SHARED_PARAMETERS).await;
            let shared = SharedParameters::read(&shared, Version::V6).unwrap();
            shared.security_servers[0].certificate_hashes.is_empty()
        })
        .await;
    published.file(&before, SHARED_PARAMETERS).await;
    published.stop().await;
}

#[tokio::test]
async fn it_is_signed_anew_before_it_expires() {
    let published = Published::start().await;
    let before = published.directory("/internalconf", Version::V6).await.expires();
    published.world.clock.advance(Duration::from_secs(60));
    published
        .until("a later date", async || {
            published.directory("/internalconf", Version::V6).await.expires() > before
        })
        .await;
    published.stop().await;
}

#[tokio::test]
async fn members_with_an_old_anchor_and_new_parameters_follow_a_new_key() {
    let published = Published::start().await;
    let old = published.anchor().await;
    let now = published.world.now();
    let certificate = published.world.keys.generate("KG", now).unwrap();
    let new = certificate.sha256();
    let announce = |one: &mut uuk_central::Registry| one.announce_key(certificate.clone(), now);
    published.central.change(&actor(), "announce-key", announce).await.unwrap();
    // A member learns of the key from the parameters that the old one signs.
    let mut known = Vec::new();
    published
        .until("the announced key", async || {
            let (_, bytes) = published.get("/internalconf?version=6").await;
            let directory = SignedDirectory::verify(&bytes, &old.sources[0].certificates, now).unwrap();
            let shared = published.file(&directory, SHARED_PARAMETERS).await;
            known = SharedParameters::read(&shared, Version::V6).unwrap().sources[0]
                .internal_certificates
                .clone();
            known.len() == 2
        })
        .await;
    let lifetime = Duration::from_secs(600);
    published.world.clock.advance(lifetime);
    let later = published.world.now();
    let activate = |one: &mut uuk_central::Registry| one.activate_key(&new, lifetime, later);
    published.central.change(&actor(), "activate-key", activate).await.unwrap();
    published
        .until("the new key signs", async || {
            let (_, bytes) = published.get("/internalconf?version=6").await;
            assert!(SignedDirectory::verify(&bytes, &known, later).is_ok(), "no gap");
            SignedDirectory::verify(&bytes, &old.sources[0].certificates, later).is_err()
        })
        .await;
    published.stop().await;
}

#[tokio::test]
async fn what_is_published_fits_x_roads_schemas() {
    let published = Published::start().await;
    for version in Version::NEWEST_FIRST {
        let directory = published.directory("/internalconf", version).await;
        let shared = published.file(&directory, SHARED_PARAMETERS).await;
        validate(&format!("v{version}/shared-parameters.xsd"), &shared);
        let private = published.file(&directory, PRIVATE_PARAMETERS).await;
        validate(&format!("v{}/private-parameters.xsd", version.number().min(3)), &private);
    }
    validate("v2/private-parameters.xsd", published.anchor().await.write().as_bytes());
    published.stop().await;
}

fn validate(schema: &str, content: &[u8]) {
    let schemas = concat!(env!("CARGO_MANIFEST_DIR"), "/../../tests/fixtures/x-road-schemas/globalconf");
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("file.xml");
    std::fs::write(&file, content).unwrap();
    let schema = Path::new(schemas).join(schema);
    let output = Command::new("xmllint").args(["--noout", "--schema"]).arg(&schema).arg(&file).output();
    let Ok(output) = output else { return fixtures::skip("xmllint is not installed") };
    let said = String::from_utf8_lossy(&output.stderr);
    assert!(output.status.success(), "{}: {said}", schema.display());
}
