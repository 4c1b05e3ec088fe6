//! The adapter in a bundle, tried as its author would: for those who review it.

use uuk_bundle::Bundle;
use uuk_central::vetting::Trial;

use super::component::Component;
use super::fixture::Fixture;
use super::generated::generate;
use super::project::{Project, ProjectOptions, write_file};
use super::test::{replay, wrong_answers};
use super::trial::{Bench, SourceOptions, block_on};
use crate::exit_code::ExitCode;
use crate::terminal::Failure;

/// Calls the adapter of a bundle with its fixtures, and with odd requests made of them. What it does wrong stands in the
/// result.
pub(in crate::commands) fn examine(bundle: &Bundle) -> Trial {
    let mut trial = Trial::default();
    if let Err(failure) = try_out(bundle, &mut trial) {
        trial.problem = Some(format!("{}: {}", failure.code(), failure.message()));
    }
    trial
}

fn try_out(bundle: &Bundle, trial: &mut Trial) -> Result<(), Failure> {
    let folder = tempfile::tempdir().map_err(|error| {
        let message = "there is no place to unpack the bundle";
        Failure::new(ExitCode::Environment, "adapter.host_not_started", message).note(error)
    })?;
    // The names of parts are checked: none leads out of the folder.
    for part in bundle.authored_parts() {
        write_file(&folder.path().join(part.name.as_str()), part.bytes)?;
    }
    let project = Project::open(&ProjectOptions::at(folder.path()))?;
    let component =
        Component { path: folder.path().join(uuk_bundle::COMPONENT), bytes: bundle.component().to_vec() };
    component.check(&project)?;
    let fixtures = Fixture::read_all(&project)?;
    let bench = Bench::new()?;
    block_on(async {
        trial.fixtures = replay(&bench, &project, &component, &fixtures, &SourceOptions::default()).await?;
        let requests = generate(&project, &fixtures).requests;
        trial.odd_requests = requests.len();
        trial.wrong_answers = wrong_answers(&bench, &project, &component, &requests).await?;
        Ok(())
    })
}
