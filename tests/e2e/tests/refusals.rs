//! What a security server refuses of others, and with which code it says so.

use std::time::{Duration, Instant};

use anyhow::{Context, Result, ensure};
use bytes::Bytes;
use futures_util::{StreamExt, stream};
use http::StatusCode;
use http_body_util::StreamBody;
use hyper::body::Frame;
use uuk_e2e::{Client, Enrolled, Network, RawMessage, RawPeer, Server};
use uuk_signer::KeyAlgorithm;
use uuk_testkit::network::{Answering, Fault, Instance, InstanceOptions, SourceOptions};
use uuk_testkit::upstream::{UpstreamOptions, VehiclesUpstream};

/// How long a server may take to learn what its peers know.
const PATIENCE: Duration = Duration::from_secs(90);
const SERVICE: &str = "/r1/KG/GOV/70000001/registry/vehicle";
const OFFICE: &str = "KG/GOV/70000002/office";

/// A server with one service, and another server that wants to do it harm.
struct Scene {
    network: Network,
    peer: RawPeer,
    provider: Enrolled,
    server: Option<Server>,
    upstream: VehiclesUpstream,
    _folder: tempfile::TempDir,
}

impl Scene {
    async fn set(settings: &str) -> Result<Self> {
        let network = Network::start().await?;
        let upstream = VehiclesUpstream::start(UpstreamOptions::default()).await?;
        let folder = tempfile::tempdir()?;
        let mut provider =
            network.enrol("GOV/70000001/ss1", "GOV/70000001/registry", folder.path(), settings)?;
        provider.site.backend("vehicle", &upstream.base())?;
        let server = provider.start(&network, KeyAlgorithm::EcP256)?;
        let peer = RawPeer::join(&network)?;
        let scene = Self { network, peer, provider, server: Some(server), upstream, _folder: folder };
        scene.answers().await?;
        Ok(scene)
    }

    async fn restart(&mut self) -> Result<()> {
        drop(self.server.take());
        self.server = Some(Server::start(&self.provider.site)?);
        self.answers().await
    }

    /// Waits until the server answers.
    async fn answers(&self) -> Result<()> {
        let started = Instant::now();
        loop {
            let answered = self.ask(SERVICE).await;
            if answered.as_ref().is_ok_and(|code| code == "ok") {
                return Ok(());
            }
            ensure!(started.elapsed() < PATIENCE, "no answer: {answered:?}");
            tokio::time::sleep(Duration::from_millis(100)).await;
        }
    }

    /// A sound request.
    async fn ask(&self, path: &str) -> Result<String> {
        self.peer.send(self.provider.port, &self.peer.message(&self.network, path, b"body").await?).await
    }

    async fn send(&self, message: &RawMessage) -> Result<String> {
        self.peer.send(self.provider.port, message).await
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn messages_that_are_not_what_was_signed() -> Result<()> {
    let scene = Scene::set("").await?;
    let sound = scene.peer.message(&scene.network, SERVICE, b"body").await?;
    let asked = scene.upstream.requests();

    let unsigned = "server.serverproxy.signature_verification.malformed_signature.invalid_hash_chain_ref";
    let mut altered = sound.clone();
    altered.body = Some(Bytes::from_static(b"bodY"));
    assert_eq!(scene.send(&altered).await?, unsigned, "an altered body");
    let mut altered = sound.clone();
    altered.request = [&*sound.request, b"X-Road-UserId:root\r\n"].concat().into();
    assert_eq!(scene.send(&altered).await?, unsigned, "an altered request");
    assert_eq!(scene.upstream.requests(), asked, "the service has seen none of them");

    assert_eq!(scene.send(&sound).await?, "ok");
    assert_eq!(scene.send(&sound).await?, "server.serverproxy.invalid_request", "a replayed request");
    let mut rewritten = sound.clone();
    let signatures = String::from_utf8(sound.signature.signatures.to_vec())?;
    rewritten.signature.signatures = format!("{signatures}\n<!-- the same -->").into();
    let code = scene.send(&rewritten).await?;
    assert_ne!(code, "ok", "a replayed request with its signature written otherwise");
    assert_eq!(scene.upstream.requests(), asked + 1, "carried out once");
    Ok(())
}

#[tokio::test(flavor = "multi_thread")]
async fn a_request_that_was_accepted_before_a_restart() -> Result<()> {
    let mut scene = Scene::set("").await?;
    let [accepted, late] = [(); 2].map(|()| scene.peer.message(&scene.network, SERVICE, b"body"));
    let (accepted, late) = (accepted.await?, late.await?);
    assert_eq!(scene.send(&accepted).await?, "ok");
    scene.restart().await?;
    assert_eq!(scene.send(&accepted).await?, "server.serverproxy.invalid_request");
    assert_eq!(scene.send(&late).await?, "ok", "signed before the restart, and sent after it");
    assert_eq!(scene.send(&late).await?, "server.serverproxy.invalid_request");
    Ok(())
}

#[tokio::test(flavor = "multi_thread")]
async fn callers_and_paths_that_have_no_business_here() -> Result<()> {
    let scene = Scene::set("").await?;
    let asked = scene.upstream.requests();
    for (what, path, code) in [
        ("an unknown member", "/r1/KG/GOV/70000009/registry/vehicle", "unknown_member"),
        ("an unknown service", "/r1/KG/GOV/70000001/registry/nothing", "unknown_service"),
        ("an encoded traversal", &format!("{SERVICE}/open/%2e%2e/secret"), "access_denied"),
        ("an encoded slash", &format!("{SERVICE}/open%2F..%2Fsecret"), "access_denied"),
    ] {
        assert_eq!(scene.ask(path).await?, format!("server.serverproxy.{code}"), "{what}");
    }
    for (what, client, code) in [
        ("no right", OFFICE, "access_denied"),
        ("another server's client", "KG/GOV/70000001/registry", "ssl_authentication_failed"),
        ("a client of nobody", "KG/GOV/70000008/portal", "ssl_authentication_failed"),
    ] {
        let message = scene.peer.message_of(&scene.network, client, SERVICE, b"").await?;
        assert_eq!(scene.send(&message).await?, format!("server.serverproxy.{code}"), "{what}");
    }
    assert_eq!(scene.upstream.requests(), asked, "the service has seen none of them");
    Ok(())
}

#[tokio::test(flavor = "multi_thread")]
async fn certificates_that_nobody_vouches_for_now() -> Result<()> {
    let scene = Scene::set("").await?;
    let (network, authority) = (&scene.network, &scene.network.instance.authority);
    let message = async || scene.peer.message(network, SERVICE, b"").await;
    let sound = message().await?;
    let asked = scene.upstream.requests();
    let connection = "server.serverproxy.ssl_authentication_failed";
    let signature = "server.serverproxy.signature_verification";
    let stale = "invalid_cert_path.incorrect_validation_info";
    let revoked = "invalid_cert_path.cert_validation";

    let mut unproven = sound.clone();
    unproven.ocsp_answers.clear();
    assert_eq!(scene.send(&unproven).await?, connection, "no OCSP answer");

    authority.ocsp().answer(Answering::Stale(Duration::from_secs(7_200)));
    let outdated = message().await?;
    let code = scene.send(&outdated).await?;
    assert_eq!(code, format!("{connection}.{stale}"), "a stale OCSP answer about the connection");
    let outdated_signature = RawMessage { ocsp_answers: sound.ocsp_answers.clone(), ..outdated };
    let code = scene.send(&outdated_signature).await?;
    assert_eq!(code, format!("{signature}.{stale}"), "a stale OCSP answer in the signature");
    authority.ocsp().answer(Answering::Honestly);

    let signing = scene.peer.signing.certificate();
    authority.revoke(signing)?;
    let code = scene.send(&message().await?).await?;
    assert_eq!(code, format!("{signature}.{revoked}"), "a revoked signing certificate");
    authority.reinstate(signing)?;

    authority.revoke(scene.peer.registered.authentication().certificate())?;
    let code = scene.send(&message().await?).await?;
    assert_eq!(code, format!("{connection}.{revoked}"), "a revoked authentication certificate");
    assert_eq!(scene.upstream.requests(), asked, "the service has seen none of them");
    Ok(())
}

#[tokio::test(flavor = "multi_thread")]
async fn messages_that_are_too_large_or_too_slow() -> Result<()> {
    let scene = Scene::set("[exchange]\nmessage_time_max = \"2s\"\nbody_bytes_max = 100000\n").await?;
    let sound = scene.peer.message(&scene.network, SERVICE, b"body").await?;
    let asked = scene.upstream.requests();
    let too_large = "server.serverproxy.invalid_message";

    let mut oversized = sound.clone();
    oversized.ocsp_answers = vec![vec![b'x'; (64 << 10) + 1].into()];
    assert_eq!(scene.send(&oversized).await?, too_large, "an oversized OCSP answer");
    let mut oversized = sound.clone();
    oversized.body = Some(vec![b'x'; 100_001].into());
    assert_eq!(scene.send(&oversized).await?, too_large, "an oversized body");

    let (content_type, bytes) = sound.write();
    let half = bytes.slice(..bytes.len() / 2);
    let stalled = stream::iter([Ok::<_, std::io::Error>(Frame::data(half))]).chain(stream::pending());
    let code = scene
        .peer
        .send_body(scene.provider.port, sound.kind, &content_type, StreamBody::new(stalled))
        .await?;
    assert_eq!(code, "server.serverproxy.network_error", "a peer that stops in the middle");
    assert_eq!(scene.upstream.requests(), asked, "the service has seen none of them");
    Ok(())
}

#[tokio::test(flavor = "multi_thread")]
async fn a_global_configuration_that_has_expired() -> Result<()> {
    let source = SourceOptions {
        lifetime: Duration::from_secs(20),
        interval: Duration::from_secs(1),
        ..SourceOptions::default()
    };
    let options = InstanceOptions { source, ..InstanceOptions::default() };
    let network = Network { instance: Instance::start_with("KG", options).await? };
    let folder = tempfile::tempdir()?;
    let consumer = network.enrol("GOV/70000002/ss2", "GOV/70000002/portal", folder.path(), "")?;
    let server = consumer.start(&network, KeyAlgorithm::EcP256)?;
    let client = Client::new(server.address());
    let code = async || {
        let reply = client.get("person", "/people/1").await?;
        assert_ne!(reply.status, StatusCode::OK);
        Ok::<_, anyhow::Error>(reply.headers.get("x-road-error").context("no code")?.to_str()?.to_owned())
    };
    // The provider is at no server: what is said while the configuration counts.
    assert_eq!(code().await?, "server.clientproxy.unknown_member");
    network.instance.source.fail(Fault::Down);
    let outdated =
        || async { code().await.is_ok_and(|code| code == "server.clientproxy.global_conf_outdated") };
    server.until("the configuration expires", PATIENCE, outdated).await
}
