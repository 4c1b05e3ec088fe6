//! The OCSP answers that security servers ask of each other on port 5577, over plain HTTP: they are signed by the
//! authority and no secret.
//!
//! Source: `transport.md` §8 of the reference notes.

use std::collections::HashMap;
use std::net::Ipv6Addr;
use std::sync::{Mutex, PoisonError};
use std::time::{Duration, Instant};

use aws_lc_rs::digest::{Algorithm, SHA1_FOR_LEGACY_USE_ONLY, SHA256, digest};
use bytes::Bytes;
use http::header::{ACCEPT, CONTENT_TYPE};
use http::{HeaderValue, Method, Request, Response, StatusCode};
use http_body_util::Full;
use uuid::Uuid;
use uuk_message::{Limits, OcspAnswers, OcspAnswersError};
use uuk_transport::{Upstream, UpstreamBuildError, UpstreamConfig, UpstreamError};

/// Reaching another server takes no longer.
const CONNECT_TIMEOUT: Duration = Duration::from_secs(20);
/// Its answer takes no longer.
const READ_TIMEOUT: Duration = Duration::from_secs(30);
/// Addresses of other servers come from the global configuration, and may lie in any network.
const ANY_NETWORK: [&str; 2] = ["0.0.0.0/0", "::/0"];

/// Servers whose answers are kept: more than there are in any country.
const KNOWN_MAX: usize = 10_000;

/// Why another server gave no OCSP answers for its certificates.
#[derive(Debug, thiserror::Error, strum::IntoStaticStr)]
#[strum(serialize_all = "snake_case", prefix = "certificate_answers.")]
#[non_exhaustive]
pub enum CertificateAnswersError {
    /// It sent more certificates than a path has.
    #[error("there are more than {count_max} certificates to ask for")]
    TooManyCertificates {
        /// The limit.
        count_max: usize,
    },
    /// Its address is not one.
    #[error("the server's address cannot be used")]
    Address(#[source] UpstreamBuildError),
    /// It cannot be reached, or is slow.
    #[error("the server cannot be asked")]
    Unreachable(#[source] UpstreamError),
    /// It has none, or no service there.
    #[error("the server answered {status}")]
    Status {
        /// Its status.
        status: StatusCode,
    },
    /// What it sent is no message of OCSP answers.
    #[error("the server's answer is malformed")]
    Malformed(#[source] OcspAnswersError),
    /// It sent more or fewer than it was asked for.
    #[error("the server sent {found} answers for {asked} certificates")]
    Count {
        /// Certificates.
        asked: usize,
        /// Answers.
        found: usize,
    },
}

impl CertificateAnswersError {
    /// Stable code, such as `certificate_answers.count`.
    pub fn code(&self) -> &'static str {
        self.into()
    }

    /// X-Road's code, which does not tell them apart.
    pub fn xroad_code(&self) -> &'static str {
        "ssl_authentication_failed"
    }
}

/// The answers that other servers gave last, by their certificate. They are not asked again for as long as those count: not
/// for every connection and every minute.
#[derive(Debug, Default)]
pub(crate) struct KnownAnswers(Mutex<HashMap<Bytes, Vec<Bytes>>>);

impl KnownAnswers {
    /// Checks a server by the answers that are known about `certificate`, and, if those do not do, by what `ask` brings.
    pub(crate) async fn check<E>(
        &self,
        certificate: &Bytes,
        check: impl Fn(&[Bytes]) -> Result<(), E>,
        ask: impl Future<Output = Result<Vec<Bytes>, E>>,
    ) -> Result<(), E> {
        let known = self.0.lock().unwrap_or_else(PoisonError::into_inner).get(certificate).cloned();
        if known.is_some_and(|known| check(&known).is_ok()) {
            return Ok(());
        }
        let answers = ask.await?;
        check(&answers)?;
        let mut known = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        if known.len() >= KNOWN_MAX {
            known.clear();
        }
        known.insert(certificate.clone(), answers);
        Ok(())
    }
}

/// Answers a request of another server with what `answer_for` has: the OCSP answer in DER for one of this server's
/// certificates, known by its SHA-1.
pub fn respond<B>(
    request: &Request<B>,
    answer_for: impl Fn(&[u8; 20]) -> Option<Bytes>,
) -> Response<Full<Bytes>> {
    match *request.method() {
        Method::GET => {}
        // By this others find out whether the server is up.
        Method::HEAD => return Response::default(),
        _ => return plain(StatusCode::METHOD_NOT_ALLOWED, "only GET and HEAD are answered here"),
    }
    let answers = certificates(request.uri().query().unwrap_or_default()).and_then(|certificates| {
        let answer = |sha1: [u8; 20]| {
            answer_for(&sha1).ok_or_else(|| format!("no OCSP answer for certificate {}", hex::encode(sha1)))
        };
        certificates.into_iter().map(answer).collect::<Result<Vec<_>, _>>()
    });
    match answers {
        Ok(answers) => {
            let boundary = format!("uuk{}", Uuid::new_v4().simple());
            let mut response = Response::new(Full::from(OcspAnswers(answers).write(&boundary)));
            if let Ok(content_type) = HeaderValue::try_from(OcspAnswers::content_type(&boundary)) {
                response.headers_mut().insert(CONTENT_TYPE, content_type);
            }
            response
        }
        // X-Road's servers answer 500 whatever is wrong.
        Err(reason) => plain(StatusCode::INTERNAL_SERVER_ERROR, &reason),
    }
}

/// The SHA-1 of the certificates asked for. Newer servers also name them by SHA-256, as `cert_hash`, which none reads.
fn certificates(query: &str) -> Result<Vec<[u8; 20]>, String> {
    let count_max = Limits::default().ocsp_responses_max;
    let hashes = query.split('&').filter_map(|parameter| parameter.strip_prefix("cert="));
    let certificates = hashes
        .take(count_max + 1)
        .map(|hash| {
            let mut sha1 = [0; 20];
            match hex::decode_to_slice(hash, &mut sha1) {
                Ok(()) => Ok(sha1),
                Err(_) => Err("a parameter `cert` is not a SHA-1 in hexadecimal".to_owned()),
            }
        })
        .collect::<Result<Vec<_>, _>>()?;
    match certificates.len() {
        0 => Err("there is no parameter `cert`".to_owned()),
        count if count > count_max => Err(format!("there are more than {count_max} parameters `cert`")),
        _ => Ok(certificates),
    }
}

fn plain(status: StatusCode, text: &str) -> Response<Full<Bytes>> {
    let mut response = Response::new(Full::from(text.to_owned()));
    *response.status_mut() = status;
    response.headers_mut().insert(CONTENT_TYPE, HeaderValue::from_static("text/plain; charset=utf-8"));
    response
}

/// Asks the server at `host` for OCSP answers in DER, one for each of `certificates` in DER, in their order.
///
/// Whether they are about these certificates, and good, is for those to say who verify them.
///
/// # Errors
/// [`CertificateAnswersError`].
pub async fn ask(
    host: &str,
    port: u16,
    certificates: &[Bytes],
) -> Result<Vec<Bytes>, CertificateAnswersError> {
    let limits = Limits::default();
    let (asked, count_max) = (certificates.len(), limits.ocsp_responses_max);
    if asked > count_max {
        return Err(CertificateAnswersError::TooManyCertificates { count_max });
    }
    let base = match host.parse::<Ipv6Addr>() {
        Ok(host) => format!("http://[{host}]:{port}"),
        Err(_) => format!("http://{host}:{port}"),
    };
    let config = UpstreamConfig {
        networks: ANY_NETWORK.iter().filter_map(|network| network.parse().ok()).collect(),
        connect_timeout: CONNECT_TIMEOUT,
        ..UpstreamConfig::new(base)
    };
    let server = Upstream::build(&config).map_err(CertificateAnswersError::Address)?;
    let request = Request::get(query(certificates)).header(ACCEPT, "multipart/related").body(Bytes::new());
    let request =
        request.map_err(|source| CertificateAnswersError::Unreachable(UpstreamError::Request { source }))?;
    let bytes_max = (asked * (limits.ocsp_bytes_max + limits.part_header_bytes_max)) as u64;
    let deadline = Instant::now() + CONNECT_TIMEOUT + READ_TIMEOUT;
    let response =
        server.send(request, deadline, bytes_max).await.map_err(CertificateAnswersError::Unreachable)?;
    if !response.status().is_success() {
        return Err(CertificateAnswersError::Status { status: response.status() });
    }
    let content_type = response.headers().get(CONTENT_TYPE).and_then(|value| value.to_str().ok());
    let OcspAnswers(answers) = OcspAnswers::read(content_type.unwrap_or_default(), response.body(), &limits)
        .map_err(CertificateAnswersError::Malformed)?;
    match answers.len() {
        found if found == asked => Ok(answers),
        found => Err(CertificateAnswersError::Count { asked, found }),
    }
}

/// Both lists of hashes, as servers since 7.4 send them.
fn query(certificates: &[Bytes]) -> String {
    let list = |name: &str, algorithm: &'static Algorithm| {
        let hash = |certificate: &Bytes| format!("{name}={}", hex::encode(digest(algorithm, certificate)));
        certificates.iter().map(hash).collect::<Vec<_>>()
    };
    let parameters = [list("cert", &SHA1_FOR_LEGACY_USE_ONLY), list("cert_hash", &SHA256)].concat();
    format!("/?{}", parameters.join("&"))
}

#[cfg(test)]
mod tests {
    use std::net::SocketAddr;
    use std::sync::Arc;

    use http_body_util::BodyExt;
    use hyper::body::Incoming;
    use tokio_util::sync::CancellationToken;
    use uuk_transport::{ListenerLimits, PublicListener, PublicListenerConfig};

    use super::*;

    const LEAF: &[u8] = b"a certificate";
    const INTERMEDIATE: &[u8] = b"its intermediate";

    /// The answers of a server that has these two certificates.
    fn answer_for(sha1: &[u8; 20]) -> Option<Bytes> {
        let known = [(LEAF, b"\x30\x01a".as_slice()), (INTERMEDIATE, b"\x30\x01b")];
        let is_asked = |certificate| digest(&SHA1_FOR_LEGACY_USE_ONLY, certificate).as_ref() == sha1;
        known.into_iter().find(|(certificate, _)| is_asked(certificate)).map(|(_, answer)| answer.into())
    }

    /// A server that answers like this, until the test ends.
    fn serve(answer: fn(&Request<Incoming>) -> Response<Full<Bytes>>) -> u16 {
        let address = SocketAddr::from(([127, 0, 0, 1], 0));
        let config = PublicListenerConfig { address, limits: ListenerLimits::default() };
        let listener = PublicListener::bind(config).unwrap();
        let port = listener.address().port();
        let service =
            move |request: Request<Incoming>, _: Arc<SocketAddr>| std::future::ready(answer(&request));
        tokio::spawn(listener.run(service, CancellationToken::new()));
        port
    }

    async fn ask_for(port: u16, certificates: &[&'static [u8]]) -> Result<Vec<Bytes>, &'static str> {
        let certificates: Vec<_> = certificates.iter().copied().map(Bytes::from_static).collect();
        ask("127.0.0.1", port, &certificates).await.map_err(|error| error.code())
    }

    async fn refused(method: Method, uri: &str) -> (StatusCode, String) {
        let request = Request::builder().method(method).uri(uri).body(()).unwrap();
        let response = respond(&request, answer_for);
        let status = response.status();
        let text = response.into_body().collect().await.unwrap().to_bytes();
        (status, String::from_utf8_lossy(&text).into_owned())
    }

    #[tokio::test]
    async fn gives_answers_in_the_order_asked_for() {
        let port = serve(|request| respond(request, answer_for));
        let answers = ask_for(port, &[INTERMEDIATE, LEAF]).await.unwrap();
        assert_eq!(answers, [Bytes::from_static(b"\x30\x01b"), Bytes::from_static(b"\x30\x01a")]);
    }

    #[test]
    fn names_certificates_as_newer_servers_do() {
        assert_eq!(
            query(&[Bytes::from_static(b"abc")]),
            "/?cert=a9993e364706816aba3e25717850c26c9cd0d89d\
             &cert_hash=ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad"
        );
    }

    #[test]
    fn reads_hashes_in_any_case_and_those_of_older_servers() {
        let lower = "cert=a9993e364706816aba3e25717850c26c9cd0d89d";
        let upper = "cert=A9993E364706816ABA3E25717850C26C9CD0D89D&cert_hash=00";
        assert_eq!(certificates(lower).unwrap(), certificates(upper).unwrap());
    }

    #[test]
    fn a_heartbeat_is_answered_with_nothing() {
        let request = Request::head("/").body(()).unwrap();
        assert_eq!(respond(&request, |_| None).status(), StatusCode::OK);
    }

    #[tokio::test]
    async fn a_server_is_asked_again_once_its_answers_no_longer_count() {
        let known = KnownAnswers::default();
        let server = Bytes::from_static(LEAF);
        // What is asked for brings an answer of that day; it counts on the next one, too.
        let check_on = async |day: u8, asked: Result<u8, &'static str>| {
            let counts = |answers: &[Bytes]| {
                let is_fresh = answers.iter().all(|answer| day - answer[0] <= 1);
                if is_fresh { Ok(()) } else { Err("stale") }
            };
            let ask = async { asked.map(|day| vec![Bytes::copy_from_slice(&[day])]) };
            known.check(&server, counts, ask).await
        };
        assert_eq!(check_on(1, Err("nobody there")).await, Err("nobody there"));
        assert_eq!(check_on(1, Ok(1)).await, Ok(()));
        assert_eq!(check_on(2, Err("not to be asked")).await, Ok(()));
        assert_eq!(check_on(3, Ok(1)).await, Err("stale"));
        assert_eq!(check_on(3, Ok(3)).await, Ok(()));
        assert_eq!(check_on(4, Err("not to be asked")).await, Ok(()));
    }

    #[tokio::test]
    async fn refuses_an_unknown_certificate() {
        let hash = "00".repeat(20);
        let (status, text) = refused(Method::GET, &format!("/?cert={hash}")).await;
        assert_eq!(status, StatusCode::INTERNAL_SERVER_ERROR);
        assert_eq!(text, format!("no OCSP answer for certificate {hash}"));
        let port = serve(|request| respond(request, answer_for));
        assert_eq!(ask_for(port, &[LEAF, b"unknown"]).await, Err("certificate_answers.status"));
    }

    #[tokio::test]
    async fn refuses_hashes_that_are_none_or_too_many() {
        let too_many = format!("/?{}", format!("cert={}&", "00".repeat(20)).repeat(17));
        for uri in ["/", "/?cert=", "/?cert=0g", "/?cert_hash=00", &too_many] {
            assert_eq!(refused(Method::GET, uri).await.0, StatusCode::INTERNAL_SERVER_ERROR, "{uri}");
        }
    }

    #[tokio::test]
    async fn refuses_other_methods() {
        assert_eq!(refused(Method::POST, "/?cert=00").await.0, StatusCode::METHOD_NOT_ALLOWED);
    }

    #[tokio::test]
    async fn refuses_more_or_fewer_answers_than_certificates() {
        let port = serve(|_| {
            let one = OcspAnswers(vec![Bytes::from_static(b"\x30\x00")]).write("B");
            Response::builder().header(CONTENT_TYPE, OcspAnswers::content_type("B")).body(one.into()).unwrap()
        });
        assert_eq!(ask_for(port, &[LEAF, INTERMEDIATE]).await, Err("certificate_answers.count"));
        assert_eq!(ask_for(port, &[LEAF]).await.map(|answers| answers.len()), Ok(1));
    }

    #[tokio::test]
    async fn refuses_an_answer_that_is_none() {
        let port = serve(|_| Response::new("hello".into()));
        assert_eq!(ask_for(port, &[LEAF]).await, Err("certificate_answers.malformed"));
    }

    #[tokio::test]
    async fn refuses_more_certificates_than_a_path_has() {
        assert_eq!(ask_for(1, &[LEAF; 17]).await, Err("certificate_answers.too_many_certificates"));
    }

    #[tokio::test]
    async fn fails_if_nobody_is_there() {
        assert_eq!(ask_for(1, &[LEAF]).await, Err("certificate_answers.unreachable"));
        let failed = ask("no host", 1, &[]).await.unwrap_err();
        assert_eq!(failed.code(), "certificate_answers.address");
    }
}
