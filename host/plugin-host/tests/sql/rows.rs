//! What a statement gives, and what it may not give.

use uuk_bundle::Engine;
use uuk_plugin_host::capabilities::sql::{SqlError, Value};

use crate::fixture::{Fixture, context, in_time, named, text};
use crate::on_every_engine;

on_every_engine! {
    gives_columns_as_declared
    leaves_undeclared_columns_behind
    gives_no_rows_but_columns
    runs_again_and_again
    survives_a_change_of_the_tables
    keeps_statements_of_one_text_apart
    refuses_missing_column
    refuses_two_columns_of_one_name
    refuses_column_of_another_type
    refuses_null_where_none_is_declared
    refuses_more_rows_than_declared
    refuses_more_bytes_than_declared
    refuses_bad_parameter_before_connecting
    refuses_statement_of_another_datasource
    reads_a_cursor_in_pages
    tells_a_cursor_what_went_wrong
    holds_a_cursor_to_the_limits_of_its_statement
}

const PERSON: &str = r#"params = { pin = "text" }
row = { children = "integer?", name = "text" }"#;

const BY_PIN: &str = "SELECT name, pin, children FROM person WHERE pin = :pin";

async fn gives_columns_as_declared(fixture: Fixture) {
    let rows = fixture.reading().run(PERSON, BY_PIN, &[("pin", text("10"))]).await.unwrap();
    let columns: Vec<_> =
        rows.columns.iter().map(|column| (&*column.name, &*column.db_type, column.nullable)).collect();
    assert_eq!(columns, [("children", "integer", Some(true)), ("name", "text", Some(false))]);
    assert_eq!(rows.rows, [[Value::Integer(2), text("Айгүл")]]);
}

async fn leaves_undeclared_columns_behind(fixture: Fixture) {
    let rows = fixture
        .reading()
        .run(r#"row = { pin = "text" }"#, "SELECT name, pin FROM person ORDER BY pin", &[])
        .await;
    assert_eq!(rows.unwrap().rows, [[text("10")], [text("20")], [text("30")]]);
}

async fn gives_no_rows_but_columns(fixture: Fixture) {
    let rows = fixture.reading().run(PERSON, BY_PIN, &[("pin", text("99"))]).await.unwrap();
    assert_eq!((rows.columns.len(), rows.rows.len()), (2, 0));
}

async fn runs_again_and_again(fixture: Fixture) {
    let database = fixture.reading();
    let statement = fixture.statement(PERSON, BY_PIN);
    for pin in ["10", "20", "30", "10", "20", "30"] {
        let rows = database.run_statement(&statement, &[("pin", text(pin))]).await.unwrap();
        assert_eq!(rows.rows.len(), 1);
    }
    // One at a time needs one connection.
    assert!(fixture.connections().await <= 1);
}

async fn survives_a_change_of_the_tables(fixture: Fixture) {
    let granted = fixture.granted(|grant| grant.connections_max = 1);
    let sql = "SELECT name FROM person WHERE pin = '10'";
    let statement = fixture.statement(r#"row = { name = "text" }"#, sql);
    for change in ["ADD COLUMN born DATE", "DROP COLUMN children", "RENAME COLUMN name TO first_name"] {
        assert_eq!(granted.run_statement(&statement, &[]).await.unwrap().rows, [[text("Айгүл")]]);
        fixture.execute(&format!("ALTER TABLE person {change}")).await;
    }
    let error = granted.run_statement(&statement, &[]).await.unwrap_err();
    assert!(matches!(&error, SqlError::Rejected(error) if error.message.contains("name")), "{error:?}");
}

/// There it breaks what connections have prepared.
#[tokio::test]
async fn survives_a_change_of_a_type_of_postgresql() {
    let Some(fixture) = Fixture::new(Engine::Postgres).await else { return };
    let granted = fixture.reading();
    granted.works().await.unwrap();
    fixture.execute("ALTER TABLE person ALTER COLUMN name TYPE text").await;
    assert_eq!(granted.works().await, Err(SqlError::Unavailable("its tables have changed".into())));
    granted.works().await.unwrap();
}

/// Its driver ends its thread with a panic then; that must not look like a result without rows.
#[tokio::test]
async fn tells_when_the_thread_of_sqlite_is_gone() {
    let fixture = Fixture::new(Engine::Sqlite).await.unwrap();
    let granted = fixture.granted(|grant| {
        grant.free_sql = true;
        grant.connections_max = 1;
    });
    let all =
        async || granted.database.query_text("SELECT * FROM person", vec![], in_time(), &context()).await;
    assert_eq!(all().await.unwrap().rows.len(), 3);
    fixture.execute("ALTER TABLE person ADD COLUMN born DATE").await;
    assert_eq!(all().await, Err(SqlError::Unavailable("connection lost".into())));
    assert_eq!(all().await.unwrap().rows.len(), 3);
}

/// Two versions of a plugin may declare different types for the same text, and share connections.
async fn keeps_statements_of_one_text_apart(fixture: Fixture) {
    let granted = fixture.granted(|grant| grant.connections_max = 1);
    let sql = "SELECT name FROM person WHERE :v IS NOT NULL";
    for (scalar, value) in
        [("text", text("a")), ("integer", Value::Integer(1)), ("date", Value::Date("2024-02-29".into()))]
    {
        // By ODBC, it would be told no type of a text, and finds none here.
        if scalar == "text" && fixture.is_by_odbc() && fixture.engine() == Engine::Postgres {
            continue;
        }
        let declared = format!("params = {{ v = \"{scalar}\" }}\nrow = {{ name = \"text\" }}");
        assert_eq!(granted.run(&declared, sql, &[("v", value)]).await.unwrap().rows.len(), 3);
    }
}

/// Runs a query that gives something else than `row` declares, twice: the connection serves on.
#[track_caller]
fn refuses<'f>(
    fixture: &'f Fixture,
    row: &'f str,
    sql: &'f str,
    message: &'f str,
) -> impl Future<Output = ()> + 'f {
    let caller = std::panic::Location::caller();
    async move {
        let database = fixture.reading();
        for _ in 0..2 {
            let error = database.run(&format!("row = {row}"), sql, &[]).await.unwrap_err();
            assert_eq!(error, SqlError::Conversion(message.into()), "{caller}");
        }
        database.works().await.unwrap();
        fixture.is_quiet().await;
    }
}

async fn refuses_missing_column(fixture: Fixture) {
    let row = r#"{ pin = "text", born = "date" }"#;
    refuses(&fixture, row, "SELECT pin FROM person", "the result has no column `born`").await;
}

async fn refuses_two_columns_of_one_name(fixture: Fixture) {
    let sql = "SELECT a.pin, b.pin FROM person a JOIN person b ON a.pin = b.pin";
    refuses(&fixture, r#"{ pin = "text" }"#, sql, "the result has two columns `pin`").await;
}

async fn refuses_column_of_another_type(fixture: Fixture) {
    let row = r#"{ name = "integer" }"#;
    refuses(&fixture, row, "SELECT name FROM person", "column `name`: cannot take text as integer").await;
}

async fn refuses_null_where_none_is_declared(fixture: Fixture) {
    let row = r#"{ children = "integer" }"#;
    let sql = "SELECT children FROM person WHERE pin = '20'";
    refuses(&fixture, row, sql, "column `children`: cannot take null as integer").await;
}

async fn refuses_more_rows_than_declared(fixture: Fixture) {
    let database = fixture.reading();
    let declared = |max| format!("row = {{ n = \"integer\" }}\nmax_rows = {max}");
    let rows = database.run(&declared(7), &fixture.numbers(7), &[]).await.unwrap();
    assert_eq!(rows.rows.len(), 7);
    // Even if the database has only begun.
    for count in [8, 1_000_000_000] {
        let error = database.run(&declared(7), &fixture.numbers(count), &[]).await.unwrap_err();
        assert_eq!(error, SqlError::TooManyRows(7));
    }
    fixture.is_quiet().await;
    database.works().await.unwrap();
}

async fn refuses_more_bytes_than_declared(fixture: Fixture) {
    let database = fixture.reading();
    let declared = "row = { name = \"text\" }\nmax_bytes = \"10B\"";
    let rows = database.run(declared, "SELECT 'aaaaaaaaaa' AS name", &[]).await.unwrap();
    assert_eq!(rows.rows.len(), 1);
    for sql in ["SELECT 'aaaaaaaaaaa' AS name", "SELECT name FROM person"] {
        let error = database.run(declared, sql, &[]).await.unwrap_err();
        assert_eq!(error, SqlError::TooManyBytes(10));
    }
    database.works().await.unwrap();
}

async fn refuses_bad_parameter_before_connecting(fixture: Fixture) {
    let error = fixture.reading().run(PERSON, BY_PIN, &[("pin", Value::Integer(10))]).await.unwrap_err();
    assert_eq!(error, SqlError::BadParameter("pin".into()));
    assert_eq!(fixture.connections().await, 0);
}

async fn refuses_statement_of_another_datasource(fixture: Fixture) {
    let statement =
        fixture.try_statement("archive", r#"row = { name = "text" }"#, "SELECT name FROM person").unwrap();
    let error = fixture.reading().run_statement(&statement, &[]).await.unwrap_err();
    assert_eq!(error, SqlError::NotGranted("a statement of another datasource".into()));
}

async fn reads_a_cursor_in_pages(fixture: Fixture) {
    let granted = fixture.reading();
    let statement = fixture.statement("row = { n = \"integer\" }\nmax_rows = 100", &fixture.numbers(100));
    let mut cursor = granted.database.open(&statement, vec![], in_time(), &context()).await.unwrap();
    assert_eq!(cursor.columns().len(), 1);
    let mut pages = Vec::new();
    loop {
        let page = cursor.next(40).await.unwrap();
        if page.is_empty() {
            break;
        }
        pages.push(page.len());
    }
    assert_eq!(pages, [40, 40, 20]);
    drop(cursor);
    fixture.is_quiet().await;
    granted.works().await.unwrap();
    assert!(fixture.connections().await <= 1);
}

async fn tells_a_cursor_what_went_wrong(fixture: Fixture) {
    let granted = fixture.reading();
    let statement = fixture.statement(PERSON, "SELECT nmae FROM person WHERE pin = :pin");
    let params = named(&[("pin", text("10"))]);
    let mut cursor = granted.database.open(&statement, params, in_time(), &context()).await.unwrap();
    assert!(matches!(cursor.next(1).await, Err(SqlError::Rejected(_))));
    assert_eq!(cursor.next(1).await, Ok(vec![]), "nothing comes after an error");
}

async fn holds_a_cursor_to_the_limits_of_its_statement(fixture: Fixture) {
    let granted = fixture.reading();
    let declared = "row = { n = \"integer\" }\nmax_rows = 100";
    let statement = fixture.statement(declared, &fixture.numbers(1_000_000_000));
    let mut cursor = granted.database.open(&statement, vec![], in_time(), &context()).await.unwrap();
    assert_eq!(cursor.next(100).await.unwrap().len(), 100);
    assert_eq!(cursor.next(1).await, Err(SqlError::TooManyRows(100)));
    fixture.is_quiet().await;
}
