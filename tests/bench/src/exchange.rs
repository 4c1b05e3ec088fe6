//! Exchanges between two security servers, each a process of its own, with everything that makes them evidence: both
//! messages signed and verified, four records on the disk before anything leaves, and time-stamps meanwhile.

use std::path::PathBuf;
use std::time::Duration;

use anyhow::{Context, Result, ensure};
use bytes::Bytes;
use http::Method;
use uuk_e2e::{Client, Guest, Network, PROVIDER, Pair, Parts, Server, target_folder};
use uuk_signer::KeyAlgorithm;
use uuk_testkit::databases::{PASSWORD, PostgreSql, USER};
use uuk_testkit::network::Instance;

use crate::load::Load;
use crate::place::resident_mib;
use crate::report::{Goal, Report};

/// Seven people: an answer of about one KiB, found without reading half of the register.
const PATH: &str = "/people?surname=%D0%A2%D0%BE%D0%BA%D1%82&after=23000000000000&page_size=7";
const CONNECTIONS: [usize; 4] = [1, 8, 32, 256];
const WARM_UP: Duration = Duration::from_secs(2);
/// As often as it can be asked for, so that stamping falls into every measurement.
const STAMPING: &str = "[message_log.time_stamping]\ninterval = \"1s\"\n\n";

/// What is measured.
#[derive(Debug, clap::Args)]
pub(crate) struct ExchangeArguments {
    /// Keep the message logs in PostgreSQL instead of SQLite
    #[arg(long)]
    postgres: bool,
    /// Only this number of connections; may be given several times
    #[arg(long, value_name = "NUMBER", default_values_t = CONNECTIONS)]
    connections: Vec<usize>,
    /// Only keys of this kind
    #[arg(long, value_name = "KIND", value_parser = KEYS.map(|keys| keys.name))]
    keys: Option<String>,
    /// How long each number of connections is measured
    #[arg(long, value_name = "SECONDS", default_value_t = 10)]
    time: u64,
    /// The program that both servers run; target/release/uuk unless given
    #[arg(long, value_name = "PATH")]
    program: Option<PathBuf>,
}

/// Keys of one kind, and what both servers should do with them.
struct Keys {
    name: &'static str,
    algorithm: KeyAlgorithm,
    /// Exchanges per second at the most connections.
    rate_min: f64,
    /// Median of a caller who is alone, milliseconds.
    alone_ms_max: f64,
}

const KEYS: [Keys; 2] = [
    Keys { name: "RSA-2048", algorithm: KeyAlgorithm::Rsa2048, rate_min: 1_500.0, alone_ms_max: 6.0 },
    Keys { name: "P-256", algorithm: KeyAlgorithm::EcP256, rate_min: 2_000.0, alone_ms_max: 3.0 },
];

pub(crate) fn run(arguments: &ExchangeArguments) -> Result<Report> {
    let mut report =
        Report::new(if arguments.postgres { "exchange, PostgreSQL" } else { "exchange, SQLite" });
    let runtime = tokio::runtime::Runtime::new()?;
    let wanted = |keys: &&Keys| arguments.keys.as_ref().is_none_or(|only| only == keys.name);
    for keys in KEYS.iter().filter(wanted) {
        runtime.block_on(measure(&mut report, arguments, keys))?;
    }
    Ok(report)
}

async fn measure(report: &mut Report, arguments: &ExchangeArguments, keys: &Keys) -> Result<()> {
    let network = Network { instance: Instance::start("KG").await? };
    let database = arguments.postgres.then(PostgreSql::start_durable).transpose()?;
    let settings = [log_settings(database.as_ref())?, log_settings(database.as_ref())?];
    let pair = Pair::enrol(network, settings.each_ref().map(String::as_str)).await?;
    let parts = Parts::of(Guest::People)?;
    pair.provider.site.drop_bundle("people.asice", &pair.provider.site.sign(parts)?)?;
    for side in [&pair.consumer, &pair.provider] {
        std::fs::write(side.site.folder().join("password"), PASSWORD)?;
    }
    let program = arguments.program.clone().unwrap_or_else(|| target_folder().join("release/uuk"));
    let mut servers = pair.start(&program, keys.algorithm, PATH).await?;

    let [consumer, provider] = &servers;
    let reply = Client::new(consumer.address()).get("person", PATH).await?;
    report.figure(format!("{}: bytes of an answer", keys.name), reply.body.len() as f64, "B");
    ensure!(reply.headers.contains_key("x-road-request-hash"), "the answer came without a signature");
    let path = format!("/r1/{PROVIDER}/person{PATH}");
    let load = Load {
        address: consumer.address(),
        path: &path,
        connections: 32,
        time: WARM_UP,
        rate: None,
        strict: true,
    };
    load.measure().await?;
    for connections in arguments.connections.iter().copied() {
        let time = Duration::from_secs(arguments.time);
        let before = [counted(consumer).await?, counted(provider).await?];
        let measured = Load { connections, time, ..load.clone() }.measure().await?;
        for (server, before) in [consumer, provider].into_iter().zip(before) {
            // What is measured is what was to be measured.
            let Counted { records, time_stamps } = counted(server).await?;
            let records = records - before.records;
            ensure!(records >= 2.0 * measured.calls as f64, "{records} records of {} calls", measured.calls);
            ensure!(time_stamps > before.time_stamps, "nothing was time-stamped");
        }

        let name = |what| format!("{}, {connections} connections: {what}", keys.name);
        match connections {
            256 => report.goal(name("exchanges"), measured.rate, "1/s", Goal::AtLeast(keys.rate_min)),
            _ => report.figure(name("exchanges"), measured.rate, "1/s"),
        }
        match connections {
            1 => report.goal(name("p50"), measured.p50_ms, "ms", Goal::AtMost(keys.alone_ms_max)),
            _ => report.figure(name("p50"), measured.p50_ms, "ms"),
        }
        report.figure(name("p99"), measured.p99_ms, "ms");
        report.figure(name("p99.9"), measured.p999_ms, "ms");
    }
    for (side, server) in ["client's", "provider's"].into_iter().zip(&mut servers) {
        let name = format!("{}: resident memory of the {side} server", keys.name);
        report.goal(name, resident_mib(server)?, "MiB", Goal::AtMost(150.0));
    }
    Ok(())
}

/// What a server has counted since its start.
struct Counted {
    records: f64,
    time_stamps: f64,
}

async fn counted(server: &Server) -> Result<Counted> {
    let metrics = Client::new(server.operations());
    let metrics = metrics.call(Method::GET, "/metrics", &[], Bytes::new()).await?.body;
    let metrics = std::str::from_utf8(&metrics)?;
    let counter = |name: &str| {
        let value = metrics.lines().find_map(|line| line.strip_prefix(name)?.trim().parse().ok());
        value.with_context(|| format!("{name} is not counted"))
    };
    let records = counter("uuk_message_log_records_total")?;
    Ok(Counted { records, time_stamps: counter("uuk_message_log_time_stamps_total")? })
}

/// Where one server keeps its records: in a database of its own.
fn log_settings(database: Option<&PostgreSql>) -> Result<String> {
    let Some(server) = database else { return Ok(STAMPING.to_owned()) };
    let url = server.url(&server.create_database("SELECT 1")?);
    let url = url.replacen("://", &format!("://{USER}@"), 1);
    Ok(format!("[message_log]\ndatabase = \"{url}\"\npassword_file = \"password\"\n\n{STAMPING}"))
}
