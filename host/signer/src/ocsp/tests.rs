use std::sync::atomic::{AtomicUsize, Ordering};

use jiff::civil::date;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpListener;
use uuk_pki::{CertificateStatus, CertificateUse};
use uuk_testkit::authority::{Authority, KeyKind};

use super::*;
use crate::sample::{World, generate, login, member};
use crate::signer::Signer;
use crate::token::KeyAlgorithm;

const MINUTE: Duration = Duration::from_secs(60);

/// A responder that answers every request with the same.
struct Responder {
    url: String,
    requests: Arc<AtomicUsize>,
    says: Arc<Mutex<(&'static str, Vec<u8>)>>,
}

impl Responder {
    async fn start(status: &'static str, body: Vec<u8>) -> Self {
        let socket = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let url = format!("http://{}/ocsp", socket.local_addr().unwrap());
        let requests = Arc::new(AtomicUsize::new(0));
        let says = Arc::new(Mutex::new((status, body)));
        let (count, saying) = (requests.clone(), says.clone());
        tokio::spawn(async move {
            loop {
                let (mut stream, _) = socket.accept().await.unwrap();
                let mut request = vec![0; 16 * 1024];
                let mut read = 0;
                // Head and body may come apart: a request is over when its last bytes, the body, are there.
                while !is_whole(&request[..read]) {
                    read += stream.read(&mut request[read..]).await.unwrap();
                }
                count.fetch_add(1, Ordering::Relaxed);
                let (status, body) = saying.lock().unwrap().clone();
                let length = body.len();
                let head =
                    format!("HTTP/1.1 {status}\r\ncontent-length: {length}\r\nconnection: close\r\n\r\n");
                stream.write_all(&[head.as_bytes(), &body].concat()).await.unwrap();
            }
        });
        Self { url, requests, says }
    }

    async fn answering(answer: &OcspResponse) -> Self {
        Self::start("200 OK", answer.der().to_vec()).await
    }

    fn requests(&self) -> usize {
        self.requests.load(Ordering::Relaxed)
    }
}

/// Whether this is `POST /ocsp` with a whole OCSP request.
fn is_whole(request: &[u8]) -> bool {
    let Some(end) = request.windows(4).position(|four| four == b"\r\n\r\n") else { return false };
    let head = String::from_utf8_lossy(&request[..end]).to_lowercase();
    assert!(head.starts_with("post /ocsp http/1.1"), "{head}");
    assert!(head.contains("content-type: application/ocsp-request"), "{head}");
    OcspRequest::from_der(&request[end + 4..]).is_ok()
}

/// A certificate, and a signer to ask about it.
struct Site {
    world: World,
    signer: Signer,
    certificate: Certificate,
    _folder: tempfile::TempDir,
}

impl Site {
    async fn new() -> Self {
        let (world, folder) = (World::new(), tempfile::tempdir().unwrap());
        let signer = world.signer(folder.path());
        login(&signer).await;
        let key = generate(&signer, "software", CertificateUse::Signing, KeyAlgorithm::EcP256).await;
        let certificate = world.issue_to(&signer, &key, CertificateUse::Signing, &member("1"));
        Self { world, signer, certificate, _folder: folder }
    }

    fn good(&self) -> OcspResponse {
        self.world.answer(&self.certificate, CertificateStatus::Good)
    }

    /// Asks `responders` in this order; tells whether one answered.
    async fn fetch(&self, responders: &[&Responder]) -> bool {
        *self.world.responders.lock().unwrap() = responders.iter().map(|one| one.url.clone()).collect();
        self.world.publish();
        let (configuration, now) = (self.world.configuration(), self.world.clock.now());
        let instance = configuration.instance("KG", now).unwrap();
        fetch(&self.certificate, instance, &self.signer.shared.answers, None, now).await
    }

    fn kept(&self) -> Option<Vec<u8>> {
        self.signer.shared.answers.find(&self.certificate).map(|answer| answer.der().to_vec())
    }
}

#[tokio::test]
async fn asks_the_next_responder_if_one_gives_no_usable_answer() {
    let site = Site::new().await;
    let other = Site::new().await;
    let bad = [
        Responder::start("500 Internal Server Error", Vec::new()).await,
        Responder::start("200 OK", b"hello".to_vec()).await,
        Responder::answering(&other.good()).await,
        Responder::answering(&site.world.answer(&site.certificate, CertificateStatus::Unknown)).await,
    ];
    for bad in &bad {
        assert!(!site.fetch(&[bad]).await);
        assert_eq!(site.kept(), None);
    }
    let (good, unasked) =
        (Responder::answering(&site.good()).await, Responder::answering(&site.good()).await);
    assert!(site.fetch(&[&bad[0], &bad[1], &bad[2], &bad[3], &good, &unasked]).await);
    assert!(site.kept().is_some());
    assert_eq!((bad[0].requests(), good.requests(), unasked.requests()), (2, 1, 0));
}

#[tokio::test]
async fn asks_the_responder_that_the_certificate_names_after_all_others() {
    let mut site = Site::new().await;
    let key = generate(&site.signer, "software", CertificateUse::Signing, KeyAlgorithm::EcP256).await;
    let named = Responder::start("404 Not Found", Vec::new()).await;
    *site.world.access.lock().unwrap() = Some(named.url.clone());
    site.certificate = site.world.issue_to(&site.signer, &key, CertificateUse::Signing, &member("1"));
    *named.says.lock().unwrap() = ("200 OK", site.good().der().to_vec());
    let bad = Responder::start("503 Service Unavailable", Vec::new()).await;
    assert!(site.fetch(&[&bad]).await);
    assert_eq!((bad.requests(), named.requests()), (1, 1));
}

#[tokio::test]
async fn keeps_that_a_certificate_was_revoked() {
    let site = Site::new().await;
    let revoked = CertificateStatus::Revoked { time: site.world.clock.now() };
    let responder = Responder::answering(&site.world.answer(&site.certificate, revoked)).await;
    assert!(site.fetch(&[&responder]).await);
    assert!(site.kept().is_some());
}

#[tokio::test]
async fn answers_outlive_a_restart() {
    let site = Site::new().await;
    let responder = Responder::answering(&site.good()).await;
    assert!(site.fetch(&[&responder]).await);
    let folder = site._folder.path().join("ocsp");
    let again = AnswerStore::open(&folder).unwrap();
    assert!(again.find(&site.certificate).is_some());
    for file in fs::read_dir(&folder).unwrap() {
        fs::write(file.unwrap().path(), "damaged").unwrap();
    }
    assert!(AnswerStore::open(&folder).unwrap().find(&site.certificate).is_none());
}

#[tokio::test]
async fn pauses_double_after_failures_up_to_the_interval() {
    let authority = Authority::new("Authority", date(2026, 11, 22)).unwrap();
    let der = authority.issue("Signer", KeyKind::P256).unwrap().der();
    let certificate = Certificate::from_der(&der).unwrap();
    let mut schedule = Schedule::default();
    let mut now = Timestamp::UNIX_EPOCH;
    assert!(schedule.is_due(&certificate, now), "never asked about");
    for minutes in [1, 2, 4, 8, 16, 20, 20] {
        schedule.asked(&certificate, false, 20 * MINUTE, now);
        now += minutes * MINUTE;
        assert!(!schedule.is_due(&certificate, now - Duration::from_secs(1)), "{minutes}");
        assert!(schedule.is_due(&certificate, now), "{minutes}");
    }
    schedule.asked(&certificate, true, 20 * MINUTE, now);
    assert!(!schedule.is_due(&certificate, now));
    assert!(schedule.is_due(&certificate, now - MINUTE), "the clock went back");
    now += 20 * MINUTE;
    assert!(schedule.is_due(&certificate, now));
    schedule.asked(&certificate, false, 20 * MINUTE, now);
    assert!(schedule.is_due(&certificate, now + MINUTE), "the first failure after an answer");
}

#[test]
fn asks_twice_within_the_time_that_an_answer_counts() {
    assert_eq!(interval(20 * MINUTE, 60 * MINUTE), 20 * MINUTE);
    assert_eq!(interval(20 * MINUTE, 10 * MINUTE), 5 * MINUTE);
}
