//! The client against real sources, each fault of which leaves the last good configuration in force.

#![expect(clippy::unwrap_used, reason = "what a test's helpers cannot do, the test reports")]

use std::fs;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;

use tempfile::TempDir;
use tokio_util::sync::CancellationToken;
use uuk_configuration_client::{
    AllowedFederations, ConfigurationClient, ConfigurationClientConfig, RefreshError,
};
use uuk_globalconf::{Anchor, GlobalConfiguration, Source, Version};
use uuk_pki::CertificateProfiles;
use uuk_process::Clock;
use uuk_testkit::network::{Fault, Instance, InstanceOptions, SourceFault, SourceOptions};
use uuk_testkit::tls_authority::TlsAuthority;

/// An instance with a server, and a client's folder with its anchor.
struct World {
    clock: Clock,
    instance: Instance,
    folder: TempDir,
}

impl World {
    async fn start() -> Self {
        Self::start_with(Version::V6).await
    }

    async fn start_with(newest: Version) -> Self {
        let clock = Clock::set_to("2026-11-22T12:00:00Z".parse().unwrap());
        let instance = start("KG", newest, &clock).await;
        instance.server("GOV/70000001/SS1", "192.0.2.1").unwrap().client("GOV/70000001/registry").unwrap();
        let world = Self { clock, instance, folder: tempfile::tempdir().unwrap() };
        world.write_anchor(&world.instance.anchor());
        world
    }

    fn write_anchor(&self, anchor: &Anchor) {
        fs::write(self.path("anchor.xml"), anchor.write()).unwrap();
    }

    fn path(&self, name: &str) -> PathBuf {
        self.folder.path().join(name)
    }

    /// A file of the instance on disk.
    fn kept(&self, name: &str) -> PathBuf {
        self.path("globalconf").join(name)
    }

    fn config(&self) -> ConfigurationClientConfig {
        ConfigurationClientConfig::new(self.path("anchor.xml"), self.path("globalconf"))
    }

    fn client(&self) -> ConfigurationClient {
        self.client_with(self.config())
    }

    fn client_with(&self, config: ConfigurationClientConfig) -> ConfigurationClient {
        ConfigurationClient::build(config, CertificateProfiles::default(), self.clock.clone()).unwrap()
    }
}

async fn start(name: &str, newest: Version, clock: &Clock) -> Instance {
    let source = SourceOptions { newest, ..SourceOptions::default() };
    let options = InstanceOptions { clock: clock.clone(), source, ..InstanceOptions::default() };
    Instance::start_with(name, options).await.unwrap()
}

fn in_force(client: &ConfigurationClient) -> Option<Arc<GlobalConfiguration>> {
    client.configuration().borrow().clone()
}

fn instances(client: &ConfigurationClient, clock: &Clock) -> Vec<String> {
    let configuration = in_force(client).unwrap();
    configuration.instances(clock.now()).map(|one| one.shared().instance.clone()).collect()
}

/// How many servers the instance has in what is in force.
fn servers(client: &ConfigurationClient, clock: &Clock) -> usize {
    let configuration = in_force(client).unwrap();
    configuration.instance("KG", clock.now()).unwrap().shared().security_servers.len()
}

/// That a refresh fails with `code`, says so, and leaves the configuration as it was.
async fn check_fails(client: &ConfigurationClient, code: &str) {
    let before = in_force(client).map(|configuration| Arc::as_ptr(&configuration));
    let error = client.refresh_once().await.unwrap_err();
    assert_eq!(error.code(), code, "{error:?}");
    assert_eq!(client.status().borrow().problem.as_ref().unwrap().code, code);
    assert_eq!(in_force(client).map(|configuration| Arc::as_ptr(&configuration)), before);
}

async fn check_refused(fault: SourceFault, code: &str) {
    let world = World::start().await;
    let client = world.client();
    client.refresh_once().await.unwrap();
    world.instance.server("GOV/70000002/SS2", "192.0.2.2").unwrap();
    world.instance.source.publish(fault).unwrap();
    check_fails(&client, code).await;
    assert_eq!(servers(&client, &world.clock), 1);
    world.instance.source.publish(SourceFault::None).unwrap();
    client.refresh_once().await.unwrap();
    assert_eq!(servers(&client, &world.clock), 2);
    assert_eq!(client.status().borrow().problem, None);

    let nothing = tempfile::tempdir().unwrap();
    world.instance.source.publish(fault).unwrap();
    let config = ConfigurationClientConfig::new(world.path("anchor.xml"), nothing.path());
    let other = world.client_with(config);
    check_fails(&other, code).await;
    assert_eq!(fs::read_dir(nothing.path()).unwrap().count(), 0, "nothing of it is kept");
}

#[tokio::test]
async fn publishes_what_the_source_says() {
    let world = World::start().await;
    let client = world.client();
    assert!(in_force(&client).is_none());
    client.refresh_once().await.unwrap();
    let configuration = in_force(&client).unwrap();
    configuration.check(world.clock.now()).unwrap();
    assert!(configuration.is_registered(&"KG/GOV/70000001/registry".parse().unwrap(), world.clock.now()));
    let status = client.status().borrow().clone();
    assert_eq!(status.expires.unwrap().to_string(), "2026-11-22T12:10:00Z");
    assert_eq!(status.refreshed, Some(world.clock.now()));
}

#[tokio::test]
async fn follows_what_changes_and_downloads_nothing_else() {
    let world = World::start().await;
    let client = world.client();
    client.refresh_once().await.unwrap();
    let requests = world.instance.source.requests();
    client.refresh_once().await.unwrap();
    // Asked with TLS first, which the source does not speak and so does not count.
    assert_eq!(world.instance.source.requests(), requests + 1, "only the directory");
    let ss2 = world.instance.server("GOV/70000002/SS2", "192.0.2.2").unwrap();
    world.instance.server("GOV/70000002/SS3", "192.0.2.3").unwrap();
    client.refresh_once().await.unwrap();
    assert_eq!(servers(&client, &world.clock), 3);
    world.instance.remove_server(ss2.id()).unwrap();
    client.refresh_once().await.unwrap();
    assert_eq!(servers(&client, &world.clock), 2);
}

#[tokio::test]
async fn takes_the_newest_version_that_there_is() {
    for newest in Version::NEWEST_FIRST {
        let world = World::start_with(newest).await;
        let client = world.client();
        for _ in 0..2 {
            client.refresh_once().await.unwrap();
            let configuration = in_force(&client).unwrap();
            let instance = configuration.instance("KG", world.clock.now()).unwrap();
            assert_eq!(instance.shared().version, newest);
        }
        let restarted = world.client();
        let configuration = in_force(&restarted).unwrap();
        assert_eq!(configuration.instance("KG", world.clock.now()).unwrap().shared().version, newest);
    }
}

#[tokio::test]
async fn refuses_an_expired_directory() {
    check_refused(SourceFault::Expired, "signed_directory.expired").await;
}

#[tokio::test]
async fn refuses_a_directory_that_someone_else_signed() {
    check_refused(SourceFault::ForeignSignature, "signed_directory.wrong_signature").await;
}

#[tokio::test]
async fn refuses_an_altered_directory() {
    check_refused(SourceFault::AlteredDirectory, "signed_directory.wrong_signature").await;
}

#[tokio::test]
async fn refuses_a_truncated_directory() {
    check_refused(SourceFault::TruncatedDirectory, "signed_directory.missing_signature").await;
}

#[tokio::test]
async fn refuses_an_oversized_directory() {
    check_refused(SourceFault::OversizedDirectory, "configuration_source.too_large").await;
}

#[tokio::test]
async fn refuses_files_of_another_instance() {
    check_refused(SourceFault::OtherInstance, "signed_directory.wrong_instance").await;
}

#[tokio::test]
async fn refuses_files_that_say_another_instance_inside() {
    check_refused(SourceFault::OtherInstanceInside, "signed_directory.wrong_instance").await;
}

#[tokio::test]
async fn refuses_files_that_are_not_those_listed() {
    check_refused(SourceFault::AlteredFiles, "signed_directory.wrong_file").await;
}

#[tokio::test]
async fn refuses_truncated_files() {
    check_refused(SourceFault::TruncatedFiles, "signed_directory.wrong_file").await;
}

#[tokio::test]
async fn refuses_oversized_files() {
    check_refused(SourceFault::OversizedFiles, "configuration_source.too_large").await;
}

#[tokio::test]
async fn refuses_a_directory_whose_files_are_missing() {
    check_refused(SourceFault::MissingFiles, "configuration_source.status").await;
}

#[tokio::test]
async fn refuses_a_directory_without_shared_parameters() {
    check_refused(SourceFault::NoSharedParameters, "configuration_source.no_shared_parameters").await;
}

#[tokio::test]
async fn refuses_a_directory_with_too_many_files() {
    let world = World::start().await;
    for number in 0..40 {
        world.instance.publish("PART", &format!("part-{number}.xml"), b"").unwrap();
    }
    check_fails(&world.client(), "configuration_source.too_many_files").await;
}

#[tokio::test]
async fn refuses_parameters_that_cannot_be_read() {
    check_refused(SourceFault::UnreadableParameters, "configuration_source.parameters").await;
}

#[tokio::test]
async fn keeps_the_last_good_one_while_the_source_is_down_until_that_expires() {
    let world = World::start().await;
    let client = world.client();
    client.refresh_once().await.unwrap();
    for (fault, code) in [
        (Fault::Down, "configuration_source.unreachable"),
        (Fault::Unavailable, "configuration_source.status"),
        (Fault::Garbage, "signed_directory.malformed"),
    ] {
        world.instance.source.fail(fault);
        check_fails(&client, code).await;
    }
    let configuration = in_force(&client).unwrap();
    world.clock.advance(Duration::from_secs(600));
    assert!(configuration.check(world.clock.now()).is_ok());
    world.clock.advance(Duration::from_secs(1));
    assert!(configuration.check(world.clock.now()).is_err());
    world.instance.source.fail(Fault::None);
    client.refresh_once().await.unwrap();
    in_force(&client).unwrap().check(world.clock.now()).unwrap();
}

#[tokio::test]
async fn refuses_an_address_that_is_none() {
    let world = World::start().await;
    let anchor = world.instance.anchor();
    let sources = anchor.sources.iter().cloned();
    let sources = sources.map(|source| Source { url: "http://user@cs/internalconf".into(), ..source });
    world.write_anchor(&Anchor { sources: sources.collect(), ..anchor.clone() });
    check_fails(&world.client(), "configuration_source.address").await;
}

#[tokio::test]
async fn starts_from_disk_while_that_counts() {
    let world = World::start().await;
    world.client().refresh_once().await.unwrap();
    world.instance.source.fail(Fault::Down);
    let restarted = world.client();
    assert_eq!(servers(&restarted, &world.clock), 1);
    check_fails(&restarted, "configuration_source.unreachable").await;
    world.clock.advance(Duration::from_secs(601));
    assert!(in_force(&world.client()).is_none(), "it has expired");
}

#[tokio::test]
async fn what_is_left_of_a_write_that_was_cut_off_does_no_harm() {
    let world = World::start().await;
    world.client().refresh_once().await.unwrap();
    let (old_metadata, shared) =
        (world.kept("KG/shared-params.xml.metadata"), world.kept("KG/shared-params.xml"));
    let before = fs::read(&old_metadata).unwrap();
    world.clock.advance(Duration::from_secs(60));
    world.instance.server("GOV/70000002/SS2", "192.0.2.2").unwrap();
    world.client().refresh_once().await.unwrap();
    // As if it had been killed between a file and its metadata, and in the middle of the next file.
    fs::write(&old_metadata, before).unwrap();
    fs::write(world.kept("KG/private-params.xml.new"), "<x:conf").unwrap();
    let restarted = world.client();
    assert_eq!(servers(&restarted, &world.clock), 2);
    assert_eq!(restarted.status().borrow().expires.unwrap().to_string(), "2026-11-22T12:10:00Z");
    restarted.refresh_once().await.unwrap();
    assert!(!world.kept("KG/private-params.xml.new").exists());

    // As if the disk had lost what it said it had.
    fs::write(&shared, "").unwrap();
    let restarted = world.client();
    assert!(in_force(&restarted).is_none());
    restarted.refresh_once().await.unwrap();
    assert_eq!(servers(&restarted, &world.clock), 2);
    assert!(fs::metadata(&shared).unwrap().len() > 0);
}

#[tokio::test]
async fn keeps_files_as_x_road_does_and_removes_those_no_longer_listed() {
    let world = World::start().await;
    world.instance.publish("CATALOG", "catalog.toml", b"# nothing yet").unwrap();
    let client = world.client();
    client.refresh_once().await.unwrap();
    assert_eq!(fs::read_to_string(world.kept("instance-identifier")).unwrap(), "KG");
    assert_eq!(fs::read_to_string(world.kept("KG/catalog.toml")).unwrap(), "# nothing yet");
    let metadata = fs::read_to_string(world.kept("KG/shared-params.xml.metadata")).unwrap();
    for part in [
        r#""contentIdentifier":"SHARED-PARAMETERS""#,
        r#""instanceIdentifier":"KG""#,
        r#""expirationDate":"2026-11-22T12:10:00Z""#,
        r#""configurationVersion":"6""#,
    ] {
        assert!(metadata.contains(part), "{metadata}");
    }
    world.instance.source.change(|content| content.extra.clear()).unwrap();
    client.refresh_once().await.unwrap();
    let mut names: Vec<_> = fs::read_dir(world.kept("KG"))
        .unwrap()
        .map(|entry| entry.unwrap().file_name().into_string().unwrap())
        .collect();
    names.sort();
    let expected = [
        "private-params.xml",
        "private-params.xml.metadata",
        "shared-params.xml",
        "shared-params.xml.metadata",
    ];
    assert_eq!(names, expected);
}

#[tokio::test]
async fn stays_in_force_when_the_disk_refuses() {
    let world = World::start().await;
    fs::write(world.path("globalconf"), "a file in the place of the folder").unwrap();
    let client = world.client();
    client.refresh_once().await.unwrap();
    assert_eq!(servers(&client, &world.clock), 1);
    assert_eq!(client.status().borrow().not_kept.as_ref().unwrap().code, "configuration_store.write");
    fs::remove_file(world.path("globalconf")).unwrap();
    client.refresh_once().await.unwrap();
    assert_eq!(client.status().borrow().not_kept, None);
    assert_eq!(servers(&world.client(), &world.clock), 1);
}

#[tokio::test]
async fn reads_optional_parts_and_passes_over_broken_ones() {
    let world = World::start().await;
    let next_update = b"<conf><verifyNextUpdate>false</verifyNextUpdate></conf>";
    let namespaced = |xml: &[u8]| {
        let xml = String::from_utf8(xml.to_vec()).unwrap();
        xml.replace("<conf>", "<x:conf xmlns:x=\"http://x-road.eu/xsd/xroad.xsd\">")
            .replace("</conf>", "</x:conf>")
    };
    let next_update = namespaced(next_update);
    world.instance.publish("NEXTUPDATE", "nextupdate-params.xml", next_update.as_bytes()).unwrap();
    world.instance.publish("FETCHINTERVAL", "fetchinterval-params.xml", b"<conf").unwrap();
    let client = world.client();
    client.refresh_once().await.unwrap();
    let configuration = in_force(&client).unwrap();
    assert!(!configuration.extensions().verify_next_update);
    assert_eq!(configuration.extensions().ocsp_fetch_interval, Duration::from_secs(1200));
}

#[tokio::test]
async fn follows_a_new_key_that_was_announced_before() {
    let world = World::start().await;
    let client = world.client();
    client.refresh_once().await.unwrap();
    world.instance.source.announce_key().unwrap();
    client.refresh_once().await.unwrap();
    world.instance.source.use_newest_key().unwrap();
    // The anchor does not know the key; the configuration in force does.
    client.refresh_once().await.unwrap();
    in_force(&world.client()).unwrap();

    let unprepared = tempfile::tempdir().unwrap();
    let config = ConfigurationClientConfig::new(world.path("anchor.xml"), unprepared.path());
    let unprepared = world.client_with(config);
    check_fails(&unprepared, "signed_directory.unknown_certificate").await;
    world.write_anchor(&world.instance.anchor());
    unprepared.refresh_once().await.unwrap();
}

#[tokio::test]
async fn goes_on_to_the_next_source() {
    let world = World::start().await;
    let good = world.instance.anchor().sources.remove(0);
    let other = start("KG", Version::V6, &world.clock).await;
    let wrong = Source { certificates: good.certificates.clone(), ..other.anchor().sources.remove(0) };
    let dead = Source { url: "http://127.0.0.1:1/internalconf".into(), ..good.clone() };
    let anchor = Anchor { sources: vec![dead.clone(), wrong.clone(), good], ..world.instance.anchor() };
    world.write_anchor(&anchor);
    for _ in 0..5 {
        let folder = tempfile::tempdir().unwrap();
        let config = ConfigurationClientConfig::new(world.path("anchor.xml"), folder.path());
        world.client_with(config).refresh_once().await.unwrap();
    }
    // What a source answers says more than that another does not.
    world.write_anchor(&Anchor { sources: vec![wrong, dead], ..anchor });
    let error = world.client().refresh_once().await.unwrap_err();
    assert_eq!(error.code(), "signed_directory.unknown_certificate");
    let RefreshError::Unavailable { tried, .. } = error else { panic!("{error:?}") };
    assert_eq!(tried, 4, "each with and without TLS");
}

#[tokio::test]
async fn follows_other_instances_only_if_allowed() {
    let world = World::start().await;
    let [kz, uz] = ["KZ", "UZ"].map(|name| start(name, Version::V6, &world.clock));
    let (kz, uz) = (kz.await, uz.await);
    world.instance.federate(&kz).unwrap();
    world.instance.federate(&uz).unwrap();
    let listed = AllowedFederations::Listed(["KZ".to_owned()].into());
    for (allowed_federations, expected) in [
        (AllowedFederations::All, vec!["KG", "KZ", "UZ"]),
        (listed, vec!["KG", "KZ"]),
        (AllowedFederations::None, vec!["KG"]),
    ] {
        let config = ConfigurationClientConfig { allowed_federations, ..world.config() };
        let client = world.client_with(config.clone());
        client.refresh_once().await.unwrap();
        assert_eq!(instances(&client, &world.clock), expected);
        assert_eq!(instances(&world.client_with(config), &world.clock), expected, "from disk");
        assert_eq!(world.kept("UZ").exists(), expected.contains(&"UZ"));
    }
}

#[tokio::test]
async fn another_instance_that_fails_stays_until_it_expires_and_stops_nothing() {
    let world = World::start().await;
    let kz = start("KZ", Version::V3, &world.clock).await;
    world.instance.federate(&kz).unwrap();
    let config = ConfigurationClientConfig { allowed_federations: AllowedFederations::All, ..world.config() };
    let client = world.client_with(config);
    client.refresh_once().await.unwrap();
    assert!(!world.kept("KZ/private-params.xml").exists());
    kz.source.fail(Fault::Down);
    client.refresh_once().await.unwrap();
    assert_eq!(instances(&client, &world.clock), ["KG", "KZ"]);
    world.clock.advance(Duration::from_secs(601));
    client.refresh_once().await.unwrap();
    assert_eq!(instances(&client, &world.clock), ["KG"]);
    kz.source.fail(Fault::None);
    client.refresh_once().await.unwrap();
    assert_eq!(instances(&client, &world.clock), ["KG", "KZ"]);
    world.instance.part_from(&kz).unwrap();
    client.refresh_once().await.unwrap();
    assert_eq!(instances(&client, &world.clock), ["KG"]);
    assert!(!world.kept("KZ").exists());
}

#[tokio::test]
async fn no_other_instance_takes_the_place_of_our_own() {
    let world = World::start().await;
    let pretender = start("KG", Version::V6, &world.clock).await;
    world.instance.federate(&pretender).unwrap();
    let config = ConfigurationClientConfig { allowed_federations: AllowedFederations::All, ..world.config() };
    let client = world.client_with(config);
    client.refresh_once().await.unwrap();
    assert_eq!(servers(&client, &world.clock), 1);
    assert_eq!(pretender.source.requests(), 0);
}

/// Copies what a client downloaded, as someone does who carries it to a machine without network.
fn carry(from: &Path, to: &Path) {
    fs::create_dir_all(to).unwrap();
    for entry in fs::read_dir(from).unwrap() {
        let entry = entry.unwrap();
        if entry.path().is_dir() {
            carry(&entry.path(), &to.join(entry.file_name()));
        } else {
            fs::copy(entry.path(), to.join(entry.file_name())).unwrap();
        }
    }
}

#[tokio::test]
async fn without_anchor_takes_what_is_put_into_the_folder() {
    let world = World::start().await;
    let config = ConfigurationClientConfig { anchor: None, folder: world.path("carried"), ..world.config() };
    let carried = world.client_with(config);
    check_fails(&carried, "global_configuration.missing_main_instance").await;
    world.client().refresh_once().await.unwrap();
    carry(&world.path("globalconf"), &world.path("carried"));
    carried.refresh_once().await.unwrap();
    assert_eq!(servers(&carried, &world.clock), 1);
    world.clock.advance(Duration::from_secs(601));
    check_fails(&carried, "global_configuration.outdated").await;
}

/// That what is in the folder is refused with `code` after `spoil`.
async fn check_spoilt(spoil: impl FnOnce(&World), code: &str) {
    let world = World::start().await;
    world.client().refresh_once().await.unwrap();
    let handed_over = world.client_with(ConfigurationClientConfig { anchor: None, ..world.config() });
    handed_over.refresh_once().await.unwrap();
    spoil(&world);
    check_fails(&handed_over, code).await;
    assert_eq!(servers(&handed_over, &world.clock), 1, "the last good one");
}

#[tokio::test]
async fn refuses_a_folder_that_is_none() {
    let spoil = |world: &World| {
        fs::remove_dir_all(world.path("globalconf")).unwrap();
        fs::write(world.path("globalconf"), "").unwrap();
    };
    check_spoilt(spoil, "configuration_store.read").await;
}

#[tokio::test]
async fn refuses_metadata_that_cannot_be_read() {
    let spoil = |world: &World| fs::write(world.kept("KG/shared-params.xml.metadata"), "{").unwrap();
    check_spoilt(spoil, "configuration_store.metadata").await;
}

#[tokio::test]
async fn refuses_a_file_without_metadata() {
    let spoil = |world: &World| fs::remove_file(world.kept("KG/private-params.xml.metadata")).unwrap();
    check_spoilt(spoil, "configuration_store.read").await;
}

#[tokio::test]
async fn refuses_a_file_of_an_unknown_version() {
    let spoil = |world: &World| {
        let path = world.kept("KG/shared-params.xml.metadata");
        let metadata = fs::read_to_string(&path).unwrap();
        fs::write(&path, metadata.replace(r#"Version":"6""#, r#"Version":"7""#)).unwrap();
    };
    check_spoilt(spoil, "configuration_store.version").await;
}

#[tokio::test]
async fn refuses_files_on_disk_that_are_of_another_instance() {
    let spoil = |world: &World| {
        let path = world.kept("KG/private-params.xml");
        let parameters = fs::read_to_string(&path).unwrap();
        fs::write(&path, parameters.replacen(">KG<", ">KZ<", 1)).unwrap();
    };
    check_spoilt(spoil, "configuration_store.unusable").await;
}

/// The same source, to be asked with TLS only.
fn with_tls_only(anchor: Anchor) -> Anchor {
    let sources = anchor.sources.into_iter();
    let sources = sources.map(|source| Source { url: source.url.replace("http:", "https:"), ..source });
    Anchor { sources: sources.collect(), ..anchor }
}

#[tokio::test]
async fn asks_with_tls_if_a_known_authority_vouches_for_the_source() {
    let mut world = World::start().await;
    let [known, unknown] = [TlsAuthority::new().unwrap(), TlsAuthority::new().unwrap()];
    let source = SourceOptions { tls: Some(known.server("cs").unwrap()), ..SourceOptions::default() };
    let options = InstanceOptions { clock: world.clock.clone(), source, ..InstanceOptions::default() };
    world.instance = Instance::start_with("KG", options).await.unwrap();
    let anchor = world.instance.anchor();
    let client = |authority: &TlsAuthority| {
        world
            .client_with(ConfigurationClientConfig { authorities: authority.certificate(), ..world.config() })
    };

    world.write_anchor(&with_tls_only(anchor.clone()));
    check_fails(&client(&unknown), "configuration_source.unreachable").await;
    client(&known).refresh_once().await.unwrap();

    world.write_anchor(&anchor);
    client(&unknown).refresh_once().await.unwrap();
}

#[tokio::test]
async fn refuses_to_begin_without_its_anchor() {
    let world = World::start().await;
    let begin =
        || ConfigurationClient::build(world.config(), CertificateProfiles::default(), world.clock.clone());
    fs::write(world.path("anchor.xml"), "<anchor/>").unwrap();
    assert_eq!(begin().unwrap_err().code(), "configuration_client.anchor_malformed");
    fs::remove_file(world.path("anchor.xml")).unwrap();
    assert_eq!(begin().unwrap_err().code(), "configuration_client.anchor_unreadable");
}

#[tokio::test]
async fn runs_until_it_is_stopped() {
    let world = World::start().await;
    let config = ConfigurationClientConfig { update_interval: Duration::from_millis(10), ..world.config() };
    let client = world.client_with(config);
    let (mut configuration, stop) = (client.configuration(), CancellationToken::new());
    let running = tokio::spawn(client.clone().run(stop.clone()));
    let has_two = |configuration: &Option<Arc<GlobalConfiguration>>| {
        configuration.as_ref().is_some_and(|configuration| {
            configuration.instance("KG", world.clock.now()).unwrap().shared().security_servers.len() == 2
        })
    };
    configuration.wait_for(Option::is_some).await.unwrap();
    world.instance.source.fail(Fault::Down);
    client.status().wait_for(|status| status.problem.is_some()).await.unwrap();
    world.instance.server("GOV/70000002/SS2", "192.0.2.2").unwrap();
    world.instance.source.fail(Fault::None);
    tokio::time::timeout(Duration::from_secs(30), configuration.wait_for(has_two)).await.unwrap().unwrap();
    stop.cancel();
    running.await.unwrap();
}
