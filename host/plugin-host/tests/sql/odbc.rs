//! What only drivers of ODBC have.

use std::sync::Arc;

use uuk_bundle::Engine;
use uuk_plugin_host::capabilities::sql::{Database, SqlError, Value};
use uuk_process::Secret;
use uuk_testkit::databases::{MariaDb, PostgreSql};

use crate::fixture::{Fixture, Server, text};
use crate::types::keeps;

const LONG: &str = "-12345678901234567890123456789012345678.123456789012345678901234567";

#[tokio::test]
async fn values_pass_without_loss() {
    for (engine, bytes, decimal, time, timestamp) in [
        (Engine::Sqlite, "BLOB", "TEXT", "TEXT", "TEXT"),
        (Engine::Postgres, "bytea", "numeric", "time", "timestamptz"),
        (Engine::Mariadb, "BLOB", "DECIMAL(65, 27)", "TIME", "DATETIME(6)"),
    ] {
        let Some(fixture) = Fixture::by_odbc(engine).await else { continue };
        let granted = fixture.writing();
        for (db_type, value) in [
            ("BOOLEAN", Value::Boolean(true)),
            ("BIGINT", Value::Integer(i64::MIN)),
            ("DOUBLE PRECISION", Value::Float(1.1e-300)),
            (decimal, Value::Decimal(LONG.into())),
            ("VARCHAR(100)", text("Ысык-Көл 'x' \\ \" \n 🏔")),
            ("VARCHAR(100)", text("")),
            ("TEXT", text(&"ү".repeat(10_000))),
            (bytes, Value::Bytes(vec![0, 1, 0xff])),
            (bytes, Value::Bytes(vec![7; 10_000])),
            ("DATE", Value::Date("2024-02-29".into())),
            (time, Value::Time("23:59:59".into())),
            (timestamp, Value::Timestamp("2024-02-29T23:59:59.123456Z".into())),
            ("VARCHAR(100)", Value::Json(r#"{"b": 1, "a": [null]}"#.into())),
        ] {
            // Its driver gives octets as text.
            if engine != Engine::Sqlite || db_type != bytes {
                keeps(&granted, db_type, value).await;
            }
        }
    }
}

#[tokio::test]
async fn refuses_driver_or_data_source_that_is_not_installed() {
    let fixture = Fixture::by_odbc(Engine::Sqlite).await.unwrap();
    for url in ["odbc:Driver={No Such};Database=x", "odbc:DSN=No Such", "odbc:Driver=/lib/no-such.so"] {
        let grant = fixture.grant(|grant| grant.url = url.into());
        assert_eq!(grant.check().unwrap_err().code(), "sql_connect.odbc_driver", "{url}");
    }
}

#[tokio::test]
async fn refuses_password_in_a_connection_string() {
    let fixture = Fixture::by_odbc(Engine::Sqlite).await.unwrap();
    for attribute in ["PWD=hunter2", "Password = hunter2"] {
        let grant = fixture.grant(|grant| grant.url.extend([";", attribute]));
        let error = Database::connect(grant, tokio_util::task::TaskTracker::new()).unwrap_err();
        assert_eq!(error.code(), "sql_connect.password_in_address", "{attribute}");
        assert!(!error.to_string().contains("hunter2"));
    }
}

#[tokio::test]
async fn does_not_tell_a_login_that_a_server_refuses() {
    for engine in [Engine::Postgres, Engine::Mariadb] {
        let Some(fixture) = Fixture::by_odbc(engine).await else { continue };
        let granted = fixture.granted(|grant| grant.password = Some(Secret::new("hunter2".into())));
        let error = granted.works().await.unwrap_err();
        assert!(matches!(&error, SqlError::Unavailable(reason) if reason.contains("login")), "{error:?}");
    }
}

#[tokio::test]
async fn survives_a_restart() {
    if PostgreSql::shared().is_none() || MariaDb::shared().is_none() {
        return;
    }
    for (engine, server) in [
        (Engine::Postgres, Server::PostgreSql(Arc::new(PostgreSql::start().unwrap()))),
        (Engine::Mariadb, Server::MariaDb(Arc::new(MariaDb::start().unwrap()))),
    ] {
        let fixture = Fixture::on(engine, server).through_odbc();
        let granted = fixture.reading();
        granted.works().await.unwrap();
        fixture.server().stop().unwrap();
        for _ in 0..2 {
            let error = granted.works().await.unwrap_err();
            assert!(matches!(error, SqlError::Unavailable(_)), "{engine}: {error:?}");
        }
        fixture.server().start_again().unwrap();
        granted.works().await.unwrap();
    }
}
