//! What `host/docs/requirements.md` says is shown by tests is shown by tests that exist.

use std::collections::BTreeSet;
use std::fs;
use std::io;
use std::path::Path;

#[test]
fn every_test_that_the_requirements_name_exists() -> io::Result<()> {
    let root = Path::new(concat!(env!("CARGO_MANIFEST_DIR"), "/../.."));
    let mut tests = BTreeSet::new();
    for folder in ["host", "tests/e2e/tests"] {
        read_tests(&root.join(folder), &mut tests)?;
    }
    let table = fs::read_to_string(root.join("host/docs/requirements.md"))?;
    let quoted = table.split('`').skip(1).step_by(2);
    let is_name = |text: &&str| {
        text.contains('_')
            && text.bytes().all(|it| it.is_ascii_lowercase() || it.is_ascii_digit() || it == b'_')
    };
    let named: BTreeSet<_> = quoted.filter(is_name).map(str::to_owned).collect();
    assert!(named.len() > 40, "{named:?}");
    let missing: Vec<_> = named.difference(&tests).collect();
    assert!(missing.is_empty(), "there are no such tests: {missing:#?}");
    Ok(())
}

/// The names of functions under `#[test]`, whatever else stands between.
fn read_tests(folder: &Path, tests: &mut BTreeSet<String>) -> io::Result<()> {
    for entry in fs::read_dir(folder)? {
        let path = entry?.path();
        if path.is_dir() {
            read_tests(&path, tests)?;
        } else if path.extension().is_some_and(|extension| extension == "rs") {
            let text = fs::read_to_string(&path)?;
            let mut is_test = false;
            for line in text.lines().map(str::trim) {
                let signature = line.strip_prefix("async ").unwrap_or(line).strip_prefix("fn ");
                if line.starts_with("#[test]") || line.starts_with("#[tokio::test") {
                    is_test = true;
                } else if let Some((name, _)) = signature.and_then(|signature| signature.split_once('('))
                    && std::mem::take(&mut is_test)
                {
                    tests.insert(name.to_owned());
                }
            }
        }
    }
    Ok(())
}
