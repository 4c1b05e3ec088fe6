use std::str::FromStr;
use std::time::Duration;

use chrono::{DateTime, NaiveDate, NaiveDateTime, NaiveTime, Utc};
use rust_decimal::Decimal;
use sqlx::encode::IsNull;
use sqlx::error::BoxDynError;
use sqlx::mysql::types::MySqlTime;
use sqlx::mysql::{
    MySqlArguments, MySqlConnectOptions, MySqlConnection, MySqlDatabaseError, MySqlQueryResult, MySqlRow,
    MySqlSslMode, MySqlTypeInfo, MySqlValueRef,
};
use sqlx::{
    Arguments, AssertSqlSafe, ConnectOptions, Connection, Decode, Encode, Executor, MySql, Row, Type,
    TypeInfo, ValueRef,
};
use uuk_bundle::{Access, Scalar};
use uuk_process::Secret;

use super::argument::Argument;
use super::error::{Condition, Failure, Refusal};
use super::reader::{DriverRow, DriverRows, Query, columns};
use super::session::{Ending, Unit};
use super::{ConnectError, DatabaseGrant, SqlError, Value, conversion};

/// The rules of every session, whatever the server's default: above all those by which the text of the statements
/// was read, which `ANSI_QUOTES` and `NO_BACKSLASH_ESCAPES` would change.
const SQL_MODE: &str = "STRICT_TRANS_TABLES,ERROR_FOR_DIVISION_BY_ZERO,NO_ENGINE_SUBSTITUTION";

/// How to open connections, and what holds for each session.
#[derive(Debug)]
pub(super) struct MariadbOptions {
    /// They hold the password.
    options: Secret<MySqlConnectOptions>,
    access: Access,
    statement_time_max: Duration,
}

impl MariadbOptions {
    pub(super) fn of(grant: &DatabaseGrant) -> Result<Self, ConnectError> {
        if !grant.url.starts_with("mysql:") && !grant.url.starts_with("mariadb:") {
            return Err(grant.wrong_address());
        }
        let options = MySqlConnectOptions::from_str(&grant.url).map_err(|_| grant.wrong_address())?;
        let is_local = options.get_socket().is_some();
        let options = if !is_local && grant.must_verify_server(options.get_host()) {
            options.ssl_mode(MySqlSslMode::VerifyIdentity)
        } else {
            options
        };
        let options = options
            .username(grant.user.as_deref().unwrap_or_default())
            .password(grant.password.as_ref().map_or("", |password| password.expose()))
            .pipes_as_concat(false)
            .no_engine_substitution(false)
            // A timestamp is UTC, on the way in and out.
            .timezone(Some("+00:00".to_owned()))
            .disable_statement_logging();
        let options = Secret::new(options);
        Ok(Self { options, access: grant.access, statement_time_max: grant.statement_time_max })
    }
}

/// A connection to a server, MariaDB or MySQL.
#[derive(Debug)]
pub(super) struct MariadbSession {
    connection: MySqlConnection,
    /// The server's number of this connection.
    id: u64,
    options: Secret<MySqlConnectOptions>,
}

impl MariadbSession {
    pub(super) async fn connect(options: &MariadbOptions) -> Result<Self, sqlx::Error> {
        let mut connection = options.options.expose().connect().await?;
        let (id, version): (u64, String) = sqlx::query_as("SELECT CONNECTION_ID(), VERSION()")
            .persistent(false)
            .fetch_one(&mut connection)
            .await?;
        // Made of constants and a number.
        let set = AssertSqlSafe(session_rules(&version, options.statement_time_max));
        sqlx::raw_sql(set).execute(&mut connection).await?;
        if options.access == Access::Read {
            sqlx::raw_sql("SET SESSION TRANSACTION READ ONLY").execute(&mut connection).await?;
        }
        Ok(Self { connection, id, options: options.options.clone() })
    }

    pub(super) fn fetch<'s>(
        &'s mut self,
        query: &Query<'_>,
    ) -> Result<DriverRows<'s, MySqlQueryResult, MySqlRow>, BoxDynError> {
        let mut arguments = MySqlArguments::default();
        for argument in query.arguments {
            Arguments::add(&mut arguments, argument)?;
        }
        let prepared = sqlx::query_with(query.sql.clone(), arguments).persistent(query.persistent);
        Ok((&mut self.connection).fetch_many(prepared))
    }

    pub(super) async fn begin(&mut self, unit: Unit) -> Result<(), sqlx::Error> {
        let begin = match unit {
            Unit::ReadOnly => "START TRANSACTION READ ONLY",
            Unit::ReadWrite => "START TRANSACTION READ WRITE",
        };
        sqlx::raw_sql(begin).execute(&mut self.connection).await?;
        Ok(())
    }

    pub(super) async fn end(&mut self, ending: Ending) -> Result<(), sqlx::Error> {
        sqlx::raw_sql(ending.sql()).execute(&mut self.connection).await?;
        Ok(())
    }

    pub(super) async fn ping(&mut self) -> Result<(), sqlx::Error> {
        self.connection.ping().await
    }

    /// The server would not notice a closed socket before it has rows to send, so it is told by another connection.
    pub(super) async fn stop(&mut self) -> Result<(), sqlx::Error> {
        let mut spare = self.options.expose().connect().await?;
        // Stopping only the query would be lost on a server that has not begun it yet. The server gave the number, and
        // does not give it again while it runs.
        let kill = AssertSqlSafe(format!("KILL CONNECTION {}", self.id));
        sqlx::raw_sql(kill).execute(&mut spare).await?;
        spare.close().await
    }
}

/// Sets what holds for a session, on a server of this version.
pub(super) fn session_rules(version: &str, statement_time_max: Duration) -> String {
    let time_max = if version.contains("MariaDB") {
        format!("max_statement_time = {}", statement_time_max.as_secs_f64())
    } else {
        format!("max_execution_time = {}", statement_time_max.as_millis())
    };
    format!("SET SESSION sql_mode = '{SQL_MODE}', {time_max}")
}

impl Type<MySql> for Argument {
    fn type_info() -> MySqlTypeInfo {
        <str as Type<MySql>>::type_info()
    }
}

impl Encode<'_, MySql> for Argument {
    fn encode_by_ref(&self, buffer: &mut Vec<u8>) -> Result<IsNull, BoxDynError> {
        let text = |text: &str, buffer| <&str as Encode<MySql>>::encode(text, buffer);
        match self {
            Self::Null(_) => Ok(IsNull::Yes),
            Self::Boolean(value) => <bool as Encode<MySql>>::encode_by_ref(value, buffer),
            Self::Integer(value) => <i64 as Encode<MySql>>::encode_by_ref(value, buffer),
            Self::Float(value) => <f64 as Encode<MySql>>::encode_by_ref(value, buffer),
            Self::Bytes(value) => <&[u8] as Encode<MySql>>::encode(value.as_slice(), buffer),
            Self::Date(value) => <NaiveDate as Encode<MySql>>::encode_by_ref(value, buffer),
            Self::Time(value) => <NaiveTime as Encode<MySql>>::encode_by_ref(value, buffer),
            Self::Timestamp(value) => <DateTime<Utc> as Encode<MySql>>::encode_by_ref(value, buffer),
            Self::Decimal(value) | Self::Text(value) => text(value, buffer),
            Self::Uuid(value) => text(&value.hyphenated().to_string(), buffer),
            Self::Json(value) => text(value.get(), buffer),
        }
    }

    fn produces(&self) -> Option<MySqlTypeInfo> {
        let scalar = match self {
            Self::Null(scalar) => scalar.unwrap_or(Scalar::Text),
            Self::Boolean(_) => Scalar::Boolean,
            Self::Integer(_) => Scalar::Integer,
            Self::Float(_) => Scalar::Float,
            Self::Decimal(_) => Scalar::Decimal,
            Self::Bytes(_) => Scalar::Bytes,
            Self::Date(_) => Scalar::Date,
            Self::Time(_) => Scalar::Time,
            Self::Timestamp(_) => Scalar::Timestamp,
            Self::Text(_) | Self::Uuid(_) | Self::Json(_) => Scalar::Text,
        };
        Some(match scalar {
            Scalar::Boolean => <bool as Type<MySql>>::type_info(),
            Scalar::Integer => <i64 as Type<MySql>>::type_info(),
            Scalar::Float => <f64 as Type<MySql>>::type_info(),
            // Its text, marked as a decimal: as text it would be compared as a float.
            Scalar::Decimal => <Decimal as Type<MySql>>::type_info(),
            Scalar::Bytes => <[u8] as Type<MySql>>::type_info(),
            Scalar::Date => <NaiveDate as Type<MySql>>::type_info(),
            Scalar::Time => <NaiveTime as Type<MySql>>::type_info(),
            Scalar::Timestamp => <DateTime<Utc> as Type<MySql>>::type_info(),
            Scalar::Text | Scalar::Uuid | Scalar::Json => <str as Type<MySql>>::type_info(),
        })
    }
}

impl DriverRow for MySqlRow {
    fn columns(&self) -> impl Iterator<Item = (&str, &str)> {
        columns(self)
    }

    fn value(&self, index: usize) -> Result<Value, String> {
        let raw = self.try_get_raw(index).map_err(|_| conversion::MALFORMED)?;
        if raw.is_null() {
            return Ok(Value::Null);
        }
        let db_type = raw.type_info().into_owned();
        let value = match db_type.name() {
            "GEOMETRY" => {
                return Err(
                    "cannot take MariaDB's GEOMETRY; cast it to another type in the statement".to_owned()
                );
            }
            "FLOAT" => decode::<f32>(raw).map(|value| Value::Float(value.into())),
            "DOUBLE" => decode::<f64>(raw).map(Value::Float),
            // The wire has it as text.
            "DECIMAL" => decode::<String>(raw).map(Value::Decimal),
            "DATE" => {
                decode::<NaiveDate>(raw).and_then(|date| conversion::date(date).ok_or_else(out_of_range))
            }
            "TIME" => decode::<MySqlTime>(raw).and_then(time_of_day),
            "DATETIME" | "TIMESTAMP" => decode::<NaiveDateTime>(raw)
                .and_then(|naive| conversion::timestamp(naive.and_utc()).ok_or_else(out_of_range)),
            "ENUM" | "SET" | "JSON" => decode::<String>(raw).map(Value::Text),
            _ if <u64 as Type<MySql>>::compatible(&db_type) => {
                decode::<u64>(raw).and_then(|value| Ok(Value::Integer(i64::try_from(value)?)))
            }
            _ if <i64 as Type<MySql>>::compatible(&db_type) => decode::<i64>(raw).map(Value::Integer),
            // Text and octets differ by their collation only.
            _ if <str as Type<MySql>>::compatible(&db_type) => decode::<String>(raw).map(Value::Text),
            _ => decode::<Vec<u8>>(raw).map(Value::Bytes),
        };
        value.map_err(|_| conversion::MALFORMED.to_owned())
    }
}

fn decode<'r, T: Decode<'r, MySql>>(raw: MySqlValueRef<'r>) -> Result<T, BoxDynError> {
    T::decode(raw)
}

/// The server's times are durations, and may be negative or longer than a day. The driver's own conversion would
/// drop the sign.
fn time_of_day(time: MySqlTime) -> Result<Value, BoxDynError> {
    if time.is_valid_time_of_day() {
        NaiveTime::try_from(time).map(conversion::time)
    } else {
        Err(out_of_range())
    }
}

fn out_of_range() -> BoxDynError {
    "out of range".into()
}

/// What an error of the driver means for the guest and for the connection.
pub(super) fn failure(error: &sqlx::Error, arguments: &[Argument]) -> Failure {
    let refusal = error.as_database_error().and_then(|error| error.try_downcast_ref::<MySqlDatabaseError>());
    let Some(refusal) = refusal else { return Failure::of_connection(error) };
    failure_of(refusal.number(), refusal.code().unwrap_or("HY000"), refusal.message(), arguments)
}

/// What an error number of the server means.
pub(super) fn failure_of(number: u16, sqlstate: &str, message: &str, arguments: &[Argument]) -> Failure {
    let ready = |error| Failure { error, leaves: Condition::Ready };
    let lost = |error| Failure { error, leaves: Condition::Lost };
    let unavailable = |reason: &str| lost(SqlError::Unavailable(reason.to_owned()));
    // https://mariadb.com/kb/en/mariadb-error-code-reference/
    let sqlstate = match number {
        1969 | 3024 | 1317 => return ready(SqlError::Deadline),
        1205 => return ready(SqlError::Busy),
        1040 | 1203 | 1226 => return lost(SqlError::Busy),
        1044 | 1045 | 1698 => return unavailable("the server refused the login"),
        1049 => return unavailable("the server has no such database"),
        1053 | 1077..=1080 | 1927 => return unavailable("the server is shutting down or starting"),
        1062 | 1169 | 1586 => "23505",
        1216 | 1217 | 1451 | 1452 => "23503",
        1048 | 1364 => "23502",
        3819 | 4025 => "23514",
        1265 | 1292 | 1366 | 1411 => "22007",
        1792 => "25006",
        _ => sqlstate,
    };
    ready(Refusal { sqlstate, message, constraint: constraint(message) }.told_to_guest(arguments))
}

/// The name of a constraint, which the server only tells in its message.
fn constraint(message: &str) -> Option<&str> {
    if let Some((_, key)) = message.rsplit_once(" for key '") {
        return key.strip_suffix('\'');
    }
    let (_, name) = message.split_once("CONSTRAINT `")?;
    Some(name.split_once('`')?.0)
}
