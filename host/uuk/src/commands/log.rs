//! `uuk log …`: the evidence of messages, found, handed out, judged and archived.

mod archive;
mod export;
mod find;
mod usage;
mod verify;

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use clap::Subcommand;
use serde::Deserialize;
use tokio::runtime::Runtime;
use tokio::sync::watch;
use uuk_globalconf::{GlobalConfiguration, from_toml};
use uuk_messagelog::{
    BuildError, ConfigurationFiles, LogReader, MessageLog, MessageLogConfig, read_configuration,
    unpack_configuration,
};
use uuk_pki::CertificateProfiles;
use uuk_process::Clock;

use crate::exit_code::ExitCode;
use crate::terminal::{Failure, Terminal};

/// Larger files are not read as part of a global configuration.
const CONFIGURATION_BYTES_MAX: u64 = 64 << 20;

/// Find, hand out, judge and archive the evidence of messages
#[derive(Debug, Subcommand)]
pub(crate) enum LogCommand {
    Find(find::FindOptions),
    Export(export::ExportOptions),
    Verify(verify::VerifyOptions),
    Archive(archive::ArchiveOptions),
    Usage(usage::UsageOptions),
}

pub(crate) fn run(command: &LogCommand, terminal: &Terminal) -> Result<(), Failure> {
    match command {
        LogCommand::Find(options) => find::run(options, terminal),
        LogCommand::Export(options) => export::run(options, terminal),
        LogCommand::Verify(options) => verify::run(options, terminal),
        LogCommand::Archive(options) => archive::run(options, terminal),
        LogCommand::Usage(options) => usage::run(options, terminal),
    }
}

/// Which server's log.
#[derive(Debug, clap::Args)]
struct Server {
    /// Configuration of the server, which may be running
    #[arg(short, long, default_value = "uuk.toml")]
    config: PathBuf,
}

/// By which global configuration.
#[derive(Debug, clap::Args)]
struct Trust {
    /// Global configuration: a folder, or a zip file as X-Road hands out at `verificationconf`
    #[arg(long, value_name = "PATH")]
    configuration: PathBuf,
    /// Further certificate profiles, TOML
    #[arg(long, value_name = "FILE")]
    profiles: Option<PathBuf>,
}

/// A [`MessageLog`] or a [`LogReader`], beside the server, which goes on.
struct Opened<L> {
    runtime: Runtime,
    log: L,
}

/// The only section that counts here.
#[derive(Default, Deserialize)]
struct Section {
    #[serde(default)]
    message_log: MessageLogConfig,
}

impl Server {
    /// The log to change.
    fn open(&self, configuration: Option<GlobalConfiguration>) -> Result<Opened<MessageLog>, Failure> {
        let configuration = watch::channel(configuration.map(Arc::new)).1;
        let (config, runtime) = (self.log_config()?, runtime()?);
        let built = runtime.block_on(MessageLog::build(config, Clock::system(), configuration));
        Ok(Opened { log: built.map_err(|error| unusable(&error))?, runtime })
    }

    /// The log to look into.
    fn read(&self) -> Result<Opened<LogReader>, Failure> {
        let (config, runtime) = (self.log_config()?, runtime()?);
        let opened = runtime.block_on(LogReader::open(&config));
        Ok(Opened { log: opened.map_err(|error| unusable(&error))?, runtime })
    }

    fn log_config(&self) -> Result<MessageLogConfig, Failure> {
        let invalid = |reason: &dyn std::fmt::Display| {
            let message = format!("cannot read configuration {}", self.config.display());
            Failure::new(ExitCode::Usage, "config.invalid", message).note(reason)
        };
        let text = std::fs::read_to_string(&self.config).map_err(|error| invalid(&error))?;
        let section: Section = from_toml(&text).map_err(|error| invalid(&error))?;
        let mut config = section.message_log;
        config.resolve(self.config.parent().unwrap_or(Path::new("")));
        Ok(config)
    }
}

fn unusable(error: &BuildError) -> Failure {
    let failure = Failure::new(ExitCode::Remote, error.code(), error).causes(error);
    failure.help("see section `message_log` of the configuration")
}

impl Trust {
    fn read(&self) -> Result<GlobalConfiguration, Failure> {
        let mut profiles = CertificateProfiles::default();
        if let Some(path) = &self.profiles {
            let text = std::fs::read_to_string(path).map_err(|error| unreadable(path, &error))?;
            profiles = profiles.with(&text).map_err(|error| {
                Failure::new(ExitCode::Usage, error.code(), format_args!("`{}`: {error}", path.display()))
                    .causes(&error)
            })?;
        }
        let path = &self.configuration;
        let files = match path.is_dir() {
            true => read_folder(path).map_err(|error| unreadable(path, &error))?,
            false => {
                let zip = read_file(path, CONFIGURATION_BYTES_MAX)?;
                unpack_configuration(&zip).map_err(|error| {
                    let message = format_args!("`{}` is no global configuration", path.display()).to_string();
                    Failure::new(ExitCode::Usage, error.code(), message).note(error)
                })?
            }
        };
        read_configuration(&files, &profiles).map_err(|error| {
            let message = format!("`{}` is no global configuration", path.display());
            Failure::new(ExitCode::Usage, error.code(), message).note(&error).causes(&error)
        })
    }
}

/// The files in a folder and in the folders directly in it, where a configuration has all of its own.
fn read_folder(folder: &Path) -> std::io::Result<ConfigurationFiles> {
    let mut files = BTreeMap::new();
    for entry in std::fs::read_dir(folder)? {
        let entry = entry?;
        let name = entry.file_name().to_string_lossy().into_owned();
        if !entry.path().is_dir() {
            files.insert(name, std::fs::read(entry.path())?);
            continue;
        }
        for inner in std::fs::read_dir(entry.path())? {
            let inner = inner?;
            if inner.path().is_file() && inner.metadata()?.len() <= CONFIGURATION_BYTES_MAX {
                let path = format!("{name}/{}", inner.file_name().to_string_lossy());
                files.insert(path, std::fs::read(inner.path())?);
            }
        }
    }
    Ok(files)
}

fn read_file(path: &Path, bytes_max: u64) -> Result<Vec<u8>, Failure> {
    let size_bytes = std::fs::metadata(path).map_err(|error| unreadable(path, &error))?.len();
    if size_bytes > bytes_max {
        let reason = format!("it has {size_bytes} bytes; at most {bytes_max} are read");
        return Err(unreadable(path, &reason));
    }
    std::fs::read(path).map_err(|error| unreadable(path, &error))
}

fn unreadable(path: &Path, reason: &dyn std::fmt::Display) -> Failure {
    let message = format!("cannot read `{}`", path.display());
    Failure::new(ExitCode::Remote, "log.file_unreadable", message).note(reason)
}

/// `1 message`, `2 messages`.
fn counted(count: usize, noun: &str) -> String {
    let plural = if count == 1 { "" } else { "s" };
    format!("{count} {noun}{plural}")
}

fn runtime() -> Result<Runtime, Failure> {
    tokio::runtime::Builder::new_current_thread().enable_all().build().map_err(|error| {
        Failure::new(ExitCode::Environment, "serve.runtime", "cannot start the runtime").note(error)
    })
}
