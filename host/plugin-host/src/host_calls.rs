//! Host calls that wait: counted, and passed to the databases and upstreams that the plugin was granted.

use std::sync::Arc;
use std::sync::atomic::Ordering::Relaxed;
use std::sync::atomic::{AtomicU32, AtomicU64};
use std::time::{Duration, Instant};

use wasmtime::component::Resource;

use uuk_bundle::{Access, Manifest};

use crate::call::CallContext;
use crate::capabilities::http::{HttpError, HttpRequest, HttpResponse};
use crate::capabilities::sql::{Cursor, Database, RowSet, SqlError, Statement, Transaction, Value};
use crate::environment::Environment;
use crate::host_call_log::HostCall;
use crate::instance::CallState;

/// Bytes of blobs and of upstreams' answers that one call may let the host hold, all together.
pub(crate) const HELD_BYTES_MAX: u64 = 32 << 20;

/// SQL and HTTP calls of one call: how many are left, and the time they took.
#[derive(Debug)]
pub(crate) struct HostCalls {
    left: Arc<Left>,
    pub(crate) made: u32,
    pub(crate) spent: Duration,
}

/// What a call may still take, through whichever door.
#[derive(Debug)]
struct Left {
    calls: AtomicU32,
    held_bytes: AtomicU64,
}

impl HostCalls {
    pub(crate) fn new(host_calls_max: u32) -> Self {
        let left = Left { calls: AtomicU32::new(host_calls_max), held_bytes: AtomicU64::new(HELD_BYTES_MAX) };
        Self::of(Arc::new(left))
    }

    /// For the other door: the same is left for both, each counts what it did.
    pub(crate) fn share(&self) -> Self {
        Self::of(Arc::clone(&self.left))
    }

    fn of(left: Arc<Left>) -> Self {
        Self { left, made: 0, spent: Duration::ZERO }
    }

    /// Takes one, or says that none is left.
    pub(crate) fn take(&mut self) -> bool {
        let took = self.left.calls.fetch_update(Relaxed, Relaxed, |left| left.checked_sub(1)).is_ok();
        self.made += u32::from(took);
        took
    }

    /// Takes `bytes` of what the host may hold for this call, or says that there is no place for them. They are not
    /// given back before its end.
    pub(crate) fn hold(&self, bytes: usize) -> bool {
        let after = |left: u64| left.checked_sub(bytes as u64);
        self.left.held_bytes.fetch_update(Relaxed, Relaxed, after).is_ok()
    }

    /// Counts the time that a host call, started at `started`, has taken.
    pub(crate) fn spent_since(&mut self, started: Instant) {
        self.spent += started.elapsed();
    }
}

const NONE_LEFT: &str = "more host calls in one call than the manifest's limit";

impl CallState {
    pub(crate) async fn run_statement(
        &mut self,
        name: &str,
        parameters: Vec<(String, Value)>,
    ) -> Result<RowSet, SqlError> {
        self.take_sql()?;
        let (statement, database) = statement(&self.environment, name)?;
        let Some(log) = self.environment.resources.log() else {
            return database.run(statement, parameters, self.deadline, &self.context).await;
        };
        let given = parameters.clone();
        let rows = database.run(statement, parameters, self.deadline, &self.context).await;
        let known = rows.as_ref().ok().cloned();
        log.push(HostCall::Statement { name: name.to_owned(), parameters: given, rows: known });
        rows
    }

    pub(crate) async fn open_cursor(
        &mut self,
        name: &str,
        parameters: Vec<(String, Value)>,
    ) -> Result<Cursor, SqlError> {
        self.take_sql()?;
        self.log_in_parts("rows by a cursor");
        let (statement, database) = statement(&self.environment, name)?;
        database.open(statement, parameters, self.deadline, &self.context).await
    }

    pub(crate) async fn begin_transaction(&mut self, datasource: &str) -> Result<Transaction, SqlError> {
        self.take_sql()?;
        self.log_in_parts("a transaction");
        asked_to_write(&self.environment.manifest, datasource)?;
        database(&self.environment, datasource)?.begin(self.deadline, &self.context).await
    }

    pub(crate) async fn run_in_transaction(
        &mut self,
        transaction: &Resource<Transaction>,
        name: &str,
        parameters: Vec<(String, Value)>,
    ) -> wasmtime::Result<Result<RowSet, SqlError>> {
        if let Err(refused) = self.take_sql() {
            return Ok(Err(refused));
        }
        let statement = match self.environment.statements.find(name) {
            Ok(statement) => statement,
            Err(unknown) => return Ok(Err(unknown)),
        };
        Ok(self.table.get_mut(transaction)?.run(statement, parameters, self.deadline).await)
    }

    pub(crate) async fn send(
        &mut self,
        upstream: &str,
        request: HttpRequest,
    ) -> Result<HttpResponse, HttpError> {
        if !self.host_calls.take() {
            return Err(HttpError::NotGranted(NONE_LEFT.into()));
        }
        send(&self.environment, upstream, request, &self.context, self.deadline).await
    }

    fn log_in_parts(&self, what: &'static str) {
        if let Some(log) = self.environment.resources.log() {
            log.push(HostCall::InParts(what));
        }
    }

    fn take_sql(&mut self) -> Result<(), SqlError> {
        if self.host_calls.take() { Ok(()) } else { Err(SqlError::NotGranted(NONE_LEFT.into())) }
    }
}

/// Sends a request, through whichever door it came.
pub(crate) async fn send(
    environment: &Environment,
    upstream: &str,
    request: HttpRequest,
    context: &CallContext,
    deadline: Instant,
) -> Result<HttpResponse, HttpError> {
    let id = &environment.manifest.plugin.id;
    let Some(log) = environment.resources.log() else {
        return environment.upstreams.send(id, upstream, request, context, deadline).await;
    };
    let (method, path_and_query) = (request.method.clone(), request.path_and_query.clone());
    let response = environment.upstreams.send(id, upstream, request, context, deadline).await;
    let known = response.as_ref().ok().map(|response| (response.status, response.body.clone()));
    log.push(HostCall::Upstream { upstream: upstream.to_owned(), method, path_and_query, response: known });
    response
}

/// A statement and where it runs.
fn statement<'a>(
    environment: &'a Environment,
    name: &str,
) -> Result<(&'a Arc<Statement>, &'a Database), SqlError> {
    let statement = environment.statements.find(name)?;
    Ok((statement, database(environment, statement.datasource())?))
}

fn database<'a>(environment: &'a Environment, name: &str) -> Result<&'a Database, SqlError> {
    environment.resources.database(name).ok_or(SqlError::UnknownDatasource)
}

/// Statements are tied to what the manifest asks for when it is read; a transaction names its datasource only here. The
/// grant may allow more than was signed.
fn asked_to_write(manifest: &Manifest, datasource: &str) -> Result<(), SqlError> {
    match manifest.datasources.get(datasource).map(|asked| asked.access) {
        Some(Access::Write) => Ok(()),
        Some(Access::Read) => Err(SqlError::NotGranted("writing to this datasource".into())),
        None => Err(SqlError::UnknownDatasource),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn manifest(access: &str) -> Manifest {
        let manifest = format!(
            "[plugin]\nid = \"kg.example.people\"\nversion = \"1.0.0\"\napi = \"0.1\"\n\
             [[service]]\ncode = \"person\"\ncontract = \"person.yaml\"\n\
             [datasource.registry]\nengine = [\"sqlite\"]\naccess = \"{access}\"\n"
        );
        Manifest::parse(manifest.as_bytes()).unwrap()
    }

    #[test]
    fn refuses_more_host_calls_than_the_limit_through_both_doors_together() {
        let mut adapter = HostCalls::new(2);
        let mut http = adapter.share();
        assert!(adapter.take() && http.take());
        assert!(!adapter.take() && !http.take());
        assert_eq!((adapter.made, http.made), (1, 1));
    }

    #[test]
    fn refuses_to_hold_more_bytes_than_one_call_may() {
        let adapter = HostCalls::new(0);
        let http = adapter.share();
        let half = HELD_BYTES_MAX as usize / 2;
        assert!(adapter.hold(half) && http.hold(half - 1));
        assert!(!http.hold(2));
        assert!(adapter.hold(1) && !adapter.hold(1));
    }

    #[test]
    fn refuses_transaction_on_a_datasource_that_the_manifest_asks_to_read() {
        let error = asked_to_write(&manifest("read"), "registry").unwrap_err();
        assert_eq!(error, SqlError::NotGranted("writing to this datasource".into()));
        asked_to_write(&manifest("write"), "registry").unwrap();
    }

    #[test]
    fn refuses_transaction_on_a_datasource_that_is_granted_but_not_asked_for() {
        assert_eq!(asked_to_write(&manifest("write"), "ledger"), Err(SqlError::UnknownDatasource));
    }
}
