//! Who is let in, and what either side shows.

use std::slice::from_ref;
use std::sync::Arc;
use std::time::SystemTime;

use der::Decode as _;
use tokio::io::AsyncReadExt;
use tokio::net::TcpStream;
use tokio::sync::watch;
use tokio::time::timeout;
use uuk_transport::{ListenerLimits, PeerCiphers, PeerListenerConfig};

use super::identities::{Authority, fixed, leaf};
use super::*;

#[tokio::test]
async fn either_library_talks_with_either() {
    let authority = Authority::new();
    let (ours, theirs) = (authority.identity("ours"), authority.rsa_identity("theirs"));
    for (server, client) in pairs() {
        let echo = Echo::start(listener(server), fixed(theirs.clone()), &[leaf(&ours)]);
        let connector = connector(client, fixed(ours.clone()));
        let answer = ask(&connector, from_ref(&echo.address)).await.unwrap();
        assert_eq!(answer.body(), "hello", "{server:?} answers {client:?}");
        assert_eq!(header(&answer, "certificates"), "1");
    }
}

#[tokio::test]
async fn both_sides_send_their_intermediates_and_no_anchor() {
    let authority = Authority::new();
    let intermediate = authority.intermediate();
    let with_intermediate = |name| {
        let mut identity = intermediate.identity(name);
        identity.certificates.push(intermediate.der());
        identity
    };
    let (ours, theirs) = (with_intermediate("ours"), with_intermediate("theirs"));
    for (server, client) in pairs() {
        let echo = Echo::start(listener(server), fixed(theirs.clone()), &[leaf(&ours)]);
        let connector = connector(client, fixed(ours.clone()));
        let verify = |certificates: PeerCertificates, _: PeerAddress| {
            let as_sent = certificates.iter().eq(&theirs.certificates);
            std::future::ready(if as_sent { Ok(()) } else { Err(Refused) })
        };
        let response = connector.send(to(from_ref(&echo.address)), verify, post("")).await.unwrap();
        assert_eq!(response.headers().get("certificates").unwrap(), "2", "{server:?} and {client:?}");
    }
}

#[tokio::test]
async fn refuses_an_unknown_certificate() {
    let authority = Authority::new();
    let (known, unknown) = (authority.identity("known"), authority.identity("unknown"));
    for (server, client) in pairs() {
        let theirs = fixed(authority.identity("theirs"));
        let echo = Echo::start(listener(server), theirs, &[leaf(&known)]);
        let connector = connector(client, fixed(unknown.clone()));
        let code = refusal(&connector, from_ref(&echo.address)).await;
        // In TLS 1.3 the server's alert comes after our handshake, and may be lost when it closes.
        assert!(["peer.tls", "peer.protocol"].contains(&code), "{server:?} answers {client:?}: {code}");
        assert_eq!(echo.requests(), 0);
    }
}

/// It is known and its key proven; that it has expired is for `verify` to find.
#[tokio::test]
async fn refuses_an_expired_certificate_before_anything_is_sent() {
    let authority = Authority::new();
    let ours = authority.identity("ours");
    for ciphers in BOTH {
        let (identity, theirs) = watch::channel(Some(Arc::new(authority.expired_identity("theirs"))));
        let echo = Echo::start(listener(ciphers), theirs, &[leaf(&ours)]);
        let connector = connector(ciphers, fixed(ours.clone()));
        let addresses = [echo.address.clone()];
        let error = connector.send(to(&addresses), is_in_force, post("")).await.unwrap_err();
        assert_eq!((error.code(), error.xroad_code()), ("peer.untrusted", "ssl_authentication_failed"));
        assert_eq!(echo.requests(), 0);

        identity.send_replace(Some(Arc::new(authority.identity("theirs"))));
        assert!(connector.send(to(&addresses), is_in_force, post("")).await.is_ok(), "it was renewed");
    }
}

async fn is_in_force(certificates: PeerCertificates, _: PeerAddress) -> Result<(), Refused> {
    let certificate = x509_cert::Certificate::from_der(certificates.leaf()).unwrap();
    let not_after = certificate.tbs_certificate().validity().not_after.to_system_time();
    if not_after < SystemTime::now() { Err(Refused) } else { Ok(()) }
}

#[tokio::test]
async fn a_new_identity_drops_no_connection() {
    let authority = Authority::new();
    let ours = authority.identity("ours");
    for ciphers in BOTH {
        let (identity, theirs) = watch::channel(Some(Arc::new(authority.identity("before"))));
        let echo = Echo::start(listener(ciphers), theirs, &[leaf(&ours)]);
        let connector = connector(ciphers, fixed(ours.clone()));
        let addresses = [echo.address.clone()];
        let before = ask(&connector, &addresses).await.unwrap();
        identity.send_replace(Some(Arc::new(authority.identity("after"))));
        let after = ask(&connector, &addresses).await.unwrap();
        assert_eq!(header(&before, "port"), header(&after, "port"));
    }
}

#[tokio::test]
async fn an_identity_that_cannot_be_used_replaces_none() {
    let authority = Authority::new();
    let ours = authority.identity("ours");
    for ciphers in BOTH {
        let theirs = authority.identity("theirs");
        let mut mixed_up = authority.identity("other");
        mixed_up.certificates = theirs.certificates.clone();
        let (identity, watched) = watch::channel(Some(Arc::new(theirs)));
        let echo = Echo::start(listener(ciphers), watched, &[leaf(&ours)]);
        let ask_anew =
            async || ask(&connector(ciphers, fixed(ours.clone())), from_ref(&echo.address)).await.map(|_| ());
        assert!(ask_anew().await.is_ok());
        identity.send_replace(Some(Arc::new(mixed_up)));
        assert!(ask_anew().await.is_ok(), "what was in force stays in force");
        identity.send_replace(None);
        assert!(ask_anew().await.is_err());
    }
}

#[tokio::test]
async fn sends_nothing_without_an_identity() {
    let connector = connector(PeerCiphers::Modern, watch::channel(None).1);
    let nobody = PeerAddress { host: "127.0.0.1".into(), port: 1 };
    assert_eq!(refusal(&connector, &[nobody]).await, "peer.no_identity");
}

#[tokio::test]
async fn a_slow_handshake_delays_no_other_and_ends() {
    let authority = Authority::new();
    let ours = authority.identity("ours");
    for ciphers in BOTH {
        let limits =
            ListenerLimits { handshake_timeout: Duration::from_millis(200), ..ListenerLimits::default() };
        let config = PeerListenerConfig { limits, ..listener(ciphers) };
        let echo = Echo::start(config, fixed(authority.identity("theirs")), &[leaf(&ours)]);
        let mut slow = TcpStream::connect((echo.address.host.as_str(), echo.address.port)).await.unwrap();
        let connector = connector(ciphers, fixed(ours.clone()));
        assert!(ask(&connector, from_ref(&echo.address)).await.is_ok());
        let mut nothing = Vec::new();
        timeout(PATIENCE, slow.read_to_end(&mut nothing)).await.unwrap().unwrap();
        assert!(nothing.is_empty());
        echo.ended().await;
    }
}
