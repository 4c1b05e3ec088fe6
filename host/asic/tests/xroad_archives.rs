//! The linked archives of the X-Road project.

#![expect(clippy::unwrap_used, reason = "what a test's helpers cannot do, the test reports")]

use std::io::Read;

use uuk_asic::{LINKING_INFO, LinkingInfo, MessageContainer};
use uuk_pki::{Digest, DigestAlgorithm};
use uuk_testkit::fixtures;

/// A container's file name and content.
type NamedContainer = (String, Vec<u8>);

/// The linking information of `message-archive-<number>.zip` and its other entries.
fn read(number: u8) -> Option<(Vec<u8>, Vec<NamedContainer>)> {
    let path = fixtures::folder()?.join(format!("xroad/archive/message-archive-{number}.zip"));
    let mut zip = zip::ZipArchive::new(std::fs::File::open(path).unwrap()).unwrap();
    let names: Vec<String> = zip.file_names().map(|name| name.unwrap().into_owned()).collect();
    let mut entries = names.into_iter().map(|name| {
        let mut bytes = Vec::new();
        zip.by_name(&name).unwrap().read_to_end(&mut bytes).unwrap();
        (name, bytes)
    });
    let (linking, containers): (Vec<_>, Vec<_>) =
        entries.by_ref().partition(|(name, _)| name == LINKING_INFO);
    Some((linking.into_iter().next().unwrap().1, containers))
}

fn digests(containers: &[NamedContainer]) -> Vec<(&str, Digest)> {
    containers.iter().map(|(name, bytes)| (name.as_str(), DigestAlgorithm::Sha512.digest(bytes))).collect()
}

#[test]
fn follows_one_archive_to_the_next() {
    let (Some((first, first_containers)), Some((second, second_containers))) = (read(0), read(1)) else {
        return;
    };
    let first = LinkingInfo::read(&first).unwrap();
    first.verify(Some(""), digests(&first_containers)).unwrap();
    let second = LinkingInfo::read(&second).unwrap();
    second.verify(Some(first.last_digest()), digests(&second_containers)).unwrap();
    assert_eq!((first.entries.len(), second.entries.len()), (1, 20));
}

#[test]
fn writes_the_very_linking_information() {
    let Some((linking, containers)) = read(1) else { return };
    let read = LinkingInfo::read(&linking).unwrap();
    let mut written = LinkingInfo::new(read.previous.clone());
    for entry in &read.entries {
        let (name, bytes) = containers.iter().find(|(name, _)| *name == entry.file_name).unwrap();
        written.push(name.clone(), &DigestAlgorithm::Sha512.digest(bytes));
    }
    assert_eq!(written.write().into_bytes(), linking);
}

#[test]
fn reads_every_container_in_them() {
    let (Some((_, first)), Some((_, second))) = (read(0), read(1)) else { return };
    for (name, bytes) in first.iter().chain(&second) {
        let container = MessageContainer::read(bytes).unwrap_or_else(|error| panic!("{name}: {error}"));
        assert!(container.others.is_empty(), "{name}: {:?}", container.others);
        let written = container.write().unwrap();
        assert_eq!(MessageContainer::read(&written).unwrap(), container, "{name}");
    }
}
