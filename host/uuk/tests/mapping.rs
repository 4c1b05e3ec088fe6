//! From a database to an answered call, as a new user goes: the transcript in the documentation of mappings is made here.
//!
//! `UPDATE_SNAPSHOTS=1 cargo test -p uuk --test mapping` writes it anew.

#![expect(clippy::unwrap_used, reason = "what a test's helpers cannot do, the test reports")]

use std::fs;
use std::path::Path;
use std::process::Command;

const PEOPLE: &str = include_str!("../../../examples/people/data/sqlite.sql");
/// Lines as the reader types them, in a folder with `people.db`.
const TYPED: [&str; 6] = [
    "uuk adapter new people --from database --datasource sqlite:people.db",
    "cd people",
    "uuk adapter build",
    "uuk adapter test",
    "sed -i '/died_on/d' map.toml",
    r#"echo '{"pin":"10101194000000"}' | uuk adapter call --quiet --op get --datasource registry=sqlite:../people.db"#,
];

#[test]
fn a_table_is_answered_from_without_editing_more_than_the_mapping() {
    let folder = tempfile::tempdir().unwrap();
    run("sqlite3 people.db", folder.path(), PEOPLE);
    let mut transcript = String::new();
    let mut before = String::new();
    for line in TYPED {
        let said = run(&format!("{before}{line}"), folder.path(), "");
        if line.starts_with("cd ") {
            before = format!("{line} && ");
        }
        transcript += &format!("$ {line}\n{said}");
    }
    compare(&masked(&transcript));
}

/// What a line of the shell leaves on both outputs; it has to succeed.
fn run(line: &str, folder: &Path, input: &str) -> String {
    let path = Path::new(env!("CARGO_BIN_EXE_uuk")).parent().unwrap();
    let path = std::env::join_paths(
        [path.to_owned()].into_iter().chain(std::env::split_paths(&std::env::var_os("PATH").unwrap())),
    );
    let script = folder.join("input");
    fs::write(&script, input).unwrap();
    let output = Command::new("sh")
        .args(["-c", &format!("exec 2>&1; {line}")])
        .env("PATH", path.unwrap())
        .current_dir(folder)
        .stdin(fs::File::open(script).unwrap())
        .output()
        .unwrap();
    let said = String::from_utf8(output.stdout).unwrap();
    assert!(output.status.success(), "{line}: {said}");
    said
}

/// Without what differs from run to run: how long a call took, and how large the component is.
fn masked(transcript: &str) -> String {
    let mask = |line: &str| match (line.ends_with(" ms"), line.split_once(" KiB · ")) {
        (true, _) => format!("{}\n", line.rsplitn(3, ' ').last().unwrap().trim_end()),
        (false, Some((file, imports))) => {
            format!("{}… KiB · {imports}\n", file.trim_end_matches(|digit: char| digit.is_ascii_digit()))
        }
        (false, None) => format!("{line}\n"),
    };
    transcript.lines().map(mask).collect()
}

fn compare(transcript: &str) {
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../plugins/declarative/README.md");
    let page = fs::read_to_string(&path).unwrap();
    let (before, rest) = page.split_once("<!-- transcript -->\n").unwrap();
    let (_, after) = rest.split_once("<!-- end of transcript -->").unwrap();
    let expected = format!(
        "{before}<!-- transcript -->\n```console\n{transcript}```\n<!-- end of transcript -->{after}"
    );
    if std::env::var_os("UPDATE_SNAPSHOTS").is_some() {
        fs::write(&path, &expected).unwrap();
    }
    assert!(
        fs::read_to_string(&path).unwrap() == expected,
        "{} differs; now it reads:\n{transcript}",
        path.display()
    );
}
