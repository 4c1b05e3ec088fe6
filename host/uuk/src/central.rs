//! `uuk central …`: the operator of an instance at the terminal, beside `uuk central serve` or without it.
//!
//! What changes the registry is one call of [`Central::change`]; the running server publishes it within a second.

mod authorities;
mod catalog;
mod config;
mod courier;
mod federation;
mod groups;
mod instance;
mod members;
mod people;
mod requests;
mod serve;
mod servers;
mod signing_keys;
mod vetting;

use std::os::unix::fs::MetadataExt;
use std::path::{Path, PathBuf};

use clap::Subcommand;
use serde_json::json;
use tokio::runtime::Runtime;
use uuk_central::{Actor, Central, CentralError, Refusal, Registry};
use uuk_pki::{CERTIFICATE_BYTES_MAX, Certificate, Der};
use uuk_process::Clock;

use self::config::CentralConfig;
use crate::exit_code::ExitCode;
use crate::terminal::{Failure, Terminal};

/// Run an instance as its operator: registry, authorities, global configuration
#[derive(Debug, clap::Args)]
#[command(arg_required_else_help = true)]
pub(crate) struct CentralArguments {
    /// Configuration file
    #[arg(short, long, default_value = "central.toml", global = true)]
    config: PathBuf,
    #[command(subcommand)]
    command: CentralCommand,
}

#[derive(Debug, Subcommand)]
enum CentralCommand {
    Init(instance::InitOptions),
    /// Publish the configuration until told to stop
    Serve,
    Settings(instance::SettingsOptions),
    Anchor(instance::AnchorOptions),
    /// The configuration in a file, for servers without a network
    #[command(subcommand)]
    Courier(courier::CourierCommand),
    /// Show what is registered
    Show,
    /// Show the audit log, as far as it holds
    Audit,
    /// Classes of members
    #[command(subcommand)]
    Class(members::ClassCommand),
    /// Members
    #[command(subcommand)]
    Member(members::MemberCommand),
    /// Subsystems of members
    #[command(subcommand)]
    Subsystem(members::SubsystemCommand),
    /// Groups of members and subsystems that rights can be given to
    #[command(subcommand)]
    Group(groups::GroupCommand),
    /// Security servers
    #[command(subcommand)]
    Server(servers::ServerCommand),
    /// Authentication certificates of security servers
    #[command(subcommand)]
    Certificate(servers::CertificateCommand),
    /// Who exchanges messages through a security server
    #[command(subcommand)]
    Client(servers::ClientCommand),
    /// Approved certification services
    #[command(subcommand)]
    Authority(authorities::AuthorityCommand),
    /// Approved time-stamping services
    #[command(subcommand)]
    TimeStamping(authorities::TimeStampingCommand),
    /// People who work with this server in a browser or by programs
    #[command(subcommand)]
    Person(people::PersonCommand),
    /// Requests of security servers that wait for an operator
    #[command(subcommand)]
    Request(requests::RequestCommand),
    /// Other instances, whose members may exchange messages with those of this one
    #[command(subcommand)]
    Federation(federation::FederationCommand),
    /// Information systems, services, and who may use them
    #[command(subcommand)]
    Catalog(catalog::CatalogCommand),
    /// Plugin bundles: what is handed in and vetted, whose signatures count, what is revoked
    #[command(subcommand)]
    Vetting(vetting::VettingCommand),
    /// Keys that sign the configuration
    #[command(subcommand)]
    Key(signing_keys::KeyCommand),
}

pub(crate) fn run(arguments: &CentralArguments, terminal: &Terminal) -> Result<(), Failure> {
    use CentralCommand as Command;

    let config = CentralConfig::load(&arguments.config)?;
    if matches!(arguments.command, Command::Serve) {
        return serve::run(config, terminal);
    }
    let operator = Operator::open(config, terminal)?;
    match &arguments.command {
        Command::Init(options) => instance::init(options, &operator),
        Command::Settings(options) => instance::settings(options, &operator),
        Command::Anchor(options) => instance::anchor(options, &operator),
        Command::Courier(command) => courier::run(command, &operator),
        Command::Show => instance::show(&operator),
        Command::Audit => instance::audit(&operator),
        Command::Class(command) => members::class(command, &operator),
        Command::Member(command) => members::member(command, &operator),
        Command::Subsystem(command) => members::subsystem(command, &operator),
        Command::Group(command) => groups::run(command, &operator),
        Command::Server(command) => servers::server(command, &operator),
        Command::Certificate(command) => servers::certificate(command, &operator),
        Command::Client(command) => servers::client(command, &operator),
        Command::Authority(command) => authorities::authority(command, &operator),
        Command::TimeStamping(command) => authorities::time_stamping(command, &operator),
        Command::Person(command) => people::run(command, &operator),
        Command::Request(command) => requests::run(command, &operator),
        Command::Federation(command) => federation::run(command, &operator),
        Command::Catalog(command) => catalog::run(command, &operator),
        Command::Vetting(command) => vetting::run(command, &operator),
        Command::Key(command) => signing_keys::run(command, &operator),
        Command::Serve => Ok(()),
    }
}

/// Someone at the terminal of a central server, with its registry open.
struct Operator<'t> {
    config: CentralConfig,
    central: Central,
    actor: Actor,
    runtime: Runtime,
    terminal: &'t Terminal,
}

impl<'t> Operator<'t> {
    fn open(config: CentralConfig, terminal: &'t Terminal) -> Result<Self, Failure> {
        let cannot_start =
            |error: &dyn std::fmt::Display| Failure::new(ExitCode::Environment, "serve.runtime", error);
        let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build();
        let runtime = runtime.map_err(|error| cannot_start(&error))?;
        let central = runtime.block_on(Central::open(&config.database, Clock::system()));
        let central = central.map_err(|error| failure(&error))?;
        // Of the environment anything can be said; of one's own process only what is so.
        let user = std::fs::metadata("/proc/self").map_err(|error| cannot_start(&error))?.uid();
        let actor = format!("uid:{user}").parse().map_err(|error| cannot_start(&error))?;
        Ok(Self { config, central, actor, runtime, terminal })
    }

    /// Notes an act that changes nothing.
    fn note(&self, act: &'static str) -> Result<(), Failure> {
        let noted = self.runtime.block_on(self.central.change(&self.actor, act, |_| Ok(())));
        noted.map_err(|error| failure(&error))
    }

    /// Changes the registry, notes that as `act`, and says so.
    fn change(
        &self,
        act: &'static str,
        change: impl FnMut(&mut Registry) -> Result<(), Refusal>,
    ) -> Result<(), Failure> {
        let changed = self.runtime.block_on(self.central.change(&self.actor, act, change));
        changed.map_err(|error| failure(&error))?;
        self.terminal.result("uuk.cli/central-change/v1", &json!({ "act": act }), act);
        Ok(())
    }
}

fn failure(error: &CentralError) -> Failure {
    let exit_code = match error {
        CentralError::Refused(_) => ExitCode::Refused,
        CentralError::Audit(_) => ExitCode::CheckFailed,
        CentralError::Password { .. } | CentralError::NoInstance => ExitCode::Environment,
        CentralError::InstanceExists => ExitCode::Usage,
        _ => ExitCode::Remote,
    };
    let failure = Failure::new(exit_code, error.code(), error).causes(error);
    match error {
        CentralError::NoInstance => failure.help("found one with `uuk central init`"),
        _ => failure,
    }
}

/// What this machine lacks, by the error's own code.
fn unusable<E: std::error::Error + 'static>(
    code: impl FnOnce(&E) -> &'static str,
) -> impl FnOnce(E) -> Failure {
    |error| Failure::new(ExitCode::Environment, code(&error), &error).causes(&error)
}

/// The first `bytes_max` bytes of a file.
fn read_file(path: &Path, bytes_max: u64) -> Result<Vec<u8>, Failure> {
    use std::io::Read;

    let mut bytes = Vec::new();
    let read = std::fs::File::open(path).and_then(|file| file.take(bytes_max).read_to_end(&mut bytes));
    read.map_err(|error| {
        let message = format!("cannot read `{}`", path.display());
        Failure::new(ExitCode::Remote, "central.file_unreadable", message).note(error)
    })?;
    Ok(bytes)
}

/// A certificate in a file, DER or PEM.
fn read_certificate(path: &Path) -> Result<Der, Failure> {
    let bytes = read_file(path, 2 * CERTIFICATE_BYTES_MAX as u64)?;
    let parsed = match Certificate::from_der(&bytes) {
        Ok(certificate) => Ok(certificate),
        Err(error) => {
            Certificate::chain_from_pem(&bytes).ok().and_then(|chain| chain.into_iter().next()).ok_or(error)
        }
    };
    let certificate = parsed.map_err(|error| {
        Failure::new(ExitCode::Usage, error.code(), format_args!("`{}`: {error}", path.display()))
    })?;
    Ok(Der::from(certificate))
}
