//! Real PostgreSQL and MariaDB servers, each with its own folder and port, gone when dropped.
//!
//! They are those of Debian's packages `postgresql` and `mariadb-server`, whose own instances are not touched.
//! Unless asked for, nothing is flushed to disk: what a test stores survives the server, but not a power cut.

use std::fs::{self, File};
use std::ops::Deref;
use std::os::unix::fs::chown;
use std::os::unix::process::CommandExt;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::sync::atomic::{AtomicU32, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError, Weak};
use std::thread::sleep;
use std::time::{Duration, Instant};

use anyhow::{Context, Result, bail};
use tempfile::TempDir;

use crate::fixtures::skip;
use crate::ports;

/// User of every server here; it may do anything.
pub const USER: &str = "uuk";
/// Password of [`USER`].
pub const PASSWORD: &str = "correct-horse";

/// Time a server may take to answer after it was started.
const START_TIME_MAX: Duration = Duration::from_secs(60);

/// A PostgreSQL server.
#[derive(Debug)]
pub struct PostgreSql(DatabaseServer);

/// A MariaDB server.
#[derive(Debug)]
pub struct MariaDb(DatabaseServer);

/// What the servers have in common.
#[derive(Debug)]
pub struct DatabaseServer {
    kind: Kind,
    durability: Durability,
    folder: TempDir,
    port: u16,
    account: Account,
    databases: AtomicU32,
    process: Mutex<Option<Child>>,
}

#[derive(Debug, Clone)]
enum Kind {
    /// With the folder of its programs.
    PostgreSql(PathBuf),
    MariaDb,
}

/// What committed data survives.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Durability {
    /// The end of the server.
    Crash,
    /// Also that of the machine.
    PowerCut,
}

/// Who runs the server: these refuse to be run by root.
#[derive(Debug, Clone, Copy)]
enum Account {
    Ours,
    Other { uid: u32, gid: u32 },
}

impl PostgreSql {
    /// Starts a server of its own, for a test that stops or overloads it.
    ///
    /// # Errors
    /// If PostgreSQL is not installed or does not start.
    pub fn start() -> Result<Self> {
        let programs = Self::programs().context("PostgreSQL is not installed")?;
        DatabaseServer::start(Kind::PostgreSql(programs), Durability::Crash).map(Self)
    }

    /// As [`PostgreSql::start`], with the settings of PostgreSQL itself: a commit returns once it is on the disk.
    ///
    /// # Errors
    /// Likewise.
    pub fn start_durable() -> Result<Self> {
        let programs = Self::programs().context("PostgreSQL is not installed")?;
        DatabaseServer::start(Kind::PostgreSql(programs), Durability::PowerCut).map(Self)
    }

    /// The server that all tests running at the moment share. `None`, after saying so, if PostgreSQL is not installed.
    ///
    /// # Panics
    /// If it does not start, or is not installed and `CI` is `true`.
    pub fn shared() -> Option<Arc<Self>> {
        static SHARED: Mutex<Weak<PostgreSql>> = Mutex::new(Weak::new());
        shared(&SHARED, "PostgreSQL", Self::programs().is_some(), Self::start)
    }

    fn programs() -> Option<PathBuf> {
        let versions = fs::read_dir("/usr/lib/postgresql").ok()?;
        let programs = versions.filter_map(|version| Some(version.ok()?.path().join("bin")));
        programs.filter(|folder| folder.join("initdb").exists()).max()
    }
}

impl MariaDb {
    /// Starts a server of its own, for a test that stops or overloads it.
    ///
    /// # Errors
    /// If MariaDB is not installed or does not start.
    pub fn start() -> Result<Self> {
        DatabaseServer::start(Kind::MariaDb, Durability::Crash).map(Self)
    }

    /// The server that all tests running at the moment share. `None`, after saying so, if MariaDB is not installed.
    ///
    /// # Panics
    /// If it does not start, or is not installed and `CI` is `true`.
    pub fn shared() -> Option<Arc<Self>> {
        static SHARED: Mutex<Weak<MariaDb>> = Mutex::new(Weak::new());
        shared(&SHARED, "MariaDB", Path::new("/usr/bin/mariadb-install-db").exists(), Self::start)
    }
}

impl Deref for PostgreSql {
    type Target = DatabaseServer;

    fn deref(&self) -> &DatabaseServer {
        &self.0
    }
}

impl Deref for MariaDb {
    type Target = DatabaseServer;

    fn deref(&self) -> &DatabaseServer {
        &self.0
    }
}

/// The last test to let go of the server stops it, which a static owner would not do.
#[expect(clippy::panic, reason = "a test cannot go on without its server")]
fn shared<S>(
    running: &Mutex<Weak<S>>,
    name: &str,
    is_installed: bool,
    start: impl FnOnce() -> Result<S>,
) -> Option<Arc<S>> {
    if !is_installed {
        skip(&format!("{name} is not installed"));
        return None;
    }
    let mut running = running.lock().unwrap_or_else(PoisonError::into_inner);
    if let Some(server) = running.upgrade() {
        return Some(server);
    }
    let server = Arc::new(start().unwrap_or_else(|error| panic!("{name} does not start: {error:#}")));
    *running = Arc::downgrade(&server);
    Some(server)
}

impl DatabaseServer {
    fn start(kind: Kind, durability: Durability) -> Result<Self> {
        let folder = tempfile::Builder::new().prefix("uuk-database-").tempdir()?;
        let account = Account::for_server(&kind)?;
        account.give(folder.path())?;
        let port = ports::reserve()?;
        let (databases, process) = (AtomicU32::new(0), Mutex::new(None));
        let server = Self { kind, durability, folder, port, account, databases, process };
        server.install()?;
        server.start_again()?;
        Ok(server)
    }

    /// The port it listens on, on 127.0.0.1.
    pub fn port(&self) -> u16 {
        self.port
    }

    /// The address of a database on this server, without user and password.
    pub fn url(&self, database: &str) -> String {
        let scheme = match self.kind {
            Kind::PostgreSql(_) => "postgres",
            Kind::MariaDb => "mysql",
        };
        format!("{scheme}://127.0.0.1:{}/{database}", self.port)
    }

    /// Creates a database that nothing else uses, runs `sql` in it, and gives its name.
    ///
    /// # Errors
    /// If the server refuses.
    pub fn create_database(&self, sql: &str) -> Result<String> {
        let name = format!("test{}", self.databases.fetch_add(1, Ordering::Relaxed));
        self.execute(self.main_database(), &format!("CREATE DATABASE {name}"))?;
        self.execute(&name, sql)?;
        Ok(name)
    }

    /// Runs `sql` in `database` with the server's own client, and gives what that prints: a line for a row, its
    /// values parted by tabs.
    ///
    /// # Errors
    /// If the server refuses any of it.
    pub fn execute(&self, database: &str, sql: &str) -> Result<String> {
        let output = self.client(database).arg(sql).output().context("cannot run the client")?;
        if !output.status.success() {
            bail!("the server refuses: {}", String::from_utf8_lossy(&output.stderr));
        }
        Ok(String::from_utf8(output.stdout)?.trim_end().to_owned())
    }

    /// Stops the server at once, as a crash would; connections break.
    ///
    /// # Errors
    /// If it cannot be stopped.
    pub fn stop(&self) -> Result<()> {
        let Some(mut process) = self.process().take() else { return Ok(()) };
        if let Kind::PostgreSql(programs) = &self.kind {
            // Killing it would leave its shared memory behind.
            let mut stop = self.account.command(&programs.join("pg_ctl"));
            stop.args(["stop", "--mode=immediate", "--silent", "--pgdata"]).arg(self.data());
            run(&mut stop)?;
        } else {
            process.kill()?;
        }
        process.wait()?;
        Ok(())
    }

    /// Starts the server after [`DatabaseServer::stop`], with its data and on its port; returns when it answers.
    ///
    /// # Errors
    /// If it ends or does not answer in time; with what it last wrote.
    pub fn start_again(&self) -> Result<()> {
        let log = File::create(self.log())?;
        let mut server = self.server();
        server.stdin(Stdio::null()).stdout(log.try_clone()?).stderr(log);
        let mut process = self.process();
        let process = process.insert(server.spawn().context("cannot start the server")?);
        let started = Instant::now();
        while process.try_wait()?.is_none() && started.elapsed() < START_TIME_MAX {
            let mut ping = match &self.kind {
                Kind::PostgreSql(programs) => Command::new(programs.join("pg_isready")),
                Kind::MariaDb => Command::new("mariadb-admin"),
            };
            match self.kind {
                Kind::PostgreSql(_) => ping.arg("--host=127.0.0.1").arg(format!("--port={}", self.port)),
                Kind::MariaDb => ping
                    .args(["--no-defaults", "--host=127.0.0.1", "--user", USER, "ping"])
                    .arg(format!("--password={PASSWORD}"))
                    .arg(format!("--port={}", self.port)),
            };
            if ping.stdout(Stdio::null()).stderr(Stdio::null()).status()?.success() {
                return Ok(());
            }
            sleep(Duration::from_millis(30));
        }
        let log = fs::read_to_string(self.log()).unwrap_or_default();
        let last: Vec<&str> = log.lines().rev().take(10).collect();
        bail!("the server does not answer; it last said: {}", last.join(" | "));
    }

    fn process(&self) -> MutexGuard<'_, Option<Child>> {
        self.process.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn main_database(&self) -> &'static str {
        match self.kind {
            Kind::PostgreSql(_) => "postgres",
            Kind::MariaDb => "mysql",
        }
    }

    fn data(&self) -> PathBuf {
        self.folder.path().join("data")
    }

    fn log(&self) -> PathBuf {
        self.folder.path().join("log")
    }

    /// Makes the folder of data, with [`USER`] in it.
    fn install(&self) -> Result<()> {
        let set_up = self.folder.path().join("set-up");
        match &self.kind {
            Kind::PostgreSql(programs) => {
                fs::write(&set_up, PASSWORD)?;
                self.account.give(&set_up)?;
                let mut install = self.account.command(&programs.join("initdb"));
                // Hashing the password is slow in a debug build, and hides nothing on loopback.
                install
                    .args(["--auth=password", "--username", USER, "--no-sync", "--no-instructions"])
                    .args(["--locale=C", "--encoding=UTF8"])
                    .arg(format!("--pwfile={}", set_up.display()))
                    .arg(format!("--pgdata={}", self.data().display()));
                run(&mut install)
            }
            Kind::MariaDb => {
                fs::write(
                    &set_up,
                    format!(
                        "CREATE USER IF NOT EXISTS {USER}@'127.0.0.1' IDENTIFIED BY '{PASSWORD}';\n\
                         GRANT ALL ON *.* TO {USER}@'127.0.0.1';\n"
                    ),
                )?;
                self.account.give(&set_up)?;
                let mut install = self.mariadb("mariadb-install-db");
                install
                    .args(["--no-defaults", "--skip-test-db", "--auth-root-authentication-method=normal"])
                    .arg(format!("--datadir={}", self.data().display()));
                run(&mut install)
            }
        }
    }

    /// A program of MariaDB. Each that begins removes the temporary tables that it finds where it keeps its own.
    fn mariadb(&self, program: &str) -> Command {
        let mut command = self.account.command(Path::new(program));
        command.env("TMPDIR", self.folder.path());
        command
    }

    fn server(&self) -> Command {
        let port = format!("--port={}", self.port);
        match &self.kind {
            Kind::PostgreSql(programs) => {
                let mut server = self.account.command(&programs.join("postgres"));
                server
                    .arg("-D")
                    .arg(self.data())
                    .arg(port)
                    .args(["--listen_addresses=127.0.0.1", "--unix_socket_directories="]);
                if self.durability == Durability::Crash {
                    server.args(["--fsync=off", "--full_page_writes=off"]);
                }
                server
            }
            Kind::MariaDb => {
                let mut server = self.mariadb("/usr/sbin/mariadbd");
                let folder = self.folder.path().display();
                server
                    .args(["--no-defaults", "--bind-address=127.0.0.1", "--skip-name-resolve"])
                    .args(["--character-set-server=utf8mb4", "--innodb-flush-log-at-trx-commit=2"])
                    .args(["--innodb-buffer-pool-size=32M", "--skip-innodb-doublewrite"])
                    .arg(port)
                    .arg(format!("--datadir={}", self.data().display()))
                    .arg(format!("--socket={folder}/socket"))
                    .arg(format!("--pid-file={folder}/pid"))
                    .arg(format!("--init-file={folder}/set-up"));
                server
            }
        }
    }

    /// The server's client, which expects the SQL as its last argument.
    fn client(&self, database: &str) -> Command {
        match &self.kind {
            Kind::PostgreSql(programs) => {
                let mut client = Command::new(programs.join("psql"));
                client
                    .env("PGPASSWORD", PASSWORD)
                    .args(["--no-psqlrc", "--quiet", "--tuples-only", "--no-align", "--field-separator=\t"])
                    .args(["--set=ON_ERROR_STOP=1", "--host=127.0.0.1", "--username", USER])
                    .arg(format!("--port={}", self.port))
                    .args(["--dbname", database, "--command"]);
                client
            }
            Kind::MariaDb => {
                let mut client = Command::new("mariadb");
                client
                    .args(["--no-defaults", "--batch", "--skip-column-names", "--host=127.0.0.1"])
                    .args(["--default-character-set=utf8mb4", "--user", USER])
                    .arg(format!("--password={PASSWORD}"))
                    .arg(format!("--port={}", self.port))
                    .args(["--database", database, "--execute"]);
                client
            }
        }
    }
}

impl Drop for DatabaseServer {
    fn drop(&mut self) {
        // A server that outlives its test is a nuisance, but no reason to fail it.
        if let Err(error) = self.stop() {
            eprintln!("cannot stop the database server on port {}: {error:#}", self.port);
        }
    }
}

impl Account {
    fn for_server(kind: &Kind) -> Result<Self> {
        let own = identity(&["-u"])?;
        if own != 0 {
            return Ok(Self::Ours);
        }
        let name = match kind {
            Kind::PostgreSql(_) => "postgres",
            Kind::MariaDb => "mysql",
        };
        Ok(Self::Other { uid: identity(&["-u", name])?, gid: identity(&["-g", name])? })
    }

    fn give(self, path: &Path) -> Result<()> {
        match self {
            Self::Ours => Ok(()),
            Self::Other { uid, gid } => chown(path, Some(uid), Some(gid)).context("cannot change the owner"),
        }
    }

    fn command(self, program: &Path) -> Command {
        let mut command = Command::new(program);
        // The folder of a test run need not be readable to that account.
        command.current_dir("/");
        if let Self::Other { uid, gid } = self {
            command.uid(uid).gid(gid);
        }
        command
    }
}

fn identity(arguments: &[&str]) -> Result<u32> {
    let output = Command::new("id").args(arguments).output()?;
    let text = String::from_utf8(output.stdout)?;
    text.trim().parse().with_context(|| format!("`id {}` gives no number", arguments.join(" ")))
}

fn run(command: &mut Command) -> Result<()> {
    let output = command.stdin(Stdio::null()).output().with_context(|| format!("cannot run {command:?}"))?;
    if !output.status.success() {
        let (out, err) = (String::from_utf8_lossy(&output.stdout), String::from_utf8_lossy(&output.stderr));
        bail!("{command:?} fails: {out}{err}");
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[track_caller]
    fn keeps_data_over_a_restart(server: &DatabaseServer) {
        let database = server.create_database("CREATE TABLE t (a int, b text)").unwrap();
        server.execute(&database, "INSERT INTO t VALUES (1, 'ү')").unwrap();
        server.stop().unwrap();
        server.execute(&database, "SELECT 1").unwrap_err();
        server.start_again().unwrap();
        assert_eq!(server.execute(&database, "SELECT a, b FROM t").unwrap(), "1\tү");
    }

    #[test]
    fn postgresql_keeps_data_over_a_restart() {
        if PostgreSql::shared().is_some() {
            keeps_data_over_a_restart(&PostgreSql::start().unwrap());
        }
    }

    #[test]
    fn mariadb_keeps_data_over_a_restart() {
        if MariaDb::shared().is_some() {
            keeps_data_over_a_restart(&MariaDb::start().unwrap());
        }
    }
}
