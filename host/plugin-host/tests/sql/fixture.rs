use std::path::PathBuf;
use std::sync::Arc;
use std::time::{Duration, Instant};

use sqlx::{AssertSqlSafe, ConnectOptions, Connection, Row};
use tempfile::TempDir;
use tokio_util::task::TaskTracker;
use uuk_bundle::{Access, Engine, Manifest};
use uuk_plugin_host::CallContext;
use uuk_plugin_host::capabilities::sql::{
    Database, DatabaseGrant, RowSet, SqlError, Statement, StatementError, Statements, Value,
};
use uuk_process::Secret;
use uuk_testkit::databases::{DatabaseServer, MariaDb, PASSWORD, PostgreSql, USER};

/// Longer than anything here takes that is not stopped.
const PATIENCE: Duration = Duration::from_secs(20);

/// Time for the database to stop what it was told to stop.
const QUIET_TIME_MAX: Duration = Duration::from_secs(4);

/// A table as an agency has it, with three people.
const SCHEMA: [&str; 3] = [
    "CREATE TABLE region (code VARCHAR(2) PRIMARY KEY)",
    "CREATE TABLE person (
        pin VARCHAR(14) PRIMARY KEY,
        name VARCHAR(100) NOT NULL,
        children INTEGER,
        age INTEGER,
        region VARCHAR(2),
        CONSTRAINT some_age CHECK (age >= 0),
        CONSTRAINT person_region FOREIGN KEY (region) REFERENCES region (code))",
    "INSERT INTO person VALUES ('10', 'Айгүл', 2, 40, NULL), ('20', 'Bakyt', NULL, 30, NULL), ('30', 'Cholpon', 0, 20, NULL)",
];

/// A database with [`SCHEMA`], that no other test uses.
pub(crate) struct Fixture {
    engine: Engine,
    url: String,
    is_by_odbc: bool,
    place: Place,
    tasks: TaskTracker,
}

enum Place {
    File(TempDir),
    Server { server: Server, database: String },
}

/// Kept while its database is used.
pub(crate) enum Server {
    PostgreSql(Arc<PostgreSql>),
    MariaDb(Arc<MariaDb>),
}

impl Fixture {
    /// `None` if the engine is not installed.
    pub(crate) async fn new(engine: Engine) -> Option<Self> {
        let server = match engine {
            Engine::Sqlite => return Some(Self::in_file().await),
            Engine::Postgres => Server::PostgreSql(PostgreSql::shared()?),
            _ => Server::MariaDb(MariaDb::shared()?),
        };
        Some(Self::on(engine, server))
    }

    async fn in_file() -> Self {
        let place = Place::File(tempfile::tempdir().unwrap());
        let path = place.path();
        std::fs::write(&path, []).unwrap();
        let url = format!("sqlite:{}", path.display());
        let fixture =
            Self { engine: Engine::Sqlite, url, is_by_odbc: false, place, tasks: TaskTracker::new() };
        fixture.execute(&SCHEMA.join(";\n")).await;
        fixture
    }

    pub(crate) fn on(engine: Engine, server: Server) -> Self {
        let database = server.get().create_database(&SCHEMA.join(";\n")).unwrap();
        let url = server.get().url(&database);
        let place = Place::Server { server, database };
        Self { engine, url, is_by_odbc: false, place, tasks: TaskTracker::new() }
    }

    /// As [`Fixture::new`], reached by Debian's ODBC driver for it.
    #[cfg(feature = "odbc")]
    pub(crate) async fn by_odbc(engine: Engine) -> Option<Self> {
        Some(Self::new(engine).await?.through_odbc())
    }

    #[cfg(feature = "odbc")]
    pub(crate) fn through_odbc(self) -> Self {
        Self { is_by_odbc: true, ..self }
    }

    pub(crate) fn engine(&self) -> Engine {
        self.engine
    }

    /// What an operator usually grants, as `adapt` changes it.
    pub(crate) fn grant(&self, adapt: impl FnOnce(&mut DatabaseGrant)) -> DatabaseGrant {
        let is_server = self.engine != Engine::Sqlite;
        let mut grant = DatabaseGrant {
            datasource: "registry".into(),
            engine: self.engine,
            url: self.granted_url(),
            user: is_server.then(|| USER.to_owned()),
            password: is_server.then(|| Secret::new(PASSWORD.to_owned())),
            access: Access::Read,
            free_sql: false,
            connections_max: 2,
            acquire_time_max: Duration::from_secs(10),
            statement_time_max: Duration::from_secs(30),
            application_name: "uuk:kg.example.people@1.0.0".into(),
            session_variables: false,
        };
        adapt(&mut grant);
        grant
    }

    /// The address that a grant has.
    fn granted_url(&self) -> String {
        if !self.is_by_odbc {
            return self.url.clone();
        }
        let driver = match self.engine {
            Engine::Sqlite => "SQLite3",
            Engine::Postgres => "PostgreSQL Unicode",
            _ => "MariaDB Unicode",
        };
        match &self.place {
            Place::File(_) => format!("odbc:Driver={driver};Database={}", self.path().display()),
            Place::Server { server, database } => {
                format!(
                    "odbc:Driver={driver};Server=127.0.0.1;Port={};Database={database}",
                    server.get().port()
                )
            }
        }
    }

    /// How the first two values of free SQL are marked.
    pub(crate) fn placeholders(&self) -> (&'static str, &'static str) {
        if self.engine == Engine::Postgres && !self.is_by_odbc { ("$1", "$2") } else { ("?", "?") }
    }

    /// Whether a driver of ODBC stands between.
    pub(crate) fn is_by_odbc(&self) -> bool {
        self.is_by_odbc
    }

    /// The database, granted for reading.
    pub(crate) fn reading(&self) -> Granted<'_> {
        self.granted(|_| {})
    }

    /// The database, granted for writing.
    pub(crate) fn writing(&self) -> Granted<'_> {
        self.granted(|grant| grant.access = Access::Write)
    }

    pub(crate) fn granted(&self, adapt: impl FnOnce(&mut DatabaseGrant)) -> Granted<'_> {
        let database = Database::connect(self.grant(adapt), self.tasks.clone()).unwrap();
        Granted { database, fixture: self }
    }

    /// Runs SQL as somebody else, and gives the first value.
    pub(crate) async fn execute(&self, sql: &str) -> String {
        match &self.place {
            Place::Server { server, database } => server.get().execute(database, sql).unwrap(),
            Place::File(_) => {
                let options: sqlx::sqlite::SqliteConnectOptions = self.url.parse().unwrap();
                let mut connection = options.connect().await.unwrap();
                let rows =
                    sqlx::raw_sql(AssertSqlSafe(sql.to_owned())).fetch_all(&mut connection).await.unwrap();
                connection.close().await.unwrap();
                rows.first().map_or_else(String::new, |row| {
                    row.try_get_unchecked::<Option<String>, _>(0).unwrap().unwrap_or_default()
                })
            }
        }
    }

    /// The server, for stopping it.
    pub(crate) fn server(&self) -> &DatabaseServer {
        match &self.place {
            Place::Server { server, .. } => server.get(),
            Place::File(_) => panic!("a file has no server"),
        }
    }

    /// The file, for spoiling it.
    pub(crate) fn path(&self) -> PathBuf {
        self.place.path()
    }

    pub(crate) async fn count_people(&self) -> String {
        self.execute("SELECT COUNT(*) FROM person").await
    }

    /// SQL that gives the numbers from 1 to `count` as `n`, and takes its time if these are many.
    pub(crate) fn numbers(&self, count: u64) -> String {
        match self.engine {
            Engine::Sqlite => format!(
                "WITH RECURSIVE s(n) AS (SELECT 1 UNION ALL SELECT n + 1 FROM s WHERE n < {count}) SELECT n FROM s"
            ),
            // In `FROM` it would be computed as a whole first.
            Engine::Postgres => format!("SELECT generate_series(1, {count}) AS n"),
            _ => format!("SELECT seq AS n FROM seq_1_to_{count}"),
        }
    }

    /// A statement that gives nothing before a minute has passed.
    pub(crate) fn slow(&self) -> Arc<Statement> {
        let sql = match self.engine {
            Engine::Sqlite => {
                "WITH RECURSIVE s(n) AS (SELECT 1 UNION ALL SELECT n + 1 FROM s) SELECT count(*) AS n FROM s"
            }
            Engine::Postgres => "SELECT 1 AS n FROM pg_sleep(60)",
            _ => "SELECT SLEEP(60) AS n",
        };
        self.statement(r#"row = { n = "integer" }"#, sql)
    }

    /// A statement of the manifest; `declared` is what its section says beside datasource and file.
    pub(crate) fn statement(&self, declared: &str, sql: &str) -> Arc<Statement> {
        self.try_statement("registry", declared, sql).unwrap()
    }

    pub(crate) fn try_statement(
        &self,
        datasource: &str,
        declared: &str,
        sql: &str,
    ) -> Result<Arc<Statement>, StatementError> {
        // By default it is short, and this machine may be busy with other things.
        let timeout = if declared.contains("timeout") { "" } else { "timeout = \"30s\"" };
        let manifest = format!(
            "[plugin]\nid = \"kg.example.people\"\nversion = \"1.0.0\"\napi = \"0.1\"\n\
             [[service]]\ncode = \"person\"\ncontract = \"person.yaml\"\n\
             [datasource.{datasource}]\nengine = [\"{}\"]\naccess = \"write\"\n\
             [sql.it]\ndatasource = \"{datasource}\"\nfile = \"it.sql\"\n{timeout}\n{declared}\n",
            self.engine
        );
        let manifest = Manifest::parse(manifest.as_bytes()).unwrap();
        let statements = Statements::compile(&manifest, |_| Some(sql))?;
        Ok(Arc::clone(statements.find("it").unwrap()))
    }

    /// Waits until the database runs nothing for us any more, and all cleaning up is done. The database is told: it
    /// does not get to the end of anything by itself in that time, and cleaning up is not given up yet.
    pub(crate) async fn is_quiet(&self) {
        let started = Instant::now();
        self.is_told_to_stop().await;
        while self.running().await > 0 {
            assert!(started.elapsed() < QUIET_TIME_MAX, "the database is still at work");
            tokio::time::sleep(Duration::from_millis(20)).await;
        }
    }

    /// Waits until all cleaning up is done.
    pub(crate) async fn is_told_to_stop(&self) {
        self.tasks.close();
        tokio::time::timeout(QUIET_TIME_MAX, self.tasks.wait()).await.unwrap();
        self.tasks.reopen();
    }

    /// Waits until the database runs something for us.
    pub(crate) async fn is_at_work(&self) {
        if self.engine == Engine::Sqlite {
            // Nobody can see it; its thread has begun by then.
            return tokio::time::sleep(Duration::from_millis(50)).await;
        }
        let started = Instant::now();
        while self.running().await == 0 {
            assert!(started.elapsed() < PATIENCE, "the database does nothing");
            tokio::time::sleep(Duration::from_millis(20)).await;
        }
    }

    /// How many statements the server itself says that it runs. A file has no list; there, cleaning up is done only
    /// when the statement has ended.
    async fn running(&self) -> u32 {
        let Place::Server { database, .. } = &self.place else { return 0 };
        let sql = match self.engine {
            Engine::Postgres => format!(
                "SELECT count(*) FROM pg_stat_activity
                 WHERE datname = '{database}' AND state = 'active' AND pid <> pg_backend_pid()"
            ),
            _ => format!(
                "SELECT COUNT(*) FROM information_schema.processlist
                 WHERE db = '{database}' AND command IN ('Query', 'Execute') AND id <> CONNECTION_ID()"
            ),
        };
        self.execute(&sql).await.parse().unwrap()
    }

    /// How many connections the server has for the plugin; the server's own housekeeping comes and goes.
    pub(crate) async fn connections(&self) -> u32 {
        let Place::Server { database, .. } = &self.place else { return 0 };
        let sql = match self.engine {
            Engine::Postgres => format!(
                "SELECT count(*) FROM pg_stat_activity
                 WHERE datname = '{database}' AND application_name LIKE 'uuk:%'"
            ),
            _ => format!(
                "SELECT COUNT(*) FROM information_schema.processlist
                 WHERE db = '{database}' AND id <> CONNECTION_ID()"
            ),
        };
        self.execute(&sql).await.parse().unwrap()
    }
}

impl Place {
    fn path(&self) -> PathBuf {
        match self {
            Self::File(folder) => folder.path().join("people.db"),
            Self::Server { .. } => panic!("a server has no file"),
        }
    }
}

impl Server {
    fn get(&self) -> &DatabaseServer {
        match self {
            Self::PostgreSql(server) => server,
            Self::MariaDb(server) => server,
        }
    }
}

/// A database under a grant.
pub(crate) struct Granted<'f> {
    pub(crate) database: Database,
    pub(crate) fixture: &'f Fixture,
}

impl Granted<'_> {
    /// Declares a statement and runs it.
    pub(crate) async fn run(
        &self,
        declared: &str,
        sql: &str,
        params: &[(&str, Value)],
    ) -> Result<RowSet, SqlError> {
        self.run_statement(&self.fixture.statement(declared, sql), params).await
    }

    pub(crate) async fn run_statement(
        &self,
        statement: &Statement,
        params: &[(&str, Value)],
    ) -> Result<RowSet, SqlError> {
        self.database.run(statement, named(params), in_time(), &context()).await
    }

    /// What works whenever the database does.
    pub(crate) async fn works(&self) -> Result<(), SqlError> {
        self.run(r#"row = { name = "text" }"#, "SELECT name FROM person", &[]).await.map(|_| ())
    }
}

pub(crate) fn named(params: &[(&str, Value)]) -> Vec<(String, Value)> {
    params.iter().map(|(name, value)| ((*name).to_owned(), value.clone())).collect()
}

pub(crate) fn text(text: &str) -> Value {
    Value::Text(text.to_owned())
}

pub(crate) fn in_time() -> Instant {
    Instant::now() + PATIENCE
}

pub(crate) fn context() -> CallContext {
    CallContext {
        exchange_id: "KG-7f3a".into(),
        client: "KG/GOV/10000001/tax".into(),
        user: Some("KG21212198001234".into()),
        purpose: Some("benefit".into()),
        ..CallContext::default()
    }
}
