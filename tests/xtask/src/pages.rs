//! The page of each language, followed to the letter: what it has the reader type, typed in an empty folder.

use std::env;
use std::ffi::OsString;
use std::fs;
use std::path::Path;
use std::process::Command;

use anyhow::{Context, Result, ensure};

use crate::command::capture;
use crate::prepare;
use crate::project::Project;

/// Folders with a page that begins with a session.
const PAGES: [&str; 6] =
    ["sdk/rust", "sdk/javascript", "sdk/python", "sdk/go", "sdk/c", "plugins/declarative"];

/// A line that is typed, and what is shown of the answer, which may be nothing.
#[derive(Debug, PartialEq, Eq)]
struct Typed<'p> {
    line: &'p str,
    shown: Vec<&'p str>,
}

/// Types the first session of each page, with the `uuk` that was built last. The last answer has to be shown.
pub(crate) fn follow(project: &Project) -> Result<()> {
    let environment = environment(project)?;
    for page in PAGES {
        println!("{page}/README.md");
        let text = fs::read_to_string(project.root.join(page).join("README.md"))?;
        let session = session(&text);
        ensure!(session.last().is_some_and(|last| !last.shown.is_empty()), "{page} shows no answer");
        // Within the repository, where the SDK for Rust is found.
        let empty = project.target.join("pages").join(page);
        if empty.exists() {
            fs::remove_dir_all(&empty)?;
        }
        fs::create_dir_all(&empty)?;
        let mut folder = empty.clone();
        for typed in session {
            match typed.line.strip_prefix("cd ") {
                Some(name) => folder.push(name),
                None => typed.check(&folder, &environment)?,
            }
        }
        fs::remove_dir_all(&empty)?;
    }
    Ok(())
}

/// A machine whose tools are those that the project has installed, and on which all else is installed within its folder.
fn environment(project: &Project) -> Result<[(&'static str, OsString); 4]> {
    let npm = project.tools().join("npm");
    let path = prepare::languages(project)?;
    let own = [npm.join("bin"), project.target.join("debug")].into_iter();
    Ok([
        ("PATH", env::join_paths(own.chain(env::split_paths(&path)))?),
        ("npm_config_prefix", npm.into()),
        // What was loaded before is not asked for again.
        ("npm_config_prefer_offline", "true".into()),
        ("CARGO_NET_OFFLINE", "true".into()),
    ])
}

/// The first block of a page that is marked `console`.
fn session(page: &str) -> Vec<Typed<'_>> {
    let lines = page.lines().skip_while(|line| *line != "```console").skip(1);
    let mut session: Vec<Typed<'_>> = Vec::new();
    for line in lines.take_while(|line| *line != "```") {
        match (line.strip_prefix("$ "), session.last_mut()) {
            (Some(line), _) => session.push(Typed { line, shown: Vec::new() }),
            (None, Some(typed)) => typed.shown.push(line),
            (None, None) => {}
        }
    }
    session
}

impl Typed<'_> {
    fn check(&self, folder: &Path, environment: &[(&str, OsString)]) -> Result<()> {
        // Packages of Debian are there, and only an administrator could say it once more.
        if self.line.starts_with("apt-get ") && !prepare::is_administrator()? {
            return Ok(());
        }
        let mut shell = Command::new("sh");
        shell.args(["-c", self.line]).current_dir(folder).envs(environment.iter().cloned());
        let said = capture(&mut shell).with_context(|| format!("`{}`", self.line))?;
        let is_shown = self.shown.is_empty() || said.lines().eq(self.shown.iter().copied());
        ensure!(is_shown, "`{}` answers\n{said}and not\n{}", self.line, self.shown.join("\n"));
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_session_is_what_is_typed_and_what_is_shown_of_the_answers() {
        let page = "# A\n\n```c\nx\n```\n```console\n$ cd a\n$ b 'c'\n{\n}\n```\n```console\n$ d\n```\n";
        let typed = |line, shown: &[&'static str]| Typed { line, shown: shown.to_vec() };
        assert_eq!(session(page), [typed("cd a", &[]), typed("b 'c'", &["{", "}"])]);
    }
}
