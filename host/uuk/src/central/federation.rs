use std::path::{Path, PathBuf};

use clap::Subcommand;
use serde_json::json;
use uuk_globalconf::Anchor;

use super::{Operator, failure, read_file};
use crate::terminal::Failure;

/// More is refused by the registry, which says so.
const READ_BYTES_MAX: u64 = 1 << 20;

#[derive(Debug, Subcommand)]
pub(crate) enum FederationCommand {
    /// Let servers that want it follow another instance, or follow it by a newer anchor
    Add {
        /// The other instance's anchor for other instances; compare the digest that is printed with its operator
        anchor: PathBuf,
    },
    /// End the federation with another instance
    Remove {
        /// Its identifier
        instance: String,
    },
}

pub(super) fn run(command: &FederationCommand, operator: &Operator<'_>) -> Result<(), Failure> {
    match command {
        FederationCommand::Add { anchor } => add(operator, anchor),
        FederationCommand::Remove { instance } => {
            operator.change("end-federation", |registry| registry.end_federation(instance))
        }
    }
}

fn add(operator: &Operator<'_>, path: &Path) -> Result<(), Failure> {
    let anchor = read_file(path, READ_BYTES_MAX)?;
    let federating =
        operator.central.change(&operator.actor, "federate", |registry| registry.federate(&anchor));
    let instance = operator.runtime.block_on(federating).map_err(|error| failure(&error))?;
    let hash = Anchor::displayed_hash(&anchor);
    let result = json!({ "instance": instance, "sha224": hash });
    operator.terminal.result("uuk.cli/central-federation/v1", &result, format_args!("{instance}  {hash}"));
    Ok(())
}
