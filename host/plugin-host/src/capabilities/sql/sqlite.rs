use std::str::FromStr;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use sqlx::encode::IsNull;
use sqlx::error::BoxDynError;
use sqlx::sqlite::{
    SqliteArguments, SqliteArgumentsBuffer, SqliteConnectOptions, SqliteConnection, SqliteQueryResult,
    SqliteRow, SqliteTypeInfo, SqliteValueRef,
};
use sqlx::{
    Arguments, ConnectOptions, Connection, Decode, Encode, Executor, Row, Sqlite, Type, TypeInfo, ValueRef,
};
use uuk_bundle::Access;

use super::argument::Argument;
use super::error::{Condition, Failure, Refusal};
use super::reader::{DriverRow, DriverRows, Query, columns};
use super::session::{Ending, Unit};
use super::{ConnectError, DatabaseGrant, SqlError, Value, conversion};

/// SQLite looks whether it should stop each time it has executed this many of its instructions: a few microseconds.
const INSTRUCTIONS_BETWEEN_CHECKS: i32 = 1000;

pub(super) fn options(grant: &DatabaseGrant) -> Result<SqliteConnectOptions, ConnectError> {
    if !grant.url.starts_with("sqlite:") {
        return Err(grant.wrong_address());
    }
    let options = SqliteConnectOptions::from_str(&grant.url).map_err(|_| grant.wrong_address())?;
    let options = options
        .create_if_missing(false)
        .busy_timeout(grant.acquire_time_max)
        .thread_name(|number| format!("sqlite-{number}"))
        .disable_statement_logging();
    Ok(match grant.access {
        Access::Read => options.read_only(true).pragma("query_only", "ON"),
        Access::Write => options,
    })
}

/// A connection to a file. The driver runs it on a thread of its own.
#[derive(Debug)]
pub(super) struct SqliteSession {
    connection: SqliteConnection,
    access: Access,
    /// Interrupts the statement that is running.
    stop: Arc<AtomicBool>,
}

impl SqliteSession {
    pub(super) async fn connect(options: &SqliteConnectOptions, access: Access) -> Result<Self, sqlx::Error> {
        let mut connection = options.connect().await?;
        let stop = Arc::new(AtomicBool::new(false));
        let is_stopped = Arc::clone(&stop);
        connection
            .lock_handle()
            .await?
            .set_progress_handler(INSTRUCTIONS_BETWEEN_CHECKS, move || !is_stopped.load(Ordering::Relaxed));
        Ok(Self { connection, access, stop })
    }

    pub(super) fn fetch<'s>(
        &'s mut self,
        query: &Query<'_>,
    ) -> Result<DriverRows<'s, SqliteQueryResult, SqliteRow>, BoxDynError> {
        let mut arguments = SqliteArguments::default();
        for argument in query.arguments {
            Arguments::add(&mut arguments, argument)?;
        }
        let prepared = sqlx::query_with(query.sql.clone(), arguments).persistent(query.persistent);
        Ok((&mut self.connection).fetch_many(prepared))
    }

    pub(super) async fn begin(&mut self, unit: Unit) -> Result<(), sqlx::Error> {
        match (unit, self.access) {
            // The connection itself is read-only.
            (Unit::ReadOnly, Access::Read) => Ok(()),
            (Unit::ReadOnly, Access::Write) => self.execute("PRAGMA query_only = ON").await,
            // Taking the lock at once avoids the deadlock of two readers that both want to write.
            (Unit::ReadWrite, _) => self.execute("BEGIN IMMEDIATE").await,
        }
    }

    pub(super) async fn end(&mut self, unit: Unit, ending: Ending) -> Result<(), sqlx::Error> {
        match (unit, self.access, ending) {
            (Unit::ReadOnly, Access::Read, _) => Ok(()),
            (Unit::ReadOnly, Access::Write, _) => self.execute("PRAGMA query_only = OFF").await,
            (Unit::ReadWrite, _, ending) => self.execute(ending.sql()).await,
        }
    }

    async fn execute(&mut self, sql: &'static str) -> Result<(), sqlx::Error> {
        sqlx::query(sql).execute(&mut self.connection).await?;
        Ok(())
    }

    pub(super) async fn ping(&mut self) -> Result<(), sqlx::Error> {
        self.connection.ping().await
    }

    /// Returns once the statement has ended: only then does the thread get to answer.
    pub(super) async fn stop(&mut self) -> Result<(), sqlx::Error> {
        self.stop.store(true, Ordering::Relaxed);
        self.ping().await
    }
}

impl Type<Sqlite> for Argument {
    fn type_info() -> SqliteTypeInfo {
        <str as Type<Sqlite>>::type_info()
    }
}

/// SQLite has integers, floats, text and bytes; the rest is written as text, in the form that values have here.
impl Encode<'_, Sqlite> for Argument {
    fn encode_by_ref(&self, buffer: &mut SqliteArgumentsBuffer) -> Result<IsNull, BoxDynError> {
        let text = |text: String, buffer| <String as Encode<Sqlite>>::encode(text, buffer);
        match self {
            Self::Null(_) => Ok(IsNull::Yes),
            Self::Boolean(value) => <bool as Encode<Sqlite>>::encode_by_ref(value, buffer),
            Self::Integer(value) => <i64 as Encode<Sqlite>>::encode_by_ref(value, buffer),
            Self::Float(value) => <f64 as Encode<Sqlite>>::encode_by_ref(value, buffer),
            Self::Bytes(value) => <Vec<u8> as Encode<Sqlite>>::encode_by_ref(value, buffer),
            Self::Decimal(value) | Self::Text(value) => text(value.clone(), buffer),
            Self::Date(value) => text(value.to_string(), buffer),
            Self::Time(value) => text(value.to_string(), buffer),
            Self::Timestamp(value) => {
                text(value.to_rfc3339_opts(chrono::SecondsFormat::AutoSi, true), buffer)
            }
            Self::Uuid(value) => text(value.hyphenated().to_string(), buffer),
            Self::Json(value) => text(value.get().to_owned(), buffer),
        }
    }
}

impl DriverRow for SqliteRow {
    fn columns(&self) -> impl Iterator<Item = (&str, &str)> {
        columns(self)
    }

    fn value(&self, index: usize) -> Result<Value, String> {
        let raw = self.try_get_raw(index).map_err(|_| conversion::MALFORMED)?;
        if raw.is_null() {
            return Ok(Value::Null);
        }
        // The storage class of this value: a column may hold any.
        let class = raw.type_info();
        let value = match class.name() {
            "INTEGER" | "INT4" | "INT8" | "BOOLEAN" => decode::<i64>(raw).map(Value::Integer),
            "REAL" => decode::<f64>(raw).map(Value::Float),
            "BLOB" => decode::<Vec<u8>>(raw).map(Value::Bytes),
            _ => decode::<String>(raw).map(Value::Text),
        };
        value.map_err(|_| conversion::MALFORMED.to_owned())
    }
}

fn decode<'r, T: Decode<'r, Sqlite>>(raw: SqliteValueRef<'r>) -> Result<T, BoxDynError> {
    T::decode(raw)
}

/// What an error of the driver means for the guest and for the connection.
pub(super) fn failure(error: &sqlx::Error, arguments: &[Argument]) -> Failure {
    let sqlx::Error::Database(refusal) = error else { return Failure::of_connection(error) };
    let code = refusal.code().and_then(|code| code.parse().ok()).unwrap_or_default();
    failure_of(code, refusal.message(), arguments)
}

/// What a result code of SQLite means.
pub(super) fn failure_of(code: u32, message: &str, arguments: &[Argument]) -> Failure {
    let ready = |error| Failure { error, leaves: Condition::Ready };
    // The low byte is the primary code: https://sqlite.org/rescode.html
    let sqlstate = match (code & 0xff, code) {
        (5 | 6, _) => return ready(SqlError::Busy),
        (9, _) => return ready(SqlError::Deadline),
        (10 | 11 | 14 | 26, _) => {
            let error = SqlError::Unavailable("the database file cannot be used".into());
            return Failure { error, leaves: Condition::Lost };
        }
        (8, _) => "25006",
        (19, 1555 | 2067 | 2579) => "23505",
        (19, 787) => "23503",
        (19, 1299) => "23502",
        (19, 275) => "23514",
        // A trigger raised it, with a message for the caller.
        (19, 1811) => "45000",
        (19, _) => "23000",
        (18 | 20, _) => "22000",
        (1, _) => "42000",
        _ => "HY000",
    };
    let constraint = message.split_once("constraint failed: ").map(|(_, columns)| columns);
    ready(Refusal { sqlstate, message, constraint }.told_to_guest(arguments))
}
