//! `uuk log verify`: what a container or an archive proves, said in words.

use std::path::PathBuf;
use std::time::Duration;

use jiff::SignedDuration;
use serde::Serialize;
use uuk_asic::{ARCHIVE_BYTES_MAX, ArchiveError, Outcome};
use uuk_messagelog::{ContainerReport, Judge, Report, verify};
use uuk_process::ErrorChain;

use super::{Trust, harmless, read_file};
use crate::exit_code::ExitCode;
use crate::terminal::{Failure, Terminal};

/// Containers that the failure names; an archive may have thousands.
const NOTES_MAX: usize = 10;

/// Check what a container or an archive proves, and say why
///
/// Needs no server and no network: everything is judged by the global configuration given, as of the time-stamps. Ends
/// with exit code 1 if anything in the file does not prove what it should.
#[derive(Debug, clap::Args)]
pub(crate) struct VerifyOptions {
    /// Container (.asice) or archive (.zip) of a message log, ours or X-Road's
    #[arg(value_name = "FILE")]
    file: PathBuf,
    #[command(flatten)]
    trust: Trust,
    /// Last digest of the archive that this one must continue; for the first of all archives, an empty one
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

pub(super) fn run(options: &VerifyOptions, terminal: &Terminal) -> Result<(), Failure> {
    let configuration = options.trust.read()?;
    let bytes = read_file(&options.file, ARCHIVE_BYTES_MAX as u64)?;
    let file = options.file.display();
    let judge = Judge {
        configuration: &configuration,
        previous: options.previous.as_deref(),
        stamped_within: options.stamped_within,
    };
    let report = verify(&bytes, &judge).map_err(|error| {
        Failure::new(ExitCode::CheckFailed, error.code(), format_args!("`{file}`: {error}")).causes(&error)
    })?;
    tell(&report, terminal);
    if let Some(failure) = failure(&report, &options.file.display().to_string()) {
        return Err(failure);
    }
    let containers: Vec<_> = report.containers.iter().filter_map(Container::new).collect();
    let archive = report.archive.and_then(Result::ok).map(|archive| {
        let (previous_file, previous_digest) = archive.previous.unzip();
        Archive { previous_file, previous_digest, last_digest: archive.last_digest }
    });
    let text = match (&archive, containers.as_slice()) {
        (None, [one]) => format!(
            "proven: {} sent the {} `{}` of {} to {} before {}",
            one.signed_by,
            one.direction,
            harmless(&one.id),
            one.client,
            one.service,
            one.stamped_at
        ),
        (Some(archive), all) => {
            format!("proven: {} messages; the next archive continues {}", all.len(), archive.last_digest)
        }
        (None, all) => format!("proven: {} messages", all.len()),
    };
    terminal.result("uuk.cli/log-verify/v1", &Verified { verdict: "proven", archive, containers }, text);
    Ok(())
}

/// Says each step as it went.
fn tell(report: &Report, terminal: &Terminal) {
    match &report.archive {
        Some(Ok(archive)) => {
            let previous = archive.previous.as_ref().map_or("nothing", |(file_name, _)| file_name);
            let words = format!(
                "{} containers, each as it was archived; continues {}",
                archive.containers,
                harmless(previous)
            );
            terminal.step("archive", words);
        }
        Some(Err(error)) => terminal.step("archive", format_args!("✗ {}", ErrorChain(error))),
        None => {}
    }
    for container in &report.containers {
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

/// The first thing that is wrong, with all others as notes.
fn failure(report: &Report, file: &str) -> Option<Failure> {
    let refused: Vec<_> = report
        .containers
        .iter()
        .filter_map(|container| Some((container, container.verdict.as_ref().err()?)))
        .collect();
    let broken = report.archive.as_ref().and_then(|archive| archive.as_ref().err());
    let code = broken.map(ArchiveError::code).or_else(|| Some(refused.first()?.1.code()))?;
    let message = match broken {
        Some(_) => format!("`{file}` is not what was archived"),
        None => {
            format!("{} of {} containers in `{file}` prove nothing", refused.len(), report.containers.len())
        }
    };
    let mut failure = Failure::new(ExitCode::CheckFailed, code, message);
    if let Some(error) = broken {
        failure = failure.note(ErrorChain(error));
    }
    let unsaid = refused.len().saturating_sub(NOTES_MAX);
    for (container, disproof) in refused.into_iter().take(NOTES_MAX) {
        let name = container.file_name.as_deref().map_or_else(String::new, |name| format!("{name}: "));
        failure = failure.note(format_args!("{name}{} ({})", ErrorChain(disproof), disproof.code()));
    }
    if unsaid > 0 {
        failure = failure.note(format_args!("and {unsaid} more, each said above"));
    }
    Some(failure)
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
