//! What the state of the exchange means for those who run the server. Facts and the time come in, findings go out.

use std::collections::BTreeSet;
use std::time::Duration;

use jiff::{SignedDuration, Timestamp};
use uuk_configuration_client::{ConfigurationProblem, ConfigurationStatus};
use uuk_globalconf::{GlobalConfiguration, Instance, LeftOut};
use uuk_identifiers::{MemberId, ServerId};
use uuk_messagelog::{Health, Unstamped};
use uuk_pki::{CertificateUse, Sha256};
use uuk_process::ErrorChain;
use uuk_signer::{CertificateStatus, CertificateSummary, KeySummary, Problem, SignerConfig, TokenSummary};

use crate::finding::Finding;

pub(super) const CONFIGURATION: &str = "global configuration";
pub(super) const MESSAGE_LOG: &str = "message log";
const TIME_STAMPING: &str = "time-stamping";
const MANUAL: &str = "host/docs/operating/exchange.md";
/// A renewal needs the authority's time and, for authentication, the operator's of the instance.
const EXPIRY_WARNING: SignedDuration = SignedDuration::from_hours(30 * 24);

/// The global configuration in force.
pub(super) fn configuration(
    status: &ConfigurationStatus,
    configuration: Option<&GlobalConfiguration>,
    server: &ServerId,
    now: Timestamp,
) -> Vec<Finding> {
    let problem = status.problem.as_ref();
    let remedy = problem.map_or_else(
        || "wait some seconds; the log says what keeps it from coming".to_owned(),
        |problem| format!("uuk explain {}", problem.code),
    );
    let why = problem.map(|problem| format!(": {}", problem.text)).unwrap_or_default();
    let Some(configuration) = configuration else {
        return vec![Finding::fail(CONFIGURATION, format!("there is none yet{why}"), remedy)];
    };
    if let Err(error) = configuration.check(now) {
        return vec![Finding::fail(CONFIGURATION, format!("{error}{why}"), remedy)];
    }
    let age = status.refreshed.map_or("kept from before the start".to_owned(), |refreshed| {
        format!("found fresh {} ago", period(now.duration_since(refreshed)))
    });
    let left = status
        .expires
        .map_or("for ever".to_owned(), |expires| format!("for {} more", period(expires.duration_since(now))));
    let detail = format!("of {}, {age}, counts {left}{why}", configuration.main());
    let mut findings = vec![match problem {
        None => Finding::ok(CONFIGURATION, detail),
        Some(_) => Finding::warn(CONFIGURATION, detail, remedy),
    }];
    if let Some(ConfigurationProblem { code, text }) = &status.not_kept {
        let detail = format!("would be missing after a restart: {text}");
        findings.push(Finding::warn(CONFIGURATION, detail, format!("uuk explain {code}")));
    }
    findings.extend(configuration.left_out().iter().map(left_out));
    let instance = configuration.instance(configuration.main(), now);
    if instance.is_some_and(|instance| instance.server(server).is_none()) {
        let detail = format!("does not have this server, {server}: others do not find it");
        let remedy = format!("uuk registration certificate add; see {MANUAL}, section 4");
        findings.push(Finding::warn(CONFIGURATION, detail, remedy));
    }
    findings
}

fn left_out(error: &LeftOut) -> Finding {
    Finding::warn(CONFIGURATION, ErrorChain(error).to_string(), format!("uuk explain {}", error.code()))
}

/// Whether the tokens are open, as a running server sees it.
pub(super) fn tokens(tokens: &[TokenSummary], config: &SignerConfig) -> Vec<Finding> {
    tokens.iter().map(|token| self::token(token, config)).collect()
}

fn token(token: &TokenSummary, config: &SignerConfig) -> Finding {
    let name = &token.name;
    match &token.problem {
        Some(problem) => broken_token(token, problem, config),
        None if token.open => Finding::ok("token", format!("`{name}` is open (keys: {})", token.keys.len())),
        None if token.is_new() => Finding::warn(
            "token",
            format!("`{name}` has no PIN and no keys yet"),
            format!("uuk keys login {name}"),
        ),
        None => Finding::warn("token", format!("`{name}` is locked"), format!("uuk keys login {name}")),
    }
}

/// Whether its keys can be used.
fn is_fit(token: &TokenSummary) -> bool {
    token.open && token.problem.is_none()
}

/// A token that does not open or cannot be reached.
pub(super) fn broken_token(token: &TokenSummary, problem: &Problem, config: &SignerConfig) -> Finding {
    let name = &token.name;
    let pin_file = config.tokens.get(name).and_then(|token| token.pin_file.as_deref());
    let login = match pin_file {
        Some(file) => format!("uuk keys login {name} --pin-file '{}'", file.display()),
        None => format!("uuk keys login {name}"),
    };
    let remedy = match problem.code.as_str() {
        "token.pin_file_refused" => format!("write the right PIN into that file, then: {login}"),
        "token.last_try" => format!("make sure that the file has the right PIN, then: {login}"),
        "token.blocked" => format!("have it unblocked by whoever has the device's other PIN, then: {login}"),
        code => format!("uuk explain {code}"),
    };
    Finding::warn("token", format!("`{name}`: {}", problem.text), remedy)
}

/// What the certificates in the tokens are good for.
pub(super) struct Ability<'a> {
    pub(super) tokens: &'a [TokenSummary],
    pub(super) config: &'a SignerConfig,
    pub(super) now: Timestamp,
}

/// A certificate that its operator wants used, and where it is.
struct Active<'a> {
    token: &'a TokenSummary,
    key: &'a KeySummary,
    certificate: &'a CertificateSummary,
}

impl<'a> Ability<'a> {
    /// Of a running server: whether it can show who it is and sign, and how long each certificate goes on.
    pub(super) fn findings(&self, server: &ServerId, instance: Option<&Instance>) -> Vec<Finding> {
        let freshness = instance.map(|instance| instance.authorities().ocsp_freshness);
        let mut findings: Vec<_> = self.active().map(|active| self.standing(&active, freshness)).collect();
        findings.extend(self.lacks(CertificateUse::Authentication, None).map(|(detail, remedy)| {
            Finding::fail(
                "authentication",
                format!("this server cannot show other servers who it is: {detail}"),
                remedy,
            )
        }));
        match self.lacks(CertificateUse::Signing, None) {
            Some((detail, remedy)) => {
                findings.push(Finding::fail(
                    "signing",
                    format!("no message can be signed: {detail}"),
                    remedy,
                ));
            }
            None => findings.extend(served(server, instance).iter().filter_map(|member| {
                let (detail, remedy) = self.lacks(CertificateUse::Signing, Some(member))?;
                Some(Finding::warn(
                    "signing",
                    format!("no message of {member} can be signed: {detail}"),
                    remedy,
                ))
            })),
        }
        findings
    }

    /// Of a server that does not run: how long each certificate goes on. Whether it is good is not known.
    pub(super) fn expiries(&self) -> Vec<Finding> {
        self.active().map(|active| self.expiry(&active)).collect()
    }

    fn active(&self) -> impl Iterator<Item = Active<'a>> {
        self.tokens.iter().flat_map(|token| {
            let keys = token.keys.iter();
            keys.flat_map(move |key| {
                let active = key.certificates.iter().filter(|certificate| certificate.active);
                active.map(move |certificate| Active { token, key, certificate })
            })
        })
    }

    /// Why nothing can be used for `usage`, and what to do about it.
    fn lacks(&self, usage: CertificateUse, member: Option<&MemberId>) -> Option<(String, String)> {
        let wanted = |active: &Active<'_>| {
            active.key.usage == usage
                && member.is_none_or(|member| active.certificate.member.as_ref() == Some(member))
        };
        let mut reason = None;
        for active in self.active().filter(wanted) {
            reason = reason.or(Some(active.hindrance(self.config)?));
        }
        let none = || {
            let detail = format!("no certificate for {usage} is active");
            (detail, format!("uuk keys generate --for {usage}; how it goes on: {MANUAL}, section 3"))
        };
        Some(reason.unwrap_or_else(none))
    }

    fn standing(&self, active: &Active<'_>, freshness: Option<Duration>) -> Finding {
        let expiry = self.expiry(active);
        // What is wrong with a token is said once.
        if !is_fit(active.token) {
            return expiry;
        }
        if let Some((detail, remedy)) = active.hindrance(self.config) {
            return Finding::warn("certificate", format!("{}: {detail}", active.name()), remedy);
        }
        let Some(good_until) = active.certificate.good_until else { return expiry };
        let left = good_until.duration_since(self.now);
        let detail = format!("{}; by its OCSP answer good for {} more", expiry.detail, period(left));
        // It is renewed at the half of its time.
        match freshness.is_some_and(|freshness| left.unsigned_abs() < freshness / 4) {
            true if expiry.remedy.is_none() => {
                let remedy = "look into the log for the OCSP responder that does not answer";
                Finding::warn("certificate", detail, remedy)
            }
            _ => Finding { detail, ..expiry },
        }
    }

    fn expiry(&self, active: &Active<'_>) -> Finding {
        let left = active.certificate.not_after.duration_since(self.now);
        let detail = format!("{}, {} days left", active.name(), left.as_hours().max(0) / 24);
        let remedy =
            || format!("uuk keys generate --for {}; how it goes on: {MANUAL}, section 8", active.key.usage);
        match left {
            left if left < SignedDuration::ZERO => {
                Finding::warn("certificate", format!("{}, has expired", active.name()), remedy())
            }
            left if left < EXPIRY_WARNING => Finding::warn("certificate", detail, remedy()),
            _ => Finding::ok("certificate", detail),
        }
    }
}

impl Active<'_> {
    /// What keeps it from being used, be it the token, and what to do about it.
    fn hindrance(&self, config: &SignerConfig) -> Option<(String, String)> {
        if !is_fit(self.token) {
            let Finding { detail, remedy, .. } = token(self.token, config);
            return Some((detail, remedy.unwrap_or_default()));
        }
        let Problem { code, text } = self.certificate.problem.as_ref()?;
        let CertificateSummary { sha256, status, .. } = self.certificate;
        let remedy = match (code.as_str(), status) {
            ("signer.not_registered", CertificateStatus::RegistrationInProgress) => {
                "the operator of the instance has to approve it".to_owned()
            }
            ("signer.not_registered" | "signer.not_this_server", _) => {
                let digits = short(sha256);
                format!("uuk registration certificate add {digits} --address HOST; see {MANUAL}, section 4")
            }
            (code, _) => format!("uuk explain {code}"),
        };
        Some((text.clone(), remedy))
    }

    fn name(&self) -> String {
        let digits = short(&self.certificate.sha256);
        match &self.certificate.member {
            Some(member) => format!("{digits} for {} of {member}", self.key.usage),
            None => format!("{digits} for {}", self.key.usage),
        }
    }
}

/// The members whose messages go through this server.
fn served(server: &ServerId, instance: Option<&Instance>) -> BTreeSet<MemberId> {
    let server = instance.and_then(|instance| instance.server(server));
    server.into_iter().flat_map(|server| &server.clients).map(|client| client.member().clone()).collect()
}

/// What the message log's database says, and how time-stamping and archiving do.
pub(super) fn message_log(
    health: &Health,
    recording: &Result<Unstamped, Problem>,
    now: Timestamp,
) -> Vec<Finding> {
    let mut findings = vec![match recording {
        Err(Problem { code, text }) => {
            let detail = format!("no message can be recorded, and none leaves: {text}");
            Finding::fail(MESSAGE_LOG, detail, format!("uuk explain {code}"))
        }
        Ok(Unstamped { oldest: None, .. }) => Finding::ok(MESSAGE_LOG, "all records are time-stamped"),
        Ok(Unstamped { count, oldest: Some(oldest) }) => {
            let since = period(now.duration_since(*oldest));
            Finding::ok(MESSAGE_LOG, format!("{count} records wait for a time-stamp, the oldest for {since}"))
        }
    }];
    let failing = health.time_stamping_failing_since.map(|since| period(now.duration_since(since)));
    findings.push(match failing {
        _ if !health.time_stamping_configured => no_time_stamping(),
        None => Finding::ok(TIME_STAMPING, "the authority answers"),
        Some(failing) if health.time_stamping_failed_for_too_long => Finding::fail(
            TIME_STAMPING,
            format!("has failed for {failing}, longer than is accepted: every message is refused"),
            "uuk explain message_log.time_stamping_failed",
        ),
        Some(failing) => Finding::warn(
            TIME_STAMPING,
            format!("has failed for {failing}; it is tried again and again"),
            "look into the log for what the authority answers",
        ),
    });
    if let Some(since) = health.archiving_overdue_since {
        let detail = format!("archiving is overdue for {}", period(now.duration_since(since)));
        findings.push(Finding::warn("archive", detail, "uuk log archive"));
    }
    findings
}

pub(super) fn no_time_stamping() -> Finding {
    Finding::fail(
        TIME_STAMPING,
        "no authority is configured: every message is refused",
        "name one that the instance approves, in [[message_log.time_stamping.authorities]]",
    )
}

/// As commands name it.
pub(super) fn short(certificate: &Sha256) -> String {
    certificate.to_string().trim_start_matches("sha256:").chars().take(16).collect()
}

/// A time span as people say it, in its largest unit.
fn period(duration: SignedDuration) -> String {
    let seconds = duration.as_secs().max(0);
    match seconds {
        0..120 => format!("{seconds} s"),
        120..7_200 => format!("{} min", seconds / 60),
        7_200..172_800 => format!("{} h", seconds / 3_600),
        _ => format!("{} days", seconds / 86_400),
    }
}

#[cfg(test)]
mod tests;
