use std::fmt::Write as _;
use std::path::{Path, PathBuf};

use clap::Subcommand;
use uuk_bundle::BundleDigest;
use uuk_plugin_host::reload::PluginStatus;

use crate::administration::{self, Answer, Request};
use crate::config::Config;
use crate::exit_code::ExitCode;
use crate::terminal::{Failure, Terminal};

/// See and steer the plugins of a running server
#[derive(Debug, clap::Args)]
pub(crate) struct PluginArguments {
    /// Configuration of the server
    #[arg(short, long, global = true, default_value = "uuk.toml")]
    config: PathBuf,
    #[command(subcommand)]
    command: PluginCommand,
}

#[derive(Debug, Subcommand)]
enum PluginCommand {
    /// All bundles known, with their stage and what is wrong with them
    List,
    /// Let a bundle serve, where the server asks for approval
    Approve(Bundle),
    /// Let a bundle serve in place of the newest
    Activate(Bundle),
    /// Go back to the version that served before
    Rollback {
        /// Identifier of the plugin
        plugin: String,
    },
    /// Take a bundle out of service
    Quarantine {
        #[command(flatten)]
        bundle: Bundle,
        /// Why, for the ledger
        #[arg(long)]
        reason: String,
    },
    /// Let a quarantined bundle serve again
    Release(Bundle),
    /// The last lines that a plugin has logged
    Logs {
        /// Identifier of the plugin
        plugin: String,
    },
}

#[derive(Debug, clap::Args)]
struct Bundle {
    /// `PLUGIN@VERSION`, or the bundle's digest, as `list` prints them
    bundle: String,
}

pub(crate) fn run(arguments: &PluginArguments, terminal: &Terminal) -> Result<(), Failure> {
    let server = Running::of(arguments)?;
    let request = match &arguments.command {
        PluginCommand::List => return list(&server, terminal),
        PluginCommand::Logs { plugin } => return logs(&server, plugin, terminal),
        PluginCommand::Approve(named) => Request::Approve { digest: server.find(&named.bundle)? },
        PluginCommand::Activate(named) => Request::Activate { digest: server.find(&named.bundle)? },
        PluginCommand::Rollback { plugin } => Request::Rollback { plugin: plugin.clone() },
        PluginCommand::Quarantine { bundle, reason } => {
            Request::Quarantine { digest: server.find(&bundle.bundle)?, reason: reason.clone() }
        }
        PluginCommand::Release(named) => Request::Release { digest: server.find(&named.bundle)? },
    };
    server.ask(&request)?;
    terminal.step("done", "see `uuk plugin list`");
    Ok(())
}

fn list(server: &Running, terminal: &Terminal) -> Result<(), Failure> {
    let plugins = server.plugins()?;
    let mut text = String::new();
    if plugins.is_empty() {
        text.push_str("no bundle is known; drop one into the plugin folder\n");
    }
    for status in &plugins {
        // Of a bundle that does not verify, nothing is believed but the name of its file.
        let file = status.file.as_deref().and_then(Path::file_name).unwrap_or_default().to_string_lossy();
        let name = if status.plugin.is_empty() { &*file } else { &status.plugin };
        let digest = status.digest.map(|digest| digest.to_string()).unwrap_or_default();
        let digest = digest.get(..19).unwrap_or_default();
        let stage = status.stage.to_string();
        let _ = writeln!(text, "{name:<28} {:<10} {stage:<16} {digest}", status.version);
        if let Some((code, reason)) = &status.reason {
            let _ = writeln!(text, "    {code}: {reason}");
        }
    }
    terminal.result("uuk.cli/plugin-list/v1", &serde_json::json!({ "plugins": plugins }), text);
    Ok(())
}

fn logs(server: &Running, plugin: &str, terminal: &Terminal) -> Result<(), Failure> {
    let Answer::Logs { lines } = server.ask(&Request::Logs { plugin: plugin.to_owned() })? else {
        return Err(unexpected());
    };
    let mut text = String::new();
    for line in &lines {
        let _ =
            write!(text, "{} {:<5} {} {}", line.time, line.level.to_string(), line.exchange_id, line.message);
        for (name, value) in &line.fields {
            let _ = write!(text, " {name}={value}");
        }
        text.push('\n');
    }
    terminal.result("uuk.cli/plugin-logs/v1", &serde_json::json!({ "lines": lines }), text);
    Ok(())
}

/// The server that a configuration belongs to.
struct Running {
    state: PathBuf,
}

impl Running {
    fn of(arguments: &PluginArguments) -> Result<Self, Failure> {
        let config = Config::load(&arguments.config)
            .map_err(|error| Failure::new(ExitCode::Usage, "config.invalid", &error).causes(&error))?;
        Ok(Self { state: config.files.state })
    }

    fn ask(&self, request: &Request) -> Result<Answer, Failure> {
        match administration::ask(&self.state, request) {
            Ok(Answer::Refused { code, reason }) => Err(Failure::new(ExitCode::CheckFailed, &code, reason)),
            Ok(answer) => Ok(answer),
            Err(error) => Err(Failure::new(ExitCode::Remote, "plugin.unreachable", &error)
                .causes(&error)
                .help("start it with `uuk serve`, or name its configuration with `--config`")),
        }
    }

    fn plugins(&self) -> Result<Vec<PluginStatus>, Failure> {
        match self.ask(&Request::List)? {
            Answer::Plugins { plugins } => Ok(plugins),
            _ => Err(unexpected()),
        }
    }

    /// The one bundle that `name` fits.
    fn find(&self, name: &str) -> Result<BundleDigest, Failure> {
        if let Ok(digest) = name.parse() {
            return Ok(digest);
        }
        let plugins = self.plugins()?;
        let fits = |status: &&PluginStatus| match name.split_once('@') {
            Some((plugin, version)) => status.plugin == plugin && status.version == version,
            None => status.digest.is_some_and(|digest| {
                name.len() >= "sha256:".len() + 8 && digest.to_string().starts_with(name)
            }),
        };
        let found: Vec<BundleDigest> =
            plugins.iter().filter(fits).filter_map(|status| status.digest).collect();
        match found.as_slice() {
            [one] => Ok(*one),
            [] => {
                Err(Failure::new(ExitCode::Usage, "plugin.unknown_bundle", format!("no bundle is `{name}`"))
                    .help("`uuk plugin list` shows names, versions and digests"))
            }
            several => Err(Failure::new(
                ExitCode::Usage,
                "plugin.ambiguous_bundle",
                format!("{} bundles are `{name}`", several.len()),
            )
            .help("name it by its digest")),
        }
    }
}

fn unexpected() -> Failure {
    Failure::new(ExitCode::Remote, "plugin.unreachable", "the server answered something else than was asked")
}
