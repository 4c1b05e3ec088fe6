use std::path::PathBuf;

use clap::Subcommand;
use uuk_central::ClientState;
use uuk_identifiers::{ClientId, ServerId};
use uuk_pki::Sha256;

use super::{Operator, read_certificate};
use crate::terminal::Failure;

#[derive(Debug, Subcommand)]
pub(crate) enum ServerCommand {
    /// Add a security server, without certificates and clients yet
    Add {
        /// Which: KG/GOV/70000001/ss1
        id: ServerId,
        /// Where other servers find it: HOST or HOST:PORT
        address: String,
    },
    /// Move a security server
    Move {
        /// Which
        id: ServerId,
        /// Where other servers find it from now on
        address: String,
    },
    /// Remove a security server with its certificates and clients
    Remove {
        /// Which
        id: ServerId,
    },
}

#[derive(Debug, Subcommand)]
pub(crate) enum CertificateCommand {
    /// Register an authentication certificate
    Add {
        /// Of which server
        server: ServerId,
        /// The certificate, DER or PEM
        file: PathBuf,
    },
    /// Remove an authentication certificate: other servers stop accepting it when they next ask
    Remove {
        /// Of which server
        server: ServerId,
        /// Its digest, as `uuk central show` has it
        digest: Sha256,
    },
}

#[derive(Debug, Subcommand)]
pub(crate) enum ClientCommand {
    /// Let a member or subsystem exchange messages through a server
    Add {
        /// Which server
        server: ServerId,
        /// Who
        client: ClientId,
    },
    /// End that
    Remove {
        /// Which server
        server: ServerId,
        /// Who
        client: ClientId,
    },
    /// Have a client rest
    Disable {
        /// Which server
        server: ServerId,
        /// Who
        client: ClientId,
    },
    /// Have a client go on
    Enable {
        /// Which server
        server: ServerId,
        /// Who
        client: ClientId,
    },
}

pub(super) fn server(command: &ServerCommand, operator: &Operator<'_>) -> Result<(), Failure> {
    match command {
        ServerCommand::Add { id, address } => {
            operator.change("add-server", |registry| registry.add_server(id, Some(address)))
        }
        ServerCommand::Move { id, address } => {
            operator.change("move-server", |registry| registry.set_server_address(id, address))
        }
        ServerCommand::Remove { id } => {
            operator.change("remove-server", |registry| registry.remove_server(id))
        }
    }
}

pub(super) fn certificate(command: &CertificateCommand, operator: &Operator<'_>) -> Result<(), Failure> {
    match command {
        CertificateCommand::Add { server, file } => {
            let (certificate, now) = (read_certificate(file)?, operator.central.clock().now());
            operator.change("add-certificate", |registry| registry.add_certificate(server, &certificate, now))
        }
        CertificateCommand::Remove { server, digest } => {
            operator.change("remove-certificate", |registry| registry.remove_certificate(server, digest))
        }
    }
}

pub(super) fn client(command: &ClientCommand, operator: &Operator<'_>) -> Result<(), Failure> {
    use ClientState::{Disabled, Enabled};
    match command {
        ClientCommand::Add { server, client } => {
            operator.change("add-client", |registry| registry.add_client(server, client))
        }
        ClientCommand::Remove { server, client } => {
            operator.change("remove-client", |registry| registry.remove_client(server, client))
        }
        ClientCommand::Disable { server, client } => {
            operator.change("disable-client", |registry| registry.set_client_state(server, client, Disabled))
        }
        ClientCommand::Enable { server, client } => {
            operator.change("enable-client", |registry| registry.set_client_state(server, client, Enabled))
        }
    }
}
