use std::fmt::Write;

use clap::Subcommand;
use jiff::civil::Date;
use serde_json::json;
use uuk_central::{Invited, MailAddress, PeopleError, Role};
use uuk_identifiers::MemberId;

use super::{Operator, failure};
use crate::exit_code::ExitCode;
use crate::terminal::Failure;

#[derive(Debug, Subcommand)]
pub(crate) enum PersonCommand {
    /// Show who works with this server
    List,
    /// Invite somebody, or invite them anew: prints what lets them set a password, once, within a week
    Invite {
        /// By which they sign in: small letters, digits and hyphens
        name: String,
        /// As it stands in documents
        full_name: String,
        /// What they do: operator, reviewer, auditor; at a member head, specialist, catalog_editor
        #[arg(long = "role", required = true)]
        roles: Vec<Role>,
        /// For whom they act, unless for the operator: KG/GOV/70000002
        #[arg(long)]
        member: Option<MemberId>,
        /// Where letters about their work go
        #[arg(long)]
        mail: Option<MailAddress>,
        /// In which language: ky, ru, uz or en
        #[arg(long)]
        language: Option<String>,
        /// The last day on which they may sign in, if the designation ends: 2027-06-30
        #[arg(long)]
        until: Option<Date>,
    },
    /// Let somebody in no longer
    Dismiss {
        /// Who
        name: String,
    },
    /// Give a program the means to act for a person: prints a token, once
    Token {
        /// For whom
        name: String,
        /// What it is for
        label: String,
        /// How long it counts
        #[arg(long, default_value_t = 90)]
        days: u32,
    },
}

pub(super) fn run(command: &PersonCommand, operator: &Operator<'_>) -> Result<(), Failure> {
    let Operator { central, actor, runtime, terminal, .. } = operator;
    let secret = match command {
        PersonCommand::List => return list(operator),
        PersonCommand::Dismiss { name } => {
            runtime.block_on(central.dismiss(actor, name)).map_err(|error| refused(&error))?;
            terminal.result(
                "uuk.cli/central-change/v1",
                &json!({ "act": "dismiss-person" }),
                "dismiss-person",
            );
            return Ok(());
        }
        PersonCommand::Invite { name, full_name, roles, member, mail, language, until } => {
            let (name, full_name) = (name.clone(), full_name.clone());
            let roles = roles.iter().copied().collect();
            let (member, mail, language) = (member.clone(), mail.clone(), language.clone());
            let invited = Invited { name, full_name, roles, member, mail, language, until: *until };
            runtime.block_on(central.invite(actor, &invited))
        }
        PersonCommand::Token { name, label, days } => {
            runtime.block_on(central.issue_token(actor, name, label, *days))
        }
    };
    let secret = secret.map_err(|error| refused(&error))?;
    terminal.result("uuk.cli/central-token/v1", &json!({ "token": secret.expose() }), secret.expose());
    Ok(())
}

fn list(operator: &Operator<'_>) -> Result<(), Failure> {
    let people = operator.runtime.block_on(operator.central.people()).map_err(|error| failure(&error))?;
    let mut text = String::new();
    let mut told = Vec::new();
    for person in &people {
        let roles: Vec<_> = person.roles.iter().map(Role::to_string).collect();
        let member = person.member.as_ref().map(ToString::to_string).unwrap_or_default();
        let state = match (person.active, person.until) {
            (false, _) => "dismissed".to_owned(),
            (true, Some(until)) => format!("until {until}"),
            (true, None) => String::new(),
        };
        // Writing into a string does not fail.
        let _ =
            writeln!(text, "{}  {}  {}  {member}  {state}", person.name, person.full_name, roles.join(","));
        told.push(json!({
            "name": person.name, "full_name": person.full_name, "roles": person.roles, "member": person.member,
            "active": person.active, "until": person.until,
        }));
    }
    operator.terminal.result("uuk.cli/central-people/v1", &json!({ "people": told }), text);
    Ok(())
}

fn refused(error: &PeopleError) -> Failure {
    match error {
        PeopleError::Central(error) => failure(error),
        _ => Failure::new(ExitCode::Refused, error.code(), error),
    }
}
