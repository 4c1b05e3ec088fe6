//! Providers with several servers.

use super::identities::{Authority, fixed, leaf};
use super::*;

/// A port at which nobody answers.
async fn nobody() -> PeerAddress {
    let socket = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
    address(socket.local_addr().unwrap())
}

struct Two {
    first: Echo,
    second: Echo,
    connector: PeerConnector,
    addresses: [PeerAddress; 2],
}

impl Two {
    fn start() -> Self {
        let authority = Authority::new();
        let ours = authority.identity("ours");
        let start = |name| {
            Echo::start(listener(PeerCiphers::Modern), fixed(authority.identity(name)), &[leaf(&ours)])
        };
        let (first, second) = (start("first"), start("second"));
        let addresses = [first.address.clone(), second.address.clone()];
        let connector = connector(PeerCiphers::Modern, fixed(ours));
        Self { first, second, connector, addresses }
    }

    /// Sends a request that only the server at `trusted` is trusted with.
    async fn ask_trusting(&self, trusted: &PeerAddress) -> Result<(), PeerError<Refused>> {
        let verify = |_: PeerCertificates, address: PeerAddress| {
            std::future::ready(if address == *trusted { Ok(()) } else { Err(Refused) })
        };
        let destination = Destination { addresses: &self.addresses, provider: &trusted.to_string() };
        let response = self.connector.send(destination, verify, post("")).await?;
        response.into_body().collect().await.unwrap();
        Ok(())
    }
}

#[tokio::test]
async fn an_address_where_nobody_answers_costs_no_call() {
    let Two { first, connector, .. } = Two::start();
    let addresses = [nobody().await, first.address.clone(), nobody().await];
    assert!(ask(&connector, &addresses).await.is_ok());
}

#[tokio::test]
async fn a_server_that_is_not_trusted_is_passed_over() {
    let two = Two::start();
    for trusted in [&two.first, &two.second] {
        let before = trusted.requests();
        two.ask_trusting(&trusted.address).await.unwrap();
        assert_eq!(trusted.requests(), before + 1);
    }
}

#[tokio::test]
async fn a_server_that_cannot_agree_on_tls_is_passed_over() {
    let Two { first, connector, .. } = Two::start();
    // It closes at once whatever connects.
    let socket = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
    let addresses = [address(socket.local_addr().unwrap()), first.address.clone()];
    let closing = async {
        loop {
            drop(socket.accept().await);
        }
    };
    tokio::select! {
        () = closing => {}
        answer = async {
            for _ in 0..10 {
                ask(&connector, &addresses).await.unwrap();
            }
        } => answer,
    }
    assert_eq!(first.requests(), 10);
}

#[tokio::test]
async fn the_server_that_answered_first_is_asked_again() {
    let two = Two::start();
    let trusting_both = async || {
        let response = two.connector.send(to(&two.addresses), trusting, post("")).await.unwrap();
        // Dropped unread: the next request needs a connection of its own.
        drop(response);
    };
    for _ in 0..10 {
        trusting_both().await;
    }
    let counts = [two.first.requests(), two.second.requests()];
    assert!(counts.contains(&10) && counts.contains(&0), "{counts:?}");
}

#[tokio::test]
async fn refuses_if_no_server_is_trusted() {
    let two = Two::start();
    let error = two.ask_trusting(&nobody().await).await.unwrap_err();
    assert_eq!(error.code(), "peer.untrusted");
    assert_eq!(two.first.requests() + two.second.requests(), 0);
}

#[tokio::test]
async fn tells_why_no_server_was_reached() {
    let Two { connector, .. } = Two::start();
    assert_eq!(refusal(&connector, &[]).await, "peer.no_address");
    assert_eq!(refusal(&connector, &[nobody().await]).await, "peer.connect");
    let nameless = PeerAddress { host: "no such host".into(), port: 5500 };
    assert_eq!(refusal(&connector, &[nameless]).await, "peer.resolve");
}
