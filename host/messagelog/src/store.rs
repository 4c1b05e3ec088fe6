//! The tables, and all SQL.
//!
//! Every statement is the same text for SQLite and PostgreSQL, but for the one that stores records. SQLite is written by
//! one connection, which writers take in turn, so that none is starved while another holds the file's lock.

use std::collections::HashMap;
use std::ops::Range;
use std::str::FromStr;
use std::sync::{Arc, Mutex as StdMutex, PoisonError};
use std::time::Duration;

use deadpool::managed::{self, Metrics, Object, PoolError, RecycleError, RecycleResult};
use jiff::Timestamp;
use sqlx::migrate::{Migration, MigrationType, Migrator};
use sqlx::postgres::{PgConnectOptions, PgPoolOptions, PgSslMode};
use sqlx::query_builder::Separated;
use sqlx::sqlite::{SqliteConnectOptions, SqliteJournalMode, SqliteSynchronous};
use sqlx::{
    AssertSqlSafe, ConnectOptions, Connection, PgConnection, PgPool, Postgres, QueryBuilder, SqlSafeStr,
    Sqlite, SqliteConnection,
};
use tokio::sync::Mutex;
use uuk_asic::{ChainDocuments, ChainNames, DetachedTimeStamp, HashChains, SignatureDocuments};
use uuk_identifiers::{ClientId, MemberId, SubsystemId};
use uuk_pki::{Digest, DigestAlgorithm};
use uuk_process::Secret;

use crate::checkpointer::Backlog;
use crate::config::Grouping;
use crate::record::{Direction, FoundRecord, Query, RecordId};

const MIGRATIONS: [(i64, &str, &str); 2] = [
    (1, "records", include_str!("../migrations/0001_records.sql")),
    (2, "signatures", include_str!("../migrations/0002_signatures.sql")),
];

/// How SQLite takes a record with all that belongs to it.
const WHOLE_RECORD: &str = include_str!("whole_record.sql");

/// Connections beside the one that writes, or in all with PostgreSQL.
const CONNECTIONS_MAX: usize = 4;
/// Waiting for a connection, or for another process that writes the same file.
const ACQUIRE_TIME_MAX: Duration = Duration::from_secs(15);
/// Numbers taken from the database at once. Those that a stopped server did not use stay unused.
const NUMBER_BLOCK: i64 = 1024;
/// Rows per statement that names them one by one; SQLite takes 32766 parameters, and each number of rows is prepared anew.
const ROWS_MAX: usize = 32;
/// Attachments per statement: a commit may have more than databases take parameters, which is 32766 in SQLite.
const ATTACHMENTS_PER_STATEMENT: usize = 1024;
/// Messages read at once: envelopes and headers, of at most some megabytes in all.
const MESSAGES_PER_STATEMENT: usize = 256;
/// A digest of SHA-512.
const SHA512_BYTES: usize = 64;
/// Records per commit of a time-stamp: a few milliseconds.
const STAMPED_PER_COMMIT: usize = 512;

/// Why the database cannot be used.
#[derive(Debug, thiserror::Error, strum::IntoStaticStr)]
#[strum(serialize_all = "snake_case", prefix = "message_log.")]
#[non_exhaustive]
pub enum StoreError {
    /// The address is none of those known.
    #[error("the database of the message log is neither `sqlite:PATH` nor `postgres://HOST/DATABASE`")]
    Address,
    /// The address holds a password, which belongs into a file.
    #[error("the address of the message log's database holds a password")]
    PasswordInAddress,
    /// There is no connection, or it broke.
    #[error("the message log's database cannot be reached")]
    Unreachable(#[source] sqlx::Error),
    /// The tables cannot be made or brought up to date.
    #[error("the message log's tables cannot be brought up to date")]
    Migration(#[source] sqlx::migrate::MigrateError),
    /// A statement failed: the disk is full, the file is damaged, a right is missing.
    #[error("the message log's database refuses")]
    Refused(#[source] sqlx::Error),
    /// A row is not what was written.
    #[error("record {record} of the message log is damaged: {what}")]
    Damaged {
        /// Which.
        record: RecordId,
        /// What of it.
        what: &'static str,
    },
}

impl StoreError {
    /// The stable code: `message_log.unreachable`.
    pub fn code(&self) -> &'static str {
        self.into()
    }
}

impl From<sqlx::Error> for StoreError {
    fn from(error: sqlx::Error) -> Self {
        match error {
            sqlx::Error::Database(_) | sqlx::Error::ColumnDecode { .. } | sqlx::Error::Decode(_) => {
                Self::Refused(error)
            }
            other => Self::Unreachable(other),
        }
    }
}

/// How often records were inserted before.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Attempt {
    /// Never: a number that is taken is an error, since a record must not be lost behind another.
    First,
    /// Once, and nobody knows whether it succeeded: those that are there are left as they are.
    Again,
}

/// A record ready to be inserted; message and attachments may be encrypted.
#[derive(Debug)]
pub(crate) struct NewRow {
    pub(crate) recorded_at: Timestamp,
    pub(crate) direction: Direction,
    pub(crate) party: ClientId,
    pub(crate) query_id: String,
    pub(crate) request_id: String,
    pub(crate) content: Content,
}

/// What never changes of a record.
#[derive(Debug, Clone)]
pub(crate) struct Content {
    pub(crate) key_id: Option<String>,
    pub(crate) message: Vec<u8>,
    pub(crate) signature: SignatureDocuments,
    pub(crate) attachments: Vec<StoredAttachment>,
}

impl Content {
    /// What it takes to keep it.
    pub(crate) fn size_bytes(&self) -> usize {
        let chain = self.signature.hash_chain.as_ref();
        let attachments = self.attachments.iter().map(|attachment| match attachment {
            StoredAttachment::Content(content) => content.len(),
            StoredAttachment::LeftOut(digest) => digest.as_bytes().len(),
        });
        self.message.len()
            + self.signature.signatures.len()
            + chain.map_or(0, |chain| chain.result.len() + chain.chain.len())
            + attachments.sum::<usize>()
    }
}

/// An attachment, from one.
#[derive(Debug, Clone)]
pub(crate) enum StoredAttachment {
    Content(Vec<u8>),
    LeftOut(Digest),
}

/// A record with all that belongs into its container.
#[derive(Debug)]
pub(crate) struct FullRecord {
    pub(crate) found: FoundRecord,
    pub(crate) content: Content,
    pub(crate) time_stamp: Option<DetachedTimeStamp>,
}

#[derive(Debug, Clone)]
enum Pool {
    Sqlite(SqliteConnections),
    Postgres(PgPool),
}

/// Connections to SQLite. The driver's own pool would ask each one after use whether it is still there, which takes the
/// connection's thread once more.
#[derive(Debug, Clone)]
struct SqliteConnections(managed::Pool<SqliteConnector>);

#[derive(Debug)]
struct SqliteConnector {
    options: SqliteConnectOptions,
    access: Access,
}

impl SqliteConnections {
    fn new(
        options: SqliteConnectOptions,
        access: Access,
        connections_max: usize,
    ) -> Result<Self, StoreError> {
        let pool = managed::Pool::builder(SqliteConnector { options, access })
            .max_size(connections_max)
            .wait_timeout(Some(ACQUIRE_TIME_MAX))
            .runtime(deadpool::Runtime::Tokio1);
        // Fails only for timeouts without a runtime.
        let pool = pool.build().map_err(|error| sqlx::Error::Configuration(error.into()))?;
        Ok(Self(pool))
    }

    async fn acquire(&self) -> Result<Object<SqliteConnector>, sqlx::Error> {
        self.0.get().await.map_err(|error| match error {
            PoolError::Backend(error) => error,
            _ => sqlx::Error::PoolTimedOut,
        })
    }
}

impl managed::Manager for SqliteConnector {
    type Type = SqliteConnection;
    type Error = sqlx::Error;

    async fn create(&self) -> Result<SqliteConnection, sqlx::Error> {
        let mut connection = self.options.connect().await?;
        if self.access == Access::Write {
            sqlx::raw_sql(WHOLE_RECORD).execute(&mut connection).await?;
        }
        Ok(connection)
    }

    async fn recycle(&self, connection: &mut SqliteConnection, _: &Metrics) -> RecycleResult<sqlx::Error> {
        // A full disk ends a transaction without the driver's knowledge, which takes none on it any more.
        match connection.is_in_transaction() {
            true => Err(RecycleError::message("it takes no transaction any more")),
            false => Ok(()),
        }
    }
}

/// Runs code on a connection to whichever database it is; the code can name its type `Db`.
macro_rules! on {
    ($pool:expr, |$connection:ident| $code:expr) => {
        match $pool {
            Pool::Sqlite(connections) => {
                #[allow(dead_code, reason = "not all code names it")]
                type Db = Sqlite;
                let mut $connection = connections.acquire().await?;
                $code
            }
            Pool::Postgres(connections) => {
                #[allow(dead_code, reason = "not all code names it")]
                type Db = Postgres;
                let mut $connection = connections.acquire().await?;
                $code
            }
        }
    };
}

/// The database.
#[derive(Debug, Clone)]
pub(crate) struct Store {
    write: Pool,
    read: Pool,
    /// Numbers that are ours to give.
    numbers: Arc<Mutex<Range<i64>>>,
    backlog: Backlog,
    /// Of the time-stamp that was asked for last: records that are exported one after the other share it.
    last_chains: Arc<StdMutex<Option<StampedChains>>>,
}

/// The chains of one time-stamp.
#[derive(Debug)]
struct StampedChains {
    time_stamp: i64,
    chains: Arc<HashChains>,
}

/// An archive that is written, or will be as it was planned.
#[derive(Debug, Clone)]
pub(crate) struct PlannedArchive {
    pub(crate) id: i64,
    /// Whose records; empty if all share archives.
    pub(crate) group: String,
    /// In its group, from one.
    pub(crate) position: i64,
    pub(crate) file_name: String,
    pub(crate) last_digest: String,
}

/// A time-stamp to keep.
#[derive(Debug)]
pub(crate) struct NewTimeStamp {
    pub(crate) stamped_at: Timestamp,
    pub(crate) token: Vec<u8>,
    /// What it covers, if it covers several signatures.
    pub(crate) covered: Option<Covered>,
}

/// Several signatures under one time-stamp.
#[derive(Debug)]
pub(crate) struct Covered {
    /// What the token is over.
    pub(crate) result: Vec<u8>,
    /// The digests of their documents.
    pub(crate) signatures: Vec<Digest>,
}

/// What a database is opened for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Access {
    Read,
    Write,
}

impl Store {
    /// Opens the database and brings its tables up to date.
    pub(crate) async fn open(url: &str, password: Option<&Secret<String>>) -> Result<Self, StoreError> {
        let store = Self::open_for(Access::Write, url, password).await?;
        let is_sqlite = matches!(store.write, Pool::Sqlite(_));
        let migrations = MIGRATIONS.iter().map(|(version, name, sql)| {
            // SQLite keeps a table in the order of a key that is called so, and of any other in a second tree.
            let sql = match is_sqlite && *version >= 2 {
                true => sql.replace("BIGINT PRIMARY KEY", "INTEGER PRIMARY KEY"),
                false => (*sql).to_owned(),
            };
            let sql = AssertSqlSafe(sql).into_sql_str();
            Migration::new(*version, (*name).into(), MigrationType::Simple, sql, false)
        });
        // Tables that a newer release has changed are refused: what it writes may not be read here.
        let migrator = Migrator::with_migrations(migrations.collect());
        // By a connection that needs none of them yet.
        on!(&store.read, |connection| migrator.run(&mut *connection).await).map_err(StoreError::Migration)?;
        Ok(store)
    }

    /// Opens a database that is there, so that nothing can be changed.
    pub(crate) async fn open_read_only(
        url: &str,
        password: Option<&Secret<String>>,
    ) -> Result<Self, StoreError> {
        Self::open_for(Access::Read, url, password).await
    }

    async fn open_for(
        access: Access,
        url: &str,
        password: Option<&Secret<String>>,
    ) -> Result<Self, StoreError> {
        match url.split_once(':') {
            Some(("sqlite", _)) => Self::open_sqlite(access, url).await,
            Some(("postgres" | "postgresql", _)) => Self::open_postgres(access, url, password).await,
            _ => Err(StoreError::Address),
        }
    }

    async fn open_sqlite(access: Access, url: &str) -> Result<Self, StoreError> {
        let options = SqliteConnectOptions::from_str(url)
            .map_err(|_| StoreError::Address)?
            .create_if_missing(access == Access::Write)
            .read_only(access == Access::Read)
            .journal_mode(SqliteJournalMode::Wal)
            // A commit returns once the log of changes is on the disk.
            .synchronous(SqliteSynchronous::Full)
            .busy_timeout(ACQUIRE_TIME_MAX)
            // Not in a commit, which someone waits for: see `Store::checkpoint`.
            .pragma("wal_autocheckpoint", "0")
            // Before a statement that writes several rows, SQLite keeps aside what it changes: not in a file.
            .pragma("temp_store", "MEMORY")
            // Each commit writes whole pages, of six trees at least: larger ones took half as long again.
            .page_size(4096)
            .thread_name(|number| format!("message-log-{number}"))
            .disable_statement_logging();
        // Whatever is wrong with the file is told at once.
        options.connect().await.map_err(StoreError::Unreachable)?.close().await?;
        let write = SqliteConnections::new(options.clone(), access, 1)?;
        let read = SqliteConnections::new(options, Access::Read, CONNECTIONS_MAX)?;
        Ok(Self::new(Pool::Sqlite(write), Pool::Sqlite(read)))
    }

    async fn open_postgres(
        access: Access,
        url: &str,
        password: Option<&Secret<String>>,
    ) -> Result<Self, StoreError> {
        let authority = url.split_once("://").map_or("", |(_, rest)| rest).split(['/', '?']).next();
        let user_info =
            authority.and_then(|authority| authority.rsplit_once('@')).map_or("", |(user, _)| user);
        if user_info.contains(':') || url.contains("password=") {
            return Err(StoreError::PasswordInAddress);
        }
        let options = PgConnectOptions::from_str(url).map_err(|_| StoreError::Address)?;
        let is_here = options.get_socket().is_some()
            || matches!(options.get_host(), "localhost" | "127.0.0.1" | "::1" | "[::1]");
        let options = match is_here || url.contains("sslmode=") {
            true => options,
            false => options.ssl_mode(PgSslMode::VerifyFull),
        };
        let options = options
            // Given even if empty: otherwise the driver looks for one in the environment.
            .password(password.map_or("", |password| password.expose()))
            .application_name("uuk-message-log")
            // Whatever the server's own default is: a commit returns once it is on the disk.
            .options([("synchronous_commit", "on")])
            .options([("default_transaction_read_only", if access == Access::Read { "on" } else { "off" })])
            .disable_statement_logging();
        let pool = PgPoolOptions::new()
            .max_connections(CONNECTIONS_MAX as u32)
            .acquire_timeout(ACQUIRE_TIME_MAX)
            .connect_with(options)
            .await
            .map_err(StoreError::Unreachable)?;
        Ok(Self::new(Pool::Postgres(pool.clone()), Pool::Postgres(pool)))
    }

    fn new(write: Pool, read: Pool) -> Self {
        Self {
            write,
            read,
            numbers: Arc::default(),
            backlog: Backlog::default(),
            last_chains: Arc::default(),
        }
    }

    /// Numbers that nobody else gets, ascending. What is called so is a record, a time-stamp or an archive.
    pub(crate) async fn take_numbers(&self, count: usize) -> Result<Vec<i64>, StoreError> {
        const SQL: &str = "UPDATE number SET next = next + $1 RETURNING next";
        let mut numbers = self.numbers.lock().await;
        let mut taken = Vec::with_capacity(count);
        while taken.len() < count {
            if let Some(number) = numbers.next() {
                taken.push(number);
                continue;
            }
            let end: i64 = on!(&self.write, |connection| {
                // By itself the statement ends after its row was read, and nobody would hear that the disk is full.
                let mut transaction = connection.begin_with(Db::BEGIN).await?;
                let end = sqlx::query_scalar(SQL).bind(NUMBER_BLOCK).fetch_one(&mut *transaction).await?;
                transaction.commit().await?;
                end
            });
            *numbers = end - NUMBER_BLOCK..end;
        }
        Ok(taken)
    }

    /// Stores records under their numbers, all or none; returns once they are on the disk.
    pub(crate) async fn insert(
        &self,
        rows: &[(RecordId, &NewRow)],
        attempt: Attempt,
    ) -> Result<(), StoreError> {
        let (insert_whole, unless_there) = match attempt {
            Attempt::First => ("INSERT INTO whole_record SELECT * FROM (", ""),
            Attempt::Again => {
                ("INSERT OR IGNORE INTO whole_record SELECT * FROM (", " ON CONFLICT DO NOTHING")
            }
        };
        // Rows that are none but make up the number: see `padded`.
        let end_whole = ") AS padded WHERE column1 IS NOT NULL";
        let end = [end_whole, unless_there].concat();
        let signatures = Signatures::new(rows);
        let attachments: Vec<_> = rows
            .iter()
            .flat_map(|(id, row)| row.content.attachments.iter().zip(1_i16..).map(move |one| (*id, one)))
            .collect();
        on!(&self.write, |connection| {
            let push_record = |values: &mut Separated<'_, Db, &'static str>,
                               row: Option<&(RecordId, &NewRow)>| {
                let (id, row) = row.copied().unzip();
                let member = row.map(|row| row.party.member());
                let signature = id.and_then(|id| signatures.of(id));
                values
                    .push_bind(id.map(|id| id.0))
                    .push_bind(row.map(|row| row.recorded_at.as_millisecond()))
                    .push_bind(row.map(|row| row.direction as i16))
                    .push_bind(member.map(|member| &*member.instance))
                    .push_bind(member.map(|member| &*member.class))
                    .push_bind(member.map(|member| &*member.code))
                    .push_bind(row.map(|row| subsystem_code(&row.party)))
                    .push_bind(row.map(|row| &*row.query_id))
                    .push_bind(row.map(|row| &*row.request_id))
                    .push_bind(signature.map(|signature| signature.digest.as_bytes()));
            };
            let push_content = |values: &mut Separated<'_, Db, &'static str>,
                                row: Option<&(RecordId, &NewRow)>| {
                let (id, row) = row.copied().unzip();
                let content = row.map(|row| &row.content);
                let signature = id.and_then(|id| signatures.of(id));
                let chain = content.and_then(|content| content.signature.hash_chain.as_ref());
                values
                    .push_bind(content.and_then(|content| content.key_id.as_deref()))
                    .push_bind(content.map(|content| &*content.message))
                    .push_bind(signature.map(|signature| signature.first.0))
                    .push_bind(chain.map(|chain| &*chain.result))
                    .push_bind(chain.map(|chain| &*chain.chain));
            };
            let mut script = <Db as Transactions>::Script::new(attachments.is_empty());
            if Db::SPLITS_RECORDS {
                let insert = script.statement(insert_whole);
                insert.push_values(padded(rows), |mut values, row| {
                    push_record(&mut values, row);
                    push_content(&mut values, row);
                    let signature = row.and_then(|(id, _)| signatures.of(*id).filter(|one| one.first == *id));
                    values.push_bind(signature.map(|signature| signature.document));
                });
                insert.push(end_whole);
            } else {
                let insert = script.statement(
                    "INSERT INTO record (id, recorded_at, direction, instance, member_class, member_code, \
                     subsystem_code, query_id, request_id, signature_digest) SELECT * FROM (",
                );
                insert.push_values(padded(rows), |mut values, row| push_record(&mut values, row));
                insert.push(&end);

                let insert = script.statement(
                    "INSERT INTO content (record_id, key_id, message, signature_id, chain_result, chain) SELECT * FROM (",
                );
                insert.push_values(padded(rows), |mut values, row| {
                    values.push_bind(row.map(|(id, _)| id.0));
                    push_content(&mut values, row);
                });
                insert.push(&end);

                let insert = script.statement("INSERT INTO signature (id, document) SELECT * FROM (");
                insert.push_values(padded(&signatures.distinct), |mut values, signature| {
                    values
                        .push_bind(signature.map(|signature| signature.first.0))
                        .push_bind(signature.map(|signature| signature.document));
                });
                insert.push(&end);
            }

            for attachments in attachments.chunks(ATTACHMENTS_PER_STATEMENT) {
                let insert = script
                    .statement("INSERT INTO attachment (record_id, number, content, digest) SELECT * FROM (");
                insert.push_values(padded(attachments), |mut values, attachment| {
                    let (id, attachment) = attachment.copied().unzip();
                    let (attachment, number) = attachment.unzip();
                    let (content, digest) = match attachment {
                        Some(StoredAttachment::Content(content)) => (Some(&**content), None),
                        Some(StoredAttachment::LeftOut(digest)) => (None, Some(digest.as_bytes())),
                        None => (None, None),
                    };
                    values
                        .push_bind(id.map(|id| id.0))
                        .push_bind(number)
                        .push_bind(content)
                        .push_bind(digest);
                });
                insert.push(&end);
            }
            script.commit(&mut connection).await?;
        });
        self.backlog.add(rows.iter().map(|(_, row)| row.content.size_bytes()).sum());
        Ok(())
    }

    /// What waits for a checkpoint.
    pub(crate) fn backlog(&self) -> &Backlog {
        &self.backlog
    }

    /// Moves what was committed from SQLite's log of changes into its file, so that the log begins anew; PostgreSQL does
    /// so by itself. First while others write, and then, while the one that writes here waits, the little that came
    /// meanwhile: SQLite begins its log anew only when all of it was moved.
    pub(crate) async fn checkpoint(&self) -> Result<(), StoreError> {
        const SQL: &str = "PRAGMA wal_checkpoint(PASSIVE)";
        let (Pool::Sqlite(read), Pool::Sqlite(write)) = (&self.read, &self.write) else { return Ok(()) };
        for connections in [read, write] {
            sqlx::query(SQL).execute(&mut *connections.acquire().await?).await?;
        }
        Ok(())
    }

    /// The records that fit, oldest first, at most `records_max`.
    pub(crate) async fn find(&self, query: &Query, records_max: u32) -> Result<Vec<FoundRecord>, StoreError> {
        let rows: Vec<FoundRow> = on!(&self.read, |connection| {
            let mut select = QueryBuilder::<Db>::new(FOUND);
            select.push(" WHERE record.id > ").push_bind(query.after.map_or(i64::MIN, |after| after.0));
            if let Some(query_id) = &query.query_id {
                select.push(" AND query_id = ").push_bind(query_id);
            }
            if let Some(party) = &query.party {
                let member = party.member();
                select.push(" AND instance = ").push_bind(&member.instance);
                select.push(" AND member_class = ").push_bind(&member.class);
                select.push(" AND member_code = ").push_bind(&member.code);
                select.push(" AND subsystem_code = ").push_bind(subsystem_code(party));
            }
            if let Some(direction) = query.direction {
                select.push(" AND direction = ").push_bind(direction as i16);
            }
            if let Some(from) = query.from {
                select.push(" AND recorded_at >= ").push_bind(from.as_millisecond());
            }
            if let Some(until) = query.until {
                select.push(" AND recorded_at < ").push_bind(until.as_millisecond());
            }
            if query.unstamped_only {
                select.push(" AND time_stamp_id IS NULL");
            }
            select.push(" ORDER BY record.id LIMIT ").push_bind(i64::from(records_max));
            select.build_query_as().fetch_all(&mut *connection).await?
        });
        rows.into_iter().map(read_found).collect()
    }

    /// The messages of these records, and which key each is encrypted with, in the order of their numbers.
    pub(crate) async fn messages(&self, ids: &[RecordId]) -> Result<Vec<MessageRow>, StoreError> {
        const SQL: &str = "SELECT record_id, key_id, message FROM content WHERE record_id IN (";
        Ok(on!(&self.read, |connection| {
            let mut rows = Vec::with_capacity(ids.len());
            for ids in ids.chunks(MESSAGES_PER_STATEMENT) {
                let mut select = QueryBuilder::<Db>::new(SQL);
                let mut list = select.separated(", ");
                for id in ids {
                    list.push_bind(id.0);
                }
                select.push(") ORDER BY record_id");
                let found: Vec<MessageRow> = select.build_query_as().fetch_all(&mut *connection).await?;
                rows.extend(found);
            }
            rows
        }))
    }

    /// When the newest record was made.
    pub(crate) async fn last_recorded_at(&self) -> Result<Option<Timestamp>, StoreError> {
        const SQL: &str = "SELECT MAX(recorded_at) FROM record";
        let at: Option<i64> =
            on!(&self.read, |connection| sqlx::query_scalar(SQL).fetch_one(&mut *connection).await?);
        Ok(at.and_then(|at| Timestamp::from_millisecond(at).ok()))
    }

    /// A record with all its content.
    pub(crate) async fn load(&self, id: RecordId) -> Result<Option<FullRecord>, StoreError> {
        const CONTENT: &str = "SELECT key_id, message, document, chain_result, chain FROM content \
             JOIN signature ON signature.id = signature_id WHERE record_id = $1";
        const ATTACHMENTS: &str =
            "SELECT content, digest FROM attachment WHERE record_id = $1 ORDER BY number";
        const TIME_STAMP: &str = "SELECT time_stamp.id, token, chain_result, covered, signature_digest FROM record \
                                  JOIN time_stamp ON time_stamp.id = time_stamp_id WHERE record.id = $1";
        let (found, content, attachments, time_stamp) = on!(&self.read, |connection| {
            let mut select = QueryBuilder::<Db>::new(FOUND);
            select.push(" WHERE record.id = ").push_bind(id.0);
            let found: Option<FoundRow> = select.build_query_as().fetch_optional(&mut *connection).await?;
            let content: Option<ContentRow> =
                sqlx::query_as(CONTENT).bind(id.0).fetch_optional(&mut *connection).await?;
            let attachments: Vec<AttachmentRow> =
                sqlx::query_as(ATTACHMENTS).bind(id.0).fetch_all(&mut *connection).await?;
            let time_stamp: Option<TimeStampRow> =
                sqlx::query_as(TIME_STAMP).bind(id.0).fetch_optional(&mut *connection).await?;
            (found, content, attachments, time_stamp)
        });
        let Some(found) = found else { return Ok(None) };
        let damaged = |what| StoreError::Damaged { record: id, what };
        let (key_id, message, signatures, chain_result, chain) = content.ok_or(damaged("its content"))?;
        let attachments = attachments.into_iter().map(|row| match row {
            (Some(content), None) => Ok(StoredAttachment::Content(content)),
            (None, Some(digest)) => Digest::new(DigestAlgorithm::Sha512, digest)
                .map(StoredAttachment::LeftOut)
                .ok_or(damaged("the digest of an attachment")),
            _ => Err(damaged("an attachment")),
        });
        let hash_chain = chain_documents(chain_result, chain).ok_or(damaged("its hash chain"))?;
        let time_stamp = match time_stamp {
            None => None,
            Some((_, token, None, None, _)) => Some(DetachedTimeStamp { token, hash_chain: None }),
            Some((stamp, token, result, covered, signature)) => {
                let chain = result.zip(covered).and_then(|(result, covered)| {
                    self.time_stamp_chain(stamp, &covered, &signature).filter(|chain| chain.result == result)
                });
                Some(DetachedTimeStamp { token, hash_chain: Some(chain.ok_or(damaged("its time-stamp"))?) })
            }
        };
        Ok(Some(FullRecord {
            found: read_found(found)?,
            content: Content {
                key_id,
                message,
                signature: SignatureDocuments { signatures: signatures.into(), hash_chain },
                attachments: attachments.collect::<Result<_, _>>()?,
            },
            time_stamp,
        }))
    }

    /// What leads from the time-stamp `stamp` over the signatures `covered` to one of them.
    fn time_stamp_chain(&self, stamp: i64, covered: &[u8], signature: &[u8]) -> Option<ChainDocuments> {
        let (signatures, []) = covered.as_chunks::<SHA512_BYTES>() else { return None };
        let mut last = self.last_chains.lock().unwrap_or_else(PoisonError::into_inner);
        let chains = match &*last {
            Some(known) if known.time_stamp == stamp => Arc::clone(&known.chains),
            _ => {
                let messages = signatures.iter().map(|digest| vec![Digest::sha512(*digest)]).collect();
                Arc::new(HashChains::new(ChainNames::TIMESTAMP, messages)?)
            }
        };
        *last = Some(StampedChains { time_stamp: stamp, chains: Arc::clone(&chains) });
        drop(last);
        chains.documents_of(signatures.iter().position(|digest| digest == signature)?)
    }

    /// Records that wait for a time-stamp, the oldest first, with the digests of their signatures.
    pub(crate) async fn unstamped(&self, records_max: u32) -> Result<Vec<(RecordId, Digest)>, StoreError> {
        const SQL: &str =
            "SELECT id, signature_digest FROM record WHERE time_stamp_id IS NULL ORDER BY id LIMIT $1";
        let rows: Vec<(i64, Vec<u8>)> = on!(&self.read, |connection| {
            sqlx::query_as(SQL).bind(i64::from(records_max)).fetch_all(&mut *connection).await?
        });
        let rows = rows.into_iter().map(|(id, digest)| {
            let record = RecordId(id);
            let damaged = StoreError::Damaged { record, what: "the digest of its signature" };
            Ok((record, Digest::new(DigestAlgorithm::Sha512, digest).ok_or(damaged)?))
        });
        rows.collect()
    }

    /// How many records wait for a time-stamp, and since when the oldest does.
    pub(crate) async fn waiting(&self) -> Result<(u64, Option<Timestamp>), StoreError> {
        const COUNT: &str = "SELECT COUNT(*) FROM record WHERE time_stamp_id IS NULL";
        const OLDEST: &str = "SELECT recorded_at FROM record WHERE time_stamp_id IS NULL ORDER BY id LIMIT 1";
        let (count, oldest): (i64, Option<i64>) = on!(&self.read, |connection| {
            let count = sqlx::query_scalar(COUNT).fetch_one(&mut *connection).await?;
            (count, sqlx::query_scalar(OLDEST).fetch_optional(&mut *connection).await?)
        });
        let oldest = oldest.and_then(|millisecond| Timestamp::from_millisecond(millisecond).ok());
        Ok((count.unsigned_abs(), oldest))
    }

    /// Whether a record waits for a time-stamp.
    pub(crate) async fn is_unstamped(&self, record: RecordId) -> Result<bool, StoreError> {
        const SQL: &str = "SELECT COUNT(*) FROM record WHERE id = $1 AND time_stamp_id IS NULL";
        let count: i64 = on!(&self.read, |connection| sqlx::query_scalar(SQL)
            .bind(record.0)
            .fetch_one(&mut *connection)
            .await?);
        Ok(count > 0)
    }

    /// The signature document of a record.
    pub(crate) async fn signatures(&self, record: RecordId) -> Result<Vec<u8>, StoreError> {
        const SQL: &str = "SELECT document FROM content JOIN signature ON signature.id = signature_id \
                           WHERE record_id = $1";
        Ok(on!(&self.read, |connection| sqlx::query_scalar(SQL)
            .bind(record.0)
            .fetch_one(&mut *connection)
            .await?))
    }

    /// Keeps a time-stamp with the records that it covers, in ascending order. Those that another has stamped meanwhile
    /// keep that stamp.
    pub(crate) async fn save_time_stamp(
        &self,
        stamp: NewTimeStamp,
        records: &[RecordId],
    ) -> Result<(), StoreError> {
        const INSERT: &str = "INSERT INTO time_stamp (id, stamped_at, token, chain_result, covered) VALUES ($1, $2, $3, $4, $5)";
        const UPDATE: &str = "UPDATE record SET time_stamp_id = $1 \
                              WHERE id BETWEEN $2 AND $3 AND time_stamp_id IS NULL";
        let (result, covered) = match stamp.covered {
            None => (None, None),
            Some(Covered { result, signatures }) => (
                Some(result),
                Some(signatures.iter().flat_map(Digest::as_bytes).copied().collect::<Vec<_>>()),
            ),
        };
        let id = self.take_numbers(1).await?.first().copied().unwrap_or_default();
        on!(&self.write, |connection| {
            let insert = sqlx::query(INSERT)
                .bind(id)
                .bind(stamp.stamped_at.as_millisecond())
                .bind(stamp.token)
                .bind(result)
                .bind(covered);
            insert.execute(&mut *connection).await?;
            // In several transactions, so that nobody waits long who has a record to write. What a crash leaves out is
            // stamped anew.
            for records in records.chunks(STAMPED_PER_COMMIT) {
                let mut transaction = connection.begin_with(Db::BEGIN).await?;
                // Numbers follow each other, but for those that others took.
                for run in records.chunk_by(|one, next| one.0 + 1 == next.0) {
                    let (Some(first), Some(last)) = (run.first(), run.last()) else { continue };
                    let update = sqlx::query(UPDATE).bind(id).bind(first.0).bind(last.0);
                    update.execute(&mut *transaction).await?;
                }
                transaction.commit().await?;
            }
        });
        Ok(())
    }

    /// The parties that have records to archive, in order; a member's subsystems are one with it unless told apart.
    pub(crate) async fn parties_to_archive(
        &self,
        grouping: Grouping,
    ) -> Result<Vec<Vec<String>>, StoreError> {
        const MEMBERS: &str = "SELECT DISTINCT instance, member_class, member_code, '' FROM record \
                               WHERE archive_id IS NULL AND time_stamp_id IS NOT NULL ORDER BY 1, 2, 3";
        const SUBSYSTEMS: &str = "SELECT DISTINCT instance, member_class, member_code, subsystem_code FROM record \
             WHERE archive_id IS NULL AND time_stamp_id IS NOT NULL ORDER BY 1, 2, 3, 4";
        let sql = match grouping {
            // One group of all, whether or not there is anything in it.
            Grouping::None => return Ok(vec![Vec::new()]),
            Grouping::Member => MEMBERS,
            Grouping::Subsystem => SUBSYSTEMS,
        };
        let rows: Vec<(String, String, String, String)> =
            on!(&self.read, |connection| sqlx::query_as(sql).fetch_all(&mut *connection).await?);
        let pieces = |(instance, class, code, subsystem): (String, String, String, String)| {
            let pieces = [instance, class, code, subsystem].into_iter();
            pieces.filter(|piece| !piece.is_empty()).collect()
        };
        Ok(rows.into_iter().map(pieces).collect())
    }

    /// Time-stamped records of `group` that are in no archive, in the order of archives.
    pub(crate) async fn to_archive(
        &self,
        group: &[String],
        grouping: Grouping,
        records_max: usize,
    ) -> Result<Vec<RecordId>, StoreError> {
        let ids: Vec<i64> = on!(&self.read, |connection| {
            let mut select = QueryBuilder::<Db>::new(
                "SELECT id FROM record WHERE archive_id IS NULL AND time_stamp_id IS NOT NULL",
            );
            let columns = ["instance", "member_class", "member_code", "subsystem_code"];
            let pieces = group.iter().map(String::as_str);
            // A member's own records have no subsystem.
            let own = (grouping == Grouping::Subsystem).then_some("");
            for (column, piece) in columns.iter().zip(pieces.chain(own)) {
                select.push(format_args!(" AND {column} = ")).push_bind(piece);
            }
            select.push(ARCHIVE_ORDER).push(" LIMIT ").push_bind(records_max as i64);
            select.build_query_scalar().fetch_all(&mut *connection).await?
        });
        Ok(ids.into_iter().map(RecordId).collect())
    }

    /// The last archive of a group.
    pub(crate) async fn last_archive(&self, group: &str) -> Result<Option<PlannedArchive>, StoreError> {
        const SQL: &str = "SELECT id, group_name, position, file_name, last_digest FROM archive \
                           WHERE group_name = $1 ORDER BY position DESC LIMIT 1";
        let row: Option<ArchiveRow> = on!(&self.read, |connection| sqlx::query_as(SQL)
            .bind(group)
            .fetch_optional(&mut *connection)
            .await?);
        Ok(row.map(PlannedArchive::from))
    }

    /// The archive in a group at a position.
    pub(crate) async fn archive_at(
        &self,
        group: &str,
        position: i64,
    ) -> Result<Option<PlannedArchive>, StoreError> {
        const SQL: &str = "SELECT id, group_name, position, file_name, last_digest FROM archive \
                           WHERE group_name = $1 AND position = $2";
        let row: Option<ArchiveRow> = on!(&self.read, |connection| {
            sqlx::query_as(SQL).bind(group).bind(position).fetch_optional(&mut *connection).await?
        });
        Ok(row.map(PlannedArchive::from))
    }

    /// Archives that were planned and perhaps not written, each group's in order.
    pub(crate) async fn unwritten_archives(&self) -> Result<Vec<PlannedArchive>, StoreError> {
        const SQL: &str = "SELECT id, group_name, position, file_name, last_digest FROM archive \
                           WHERE written_at IS NULL ORDER BY group_name, position";
        let rows: Vec<ArchiveRow> =
            on!(&self.read, |connection| sqlx::query_as(SQL).fetch_all(&mut *connection).await?);
        Ok(rows.into_iter().map(PlannedArchive::from).collect())
    }

    /// The records of an archive, in its order.
    pub(crate) async fn archived(&self, archive: i64) -> Result<Vec<RecordId>, StoreError> {
        let ids: Vec<i64> = on!(&self.read, |connection| {
            let mut select = QueryBuilder::<Db>::new("SELECT id FROM record WHERE archive_id = ");
            select.push_bind(archive).push(ARCHIVE_ORDER);
            select.build_query_scalar().fetch_all(&mut *connection).await?
        });
        Ok(ids.into_iter().map(RecordId).collect())
    }

    /// Plans an archive of `records`. False if another process has planned one with any of them, or in its place.
    pub(crate) async fn plan_archive(
        &self,
        archive: &PlannedArchive,
        records: &[RecordId],
    ) -> Result<bool, StoreError> {
        const INSERT: &str = "INSERT INTO archive (id, group_name, position, file_name, last_digest) \
                              VALUES ($1, $2, $3, $4, $5) ON CONFLICT (group_name, position) DO NOTHING";
        on!(&self.write, |connection| {
            let mut transaction = connection.begin_with(Db::BEGIN).await?;
            let insert = sqlx::query(INSERT)
                .bind(archive.id)
                .bind(&archive.group)
                .bind(archive.position)
                .bind(&archive.file_name)
                .bind(&archive.last_digest);
            let mut planned = insert.execute(&mut *transaction).await?.rows_affected() == 1;
            for records in chunks(records) {
                let mut update = QueryBuilder::<Db>::new("UPDATE record SET archive_id = ");
                update.push_bind(archive.id).push(" WHERE archive_id IS NULL AND id IN (");
                let mut ids = update.separated(", ");
                for record in records {
                    ids.push_bind(record.0);
                }
                update.push(")");
                let updated = update.build().execute(&mut *transaction).await?.rows_affected();
                planned &= updated == records.len() as u64;
            }
            if planned {
                transaction.commit().await?;
            } else {
                transaction.rollback().await?;
            }
            Ok(planned)
        })
    }

    /// Notes that an archive is written.
    pub(crate) async fn mark_written(&self, archive: i64, at: Timestamp) -> Result<(), StoreError> {
        const SQL: &str = "UPDATE archive SET written_at = $1 WHERE id = $2";
        on!(&self.write, |connection| {
            sqlx::query(SQL).bind(at.as_millisecond()).bind(archive).execute(&mut *connection).await?;
        });
        Ok(())
    }

    /// Deletes at most `records_max` records made before `before` whose archive is written; answers how many.
    pub(crate) async fn delete_archived(
        &self,
        before: Timestamp,
        records_max: u32,
    ) -> Result<u64, StoreError> {
        const SELECT: &str = "SELECT record.id FROM record JOIN archive ON archive.id = archive_id \
                              WHERE written_at IS NOT NULL AND recorded_at < $1 ORDER BY record.id LIMIT $2";
        // A signature has the number of the first record that has it.
        const SIGNATURES: &str = "DELETE FROM signature WHERE id <= $1 \
             AND NOT EXISTS (SELECT 1 FROM content WHERE record_id = signature.id) \
             AND NOT EXISTS (SELECT 1 FROM content WHERE signature_id = signature.id AND signature_id <> record_id)";
        let before = before.as_millisecond();
        let ids: Vec<i64> = on!(&self.read, |connection| {
            sqlx::query_scalar(SELECT)
                .bind(before)
                .bind(i64::from(records_max))
                .fetch_all(&mut *connection)
                .await?
        });
        on!(&self.write, |connection| {
            let mut transaction = connection.begin_with(Db::BEGIN).await?;
            for ids in chunks(&ids) {
                for delete in [
                    "DELETE FROM attachment WHERE record_id IN (",
                    "DELETE FROM content WHERE record_id IN (",
                    "DELETE FROM record WHERE id IN (",
                ] {
                    let mut delete = QueryBuilder::<Db>::new(delete);
                    let mut list = delete.separated(", ");
                    for id in ids {
                        list.push_bind(*id);
                    }
                    delete.push(")").build().execute(&mut *transaction).await?;
                }
            }
            sqlx::query(SIGNATURES).bind(ids.last()).execute(&mut *transaction).await?;
            transaction.commit().await?;
        });
        Ok(ids.len() as u64)
    }

    /// Deletes time-stamps from before `before` that no record has.
    pub(crate) async fn delete_unused_time_stamps(&self, before: Timestamp) -> Result<(), StoreError> {
        const SQL: &str = "DELETE FROM time_stamp WHERE stamped_at < $1 AND NOT EXISTS \
                           (SELECT 1 FROM record WHERE time_stamp_id = time_stamp.id)";
        on!(&self.write, |connection| {
            sqlx::query(SQL).bind(before.as_millisecond()).execute(&mut *connection).await?;
        });
        Ok(())
    }

    /// Keeps a time under a name over restarts, or forgets it.
    pub(crate) async fn remember(&self, name: &str, at: Option<Timestamp>) -> Result<(), StoreError> {
        const SET: &str =
            "INSERT INTO remembered (name, at) VALUES ($1, $2) ON CONFLICT (name) DO UPDATE SET at = $2";
        const FORGET: &str = "DELETE FROM remembered WHERE name = $1";
        on!(&self.write, |connection| match at {
            Some(at) => {
                sqlx::query(SET).bind(name).bind(at.as_millisecond()).execute(&mut *connection).await?;
            }
            None => {
                sqlx::query(FORGET).bind(name).execute(&mut *connection).await?;
            }
        });
        Ok(())
    }

    /// The time kept under a name.
    pub(crate) async fn recall(&self, name: &str) -> Result<Option<Timestamp>, StoreError> {
        const SQL: &str = "SELECT at FROM remembered WHERE name = $1";
        let at: Option<i64> = on!(&self.read, |connection| sqlx::query_scalar(SQL)
            .bind(name)
            .fetch_optional(&mut *connection)
            .await?);
        Ok(at.and_then(|at| Timestamp::from_millisecond(at).ok()))
    }
}

const FOUND: &str = "SELECT record.id, recorded_at, direction, instance, member_class, member_code, \
                     subsystem_code, query_id, request_id, stamped_at, file_name FROM record \
                     LEFT JOIN time_stamp ON time_stamp.id = time_stamp_id \
                     LEFT JOIN archive ON archive.id = archive_id";

/// The order of records in archives, which is that of X-Road's.
const ARCHIVE_ORDER: &str = " ORDER BY member_class, member_code, subsystem_code, id";

/// Number, key and message.
pub(crate) type MessageRow = (i64, Option<String>, Vec<u8>);

type ArchiveRow = (i64, String, i64, String, String);

impl From<ArchiveRow> for PlannedArchive {
    fn from((id, group, position, file_name, last_digest): ArchiveRow) -> Self {
        Self { id, group, position, file_name, last_digest }
    }
}

/// Key, message, signature, result and chain.
type ContentRow = (Option<String>, Vec<u8>, Vec<u8>, Option<Vec<u8>>, Option<Vec<u8>>);

/// Content and digest.
type AttachmentRow = (Option<Vec<u8>>, Option<Vec<u8>>);

/// Number, token, result, what it covers, and the digest of the record's signature.
type TimeStampRow = (i64, Vec<u8>, Option<Vec<u8>>, Option<Vec<u8>>, Vec<u8>);

/// A row of [`FOUND`].
type FoundRow = (i64, i64, i16, String, String, String, String, String, String, Option<i64>, Option<String>);

fn read_found(row: FoundRow) -> Result<FoundRecord, StoreError> {
    let (
        id,
        recorded_at,
        direction,
        instance,
        class,
        code,
        subsystem,
        query_id,
        request_id,
        stamped_at,
        file,
    ) = row;
    let id = RecordId(id);
    let damaged = |what| StoreError::Damaged { record: id, what };
    let time = |milliseconds| Timestamp::from_millisecond(milliseconds).map_err(|_| damaged("a time"));
    let member = MemberId { instance, class, code };
    Ok(FoundRecord {
        id,
        recorded_at: time(recorded_at)?,
        direction: match direction {
            0 => Direction::Request,
            1 => Direction::Response,
            _ => return Err(damaged("its direction")),
        },
        party: match subsystem.is_empty() {
            true => ClientId::Member(member),
            false => ClientId::Subsystem(SubsystemId { member, code: subsystem }),
        },
        query_id,
        request_id,
        stamped_at: stamped_at.map(time).transpose()?,
        archive: file,
    })
}

fn subsystem_code(party: &ClientId) -> &str {
    match party {
        ClientId::Member(_) => "",
        ClientId::Subsystem(subsystem) => &subsystem.code,
    }
}

/// Both documents or neither; `None` if there is one of them.
fn chain_documents(result: Option<Vec<u8>>, chain: Option<Vec<u8>>) -> Option<Option<ChainDocuments>> {
    match (result, chain) {
        (None, None) => Some(None),
        (Some(result), Some(chain)) => Some(Some(ChainDocuments { result, chain })),
        _ => None,
    }
}

/// The signatures of the records of one commit, which may share them.
struct Signatures<'r> {
    distinct: Vec<Signature<'r>>,
    /// Which of them each record has.
    of: HashMap<RecordId, usize>,
}

struct Signature<'r> {
    /// The first record that has it; its number is the signature's, too.
    first: RecordId,
    document: &'r [u8],
    digest: Digest,
}

impl<'r> Signatures<'r> {
    /// Of the records of a commit, in their order.
    fn new(rows: &[(RecordId, &'r NewRow)]) -> Self {
        let mut distinct = Vec::<Signature<'r>>::new();
        let mut of = HashMap::with_capacity(rows.len());
        for (id, row) in rows {
            let document = &*row.content.signature.signatures;
            let position = distinct.iter().position(|known| known.document == document);
            of.insert(*id, position.unwrap_or(distinct.len()));
            if position.is_none() {
                let digest = DigestAlgorithm::Sha512.digest(document);
                distinct.push(Signature { first: *id, document, digest });
            }
        }
        Self { distinct, of }
    }

    fn of(&self, record: RecordId) -> Option<&Signature<'r>> {
        self.distinct.get(*self.of.get(&record)?)
    }
}

/// Divides rows into few different numbers of them, so that the statements are prepared once: powers of two.
fn chunks<T>(rows: &[T]) -> impl Iterator<Item = &[T]> {
    let mut rest = rows;
    std::iter::from_fn(move || {
        let length = ROWS_MAX.min(1 << rest.len().checked_ilog2()?);
        let (chunk, others) = rest.split_at_checked(length)?;
        rest = others;
        Some(chunk)
    })
}

/// As many rows as the next power of two, so that statements have few different numbers of them and are prepared once.
fn padded<T>(rows: &[T]) -> impl Iterator<Item = Option<&T>> {
    let padding = rows.len().next_power_of_two() - rows.len();
    rows.iter().map(Some).chain(std::iter::repeat_n(None, padding))
}

/// How a database is changed by several statements, all or none.
trait Transactions {
    /// How a transaction begins that will write.
    const BEGIN: &'static str;

    /// Whether it takes a record whole: see `whole_record.sql`.
    const SPLITS_RECORDS: bool;

    /// Statements that are known before the first of them is run.
    type Script;
}

impl Transactions for Sqlite {
    /// Taking the lock at once avoids the deadlock of two readers that both want to write.
    const BEGIN: &'static str = "BEGIN IMMEDIATE";

    const SPLITS_RECORDS: bool = true;

    type Script = OneText;
}

impl Transactions for Postgres {
    const BEGIN: &'static str = "BEGIN";

    const SPLITS_RECORDS: bool = false;

    type Script = Statements;
}

/// A transaction as one text: SQLite's thread is entered once for all of it.
struct OneText {
    text: QueryBuilder<Sqlite>,
    /// It is one statement, which is a transaction by itself.
    is_single: bool,
}

impl OneText {
    fn new(is_single: bool) -> Self {
        Self { text: QueryBuilder::new(if is_single { "" } else { Sqlite::BEGIN }), is_single }
    }

    fn statement(&mut self, sql: &str) -> &mut QueryBuilder<Sqlite> {
        if !self.is_single {
            self.text.push("; ");
        }
        self.text.push(sql)
    }

    /// Not to be dropped before it ends: the transaction would stay open in a connection that others get.
    async fn commit(mut self, connection: &mut SqliteConnection) -> Result<(), sqlx::Error> {
        if !self.is_single {
            self.text.push("; COMMIT");
        }
        let committed = self.text.build().execute(&mut *connection).await;
        if committed.is_err() && !self.is_single {
            // Of no use if the disk is full, which ends a transaction by itself.
            let _ = sqlx::query("ROLLBACK").execute(connection).await;
        }
        committed.map(drop)
    }
}

/// A transaction statement by statement, since PostgreSQL takes parameters in one only.
struct Statements(Vec<QueryBuilder<Postgres>>);

impl Statements {
    fn new(_is_single: bool) -> Self {
        Self(Vec::new())
    }

    fn statement(&mut self, sql: &str) -> &mut QueryBuilder<Postgres> {
        self.0.push_mut(QueryBuilder::new(sql))
    }

    async fn commit(self, connection: &mut PgConnection) -> Result<(), sqlx::Error> {
        let mut transaction = connection.begin().await?;
        for mut statement in self.0 {
            statement.build().execute(&mut *transaction).await?;
        }
        transaction.commit().await
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn a_taken_number_is_an_error_unless_the_record_may_be_there_already() {
        let folder = tempfile::tempdir().unwrap();
        let url = format!("sqlite:{}", folder.path().join("log.db").display());
        let store = Store::open(&url, None).await.unwrap();
        let row = NewRow {
            recorded_at: Timestamp::UNIX_EPOCH,
            direction: Direction::Request,
            party: "KG/GOV/70000001/registry".parse().unwrap(),
            query_id: "KG-1".into(),
            request_id: "1".into(),
            content: Content {
                key_id: None,
                message: b"message".to_vec(),
                signature: SignatureDocuments {
                    signatures: b"signature".as_slice().into(),
                    hash_chain: None,
                },
                attachments: vec![StoredAttachment::Content(b"attachment".to_vec())],
            },
        };
        let rows = [(RecordId(7), &row)];
        store.insert(&rows, Attempt::First).await.unwrap();
        assert!(matches!(store.insert(&rows, Attempt::First).await, Err(StoreError::Refused(_))));
        store.insert(&rows, Attempt::Again).await.unwrap();
        let record = store.load(RecordId(7)).await.unwrap().unwrap();
        assert_eq!((&*record.content.message, record.content.attachments.len()), (&b"message"[..], 1));
    }

    #[test]
    fn divides_rows_into_powers_of_two() {
        let lengths = |count: usize| chunks(&vec![(); count]).map(<[()]>::len).collect::<Vec<_>>();
        assert_eq!(lengths(0), [0; 0]);
        assert_eq!(lengths(1), [1]);
        assert_eq!(lengths(75), [32, 32, 8, 2, 1]);
    }
}
