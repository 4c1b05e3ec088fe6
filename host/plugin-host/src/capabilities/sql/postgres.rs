mod calendar;
mod numeric;

use std::str::FromStr;

use chrono::{DateTime, NaiveDate, NaiveTime, Utc};
use sqlx::encode::IsNull;
use sqlx::error::BoxDynError;
use sqlx::postgres::types::Oid;
use sqlx::postgres::{
    PgArgumentBuffer, PgArguments, PgConnectOptions, PgConnection, PgQueryResult, PgRow, PgSslMode,
    PgTypeInfo, PgTypeKind, PgValueRef,
};
use sqlx::types::JsonRawValue;
use sqlx::{
    Arguments, ConnectOptions, Connection, Decode, Encode, Executor, Postgres, Row, Type, TypeInfo, ValueRef,
};
use uuid::Uuid;
use uuk_bundle::{Access, Scalar};
use uuk_process::Secret;

use crate::CallContext;

use super::argument::Argument;
use super::error::{Condition, Failure, Refusal};
use super::reader::{DriverRow, DriverRows, Query, columns};
use super::session::{Ending, Unit};
use super::{ConnectError, DatabaseGrant, SqlError, Value, conversion};
use numeric::Numeric;

/// The type `json`, which is fixed in PostgreSQL's catalog. Its binary form is its text.
const JSON: Oid = Oid(114);

/// PostgreSQL cuts longer application names.
const APPLICATION_NAME_BYTES_MAX: usize = 63;

pub(super) fn options(grant: &DatabaseGrant) -> Result<PgConnectOptions, ConnectError> {
    if !grant.url.starts_with("postgres") {
        return Err(grant.wrong_address());
    }
    let options = PgConnectOptions::from_str(&grant.url).map_err(|_| grant.wrong_address())?;
    let is_local = options.get_socket().is_some();
    let options = if !is_local && grant.must_verify_server(options.get_host()) {
        options.ssl_mode(PgSslMode::VerifyFull)
    } else {
        options
    };
    let read_only = if grant.access == Access::Read { "on" } else { "off" };
    let statement_time_max = grant.statement_time_max.as_millis().max(1).to_string();
    Ok(options
        .username(grant.user.as_deref().unwrap_or_default())
        // Given even if empty: otherwise the driver looks for one in the environment.
        .password(grant.password.as_ref().map_or("", |password| password.expose()))
        .application_name(&grant.application_name)
        .options([
            ("default_transaction_read_only", read_only),
            ("statement_timeout", &statement_time_max),
            // The rules by which the text of the statements was read.
            ("standard_conforming_strings", "on"),
            // A timestamp without zone is taken for UTC, by the server and here.
            ("TimeZone", "UTC"),
        ])
        .disable_statement_logging())
}

/// A connection to a server.
#[derive(Debug)]
pub(super) struct PostgresSession {
    connection: PgConnection,
    /// Process of the server that serves this connection.
    backend: i32,
    /// They hold the password.
    options: Secret<PgConnectOptions>,
}

impl PostgresSession {
    pub(super) async fn connect(options: &Secret<PgConnectOptions>) -> Result<Self, sqlx::Error> {
        let mut connection = options.expose().connect().await?;
        let backend = sqlx::query_scalar("SELECT pg_backend_pid()")
            .persistent(false)
            .fetch_one(&mut connection)
            .await?;
        Ok(Self { connection, backend, options: options.clone() })
    }

    pub(super) fn fetch<'s>(
        &'s mut self,
        query: &Query<'_>,
    ) -> Result<DriverRows<'s, PgQueryResult, PgRow>, BoxDynError> {
        let mut arguments = PgArguments::default();
        for argument in query.arguments {
            Arguments::add(&mut arguments, argument)?;
        }
        let prepared = sqlx::query_with(query.sql.clone(), arguments).persistent(query.persistent);
        Ok((&mut self.connection).fetch_many(prepared))
    }

    pub(super) async fn begin(
        &mut self,
        unit: Unit,
        caller: Option<&CallContext>,
    ) -> Result<(), sqlx::Error> {
        let begin = match unit {
            Unit::ReadOnly => "BEGIN READ ONLY",
            Unit::ReadWrite => "BEGIN READ WRITE",
        };
        sqlx::raw_sql(begin).execute(&mut self.connection).await?;
        let Some(caller) = caller else { return Ok(()) };
        // Set for this transaction only, so that no call sees another's.
        let name = self.options.expose().get_application_name().unwrap_or_default();
        let name: String =
            format!("{name}:{}", caller.exchange_id).chars().take(APPLICATION_NAME_BYTES_MAX).collect();
        sqlx::query(
            "SELECT set_config('uuk.client', $1, true), set_config('uuk.user', $2, true), \
             set_config('uuk.purpose', $3, true), set_config('application_name', $4, true)",
        )
        .bind(&caller.client)
        .bind(caller.user.as_deref().unwrap_or_default())
        .bind(caller.purpose.as_deref().unwrap_or_default())
        .bind(name)
        .execute(&mut self.connection)
        .await?;
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
        // Cancelling would be lost on a process that has not begun the statement yet; its end is not. The process keeps
        // its number as long as our connection to it is open, so this cannot hit another.
        sqlx::query("SELECT pg_terminate_backend($1)").bind(self.backend).execute(&mut spare).await?;
        spare.close().await
    }
}

impl Type<Postgres> for Argument {
    fn type_info() -> PgTypeInfo {
        // Never asked: `produces` says it for each value.
        PgTypeInfo::with_oid(Oid(0))
    }
}

impl Encode<'_, Postgres> for Argument {
    fn encode_by_ref(&self, buffer: &mut PgArgumentBuffer) -> Result<IsNull, BoxDynError> {
        match self {
            Self::Null(_) => Ok(IsNull::Yes),
            Self::Boolean(value) => <bool as Encode<Postgres>>::encode_by_ref(value, buffer),
            Self::Integer(value) => <i64 as Encode<Postgres>>::encode_by_ref(value, buffer),
            Self::Float(value) => <f64 as Encode<Postgres>>::encode_by_ref(value, buffer),
            Self::Decimal(value) => Numeric::write(value, buffer),
            Self::Text(value) => <&str as Encode<Postgres>>::encode_by_ref(&value.as_str(), buffer),
            Self::Bytes(value) => <&[u8] as Encode<Postgres>>::encode_by_ref(&value.as_slice(), buffer),
            Self::Date(value) => <NaiveDate as Encode<Postgres>>::encode_by_ref(value, buffer),
            Self::Time(value) => <NaiveTime as Encode<Postgres>>::encode_by_ref(value, buffer),
            Self::Timestamp(value) => <DateTime<Utc> as Encode<Postgres>>::encode_by_ref(value, buffer),
            Self::Uuid(value) => <Uuid as Encode<Postgres>>::encode_by_ref(value, buffer),
            Self::Json(value) => {
                buffer.extend_from_slice(value.get().as_bytes());
                Ok(IsNull::No)
            }
        }
    }

    fn produces(&self) -> Option<PgTypeInfo> {
        let scalar = match self {
            // The server infers it.
            Self::Null(None) => return Some(PgTypeInfo::with_oid(Oid(0))),
            Self::Null(Some(scalar)) => *scalar,
            Self::Boolean(_) => Scalar::Boolean,
            Self::Integer(_) => Scalar::Integer,
            Self::Float(_) => Scalar::Float,
            Self::Decimal(_) => Scalar::Decimal,
            Self::Text(_) => Scalar::Text,
            Self::Bytes(_) => Scalar::Bytes,
            Self::Date(_) => Scalar::Date,
            Self::Time(_) => Scalar::Time,
            Self::Timestamp(_) => Scalar::Timestamp,
            Self::Uuid(_) => Scalar::Uuid,
            Self::Json(_) => Scalar::Json,
        };
        Some(match scalar {
            Scalar::Boolean => <bool as Type<Postgres>>::type_info(),
            Scalar::Integer => <i64 as Type<Postgres>>::type_info(),
            Scalar::Float => <f64 as Type<Postgres>>::type_info(),
            Scalar::Decimal => Numeric::type_info(),
            Scalar::Text => <str as Type<Postgres>>::type_info(),
            Scalar::Bytes => <[u8] as Type<Postgres>>::type_info(),
            Scalar::Date => <NaiveDate as Type<Postgres>>::type_info(),
            Scalar::Time => <NaiveTime as Type<Postgres>>::type_info(),
            Scalar::Timestamp => <DateTime<Utc> as Type<Postgres>>::type_info(),
            Scalar::Uuid => <Uuid as Type<Postgres>>::type_info(),
            // Not `jsonb`, which reorders what a column of `json` would keep; a cast makes it one.
            Scalar::Json => PgTypeInfo::with_oid(JSON),
        })
    }
}

impl DriverRow for PgRow {
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
            "BOOL" => decode::<bool>(raw).map(Value::Boolean),
            "INT2" => decode::<i16>(raw).map(|value| Value::Integer(value.into())),
            "INT4" => decode::<i32>(raw).map(|value| Value::Integer(value.into())),
            "INT8" => decode::<i64>(raw).map(Value::Integer),
            "FLOAT4" => decode::<f32>(raw).map(|value| Value::Float(value.into())),
            "FLOAT8" => decode::<f64>(raw).map(Value::Float),
            "NUMERIC" => raw.as_bytes().and_then(Numeric::read).map(Value::Decimal),
            "TEXT" | "VARCHAR" | "CHAR" | "NAME" | "UNKNOWN" => decode::<String>(raw).map(Value::Text),
            "BYTEA" => decode::<Vec<u8>>(raw).map(Value::Bytes),
            "DATE" => raw.as_bytes().and_then(calendar::date),
            "TIME" => raw.as_bytes().and_then(calendar::time),
            "TIMESTAMP" | "TIMESTAMPTZ" => raw.as_bytes().and_then(calendar::timestamp),
            "UUID" => decode::<Uuid>(raw).map(conversion::uuid),
            "JSON" | "JSONB" => decode::<&JsonRawValue>(raw).map(|json| Value::Json(json.get().to_owned())),
            _ if matches!(db_type.kind(), PgTypeKind::Enum(_)) => decode::<String>(raw).map(Value::Text),
            name => {
                return Err(format!(
                    "cannot take PostgreSQL's {name}; cast it to another type in the statement"
                ));
            }
        };
        value.map_err(|_| conversion::MALFORMED.to_owned())
    }
}

fn decode<'r, T: Decode<'r, Postgres>>(raw: PgValueRef<'r>) -> Result<T, BoxDynError> {
    T::decode(raw)
}

/// What an error of the driver means for the guest and for the connection.
pub(super) fn failure(error: &sqlx::Error, arguments: &[Argument]) -> Failure {
    let sqlx::Error::Database(refusal) = error else { return Failure::of_connection(error) };
    let sqlstate = refusal.code().unwrap_or_default();
    failure_of(&sqlstate, refusal.message(), refusal.constraint(), arguments)
}

/// What an SQLSTATE of the server means.
pub(super) fn failure_of(
    sqlstate: &str,
    message: &str,
    constraint: Option<&str>,
    arguments: &[Argument],
) -> Failure {
    let unavailable =
        |reason: &str| Failure { error: SqlError::Unavailable(reason.to_owned()), leaves: Condition::Lost };
    // https://www.postgresql.org/docs/current/errcodes-appendix.html
    match sqlstate {
        "57014" => Failure { error: SqlError::Deadline, leaves: Condition::Ready },
        "55P03" => Failure { error: SqlError::Busy, leaves: Condition::Ready },
        "53300" => Failure { error: SqlError::Busy, leaves: Condition::Lost },
        state if state.starts_with("57P") => unavailable("the server is shutting down or starting"),
        state if state.starts_with("08") => unavailable("connection lost"),
        state if state.starts_with("28") => unavailable("the server refused the login"),
        "3D000" => unavailable("the server has no such database"),
        // The connection's prepared statements no longer fit; a new one prepares them anew.
        "26000" => unavailable("connection lost"),
        "0A000" if message.contains("cached plan") => unavailable("its tables have changed"),
        _ => {
            let refusal = Refusal { sqlstate, message, constraint };
            Failure { error: refusal.told_to_guest(arguments), leaves: Condition::Ready }
        }
    }
}
