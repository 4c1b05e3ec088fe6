//! What a grant allows and what it must contain.

use tokio_util::task::TaskTracker;
use uuk_bundle::{Access, Engine};
use uuk_plugin_host::capabilities::sql::{Database, DatabaseGrant, SqlError, Value};
use uuk_process::Secret;
use uuk_testkit::databases::PASSWORD;

use crate::fixture::{Fixture, context, in_time, text};
use crate::on_every_engine;

on_every_engine! {
    runs_free_sql_by_position
    refuses_free_sql_that_is_not_granted
    refuses_two_statements_in_free_sql
    refuses_malformed_value_of_free_sql
    database_refuses_a_write_by_free_sql
    does_not_print_a_password
    refuses_grant_without_connections
    refuses_address_of_another_engine
}

async fn runs_free_sql_by_position(fixture: Fixture) {
    let granted = fixture.granted(|grant| grant.free_sql = true);
    let (first, second) = fixture.placeholders();
    let sql =
        format!("SELECT name, children FROM person WHERE pin = {first} OR pin = {second} ORDER BY pin;");
    let params = vec![text("10"), text("20")];
    let rows = granted.database.query_text(&sql, params, in_time(), &context()).await.unwrap();
    let names: Vec<&str> = rows.columns.iter().map(|column| &*column.name).collect();
    assert_eq!(names, ["name", "children"]);
    assert_eq!(rows.rows, [[text("Айгүл"), Value::Integer(2)], [text("Bakyt"), Value::Null]]);
}

async fn refuses_free_sql_that_is_not_granted(fixture: Fixture) {
    let error =
        fixture.reading().database.query_text("SELECT 1", vec![], in_time(), &context()).await.unwrap_err();
    assert_eq!(error, SqlError::NotGranted("free SQL".into()));
}

async fn refuses_two_statements_in_free_sql(fixture: Fixture) {
    let granted = fixture.granted(|grant| grant.free_sql = true);
    let error =
        granted.database.query_text("SELECT 1; SELECT 2", vec![], in_time(), &context()).await.unwrap_err();
    let SqlError::Rejected(error) = error else { panic!("{error:?}") };
    assert_eq!(error.sqlstate, "42601");
    assert!(error.message.starts_with("1:11: a second statement"), "{error:?}");
}

async fn refuses_malformed_value_of_free_sql(fixture: Fixture) {
    let granted = fixture.granted(|grant| grant.free_sql = true);
    let (first, second) = fixture.placeholders();
    let sql = format!("SELECT {first}, {second}");
    let params = vec![Value::Null, Value::Date("yesterday".into())];
    let error = granted.database.query_text(&sql, params, in_time(), &context()).await.unwrap_err();
    assert_eq!(error, SqlError::BadParameter("2".into()));
}

async fn database_refuses_a_write_by_free_sql(fixture: Fixture) {
    for access in [Access::Read, Access::Write] {
        let granted = fixture.granted(|grant| {
            grant.free_sql = true;
            grant.access = access;
        });
        let error = granted
            .database
            .query_text("DELETE FROM person", vec![], in_time(), &context())
            .await
            .unwrap_err();
        assert!(matches!(&error, SqlError::Rejected(error) if error.sqlstate == "25006"), "{error:?}");
        fixture.is_quiet().await;
        assert_eq!(fixture.count_people().await, "3");
    }
}

/// What a function does to the session within free SQL does not outlast it.
#[tokio::test]
async fn free_sql_leaves_no_trace_in_a_session_of_postgresql() {
    let Some(fixture) = Fixture::new(Engine::Postgres).await else { return };
    fixture
        .execute(
            "CREATE FUNCTION sneak() RETURNS text LANGUAGE sql
             RETURN set_config('default_transaction_read_only', 'off', false)",
        )
        .await;
    let granted = fixture.granted(|grant| {
        grant.free_sql = true;
        grant.connections_max = 1;
    });
    granted.database.query_text("SELECT sneak()", vec![], in_time(), &context()).await.unwrap();
    let error = granted.run("mode = \"read\"", "DELETE FROM person", &[]).await.unwrap_err();
    assert!(matches!(&error, SqlError::Rejected(error) if error.sqlstate == "25006"), "{error:?}");
}

#[tokio::test]
async fn tells_postgresql_on_whose_account_a_statement_runs() {
    let Some(fixture) = Fixture::new(Engine::Postgres).await else { return };
    let sql = "SELECT current_setting('uuk.client', true) AS client, current_setting('uuk.user', true) AS person,
                      current_setting('uuk.purpose', true) AS purpose, current_setting('application_name') AS name";
    let row = r#"row = { client = "text?", person = "text?", purpose = "text?", name = "text" }"#;
    for access in [Access::Read, Access::Write] {
        let granted = fixture.granted(|grant| {
            grant.session_variables = true;
            grant.access = access;
        });
        let rows = granted.run(row, sql, &[]).await.unwrap();
        let name = text("uuk:kg.example.people@1.0.0:KG-7f3a");
        let expected = [text("KG/GOV/10000001/tax"), text("KG21212198001234"), text("benefit"), name];
        assert_eq!(rows.rows, [expected]);
    }
    let rows = fixture.reading().run(row, sql, &[]).await.unwrap();
    assert_eq!(rows.rows, [[Value::Null, Value::Null, Value::Null, text("uuk:kg.example.people@1.0.0")]]);
}

async fn does_not_print_a_password(fixture: Fixture) {
    let granted = fixture.writing();
    let transaction = granted.database.begin(in_time(), &context()).await.unwrap();
    assert!(!format!("{:?} {transaction:?}", granted.database).contains(PASSWORD));
}

#[track_caller]
fn refuses(fixture: &Fixture, code: &str, adapt: impl FnOnce(&mut DatabaseGrant)) {
    let error = Database::connect(fixture.grant(adapt), TaskTracker::new()).unwrap_err();
    assert_eq!(error.code(), code);
    assert!(!error.to_string().contains("hunter2"));
}

async fn refuses_grant_without_connections(fixture: Fixture) {
    refuses(&fixture, "sql_connect.no_connections", |grant| grant.connections_max = 0);
}

async fn refuses_address_of_another_engine(fixture: Fixture) {
    let wrong = if fixture.engine() == Engine::Sqlite { "postgres://db/people" } else { "sqlite:people.db" };
    refuses(&fixture, "sql_connect.address", |grant| grant.url = wrong.into());
}

#[tokio::test]
async fn refuses_password_in_an_address() {
    let Some(fixture) = Fixture::new(Engine::Postgres).await else { return };
    for url in ["postgres://uuk:hunter2@db/people", "postgres://db/people?password=hunter2"] {
        refuses(&fixture, "sql_connect.password_in_address", |grant| grant.url = url.into());
    }
}

#[tokio::test]
async fn refuses_server_without_user() {
    let Some(fixture) = Fixture::new(Engine::Mariadb).await else { return };
    refuses(&fixture, "sql_connect.no_user", |grant| grant.user = None);
}

#[tokio::test]
async fn refuses_session_variables_where_there_are_none() {
    let fixture = Fixture::new(Engine::Sqlite).await.unwrap();
    refuses(&fixture, "sql_connect.session_variables", |grant| grant.session_variables = true);
}

#[tokio::test]
async fn does_not_tell_the_login_that_a_server_refuses() {
    for engine in [Engine::Postgres, Engine::Mariadb] {
        let Some(fixture) = Fixture::new(engine).await else { continue };
        let granted = fixture.granted(|grant| grant.password = Some(Secret::new("hunter2".into())));
        let error = granted.works().await.unwrap_err();
        assert_eq!(error, SqlError::Unavailable("the server refused the login".into()), "{engine}");
    }
}
