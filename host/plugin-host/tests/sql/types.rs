//! Every type of every engine, both ways.

use uuk_bundle::Engine;
use uuk_plugin_host::capabilities::sql::{SqlError, Value};

use crate::fixture::{Fixture, Granted, text};

const UUID: &str = "f81d4fae-7dec-11d0-a765-00a0c91e6bf6";

fn decimal(text: &str) -> Value {
    Value::Decimal(text.into())
}

fn date(text: &str) -> Value {
    Value::Date(text.into())
}

fn time(text: &str) -> Value {
    Value::Time(text.into())
}

fn timestamp(text: &str) -> Value {
    Value::Timestamp(text.into())
}

fn uuid() -> Value {
    Value::Uuid(UUID.into())
}

fn json(text: &str) -> Value {
    Value::Json(text.into())
}

fn scalar(value: &Value) -> &'static str {
    match value {
        Value::Boolean(_) => "boolean",
        Value::Integer(_) => "integer",
        Value::Float(_) => "float",
        Value::Decimal(_) => "decimal",
        Value::Text(_) => "text",
        Value::Bytes(_) => "bytes",
        Value::Date(_) => "date",
        Value::Time(_) => "time",
        Value::Timestamp(_) => "timestamp",
        Value::Uuid(_) => "uuid",
        Value::Json(_) => "json",
        Value::Null | Value::Other(..) => panic!("{value:?} has no scalar type"),
    }
}

/// Writes `value` to a column of `db_type`, finds it there by the same parameter, and reads it back; null too.
pub(crate) async fn keeps(granted: &Granted<'_>, db_type: &str, value: Value) {
    let fixture = granted.fixture;
    let scalar = scalar(&value);
    fixture.execute(&format!("DROP TABLE IF EXISTS kept; CREATE TABLE kept (v {db_type})")).await;
    let insert = format!("mode = \"write\"\nparams = {{ v = \"{scalar}?\" }}");
    let read = format!("row = {{ v = \"{scalar}?\" }}");
    for value in [value, Value::Null] {
        granted.run("mode = \"write\"", "DELETE FROM kept", &[]).await.unwrap();
        let written = granted.run(&insert, "INSERT INTO kept VALUES (:v)", &[("v", value.clone())]).await;
        written.unwrap_or_else(|error| panic!("{value:?} into {db_type}: {error:?}"));
        let rows = granted.run(&read, &format!("/* {db_type} */ SELECT v FROM kept"), &[]).await;
        let rows = rows.unwrap_or_else(|error| panic!("{value:?} from {db_type}: {error:?}"));
        assert_eq!(rows.rows, [[value]], "{db_type}");
    }
}

/// Reads what an expression of the database gives.
async fn reads(granted: &Granted<'_>, expression: &str, expected: Value) {
    let rows =
        granted.run(&format!("row = {{ v = \"{}\" }}", scalar(&expected)), &query(expression), &[]).await;
    let rows = rows.unwrap_or_else(|error| panic!("{expression}: {error:?}"));
    assert_eq!(rows.rows, [[expected]], "{expression}");
}

async fn refuses(granted: &Granted<'_>, scalar: &str, expression: &str, reason: &str) {
    let outcome = granted.run(&format!("row = {{ v = \"{scalar}\" }}"), &query(expression), &[]).await;
    assert_eq!(outcome, Err(SqlError::Conversion(format!("column `v`: {reason}"))), "{expression}");
}

fn query(expression: &str) -> String {
    format!("SELECT {expression} AS v")
}

/// A decimal with more digits than any type of Rust at hand.
const LONG: &str = "-12345678901234567890123456789012345678.123456789012345678901234567";

#[tokio::test]
async fn postgresql_keeps_values() {
    let Some(fixture) = Fixture::new(Engine::Postgres).await else { return };
    let granted = fixture.writing();
    for (db_type, value) in [
        ("boolean", Value::Boolean(true)),
        ("smallint", Value::Integer(-32768)),
        ("integer", Value::Integer(i32::MAX.into())),
        ("bigint", Value::Integer(i64::MIN)),
        ("real", Value::Float(0.5)),
        ("double precision", Value::Float(1.1e-300)),
        ("numeric", decimal(LONG)),
        ("numeric(10, 2)", decimal("1234.50")),
        ("numeric", decimal("0.00")),
        ("text", text("Ысык-Көл 'x' \\ \" \n")),
        ("varchar(20)", text("")),
        ("char(3)", text("abc")),
        ("bytea", Value::Bytes(vec![0, 1, 0xff])),
        ("date", date("0001-01-01")),
        ("time", time("23:59:59.123456")),
        ("timestamp", timestamp("2024-02-29T23:59:59.123456Z")),
        ("timestamptz", timestamp("9999-12-31T23:59:59Z")),
        ("uuid", uuid()),
        ("json", json(r#"{"b": 1, "a": [null]}"#)),
        ("jsonb", json(r#"{"a": [null], "b": 1}"#)),
    ] {
        keeps(&granted, db_type, value).await;
    }
}

#[tokio::test]
async fn postgresql_gives_values_in_the_declared_type() {
    let Some(fixture) = Fixture::new(Engine::Postgres).await else { return };
    fixture.execute("CREATE TYPE colour AS ENUM ('кызыл', 'blue'); CREATE DOMAIN pin AS varchar(14)").await;
    let granted = fixture.reading();
    reads(&granted, "'кызыл'::colour", text("кызыл")).await;
    reads(&granted, "'10'::pin", text("10")).await;
    reads(&granted, "'a'::name", text("a")).await;
    reads(&granted, "'ab'::char(4)", text("ab  ")).await;
    reads(&granted, "(SELECT sum(n) FROM (VALUES (1::bigint), (2)) AS t(n))", Value::Integer(3)).await;
    reads(&granted, "1::smallint", decimal("1")).await;
    reads(&granted, "'2024-02-29'::text", date("2024-02-29")).await;
    reads(&granted, "'2024-03-01 05:00:00+06'::timestamptz", timestamp("2024-02-29T23:00:00Z")).await;
    reads(&granted, "1000000000000000000000::numeric", decimal("1000000000000000000000")).await;
    reads(
        &granted,
        "0.00000000000000000000000000000001::numeric",
        decimal("0.00000000000000000000000000000001"),
    )
    .await;
    let malformed = "malformed or out of range";
    refuses(&granted, "decimal", "'NaN'::numeric", malformed).await;
    refuses(&granted, "date", "'infinity'::date", malformed).await;
    refuses(&granted, "timestamp", "'-infinity'::timestamptz", malformed).await;
    refuses(&granted, "time", "'24:00'::time", malformed).await;
    refuses(&granted, "date", "'4000-01-01 BC'::date", malformed).await;
    refuses(&granted, "timestamp", "'12000-01-01'::timestamptz", malformed).await;
    refuses(&granted, "integer", "1.5", "cannot take a decimal as integer").await;
    refuses(&granted, "text", "1", "cannot take an integer as text").await;
    let cast = |name| format!("cannot take PostgreSQL's {name}; cast it to another type in the statement");
    refuses(&granted, "text", "'1 day'::interval", &cast("INTERVAL")).await;
    refuses(&granted, "text", "ARRAY[1]", &cast("INT4[]")).await;
}

#[tokio::test]
async fn mariadb_keeps_values() {
    let Some(fixture) = Fixture::new(Engine::Mariadb).await else { return };
    let granted = fixture.writing();
    for (db_type, value) in [
        ("BOOLEAN", Value::Boolean(true)),
        ("TINYINT", Value::Integer(-128)),
        ("SMALLINT UNSIGNED", Value::Integer(65535)),
        ("MEDIUMINT", Value::Integer(-8_388_608)),
        ("INT", Value::Integer(i32::MIN.into())),
        ("BIGINT", Value::Integer(i64::MIN)),
        ("BIGINT UNSIGNED", Value::Integer(i64::MAX)),
        ("BIT(8)", Value::Integer(5)),
        ("YEAR", Value::Integer(2024)),
        ("FLOAT", Value::Float(0.5)),
        ("DOUBLE", Value::Float(1.1e-300)),
        ("DECIMAL(65, 27)", decimal(LONG)),
        ("DECIMAL(10, 2)", decimal("1234.50")),
        ("TEXT", text("Ысык-Көл 'x' \\ \" \n")),
        ("VARCHAR(20)", text("")),
        ("CHAR(3)", text("abc")),
        ("VARCHAR(20) COLLATE utf8mb4_bin", text("a")),
        ("ENUM('a', 'b')", text("b")),
        ("SET('a', 'b')", text("a,b")),
        ("BLOB", Value::Bytes(vec![0, 1, 0xff])),
        ("VARBINARY(20)", Value::Bytes(vec![0, 1, 0xff])),
        ("DATE", date("1000-01-01")),
        ("TIME(6)", time("23:59:59.123456")),
        ("DATETIME(6)", timestamp("2024-02-29T23:59:59.123456Z")),
        ("TIMESTAMP NULL", timestamp("2024-02-29T23:59:59Z")),
        ("UUID", uuid()),
        ("CHAR(36)", uuid()),
        ("JSON", json(r#"{"b": 1, "a": [null]}"#)),
    ] {
        keeps(&granted, db_type, value).await;
    }
}

#[tokio::test]
async fn mariadb_gives_values_in_the_declared_type() {
    let Some(fixture) = Fixture::new(Engine::Mariadb).await else { return };
    let granted = fixture.reading();
    reads(&granted, "(SELECT SUM(n) FROM (SELECT 1 AS n UNION ALL SELECT 2) AS t)", Value::Integer(3)).await;
    reads(&granted, "TRUE", Value::Boolean(true)).await;
    reads(&granted, "'2024-02-29'", date("2024-02-29")).await;
    reads(&granted, "UNHEX('f81d4fae7dec11d0a76500a0c91e6bf6')", uuid()).await;
    reads(&granted, "'a' 'b' || 0", Value::Integer(0)).await;
    let malformed = "malformed or out of range";
    refuses(&granted, "integer", "CAST(9223372036854775808 AS UNSIGNED)", malformed).await;
    refuses(&granted, "time", "CAST('-01:00:00' AS TIME)", malformed).await;
    refuses(&granted, "time", "CAST('30:00:00' AS TIME)", malformed).await;
    refuses(&granted, "boolean", "2", "cannot take an integer as boolean").await;
    let cast = "cannot take MariaDB's GEOMETRY; cast it to another type in the statement";
    refuses(&granted, "text", "POINT(1, 2)", cast).await;
}

/// Compared as text or as a float, the two would be equal or unordered.
#[tokio::test]
async fn servers_compare_decimals_exactly() {
    for engine in [Engine::Postgres, Engine::Mariadb] {
        let Some(fixture) = Fixture::new(engine).await else { continue };
        let sql = "SELECT CASE WHEN 1234567890123456789.01 < :v THEN 1 ELSE 0 END AS v";
        let declared = "params = { v = \"decimal\" }\nrow = { v = \"integer\" }";
        let value = [("v", decimal("1234567890123456789.02"))];
        let rows = fixture.reading().run(declared, sql, &value).await.unwrap();
        assert_eq!(rows.rows, [[Value::Integer(1)]], "{engine}");
    }
}

#[tokio::test]
async fn sqlite_keeps_values() {
    let fixture = Fixture::new(Engine::Sqlite).await.unwrap();
    let granted = fixture.writing();
    for (db_type, value) in [
        ("BOOLEAN", Value::Boolean(true)),
        ("INTEGER", Value::Integer(i64::MIN)),
        ("REAL", Value::Float(1.1e-300)),
        ("TEXT", decimal(LONG)),
        ("NUMERIC", decimal("1234.5")),
        ("TEXT", text("Ысык-Көл 'x' \\ \" \n")),
        ("BLOB", Value::Bytes(vec![0, 1, 0xff])),
        ("DATE", date("2024-02-29")),
        ("TIME", time("23:59:59.123456")),
        ("DATETIME", timestamp("2024-02-29T23:59:59.123456Z")),
        ("TEXT", uuid()),
        ("", json(r#"{"b": 1, "a": [null]}"#)),
    ] {
        keeps(&granted, db_type, value).await;
    }
}

#[tokio::test]
async fn sqlite_gives_values_in_the_declared_type() {
    let fixture = Fixture::new(Engine::Sqlite).await.unwrap();
    let granted = fixture.reading();
    reads(&granted, "datetime('2024-02-29 23:59:59')", timestamp("2024-02-29T23:59:59Z")).await;
    reads(&granted, "0", Value::Boolean(false)).await;
    reads(&granted, "x'f81d4fae7dec11d0a76500a0c91e6bf6'", uuid()).await;
    reads(&granted, "12.5", decimal("12.5")).await;
    refuses(&granted, "decimal", "0.1 + 0.2", "cannot take a float as decimal").await;
    refuses(&granted, "date", "'soon'", "cannot take text as date").await;
    refuses(&granted, "text", "CAST(x'ff' AS TEXT)", "malformed or out of range").await;
    refuses(&granted, "integer", "'1'", "cannot take text as integer").await;
}
