use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use deadpool::managed::{
    self, Metrics, Object, Pool, PoolError, QueueMode, RecycleError, RecycleResult, TimeoutType, Timeouts,
};
use futures_util::TryStreamExt;
use tokio::runtime::Handle;
use tokio::sync::{Mutex, mpsc};
use tokio::time::timeout;
use tokio_util::task::{AbortOnDropHandle, TaskTracker};
use tracing::{info, warn};
use uuk_process::ErrorChain;

use crate::CallContext;

use super::error::{Condition, Failure};
#[cfg(feature = "odbc")]
use super::odbc;
use super::reader::Query;
use super::session::{Ending, Session, SessionOptions, Unit};
use super::{ConnectError, DatabaseGrant, Row, SqlError, mariadb, postgres, sqlite};

/// Time to open a connection before the database counts as unavailable.
const CONNECT_TIME_MAX: Duration = Duration::from_secs(5);

/// A connection unused for longer is asked whether it still stands before it is given out.
const IDLE_TIME_UNCHECKED_MAX: Duration = Duration::from_secs(1);

/// Older connections are replaced, so that a changed address or login takes effect without a restart.
const CONNECTION_AGE_MAX: Duration = Duration::from_secs(30 * 60);

/// Time to roll back or to stop a statement before its connection is given up.
const CLEANUP_TIME_MAX: Duration = Duration::from_secs(5);

/// The connections to one database for one plugin. Opened when first needed, so a database may be down at start.
#[derive(Debug)]
pub(super) struct Leases {
    pool: Pool<Connector>,
    timeouts: Timeouts,
    cleanup: Cleanup,
}

/// Where connections are wound down that a call left in the middle of something.
#[derive(Debug, Clone)]
struct Cleanup {
    tasks: TaskTracker,
    /// A call may be dropped outside of the runtime.
    runtime: Handle,
    /// Stopping takes a connection of its own; one at a time, so that giving up calls opens no flood of them.
    stopping: Arc<Mutex<()>>,
}

/// A connection for the time of one call. Dropping it at any moment is safe: it goes back to the others only if
/// nothing is running or open on it; otherwise that is stopped in the database first.
#[derive(Debug)]
pub(super) struct Lease {
    session: Option<Object<Connector>>,
    condition: Condition,
    /// The unit that is open.
    unit: Option<Unit>,
    cleanup: Cleanup,
}

impl Leases {
    /// Prepares the pool of `grant`. Must be called within a runtime; nothing is opened yet.
    pub(super) fn new(grant: &DatabaseGrant, tasks: TaskTracker) -> Result<Self, ConnectError> {
        let options = SessionOptions::of(grant)?;
        let connector = Connector {
            datasource: grant.datasource.clone(),
            application_name: grant.application_name.clone(),
            options: Arc::new(options),
            is_down: AtomicBool::new(false),
        };
        // The one used last comes first: its thread and its pages are still at hand.
        let pool = Pool::builder(connector)
            .max_size(grant.connections_max)
            .queue_mode(QueueMode::Lifo)
            .runtime(deadpool::Runtime::Tokio1);
        let timeouts =
            Timeouts { wait: Some(grant.acquire_time_max), create: Some(CONNECT_TIME_MAX), recycle: None };
        Ok(Self {
            // Fails only for timeouts without a runtime.
            pool: pool.build().map_err(|_| grant.wrong_address())?,
            timeouts,
            cleanup: Cleanup { tasks, runtime: Handle::current(), stopping: Arc::default() },
        })
    }

    /// Takes a connection, or opens one.
    ///
    /// # Errors
    /// [`SqlError::Busy`] if none becomes free, [`SqlError::Unavailable`] if none can be opened.
    pub(super) async fn take(&self) -> Result<Lease, SqlError> {
        match self.pool.timeout_get(&self.timeouts).await {
            Ok(session) => Ok(Lease {
                session: Some(session),
                condition: Condition::Ready,
                unit: None,
                cleanup: self.cleanup.clone(),
            }),
            Err(PoolError::Timeout(TimeoutType::Wait)) => Err(SqlError::Busy),
            Err(PoolError::Backend(error)) => Err(self.pool.manager().cannot_connect(&error)),
            Err(PoolError::Timeout(_)) => {
                let error = std::io::Error::from(std::io::ErrorKind::TimedOut);
                Err(self.pool.manager().cannot_connect(&sqlx::Error::Io(error)))
            }
            Err(_) => Err(SqlError::Unavailable("closed".into())),
        }
    }
}

impl Lease {
    /// Begins a unit.
    pub(super) async fn begin(&mut self, unit: Unit, caller: Option<&CallContext>) -> Result<(), SqlError> {
        self.condition = Condition::Working;
        // Even if it fails: it may have done so after the beginning.
        self.unit = Some(unit);
        let outcome = self.session()?.begin(unit, caller).await;
        self.conclude(outcome)
    }

    /// Runs a query and takes all its rows.
    pub(super) async fn collect(&mut self, query: &Query<'_>) -> Result<Vec<Row>, SqlError> {
        self.condition = Condition::Working;
        let outcome = self.session()?.collect(query).await;
        self.conclude(outcome)
    }

    /// Runs a query and sends on each row, until the receiver is gone.
    pub(super) async fn stream(
        &mut self,
        query: &Query<'_>,
        receiver: &mpsc::Sender<Result<Row, SqlError>>,
    ) -> Result<(), SqlError> {
        self.condition = Condition::Working;
        let mut rows = self.session()?.rows(query);
        let outcome = loop {
            match rows.try_next().await {
                Ok(Some(row)) => {
                    if receiver.send(Ok(row)).await.is_err() {
                        return Ok(());
                    }
                }
                Ok(None) => break Ok(()),
                Err(failure) => break Err(failure),
            }
        };
        drop(rows);
        self.conclude(outcome)
    }

    /// Ends the unit that is open, if one is.
    pub(super) async fn end(&mut self, ending: Ending) -> Result<(), SqlError> {
        let Some(unit) = self.unit else { return Ok(()) };
        self.condition = Condition::Working;
        let outcome = self.session()?.end(unit, ending).await;
        self.conclude(outcome)?;
        self.unit = None;
        Ok(())
    }

    fn session(&mut self) -> Result<&mut Session, SqlError> {
        // It is only taken when the lease is dropped.
        let session = self.session.as_deref_mut().map(AsMut::as_mut);
        session.ok_or_else(|| SqlError::Unavailable("connection lost".into()))
    }

    /// Notes what an exchange with the database left behind.
    fn conclude<T>(&mut self, outcome: Result<T, Failure>) -> Result<T, SqlError> {
        self.condition = outcome.as_ref().map_or_else(|failure| failure.leaves, |_| Condition::Ready);
        outcome.map_err(|failure| failure.error)
    }
}

impl Drop for Lease {
    fn drop(&mut self) {
        let Some(session) = self.session.take() else { return };
        match (self.condition, self.unit) {
            (Condition::Ready, None) => drop(session),
            (Condition::Lost, _) => {
                // What cut this connection, a restart for instance, has cut the idle ones too.
                if let Some(pool) = Object::pool(&session) {
                    pool.retain(|_, _| false);
                }
                drop(Object::take(session));
            }
            (condition, unit) => {
                let work = self.cleanup.clone().wind_down(session, condition, unit);
                self.cleanup.tasks.spawn_on(work, &self.cleanup.runtime);
            }
        }
    }
}

impl Cleanup {
    /// Leaves nothing running or open on a connection; closes it if that cannot be shown.
    ///
    /// Its place in the pool stays taken until then, so a guest that starts and gives up statements keeps no more of
    /// them running than it has connections.
    async fn wind_down(self, mut session: Object<Connector>, condition: Condition, unit: Option<Unit>) {
        if let (Condition::Ready, Some(unit)) = (condition, unit) {
            let rollback = timeout(CLEANUP_TIME_MAX, session.end(unit, Ending::Rollback)).await;
            if matches!(rollback, Ok(Ok(()))) {
                return drop(session);
            }
        }
        let stopping = self.stopping.lock().await;
        match timeout(CLEANUP_TIME_MAX, session.stop()).await {
            Ok(Ok(())) => {}
            Ok(Err(error)) => {
                let error = ErrorChain(&error).to_string();
                warn!(error, "Cannot stop a statement; the database ends it by its own time limit");
            }
            Err(_) => warn!("Cannot stop a statement in time; the database ends it by its own time limit"),
        }
        drop(stopping);
        drop(Object::take(session));
    }
}

/// Opens connections for the pool.
#[derive(Debug)]
struct Connector {
    datasource: String,
    application_name: String,
    options: Arc<SessionOptions>,
    /// Whether the last attempt failed, so that the log tells of a change and not of every attempt.
    is_down: AtomicBool,
}

impl Connector {
    /// What the guest learns; the operator learns the whole.
    fn cannot_connect(&self, error: &sqlx::Error) -> SqlError {
        let failure = match *self.options {
            SessionOptions::Sqlite { .. } => sqlite::failure(error, &[]),
            SessionOptions::Postgres(_) => postgres::failure(error, &[]),
            SessionOptions::Mariadb(_) => mariadb::failure(error, &[]),
            #[cfg(feature = "odbc")]
            SessionOptions::Odbc(_) => odbc::failure(error, &[]),
        };
        if !self.is_down.swap(true, Ordering::Relaxed) {
            let (datasource, user) = (&self.datasource, &self.application_name);
            warn!(datasource, error = %ErrorChain(error), "Cannot connect to datasource {datasource} for {user}");
        }
        match failure.error {
            error @ (SqlError::Busy | SqlError::Unavailable(_)) => error,
            _ => SqlError::Unavailable("the server refused the connection".into()),
        }
    }
}

impl managed::Manager for Connector {
    // Boxed, as a lease moves from hand to hand several times in each call.
    type Type = Box<Session>;
    type Error = sqlx::Error;

    async fn create(&self) -> Result<Box<Session>, sqlx::Error> {
        let options = Arc::clone(&self.options);
        // By the runtime: who asks may be on a thread that gives way, and the connection's own would be like it for ever.
        let connecting =
            AbortOnDropHandle::new(tokio::spawn(async move { options.connect().await.map(Box::new) }));
        let session = connecting.await.map_err(|_| sqlx::Error::WorkerCrashed)??;
        if self.is_down.swap(false, Ordering::Relaxed) {
            let (datasource, user) = (&self.datasource, &self.application_name);
            info!(datasource, "Datasource {datasource} is back for {user}");
        }
        Ok(session)
    }

    async fn recycle(&self, session: &mut Box<Session>, metrics: &Metrics) -> RecycleResult<sqlx::Error> {
        if metrics.age() > CONNECTION_AGE_MAX {
            return Err(RecycleError::message("old"));
        }
        if metrics.last_used() > IDLE_TIME_UNCHECKED_MAX {
            let answered = Box::pin(timeout(CONNECT_TIME_MAX, session.ping())).await;
            answered.map_err(|_| RecycleError::message("silent"))??;
        }
        Ok(())
    }
}
