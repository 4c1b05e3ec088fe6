//! `uuk registration …`: what a running server asks of the central server of its instance.

use std::path::PathBuf;

use clap::Subcommand;
use serde_json::json;
use uuk_identifiers::{ClientId, MemberId, ServerId};
use uuk_message::ManagementRequest;
use uuk_pki::Der;

use super::keys;
use crate::administration::{self, Answer, Request};
use crate::config::Config;
use crate::exit_code::ExitCode;
use crate::terminal::{Failure, Terminal};

/// Have the central server register this server, its certificates and its clients
///
/// The running server asks, and signs with its own keys and its owner's. Registering a certificate, a client or another
/// owner waits until an operator of the instance approves; all else is done at once.
#[derive(Debug, clap::Args)]
pub(crate) struct RegistrationArguments {
    /// Configuration of the server
    #[arg(short, long, global = true, default_value = "uuk.toml")]
    config: PathBuf,
    #[command(subcommand)]
    command: RegistrationCommand,
}

#[derive(Debug, Subcommand)]
enum RegistrationCommand {
    /// Authentication certificates, by which other servers know this one
    #[command(subcommand)]
    Certificate(CertificateCommand),
    /// Who exchanges messages through this server
    #[command(subcommand)]
    Client(ClientCommand),
    /// Give the server to another member, who is its client and has a signing key here
    Owner {
        /// To whom
        member: MemberId,
    },
    /// Move the server
    Address {
        /// Where others find it: host name or IP address
        address: String,
    },
    /// Tell others that the server rests, or does so no longer
    #[command(subcommand)]
    Maintenance(MaintenanceCommand),
}

#[derive(Debug, Subcommand)]
enum CertificateCommand {
    /// Register one, and the server with it if it is new
    Add {
        /// The certificate, or how its digest begins, as `uuk keys list` prints it
        certificate: String,
        /// Where others find the server: host name or IP address
        #[arg(long)]
        address: Option<String>,
        /// Only find out whether the central server would take the request
        #[arg(long)]
        dry_run: bool,
    },
    /// Give one up
    Remove {
        /// The certificate, or how its digest begins, as `uuk keys list` prints it
        certificate: String,
    },
}

#[derive(Debug, Clone, Subcommand)]
enum ClientCommand {
    /// Register one, and the subsystem with it if it is new; its member has a signing key here
    Add {
        /// Who
        client: ClientId,
        /// What a new subsystem is called
        #[arg(long)]
        name: Option<String>,
    },
    /// Give one up
    Remove {
        /// Who
        client: ClientId,
    },
    /// Have one rest
    Disable {
        /// Who
        client: ClientId,
    },
    /// Have one go on
    Enable {
        /// Who
        client: ClientId,
    },
    /// Give a subsystem another name
    Rename {
        /// Who
        client: ClientId,
        /// The new name
        name: String,
    },
}

#[derive(Debug, Subcommand)]
enum MaintenanceCommand {
    /// Others no longer send requests here
    Start {
        /// Why, for people
        message: Option<String>,
    },
    /// Others do again
    End,
}

pub(crate) fn run(arguments: &RegistrationArguments, terminal: &Terminal) -> Result<(), Failure> {
    let config = Config::load(&arguments.config)
        .map_err(|error| Failure::new(ExitCode::Usage, "config.invalid", &error).causes(&error))?;
    let (request, dry_run) = arguments.request(&config)?;
    let needs_approval = request.needs_approval();
    let number = ask(&config, request, dry_run)?;
    match (dry_run, needs_approval) {
        (true, _) => terminal.step("fine", "the central server would take the request"),
        (false, true) => terminal.step("asked", "it counts once an operator of the instance approves"),
        (false, false) => terminal.step("done", "it counts with the next global configuration"),
    }
    let number = (!dry_run).then_some(number);
    let text = number.map(|number| format!("request {number}")).unwrap_or_default();
    terminal.result("uuk.cli/registration/v1", &json!({ "request": number }), text);
    Ok(())
}

impl RegistrationArguments {
    /// What is asked, and whether it is only to be looked at.
    fn request(&self, config: &Config) -> Result<(ManagementRequest, bool), Failure> {
        use ManagementRequest as Asked;

        let server = config.server.id.clone();
        let mut only_looked_at = false;
        let request = match &self.command {
            RegistrationCommand::Certificate(CertificateCommand::Add { certificate, address, dry_run }) => {
                only_looked_at = *dry_run;
                let (address, certificate) = (address.clone(), self.certificate(certificate)?);
                Asked::AuthCertReg { server, address, certificate }
            }
            RegistrationCommand::Certificate(CertificateCommand::Remove { certificate }) => {
                Asked::AuthCertDeletion { server, certificate: self.certificate(certificate)? }
            }
            RegistrationCommand::Client(command) => command.request(server),
            RegistrationCommand::Owner { member } => {
                Asked::OwnerChange { server, client: ClientId::Member(member.clone()) }
            }
            RegistrationCommand::Address { address } => {
                Asked::AddressChange { server, address: address.clone() }
            }
            RegistrationCommand::Maintenance(MaintenanceCommand::Start { message }) => {
                Asked::MaintenanceModeEnable { server, message: message.clone() }
            }
            RegistrationCommand::Maintenance(MaintenanceCommand::End) => {
                Asked::MaintenanceModeDisable { server }
            }
        };
        Ok((request, only_looked_at))
    }

    fn certificate(&self, name: &str) -> Result<Der, Failure> {
        let found = keys::Running::of(&self.config)?.find_certificate(name)?;
        Der::new(&found.der)
            .map_err(|error| Failure::new(ExitCode::Remote, error.code(), &error).causes(&error))
    }
}

impl ClientCommand {
    fn request(&self, server: ServerId) -> ManagementRequest {
        use ManagementRequest as Asked;

        match self.clone() {
            Self::Add { client, name } => Asked::ClientReg { server, client, name },
            Self::Remove { client } => Asked::ClientDeletion { server, client },
            Self::Disable { client } => Asked::ClientDisable { server, client },
            Self::Enable { client } => Asked::ClientEnable { server, client },
            Self::Rename { client, name } => Asked::ClientRename { server, client, name },
        }
    }
}

fn ask(config: &Config, request: ManagementRequest, dry_run: bool) -> Result<u64, Failure> {
    let answer = administration::ask(&config.files.state, &Request::Register { request, dry_run });
    let answer = answer.map_err(|error| {
        Failure::new(ExitCode::Remote, "registration.unreachable", &error)
            .causes(&error)
            .help("start it with `uuk serve`, or name its configuration with `--config`")
    })?;
    match answer {
        Answer::Registered { number } => Ok(number),
        Answer::Refused { code, reason } => {
            let exit_code = match code.as_str() {
                "registration.refused" => ExitCode::Refused,
                _ => ExitCode::Remote,
            };
            Err(Failure::new(exit_code, code, reason))
        }
        _ => {
            let message = "the server answered something else than was asked";
            Err(Failure::new(ExitCode::Remote, "registration.unreachable", message))
        }
    }
}
