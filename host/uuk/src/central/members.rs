use clap::Subcommand;
use uuk_identifiers::{MemberId, SubsystemId};

use super::Operator;
use crate::terminal::Failure;

#[derive(Debug, Subcommand)]
pub(crate) enum ClassCommand {
    /// Add a class, or describe one anew
    Set {
        /// The code, such as GOV
        code: String,
        /// For people
        description: String,
    },
    /// Remove a class without members
    Remove {
        /// The code
        code: String,
    },
}

#[derive(Debug, Subcommand)]
pub(crate) enum MemberCommand {
    /// Add a member
    Add {
        /// Who: KG/GOV/70000001
        id: MemberId,
        /// For people
        name: String,
    },
    /// Give a member another name
    Rename {
        /// Who
        id: MemberId,
        /// For people
        name: String,
    },
    /// Remove a member that has no subsystems and no server
    Remove {
        /// Who
        id: MemberId,
    },
}

#[derive(Debug, Subcommand)]
pub(crate) enum SubsystemCommand {
    /// Add a subsystem
    Add {
        /// Which: KG/GOV/70000001/registry
        id: SubsystemId,
        /// For people
        name: Option<String>,
    },
    /// Give a subsystem another name
    Rename {
        /// Which
        id: SubsystemId,
        /// For people
        name: String,
    },
    /// Remove a subsystem that is no client of a server
    Remove {
        /// Which
        id: SubsystemId,
    },
}

pub(super) fn class(command: &ClassCommand, operator: &Operator<'_>) -> Result<(), Failure> {
    match command {
        ClassCommand::Set { code, description } => {
            operator.change("set-member-class", |registry| registry.set_member_class(code, description))
        }
        ClassCommand::Remove { code } => {
            operator.change("remove-member-class", |registry| registry.remove_member_class(code))
        }
    }
}

pub(super) fn member(command: &MemberCommand, operator: &Operator<'_>) -> Result<(), Failure> {
    match command {
        MemberCommand::Add { id, name } => {
            operator.change("add-member", |registry| registry.add_member(id, name))
        }
        MemberCommand::Rename { id, name } => {
            operator.change("rename-member", |registry| registry.rename_member(id, name))
        }
        MemberCommand::Remove { id } => {
            operator.change("remove-member", |registry| registry.remove_member(id))
        }
    }
}

pub(super) fn subsystem(command: &SubsystemCommand, operator: &Operator<'_>) -> Result<(), Failure> {
    match command {
        SubsystemCommand::Add { id, name } => {
            operator.change("add-subsystem", |registry| registry.add_subsystem(id, name.as_deref()))
        }
        SubsystemCommand::Rename { id, name } => {
            operator.change("rename-subsystem", |registry| registry.rename_subsystem(id, name))
        }
        SubsystemCommand::Remove { id } => {
            operator.change("remove-subsystem", |registry| registry.remove_subsystem(id))
        }
    }
}
