use std::time::Instant;

use wasmtime::component::Resource;

use crate::bindings::uuk::adapter::sql;
use crate::capabilities::sql::{Column, Cursor, DbError, Row, RowSet, SqlError, Transaction, Value};
use crate::instance::CallState;

type Parameters = Vec<(String, sql::Value)>;

impl sql::Host for CallState {
    async fn run(
        &mut self,
        statement: String,
        parameters: Parameters,
    ) -> wasmtime::Result<Result<sql::RowSet, sql::SqlError>> {
        let started = Instant::now();
        // In a box, because what holds it is moved several times on its way into the guest's fibre.
        let rows = Box::pin(self.run_statement(&statement, values(parameters))).await;
        self.host_calls.spent_since(started);
        Ok(rows.map(row_set).map_err(error))
    }

    async fn open(
        &mut self,
        statement: String,
        parameters: Parameters,
    ) -> wasmtime::Result<Result<Resource<Cursor>, sql::SqlError>> {
        let started = Instant::now();
        let cursor = self.open_cursor(&statement, values(parameters)).await;
        self.host_calls.spent_since(started);
        Ok(match cursor {
            Ok(cursor) => Ok(self.table.push(cursor)?),
            Err(refused) => Err(error(refused)),
        })
    }
}

impl sql::HostCursor for CallState {
    fn columns(&mut self, cursor: Resource<Cursor>) -> wasmtime::Result<Vec<sql::Column>> {
        Ok(self.table.get(&cursor)?.columns().iter().map(column).collect())
    }

    async fn next(
        &mut self,
        cursor: Resource<Cursor>,
        rows_max: u32,
    ) -> wasmtime::Result<Result<Vec<Vec<sql::Value>>, sql::SqlError>> {
        let started = Instant::now();
        let rows = self.table.get_mut(&cursor)?.next(rows_max as usize).await;
        self.host_calls.spent_since(started);
        Ok(rows.map(|rows| rows.into_iter().map(row).collect()).map_err(error))
    }

    fn drop(&mut self, cursor: Resource<Cursor>) -> wasmtime::Result<()> {
        self.table.delete(cursor)?;
        Ok(())
    }
}

impl sql::HostTransaction for CallState {
    async fn begin(
        &mut self,
        datasource: String,
    ) -> wasmtime::Result<Result<Resource<Transaction>, sql::SqlError>> {
        let started = Instant::now();
        let transaction = self.begin_transaction(&datasource).await;
        self.host_calls.spent_since(started);
        Ok(match transaction {
            Ok(transaction) => Ok(self.table.push(transaction)?),
            Err(refused) => Err(error(refused)),
        })
    }

    async fn run(
        &mut self,
        transaction: Resource<Transaction>,
        statement: String,
        parameters: Parameters,
    ) -> wasmtime::Result<Result<sql::RowSet, sql::SqlError>> {
        let started = Instant::now();
        let rows = self.run_in_transaction(&transaction, &statement, values(parameters)).await?;
        self.host_calls.spent_since(started);
        Ok(rows.map(row_set).map_err(error))
    }

    async fn commit(
        &mut self,
        transaction: Resource<Transaction>,
    ) -> wasmtime::Result<Result<(), sql::SqlError>> {
        let started = Instant::now();
        let committed = self.table.delete(transaction)?.commit(self.deadline).await;
        self.host_calls.spent_since(started);
        Ok(committed.map_err(error))
    }

    fn drop(&mut self, transaction: Resource<Transaction>) -> wasmtime::Result<()> {
        self.table.delete(transaction)?;
        Ok(())
    }
}

fn values(parameters: Parameters) -> Vec<(String, Value)> {
    parameters.into_iter().map(|(name, value)| (name, from_guest(value))).collect()
}

fn from_guest(value: sql::Value) -> Value {
    match value {
        sql::Value::Null => Value::Null,
        sql::Value::Boolean(value) => Value::Boolean(value),
        sql::Value::Integer(value) => Value::Integer(value),
        sql::Value::Float(value) => Value::Float(value),
        sql::Value::Decimal(value) => Value::Decimal(value),
        sql::Value::Text(value) => Value::Text(value),
        sql::Value::Bytes(value) => Value::Bytes(value),
        sql::Value::Date(value) => Value::Date(value),
        sql::Value::Time(value) => Value::Time(value),
        sql::Value::Timestamp(value) => Value::Timestamp(value),
        sql::Value::Uuid(value) => Value::Uuid(value),
        sql::Value::Json(value) => Value::Json(value),
        sql::Value::Other((name, value)) => Value::Other(name, value),
    }
}

fn to_guest(value: Value) -> sql::Value {
    match value {
        Value::Null => sql::Value::Null,
        Value::Boolean(value) => sql::Value::Boolean(value),
        Value::Integer(value) => sql::Value::Integer(value),
        Value::Float(value) => sql::Value::Float(value),
        Value::Decimal(value) => sql::Value::Decimal(value),
        Value::Text(value) => sql::Value::Text(value),
        Value::Bytes(value) => sql::Value::Bytes(value),
        Value::Date(value) => sql::Value::Date(value),
        Value::Time(value) => sql::Value::Time(value),
        Value::Timestamp(value) => sql::Value::Timestamp(value),
        Value::Uuid(value) => sql::Value::Uuid(value),
        Value::Json(value) => sql::Value::Json(value),
        Value::Other(name, value) => sql::Value::Other((name, value)),
    }
}

fn row_set(rows: RowSet) -> sql::RowSet {
    sql::RowSet {
        columns: rows.columns.iter().map(column).collect(),
        rows: rows.rows.into_iter().map(row).collect(),
        // What exceeds a limit is refused, never cut.
        truncated: false,
    }
}

fn column(column: &Column) -> sql::Column {
    sql::Column { name: column.name.clone(), db_type: column.db_type.clone(), nullable: column.nullable }
}

fn row(row: Row) -> Vec<sql::Value> {
    row.into_iter().map(to_guest).collect()
}

fn error(error: SqlError) -> sql::SqlError {
    match error {
        SqlError::UnknownDatasource => sql::SqlError::UnknownDatasource,
        SqlError::UnknownStatement => sql::SqlError::UnknownStatement,
        SqlError::NotGranted(what) => sql::SqlError::NotGranted(what),
        SqlError::BadParameter(name) => sql::SqlError::BadParameter(name),
        SqlError::TooManyRows(rows_max) => sql::SqlError::TooManyRows(rows_max),
        SqlError::TooManyBytes(bytes_max) => sql::SqlError::TooManyBytes(bytes_max),
        SqlError::Deadline => sql::SqlError::Deadline,
        SqlError::Busy => sql::SqlError::Busy,
        SqlError::Unavailable(reason) => sql::SqlError::Unavailable(reason),
        SqlError::Rejected(DbError { sqlstate, message, constraint }) => {
            sql::SqlError::Rejected(sql::DbError { sqlstate, message, constraint })
        }
        SqlError::Conversion(what) => sql::SqlError::Conversion(what),
        SqlError::Other(what) => sql::SqlError::Other(what),
    }
}
