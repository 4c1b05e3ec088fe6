//! `uuk bundle …` from the shell's side: files in, files, words and exit codes out.

#![expect(clippy::unwrap_used, reason = "what a test's helpers cannot do, the test reports")]

use std::path::{Path, PathBuf};
use std::process::{Command, Output};

use tempfile::TempDir;
use uuk_testkit::authority::{Authority, KeyKind};

const MANIFEST: &str = r#"
[plugin]
id = "kg.example.people"
version = "1.2.0"
api = "0.1"

[[service]]
code = "person"
contract = "contracts/person.yaml"

[datasource.registry]
engine = ["sqlite"]

[sql.find-person]
datasource = "registry"
file = "sql/find-person.sql"
"#;

/// A folder with an adapter's project, an author, a vetter, and trust in both.
struct Desk {
    folder: TempDir,
}

impl Desk {
    fn new() -> Self {
        let desk = Self { folder: tempfile::tempdir().unwrap() };
        for folder in ["project/contracts", "project/sql", "project/fixtures"] {
            std::fs::create_dir_all(desk.path(folder)).unwrap();
        }
        desk.write("project/plugin.toml", MANIFEST);
        desk.write("project/adapter.wasm", "\0asm\x0d\0\x01\0");
        desk.write("project/contracts/person.yaml", "openapi: 3.1.0\n");
        desk.write("project/sql/find-person.sql", "SELECT pin FROM person\n");
        desk.write("project/fixtures/get.json", "{}\n");
        desk.write("project/fixtures/.swp", "left by an editor");

        let today = jiff::Zoned::now().date();
        let authority = Authority::new("Authority", today).unwrap();
        let author = authority.issue("Author", KeyKind::P256).unwrap();
        let vetter = authority.issue("Vetter", KeyKind::Rsa2048).unwrap();
        desk.write("author.key", author.encrypted_key_pem("secret").unwrap());
        desk.write("author.pem", author.pem());
        desk.write("vetter.p12", vetter.pkcs12("secret").unwrap());
        desk.write("password", "secret\n");
        desk.write("authority.pem", authority.pem());
        let trust = "author_certificates = ['authority.pem']\nvetting_certificates = ['authority.pem']\n";
        desk.write("trust.toml", trust);
        desk
    }

    fn path(&self, name: &str) -> PathBuf {
        self.folder.path().join(name)
    }

    fn write(&self, name: &str, content: impl AsRef<[u8]>) {
        std::fs::write(self.path(name), content).unwrap();
    }

    fn uuk(&self, arguments: &[&str]) -> Said {
        let output =
            Command::new(env!("CARGO_BIN_EXE_uuk")).args(arguments).current_dir(self.folder.path()).output();
        Said::new(&output.unwrap())
    }

    fn pack(&self) {
        assert_eq!(self.uuk(&["bundle", "pack", "project", "-o", "people.asice"]).exit_code, 0);
    }

    fn sign(&self) -> Said {
        let key = ["--key", "author.key", "--certificate", "author.pem", "--password-file", "password"];
        self.uuk(&[&["bundle", "sign", "people.asice", "--role", "author"][..], &key[..]].concat())
    }

    fn vet(&self, more: &[&str]) -> Said {
        let key = ["--key", "vetter.p12", "--password-file", "password", "--expires", "2999-12-31"];
        self.uuk(&[&["bundle", "sign", "people.asice", "--role", "vetting"][..], &key[..], more].concat())
    }

    fn verify(&self) -> Said {
        self.uuk(&["bundle", "verify", "people.asice", "--trust", "trust.toml"])
    }
}

struct Said {
    exit_code: i32,
    result: String,
    talk: String,
}

impl Said {
    fn new(output: &Output) -> Self {
        let text = |bytes: &[u8]| String::from_utf8_lossy(bytes).into_owned();
        Self {
            exit_code: output.status.code().unwrap(),
            result: text(&output.stdout),
            talk: text(&output.stderr),
        }
    }
}

const TWO_REVIEWERS: &[&str] = &["--reviewer", "Aigul", "--reviewer", "Bakyt"];

#[test]
fn a_bundle_goes_from_files_to_vetted() {
    let desk = Desk::new();
    desk.pack();
    assert_eq!(desk.sign().exit_code, 0);
    assert_eq!(desk.vet(TWO_REVIEWERS).exit_code, 0);
    let said = desk.verify();
    assert_eq!(said.exit_code, 0, "{}", said.talk);
    assert!(said.result.starts_with("kg.example.people 1.2.0 may run: sha256:"), "{}", said.result);
    for step in ["sound", "admitted", "vetting", "in force  reviewed by Aigul and Bakyt", "author"] {
        assert!(said.talk.contains(&format!("  {step}")), "{step}: {}", said.talk);
    }
}

#[test]
fn packing_twice_gives_the_same_bytes() {
    let desk = Desk::new();
    desk.pack();
    let first = std::fs::read(desk.path("people.asice")).unwrap();
    desk.pack();
    assert_eq!(first, std::fs::read(desk.path("people.asice")).unwrap());
    assert!(!Path::new(&desk.path("people.asice.part")).exists());
}

#[test]
fn packing_without_component_says_what_to_do() {
    let desk = Desk::new();
    std::fs::remove_file(desk.path("project/adapter.wasm")).unwrap();
    let said = desk.uuk(&["bundle", "pack", "project"]);
    assert_eq!(said.exit_code, 3);
    assert!(said.talk.contains("help: uuk adapter build"), "{}", said.talk);
}

#[test]
fn a_wrong_manifest_is_named_with_line_and_column() {
    let desk = Desk::new();
    desk.write("project/plugin.toml", MANIFEST.replace("find-person]", "findPerson]"));
    let said = desk.uuk(&["bundle", "pack", "project"]);
    assert_eq!(said.exit_code, 1);
    assert!(said.talk.contains("error[manifest.name]: project: plugin.toml:14:1:"), "{}", said.talk);
}

#[test]
fn inspecting_shows_parts_sql_and_signatures_of_an_unsigned_bundle() {
    let desk = Desk::new();
    desk.pack();
    let said = desk.uuk(&["bundle", "inspect", "people.asice"]);
    assert_eq!(said.exit_code, 0);
    for shown in
        ["status      unsigned", "sql/find-person.sql", "│ SELECT pin FROM person", "fixtures/get.json"]
    {
        assert!(said.result.contains(shown), "{shown}: {}", said.result);
    }
    assert!(!said.result.contains(".swp"));
}

#[test]
fn inspecting_says_that_an_instance_asks_for_several_calls() {
    let desk = Desk::new();
    desk.write("project/plugin.toml", format!("{MANIFEST}\n[reuse]\ncalls = 20\n"));
    desk.pack();
    let said = desk.uuk(&["bundle", "inspect", "people.asice"]);
    assert!(said.result.contains("reuse       an instance asks to answer 20 calls"), "{}", said.result);
}

#[test]
fn inspecting_shows_what_is_wrong_with_a_file_that_is_no_bundle() {
    let desk = Desk::new();
    desk.write("people.asice", "hello");
    let said = desk.uuk(&["bundle", "inspect", "people.asice", "--json"]);
    assert_eq!(said.exit_code, 0);
    assert!(said.result.contains(r#""status":"invalid""#), "{}", said.result);
    assert!(said.result.contains(r#""code":"container.not_a_container""#), "{}", said.result);
}

#[test]
fn inspecting_does_not_let_sql_write_over_the_terminal() {
    let desk = Desk::new();
    desk.write("project/sql/find-person.sql", "SELECT 1 \u{1b}[2J\u{202e}\n");
    desk.pack();
    let said = desk.uuk(&["bundle", "inspect", "people.asice"]);
    assert!(!said.result.contains(['\u{1b}', '\u{202e}']), "{:?}", said.result);
}

#[test]
fn a_bundle_that_is_not_vetted_is_refused() {
    let desk = Desk::new();
    desk.pack();
    desk.sign();
    let said = desk.verify();
    assert_eq!(said.exit_code, 4);
    assert!(said.talk.contains("error[bundle.vetting_missing]"), "{}", said.talk);
}

#[test]
fn one_reviewer_is_too_few() {
    let desk = Desk::new();
    desk.pack();
    desk.sign();
    let said = desk.vet(&["--reviewer", "Aigul"]);
    assert_eq!(said.exit_code, 4);
    assert!(said.talk.contains("error[bundle.too_few_reviewers]"), "{}", said.talk);
}

#[test]
fn vetting_an_unsigned_bundle_is_refused() {
    let desk = Desk::new();
    desk.pack();
    let said = desk.vet(TWO_REVIEWERS);
    assert_eq!(said.exit_code, 4);
    assert!(said.talk.contains("error[bundle.author_signature_missing]"), "{}", said.talk);
}

#[test]
fn a_wrong_password_is_said_to_be_one() {
    let desk = Desk::new();
    desk.pack();
    desk.write("password", "wrong\n");
    let said = desk.sign();
    assert_eq!(said.exit_code, 2);
    assert!(said.talk.contains("error[key.locked]"), "{}", said.talk);
}

#[test]
fn a_revoked_bundle_is_refused() {
    let desk = Desk::new();
    desk.pack();
    desk.sign();
    let said = desk.vet(TWO_REVIEWERS);
    let digest = said.result.split_whitespace().next().unwrap();
    let trust = std::fs::read_to_string(desk.path("trust.toml")).unwrap();
    desk.write("trust.toml", format!("{trust}revoked = ['{digest}']\n"));
    let said = desk.verify();
    assert_eq!(said.exit_code, 4);
    assert!(said.talk.contains(&format!("is revoked: {digest}")), "{}", said.talk);
}

#[test]
fn a_review_names_what_has_changed_since_the_approved_version() {
    let desk = Desk::new();
    desk.pack();
    desk.sign();
    std::fs::copy(desk.path("people.asice"), desk.path("approved.asice")).unwrap();
    let review = ["bundle", "review", "people.asice", "--trust", "trust.toml", "--against", "approved.asice"];
    assert_eq!(desk.uuk(&review).exit_code, 0, "nothing has changed");

    desk.write("project/sql/find-person.sql", "SELECT pin, phone FROM person\n");
    desk.pack();
    let unsigned = desk.uuk(&review);
    assert_eq!(unsigned.exit_code, 4);
    assert!(unsigned.talk.contains("error[bundle.author_signature_missing]"), "{}", unsigned.talk);
    desk.sign();
    let said = desk.uuk(&review);
    assert_eq!(said.exit_code, 1);
    let declared = "registry (read), params (), row (), 100 rows, 65536 bytes, 1s";
    let changed = format!("changed sql `find-person`  {declared}: SELECT pin, phone FROM person");
    assert!(said.talk.contains(&changed), "{}", said.talk);
    assert!(!said.talk.contains("contract"), "{}", said.talk);
}

#[test]
fn a_review_names_what_is_known_to_be_vulnerable() {
    let desk = Desk::new();
    let bill = r#"{"bomFormat":"CycloneDX","components":[{"name":"app","components":[
        {"name":"smallvec","version":"1.6.0","purl":"pkg:cargo/smallvec@1.6.0"}]}]}"#;
    desk.write("project/sbom.json", bill);
    desk.pack();
    desk.sign();
    std::fs::copy(desk.path("people.asice"), desk.path("approved.asice")).unwrap();
    std::fs::create_dir(desk.path("advisories")).unwrap();
    let review =
        ["bundle", "review", "people.asice", "--against", "approved.asice", "--advisories", "advisories"];
    let said = desk.uuk(&review);
    assert_eq!(said.exit_code, 3, "{}", said.talk);
    assert!(
        said.talk.contains("error[bundle.advisories_unreadable]: there is no advisory in"),
        "{}",
        said.talk
    );

    let advisory = |fixed: &str| {
        format!(
            r#"{{"id":"RUSTSEC-2021-0003","modified":"2023-06-13T13:10:24Z","summary":"Overflow in insert_many","affected":[
            {{"package":{{"ecosystem":"crates.io","name":"smallvec"}},"ranges":[{{"type":"SEMVER","events":[
            {{"introduced":"0.0.0-0"}},{{"fixed":"{fixed}"}}]}}]}}]}}"#
        )
    };
    desk.write("advisories/RUSTSEC-2021-0003.json", advisory("1.6.1"));
    let said = desk.uuk(&review);
    assert_eq!(said.exit_code, 1);
    let named =
        "vulnerable component `smallvec` 1.6.0  RUSTSEC-2021-0003: Overflow in insert_many; mended in 1.6.1";
    assert!(said.talk.contains(named), "{}", said.talk);
    desk.write("advisories/RUSTSEC-2021-0003.json", advisory("1.6.0"));
    assert_eq!(desk.uuk(&review).exit_code, 0, "mended in the version that it has");
}

#[test]
fn a_review_names_what_has_changed_besides_code_and_sql() {
    let review = ["bundle", "review", "people.asice", "--against", "approved.asice"];
    let configured = format!("{MANIFEST}\n[config]\nschema = 'config.schema.json'\n");
    let declared = "registry (read), params (), row (pin text, died text?), 5 rows, 65536 bytes, 2s";
    let statement = "row = { pin = 'text', died = 'text?' }\nmax_rows = 5\ntimeout = '2s'\n";
    for (name, before, after, manifest, difference) in [
        (
            "map.toml",
            "get.row = 'find-person'\n",
            "get.row = 'other'\n",
            MANIFEST,
            "mapping `map.toml`  get.row = 'other'",
        ),
        ("config.schema.json", "{}", "{ }", &configured, "configuration `config.schema.json`  sha256:"),
        (
            "plugin.toml",
            MANIFEST,
            &format!("{MANIFEST}{statement}"),
            MANIFEST,
            &format!("sql `find-person`  {declared}: "),
        ),
        (
            "plugin.toml",
            &format!("{MANIFEST}[reuse]\n"),
            &format!("{MANIFEST}[reuse]\ncalls = 20\n"),
            MANIFEST,
            "reuse `instances`  20 calls, idle 30s",
        ),
    ] {
        let desk = Desk::new();
        desk.write("project/plugin.toml", manifest);
        let hand_in = |content: &str| {
            desk.write(&format!("project/{name}"), content);
            desk.pack();
            desk.sign();
        };
        hand_in(before);
        std::fs::copy(desk.path("people.asice"), desk.path("approved.asice")).unwrap();
        hand_in(after);
        let said = desk.uuk(&review);
        assert_eq!(said.exit_code, 1, "{name}: {}", said.talk);
        assert!(said.talk.contains(": 1 to look at"), "{name}: {}", said.talk);
        assert!(said.talk.contains(&format!("changed {difference}")), "{name}: {}", said.talk);
    }
}

#[test]
fn a_first_review_names_everything_and_another_plugin_is_no_version() {
    let desk = Desk::new();
    desk.pack();
    desk.sign();
    let said = desk.uuk(&["bundle", "review", "people.asice"]);
    assert_eq!(said.exit_code, 1);
    assert!(said.talk.contains("new sql `find-person`"), "{}", said.talk);

    std::fs::rename(desk.path("people.asice"), desk.path("other.asice")).unwrap();
    desk.write("project/plugin.toml", MANIFEST.replace("kg.example.people", "kg.example.other"));
    desk.pack();
    desk.sign();
    let said = desk.uuk(&["bundle", "review", "people.asice", "--against", "other.asice"]);
    assert_eq!(said.exit_code, 2);
    assert!(said.talk.contains("error[bundle.review_other_plugin]"), "{}", said.talk);
}
