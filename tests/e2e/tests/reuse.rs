//! Instances that answer several calls, where author and agency both want it: nothing but the adapter's own memory goes from
//! one call to the next, and that only between calls of one client that all ended well.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::{Duration, Instant};

use anyhow::{Context, Result};
use sqlx::ConnectOptions;
use sqlx::sqlite::SqliteConnectOptions;
use tempfile::TempDir;
use tokio_util::task::TaskTracker;
use uuk_asic::Profile;
use uuk_bundle::{Access, Bundle, Engine as DatabaseEngine, pack};
use uuk_e2e::{Guest, Parts};
use uuk_plugin_host::capabilities::sql::DatabaseGrant;
use uuk_plugin_host::{
    Call, CallContext, Engine, EngineConfig, Grant, LoadError, Outcome, Plugin, Resources,
};
use uuk_transport::UpstreamConfig;

const HOSTILE: Guest = Guest::Component { name: "hostile", folder: "hostile" };
const WASI_HTTP: Guest = Guest::Component { name: "wasi_http", folder: "echo" };
const REUSE: &str = "[reuse]\n";

/// A plugin host with a database of two visits.
struct Host {
    engine: Arc<Engine>,
    database: DatabaseGrant,
    _folder: TempDir,
}

impl Host {
    async fn new() -> Result<Self> {
        let folder = tempfile::tempdir()?;
        let file = folder.path().join("visits.db");
        let options = SqliteConnectOptions::new().filename(&file).create_if_missing(true);
        let script = "CREATE TABLE visits(id INTEGER PRIMARY KEY); INSERT INTO visits VALUES (1), (2)";
        sqlx::raw_sql(script).execute(&mut options.connect().await?).await?;
        let database = DatabaseGrant {
            datasource: "registry".to_owned(),
            engine: DatabaseEngine::Sqlite,
            url: format!("sqlite:{}", file.display()),
            user: None,
            password: None,
            access: Access::Read,
            free_sql: false,
            connections_max: 1,
            acquire_time_max: Duration::from_secs(5),
            statement_time_max: Duration::from_secs(5),
            application_name: "uuk-e2e".to_owned(),
            session_variables: false,
        };
        let engine = Engine::new(EngineConfig { instances_max: 8, ..EngineConfig::default() })?;
        Ok(Self { engine, database, _folder: folder })
    }

    /// A plugin whose manifest has this section, where an agency grants reuse or does not.
    fn load(&self, parts: Parts, section: &str, reuse_instances: bool) -> Result<Arc<Plugin>> {
        let parts = parts.with_manifest("[build]", &format!("{section}[build]"))?;
        let bundle = Bundle::read(&pack(parts.0)?, &Profile::bundle().limits)?;
        let grant = Grant {
            datasources: BTreeMap::from([("registry".to_owned(), self.database.clone())]),
            upstreams: BTreeMap::from([("api".to_owned(), UpstreamConfig::new("http://127.0.0.1:9"))]),
            reuse_instances,
            ..Grant::default()
        };
        let resources = Resources::open(&grant, &TaskTracker::new())?;
        Ok(Plugin::load(&self.engine, None, &bundle, resources)?)
    }

    /// The hostile adapter, its instances reused.
    fn reused(&self, section: &str) -> Result<Arc<Plugin>> {
        self.load(Parts::of(HOSTILE)?, section, true)
    }
}

/// A call by `client`; its outcome, or the code of its failure.
async fn call_by(client: &str, plugin: &Arc<Plugin>, operation: &str, n: i64) -> Result<String> {
    let context = CallContext {
        exchange_id: format!("{client} calls {operation}"),
        client: client.to_owned(),
        operation: operation.to_owned(),
        ..CallContext::default()
    };
    let (outcome, _) = plugin
        .call(Call {
            context: Arc::new(context),
            document: format!("{{\"n\":{n}}}").into(),
            deadline: Instant::now() + Duration::from_secs(30),
        })
        .await;
    match outcome {
        Ok(Outcome::Answer(answer)) => {
            let document: serde_json::Value = serde_json::from_slice(&answer.data)?;
            Ok(document.get("outcome").and_then(|text| text.as_str()).context("no outcome")?.to_owned())
        }
        Ok(Outcome::Fault(fault)) => Ok(fault.kind.to_string()),
        Err(error) => Ok(error.code().to_owned()),
    }
}

async fn call(plugin: &Arc<Plugin>, operation: &str) -> Result<String> {
    call_by("one", plugin, operation, 2).await
}

/// What the instance that answers says is the number of its call.
async fn count(plugin: &Arc<Plugin>) -> Result<String> {
    call(plugin, "count-calls").await
}

/// After a call of `operation` that ends with `outcome`, the next has an instance of its own.
async fn ends_its_instance(plugin: &Arc<Plugin>, operation: &str, outcome: &str) -> Result<()> {
    count(plugin).await?;
    let ended = call(plugin, operation).await?;
    assert!(ended.starts_with(outcome), "{ended}");
    assert_eq!(count(plugin).await?, "1", "after {operation}");
    assert_eq!(count(plugin).await?, "2", "after {operation}");
    Ok(())
}

#[tokio::test]
async fn needs_the_author_and_the_agency() -> Result<()> {
    let host = Host::new().await?;
    for (section, granted, second) in [("", true, "1"), (REUSE, false, "1"), (REUSE, true, "2")] {
        let plugin = host.load(Parts::of(HOSTILE)?, section, granted)?;
        assert_eq!([count(&plugin).await?, count(&plugin).await?], ["1", second], "{section:?} {granted}");
    }
    Ok(())
}

#[tokio::test]
async fn is_refused_to_a_component_with_the_door_of_wasi_http() -> Result<()> {
    let host = Host::new().await?;
    let refused = host.load(Parts::of(WASI_HTTP)?, REUSE, true).unwrap_err();
    assert_eq!(refused.downcast::<LoadError>()?.code(), "component.not_reusable");
    Ok(())
}

#[tokio::test]
async fn an_instance_answers_as_many_calls_as_the_manifest_says() -> Result<()> {
    let host = Host::new().await?;
    let plugin = host.reused("[reuse]\ncalls = 2\n")?;
    for number in ["1", "2", "1", "2", "1"] {
        assert_eq!(count(&plugin).await?, number);
    }
    Ok(())
}

#[tokio::test]
async fn an_instance_waits_no_longer_than_the_manifest_says() -> Result<()> {
    let host = Host::new().await?;
    let plugin = host.reused("[reuse]\nidle = \"1ms\"\n")?;
    for _ in 0..2 {
        assert_eq!(count(&plugin).await?, "1");
        // However much longer this takes, the next call finds none.
        tokio::time::sleep(Duration::from_millis(2)).await;
    }
    Ok(())
}

#[tokio::test]
async fn an_instance_answers_one_client_and_one_version() -> Result<()> {
    let host = Host::new().await?;
    let plugin = host.reused(REUSE)?;
    for number in ["1", "2"] {
        for client in ["one", "other"] {
            assert_eq!(call_by(client, &plugin, "count-calls", 0).await?, number);
        }
    }
    let next = host.load(Parts::of(HOSTILE)?.with_version("1.0.1")?, REUSE, true)?;
    assert_eq!(count(&next).await?, "1");
    Ok(())
}

#[tokio::test]
async fn an_instance_that_waits_makes_room_for_another() -> Result<()> {
    let host = Host::new().await?;
    let plugin = host.reused(REUSE)?;
    // Of 64 memories, 16 are for idle instances; one takes 4.
    for client in ["1", "2", "3", "4", "5"] {
        assert_eq!(call_by(client, &plugin, "count-calls", 0).await?, "1");
    }
    assert_eq!(call_by("5", &plugin, "count-calls", 0).await?, "2");
    assert_eq!(call_by("1", &plugin, "count-calls", 0).await?, "1");
    Ok(())
}

#[tokio::test]
async fn an_instance_whose_time_is_up_makes_room_for_those_of_other_plugins() -> Result<()> {
    let host = Host::new().await?;
    let hurried = host.reused("[reuse]\nidle = \"1ms\"\n")?;
    for client in ["1", "2", "3", "4"] {
        assert_eq!(call_by(client, &hurried, "count-calls", 0).await?, "1");
    }
    let plugin = host.reused(REUSE)?;
    let is_kept = async {
        while count(&plugin).await? != "2" {
            tokio::time::sleep(Duration::from_millis(1)).await;
        }
        anyhow::Ok(())
    };
    tokio::time::timeout(Duration::from_secs(10), is_kept).await?
}

#[tokio::test]
async fn a_fault_about_the_matter_is_a_good_end() -> Result<()> {
    let host = Host::new().await?;
    let plugin = host.reused(REUSE)?;
    assert_eq!(count(&plugin).await?, "1");
    assert_eq!(call(&plugin, "fault-not-declared").await?, "not-found");
    assert_eq!(count(&plugin).await?, "2");
    Ok(())
}

#[tokio::test]
async fn no_instance_outlives_a_trap_a_limit_or_a_technical_fault() -> Result<()> {
    let host = Host::new().await?;
    // Who computes for long waits for a processor that nobody else wants, however long that takes.
    let parts = Parts::of(HOSTILE)?.with_manifest("wall = \"2s\"", "wall = \"20s\"")?;
    let plugin = host.load(parts.with_manifest("1MiB", "5MiB")?, REUSE, true)?;
    ends_its_instance(&plugin, "trap-when-even", "plugin.trap").await?;
    ends_its_instance(&plugin, "recurse", "plugin.trap").await?;
    ends_its_instance(&plugin, "loop-forever", "plugin.guest_time").await?;
    ends_its_instance(&plugin, "grow-memory", "plugin.memory").await?;
    ends_its_instance(&plugin, "answer-megabytes", "plugin.response").await?;
    ends_its_instance(&plugin, "send-megabytes", "plugin.host_call_bytes").await?;
    ends_its_instance(&plugin, "open-resources", "plugin.misuse").await?;
    ends_its_instance(&plugin, "no-such-operation", "internal").await?;
    Ok(())
}

#[tokio::test]
async fn no_instance_outlives_a_call_that_took_too_long() -> Result<()> {
    let host = Host::new().await?;
    let parts = Parts::of(HOSTILE)?
        .with_manifest("timeout = \"300ms\"", "timeout = \"30s\"")?
        .with_manifest("wall = \"2s\"", "wall = \"1s\"")?;
    let plugin = host.load(parts, REUSE, true)?;
    ends_its_instance(&plugin, "run-slowly", "plugin.wall_time").await
}

#[tokio::test]
async fn no_instance_is_kept_with_a_handle_of_the_host() -> Result<()> {
    let host = Host::new().await?;
    let plugin = host.reused(REUSE)?;
    ends_its_instance(&plugin, "keep-writer", "2").await?;
    let plugin = host.reused(REUSE)?;
    ends_its_instance(&plugin, "keep-cursor", "2").await?;
    // The one connection is free: what ran on it has ended with the call.
    assert!(call(&plugin, "run-many").await?.starts_with("20: SqlError::NotGranted"));
    Ok(())
}

#[tokio::test]
async fn no_instance_is_kept_that_has_grown_much() -> Result<()> {
    let host = Host::new().await?;
    ends_its_instance(&host.reused(REUSE)?, "keep-megabytes", "2").await
}

#[tokio::test]
async fn each_call_has_the_limits_of_a_first_one() -> Result<()> {
    let host = Host::new().await?;
    let parts = Parts::of(HOSTILE)?
        .with_manifest("guest_time = \"250ms\"", "guest_time = \"1s\"")?
        .with_manifest("wall = \"2s\"", "wall = \"20s\"")?;
    let plugin = host.load(parts, REUSE, true)?;
    for number in ["1", "3", "5"] {
        assert_eq!(call_by("one", &plugin, "compute", 600).await?, number, "guest time");
        assert_eq!(call(&plugin, "hold-megabytes").await?, "20", "bytes that the host holds");
        let ran = call(&plugin, "run-many").await?;
        assert!(ran.starts_with("20: SqlError::NotGranted"), "host calls: {ran}");
        assert_eq!(call(&plugin, "read-too-many-rows").await?, "SqlError::TooManyRows(10)");
        count(&plugin).await?;
    }
    Ok(())
}

#[tokio::test]
async fn each_call_has_a_log_and_a_name_of_its_own() -> Result<()> {
    let host = Host::new().await?;
    let parts = Parts::of(HOSTILE)?
        .with_manifest("guest_time = \"250ms\"", "guest_time = \"10s\"")?
        .with_manifest("wall = \"2s\"", "wall = \"20s\"")?;
    let plugin = host.load(parts, REUSE, true)?;
    assert_eq!(call(&plugin, "flood-log").await?, "flooded");
    assert_eq!(call(&plugin, "forge-log").await?, "forged");
    assert_eq!(count(&plugin).await?, "1", "both were answered by the instance that counts now");
    let lines = plugin.log_lines();
    let last = lines.last().context("no line")?;
    assert_eq!(last.exchange_id, "one calls forge-log");
    Ok(())
}
