//! What the examples' READMEs say an integrator writes for `get` is what stands in the files, and is little.

#![expect(clippy::unwrap_used, reason = "what a test's helpers cannot do, the test reports")]

use std::fs;
use std::path::{Path, PathBuf};

const LINES_MAX: usize = 40;

#[test]
fn get_in_python_is_what_its_readme_shows() {
    check("people-python", "adapter.py", "py");
}

#[test]
fn get_in_javascript_is_what_its_readme_shows() {
    check("people-javascript", "adapter.js", "js");
}

#[test]
fn get_in_c_is_what_its_readme_shows() {
    check("people-c", "adapter.c", "c");
}

#[test]
fn get_in_go_is_what_its_readme_shows() {
    check("people-go", "adapter.go", "go");
}

#[track_caller]
fn check(example: &str, adapter: &str, language: &str) {
    let folder = PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("../../examples").join(example);
    let readme = fs::read_to_string(folder.join("README.md")).unwrap();
    let files = [(language, adapter), ("sql", "sql/find-person.sql"), ("toml", "plugin.toml")];
    let mut count = 0;
    for (language, file) in files {
        let text = own(&folder, file);
        for line in shown(&readme, language) {
            assert!(text.lines().any(|other| other == line), "{file} of {example} has no line `{line}`");
            count += 1;
        }
    }
    assert!(count <= LINES_MAX, "{count} lines");
    assert!(
        readme.contains(&format!("`get` are these {count},")),
        "README of {example} does not say {count}"
    );
}

/// A file of an example, without what it needs for `search` beside `get`.
fn own(folder: &Path, file: &str) -> String {
    let text = fs::read_to_string(folder.join(file)).unwrap();
    text.replace(", searchPeople", "").replace(", search=search", "").replace("{ get, search }", "{ get }")
}

/// The lines of a language in a README that are neither blank nor comments.
fn shown<'r>(readme: &'r str, language: &str) -> Vec<&'r str> {
    let opening = format!("```{language}");
    let lines = readme.lines().skip_while(|line| *line != opening).skip(1).take_while(|line| *line != "```");
    let is_comment = |line: &str| ["# ", "//", "/*"].iter().any(|mark| line.trim_start().starts_with(mark));
    lines.filter(|line| !line.is_empty() && !is_comment(line)).collect()
}
