//! Appends per second at several numbers of concurrent callers:
//! `cargo run --release -p uuk-messagelog --example append_rate [DATABASE_URL]`, by default a new SQLite file in the
//! folder it is run in, since a temporary folder may be in memory.

#![expect(clippy::unwrap_used, reason = "what it cannot do, it reports by ending")]

use std::time::{Duration, Instant};

use bytes::Bytes;
use tokio::sync::watch;
use tokio::task::JoinSet;
use tokio_util::sync::CancellationToken;
use uuk_asic::{ChainDocuments, SignatureDocuments};
use uuk_messagelog::{Direction, LoggedAttachment, MessageLog, MessageLogConfig, NewRecord};
use uuk_process::Clock;
use uuk_transport::UpstreamConfig;

const TIME: Duration = Duration::from_secs(4);
/// What an exchange with a small body has, measured on the wire.
const MESSAGE_BYTES: usize = 600;
const SIGNATURE_BYTES: usize = 7 * 1024;
const CHAIN_BYTES: usize = 1024;
const BODY_BYTES: usize = 1024;

#[tokio::main(worker_threads = 2)]
async fn main() {
    let folder = tempfile::tempdir_in(".").unwrap();
    let file = format!("sqlite:{}", folder.path().join("log.db").display());
    let mut config =
        MessageLogConfig { database: std::env::args().nth(1).unwrap_or(file), ..MessageLogConfig::default() };
    config.archive.folder = folder.path().join("archive");
    // Nobody answers there, and nothing is refused for it.
    config.time_stamping.authorities = vec![UpstreamConfig::new("http://127.0.0.1:1")];
    config.time_stamping.acceptable_failure_period = Duration::ZERO;
    let log = MessageLog::build(config, Clock::system(), watch::channel(None).1).await.unwrap();
    let stop = CancellationToken::new();
    let running = tokio::spawn(log.clone().run(stop.clone()));
    for callers in [1, 32, 256] {
        let (rate, mut times) = measure(&log, callers).await;
        times.sort_unstable();
        let at = |share: usize| times.get(times.len() * share / 1000).copied().unwrap_or_default();
        println!(
            "{callers:>4} callers {rate:>8.0} appends/s   p50 {:>9.1?}  p99 {:>9.1?}  p99.9 {:>9.1?}",
            at(500),
            at(990),
            at(999)
        );
    }
    stop.cancel();
    running.await.unwrap();
}

/// Appends per second, and how long each took.
async fn measure(log: &MessageLog, callers: usize) -> (f64, Vec<Duration>) {
    let started = Instant::now();
    let mut calling = JoinSet::new();
    for caller in 0..callers {
        let log = log.clone();
        calling.spawn(async move {
            let mut times = Vec::new();
            while started.elapsed() < TIME {
                let record = record(format!("{caller}-{}", times.len()));
                let began = Instant::now();
                log.append(record).await.unwrap();
                times.push(began.elapsed());
            }
            times
        });
    }
    let mut times = Vec::new();
    while let Some(caller) = calling.join_next().await {
        times.extend(caller.unwrap());
    }
    (times.len() as f64 / started.elapsed().as_secs_f64(), times)
}

fn record(query_id: String) -> NewRecord {
    NewRecord {
        direction: Direction::Request,
        party: "KG/GOV/70000002/portal".parse().unwrap(),
        query_id,
        request_id: "4c01f9ac-1d0f-4e2f-a0ac-5a2a3c1b1d0f".to_owned(),
        message: Bytes::from(vec![b'm'; MESSAGE_BYTES]),
        attachments: vec![LoggedAttachment::Content(Bytes::from(vec![b'b'; BODY_BYTES]))],
        signature: SignatureDocuments {
            signatures: vec![b's'; SIGNATURE_BYTES].into(),
            hash_chain: Some(ChainDocuments {
                result: vec![b'r'; CHAIN_BYTES],
                chain: vec![b'c'; CHAIN_BYTES],
            }),
        },
    }
}
