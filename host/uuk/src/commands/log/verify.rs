//! `uuk log verify`: what containers and archives prove, said in words.

use std::collections::{BTreeSet, HashMap};
use std::ffi::OsStr;
use std::fs::DirEntry;
use std::path::{Path, PathBuf};
use std::time::Duration;

use jiff::SignedDuration;
use serde::Serialize;
use uuk_asic::{ARCHIVE_BYTES_MAX, ArchiveError, Outcome};
use uuk_messagelog::{ContainerReport, Judge, Report, verify};
use uuk_process::{ErrorChain, harmless};

use super::{Trust, counted, read_file, unreadable};
use crate::exit_code::ExitCode;
use crate::terminal::{Failure, Terminal};

/// Of what is wrong, so much is said with the failure; an archive may have thousands of containers.
const NOTES_MAX: usize = 10;

/// Check what containers and archives prove, and say why
///
/// Needs no server and no network: everything is judged by the global configuration given, as of the time-stamps. Of one
/// file every step is said; of several those that fail, and a line of each file. An archive that continues another one
/// given must continue it as it is. Ends with exit code 1 if anything does not prove what it should.
#[derive(Debug, clap::Args)]
pub(crate) struct VerifyOptions {
    /// Containers (.asice) and archives (.zip) of message logs, ours or X-Road's, or folders of them
    #[arg(value_name = "PATH", required = true)]
    paths: Vec<PathBuf>,
    #[command(flatten)]
    trust: Trust,
    /// Last digest of the archive that the first file must continue; for the first of all archives, an empty one
    #[arg(long, value_name = "DIGEST")]
    previous: Option<String>,
    /// Believe when a signature says that it was made if its time-stamp came at most so much later; `0s`: never, as
    /// X-Road
    #[arg(long, value_name = "TIME", default_value = "4h", value_parser = duration)]
    stamped_within: Duration,
}

fn duration(text: &str) -> Result<Duration, String> {
    let duration: SignedDuration = text.parse().map_err(|error: jiff::Error| error.to_string())?;
    Duration::try_from(duration).map_err(|_| "it is negative".to_owned())
}

#[derive(Serialize)]
struct Verified {
    verdict: &'static str,
    files: Vec<File>,
}

#[derive(Serialize)]
struct File {
    file: String,
    archive: Option<Archive>,
    containers: Vec<Container>,
}

#[derive(Serialize)]
struct Archive {
    previous_file: Option<String>,
    previous_digest: Option<String>,
    last_digest: String,
}

#[derive(Serialize)]
struct Container {
    file: Option<String>,
    id: String,
    direction: String,
    client: String,
    service: String,
    signed_by: String,
    stamped_at: String,
    stamped_by: String,
    certificate_judged_at: String,
    steps: Vec<String>,
}

/// Something that does not prove what it should.
struct Flaw {
    file: String,
    code: &'static str,
    words: String,
}

pub(super) fn run(options: &VerifyOptions, terminal: &Terminal) -> Result<(), Failure> {
    let configuration = options.trust.read()?;
    let paths = files(&options.paths)?;
    let mut judge = Judge {
        configuration: &configuration,
        previous: options.previous.as_deref(),
        stamped_within: options.stamped_within,
    };
    let (mut files, mut flaws) = (Vec::new(), Vec::new());
    for path in &paths {
        let bytes = read_file(path, ARCHIVE_BYTES_MAX as u64)?;
        let name = path.display().to_string();
        match verify(&bytes, &judge) {
            Ok(report) => {
                tell(&name, &report, paths.len() == 1, terminal);
                flaws.extend(flaws_of(&name, &report));
                files.push(File::new(name, report));
            }
            Err(error) => flaws.push(Flaw::new(&name, None, error.code(), &error)),
        }
        judge.previous = None;
    }
    // An archive that is missing or was replaced comes before anything in one.
    let flaws: Vec<_> = broken_links(&files).into_iter().chain(flaws).collect();
    if let Some(failure) = failure(&flaws, paths.len()) {
        return Err(failure);
    }
    let text = text(&files);
    terminal.result("uuk.cli/log-verify/v2", &Verified { verdict: "proven", files }, text);
    Ok(())
}

/// The files that `paths` name, those of a folder in the order of their names, which is that of time.
fn files(paths: &[PathBuf]) -> Result<Vec<PathBuf>, Failure> {
    let is_evidence = |path: &PathBuf| {
        let extension = path.extension().and_then(OsStr::to_str);
        path.is_file() && extension.is_some_and(|extension| ["asice", "zip"].contains(&extension))
    };
    let mut files = Vec::new();
    for path in paths {
        if !path.is_dir() {
            files.push(path.clone());
            continue;
        }
        let entries = std::fs::read_dir(path).and_then(Iterator::collect::<std::io::Result<Vec<_>>>);
        let entries = entries.map_err(|error| unreadable(path, &error))?;
        let mut inside: Vec<_> = entries.iter().map(DirEntry::path).filter(is_evidence).collect();
        if inside.is_empty() {
            return Err(unreadable(path, &"it has neither containers (.asice) nor archives (.zip)"));
        }
        inside.sort();
        files.append(&mut inside);
    }
    Ok(files)
}

/// Says each step as it went; of one file among several only what is wrong.
fn tell(name: &str, report: &Report, is_only: bool, terminal: &Terminal) {
    if !is_only && report.is_valid() {
        let what = counted(report.containers.len(), "message");
        return terminal.step("proven", format_args!("{what} in {name}"));
    }
    if !is_only {
        terminal.step("refused", name);
    }
    match &report.archive {
        Some(Ok(archive)) => {
            let containers = counted(archive.containers, "container");
            let previous = archive.previous.as_ref().map_or("nothing", |(file_name, _)| file_name);
            let previous = harmless(previous);
            let words = format!("{containers}, each as it was archived; continues {previous}");
            terminal.step("archive", words);
        }
        Some(Err(error)) => terminal.step("archive", format_args!("✗ {}", ErrorChain(error))),
        None => {}
    }
    for container in report.containers.iter().filter(|container| is_only || container.verdict.is_err()) {
        if let Some(file_name) = &container.file_name {
            terminal.step("file", file_name);
        }
        for step in &container.steps {
            let words = match &step.outcome {
                Outcome::Passed(words) => format!("{:<18} {}", step.check, harmless(words)),
                Outcome::Failed(words) => format!("{:<18} ✗ {}", step.check, harmless(words)),
                Outcome::NotMade => format!("{:<18} not asked", step.check),
            };
            terminal.step("", words);
        }
    }
}

fn flaws_of(file: &str, report: &Report) -> Vec<Flaw> {
    let archive = report.archive.iter().filter_map(|archive| archive.as_ref().err());
    let archive = archive.map(|error| Flaw::new(file, None, error.code(), error));
    let containers = report.containers.iter().filter_map(|container| {
        let disproof = container.verdict.as_ref().err()?;
        Some(Flaw::new(file, container.file_name.as_deref(), disproof.code(), disproof))
    });
    archive.chain(containers).collect()
}

/// Archives that continue another one of `files`, but not as it is.
fn broken_links(files: &[File]) -> Vec<Flaw> {
    let archives = || files.iter().filter_map(|file| Some((file, file.archive.as_ref()?)));
    let last_digests: HashMap<_, _> = archives()
        .filter_map(|(file, archive)| Some((Path::new(&file.file).file_name()?, &archive.last_digest)))
        .collect();
    let flaws = archives().filter_map(|(file, archive)| {
        let previous = archive.previous_file.as_deref()?;
        // X-Road names an archive as it was encrypted.
        let previous = previous.strip_suffix(".gpg").unwrap_or(previous);
        let last_digest = *last_digests.get(OsStr::new(previous))?;
        let error = ArchiveError::NotLinked { expected: last_digest.clone() };
        let is_linked = archive.previous_digest.as_ref() == Some(last_digest);
        (!is_linked).then(|| Flaw::new(&file.file, None, error.code(), &error))
    });
    flaws.collect()
}

/// The first of `flaws` with all others as notes.
fn failure(flaws: &[Flaw], files: usize) -> Option<Failure> {
    let first = flaws.first()?;
    let flawed = flaws.iter().map(|flaw| &flaw.file).collect::<BTreeSet<_>>().len();
    let message = match files {
        1 => format!("`{}` does not prove what it should", first.file),
        _ => format!("{flawed} of {files} files do not prove what they should"),
    };
    let mut failure = Failure::new(ExitCode::CheckFailed, first.code, message);
    for flaw in flaws.iter().take(NOTES_MAX) {
        failure = failure.note(format_args!("{} ({})", flaw.words, flaw.code));
    }
    match flaws.len().saturating_sub(NOTES_MAX) {
        0 => Some(failure),
        unsaid => Some(failure.note(format_args!("and {unsaid} more"))),
    }
}

fn text(files: &[File]) -> String {
    let messages = counted(files.iter().map(|file| file.containers.len()).sum(), "message");
    match files {
        [File { archive: Some(archive), .. }] => {
            format!("proven: {messages}; the next archive continues {}", archive.last_digest)
        }
        [File { archive: None, containers, .. }] => match containers.as_slice() {
            [one] => format!(
                "proven: {} sent the {} `{}` of {} to {} before {}",
                one.signed_by,
                one.direction,
                harmless(&one.id),
                one.client,
                one.service,
                one.stamped_at
            ),
            _ => format!("proven: {messages}"),
        },
        _ => format!("proven: {messages} in {} files", files.len()),
    }
}

impl Flaw {
    fn new(file: &str, container: Option<&str>, code: &'static str, error: &dyn std::error::Error) -> Self {
        let place = container.map_or_else(|| file.to_owned(), |container| format!("{container} in {file}"));
        Self { file: file.to_owned(), code, words: format!("{place}: {}", ErrorChain(error)) }
    }
}

impl File {
    fn new(file: String, report: Report) -> Self {
        let containers = report.containers.iter().filter_map(Container::new).collect();
        let archive = report.archive.and_then(Result::ok).map(|archive| {
            let (previous_file, previous_digest) = archive.previous.unzip();
            Archive { previous_file, previous_digest, last_digest: archive.last_digest }
        });
        Self { file, archive, containers }
    }
}

impl Container {
    fn new(report: &ContainerReport) -> Option<Self> {
        let evidence = report.verdict.as_ref().ok()?;
        let names = report.message.as_ref()?;
        let words = |outcome: &Outcome| match outcome {
            Outcome::Passed(words) | Outcome::Failed(words) => words.clone(),
            Outcome::NotMade => "not asked".to_owned(),
        };
        let steps = report.steps.iter();
        Some(Self {
            file: report.file_name.clone(),
            id: names.id.clone(),
            direction: names.direction.to_string(),
            client: names.client.clone(),
            service: names.service.clone(),
            signed_by: names.sender.to_string(),
            stamped_at: evidence.time.to_string(),
            stamped_by: evidence.time_stamped_by.clone(),
            certificate_judged_at: evidence.certificate_judged_at.to_string(),
            steps: steps.map(|step| format!("{}: {}", step.check, words(&step.outcome))).collect(),
        })
    }
}
