//! `uuk log` from the shell's side: verdicts and how they are told.

#![expect(clippy::unwrap_used, reason = "what a test's helpers cannot do, the test reports")]

use std::process::{Command, Output};

use serde_json::Value;
use uuk_testkit::fixtures;

/// Judges a file of the X-Road project by the configuration of its tests.
fn verify(file: &str, options: &[&str]) -> Option<Output> {
    let folder = fixtures::folder()?.join("xroad");
    let mut uuk = Command::new(env!("CARGO_BIN_EXE_uuk"));
    uuk.args(["log", "verify"]).arg(folder.join(file));
    uuk.arg("--configuration").arg(folder.join("globalconf/globalconf_good2_v3"));
    Some(uuk.args(options).output().unwrap())
}

fn json(output: &Output) -> Value {
    serde_json::from_slice(&output.stdout).unwrap()
}

#[test]
fn proves_a_sound_container_in_words() {
    let Some(output) = verify("asic/verifier/valid-batch-ts.asice", &[]) else { return };
    assert_eq!(output.status.code(), Some(0));
    let said = String::from_utf8(output.stderr).unwrap();
    assert!(said.contains("made before 2024-12-05T07:34:14Z, by the word of `CN=Test TSA,O=Test`"), "{said}");
    assert!(said.contains("the certificate's key signed these very parts"), "{said}");
    let proven = String::from_utf8(output.stdout).unwrap();
    assert!(proven.starts_with("proven: DEV/COM/4321 sent the request"), "{proven}");
}

#[test]
fn proves_a_sound_container_to_programs() {
    let Some(output) = verify("asic/verifier/valid-batch-ts.asice", &["--json"]) else { return };
    let verified = json(&output);
    assert_eq!(
        (&verified["schema"], &verified["verdict"]),
        (&"uuk.cli/log-verify/v1".into(), &"proven".into())
    );
    assert_eq!(verified["containers"][0]["signed_by"], "DEV/COM/4321");
    assert_eq!(verified["containers"][0]["steps"].as_array().unwrap().len(), 8);
}

#[test]
fn refuses_an_altered_message() {
    let Some(output) = verify("asic/verifier/wrong-message.asice", &["--json"]) else { return };
    assert_eq!(output.status.code(), Some(1));
    let failure = json(&output);
    assert_eq!((&failure["code"], &failure["exit_code"]), (&"signature.part_modified".into(), &1.into()));
}

#[test]
fn refuses_an_archive_that_does_not_continue_the_one_before() {
    let Some(output) = verify("archive/message-archive-1.zip", &["--json", "--previous", ""]) else { return };
    assert_eq!(output.status.code(), Some(1));
    assert_eq!(json(&output)["code"], "archive.not_linked");
}

#[test]
fn refuses_to_export_what_was_never_recorded() {
    let folder = tempfile::tempdir().unwrap();
    let config = folder.path().join("uuk.toml");
    std::fs::write(&config, "[message_log]\ndatabase = 'sqlite:messages.db'\n").unwrap();
    let run = |arguments: &[&str]| {
        let mut uuk = Command::new(env!("CARGO_BIN_EXE_uuk"));
        uuk.arg("log").args(arguments).arg("--config").arg(&config).arg("--json").output().unwrap()
    };
    assert_eq!(json(&run(&["find"]))["records"], Value::Array(Vec::new()));
    for arguments in [["export", "7"].as_slice(), &["export", "--id", "nothing"]] {
        let output = run(arguments);
        assert_eq!(output.status.code(), Some(1));
        assert_eq!(json(&output)["code"], "message_log.not_found");
    }
    std::fs::write(&config, "[message_log]\ndatabase = 'mysql:messages'\n").unwrap();
    let output = run(&["find"]);
    assert_eq!((output.status.code(), &json(&output)["code"]), (Some(5), &"message_log.address".into()));
}
