//! What the files say of an exchange whose server does not run. Nothing is changed, and no device is given a PIN.

use std::net::SocketAddr;
use std::path::Path;

use jiff::Timestamp;
use uuk_configuration_client::ConfigurationClient;
use uuk_messagelog::LogReader;
use uuk_pki::CertificateProfiles;
use uuk_process::{Clock, ErrorChain};
use uuk_signer::{SignerConfig, TokenSummary, inspect};

use super::findings::{self, Ability, CONFIGURATION, MESSAGE_LOG};
use super::{Exchange, ExchangeStartError};
use crate::config::Config;
use crate::finding::{Finding, State};

impl Exchange {
    /// What can be said before the server runs.
    pub(crate) fn inspect(&self, config: &Config) -> Vec<Finding> {
        let signer = config.signer.clone().unwrap_or_default();
        let now = Timestamp::now();
        let mut findings = match self.profiles() {
            Ok(profiles) => self.configuration(config, profiles, now),
            Err(error) => vec![refused("profiles", &error)],
        };
        let tokens = inspect(&signer);
        findings.extend(tokens.iter().map(|token| self::token(token, &signer)));
        findings.extend(Ability { tokens: &tokens, config: &signer, now }.expiries());
        if config.message_log.as_ref().is_none_or(|log| log.time_stamping.authorities.is_empty()) {
            findings.push(findings::no_time_stamping());
        }
        findings
    }

    /// Whether the message log's database and keys can be read; a file need not be there yet.
    pub(crate) async fn inspect_message_log(config: &Config) -> Finding {
        let log = config.message_log.clone().unwrap_or_default();
        let file = log.database.strip_prefix("sqlite:").map(Path::new);
        if let Some(file) = file.filter(|file| !file.exists()) {
            return Finding::ok(MESSAGE_LOG, format!("{} will be made", file.display()));
        }
        match LogReader::open(&log).await {
            Ok(_) => Finding::ok(MESSAGE_LOG, "its database can be read"),
            Err(error) => {
                let detail = ErrorChain(&error).to_string();
                Finding::fail(MESSAGE_LOG, detail, format!("uuk explain {}", error.code()))
            }
        }
    }

    /// Where it listens for other security servers, by key.
    pub(crate) fn addresses(&self) -> [(&'static str, SocketAddr); 2] {
        [
            ("exchange.listener.address", self.listener.address),
            ("exchange.certificate_answers.address", self.certificate_answers.address),
        ]
    }

    fn configuration(&self, config: &Config, profiles: CertificateProfiles, now: Timestamp) -> Vec<Finding> {
        let section = &self.global_configuration;
        let client = match ConfigurationClient::build(section.clone(), profiles, Clock::system()) {
            Ok(client) => client,
            Err(error) => return vec![refused(CONFIGURATION, &error.into())],
        };
        let kept = client.configuration().borrow().clone();
        match (kept, &section.anchor) {
            (Some(kept), _) => {
                findings::configuration(&client.status().borrow(), Some(&kept), &config.server.id, now)
            }
            (None, Some(anchor)) => {
                let detail =
                    format!("nothing is kept that counts; it will be downloaded by {}", anchor.display());
                vec![Finding::ok(CONFIGURATION, detail)]
            }
            (None, None) => vec![Finding::warn(
                CONFIGURATION,
                format!("nothing in {} counts", section.folder.display()),
                "start what keeps it fresh, or name an `anchor` in [exchange.global_configuration]",
            )],
        }
    }
}

fn refused(what: &str, error: &ExchangeStartError) -> Finding {
    Finding::fail(what, ErrorChain(error).to_string(), format!("uuk explain {}", error.code()))
}

/// A token that nobody has opened is no fault of the configuration, if somebody is to open it.
fn token(token: &TokenSummary, config: &SignerConfig) -> Finding {
    let name = &token.name;
    let has_pin_file = config.tokens.get(name).is_some_and(|token| token.pin_file.is_some());
    match &token.problem {
        Some(problem) => Finding { state: State::Fail, ..findings::broken_token(token, problem, config) },
        None if token.open => Finding::ok("token", format!("`{name}` is opened by its PIN file")),
        None if has_pin_file => {
            Finding::ok("token", format!("`{name}` is there; the server gives it its PIN"))
        }
        None => Finding::ok("token", format!("`{name}` is opened after each start: uuk keys login {name}")),
    }
}
