//! The operator's central server: security servers take the global configuration from it, and what it registers or
//! removes decides who exchanges messages.

use std::fs;
use std::path::Path;
use std::process::Stdio;
use std::time::Duration;

use anyhow::{Context, Result};
use http::StatusCode;
use serde_json::Value;
use uuk_e2e::{CLIENT, Central, Client, Enrolled, Guest, Network, PROVIDER, Pair, Server, project_root};
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

/// What the last survey says of the provider's services, or why it did not answer.
fn drifts(central: &Central) -> Result<Option<Vec<(String, String)>>> {
    let told = central.run(&["catalog", "drift"])?;
    let surveys = told.get("surveys").and_then(Value::as_array).context("no surveys")?;
    let Some(survey) = surveys.iter().find(|survey| survey["system"] == PROVIDER) else { return Ok(None) };
    if let Some(silence) = survey["silence"].as_str() {
        return Ok(Some(vec![("silence".to_owned(), silence.to_owned())]));
    }
    let text = |value: &Value| value.as_str().unwrap_or_default().to_owned();
    let drifts = survey["drifts"].as_array().context("no drifts")?;
    Ok(Some(drifts.iter().map(|drift| (text(&drift["service"]), text(&drift["kind"]))).collect()))
}

#[tokio::test(flavor = "multi_thread")]
async fn what_servers_offer_is_compared_with_the_catalog() -> Result<()> {
    let pair = Pair::enrol(Network::start().await?, ["", ""]).await?;
    let [server, provider] = pair.start(&Server::program()?, KeyAlgorithm::EcP256, KNOWN).await?;
    let mut central = Central::found()?;
    let config = central.path("central.toml");
    let survey = format!(
        "\n[survey]\nclient = '{CLIENT}'\ninterval = '1s'\nserver = {{ base = 'http://{}' }}\n",
        server.address()
    );
    fs::write(&config, fs::read_to_string(&config)? + &survey)?;
    let (member, _) = PROVIDER.rsplit_once('/').context("a subsystem has a member")?;
    central.run(&["member", "add", member, "Registry of people"])?;
    central.run(&["subsystem", "add", PROVIDER])?;
    let described = project_root().join("tests/e2e/examples/demo/catalog");
    let [system, person] =
        ["system.toml", "person.toml"].map(|name| described.join(name).display().to_string());
    central.run(&["catalog", "system", PROVIDER, &system])?;
    central.serve()?;
    let publish = |code: &str, change: &str| -> Result<()> {
        let [description, contract] = ["description.toml", "contract.yaml"].map(|name| central.path(name));
        let service = format!("{PROVIDER}/{code}");
        let text = fs::read_to_string(&person)?.replace(&format!("{PROVIDER}/person"), &service);
        fs::write(&description, text)?;
        let agreed = fs::read_to_string(Guest::People.folder().join("contracts/person.yaml"))?;
        fs::write(&contract, agreed + change)?;
        let [description, contract] = [&description, &contract].map(|path| path.display().to_string());
        central.run(&["catalog", "draft", &description, &contract])?;
        central.run(&["catalog", "publish", &service]).map(drop)
    };

    let finds = async |expected: &[(&str, &str)]| {
        let is_so = |found: &[(String, String)]| {
            found.len() == expected.len()
                && found.iter().zip(expected).all(|(one, other)| (one.0.as_str(), one.1.as_str()) == *other)
        };
        let found = async || drifts(&central).is_ok_and(|found| found.is_some_and(|found| is_so(&found)));
        let found = server.until(&format!("the survey finds {expected:?}"), REFRESH, found).await;
        found.with_context(|| format!("it found {:?}", drifts(&central)))
    };
    finds(&[("person", "undescribed")]).await?;
    publish("person", "")?;
    finds(&[]).await?;
    publish("person", "# Agreed upon elsewhere.\n")?;
    finds(&[("person", "other_contract")]).await?;
    publish("absent", "")?;
    finds(&[("absent", "not_offered"), ("person", "other_contract")]).await?;

    drop(provider);
    let silence = "the answer is 502 Bad Gateway server.clientproxy.network_error";
    finds(&[("silence", silence)]).await?;
    Ok(())
}

#[tokio::test(flavor = "multi_thread")]
async fn members_of_a_federated_instance_exist_until_the_federation_ends() -> Result<()> {
    let pair = Pair::enrol(Network::start().await?, ["", ""]).await?;
    let mut other = Central::found_instance("UZ")?;
    other.run(&["member", "add", "UZ/GOV/80000001", "A register of theirs"])?;
    other.run(&["subsystem", "add", "UZ/GOV/80000001/register"])?;
    let theirs = other.path("theirs.xml").display().to_string();
    let told = other.run(&["anchor", "--external", "--output", &theirs])?;
    other.serve()?;

    let mut central = Central::found()?;
    central.approve(&pair.network)?;
    central.admit(&pair.consumer, "An agency", CLIENT)?;
    let folder = pair.consumer.site.folder();
    central.hand_anchor(folder)?;
    central.serve()?;
    let config = fs::read_to_string(folder.join("uuk.toml"))?;
    let section = "[exchange.global_configuration]\n";
    fs::write(
        folder.join("uuk.toml"),
        config.replace(section, &format!("{section}allowed_federations = ['UZ']\n")),
    )?;
    let server = Server::start_program(central.program(), &pair.consumer.site, Stdio::null())?;
    let client = Client::new(server.address());
    let list = async |instance: &str| {
        let path = format!("/listClients?xRoadInstance={instance}");
        let accepted = [("accept", "application/json")];
        let reply = client.call(http::Method::GET, &path, &accepted, Default::default()).await?;
        anyhow::Ok((reply.status, String::from_utf8_lossy(&reply.body).into_owned()))
    };
    let knows = async |instance: &str, subsystem: &str| {
        list(instance).await.is_ok_and(|(status, told)| status == StatusCode::OK && told.contains(subsystem))
    };
    server.until("its own instance is there", PATIENCE, async || knows("KG", "portal").await).await?;
    assert_eq!(list("UZ").await?.0, StatusCode::NOT_FOUND, "nobody has said so");

    let federated = central.run(&["federation", "add", &theirs])?;
    assert_eq!(federated.get("instance").and_then(Value::as_str), Some("UZ"));
    assert_eq!(federated.get("sha224"), told.get("sha224"), "what both operators compare");
    server.until("theirs are there, too", REFRESH, async || knows("UZ", "register").await).await?;
    let own = central.path("anchor.xml").display().to_string();
    central.run(&["anchor", "--output", &own])?;
    let refused = central.run(&["federation", "add", &own]).unwrap_err().to_string();
    assert!(refused.contains("registry.own_anchor"), "{refused}");

    central.run(&["federation", "remove", "UZ"])?;
    let gone = async || list("UZ").await.is_ok_and(|(status, _)| status == StatusCode::NOT_FOUND);
    server.until("theirs are gone", REFRESH, gone).await?;
    assert!(knows("KG", "portal").await);
    Ok(())
}
