//! An instance with its authorities, a member that signs, and the log of its server.

use std::path::Path;
use std::sync::Arc;
use std::time::{Duration, Instant};

use bytes::Bytes;
use http::Request;
use jiff::Timestamp;
use sqlx::{Connection, PgConnection, SqliteConnection};
use tempfile::TempDir;
use tokio::sync::watch;
use tokio::task::JoinHandle;
use tokio_util::sync::CancellationToken;
use uuk_asic::{MessageSigner, PendingSignature, SignatureDocuments};
use uuk_globalconf::{Dated, Extensions, GlobalConfiguration, InstanceParameters};
use uuk_message::{Header, RestMethod, RestRequest};
use uuk_messagelog::{
    BuildError, Direction, Judge, LoggedAttachment, MessageLog, MessageLogConfig, NewRecord, Report,
    TimeStampingConfig,
};
use uuk_pki::{CertificateId, CertificateProfiles, Digest, DigestAlgorithm, OcspRequest, SigningKey};
use uuk_process::Clock;
use uuk_testkit::databases::{PASSWORD, PostgreSql, USER};
use uuk_testkit::network::{Identity, Instance, InstanceOptions};
use uuk_transport::{Upstream, UpstreamConfig};

pub(crate) const CLIENT: &str = "KG/GOV/70000002/portal";
const SERVICE: &str = "KG/GOV/70000001/registry/person";

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Database {
    Sqlite,
    Postgres,
}

pub(crate) struct World {
    pub(crate) folder: TempDir,
    pub(crate) clock: Clock,
    pub(crate) instance: Instance,
    pub(crate) configuration: watch::Sender<Option<Arc<GlobalConfiguration>>>,
    pub(crate) config: MessageLogConfig,
    signer: Identity,
    ocsp_answer: Vec<u8>,
    /// Kept running.
    _server: Option<Arc<PostgreSql>>,
}

/// A log that runs.
pub(crate) struct Running {
    pub(crate) log: MessageLog,
    stop: CancellationToken,
    task: JoinHandle<()>,
}

impl World {
    pub(crate) async fn new(database: Database) -> Option<Self> {
        let clock = Clock::set_to("2026-11-22T12:00:00Z".parse().unwrap());
        let options = InstanceOptions { clock: clock.clone(), ..InstanceOptions::default() };
        let instance = Instance::start_with("KG", options).await.unwrap();
        let server = instance.server("GOV/70000002/SS1", "127.0.0.1").unwrap();
        let signer = server.signing("GOV/70000002").unwrap();
        let content = instance.source.content();
        let dated = InstanceParameters {
            shared: Dated { content: content.shared, expires: None },
            private: Some(Dated { content: content.private, expires: None }),
        };
        let profiles = CertificateProfiles::default();
        let configuration =
            GlobalConfiguration::new("KG", vec![dated], Extensions::default(), &profiles).unwrap();

        let folder = tempfile::tempdir().unwrap();
        let (url, password_file, server) = match database {
            Database::Sqlite => (format!("sqlite:{}", folder.path().join("log.db").display()), None, None),
            Database::Postgres => {
                let server = PostgreSql::shared()?;
                let name = server.create_database("").unwrap();
                let file = folder.path().join("password");
                std::fs::write(&file, PASSWORD).unwrap();
                let url = server.url(&name).replacen("://", &format!("://{USER}@"), 1);
                (url, Some(file), Some(server))
            }
        };
        let mut config = MessageLogConfig {
            database: url,
            password_file,
            time_stamping: TimeStampingConfig {
                authorities: vec![UpstreamConfig::new(instance.time_stamping.url())],
                // The tests stamp when they mean to.
                interval: Some(Duration::from_secs(3600)),
                ..TimeStampingConfig::default()
            },
            ..MessageLogConfig::default()
        };
        config.archive.folder = folder.path().join("archive");
        let ocsp_answer = ocsp_answer(&instance, &signer).await;
        let configuration = watch::Sender::new(Some(Arc::new(configuration)));
        Some(Self { folder, clock, instance, configuration, config, signer, ocsp_answer, _server: server })
    }

    pub(crate) async fn try_build(&self) -> Result<MessageLog, BuildError> {
        MessageLog::build(self.config.clone(), self.clock.clone(), self.configuration.subscribe()).await
    }

    pub(crate) async fn build(&self) -> MessageLog {
        self.try_build().await.unwrap()
    }

    pub(crate) async fn run(&self) -> Running {
        let log = self.build().await;
        let stop = CancellationToken::new();
        let task = tokio::spawn(log.clone().run(stop.clone()));
        // The first round comes at once; later ones are those of the test.
        until(|| {
            let health = log.health();
            !health.time_stamping_configured
                || health.time_stamping_succeeded_at.is_some()
                || health.time_stamping_failing_since.is_some()
        })
        .await;
        Running { log, stop, task }
    }

    /// A signed request with this identifier and body.
    pub(crate) fn record(&self, query_id: &str, body: &[u8]) -> NewRecord {
        self.records(&[query_id], body).remove(0)
    }

    /// Requests with these identifiers and one body, signed together.
    pub(crate) fn records(&self, query_ids: &[&str], body: &[u8]) -> Vec<NewRecord> {
        let request = |query_id: &&str| {
            let (target, client) = (format!("/r1/{SERVICE}"), Header::new("x-road-client", CLIENT));
            RestRequest::compose(RestMethod::Post, &target, &[client], "exchange", query_id).unwrap()
        };
        let messages: Vec<_> = query_ids.iter().map(|id| request(id).bytes().clone()).collect();
        let digests =
            |message: &Bytes| [message, body].map(|part| DigestAlgorithm::Sha512.digest(part)).to_vec();
        let signatures = self.sign(&messages.iter().map(digests).collect::<Vec<_>>());
        let records =
            query_ids.iter().zip(messages).zip(signatures).map(|((query_id, message), signature)| {
                NewRecord {
                    direction: Direction::Request,
                    party: CLIENT.parse().unwrap(),
                    query_id: (*query_id).to_owned(),
                    request_id: "exchange".to_owned(),
                    message,
                    attachments: vec![LoggedAttachment::Content(Bytes::copy_from_slice(body))],
                    signature,
                }
            });
        records.collect()
    }

    fn sign(&self, messages: &[Vec<Digest>]) -> Vec<SignatureDocuments> {
        let key = self.signer.signing_key().unwrap();
        let signer = MessageSigner {
            scheme: key.scheme(),
            certificate: self.signer.certificate(),
            intermediates: &[],
            ocsp_answers: std::slice::from_ref(&self.ocsp_answer),
        };
        let pending = PendingSignature::new(&signer, messages, self.clock.now()).unwrap();
        let value = key.sign_digest(pending.digest()).unwrap();
        pending.complete(&value).unwrap()
    }

    /// What a file proves by the configuration of this instance.
    pub(crate) fn verify(&self, file: &[u8], previous: Option<&str>) -> Report {
        let configuration = self.configuration.borrow().clone().unwrap();
        uuk_messagelog::verify(file, &Judge { previous, ..Judge::by(&configuration) }).unwrap()
    }

    /// What it proves to someone who believes signatures for so long.
    pub(crate) fn verify_stamped_within(&self, file: &[u8], stamped_within: Duration) -> Report {
        let configuration = self.configuration.borrow().clone().unwrap();
        uuk_messagelog::verify(file, &Judge { stamped_within, ..Judge::by(&configuration) }).unwrap()
    }

    pub(crate) fn archives(&self) -> Vec<String> {
        let mut names: Vec<String> = std::fs::read_dir(self.archive_folder())
            .unwrap()
            .map(|entry| entry.unwrap().file_name().into_string().unwrap())
            .collect();
        names.sort();
        names
    }

    pub(crate) fn archive_folder(&self) -> &Path {
        &self.config.archive.folder
    }

    /// Runs SQL in the database of the log, behind its back.
    pub(crate) async fn sql(&self, sql: &'static str) -> u64 {
        let url = &self.config.database;
        if self.config.password_file.is_some() {
            let url = url.replacen('@', &format!(":{PASSWORD}@"), 1);
            let mut connection = PgConnection::connect(&url).await.unwrap();
            return sqlx::query(sql).execute(&mut connection).await.unwrap().rows_affected();
        }
        let mut connection = SqliteConnection::connect(url).await.unwrap();
        sqlx::query(sql).execute(&mut connection).await.unwrap().rows_affected()
    }
}

impl Running {
    /// Stops as a server does.
    pub(crate) async fn stop(self) {
        self.stop.cancel();
        self.task.await.unwrap();
    }

    /// Stops at once, whatever is in progress.
    pub(crate) async fn kill(self) {
        self.task.abort();
        assert!(self.task.await.is_err());
    }
}

/// Waits until `condition` holds, for a few seconds at most.
pub(crate) async fn until(mut condition: impl FnMut() -> bool) {
    let deadline = Instant::now() + Duration::from_secs(20);
    while !condition() {
        assert!(Instant::now() < deadline, "it does not come true");
        tokio::time::sleep(Duration::from_millis(5)).await;
    }
}

async fn ocsp_answer(instance: &Instance, signer: &Identity) -> Vec<u8> {
    let certificate = CertificateId::new(signer.certificate(), instance.authority.top()).unwrap();
    let request = OcspRequest { certificate }.to_der().unwrap();
    let responder = Upstream::build(&UpstreamConfig::new(instance.authority.ocsp().url())).unwrap();
    let request = Request::post("/").body(Bytes::from(request)).unwrap();
    let deadline = Instant::now() + Duration::from_secs(10);
    responder.send(request, deadline, 1 << 20).await.unwrap().into_body().to_vec()
}

pub(crate) fn time(text: &str) -> Timestamp {
    text.parse().unwrap()
}
