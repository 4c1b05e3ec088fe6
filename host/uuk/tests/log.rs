//! `uuk log` from the shell's side: verdicts and how they are told.

#![expect(clippy::unwrap_used, reason = "what a test's helpers cannot do, the test reports")]

use std::path::Path;
use std::process::{Command, Output};

use serde_json::Value;
use tempfile::TempDir;
use uuk_testkit::fixtures;

/// Judges a file of the X-Road project by the configuration of its tests.
fn verify(file: &str, options: &[&str]) -> Option<Output> {
    verify_paths(&[&fixtures::folder()?.join("xroad").join(file)], options)
}

fn verify_paths(paths: &[&Path], options: &[&str]) -> Option<Output> {
    let mut uuk = Command::new(env!("CARGO_BIN_EXE_uuk"));
    uuk.args(["log", "verify"]).args(paths).arg("--configuration");
    uuk.arg(fixtures::folder()?.join("xroad/globalconf/globalconf_good2_v3"));
    Some(uuk.args(options).output().unwrap())
}

/// A folder with copies of files of the X-Road project, under names of ours.
fn folder(files: &[(&str, &str)]) -> Option<TempDir> {
    let folder = tempfile::tempdir().unwrap();
    for (file, name) in files {
        std::fs::copy(fixtures::folder()?.join("xroad").join(file), folder.path().join(name)).unwrap();
    }
    Some(folder)
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
        (&"uuk.cli/log-verify/v2".into(), &"proven".into())
    );
    let container = &verified["files"][0]["containers"][0];
    assert_eq!(container["signed_by"], "DEV/COM/4321");
    assert_eq!(container["steps"].as_array().unwrap().len(), 8);
}

#[test]
fn proves_all_that_is_in_a_folder() {
    let sound = ["valid-batch-ts", "valid-signed-message"].map(|name| format!("asic/verifier/{name}.asice"));
    let [one, other] = &sound;
    let Some(folder) = folder(&[(one, "one.asice"), (other, "other.asice")]) else { return };
    std::fs::write(folder.path().join("notes.txt"), "no evidence").unwrap();
    let output = verify_paths(&[folder.path()], &[]).unwrap();
    assert_eq!(output.status.code(), Some(0));
    assert_eq!(String::from_utf8(output.stdout).unwrap(), "proven: 2 messages in 2 files\n");
    let said = String::from_utf8(output.stderr).unwrap();
    assert!(said.contains("1 message in ") && !said.contains("by the word of"), "{said}");
}

#[test]
fn names_the_file_that_proves_nothing_among_others_that_do() {
    let sound = ("asic/verifier/valid-batch-ts.asice", "1.asice");
    let Some(folder) = folder(&[sound, ("asic/verifier/wrong-message.asice", "2.asice")]) else { return };
    std::fs::write(folder.path().join("3.zip"), "no archive").unwrap();
    let [one, two, three] = ["1.asice", "2.asice", "3.zip"].map(|name| folder.path().join(name));
    let output = verify_paths(&[&one, &two, &three], &["--json"]).unwrap();
    assert_eq!(output.status.code(), Some(1));
    let failure = json(&output);
    assert_eq!(failure["code"], "signature.part_modified");
    assert_eq!(failure["message"], "2 of 3 files do not prove what they should");
    let notes: Vec<_> =
        failure["notes"].as_array().unwrap().iter().map(|note| note.as_str().unwrap()).collect();
    assert!(notes[0].starts_with(&two.display().to_string()), "{notes:?}");
    assert!(notes[1].ends_with("(container.not_a_container)"), "{notes:?}");

    let said = String::from_utf8(verify_paths(&[folder.path()], &[]).unwrap().stderr).unwrap();
    assert!(
        said.contains("✗ ") && said.contains("by the word of"),
        "of what is wrong, each step is said: {said}"
    );
}

#[test]
fn refuses_a_folder_without_evidence() {
    let Some(folder) = folder(&[]) else { return };
    let Some(output) = verify_paths(&[folder.path()], &["--json"]) else { return };
    assert_eq!((output.status.code(), &json(&output)["code"]), (Some(5), &"log.file_unreadable".into()));
}

#[test]
fn refuses_archives_of_which_one_does_not_continue_the_other_as_it_is() {
    // The second says that it continues the first, by this name.
    let first = "archive/message-archive-0.zip";
    let second = ("archive/message-archive-1.zip", "second.zip");
    let Some(name) = continued_by(second.0) else { return };
    let linked = folder(&[(first, &name), second]).unwrap();
    // The archives are of an instance whose configuration nobody has kept.
    let code = |folder: &TempDir| json(&verify_paths(&[folder.path()], &["--json"]).unwrap())["code"].clone();
    assert_eq!(code(&linked), "evidence.unknown_instance");
    let replaced = folder(&[second, (second.0, &name)]).unwrap();
    assert_eq!(code(&replaced), "archive.not_linked");
}

/// The name of the archive that one of the X-Road project continues, by its own word; it was encrypted then.
fn continued_by(archive: &str) -> Option<String> {
    let bytes = std::fs::read(fixtures::folder()?.join("xroad").join(archive)).unwrap();
    let archive = uuk_asic::Archive::read(&bytes).unwrap();
    let previous = archive.verify(None).unwrap().previous.unwrap().file_name;
    Some(previous.strip_suffix(".gpg").unwrap().to_owned())
}

#[test]
fn judges_as_x_road_does_if_told_to_believe_time_stamps_only() {
    let Some(output) = verify("asic/verifier/valid-batch-ts.asice", &["--stamped-within", "0s"]) else {
        return;
    };
    assert_eq!(output.status.code(), Some(0));
    let output = verify("asic/verifier/valid-batch-ts.asice", &["--stamped-within", "-1h"]).unwrap();
    assert_eq!(output.status.code(), Some(2));
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
    // Looking does not make a log.
    let output = run(&["find"]);
    assert_eq!((output.status.code(), &json(&output)["code"]), (Some(5), &"message_log.unreachable".into()));
    assert!(!folder.path().join("messages.db").exists());
    assert_eq!(run(&["archive"]).status.code(), Some(0));
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
