use std::collections::BTreeMap;
use std::net::SocketAddr;
use std::path::PathBuf;
use std::process::Stdio;
use std::time::{Duration, Instant};

use anyhow::{Context, Result};
use http::StatusCode;
use tokio::sync::watch;
use uuk_e2e::{Client, Enrolled, Network, Pair, Server, Site};
use uuk_signer::KeyAlgorithm;
use uuk_testkit::databases::{PASSWORD, PostgreSql, USER};
use uuk_testkit::disk::Disk;
use uuk_testkit::network::{Fault as ServerFault, Instance, InstanceOptions};

use crate::link::{Link, Way};
use crate::load::KNOWN;
use crate::plan::Fault;
use crate::server_clock::ServerClock;

/// How far above the port for messages that for OCSP answers is.
const ANSWERS_AFTER: u16 = 77;
/// Longer than anything fails here.
const STALLED: Duration = Duration::from_secs(30);
/// After the last failure, exchanges are possible again within this time.
const RECOVERY_TIME_MAX: Duration = Duration::from_secs(60);
/// Short, so that answers are asked for while the responder fails.
const OCSP_FRESHNESS: Duration = Duration::from_secs(60);
/// Stamps are made all the time, and when they fail for long, messages are refused.
const STAMPING: &str = "[message_log.time_stamping]\ninterval = \"1s\"\nretry_delay = \"1s\"\n\
                        acceptable_failure_period = \"2s\"\n\n";

const CLOCK_FAULTS: [Fault; 4] = [
    Fault::ConsumerClockAhead,
    Fault::ConsumerClockBehind,
    Fault::ProviderClockAhead,
    Fault::ProviderClockBehind,
];

/// Both servers with all that they stand on and ask, each to be made to fail.
pub(crate) struct Scene {
    // In the order in which they end.
    consumer: Option<Server>,
    provider: Option<Server>,
    program: PathBuf,
    client: watch::Sender<Client>,
    link: Link,
    database: PostgreSql,
    disk: Option<Disk>,
    consumer_clock: Option<ServerClock>,
    provider_clock: Option<ServerClock>,
    pair: Pair,
    /// When the callers' own server was not there.
    pub(crate) outages: Vec<(Instant, Instant)>,
    consumer_killed_at: Instant,
    /// Faults that this machine does not let happen, and why.
    pub(crate) impossible: BTreeMap<Fault, &'static str>,
}

/// What is left for judging when both servers have ended.
pub(crate) struct Remains {
    pub(crate) pair: Pair,
    _database: PostgreSql,
    _disk: Option<Disk>,
}

impl Scene {
    pub(crate) async fn start(program: Option<PathBuf>) -> Result<Self> {
        let database = PostgreSql::start()?;
        let options = InstanceOptions { ocsp_freshness: OCSP_FRESHNESS, ..InstanceOptions::default() };
        let network = Network { instance: Instance::start_with("KG", options).await? };
        let url = database.url(&database.create_database("SELECT 1")?);
        let url = url.replacen("://", &format!("://{USER}@"), 1);
        let consumer_log = format!("[message_log]\ndatabase = \"sqlite:log/messages.db\"\n\n{STAMPING}");
        let provider_log =
            format!("[message_log]\ndatabase = \"{url}\"\npassword_file = \"password\"\n\n{STAMPING}");
        let mut pair = Pair::enrol(network, [&consumer_log, &provider_log]).await?;
        std::fs::write(pair.provider.site.folder().join("password"), PASSWORD)?;
        let disk = Disk::mount(&pair.consumer.site.folder().join("log"))?;
        let consumer_clock = give_clock(&mut pair.consumer.site)?;
        let provider_clock = give_clock(&mut pair.provider.site)?;
        let link = Link::to(peer_port(&pair.provider)?, &[ANSWERS_AFTER]).await?;
        pair.provider.registered.set_address(Some(&format!("127.0.0.1:{}", link.port())))?;

        let program = program.map_or_else(Server::program, Ok)?;
        let known = format!("/people/{KNOWN}");
        let [consumer, provider] = pair.start(&program, KeyAlgorithm::EcP256, &known).await?;
        let (client, _) = watch::channel(Client::new(consumer.address()));
        let mut impossible = BTreeMap::new();
        if disk.is_none() {
            impossible.insert(Fault::DiskFull, "this user may not mount one");
        }
        if consumer_clock.is_none() {
            impossible.extend(CLOCK_FAULTS.map(|fault| (fault, "libfaketime is not installed")));
        }
        Ok(Self {
            consumer: Some(consumer),
            provider: Some(provider),
            program,
            client,
            link,
            database,
            disk,
            consumer_clock,
            provider_clock,
            pair,
            outages: Vec::new(),
            consumer_killed_at: Instant::now(),
            impossible,
        })
    }

    /// The way to the server of the callers, wherever it is.
    pub(crate) fn client(&self) -> watch::Receiver<Client> {
        self.client.subscribe()
    }

    /// Makes something fail.
    pub(crate) fn strike(&mut self, fault: Fault) -> Result<()> {
        let stamping = |fault| self.pair.network.instance.time_stamping.fail(fault);
        let ocsp = |fault| self.pair.network.instance.authority.ocsp().fail(fault);
        match fault {
            Fault::ConsumerKilled => {
                self.consumer_killed_at = Instant::now();
                self.consumer = None;
            }
            Fault::ProviderKilled => self.provider = None,
            Fault::LinkCut => self.link.set(Way::Cut),
            Fault::LinkStalled => self.link.set(Way::Stalled),
            Fault::DiskFull => self.disk.as_ref().map_or(Ok(()), Disk::fill_up)?,
            Fault::DatabaseKilled => self.database.stop()?,
            Fault::StampingDown => stamping(ServerFault::Down),
            Fault::StampingStalled => stamping(ServerFault::Slow(STALLED)),
            Fault::StampingGarbage => stamping(ServerFault::Garbage),
            Fault::OcspDown => ocsp(ServerFault::Down),
            Fault::OcspStalled => ocsp(ServerFault::Slow(STALLED)),
            Fault::ConsumerClockAhead => set(self.consumer_clock.as_ref(), 20)?,
            Fault::ConsumerClockBehind => set(self.consumer_clock.as_ref(), -2 * 3600)?,
            Fault::ProviderClockAhead => set(self.provider_clock.as_ref(), 2 * 3600)?,
            Fault::ProviderClockBehind => set(self.provider_clock.as_ref(), -20)?,
        }
        Ok(())
    }

    /// Makes it work again.
    pub(crate) fn mend(&mut self, fault: Fault) -> Result<()> {
        match fault {
            Fault::ConsumerKilled => {
                let consumer = self.start_again(&self.pair.consumer)?;
                self.client.send_replace(Client::new(consumer.address()));
                self.consumer = Some(consumer);
                self.outages.push((self.consumer_killed_at, Instant::now()));
            }
            Fault::ProviderKilled => self.provider = Some(self.start_again(&self.pair.provider)?),
            Fault::LinkCut | Fault::LinkStalled => self.link.set(Way::Open),
            Fault::DiskFull => self.disk.as_ref().map_or(Ok(()), Disk::make_room)?,
            Fault::DatabaseKilled => self.database.start_again()?,
            Fault::StampingDown | Fault::StampingStalled | Fault::StampingGarbage => {
                self.pair.network.instance.time_stamping.fail(ServerFault::None);
            }
            Fault::OcspDown | Fault::OcspStalled => {
                self.pair.network.instance.authority.ocsp().fail(ServerFault::None);
            }
            Fault::ConsumerClockAhead | Fault::ConsumerClockBehind => set(self.consumer_clock.as_ref(), 0)?,
            Fault::ProviderClockAhead | Fault::ProviderClockBehind => set(self.provider_clock.as_ref(), 0)?,
        }
        Ok(())
    }

    /// Whether exchanges are possible again now that everything works, and after how long.
    pub(crate) async fn recovers(&self) -> Option<Duration> {
        let mended = Instant::now();
        let client = self.client.borrow().clone();
        while mended.elapsed() < RECOVERY_TIME_MAX {
            let reply = client.get("person", &format!("/people/{KNOWN}")).await;
            if reply.is_ok_and(|reply| reply.status == StatusCode::OK) {
                return Some(mended.elapsed());
            }
            tokio::time::sleep(Duration::from_millis(50)).await;
        }
        None
    }

    /// Ends both servers.
    pub(crate) fn end(self) -> Remains {
        drop((self.consumer, self.provider));
        Remains { pair: self.pair, _database: self.database, _disk: self.disk }
    }

    fn start_again(&self, side: &Enrolled) -> Result<Server> {
        Server::start_program(&self.program, &side.site, Stdio::null())
    }
}

/// A clock of its own for the server of a site, if that is possible.
fn give_clock(site: &mut Site) -> Result<Option<ServerClock>> {
    let clock = ServerClock::in_folder(site.folder())?;
    site.environment.extend(clock.iter().flat_map(ServerClock::environment));
    Ok(clock)
}

fn set(clock: Option<&ServerClock>, seconds: i64) -> Result<()> {
    clock.map_or(Ok(()), |clock| clock.set(seconds))
}

/// The port at which the server of `side` takes messages.
fn peer_port(side: &Enrolled) -> Result<u16> {
    let config: toml::Table = std::fs::read_to_string(side.site.folder().join("uuk.toml"))?.parse()?;
    let listener = config.get("exchange").and_then(|exchange| exchange.get("listener"));
    let address = listener.and_then(|listener| listener.get("address")).and_then(toml::Value::as_str);
    let address: SocketAddr = address.context("the server takes no messages")?.parse()?;
    Ok(address.port())
}
