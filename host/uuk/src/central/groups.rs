use clap::Subcommand;
use uuk_identifiers::ClientId;

use super::Operator;
use crate::terminal::Failure;

#[derive(Debug, Subcommand)]
pub(crate) enum GroupCommand {
    /// Add a group without members, or describe one anew
    Set {
        /// The code by which rights name it
        code: String,
        /// For people
        description: String,
    },
    /// Remove a group, and with it the rights that were given to it
    Remove {
        /// The code
        code: String,
    },
    /// Take a member or subsystem into a group
    Join {
        /// The code
        code: String,
        /// Who
        client: ClientId,
    },
    /// Take a member or subsystem out of a group
    Leave {
        /// The code
        code: String,
        /// Who
        client: ClientId,
    },
}

pub(super) fn run(command: &GroupCommand, operator: &Operator<'_>) -> Result<(), Failure> {
    match command {
        GroupCommand::Set { code, description } => {
            operator.change("set-group", |registry| registry.set_group(code, description))
        }
        GroupCommand::Remove { code } => {
            operator.change("remove-group", |registry| registry.remove_group(code))
        }
        GroupCommand::Join { code, client } => {
            operator.change("join-group", |registry| registry.join_group(code, client))
        }
        GroupCommand::Leave { code, client } => {
            operator.change("leave-group", |registry| registry.leave_group(code, client))
        }
    }
}
