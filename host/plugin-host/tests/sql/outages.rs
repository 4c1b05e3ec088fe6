//! Databases that are down, and come back.

use std::sync::Arc;

use uuk_bundle::{Access, Engine};
use uuk_plugin_host::capabilities::sql::SqlError;
use uuk_testkit::databases::{MariaDb, PostgreSql};

use crate::fixture::{Fixture, Server, context, in_time};

fn unavailable(reason: &str) -> Result<(), SqlError> {
    Err(SqlError::Unavailable(reason.into()))
}

#[tokio::test]
async fn file_that_is_missing_is_unavailable_until_it_is_there() {
    let fixture = Fixture::new(Engine::Sqlite).await.unwrap();
    let path = fixture.path();
    let aside = path.with_extension("aside");
    std::fs::rename(&path, &aside).unwrap();
    for access in [Access::Read, Access::Write] {
        let granted = fixture.granted(|grant| grant.access = access);
        assert_eq!(granted.works().await, unavailable("the database file cannot be used"));
        assert!(!std::fs::exists(&path).unwrap(), "nor is it created");
    }
    let granted = fixture.reading();
    granted.works().await.unwrap_err();
    std::fs::rename(&aside, &path).unwrap();
    granted.works().await.unwrap();
}

#[tokio::test]
async fn file_that_is_no_database_is_unavailable() {
    let fixture = Fixture::new(Engine::Sqlite).await.unwrap();
    std::fs::write(fixture.path(), "not a database ".repeat(100)).unwrap();
    assert_eq!(fixture.reading().works().await, unavailable("the database file cannot be used"));
}

#[tokio::test]
async fn database_that_does_not_exist_is_unavailable() {
    for engine in [Engine::Postgres, Engine::Mariadb] {
        let Some(fixture) = Fixture::new(engine).await else { continue };
        let granted = fixture.granted(|grant| grant.url.push_str("_missing"));
        assert_eq!(granted.works().await, unavailable("the server has no such database"), "{engine}");
    }
}

#[tokio::test]
async fn survives_a_restart_of_postgresql() {
    if PostgreSql::shared().is_some() {
        let server = Arc::new(PostgreSql::start().unwrap());
        let fixture = Fixture::on(Engine::Postgres, Server::PostgreSql(server));
        survives_a_restart(fixture).await;
    }
}

#[tokio::test]
async fn survives_a_restart_of_mariadb() {
    if MariaDb::shared().is_some() {
        let server = Arc::new(MariaDb::start().unwrap());
        let fixture = Fixture::on(Engine::Mariadb, Server::MariaDb(server));
        survives_a_restart(fixture).await;
    }
}

async fn survives_a_restart(fixture: Fixture) {
    let granted = fixture.reading();
    // Two connections, one idle and one at work when the server goes.
    let slow = fixture.slow();
    let mut cursor = granted.database.open(&slow, vec![], in_time(), &context()).await.unwrap();
    granted.works().await.unwrap();
    fixture.server().stop().unwrap();
    assert!(matches!(cursor.next(1).await, Err(SqlError::Unavailable(_))));
    assert!(matches!(granted.works().await, Err(SqlError::Unavailable(_))));
    assert_eq!(granted.works().await, unavailable("connection refused"));
    fixture.server().start_again().unwrap();
    granted.works().await.unwrap();

    // A restart between two calls breaks at most one of them.
    fixture.server().stop().unwrap();
    fixture.server().start_again().unwrap();
    let failures = [granted.works().await, granted.works().await, granted.works().await];
    assert!(failures.iter().filter(|outcome| outcome.is_err()).count() <= 1, "{failures:?}");
    granted.works().await.unwrap();
}
