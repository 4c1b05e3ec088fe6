use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::{Duration, Instant};

use anyhow::Result;
use bytes::Bytes;
use fastrand::Rng;
use http::{Method, StatusCode};
use tokio::sync::watch;
use tokio::task::JoinSet;
use uuk_e2e::{Client, PROVIDER, Reply};

const CALLERS: u64 = 8;
/// Between the calls of one caller at most. What matters is that calls are in progress whenever something fails.
const REST_MAX: Duration = Duration::from_millis(250);
/// A call that takes longer hangs: nothing here fails for so long.
const CALL_TIME_MAX: Duration = Duration::from_secs(60);
/// A person that the generated register has.
pub(crate) const KNOWN: &str = "10101194000000";

/// A call, as the one who made it saw it.
#[derive(Debug)]
pub(crate) struct Call {
    /// The identifier of its messages.
    pub(crate) id: String,
    pub(crate) started: Instant,
    pub(crate) ended: Instant,
    pub(crate) outcome: Outcome,
}

/// What became of a call.
#[derive(Debug, PartialEq, Eq)]
pub(crate) enum Outcome {
    /// It was answered with what was asked for.
    Answered,
    /// The service answered that it could not, with this code: evidence like any answer.
    Fault(String),
    /// It was refused with this code.
    Refused(String),
    /// The connection to the caller's own server broke, or there was none.
    Lost,
    /// Anything else: no outcome that a caller can live with.
    Unclear(String),
}

/// Callers that go on whatever happens.
pub(crate) struct Load {
    callers: JoinSet<Vec<Call>>,
    ended: Arc<AtomicBool>,
}

impl Load {
    /// Begins; `client` leads to the server of the callers, which moves when it is started again.
    pub(crate) fn start(seed: u64, client: watch::Receiver<Client>) -> Self {
        let ended = Arc::new(AtomicBool::new(false));
        let mut callers = JoinSet::new();
        for caller in 0..CALLERS {
            let rng = Rng::with_seed(seed.wrapping_add(1 + caller));
            callers.spawn(call_on(format!("chaos-{seed}-{caller}"), rng, client.clone(), Arc::clone(&ended)));
        }
        Self { callers, ended }
    }

    /// Lets calls in progress end, and gives all there were.
    pub(crate) async fn end(mut self) -> Result<Vec<Call>> {
        self.ended.store(true, Ordering::SeqCst);
        let mut calls = Vec::new();
        while let Some(made) = self.callers.join_next().await {
            calls.extend(made?);
        }
        Ok(calls)
    }
}

async fn call_on(
    name: String,
    mut rng: Rng,
    client: watch::Receiver<Client>,
    ended: Arc<AtomicBool>,
) -> Vec<Call> {
    let mut calls = Vec::new();
    while !ended.load(Ordering::SeqCst) {
        let id = format!("{name}-{}", calls.len());
        let started = Instant::now();
        let client = client.borrow().clone();
        let outcome = match tokio::time::timeout(CALL_TIME_MAX, call(&client, &id)).await {
            Ok(outcome) => outcome,
            Err(_) => Outcome::Unclear(format!("no answer within {CALL_TIME_MAX:?}")),
        };
        calls.push(Call { id, started, ended: Instant::now(), outcome });
        tokio::time::sleep(REST_MAX.mul_f64(rng.f64())).await;
    }
    calls
}

async fn call(client: &Client, id: &str) -> Outcome {
    let path = format!("/r1/{PROVIDER}/person/people/{KNOWN}");
    match client.call(Method::GET, &path, &[("x-road-id", id)], Bytes::new()).await {
        Ok(reply) => outcome(&reply, id),
        Err(_) => Outcome::Lost,
    }
}

fn outcome(reply: &Reply, id: &str) -> Outcome {
    let header = |name: &str| reply.headers.get(name).and_then(|value| value.to_str().ok());
    if let Some(code) = header("x-road-error") {
        return Outcome::Refused(code.to_owned());
    }
    let is_this = header("x-road-id") == Some(id);
    match (reply.text("pin"), reply.text("code")) {
        (Ok(pin), _) if is_this && reply.status == StatusCode::OK && pin == KNOWN => Outcome::Answered,
        (_, Ok(code)) if is_this && code.starts_with("service.") => Outcome::Fault(code),
        _ => Outcome::Unclear(format!("{}: {}", reply.status, String::from_utf8_lossy(&reply.body))),
    }
}
