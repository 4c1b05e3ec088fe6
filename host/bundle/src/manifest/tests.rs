//! Walks `testdata/manifest`: what is in `accept/` parses, what is in `refuse/CODE/` is refused with that code. Each
//! refused file differs from `accept/usual.toml` in one way.

use std::fmt::Write;
use std::path::{Path, PathBuf};

use super::*;

fn files(folder: &str) -> Vec<PathBuf> {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("testdata/manifest").join(folder);
    let mut files: Vec<_> = std::fs::read_dir(folder).unwrap().map(|entry| entry.unwrap().path()).collect();
    files.sort();
    files
}

#[test]
fn accepts_what_is_right() {
    for file in files("accept") {
        let parsed = Manifest::parse(&std::fs::read(&file).unwrap());
        assert!(parsed.is_ok(), "{}: {}", file.display(), parsed.unwrap_err());
    }
}

#[test]
fn refuses_what_is_wrong_and_says_where() {
    let mut said = String::new();
    for folder in files("refuse") {
        let code = folder.file_name().unwrap().to_string_lossy().into_owned();
        for file in files(&format!("refuse/{code}")) {
            let name = file.file_stem().unwrap().to_string_lossy().into_owned();
            let error = Manifest::parse(&std::fs::read(&file).unwrap()).expect_err(&name);
            assert_eq!(error.code(), format!("manifest.{code}"), "{name}: {error}");
            writeln!(said, "{name}: {error}").unwrap();
        }
    }
    assert_eq!(said, include_str!("../../testdata/manifest/refused.txt"), "what authors read has changed");
}

#[test]
fn refuses_a_manifest_that_is_too_large() {
    let error = Manifest::parse(&vec![b'#'; Manifest::BYTES_MAX + 1]).unwrap_err();
    assert_eq!(error.code(), "manifest.too_large");
}

#[test]
fn gives_what_is_not_said_its_default() {
    let manifest = usual();
    let statement = &manifest.statements["find-person"];
    assert_eq!((statement.rows_max, statement.bytes_max), (100, 64 << 10));
    assert_eq!((statement.timeout, statement.mode), (Duration::from_secs(1), Access::Read));
    assert_eq!(manifest.upstreams["ubk-api"].response_bytes_max, 1 << 20);
    assert_eq!(manifest.limits, Limits::default());
    assert_eq!(manifest.reuse, None);
    assert_eq!(manifest.datasources["registry"].access, Access::Read);
}

#[test]
fn keeps_the_order_of_parameters_and_columns() {
    let manifest = read("everything");
    let statement = &manifest.statements["find-record"];
    let names: Vec<_> = statement.params.iter().map(|(name, _)| name.as_str()).collect();
    assert_eq!(names, ["zeta", "alpha"]);
    assert_eq!(statement.params[1].1, ValueType { scalar: Scalar::Integer, nullable: true });
    assert_eq!(statement.row[0], ("id".to_owned(), ValueType { scalar: Scalar::Uuid, nullable: false }));
    assert_eq!(statement.row.len(), 9);
}

#[test]
fn reads_sizes_and_durations() {
    let manifest = read("everything");
    assert_eq!(manifest.limits.memory_bytes_max, 1 << 30);
    assert_eq!(manifest.limits.response_bytes_max, 1 << 20);
    assert_eq!(manifest.limits.wall_time_max, Duration::from_secs(60));
    assert_eq!(manifest.statements["find-record"].timeout, Duration::from_secs(30));
    let reuse = Reuse { calls_max: 500, idle_time_max: Duration::from_secs(300) };
    assert_eq!(manifest.reuse, Some(reuse));
}

#[test]
fn names_every_file_it_refers_to() {
    let manifest = usual();
    let files: Vec<_> = manifest.files().collect();
    assert_eq!(files, ["contracts/person.yaml", "sql/find-person.sql", "config.schema.json"]);
}

fn usual() -> Manifest {
    read("usual")
}

fn read(name: &str) -> Manifest {
    let path = format!("{}/testdata/manifest/accept/{name}.toml", env!("CARGO_MANIFEST_DIR"));
    Manifest::parse(&std::fs::read(path).unwrap()).unwrap()
}
