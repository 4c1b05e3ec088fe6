//! A load of its own process: keep-alive connections that send one fixed request again and again.

use std::collections::BTreeMap;
use std::process::Command;
use std::time::{Duration, Instant};

use anyhow::{Context, Result, ensure};
use serde::{Deserialize, Serialize};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;

/// What to send, where and how.
#[derive(Debug, Clone, clap::Args)]
pub(crate) struct LoadArguments {
    #[arg(long)]
    address: String,
    #[arg(long)]
    path: String,
    #[arg(long)]
    client: String,
    #[arg(long)]
    connections: usize,
    #[arg(long)]
    milliseconds: u64,
    /// Requests per second over all connections; as many as possible if left out
    #[arg(long)]
    rate: Option<f64>,
    /// Whether any other status than 200 is an error
    #[arg(long)]
    strict: bool,
}

/// What a load measured.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub(crate) struct Measured {
    /// Answers with status 200.
    pub(crate) calls: u64,
    /// Answers by status.
    pub(crate) statuses: BTreeMap<u16, u64>,
    /// Requests per second.
    pub(crate) rate: f64,
    /// Median latency, milliseconds.
    pub(crate) p50_ms: f64,
    /// 99th percentile, milliseconds.
    pub(crate) p99_ms: f64,
    /// 99.9th percentile, milliseconds.
    pub(crate) p999_ms: f64,
}

/// A load to be started.
#[derive(Debug, Clone)]
pub(crate) struct Load<'a> {
    pub(crate) address: &'a str,
    pub(crate) path: &'a str,
    pub(crate) connections: usize,
    pub(crate) time: Duration,
    pub(crate) rate: Option<f64>,
    pub(crate) strict: bool,
}

impl Load<'_> {
    /// Runs the load in a process of its own and gives what it measured.
    pub(crate) async fn measure(&self) -> Result<Measured> {
        let mut command = Command::new(std::env::current_exe()?);
        command
            .args(["load", "--client", uuk_e2e::CLIENT, "--address", self.address, "--path", self.path])
            .args(["--connections", &self.connections.to_string()])
            .args(["--milliseconds", &self.time.as_millis().to_string()]);
        if let Some(rate) = self.rate {
            command.args(["--rate", &rate.to_string()]);
        }
        if self.strict {
            command.arg("--strict");
        }
        let output = tokio::task::spawn_blocking(move || command.output()).await??;
        ensure!(output.status.success(), "load failed: {}", String::from_utf8_lossy(&output.stderr));
        Ok(serde_json::from_slice(&output.stdout)?)
    }
}

/// The load process itself.
pub(crate) fn run(arguments: &LoadArguments) -> Result<()> {
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build()?;
    let measured = runtime.block_on(send(arguments))?;
    println!("{}", serde_json::to_string(&measured)?);
    Ok(())
}

async fn send(arguments: &LoadArguments) -> Result<Measured> {
    let started = Instant::now();
    let end = started + Duration::from_millis(arguments.milliseconds);
    let mut connections = tokio::task::JoinSet::new();
    for index in 0..arguments.connections {
        let pace = arguments.rate.map(|rate| Pace::new(rate, arguments.connections, index));
        connections.spawn(connection(arguments.clone(), pace, end));
    }
    let (mut latencies, mut statuses) = (Vec::new(), BTreeMap::new());
    while let Some(ended) = connections.join_next().await {
        let (one, answered) = ended??;
        latencies.extend(one);
        for (status, count) in answered {
            *statuses.entry(status).or_default() += count;
        }
    }
    let seconds = started.elapsed().as_secs_f64();
    latencies.sort_unstable();
    let at = |share: f64| {
        let index = (latencies.len() as f64 * share) as usize;
        latencies.get(index.min(latencies.len().saturating_sub(1))).copied().unwrap_or_default() as f64 / 1e6
    };
    let calls = latencies.len() as u64;
    let rate = calls as f64 / seconds;
    Ok(Measured { calls, statuses, rate, p50_ms: at(0.5), p99_ms: at(0.99), p999_ms: at(0.999) })
}

/// When each request of a connection is due, so that a slow answer does not slow the load down.
struct Pace {
    interval: Duration,
    due: Instant,
}

impl Pace {
    fn new(rate: f64, connections: usize, index: usize) -> Self {
        let interval = Duration::from_secs_f64(connections as f64 / rate);
        let due = Instant::now() + interval.mul_f64(index as f64 / connections as f64);
        Self { interval, due }
    }

    /// Waits for the next request's time, and gives the moment its latency counts from.
    async fn next(&mut self) -> Instant {
        let due = self.due;
        self.due += self.interval;
        tokio::time::sleep_until(due.into()).await;
        due
    }
}

/// Latencies in nanoseconds of answers with status 200, and how many had which status.
async fn connection(
    arguments: LoadArguments,
    mut pace: Option<Pace>,
    end: Instant,
) -> Result<(Vec<u64>, BTreeMap<u16, u64>)> {
    let LoadArguments { address, path, client, strict, .. } = arguments;
    let request = format!("GET {path} HTTP/1.1\r\nhost: {address}\r\nx-road-client: {client}\r\n\r\n");
    let mut stream = TcpStream::connect(&address).await?;
    stream.set_nodelay(true)?;
    let (mut buffer, mut latencies, mut statuses) = (vec![0; 64 << 10], Vec::new(), BTreeMap::new());
    while Instant::now() < end {
        let due = match &mut pace {
            Some(pace) => pace.next().await,
            None => Instant::now(),
        };
        stream.write_all(request.as_bytes()).await?;
        let (status, answer) = read_answer(&mut stream, &mut buffer).await?;
        ensure!(status == 200 || !strict, "{}", String::from_utf8_lossy(answer));
        *statuses.entry(status).or_default() += 1;
        if status == 200 {
            latencies.push(due.elapsed().as_nanos() as u64);
        }
    }
    Ok((latencies, statuses))
}

/// Reads one answer, which says its length or comes in chunks, and gives its status with all of it.
async fn read_answer<'b>(stream: &mut TcpStream, buffer: &'b mut [u8]) -> Result<(u16, &'b [u8])> {
    let mut filled = 0;
    loop {
        let read = stream.read(buffer.get_mut(filled..).unwrap_or_default()).await?;
        ensure!(read > 0, "the connection was closed");
        filled += read;
        let text = buffer.get(..filled).unwrap_or_default();
        let Some(head_end) = text.windows(4).position(|four| four == b"\r\n\r\n") else { continue };
        let (head, body) = text.split_at(head_end + 4);
        let head = std::str::from_utf8(head)?;
        let length = |line: &str| {
            line.to_ascii_lowercase().strip_prefix("content-length:")?.trim().parse::<usize>().ok()
        };
        let is_whole = match head.lines().find_map(length) {
            Some(length) => body.len() >= length,
            None => body.ends_with(b"0\r\n\r\n"),
        };
        if is_whole {
            let status = head.get(9..12).context("no status")?.parse().context("no status")?;
            return Ok((status, buffer.get(..filled).unwrap_or_default()));
        }
    }
}
