//! A catalog as large as a country's: what the public waits for, how long its configuration takes, and what a server
//! needs to take that in.

use std::collections::{BTreeMap, BTreeSet};
use std::net::{Ipv4Addr, SocketAddr};
use std::path::{Path, PathBuf};
use std::process::Command;
use std::sync::Arc;
use std::time::{Duration, Instant};

use anyhow::{Context, Result, ensure};
use bytes::Bytes;
use http_body_util::{BodyExt, Empty};
use hyper_util::client::legacy::Client;
use hyper_util::rt::TokioExecutor;
use serde::{Deserialize, Serialize};
use serde_json::json;
use tokio::task::JoinSet;
use tokio_util::sync::CancellationToken;
use tokio_util::task::TaskTracker;
use uuk_central::{
    AccessRequest, Actor, Audience, Authority, Central, CertificationService, Classification, Contact,
    DatabaseConfig, Edition, InformationSystem, KeyFolder, LANGUAGES, PublicationConfig, Publisher, Registry,
    Responder, ServiceDescription, ServiceLevel, Settings, Texts,
};
use uuk_configuration_client::{ConfigurationClient, ConfigurationClientConfig};
use uuk_console::{Console, ConsoleConfig};
use uuk_identifiers::{MemberId, ServerId, ServiceId, SubsystemId};
use uuk_pki::{Applicant, CertificateProfiles, Der, Sha256};
use uuk_process::{Clock, Secret};
use uuk_testkit::authority::KeyKind;
use uuk_testkit::network::{Instance, Use};
use uuk_testkit::ports;

use crate::report::{Goal, Report};

const SEARCH_MS_MAX: f64 = 100.0;
const CONFIGURATION_SECONDS_MAX: f64 = 2.0;
const REFRESH_MIB_MAX: f64 = 100.0;

/// Callers at once: as many as a small machine has threads for.
const CALLERS: usize = 4;
/// Who may call each service.
const CONSUMERS: usize = 3;
/// Of titles and descriptions, in each language.
const WORDS: usize = 600;
const SEED: u64 = 2026;

/// How large the catalog is.
#[derive(Debug, clap::Args)]
pub(crate) struct CatalogArguments {
    /// Members, each with a server and an information system
    #[arg(long, value_name = "NUMBER", default_value_t = 1_000)]
    members: usize,
    /// Published services
    #[arg(long, value_name = "NUMBER", default_value_t = 10_000)]
    services: usize,
    /// How often is searched
    #[arg(long, value_name = "NUMBER", default_value_t = 4_000)]
    searches: usize,
}

/// What a server downloads.
#[derive(Debug, Clone, clap::Args)]
pub(crate) struct RefreshArguments {
    #[arg(long)]
    anchor: PathBuf,
    #[arg(long)]
    folder: PathBuf,
}

/// What a refresh took, in a process of its own.
#[derive(Debug, Serialize, Deserialize)]
struct Refreshed {
    seconds: f64,
    /// More than before, at the end.
    kept_mib: f64,
    /// More than before, at most.
    peak_mib: f64,
}

pub(crate) fn run(arguments: &CatalogArguments) -> Result<Report> {
    tokio::runtime::Runtime::new()?.block_on(measure(arguments))
}

async fn measure(arguments: &CatalogArguments) -> Result<Report> {
    let folder = tempfile::tempdir()?;
    let mut report = Report::new("catalog");
    report.figure("members", arguments.members as f64, "");
    report.figure("services", arguments.services as f64, "");

    let keys = KeyFolder::new(folder.path().join("keys"), Secret::new("a long password".to_owned()));
    // Members must be told the port before there is anything to publish.
    let address = SocketAddr::from((Ipv4Addr::LOCALHOST, ports::reserve()?));
    let database = DatabaseConfig {
        url: format!("sqlite:{}", folder.path().join("central.db").display()),
        password_file: None,
    };
    let central = Central::open(&database, Clock::system()).await?;
    central.found(&actor()?, registry(arguments, &keys, &address.to_string()).await?).await?;
    let rate = publish(&central, arguments).await?;
    report.figure("services published, each by itself", rate, "1/s");
    grant(&central, arguments).await?;
    report.figure("accesses granted", (CONSUMERS * arguments.services) as f64, "");

    let central = Arc::new(Central::open(&database, Clock::system()).await?);
    let started = Instant::now();
    let registry = central.snapshot().await?.registry;
    report.figure("registry read from the database", started.elapsed().as_secs_f64(), "s");

    search(&mut report, Arc::clone(&central), arguments.searches).await?;

    let started = Instant::now();
    let config = PublicationConfig { address, ..PublicationConfig::default() };
    let publisher = Publisher::build(config, Arc::clone(&central), keys).await?;
    let seconds = started.elapsed().as_secs_f64();
    let goal = Goal::AtMost(CONFIGURATION_SECONDS_MAX);
    report.goal("global configuration, all versions, made and signed", seconds, "s", goal);

    let (stop, tasks) = (CancellationToken::new(), TaskTracker::new());
    tasks.spawn(publisher.run(stop.clone()));
    let anchor = folder.path().join("anchor.xml");
    std::fs::write(&anchor, registry.anchor(Audience::Members, central.clock().now()).write())?;
    let refreshed = refresh_apart(&anchor, &folder.path().join("server")).await?;
    report.figure("a server's refresh", refreshed.seconds, "s");
    report.figure("memory kept after it", refreshed.kept_mib, "MiB");
    let goal = Goal::AtMost(REFRESH_MIB_MAX);
    report.goal("memory during it, at most", refreshed.peak_mib, "MiB", goal);
    stop.cancel();
    tasks.close();
    tasks.wait().await;
    Ok(report)
}

/// An instance with its members, each with a server and a system whose services are drafts.
async fn registry(arguments: &CatalogArguments, keys: &KeyFolder, source: &str) -> Result<Registry> {
    let instance = Instance::start("KG").await?;
    let now = Clock::system().now();
    let settings = Settings::new("KG", source, "KG/GOV/10000001/management".parse()?);
    let mut registry = Registry::new(settings, keys.generate("KG", now)?, now)?;
    let authority = &instance.authority;
    let responder = Responder { url: authority.ocsp().url(), certificate: None };
    let service = CertificationService {
        authentication_only: false,
        authorities: vec![Authority {
            certificate: Der::from(authority.top().clone()),
            responders: vec![responder],
        }],
        certificate_profile: authority.profile().name().to_owned(),
    };
    registry.set_certification_service("Test authority", service)?;
    registry.set_member_class("GOV", "Government")?;
    let mut random = fastrand::Rng::with_seed(SEED);
    for number in 0..arguments.members {
        let member: MemberId = format!("KG/GOV/{}", 70_000_000 + number).parse()?;
        registry.add_member(&member, &format!("Institution {number}"))?;
        let system = SubsystemId { member: member.clone(), code: "registry".into() };
        registry.add_subsystem(&system, None)?;
        let server = ServerId { owner: member.clone(), code: "ss1".into() };
        registry.add_server(&server, Some(&format!("ss{number}.example.kg")))?;
        let fields = authority.profile().fields(Use::Authentication).into_iter();
        let fields: BTreeMap<_, _> = fields.map(|field| (field.to_owned(), "KG".to_owned())).collect();
        let applicant = Applicant { member: &member, member_name: "Institution", server: &server, fields };
        let identity = authority.identity(Use::Authentication, &applicant, KeyKind::P256)?;
        registry.add_certificate(&server, &Der::from(identity.certificate().clone()), now)?;
        let (title, description) = (texts(&mut random, 3), texts(&mut random, 10));
        let described = InformationSystem { title, description, resources: BTreeMap::new() };
        registry.set_information_system(&system, described)?;
    }
    Ok(registry)
}

/// Publishes every service, as its editor would, and gives how many in a second.
async fn publish(central: &Central, arguments: &CatalogArguments) -> Result<f64> {
    let mut random = fastrand::Rng::with_seed(SEED);
    let contract = contract();
    let drafts: Vec<Edition> = (0..arguments.services)
        .map(|number| {
            let description = describe(number, arguments.members, &mut random)?;
            Ok(Edition { description, contract: Sha256::of(contract.as_bytes()) })
        })
        .collect::<Result<_>>()?;
    let first = drafts.first().context("no services")?.description.clone();
    // The contract is kept with it, for all.
    central.draft_service(&actor()?, first, contract.as_bytes()).await?;
    let draft = |registry: &mut Registry| {
        drafts.iter().try_for_each(|edition| registry.draft_service(edition.clone()))
    };
    central.change(&actor()?, "draft-services", draft).await?;
    let started = Instant::now();
    for edition in &drafts {
        central.publish_service(&actor()?, &edition.description.service, false).await?;
    }
    Ok(arguments.services as f64 / started.elapsed().as_secs_f64())
}

/// Grants every service to members other than its own.
async fn grant(central: &Central, arguments: &CatalogArguments) -> Result<()> {
    let now = central.clock().now();
    let request = |number: usize, consumer: usize| {
        let [provider, consumer] = [number, number + consumer].map(|of| 70_000_000 + of % arguments.members);
        Ok(AccessRequest {
            consumer: format!("KG/GOV/{consumer}/registry").parse()?,
            service: format!("KG/GOV/{provider}/registry/service{number}").parse()?,
            purpose: "Benefits".into(),
            legal_basis: "Law 67".into(),
            fields: BTreeSet::new(),
            until: now + Duration::from_hours(24 * 365),
            calls_per_day: 1_000,
        })
    };
    let requests = (0..arguments.services)
        .flat_map(|number| (1..=CONSUMERS).map(move |consumer| (number, consumer)))
        .map(|(number, consumer)| request(number, consumer))
        .collect::<Result<Vec<_>>>()?;
    let grant = |registry: &mut Registry| {
        requests.iter().try_for_each(|request| {
            let number = registry.request_access(request.clone(), now)?;
            registry.decide_access(number, true, "as asked", now)
        })
    };
    central.change(&actor()?, "grant-accesses", grant).await?;
    Ok(())
}

fn describe(number: usize, members: usize, random: &mut fastrand::Rng) -> Result<ServiceDescription> {
    let member = 70_000_000 + number % members;
    let service: ServiceId = format!("KG/GOV/{member}/registry/service{number}").parse()?;
    let mut classification: BTreeMap<String, Classification> = BTreeMap::new();
    for operation in OPERATIONS {
        classification.insert(format!("/{operation}/request/pin"), Classification::Personal);
        let fields =
            (0..FIELDS).map(|field| (format!("/{operation}/answer/field{field}"), Classification::None));
        classification.extend(fields);
    }
    let sample: BTreeMap<String, &str> = (0..FIELDS).map(|field| (format!("field{field}"), "x")).collect();
    Ok(ServiceDescription {
        service,
        resource: None,
        title: texts(random, 4),
        description: texts(random, 15),
        legal_basis: format!("Law {number}"),
        tariff: "free of charge".into(),
        service_level: ServiceLevel {
            down_minutes_per_month_max: 40,
            answer_time_ms: 500,
            decision_days: 10,
        },
        support: vec![Contact { name: "Desk".into(), phone: None, mail: None }],
        classification,
        samples: OPERATIONS.map(|operation| (operation.to_owned(), json!(sample))).into(),
    })
}

const OPERATIONS: [&str; 3] = ["get", "find", "list"];
const FIELDS: usize = 12;

fn contract() -> String {
    let properties: serde_json::Map<_, _> =
        (0..FIELDS).map(|field| (format!("field{field}"), json!({ "type": "string" }))).collect();
    let paths: serde_json::Map<_, _> = OPERATIONS
        .iter()
        .map(|operation| {
            let schema = json!({ "type": "object", "properties": properties });
            let pin =
                json!({ "name": "pin", "in": "path", "required": true, "schema": { "type": "string" } });
            let answer =
                json!({ "description": "d", "content": { "application/json": { "schema": schema } } });
            let get =
                json!({ "operationId": operation, "parameters": [pin], "responses": { "200": answer } });
            (format!("/{operation}/{{pin}}"), json!({ "get": get }))
        })
        .collect();
    json!({ "openapi": "3.1.0", "info": { "title": "t", "version": "1" }, "paths": paths }).to_string()
}

/// Invented words, in each language others.
fn texts(random: &mut fastrand::Rng, words: usize) -> Texts {
    let text = |language: &str, random: &mut fastrand::Rng| {
        let words: Vec<_> = (0..words).map(|_| word(language, random.usize(..WORDS))).collect();
        words.join(" ")
    };
    LANGUAGES.map(|language| (language.to_owned(), text(language, random))).into()
}

fn word(language: &str, number: usize) -> String {
    const LATIN: [&str; 10] = ["re", "gis", "tra", "po", "pu", "la", "ma", "ti", "on", "se"];
    const CYRILLIC: [&str; 10] = ["ре", "гис", "тра", "по", "на", "се", "ле", "ни", "уч", "ма"];
    let syllables = if matches!(language, "ky" | "ru") { CYRILLIC } else { LATIN };
    let salt = language.len() + usize::from(language.as_bytes().first().copied().unwrap_or_default());
    let digits = [number % 10, number / 10 % 10, number / 100 % 10, (number + salt) % 10];
    digits.iter().filter_map(|digit| syllables.get(*digit)).copied().collect()
}

/// What people type: the beginnings of one to three words, some of them of two letters only.
fn question(random: &mut fastrand::Rng) -> String {
    let words = (0..random.usize(1..=3)).map(|_| {
        let language = random.choice(LANGUAGES).unwrap_or("en");
        let letters = if random.u8(..10) == 0 { 2 } else { random.usize(3..=6) };
        word(language, random.usize(..WORDS)).chars().take(letters).collect::<String>()
    });
    words.collect::<Vec<_>>().join(" ")
}

/// Searches by the public API, as anybody may.
async fn search(report: &mut Report, central: Arc<Central>, searches: usize) -> Result<()> {
    let config = ConsoleConfig { address: "127.0.0.1:0".parse()?, ..ConsoleConfig::default() };
    let console = Console::build(config, central)?;
    let base = format!("http://{}", console.address());
    let (stop, tasks) = (CancellationToken::new(), TaskTracker::new());
    tasks.spawn(console.run(stop.clone()));
    let mut callers = JoinSet::new();
    for caller in 0..CALLERS {
        let (base, seed) = (base.clone(), SEED + caller as u64);
        callers.spawn(async move {
            let mut random = fastrand::Rng::with_seed(seed);
            let mut times = Vec::new();
            for _ in 0..searches / CALLERS {
                let query: String = question(&mut random).replace(' ', "+");
                times.push(get(&format!("{base}/api/v1/catalog/services?q={}", escape(&query))).await?);
            }
            anyhow::Ok(times)
        });
    }
    let mut times = Vec::new();
    while let Some(measured) = callers.join_next().await {
        times.extend(measured??);
    }
    times.sort_unstable();
    let at = |share: f64| {
        let time = times.get((times.len() as f64 * share) as usize).copied().unwrap_or_default();
        time.as_secs_f64() * 1_000.0
    };
    report.figure("public search, p50", at(0.5), "ms");
    report.goal("public search, p95", at(0.95), "ms", Goal::AtMost(SEARCH_MS_MAX));
    report.figure(
        "public page of all members",
        get(&format!("{base}/catalog")).await?.as_secs_f64() * 1e3,
        "ms",
    );
    stop.cancel();
    tasks.close();
    tasks.wait().await;
    Ok(())
}

/// How long a caller waits for the whole answer.
async fn get(url: &str) -> Result<Duration> {
    let client = Client::builder(TokioExecutor::new()).build_http::<Empty<Bytes>>();
    let started = Instant::now();
    let answer = client.get(url.parse()?).await?;
    ensure!(answer.status().is_success(), "{url}: {}", answer.status());
    answer.into_body().collect().await?;
    Ok(started.elapsed())
}

fn escape(query: &str) -> String {
    query.bytes().fold(String::new(), |escaped, byte| match byte {
        b'a'..=b'z' | b'+' => escaped + &char::from(byte).to_string(),
        other => format!("{escaped}%{other:02X}"),
    })
}

/// Refreshes in a process of its own, so that only its memory is seen.
async fn refresh_apart(anchor: &Path, folder: &Path) -> Result<Refreshed> {
    let mut command = Command::new(std::env::current_exe()?);
    command.arg("refresh").arg("--anchor").arg(anchor).arg("--folder").arg(folder);
    let output = tokio::task::spawn_blocking(move || command.output()).await??;
    ensure!(output.status.success(), "refresh failed: {}", String::from_utf8_lossy(&output.stderr));
    Ok(serde_json::from_slice(&output.stdout)?)
}

/// The process that refreshes: once from nothing, and once more with a configuration in force.
pub(crate) fn refresh(arguments: &RefreshArguments) -> Result<()> {
    let config = ConfigurationClientConfig::new(&arguments.anchor, &arguments.folder);
    let client = ConfigurationClient::build(config, CertificateProfiles::default(), Clock::system())?;
    let runtime = tokio::runtime::Runtime::new()?;
    let before = memory_mib("VmRSS:")?;
    let started = Instant::now();
    runtime.block_on(client.refresh_once())?;
    let seconds = started.elapsed().as_secs_f64();
    runtime.block_on(client.refresh_once())?;
    let configuration = client.configuration().borrow().clone().context("nothing is in force")?;
    ensure!(configuration.extensions().governance.is_some(), "there is no catalog in it");
    let (kept_mib, peak_mib) = (memory_mib("VmRSS:")? - before, memory_mib("VmHWM:")? - before);
    println!("{}", serde_json::to_string(&Refreshed { seconds, kept_mib, peak_mib })?);
    Ok(())
}

fn memory_mib(field: &str) -> Result<f64> {
    let status = std::fs::read_to_string("/proc/self/status")?;
    let kib =
        status.lines().find_map(|line| line.strip_prefix(field)?.split_whitespace().next()?.parse().ok());
    kib.map(|kib: f64| kib / 1024.0).with_context(|| format!("no {field}"))
}

fn actor() -> Result<Actor> {
    Ok("uid:0".parse()?)
}
