use std::collections::BTreeMap;

use uuk_asic::ContainerError;

use super::*;
use crate::manifest::ManifestError;
use crate::pack::pack;
use crate::sample;

#[test]
fn gives_every_part_its_place() {
    let bundle = sample::unsigned();
    let service = &bundle.manifest().services[0];
    assert_eq!(&**bundle.component(), b"\0asm\x0d\0\x01\0");
    assert_eq!(bundle.contract(service), b"openapi: 3.1.0\n");
    assert_eq!(&**bundle.sql("find-person").unwrap(), "SELECT pin, surname FROM person WHERE pin = :pin\n");
    assert_eq!(bundle.config_schema().unwrap(), b"{}\n");
    let fixtures: Vec<_> = bundle.fixtures().map(|part| part.name.as_str()).collect();
    assert_eq!(fixtures, ["fixtures/get-ok.json"]);
}

#[test]
fn the_same_parts_give_the_same_bytes() {
    let packed = pack(sample::parts()).unwrap();
    assert_eq!(packed, pack(sample::parts()).unwrap());
    // Also on other machines and in later versions: a bundle packed again from its sources has the digest that was
    // reviewed.
    let digest = "sha256:e8d9ceef90f5c1ee308af566ee92cf3e502c93a098d7b85ee27c78146f68ce97";
    assert_eq!(BundleDigest::of(&packed).to_string(), digest);
}

#[test]
fn manifest_and_component_come_first() {
    let bundle = sample::unsigned();
    let names: Vec<_> = bundle.parts().map(|part| part.name.as_str()).take(3).collect();
    assert_eq!(names, ["plugin.toml", "adapter.wasm", "config.schema.json"]);
}

#[test]
fn signing_leaves_the_content_digest() {
    let author = sample::Person::new("Author", uuk_testkit::authority::KeyKind::P256);
    let unsigned = sample::unsigned();
    let signed =
        sample::read(&crate::author::sign_author(&unsigned, &author.signer(), sample::now()).unwrap());
    assert_eq!(signed.content_digest(), unsigned.content_digest());
    assert_ne!(signed.digest(), unsigned.digest());
}

#[test]
fn refuses_a_bundle_without_component() {
    let error = pack(sample_with(|parts| drop(parts.remove("adapter.wasm")))).unwrap_err();
    assert!(matches!(&error, BundleError::MissingPart { name } if name == "adapter.wasm"), "{error}");
    assert_eq!(error.code(), "bundle.missing_part");
}

#[test]
fn refuses_a_mapping_beside_a_configuration() {
    let error = pack(sample_with(|parts| drop(parts.insert("map.toml".into(), b"".to_vec())))).unwrap_err();
    assert!(matches!(error, BundleError::MappingAndConfiguration), "{error}");
}

#[test]
fn refuses_a_missing_sql_file() {
    let error = pack(sample_with(|parts| drop(parts.remove("sql/find-person.sql")))).unwrap_err();
    assert!(matches!(error, BundleError::MissingPart { name } if name == "sql/find-person.sql"));
}

#[test]
fn refuses_a_stray_part() {
    let error = pack(sample_with(|parts| drop(parts.insert("notes.txt".into(), Vec::new())))).unwrap_err();
    assert!(matches!(error, BundleError::StrayPart { name } if name.as_str() == "notes.txt"));
}

#[test]
fn refuses_sql_that_is_not_text() {
    let error =
        pack(sample_with(|parts| drop(parts.insert("sql/find-person.sql".into(), vec![0xff])))).unwrap_err();
    assert!(matches!(error, BundleError::NotText { name } if name == "sql/find-person.sql"));
}

#[test]
fn refuses_a_wrong_manifest() {
    let error = pack(sample_with(|parts| drop(parts.insert("plugin.toml".into(), b"plugin = 1".to_vec()))))
        .unwrap_err();
    assert!(matches!(&error, BundleError::Manifest(ManifestError::Invalid { .. })), "{error}");
    assert_eq!(error.code(), "manifest.invalid");
}

#[test]
fn refuses_an_unknown_entry_in_meta_inf() {
    let error =
        pack(sample_with(|parts| drop(parts.insert("META-INF/evil.xml".into(), Vec::new())))).unwrap_err();
    assert!(matches!(&error, BundleError::Container(ContainerError::UnexpectedEntry { .. })), "{error}");
    assert_eq!(error.code(), "container.unexpected_entry");
}

#[test]
fn refuses_a_container_manifest_that_lists_other_parts() {
    let bundle = sample::unsigned();
    let entries = bundle.container().entries().iter().skip(1).map(|entry| match entry.name.as_str() {
        "META-INF/manifest.xml" => Entry { name: entry.name.clone(), bytes: Arc::from(*b"<manifest/>") },
        _ => entry.clone(),
    });
    let forged = Container::new(entries).unwrap().write();
    let error = Bundle::read(&forged, &Profile::bundle().limits).unwrap_err();
    assert!(matches!(error, BundleError::ContainerManifest), "{error}");
}

fn sample_with(change: impl FnOnce(&mut BTreeMap<String, Vec<u8>>)) -> BTreeMap<String, Vec<u8>> {
    let mut parts = sample::parts();
    change(&mut parts);
    parts
}
