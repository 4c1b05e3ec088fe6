//! The people look-up in each language, as `cargo xtask bench languages` has built it: size, time to compile, and a call in
//! a fresh instance, in one run. Python also in an instance that has answered calls, as an agency may grant it.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::{Duration, Instant};

use anyhow::{Context, Result, ensure};
use sqlx::{AssertSqlSafe, ConnectOptions};
use tokio_util::task::TaskTracker;
use uuk_asic::Profile;
use uuk_bundle::{Access, Bundle, COMPONENT, Engine as DatabaseEngine, MANIFEST, MAPPING, Manifest, pack};
use uuk_plugin_host::capabilities::sql::DatabaseGrant;
use uuk_plugin_host::{Call, CallContext, Engine, EngineConfig, Grant, Outcome, Plugin, Resources};

use crate::place::KNOWN;
use crate::report::{Goal, Report};

/// Languages with their examples, the one that the others are compared with first.
const EXAMPLES: [(&str, &str); 6] = [
    ("Rust", "people"),
    ("mapping", "people-mapping"),
    ("C", "people-c"),
    ("Go", "people-go"),
    ("JavaScript", "people-javascript"),
    ("Python", "people-python"),
];
/// The example whose instances are also reused, and what its manifest then says.
const REUSED: (&str, &str) = ("Python, reused", "people-python");
const REUSE: &str = "\n[reuse]\n";
/// In turns, so that what else the machine does meets all of them.
const ROUNDS: usize = 50;
const CALLS_PER_ROUND: usize = 20;

/// What was measured of one language.
struct Measured {
    language: &'static str,
    size_bytes: usize,
    compile: Duration,
    plugin: Arc<Plugin>,
    calls: Vec<Duration>,
    memory_bytes: u64,
}

pub(crate) fn run() -> Result<Report> {
    let mut report = Report::new("languages");
    tokio::runtime::Runtime::new()?.block_on(async {
        let folder = tempfile::tempdir()?;
        let database = database(folder.path()).await?;
        let engine = Engine::new(EngineConfig::default())?;
        let tasks = TaskTracker::new();
        let mut measured = Vec::new();
        for (language, example) in EXAMPLES {
            let resources = Resources::open(&grant(&database), &tasks)?;
            measured.push(load(language, example, "", &engine, resources)?);
        }
        let (language, example) = REUSED;
        let resources = Resources::open(&Grant { reuse_instances: true, ..grant(&database) }, &tasks)?;
        measured.push(load(language, example, REUSE, &engine, resources)?);
        for _ in 0..ROUNDS {
            for one in &mut measured {
                one.call().await?;
            }
        }
        let reference = measured.first_mut().map(Measured::p50).unwrap_or_default();
        for one in &mut measured {
            one.tell(reference, &mut report);
        }
        drop(measured);
        tasks.close();
        tasks.wait().await;
        anyhow::Ok(())
    })?;
    Ok(report)
}

impl Measured {
    async fn call(&mut self) -> Result<()> {
        for _ in 0..CALLS_PER_ROUND {
            let started = Instant::now();
            let call = Call {
                context: Arc::new(CallContext { operation: "get".into(), ..CallContext::default() }),
                document: format!("{{\"pin\":\"{KNOWN}\"}}").into(),
                deadline: started + Duration::from_secs(10),
            };
            let (outcome, usage) = self.plugin.call(call).await;
            self.calls.push(started.elapsed());
            ensure!(matches!(outcome, Ok(Outcome::Answer(_))), "{}: {outcome:?}", self.language);
            self.memory_bytes = self.memory_bytes.max(usage.memory_bytes);
        }
        Ok(())
    }

    fn p50(&mut self) -> Duration {
        self.calls.sort();
        self.calls.get(self.calls.len() / 2).copied().unwrap_or_default()
    }

    fn tell(&mut self, reference: Duration, report: &mut Report) {
        let (language, p50) = (self.language, self.p50());
        let p50_us = p50.as_nanos() as f64 / 1e3;
        report.figure(format!("{language}: component"), self.size_bytes as f64 / 1024.0, "KiB");
        report.figure(format!("{language}: compiling it"), self.compile.as_secs_f64(), "s");
        report.figure(format!("{language}: memory of an instance"), self.memory_bytes as f64 / 1024.0, "KiB");
        let name = format!("{language}: a call with SQL, p50");
        match language {
            "Python" => report.goal(name, p50_us, "µs", Goal::AtMost(3000.0)),
            "Python, reused" => report.goal(name, p50_us, "µs", Goal::AtMost(300.0)),
            _ => report.figure(name, p50_us, "µs"),
        }
        if language == "mapping" {
            let ratio = p50.as_secs_f64() / reference.as_secs_f64();
            report.goal("mapping: p50 over that of Rust", ratio, "×", Goal::AtMost(1.5));
        }
    }
}

fn load(
    language: &'static str,
    example: &str,
    section: &str,
    engine: &Arc<Engine>,
    resources: Arc<Resources>,
) -> Result<Measured> {
    let folder = PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("../../examples").join(example);
    let read = |name: &str| {
        std::fs::read(folder.join(name)).with_context(|| format!("{example} lacks {name}; it is built first"))
    };
    let manifest = Manifest::parse(&read(MANIFEST)?)?;
    let artifact = manifest.build.as_ref().map_or(COMPONENT, |build| build.artifact.as_str());
    let component = read(artifact)?;
    let size_bytes = component.len();
    let mut parts = BTreeMap::from([(COMPONENT.to_owned(), component)]);
    let mapping = folder.join(MAPPING).is_file().then_some(MAPPING);
    for name in manifest.files().chain([MANIFEST]).chain(mapping) {
        parts.insert(name.to_owned(), read(name)?);
    }
    parts.entry(MANIFEST.to_owned()).or_default().extend(section.bytes());
    let bundle = Bundle::read(&pack(parts)?, &Profile::bundle().limits)?;
    let started = Instant::now();
    let plugin = Plugin::load(engine, None, &bundle, resources)?;
    let compile = started.elapsed();
    Ok(Measured { language, size_bytes, compile, plugin, calls: Vec::new(), memory_bytes: 0 })
}

/// The register of people on SQLite.
async fn database(folder: &Path) -> Result<String> {
    let path = folder.join("people.db");
    let options = sqlx::sqlite::SqliteConnectOptions::new().filename(&path).create_if_missing(true);
    let script = include_str!("../../../examples/people/data/sqlite.sql");
    sqlx::raw_sql(AssertSqlSafe(script)).execute(&mut options.connect().await?).await?;
    Ok(format!("sqlite:{}", path.display()))
}

fn grant(url: &str) -> Grant {
    let database = DatabaseGrant {
        datasource: "registry".to_owned(),
        engine: DatabaseEngine::Sqlite,
        url: url.to_owned(),
        user: None,
        password: None,
        access: Access::Read,
        free_sql: false,
        connections_max: 2,
        acquire_time_max: Duration::from_secs(5),
        statement_time_max: Duration::from_secs(5),
        application_name: "uuk-bench".to_owned(),
        session_variables: false,
    };
    Grant { datasources: BTreeMap::from([("registry".to_owned(), database)]), ..Grant::default() }
}
