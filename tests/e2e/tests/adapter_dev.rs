//! `uuk adapter dev`, as an integrator uses it: edit, and the next request is answered by what was edited.
//!
//! Watch loops break in four classic ways, and each has its test here: the manifest is not watched, paths are mixed up,
//! the build triggers itself for ever, and "reloaded" still means the old code.

use std::fs;
use std::io::{BufRead, BufReader};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::sync::mpsc::{self, Receiver};
use std::time::{Duration, Instant};

use anyhow::{Context, Result, bail, ensure};
use uuk_e2e::{Server, project_root};

const PATIENCE: Duration = Duration::from_secs(60);
/// In this time a loop that feeds itself would have gone round several times.
const QUIET: Duration = Duration::from_secs(3);

/// A project in a folder of its own: the people adapter as a mapping, whose build only copies.
struct Project {
    folder: tempfile::TempDir,
}

impl Project {
    fn new() -> Result<Self> {
        let folder = tempfile::tempdir()?;
        let example = project_root().join("examples/people-mapping");
        // It shares files with the other examples, by links.
        let copied = Command::new("cp").arg("-rL").arg(example).arg(folder.path().join("people")).status()?;
        ensure!(copied.success());
        let project = Self { folder };
        let component = project_root().join("plugins/declarative/declarative.wasm");
        fs::copy(component, project.file("compiled.wasm"))?;
        project.built_by("cp compiled.wasm adapter.wasm", "")?;
        Ok(project)
    }

    fn path(&self) -> PathBuf {
        self.folder.path().join("people")
    }

    fn file(&self, name: &str) -> PathBuf {
        self.path().join(name)
    }

    fn built_by(&self, command: &str, more: &str) -> Result<()> {
        let build = format!("[build]\ncommand = \"{command}\"\nartifact = \"adapter.wasm\"\n{more}");
        self.edit("plugin.toml", |manifest| {
            let (before, _) = manifest.split_once("[build]").unwrap_or((manifest, ""));
            format!("{}\n\n{build}", before.trim_end())
        })
    }

    fn edit(&self, name: &str, edit: impl Fn(&str) -> String) -> Result<()> {
        let text = fs::read_to_string(self.file(name))?;
        Ok(fs::write(self.file(name), edit(&text))?)
    }

    /// The word for "not found" that the mapping answers with.
    fn say(&self, word: &str) -> Result<()> {
        self.edit("map.toml", |map| {
            let lines = map.lines().map(|line| match line.starts_with("faults.none") {
                true => format!("faults.none = {{ code = \"PERSON_NOT_FOUND\", message = \"{word}\" }}"),
                false => line.to_owned(),
            });
            lines.collect::<Vec<_>>().join("\n")
        })
    }
}

/// The command at work, and what it says.
struct Developing {
    process: Child,
    lines: Receiver<String>,
    said: Vec<String>,
}

impl Developing {
    /// Starts it in `folder` with `arguments`.
    fn start(folder: &Path, arguments: &[&str]) -> Result<Self> {
        let mut process = Command::new(Server::program()?)
            .args(["adapter", "dev", "--no-color"])
            .args(arguments)
            .current_dir(folder)
            .stdout(Stdio::null())
            .stderr(Stdio::piped())
            .spawn()?;
        let errors = process.stderr.take().context("no standard error")?;
        let (sender, lines) = mpsc::channel();
        std::thread::spawn(move || {
            let lines = BufReader::new(errors).lines().map_while(Result::ok);
            lines.take_while(|line| sender.send(line.clone()).is_ok()).for_each(drop);
        });
        Ok(Self { process, lines, said: Vec::new() })
    }

    /// Waits for a line that begins with `verb`, and gives the rest of it.
    fn until(&mut self, verb: &str) -> Result<String> {
        let deadline = Instant::now() + PATIENCE;
        loop {
            let left = deadline.saturating_duration_since(Instant::now());
            let Ok(line) = self.lines.recv_timeout(left) else {
                bail!("it did not say `{verb}`, but:\n{}", self.said.join("\n"));
            };
            self.said.push(line.clone());
            if let Some(rest) = line.trim_start().strip_prefix(verb) {
                return Ok(rest.trim().to_owned());
            }
        }
    }

    /// What it says in a while in which nobody edits.
    fn meanwhile(&mut self) -> Vec<String> {
        let deadline = Instant::now() + QUIET;
        let left = || deadline.saturating_duration_since(Instant::now());
        std::iter::from_fn(|| self.lines.recv_timeout(left()).ok()).collect()
    }
}

impl Drop for Developing {
    fn drop(&mut self) {
        let _ = self.process.kill();
        let _ = self.process.wait();
    }
}

/// Runs a request line as it was printed.
fn paste(line: &str) -> Result<String> {
    let output = Command::new("sh").args(["-c", &format!("{line} --silent --show-error")]).output()?;
    ensure!(output.status.success(), "{line}: {}", String::from_utf8_lossy(&output.stderr));
    Ok(String::from_utf8(output.stdout)?)
}

/// The address of somebody who is in no fixture's register.
fn nobody(base: &str) -> String {
    format!("curl '{base}/person/people/10101194099999'")
}

#[test]
fn the_request_it_prints_can_be_pasted_and_is_answered() -> Result<()> {
    let project = Project::new()?;
    let mut developing = Developing::start(&project.path(), &[])?;
    let base = developing.until("ready")?;
    let request = developing.until("try")?;
    ensure!(request.starts_with(&format!("curl '{base}/person/people/")), "{request}");
    let answer = paste(&request)?;
    ensure!(answer.contains("Асанова"), "{answer}");
    Ok(())
}

#[test]
fn an_edit_of_the_manifest_counts() -> Result<()> {
    let project = Project::new()?;
    let mut developing = Developing::start(&project.path(), &[])?;
    let base = developing.until("ready")?;
    project.edit("plugin.toml", |manifest| manifest.replacen("code = \"person\"", "code = \"people\"", 1))?;
    ensure!(developing.until("changed")?.contains("plugin.toml"));
    developing.until("swapped")?;
    let answer = paste(&nobody(&base).replace("/person/", "/people/"))?;
    ensure!(answer.contains("PERSON_NOT_FOUND"), "{answer}");
    Ok(())
}

#[test]
fn an_edit_counts_by_whichever_path_the_project_was_named() -> Result<()> {
    let project = Project::new()?;
    let link = project.folder.path().join("link");
    std::os::unix::fs::symlink(project.path(), &link)?;
    let absolute = project.path();
    let absolute = absolute.to_str().context("a path")?;
    for (number, named) in ["people", "./people/", "people/../people", "link", absolute].iter().enumerate() {
        let mut developing = Developing::start(project.folder.path(), &["-C", named])?;
        let base = developing.until("ready")?;
        let word = format!("nobody {number}");
        project.say(&word)?;
        developing.until("swapped").with_context(|| named.to_string())?;
        let answer = paste(&nobody(&base))?;
        ensure!(answer.contains(&word), "{named}: {answer}");
    }
    Ok(())
}

#[test]
fn a_build_that_writes_among_the_watched_files_does_not_trigger_itself_for_ever() -> Result<()> {
    let project = Project::new()?;
    // The artifact itself, a copy of it, and a file that is another after each build.
    let command = "cp compiled.wasm adapter.wasm && cp adapter.wasm copy.wasm && date +%N > generated.txt";
    project.built_by(command, "watch = [\"**\"]\n")?;
    let mut developing = Developing::start(&project.path(), &[])?;
    developing.until("ready")?;
    let said = developing.meanwhile();
    let builds = said.iter().filter(|line| line.trim_start().starts_with("build ")).count();
    ensure!(builds <= 1, "{builds} builds more: {said:#?}");
    // And it still sees edits.
    project.say("an edit")?;
    developing.until("swapped")?;
    Ok(())
}

#[test]
fn what_it_says_it_swapped_is_what_answers() -> Result<()> {
    let project = Project::new()?;
    let mut developing = Developing::start(&project.path(), &[])?;
    let base = developing.until("ready")?;
    for word in ["one", "two", "three"] {
        project.say(word)?;
        developing.until("swapped")?;
        let answer = paste(&nobody(&base))?;
        ensure!(answer.contains(&format!("\"{word}\"")), "{word} is not in {answer}");
    }
    Ok(())
}

#[test]
fn the_last_good_version_serves_while_the_folder_holds_a_bad_one() -> Result<()> {
    let project = Project::new()?;
    let mut developing = Developing::start(&project.path(), &[])?;
    let base = developing.until("ready")?;
    project.say("before")?;
    developing.until("swapped")?;
    project.edit("map.toml", |map| format!("{map}\n[get"))?;
    developing.until("waiting")?;
    ensure!(paste(&nobody(&base))?.contains("\"before\""));
    project.built_by("echo the compiler is unhappy; exit 3", "")?;
    developing.until("waiting")?;
    ensure!(
        developing.said.iter().any(|line| line.contains("the compiler is unhappy")),
        "its words are shown"
    );
    ensure!(paste(&nobody(&base))?.contains("\"before\""));
    project.edit("map.toml", |map| map.trim_end_matches("\n[get").to_owned())?;
    project.built_by("cp compiled.wasm adapter.wasm", "")?;
    developing.until("swapped")?;
    Ok(())
}

#[test]
fn it_grants_nothing_that_the_manifest_does_not_ask_for() -> Result<()> {
    let project = Project::new()?;
    for unasked in [["--datasource", "other=sqlite:./x.db"], ["--upstream", "other=http://127.0.0.1:9"]] {
        let mut developing = Developing::start(&project.path(), &unasked)?;
        let refused = developing.until("error[adapter.source_unknown]")?;
        ensure!(refused.contains("plugin.toml asks for no"), "{refused}");
    }
    // A mapping that runs a statement the manifest lacks fails before it serves.
    project.edit("map.toml", |map| map.replacen("row = \"find-person\"", "row = \"find-anything\"", 1))?;
    let mut developing = Developing::start(&project.path(), &[])?;
    developing.until("waiting")?;
    ensure!(!developing.said.iter().any(|line| line.trim_start().starts_with("ready")));
    Ok(())
}
