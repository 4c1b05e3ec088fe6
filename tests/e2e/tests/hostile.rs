//! Adapters that mean harm, or might as well: each is stopped, told apart by a code, and never felt next door.
//!
//! Each test installs the hostile component as a plugin of its own, so that one's failures do not suspend another, on a
//! server that the tests share.

use std::sync::{Arc, Weak};

use anyhow::{Context, Result, ensure};
use futures_util::future::try_join_all;
use http::StatusCode;
use sqlx::Connection;
use tempfile::TempDir;
use tokio::sync::Mutex;
use uuk_e2e::{Client, Guest, Operator, Parts, Reply, Server, Site};
use uuk_testkit::upstream::{UpstreamOptions, VehiclesUpstream};

const ECHO: Guest = Guest::Component { name: "echo_v1", folder: "echo" };
const HOSTILE: Guest = Guest::Component { name: "hostile", folder: "hostile" };
const SETTINGS: &str = "[plugins]\ncanary_percent = 0\nrescan_every = \"200ms\"\nwaiting_max = 4\n";

/// One per test that installs it.
const MISDEEDS: [&str; 29] = [
    "answer-duplicate-keys",
    "answer-gigabyte",
    "answer-invalid-json",
    "answer-megabytes",
    "answer-other-schema",
    "answer-too-deep",
    "count-calls",
    "fault-not-declared",
    "flood-log",
    "forge-log",
    "grow-memory",
    "loop-forever",
    "open-resources",
    "read-too-many-rows",
    "recurse",
    "run-many",
    "run-slowly",
    "run-unknown-statement",
    "run-with-unknown-parameter",
    "send-credentials",
    "send-elsewhere",
    "send-many",
    "send-megabytes",
    "send-outside-paths",
    "send-to-unknown-upstream",
    "trap-when-even",
    "wait-for-database",
    "wait-in-line",
    "write-through-read",
];
/// Honest once, then replaced by a version that can not even start.
const UNFIT: [(&str, Guest); 4] = [
    ("loops-in-probe", Guest::Component { name: "loops_in_probe", folder: "echo" }),
    ("loops-in-start", Guest::Component { name: "loops_in_start", folder: "echo" }),
    ("traps-in-start", Guest::Component { name: "traps_in_start", folder: "echo" }),
    ("unfit", Guest::Component { name: "unfit", folder: "echo" }),
];
const GUEST_TIME: &str = "guest_time = \"10s\"";
const WALL: &str = "wall = \"60s\"";
/// Is granted only when its test has an upstream for it.
const NEEDS_UPSTREAM: &str = "send-many";
/// Nothing listens there.
const NOWHERE: &str = "http://127.0.0.1:9";

/// A server with an honest adapter in service, and room for hostile ones.
struct Neighbourhood {
    site: Site,
    server: Server,
    operator: Operator,
    _folder: TempDir,
}

/// Ends with the last test that uses it.
static SHARED: Mutex<Weak<Neighbourhood>> = Mutex::const_new(Weak::new());

impl Neighbourhood {
    async fn enter() -> Result<Arc<Self>> {
        let mut shared = SHARED.lock().await;
        if let Some(here) = shared.upgrade() {
            return Ok(here);
        }
        let here = Arc::new(Self::found().await?);
        *shared = Arc::downgrade(&here);
        Ok(here)
    }

    async fn found() -> Result<Self> {
        let folder = tempfile::tempdir()?;
        let mut site = Site::new(folder.path(), "127.0.0.1:0", "127.0.0.1:0", SETTINGS)?;
        site.catalogue(ECHO)?;
        site.grant("kg.example.echo", "")?;
        site.drop_bundle("echo.asice", &site.bundle(ECHO, None)?)?;
        let script = folder.path().join("visits.sql");
        std::fs::write(
            &script,
            "CREATE TABLE visits(id INTEGER PRIMARY KEY); INSERT INTO visits VALUES (1), (2)",
        )?;
        site.sqlite("visits.db", &script).await?;
        for misdeed in MISDEEDS {
            site.catalogue_parts(&hostile(misdeed)?)?;
            if misdeed != NEEDS_UPSTREAM {
                grant(&site, misdeed, NOWHERE)?;
            }
        }
        for (name, _) in UNFIT {
            site.catalogue_parts(&echo(name, ECHO)?)?;
            site.grant(&format!("kg.example.{name}"), "")?;
        }
        let server = Server::start(&site)?;
        let operator = Operator::of(&site);
        operator.sees_version("kg.example.echo", "1.0.0", "active").await?;
        Ok(Self { site, server, operator, _folder: folder })
    }

    /// Installs the plugin of `misdeed`.
    async fn admit(&self, misdeed: &'static str) -> Result<Offender<'_>> {
        self.admit_parts(misdeed, hostile(misdeed)?).await
    }

    async fn admit_parts(&self, misdeed: &'static str, parts: Parts) -> Result<Offender<'_>> {
        self.site.drop_bundle(&format!("{misdeed}.asice"), &self.site.sign(parts)?)?;
        self.operator.sees_version(&format!("kg.example.{misdeed}"), "1.0.0", "active").await?;
        Ok(Offender { here: self, misdeed })
    }

    /// Nobody starts the server again: if it answers on its port, it is the process that it was.
    async fn neighbour_answers(&self) -> Result<()> {
        let reply = Client::new(self.server.address()).get("echo", "/echo/still-here").await?;
        ensure!(reply.text("message")? == "still-here", "{reply:?}");
        Ok(())
    }
}

/// A hostile plugin in service.
struct Offender<'a> {
    here: &'a Neighbourhood,
    misdeed: &'static str,
}

impl Offender<'_> {
    async fn call(&self, query: &str) -> Result<Reply> {
        self.call_operation(&format!("{}{query}", self.misdeed)).await
    }

    async fn call_operation(&self, operation: &str) -> Result<Reply> {
        let client = Client::new(self.here.server.address());
        let reply = client.get(self.misdeed, &format!("/{operation}")).await?;
        self.here.neighbour_answers().await?;
        Ok(reply)
    }

    /// The code of a call that fails as the service's fault.
    async fn fails(&self, status: StatusCode) -> Result<String> {
        let reply = self.call("").await?;
        ensure!(reply.status == status, "{reply:?}");
        let media_type = reply.headers.get("content-type").context("no media type")?;
        ensure!(media_type == "application/problem+json", "{reply:?}");
        reply.text("code")
    }

    /// What the adapter saw in a call that succeeds.
    async fn sees(&self) -> Result<String> {
        let reply = self.call("").await?;
        ensure!(reply.status == StatusCode::OK, "{reply:?}");
        reply.text("outcome")
    }
}

/// Grants a database, and an upstream at `upstream`.
fn grant(site: &Site, misdeed: &str, upstream: &str) -> Result<()> {
    site.grant(
        &format!("kg.example.{misdeed}"),
        &format!(
            "[datasource.registry]\nengine = \"sqlite\"\nurl = \"sqlite:visits.db\"\n\n\
             [upstream.api]\nbase = \"{upstream}\"\n"
        ),
    )
}

/// With time enough on a busy machine, so that each offender meets the one bound that it is about.
fn hostile(misdeed: &str) -> Result<Parts> {
    Parts::of(HOSTILE)?
        .with_names(&format!("kg.example.{misdeed}"), misdeed)?
        .with_manifest("guest_time = \"250ms\"", GUEST_TIME)?
        .with_manifest("wall = \"2s\"", WALL)
}

fn echo(name: &str, guest: Guest) -> Result<Parts> {
    Parts::of(guest)?.with_names(&format!("kg.example.{name}"), name)
}

/// The code of the refusal.
async fn code(misdeed: &'static str) -> Result<String> {
    code_of(misdeed, hostile(misdeed)?).await
}

async fn code_of(misdeed: &'static str, parts: Parts) -> Result<String> {
    let neighbourhood = Neighbourhood::enter().await?;
    neighbourhood.admit_parts(misdeed, parts).await?.fails(StatusCode::BAD_GATEWAY).await
}

/// The refusal as the adapter sees it.
async fn seen(misdeed: &'static str) -> Result<String> {
    Neighbourhood::enter().await?.admit(misdeed).await?.sees().await
}

#[tokio::test]
async fn loops_in_a_call() -> Result<()> {
    // It waits for a processor that nobody else wants, however long that takes.
    let parts = hostile("loop-forever")?.with_manifest(GUEST_TIME, "guest_time = \"250ms\"")?;
    assert_eq!(code_of("loop-forever", parts).await?, "plugin.guest_time");
    Ok(())
}

#[tokio::test]
async fn grows_memory() -> Result<()> {
    assert_eq!(code("grow-memory").await?, "plugin.memory");
    Ok(())
}

#[tokio::test]
async fn recurses() -> Result<()> {
    assert_eq!(code("recurse").await?, "plugin.trap");
    Ok(())
}

#[tokio::test]
async fn hoards_resource_handles() -> Result<()> {
    assert_eq!(code("open-resources").await?, "plugin.misuse");
    Ok(())
}

#[tokio::test]
async fn answers_a_gigabyte_that_it_has_no_memory_for() -> Result<()> {
    assert_eq!(code("answer-gigabyte").await?, "plugin.memory");
    Ok(())
}

#[tokio::test]
async fn answers_more_than_its_limit() -> Result<()> {
    let here = Neighbourhood::enter().await?;
    let parts = hostile("answer-megabytes")?.with_manifest("response = \"1MiB\"", "response = \"5MiB\"")?;
    let offender = here.admit_parts("answer-megabytes", parts).await?;
    assert_eq!(offender.fails(StatusCode::BAD_GATEWAY).await?, "plugin.response");
    Ok(())
}

#[tokio::test]
async fn passes_forty_megabytes_in_arguments() -> Result<()> {
    assert_eq!(code("send-megabytes").await?, "plugin.host_call_bytes");
    Ok(())
}

#[tokio::test]
async fn answers_half_a_document() -> Result<()> {
    assert_eq!(code("answer-invalid-json").await?, "contract.answer_malformed");
    Ok(())
}

#[tokio::test]
async fn answers_with_a_key_given_twice() -> Result<()> {
    assert_eq!(code("answer-duplicate-keys").await?, "contract.answer_malformed");
    Ok(())
}

#[tokio::test]
async fn answers_with_endless_nesting() -> Result<()> {
    assert_eq!(code("answer-too-deep").await?, "contract.answer_malformed");
    Ok(())
}

#[tokio::test]
async fn answers_outside_the_schema() -> Result<()> {
    assert_eq!(code("answer-other-schema").await?, "contract.answer_invalid");
    Ok(())
}

#[tokio::test]
async fn invents_a_fault() -> Result<()> {
    assert_eq!(code("fault-not-declared").await?, "contract.answer_fault_undeclared");
    Ok(())
}

#[tokio::test]
async fn traps_every_second_call() -> Result<()> {
    let here = Neighbourhood::enter().await?;
    let offender = here.admit("trap-when-even").await?;
    for number in 1..=6 {
        let reply = offender.call(&format!("?n={number}")).await?;
        let expected = if number % 2 == 0 { StatusCode::BAD_GATEWAY } else { StatusCode::OK };
        assert_eq!(reply.status, expected, "call {number}");
    }
    Ok(())
}

#[tokio::test]
async fn leaks_no_state_between_calls() -> Result<()> {
    let here = Neighbourhood::enter().await?;
    let offender = here.admit("count-calls").await?;
    for _ in 0..3 {
        assert_eq!(offender.sees().await?, "1");
    }
    Ok(())
}

#[tokio::test]
async fn floods_the_log() -> Result<()> {
    let here = Neighbourhood::enter().await?;
    assert_eq!(here.admit("flood-log").await?.sees().await?, "flooded");
    let lines = here.operator.logs("kg.example.flood-log")?;
    let messages: Vec<&str> = lines.iter().filter_map(|line| line["message"].as_str()).collect();
    let bytes: usize = messages.iter().map(|message| message.len()).sum();
    assert!(bytes <= 66_000, "{bytes} bytes in {} lines", messages.len());
    assert!(messages.last().is_some_and(|last| last.contains("left out")), "{messages:?}");
    Ok(())
}

#[tokio::test]
async fn forges_lines_of_the_log() -> Result<()> {
    let here = Neighbourhood::enter().await?;
    here.admit("forge-log").await?.sees().await?;
    let lines = here.operator.logs("kg.example.forge-log")?;
    let [line] = lines.as_slice() else { anyhow::bail!("{} lines", lines.len()) };
    let told = format!("{}{}", line["message"], line["fields"]);
    assert!(told.contains("forged"), "{told}");
    // As JSON, which escapes them, control characters would show as `\\u`, `\\n` and the like.
    assert!(!told.contains("\\n") && !told.contains("\\u") && !told.contains('\u{202e}'), "{told}");
    Ok(())
}

#[tokio::test]
async fn runs_a_statement_that_its_manifest_lacks() -> Result<()> {
    assert_eq!(seen("run-unknown-statement").await?, "SqlError::UnknownStatement");
    Ok(())
}

#[tokio::test]
async fn runs_a_statement_with_an_invented_parameter() -> Result<()> {
    assert_eq!(seen("run-with-unknown-parameter").await?, "SqlError::BadParameter(\"nobody\")");
    Ok(())
}

#[tokio::test]
async fn writes_through_a_read_only_statement() -> Result<()> {
    let here = Neighbourhood::enter().await?;
    let outcome = here.admit("write-through-read").await?.sees().await?;
    assert!(outcome.contains("attempt to write a readonly database"), "{outcome}");
    let url = format!("sqlite:{}", here.site.folder().join("grants/visits.db").display());
    let mut database = sqlx::SqliteConnection::connect(&url).await?;
    let left: i64 = sqlx::query_scalar("SELECT count(*) FROM visits").fetch_one(&mut database).await?;
    assert_eq!(left, 2);
    Ok(())
}

#[tokio::test]
async fn reads_ten_million_rows() -> Result<()> {
    assert_eq!(seen("read-too-many-rows").await?, "SqlError::TooManyRows(10)");
    Ok(())
}

#[tokio::test]
async fn runs_a_statement_that_never_ends() -> Result<()> {
    assert_eq!(seen("run-slowly").await?, "SqlError::Deadline");
    Ok(())
}

#[tokio::test]
async fn takes_more_calls_than_it_may_have_at_once() -> Result<()> {
    let here = Neighbourhood::enter().await?;
    let offender = here.admit("wait-in-line").await?;
    // Four run and four wait; each takes the 300 ms of its statement.
    let calls = (0..20).map(|_| offender.call_operation("run-slowly"));
    let replies = try_join_all(calls).await?;
    let (answered, refused): (Vec<Reply>, Vec<Reply>) =
        replies.into_iter().partition(|reply| reply.status == StatusCode::OK);
    assert!(answered.len() >= 8, "{} answered", answered.len());
    assert!(!refused.is_empty());
    for reply in refused {
        assert_eq!(
            (reply.status, reply.text("code")?.as_str()),
            (StatusCode::SERVICE_UNAVAILABLE, "plugin.busy")
        );
        assert_eq!(reply.headers["retry-after"], "1");
    }
    Ok(())
}

#[tokio::test]
async fn waits_for_a_database_until_its_time_is_up() -> Result<()> {
    let here = Neighbourhood::enter().await?;
    let parts = hostile("wait-for-database")?
        .with_manifest("timeout = \"300ms\"", "timeout = \"30s\"")?
        .with_manifest(WALL, "wall = \"300ms\"")?;
    let offender = here.admit_parts("wait-for-database", parts).await?;
    // The database is slow, not the adapter: however often this happens, it is not taken out of service.
    for _ in 0..7 {
        let reply = offender.call_operation("run-slowly").await?;
        assert_eq!(
            (reply.status, reply.text("code")?.as_str()),
            (StatusCode::GATEWAY_TIMEOUT, "plugin.wall_time")
        );
    }
    Ok(())
}

#[tokio::test]
async fn runs_ten_thousand_statements() -> Result<()> {
    let outcome = seen("run-many").await?;
    assert!(outcome.starts_with("20: SqlError::NotGranted"), "{outcome}");
    Ok(())
}

#[tokio::test]
async fn sends_ten_thousand_requests() -> Result<()> {
    let upstream = VehiclesUpstream::start(UpstreamOptions::default()).await?;
    let here = Neighbourhood::enter().await?;
    grant(&here.site, NEEDS_UPSTREAM, &format!("http://{}", upstream.address()))?;
    let outcome = here.admit(NEEDS_UPSTREAM).await?.sees().await?;
    assert!(outcome.starts_with("20: HttpError::NotGranted"), "{outcome}");
    assert_eq!(upstream.requests(), 20);
    Ok(())
}

#[tokio::test]
async fn sends_to_a_path_that_its_manifest_lacks() -> Result<()> {
    assert_eq!(seen("send-outside-paths").await?, "HttpError::NotGranted(\"path\")");
    Ok(())
}

#[tokio::test]
async fn sends_to_an_upstream_that_its_manifest_lacks() -> Result<()> {
    assert_eq!(seen("send-to-unknown-upstream").await?, "HttpError::UnknownUpstream");
    Ok(())
}

#[tokio::test]
async fn sends_to_paths_made_to_leave_the_upstream() -> Result<()> {
    let outcome = seen("send-elsewhere").await?;
    assert_eq!(outcome.lines().count(), 5);
    assert!(outcome.lines().all(|line| line.starts_with("HttpError::NotGranted(\"path ")), "{outcome}");
    Ok(())
}

#[tokio::test]
async fn sends_credentials_of_its_own() -> Result<()> {
    assert_eq!(seen("send-credentials").await?, "HttpError::HeaderRefused(\"authorization\")");
    Ok(())
}

#[tokio::test]
async fn never_starts_or_never_ends_its_probe() -> Result<()> {
    let here = Neighbourhood::enter().await?;
    for (name, unfit) in UNFIT {
        let (plugin, file) = (format!("kg.example.{name}"), format!("{name}.asice"));
        here.site.drop_bundle(&file, &here.site.sign(echo(name, ECHO)?)?)?;
        here.operator.sees_version(&plugin, "1.0.0", "active").await?;
        here.site.drop_bundle(&file, &here.site.sign(echo(name, unfit)?.with_version("2.0.0")?)?)?;
        assert_eq!(here.operator.sees_refused(&file).await?, "plugin.probe", "{name}");
        // The last good version keeps serving.
        let reply = Client::new(here.server.address()).get(name, "/echo/hello").await?;
        assert_eq!(reply.text("version")?, "1.0.0", "{name}");
    }
    here.neighbour_answers().await
}
