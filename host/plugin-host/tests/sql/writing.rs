//! Writing, transactions, and who may not write.

use uuk_bundle::Access;
use uuk_plugin_host::capabilities::sql::{DbError, SqlError, Value};

use crate::fixture::{Fixture, Granted, context, in_time, named, text};
use crate::on_every_engine;

on_every_engine! {
    writes_at_once
    refuses_writing_statement_on_a_reading_grant
    database_refuses_a_write_by_a_reading_statement
    database_refuses_a_write_on_a_reading_grant
    tells_which_constraint_is_violated
    never_quotes_a_value
    commits_a_transaction
    rolls_a_dropped_transaction_back
    ends_a_transaction_at_the_first_failure
    reads_its_own_writes_in_a_transaction
    refuses_a_write_by_a_reading_statement_in_a_transaction
    refuses_transaction_on_a_reading_grant
}

const INSERT: &str = "INSERT INTO person (pin, name, age, region) VALUES (:pin, :name, :age, :region)";
const INSERTS: &str = r#"mode = "write"
params = { pin = "text", name = "text?", age = "integer?", region = "text?" }"#;

fn person(pin: &str, name: Value, age: Value, region: Value) -> [(&'static str, Value); 4] {
    [("pin", text(pin)), ("name", name), ("age", age), ("region", region)]
}

fn daniyar() -> [(&'static str, Value); 4] {
    person("40", text("Daniyar"), Value::Integer(1), Value::Null)
}

async fn writes_at_once(fixture: Fixture) {
    let rows = fixture.writing().run(INSERTS, INSERT, &daniyar()).await.unwrap();
    assert_eq!((rows.columns.len(), rows.rows.len()), (0, 0));
    assert_eq!(fixture.count_people().await, "4");
}

async fn refuses_writing_statement_on_a_reading_grant(fixture: Fixture) {
    let error = fixture.reading().run(INSERTS, INSERT, &daniyar()).await.unwrap_err();
    assert_eq!(error, SqlError::NotGranted("writing to this datasource".into()));
    assert_eq!(fixture.connections().await, 0, "it does not even connect");
}

/// The statement claims to read, so nothing but the database stands in its way.
async fn claims_to_read(granted: &Granted<'_>) -> DbError {
    for sql in ["DELETE FROM person", "UPDATE person SET name = 'x'", "INSERT INTO region VALUES ('01')"] {
        let error = granted.run("mode = \"read\"", sql, &[]).await.unwrap_err();
        assert!(matches!(&error, SqlError::Rejected(error) if error.sqlstate == "25006"), "{sql}: {error:?}");
    }
    let error = granted.run("mode = \"read\"", "DELETE FROM person", &[]).await.unwrap_err();
    let SqlError::Rejected(error) = error else { panic!("{error:?}") };
    error
}

async fn database_refuses_a_write_by_a_reading_statement(fixture: Fixture) {
    let granted = fixture.writing();
    claims_to_read(&granted).await;
    fixture.is_quiet().await;
    assert_eq!(fixture.count_people().await, "3");
    // The same connections still write where a statement says so.
    granted.run(INSERTS, INSERT, &daniyar()).await.unwrap();
    assert_eq!(fixture.count_people().await, "4");
}

async fn database_refuses_a_write_on_a_reading_grant(fixture: Fixture) {
    let granted = fixture.reading();
    let error = claims_to_read(&granted).await;
    assert!(error.message.to_lowercase().contains("read"), "{error:?}");
    assert_eq!(fixture.count_people().await, "3");
}

async fn tells_which_constraint_is_violated(fixture: Fixture) {
    let granted = fixture.writing();
    for (values, sqlstate) in [
        (person("10", text("x"), Value::Null, Value::Null), "23505"),
        (person("40", Value::Null, Value::Null, Value::Null), "23502"),
        (person("40", text("x"), Value::Integer(-1), Value::Null), "23514"),
        (person("40", text("x"), Value::Null, text("99")), "23503"),
    ] {
        let error = granted.run(INSERTS, INSERT, &values).await.unwrap_err();
        let SqlError::Rejected(error) = error else { panic!("{error:?}") };
        assert_eq!(error.sqlstate, sqlstate, "{error:?}");
    }
    let error = granted.run(INSERTS, INSERT, &person("40", text("x"), Value::Integer(-1), Value::Null)).await;
    let Err(SqlError::Rejected(error)) = error else { panic!("{error:?}") };
    assert_eq!(error.constraint.as_deref(), Some("some_age"));
    assert!(fixture.connections().await <= 1, "a refused statement costs no connection");
}

async fn never_quotes_a_value(fixture: Fixture) {
    let secret = "21212198001234";
    let granted = fixture.writing();
    let values = person(secret, text("x"), Value::Null, Value::Null);
    granted.run(INSERTS, INSERT, &values).await.unwrap();
    let duplicate = granted.run(INSERTS, INSERT, &values).await.unwrap_err();
    let too_long = person(&secret.repeat(2), text("x"), Value::Null, Value::Null);
    let too_long = granted.run(INSERTS, INSERT, &too_long).await;
    for error in [Some(duplicate), too_long.err()].into_iter().flatten() {
        assert!(!format!("{error:?} {error}").contains(secret), "{error:?}");
    }
}

async fn commits_a_transaction(fixture: Fixture) {
    let granted = fixture.writing();
    let insert = fixture.statement(INSERTS, INSERT);
    let mut transaction = granted.database.begin(in_time(), &context()).await.unwrap();
    transaction.run(&insert, named(&daniyar()), in_time()).await.unwrap();
    let eldiyar = person("50", text("Eldiyar"), Value::Null, Value::Null);
    transaction.run(&insert, named(&eldiyar), in_time()).await.unwrap();
    assert_eq!(fixture.count_people().await, "3", "nobody sees it before");
    transaction.commit(in_time()).await.unwrap();
    assert_eq!(fixture.count_people().await, "5");
    granted.works().await.unwrap();
    assert!(fixture.connections().await <= 1);
}

async fn rolls_a_dropped_transaction_back(fixture: Fixture) {
    let granted = fixture.granted(|grant| {
        grant.access = Access::Write;
        grant.connections_max = 1;
    });
    let insert = fixture.statement(INSERTS, INSERT);
    let mut transaction = granted.database.begin(in_time(), &context()).await.unwrap();
    transaction.run(&insert, named(&daniyar()), in_time()).await.unwrap();
    drop(transaction);
    fixture.is_quiet().await;
    assert_eq!(fixture.count_people().await, "3");
    // The connection was kept, and nothing is open on it.
    granted.run_statement(&insert, &daniyar()).await.unwrap();
    assert_eq!(fixture.count_people().await, "4");
}

async fn ends_a_transaction_at_the_first_failure(fixture: Fixture) {
    let granted = fixture.writing();
    let insert = fixture.statement(INSERTS, INSERT);
    let mut transaction = granted.database.begin(in_time(), &context()).await.unwrap();
    transaction.run(&insert, named(&daniyar()), in_time()).await.unwrap();
    let again = transaction.run(&insert, named(&daniyar()), in_time()).await.unwrap_err();
    assert!(matches!(again, SqlError::Rejected(error) if error.sqlstate == "23505"));
    let is_aborted =
        |error: &SqlError| matches!(error, SqlError::Rejected(error) if error.sqlstate == "25P02");
    let more = transaction.run(&insert, named(&daniyar()), in_time()).await.unwrap_err();
    assert!(is_aborted(&more), "{more:?}");
    let commit = transaction.commit(in_time()).await.unwrap_err();
    assert!(is_aborted(&commit), "{commit:?}");
    fixture.is_quiet().await;
    assert_eq!(fixture.count_people().await, "3");
}

async fn reads_its_own_writes_in_a_transaction(fixture: Fixture) {
    let granted = fixture.writing();
    let insert = fixture.statement(INSERTS, INSERT);
    let count = fixture.statement(r#"row = { n = "integer" }"#, "SELECT COUNT(*) AS n FROM person");
    let mut transaction = granted.database.begin(in_time(), &context()).await.unwrap();
    transaction.run(&insert, named(&daniyar()), in_time()).await.unwrap();
    let rows = transaction.run(&count, vec![], in_time()).await.unwrap();
    assert_eq!(rows.rows, [[Value::Integer(4)]]);
}

async fn refuses_a_write_by_a_reading_statement_in_a_transaction(fixture: Fixture) {
    let granted = fixture.writing();
    let mut transaction = granted.database.begin(in_time(), &context()).await.unwrap();
    for (row, sql) in [
        ("", "DELETE FROM person"),
        (r#"row = { pin = "text" }"#, "DELETE FROM person RETURNING pin"),
        (r#"row = { pin = "text" }"#, "WITH gone AS (DELETE FROM person RETURNING pin) SELECT pin FROM gone"),
    ] {
        let claims_to_read = fixture.statement(&format!("mode = \"read\"\n{row}"), sql);
        let error = transaction.run(&claims_to_read, vec![], in_time()).await.unwrap_err();
        assert_eq!(error, SqlError::NotGranted("writing by a statement declared as reading".into()), "{sql}");
    }
    transaction.commit(in_time()).await.unwrap();
    assert_eq!(fixture.count_people().await, "3");
}

async fn refuses_transaction_on_a_reading_grant(fixture: Fixture) {
    let error = fixture.reading().database.begin(in_time(), &context()).await.unwrap_err();
    assert_eq!(error, SqlError::NotGranted("writing to this datasource".into()));
}
