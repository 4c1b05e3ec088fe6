//! The operator's central server: security servers take the global configuration from it, and what it registers or
//! removes decides who exchanges messages.

use std::fs;
use std::path::Path;
use std::process::Stdio;
use std::time::Duration;

use anyhow::{Context, Result};
use http::StatusCode;
use serde_json::Value;
use uuk_e2e::{CLIENT, Central, Client, Enrolled, Network, PROVIDER, Pair, Server};
use uuk_pki::{CertificateUse, Sha256};
use uuk_signer::KeyAlgorithm;
use uuk_testkit::network::certificate_pem;

const KNOWN: &str = "/people/10101194000000";
/// How long a server may take for its first configuration, in a debug build.
const PATIENCE: Duration = Duration::from_secs(90);
/// A second until the central server publishes, a second until a security server asks, and some for a busy machine.
const REFRESH: Duration = Duration::from_secs(15);

/// Registers the certificate that the server's key was given last, and answers with its digest.
fn register_certificate(central: &Central, network: &Network, side: &Enrolled) -> Result<String> {
    let content = network.instance.source.content();
    let known = content.certificates.get(side.registered.id()).and_then(|known| known.last());
    let certificate = known.context("no certificate was issued")?;
    let file = central.path("authentication.pem");
    fs::write(&file, certificate_pem(certificate)?)?;
    central.register_certificate(side, &file)?;
    Ok(Sha256::of(certificate.der()).to_string())
}

/// A server with keys and certificates, of which the central server does not know yet.
fn start(program: &Path, side: &Enrolled, network: &Network) -> Result<Server> {
    let server = Server::start_program(program, &side.site, Stdio::null())?;
    for usage in [CertificateUse::Authentication, CertificateUse::Signing] {
        side.certify(network, usage, KeyAlgorithm::EcP256)?;
    }
    Ok(server)
}

#[tokio::test(flavor = "multi_thread")]
async fn a_call_succeeds_while_the_registry_says_so() -> Result<()> {
    let pair = Pair::enrol(Network::start().await?, ["", ""]).await?;
    let mut central = Central::found()?;
    central.approve(&pair.network)?;
    for (side, client) in [(&pair.provider, PROVIDER), (&pair.consumer, CLIENT)] {
        central.admit(side, "An agency", client)?;
        central.hand_anchor(side.site.folder())?;
    }
    central.serve()?;
    let provider = start(central.program(), &pair.provider, &pair.network)?;
    let consumer = start(central.program(), &pair.consumer, &pair.network)?;
    let client = Client::new(consumer.address());
    let status = || async { client.get("person", KNOWN).await.map(|reply| reply.status) };

    register_certificate(&central, &pair.network, &pair.provider)?;
    let registered = register_certificate(&central, &pair.network, &pair.consumer)?;
    let answers = || async { status().await.is_ok_and(|status| status == StatusCode::OK) };
    consumer.until("the exchange answers", PATIENCE, answers).await?;

    let server = pair.consumer.registered.id().to_string();
    central.run(&["certificate", "remove", &server, &registered])?;
    let stops = || async { status().await.is_ok_and(|status| status != StatusCode::OK) };
    consumer.until("calls stop", REFRESH, stops).await?;
    register_certificate(&central, &pair.network, &pair.consumer)?;
    consumer.until("calls go on", REFRESH, answers).await?;

    let log = central.run(&["audit"])?;
    let acts: Vec<_> =
        log["entries"].as_array().context("no entries")?.iter().map(|entry| &entry["act"]).collect();
    assert_eq!(acts.first().copied(), Some(&Value::from("found-instance")));
    assert!(acts.contains(&&Value::from("remove-certificate")), "{acts:?}");
    drop(provider);
    Ok(())
}
