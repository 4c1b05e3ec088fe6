//! Security servers over loopback: known and unknown ones, slow ones, and those that have several addresses.

#![expect(clippy::unwrap_used, reason = "what a test's helpers cannot do, the test reports")]

mod addresses;
mod exchanges;
mod handshakes;
mod identities;
mod openssl;
mod scripted;

use std::net::SocketAddr;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;

use bytes::Bytes;
use http::{Request, Response};
use http_body_util::{BodyExt, Full};
use tokio::task::JoinHandle;
use tokio::time::timeout;
use tokio_util::sync::CancellationToken;
use uuk_transport::{
    Destination, ListenerLimits, PeerAddress, PeerCertificates, PeerCiphers, PeerConnector,
    PeerConnectorConfig, PeerError, PeerListener, PeerListenerConfig, ReceivedBody, ServerPeer,
};

use identities::Watched;

/// Longer than anything here takes, shorter than anybody waits.
const PATIENCE: Duration = Duration::from_secs(20);

const BOTH: [PeerCiphers; 2] = [PeerCiphers::Modern, PeerCiphers::XRoad];

/// Who answers, and who calls.
fn pairs() -> impl Iterator<Item = (PeerCiphers, PeerCiphers)> {
    BOTH.into_iter().flat_map(|server| BOTH.map(|client| (server, client)))
}

/// A listener that answers with the body it received and says what it knows of its peer, until the test ends.
struct Echo {
    address: PeerAddress,
    requests: Arc<AtomicUsize>,
    stop: CancellationToken,
    task: JoinHandle<()>,
}

impl Echo {
    fn start(config: PeerListenerConfig, identity: Watched, admitted: &[Bytes]) -> Self {
        let admitted = admitted.to_vec();
        let admit = Arc::new(move |leaf: &[u8]| admitted.iter().any(|known| known == leaf));
        let listener = PeerListener::bind(config, identity, admit).unwrap();
        let (address, stop) = (address(listener.address()), CancellationToken::new());
        let requests = Arc::new(AtomicUsize::new(0));
        let service = {
            let requests = requests.clone();
            move |request: Request<ReceivedBody>, peer: Arc<ServerPeer>| {
                requests.fetch_add(1, Ordering::Relaxed);
                let response = Response::builder()
                    .header("port", peer.address.port())
                    .header("certificates", peer.certificates.iter().count())
                    .body(request.into_body());
                std::future::ready(response.unwrap())
            }
        };
        let task = tokio::spawn(listener.run(service, stop.clone()));
        Self { address, requests, stop, task }
    }

    fn requests(&self) -> usize {
        self.requests.load(Ordering::Relaxed)
    }

    async fn ended(self) {
        self.stop.cancel();
        timeout(PATIENCE, self.task).await.unwrap().unwrap();
    }
}

fn listener(ciphers: PeerCiphers) -> PeerListenerConfig {
    PeerListenerConfig { address: "127.0.0.1:0".parse().unwrap(), ciphers, limits: ListenerLimits::default() }
}

fn connector(ciphers: PeerCiphers, identity: Watched) -> PeerConnector {
    PeerConnector::new(PeerConnectorConfig { ciphers, ..PeerConnectorConfig::default() }, identity)
}

fn address(socket: SocketAddr) -> PeerAddress {
    PeerAddress { host: socket.ip().to_string(), port: socket.port() }
}

/// Why a test refuses a peer.
#[derive(Debug, thiserror::Error)]
#[error("refused")]
struct Refused;

async fn trusting(_: PeerCertificates, _: PeerAddress) -> Result<(), Refused> {
    Ok(())
}

fn post(body: impl Into<Bytes>) -> Request<Full<Bytes>> {
    Request::post("/").body(Full::new(body.into())).unwrap()
}

fn to(addresses: &[PeerAddress]) -> Destination<'_> {
    Destination { addresses, provider: "provider" }
}

/// What is answered to a body of `hello`, all of it.
async fn ask(
    connector: &PeerConnector,
    addresses: &[PeerAddress],
) -> Result<Response<Bytes>, PeerError<Refused>> {
    let sent = connector.send(to(addresses), trusting, post("hello"));
    let (head, body) = timeout(PATIENCE, sent).await.unwrap()?.into_parts();
    let body = timeout(PATIENCE, body.collect()).await.unwrap().unwrap();
    Ok(Response::from_parts(head, body.to_bytes()))
}

/// The code of the error with which [`ask`] ends.
async fn refusal(connector: &PeerConnector, addresses: &[PeerAddress]) -> &'static str {
    ask(connector, addresses).await.map(Response::into_body).unwrap_err().code()
}

fn header<'h>(answer: &'h Response<Bytes>, name: &str) -> &'h str {
    answer.headers().get(name).unwrap().to_str().unwrap()
}

#[test]
fn reads_its_sections_and_refuses_unknown_settings() {
    let listener = "address = \"0.0.0.0:5500\"\nciphers = \"x-road\"\nlimits = { connections_max = 5000 }";
    let config: PeerListenerConfig = toml::from_str(listener).unwrap();
    assert_eq!((config.ciphers, config.limits.connections_max), (PeerCiphers::XRoad, 5000));
    assert!(toml::from_str::<PeerListenerConfig>("cipher = \"x-road\"").is_err());

    let config: PeerConnectorConfig = toml::from_str("response_timeout = \"2m\"").unwrap();
    assert_eq!(config.response_timeout, Duration::from_secs(120));
    assert_eq!(config.ciphers, PeerCiphers::Modern);
    assert!(toml::from_str::<PeerConnectorConfig>("timeout = \"2m\"").is_err());
}
