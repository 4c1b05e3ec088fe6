use std::path::PathBuf;

use uuk_signer::{CertificateStatus, KeyAlgorithm, TokenConfig};

use super::*;
use crate::finding::State;

const NOW: &str = "2026-11-22T12:00:00Z";
const NEXT_YEAR: &str = "2027-11-22T12:00:00Z";
const TWO_HOURS_LATER: &str = "2026-11-22T14:00:00Z";

fn at(text: &str) -> Timestamp {
    text.parse().unwrap()
}

fn problem(code: &str, text: &str) -> Problem {
    Problem { code: code.to_owned(), text: text.to_owned() }
}

/// An open token with one active certificate, of KG/GOV/1 if it signs.
fn token(usage: CertificateUse, not_after: &str, good_until: Result<&str, Problem>) -> TokenSummary {
    let (good_until, problem) = match good_until {
        Ok(until) => (Some(at(until)), None),
        Err(problem) => (None, Some(problem)),
    };
    let certificate = CertificateSummary {
        der: Vec::new(),
        sha256: Sha256::of(b"certificate"),
        subject: "CN=1".to_owned(),
        issuer: "CN=CA".to_owned(),
        not_after: at(not_after),
        member: (usage == CertificateUse::Signing).then(|| "KG/GOV/1".parse().unwrap()),
        status: CertificateStatus::Registered,
        active: true,
        problem,
        good_until,
    };
    let key = KeySummary {
        id: "0123456789ABCDEF0123456789ABCDEF01234567".parse().unwrap(),
        label: String::new(),
        usage,
        algorithm: KeyAlgorithm::EcP256,
        certificates: vec![certificate],
    };
    TokenSummary { name: "software".to_owned(), device: false, open: true, problem: None, keys: vec![key] }
}

fn good(usage: CertificateUse) -> TokenSummary {
    token(usage, NEXT_YEAR, Ok(TWO_HOURS_LATER))
}

fn look(tokens: &[TokenSummary]) -> Vec<Finding> {
    let config = SignerConfig::default();
    let ability = Ability { tokens, config: &config, now: at(NOW) };
    ability.findings(&"KG/GOV/1/ss1".parse().unwrap(), None)
}

#[track_caller]
fn found<'a>(findings: &'a [Finding], state: State, what: &str) -> &'a Finding {
    let mut found = findings.iter().filter(|finding| finding.what == what && finding.state == state);
    found.next().unwrap_or_else(|| panic!("no `{what}` is `{state}` in {findings:#?}"))
}

#[test]
fn a_server_that_can_sign_and_show_who_it_is_is_able() {
    let findings = look(&[good(CertificateUse::Signing), good(CertificateUse::Authentication)]);
    assert!(findings.iter().all(|finding| finding.state == State::Ok), "{findings:#?}");
    let certificate = found(&findings, State::Ok, "certificate");
    assert!(
        certificate
            .detail
            .ends_with("for signing of KG/GOV/1, 365 days left; by its OCSP answer good for 2 h more")
    );
}

#[test]
fn fails_only_if_no_certificate_at_all_can_be_used() {
    let revoked = || problem("ocsp.revoked", "it was revoked");
    let bad = token(CertificateUse::Signing, NEXT_YEAR, Err(revoked()));
    let findings = look(&[bad.clone(), good(CertificateUse::Signing), good(CertificateUse::Authentication)]);
    let warning = found(&findings, State::Warn, "certificate");
    assert!(warning.detail.ends_with("it was revoked"));
    assert_eq!(warning.remedy.as_deref(), Some("uuk explain ocsp.revoked"));
    assert!(!crate::finding::any_fails(&findings), "{findings:#?}");

    let findings = look(&[bad, good(CertificateUse::Authentication)]);
    assert_eq!(found(&findings, State::Fail, "signing").detail, "no message can be signed: it was revoked");
}

#[test]
fn a_server_without_certificates_fails_with_the_command_that_makes_keys() {
    let findings = look(&[]);
    for (what, usage) in [("authentication", "authentication"), ("signing", "signing")] {
        let remedy = found(&findings, State::Fail, what).remedy.as_deref().unwrap();
        assert!(remedy.starts_with(&format!("uuk keys generate --for {usage}")), "{remedy}");
    }
}

#[test]
fn a_certificate_in_a_token_that_cannot_be_reached_is_of_no_use() {
    let away = Some(problem("token.device", "the token cannot be reached"));
    let token = TokenSummary { problem: away, ..good(CertificateUse::Signing) };
    let findings = look(&[token, good(CertificateUse::Authentication)]);
    assert!(found(&findings, State::Fail, "signing").detail.ends_with("the token cannot be reached"));
    let warnings = findings.iter().filter(|finding| finding.state == State::Warn);
    assert_eq!(warnings.count(), 0, "it is said once, of the token");
}

#[test]
fn warns_of_certificates_that_expire_within_a_month() {
    for (not_after, state, said) in [
        ("2026-12-23T12:00:00Z", State::Ok, "31 days left"),
        ("2026-12-20T12:00:00Z", State::Warn, "28 days left"),
        ("2026-11-21T12:00:00Z", State::Warn, "has expired"),
    ] {
        let tokens = [token(CertificateUse::Signing, not_after, Ok(TWO_HOURS_LATER))];
        let config = SignerConfig::default();
        let findings = Ability { tokens: &tokens, config: &config, now: at(NOW) }.expiries();
        let finding = found(&findings, state, "certificate");
        assert!(finding.detail.contains(said), "{finding:?}");
    }
}

#[test]
fn warns_of_an_ocsp_answer_that_nobody_renews() {
    let tokens = [good(CertificateUse::Signing)];
    let config = SignerConfig::default();
    let ability = Ability { tokens: &tokens, config: &config, now: at(NOW) };
    let active = ability.active().next().unwrap();
    let hours = |hours: u64| Some(Duration::from_secs(hours * 3600));
    assert_eq!(ability.standing(&active, hours(4)).state, State::Ok, "half of its time is left");
    assert_eq!(ability.standing(&active, hours(12)).state, State::Warn, "a sixth of its time is left");
}

#[test]
fn names_the_file_of_a_refused_pin_and_the_command() {
    let pin_file = Some(PathBuf::from("/run/pin"));
    let config = TokenConfig { pin_file, ..TokenConfig::default() };
    let config = SignerConfig { tokens: [("software".to_owned(), config)].into(), ..SignerConfig::default() };
    let refused = problem("token.pin_file_refused", "the PIN in /run/pin does not open the token");
    let closed = TokenSummary { open: false, problem: Some(refused), ..good(CertificateUse::Signing) };
    let findings = tokens(&[closed], &config);
    let remedy = found(&findings, State::Warn, "token").remedy.as_deref();
    assert_eq!(
        remedy,
        Some("write the right PIN into that file, then: uuk keys login software --pin-file '/run/pin'")
    );
}

const HEALTHY: Health = Health {
    time_stamping_configured: true,
    time_stamping_succeeded_at: None,
    time_stamping_failing_since: None,
    time_stamping_failed_for_too_long: false,
    archiving_overdue_since: None,
};

fn log(health: Health) -> Vec<Finding> {
    let recorded = Unstamped { count: 7, oldest: Some(at("2026-11-22T11:58:30Z")) };
    message_log(&health, &Ok(recorded), at(NOW))
}

#[test]
fn tells_how_long_records_wait_for_a_time_stamp() {
    let findings = log(HEALTHY);
    assert_eq!(
        found(&findings, State::Ok, MESSAGE_LOG).detail,
        "7 records wait for a time-stamp, the oldest for 90 s"
    );
    found(&findings, State::Ok, TIME_STAMPING);
}

#[test]
fn fails_if_messages_cannot_be_recorded() {
    let full = Err(problem("message_log.refused", "the database refuses: the disk is full"));
    let findings = message_log(&HEALTHY, &full, at(NOW));
    assert!(found(&findings, State::Fail, MESSAGE_LOG).detail.ends_with("the disk is full"));
}

#[test]
fn time_stamping_fails_only_when_messages_are_refused() {
    let since = Some(at("2026-11-22T10:00:00Z"));
    let failing = Health { time_stamping_failing_since: since, ..HEALTHY };
    assert!(found(&log(failing), State::Warn, TIME_STAMPING).detail.contains("2 h"));
    let for_too_long = Health { time_stamping_failed_for_too_long: true, ..failing };
    found(&log(for_too_long), State::Fail, TIME_STAMPING);
    let missing = Health { time_stamping_configured: false, ..HEALTHY };
    assert!(found(&log(missing), State::Fail, TIME_STAMPING).detail.contains("no authority is configured"));
}

#[test]
fn warns_of_archiving_that_is_overdue() {
    let overdue = Health { archiving_overdue_since: Some(at(NOW)), ..HEALTHY };
    assert_eq!(found(&log(overdue), State::Warn, "archive").remedy.as_deref(), Some("uuk log archive"));
}

#[test]
fn without_a_global_configuration_the_reason_is_told() {
    let server = "KG/GOV/1/ss1".parse().unwrap();
    let problem =
        ConfigurationProblem { code: "configuration_source.unreachable", text: "nobody answers".to_owned() };
    let status = ConfigurationStatus { problem: Some(problem), ..ConfigurationStatus::default() };
    let findings = configuration(&status, None, &server, at(NOW));
    let finding = found(&findings, State::Fail, CONFIGURATION);
    assert_eq!(finding.detail, "there is none yet: nobody answers");
    assert_eq!(finding.remedy.as_deref(), Some("uuk explain configuration_source.unreachable"));
}

#[test]
fn a_certificate_that_nobody_registered_names_the_command_and_then_whom_it_waits_for() {
    let problem =
        Problem { code: "signer.not_registered".to_owned(), text: "it is not registered".to_owned() };
    let mut authentication = token(CertificateUse::Authentication, NEXT_YEAR, Err(problem));
    let remedies = |authentication: &TokenSummary| {
        let findings = look(&[good(CertificateUse::Signing), authentication.clone()]);
        findings.into_iter().filter_map(|finding| finding.remedy).collect::<Vec<_>>().join("\n")
    };
    let status = |token: &mut TokenSummary, status| {
        let certificates = token.keys.iter_mut().flat_map(|key| &mut key.certificates);
        certificates.for_each(|certificate| certificate.status = status);
    };
    status(&mut authentication, CertificateStatus::Saved);
    assert!(remedies(&authentication).contains("uuk registration certificate add"));
    status(&mut authentication, CertificateStatus::RegistrationInProgress);
    assert!(remedies(&authentication).contains("has to approve"));
}
