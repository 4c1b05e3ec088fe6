//! Containers and archives of our message log, judged by X-Road's `asicverifier`.

use std::collections::BTreeSet;
use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;

use anyhow::{Context, Result, ensure};
use uuk_asic::{Archive, MessageContainer};
use uuk_e2e::{Client, Enrolled, Network, Pair, Server};
use uuk_interop::AsicVerifier;
use uuk_signer::KeyAlgorithm;

const KNOWN: &str = "/people/10101194000000";
const CALLS: usize = 3;
/// The client's server stamps each message alone, the provider's several together when they are exported.
const SETTINGS: [&str; 2] = ["[message_log.time_stamping]\nimmediately = true\n\n", ""];

/// `uuk log …` beside a running server.
fn log(program: &Path, side: &Enrolled, arguments: &[&str]) -> Result<()> {
    let config = side.site.folder().join("uuk.toml");
    let output = Command::new(program).arg("log").args(arguments).arg("--config").arg(config).output()?;
    ensure!(output.status.success(), "{arguments:?}: {}", String::from_utf8_lossy(&output.stderr));
    Ok(())
}

/// The containers of all that a server has recorded, from its log and then from its archive.
fn evidence(program: &Path, side: &Enrolled) -> Result<Vec<PathBuf>> {
    let folder = side.site.folder();
    let (out, trust) = (folder.join("evidence"), folder.join("global-configuration"));
    let [out_name, trust] = [&out, &trust].map(|path| path.display().to_string());
    for call in 0..CALLS {
        let id = format!("call-{call}");
        let export = ["export", "--id", &id, "--stamp-now", "--out", &out_name, "--configuration", &trust];
        log(program, side, &export)?;
    }
    log(program, side, &["archive"])?;
    for archive in fs::read_dir(folder.join("archive"))? {
        let archive = Archive::read(&fs::read(archive?.path())?)?;
        for container in archive.containers() {
            fs::write(out.join(format!("archived-{}", container.name)), &container.bytes)?;
        }
    }
    let files = fs::read_dir(out)?.map(|entry| Ok(entry?.path()));
    files.collect()
}

async fn accepts_what_servers_record(algorithm: KeyAlgorithm) -> Result<()> {
    let Some(verifier) = AsicVerifier::find() else {
        eprintln!("skipped: ASIC_VERIFIER does not say where X-Road's asicverifier is");
        return Ok(());
    };
    let pair = Pair::enrol(Network::start().await?, SETTINGS).await?;
    let program = Server::program()?;
    let [consumer, provider] = pair.start(&program, algorithm, KNOWN).await?;
    let client = Client::new(consumer.address());
    for call in 0..CALLS {
        let path = format!("/r1/{}/person{KNOWN}", uuk_e2e::PROVIDER);
        let headers = [("x-road-id", &*format!("call-{call}"))];
        client.call(http::Method::GET, &path, &headers, Default::default()).await?;
    }

    let mut kinds = BTreeSet::new();
    for side in [&pair.consumer, &pair.provider] {
        let configuration = side.site.folder().join("global-configuration");
        for file in evidence(&program, side)? {
            let verdict = verifier.judge(&configuration, &file)?;
            println!("{}: {}", file.display(), if verdict.accepted { "accepted" } else { "refused" });
            assert!(verdict.accepted, "{}: {}", file.display(), verdict.said);

            let container = MessageContainer::read(&fs::read(&file)?)?;
            let has_chain = container.signature.hash_chain.is_some();
            kinds.insert((has_chain, container.time_stamp.is_some()));
            let mut altered = container;
            let mut message = altered.message.to_vec();
            *message.last_mut().context("an empty message")? ^= 1;
            altered.message = message.into();
            fs::write(&file, altered.write()?)?;
            let verdict = verifier.judge(&configuration, &file)?;
            assert!(!verdict.accepted, "{} was altered: {}", file.display(), verdict.said);
        }
    }
    // Requests are signed alone and answers with their bodies; time-stamps are of one signature or of several.
    assert_eq!(kinds.len(), 4, "{kinds:?}");
    drop((consumer, provider));
    Ok(())
}

#[tokio::test(flavor = "multi_thread")]
async fn accepts_what_servers_with_p256_keys_record() -> Result<()> {
    accepts_what_servers_record(KeyAlgorithm::EcP256).await
}

#[tokio::test(flavor = "multi_thread")]
async fn accepts_what_servers_with_rsa_keys_record() -> Result<()> {
    accepts_what_servers_record(KeyAlgorithm::Rsa2048).await
}
