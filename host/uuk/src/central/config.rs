//! The configuration of a central server: central.toml.

use std::path::Path;

use serde::Deserialize;
use uuk_central::vetting::VettingConfig;
use uuk_central::{
    DatabaseConfig, KeyFolder, KeysConfig, ManagementConfig, PublicationConfig, SurveyConfig, read_password,
};
use uuk_console::{ConsoleConfig, MailConfig};
use uuk_globalconf::from_toml;

use crate::config::Log;
use crate::exit_code::ExitCode;
use crate::terminal::Failure;

/// The whole file.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct CentralConfig {
    /// Where the registry is.
    #[serde(default)]
    pub(super) database: DatabaseConfig,
    /// Where the keys are that sign the configuration.
    #[serde(default)]
    pub(super) keys: KeysConfig,
    /// Where and how often the configuration is published.
    #[serde(default)]
    pub(super) publication: PublicationConfig,
    /// Where security servers ask to be registered.
    #[serde(default)]
    pub(super) requests: ManagementConfig,
    /// With which key approved bundles are signed.
    pub(super) vetting: Option<VettingConfig>,
    /// Pages and API for people.
    pub(super) console: Option<ConsoleConfig>,
    /// Where letters to people go.
    pub(super) mail: Option<MailConfig>,
    /// How information systems are asked what they offer.
    pub(super) survey: Option<SurveyConfig>,
    /// What is logged, and how.
    #[serde(default)]
    pub(super) log: Log,
}

impl CentralConfig {
    /// Reads `path` and makes every file name relative to its folder.
    pub(super) fn load(path: &Path) -> Result<Self, Failure> {
        let invalid = |reason: &dyn std::fmt::Display| {
            let message = format!("configuration {} is not usable", path.display());
            Failure::new(ExitCode::Usage, "config.invalid", message)
                .note(reason)
                .help("every section and key is described in host/docs/operating/central.md")
        };
        let text = std::fs::read_to_string(path).map_err(|error| invalid(&error))?;
        let mut config: Self = from_toml(&text).map_err(|error| invalid(&error))?;
        let vetting = config.vetting.as_ref().map(VettingConfig::problems).unwrap_or_default();
        let mail = config.mail.as_ref().map(MailConfig::problems).unwrap_or_default();
        let console = config.console.as_ref().map(ConsoleConfig::problems).unwrap_or_default();
        let (publication, requests) = (config.publication.problems(), config.requests.problems());
        let survey = config.survey.as_ref().map(SurveyConfig::problems).unwrap_or_default();
        let problems = [publication, requests, vetting, mail, console, survey].concat();
        if let [problem, others @ ..] = problems.as_slice() {
            return Err(others.iter().fold(invalid(problem), Failure::note));
        }
        let folder = path.parent().unwrap_or(Path::new(""));
        config.database.resolve(folder);
        config.keys.resolve(folder);
        config.publication.resolve(folder);
        config.requests.resolve(folder);
        if let Some(vetting) = &mut config.vetting {
            vetting.resolve(folder);
        }
        if let Some(console) = &mut config.console {
            console.resolve(folder);
        }
        if let Some(mail) = &mut config.mail {
            mail.resolve(folder);
        }
        if let Some(survey) = &mut config.survey {
            survey.resolve(folder);
        }
        Ok(config)
    }

    /// The keys that sign the configuration.
    pub(super) fn keys(&self) -> Result<KeyFolder, Failure> {
        let password = read_password(&self.keys.password_file).map_err(|error| {
            super::failure(&error).help("write a long random password into that file, and keep a copy")
        })?;
        Ok(KeyFolder::new(self.keys.folder.clone(), password))
    }
}
