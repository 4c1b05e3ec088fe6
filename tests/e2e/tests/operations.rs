//! What those who run a server in an exchange are told: by `/ready`, `uuk doctor`, the metrics and at the start.

use std::path::Path;
use std::process::{Command, Output};
use std::time::Duration;

use anyhow::{Context, Result, ensure};
use bytes::Bytes;
use http::{Method, StatusCode};
use serde_json::Value;
use tokio::sync::watch;
use uuk_e2e::{Client, Enrolled, Network, Pair, Server, target_folder};
use uuk_pki::CertificateUse;
use uuk_process::Clock;
use uuk_signer::{KeyAlgorithm, Order, Signer, SignerConfig, SignerDependencies};
use uuk_testkit::network::{CertificationOptions, Fault, Instance, InstanceOptions, SourceOptions};

/// How long a server may take until it has looked at what changed.
const PATIENCE: Duration = Duration::from_secs(60);

/// While no message could pass.
const UNREADY: StatusCode = StatusCode::SERVICE_UNAVAILABLE;

/// A country whose authorities name members as none of X-Road's profiles does.
const PROFILES: &str = "[[profile]]\nname = 'kg.example.Profile'\n\
    member = [{ class = 'GOV', subject = { organizationIdentifier = 'TIN-(?<code>.+)' } }]\n\
    authentication = ['C={country}', 'CN={dns}']\nsigning = ['C={country}', 'organizationIdentifier=TIN-{member_code}']\n";

fn enrol(network: &Network, folder: &Path) -> Result<Enrolled> {
    network.enrol("GOV/70000002/ss2", "GOV/70000002/portal", folder, "")
}

fn uuk(arguments: &[&str], side: &Enrolled) -> Result<Output> {
    let mut command = Command::new(target_folder().join("debug/uuk"));
    Ok(command.args(arguments).current_dir(side.site.folder()).output()?)
}

/// Gives the running server all the keys it needs.
fn certify(side: &Enrolled, network: &Network) -> Result<()> {
    side.certify(network, CertificateUse::Authentication, KeyAlgorithm::EcP256)?;
    side.certify(network, CertificateUse::Signing, KeyAlgorithm::EcP256)
}

/// A key under the PIN 1234, in the folder of a server that does not run.
async fn make_key(folder: &Path) -> Result<()> {
    let dependencies = SignerDependencies {
        server: "KG/GOV/70000002/ss2".parse()?,
        clock: Clock::system(),
        configuration: watch::channel(None).1,
    };
    let config = SignerConfig { folder: folder.to_owned(), ..SignerConfig::default() };
    let signer = Signer::build(config, dependencies)?;
    let token = || "software".to_owned();
    signer.order(Order::Login { token: token(), pin: "1234".to_owned().try_into()? }).await?;
    let (usage, algorithm) = (CertificateUse::Signing, KeyAlgorithm::EcP256);
    signer.order(Order::Generate { token: token(), label: String::new(), usage, algorithm }).await?;
    Ok(())
}

/// What `/ready` answers.
async fn ready(server: &Server) -> Result<(StatusCode, Value)> {
    let operations = Client::new(server.operations());
    let reply = operations.call(Method::GET, "/ready", &[], Bytes::new()).await?;
    Ok((reply.status, reply.json()?))
}

/// Waits until `/ready` has this status and such a finding, and gives all that it answers.
async fn until_found(server: &Server, status: StatusCode, state: &str, detail: &str) -> Result<Value> {
    let is_so = || async {
        ready(server).await.is_ok_and(|(now, body)| now == status && finding(&body, state, detail).is_ok())
    };
    let outcome = server.until(&format!("{status} with `{detail}`"), PATIENCE, is_so).await;
    let (_, body) = ready(server).await?;
    outcome.with_context(|| format!("{body:#}"))?;
    Ok(body)
}

/// Waits until messages can pass.
async fn until_ready(server: &Server) -> Result<Value> {
    until_found(server, StatusCode::OK, "ok", "of KG, found fresh").await
}

/// The finding of this state whose detail has this text.
fn finding<'a>(body: &'a Value, state: &str, detail: &str) -> Result<&'a Value> {
    let findings = body["exchange"].as_array().context("no findings")?;
    let is_it = |finding: &&Value| {
        finding["state"] == state && finding["detail"].as_str().is_some_and(|text| text.contains(detail))
    };
    findings.iter().find(is_it).with_context(|| format!("nothing is `{state}` with `{detail}` in {body:#}"))
}

#[tokio::test(flavor = "multi_thread")]
async fn a_server_says_what_it_lacks_until_messages_can_pass() -> Result<()> {
    let (network, folder) = (Network::start().await?, tempfile::tempdir()?);
    let side = enrol(&network, folder.path())?;
    let server = Server::start(&side.site)?;
    let doctor = || uuk(&["--json", "doctor"], &side);

    let body = until_found(&server, UNREADY, "ok", "of KG, found fresh").await?;
    let lacking = finding(&body, "fail", "no certificate for signing is active")?;
    ensure!(
        lacking["remedy"]
            .as_str()
            .is_some_and(|remedy| remedy.starts_with("uuk keys generate --for signing"))
    );
    finding(&body, "fail", "no certificate for authentication is active")?;
    assert_eq!(doctor()?.status.code(), Some(3));

    // Nothing else is missing.
    certify(&side, &network)?;
    let body = until_ready(&server).await?;
    finding(&body, "ok", "for signing of KG/GOV/70000002")?;
    finding(&body, "ok", "all records are time-stamped")?;
    let doctor = doctor()?;
    ensure!(doctor.status.success(), "{}", String::from_utf8_lossy(&doctor.stdout));
    let found: Value = serde_json::from_slice(&doctor.stdout)?;
    finding(
        &serde_json::json!({ "exchange": found["findings"] }),
        "ok",
        "in use by this server, which runs",
    )?;

    let operations = Client::new(server.operations());
    let metrics = operations.call(Method::GET, "/metrics", &[], Bytes::new()).await?;
    let metrics = String::from_utf8(metrics.body.to_vec())?;
    let gauge = |name: &str| {
        let line = metrics.lines().find(|line| line.starts_with(name));
        let value = line.and_then(|line| line.rsplit(' ').next()?.parse::<f64>().ok());
        value.with_context(|| format!("no {name} in:\n{metrics}"))
    };
    ensure!(gauge("uuk_certificate_remaining_seconds{")? > 86_400.0);
    ensure!((1.0..=3_600.0).contains(&gauge("uuk_certificate_good_remaining_seconds{")?));
    ensure!((0.0..60.0).contains(&gauge("uuk_configuration_age_seconds ")?));
    ensure!((1.0..=600.0).contains(&gauge("uuk_configuration_remaining_seconds ")?));
    assert_eq!(gauge("uuk_message_log_unstamped_records ")?, 0.0);
    assert_eq!(gauge("uuk_message_log_unstamped_age_seconds ")?, 0.0);

    let said = std::fs::read_to_string(folder.path().join("server.log"))?;
    for (what, port) in [("exchange", side.port), ("ocsp", side.port + 77)] {
        let line = said.lines().find(|line| line.trim_start().starts_with(what)).context("not said")?;
        ensure!(line.contains(&format!("127.0.0.1:{port}")), "{line}");
    }
    Ok(())
}

#[tokio::test(flavor = "multi_thread")]
async fn a_wrong_pin_file_is_named_and_mended_without_a_restart() -> Result<()> {
    let (network, folder) = (Network::start().await?, tempfile::tempdir()?);
    let side = enrol(&network, folder.path())?;
    make_key(&folder.path().join("keys")).await?;
    std::fs::write(folder.path().join("pin"), "4321\n")?;
    let server = Server::start(&side.site)?;
    let detail = "does not open the token `software`";
    let body = until_found(&server, UNREADY, "warn", detail).await?;
    let closed = finding(&body, "warn", detail)?;
    let remedy = closed["remedy"].as_str().context("no remedy")?;
    ensure!(remedy.contains("uuk keys login software --pin-file "), "{remedy}");
    finding(&body, "fail", "no message can be signed")?;
    let doctor = uuk(&["doctor"], &side)?;
    assert_eq!(doctor.status.code(), Some(3));
    ensure!(String::from_utf8(doctor.stderr)?.contains(remedy));

    std::fs::write(folder.path().join("pin"), "1234\n")?;
    let login = uuk(&["keys", "login", "software", "--pin-file", "pin"], &side)?;
    ensure!(login.status.success(), "{}", String::from_utf8_lossy(&login.stderr));
    certify(&side, &network)?;
    until_ready(&server).await?;
    Ok(())
}

#[tokio::test(flavor = "multi_thread")]
async fn a_global_configuration_that_has_expired_makes_a_server_unready() -> Result<()> {
    let lifetime = Duration::from_secs(20);
    let source = SourceOptions { lifetime, interval: Duration::from_secs(1), ..SourceOptions::default() };
    let options = InstanceOptions { source, ..InstanceOptions::default() };
    let network = Network { instance: Instance::start_with("KG", options).await? };
    let folder = tempfile::tempdir()?;
    let side = enrol(&network, folder.path())?;
    let server = side.start(&network, KeyAlgorithm::EcP256)?;
    until_ready(&server).await?;
    network.instance.source.fail(Fault::Down);
    let body = until_found(&server, UNREADY, "fail", "expired").await?;
    let expired = finding(&body, "fail", "expired")?;
    assert_eq!(expired["what"], "global configuration");
    assert_eq!(expired["remedy"], "uuk explain configuration_source.unreachable");
    Ok(())
}

async fn country() -> Result<Network> {
    let certification = CertificationOptions {
        profile: "kg.example.Profile".to_owned(),
        profiles: Some(PROFILES.to_owned()),
        ..CertificationOptions::new("Authority of a country")
    };
    let options = InstanceOptions { certification, ..InstanceOptions::default() };
    Ok(Network { instance: Instance::start_with("KG", options).await? })
}

#[tokio::test(flavor = "multi_thread")]
async fn a_country_that_is_defined_in_the_configuration_alone_exchanges_messages() -> Result<()> {
    let network = country().await?;
    let settings = "[exchange]\ncertificate_profiles = \"profiles.toml\"\n\n";
    let pair = Pair::enrol(network, [settings, settings]).await?;
    for side in [&pair.consumer, &pair.provider] {
        std::fs::write(side.site.folder().join("profiles.toml"), PROFILES)?;
    }
    let [consumer, _provider] =
        pair.start(&Server::program()?, KeyAlgorithm::EcP256, "/people/10101194000000").await?;
    until_ready(&consumer).await?;
    Ok(())
}

#[tokio::test(flavor = "multi_thread")]
async fn without_the_profile_of_a_country_its_authority_is_named_as_not_trusted() -> Result<()> {
    let network = country().await?;
    let folder = tempfile::tempdir()?;
    let side = enrol(&network, folder.path())?;
    let server = Server::start(&side.site)?;
    let detail = "`Authority of a country` of the instance `KG` is not trusted";
    let body = until_found(&server, UNREADY, "warn", detail).await?;
    let remedy = &finding(&body, "warn", detail)?["remedy"];
    assert_eq!(*remedy, "uuk explain global_configuration.unusable_profile");
    Ok(())
}
