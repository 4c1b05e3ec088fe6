use std::fmt::Write;

use clap::Subcommand;
use serde_json::json;
use uuk_central::KeyFolderError;
use uuk_pki::Sha256;

use super::{Operator, failure, unusable};
use crate::terminal::Failure;

#[derive(Debug, Subcommand)]
pub(crate) enum KeyCommand {
    /// Show the keys, and which one signs
    List,
    /// Make a key, and tell members that it will sign
    Announce,
    /// Have a key sign from now on; all members must have heard of it
    Activate {
        /// The digest of its certificate
        key: Sha256,
    },
    /// Forget a key that no longer signs
    Remove {
        /// The digest of its certificate
        key: Sha256,
    },
}

pub(super) fn run(command: &KeyCommand, operator: &Operator<'_>) -> Result<(), Failure> {
    let now = operator.central.clock().now();
    match command {
        KeyCommand::List => list(operator),
        KeyCommand::Announce => {
            let snapshot =
                operator.runtime.block_on(operator.central.snapshot()).map_err(|error| failure(&error))?;
            let instance = &snapshot.registry.settings().instance;
            let generated = operator.config.keys()?.generate(instance, now);
            let certificate = generated.map_err(unusable(KeyFolderError::code))?;
            operator.terminal.step("made", format_args!("{}", certificate.sha256()));
            operator.change("announce-key", |registry| registry.announce_key(certificate.clone(), now))
        }
        KeyCommand::Activate { key } => {
            let lifetime = operator.config.publication.lifetime;
            operator.change("activate-key", |registry| registry.activate_key(key, lifetime, now))
        }
        KeyCommand::Remove { key } => operator.change("remove-key", |registry| registry.remove_key(key)),
    }
}

fn list(operator: &Operator<'_>) -> Result<(), Failure> {
    let snapshot = operator.runtime.block_on(operator.central.snapshot()).map_err(|error| failure(&error))?;
    let keys = snapshot.registry.signing_keys();
    let mut text = String::new();
    for (id, key) in keys {
        let what = if key.active { "signs" } else { "announced" };
        // Writing into a string does not fail.
        let _ = writeln!(text, "{id}  {what}  since {:.0}", key.announced_at);
    }
    operator.terminal.result("uuk.cli/central-keys/v1", &json!({ "keys": keys }), text);
    Ok(())
}
