//! Whatever the bytes, reading a manifest ends, with a manifest within its bounds or with an error of bounded length.
//!
//! Seeds: `host/bundle/testdata/manifest/accept` and the folders of `host/bundle/testdata/manifest/refuse`.

#![no_main]

use libfuzzer_sys::fuzz_target;
use uuk_bundle::{Access, Manifest, Statement};

const ERROR_BYTES_MAX: usize = 1024;

fuzz_target!(|bytes: &[u8]| {
    match Manifest::parse(bytes) {
        Ok(manifest) => check(&manifest),
        Err(error) => assert!(error.to_string().len() <= ERROR_BYTES_MAX, "{}", error.code()),
    }
});

fn check(manifest: &Manifest) {
    assert!(!manifest.services.is_empty());
    assert!(manifest.files().all(|file| file.split('/').all(|name| !matches!(name, "" | "." | ".."))));
    for statement in manifest.statements.values() {
        let datasource = &manifest.datasources[&statement.datasource];
        assert!(statement.mode == Access::Read || datasource.access == Access::Write);
        assert!((1..=Statement::ROWS_MAX).contains(&statement.rows_max));
    }
}
