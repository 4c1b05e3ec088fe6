use std::ffi::OsString;
use std::io;
use std::path::Path;
use std::sync::Arc;

use tokio_util::sync::CancellationToken;
use tracing::info;
use uuk_central::vetting::{Examiner, Vetter, VetterError, VettingService};
use uuk_central::{Actor, Central, ManagementService, Publisher, PublisherError, Surveyor};
use uuk_console::{Console, ConsoleError, MailError, Mailer};
use uuk_process::Clock;
use uuk_transport::{ListenerError, UpstreamBuildError};

use super::config::CentralConfig;
use super::{failure, unusable};
use crate::commands::serve::{start_telemetry, wait_for_signal};
use crate::exit_code::ExitCode;
use crate::terminal::{Failure, Terminal};

pub(super) fn run(config: CentralConfig, terminal: &Terminal) -> Result<(), Failure> {
    let environment = |error: std::io::Error| {
        Failure::new(ExitCode::Environment, "serve.runtime", "cannot start").note(error)
    };
    let keys = config.keys()?;
    let runtime = tokio::runtime::Builder::new_multi_thread().enable_all().build().map_err(environment)?;
    runtime.block_on(async {
        let telemetry = start_telemetry(&config.log)?;
        let central = Central::open(&config.database, Clock::system()).await;
        let central = Arc::new(central.map_err(|error| failure(&error))?);
        let publisher = Publisher::build(config.publication, Arc::clone(&central), keys)
            .await
            .map_err(unusable(PublisherError::code))?;
        let management = ManagementService::build(config.requests, Arc::clone(&central))
            .map_err(unusable(ListenerError::code))?;
        let advisories = config.vetting.as_ref().and_then(|vetting| vetting.advisories.as_deref());
        let vetter = config.vetting.as_ref().map(Vetter::open).transpose();
        let vetter = vetter.map_err(unusable(VetterError::code))?;
        let vetting = VettingService::build(
            Arc::clone(&central),
            examiner(advisories).map_err(environment)?,
            vetter,
            this_server()?,
        );
        let mailer =
            config.mail.as_ref().map(|config| Mailer::build(config, Arc::clone(&central))).transpose();
        let mailer = mailer.map_err(unusable(MailError::code))?;
        let surveyor =
            config.survey.as_ref().map(|config| Surveyor::build(config, Arc::clone(&central))).transpose();
        let surveyor = surveyor.map_err(unusable(UpstreamBuildError::code))?;
        let console = config.console.map(|config| Console::build(config, central)).transpose();
        let console = console.map_err(unusable(ConsoleError::code))?;
        let stop = CancellationToken::new();
        wait_for_signal(stop.clone()).map_err(environment)?;
        if let Some(address) = management.registration_address() {
            terminal.step("register", format_args!("{address} for authentication certificates"));
        }
        if let Some(address) = management.management_address() {
            terminal.step("manage", format_args!("{address} for the security server of the instance"));
        }
        if let Some(console) = &console {
            terminal.step("console", format_args!("{} for people", console.address()));
        }
        if let Some(address) = publisher.https_address() {
            terminal.step("publish", format_args!("https://{address}/internalconf"));
        }
        let address = publisher.address();
        terminal.step("ready", format_args!("http://{address}/internalconf"));
        info!(listener.address = %address, "Publishing the global configuration on {address}");
        let console = async {
            if let Some(console) = console {
                console.run(stop.clone()).await;
            }
        };
        let mailer = async {
            if let Some(mailer) = mailer {
                mailer.run(stop.clone()).await;
            }
        };
        let surveyor = async {
            if let Some(surveyor) = surveyor {
                surveyor.run(stop.clone()).await;
            }
        };
        let vetting = vetting.run(stop.clone());
        let (publisher, management) = (publisher.run(stop.clone()), management.run(stop.clone()));
        tokio::join!(publisher, management, vetting, console, mailer, surveyor);
        telemetry.shut_down().await;
        Ok(())
    })
}

/// `uuk bundle review` of this very program, even if its file has been replaced meanwhile.
fn examiner(advisories: Option<&Path>) -> io::Result<Examiner> {
    let arguments = ["--quiet", "bundle", "review", "bundle.asice", "--trial", "--report", "report.json"];
    let own = |arguments: &[&str]| arguments.iter().map(Into::into).collect();
    let mut arguments: Vec<OsString> = own(&arguments);
    if let Some(folder) = advisories {
        // It works in a folder of its own.
        arguments.extend(["--advisories".into(), std::path::absolute(folder)?.into()]);
    }
    Ok(Examiner {
        program: "/proc/self/exe".into(),
        arguments,
        against: own(&["--against", "approved.asice"]),
    })
}

/// As the audit log names what no person does.
fn this_server() -> Result<Actor, Failure> {
    "central-server".parse().map_err(|error| Failure::new(ExitCode::Environment, "serve.runtime", error))
}
