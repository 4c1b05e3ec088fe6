//! `uuk bundle …`: making the one file a plugin is delivered as, and looking into it.

mod advisories;
mod inspect;
mod pack;
mod review;
mod sign;
mod trust;
mod verify;

use std::io::Write;
use std::path::Path;

use clap::Subcommand;
use uuk_bundle::BundleError;

use crate::exit_code::ExitCode;
use crate::terminal::{Failure, Terminal};

/// Make, sign and examine bundles
#[derive(Debug, Subcommand)]
pub(crate) enum BundleCommand {
    Pack(pack::PackOptions),
    Inspect(inspect::InspectOptions),
    Sign(sign::SignOptions),
    Verify(verify::VerifyOptions),
    Review(review::ReviewOptions),
}

pub(crate) fn run(command: &BundleCommand, terminal: &Terminal) -> Result<(), Failure> {
    match command {
        BundleCommand::Pack(options) => pack::run(options, terminal),
        BundleCommand::Inspect(options) => inspect::run(options, terminal),
        BundleCommand::Sign(options) => sign::run(options, terminal),
        BundleCommand::Verify(options) => verify::run(options, terminal),
        BundleCommand::Review(options) => review::run(options, terminal),
    }
}

/// Reads a file of at most `bytes_max` bytes.
pub(crate) fn read_file(path: &Path, bytes_max: usize) -> Result<Vec<u8>, Failure> {
    let unreadable = |reason: &dyn std::fmt::Display| {
        let message = format!("cannot read `{}`", path.display());
        Failure::new(ExitCode::Remote, "bundle.file_unreadable", message).note(reason)
    };
    let size_bytes = std::fs::metadata(path).map_err(|error| unreadable(&error))?.len();
    if size_bytes > bytes_max as u64 {
        return Err(unreadable(&format_args!("it has {size_bytes} bytes; at most {bytes_max} are read")));
    }
    std::fs::read(path).map_err(|error| unreadable(&error))
}

/// Puts a file in its place in one step: a server that watches the folder never sees half of it.
pub(crate) fn write_file(path: &Path, bytes: &[u8]) -> Result<(), Failure> {
    let unwritable = |error: &std::io::Error| {
        let message = format!("cannot write `{}`", path.display());
        Failure::new(ExitCode::Remote, "bundle.file_unwritable", message).note(error)
    };
    let mut part = path.as_os_str().to_owned();
    part.push(".part");
    std::fs::File::create(&part)
        .and_then(|mut file| file.write_all(bytes).and_then(|()| file.sync_all()))
        .and_then(|()| std::fs::rename(&part, path))
        .map_err(|error| unwritable(&error))
}

/// Says why a bundle was refused, with the exit code that fits the reason.
fn refusal(path: &Path, error: &BundleError) -> Failure {
    let exit_code = match error {
        BundleError::Container(_)
        | BundleError::Manifest(_)
        | BundleError::MissingPart { .. }
        | BundleError::StrayPart { .. }
        | BundleError::NotText { .. }
        | BundleError::ContainerManifest => ExitCode::CheckFailed,
        BundleError::Sign(_) => ExitCode::Usage,
        _ => ExitCode::Refused,
    };
    let failure =
        Failure::new(exit_code, error.code(), format!("`{}`: {error}", path.display())).causes(error);
    match error {
        BundleError::AuthorSignatureMissing => failure.help(format_args!(
            "have its author sign it: uuk bundle sign {} --role author …",
            path.display()
        )),
        BundleError::VettingMissing { .. } => {
            failure.help(format_args!("have it vetted: uuk bundle sign {} --role vetting …", path.display()))
        }
        BundleError::TooFewReviewers => failure.help("name each with --reviewer NAME"),
        _ => failure,
    }
}
