//! How it stands with a running exchange: looked at again and again, for `/ready`, `uuk doctor` and the metrics.

use std::collections::BTreeSet;
use std::sync::Arc;
use std::time::Duration;

use jiff::Timestamp;
use metrics::gauge;
use tokio::sync::watch;
use tokio::time::{sleep, timeout};
use tokio_util::sync::CancellationToken;
use uuk_configuration_client::ConfigurationStatus;
use uuk_globalconf::GlobalConfiguration;
use uuk_identifiers::ServerId;
use uuk_messagelog::{MessageLog, Unstamped};
use uuk_process::{Clock, ErrorChain};
use uuk_signer::{Problem, Signer, SignerConfig, TokenSummary};

use super::findings::{self, Ability, short};
use crate::finding::Finding;

/// How often it is looked. Whoever asks gets what was found last, so that asking costs nothing.
const LOOK_EVERY: Duration = Duration::from_secs(2);
/// A database that takes longer to answer cannot record messages either.
const DATABASE_TIME_MAX: Duration = Duration::from_secs(5);

/// What was found last.
pub(crate) type Findings = watch::Receiver<Arc<Vec<Finding>>>;

/// Looks at everything that an exchange rests on.
pub(super) struct Standing {
    pub(super) server: ServerId,
    pub(super) clock: Clock,
    pub(super) signer: Signer,
    pub(super) signer_config: SignerConfig,
    pub(super) message_log: MessageLog,
    pub(super) configuration: watch::Receiver<Option<Arc<GlobalConfiguration>>>,
    pub(super) configuration_status: watch::Receiver<ConfigurationStatus>,
    pub(super) found: watch::Sender<Arc<Vec<Finding>>>,
}

impl Standing {
    /// What is found before anyone has looked.
    pub(super) fn unknown() -> watch::Sender<Arc<Vec<Finding>>> {
        let unknown = Finding::fail("exchange", "was not looked at yet", "wait a few seconds");
        watch::Sender::new(Arc::new(vec![unknown]))
    }

    /// Looks until `stop`.
    pub(super) async fn run(self, stop: CancellationToken) {
        let mut shown = ShownCertificates::default();
        let looking = async {
            loop {
                self.look(&mut shown).await;
                sleep(LOOK_EVERY).await;
            }
        };
        stop.run_until_cancelled(looking).await;
    }

    async fn look(&self, shown: &mut ShownCertificates) {
        let recording = match timeout(DATABASE_TIME_MAX, self.message_log.check()).await {
            Ok(checked) => checked.map_err(|error| Problem {
                code: error.code().to_owned(),
                text: ErrorChain(&error).to_string(),
            }),
            Err(_) => Err(Problem {
                code: "message_log.unreachable".to_owned(),
                text: format!("the database does not answer within {DATABASE_TIME_MAX:?}"),
            }),
        };
        let now = self.clock.now();
        let tokens = self.signer.tokens();
        let configuration = self.configuration.borrow().clone();
        let configuration = configuration.as_deref();
        let status = self.configuration_status.borrow().clone();
        let instance = configuration.and_then(|one| one.instance(one.main(), now));

        let mut found = findings::configuration(&status, configuration, &self.server, now);
        found.extend(findings::tokens(&tokens, &self.signer_config));
        found.extend(
            Ability { tokens: &tokens, config: &self.signer_config, now }.findings(&self.server, instance),
        );
        found.extend(findings::message_log(&self.message_log.health(), &recording, now));
        self.found.send_replace(Arc::new(found));

        shown.show(&tokens, now);
        show_configuration(&status, now);
        if let Ok(unstamped) = recording {
            show_unstamped(&unstamped, now);
        }
    }
}

/// Certificates that have gauges, which keep their values until told otherwise.
#[derive(Default)]
struct ShownCertificates(BTreeSet<[(&'static str, String); 3]>);

impl ShownCertificates {
    fn show(&mut self, tokens: &[TokenSummary], now: Timestamp) {
        let mut gone = std::mem::take(&mut self.0);
        for key in tokens.iter().flat_map(|token| &token.keys) {
            for certificate in key.certificates.iter().filter(|certificate| certificate.active) {
                let labels = [
                    ("certificate", short(&certificate.sha256)),
                    ("use", key.usage.to_string()),
                    ("member", certificate.member.as_ref().map(ToString::to_string).unwrap_or_default()),
                ];
                let good_until = certificate.good_until.unwrap_or(now);
                gauge!("uuk_certificate_remaining_seconds", &labels).set(seconds(now, certificate.not_after));
                gauge!("uuk_certificate_good_remaining_seconds", &labels).set(seconds(now, good_until));
                gone.remove(&labels);
                self.0.insert(labels);
            }
        }
        // Nothing that is compared with this is true: what is no longer used gives no alarm.
        for labels in gone {
            gauge!("uuk_certificate_remaining_seconds", &labels).set(f64::NAN);
            gauge!("uuk_certificate_good_remaining_seconds", &labels).set(f64::NAN);
        }
    }
}

fn show_configuration(status: &ConfigurationStatus, now: Timestamp) {
    if let Some(refreshed) = status.refreshed {
        gauge!("uuk_configuration_age_seconds").set(seconds(refreshed, now));
    }
    if let Some(expires) = status.expires {
        gauge!("uuk_configuration_remaining_seconds").set(seconds(now, expires));
    }
}

fn show_unstamped(unstamped: &Unstamped, now: Timestamp) {
    gauge!("uuk_message_log_unstamped_records").set(unstamped.count as f64);
    gauge!("uuk_message_log_unstamped_age_seconds")
        .set(unstamped.oldest.map_or(0.0, |oldest| seconds(oldest, now)));
}

fn seconds(from: Timestamp, until: Timestamp) -> f64 {
    until.duration_since(from).as_secs_f64()
}
