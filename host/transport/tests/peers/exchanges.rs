//! Requests and answers: large, slow, early, broken off.

use std::convert::Infallible;

use futures_util::stream;
use http_body_util::StreamBody;
use hyper::body::Frame;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::sync::watch;
use uuk_transport::{BodyError, HEADER_BYTES_MAX, ListenerLimits};

use super::identities::{Authority, fixed, leaf};
use super::scripted::{Scripted, read_request};
use super::*;

/// A body of so many pieces of 64 KiB.
fn large(pieces: usize) -> Request<StreamBody<impl stream::Stream<Item = Result<Frame<Bytes>, Infallible>>>> {
    let piece = Bytes::from(vec![b'x'; 64 << 10]);
    let pieces = (0..pieces).map(move |_| Ok(Frame::data(piece.clone())));
    Request::post("/").body(StreamBody::new(stream::iter(pieces))).unwrap()
}

async fn read(mut body: ReceivedBody) -> Result<usize, BodyError> {
    let mut size_bytes = 0;
    while let Some(frame) = timeout(PATIENCE, body.frame()).await.unwrap() {
        size_bytes += frame?.into_data().unwrap().len();
    }
    Ok(size_bytes)
}

/// A connector that gives up after a moment.
fn impatient(authority: &Authority) -> PeerConnector {
    let config = PeerConnectorConfig {
        response_timeout: Duration::from_millis(200),
        ..PeerConnectorConfig::default()
    };
    PeerConnector::new(config, fixed(authority.identity("ours")))
}

#[tokio::test]
async fn streams_a_body_there_and_back() {
    let authority = Authority::new();
    let ours = authority.identity("ours");
    for ciphers in BOTH {
        let echo = Echo::start(listener(ciphers), fixed(authority.identity("theirs")), &[leaf(&ours)]);
        let connector = connector(ciphers, fixed(ours.clone()));
        let addresses = [echo.address.clone()];
        // Far more than both may keep: it arrives only because it leaves again.
        let response = connector.send(to(&addresses), trusting, large(512)).await.unwrap();
        assert_eq!(read(response.into_body()).await.unwrap(), 512 * (64 << 10));
        assert_eq!(ask(&connector, &addresses).await.unwrap().body(), "hello");
        echo.ended().await;
    }
}

#[tokio::test]
async fn sends_chunks_and_says_host_as_x_road_does() {
    let authority = Authority::new();
    let (server, connector) = (Scripted::bind(&authority).await, impatient(&authority));
    let other = PeerAddress { host: "127.0.0.1".into(), port: 1 };
    let here = server.address().to_string();
    for (addresses, host) in
        [(vec![server.address()], here.as_str()), (vec![server.address(), other], "localhost:5500")]
    {
        let answered = async {
            let mut stream = server.accept().await;
            let request = read_request(&mut stream).await;
            stream.write_all(b"HTTP/1.1 200 OK\r\nContent-Length: 0\r\n\r\n").await.unwrap();
            request
        };
        let (request, answer) = tokio::join!(answered, ask(&connector, &addresses));
        answer.unwrap();
        let request = request.to_ascii_lowercase();
        assert!(request.starts_with("post / http/1.1\r\n"), "{request}");
        assert!(request.contains(&format!("host: {host}\r\n")), "{request}");
        assert!(request.contains("transfer-encoding: chunked\r\n"), "{request}");
        assert!(request.ends_with("5\r\nhello\r\n0\r\n\r\n"), "{request}");
    }
}

#[tokio::test]
async fn reads_all_three_framings() {
    let authority = Authority::new();
    let (server, connector) = (Scripted::bind(&authority).await, impatient(&authority));
    for (answer, close) in [
        ("HTTP/1.1 200 OK\r\nContent-Length: 5\r\n\r\nthere", false),
        ("HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n5\r\nthere\r\n0\r\n\r\n", false),
        ("HTTP/1.1 200 OK\r\nConnection: close\r\n\r\nthere", true),
    ] {
        let addresses = [server.address()];
        let (_stream, answer) = tokio::join!(server.answer(answer, close), ask(&connector, &addresses));
        assert_eq!(answer.unwrap().body(), "there");
    }
}

#[tokio::test]
async fn reuses_a_connection_until_our_identity_changes() {
    let authority = Authority::new();
    let (before, after) = (authority.identity("before"), authority.identity("after"));
    let admitted = [leaf(&before), leaf(&after)];
    let echo = Echo::start(listener(PeerCiphers::Modern), fixed(authority.identity("theirs")), &admitted);
    let (identity, ours) = watch::channel(Some(Arc::new(before)));
    let connector = connector(PeerCiphers::Modern, ours);
    let addresses = [echo.address.clone()];
    let first = ask(&connector, &addresses).await.unwrap();
    let second = ask(&connector, &addresses).await.unwrap();
    assert_eq!(header(&first, "port"), header(&second, "port"));
    identity.send_replace(Some(Arc::new(after)));
    let third = ask(&connector, &addresses).await.unwrap();
    assert_ne!(header(&second, "port"), header(&third, "port"));
}

#[tokio::test]
async fn a_connection_is_verified_once_per_provider() {
    let authority = Authority::new();
    let ours = authority.identity("ours");
    let echo =
        Echo::start(listener(PeerCiphers::Modern), fixed(authority.identity("theirs")), &[leaf(&ours)]);
    let connector = connector(PeerCiphers::Modern, fixed(ours));
    let addresses = [echo.address.clone()];
    let verifications = AtomicUsize::new(0);
    let verify = |_, _| {
        verifications.fetch_add(1, Ordering::Relaxed);
        std::future::ready(Ok::<_, Refused>(()))
    };
    for provider in ["one", "one", "other", "one"] {
        let destination = Destination { addresses: &addresses, provider };
        let response = connector.send(destination, verify, post("")).await.unwrap();
        read(response.into_body()).await.unwrap();
    }
    assert_eq!(verifications.into_inner(), 2);
}

#[tokio::test]
async fn another_connection_carries_what_a_closed_one_did_not() {
    let authority = Authority::new();
    let (server, connector) = (Scripted::bind(&authority).await, impatient(&authority));
    let addresses = [server.address()];
    let answer = "HTTP/1.1 200 OK\r\nContent-Length: 0\r\n\r\n";
    let (stream, answered) = tokio::join!(server.answer(answer, false), ask(&connector, &addresses));
    answered.unwrap();
    drop(stream);
    let (_stream, answered) = tokio::join!(server.answer(answer, false), ask(&connector, &addresses));
    answered.unwrap();
}

#[tokio::test]
async fn a_request_is_not_sent_twice() {
    let authority = Authority::new();
    let (server, connector) = (Scripted::bind(&authority).await, impatient(&authority));
    let addresses = [server.address()];
    let broken_off = async {
        let mut stream = server.accept().await;
        read_request(&mut stream).await;
    };
    let ((), code) = tokio::join!(broken_off, refusal(&connector, &addresses));
    assert_eq!(code, "peer.protocol");
}

/// A server that refuses a request answers and closes long before it has read everything.
#[tokio::test]
async fn an_answer_may_come_before_the_request_was_sent() {
    const FAULT: &str = "HTTP/1.1 200 OK\r\nContent-Length: 5\r\nConnection: close\r\n\r\nfault";
    let authority = Authority::new();
    let server = Scripted::bind(&authority).await;
    let connector = connector(PeerCiphers::Modern, fixed(authority.identity("ours")));
    let addresses = [server.address()];
    let answered = async {
        let mut stream = server.accept().await;
        stream.read_exact(&mut [0; 1000]).await.unwrap();
        stream.write_all(FAULT.as_bytes()).await.unwrap();
        stream.flush().await.unwrap();
        // Dropped with much unread, which resets the connection.
    };
    let asked = async {
        let response = connector.send(to(&addresses), trusting, large(10_000)).await.unwrap();
        response.into_body().collect().await.unwrap().to_bytes()
    };
    let ((), body) = timeout(PATIENCE, async { tokio::join!(answered, asked) }).await.unwrap();
    assert_eq!(body, "fault");
}

#[tokio::test]
async fn gives_up_a_server_that_does_not_answer() {
    let authority = Authority::new();
    let (server, connector) = (Scripted::bind(&authority).await, impatient(&authority));
    let addresses = [server.address()];
    let (_stream, code) = tokio::join!(server.answer("", false), refusal(&connector, &addresses));
    assert_eq!(code, "peer.slow");
}

#[tokio::test]
async fn gives_up_a_server_that_does_not_read() {
    let authority = Authority::new();
    let (server, connector) = (Scripted::bind(&authority).await, impatient(&authority));
    let addresses = [server.address()];
    let sent = timeout(PATIENCE, connector.send(to(&addresses), trusting, large(10_000)));
    let (_stream, outcome) = tokio::join!(server.accept(), sent);
    assert_eq!(outcome.unwrap().unwrap_err().code(), "peer.slow");
}

#[tokio::test]
async fn gives_up_a_server_that_stops_within_its_answer() {
    let authority = Authority::new();
    let (server, connector) = (Scripted::bind(&authority).await, impatient(&authority));
    let addresses = [server.address()];
    let asked = async {
        let response = connector.send(to(&addresses), trusting, post("hello")).await.unwrap();
        read(response.into_body()).await.unwrap_err().code()
    };
    let answer = "HTTP/1.1 200 OK\r\nContent-Length: 5\r\n\r\nthe";
    let (_stream, code) = tokio::join!(server.answer(answer, false), asked);
    assert_eq!(code, "body.slow");
}

#[tokio::test]
async fn refuses_an_answer_that_breaks_off() {
    let authority = Authority::new();
    let (server, connector) = (Scripted::bind(&authority).await, impatient(&authority));
    let addresses = [server.address()];
    let asked = async {
        let response = connector.send(to(&addresses), trusting, post("hello")).await.unwrap();
        read(response.into_body()).await.unwrap_err().code()
    };
    let answer = "HTTP/1.1 200 OK\r\nContent-Length: 5\r\n\r\nthe";
    let (_stream, code) = tokio::join!(server.answer(answer, true), asked);
    assert_eq!(code, "body.broken");
}

#[tokio::test]
async fn refuses_an_answer_whose_headers_are_too_large() {
    let authority = Authority::new();
    let (server, connector) = (Scripted::bind(&authority).await, impatient(&authority));
    let addresses = [server.address()];
    let answered = async {
        let mut stream = server.accept().await;
        read_request(&mut stream).await;
        let filler = "x".repeat(2 * HEADER_BYTES_MAX);
        // The connector may close before it has read everything.
        let _ = stream.write_all(format!("HTTP/1.1 200 OK\r\nFiller: {filler}\r\n\r\n").as_bytes()).await;
        stream
    };
    let (_stream, code) = tokio::join!(answered, refusal(&connector, &addresses));
    assert_eq!(code, "peer.header_too_large");
}

#[tokio::test]
async fn refuses_a_request_whose_headers_are_too_large() {
    let authority = Authority::new();
    let ours = authority.identity("ours");
    let echo =
        Echo::start(listener(PeerCiphers::Modern), fixed(authority.identity("theirs")), &[leaf(&ours)]);
    let connector = connector(PeerCiphers::Modern, fixed(ours));
    let mut request = post("");
    request.headers_mut().insert("filler", "x".repeat(HEADER_BYTES_MAX).parse().unwrap());
    let addresses = [echo.address.clone()];
    let response = connector.send(to(&addresses), trusting, request).await.unwrap();
    assert_eq!(response.status(), http::StatusCode::REQUEST_HEADER_FIELDS_TOO_LARGE);
}

#[tokio::test]
async fn a_peer_that_stops_within_its_request_loses_the_connection() {
    let authority = Authority::new();
    let ours = authority.identity("ours");
    let limits = ListenerLimits { idle_timeout: Duration::from_millis(200), ..ListenerLimits::default() };
    let config = PeerListenerConfig { limits, ..listener(PeerCiphers::Modern) };
    let echo = Echo::start(config, fixed(authority.identity("theirs")), &[leaf(&ours)]);
    let connector = connector(PeerCiphers::Modern, fixed(ours));
    let addresses = [echo.address.clone()];
    let body = StreamBody::new(stream::pending::<Result<Frame<Bytes>, Infallible>>());
    let request = Request::post("/").body(body).unwrap();
    let response = connector.send(to(&addresses), trusting, request).await.unwrap();
    assert_eq!(read(response.into_body()).await.unwrap_err().code(), "body.broken");
}

#[tokio::test]
async fn tells_when_our_own_body_breaks_off() {
    let authority = Authority::new();
    let (server, connector) = (Scripted::bind(&authority).await, impatient(&authority));
    let addresses = [server.address()];
    let body = StreamBody::new(stream::iter([Ok(Frame::data(Bytes::from_static(b"hel"))), Err(Refused)]));
    let request = Request::post("/").body(body).unwrap();
    let (_stream, outcome) = tokio::join!(server.accept(), connector.send(to(&addresses), trusting, request));
    assert_eq!(outcome.unwrap_err().code(), "peer.request");
}

#[tokio::test]
async fn waits_for_a_free_connection_no_longer_than_allowed() {
    let authority = Authority::new();
    let ours = authority.identity("ours");
    let echo =
        Echo::start(listener(PeerCiphers::Modern), fixed(authority.identity("theirs")), &[leaf(&ours)]);
    let config = PeerConnectorConfig {
        connections_max: 1,
        connect_timeout: Duration::from_millis(500),
        ..PeerConnectorConfig::default()
    };
    let connector = PeerConnector::new(config, fixed(ours));
    let addresses = [echo.address.clone()];
    let unread = connector.send(to(&addresses), trusting, post("hello")).await.unwrap();
    assert_eq!(refusal(&connector, &addresses).await, "peer.busy");
    drop(unread);
    assert!(ask(&connector, &addresses).await.is_ok());
}
