//! What evidence proves is the same for us and for X-Road, and said in words.

use std::collections::BTreeMap;

use uuk_asic::Outcome;
use uuk_messagelog::{
    ConfigurationFiles, Direction, Disproof, Judge, LoggedAttachment, Report, read_configuration,
    unpack_configuration, verify,
};
use uuk_pki::CertificateProfiles;
use uuk_testkit::fixtures;

use crate::world::{Database, World};

fn fixture(name: &str) -> Option<Vec<u8>> {
    let path = fixtures::folder()?.join("xroad").join(name);
    Some(std::fs::read(&path).unwrap_or_else(|error| panic!("{}: {error}", path.display())))
}

/// The configuration by which X-Road's own tests judge its containers.
fn files() -> Option<ConfigurationFiles> {
    let mut files = BTreeMap::new();
    for name in ["instance-identifier", "DEV/shared-params.xml", "DEV/shared-params.xml.metadata"] {
        files.insert(name.to_owned(), fixture(&format!("globalconf/globalconf_good2_v3/{name}"))?);
    }
    Some(files)
}

fn judge(name: &str) -> Option<Report> {
    let configuration = read_configuration(&files()?, &CertificateProfiles::default()).unwrap();
    Some(verify(&fixture(name)?, &Judge::by(&configuration)).unwrap())
}

#[test]
fn says_of_every_container_what_x_road_says() {
    for (name, expected) in [
        ("valid-signed-message", "ok"),
        ("valid-signed-hashchain", "ok"),
        ("valid-batch-ts", "ok"),
        ("valid-non-batch-rest", "ok"),
        ("valid-non-batch-soap-attachments", "ok"),
        ("invalid-not-signed-hashchain", "ok"),
        ("wrong-message", "invalid_signature_value"),
        ("invalid-digest", "invalid_signature_value"),
        ("invalid-signed-hashchain", "malformed_signature.invalid_hash_chain_ref"),
        ("invalid-hashchain-modified-message", "malformed_signature.hashchain_unused_inputs"),
        ("attachments", "asic_message_not_found"),
    ] {
        let Some(report) = judge(&format!("asic/verifier/{name}.asice")) else { return };
        assert!(report.archive.is_none());
        let container = &report.containers[0];
        let code = container.verdict.as_ref().map_or_else(Disproof::xroad_code, |_| "ok".to_owned());
        assert_eq!(code, expected, "{name}: {container:#?}");
    }
}

#[test]
fn explains_each_step() {
    let Some(report) = judge("asic/verifier/valid-batch-ts.asice") else { return };
    let container = &report.containers[0];
    let names = container.message.as_ref().unwrap();
    assert_eq!((names.direction, names.sender.to_string()), (Direction::Request, "DEV/COM/4321".to_owned()));
    let steps: Vec<_> = container.steps.iter().map(|step| step.check.as_str()).collect();
    let expected = [
        "container",
        "message",
        "signature document",
        "time-stamp",
        "what is signed",
        "signer",
        "signature",
        "certificate",
    ];
    assert_eq!(steps, expected);
    assert!(container.steps.iter().all(|step| matches!(step.outcome, Outcome::Passed(_))));
}

#[test]
fn follows_x_roads_archives_and_names_what_they_lack() {
    let Some(first) = judge("archive/message-archive-0.zip") else { return };
    let first_archive = first.archive.unwrap().unwrap();
    assert_eq!((first_archive.previous, first_archive.containers), (None, 1));
    let configuration = read_configuration(&files().unwrap(), &CertificateProfiles::default()).unwrap();
    let second = fixture("archive/message-archive-1.zip").unwrap();
    let judge = |previous: &str| {
        verify(&second, &Judge { previous: Some(previous), ..Judge::by(&configuration) }).unwrap()
    };
    let report = judge(&first_archive.last_digest);
    assert_eq!(report.archive.unwrap().unwrap().containers, 20);
    // The archives are of an instance whose configuration nobody has kept.
    for container in &report.containers {
        let disproof = container.verdict.as_ref().unwrap_err();
        assert_eq!(disproof.code(), "evidence.unknown_instance", "{disproof}");
    }
    let other = judge(&"0".repeat(128));
    assert_eq!(other.archive.unwrap().unwrap_err().code(), "archive.not_linked");
}

#[test]
fn refuses_what_is_no_evidence() {
    let Some(files) = files() else { return };
    let configuration = read_configuration(&files, &CertificateProfiles::default()).unwrap();
    let error = verify(b"text", &Judge::by(&configuration)).unwrap_err();
    assert_eq!(error.code(), "container.not_a_container");
}

#[test]
fn refuses_files_that_are_no_configuration() {
    let Some(files) = files() else { return };
    let read = |files: &ConfigurationFiles| {
        read_configuration(files, &CertificateProfiles::default()).unwrap_err().code()
    };
    let shared = "DEV/shared-params.xml";
    let without = |name: &str| files.clone().into_iter().filter(|(known, _)| known != name).collect();
    let with = |name: &str, content: &[u8]| {
        files.clone().into_iter().chain([(name.to_owned(), content.to_vec())]).collect()
    };
    assert_eq!(read(&without("instance-identifier")), "configuration_files.no_identifier");
    assert_eq!(read(&without(shared)), "global_configuration.missing_main_instance");
    assert_eq!(read(&with(shared, b"<conf/>")), "configuration_files.parameters");
    assert_eq!(read(&with(&format!("{shared}.metadata"), b"{")), "configuration_files.metadata");
    assert_eq!(unpack_configuration(b"zip").unwrap_err().code(), "container.not_a_container");
}

#[tokio::test]
async fn leaves_out_what_is_too_large_and_says_so() {
    let mut world = World::new(Database::Sqlite).await.unwrap();
    world.config.attachment_bytes_max = 3;
    let running = world.run().await;
    let record = world.record("large", b"four");
    let digest = uuk_pki::DigestAlgorithm::Sha512.digest(b"four");
    let told =
        uuk_messagelog::NewRecord { attachments: vec![LoggedAttachment::LeftOut(digest)], ..record.clone() };
    for record in [record, told] {
        let id = running.log.append(record).await.unwrap();
        let exported = running.log.export(id, true).await.unwrap();
        let report = world.verify(&exported.bytes, None);
        assert!(report.is_valid(), "{report:#?}");
        let covered = report.containers[0].steps.iter().find(|step| step.check == "what is signed").unwrap();
        let Outcome::Passed(words) = &covered.outcome else { panic!("{covered:?}") };
        assert_eq!(words, "/message.xml; signed but not in the container: /attachment1");
    }
    running.stop().await;
}

#[tokio::test]
async fn encrypted_records_are_the_same_evidence() {
    let mut world = World::new(Database::Sqlite).await.unwrap();
    let file = world.folder.path().join("key");
    std::fs::write(&file, [7; 32]).unwrap();
    world.config.encryption_keys = vec![uuk_messagelog::EncryptionKey { id: "first".to_owned(), file }];
    let running = world.run().await;
    let id = running.log.append(world.record("secret", b"a body that nobody should read")).await.unwrap();
    let exported = running.log.export(id, true).await.unwrap();
    assert!(world.verify(&exported.bytes, None).is_valid());
    let archive = running.log.archive().await.unwrap().remove(0);
    let file = std::fs::read(world.archive_folder().join(archive.file_name)).unwrap();
    assert!(world.verify(&file, Some("")).is_valid());
    running.stop().await;
    for file in ["log.db", "log.db-wal"] {
        let stored = std::fs::read(world.folder.path().join(file)).unwrap_or_default();
        assert!(!stored.windows(14).any(|window| window == b"nobody should "), "{file}");
    }

    // Without the key, it says which is missing.
    world.config.encryption_keys.clear();
    let log = world.build().await;
    assert_eq!(log.export(id, false).await.unwrap_err().code(), "message_log.key_missing");
}
