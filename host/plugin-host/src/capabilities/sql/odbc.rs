mod diagnostic;
mod dialect;
mod value;
mod worker;

use std::path::Path;
use std::pin::pin;
use std::sync::{Arc, mpsc as threads};
use std::thread;
use std::time::Duration;

use futures_util::StreamExt;
use futures_util::stream;
use sqlx::{AssertSqlSafe, Either, SqlSafeStr, SqlStr};
use tokio::sync::{OwnedSemaphorePermit, Semaphore, mpsc, oneshot};
use tokio::time::timeout;
use uuk_bundle::{Access, Engine};
use uuk_process::Secret;

use super::argument::Argument;
use super::error::Failure;
use super::reader::{DriverRow, DriverRows, Query};
use super::session::{Ending, Unit};
use super::{Column, ConnectError, DatabaseGrant, SqlError, Value};
pub(super) use diagnostic::failure;
use worker::Worker;

/// A statement that does not end is stopped again.
const STOPPED_AGAIN_AFTER: Duration = Duration::from_millis(100);

/// Time to wait for a driver to return from what was given up.
const PLACE_TIME_MAX: Duration = Duration::from_secs(2);

/// Rows a driver may be ahead of who reads them.
const ROWS_AHEAD_MAX: usize = 8;

/// How to open connections through the driver that a connection string names.
#[derive(Debug)]
pub(super) struct OdbcOptions {
    engine: Engine,
    /// With user and password.
    connection_string: Secret<String>,
    /// What drivers may quote.
    password: Option<Secret<String>>,
    access: Access,
    statement_time_max: Duration,
    application_name: String,
    /// A driver computes on the thread that calls it, and not every one can be interrupted. What is given up keeps
    /// its place until the driver returns, so that there are never more threads than connections, and one for stopping.
    threads: Arc<Semaphore>,
}

impl OdbcOptions {
    pub(super) fn of(grant: &DatabaseGrant) -> Result<Self, ConnectError> {
        if let Some(name) = not_installed(grant.odbc().unwrap_or_default()) {
            return Err(ConnectError::OdbcDriver { datasource: grant.datasource.clone(), name });
        }
        let password = grant.password.clone();
        Ok(Self {
            engine: grant.engine,
            connection_string: Secret::new(dialect::connection_string(grant)),
            password,
            access: grant.access,
            statement_time_max: grant.statement_time_max,
            application_name: grant.application_name.clone(),
            threads: Arc::new(Semaphore::new(grant.connections_max + 1)),
        })
    }
}

/// A connection through a driver, on a thread of its own.
#[derive(Debug)]
pub(super) struct OdbcSession {
    /// Ends the thread when dropped, once the driver has returned.
    jobs: threads::Sender<Job>,
    /// Stops the statement that this connection runs, sent on another; where the engine has such a statement.
    stopper: Option<SqlStr>,
    options: Arc<OdbcOptions>,
}

/// Something to do on the thread of a connection. The thread waits while `answers` is full, and gives up once nobody
/// listens.
#[derive(Debug)]
struct Job {
    work: Work,
    answers: mpsc::Sender<Answer>,
}

#[derive(Debug)]
enum Work {
    Run(Order),
    /// Begins a transaction with this statement.
    Begin(Option<&'static str>),
    /// Ends it, and then sends this statement.
    End(Ending, Option<&'static str>),
}

/// A statement on its way to the thread.
#[derive(Debug)]
struct Order {
    sql: SqlStr,
    arguments: Vec<Argument>,
    time_max: Duration,
    /// More are of no use to who reads them.
    rows_max: u64,
    /// Longer values are fetched only so far.
    bytes_max: u64,
}

/// A row, or the end of the work.
type Answer = Result<Either<(), OdbcRow>, sqlx::Error>;

#[derive(Debug)]
pub(super) struct OdbcRow {
    columns: Arc<[Column]>,
    /// Or why one cannot be represented.
    values: Vec<Result<Value, String>>,
}

impl OdbcSession {
    pub(super) async fn connect(options: &Arc<OdbcOptions>) -> Result<Self, sqlx::Error> {
        let place = timeout(PLACE_TIME_MAX, Arc::clone(&options.threads).acquire_owned()).await;
        let Ok(Ok(place)) = place else { return Err(sqlx::Error::PoolTimedOut) };
        let (jobs, queue) = threads::channel();
        let (opened, opening) = oneshot::channel();
        let own = Arc::clone(options);
        thread::Builder::new().name("odbc".into()).spawn(move || serve(&own, place, opened, &queue))?;
        let stopper = opening.await.map_err(|_| sqlx::Error::WorkerCrashed)??;
        Ok(Self { jobs, stopper, options: Arc::clone(options) })
    }

    pub(super) fn fetch(&mut self, query: &Query<'_>) -> DriverRows<'static, (), OdbcRow> {
        let order = Order {
            sql: query.sql.clone(),
            arguments: query.arguments.to_vec(),
            time_max: query.time_max.min(self.options.statement_time_max),
            rows_max: query.rows_max,
            bytes_max: query.bytes_max,
        };
        let mut answers = self.give(Work::Run(order));
        stream::poll_fn(move |context| answers.poll_recv(context)).boxed()
    }

    pub(super) async fn begin(&mut self, unit: Unit) -> Result<(), sqlx::Error> {
        let first = (unit == Unit::ReadOnly).then(|| dialect::refuse_writes(self.options.engine)).flatten();
        self.finish(Work::Begin(first)).await
    }

    pub(super) async fn end(&mut self, unit: Unit, ending: Ending) -> Result<(), sqlx::Error> {
        let last =
            (unit == Unit::ReadOnly).then(|| dialect::allow_writes(self.options.engine, self.options.access));
        self.finish(Work::End(ending, last.flatten())).await
    }

    pub(super) async fn ping(&mut self) -> Result<(), sqlx::Error> {
        self.execute(SqlStr::from_static(dialect::ping(self.options.engine))).await
    }

    /// Returns once the driver has come back from what it was doing.
    pub(super) async fn stop(&mut self) -> Result<(), sqlx::Error> {
        let Some(stopper) = self.stopper.clone() else { return self.ping().await };
        let mut other = Self::connect(&self.options).await?;
        let mut is_back = pin!(self.ping());
        loop {
            other.execute(stopper.clone()).await?;
            // A statement that had not reached the server yet has not heard of it. That the ping was stopped says as much
            // as its answer.
            if timeout(STOPPED_AGAIN_AFTER, &mut is_back).await.is_ok() {
                return Ok(());
            }
        }
    }

    async fn execute(&mut self, sql: SqlStr) -> Result<(), sqlx::Error> {
        let time_max = self.options.statement_time_max;
        let order = Order { sql, arguments: Vec::new(), time_max, rows_max: 1, bytes_max: 1 };
        self.finish(Work::Run(order)).await
    }

    async fn finish(&mut self, work: Work) -> Result<(), sqlx::Error> {
        let mut answers = self.give(work);
        loop {
            match answers.recv().await {
                Some(Ok(Either::Left(()))) => return Ok(()),
                Some(Ok(Either::Right(_))) => {}
                Some(Err(error)) => return Err(error),
                // The thread is gone: the driver has failed it.
                None => return Err(sqlx::Error::WorkerCrashed),
            }
        }
    }

    /// One job at a time waits at most, beside the one at work.
    fn give(&self, work: Work) -> mpsc::Receiver<Answer> {
        let (answers, receiver) = mpsc::channel(ROWS_AHEAD_MAX);
        // If the thread is gone, `answers` is dropped, which is what the receiver then finds.
        let _ = self.jobs.send(Job { work, answers });
        receiver
    }
}

/// The driver or data source that a connection string names, if unixODBC does not know it.
fn not_installed(connection_string: &str) -> Option<String> {
    let named = |wanted: &str| {
        connection_string.split(';').find_map(|attribute| {
            let (name, value) = attribute.split_once('=')?;
            let value = value.trim().trim_start_matches('{').trim_end_matches('}');
            name.trim().eq_ignore_ascii_case(wanted).then(|| value.to_owned())
        })
    };
    let environment = odbc_api::environment().ok()?;
    let (name, known): (_, Vec<String>) = if let Some(driver) = named("driver") {
        // A library may be named by its path.
        if driver.starts_with('/') {
            return (!Path::new(&driver).exists()).then_some(driver);
        }
        (driver, environment.drivers().ok()?.into_iter().map(|driver| driver.description).collect())
    } else {
        let sources = environment.data_sources().ok()?;
        (named("dsn")?, sources.into_iter().map(|source| source.server_name).collect())
    };
    (!known.iter().any(|known| known.eq_ignore_ascii_case(&name))).then_some(name)
}

/// Opens a connection, tells how to stop it, and works until the session is dropped.
fn serve(
    options: &OdbcOptions,
    _place: OwnedSemaphorePermit,
    opened: oneshot::Sender<Result<Option<SqlStr>, sqlx::Error>>,
    jobs: &threads::Receiver<Job>,
) {
    let told = |error| diagnostic::error(error, options);
    let (mut worker, number) = match Worker::open(options) {
        Ok(opened) => opened,
        Err(error) => {
            // Who asked may have given up.
            let _ = opened.send(Err(told(error)));
            return;
        }
    };
    // Made of constants and a number that the server gave; it is not given again while this connection is open.
    let stopper = number.and_then(|number| dialect::stopper(options.engine, &number));
    let stopper = stopper.map(|sql| AssertSqlSafe(sql).into_sql_str());
    if opened.send(Ok(stopper)).is_err() {
        return;
    }
    while let Ok(Job { work, answers }) = jobs.recv() {
        let outcome = worker.work(work, &answers);
        let last = outcome.map(|()| Either::Left(())).map_err(told);
        let _ = answers.blocking_send(last);
    }
}

impl DriverRow for OdbcRow {
    fn columns(&self) -> impl Iterator<Item = (&str, &str)> {
        self.columns.iter().map(|column| (&*column.name, &*column.db_type))
    }

    fn value(&self, index: usize) -> Result<Value, String> {
        self.values.get(index).cloned().unwrap_or(Ok(Value::Null))
    }
}
