//! A workspace in small, in which each test plants one violation.

use std::fs;

use tempfile::TempDir;

use super::*;

const ROOT: &str = r#"
[workspace]
resolver = "3"
members = ["host/*", "sdk/*", "tests/*"]
exclude = ["registry"]

[workspace.metadata.layers]
order = ["vocabulary", "formats", "services", "program"]
vocabulary = ["uuk-identifiers", "uuk-process"]
formats = ["uuk-pki", "uuk-asic"]
services = ["uuk-signer", "uuk-messagelog"]
program = ["uuk"]
within = ["uuk-asic -> uuk-pki"]
pure = ["uuk-identifiers", "formats"]
impure = ["tokio", "uuk-process"]
"#;

/// Each crate with what it depends on.
const CRATES: [(&str, &[&str]); 12] = [
    ("host/identifiers", &[]),
    ("host/process", &["registry/tokio"]),
    ("host/pki", &["host/identifiers"]),
    ("host/asic", &["host/pki"]),
    ("host/signer", &["host/process", "host/asic"]),
    ("host/messagelog", &["host/identifiers"]),
    ("host/uuk", &["host/signer", "host/messagelog"]),
    ("sdk/adapter", &[]),
    ("tests/testkit", &["host/pki"]),
    ("tests/e2e", &["host/uuk", "sdk/adapter"]),
    ("registry/tokio", &[]),
    ("registry/quiet", &["registry/tokio"]),
];

struct MiniWorkspace(TempDir);

impl MiniWorkspace {
    fn new() -> Self {
        let workspace = Self(tempfile::Builder::new().prefix("with space ").tempdir().unwrap());
        fs::write(workspace.0.path().join("Cargo.toml"), ROOT).unwrap();
        for (folder, used) in CRATES {
            let source = workspace.0.path().join(folder).join("src");
            fs::create_dir_all(&source).unwrap();
            fs::write(source.join("lib.rs"), "").unwrap();
            let manifest = format!("[package]\nname = \"{}\"\nedition = \"2024\"\n", package(folder));
            fs::write(workspace.manifest(folder), manifest).unwrap();
            for used in used {
                workspace.plant(folder, "dependencies", used);
            }
        }
        workspace
    }

    /// Adds a dependency to the manifest of the crate in `folder`.
    fn plant(&self, folder: &str, section: &str, used: &str) {
        let mut manifest = fs::read_to_string(self.manifest(folder)).unwrap();
        manifest += &format!("[{section}.{}]\npath = \"../../{used}\"\n", package(used));
        fs::write(self.manifest(folder), manifest).unwrap();
    }

    fn edit_table(&self, from: &str, to: &str) {
        assert!(ROOT.contains(from));
        fs::write(self.0.path().join("Cargo.toml"), ROOT.replace(from, to)).unwrap();
    }

    fn manifest(&self, folder: &str) -> PathBuf {
        self.0.path().join(folder).join("Cargo.toml")
    }

    fn violations(&self) -> Vec<String> {
        let mut command = MetadataCommand::new();
        command.manifest_path(self.0.path().join("Cargo.toml")).other_options(["--offline".to_owned()]);
        let metadata = command.exec().unwrap();
        Workspace::new(&metadata).unwrap().violations()
    }
}

/// `host/pki` is `uuk-pki`; what is in `registry/` stands for crates of others.
fn package(folder: &str) -> String {
    match folder.split_once('/').unwrap() {
        ("registry", name) => name.to_owned(),
        ("host", "uuk") => "uuk".to_owned(),
        (_, name) => format!("uuk-{name}"),
    }
}

fn refuses(user: &str, used: &str, violation: &str) {
    let workspace = MiniWorkspace::new();
    workspace.plant(user, "dependencies", used);
    assert_eq!(workspace.violations(), [violation]);
}

#[test]
fn accepts_the_workspace_without_a_violation() {
    assert_eq!(MiniWorkspace::new().violations(), [""; 0]);
}

#[test]
fn refuses_a_crate_of_a_higher_layer() {
    refuses(
        "host/process",
        "host/messagelog",
        "`uuk-process` (vocabulary) depends on `uuk-messagelog` (services): a crate depends on lower layers only",
    );
}

#[test]
fn refuses_a_crate_of_the_same_layer() {
    refuses(
        "host/messagelog",
        "host/signer",
        "`uuk-messagelog` (services) depends on `uuk-signer` (services): \
            inside a layer, only along the arrows of `within`",
    );
}

#[test]
fn accepts_an_arrow_that_within_allows_and_refuses_it_the_other_way() {
    let workspace = MiniWorkspace::new();
    workspace.edit_table("uuk-asic -> uuk-pki", "uuk-pki -> uuk-asic");
    let violation = "`uuk-asic` (formats) depends on `uuk-pki` (formats): \
        inside a layer, only along the arrows of `within`";
    assert_eq!(workspace.violations(), [violation]);
}

#[test]
fn refuses_what_is_impure_beneath_a_pure_crate() {
    refuses(
        "host/asic",
        "registry/quiet",
        "`uuk-asic` → `quiet` → `tokio`: nothing of `impure` stands beneath a pure crate",
    );
}

#[test]
fn accepts_what_is_impure_in_the_tests_of_a_pure_crate() {
    let workspace = MiniWorkspace::new();
    workspace.plant("host/pki", "dev-dependencies", "registry/tokio");
    assert_eq!(workspace.violations(), [""; 0]);
}

#[test]
fn refuses_a_host_crate_that_uses_an_sdk() {
    refuses(
        "host/signer",
        "sdk/adapter",
        "`uuk-signer` depends on `uuk-adapter`: host and guests share nothing but wit/",
    );
}

#[test]
fn refuses_an_sdk_that_uses_a_host_crate() {
    refuses(
        "sdk/adapter",
        "host/pki",
        "`uuk-adapter` depends on `uuk-pki`: host and guests share nothing but wit/",
    );
}

#[test]
fn refuses_an_sdk_that_uses_a_crate_for_tests() {
    refuses(
        "sdk/adapter",
        "tests/testkit",
        "`uuk-adapter` depends on `uuk-testkit`: nothing of tests/ ships",
    );
}

#[test]
fn refuses_the_testkit_outside_the_tests_of_a_host_crate() {
    let workspace = MiniWorkspace::new();
    workspace.plant("host/pki", "dev-dependencies", "tests/testkit");
    assert_eq!(workspace.violations(), [""; 0]);
    workspace.plant("host/signer", "dependencies", "tests/testkit");
    let violation = "`uuk-signer` depends on `uuk-testkit`: \
        of tests/, host crates use only `uuk-testkit`, as a dev-dependency";
    assert_eq!(workspace.violations(), [violation]);
}

#[test]
fn refuses_another_crate_for_tests_in_the_tests_of_a_host_crate() {
    let workspace = MiniWorkspace::new();
    workspace.plant("host/signer", "dev-dependencies", "tests/e2e");
    let violation = "`uuk-signer` depends on `uuk-e2e`: \
        of tests/, host crates use only `uuk-testkit`, as a dev-dependency";
    assert_eq!(workspace.violations(), [violation]);
}

#[test]
fn refuses_a_host_crate_that_stands_in_no_layer() {
    let workspace = MiniWorkspace::new();
    workspace.edit_table(", \"uuk-messagelog\"", "");
    assert_eq!(
        workspace.violations(),
        ["`uuk-messagelog` stands in no layer: every host crate stands in one"]
    );
}

#[test]
fn refuses_a_layer_with_a_crate_that_does_not_exist() {
    let workspace = MiniWorkspace::new();
    workspace.edit_table("\"uuk-messagelog\"", "\"uuk-messagelog\", \"uuk-opmonitor\"");
    assert_eq!(
        workspace.violations(),
        ["layer services lists `uuk-opmonitor`, which is no crate of the workspace"]
    );
}
