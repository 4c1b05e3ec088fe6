//! Time, connections, and that the database is told to stop.

use std::process::Command;
use std::time::{Duration, Instant};

use uuk_bundle::{Access, Engine};
use uuk_plugin_host::capabilities::sql::{SqlError, Value};

use crate::fixture::{Fixture, context, in_time};
use crate::on_every_engine_that_stops;

on_every_engine_that_stops! {
    stops_at_the_deadline
    stops_after_the_timeout_of_the_statement
    stops_when_the_call_is_dropped
    stops_when_a_cursor_is_dropped
    stops_a_cursor_at_the_deadline
    stops_when_a_transaction_is_dropped_at_work
    gives_up_when_no_connection_becomes_free
    survives_a_storm_of_dropped_calls
}

async fn stops_at_the_deadline(fixture: Fixture) {
    let granted = fixture.granted(|grant| grant.connections_max = 1);
    let started = Instant::now();
    let deadline = started + Duration::from_millis(200);
    let error = granted.database.run(&fixture.slow(), vec![], deadline, &context()).await.unwrap_err();
    assert_eq!(error, SqlError::Deadline);
    assert!(started.elapsed() < Duration::from_secs(5));
    fixture.is_quiet().await;
    granted.works().await.unwrap();
}

async fn stops_after_the_timeout_of_the_statement(fixture: Fixture) {
    let granted = fixture.reading();
    granted.works().await.unwrap();
    let declared = "row = { n = \"integer\" }\ntimeout = \"200ms\"";
    let sql = format!("SELECT SUM(n) AS n FROM ({}) AS s", fixture.numbers(1_000_000_000));
    assert_eq!(granted.run(declared, &sql, &[]).await, Err(SqlError::Deadline));
    fixture.is_quiet().await;
}

async fn stops_when_the_call_is_dropped(fixture: Fixture) {
    let granted = fixture.granted(|grant| grant.connections_max = 1);
    let statement = fixture.slow();
    tokio::select! {
        outcome = granted.run_statement(&statement, &[]) => panic!("not slow: {outcome:?}"),
        () = fixture.is_at_work() => {}
    }
    fixture.is_quiet().await;
    granted.works().await.unwrap();
}

async fn stops_when_a_cursor_is_dropped(fixture: Fixture) {
    let granted = fixture.granted(|grant| grant.connections_max = 1);
    let declared = "row = { n = \"integer\" }\nmax_rows = 10000";
    let statement = fixture.statement(declared, &fixture.numbers(1_000_000_000));
    for reads_first in [true, false] {
        let mut cursor = granted.database.open(&statement, vec![], in_time(), &context()).await.unwrap();
        if reads_first {
            assert_eq!(cursor.next(10).await.unwrap().len(), 10);
        }
        drop(cursor);
        fixture.is_quiet().await;
    }
    // Also one whose database has found nothing yet.
    let cursor = granted.database.open(&fixture.slow(), vec![], in_time(), &context()).await.unwrap();
    fixture.is_at_work().await;
    drop(cursor);
    fixture.is_quiet().await;
    granted.works().await.unwrap();
}

async fn stops_a_cursor_at_the_deadline(fixture: Fixture) {
    let granted = fixture.reading();
    granted.works().await.unwrap();
    let deadline = Instant::now() + Duration::from_secs(1);
    let mut cursor = granted.database.open(&fixture.slow(), vec![], deadline, &context()).await.unwrap();
    assert_eq!(cursor.next(1).await, Err(SqlError::Deadline));
    fixture.is_quiet().await;
}

async fn stops_when_a_transaction_is_dropped_at_work(fixture: Fixture) {
    let granted = fixture.writing();
    let mut transaction = granted.database.begin(in_time(), &context()).await.unwrap();
    let insert =
        fixture.statement("mode = \"write\"", "INSERT INTO person (pin, name) VALUES ('40', 'Daniyar')");
    transaction.run(&insert, vec![], in_time()).await.unwrap();
    let deadline = Instant::now() + Duration::from_millis(200);
    let error = transaction.run(&fixture.slow(), vec![], deadline).await.unwrap_err();
    assert_eq!(error, SqlError::Deadline);
    // At once, not only when the guest lets go of it.
    fixture.is_quiet().await;
    assert_eq!(fixture.count_people().await, "3");
    drop(transaction);
}

async fn gives_up_when_no_connection_becomes_free(fixture: Fixture) {
    let granted = fixture.granted(|grant| {
        grant.connections_max = 1;
        grant.acquire_time_max = Duration::from_millis(300);
    });
    let statement = fixture.slow();
    let cursor = granted.database.open(&statement, vec![], in_time(), &context()).await.unwrap();
    assert_eq!(granted.works().await, Err(SqlError::Busy));
    drop(cursor);
    fixture.is_quiet().await;
    granted.works().await.unwrap();
}

async fn survives_a_storm_of_dropped_calls(fixture: Fixture) {
    let granted = fixture.reading();
    let statement = fixture.slow();
    for _ in 0..30 {
        // Some are dropped while they wait, connect, prepare or run.
        let calls = (0..4).map(|_| granted.run_statement(&statement, &[]));
        let all = futures_util::future::join_all(calls);
        assert!(tokio::time::timeout(Duration::from_millis(3), all).await.is_err());
    }
    granted.works().await.unwrap();
    fixture.is_quiet().await;
    assert!(fixture.connections().await <= 2);
}

/// The server hears that it shall stop before it hears what: a mere cancellation would pass it by.
#[tokio::test]
async fn stops_what_a_busy_server_has_not_begun() {
    let Some(fixture) = Fixture::new(Engine::Postgres).await else { return };
    let granted = fixture.granted(|grant| grant.connections_max = 1);
    let declared = "row = { n = \"integer\" }\nparams = { last = \"integer\" }\ntimeout = \"1s\"";
    let statement = fixture.statement(
        declared,
        "SELECT count(*) AS n FROM (SELECT generate_series(1, CAST(:last AS bigint))) AS s",
    );
    let last = |last| vec![("last".to_owned(), Value::Integer(last))];
    // From now on it is prepared, so that all of it is on its way at once.
    granted.database.run(&statement, last(1), in_time(), &context()).await.unwrap();
    let server =
        fixture.execute("SELECT pid FROM pg_stat_activity WHERE application_name LIKE 'uuk:%'").await;
    let signal =
        |signal: &str| assert!(Command::new("kill").args([signal, &server]).status().unwrap().success());

    signal("-STOP");
    let outcome = granted.database.run(&statement, last(100_000_000_000), in_time(), &context()).await;
    assert_eq!(outcome.unwrap_err(), SqlError::Deadline);
    fixture.is_told_to_stop().await;
    signal("-CONT");
    fixture.is_quiet().await;
    granted.works().await.unwrap();
}

/// Nothing interrupts its driver, so the call ends and its thread keeps the place of a connection.
#[cfg(feature = "odbc")]
#[tokio::test]
async fn keeps_no_more_threads_than_connections_in_a_driver_that_cannot_be_stopped() {
    let fixture = Fixture::by_odbc(Engine::Sqlite).await.unwrap();
    let granted = fixture.granted(|grant| {
        grant.connections_max = 1;
        grant.acquire_time_max = Duration::from_millis(300);
    });
    let endless = fixture.slow();
    for expected in [SqlError::Deadline, SqlError::Busy, SqlError::Busy] {
        let deadline = Instant::now() + Duration::from_secs(1);
        let error = granted.database.run(&endless, vec![], deadline, &context()).await.unwrap_err();
        assert_eq!(error, expected);
    }
}

/// A server ends a statement itself, should the host not.
#[tokio::test]
async fn server_ends_a_statement_by_itself() {
    for engine in [Engine::Postgres, Engine::Mariadb] {
        let Some(fixture) = Fixture::new(engine).await else { continue };
        let granted = fixture.granted(|grant| grant.statement_time_max = Duration::from_millis(200));
        let error = granted.run_statement(&fixture.slow(), &[]).await.unwrap_err();
        assert_eq!(error, SqlError::Deadline, "{engine}");
        // It has told us, so the connection is as good as before.
        granted.works().await.unwrap();
        assert_eq!(fixture.connections().await, 1, "{engine}");
    }
}

/// Writers of SQLite wait for each other, and not forever.
#[tokio::test]
async fn gives_up_waiting_for_a_lock_of_sqlite() {
    let fixture = Fixture::new(Engine::Sqlite).await.unwrap();
    let granted = fixture.granted(|grant| {
        grant.access = Access::Write;
        grant.acquire_time_max = Duration::from_millis(300);
    });
    let transaction = granted.database.begin(in_time(), &context()).await.unwrap();
    let error = granted.run("mode = \"write\"", "DELETE FROM person", &[]).await.unwrap_err();
    assert_eq!(error, SqlError::Busy);
    drop(transaction);
    fixture.is_quiet().await;
    granted.run("mode = \"write\"", "DELETE FROM person", &[]).await.unwrap();
}
