use std::fmt::Write;

use clap::Subcommand;
use serde_json::json;

use super::{Operator, failure};
use crate::terminal::Failure;

#[derive(Debug, Subcommand)]
pub(crate) enum RequestCommand {
    /// Show the requests that wait
    List,
    /// Do what a request asks for
    Approve {
        /// Its number
        number: u64,
    },
    /// Let a request come to nothing
    Decline {
        /// Its number
        number: u64,
    },
}

pub(super) fn run(command: &RequestCommand, operator: &Operator<'_>) -> Result<(), Failure> {
    let now = operator.central.clock().now();
    match command {
        RequestCommand::List => list(operator),
        RequestCommand::Approve { number } => {
            operator.change("approve-request", |registry| registry.approve_request(*number, now))
        }
        RequestCommand::Decline { number } => {
            operator.change("decline-request", |registry| registry.decline_request(*number))
        }
    }
}

fn list(operator: &Operator<'_>) -> Result<(), Failure> {
    let snapshot = operator.runtime.block_on(operator.central.snapshot()).map_err(|error| failure(&error))?;
    let requests = snapshot.registry.requests();
    let mut text = String::new();
    for (number, pending) in requests {
        let (service, server) = (pending.request.service(), pending.request.server());
        // Writing into a string does not fail.
        let _ = writeln!(text, "{number:>6}  {:.0}  {service}  {server}", pending.received_at);
    }
    operator.terminal.result("uuk.cli/central-requests/v1", &json!({ "requests": requests }), text);
    Ok(())
}
