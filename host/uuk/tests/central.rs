//! `uuk central` from the shell's side: what an operator types, and what the manual says of its configuration.

#![expect(
    clippy::unwrap_used,
    clippy::indexing_slicing,
    reason = "what a test's helpers cannot do, the test reports"
)]

use std::collections::BTreeSet;
use std::process::{Command, Output};

use serde_json::Value;
use tempfile::TempDir;

const MANUAL: &str = include_str!("../../docs/operating/central.md");

/// The folder of a central server.
struct Folder(TempDir);

impl Folder {
    fn new(config: &str) -> Self {
        let folder = tempfile::tempdir().unwrap();
        std::fs::write(folder.path().join("central.toml"), config).unwrap();
        std::fs::write(folder.path().join("signing-keys-password"), "long enough\n").unwrap();
        Self(folder)
    }

    /// With an instance in it.
    fn founded() -> Self {
        let folder = Self::new("");
        folder.json(&["init", "KG", "--source", "central.example.kg", "--management", "KG/GOV/1/management"]);
        folder
    }

    fn run(&self, arguments: &[&str]) -> Output {
        let mut command = Command::new(env!("CARGO_BIN_EXE_uuk"));
        command.args(["--json", "central"]).args(arguments).current_dir(self.0.path()).output().unwrap()
    }

    /// What a command prints that does what it should.
    #[track_caller]
    fn json(&self, arguments: &[&str]) -> Value {
        let output = self.run(arguments);
        let printed = String::from_utf8(output.stdout).unwrap();
        assert!(output.status.success(), "{printed}");
        serde_json::from_str(&printed).unwrap()
    }

    /// Checks exit code and code of a command that does not.
    #[track_caller]
    fn refuses(&self, arguments: &[&str], exit_code: i32, code: &str) {
        let output = self.run(arguments);
        let printed: Value = serde_json::from_slice(&output.stdout).unwrap();
        assert_eq!(
            (output.status.code(), printed["code"].as_str()),
            (Some(exit_code), Some(code)),
            "{printed}"
        );
    }
}

#[test]
fn founds_an_instance_once() {
    let folder = Folder::new("");
    folder.refuses(&["show"], 3, "central.no_instance");
    let init = ["init", "KG", "--source", "central.example.kg", "--management", "KG/GOV/1/management"];
    folder.json(&init);
    folder.refuses(&init, 2, "central.instance_exists");
    let keys = std::fs::read_dir(folder.0.path().join("signing-keys")).unwrap().count();
    assert_eq!(keys, 1, "no key is left behind by what was refused");
}

#[test]
fn hands_out_the_anchor_with_its_hash() {
    let folder = Folder::founded();
    let hash = folder.json(&["anchor"])["sha224"].as_str().unwrap().to_owned();
    let anchor = std::fs::read(folder.0.path().join("anchor.xml")).unwrap();
    assert_eq!(hash, uuk_globalconf::Anchor::displayed_hash(&anchor));
    let anchor = uuk_globalconf::Anchor::read(&anchor).unwrap();
    assert_eq!(anchor.sources[0].url, "http://central.example.kg/internalconf");
    folder.json(&["anchor", "--external", "--output", "external.xml"]);
    let external = std::fs::read_to_string(folder.0.path().join("external.xml")).unwrap();
    assert!(external.contains("/externalconf"), "{external}");
}

#[test]
fn says_what_is_registered_and_who_did_it() {
    let folder = Folder::founded();
    folder.json(&["class", "set", "GOV", "Government"]);
    folder.json(&["member", "add", "KG/GOV/70000001", "Registry"]);
    folder.refuses(&["member", "add", "KG/COM/1", "Of no class"], 4, "registry.not_registered");
    assert_eq!(folder.json(&["show"])["members"]["KG/GOV/70000001"]["name"], "Registry");
    let log = folder.json(&["audit"]);
    let entries = log["entries"].as_array().unwrap();
    let acts: Vec<_> = entries.iter().map(|entry| entry["act"].as_str().unwrap()).collect();
    assert_eq!(acts, ["found-instance", "set-member-class", "add-member"]);
    assert!(entries.iter().all(|entry| entry["actor"].as_str().unwrap().starts_with("uid:")));
}

#[test]
fn announces_a_key_before_it_signs() {
    let folder = Folder::founded();
    folder.json(&["key", "announce"]);
    let keys = folder.json(&["key", "list"]);
    let (new, _) = keys["keys"].as_object().unwrap().iter().find(|(_, key)| key["active"] == false).unwrap();
    folder.refuses(&["key", "activate", new], 4, "registry.signing_key_new");
    folder.json(&["key", "remove", new]);
}

#[test]
fn refuses_files_that_are_not_what_they_should_be() {
    let folder = Folder::founded();
    let add = ["certificate", "add", "KG/GOV/1/ss1", "no-such.pem"];
    folder.refuses(&add, 5, "central.file_unreadable");
    folder.refuses(&["certificate", "add", "KG/GOV/1/ss1", "central.toml"], 2, "certificate.malformed");
    folder.refuses(&["anchor", "--output", "no/such/folder"], 5, "central.file_unwritable");
    std::fs::remove_file(folder.0.path().join("signing-keys-password")).unwrap();
    folder.refuses(&["key", "announce"], 3, "central.password");
}

#[test]
fn refuses_a_configuration_that_would_lapse() {
    let config = "[publication]\ninterval = '10s'\nlifetime = '15s'\n";
    Folder::new(config).refuses(&["show"], 2, "config.invalid");
}

#[test]
fn refuses_doors_that_are_open_to_the_wrong_ones() {
    for (door, authentication) in [("registration", "certificate"), ("management", "tls")] {
        let config =
            format!("[requests.{door}]\naddress = '127.0.0.1:0'\nauthentication = '{authentication}'\n");
        Folder::new(&config).refuses(&["show"], 2, "config.invalid");
    }
}

#[test]
fn every_key_of_the_configuration_is_described() {
    for section in ["database", "keys", "publication", "requests"] {
        let folder = Folder::new(&format!("[{section}]\nunknown-key = 0\n"));
        let said = String::from_utf8(folder.run(&["show"]).stdout).unwrap();
        let (_, offered) = said.split_once("unknown field `unknown-key`, expected ").ok_or(&said).unwrap();
        let offered = offered.split(['"', '\n']).next().unwrap();
        let known: BTreeSet<_> = offered.split('`').skip(1).step_by(2).collect();
        let described = MANUAL.lines().skip_while(|line| *line != format!("### [{section}]")).skip(1);
        let described = described.take_while(|line| !line.starts_with('#'));
        let described: BTreeSet<_> =
            described.filter_map(|line| line.strip_prefix("| `")?.split('`').next()).collect();
        assert_eq!(described, known, "{section}");
    }
}

const TEXTS: &str = "title = { ky = 'т', ru = 'т', uz = 't', en = 'Population' }\n\
                     description = { ky = 'т', ru = 'т', uz = 't', en = 'Who lives here' }\n";
const SERVICE: &str = "KG/GOV/70000001/registry/person";

#[test]
fn publishes_a_service_once_every_field_is_classified() {
    let folder = Folder::founded();
    let write = |name: &str, text: &str| std::fs::write(folder.0.path().join(name), text).unwrap();
    write("system.toml", TEXTS);
    let described = format!(
        "service = '{SERVICE}'\n{TEXTS}legal_basis = 'Law 12'\ntariff = 'free'\n\
         service_level = {{ down_minutes_per_month_max = 40, answer_time_ms = 500 }}\n\
         support = [{{ name = 'Desk' }}]\nclassification.'/get/request/pin' = 'personal'\n"
    );
    write("person.toml", &described);
    write(
        "person.json",
        r#"{"openapi":"3.1.0","info":{"title":"t","version":"1"},"paths":{"/people/{pin}":{"get":{
            "operationId":"get","parameters":[{"name":"pin","in":"path","required":true,"schema":{"type":"string"}}],
            "responses":{"200":{"description":"d","content":{"application/json":{"schema":{"type":"object",
            "properties":{"name":{"type":"string"}}}}}}}}}}}"#,
    );
    folder.json(&["class", "set", "GOV", "Government"]);
    folder.json(&["member", "add", "KG/GOV/70000001", "Registry"]);
    folder.json(&["subsystem", "add", "KG/GOV/70000001/registry"]);
    folder.refuses(&["catalog", "draft", "person.toml", "person.json"], 4, "registry.not_registered");
    folder.json(&["catalog", "system", "KG/GOV/70000001/registry", "system.toml"]);
    folder.json(&["catalog", "draft", "person.toml", "person.json"]);
    folder.refuses(&["catalog", "lint", SERVICE], 1, "catalog_publishing.unfit");
    folder.refuses(&["catalog", "publish", SERVICE], 1, "catalog_publishing.unfit");

    let classified = "classification.'/get/answer/name' = 'personal'\nsamples.get.name = 'Invented'\n";
    write("person.toml", &format!("{described}{classified}"));
    folder.json(&["catalog", "draft", "person.toml", "person.json"]);
    folder.json(&["catalog", "lint", SERVICE]);
    assert_eq!(folder.json(&["catalog", "publish", SERVICE])["edition"], 1);
    let found = folder.json(&["catalog", "search", "popul"]);
    assert_eq!(found["services"][0]["service"], SERVICE);
    assert!(!found.to_string().contains("Desk"), "{found}");
    let request = format!(
        "consumer = 'KG/GOV/70000001'\nservice = '{SERVICE}'\npurpose = 'pensions'\nlegal_basis = 'Law 7'\n\
         fields = ['/get/answer/name']\nuntil = '2999-12-31T00:00:00Z'\ncalls_per_day = 1000\n"
    );
    write("request.toml", &request);
    assert_eq!(folder.json(&["catalog", "ask", "request.toml"])["number"], 1);
    folder.json(&["catalog", "grant", "1", "--note", "as agreed"]);
    folder.refuses(&["catalog", "grant", "1", "--note", "again"], 4, "registry.not_registered");
    folder.json(&["catalog", "refuse", "1", "--note", "the law was changed"]);
    folder.json(&["catalog", "withdraw", SERVICE]);
    assert_eq!(folder.json(&["catalog", "search", "popul"])["services"], Value::Array(Vec::new()));
}
