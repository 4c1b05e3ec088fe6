//! Which mappings are accepted and which are refused. The first line of each in `testdata/refuse` is what is said.

#![expect(clippy::unwrap_used, reason = "helpers of tests may fail as tests do")]

use std::collections::BTreeMap;
use std::fs;
use std::path::PathBuf;

use declarative::{Declared, Node, StatementDeclaration, UpstreamDeclaration, check};

#[test]
fn sound_mappings_are_accepted() {
    for (file, text) in cases("accept") {
        assert_eq!(checked(&text), Ok(()), "{file}");
    }
}

#[test]
fn each_refusal_names_file_key_and_reason() {
    for (file, text) in cases("refuse") {
        let expected = text.lines().next().and_then(|line| line.strip_prefix("# ")).unwrap();
        assert_eq!(checked(&text), Err(expected.to_owned()), "{file}");
    }
}

fn checked(mapping: &str) -> Result<(), String> {
    let Ok(Node::Table(tables)) = toml::from_str(mapping) else { return Err("it is not TOML".to_owned()) };
    check(&tables, &declared()).map_err(|refusal| refusal.to_string())
}

fn declared() -> Declared {
    #[derive(serde::Deserialize)]
    struct Manifest {
        sql: BTreeMap<String, StatementDeclaration>,
        upstream: BTreeMap<String, UpstreamDeclaration>,
    }
    let Manifest { sql, upstream } = toml::from_str(include_str!("../testdata/plugin.toml")).unwrap();
    Declared { statements: sql, upstreams: upstream }
}

fn cases(folder: &str) -> Vec<(String, String)> {
    let folder = PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("testdata").join(folder);
    let files = fs::read_dir(folder).unwrap().map(|entry| entry.unwrap().path());
    let cases: Vec<_> =
        files.map(|path| (path.display().to_string(), fs::read_to_string(&path).unwrap())).collect();
    assert!(!cases.is_empty());
    cases
}
